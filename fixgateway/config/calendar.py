"""A market's trading days as plain data, from ``exchange_calendars``.

The library and what it brings along (pandas) take a second and 150 MB to load, and are needed once a day at most.
So they live in a child process, ``python -m fixgateway.config.calendar``, which prints the days as JSON and ends;
nothing else imports them. Times are converted to the policy's time zone here: the core has no time zones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fixgateway.config.problems import Problem
from fixgateway.core.model import Calendar, MarketDay, Policy
from fixgateway.errors import ConfigError

NONE = "none"
"""``deadlines.calendar`` without a calendar."""
BACK_DAYS = 10
"""Days before today a calendar reaches: statements of an earlier date may still be open at a start."""
HORIZON_DAYS = 400
"""Days after today a calendar reaches, so that a gateway nobody renews it for runs for a year."""
TIMEOUT_SECONDS = 120
"""Longest time for the child."""
MAX_DAYS = 1_000
"""Most days a calendar may have."""

_KEY = "deadlines.calendar"


def of_policy(policy: Policy, file: str) -> tuple[Calendar | None, list[Problem]]:
    """The calendar a policy names, from today on; None without one or with a problem."""
    if policy.calendar == NONE:
        return None, []
    today = datetime.now(ZoneInfo(policy.timezone)).date()
    try:
        return read(policy, today), []
    except ConfigError as error:
        remedy = 'name one of exchange_calendars such as "XNYS", or "none"'
        return None, [Problem(file, _KEY, str(error), remedy)]


def read(policy: Policy, today: date) -> Calendar:
    """The days around ``today`` of the calendar a policy names, without the days it calls closed.

    Raises:
        ConfigError: there is no such calendar, or the child failed; the message says why.
    """
    first, last = today - timedelta(days=BACK_DAYS), today + timedelta(days=HORIZON_DAYS)
    asked = [policy.calendar, policy.timezone, first.isoformat(), last.isoformat()]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fixgateway.config.calendar", *asked],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"the days of {policy.calendar} cannot be had: {type(error).__name__}") from None
    if answer.get("error"):
        raise ConfigError(str(answer["error"]))
    return parse(answer, policy, first, last)


def parse(answer: Mapping[str, Any], policy: Policy, first: date, last: date) -> Calendar:
    """The child's answer as the core's value.

    Raises:
        ConfigError: there are no days, or more than :data:`MAX_DAYS`.
    """
    closed = set(policy.closed)
    days = tuple(
        MarketDay(day, opens, closes, early)
        for text, opens, closes, early in answer["days"]
        if (day := date.fromisoformat(text)) not in closed
    )
    if not 0 < len(days) <= MAX_DAYS:
        raise ConfigError(f"{policy.calendar} has {len(days)} trading days from {first} to {last}")
    reach = date.fromisoformat(answer["last"])
    return Calendar(policy.calendar, policy.timezone, str(answer["source"]), first, reach, days)


# ---------------------------------------------------------------- the child


def days_of(
    sessions: Iterable[tuple[date, datetime, datetime]], early: set[date], zone: ZoneInfo
) -> list[tuple[str, str, str, bool]]:
    """(day, open, close, early) in local times.

    Args:
        sessions: day, opening and closing with their time zones. early: days that close early. zone: local times'.

    Raises:
        ConfigError: a session closes on another local day than its own.
    """
    found = []
    for day, opens, closes in sessions:
        local_open, local_close = opens.astimezone(zone), closes.astimezone(zone)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=1)
        if local_close == midnight:
            close = "23:59"
        elif local_close.date() == day:
            close = f"{local_close:%H:%M}"
        else:
            text = f"the session of {day} closes on another day in {zone}: name the market's own timezone"
            raise ConfigError(text)
        start = f"{local_open:%H:%M}" if local_open.date() == day else "00:00"
        found.append((day.isoformat(), start, close, day in early))
    return found


def _look_up(name: str, zone: ZoneInfo, first: date, last: date) -> dict[str, Any]:
    """Ask the library. Raises ConfigError for a calendar it does not have."""
    try:
        import exchange_calendars
    except ImportError:
        raise ConfigError("exchange_calendars is not installed: pip install exchange_calendars") from None
    try:
        bound = exchange_calendars.get_calendar(name).bound_max()
        last = min(last, bound.date()) if bound is not None else last
        calendar = exchange_calendars.get_calendar(name, start=first.isoformat(), end=last.isoformat())
    except exchange_calendars.errors.InvalidCalendarName:
        raise ConfigError(f"there is no calendar {name!r}") from None
    schedule = calendar.schedule
    sessions = (
        (day.date(), row.open.to_pydatetime(), row.close.to_pydatetime()) for day, row in schedule.iterrows()
    )
    early = {day.date() for day in calendar.early_closes}
    source = f"exchange_calendars {exchange_calendars.__version__}"
    return {"source": source, "last": last.isoformat(), "days": days_of(sessions, early, zone)}


def main(arguments: Sequence[str]) -> None:
    """The child: NAME TIMEZONE FIRST LAST; prints one JSON object."""
    name, zone, first, last = arguments
    try:
        answer = _look_up(name, ZoneInfo(zone), date.fromisoformat(first), date.fromisoformat(last))
    except ConfigError as error:
        answer = {"error": str(error)}
    except Exception as error:  # whatever the library trips over becomes words in the parent
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
