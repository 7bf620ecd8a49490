"""Exceptions before a statement is complete, their deadlines, and changes of a statement that has orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from desks import (
    CHANGED,
    COMPUTED,
    DESK_SETUP,
    FAIR,
    Desk,
    asked,
    decided,
    end,
    open_example,
    refusal,
    sent,
    state_of,
    with_policy,
)
from worlds import SETUP, TODAY, World, one, some

from fixgateway.core.desk_facts import ExceptionOverdue
from fixgateway.core.inputs import Configure, Operator, RenewCalendar
from fixgateway.core.market import Calendar, MarketDay
from fixgateway.core.model import (
    Method,
)
from fixgateway.core.outputs import Alert, SendAllocation, StatementClosed, StatementRegistered

D = Decimal


# ---------------------------------------------------------------- before completion


def test_asked_before_completion_the_computed_one_goes_out_and_is_replaced_when_approved() -> None:
    desk = open_example()
    name = asked(desk.ask(FAIR)).exception_id
    assert sent(end(desk))[0].trans_type == "0"
    assert desk.shares() == COMPUTED
    assert sent(desk.decide(name))[0].trans_type == "1"


def test_approved_before_completion_it_is_used_when_it_fits() -> None:
    desk = open_example()
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    (told,) = sent(end(desk))
    assert {x.account: x.quantity for x in told.shares} == {name: D(q) for name, q in FAIR.items()}


def test_approved_before_completion_and_filled_further_the_computed_one_counts() -> None:
    desk = open_example()
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    desk.fill("10000", "100")
    outputs = end(desk)
    assert desk.shares() == {"CLIENT-A": D(20000), "CLIENT-B": D(8000), "CLIENT-C": D(4000), "PROP": D(8000)}
    assert "GW-906" in {x.reason for x in some(outputs, Alert)}


def test_a_request_whose_fill_never_came_is_void() -> None:
    desk = open_example()
    name = asked(desk.ask({**FAIR, "CLIENT-A": 19000})).exception_id
    outputs = end(desk)
    assert (decided(outputs).exception_id, decided(outputs).decision) == (name, "void")


def test_with_exceptions_wait_the_allocation_waits_for_the_decision() -> None:
    desk = open_example(with_policy(exceptions_wait=True))
    name = asked(desk.ask(FAIR)).exception_id
    assert not some(end(desk), StatementClosed)
    outputs = desk.decide(name)
    (told,) = sent(outputs)
    assert told.trans_type == "0"
    assert {x.account: x.quantity for x in told.shares} == {k: D(q) for k, q in FAIR.items()}


@pytest.mark.parametrize("decision", ["reject", "withdraw"])
def test_with_exceptions_wait_a_rejection_releases_the_computed_one(decision: str) -> None:
    desk = open_example(with_policy(exceptions_wait=True))
    name = asked(desk.ask(FAIR)).exception_id
    end(desk)
    outputs = desk.decide(name, decision, actor="cco" if decision == "reject" else "tom")
    assert sent(outputs)
    assert desk.shares() == COMPUTED


@pytest.mark.parametrize("wait", [False, True])
def test_at_the_cut_off_the_computed_one_goes_out_and_the_request_is_void(wait: bool) -> None:
    desk = open_example(with_policy(exceptions_wait=wait))
    name = asked(desk.ask(FAIR)).exception_id
    if wait:
        end(desk)
    outputs = desk.tick(local_time="19:00:00")
    assert desk.shares() == COMPUTED
    assert (decided(outputs).exception_id, decided(outputs).decision) == (name, "void")
    assert refusal(desk.decide(name)).reason == "GW-912"


def test_closed_by_hand_while_it_waits_the_computed_one_goes_out_and_the_request_stays() -> None:
    desk = open_example(with_policy(exceptions_wait=True))
    name = asked(desk.ask(FAIR)).exception_id
    end(desk)
    assert sent(desk.give(Operator, actor="ops", action="close", target="S-1", reason="r"))
    assert desk.shares() == COMPUTED
    assert sent(desk.decide(name))[0].trans_type == "1"


# ---------------------------------------------------------------- deadlines


_FRIDAY, _MONDAY = date(2026, 11, 27), date(2026, 11, 30)
CALENDAR = Calendar(
    "XNYS", "America/New_York", "test", date(2026, 11, 1), date(2026, 12, 31),
    (
        *(MarketDay(date(2026, 11, d), "09:30", "16:00") for d in (23, 24, 25)),
        MarketDay(_FRIDAY, "09:30", "13:00", early=True), MarketDay(_MONDAY, "09:30", "16:00"),
    ),
)  # fmt: skip
"""Thanksgiving week: Thursday 26 November 2026 is closed, Friday a half day."""


@pytest.mark.parametrize(
    ("day", "local_time", "due"),
    [
        (TODAY, "08:00:00", (TODAY, "10:30")),  # before the open: this morning's
        (TODAY, "09:29:59", (TODAY, "10:30")),
        (TODAY, "09:30:00", (date(2026, 11, 24), "10:30")),
        (TODAY, "15:00:00", (date(2026, 11, 24), "10:30")),
        (date(2026, 11, 25), "12:00:00", (_FRIDAY, "10:30")),  # over the holiday
        (date(2026, 11, 26), "12:00:00", (_FRIDAY, "10:30")),  # on it
        (_FRIDAY, "12:59:00", (_MONDAY, "10:30")),  # half day, then the weekend
    ],
)
def test_a_request_is_due_an_hour_after_the_next_open(day: date, local_time: str, due: tuple[date, str]) -> None:
    desk = Desk(with_policy(allocate_at="off", affirm_at="off"))
    desk.example()
    desk.give(RenewCalendar, calendar=CALENDAR)
    desk.tick(day, local_time)
    request = asked(desk.ask(FAIR))
    assert (request.due_date, request.due_time) == due


def test_the_open_is_noticed_so_that_a_later_request_is_due_tomorrow() -> None:
    """The engine knows the time of its last tick only: the market's open is one."""
    desk = Desk()
    desk.give(RenewCalendar, calendar=CALENDAR)
    desk.tick(date(2026, 11, 24), "03:00:00")
    assert not desk.engine.due(desk.ts_ns, date(2026, 11, 24), "09:29:59")
    assert desk.engine.due(desk.ts_ns, date(2026, 11, 24), "09:30:00")
    desk.tick(date(2026, 11, 24), "09:30:00")
    assert not desk.engine.due(desk.ts_ns, date(2026, 11, 24), "09:30:01")
    assert not World(replace(SETUP, calendar=CALENDAR)).engine.due(0, TODAY, "10:00:00")


