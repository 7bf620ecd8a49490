"""Sells by sellable holdings: never above them, net of what is on its way, cut when a person says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from worlds import ACCOUNTS, POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import Configure, ExecKind, SetHolding
from fixgateway.core.model import Holding, Overfill, Ties
from fixgateway.core.outputs import (
    Alert,
    ExceptionOpened,
    HoldingSet,
    SendReport,
    StatementAllocated,
    StatementRefused,
    StatementRegistered,
)
from fixgateway.core.state import State

SELLABLE = replace(POLICY, sellable=True, ties=Ties.ACCOUNT)
LINES = (("CLIENT-A", "500"), ("CLIENT-B", "300"), ("CLIENT-C", "200"))


def held(*rows: tuple[str, str], day: Any = TODAY) -> tuple[Holding, ...]:
    return tuple(Holding(account, "XYZ", Decimal(quantity), day) for account, quantity in rows)


SETUP_SELLABLE = replace(
    SETUP, policy=SELLABLE, holdings=held(("CLIENT-A", "800"), ("CLIENT-B", "300"), ("CLIENT-C", "1000"))
)


def world(**more: Any) -> World:
    return World(replace(SETUP_SELLABLE, **more))


def sell(w: World, name: str, lines: Any = LINES, **more: Any) -> Any:
    return w.submit(draft(name, lines, side="sell", **more))


def trade(w: World, name: str, filled: str, total: str = "1000") -> Any:
    w.order(f"C-{name}", total, name, side="sell")
    w.fill(filled, "10", f"C-{name}", side="sell")
    return w.execution(ExecKind.CANCELLED, f"C-{name}", ord_status="4", side="sell")


def set_holding(w: World, account: str, quantity: str, reason: str = "lent out") -> Any:
    return w.give(SetHolding, actor="ops", account=account, symbol="XYZ", quantity=quantity, reason=reason)


def state_of(w: World) -> State:
    assert w.engine.state is not None
    return w.engine.state


def refusals(outputs: Any) -> list[tuple[int, str, str]]:
    return [(p.row, p.reason, p.text) for p in one(outputs, StatementRefused).problems]


def test_a_line_above_its_holding_is_refused_and_a_missing_holding_is_none() -> None:
    w = world()
    lines = (("CLIENT-A", "801"), ("CLIENT-B", "300"), ("X1", "1"))
    assert refusals(sell(w, "S-1", lines)) == [
        (1, "GW-634", f"CLIENT-A may sell 800 XYZ, not 801: its holding of {TODAY} is 800"),
        (3, "GW-634", "no holding of XYZ is known of account X1"),
    ]  # fmt: skip
    one(w.submit(draft("S-2", lines)), StatementRegistered)  # a buy needs none
    one(w.submit(draft("S-3", lines, side="short")), StatementRegistered)


def test_the_snapshot_is_frozen_net_of_open_sells() -> None:
    w = world()
    first = one(sell(w, "S-1"), StatementRegistered).statement
    assert [line.cap for line in first.lines] == [800, 300, 1000]
    ((_, code, words),) = refusals(sell(w, "S-2", (("CLIENT-A", "301"),)))
    assert (code, words) == (
        "GW-634",
        f"CLIENT-A may sell 300 XYZ, not 301: its holding of {TODAY} is 800, 500 of it in other sell statements",
    )
    second = one(sell(w, "S-2", (("CLIENT-A", "300"),)), StatementRegistered).statement
    assert second.lines[0].cap == 300
    w.operate("cancel", "S-1")
    one(sell(w, "S-3", (("CLIENT-B", "300"),)), StatementRegistered)  # a cancelled statement takes nothing


def test_a_replacement_does_not_count_against_itself() -> None:
    w = world()
    sell(w, "S-1", (("CLIENT-B", "300"),))
    again = w.submit(
        draft("S-1", (("CLIENT-B", "250"),), side="sell"), alloc_trans_type="1", ref_statement_id="S-1"
    )
    assert one(again, StatementRegistered).statement.lines[0].cap == 300


def test_what_was_allocated_today_is_gone_and_a_bust_gives_it_back() -> None:
    w = world()
    sell(w, "S-1")
    trade(w, "S-1", "400")  # 200, 120, 80
    assert "CLIENT-B may sell 180" in refusals(sell(w, "S-2", (("CLIENT-B", "181"),)))[0][2]
    order = state_of(w).orders[state_of(w).statements["S-1"].orders[0]]
    w.execution(ExecKind.BUST, "C-S-1", exec_ref_id=next(iter(order.fills)), side="sell", last_qty=Decimal(400))
    one(sell(w, "S-3", (("CLIENT-B", "300"),)), StatementRegistered)


def test_the_next_snapshot_forgets_what_it_contains() -> None:
    w = world()
    sell(w, "S-1")
    trade(w, "S-1", "1000")
    tomorrow = TODAY + timedelta(days=1)
    w.give(Configure, setup=replace(SETUP_SELLABLE, holdings=held(("CLIENT-A", "300"), day=tomorrow)))
    w.tick(tomorrow)
    day = {"trade_date": tomorrow.isoformat()}
    assert one(sell(w, "S-2", (("CLIENT-A", "300"),), **day), StatementRegistered).statement.lines[0].cap == 300
    assert refusals(sell(w, "S-3", (("CLIENT-C", "1"),), **day))[0][1] == "GW-634"  # no row, no holding


def test_a_restart_with_the_same_file_changes_nothing_that_was_sold_or_set() -> None:
    w = world()
    sell(w, "S-1")
    trade(w, "S-1", "1000")
    set_holding(w, "CLIENT-C", "5")
    w.give(Configure, setup=SETUP_SELLABLE)
    assert "CLIENT-A may sell 300" in refusals(sell(w, "S-2", (("CLIENT-A", "301"),)))[0][2]
    one(sell(w, "S-3", (("CLIENT-C", "5"),)), StatementRegistered)
    assert refusals(sell(w, "S-4", (("CLIENT-C", "1"),)))[0][1] == "GW-634"


@pytest.mark.parametrize(
    ("filled", "quantities", "rest"),
    [
        ("400", [150, 150, 100], 0),  # A's pro-rata 200 is cut to 150; the 50 go to B and C by 3:2, 30 and 20
        ("650", [150, 300, 200], 0),
        ("1000", [150, 300, 200], 350),
    ],
)
def test_a_later_cut_caps_the_account_and_the_others_take_the_rest(
    filled: str, quantities: list[int], rest: int
) -> None:
    w = world()
    sell(w, "S-1")
    w.order("C-S-1", "1000", "S-1", side="sell")
    outputs = set_holding(w, "CLIENT-A", "150")
    fact = one(outputs, HoldingSet)
    assert (fact.before, fact.quantity, fact.statements) == (800, 150, ("S-1",))
    opened = one(outputs, ExceptionOpened)
    assert opened.reason == "GW-832"
    assert opened.text == (
        "statement S-1: CLIENT-A may receive 150 of its 500 since ops set its holding of XYZ: lent out"
    )
    w.fill(filled, "10", "C-S-1", side="sell")
    outputs = (
        w.outputs if filled == "1000" else w.execution(ExecKind.CANCELLED, "C-S-1", ord_status="4", side="sell")
    )
    allocated = some(outputs, StatementAllocated)[-1]
    assert [line.quantity for line in allocated.lines] == quantities
    assert allocated.unallocated == rest
    assert allocated.lines[0].cap == 150
    assert allocated.notes == ("CLIENT-A was cut to 150: its holding was set",)
    assert bool([a for a in some(outputs, Alert) if a.reason == "GW-802"]) == bool(rest)


def test_orders_after_a_cut_reach_no_further_than_the_accounts_may() -> None:
    w = world()
    sell(w, "S-1")
    set_holding(w, "CLIENT-A", "150")
    refused = one(w.order("C-1", "651", "S-1", side="sell"), SendReport)
    assert refused.text == "GW-203 OrderQty 651 exceeds the 650 uncommitted under statement S-1"
    w.order("C-2", "650", "S-1", side="sell")
    allocated = one(w.fill("650", "10", "C-2", side="sell"), StatementAllocated)  # complete: nobody may have more
    assert [line.quantity for line in allocated.lines] == [150, 300, 200]


def test_what_nobody_may_take_goes_where_the_policy_says() -> None:
    w = world(policy=replace(SELLABLE, overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"))
    sell(w, "S-1")
    w.order("C-S-1", "1000", "S-1", side="sell")
    set_holding(w, "CLIENT-A", "150")
    allocated = some(w.fill("1000", "10", "C-S-1", side="sell"), StatementAllocated)[-1]
    assert [(x.account, x.quantity) for x in allocated.lines][-1] == ("ERR", 350)


def test_a_cut_takes_from_the_latest_statement_first_and_a_correction_lifts_it() -> None:
    w = world()
    sell(w, "S-1", (("CLIENT-A", "500"), ("CLIENT-C", "10")))
    sell(w, "S-2", (("CLIENT-A", "300"), ("CLIENT-C", "10")))
    statements = state_of(w).statements
    assert one(set_holding(w, "CLIENT-A", "600"), HoldingSet).statements == ("S-2",)
    assert (statements["S-1"].caps, statements["S-2"].caps) == ({}, {"CLIENT-A": 100})
    assert one(set_holding(w, "CLIENT-A", "400"), HoldingSet).statements == ("S-1", "S-2")
    assert (statements["S-1"].caps, statements["S-2"].caps) == ({"CLIENT-A": 400}, {"CLIENT-A": 0})
    assert one(set_holding(w, "CLIENT-A", "900"), HoldingSet).statements == ("S-1", "S-2")
    assert (statements["S-1"].caps, statements["S-2"].caps) == ({}, {})


def test_a_holding_that_cannot_be_set() -> None:
    w = world()
    for outputs in (
        set_holding(w, "NOBODY", "1"), set_holding(w, "CLIENT-A", "-1"), set_holding(w, "CLIENT-A", "1", " ")
    ):  # fmt: skip
        assert refusals(outputs)[0][1] == "GW-635"


def test_an_account_restricted_after_fills_gets_its_share_and_a_person_is_told() -> None:
    w = world(policy=POLICY)
    w.submit(draft("S-1", LINES))
    w.order("C-S-1", "1000", "S-1")
    w.fill("400", "10", "C-S-1")
    shut = tuple(replace(a, status="restricted") if a.account == "CLIENT-B" else a for a in ACCOUNTS)
    w.give(Configure, setup=replace(SETUP, accounts=shut))
    outputs = w.execution(ExecKind.CANCELLED, "C-S-1", ord_status="4")
    assert [line.quantity for line in one(outputs, StatementAllocated).lines] == [200, 120, 80]
    opened = one(outputs, ExceptionOpened)
    assert (opened.reason, "CLIENT-B is not permitted" in opened.text) == ("GW-833", True)


def test_without_the_policy_or_under_the_first_rules_nothing_is_asked() -> None:
    for setup in (replace(SETUP_SELLABLE, policy=POLICY), replace(SETUP_SELLABLE, rules=1)):
        w = World(setup)
        statement = one(sell(w, "S-1", (("X1", "1000000"),)), StatementRegistered).statement
        assert statement.lines[0].cap is None
