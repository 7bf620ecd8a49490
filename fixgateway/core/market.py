"""The days of a market, as values: the calendar, the input that renews it, the fact that it was renewed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A day a market is open: ``open`` and ``close`` are ``HH:MM`` in the policy's zone; ``early``: half a day."""

    day: date
    open: str
    close: str
    early: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of a market from ``first`` to ``last``, both included; a day between them that is missing is closed.

    ``source`` names where they come from, with its version; ``timezone`` is what ``open`` and ``close`` are in.
    """

    name: str
    timezone: str
    source: str
    first: date
    last: date
    days: tuple[MarketDay, ...]


@dataclass(frozen=True, slots=True)
class RenewCalendar:
    """The market's days as they are known now: they reach further, or a day was changed."""

    seq: int
    ts_ns: int
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class CalendarRenewed:
    """The market's days were renewed; ``changed`` are days that were not as they are now, of those known before."""

    name: str
    source: str
    first: date
    last: date
    changed: tuple[date, ...]
