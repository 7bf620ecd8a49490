"""The reading half of a replay in a process of its own, so that two cores work on one journal.

The child reads the files, checks them and makes inputs of the texts; what it would tell a listener it sends
through a pipe in parts, and the parent's listener is told the same in the same order. The pipe holds a few parts,
so the child gets ahead by no more. While the parent has nearly nothing to do the child leaves it orders and
reports as texts, which makes both about equally busy whatever a journal holds. The reading is complete when the
child has said so: a child that ends without is an error, whatever was compared by then.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import struct
import termios
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from fixgateway.core.inputs import Input
from fixgateway.errors import FixgatewayError
from fixgateway.journal.scan import list_segments, locate
from fixgateway.recovery import Text
from fixgateway.replay_reading import Listener, Reading, tell, tell_input
from fixgateway.translate import Counterparty, Translator

APART_BYTES = 4 * 1024 * 1024
"""A smaller journal is read before a second process has paid."""
_PIPE_BYTES = 1024 * 1024
"""What the pipe should hold; the system may allow less."""
_ENOUGH_BYTES = 128 * 1024
"""With less in the pipe the parent will soon have nothing to do."""
TELLS_ALL = frozenset({"D", "8"})
"""Message types that mean the same whatever was sent before: text and configuration are all there is to know."""


def pays(directory: Path) -> bool:
    """Whether a process of its own reads this journal faster: there are two cores, and enough to read.

    Not beside other threads of this process: a forked child would inherit their locks.

    Raises:
        UsageError: there is no journal.
    """
    journal_bytes = 0
    for segment in list_segments(locate(directory)):
        with suppress(OSError):  # compressed a moment ago
            journal_bytes += segment.path.stat().st_size
    cores = len(os.sched_getaffinity(0))
    return cores > 1 and journal_bytes >= APART_BYTES and threading.active_count() == 1


def tell_from_apart(directory: Path, listener: Listener) -> None:
    """As :func:`~fixgateway.replay_reading.tell`, the journal read by another process; by this one if none starts.

    Raises:
        What ``tell`` raises there. FixgatewayError: the other process ended before it had read everything.
    """
    context = multiprocessing.get_context("fork")
    incoming, outgoing = context.Pipe(duplex=False)
    child = context.Process(target=_read, args=(directory, incoming, outgoing), daemon=True)
    try:
        try:
            child.start()
        except OSError:  # no more processes or memory to be had
            tell(directory, listener)
            return
        outgoing.close()  # the child has its own; with this one open its end would not be seen
        if not _Receiver(listener).receive(incoming):
            child.join()
            raise FixgatewayError(
                f"the process that reads {directory} ended early ({_how(child.exitcode)}): what the rest of the "
                "journal says is not known; run it again"
            )
    finally:
        incoming.close()
        outgoing.close()
        if child.pid is not None:
            child.kill()
            child.join()


def _how(exit_code: int | None) -> str:
    return f"signal {-exit_code}" if exit_code and exit_code < 0 else f"exit code {exit_code}"


class _Receiver:
    """Tells a listener what comes from the child; makes inputs of the texts that the child left to it."""

    def __init__(self, listener: Listener) -> None:
        names = ("on_run", "on_bug", "on_failure", "on_decision", "on_part")
        self._listener = listener
        self._told: dict[str, Callable[..., None]] = {name: getattr(listener, name) for name in names}
        self._told |= {"on_input": self._on_input, "on_text": self._on_text, "on_parties": self._on_parties}
        self._on_parties({}, 0)

    def receive(self, incoming: Connection) -> bool:
        """Tell all that comes; whether it came to its end. Raises what the child says went wrong."""
        told = self._told
        while True:
            try:
                part, end = incoming.recv()
            except (EOFError, OSError):  # between two parts, or within one
                return False
            for name, values in part:
                told[name](*values)
            if isinstance(end, Exception):
                raise end
            if end is not None:
                self._listener.on_end(*end)
                return True

    def _on_input(self, seq: int, cls: type[Input], values: tuple[Any, ...]) -> None:
        self._listener.on_input(seq, cls(*values))

    def _on_parties(self, parties: dict[str, Counterparty], max_queue_seconds: int) -> None:
        self._accepted = Translator(parties, _unknown, max_queue_seconds).accepted

    def _on_text(self, *given: Any) -> None:
        tell_input(self._listener, given[2], self._accepted, *given)


def _unknown(session: str, number: int) -> int | None:
    """Only the child knows what was sent."""
    raise RuntimeError(f"nobody here knows which decision sent message {number} on {session}")


# ---------------------------------------------------------------- the child

_VALUES = {cls: attrgetter(*(field.name for field in fields(cls))) for cls in get_args(Input)}
"""Getters of all fields of an input, in the order its class takes them."""


class _Sender:
    """A listener that sends what it is told, a part at a time.

    ``hungry``: whether the parent has nearly nothing left to do.
    """

    def __init__(self, outgoing: Connection) -> None:
        with suppress(OSError):
            fcntl.fcntl(outgoing.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._outgoing = outgoing
        self._part: list[tuple[str, tuple[Any, ...]]] = []
        self._tell = self._part.append
        self.hungry = True

    def on_parties(self, parties: dict[str, Counterparty], max_queue_seconds: int) -> None:
        self._tell(("on_parties", (parties, max_queue_seconds)))

    def on_text(self, given: Text) -> None:
        self._tell(("on_text", given))

    def on_run(self, version: str) -> None:
        self._tell(("on_run", (version,)))

    def on_bug(self, seq: int, text: str) -> None:
        self._tell(("on_bug", (seq, text)))

    def on_input(self, seq: int, given: Input) -> None:
        """The class and its values: a fraction of what the value itself costs to send."""
        cls = type(given)
        self._tell(("on_input", (seq, cls, _VALUES[cls](given))))

    def on_failure(self, seq: int, text: str) -> None:
        self._tell(("on_failure", (seq, text)))

    def on_decision(self, seq: int, payload: bytes) -> None:
        self._tell(("on_decision", (seq, payload)))

    def on_part(self, records: int) -> None:
        self._tell(("on_part", (records,)))
        self.send()

    def on_end(self, records: int, inputs: int) -> None:
        self.send((records, inputs))

    def send(self, end: tuple[int, int] | Exception | None = None) -> None:
        """What was told since the last time; ``end``: it is all there is."""
        self._outgoing.send((self._part, end))
        self._part.clear()
        waiting = struct.unpack("i", fcntl.ioctl(self._outgoing.fileno(), termios.FIONREAD, bytes(4)))[0]
        self.hungry = waiting < _ENOUGH_BYTES


class _Sharing(Reading):
    """Reads, and leaves texts as they are while the parent has time for them."""

    def __init__(self, directory: Path, sender: _Sender) -> None:
        self._sender = sender  # the base class begins with translate_with
        super().__init__(directory, sender)

    def translate_with(self, parties: dict[str, Counterparty], max_queue_seconds: int) -> None:
        super().translate_with(parties, max_queue_seconds)
        self._sender.on_parties(parties, max_queue_seconds)

    def _take_text(self, kind: str, given: Text) -> None:
        if self._sender.hungry and kind in TELLS_ALL:
            self._sender.on_text(given)
        else:
            super()._take_text(kind, given)


def _read(directory: Path, incoming: Connection, outgoing: Connection) -> None:
    """The child: all that is read, or what is wrong, goes through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer; it ends the child
    incoming.close()  # with this one open the parent's end would not be noticed
    sender = _Sender(outgoing)
    try:
        try:
            _Sharing(directory, sender).run()
        except FixgatewayError as error:
            sender.send(error)
        except BrokenPipeError:
            raise
        except Exception as error:
            words = f"the process that reads {directory} failed: {type(error).__name__}: {error}"
            sender.send(RuntimeError(f"{words}\n{traceback.format_exc()}"))
    except BrokenPipeError:
        os._exit(1)  # the parent is gone
