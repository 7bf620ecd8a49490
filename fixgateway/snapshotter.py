"""The process that makes snapshots, and reads what a start from one did not, so that the pump never waits.

At every new segment the gateway starts a child at low priority, which makes a snapshot up to the last record of
the finished segment; at the stop another one, up to the last record. After a start from a snapshot the first
child reads the records before it and compares them with the snapshot's tree and the checkpoints. A child gets its
request as one line of JSON on its standard input and answers with one on its standard output; the end of the
input, however the gateway ended, is its end. A snapshot that fails or is late costs the next start time and
nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fixgateway.errors import FixgatewayError, JournalDamaged
from fixgateway.journal import checkpoints, keys
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import PrivateKey
from fixgateway.snapshots import Source, make, verify_before

if TYPE_CHECKING:
    import structlog  # not in the child

MAKE_SECONDS = 3600.0
"""Longest time for a snapshot beside the running gateway; then it is given up until the next segment."""
STOP_SECONDS = 15.0
"""Longest time a stop waits for its snapshot."""
NICE = 19
"""How much lower than the gateway the operating system ranks the child of a running gateway."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request: the snapshot, or why there is none.

    ``left_aside`` names snapshots that did not fit, each with the reason; ``damaged`` says that ``error`` is of
    the journal's records.
    """

    path: str = ""
    records: int = 0
    replayed: int = 0
    based_on: str = ""
    seconds: float = 0.0
    left_aside: tuple[tuple[str, str], ...] = ()
    error: str = ""
    damaged: bool = False


class Snapshotter:
    """Has snapshots made, one at a time.

    Args:
        data_dir: the gateway's data directory. name, anchor_dirs, key_file: as the checkpoints have them.
        log: gets what became of each.

    Attributes:
        damage: what is wrong with the records before the snapshot the gateway started from; "" while nothing is
            known to be.
    """

    def __init__(
        self,
        data_dir: Path,
        name: str,
        anchor_dirs: Sequence[Path],
        key_file: Path | None,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._request: dict[str, Any] = {
            "data_dir": str(data_dir),
            "name": name,
            "anchor_dirs": [str(path) for path in anchor_dirs],
            "key_file": str(key_file) if key_file else "",
        }
        self._log = log
        self.damage = ""
        self._unread: Head | None = None
        self._wanted = 0
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._stopping = False
        self._child: _Child | None = None

    def on_seal(self, head: Head) -> None:
        """A segment is finished: a snapshot of its records is wanted; never waits.

        While one is being made the newest wish stays, the others are dropped.
        """
        self._wanted = head.size
        self._wake.set()

    def start(self, unread: Head | None = None) -> None:
        """Start the thread that fulfils the wishes.

        Args:
            unread: the tree over the records that the start did not read; they are read first.
        """
        self._unread = unread
        threading.Thread(target=self._run, name="snapshots", daemon=True).start()

    def prepare(self) -> None:
        """The stop begins: what is being made is given up, and the last child made ready."""
        with self._lock:
            self._stopping = True
            self._wake.set()
            if self._child is not None:
                self._child.kill()
            self._child = _started(low_priority=False)

    def finish(self, records: int, timeout_seconds: float = STOP_SECONDS) -> None:
        """Have the last snapshot made, of ``records`` records; after the last sync and :meth:`prepare`."""
        child = self._child
        if child is not None:
            self._report(child.ask({**self._request, "up_to": records}, timeout_seconds))

    def left_aside(self, path: Path, why: str) -> None:
        """A snapshot did not fit and is not used."""
        self._log.warning("snapshot.left_aside", snapshot=path.name, why=why)

    def _report(self, found: Answer) -> None:
        for name, why in found.left_aside:
            self.left_aside(Path(name), why)
        if found.error:
            self._log.warning("snapshot.not_made", error=found.error, seconds=found.seconds)
            return
        facts = asdict(found)
        for name in ("path", "left_aside", "error", "damaged"):
            del facts[name]
        self._log.info("snapshot.made", **facts)

    def _report_unread(self, found: Answer) -> None:
        if found.damaged:
            self.damage = f"the journal is damaged: {found.error}"
            self._log.critical("journal.damaged", error=found.error)
        elif found.error:
            self._log.warning("journal.not_verified", error=found.error, seconds=found.seconds)
        else:
            self._log.info("journal.verified", records=found.records, seconds=found.seconds)

    def _run(self) -> None:
        if self._unread is not None:
            self._fulfil({"up_to": self._unread.size, "root": self._unread.root.hex()}, self._report_unread)
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            self._fulfil({"up_to": self._wanted}, self._report)

    def _fulfil(self, wish: dict[str, Any], report: Callable[[Answer], None]) -> None:
        with self._lock:
            if self._stopping:
                return
            child = self._child = _started(low_priority=True)
        found = child.ask({**self._request, **wish}, MAKE_SECONDS)
        if not self._stopping:
            report(found)


class _Child:
    """One child and its one request; ``process`` is None when it could not be started, ``why`` says why."""

    def __init__(self, process: subprocess.Popen[str] | None, why: str = "") -> None:
        self._process = process
        self._why = why

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, request: dict[str, Any], timeout_seconds: float) -> Answer:
        """Send the request and wait for the answer; after ``timeout_seconds`` the child is ended."""
        if self._process is None:
            return Answer(error=self._why)
        before = time.monotonic()
        found = self._converse(self._process, request, timeout_seconds)
        return replace(found, seconds=round(time.monotonic() - before, 3))

    def _converse(self, process: subprocess.Popen[str], request: dict[str, Any], timeout_seconds: float) -> Answer:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_seconds, give_up)
        timer.daemon = True
        timer.start()
        said = ""
        try:
            pipe, answers = _pipes(process)
            # The pipe stays open while we wait: its end would be the child's.
            with suppress(OSError):
                pipe.write(json.dumps(request) + "\n")
                pipe.flush()
                said = answers.readline()
        finally:
            timer.cancel()
        process.kill()  # it has answered, or never will
        status = process.wait()
        if late.is_set():
            return Answer(error=f"not done in {timeout_seconds:g} seconds")
        if not said.endswith("\n"):
            return Answer(error=f"its process ended with status {status}")
        found = json.loads(said)
        return Answer(**{**found, "left_aside": tuple((name, why) for name, why in found["left_aside"])})


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the child was started without pipes")
    return process.stdin, process.stdout


def _started(*, low_priority: bool) -> _Child:
    command = [sys.executable, "-m", "fixgateway.snapshotter", *(["low-priority"] if low_priority else [])]
    try:
        return _Child(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a Ctrl-C is for the gateway
            )
        )
    except OSError as error:
        return _Child(None, f"its process cannot be started: {error}")


# ---------------------------------------------------------------- the child


def main(arguments: Sequence[str]) -> None:
    """The child: one request, one answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if arguments:
        os.nice(NICE)
    line = sys.stdin.readline()
    if line:
        threading.Thread(target=_end_with_input, daemon=True).start()
        print(json.dumps(asdict(_answer(json.loads(line)))), flush=True)
    os._exit(0)  # the thread that reads stands in the way of an ordinary end


