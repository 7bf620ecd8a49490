"""A journal's writer at work, and waiting for what others make of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from fixgateway.journal.records import Kind
from fixgateway.journal.segments import Writer

WAIT_SECONDS = 20.0


def until(what: Callable[[], object]) -> None:
    """Wait until ``what`` answers something true."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def add(writer: Writer, count: int = 1) -> None:
    """Append records, each durable before the next."""
    for _ in range(count):
        writer.append(Kind.SEEN, "OMS1", 1, b"x" * 50)
        writer.sync()
