"""Reports that come early, twice, under other names, or not at all; restatements, splits, nights, overfills."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from worlds import SETUP, TODAY, World, draft, one, some

from fixgateway.core import amends
from fixgateway.core.fills import DERIVED, costing, exact_decimal, scaled
from fixgateway.core.fills import Fill as FillOf
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import BrokerSetup, Interim, Rounding, Setup, Ties
from fixgateway.core.orders import Order
from fixgateway.core.outputs import (
    ExceptionOpened,
    ExecutionApplied,
    Flagged,
    ForwardToBroker,
    OrderChanged,
    SendAllocation,
    SendCancelReject,
    StatementClosed,
    StatementSplit,
)
from fixgateway.core.state import StatementRecord

ONE = (("CLIENT-A", "20000"),)
TOMORROW = TODAY + timedelta(days=1)
FROM_CUM = replace(SETUP, brokers=(BrokerSetup("BRK1", fills_from_cum=True), BrokerSetup("BRK2")))


def world_with_order(quantity: str = "10000", setup: Setup = SETUP, lines: Any = ONE, **more: Any) -> World:
    world = World(setup)
    world.submit(draft(lines=lines))
    world.order("C1", quantity, **more)
    world.execution(ExecKind.NEW, exec_id="ACK", order_id="B1")
    return world


def order(world: World, index: int = 0) -> Order:
    assert world.engine.state is not None
    return list(world.engine.state.orders.values())[index]


def record(world: World) -> StatementRecord:
    assert world.engine.state is not None
    return world.engine.state.statements["S-1"]


def reasons(outputs: Any) -> list[str]:
    return [out.reason for out in some(outputs, ExceptionOpened)]


def bust(world: World, exec_id: str, ref: str, **more: Any) -> tuple[Any, ...]:
    return world.execution(ExecKind.BUST, exec_id=exec_id, exec_ref_id=ref, **more)


def correct(world: World, exec_id: str, ref: str, quantity: str, price: str, **more: Any) -> tuple[Any, ...]:
    return world.execution(
        ExecKind.CORRECT, exec_id=exec_id, exec_ref_id=ref,
        last_qty=Decimal(quantity), last_px=Decimal(price), **more,
    )  # fmt: skip


# ---------------------------------------------------------------- early, and under other names


def test_a_bust_that_overtakes_its_fill_kills_it_on_arrival() -> None:
    world = world_with_order()
    assert reasons(bust(world, "E2", "E1", cum_qty=Decimal(0))) == ["GW-805"]
    late = world.fill("500", "10", exec_id="E1", cum_qty=Decimal(500))
    assert one(late, ExecutionApplied).effect == "ignored"
    assert one(late, Flagged).reason == "GW-865"
    assert not reasons(late)
    assert (order(world).cum_qty, order(world).status, order(world).early) == (0, "0", {})
    assert one(world.fill("500", "10", exec_id="E1", cum_qty=Decimal(500)), ExecutionApplied).effect == "duplicate"


def test_corrections_that_overtake_their_fill_are_applied_when_it_comes() -> None:
    """The correction of a correction first, then the correction, then the fill."""
    world = world_with_order()
    correct(world, "E3", "E2", "300", "12")
    correct(world, "E2", "E1", "400", "11")
    arrived = world.fill("500", "10", exec_id="E1")
    assert one(arrived, ExecutionApplied).effect == "correct"
    assert (order(world).cum_qty, order(world).average(), order(world).status) == (300, 12, "1")
    bust(world, "E4", "E3")
    assert (order(world).cum_qty, order(world).status) == (0, "0")


def test_early_busts_are_bounded() -> None:
    world = world_with_order()
    for n in range(amends.MAX_EARLY + 1):
        bust(world, f"B{n}", f"F{n}")
    assert len(order(world).early) == amends.MAX_EARLY
    assert "F0" not in order(world).early


@pytest.mark.parametrize(
    ("ref", "words"),
    [("E2", "a bust: a cancel cannot be cancelled"), ("E1", "busted already"), ("ACK", "not a fill")],
)
def test_a_bust_of_what_is_no_fill_any_more_changes_nothing(ref: str, words: str) -> None:
    world = world_with_order()
    world.fill("500", "10", exec_id="E1")
    bust(world, "E2", "E1")
    refused = bust(world, "E9", ref)
    assert one(refused, ExceptionOpened).reason == "GW-805"
    assert words in one(refused, ExceptionOpened).text
    assert (order(world).cum_qty, order(world).early) == (0, {})


@pytest.mark.parametrize(
    ("ref", "first"),
    [("E3", ""), ("E1", ""), ("E2", ""), ("unheard", "E1")],
    ids=["last", "first", "middle", "16017"],
)
def test_a_trade_is_found_by_any_of_its_exec_ids(ref: str, first: str) -> None:
    """FIX names the last; brokers that keep naming the first are understood, and 16017 as TT sends it."""
    world = world_with_order()
    world.fill("500", "10", exec_id="E1")
    world.fill("700", "20", exec_id="X1")
    correct(world, "E2", "E1", "400", "10")
    correct(world, "E3", "E2", "300", "10")
    busted = bust(world, "E4", ref, orig_exec_id=first)
    assert one(busted, ExecutionApplied).effect == "bust"
    assert (order(world).cum_qty, order(world).average()) == (700, 20)


def test_a_correction_to_nothing_is_a_bust() -> None:
    world = world_with_order()
    world.fill("500", "10", exec_id="E1")
    correct(world, "E2", "E1", "0", "0")
    assert (order(world).cum_qty, order(world).fills) == (0, {})


def test_an_order_opened_under_the_first_edition_keeps_its_ways() -> None:
    """What journals without an edition recorded must be decided again as it was."""
    world = world_with_order(setup=replace(SETUP, rules=1), time_in_force="1")
    bust(world, "E2", "E1")
    assert one(world.fill("500", "10", exec_id="E1"), ExecutionApplied).effect == "fill"
    done = world.execution(ExecKind.DONE_FOR_DAY, exec_id="E3")
    assert one(done, StatementClosed).why == "complete"
    world.execution(
        ExecKind.RESTATED, exec_id="E4", order_qty=Decimal(20000), cum_qty=Decimal(1000), restatement_reason="0"
    )
    assert (order(world).quantity, order(world).cum_qty, order(world).status) == (20000, 500, "3")


# ---------------------------------------------------------------- fills in 14 and 6 only


def test_a_fill_that_only_cum_qty_shows_is_entered_when_the_order_is_over() -> None:
    """100 @ 47.50 received; cancelled with 14=300, 6=47.90: 200 are missing, at (14370 − 4750) / 200 = 48.10."""
    world = world_with_order(setup=FROM_CUM)
    world.fill("100", "47.50", exec_id="E1")
    ended = world.execution(
        ExecKind.CANCELLED, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal("47.90"), leaves_qty=Decimal(0)
    )
    entered = some(ended, ExecutionApplied)[1]
    assert (entered.effect, entered.exec_id) == ("fills-from-cum", "cum-E9")
    assert (entered.last_qty, entered.last_px) == (200, Decimal("48.10"))
    assert reasons(ended) == ["GW-864"]
    assert (order(world).cum_qty, order(world).average()) == (300, Fraction(4790, 100))
    assert one(ended, SendAllocation).allocation.quantity == 300


def test_the_execution_that_comes_later_takes_its_place() -> None:
    """No share is counted twice: 120 and 80 arrive, with CumQty as it was when each was done."""
    world = world_with_order(setup=FROM_CUM)
    world.fill("100", "47.50", exec_id="E1", cum_qty=Decimal(100))
    world.execution(ExecKind.CANCELLED, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal("47.90"))
    first = world.fill("120", "48.00", exec_id="E2", cum_qty=Decimal(220))
    assert (order(world).cum_qty, order(world).fills[DERIVED].quantity) == (300, 80)
    assert (one(first, Flagged).reason, reasons(first)) == ("GW-865", ["GW-813"])
    world.fill("80", "48.25", exec_id="E3", cum_qty=Decimal(300), avg_px=Decimal("47.90"))
    assert (order(world).cum_qty, DERIVED in order(world).fills) == (300, False)
    assert order(world).average() == Fraction(100 * 4750 + 120 * 4800 + 80 * 4825, 300 * 100)


def test_a_new_trade_after_the_entry_is_a_new_trade() -> None:
    world = world_with_order(setup=FROM_CUM, time_in_force="1")
    world.fill("100", "10", exec_id="E1", cum_qty=Decimal(100))
    world.execution(ExecKind.DONE_FOR_DAY, exec_id="E2", cum_qty=Decimal(150), avg_px=Decimal(10))
    world.tick(TOMORROW)
    world.fill("40", "11", exec_id="E3", cum_qty=Decimal(190), ord_status="1")
    assert (order(world).cum_qty, order(world).fills[DERIVED].quantity) == (190, 50)
    assert order(world).days() == {TODAY: (150, 1500), TOMORROW: (40, 440)}


@pytest.mark.parametrize("kind", [ExecKind.STATUS, ExecKind.DONE_FOR_DAY, ExecKind.EXPIRED, ExecKind.REJECTED])
def test_which_reports_are_the_last_word(kind: ExecKind) -> None:
    world = world_with_order(setup=FROM_CUM)
    world.execution(kind, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal("5"))
    assert (order(world).cum_qty, order(world).average()) == (300, 5)


def test_a_report_in_the_middle_only_says_the_difference() -> None:
    """The execution may still be on its way: a replace, an acknowledgement or the next fill enter nothing."""
    world = world_with_order(setup=FROM_CUM)
    world.replace("C2", "C1", "9000")
    replaced = world.execution(
        ExecKind.REPLACED,
        "C2",
        exec_id="E1",
        order_qty=Decimal(9000),
        cum_qty=Decimal(673),
        avg_px=Decimal("47.90"),
    )
    assert (reasons(replaced), order(world).cum_qty) == (["GW-803"], 0)
    world.fill("10", "47.90", "C2", exec_id="E2", cum_qty=Decimal(683))
    assert order(world).cum_qty == 10
    world.execution(ExecKind.DONE_FOR_DAY, "C2", exec_id="E3", cum_qty=Decimal(683), avg_px=Decimal("47.90"))
    assert order(world).cum_qty == 683


def test_without_the_profile_key_only_the_difference_is_said() -> None:
    world = world_with_order()
    ended = world.execution(ExecKind.CANCELLED, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal("47.90"))
    assert (reasons(ended), order(world).cum_qty) == (["GW-803"], 0)


def test_a_rounded_average_does_not_make_an_absurd_price() -> None:
    """1,000,000 @ 10.004; 14=1000001, 6=10.00: the difference of the products would price the share at −3990."""
    world = world_with_order(setup=FROM_CUM, quantity="1000001", lines=(("CLIENT-A", "1000001"),))
    world.fill("1000000", "10.004", exec_id="E1")
    world.execution(ExecKind.CANCELLED, exec_id="E9", cum_qty=Decimal(1000001), avg_px=Decimal("10.00"))
    assert (order(world).cum_qty, order(world).fills[DERIVED].price) == (1000001, 10)


def test_a_price_without_end_keeps_its_money() -> None:
    """300 at 47.90 less 99 at 47.50 leave 201 for 9667.50, a price of 48.097014925…"""
    world = world_with_order(setup=FROM_CUM)
    world.fill("99", "47.50", exec_id="E1")
    world.execution(ExecKind.EXPIRED, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal("47.90"))
    fill = order(world).fills[DERIVED]
    assert (fill.money, fill.exact_price, fill.price) == (
        Decimal("9667.50"), Fraction(966750, 20100), Decimal("48.09701493"),
    )  # fmt: skip
    assert order(world).average() == Fraction(4790, 100)


def test_a_bust_of_a_fill_nobody_reported_takes_it_from_the_entry() -> None:
    world = world_with_order(setup=FROM_CUM)
    world.fill("100", "10", exec_id="E1")
    world.execution(ExecKind.CANCELLED, exec_id="E9", cum_qty=Decimal(300), avg_px=Decimal(10))
    busted = bust(world, "E10", "E2", cum_qty=Decimal(250), avg_px=Decimal(10))
    assert one(busted, ExecutionApplied).effect == "bust"
    assert (order(world).cum_qty, order(world).fills[DERIVED].quantity) == (250, 150)
    dead = world.fill("50", "10", exec_id="E2", cum_qty=Decimal(150))
    assert (one(dead, ExecutionApplied).effect, order(world).cum_qty) == ("ignored", 250)


# ---------------------------------------------------------------- restatements


def restate(world: World, cl_ord_id: str = "C1", **more: Any) -> tuple[Any, ...]:
    numbers = {"order_qty", "cum_qty", "leaves_qty", "avg_px"}
    fields: dict[str, Any] = {k: Decimal(v) if k in numbers else v for k, v in more.items()}
    return world.execution(ExecKind.RESTATED, cl_ord_id, **fields)


def test_a_partial_decline_releases_the_rest() -> None:
    world = world_with_order()
    world.fill("1000", "10", exec_id="E1")
    assert record(world).committed == 10000
    restate(world, order_qty="4000", cum_qty="1000", leaves_qty="3000", restatement_reason="5", ord_status="1")
    assert (order(world).quantity, record(world).committed, order(world).leaves()) == (4000, 4000, 3000)
    restate(world, order_qty="500", cum_qty="1000", leaves_qty="0", restatement_reason="5", ord_status="2")
    assert (order(world).quantity, order(world).status, record(world).committed) == (1000, "2", 1000)


def test_a_raise_nobody_asked_for_counts_and_is_told() -> None:
    world = world_with_order()
    raised = restate(world, order_qty="12000", restatement_reason="2", ord_status="0")
    assert (reasons(raised), record(world).committed) == (["GW-862"], 12000)
    beyond = restate(world, order_qty="20001", restatement_reason="2", ord_status="0")
    assert reasons(beyond) == ["GW-802", "GW-862"]
    assert some(beyond, ExceptionOpened)[0].subject == "S-1"


def test_a_raise_that_was_asked_for_is_no_surprise() -> None:
    world = world_with_order()
    world.replace("C2", "C1", "12000")
    assert not reasons(restate(world, order_qty="12000", restatement_reason="3", ord_status="0"))


def test_an_ended_order_that_is_brought_back_is_counted_again() -> None:
    world = world_with_order()
    world.fill("1000", "10", exec_id="E1")
    world.execution(ExecKind.CANCELLED, exec_id="E2")
    assert record(world).committed == 1000
    back = restate(world, order_qty="10000", leaves_qty="9000", ord_status="1", restatement_reason="2")
    assert (reasons(back), order(world).status, record(world).committed) == (["GW-862"], "1", 10000)


def test_a_late_restatement_without_leaves_brings_nothing_back() -> None:
    world = world_with_order()
    world.execution(ExecKind.CANCELLED, exec_id="E2")
    restate(world, order_qty="10000", ord_status="1", restatement_reason="1")
    assert (order(world).status, record(world).committed) == ("4", 0)


def test_the_oms_may_cancel_by_the_cl_ord_id_the_broker_gave() -> None:
    """A restated order may have another ClOrdID; an F that names it was refused as unknown (GW-701)."""
    world = world_with_order(time_in_force="1")
    world.tick(TOMORROW)
    restate(world, "N1", orig_cl_ord_id="C1", order_id="B2", restatement_reason="1", ord_status="0")
    assert (order(world).cl_ord_id, order(world).order_id) == ("N1", "B2")
    assert one(world.cancel("F1", "N1"), ForwardToBroker).msg_type == "F"
    late = bust(world, "E9", "nothing", cl_ord_id="", order_id="B1")
    assert one(late, ExecutionApplied).order == order(world).key  # the first OrderID still finds it


# ---------------------------------------------------------------- good till


@pytest.mark.parametrize("time_in_force", ["1", "6"])
def test_a_good_till_order_outlives_its_day(time_in_force: str) -> None:
    world = world_with_order(time_in_force=time_in_force)
    world.fill("1000", "10", exec_id="E1")
    assert not some(world.execution(ExecKind.DONE_FOR_DAY, exec_id="E2"), StatementClosed)
    assert (order(world).status, order(world).open, order(world).commitment()) == ("3", True, 10000)
    world.tick(TOMORROW)
    assert one(world.cancel("F1", "C1"), ForwardToBroker).msg_type == "F"
    assert not some(world.cancel("F1", "C1"), SendCancelReject)


def test_a_day_order_is_over_when_it_is_done_for_the_day() -> None:
    world = world_with_order(time_in_force="0")
    world.fill("1000", "10", exec_id="E1")
    done = world.execution(ExecKind.DONE_FOR_DAY, exec_id="E2", leaves_qty=Decimal(9000))
    assert one(done, StatementClosed).why == "complete"
    late = world.fill("5", "10", exec_id="E3", ord_status="3", leaves_qty=Decimal(0))
    assert one(late, OrderChanged).status == "3"


def test_a_replace_may_change_how_long_an_order_lives() -> None:
    world = world_with_order(time_in_force="1")
    world.replace("C2", "C1", "10000")
    world.execution(ExecKind.REPLACED, "C2", exec_id="E1", order_qty=Decimal(10000), time_in_force="0")
    assert not order(world).good_till


def test_each_fill_keeps_its_day() -> None:
    """The day it was received, or the earlier one 75 names; a bust or correction changes that day."""
    world = world_with_order(time_in_force="1")
    world.fill("1000", "10", exec_id="E1")
    world.tick(TOMORROW)
    world.fill("300", "11", exec_id="E2", trade_date=TOMORROW)
    world.fill("200", "12", exec_id="E3", trade_date=TODAY)  # resent the next morning
    world.fill("100", "13", exec_id="E4", trade_date=date(2027, 1, 1))  # no trade is of a day to come
    assert order(world).days() == {TODAY: (1200, 12400), TOMORROW: (400, 4600)}
    correct(world, "E5", "E1", "900", "10")
    bust(world, "E6", "E3")
    assert order(world).days() == {TODAY: (900, 9000), TOMORROW: (400, 4600)}
    assert order(world).day_order_qty(TOMORROW) == 10000 - 900


def test_another_day_quantity_is_said_once() -> None:
    world = world_with_order(time_in_force="1")
    world.fill("1000", "10", exec_id="E1")
    world.tick(TOMORROW)
    cum: dict[str, Any] = {"cum_qty": Decimal(1000), "avg_px": Decimal(10), "ord_status": "1"}
    for exec_id, expected in (("E2", ["GW-866"]), ("E3", [])):
        said = world.execution(ExecKind.RESTATED, "C1", exec_id, day_cum_qty=Decimal(1000), **cum)
        assert reasons(said) == expected
    assert not reasons(world.execution(ExecKind.RESTATED, "C1", "E4", day_cum_qty=Decimal(0), **cum))


# ---------------------------------------------------------------- splits


TWO_LINES = (("CLIENT-A", "9000"), ("PROP", "6000"))


def split(world: World, order_qty: str, cum_qty: str, avg_px: str, **more: Any) -> tuple[Any, ...]:
    return restate(
        world, order_qty=order_qty, cum_qty=cum_qty, avg_px=avg_px, restatement_reason="0", ord_status="1", **more
    )


def test_a_split_takes_the_whole_statement_along() -> None:
    """Two brokers, one filled order, 3:1: everything is in new units at once, and money is what it was."""
    world = world_with_order("6000", lines=TWO_LINES, time_in_force="1")
    world.order("D1", "5000", time_in_force="1", deliver_to="BRK2")
    world.order("D2", "1000", deliver_to="BRK2")
    world.fill("2000", "50", exec_id="E1")
    world.fill("1000", "50.01", "D1", exec_id="E1", session="BRK2")
    world.fill("1000", "49.99", "D2", exec_id="E2", session="BRK2")
    world.replace("C2", "C1", "7000")
    money = [order(world, n).paid for n in range(3)]
    told = split(world, "18000", "6000", "16.6667", exec_id="E9")
    fact = one(told, StatementSplit)
    assert (fact.numerator, fact.denominator, fact.total, fact.filled) == (3, 1, 45000, 12000)
    assert reasons(told) == ["GW-861"]
    statement = record(world).statement
    assert [(line.account, line.quantity) for line in statement.lines] == [("CLIENT-A", 27000), ("PROP", 18000)]
    assert [order(world, n).quantity for n in range(3)] == [18000, 15000, 3000]
    assert [order(world, n).cum_qty for n in range(3)] == [6000, 3000, 3000]
    assert [order(world, n).paid for n in range(3)] == money
    assert order(world).average() == Fraction(50, 3)
    assert (record(world).filled, record(world).committed) == (12000, 21000 + 15000 + 3000)
    assert (record(world).split_num, record(world).split_den) == (3, 1)
    other = world.execution(
        ExecKind.RESTATED, "D1", exec_id="E9", session="BRK2", order_qty=Decimal(15000), cum_qty=Decimal(3000),
        avg_px=Decimal("16.67"), restatement_reason="0", ord_status="1",
    )  # fmt: skip
    assert (some(other, StatementSplit), reasons(other)) == ([], [])
    assert order(world, 1).quantity == 15000


@pytest.mark.parametrize(
    ("order_qty", "cum_qty", "avg_px"),
    [("20000", "2000", "50"), ("20000", "4000", "50"), ("20000", "4000", "24.8"), ("20000", "3999", "25")],
)
def test_numbers_that_say_no_ratio_scale_nothing(order_qty: str, cum_qty: str, avg_px: str) -> None:
    world = world_with_order(time_in_force="1")
    world.fill("2000", "50", exec_id="E1")
    told = split(world, order_qty, cum_qty, avg_px, exec_id="E9")
    assert "GW-863" in reasons(told)
    assert not some(told, StatementSplit)
    assert (record(world).statement.total, order(world).cum_qty, order(world).quantity) == (20000, 2000, 20000)


def test_a_reverse_split_with_fractions_is_for_a_person() -> None:
    """1:3 of 20,000 has no exact decimal: cash in lieu."""
    world = world_with_order("9000", time_in_force="1")
    world.fill("3000", "10", exec_id="E1")
    told = split(world, "3000", "1000", "30", exec_id="E9")
    assert reasons(told) == ["GW-863"]
    assert (record(world).statement.total, order(world).quantity, order(world).cum_qty) == (20000, 9000, 3000)


def test_a_split_and_back_is_what_it_was() -> None:
    world = world_with_order(time_in_force="1")
    world.fill("2000", "50.05", exec_id="E1")
    before = (record(world).statement, dict(order(world).fills), record(world).committed)
    split(world, "30000", "6000", "16.6833", exec_id="E8")
    split(world, "10000", "2000", "50.05", exec_id="E9")
    assert (record(world).statement, order(world).fills, record(world).committed) == before
    assert (record(world).split_num, record(world).split_den) == (1, 1)


def test_what_was_booked_the_day_before_stays_booked() -> None:
    """2,000 @ 50 booked on day one, 2:1 overnight: day two books its own 5,000 @ 30 and changes nothing else."""
    daily = replace(SETUP.policy, interim=Interim.DAILY, rounding=Rounding.QUOTA, ties=Ties.ACCOUNT)
    world = world_with_order(setup=replace(SETUP, policy=daily), lines=TWO_LINES, time_in_force="1")
    world.fill("2000", "50", exec_id="E1")
    first = one(world.tick(TODAY, "19:00:00"), SendAllocation).allocation
    assert [(share.account, share.quantity) for share in first.shares] == [("CLIENT-A", 1200), ("PROP", 800)]
    world.tick(TOMORROW)
    split(world, "20000", "4000", "25", exec_id="E2")
    world.fill("5000", "30", exec_id="E3")
    second = one(world.tick(TOMORROW, "19:00:00"), SendAllocation).allocation
    assert [(share.account, share.quantity) for share in second.shares] == [("CLIENT-A", 3000), ("PROP", 2000)]
    assert (second.trans_type, second.avg_px, second.trade_date) == ("0", "30.0000", TOMORROW)


def test_exact_decimals() -> None:
    assert exact_decimal(Fraction(1, 8)) == Decimal("0.125")
    assert exact_decimal(Fraction(-7, 5)) == Decimal("-1.4")
    assert exact_decimal(Fraction(1, 3)) is None
    assert exact_decimal(Fraction(1, 2**19)) is None  # nobody writes nineteen places
    assert scaled(FillOf(Decimal(1000), Decimal(3)), Fraction(1, 3)) is None
    assert costing(Decimal(3), Decimal(10), TODAY).exact_price == Fraction(10, 3)


# ---------------------------------------------------------------- overfills


def test_an_overfill_is_told_for_the_order_each_time_and_for_the_statement_when_it_begins() -> None:
    world = world_with_order("10000", lines=(("CLIENT-A", "10500"),))
    assert reasons(world.fill("10400", "10", exec_id="E1")) == ["GW-802"]
    crossing = world.fill("200", "10", exec_id="E2")
    assert [(x.reason, x.subject) for x in some(crossing, ExceptionOpened)] == [
        ("GW-802", "S-1"),
        ("GW-802", "C1"),
    ]
    further = world.fill("200", "10", exec_id="E3")
    assert [x.subject for x in some(further, ExceptionOpened) if x.reason == "GW-802"] == ["C1"]
    assert (record(world).committed, record(world).uncommitted) == (10800, -300)
    bust(world, "E4", "E3")
    bust(world, "E5", "E2")
    assert record(world).committed == 10400
    assert "S-1" in [x.subject for x in some(world.fill("200", "10", exec_id="E6"), ExceptionOpened)]


def test_another_exception_does_not_hide_the_statements_overfill() -> None:
    """Each order is within its quantity: a late fill goes over the total, and differs from CumQty, too."""
    world = world_with_order("10000", lines=(("CLIENT-A", "12000"),))
    world.order("C2", "2000")
    world.execution(ExecKind.CANCELLED, exec_id="E1")
    assert one(world.order("C3", "9000"), ForwardToBroker)
    late = world.fill("1500", "10", exec_id="E2", cum_qty=Decimal(9999))
    assert sorted(x.reason for x in some(late, ExceptionOpened)) == ["GW-802", "GW-803"]
