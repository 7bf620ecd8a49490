"""Who signed in, was refused, or read what: notes for the journal that nobody waits for.

The same note within a minute is made once: a page that refreshes itself is one reading. What nobody signed in causes
is bounded in number, so that a stranger cannot fill the journal; how many more there were is noted with the next.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from fixgateway.core.desk_inputs import DeskInput, NoteAccess

AGAIN_SECONDS = 60.0
"""The same access within this time is not noted again."""
STRANGERS_A_MINUTE = 30
"""Most notes a minute of requests from nobody known."""
_KEPT = 10_000
_SUBJECT_CHARACTERS = 200


class Accesses:
    """Makes notes.

    Args:
        note: takes an input without waiting.
        clock: seconds that only grow.
    """

    def __init__(
        self, note: Callable[[Callable[[int, int], DeskInput]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note = note
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str, str, str], float] = OrderedDict()
        self._minute, self._strangers = 0, 0

    def read(self, actor: str, subject: str, address: str) -> None:
        """Somebody reads something."""
        what = "export" if "/export" in subject else "read"
        if self._new((actor, what, subject, address)):
            self.note(actor, what, subject, address)

    def refused(self, actor: str, subject: str, address: str) -> None:
        """A request was refused; ``actor`` "" for nobody known."""
        if not self._new((actor, "refused", subject, address)):
            return
        more = 0
        if not actor:
            with self._lock:
                minute = int(self._clock() // 60)
                if minute != self._minute:
                    more = max(0, self._strangers - STRANGERS_A_MINUTE)
                    self._minute, self._strangers = minute, 0
                self._strangers += 1
                if self._strangers > STRANGERS_A_MINUTE:
                    return
        self.note(actor, "refused", f"{subject} (and {more} more)" if more else subject, address)

    def note(self, actor: str, what: str, subject: str, address: str) -> None:
        """A note as it is."""
        short = subject[:_SUBJECT_CHARACTERS]
        self._note(lambda seq, ts_ns: NoteAccess(seq, ts_ns, actor, what, short, address))

    def _new(self, key: tuple[str, str, str, str]) -> bool:
        """Whether this was not noted within the last minute."""
        now = self._clock()
        with self._lock:
            before = self._seen.get(key)
            if before is not None and now - before < AGAIN_SECONDS:
                return False
            self._seen[key] = now
            self._seen.move_to_end(key)
            if len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        return True
