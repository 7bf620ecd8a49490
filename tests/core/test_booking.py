"""Interim and multi-day booking: nobody gives back because more was filled, every day at its own price."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import EXAMPLE, POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import ExecKind
from fixgateway.core.methods import allocate
from fixgateway.core.model import Averaging, Interim, Overfill, Rounding, Ties
from fixgateway.core.outputs import (
    Allocation,
    ExceptionOpened,
    SendAllocation,
    StatementAllocated,
    StatementClosed,
    StatementRefused,
)
from fixgateway.core.targets import terms

TOMORROW = TODAY + timedelta(days=1)
PITFALL = (("A1", 1500), ("A2", 1500), ("A3", 900), ("A4", 500), ("A5", 500), ("A6", 200))
"""Largest remainder, run again on the running total, takes shares back in 1,000 of the 5,100 steps."""


def world_of(
    interim: Interim = Interim.ON_REQUEST, lines: Any = EXAMPLE, *, life_cycle: bool = False, **terms_: Any
) -> World:
    accounts = tuple(replace(SETUP.accounts[0], account=name) for name, _ in lines)
    policy = replace(POLICY, interim=interim, rounding=Rounding.QUOTA, ties=Ties.ACCOUNT, **terms_)
    setup = replace(SETUP, policy=policy, accounts=(*SETUP.accounts, *accounts), life_cycle=life_cycle)
    world = World(setup)
    world.submit(draft(lines=tuple((name, str(quantity)) for name, quantity in lines)))
    return world


def book(world: World, statement: str = "S-1") -> list[Allocation]:
    return [sent.allocation for sent in some(world.operate("book", statement), SendAllocation)]


class Books:
    """What brokers have after everything that was sent: the judge, with no code of the engine's."""

    def __init__(self, world: World) -> None:
        self.at: dict[str, Allocation] = {}
        for output in world.outputs:
            if isinstance(output, SendAllocation):
                self.take(output.allocation)

    def take(self, allocation: Allocation) -> None:
        if allocation.trans_type == "0":
            assert not allocation.ref_alloc_id
        else:
            del self.at[allocation.ref_alloc_id]
        if allocation.trans_type != "2":
            assert sum(share.quantity for share in allocation.shares) == allocation.quantity
            self.at[allocation.alloc_id] = allocation

    def by_account(self) -> dict[str, Decimal]:
        found: dict[str, Decimal] = defaultdict(Decimal)
        for allocation in self.at.values():
            for share in allocation.shares:
                found[share.account] += share.quantity
        return {account: quantity for account, quantity in found.items() if quantity}

    def by_booking(self) -> dict[int, Decimal]:
        found: dict[int, Decimal] = defaultdict(Decimal)
        for allocation in self.at.values():
            found[allocation.booking] += allocation.quantity
        return dict(found)


def wanted(world: World, quantity: Decimal, statement: str = "S-1") -> dict[str, Decimal]:
    """x(Q): what everybody should have."""
    state = world.engine.state
    assert state is not None
    stated = state.statements[statement].statement
    lines = allocate(stated.lines, quantity, terms(stated)).lines
    return {line.account: line.quantity for line in lines if line.quantity}


# ---------------------------------------------------------------- on request


def test_booked_on_request_at_the_average_of_what_was_not_booked() -> None:
    world = world_of()
    world.order()
    world.fill("10000", "100")
    world.fill("10000", "101")
    (first,) = book(world)
    assert (first.trans_type, first.quantity, first.avg_px, first.booking) == ("0", 20000, "100.5000", 1)
    world.fill("10000", "98")
    (second,) = book(world)
    assert (second.trans_type, second.quantity, second.avg_px, second.booking) == ("0", 10000, "98.0000", 2)
    assert second.orders[0].booked_qty == 10000
    last = one(world.execution(ExecKind.CANCELLED), StatementClosed)
    assert last.why == "complete"
    assert Books(world).by_account() == {"CLIENT-A": 15000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000}


