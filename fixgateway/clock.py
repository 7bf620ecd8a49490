"""The gateway's clock: UTC nanoseconds that never go back, and the trade date in the policy's time zone."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

STEP_LIMIT_NS = 2_000_000_000
"""A clock stepped back by more than this turns new orders off until it has caught up."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Readings for the journal. While the system clock is behind the last reading, that reading is repeated.

    Args:
        last_ns: the last reading of the journal, 0 for a new one.
    """

    def __init__(self, last_ns: int = 0) -> None:
        self._last_ns = last_ns
        self.behind_ns = 0

    def now_ns(self) -> int:
        """UTC nanoseconds, never less than the reading before."""
        now = time.time_ns()
        self.behind_ns = self._last_ns - now
        if now > self._last_ns:
            self._last_ns = now
        return self._last_ns

    @property
    def stepped_back(self) -> str:
        """Why the clock cannot be trusted now, "" when it can."""
        if self.behind_ns <= STEP_LIMIT_NS:
            return ""
        return f"the clock was stepped back by {self.behind_ns // 1_000_000_000} seconds"


def local(ts_ns: int, zone: ZoneInfo) -> tuple[date, str]:
    """The date and the time ``HH:MM:SS`` of a reading in a time zone."""
    there = (_EPOCH + timedelta(microseconds=ts_ns // 1000)).astimezone(zone)
    return there.date(), there.strftime("%H:%M:%S")
