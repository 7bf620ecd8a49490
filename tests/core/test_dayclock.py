"""The deadlines of a trade date: warnings, breaches, requests, figures, half days, days without trading."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from booked import CONFIRMING, SHARES, confirm, opened, sent
from hypothesis import given
from hypothesis import strategies as st
from worlds import POLICY, SETUP, TODAY, World, draft, one, some

from fixgateway.core import calendar
from fixgateway.core.inputs import ExecKind, RenewCalendar
from fixgateway.core.model import Calendar, MarketDay, Setup
from fixgateway.core.outputs import (
    Alert,
    CalendarRenewed,
    CompletionMeasured,
    Output,
    SendAllocation,
    SendConfirmationRequest,
    StatementRefused,
    StatementRegistered,
)

TIMED = replace(CONFIRMING, policy=replace(POLICY, warn_minutes=30))
FRIDAY = date(2026, 11, 27)
"""The day after Thanksgiving: New York closes at 13:00 (NYSE's published hours for 2026)."""
NYSE = Calendar(
    "XNYS", "America/New_York", "test", date(2026, 11, 16), date(2026, 12, 31),
    tuple(
        MarketDay(day, "09:30", "13:00" if day == FRIDAY else "16:00", day == FRIDAY)
        for day in (date(2026, 11, 16) + timedelta(n) for n in range(46))
        if day.weekday() < 5 and day not in (date(2026, 11, 26), date(2026, 12, 25))
    ),
)  # fmt: skip


def codes(outputs: tuple[Output, ...]) -> list[str]:
    return [x.reason for x in some(outputs, Alert)]


def figures(outputs: tuple[Output, ...]) -> list[tuple[str, int, int, int, int, int]]:
    return [
        (x.stage, x.due, x.allocated, x.accepted, x.confirmed, x.affirmed)
        for x in some(outputs, CompletionMeasured)
    ]


def due(world: World, local_time: str, day: date = TODAY) -> bool:
    return world.engine.due(world.ts_ns, day, local_time)


# ---------------------------------------------------------------- a day's stages


def test_a_day_in_order() -> None:
    """Nothing confirmed: warned, asked three times, an exception, measured; every tick is asked for, once."""
    world = World(TIMED)
    alloc_id = sent(world)
    world.ack(alloc_id)
    seen: dict[str, tuple[Output, ...]] = {}
    minute = 17 * 60
    while minute < 24 * 60:
        now = f"{minute // 60:02d}:{minute % 60:02d}:00"
        if due(world, now):
            seen[now] = world.tick(local_time=now)
            assert not due(world, now)
        minute += 1
    assert list(seen) == ["18:30:00", "19:00:00", "20:30:00", "20:40:00", "20:50:00", "21:00:00"]
    assert codes(seen["18:30:00"]) == []  # accepted: nothing to warn of
    assert figures(seen["19:00:00"]) == [("allocate", 4, 4, 4, 0, 0)]
    assert codes(seen["20:30:00"]) == ["GW-880"]
    for now in ("20:30:00", "20:40:00", "20:50:00"):
        asked = one(seen[now], SendConfirmationRequest)
        assert (asked.session, asked.alloc_id, asked.account) == ("BRK1", alloc_id, "")
    assert opened(seen["21:00:00"]) == ["GW-881"]
    assert figures(seen["21:00:00"]) == [("affirm", 4, 4, 4, 0, 0)]
    ended = world.tick(TODAY + timedelta(1), "00:00:01")
    assert figures(ended) == [("day-end", 4, 4, 4, 0, 0)]
    assert codes(ended) == ["GW-881"]
    assert figures(world.tick(TODAY + timedelta(2), "00:00:01")) == []


def test_a_day_on_which_all_is_done_is_quiet() -> None:
    world = World(TIMED)
    alloc_id = sent(world)
    world.ack(alloc_id)
    for account in SHARES:
        confirm(world, alloc_id, account)
    told: list[Output] = []
    for now in ("18:30:00", "19:00:00", "20:30:00", "20:40:00", "20:50:00", "21:00:00"):
        told += world.tick(local_time=now)
    told += world.tick(TODAY + timedelta(1), "00:00:01")
    assert codes(tuple(told)) == []
    assert some(told, SendConfirmationRequest) == []
    assert [x.affirmed for x in some(told, CompletionMeasured)] == [4, 4, 4]


def test_only_what_is_missing_is_asked_for() -> None:
    world = World(TIMED)
    alloc_id = sent(world)
    world.ack(alloc_id)
    confirm(world, alloc_id, "CLIENT-A")
    confirm(world, alloc_id, "CLIENT-B", quantity=Decimal(1))  # wrong, but confirmed
    asked = some(world.tick(local_time="20:30:00"), SendConfirmationRequest)
    assert [x.account for x in asked] == ["CLIENT-C", "PROP"]
    assert len({x.request_id for x in asked}) == 2
    assert figures(world.tick(local_time="21:00:00"))[-1] == ("affirm", 4, 4, 4, 2, 1)


def test_nothing_is_asked_of_a_broker_that_does_not_confirm() -> None:
    world = World(replace(TIMED, brokers=SETUP.brokers))
    world.ack(sent(world))
    told = [x for now in ("20:30:00", "21:00:00") for x in world.tick(local_time=now)]
    assert codes(tuple(told)) == []
    assert some(told, SendConfirmationRequest) == []
    assert [x.confirms for x in some(told, CompletionMeasured)] == [False, False]


def test_unaccepted_allocations_are_warned_of_then_a_breach() -> None:
    world = World(TIMED)
    alloc_id = sent(world)
    warned = world.tick(local_time="18:30:00")
    assert codes(warned) == ["GW-878"]
    assert alloc_id in one(warned, Alert).text
    world.down()
    breach = world.tick(local_time="19:00:00")
    assert opened(breach) == ["GW-879"]
    assert "perhaps it was never sent" in some(breach, Alert)[0].text
    assert figures(breach) == [("allocate", 4, 4, 0, 0, 0)]


def test_unallocated_fills_are_warned_of_and_closed_at_the_cut_off() -> None:
    world = World(TIMED)
    world.submit()
    world.order()
    world.fill("30000", "100")
    assert codes(world.tick(local_time="18:30:00")) == ["GW-878"]
    outputs = world.tick(local_time="19:00:00")
    assert one(outputs, SendAllocation).allocation.quantity == 30000
    assert opened(outputs) == []  # the J has just left: its own timeout watches it
    assert figures(outputs) == [("allocate", 4, 4, 0, 0, 0)]


def test_a_rejected_allocation_is_not_allocated() -> None:
    world = World(TIMED)
    world.ack(sent(world), "rejected")
    breach = world.tick(local_time="19:00:00")
    assert figures(breach) == [("allocate", 4, 0, 0, 0, 0)]
    assert opened(breach) == ["GW-879"]


def test_a_start_after_the_deadline_gives_no_warning_but_the_breach() -> None:
    world = World(TIMED)
    world.ack(sent(world))
    outputs = world.tick(local_time="22:00:00")
    assert codes(outputs) == ["GW-881"]
    assert some(outputs, SendConfirmationRequest) == []
    assert [x[0] for x in figures(outputs)] == ["allocate", "affirm"]
    assert world.tick(local_time="22:00:01") == ()


def test_exceptions_of_one_deadline_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgateway.core.dayclock.MAX_EXCEPTIONS", 2)
    world = World(TIMED)
    for number in range(5):
        world.submit(draft(f"S-{number}"))
        world.order(f"C{number}", statement=f"S-{number}")
        world.fill("50000", "100", f"C{number}", exec_id=f"F{number}")
    breach = world.tick(local_time="19:00:00")
    assert len(opened(breach)) == 3
    assert "3 more" in some(breach, Alert)[-1].text


OFF = replace(TIMED, policy=replace(POLICY, allocate_at="off", affirm_at="off"))


@pytest.mark.parametrize(("warn", "times"), [(1, 1), (2, 2), (3, 3), (30, 3)])
def test_nobody_is_asked_twice_at_once(warn: int, times: int) -> None:
    world = World(replace(TIMED, policy=replace(POLICY, warn_minutes=warn)))
    world.ack(sent(world))
    asked = [
        len(some(world.tick(local_time=f"{20 + minute // 60}:{minute % 60:02d}:00"), SendConfirmationRequest))
        for minute in range(29, 60)
    ]
    assert max(asked) == 1
    assert sum(asked) == times


@pytest.mark.parametrize("setup", [SETUP, OFF])
def test_no_stages(setup: Setup) -> None:
    """Journals from before the deadlines were watched, and policies without deadlines."""
    world = World(setup)
    world.ack(sent(world))
    told = [x for hour in range(10, 24) for x in world.tick(local_time=f"{hour}:00:00")]
    assert some(told, CompletionMeasured) == []
    assert codes(tuple(told)) == []


@given(st.lists(st.integers(10 * 60, 24 * 60 - 1), max_size=12))
def test_whenever_ticks_come_every_stage_is_done_once(minutes: list[int]) -> None:
    world = World(TIMED)
    world.ack(sent(world))
    told: list[Output] = []
    for minute in sorted(minutes):
        told += world.tick(local_time=f"{minute // 60:02d}:{minute % 60:02d}:00")
    told += world.tick(TODAY + timedelta(1), "00:00:01")
    stages = [x.stage for x in some(told, CompletionMeasured)]
    assert len(stages) == len(set(stages))
    assert stages[-1] == "day-end"
    assert len(some(told, SendConfirmationRequest)) <= 3


# ---------------------------------------------------------------- the calendar


def with_calendar(**policy: object) -> Setup:
    return replace(TIMED, policy=replace(TIMED.policy, calendar="XNYS", **policy), calendar=NYSE)  # type: ignore[arg-type]


@pytest.mark.parametrize(("day", "words"), [
    ("2026-11-26", "2026-11-26 is no trading day of XNYS; it opens again on 2026-11-27"),
    ("2026-11-28", "it opens again on 2026-11-30"),
    ("2027-02-01", "reaches from 2026-11-16 to 2026-12-31"),
])  # fmt: skip
def test_statements_for_a_day_without_trading_are_refused(day: str, words: str) -> None:
    world = World(with_calendar())
    problems = one(world.submit(draft(trade_date=day)), StatementRefused).problems
    assert [x.reason for x in problems] == ["GW-882"]
    assert words in problems[0].text


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-27", "2026-12-31"])
def test_statements_for_a_trading_day_are_taken(day: str) -> None:
    assert one(World(with_calendar()).submit(draft(trade_date=day)), StatementRegistered)


def test_no_deadlines_on_a_day_without_trading() -> None:
    world = World(with_calendar())
    world.tick(date(2026, 11, 26))
    assert not due(world, "23:00:00", date(2026, 11, 26))


def test_a_half_day_ends_earlier() -> None:
    world = World(with_calendar(allocate_after_close=180, affirm_after_close=300))
    state = world.engine.state
    assert state is not None
    assert (calendar.cut_off(state, TODAY), calendar.affirm_by(state, TODAY)) == ("19:00", "21:00")
    assert (calendar.cut_off(state, FRIDAY), calendar.affirm_by(state, FRIDAY)) == ("16:00", "18:00")
    world.tick(FRIDAY, "15:59:00")
    world.submit(draft(trade_date=FRIDAY.isoformat()))
    world.order()
    world.fill("30000", "100", exec_id="F1")
    outputs = world.tick(FRIDAY, "16:00:00")
    assert one(outputs, SendAllocation).allocation.trade_date == FRIDAY
    late = one(world.submit(draft("S-2", trade_date=FRIDAY.isoformat())), StatementRefused)
    assert "the cut-off 16:00" in late.problems[0].text


def test_minutes_after_the_close_hold_where_the_time_is_off() -> None:
    world = World(with_calendar(affirm_at="off", affirm_after_close=120))
    assert world.engine.state is not None
    assert calendar.affirm_by(world.engine.state, TODAY) == "18:00"


def test_an_unscheduled_closing_reaches_a_running_gateway() -> None:
    world = World(with_calendar())
    closed = replace(NYSE, last=date(2027, 1, 29), days=tuple(x for x in NYSE.days if x.day != FRIDAY))
    renewed = one(world.give(RenewCalendar, calendar=closed), CalendarRenewed)
    assert (renewed.changed, renewed.last) == ((FRIDAY,), date(2027, 1, 29))
    assert one(world.submit(draft(trade_date=FRIDAY.isoformat())), StatementRefused)


def test_a_calendar_that_is_not_renewed_is_told_before_it_ends() -> None:
    world = World(with_calendar())
    assert "GW-883" not in codes(world.tick(date(2026, 12, 1)))
    assert codes(world.tick(date(2026, 12, 2))) == ["GW-883"]


@given(st.integers(0, 23), st.integers(0, 59), st.integers(-800, 800))
def test_moved_times_stay_within_the_day(hour: int, minute: int, by: int) -> None:
    moved = calendar.later(f"{hour:02d}:{minute:02d}", by)
    wanted = min(max(hour * 60 + minute + by, 0), 1439)
    assert (int(moved[:2]) * 60 + int(moved[3:]), len(moved)) == (wanted, 5)


def test_a_fill_after_the_deadline_reaches_the_figures() -> None:
    world = World(TIMED)
    alloc_id = sent(world)
    world.ack(alloc_id)
    world.tick(local_time="21:00:00")
    late = world.execution(ExecKind.FILL, exec_id="L1", last_qty=Decimal(10000), last_px=Decimal(100))
    replacing = one(late, SendAllocation).allocation
    assert replacing.trans_type == "1"
    ended = world.tick(TODAY + timedelta(1), "00:00:01")
    assert figures(ended) == [("day-end", 4, 4, 0, 0, 0)]
    assert codes(ended) == ["GW-879"]