def test_the_division_says_what_was_booked_before_and_who_asked() -> None:
    world = world_of()
    world.order()
    world.fill("1000", "100")
    first = one(world.operate("book", "S-1"), StatementAllocated)
    assert (first.kind, first.number, first.trade_date, first.filled) == ("interim", 1, TODAY, 1000)
    assert first.notes == ("booked on request of ops: test",)
    assert first.seed == "", "the seed is revealed when the statement is closed"
    world.fill("100", "100")
    second = one(world.operate("book", "S-1"), StatementAllocated)
    assert (second.number, second.filled) == (2, 100)
    assert [line.before for line in second.lines] == [line.quantity for line in first.lines]
    for line in second.lines:
        assert line.floor + line.award == line.before + line.quantity


def test_the_last_booking_is_the_rest() -> None:
    world = world_of()
    world.order()
    world.fill("7", "100")
    book(world)
    outputs = world.fill("49993", "100")
    assert one(outputs, StatementClosed).why == "complete"
    final = one(outputs, StatementAllocated)
    assert (final.kind, final.number, final.filled) == ("final", 2, 49993)
    assert Books(world).by_account() == {name: int(quantity) for name, quantity in EXAMPLE}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interim": Interim.NEVER}, "interim = never"),
        ({"averaging": Averaging.DAY}, "averages over the day"),
    ],
)
def test_not_booked_against_the_policy(changes: dict[str, Any], words: str) -> None:
    world = world_of(**changes)
    world.order()
    world.fill("100", "10")
    problem = one(world.operate("book", "S-1"), StatementRefused).problems[0]
    assert problem.reason == "GW-843"
    assert words in problem.text


def test_not_booked_without_quota_rounding_reason_fills_or_statement() -> None:
    world = World(replace(SETUP, policy=replace(POLICY, interim=Interim.ON_REQUEST)))
    world.submit()
    world.order()
    world.fill("100", "10")
    assert "largest-remainder" in one(world.operate("book", "S-1"), StatementRefused).problems[0].text
    quota = world_of()
    quota.order()
    assert "no fills" in one(quota.operate("book", "S-1"), StatementRefused).problems[0].text
    assert "does not exist" in one(quota.operate("book", "S-2"), StatementRefused).problems[0].text
    quota.fill("100", "10")
    assert "reason" in one(quota.operate("book", "S-1", reason=" "), StatementRefused).problems[0].text
    assert book(quota)


def test_interim_booking_does_not_close_the_statement() -> None:
    world = world_of()
    world.order("C1", "20000")
    world.fill("20000", "10")
    book(world)
    world.order("C2", "30000")
    assert one(world.fill("30000", "11", "C2"), StatementClosed).why == "complete"


# ---------------------------------------------------------------- the pitfalls, at the level of statements


def test_a_hundred_one_share_fills_are_not_divided_one_by_one() -> None:
    """Fill by fill they would go 100/0/0/0 under the worked example's weights."""
    world = world_of(Interim.NEVER)
    world.order("C1", "100")
    for _ in range(100):
        world.fill("1", "10")
    world.operate("close", "S-1")
    assert Books(world).by_account() == {"CLIENT-A": 50, "CLIENT-B": 20, "CLIENT-C": 10, "PROP": 20}


def test_booked_after_each_share_nobody_gives_back_and_the_sum_is_the_whole() -> None:
    """Largest remainder on the running total would take shares back on the way; booking each time books 0 or 1."""
    lines = tuple((name, quantity // 100) for name, quantity in PITFALL)
    world = world_of(lines=lines)
    world.order("C1", "51")
    for _ in range(51):
        world.fill("1", "10")
        sent = some(world.operate("book", "S-1"), SendAllocation)
        assert all(x.allocation.trans_type == "0" for x in sent)
    assert Books(world).by_account() == dict(lines)
    assert {x.allocation.trans_type for x in world.outputs if isinstance(x, SendAllocation)} == {"0"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.booleans()), min_size=1, max_size=12),
)
def test_whenever_it_is_booked_everybody_has_x_of_what_is_booked(
    intents: list[int], steps: list[tuple[int, bool, bool]]
) -> None:
    lines = tuple((f"A{n}", quantity) for n, quantity in enumerate(intents))
    world = world_of(lines=lines)
    total = sum(intents)
    world.order("C1", str(total))
    world.tick()
    left = total
    for quantity, asked, _ in steps:
        if not left:
            break
        quantity = min(quantity, left)
        left -= quantity
        world.fill(str(quantity), "10")
        if asked and left:
            world.operate("book", "S-1")
            assert Books(world).by_account() == wanted(world, Decimal(total - left))
    world.execution(ExecKind.CANCELLED)
    assert Books(world).by_account() == wanted(world, Decimal(total - left))
    assert {x.allocation.trans_type for x in world.outputs if isinstance(x, SendAllocation)} <= {"0"}


