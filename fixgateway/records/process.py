"""The projector in a process of its own, so that it never takes the interpreter from the pump.

Inside the gateway's process it did: turning a burst of orders into rows holds Python's interpreter lock for
milliseconds at a time, and every message then waits for it. The child follows the journal files by itself and
needs one thing from the gateway, the sequence of the newest durable record, which comes as lines on its
standard input; the end of that input, however the gateway ended, is its end. It answers with lines of JSON:
watermark, lag, skipped, error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

TELL_SECONDS = 0.02
"""Shortest time between two lines to the child."""
HOLD_SECONDS = 5.0
"""Longest time between two lines to the child while the gateway is busy."""
ANSWER_SECONDS = 0.05
"""Shortest time between two lines of the child."""
RESTART_SECONDS = (0.5, 2.0, 10.0)
"""Pauses before a child that died is started again; the last one repeats."""
NICE = 19
"""How much lower than the gateway the operating system ranks the child."""


class ProjectorProcess:
    """Keeps the child running and remembers what it said last.

    Args:
        data_dir: the gateway's data directory. url: the database, as SQLAlchemy writes it.
        busy: whether the gateway has better use for the machine; the child is then told of new records
            only every ``HOLD_SECONDS``.

    Attributes:
        watermark, lag, skipped, error: as :class:`~fixgateway.records.projector.Projector` has them.
    """

    def __init__(self, data_dir: Path, url: str, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._command = [sys.executable, "-m", "fixgateway.records.process", str(data_dir), url]
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._synced_seq = 0
        self._child: subprocess.Popen[str] | None = None
        self.watermark = 0
        self.skipped = 0
        self.error = "the database has not been reached yet"

    @property
    def lag(self) -> int:
        """Durable records that are not in the database yet."""
        return max(0, self._synced_seq - self.watermark)

    def synced(self, seq: int) -> None:
        """The journal is durable up to ``seq``; called by the pump, never waits."""
        self._synced_seq = seq
        self._changed.set()

    def start(self) -> None:
        """Start the thread that looks after the child."""
        threading.Thread(target=self._look_after, name="projector", daemon=True).start()

    def stop(self, timeout_seconds: float) -> bool:
        """Wait until the database has everything, then let the child end; whether it had everything."""
        deadline = time.monotonic() + timeout_seconds
        while self.lag and not self.error and time.monotonic() < deadline:
            time.sleep(TELL_SECONDS)
        self._stopping.set()
        self._changed.set()
        child = self._child
        if child is not None:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
        return self.lag == 0

    def _look_after(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            before = self.watermark
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a Ctrl-C is for the gateway, which then closes our input
            )
            self._child = child
            threading.Thread(target=self._listen, args=(child.stdout,), name="projector-says", daemon=True).start()
            self._tell(child)
            if self._stopping.is_set():
                return
            deaths = 1 if self.watermark > before else deaths + 1
            self.error = f"the projector's process ended with status {child.wait()}; it is started again"
            self._stopping.wait(RESTART_SECONDS[min(deaths, len(RESTART_SECONDS)) - 1])

    def _tell(self, child: subprocess.Popen[str]) -> None:
        """Pass on the newest durable sequence until the child or the gateway ends."""
        told = -1
        try:
            with child.stdin as pipe:  # type: ignore[union-attr]
                while child.poll() is None and not self._stopping.is_set():
                    if self._synced_seq != told:
                        told = self._synced_seq
                        pipe.write(f"{told}\n")
                        pipe.flush()
                        self._pause()
                    else:
                        self._changed.wait(1.0)
                    self._changed.clear()
        except OSError:
            return  # the child is gone; poll() says so

    def _pause(self) -> None:
        """Wait before the next line: shortly, or while the gateway is busy, within ``HOLD_SECONDS``."""
        until = time.monotonic() + HOLD_SECONDS
        time.sleep(TELL_SECONDS)
        while self._busy() and time.monotonic() < until and not self._stopping.is_set():
            time.sleep(TELL_SECONDS)

    def _listen(self, pipe: IO[str]) -> None:
        for line in pipe:
            said = json.loads(line)
            self.watermark, self.skipped, self.error = said["watermark"], said["skipped"], said["error"]


def main(data_dir: str, url: str) -> None:
    """The child: project until standard input ends."""
    from fixgateway.records.database import connect
    from fixgateway.records.projector import Projector

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    stop, wake = threading.Event(), threading.Event()
    synced = [0]

    def follow_input() -> None:
        for line in sys.stdin:
            synced[0] = int(line)
            wake.set()
        stop.set()
        wake.set()

    threading.Thread(target=follow_input, daemon=True).start()
    projector = Projector(connect(url, data_dir))
    follower = threading.Thread(
        target=projector.run, args=(Path(data_dir), stop, wake, lambda: synced[0]), daemon=True
    )
    follower.start()
    said: tuple[int, int, str] = (-1, 0, "")
    while follower.is_alive():
        now = (projector.watermark, projector.skipped, projector.error)
        if now != said:
            said = now
            print(json.dumps({"watermark": now[0], "skipped": now[1], "error": now[2]}), flush=True)
        stop.wait(ANSWER_SECONDS)
        if stop.is_set():
            follower.join(1.0)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
