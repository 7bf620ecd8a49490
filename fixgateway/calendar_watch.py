"""The market calendar of a gateway that runs for months: looked up again every day, renewed when it must be.

The days came with the configuration and reach about a year ahead. Once a day they are looked up again, by a
short child process (:mod:`fixgateway.config.calendar`), so that a library upgraded meanwhile counts without a
restart. The engine is told when a day it knows has changed, or when :data:`RENEW_DAYS` or fewer are left. When the
look-up fails the old days hold and the log says so; the engine alerts (GW-883) long before they end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog

from fixgateway.config.calendar import HORIZON_DAYS, read
from fixgateway.core.calendar import changed_days
from fixgateway.core.inputs import RenewCalendar
from fixgateway.core.model import Calendar, Policy
from fixgateway.errors import FixgatewayError
from fixgateway.pump import Pump

CHECK_SECONDS = 86_400.0
"""Time between two looks."""
RENEW_DAYS = HORIZON_DAYS - 30
"""With so many days left or fewer the calendar is renewed even if no day has changed."""


class CalendarWatch:
    """Looks the calendar up and gives it to the engine when that is needed.

    Args:
        known: the calendar the engine has. look_up: the days as the library has them now, around a day.
        give: takes a calendar to the engine. today: the local date. log: where a failure is told.
    """

    def __init__(
        self,
        known: Callable[[], Calendar | None],
        look_up: Callable[[date], Calendar],
        give: Callable[[Calendar], object],
        today: Callable[[], date],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._known = known
        self._look_up = look_up
        self._give = give
        self._today = today
        self._log = log

    def run(self, stop: threading.Event) -> None:
        """Look every :data:`CHECK_SECONDS` until ``stop`` is set."""
        while not stop.wait(CHECK_SECONDS):
            self.look()

    def look(self) -> None:
        """One look."""
        known, today = self._known(), self._today()
        if known is None:
            return
        try:
            found = self._look_up(today)
            changed = changed_days(known, found)
            if changed or (known.last - today).days <= RENEW_DAYS:
                self._give(found)
                self._log.info("calendar.renewed", name=found.name, last=str(found.last), changed=len(changed))
        except FixgatewayError as error:
            self._log.error("calendar.not_renewed", name=known.name, last=str(known.last), error=str(error))


def start(
    pump: Pump, policy: Policy, zone: ZoneInfo, log: structlog.stdlib.BoundLogger, stop: threading.Event
) -> None:
    """Start the watch of a running gateway; ``stop`` ends it."""

    def known() -> Calendar | None:
        state = pump.memory.engine.state
        return state.setup.calendar if state is not None else None

    watch = CalendarWatch(
        known=known,
        look_up=lambda today: read(policy, today),
        give=lambda found: pump.ask(lambda seq, ts_ns: RenewCalendar(seq, ts_ns, found)),
        today=lambda: datetime.now(zone).date(),
        log=log,
    )
    threading.Thread(target=watch.run, args=(stop,), name="calendar", daemon=True).start()