# ---------------------------------------------------------------- busts and corrections of what is booked


def test_a_bust_takes_back_from_its_own_booking() -> None:
    world = world_of()
    world.order()
    world.fill("10000", "100", exec_id="E1")
    (first,) = book(world)
    world.fill("5000", "110", exec_id="E2")
    (second,) = book(world)
    outputs = world.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="E1")
    (change,) = [sent.allocation for sent in some(outputs, SendAllocation)]
    assert (change.trans_type, change.ref_alloc_id) == ("2", first.alloc_id)
    assert one(outputs, ExceptionOpened).reason == "GW-813"
    assert Books(world).at == {second.alloc_id: second}


def test_a_bust_of_what_is_not_booked_changes_nothing_booked() -> None:
    world = world_of()
    world.order()
    world.fill("10000", "100", exec_id="E1")
    book(world)
    world.fill("5000", "110", exec_id="E2")
    outputs = world.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="E2")
    assert not some(outputs, SendAllocation)
    assert not some(outputs, ExceptionOpened)


def test_a_price_correction_replaces_the_booking_at_its_new_average() -> None:
    world = world_of()
    world.order()
    world.fill("10000", "100", exec_id="E1")
    (first,) = book(world)
    world.fill("5000", "110", exec_id="E2")
    book(world)
    outputs = world.execution(
        ExecKind.CORRECT, exec_id="K1", exec_ref_id="E1", last_qty=Decimal(10000), last_px=Decimal(99)
    )
    (change,) = [sent.allocation for sent in some(outputs, SendAllocation)]
    assert (change.trans_type, change.ref_alloc_id, change.avg_px) == ("1", first.alloc_id, "99.0000")
    assert change.shares != first.shares
    assert [s.quantity for s in change.shares] == [s.quantity for s in first.shares]


def test_an_account_without_enough_of_the_busted_day_gives_from_another() -> None:
    """Three accounts, five units booked in two bookings: whatever is busted, days and accounts add up."""
    for lines in ((("A", 2), ("B", 2), ("C", 1)), (("A", 3), ("B", 1), ("C", 1)), (("A", 1), ("B", 1), ("C", 1))):
        total = sum(quantity for _, quantity in lines)
        for cut in range(1, total):
            for busted in ("E1", "E2"):
                world = world_of(lines=lines)
                world.order("C1", str(total))
                world.fill(str(cut), "10", exec_id="E1")
                book(world)
                world.fill(str(total - cut), "11", exec_id="E2")
                before = Books(world).by_account()
                world.execution(ExecKind.BUST, exec_id="B", exec_ref_id=busted)
                left = Decimal(total - cut if busted == "E1" else cut)
                books = Books(world)
                assert books.by_account() == wanted(world, left)
                assert all(quantity <= before[account] for account, quantity in books.by_account().items())
                assert books.by_booking() == {2 if busted == "E1" else 1: left}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.randoms(), st.booleans())
