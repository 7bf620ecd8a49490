"""Gateway processes that start at once, for tests that kill many of them.

Most of a gateway's start is Python's imports. A fork server does them once; then every gateway is a process of its
own that begins where ``fixgateway run`` has its modules. ``python forks.py`` reads commands, one JSON list a line,
and answers each with one line.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

POLL_SECONDS = 0.005
PRELOAD = ("fixgateway.gateway", "fixgateway.cli.run", "uvicorn.protocols.http.auto", "uvicorn.loops.auto")
"""What a gateway imports; more than this it imports by itself."""


class ForkServer:
    """The server's handle; ends it, and with it every gateway, when the ``with`` block ends."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def run(self, arguments: list[str], log: Path) -> Forked:
        """Run the command line in a new process; what it prints is appended to ``log``."""
        return Forked(self, self.ask("run", arguments, str(log)))

    def ask(self, *command: object) -> Any:
        """Give the server a command and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Forked:
    """A process of the fork server, with the part of :class:`subprocess.Popen` that tests use."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end; the exit status."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fixgateway run", timeout)
            time.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


# ---------------------------------------------------------------- the server


def serve() -> None:
    """Answer commands until standard input ends; then no gateway is left."""
    for name in PRELOAD:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    children: set[int] = set()
    for line in sys.stdin:
        answer: int | None
        match json.loads(line):
            case ["run", arguments, log]:
                answer = os.fork()
                if not answer:
                    _become(arguments, log)
                children.add(answer)
            case ["poll", pid]:
                ended, status = os.waitpid(pid, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if ended else None
                children.discard(ended)
            case other:
                raise ValueError(f"unknown command {other}")
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _become(arguments: list[str], log: str) -> NoReturn:
    """The new process: nothing of the server's is left but what it imported."""
    from fixgateway.cli.main import invoke

    nothing, said = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.closerange(3, 64)
    status = 1
    try:
        status = invoke(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve()
