"""The day's digest, reconciliations, and allocations sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from alarms import DESK, desk, kept
from worlds import TODAY, World, one, some

from fixgateway.core import digest, reconciling
from fixgateway.core.desk_facts import ActionRefused, ReconciliationRecorded
from fixgateway.core.desk_inputs import Discrepancy, RecordReconciliation, SendAgain
from fixgateway.core.facts import Alert, ExceptionOpened
from fixgateway.core.outputs import SendAllocation
from fixgateway.journal.state import Builder, lines_of

TOMORROW = TODAY + timedelta(days=1)


def alerts_of(outputs: Any, reason: str) -> list[Alert]:
    return [x for x in some(outputs, Alert) if x.reason == reason]


# ---------------------------------------------------------------- digest


def test_a_day_without_a_reconciliation_ends_as_not_run_and_says_so() -> None:
    world = desk()
    outputs = world.tick(TOMORROW)
    recorded = one(outputs, ReconciliationRecorded)
    assert (recorded.trade_date, recorded.source, recorded.sha256) == (TODAY, "", "")
    (told,) = alerts_of(outputs, "GW-934")
    assert told.subject == TODAY.isoformat()
    assert "reconciliation: not run" in told.text
    assert "0 exceptions opened" in told.text


def test_the_digest_names_the_days_exceptions_and_the_next_one_does_not() -> None:
    world = desk()
    world.submit()
    world.order()
    world.fill("50000", "100")
    alloc_id = one(world.outputs, SendAllocation).allocation.alloc_id
    world.ack(alloc_id, "rejected")
    (opened,) = [x for x in some(world.outputs, ExceptionOpened) if x.reason == "GW-806"]
    reconciliation(world)
    (told,) = alerts_of(world.tick(TOMORROW), "GW-934")
    assert "1 exceptions opened" in told.text
    assert f"GW-806 {alloc_id}: {opened.text[:40]}" in told.text
    assert "reconciliation: matched, 4 rows of custody.csv, by ops" in told.text
    (later,) = alerts_of(world.tick(TOMORROW + timedelta(days=1)), "GW-934")
    assert "GW-806" not in later.text


def test_the_digest_stays_small_when_thousands_of_exceptions_are_opened() -> None:
    world = desk()
    for number in range(3_000):
        world.fill("1", "100", cl_ord_id=f"UNKNOWN-{number}", exec_id=f"E-{number}", order_id=f"O-{number}")
    opened = len(some(world.outputs, ExceptionOpened))
    assert opened == 3_000
    (told,) = alerts_of(world.tick(TOMORROW), "GW-934")
    assert "3000 exceptions opened" in told.text
    assert "and 2950 more" in told.text
    assert len(told.text) < 20_000


# ---------------------------------------------------------------- reconciliation


def reconciliation(world: World, found: tuple[Discrepancy, ...] = (), **more: Any) -> Any:
    fields: dict[str, Any] = {
        "actor": "ops", "trade_date": TODAY, "source": "custody.csv", "sha256": "ab" * 32, "rows": 4, "matched": 4,
    }  # fmt: skip
    return world.give(RecordReconciliation, discrepancies=found, **fields | more)


def test_every_difference_opens_an_exception_and_all_of_them_one_alert() -> None:
    world = desk()
    found = tuple(Discrepancy(kind, f"XYZ {kind}", f"words of {kind}") for kind in reconciling.REASONS)
    outputs = reconciliation(world, found)
    assert one(outputs, ReconciliationRecorded).discrepancies == 5
    opened = some(outputs, ExceptionOpened)
    assert [x.reason for x in opened] == ["GW-941", "GW-942", "GW-943", "GW-944", "GW-945"]
    assert all("custody.csv" in x.text and TODAY.isoformat() in x.text for x in opened)
    (told,) = some(outputs, Alert)
    assert (told.reason, told.severity, told.subject) == ("GW-940", "critical", TODAY.isoformat())


def test_the_exceptions_of_one_file_are_bounded() -> None:
    world = desk()
    most = reconciling.MAX_DISCREPANCIES
    outputs = reconciliation(world, tuple(Discrepancy("price", f"A{n}", "x") for n in range(most + 7)))
    opened = some(outputs, ExceptionOpened)
    assert len(opened) == most + 1
    assert "7 more" in opened[-1].text
    assert one(outputs, ReconciliationRecorded).discrepancies == most + 7


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"actor": "tina"}, "GW-903"),
        ({"actor": "machine:root"}, "GW-903"),
        ({"trade_date": TOMORROW}, "GW-933"),
        ({"source": " "}, "GW-933"),
        ({"sha256": ""}, "GW-933"),
        ({"discrepancies": (Discrepancy("astonishing", "x", "y"),)}, "GW-933"),
    ],
)
def test_a_comparison_is_refused_in_words_and_changes_nothing(more: dict[str, Any], reason: str) -> None:
    world = desk()
    discrepancies = more.pop("discrepancies", ())
    outputs = reconciliation(world, discrepancies, **more)
    assert one(outputs, ActionRefused).reason == reason
    assert len(outputs) == 1
    assert world.engine.state is not None
    assert world.engine.state.reconciled == {}


def test_a_file_that_comes_the_next_morning_replaces_not_run() -> None:
    world = desk()
    world.tick(TOMORROW)
    assert world.engine.state is not None
    assert world.engine.state.reconciled[TODAY.isoformat()] == digest.NOT_RUN
    reconciliation(world, (Discrepancy("price", "x", "y"),))
    assert world.engine.state.reconciled[TODAY.isoformat()].startswith("1 differences")


# ---------------------------------------------------------------- sending again


def rejected(world: World) -> str:
    """The worked example, filled, allocated, and refused as a whole."""
    world.submit()
    world.order()
    world.fill("30000", "100")
    world.operate("close", "S-1")
    alloc_id: str = one(world.outputs, SendAllocation).allocation.alloc_id
    world.ack(alloc_id, "rejected")
    return alloc_id


def test_a_refused_allocation_goes_out_again_as_new_with_the_same_shares() -> None:
    world = desk()
    first = rejected(world)
    before = one(world.outputs, SendAllocation).allocation
    again = one(world.give(SendAgain, actor="ops", alloc_id=first, reason="account set up"), SendAllocation).allocation
    assert (again.trans_type, again.ref_alloc_id, again.alloc_id != first) == ("0", "", True)
    assert replace(again, alloc_id=first) == before
    assert [(x.account, x.quantity) for x in again.shares] == [
        ("CLIENT-A", Decimal(15_000)), ("CLIENT-B", Decimal(6_000)), ("CLIENT-C", Decimal(3_000)),
        ("PROP", Decimal(6_000)),
    ]  # fmt: skip
    world.ack(again.alloc_id)
    state = world.engine.state
    assert state is not None
    assert state.allocations[again.alloc_id].status == "accepted"
    assert state.statements["S-1"].sent["BRK1"].alloc_id == again.alloc_id
    # a bust afterwards replaces what was sent again, not what was refused
    assert world.engine.state is not None
    late = world.fill("1", "100", exec_id="LATE")
    change = one(late, SendAllocation).allocation
    assert (change.trans_type, change.ref_alloc_id) == ("1", again.alloc_id)


def test_only_the_newest_and_only_one_that_was_refused_is_sent_again() -> None:
    world = desk()
    first = rejected(world)
    second = one(world.give(SendAgain, actor="ops", alloc_id=first, reason="again"), SendAllocation).allocation.alloc_id
    for alloc_id, actor, reason, expected in (
        (first, "ops", "again", "GW-932"),  # a newer one is under way
        (second, "ops", "again", "GW-932"),  # sent, not answered
        ("GWA1", "ops", "again", "GW-932"),
        (first, "ops", " ", "GW-932"),
        (first, "cco", "again", "GW-903"),
        (first, "tina", "again", "GW-903"),
    ):
        outputs = world.give(SendAgain, actor=actor, alloc_id=alloc_id, reason=reason)
        assert one(outputs, ActionRefused).reason == expected
        assert len(outputs) == 1
    world.ack(second)
    assert one(world.give(SendAgain, actor="ops", alloc_id=second, reason="x"), ActionRefused).reason == "GW-932"


def test_while_nobody_is_recorded_operations_may_send_again() -> None:
    world = World(DESK)
    first = rejected(world)
    assert one(world.give(SendAgain, actor="somebody", alloc_id=first, reason="again"), SendAllocation)


def test_a_refused_replace_is_sent_again_naming_what_the_broker_has() -> None:
    world = desk()
    world.submit()
    world.order()
    world.fill("30000", "100")
    world.operate("close", "S-1")
    first = one(world.outputs, SendAllocation).allocation.alloc_id
    world.ack(first)
    replacing = one(world.fill("10", "100", exec_id="LATE"), SendAllocation).allocation
    world.ack(replacing.alloc_id, "rejected")
    state = world.engine.state
    assert state is not None
    assert state.statements["S-1"].sent["BRK1"].alloc_id == first
    outputs = world.give(SendAgain, actor="ops", alloc_id=replacing.alloc_id, reason="they mended it")
    again = one(outputs, SendAllocation).allocation
    assert (again.trans_type, again.ref_alloc_id, again.quantity) == ("1", first, Decimal(30_010))
    world.ack(again.alloc_id)
    assert state.allocations[first].status == "replaced"
    assert state.statements["S-1"].sent["BRK1"].alloc_id == again.alloc_id


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_holds_what_is_unacknowledged_and_the_days_tally() -> None:
    world = desk()
    rejected(world)
    reconciliation(world)
    before = world.engine.state
    builder = Builder()
    for section, payload in lines_of(before):
        builder.take(section, payload)
    after = builder.state()
    assert after is not None
    assert before is not None
    assert (after.alerts, after.alerted, after.day_tally) == (before.alerts, before.alerted, before.day_tally)
    assert (after.day_named, after.reconciled, after.last_fills) == (
        before.day_named, before.reconciled, before.last_fills,
    )  # fmt: skip
    assert kept(world)