def test_after_any_busts_and_corrections_days_and_accounts_add_up(
    intents: list[int], chance: Any, two_brokers: bool
) -> None:
    """A bust raises nobody; every booking adds up to its own fills; everybody has x(Q) of what is booked."""
    lines = tuple((f"A{n}", quantity) for n, quantity in enumerate(intents))
    world = world_of(lines=lines)
    total = sum(intents)
    parts = {"BRK1": total // 2, "BRK2": total - total // 2} if two_brokers else {"BRK1": total}
    for broker, quantity in parts.items():
        if quantity:
            world.order(f"C-{broker}", str(quantity), deliver_to=broker)
    fills: dict[str, tuple[str, int]] = {}
    booked: dict[str, int] = {}
    bookings = 0
    for n in range(25):
        broker = chance.choice([name for name, quantity in parts.items() if quantity])
        room = parts[broker] - sum(q for b, q in fills.values() if b == broker)
        action = chance.choice(["fill", "fill", "book", "bust", "correct"])
        before = Books(world).by_account()
        if action == "fill" and room > 1:
            fills[f"E{n}"] = (broker, chance.randint(1, room - 1))
            world.fill(str(fills[f"E{n}"][1]), str(10 + n), f"C-{broker}", exec_id=f"E{n}", session=broker)
        elif action == "book":
            fresh = [name for name in fills if name not in booked]
            world.operate("book", "S-1")
            bookings += bool(fresh)
            booked |= dict.fromkeys(fresh, bookings)
        elif action in ("bust", "correct") and fills:
            name = chance.choice(list(fills))
            broker, quantity = fills.pop(name)
            number = booked.pop(name, 0)
            more: dict[str, Any] = {"session": broker, "exec_id": f"X{n}", "exec_ref_id": name}
            if action == "bust":
                world.execution(ExecKind.BUST, f"C-{broker}", **more)
            else:
                fills[f"X{n}"] = (broker, chance.randint(1, quantity))
                if number:
                    booked[f"X{n}"] = number
                more |= {"last_qty": Decimal(fills[f"X{n}"][1]), "last_px": Decimal(9)}
                world.execution(ExecKind.CORRECT, f"C-{broker}", **more)
            after = Books(world).by_account()
            assert all(units <= before.get(account, 0) for account, units in after.items())
        books = Books(world)
        sums: dict[int, int] = defaultdict(int)
        for name, number in booked.items():
            sums[number] += fills[name][1]
        assert books.by_booking() == dict(sums)
        assert books.by_account() == wanted(world, Decimal(sum(sums.values())))


# ---------------------------------------------------------------- several days


def day(world: World, when: date) -> list[Any]:
    """A day's cut-off; what was sent at it."""
    assert world.engine.due(world.ts_ns, when, "19:00:00")
    outputs = world.tick(when, "19:00:00")
    assert not world.engine.due(world.ts_ns, when, "19:00:01")
    return [sent.allocation for sent in some(outputs, SendAllocation)]


def test_a_good_till_order_is_booked_every_day_at_that_day_s_price() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("10000", "100")
    (monday,) = day(world, TODAY)
    assert (monday.trade_date, monday.quantity, monday.avg_px) == (TODAY, 10000, "100.0000")
    world.tick(TOMORROW, "09:30:00")
    world.fill("15000", "102")
    world.fill("5000", "104")
    (tuesday,) = day(world, TOMORROW)
    assert (tuesday.trans_type, tuesday.trade_date, tuesday.quantity) == ("0", TOMORROW, 20000)
    assert tuesday.avg_px == "102.5000"
    wednesday = TODAY + timedelta(days=2)
    world.tick(wednesday, "09:30:00")
    closed = world.execution(ExecKind.CANCELLED)
    assert one(closed, StatementClosed).why == "complete"
    assert not some(closed, SendAllocation)
    assert Books(world).by_account() == {"CLIENT-A": 15000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000}


def test_a_day_order_s_statement_is_closed_at_the_cut_off_all_the_same() -> None:
    world = world_of(Interim.DAILY)
    world.order()
    world.fill("10000", "100")
    closed = world.tick(TODAY, "19:00:00")
    assert one(closed, StatementClosed).why == "cut-off"
    assert one(closed, StatementAllocated).kind == "final"


def test_done_for_the_day_does_not_end_a_good_till_order_s_statement() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("10000", "100")
    assert not some(world.execution(ExecKind.DONE_FOR_DAY), StatementClosed)
    assert [allocation.quantity for allocation in day(world, TODAY)] == [10000]


def test_what_is_filled_after_the_cut_off_is_booked_with_its_own_trade_date() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("1000", "100")
    day(world, TODAY)
    world.fill("500", "90")
    world.tick(TOMORROW, "09:30:00")
    world.fill("200", "80")
    evening, next_day = day(world, TOMORROW)
    assert (evening.trade_date, evening.quantity, evening.avg_px) == (TODAY, 500, "90.0000")
    assert (next_day.trade_date, next_day.quantity, next_day.avg_px) == (TOMORROW, 200, "80.0000")


def test_a_missed_cut_off_is_made_up_for_and_a_day_without_fills_sends_nothing() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("1000", "100")
    sent = some(world.tick(TOMORROW, "08:00:00"), SendAllocation)
    assert [(x.allocation.trade_date, x.allocation.quantity) for x in sent] == [(TODAY, 1000)]
    assert day(world, TOMORROW) == []


def test_a_bust_on_a_later_day_replaces_its_own_day() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("1000", "100", exec_id="E1")
    world.fill("3000", "102", exec_id="E2")
    (monday,) = day(world, TODAY)
    world.tick(TOMORROW, "09:30:00")
    world.fill("2000", "110", exec_id="E3")
    (tuesday,) = day(world, TOMORROW)
    world.tick(TODAY + timedelta(days=2), "09:30:00")
    outputs = world.execution(ExecKind.BUST, exec_id="B", exec_ref_id="E2")
    change = one(outputs, SendAllocation).allocation
    assert (change.trans_type, change.ref_alloc_id, change.trade_date) == ("1", monday.alloc_id, TODAY)
    assert (change.quantity, change.avg_px) == (1000, "100.0000")
    assert tuesday.alloc_id in Books(world).at


def test_a_late_fill_after_the_close_joins_its_day_or_gets_a_booking_of_its_own() -> None:
    world = world_of(Interim.DAILY)
    world.order(time_in_force="1")
    world.fill("1000", "100")
    day(world, TODAY)
    world.tick(TOMORROW, "09:30:00")
    world.fill("500", "100")
    closed = one(world.execution(ExecKind.CANCELLED), SendAllocation).allocation
    late = one(world.fill("500", "104"), SendAllocation).allocation
    assert (late.trans_type, late.ref_alloc_id, late.quantity, late.avg_px) == (
        "1",
        closed.alloc_id,
        1000,
        "102.0000",
    )
    world.tick(TODAY + timedelta(days=2), "09:30:00")
    other = one(world.fill("300", "105"), SendAllocation).allocation
    assert (other.trans_type, other.quantity, other.trade_date) == ("0", 300, TODAY + timedelta(days=2))
    assert Books(world).by_account() == wanted(world, Decimal(2300))


def test_an_overfill_goes_to_the_error_account_in_the_booking_that_has_it() -> None:
    world = world_of(Interim.ON_REQUEST, overfill=Overfill.ERROR_ACCOUNT, error_account="ERR")
    world.order()
    world.fill("40000", "100")
    book(world)
    outputs = world.fill("10100", "100", exec_id="E2")
    final = one(outputs, SendAllocation).allocation
    assert {s.account: s.quantity for s in final.shares}["ERR"] == 100
    assert Books(world).by_account() == {**{name: int(q) for name, q in EXAMPLE}, "ERR": 100}
    world.execution(ExecKind.CORRECT, exec_id="K", exec_ref_id="E2", last_qty=Decimal(10000), last_px=Decimal(100))
    assert Books(world).by_account() == {name: int(q) for name, q in EXAMPLE}


def test_an_overfill_that_stays_unallocated_leaves_days_and_accounts_right() -> None:
    world = world_of(Interim.ON_REQUEST)
    world.order()
    world.fill("40000", "100", exec_id="E1")
    book(world)
    final = one(world.fill("10100", "100", exec_id="E2"), StatementAllocated)
    assert final.unallocated == 100
    world.execution(ExecKind.CORRECT, exec_id="K", exec_ref_id="E1", last_qty=Decimal(39900), last_px=Decimal(100))
    assert Books(world).by_account() == {name: int(q) for name, q in EXAMPLE}
    assert sum(Books(world).by_booking().values()) == 50000


def test_a_refused_replacement_leaves_the_earlier_booking_standing() -> None:
    """The next change replaces what the broker really has, at the booking it belongs to."""
    world = world_of(life_cycle=True)
    world.order()
    world.fill("1000", "100", exec_id="E1")
    (first,) = book(world)
    world.ack(first.alloc_id)
    world.fill("500", "100")
    (second,) = book(world)
    change: dict[str, Any] = {"exec_ref_id": "E1", "last_qty": Decimal(900), "last_px": Decimal(100)}
    refused = one(world.execution(ExecKind.CORRECT, exec_id="K1", **change), SendAllocation).allocation
    assert refused.ref_alloc_id == first.alloc_id
    assert one(world.ack(refused.alloc_id, "rejected"), ExceptionOpened).reason == "GW-871"
    change |= {"exec_ref_id": "K1", "last_qty": Decimal(800)}
    again = one(world.execution(ExecKind.CORRECT, exec_id="K2", **change), SendAllocation).allocation
    assert (again.trans_type, again.ref_alloc_id, again.booking, again.quantity) == ("1", first.alloc_id, 1, 800)
    assert second.booking == 2


def test_a_rejected_booking_is_sent_anew_at_the_next_change() -> None:
    world = world_of(life_cycle=True)
    world.order()
    world.fill("1000", "100", exec_id="E1")
    (first,) = book(world)
    world.ack(first.alloc_id, "rejected")
    world.fill("500", "100", exec_id="E2")
    (second,) = book(world)
    assert second.quantity == 500, "a rejected one is not sent again by itself"
    outputs = world.execution(ExecKind.BUST, exec_id="B", exec_ref_id="E2")
    assert one(outputs, SendAllocation).allocation.ref_alloc_id == second.alloc_id
    correct: dict[str, Any] = {"exec_ref_id": "E1", "last_qty": Decimal(900), "last_px": Decimal(100)}
    anew = one(world.execution(ExecKind.CORRECT, exec_id="K", **correct), SendAllocation).allocation
    assert (anew.trans_type, anew.quantity, anew.booking) == ("0", 900, 1)


def test_a_split_scales_what_is_booked_and_tells_nobody() -> None:
    """Matrix H.1.b overnight: 38 10000→20000, 14 2000→4000, 6 50→25; what brokers booked stands as it was."""
    world = world_of(Interim.DAILY, lines=(("A", 6000), ("B", 4000)))
    world.order("C1", "10000", time_in_force="1")
    world.fill("2000", "50", exec_id="E1")
    (monday,) = day(world, TODAY)
    world.tick(TOMORROW, "09:30:00")
    split = world.execution(
        ExecKind.RESTATED,
        order_qty=Decimal(20000),
        cum_qty=Decimal(4000),
        avg_px=Decimal(25),
        restatement_reason="0",
        ord_status="1",
    )
    assert "GW-861" in [x.reason for x in some(split, ExceptionOpened)]
    assert not some(split, SendAllocation)
    world.fill("1000", "26", exec_id="E2")
    (tuesday,) = day(world, TOMORROW)
    assert (tuesday.quantity, tuesday.avg_px) == (1000, "26.0000")
    world.tick(TODAY + timedelta(days=2), "09:30:00")
    late = world.execution(ExecKind.CORRECT, exec_id="K", exec_ref_id="E1", last_qty=Decimal(3000), last_px=Decimal(25))
    change = one(late, SendAllocation).allocation
    assert (change.trans_type, change.ref_alloc_id, change.quantity) == ("1", monday.alloc_id, 3000)
    assert Books(world).by_account() == wanted(world, Decimal(4000))
