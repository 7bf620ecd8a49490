"""Turns: the queue, who moves and who does not, release rotation, grinding."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import ExecKind, PassTurn, SetHolding
from fixgateway.core.model import BrokerSetup, Holding, Method, Overfill, Remainder, Ties
from fixgateway.core.outputs import (
    Alert,
    ForwardToBroker,
    RotationTurn,
    SendAllocation,
    SendReport,
    StatementAllocated,
    StatementRefused,
    StatementRegistered,
)
from fixgateway.core.state import State
from fixgateway.journal.state import Builder, lines_of

ROTATION = replace(POLICY, method=Method.ROTATION, ties=Ties.ROTATION)
RELEASE = replace(POLICY, method=Method.RELEASE_ROTATION, ties=Ties.ROTATION)
THREE = (("CLIENT-A", "500"), ("CLIENT-B", "300"), ("CLIENT-C", "200"))


def world(policy: Any = ROTATION, **more: Any) -> World:
    return World(replace(SETUP, policy=policy, **more))


def order_of(outputs: Any) -> list[str]:
    """The accounts of a registered statement in the order of their turns."""
    statement = one(outputs, StatementRegistered).statement
    return [line.account for line in sorted(statement.lines, key=lambda line: line.turn)]


def trade(w: World, name: str, filled: str, lines: Any = THREE) -> tuple[Any, ...]:
    """Register, order, fill and end a statement; returns the last outputs."""
    w.submit(draft(name, lines))
    total = str(sum(int(q) for _, q in lines))
    w.order(f"C-{name}", total, name)
    if filled != "0":
        w.fill(filled, "10", f"C-{name}")
    if filled == total:
        return tuple(w.outputs[-20:])
    return w.execution(ExecKind.CANCELLED, f"C-{name}", ord_status="4")


def state_of(w: World) -> State:
    assert w.engine.state is not None
    return w.engine.state


def queue(w: World) -> list[str]:
    return state_of(w).rotations["P"]


def test_the_filled_move_to_the_back_and_the_others_keep_their_place() -> None:
    w = world()
    outputs = trade(w, "S-1", "600")
    assert one(outputs, StatementAllocated).lines[1].quantity == 100
    assert queue(w) == ["CLIENT-C", "CLIENT-A", "CLIENT-B"]
    turns = some(outputs, RotationTurn)
    assert [(t.account, t.turn, t.outcome, t.position, t.quantity) for t in turns] == [
        ("CLIENT-A", 1, "served", 2, 500), ("CLIENT-B", 2, "served", 3, 100),
    ]  # fmt: skip
    assert order_of(w.submit(draft("S-2", (*THREE, ("X2", "1"), ("X1", "1"))))) == [
        "CLIENT-C", "CLIENT-A", "CLIENT-B", "X1", "X2",
    ]  # fmt: skip
    assert queue(w)[-2:] == ["X1", "X2"]


def test_an_unfilled_order_moves_nobody_and_is_counted() -> None:
    w = world()
    for n in range(1, 4):
        outputs = trade(w, f"S-{n}", "0")
        turn = one(outputs, RotationTurn)
        assert (turn.account, turn.outcome, turn.position) == ("CLIENT-A", "unfilled", 1)
    assert queue(w) == ["CLIENT-A", "CLIENT-B", "CLIENT-C"]
    assert "3 turns of CLIENT-A" in next(a.text for a in some(outputs, Alert) if a.reason == "GW-830")
    w.tick(TODAY + timedelta(days=1))
    w.submit(draft("S-9", THREE, trade_date=(TODAY + timedelta(days=1)).isoformat()))
    outputs = w.operate("cancel", "S-9")
    assert one(outputs, RotationTurn).outcome == "unfilled"
    assert not [a for a in some(outputs, Alert) if a.reason == "GW-830"]  # counts are of one day


def test_ten_statements_at_once_do_not_all_begin_with_the_same_account() -> None:
    w = world()
    first = [order_of(w.submit(draft(f"S-{n}", THREE)))[0] for n in range(10)]
    assert first == ["CLIENT-A", "CLIENT-B", "CLIENT-C"] * 3 + ["CLIENT-A"]
    # A statement replaced does not count against its own successor.
    again = w.submit(draft("S-9", (*THREE[:2], ("CLIENT-C", "201"))), alloc_trans_type="1", ref_statement_id="S-9")
    assert order_of(again)[0] == "CLIENT-A"


def test_a_bust_after_the_allocation_changes_no_turn() -> None:
    w = world()
    trade(w, "S-1", "600")
    before = list(queue(w))
    (order,) = state_of(w).orders.values()
    w.execution(ExecKind.BUST, "C-S-1", exec_ref_id=next(iter(order.fills)))
    assert queue(w) == before


def test_remainders_go_round() -> None:
    """Three equal accounts and one unit over, each day: everybody has had it once after three days."""
    w = world(replace(POLICY, ties=Ties.ROTATION))
    lines = (("CLIENT-A", "10"), ("CLIENT-B", "10"), ("CLIENT-C", "10"))
    got = []
    for n in range(3):
        allocated = one(trade(w, f"S-{n}", "10", lines), StatementAllocated)
        got += [line.account for line in allocated.lines if line.award]
    assert got == ["CLIENT-A", "CLIENT-B", "CLIENT-C"]
    assert queue(w) == ["CLIENT-A", "CLIENT-B", "CLIENT-C"]


def test_odd_rests_go_round_and_seeded_ties_move_nobody() -> None:
    w = world(replace(POLICY, remainder=Remainder.ROTATION, ties=Ties.ACCOUNT, lot=Decimal(10)))
    lines = (("CLIENT-A", "100"), ("CLIENT-B", "100"))
    first = one(trade(w, "S-1", "33", lines), StatementAllocated)
    served = [line.account for line in first.lines if line.rule == "odd-rest:rotation"]
    assert served == ["CLIENT-A"]
    assert queue(w) == ["CLIENT-B", "CLIENT-A"]
    second = one(trade(w, "S-2", "33", lines), StatementAllocated)
    assert [line.account for line in second.lines if line.rule == "odd-rest:rotation"] == ["CLIENT-B"]


def test_journals_of_the_first_rules_know_no_turns() -> None:
    w = world(rules=1)
    statement = one(w.submit(draft("S-1", THREE)), StatementRegistered).statement
    assert [line.turn for line in statement.lines] == [0, 0, 0]
    assert not state_of(w).rotations
    assert not some(w.operate("cancel", "S-1"), RotationTurn)


# ---------------------------------------------------------------- release rotation


def released(w: World, account: str, qty: str, name: str = "", **more: Any) -> Any:
    return w.order(name or f"C-{account}", qty, "S-1", account=account, **more)


def reason(outputs: Any) -> str:
    return str(one(outputs, SendReport).reason)


def test_orders_leave_in_the_order_of_turns() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))
    assert reason(w.order("N1", "500", "S-1")) == "GW-630"
    assert reason(released(w, "X1", "500", "N2")) == "GW-630"
    assert reason(released(w, "CLIENT-B", "300", "N3")) == "GW-632"
    assert reason(released(w, "CLIENT-A", "501", "N4")) == "GW-631"
    assert reason(released(w, "CLIENT-A", "400", "N5", alloc_lines=(("CLIENT-B", "400"),))) == "GW-204"
    one(released(w, "CLIENT-A", "400", "C-A1", alloc_lines=(("CLIENT-A", "400"),)), ForwardToBroker)
    blocked = one(released(w, "CLIENT-B", "300", "N6"), SendReport)
    assert (
        blocked.text == "GW-632 turn 1 of statement S-1 is CLIENT-A's: 100 not released yet; CLIENT-B has turn 2"
    )
    # A raise of the first order releases the rest of its line.
    one(w.replace("C-A2", "C-A1", "500", account="CLIENT-A"), ForwardToBroker)
    w.execution(ExecKind.REPLACED, "C-A2", orig_cl_ord_id="C-A1", order_qty=Decimal(500), ord_status="5")
    one(released(w, "CLIENT-B", "300"), ForwardToBroker)
    # Whatever becomes of an order, its turn has been.
    w.execution(ExecKind.CANCELLED, "C-CLIENT-B", ord_status="4")
    one(released(w, "CLIENT-C", "200"), ForwardToBroker)
    one(released(w, "CLIENT-B", "300", "C-B2"), ForwardToBroker)


def test_a_lowered_order_is_not_a_released_line() -> None:
    """A token order must not open the way for the next account."""
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))
    released(w, "CLIENT-A", "500", "C-A1")
    one(w.replace("C-A2", "C-A1", "1", account="CLIENT-A"), ForwardToBroker)
    w.execution(ExecKind.REPLACED, "C-A2", orig_cl_ord_id="C-A1", order_qty=Decimal(1), ord_status="5")
    assert reason(released(w, "CLIENT-B", "300")) == "GW-632"


def test_an_order_that_never_left_is_no_release_and_one_the_broker_refused_is() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))
    released(w, "CLIENT-A", "500", "C-A1")
    w.not_sent(w.seq)
    assert reason(released(w, "CLIENT-B", "300", "N1")) == "GW-632"
    one(released(w, "CLIENT-A", "500", "C-A2"), ForwardToBroker)
    w.execution(ExecKind.REJECTED, "C-A2", ord_status="8")
    one(released(w, "CLIENT-B", "300", "C-B"), ForwardToBroker)


def test_every_account_keeps_the_fills_of_its_own_order() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))
    released(w, "CLIENT-A", "500")
    released(w, "CLIENT-B", "300", deliver_to="BRK2")
    w.fill("200", "10", "C-CLIENT-A")
    w.fill("100", "12.5", "C-CLIENT-A")
    w.fill("300", "11", "C-CLIENT-B", session="BRK2")
    w.execution(ExecKind.CANCELLED, "C-CLIENT-A", ord_status="4")
    released(w, "CLIENT-C", "200", "C-C")
    w.fill("50", "20", "C-C")
    outputs = w.execution(ExecKind.CANCELLED, "C-C", ord_status="4")
    allocated = one(outputs, StatementAllocated)
    assert [(x.account, x.quantity, x.rule, x.exact) for x in allocated.lines] == [
        ("CLIENT-A", 300, "own-order", "300/1"), ("CLIENT-B", 300, "own-order", "300/1"),
        ("CLIENT-C", 50, "own-order", "50/1"),
    ]  # fmt: skip
    first, second = (output.allocation for output in some(outputs, SendAllocation))
    assert [(s.account, s.quantity, s.avg_px) for s in first.shares] == [
        ("CLIENT-A", 300, "10.8333"), ("CLIENT-C", 50, "20.0000"),
    ]  # fmt: skip
    assert (first.avg_px, first.quantity) == ("12.1429", 350)  # (200*10 + 100*12.5 + 50*20) / 350
    assert [(s.account, s.quantity, s.avg_px) for s in second.shares] == [("CLIENT-B", 300, "11.0000")]
    assert queue(w) == ["CLIENT-A", "CLIENT-B", "CLIENT-C"]  # all three served, in order of turn


def test_the_unfilled_keep_their_turn_in_a_release_rotation() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))
    for account, qty in THREE:
        released(w, account, qty)
    w.execution(ExecKind.CANCELLED, "C-CLIENT-A", ord_status="4")
    w.fill("300", "10", "C-CLIENT-B")
    outputs = w.execution(ExecKind.CANCELLED, "C-CLIENT-C", ord_status="4")
    found = [(t.account, t.outcome, t.position) for t in some(outputs, RotationTurn)]
    assert found == [("CLIENT-B", "served", 3), ("CLIENT-A", "unfilled", 1), ("CLIENT-C", "unfilled", 2)]


@pytest.mark.parametrize("overfill", list(Overfill))
def test_an_overfill_of_an_own_order_is_not_shared(overfill: Overfill) -> None:
    w = world(replace(RELEASE, overfill=overfill, error_account="ERR"), money=True)
    w.submit(draft("S-1", THREE))
    for account, qty in THREE:
        released(w, account, qty)
    w.fill("520", "10", "C-CLIENT-A")
    w.fill("300", "11", "C-CLIENT-B")
    outputs = w.execution(ExecKind.CANCELLED, "C-CLIENT-C", ord_status="4")
    sent = one(outputs, SendAllocation).allocation
    error = [("ERR", Decimal(20), "10.0000")] if overfill is Overfill.ERROR_ACCOUNT else []
    shares = [(s.account, s.quantity, s.avg_px) for s in sent.shares]
    assert shares == [("CLIENT-A", 500, "10.0000"), ("CLIENT-B", 300, "11.0000"), *error]
    assert sent.fills_money == sum(s.gross for s in sent.shares)
    assert one(outputs, StatementAllocated).unallocated == (0 if error else 20)


def test_a_bust_takes_from_the_account_whose_order_it_was() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE[:2]))
    released(w, "CLIENT-A", "500")
    released(w, "CLIENT-B", "300")
    w.fill("500", "10", "C-CLIENT-A")
    w.fill("300", "10", "C-CLIENT-B", exec_id="E-B")
    outputs = w.execution(ExecKind.BUST, "C-CLIENT-B", exec_ref_id="E-B", last_qty=Decimal(300))
    (sent,) = [output.allocation for output in some(outputs, SendAllocation)]
    assert sent.trans_type == "1"
    assert [(s.account, s.quantity) for s in sent.shares] == [("CLIENT-A", 500)]


def test_own_fills_where_a_broker_keeps_what_it_accepted() -> None:
    w = world(RELEASE, brokers=(BrokerSetup("BRK1", replace_accepted=False), BrokerSetup("BRK2")))
    w.submit(draft("S-1", THREE[:2]))
    released(w, "CLIENT-A", "500")
    released(w, "CLIENT-B", "300")
    w.fill("500", "10", "C-CLIENT-A")
    w.fill("200", "12", "C-CLIENT-B")
    sent = one(w.execution(ExecKind.CANCELLED, "C-CLIENT-B", ord_status="4"), SendAllocation).allocation
    w.ack(sent.alloc_id)
    late = one(w.fill("100", "15", "C-CLIENT-B"), SendAllocation).allocation
    assert [(s.account, s.quantity, s.avg_px) for s in late.shares] == [("CLIENT-B", 100, "15.0000")]


def test_a_named_person_passes_a_turn() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE))

    def passed(account: str, why: str = "halted in the client's country", name: str = "S-1") -> Any:
        return w.give(PassTurn, actor="cco", statement_id=name, account=account, reason=why)

    for wrong in (passed("X1"), passed("CLIENT-A", " "), passed("CLIENT-A", name="S-9")):
        assert one(wrong, StatementRefused).problems[0].reason == "GW-633"
    turn = one(passed("CLIENT-A"), RotationTurn)
    assert (turn.outcome, turn.turn, turn.position, turn.actor) == ("passed", 1, 1, "cco")
    assert one(passed("CLIENT-A"), StatementRefused).problems[0].text.endswith("is passed already")
    one(released(w, "CLIENT-B", "300"), ForwardToBroker)
    assert one(passed("CLIENT-B"), StatementRefused).problems[0].text.endswith("is released already")


def test_passing_the_last_turn_completes_the_statement() -> None:
    w = world(RELEASE)
    w.submit(draft("S-1", THREE[:2]))
    released(w, "CLIENT-A", "500")
    w.fill("400", "10", "C-CLIENT-A")
    assert not some(w.execution(ExecKind.CANCELLED, "C-CLIENT-A", ord_status="4"), StatementAllocated)
    outputs = w.give(PassTurn, actor="cco", statement_id="S-1", account="CLIENT-B", reason="no cash")
    assert [line.quantity for line in one(outputs, StatementAllocated).lines] == [400, 0]


# ---------------------------------------------------------------- grinding


def test_a_grinder_is_caught_within_ten_tries() -> None:
    """Somebody registers and cancels until the order of turns, or of the seed, suits."""
    w = world(POLICY)
    caught = 0
    for n in range(1, 11):
        outputs = w.submit(draft(f"S-{n}"), seed=f"{n:02x}" * 32)
        caught = n if not caught and [a for a in some(outputs, Alert) if a.reason == "GW-831"] else caught
        w.operate("cancel", f"S-{n}")
    assert caught == POLICY.reregistrations + 1 <= 10


def test_replacing_counts_too_and_another_instrument_or_side_does_not() -> None:
    w = world(POLICY)
    w.submit(draft("S-0"))
    alerts = []
    for n in range(1, 4):
        lines = (("CLIENT-A", str(25000 + n)), ("CLIENT-B", "10000"))
        outputs = w.submit(draft("S-0", lines), alloc_trans_type="1", ref_statement_id="S-0")
        alerts.append([a.reason for a in some(outputs, Alert)])
    assert alerts == [[], [], ["GW-831"]]
    w.operate("cancel", "S-0")
    assert not some(w.submit(draft("S-10", side="sell")), Alert)
    assert not some(w.submit(draft("S-11", symbol="ABC")), Alert)


def test_a_statement_that_was_filled_is_no_try() -> None:
    w = world(POLICY)
    for n in range(6):
        trade(w, f"S-{n}", "10", THREE)
    assert not [a for a in some(w.outputs, Alert) if a.reason == "GW-831"]


def test_a_snapshot_keeps_turns_counts_cuts_and_holdings() -> None:
    w = world(
        replace(RELEASE, sellable=True),
        holdings=tuple(Holding(account, "XYZ", Decimal(quantity), TODAY) for account, quantity in THREE),
    )
    w.submit(draft("S-0", THREE, side="sell"))
    w.operate("cancel", "S-0")
    w.submit(draft("S-1", THREE, side="sell"))
    w.give(PassTurn, actor="cco", statement_id="S-1", account="CLIENT-A", reason="halted")
    w.give(SetHolding, actor="ops", account="CLIENT-C", symbol="XYZ", quantity="150", reason="lent")
    state = state_of(w)
    assert state.rotations
    assert state.unfilled_turns
    assert state.reregistered
    assert state.statements["S-1"].caps
    builder = Builder()
    for section, payload in lines_of(state):
        builder.take(section, payload)
    assert builder.state() == state


EVERYBODY = ("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "X1", "X2")
BLOCKS = st.lists(
    st.tuples(st.lists(st.sampled_from(EVERYBODY), min_size=1, unique=True), st.integers(0, 60)), max_size=8
)


@settings(max_examples=150)
@given(BLOCKS)
def test_the_queue_is_what_a_list_on_paper_would_be(blocks: list[tuple[list[str], int]]) -> None:
    """Whoever got something goes to the back in the order served; nobody else moves; nobody is lost or doubled."""
    w = world()
    paper: list[str] = []
    for n, (accounts, filled) in enumerate(blocks):
        total = 10 * len(accounts)
        filled = min(filled, total)
        outputs = trade(w, f"S-{n}", str(filled), tuple((account, "10") for account in accounts))
        paper += sorted(set(accounts) - set(paper))
        in_turn = [account for account in paper if account in accounts]
        served = in_turn[: -(-filled // 10)]
        paper = [account for account in paper if account not in served] + served
        assert queue(w) == paper
        if filled:
            given_ = {line.account: line.quantity for line in some(outputs, StatementAllocated)[-1].lines}
            left = filled
            for account in in_turn:
                assert given_[account] == min(10, left)
                left -= min(10, left)
