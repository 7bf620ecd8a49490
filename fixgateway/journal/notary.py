"""The notary: signs what the journal's tree is, at an interval, at every new segment and at the stop.

It looks at the writer's durable tree and never at its hot path: the writing thread only hands over the head of
a finished segment. Every checkpoint goes into the journal's directory and to every anchor; what an anchor
outside this machine holds, nobody who has this machine can change any more.

With a time-stamping authority some checkpoints get a time stamp besides: the first, one at an interval of its
own, those of finished segments and the last.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fixgateway.journal.anchors import Authority, Courier, Directory, Endpoint, Place, Report
from fixgateway.journal.checkpoints import (
    DIRECTORY,
    Checkpoint,
    anchor_directory,
    checkpoint_text,
    origin_of,
    parse,
)
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import PrivateKey
from fixgateway.journal.segments import Writer
from fixgateway.journal.timestamps import Stamping

INTERVAL_SECONDS = 60
STOP_SECONDS = 5.0
SEALS_MAX = 1000
"""Finished segments that wait for their checkpoint; beyond it the oldest gets none of its own."""

_NAME = "notary"


@dataclass(frozen=True, slots=True)
class Status:
    """How one place stands: records of the last checkpoint it has, checkpoints that wait, what is wrong."""

    place: str
    records: int
    waiting: int
    dropped: int
    error: str


class Notary:
    """Makes checkpoints of a writer's journal and brings them to their places.

    Args:
        writer: whose tree is signed; the notary hears of its finished segments.
        directory: the journal's own directory.
        name: the gateway's name, for the origin of a new journal's checkpoints.
        key: signs; None writes checkpoints that nobody signed.
        anchor_dirs: directories outside the data directory. anchor_url: an HTTP endpoint, "" for none.
        interval_seconds: between two checkpoints; none is made while the journal does not grow.
        stamping: the authority that stamps checkpoints, and how often; None for no time stamps.
        report: told when a place stops taking checkpoints and when it takes them again; called on other threads.
    """

    def __init__(
        self,
        writer: Writer,
        directory: Path,
        name: str,
        *,
        key: PrivateKey | None = None,
        anchor_dirs: Sequence[Path] = (),
        anchor_url: str = "",
        interval_seconds: float = INTERVAL_SECONDS,
        stamping: Stamping | None = None,
        report: Report = lambda _place, _error: None,
    ) -> None:
        self._writer = writer
        self._directory = directory
        self._name = name
        self._key = key
        self._anchor_dirs = tuple(anchor_dirs)
        self._anchor_url = anchor_url
        self._interval_seconds = interval_seconds
        self._stamping = stamping
        self._stamps_due = 0.0
        self._newest: Checkpoint | None = None
        self._stamped: Checkpoint | None = None
        self._stamper: Courier | None = None
        self._report = report
        self._origin = ""
        self._signed = 0
        self._couriers: list[Courier] = []
        self._seals: deque[Head] = deque(maxlen=SEALS_MAX)
        self._wake = threading.Event()
        self._stopping = False
        self._error = ""
        self._thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
        writer.on_seal.append(self._on_seal)

    def start(self) -> None:
        """Begin; the first checkpoint is made at once if the journal has a record."""
        self._thread.start()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Make the last checkpoint, of everything synced, and bring it to every place.

        Call it after the last sync, before or after the writer is closed.

        Returns:
            whether every place has everything; what a place does not have is covered by later checkpoints.
        """
        deadline = time.monotonic() + timeout_seconds
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_seconds)
        couriers = self._all_couriers
        for courier in couriers:
            courier.stop()
        done = [courier.join(max(0.0, deadline - time.monotonic())) for courier in couriers]
        return all(done) and not self._thread.is_alive()

    @property
    def status(self) -> tuple[Status, ...]:
        """How the places stand, the journal's own directory first; empty before the first checkpoint.

        A time-stamping authority is one of them: ``records`` is what its newest stamp covers.
        """
        return tuple(
            Status(courier.place.name, courier.delivered, courier.waiting, courier.dropped, courier.error)
            for courier in self._all_couriers
        )

    @property
    def _all_couriers(self) -> list[Courier]:
        return [*self._couriers, *([self._stamper] if self._stamper else [])]

    # ------------------------------------------------------------ the writing thread

    def _on_seal(self, head: Head) -> None:
        self._seals.append(head)
        self._wake.set()

    # ------------------------------------------------------------ the notary's thread

    def _run(self) -> None:
        """Checkpoints of finished segments as they come, of the whole journal when the interval is over."""
        due = time.monotonic()
        while True:
            stopping = self._stopping  # read before the heads: what was synced before the stop is in the last one
            self._wake.clear()
            while self._seals:
                self._make(self._seals.popleft())
                self._stamp()
            if stopping or time.monotonic() >= due:
                self._make(self._writer.head)
                due = time.monotonic() + self._interval_seconds
                if stopping or time.monotonic() >= self._stamps_due:
                    self._stamp()
            if stopping:
                return
            if not self._stopping:
                self._wake.wait(max(0.0, due - time.monotonic()))

    def _make(self, head: Head) -> None:
        """Sign and send a head that is newer than the last one."""
        if head.size <= self._signed:
            return
        error = ""
        try:
            if not self._couriers:
                self._open()
            text = checkpoint_text(self._origin, head)
            checkpoint = parse((text if self._key is None else self._key.sign(text)).encode())
            self._signed = head.size
            self._newest = checkpoint
            for courier in self._couriers:
                courier.take(checkpoint)
        except Exception as problem:  # the journal goes on without checkpoints rather than not at all
            error = f"no checkpoint of {head.size} records: {type(problem).__name__}: {problem}"
        if error != self._error:
            self._error = error
            self._report(_NAME, error)

    def _stamp(self) -> None:
        """Ask for a time stamp of the newest checkpoint, if it has not been asked for yet."""
        newest = self._newest
        if self._stamping and self._stamper and newest and newest is not self._stamped:
            self._stamper.take(newest)
            self._stamped = newest
            self._stamps_due = time.monotonic() + self._stamping.seconds

    def _open(self) -> None:
        """Once there is a first record, and with it an origin: the places."""
        self._origin = origin_of(self._directory, self._name)
        anchors = [Directory(anchor_directory(root, self._origin), root) for root in self._anchor_dirs]
        directories = [Directory(self._directory / DIRECTORY, self._directory), *anchors]
        places: list[Place] = [*directories]
        if self._anchor_url:
            places.append(Endpoint(self._anchor_url))
        self._couriers = [Courier(place, self._report) for place in places]
        if self._stamping:
            self._stamper = Courier(Authority(self._stamping, directories), self._report)
        for courier in self._all_couriers:
            courier.start()
