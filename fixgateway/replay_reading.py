"""What a journal says, told step by step: the half of a replay that asks no engine.

Theory of operation. :class:`Reading` takes the records as a start does (:class:`~fixgateway.recovery.Reader`): the
same texts become the same inputs, with the counterparties the journal itself names. Where a start asks its engine
and remembers what is to be sent, this tells a :class:`Listener` the input; what was decided then it tells as it
stands in the journal. The listener decides and compares (:mod:`fixgateway.replay`). Nothing it does comes back,
so it may sit in another process (:mod:`fixgateway.replay_apart`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from fixgateway.core.inputs import Input
from fixgateway.journal.index import WireIndex
from fixgateway.journal.reader import Finder, read
from fixgateway.journal.records import Kind, Record, unpack_wire_out
from fixgateway.recovery import Make, Reader, bug_text, sent_at, text_of
from fixgateway.sessions.texts import msg_seq_num, msg_type

PROGRESS_RECORDS = 10_000
"""Records between two calls of ``progress`` in :func:`take_all`."""
PART_BYTES = 256 * 1024
"""Bytes of records after which a listener is told how far the reading is: it collects no more than that."""
_RECORD_BYTES = 64
"""What a record counts besides its payload."""
_BUG = re.compile(rb"bug: record ([0-9]{1,19}) ")


class Listener(Protocol):
    """Is told what the records say, in their order."""

    def on_run(self, version: str) -> None:
        """A run of the gateway begins, by the fixgateway of this version ("": it does not say)."""

    def on_bug(self, seq: int, text: str) -> None:
        """The gateway could not process the message of record ``seq`` when it came."""

    def on_input(self, seq: int, given: Input) -> None:
        """Record ``seq`` is this input."""

    def on_failure(self, seq: int, text: str) -> None:
        """Record ``seq`` cannot be made an input."""

    def on_decision(self, seq: int, payload: bytes) -> None:
        """Record ``seq`` says what was decided on an input."""

    def on_part(self, records: int) -> None:
        """So many records are read."""

    def on_end(self, records: int, inputs: int) -> None:
        """All records are read; ``inputs`` of them are control, accepted or engine-refused."""


def index_of(directory: Path) -> WireIndex:
    """An empty index that fetches older messages from the journal."""
    finder = Finder(directory)
    return WireIndex(lambda seq: sent_at(finder, seq))


def take_all(take: Callable[[Record], None], directory: Path, progress: Callable[[int], None] | None) -> None:
    """Give the journal's records to ``take``, telling ``progress``."""
    seq = 0
    for record in read(directory):
        take(record)
        seq = record.seq
        if progress and seq % PROGRESS_RECORDS == 0:
            progress(seq)
    if progress:
        progress(seq)


def tell_input(listener: Listener, seq: int, make: Make, *of: Any) -> None:
    """Make the input of record ``seq`` by ``make(*of)`` and tell it, or why that cannot be."""
    try:
        given, _ = make(*of)
    except Exception as error:
        listener.on_failure(seq, bug_text(seq, error))
        return
    if given is not None:
        listener.on_input(seq, given)


def tell(directory: Path, listener: Listener) -> None:
    """Tell what a journal says from its first record to its last.

    Args:
        directory: the journal or its data directory; a running gateway may write it.
        listener: is told.

    Raises:
        UsageError: there is no journal. JournalDamaged, JournalError: a record cannot be read; names it.
    """
    Reading(directory, listener).run()


class Reading(Reader):
    """One pass over the journal.

    Args:
        directory: the journal or its data directory. listener: is told what the records say.
    """

    def __init__(self, directory: Path, listener: Listener) -> None:
        super().__init__(index_of(directory))
        self._directory = directory
        self._listener = listener
        self._inputs = 0

    def run(self) -> None:
        """See :func:`tell`."""
        take = {kind: handler.__get__(self) for kind, handler in self.TAKE.items()}
        on_part = self._listener.on_part
        seq = size = 0
        for record in read(self._directory):
            seq = record.seq
            take[record.kind](record)
            size += len(record.payload) + _RECORD_BYTES
            if size >= PART_BYTES:
                size = 0
                on_part(seq)
        self._listener.on_end(seq, self._inputs)

    def _apply(self, seq: int, make: Make, *of: Any) -> None:
        tell_input(self._listener, seq, make, *of)

    def _note_input(self, record: Record) -> None:
        self._inputs += 1
        Reader.TAKE[record.kind](self, record)

    def _note_start(self, record: Record) -> None:
        self._on_start(record)
        self._listener.on_run(self.version)

    def _note_event(self, record: Record) -> None:
        self._on_event(record)
        bug = _BUG.match(record.payload)
        if bug:
            self._listener.on_bug(int(bug[1]), record.payload[5:].decode("utf-8", "replace"))

    def _note_decision(self, record: Record) -> None:
        self._listener.on_decision(record.seq, record.payload)

    def _note_wire_out(self, record: Record) -> None:
        """Which decision sent which number; what became of the message decides nothing."""
        sent = unpack_wire_out(record.payload)
        text = text_of(sent.raw)
        number = msg_seq_num(text)
        if number and msg_type(text) != "4":
            self.index.note(record.session, number, sent.decision_seq, sent.index, "", record.seq)

    TAKE: ClassVar[Mapping[int, Callable[[Any, Record], None]]] = {
        **Reader.TAKE,
        Kind.START: _note_start,
        Kind.EVENT: _note_event,
        Kind.CONTROL: _note_input,
        Kind.ACCEPTED: _note_input,
        Kind.ENGINE_REFUSED: _note_input,
        Kind.DECISION: _note_decision,
        Kind.WIRE_OUT: _note_wire_out,
    }