def _end_with_input() -> None:
    while sys.stdin.readline():
        pass
    os._exit(1)


def _answer(request: dict[str, Any]) -> Answer:
    """What a request comes to; whatever goes wrong, the gateway goes on."""
    try:
        key = keys.load_private(Path(request["key_file"])) if request["key_file"] else None
        anchors = [Path(path) for path in request["anchor_dirs"]]
        data_dir, name, up_to = Path(request["data_dir"]), request["name"], request["up_to"]
        if "root" not in request:
            return answer(data_dir, name, anchors, key, up_to)
        known = checkpoints.known(data_dir / "journal", name, anchors, key.public if key else None)
        verify_before(Source(data_dir / "journal", known), Head(up_to, bytes.fromhex(request["root"])))
        return Answer(records=up_to)
    except JournalDamaged as error:
        return Answer(error=str(error), damaged=True)
    except FixgatewayError as error:
        return Answer(error=str(error))
    except Exception as error:
        return Answer(error=f"{type(error).__name__}: {error}")


def answer(
    data_dir: Path,
    name: str = "",
    anchor_dirs: Sequence[Path] = (),
    key: PrivateKey | None = None,
    up_to: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Answer:
    """Make a snapshot; a journal or directory that does not allow it is told in the answer.

    Args:
        name, anchor_dirs: where checkpoints of the journal are, as the notary has them.
        The rest as for :func:`~fixgateway.snapshots.make`.
    """
    aside: list[tuple[str, str]] = []

    def leave(path: Path, why: str) -> None:
        aside.append((path.name, why))

    before = time.monotonic()
    try:
        known = checkpoints.known(data_dir / "journal", name, anchor_dirs, key.public if key else None)
        made = make(data_dir, known, leave, key, up_to, progress)
    except FixgatewayError as error:
        return Answer(left_aside=tuple(aside), error=str(error))
    seconds = round(time.monotonic() - before, 3)
    return Answer(made.path, made.records, made.replayed, made.based_on, seconds, tuple(aside))


if __name__ == "__main__":
    main(sys.argv[1:])
