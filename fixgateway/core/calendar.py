"""Which days are trade dates, and by when a day's allocations and affirmations are due.

The market's days come with the configuration, as plain data (:class:`.model.Calendar`). Times are local times
``HH:MM[:SS]`` of the policy's time zone, or ``off``. Without a calendar every day is a trade date and the policy's
own times hold. A half day ends earlier when the policy counts minutes after the close.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import date
from operator import attrgetter

from fixgateway.core.inputs import RenewCalendar
from fixgateway.core.model import Calendar, MarketDay, Setup
from fixgateway.core.outputs import CalendarRenewed, Output
from fixgateway.core.state import State

OFF = "off"
HORIZON_DAYS = 30
"""With fewer days than this left in the calendar somebody must be told: it was not renewed."""
_MINUTES = 24 * 60


def market_day(calendar: Calendar, day: date) -> MarketDay | None:
    """The market's hours on ``day``; None when it is closed, or when the calendar does not reach there."""
    at = bisect_left(calendar.days, day, key=attrgetter("day"))
    return calendar.days[at] if at < len(calendar.days) and calendar.days[at].day == day else None


def why_no_trade_date(setup: Setup, day: date) -> str:
    """Why nothing can be dated ``day``: "" when it can, or when there is no calendar."""
    calendar = setup.calendar
    if calendar is None or market_day(calendar, day) is not None:
        return ""
    if not calendar.first <= day <= calendar.last:
        return f"the calendar {calendar.name} reaches from {calendar.first} to {calendar.last}"
    following = next((x.day.isoformat() for x in calendar.days if x.day > day), "")
    after = f"; it opens again on {following}" if following else ""
    return f"{day.isoformat()} is no trading day of {calendar.name}{after}"


def trade_day_problem(state: State, day: date) -> str:
    """Why no statement may be dated ``day`` (GW-882), "" when one may."""
    return why_no_trade_date(state.setup, day)


def is_trade_date(setup: Setup, day: date) -> bool:
    """Whether deadlines run on ``day``; a calendar that does not reach there closes no day."""
    calendar = setup.calendar
    if calendar is None or not calendar.first <= day <= calendar.last:
        return True
    return market_day(calendar, day) is not None


def cut_off(state: State, day: date) -> str:
    """When what is filled on ``day`` is allocated at the latest."""
    policy = state.setup.policy
    return due_by(state.setup, day, policy.allocate_at, policy.allocate_after_close)


def affirm_by(state: State, day: date) -> str:
    """When what was allocated on ``day`` is affirmed at the latest."""
    policy = state.setup.policy
    return due_by(state.setup, day, policy.affirm_at, policy.affirm_after_close)


def past_cut_off(state: State, day: date, local_time: str) -> bool:
    """Whether ``local_time`` of ``day`` is its cut-off or later."""
    at = cut_off(state, day)
    return at != OFF and local_time >= at


def due_by(setup: Setup, day: date, at: str, after_close: int | None) -> str:
    """The earlier of a time of the day and some minutes after the market's close.

    Args:
        setup: has the calendar. day: local date.
        at: ``HH:MM[:SS]`` or ``off``.
        after_close: minutes, None for no such rule.
    """
    hours = market_day(setup.calendar, day) if setup.calendar is not None and after_close is not None else None
    if hours is None or after_close is None:
        return at
    closing = later(hours.close, after_close)
    return closing if at == OFF else min(at, closing)


def later(at: str, minutes: int) -> str:
    """``at`` moved by ``minutes``, which may be negative, within the day: at least 00:00, at most 23:59.

    Seconds stay as they are.
    """
    total = int(at[:2]) * 60 + int(at[3:5]) + minutes
    total = min(max(total, 0), _MINUTES - 1)
    return f"{total // 60:02d}:{total % 60:02d}{at[5:]}"


def changed_days(old: Calendar, new: Calendar) -> tuple[date, ...]:
    """The days both know that are not the same in them."""
    first, last = max(old.first, new.first), min(old.last, new.last)
    differing = set(old.days) ^ set(new.days)
    return tuple(sorted({x.day for x in differing if first <= x.day <= last}))


def on_renew(state: State, given: RenewCalendar) -> list[Output]:
    """The market's days as they are known now."""
    new, old = given.calendar, state.setup.calendar
    state.setup = replace(state.setup, calendar=new)
    changed = changed_days(old, new) if old is not None else ()
    return [CalendarRenewed(new.name, new.source, new.first, new.last, changed)]


def days_left(setup: Setup, day: date) -> int | None:
    """Days of the calendar that are left after ``day``, None without one."""
    return None if setup.calendar is None else (setup.calendar.last - day).days
