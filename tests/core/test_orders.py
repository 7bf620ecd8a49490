"""Order state against the FIX specification's matrices, and reports that are odd."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from worlds import SETUP, World, draft, one, some

from fixgateway.core.inputs import ExecKind
from fixgateway.core.orders import Order
from fixgateway.core.outputs import (
    Alert,
    ExceptionOpened,
    ExecutionApplied,
    Flagged,
    ForwardToBroker,
    OrderChanged,
    PassToOms,
    SendAllocation,
    SendCancelReject,
    SendDontKnow,
    SendReport,
    StatementClosed,
)

BIG = (("CLIENT-A", "12000"),)


def world_with_order(quantity: str = "10000", lines: Any = BIG) -> World:
    world = World()
    world.submit(draft(lines=lines))
    world.order("C1", quantity)
    return world


def order(world: World) -> Order:
    assert world.engine.state is not None
    return next(iter(world.engine.state.orders.values()))


def test_matrix_j_1_a() -> None:
    """FIX matrix J.1.a: fills busted and corrected, ExecRefID naming the last ExecID of the trade."""
    world = world_with_order()
    steps: list[tuple[ExecKind, str, str, str, str, str, str]] = [
        # kind, ExecID, ExecRefID, LastQty, LastPx, CumQty, AvgPx as printed
        (ExecKind.FILL, "B", "", "1000", "100", "1000", "100.0000"),
        (ExecKind.FILL, "C", "", "9000", "110", "10000", "109.0000"),
        (ExecKind.BUST, "E", "B", "", "", "9000", "110.0000"),
        (ExecKind.CORRECT, "D", "C", "9000", "100", "9000", "100.0000"),
        (ExecKind.FILL, "G", "", "1000", "120", "10000", "102.0000"),
        (ExecKind.CORRECT, "F", "D", "9000", "120", "10000", "120.0000"),
    ]
    for kind, exec_id, ref, qty, px, cum, avg in steps:
        outputs = world.execution(
            kind,
            exec_id=exec_id,
            exec_ref_id=ref,
            last_qty=Decimal(qty) if qty else None,
            last_px=Decimal(px) if px else None,
            cum_qty=Decimal(cum),
        )
        changed = one(outputs, OrderChanged)
        assert (changed.cum_qty, changed.avg_px) == (Decimal(cum), avg), exec_id
    world.replace("C2", "C1", "12000")
    world.execution(ExecKind.REPLACED, "C2", exec_id="H", orig_cl_ord_id="C1", order_qty=Decimal(12000))
    assert (order(world).status, order(world).leaves(), order(world).cl_ord_id) == ("1", 2000, "C2")
    world.execution(
        ExecKind.CORRECT, "C2", exec_id="K", exec_ref_id="F", last_qty=Decimal(9500), last_px=Decimal(120)
    )
    assert (order(world).cum_qty, order(world).leaves(), order(world).average()) == (10500, 1500, 120)


def test_matrix_j_1_b_bust_and_fill_after_cancel() -> None:
    """FIX matrix J.1.b: bust after the cancel leaves 39=4 with CumQty 0; a new fill counts, still 39=4."""
    world = world_with_order()
    world.fill("5000", "50", exec_id="A")
    world.execution(ExecKind.CANCELLED, exec_id="B")
    busted = world.execution(ExecKind.BUST, exec_id="C", exec_ref_id="A")
    changed = one(busted, OrderChanged)
    assert (changed.status, changed.cum_qty) == ("4", 0)
    assert one(busted, SendAllocation).allocation.trans_type == "2"
    late = world.fill("4000", "51", exec_id="D")
    changed = one(late, OrderChanged)
    assert (changed.status, changed.cum_qty) == ("4", 4000)
    allocation = one(late, SendAllocation).allocation
    assert (allocation.trans_type, allocation.quantity) == ("0", 4000)


def test_matrix_c_1_c_filled_then_reopened_by_a_replace() -> None:
    world = world_with_order("10000", (("CLIENT-A", "12000"),))
    world.fill("10000", "10")
    assert order(world).status == "2"
    assert one(world.replace("C2", "C1", "10000"), SendCancelReject).reason == "GW-703"
    assert one(world.replace("C3", "C1", "12000"), ForwardToBroker)
    world.execution(ExecKind.REPLACED, "C3", orig_cl_ord_id="C1", order_qty=Decimal(12000))
    assert order(world).status == "1"
    assert one(world.fill("2000", "10", "C3"), StatementClosed).why == "complete"


def test_a_repeated_exec_id_changes_nothing_and_is_passed_on() -> None:
    world = world_with_order()
    world.fill("1000", "10", exec_id="A")
    again = world.fill("1000", "10", exec_id="A")
    assert one(again, ExecutionApplied).effect == "duplicate"
    assert one(again, PassToOms).oms == "OMS1"
    assert order(world).cum_qty == 1000
    other = world.fill("2000", "10", exec_id="A")
    assert one(other, ExceptionOpened).reason == "GW-804"
    assert order(world).cum_qty == 1000


def test_copies_and_status_reports_are_not_fills() -> None:
    world = world_with_order()
    world.execution(ExecKind.FILL, exec_id="A", last_qty=Decimal(5), last_px=Decimal(1), copy=True)
    world.execution(ExecKind.STATUS, exec_id="B", last_qty=Decimal(5), last_px=Decimal(1))
    assert order(world).cum_qty == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": ExecKind.FILL, "last_qty": None, "last_px": Decimal(1)}, "GW-811"),
        ({"kind": ExecKind.FILL, "last_qty": Decimal(0), "last_px": Decimal(1)}, "GW-811"),
        ({"kind": ExecKind.FILL, "last_qty": Decimal(5), "last_px": None}, "GW-811"),
        ({"kind": ExecKind.FILL, "last_qty": Decimal(10001), "last_px": Decimal(1)}, "GW-802"),
        ({"kind": ExecKind.BUST, "exec_ref_id": "nope"}, "GW-805"),
        (
            {"kind": ExecKind.CORRECT, "exec_ref_id": "nope", "last_qty": Decimal(1), "last_px": Decimal(1)},
            "GW-805",
        ),
        ({"kind": ExecKind.FILL, "last_qty": Decimal(5), "last_px": Decimal(1), "cum_qty": Decimal(6)}, "GW-803"),
        (
            {
                "kind": ExecKind.FILL,
                "last_qty": Decimal(5),
                "last_px": Decimal(1),
                "cum_qty": Decimal(5),
                "avg_px": Decimal("1.02"),
            },
            "GW-803",
        ),
    ],
)
def test_odd_reports_open_an_exception_and_are_passed_on(fields: dict[str, Any], reason: str) -> None:
    world = world_with_order()
    outputs = world.execution(**fields)
    assert one(outputs, ExceptionOpened).reason == reason
    assert one(outputs, Alert).reason == reason
    assert one(outputs, PassToOms).oms == "OMS1"


def test_a_rounded_average_agrees() -> None:
    world = world_with_order()
    world.fill("1", "1", cum_qty=Decimal(1), avg_px=Decimal(1))
    outputs = world.fill("2", "2", cum_qty=Decimal(3), avg_px=Decimal("1.66"))  # exactly 5/3, cut off
    assert not some(outputs, ExceptionOpened)


def test_a_difference_in_cum_qty_is_said_once() -> None:
    world = world_with_order()
    first = world.fill("5", "1", cum_qty=Decimal(6))
    second = world.fill("5", "1", cum_qty=Decimal(11))
    assert some(first, ExceptionOpened)
    assert not some(second, ExceptionOpened)


def test_unknown_order() -> None:
    world = World()
    outputs = world.fill("5", "1", "NOBODY", exec_id="A")
    assert one(outputs, ExecutionApplied).effect == "unknown-order"
    assert one(outputs, ExceptionOpened).reason == "GW-801"
    assert not some(outputs, PassToOms)  # two OMSs share BRK1 and the report names none
    named = world.fill("5", "1", "NOBODY", exec_id="B", deliver_to="OMS2")
    assert one(named, PassToOms).oms == "OMS2"
    again = world.fill("5", "1", "NOBODY", exec_id="A")
    assert one(again, ExecutionApplied).effect == "duplicate"
    assert not some(again, ExceptionOpened)


def test_dont_know_when_configured() -> None:
    from dataclasses import replace

    brokers = tuple(replace(b, dont_know=True) for b in SETUP.brokers)
    world = World(replace(SETUP, brokers=brokers))
    assert one(world.fill("5", "1", "NOBODY"), SendDontKnow).session == "BRK1"


def test_found_by_order_id_when_the_cl_ord_id_is_unknown() -> None:
    world = world_with_order()
    world.execution(ExecKind.NEW, order_id="B1")
    assert one(world.fill("5", "1", "???", order_id="B1"), ExecutionApplied).effect == "fill"


def test_a_late_bust_finds_its_order_although_another_oms_used_the_cl_ord_id_again() -> None:
    world = world_with_order()
    world.fill("1000", "10", exec_id="A", order_id="B1")
    world.execution(ExecKind.CANCELLED, order_id="B1")
    world.submit(draft("S-2", lines=BIG), session="OMS2")
    world.order("C1", "100", "S-2", session="OMS2")
    busted = world.execution(ExecKind.BUST, exec_id="B", exec_ref_id="A", order_id="B1")
    assert one(busted, ExecutionApplied).statement_id == "S-1"


def test_one_order_id_for_all_does_not_mix_orders() -> None:
    world = world_with_order("100")
    world.execution(ExecKind.NEW, order_id="1")
    world.order("C2", "200")
    world.execution(ExecKind.NEW, "C2", order_id="1")
    assert one(world.fill("100", "10", "C1", order_id="1"), OrderChanged).cl_ord_id == "C1"


def test_none_is_not_an_order_id() -> None:
    world = world_with_order()
    world.execution(ExecKind.REJECTED, order_id="NONE")
    assert one(world.fill("5", "1", "???", order_id="NONE"), ExecutionApplied).effect == "unknown-order"


def test_a_report_the_engine_refused_counts_like_any_other() -> None:
    world = world_with_order()
    outputs = world.fill("1000", "10", refused="Value is incorrect (54)", defects=("side 'x'",))
    assert {f.reason for f in some(outputs, Flagged)} == {"GW-811", "GW-812"}
    assert order(world).cum_qty == 1000


@pytest.mark.parametrize("msg_type", ["3", "j"])
def test_the_broker_refuses_our_d(msg_type: str) -> None:
    world = world_with_order()
    decision = world.seq
    outputs = world.refused_by_broker(decision, msg_type)
    report = one(outputs, SendReport)
    assert (report.exec_type, report.ord_status, report.cl_ord_id, report.reason) == ("8", "8", "C1", "GW-810")
    assert order(world).status == "8"
    assert one(world.order("C2", "12000"), object)  # the quantity is free again


def test_the_broker_refuses_our_g_f_and_j() -> None:
    world = world_with_order()
    world.replace("C2", "C1", "12000")
    reject = one(world.refused_by_broker(world.seq, "j", "G"), SendCancelReject)
    assert (reject.cl_ord_id, reject.response_to, reject.reason) == ("C2", "2", "GW-810")
    assert not order(world).pending
    world.cancel("C3", "C1")
    assert one(world.refused_by_broker(world.seq, "j", "F"), SendCancelReject).response_to == "1"
    world.fill("10000", "1")
    closed = world.operate("close", "S-1")
    assert one(closed, SendAllocation)
    assert one(world.refused_by_broker(world.seq, "3", "J"), ExceptionOpened).reason == "GW-810"
    assert one(world.refused_by_broker(999, "3", "J"), Flagged).reason == "GW-810"


def test_an_order_that_did_not_leave_is_refused_and_its_quantity_free() -> None:
    world = world_with_order("12000")
    report = one(world.not_sent(world.seq), SendReport)
    assert (report.reason, report.ord_status, report.ord_rej_reason) == ("GW-405", "8", "2")
    world.submit(draft("S-2", lines=BIG))
    assert one(world.order("C2", "12000"), object)


def test_a_late_ack_does_not_reopen() -> None:
    world = world_with_order()
    assert some(world.execution(ExecKind.CANCELLED), StatementClosed)
    world.execution(ExecKind.NEW)
    assert order(world).status == "4"


@pytest.mark.parametrize("end", [ExecKind.CANCELLED, ExecKind.EXPIRED, ExecKind.REJECTED])
def test_a_late_replaced_does_not_reopen(end: ExecKind) -> None:
    """A broker that says everything again after a reset of its numbers may say the replace after the end."""
    world = world_with_order()
    world.replace("C2", "C1", "12000")
    world.execution(end, "C1", exec_id="B")
    ended = order(world).status
    world.execution(ExecKind.REPLACED, "C2", exec_id="A", orig_cl_ord_id="C1", order_qty=Decimal(12000))
    assert (order(world).status, order(world).open, order(world).commitment()) == (ended, False, 0)
    assert order(world).cl_ord_id == "C2"