def test_without_a_calendar_it_is_due_next_morning() -> None:
    desk = Desk()
    desk.example()
    request = asked(desk.ask(FAIR))
    assert (request.due_date, request.due_time) == (TODAY + timedelta(days=1), "10:30")


def test_late_is_told_once_and_a_late_decision_is_one_all_the_same() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    tomorrow = TODAY + timedelta(days=1)
    desk.tick(tomorrow, "10:00:00")
    assert not desk.engine.due(desk.ts_ns, tomorrow, "10:30:00")  # its last second
    assert desk.engine.due(desk.ts_ns, tomorrow, "10:30:01")
    outputs = desk.tick(tomorrow, "10:30:01")
    assert one(outputs, ExceptionOverdue).exception_id == name
    assert one(outputs, Alert).reason == "GW-902"
    assert not desk.engine.due(desk.ts_ns, tomorrow, "10:30:02")
    assert not some(desk.tick(tomorrow, "11:00:00"), ExceptionOverdue)
    decision = decided(desk.decide(name))
    assert (decision.decision, decision.late) == ("approved", True)


def test_a_decision_in_time_is_not_late() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    desk.tick(TODAY + timedelta(days=1), "10:30:00")
    assert not decided(desk.decide(name)).late


# ---------------------------------------------------------------- statement changes


def test_a_statement_change_puts_the_next_version_in_force() -> None:
    desk = open_example()
    request = asked(desk.ask(CHANGED, kind="statement-change"))
    rows = {x.account: (x.before, x.after) for x in request.lines}
    assert rows["CLIENT-A"] == (D(25000), D(27000))
    outputs = desk.decide(request.exception_id)
    statement = one(outputs, StatementRegistered).statement
    assert (statement.version, statement.total, statement.registered_seq) == (2, D(50000), desk_seq(desk))
    end(desk)
    assert desk.shares() == {"CLIENT-A": D(16200), "CLIENT-B": D(4800), "CLIENT-C": D(3000), "PROP": D(6000)}


