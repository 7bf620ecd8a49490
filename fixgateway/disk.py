"""The disk watched: whether new orders are safe, in words; and what is done about it.

Everything that may keep a message from being written down turns new orders off, and nothing else: fills,
cancels and answers flow as long as anything can be written at all. The watch says why, the pump journals it
(``JournalState``), the gate refuses (GW-502), readiness goes red. What ends by itself is taken back by itself,
with a margin, so that orders are not switched on and off.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from fixgateway.journal.reserve import free_bytes
from fixgateway.journal.segments import Writer

SLOW_SYNCS = 3
"""As many slow syncs within :data:`QUIET_SECONDS` turn new orders off,"""
STALLED = 5
"""and one that took as many times the limit."""
QUIET_SECONDS = 30.0
"""Orders are on again when there was neither a slow sync nor an error of a FIX store for so long."""
LAST_SHARE = 4
"""The reserve is given back before the disk is full: below a quarter of ``min_free_bytes``."""

STORE_ERRORS = ("Unable to write to file", "Unable to flush file", "Cannot seek", "Unable to get file pointer")
"""How the FIX engine says that it could not write its store."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of the disk.

    ``min_free_bytes``: with less free, orders are off; ``slow_sync_seconds``: a sync that takes longer is slow.
    """

    min_free_bytes: int = 0
    slow_sync_seconds: float = 1.0


class DiskWatch:
    """Watches the disk of the journal and of the FIX stores.

    :meth:`hanging` may be called from any thread, everything else is the pump's.

    Args:
        writer: the journal's writer. limits: see there. log: told what changes.
        damage: why the journal's older records are not what they were, "" while nothing is known against them.

    Attributes:
        free: bytes free on the disk the journal is written to.
        causes: why new orders are off: name of :data:`.metrics.CAUSES` → words; empty while the disk is good.
        broken_stores: sessions whose FIX store must be opened again.
    """

    def __init__(
        self,
        writer: Writer,
        limits: Limits,
        log: structlog.stdlib.BoundLogger,
        damage: Callable[[], str] = lambda: "",
    ) -> None:
        self._writer = writer
        self._damage = damage
        self._limits = limits
        self._log = log
        self._began = 0.0
        self._troubles = 0
        self._slow: deque[float] = deque(maxlen=SLOW_SYNCS)
        self._good_since_slow = True
        self._store_error_at: dict[str, float] = {}
        self.broken_stores: set[str] = set()
        self.causes: dict[str, str] = {}
        self.free = 0
        self.look(time.monotonic())

    @property
    def why(self) -> str:
        """Why new orders are off, "" while the disk is good. The words change only with the state."""
        return "; ".join(self.causes.values())

    # ------------------------------------------------------------ syncs

    def begin(self, now: float) -> None:
        """A sync begins."""
        self._began = now

    def end(self, now: float) -> bool:
        """The sync ended; whether something changed, so that the pump looks at once."""
        seconds, self._began = now - self._began, 0.0
        if seconds <= self._limits.slow_sync_seconds:
            self._good_since_slow = True
            return self._writer.troubles != self._troubles
        self._good_since_slow = False
        self._log.warning("journal.slow_sync", seconds=round(seconds, 3))
        times = SLOW_SYNCS if seconds >= STALLED * self._limits.slow_sync_seconds else 1
        self._slow.extend([now] * times)
        return True

    def hanging(self) -> str:
        """Why the journal cannot be trusted at this moment: a sync does not come back. Any thread may ask."""
        began = self._began
        limit = self._limits.slow_sync_seconds
        if not began or time.monotonic() - began <= limit:
            return ""
        return f"a sync of the journal takes longer than {limit} s; nothing passes until it ends"

    # ------------------------------------------------------------ FIX stores

    def store_event(self, session: str, text: str, now: float) -> bool:
        """The FIX engine noted ``text``; whether it could not write a session's store."""
        if not any(words in text for words in STORE_ERRORS):
            return False
        if session not in self._store_error_at:
            self._log.error("store.not_written", session=session, error=text)
        self._store_error_at[session] = now
        self.broken_stores.add(session)
        return True

    # ------------------------------------------------------------ the look, once a second

    def look(self, now: float) -> None:
        """Look at the disk, give the reserve back or make it anew, and say why orders are off."""
        found = {
            "damaged": self._damage(),
            "spare": self._spare(),
            "full": self._full(),
            "slow": self._slow_disk(now),
            "store": self._stores(now),
        }
        causes = {name: why for name, why in sorted(found.items()) if why}
        for name in causes.keys() - self.causes.keys():
            self._log.error("orders.off", cause=name, why=causes[name], **self._details(name))
        for name in self.causes.keys() - causes.keys():
            self._log.warning("orders.cause_ended", cause=name, free_bytes=self.free)
        self.causes = causes
        self._troubles = self._writer.troubles

    def _details(self, name: str) -> dict[str, object]:
        """What the log says besides the words the counterparties get."""
        place = self._writer.directory
        if name == "spare":
            return {"directory": str(place), "error": self._writer.in_spare}
        return {"directory": str(place), "free_bytes": self.free}

    def _spare(self) -> str:
        return "the journal's disk failed; it goes on in the spare directory" if self._writer.in_spare else ""

    def _full(self) -> str:
        """Why the disk counts as full; the reserve is freed or made anew on the way."""
        reserve, limit = self._writer.reserve, self._limits.min_free_bytes
        try:
            self.free = free_bytes(self._writer.directory)
        except OSError as error:
            return f"the journal's disk does not say how much is free: {error.strerror}"
        if self._writer.in_spare:
            return ""
        if self.free < limit // LAST_SHARE and reserve.held:
            try:
                reserve.give_back()
                self._log.error("journal.reserve_freed", free_bytes=self.free, reserve_bytes=reserve.size)
            except OSError as error:
                self._log.error("journal.reserve_not_freed", error=str(error))
        full = reserve.missing or "full" in self.causes
        if full and self.free >= limit + reserve.size:
            try:
                reserve.make()
                full = False
            except OSError as error:
                self._log.warning("journal.reserve_not_made", error=str(error), free_bytes=self.free)
        if reserve.missing:
            return "the journal's disk is full; its reserve is in use"
        if full or self.free < limit:
            return f"the journal's disk is nearly full: fewer than {limit} bytes are free"
        return ""

    def _slow_disk(self, now: float) -> str:
        """Whether syncs are slow, or were a moment ago."""
        slow = self._slow
        recent = [at for at in slow if now - at < QUIET_SECONDS]
        if "slow" in self.causes:
            over = not recent and self._good_since_slow
            if over:
                slow.clear()
        else:
            over = len(recent) < SLOW_SYNCS
        limit = self._limits.slow_sync_seconds
        return "" if over else f"the journal's disk is slow: syncs take longer than {limit} s"

    def _stores(self, now: float) -> str:
        """Which FIX stores could not be written lately."""
        for session, at in list(self._store_error_at.items()):
            if now - at >= QUIET_SECONDS and session not in self.broken_stores:
                del self._store_error_at[session]
        names = ", ".join(sorted(self._store_error_at))
        return f"the FIX store of {names} cannot be written" if names else ""
