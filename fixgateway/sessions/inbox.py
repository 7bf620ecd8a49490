"""The one queue between the FIX engine's threads and the pump.

First in, first out, filled by many threads and emptied by one. Two doors: :meth:`Inbox.put` never waits (the
engine holds locks while it logs), :meth:`Inbox.put_bounded` waits for room, so that a slow pump makes TCP push
back on the counterparties instead of growing memory. Nothing is ever dropped.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

_STEP_SECONDS = (0.001, 0.02)
"""The shortest and the longest that :meth:`Inbox.put_bounded` sleeps between two looks at the queue. The more room
it finds then the better: while it puts, the pump has to share the interpreter."""
_ITEMS_A_SECOND = 500_000


class Inbox(Generic[T]):
    """Items on their way to the pump.

    Args:
        limit: number of items at which :meth:`put_bounded` starts to wait.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"inbox limit must be at least 1, not {limit}")
        self.limit = limit
        shortest, longest = _STEP_SECONDS
        self._step_seconds = min(max(limit / _ITEMS_A_SECOND, shortest), longest)
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._held: deque[T] = deque()
        self._closed = False
        self.waits = 0
        """How often a callback had to wait for room (a counter for the metrics; approximate)."""

    def put_quietly(self, item: T) -> None:
        """Append ``item`` when the next one comes, without waking the pump for it.

        For what is of no use alone: text that was read, whose acceptance follows at once or never.
        """
        self._held.append(item)

    def put(self, item: T) -> None:
        """Append ``item`` without ever waiting, even above the limit."""
        if self._held:
            self._release()
        self._queue.put(item)

    def _release(self) -> None:
        held = self._held
        while held:
            try:
                self._queue.put(held.popleft())
            except IndexError:  # another thread was faster
                return

    def put_bounded(self, item: T) -> float:
        """Append ``item``, waiting until there is room or the inbox is closed.

        Returns:
            how many seconds it had to wait.
        """
        waited_seconds = 0.0
        if self._queue.qsize() >= self.limit:
            self.waits += 1
            begin = time.monotonic()
            while self._queue.qsize() >= self.limit and not self._closed:
                time.sleep(self._step_seconds)
            waited_seconds = time.monotonic() - begin
        if self._held:
            self._release()
        self._queue.put(item)
        return waited_seconds

    def get_batch(self, max_items: int, timeout_seconds: float) -> list[T]:
        """Take what there is, at most ``max_items``, waiting up to ``timeout_seconds`` for the first one.

        Only one thread may call this.
        """
        waiting = self._queue
        try:
            batch = [waiting.get(timeout=timeout_seconds)]
        except queue.Empty:
            return []
        # With a single reader, what qsize() counts cannot go away before we take it.
        take = waiting.get_nowait
        batch += [take() for _ in range(min(max_items - 1, waiting.qsize()))]
        return batch

    @property
    def full(self) -> bool:
        """Whether callbacks are waiting for room now: the gateway is not ready for more."""
        return self._queue.qsize() >= self.limit

    def qsize(self) -> int:
        """How many items wait for the pump."""
        return self._queue.qsize()

    def close(self) -> None:
        """Let every waiting callback go on and nobody wait again; what is in the queue can still be taken."""
        self._closed = True