def desk_seq(desk: Desk) -> int:
    original = state_of(desk).statements["S-1"].original
    assert original is not None
    return original.registered_seq


def test_a_changed_statement_bounds_its_orders() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order("C1", "20000")
    lines = {"CLIENT-A": 20000, "CLIENT-B": 8000, "CLIENT-C": 4000, "PROP": 8000}
    desk.decide(asked(desk.ask(lines, kind="statement-change")).exception_id)
    assert state_of(desk).statements["S-1"].uncommitted == 20000
    assert not some(desk.order("C2", "20001"), SendAllocation)
    assert len(state_of(desk).statements["S-1"].orders) == 1
    desk.order("C3", "20000")
    assert len(state_of(desk).statements["S-1"].orders) == 2


def test_the_first_statement_sent_again_is_still_the_same() -> None:
    desk = open_example()
    desk.decide(asked(desk.ask(CHANGED, kind="statement-change")).exception_id)
    answer = one(desk.submit(actor="tom"), object)
    assert answer.alloc_status == "0"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ({**CHANGED, "CLIENT-A": 27001}, "GW-910"),  # more than the statement's total
        ({"CLIENT-A": 25000, "PROP": 10000}, "GW-910"),  # less than what is committed to orders
        ({"CLIENT-A": 24999, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10001}, "GW-911"),
        ({"CLIENT-A": 25000, "PROP": 25000}, "GW-911"),
        ({"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "EMP": 10000}, "GW-911"),
        ({"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "ERR": 10000}, "GW-911"),
        ({"CLIENT-A": 35000, "CLIENT-B": 10000, "SHUT": 5000}, "GW-910"),
        ({"CLIENT-A": 35000, "CLIENT-B": 10000, "ALONE": 5000}, "GW-910"),
        ({"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10000}, "GW-910"),  # as it is
    ],
)
def test_a_change_that_cannot_be(lines: dict[str, int], reason: str) -> None:
    desk = open_example()
    assert refusal(desk.ask(lines, kind="statement-change")).reason == reason


def test_the_firms_part_does_not_grow_when_a_client_leaves() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order("C1", "20000")
    left = {"CLIENT-A": 25000, "CLIENT-C": 5000, "PROP": 10000}  # 10,000 of 40,000 is a quarter
    assert refusal(desk.ask(left, kind="statement-change")).reason == "GW-911"
    assert asked(desk.ask({**left, "PROP": 7500}, kind="statement-change"))  # 7,500 of 37,500 is a fifth


def test_a_new_account_may_come_where_lines_have_no_places() -> None:
    desk = open_example()
    lines = {"CLIENT-A": 20000, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10000, "X1": 5000}
    desk.decide(asked(desk.ask(lines, kind="statement-change")).exception_id)
    end(desk)
    assert desk.shares()["X1"] == 3000
    queued = Desk(with_policy(method=Method.CLIENT_PRIORITY, tiers=(("client",), ("proprietary",))))
    queued.submit(actor="tom")
    queued.order()
    assert refusal(queued.ask(lines, kind="statement-change")).reason == "GW-910"


def test_under_priority_the_firm_gets_nothing_by_a_client_that_leaves() -> None:
    """Clients first: of 40,000 filled the firm gets nothing as registered. It gets nothing of less, too."""
    desk = Desk(with_policy(method=Method.CLIENT_PRIORITY, tiers=(("client",), ("proprietary",))))
    desk.submit(actor="tom")
    desk.order("C1", "20000")
    left = {"CLIENT-A": 25000, "CLIENT-C": 5000, "PROP": 7500}
    assert refusal(desk.ask(left, kind="statement-change")).reason == "GW-911"


def test_an_account_that_was_closed_is_taken_out_and_orders_may_follow() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order("C1", "20000")
    shut = tuple(replace(x, status="closed") if x.account == "CLIENT-B" else x for x in DESK_SETUP.accounts)
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=shut))
    orders = state_of(desk).statements["S-1"].orders
    desk.order("C2", "100")
    assert len(orders) == 1  # GW-109
    lines = {"CLIENT-A": 25000, "CLIENT-C": 5000, "PROP": 7500}
    desk.decide(asked(desk.ask(lines, kind="statement-change")).exception_id)
    desk.order("C3", "100")
    assert len(orders) == 2
