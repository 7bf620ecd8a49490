"""What a peer received, in three bounded views, and waiting for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from fixgateway.errors import CounterpartyError
from fixgateway.sim.fields import MAX_GARBLED, Fields
from fixgateway.sim.names import TAG_NAMES

KEPT_MESSAGES = 200_000
"""Most messages in each view; the oldest go first."""


class Inbox:
    """Messages received, and a condition that every change wakes.

    Attributes:
        owner: who waits here, for messages.
        wire: every good frame as it came, duplicates included.
        received: every message once, in sequence.
        garbled: bytes that were no frame, the latest 1,000 pieces.
        errors: what went wrong in callbacks and on the connection, the latest 100.
        news: notified at every change.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.wire: deque[Fields] = deque(maxlen=KEPT_MESSAGES)
        self.received: deque[Fields] = deque(maxlen=KEPT_MESSAGES)
        self.garbled: deque[bytes] = deque(maxlen=MAX_GARBLED)
        self.errors: deque[str] = deque(maxlen=100)
        self.news = threading.Condition()
        self._unread: dict[bool, deque[Fields]] = {
            on_wire: deque(maxlen=KEPT_MESSAGES) for on_wire in (False, True)
        }

    def put_wire(self, fields: Fields) -> None:
        """Keep a frame as it came."""
        with self.news:
            self.wire.append(fields)
            self._unread[True].append(fields)
            self.news.notify_all()

    def put(self, fields: Fields) -> None:
        """Keep a message delivered in sequence."""
        with self.news:
            self.received.append(fields)
            self._unread[False].append(fields)
            self.news.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until ``condition`` holds; whether it did in time."""
        with self.news:
            return self.news.wait_for(condition, timeout_seconds)

    def forget(self) -> None:
        """Let the next :meth:`take` see only what arrives from now on."""
        with self.news:
            for queue in self._unread.values():
                queue.clear()

    def take(
        self, msg_type: str, timeout_seconds: float, match: dict[int, str], *, on_wire: bool = False
    ) -> Fields:
        """Wait for the first message not taken before that matches, and take it; others stay.

        Raises:
            CounterpartyError: nothing matching came within ``timeout_seconds``; names what did come.
        """
        queue = self._unread[on_wire]
        deadline = time.monotonic() + timeout_seconds
        looked_at = 0
        with self.news:
            while True:
                for index in range(looked_at, len(queue)):
                    fields = queue[index]
                    if fields.matches(msg_type, match):
                        del queue[index]
                        return fields
                # a full queue drops on the left, so positions move: look at all of it again
                looked_at = len(queue) if len(queue) < KEPT_MESSAGES else 0
                left = deadline - time.monotonic()
                if left <= 0:
                    values = (f"{TAG_NAMES.get(tag, tag)}={value}" for tag, value in match.items())
                    wanted = " ".join([msg_type or "message", *values])
                    raise CounterpartyError(
                        f"{self.owner} did not receive {wanted} within {timeout_seconds} s; {self.last_words()}"
                    )
                self.news.wait(left)

    def last_words(self) -> str:
        """The latest messages and errors, for error messages."""
        recent = "; ".join(repr(fields) for fields in list(self.wire)[-3:]) or "nothing"
        errors = f"; errors: {'; '.join(list(self.errors)[-3:])}" if self.errors else ""
        return f"last received: {recent}{errors}"
