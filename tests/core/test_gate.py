"""Every reason the gate gives, each on its own, and what must pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from worlds import ACCOUNTS, POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import Configure, ExecKind, JournalState, Operator
from fixgateway.core.outputs import (
    Alert,
    CutSession,
    ForwardToBroker,
    OrdersSwitched,
    ResendForbidden,
    SendBusinessReject,
    SendCancelReject,
    SendReport,
)

ORDERS: list[tuple[str, str, dict[str, Any]]] = [
    ("GW-101", "99", {"statement": "S-9"}),
    ("GW-101", "99", {"statement": ""}),
    ("GW-101", "99", {"keys": ()}),
    ("GW-105", "99", {"session": "OMS2"}),
    ("GW-201", "99", {"symbol": "ABC"}),
    ("GW-202", "99", {"side": "sell"}),
    ("GW-203", "13", {"qty": "50001"}),
    ("GW-204", "14", {"alloc_lines": (("CLIENT-A", "50000"),)}),
    ("GW-204", "14", {"alloc_lines": (("CLIENT-A", "25000"), ("CLIENT-A", "25000"))}),
    ("GW-205", "99", {"cash_order_qty": "1000"}),
    ("GW-302", "13", {"qty": "0"}),
    ("GW-302", "13", {"qty": "-1"}),
    ("GW-302", "13", {"qty": "1e5"}),
    ("GW-302", "13", {"qty": "NaN"}),
    ("GW-302", "13", {"qty": "1" * 30}),
    ("GW-302", "13", {"qty": "1,000"}),
    ("GW-302", "13", {"qty": " 1"}),
    ("GW-303", "99", {"qty": ""}),
    ("GW-303", "99", {"side": ""}),
    ("GW-303", "99", {"symbol": ""}),
    ("GW-306", "99", {"defect": "GW-306 tag 55 is repeated"}),
    ("GW-312", "99", {"side": "8"}),
    ("GW-401", "99", {"deliver_to": "BRK9"}),
    ("GW-310", "8", {"poss_dup": True, "sent_ns": 1}),
]


@pytest.mark.parametrize(("code", "ord_rej", "fields"), ORDERS)
def test_refused(code: str, ord_rej: str, fields: dict[str, Any]) -> None:
    world = World()
    world.ts_ns += 60 * 10**9
    world.submit()
    outputs = world.order(**fields)
    report = one(outputs, SendReport)
    assert report.reason == code, report.text
    assert report.text.startswith(code + " ")
    assert (report.exec_type, report.ord_status, report.ord_rej_reason) == ("8", "8", ord_rej)
    assert report.cum_qty == report.leaves_qty == 0
    assert not some(outputs, ForwardToBroker)


def test_a_missing_cl_ord_id_cannot_be_echoed() -> None:
    reject = one(World().order(cl_ord_id=""), SendBusinessReject)
    assert (reject.business_reason, reject.reason, reject.ref_msg_type) == ("5", "GW-303", "D")


def test_ambiguous() -> None:
    world = World()
    world.submit(draft("S-1", cl_ord_ids=("C1",)))
    world.submit(draft("S-2", cl_ord_ids=("C1",)))
    assert one(world.order("C1", statement=""), SendReport).reason == "GW-102"


def test_by_cl_ord_id_equal_to_the_statement_or_named_by_it() -> None:
    world = World()
    world.submit(draft("S-1", cl_ord_ids=("X",)))
    world.submit(draft("S-2"))
    assert one(world.order("X", statement=""), ForwardToBroker).statement_id == "S-1"
    assert one(world.order("S-2", statement=""), ForwardToBroker).statement_id == "S-2"


@pytest.mark.parametrize(("action", "code"), [("cancel", "GW-104"), ("close", "GW-103")])
def test_ended_statement(action: str, code: str) -> None:
    world = World()
    world.submit()
    world.operate(action, "S-1")
    assert one(world.order(), SendReport).reason == code


def test_another_day() -> None:
    world = World()
    world.submit(draft(trade_date=(TODAY + timedelta(days=1)).isoformat()))
    assert one(world.order(), SendReport).reason == "GW-106"
    world.tick(TODAY + timedelta(days=1))
    assert one(world.order("C2"), ForwardToBroker)


def test_policy_not_in_force() -> None:
    world = World()
    world.submit()
    later = replace(POLICY, effective_from=TODAY + timedelta(days=1))
    world.give(Configure, setup=replace(SETUP, policy=later))
    assert one(world.order(), SendReport).reason == "GW-107"


def test_broker_the_statement_does_not_permit() -> None:
    world = World()
    world.submit(draft(brokers=("BRK2",)))
    assert one(world.order(), SendReport).reason == "GW-108"
    assert one(world.order("C2", deliver_to="BRK2"), ForwardToBroker).broker == "BRK2"


def test_account_closed_after_registration() -> None:
    world = World()
    world.submit()
    closed = tuple(replace(a, status="closed") if a.account == "CLIENT-B" else a for a in ACCOUNTS)
    world.give(Configure, setup=replace(SETUP, accounts=closed))
    report = one(world.order(), SendReport)
    assert (report.reason, report.ord_rej_reason) == ("GW-109", "15")
    assert "CLIENT-B" in report.text


def test_budget_over_several_orders_and_what_releases_it() -> None:
    world = World()
    world.submit()
    assert one(world.order("C1", "30000"), ForwardToBroker)
    assert one(world.order("C2", "20001"), SendReport).reason == "GW-203"
    assert one(world.order("C3", "20000", deliver_to="BRK2"), ForwardToBroker)
    assert one(world.order("C4", "1"), SendReport).reason == "GW-203"
    world.execution(ExecKind.REJECTED, "C3", session="BRK2")  # releases 20,000, completes nothing
    assert one(world.order("C5", "20000"), ForwardToBroker)


def test_done_for_day_releases_nothing() -> None:
    world = World()
    world.submit()
    world.order("C1", "30000")
    world.order("C2", "10000")
    world.execution(ExecKind.DONE_FOR_DAY, "C1")
    assert one(world.order("C3", "10001"), SendReport).reason == "GW-203"


def test_carried_group_scaled_for_a_slice() -> None:
    world = World()
    world.submit()
    whole = (("CLIENT-A", "25000"), ("CLIENT-B", "10000"), ("CLIENT-C", "5000"), ("PROP", "10000"))
    assert one(world.order("C1", "7", alloc_lines=(
        ("CLIENT-A", "4"), ("CLIENT-B", "1"), ("CLIENT-C", "1"), ("PROP", "1"))), ForwardToBroker)  # fmt: skip
    skewed = (("CLIENT-A", "2"), ("CLIENT-B", "1"), ("CLIENT-C", "1"), ("PROP", "3"))
    assert one(world.order("C2", "7", alloc_lines=skewed), SendReport).reason == "GW-204"
    other = World()
    other.submit()
    assert one(other.order("C1", alloc_lines=whole), ForwardToBroker)


def test_duplicate_cl_ord_id_names_the_first_order_s_state() -> None:
    world = World()
    world.submit()
    world.order("C1", "10000")
    world.execution(ExecKind.NEW, order_id="B7")
    world.fill("4000", "10", order_id="B7")
    report = one(world.order("C1", "10000"), SendReport)
    assert (report.exec_type, report.ord_status, report.ord_rej_reason) == ("8", "1", "6")
    assert (report.order_id, report.cum_qty, report.leaves_qty) == ("B7", 4000, 6000)
    status = one(world.order("C1", "10000", poss_resend=True), SendReport)
    assert (status.exec_type, status.ord_status, status.text) == ("I", "1", "")


def test_duplicate_of_a_refused_order() -> None:
    world = World()
    world.order("C1", statement="S-9")
    world.submit()
    report = one(world.order("C1"), SendReport)
    assert (report.ord_status, report.ord_rej_reason) == ("8", "6")


def test_cl_ord_id_may_return_on_another_trade_date() -> None:
    world = World()
    world.order("C1", statement="S-9")
    tomorrow = TODAY + timedelta(days=1)
    world.tick(tomorrow)
    world.submit(draft(trade_date=tomorrow.isoformat()))
    assert one(world.order("C1"), ForwardToBroker)


def test_cl_ord_id_live_on_the_broker_from_another_oms() -> None:
    world = World()
    world.submit()
    world.order("C1")
    world.submit(draft("S-2"), session="OMS2")
    assert one(world.order("C1", statement="S-2", session="OMS2"), SendReport).reason == "GW-311"


def test_broker_down() -> None:
    world = World()
    world.submit()
    world.down()
    report = one(world.order(), SendReport)
    assert (report.reason, report.ord_rej_reason) == ("GW-402", "2")


@pytest.mark.parametrize("target", ["all", "OMS1", "BRK1"])
def test_halt_stops_orders_and_raises_but_no_cancel(target: str) -> None:
    world = World()
    world.submit()
    world.order("C1", "100")
    assert one(world.operate("halt", target), OrdersSwitched).halted
    assert one(world.order("C2", "100"), SendReport).reason == "GW-501"
    assert one(world.replace("C3", "C1", "200"), SendCancelReject).reason == "GW-501"
    assert one(world.replace("C4", "C1", "50"), ForwardToBroker).quantity == 50
    assert one(world.cancel("C5", "C1"), ForwardToBroker).msg_type == "F"
    world.operate("resume", target)
    assert one(world.order("C6", "100"), ForwardToBroker)


def test_degraded_journal_and_stop_fail_closed_for_orders_only() -> None:
    world = World()
    world.submit()
    world.order("C1", "100")
    assert one(world.give(JournalState, degraded=True, why="disk full"), Alert).reason == "GW-502"
    assert one(world.order("C2", "100"), SendReport).reason == "GW-502"
    assert one(world.cancel("C3", "C1"), ForwardToBroker)
    assert some(world.fill("100", "10"), object)
    world.give(JournalState, degraded=False, why="")
    assert one(world.order("C4", "100"), ForwardToBroker)
    world.operate("stop")
    assert one(world.order("C5", "100"), SendReport).reason == "GW-503"


def test_unacknowledged_cap_and_age() -> None:
    brokers = tuple(replace(b, max_unacked_orders=2, max_unacked_seconds=30) for b in SETUP.brokers)
    world = World(replace(SETUP, brokers=brokers))
    world.submit()
    world.order("C1", "10")
    world.order("C2", "10")
    assert one(world.order("C3", "10"), SendReport).reason == "GW-403"
    world.execution(ExecKind.NEW, "C1")
    assert one(world.order("C4", "10"), ForwardToBroker)
    outputs = world.tick(local_time="10:01:00", seconds=60)
    assert one(outputs, CutSession).session == "BRK1"
    assert len(some(outputs, ResendForbidden)) == 2
    assert {a.reason for a in some(outputs, Alert)} == {"GW-403", "GW-809"}
    # In doubt: the quantity stays committed until an execution report settles it.
    assert one(world.order("C5", "49971"), SendReport).reason == "GW-203"
    world.execution(ExecKind.REJECTED, "C2")
    assert one(world.order("C6", "49971"), ForwardToBroker)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"side": "sell"}, "GW-702"),
        ({"symbol": "ABC"}, "GW-702"),
        ({"account": "OTHER"}, "GW-702"),
        ({"qty": "50001"}, "GW-203"),
        ({"qty": "0"}, "GW-302"),
        ({"cash_order_qty": "1"}, "GW-205"),
        ({"defect": "GW-304 tag 43 stands in the body"}, "GW-304"),
        ({"alloc_lines": (("CLIENT-A", "10000"),)}, "GW-204"),
        ({"orig": "C9"}, "GW-701"),
        ({"cl_ord_id": "C1"}, "GW-301"),
    ],
)
def test_refused_replace(fields: dict[str, Any], code: str) -> None:
    world = World()
    world.submit()
    world.order("C1", "10000")
    reject = one(world.replace(**{"cl_ord_id": "C2", "orig": "C1", "qty": "10000", **fields}), SendCancelReject)
    assert (reject.reason, reject.response_to) == (code, "2")
    if code == "GW-701":
        assert (reject.order_id, reject.ord_status, reject.cxl_rej_reason) == ("NONE", "8", "1")


def test_a_raise_commits_from_forwarding_and_falls_back_on_a_reject() -> None:
    world = World()
    world.submit()
    world.order("C1", "10000")
    assert one(world.replace("C2", "C1", "40000"), ForwardToBroker).quantity == 40000
    assert one(world.order("C3", "10001"), SendReport).reason == "GW-203"
    world.cancel_reject("C2", "C1")
    assert one(world.order("C4", "40000"), ForwardToBroker)


def test_a_lower_replace_releases_only_when_the_broker_says_so() -> None:
    world = World()
    world.submit()
    world.order("C1", "50000")
    world.replace("C2", "C1", "20000")
    assert one(world.order("C3", "30000"), SendReport).reason == "GW-203"
    world.execution(ExecKind.REPLACED, "C2", orig_cl_ord_id="C1", order_qty=Decimal(20000))
    assert one(world.order("C4", "30000"), ForwardToBroker)


def test_a_replace_that_reopens_a_filled_order_is_committed_too() -> None:
    world = World()
    world.submit()
    world.order("C1", "10000")
    world.fill("10000", "10")
    assert one(world.replace("C2", "C1", "40000"), ForwardToBroker).quantity == 40000
    assert one(world.order("C3", "10001"), SendReport).reason == "GW-203"
    assert one(world.order("C4", "10000"), ForwardToBroker)


def test_cancel_of_an_unknown_order() -> None:
    reject = one(World().cancel("C2", "C1"), SendCancelReject)
    assert (reject.order_id, reject.ord_status, reject.response_to, reject.cxl_rej_reason) == (
        "NONE",
        "8",
        "1",
        "1",
    )


def test_default_deny() -> None:
    for msg_type in ("E", "AB", "s", "R", "XX"):
        reject = one(World().unsupported(msg_type), SendBusinessReject)
        assert (reject.business_reason, reject.ref_msg_type, reject.ref_seq_num) == ("3", msg_type, 7)


def test_status_of_an_unknown_order() -> None:
    report = one(World().status("C9"), SendReport)
    assert (report.exec_type, report.ord_status, report.ord_rej_reason) == ("I", "8", "5")


def test_the_cut_off_closes_and_later_statements_are_refused() -> None:
    world = World()
    world.submit()
    world.order("C1", "100")
    world.fill("60", "10")
    assert world.engine.due(world.ts_ns, TODAY, "19:00:00")
    world.tick(local_time="19:00:00")
    assert one(world.order("C2", "100"), SendReport).reason == "GW-103"
    assert world.engine.state is not None
    assert not world.engine.due(world.ts_ns, TODAY, "19:00:01")
    assert date.min < world.engine.state.trade_date


def test_after_a_crash_unanswered_orders_are_in_doubt_and_answered_ones_are_not() -> None:
    world = World()
    world.submit()
    world.order("C1", "10")
    world.order("C2", "10")
    world.execution(ExecKind.NEW, "C1")
    outputs = world.give(Operator, actor="gateway", action="start", target="all", reason="crash")
    assert [a.subject for a in some(outputs, Alert)] == ["C2"]
    assert len(some(outputs, ResendForbidden)) == 1
    assert one(world.order("C3", "1"), SendReport).reason == "GW-402"  # every session is down until it says so
    world.up()
    assert one(world.order("C4", "49981"), SendReport).reason == "GW-203"
    world.execution(ExecKind.CANCELLED, "C2")
    assert one(world.order("C5", "49990"), ForwardToBroker)


def test_after_a_stop_nothing_is_in_doubt() -> None:
    world = World()
    world.submit()
    world.order("C1", "10")
    assert not world.give(Operator, actor="gateway", action="start", target="all", reason="")


def test_a_broker_that_does_not_know_an_order_in_doubt_settles_nothing() -> None:
    world = World()
    world.submit()
    world.order("C1", "50000")
    world.give(Operator, actor="gateway", action="start", target="all", reason="crash")
    state = world.engine.state
    assert state is not None
    (order,) = state.orders.values()
    assert order.in_doubt
    world.execution(ExecKind.STATUS, "C1", ord_status="8", order_id="NONE")
    assert (order.in_doubt, order.answered, order.order_id, order.commitment()) == (True, False, "", 50000)
    world.execution(ExecKind.STATUS, "C1", ord_status="0", order_id="B1")
    assert (order.in_doubt, order.answered, order.order_id) == (False, True, "B1")
