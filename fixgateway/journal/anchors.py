"""Where checkpoints are sent: directories, HTTP endpoints, a time-stamping authority; each has its own thread.

A place that does not take a checkpoint is asked again, after 1 second, then 2, up to 60. Nothing waits for it:
at most :data:`WAITING_MAX` checkpoints wait for a place, then the oldest is dropped, because every later
checkpoint covers the records of all before it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from fixgateway.errors import JournalError
from fixgateway.journal.checkpoints import Checkpoint, store, store_stamp
from fixgateway.journal.timestamps import Stamping, check, request_for

WAITING_MAX = 1000
"""Checkpoints that wait for one place."""

TRIES_MAX = 5
"""Tries for one checkpoint while others wait behind it; then the next one is tried."""

HTTP_TIMEOUT_SECONDS = 5.0
STAMP_BYTES_MAX = 256 * 1024
"""Of an authority's answer; with a long chain of certificates it has about 10 kB."""

_PAUSE_SECONDS_MAX = 60.0

Report = Callable[[str, str], None]
"""Called with the name of a place and what is wrong with it, "" when it works again."""


class Place(Protocol):
    """Somewhere checkpoints are kept."""

    @property
    def name(self) -> str:
        """What people call it."""

    def deliver(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. Raises whatever hinders it."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of checkpoint files.

    ``mount`` must be there already: a disk that is not mounted must not be replaced by a folder on this one.
    """

    root: Path
    mount: Path

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.root)

    def deliver(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint durably."""
        self._check_mount()
        store(self.root, checkpoint)

    def keep_stamp(self, checkpoint: Checkpoint, stamp: bytes) -> None:
        """Write the checkpoint's time stamp durably beside it."""
        self._check_mount()
        store_stamp(self.root, checkpoint, stamp)

    def _check_mount(self) -> None:
        if not self.mount.is_dir():
            raise JournalError(f"{self.mount} is no directory; create or mount it")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An HTTP endpoint that gets every checkpoint as the body of a POST and answers with any 2xx."""

    url: str

    @property
    def name(self) -> str:
        """Its address."""
        return self.url

    def deliver(self, checkpoint: Checkpoint) -> None:
        """Send the checkpoint."""
        answer = httpx.post(
            self.url,
            content=checkpoint.data,
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=HTTP_TIMEOUT_SECONDS,
        )
        if not answer.is_success:
            raise JournalError(f"answered {answer.status_code} {answer.reason_phrase}".rstrip())


class Authority:
    """A time-stamping authority, as a place checkpoints are brought to.

    Args:
        stamping: whom to ask. directories: where the answers are kept, beside the checkpoints.
    """

    def __init__(self, stamping: Stamping, directories: Sequence[Directory]) -> None:
        self._stamping = stamping
        self._directories = tuple(directories)
        self._answer: tuple[Checkpoint, bytes] | None = None

    @property
    def name(self) -> str:
        """Its address, and what is asked of it."""
        return f"time stamps of {self._stamping.url}"

    def deliver(self, checkpoint: Checkpoint) -> None:
        """Have a checkpoint stamped and keep the answer in every directory.

        Called again after a failure it does not ask again for an answer it has.
        """
        if self._answer is None or self._answer[0] is not checkpoint:
            self._answer = checkpoint, self._ask(checkpoint.data)
        failed = []
        for directory in self._directories:
            try:
                directory.keep_stamp(checkpoint, self._answer[1])
            except (OSError, JournalError) as error:
                failed.append(f"{directory.name}: {error}")
        if failed:
            raise JournalError(f"granted, but not kept in {'; '.join(failed)}")

    def _ask(self, data: bytes) -> bytes:
        request = request_for(data)
        with httpx.stream(
            "POST",
            self._stamping.url,
            content=request.as_bytes(),
            headers={"Content-Type": "application/timestamp-query"},
            timeout=HTTP_TIMEOUT_SECONDS,
        ) as reply:
            if not reply.is_success:
                raise JournalError(f"answered {reply.status_code} {reply.reason_phrase}".rstrip())
            answer = b""
            for block in reply.iter_bytes():
                answer += block
                if len(answer) > STAMP_BYTES_MAX:
                    raise JournalError(f"answered more than {STAMP_BYTES_MAX} bytes")
        check(answer, data, self._stamping.roots, request.nonce)
        return answer


class Courier:
    """Brings checkpoints to one place, in order, on a thread of its own.

    Attributes:
        delivered: the size of the last checkpoint the place took. dropped: checkpoints it never got.
    """

    def __init__(self, place: Place, report: Report) -> None:
        self.place = place
        self.delivered = 0
        self.dropped = 0
        self.error = ""
        self._report = report
        self._waiting: deque[Checkpoint] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"anchor {place.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many checkpoints the place has not taken yet."""
        return len(self._waiting)

    def take(self, checkpoint: Checkpoint) -> None:
        """Deliver this one after those before it; returns at once."""
        with self._changed:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(checkpoint)
            self._changed.notify()

    def stop(self) -> None:
        """Try what waits once more, without pauses, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the end; whether everything was delivered."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive() and not self._waiting

    def _run(self) -> None:
        tries = 0
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                first = self._waiting[0]
            error = self._deliver(first)
            tries = tries + 1 if error else 0
            with self._changed:
                # take() may have dropped it meanwhile to make room.
                over = not error or (tries % TRIES_MAX == 0 and len(self._waiting) > 1)
                if over and self._waiting and self._waiting[0] is first:
                    self._waiting.popleft()
                    self.dropped += bool(error)
                if error and self._stopping:
                    return
                if error:
                    self._changed.wait_for(lambda: self._stopping, min(2.0 ** (tries - 1), _PAUSE_SECONDS_MAX))

    def _deliver(self, checkpoint: Checkpoint) -> str:
        """Why the place did not take it, "" when it did; told when that changes."""
        try:
            self.place.deliver(checkpoint)
            error = ""
            self.delivered = checkpoint.head.size
        except Exception as problem:  # a place that fails in whatever way is a place to be tried again
            error = f"{type(problem).__name__}: {problem}"
        if error != self.error:
            self.error = error
            self._report(self.place.name, error)
        return error
