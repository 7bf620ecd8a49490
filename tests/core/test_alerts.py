"""Alerts as the core keeps them: ids, quiet repeats, delivery, acknowledgement, what rules A1 to A10 ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from alarms import DESK, desk, kept
from worlds import EXAMPLE, SETUP, TODAY, World, draft, one, some

from fixgateway.core import alerts, outbox
from fixgateway.core.desk_facts import ActionRefused, AlertAcknowledged, DeliveryNoted
from fixgateway.core.desk_inputs import AcknowledgeAlert, NoteDelivery, ReportAlert
from fixgateway.core.facts import Alert, StatementAllocated, TraceLine
from fixgateway.core.model import Completion
from fixgateway.core.outputs import SendAllocation


def test_an_alert_is_kept_under_the_place_it_stands_at_until_somebody_acknowledges_it() -> None:
    world = desk()
    outputs = world.ack("A-NOT-OURS")  # GW-807: an allocation that was never sent
    position = next(n for n, output in enumerate(outputs) if isinstance(output, Alert))
    (alert_id,) = kept(world)
    assert alert_id == f"A-{world.seq}-{position}"
    record = kept(world)[alert_id]
    assert (record.reason, record.subject, record.count, record.raised_ns) == ("GW-807", "BRK1", 1, world.ts_ns)
    done = one(world.give(AcknowledgeAlert, actor="ops", alert_id=alert_id, text=" called them "), AlertAcknowledged)
    assert (done.alert_id, done.actor, done.text) == (alert_id, "ops", "called them")
    assert kept(world) == {}


def test_repeats_of_the_day_are_counted_and_the_next_after_the_acknowledgement_is_news() -> None:
    world = desk()
    for _ in range(3):
        world.ack("A-NOT-OURS")
    (alert_id,) = kept(world)
    assert kept(world)[alert_id].count == 3
    assert kept(world)[alert_id].last_ns == world.ts_ns > kept(world)[alert_id].raised_ns
    world.give(AcknowledgeAlert, actor="cco", alert_id=alert_id, text="called them")
    world.ack("A-NOT-OURS")
    (again,) = kept(world)
    assert again != alert_id


def test_whoever_acknowledges_a_repeat_has_seen_them_all() -> None:
    world = desk()
    world.ack("A-NOT-OURS")
    (first,) = kept(world)
    outputs = world.ack("A-NOT-OURS")
    position = next(n for n, output in enumerate(outputs) if isinstance(output, Alert))
    repeat = f"A-{world.seq}-{position}"
    world.tick(TODAY + timedelta(days=1))
    world.ack("A-NOT-OURS")
    done = one(world.give(AcknowledgeAlert, actor="cco", alert_id=repeat, text="called them"), AlertAcknowledged)
    assert done.alert_id == first
    assert [x.reason for x in kept(world).values()] == ["GW-934"]  # the day's digest
    assert world.engine.state is not None
    assert world.engine.state.repeats == {}
    refused = one(world.give(AcknowledgeAlert, actor="cco", alert_id=repeat, text="again"), ActionRefused)
    assert refused.reason == "GW-931"


def test_the_same_alert_on_another_day_is_news() -> None:
    world = desk()
    world.ack("A-NOT-OURS")
    world.tick(TODAY + timedelta(days=1))
    world.ack("A-NOT-OURS")
    assert [x.reason for x in kept(world).values()].count("GW-807") == 2


def test_what_was_only_a_warning_is_news_once_it_is_critical() -> None:
    world = desk()
    for severity in ("warning", "critical", "critical"):
        world.give(ReportAlert, reason="GW-939", severity=severity, subject="/mnt/worm", text="not kept")
    assert [(x.severity, x.count) for x in kept(world).values()] == [("warning", 1), ("critical", 2)]


def test_nobody_without_the_role_acknowledges_and_nobody_without_words() -> None:
    world = desk()
    world.ack("A-NOT-OURS")
    (alert_id,) = kept(world)
    for actor, text, reason in (
        ("tina", "seen", "GW-903"), ("nobody", "seen", "GW-903"), ("cco", "  ", "GW-931"),
        ("cco", "x" * 1_001, "GW-931"),
    ):  # fmt: skip
        refused = one(world.give(AcknowledgeAlert, actor=actor, alert_id=alert_id, text=text), ActionRefused)
        assert (refused.actor, refused.subject, refused.reason) == (actor, alert_id, reason)
    assert alert_id in kept(world)
    unknown = one(world.give(AcknowledgeAlert, actor="cco", alert_id="A-1-1", text="seen"), ActionRefused)
    assert unknown.reason == "GW-931"


def test_the_outbox_of_a_channel_is_what_it_has_not_delivered() -> None:
    world = desk()
    world.ack("A-NOT-OURS")
    (alert_id,) = kept(world)
    noted = world.give(NoteDelivery, alert_id=alert_id, channel="mail", delivered=False, text="mail: refused")
    assert one(noted, DeliveryNoted).delivered is False
    assert [name for name, _ in outbox.waiting(kept(world), "mail")] == [alert_id]
    world.give(NoteDelivery, alert_id=alert_id, channel="mail", delivered=True, text="")
    assert list(outbox.waiting(kept(world), "mail")) == []
    assert [name for name, _ in outbox.waiting(kept(world), "webhook")] == [alert_id]
    assert (kept(world)[alert_id].failed, kept(world)[alert_id].delivered) == (1, ["mail"])


def test_more_alerts_than_are_kept_become_one_that_counts(monkeypatch: Any) -> None:
    monkeypatch.setattr(alerts, "MAX_ALERTS", 3)
    world = desk()
    for number in range(6):
        world.give(ReportAlert, reason="GW-939", severity="warning", subject=f"place {number}", text="not kept")
    assert [(x.reason, x.count) for x in kept(world).values()] == [("GW-939", 1)] * 3 + [("GW-930", 3)]


def test_journals_from_before_keep_nothing() -> None:
    world = World(replace(SETUP, life_cycle=True))
    world.ack("A-NOT-OURS")
    world.order(statement="S-9")
    world.tick(TODAY + timedelta(days=1))
    assert kept(world) == {}
    assert [x.reason for x in some(world.outputs, Alert)] == ["GW-807"]


# ---------------------------------------------------------------- rules


def test_a1_an_order_without_a_statement_is_one_alert_a_day_for_the_oms_however_many_come() -> None:
    world = desk()
    told = [some(world.order(f"C{n}", statement="S-NONE"), Alert) for n in range(5)]
    assert [[x.reason for x in alerts_] for alerts_ in told] == [["GW-101"], [], [], [], []]
    (record,) = kept(world).values()
    assert (record.subject, record.count, record.severity) == ("OMS1", 5, "warning")
    assert "C0" in record.text


def test_a2_a_change_of_a_statement_with_orders_is_told_though_it_is_refused() -> None:
    world = desk()
    world.submit()
    world.order()
    changed = draft(lines=(("CLIENT-A", "15000"), *EXAMPLE[1:3], ("PROP", "20000")))
    outputs = world.submit(changed, alloc_trans_type="1", ref_statement_id="S-1")
    assert [x.reason for x in some(outputs, Alert)] == ["GW-612"]


def test_a5_more_than_the_intent_and_several_prices_would_be_told() -> None:
    """The engine cannot do it; here its facts are doctored."""
    world = desk()
    world.submit()
    world.order()
    world.fill("50000", "100")
    state = world.engine.state
    assert state is not None
    division = one(world.outputs, StatementAllocated)
    assert kept(world) == {}
    lines = tuple(replace(x, quantity=Decimal(15_000)) if x.account == "PROP" else x for x in division.lines)
    assert [x.account for x in lines if x.quantity > x.intent] == ["PROP"]
    given = world.inputs[-1]
    told = alerts.follow(state, given, [replace(division, lines=lines)])
    assert [x.reason for x in told if isinstance(x, Alert)] == ["GW-936"]
    assert "PROP 15000 of 10000" in kept(world)[f"A-{given.seq}-1"].text
    excepted = tuple(replace(x, rule="exception:GWE1") for x in lines)
    assert alerts.follow(state, given, [replace(division, lines=excepted)])[1:] == []
    outside = TraceLine("FRIEND", Decimal(0), "1/1", Decimal(1), Decimal(0), Decimal(1), "floor")
    told = alerts.follow(state, given, [replace(division, statement_id="S-1", lines=(*division.lines, outside))])
    assert len(told) == 1  # the same alert is unacknowledged: counted
    sent = one(world.outputs, SendAllocation)
    shares = (replace(sent.allocation.shares[0], avg_px="99.0000"), *sent.allocation.shares[1:])
    told = alerts.follow(state, given, [replace(sent, allocation=replace(sent.allocation, shares=shares))])
    assert [x.reason for x in told if isinstance(x, Alert)] == ["GW-937"]


def test_a10_an_allocation_more_than_an_hour_after_the_last_fill_is_told() -> None:
    for minutes, reasons in ((60, []), (61, ["GW-938"])):
        world = desk()
        world.submit()
        world.order()
        world.fill("30000", "100")
        world.ts_ns += minutes * 60_000_000_000 - 1_000_000
        outputs = world.operate("close", "S-1")
        assert [x.reason for x in some(outputs, Alert)] == reasons


def test_a10_is_silent_where_the_policy_waits_for_the_day() -> None:
    world = desk(replace(DESK, policy=replace(DESK.policy, completion=Completion.DAY)))
    world.submit()
    world.order()
    world.fill("30000", "100")
    world.ts_ns += 8 * 3_600_000_000_000
    outputs = world.tick(local_time="19:00:00")
    assert len(some(outputs, SendAllocation)) == 1
    assert [x.reason for x in some(world.outputs, Alert) if x.reason == "GW-938"] == []
