"""The life of a J after it was sent: acknowledgements (P), refusals, timeouts, reports (AS)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from booked import SHARES, WATCHED, busted, opened, report, sent
from worlds import World, draft, one, some

from fixgateway.core import standing
from fixgateway.core.inputs import AccountAnswer, AllocationAck, ExecKind, ReportedLine
from fixgateway.core.model import BrokerSetup
from fixgateway.core.outputs import (
    AllocationAcked,
    ExceptionOpened,
    Output,
    ReportJudged,
    SendAllocation,
    SendAllocationReport,
    SendBusinessReject,
    SendReportAck,
)

# ---------------------------------------------------------------- P


@pytest.mark.parametrize("order", [("accepted",), ("received", "accepted"), ("accepted", "received"),
                                   ("received", "received", "accepted", "accepted")])  # fmt: skip
def test_received_may_come_before_after_or_never(order: tuple[str, ...]) -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    told = [output for status in order for output in world.ack(alloc_id, status)]
    assert world.engine.state is not None
    assert world.engine.state.allocations[alloc_id].status == "accepted"
    assert len(some(told, SendAllocationReport)) == 1
    assert opened(told) == []
    assert alloc_id not in world.engine.state.waiting


@pytest.mark.parametrize(("said", "status"), [("pending", "received"), ("reversed", "rejected")])
def test_words_of_sp2(said: str, status: str) -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    assert one(world.ack(alloc_id, said), AllocationAcked).status == status


def test_account_level_reject_keeps_the_accounts_codes() -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    answers = (AccountAnswer("CLIENT-B", "0", "unknown account"),)
    outputs = world.give(
        AllocationAck, session="BRK1", msg_seq_num=1, alloc_id=alloc_id, status="account-rejected", reject_code="",
        text="see accounts", accounts=answers,
    )  # fmt: skip
    assert one(outputs, AllocationAcked).accounts == answers
    assert opened(outputs) == ["GW-806"]
    assert "CLIENT-B 776=0 unknown account" in one(outputs, ExceptionOpened).text


def test_no_final_answer_after_received() -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    world.ack(alloc_id, "received")
    assert opened(world.tick(seconds=59)) == []
    assert opened(world.tick(seconds=2)) == ["GW-870"]
    assert opened(world.tick(seconds=600)) == []  # once
    world.ack(alloc_id)
    assert not world.engine.state or not world.engine.state.waiting


def test_received_stops_the_first_timeout() -> None:
    world = World(replace(WATCHED, brokers=(BrokerSetup("BRK1", ack_timeout_seconds=10), BrokerSetup("BRK2"))))
    alloc_id = sent(world)
    world.ack(alloc_id, "received")
    assert opened(world.tick(seconds=3600)) == []  # no final timeout set: for ever


def test_a_refused_replace_leaves_the_earlier_version_standing() -> None:
    world = World(WATCHED)
    first = sent(world)
    world.ack(first)
    second = busted(world)
    assert (second.trans_type, second.ref_alloc_id) == ("1", first)
    outputs = world.ack(second.alloc_id, "rejected")
    assert opened(outputs) == ["GW-871"]
    assert one(outputs, AllocationAcked).status == "refused"
    assert opened(world.ack(second.alloc_id, "rejected")) == []  # the same answer again
    state = world.engine.state
    assert state is not None
    record = state.statements["S-1"]
    assert record.sent["BRK1"].alloc_id == first
    assert [x.allocation.alloc_id for x in standing.in_force(state, record.statement.trade_date)] == [first]


def test_a_change_after_a_refused_one_refers_to_what_the_broker_has() -> None:
    world = World(WATCHED)
    first = sent(world)
    world.ack(first)
    world.ack(busted(world).alloc_id, "rejected")
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="F3", exec_ref_id="F2-20000", last_qty=Decimal(25000), last_px=Decimal(100)
    )
    third = one(outputs, SendAllocation).allocation
    assert (third.trans_type, third.ref_alloc_id) == ("1", first)
    world.ack(third.alloc_id)
    state = world.engine.state
    assert state is not None
    assert state.allocations[first].status == "replaced"
    assert opened(world.ack(first)) == []  # a late repeat of the first answer


def test_a_replace_refused_when_the_first_was_refused_too_is_void() -> None:
    world = World(WATCHED)
    first = sent(world)
    second = busted(world)  # before the broker answered the first
    world.ack(first, "rejected")
    assert one(world.ack(second.alloc_id, "rejected"), AllocationAcked).status == "rejected"
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="F3", exec_ref_id="F2-20000", last_qty=Decimal(25000), last_px=Decimal(100)
    )
    assert one(outputs, SendAllocation).allocation.trans_type == "0"


def test_a_refused_cancel_leaves_the_allocation() -> None:
    world = World(WATCHED)
    first = sent(world)
    world.ack(first)
    outputs = world.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="F1")
    cancel = one(outputs, SendAllocation).allocation
    assert cancel.trans_type == "2"
    assert opened(world.ack(cancel.alloc_id, "rejected")) == ["GW-871"]
    state = world.engine.state
    assert state is not None
    assert state.statements["S-1"].sent["BRK1"].alloc_id == first


@pytest.mark.parametrize(("then", "now"), [("accepted", "rejected"), ("rejected", "accepted"),
                                           ("accepted", "account-rejected")])  # fmt: skip
def test_another_final_answer_is_an_exception(then: str, now: str) -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    world.ack(alloc_id, then)
    assert opened(world.ack(alloc_id, now)) == ["GW-872"]


def test_older_journals_keep_the_rules_they_had() -> None:
    world = World()
    alloc_id = sent(world)
    world.ack(alloc_id)
    second = busted(world)
    outputs = world.ack(second.alloc_id, "rejected")
    assert one(outputs, AllocationAcked).status == "rejected"
    assert opened(outputs) == ["GW-806"]
    assert one(report(world, alloc_id), SendBusinessReject).ref_msg_type == "AS"


# ---------------------------------------------------------------- AS


def answers(outputs: tuple[Output, ...]) -> list[tuple[str, str]]:
    return [(x.alloc_status, x.alloc_rej_code) for x in some(outputs, SendReportAck)]


def test_a_right_report_is_accepted() -> None:
    world = World(WATCHED)
    outputs = report(world, sent(world))
    assert answers(outputs) == [("3", ""), ("0", "")]
    assert one(outputs, ReportJudged).verdict == "matched"
    assert opened(outputs) == []


def lines(**changed: str | None) -> tuple[ReportedLine, ...]:
    """The shares with some changed; None leaves an account out."""
    merged = {**SHARES, **{name.replace("_", "-"): value for name, value in changed.items()}}
    return tuple(ReportedLine(account, Decimal(value)) for account, value in merged.items() if value is not None)


@pytest.mark.parametrize(("change", "code", "words"), [
    ({"quantity": Decimal(30001)}, "1", "block quantity is 30001, ours 30000"),
    ({"quantity": None}, "1", "block quantity is missing"),
    ({"avg_px": Decimal("100.0002")}, "2", "block price is 100.0002, ours 100"),
    ({"gross": Decimal("3000000.02")}, "9", "block gross is 3000000.02, ours 3000000"),
    ({"symbol": "ABC"}, "11", "Symbol is ABC, ours XYZ"),
    ({"side": "sell"}, "11", "Side is sell, ours buy"),
    ({"trade_date": "2026-11-24"}, "11", "TradeDate is 2026-11-24"),
    ({"lines": lines(CLIENT_A="14999", PROP="6001")}, "8", "CLIENT-A quantity is 14999, ours 15000; PROP"),
    ({"lines": lines(CLIENT_C=None)}, "0", "account CLIENT-C is missing"),
    ({"lines": lines(OTHER="1")}, "0", "account OTHER is named and is not in the allocation"),
    ({"defects": ("78=4 but 3 entries follow",)}, "11", "78=4 but 3 entries follow"),
    ({"report_type": "5"}, "7", "AllocReportType(794) 5 is not used here"),
    ({"status": "rejected"}, "7", "is rejected at the broker"),
])  # fmt: skip
def test_a_report_that_differs_is_rejected(change: dict[str, Any], code: str, words: str) -> None:
    world = World(WATCHED)
    outputs = report(world, sent(world), **change)
    assert answers(outputs) == [("3", ""), ("1", code)]
    assert opened(outputs) == ["GW-873"]
    assert words in one(outputs, ExceptionOpened).text


@pytest.mark.parametrize("change", [{"avg_px": Decimal("100.0001")}, {"gross": Decimal("2999999.99")},
                                    {"avg_px": None, "gross": None}])  # fmt: skip
def test_tolerances_of_the_profile(change: dict[str, Any]) -> None:
    world = World(WATCHED)
    assert answers(report(world, sent(world), **change))[-1] == ("0", "")


def test_an_unasked_report_is_compared_by_its_orders() -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    right = report(world, "BROKERS-OWN", cl_ord_ids=("C1",), report_type="4")
    assert answers(right)[-1] == ("0", "")
    assert one(right, ReportJudged).alloc_id == alloc_id
    unknown = report(world, "BROKERS-OWN", cl_ord_ids=("C9",), report_id="R2")
    assert answers(unknown)[-1] == ("1", "12")
    assert opened(unknown) == ["GW-874"]


def test_a_report_before_the_statement_is_allocated_is_rejected() -> None:
    world = World(WATCHED)
    world.submit()
    world.order()
    world.fill("30000", "100")
    outputs = report(world, "X", cl_ord_ids=("C1",))
    assert opened(outputs) == ["GW-874"]
    assert "statement S-1 of order C1 is not allocated at BRK1 yet" in one(outputs, ExceptionOpened).text


def test_another_brokers_allocation_is_not_its_own() -> None:
    world = World(WATCHED)
    outputs = report(world, sent(world), session="BRK2")
    assert opened(outputs) == ["GW-874"]


def test_a_repeated_report_gets_the_same_answer_and_changes_nothing() -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    report(world, alloc_id, quantity=Decimal(1))
    again = report(world, alloc_id, quantity=Decimal(1))
    assert answers(again) == [("1", "7")]
    assert one(again, ReportJudged).verdict == "duplicate"
    assert opened(again) == []
    other = report(world, alloc_id)  # right, but under an id that was used
    assert answers(other)[-1] == ("1", "7")
    assert opened(other) == ["GW-873"]


def test_a_withdrawn_report_is_acknowledged_and_told() -> None:
    world = World(WATCHED)
    outputs = report(world, sent(world), trans_type="2")
    assert answers(outputs)[-1] == ("0", "")
    assert opened(outputs) == ["GW-873"]


def test_a_report_without_an_id_cannot_be_answered() -> None:
    world = World(WATCHED)
    outputs = report(world, sent(world), report_id="")
    assert (one(outputs, SendBusinessReject).business_reason, len(outputs)) == ("5", 1)


def test_a_report_after_a_replace_is_compared_with_the_newest_version() -> None:
    world = World(WATCHED)
    first = sent(world)
    world.ack(first)
    busted(world)
    assert opened(report(world, first)) == ["GW-873"]  # the old figures under the old id


def test_statements_are_told_apart() -> None:
    world = World(WATCHED)
    alloc_id = sent(world)
    world.submit(draft("S-2"))
    world.order("C2", statement="S-2")
    world.fill("1", "100", "C2", exec_id="F9")
    assert answers(report(world, alloc_id, cl_ord_ids=("C2",)))[-1] == ("0", "")  # the AllocID goes first
