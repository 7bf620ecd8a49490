"""Which decision sent message number N of a session, and its text, for resends and for rejects by number.

Built from the ``wire-out`` records in order: at start from the journal, afterwards by the pump. Texts of the
latest messages are kept in memory; of older ones only the record's number, and the record is fetched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from fixgateway.core.values import quick
from fixgateway.errors import RecordRemoved

TEXTS_MAX = 100_000
"""Messages per session whose text stays in memory."""

NUMBERS_MAX = 1_000_000
"""Messages per session that can be found at all; the oldest are forgotten first (a resend gap-fills them)."""


@quick
@dataclass(frozen=True, slots=True)
class Sent:
    """One message sent: the decision (0: none) and output index, FIX text, wire-out record."""

    decision_seq: int
    index: int
    text: str
    seq: int


class Place(NamedTuple):
    """A message sent whose text is in the journal alone: number, decision, number of output, wire-out record."""

    msg_seq_num: int
    decision_seq: int
    output: int
    seq: int


@dataclass(slots=True)
class _SessionSends:
    """A session's sends in its epoch: a full entry, a place, or only the record number of an older one.

    The two queues hold the numbers in the order they were noted; only the noting thread touches them.
    ``with_text`` are the newest, which have a text or, from a snapshot, a place.
    """

    entries: dict[int, Sent | Place | int] = field(default_factory=dict)
    with_text: deque[int] = field(default_factory=deque)
    without_text: deque[int] = field(default_factory=deque)


class WireIndex:
    """MsgSeqNum → decision and text, per session.

    One thread calls :meth:`note` and :meth:`reset`, any thread the others: each look-up is one ``dict.get``,
    each change one assignment, so no locks are needed.

    Args:
        fetch: makes the entry of the wire-out record with this number, for older messages; reads the record
            (:class:`~fixgateway.journal.reader.Finder`) and its FIX text.
        texts_max: messages per session kept with text. numbers_max: kept at all.
    """

    def __init__(
        self,
        fetch: Callable[[int], Sent],
        texts_max: int = TEXTS_MAX,
        numbers_max: int = NUMBERS_MAX,
    ) -> None:
        self._fetch = fetch
        self._texts_max = texts_max
        self._numbers_max = max(numbers_max, texts_max)
        self._sessions: dict[str, _SessionSends] = {}

    def note(
        self, session: str, msg_seq_num: int, decision_seq: int, index: int, text: str, seq: int
    ) -> None:
        """Remember a message sent; ``seq`` is its wire-out record.

        The first send of a number counts: a resend or a gap fill of the same number changes nothing.
        """
        sends = self._sessions.get(session)
        if sends is None:
            sends = self._sessions[session] = _SessionSends()
        entries = sends.entries
        if msg_seq_num in entries:
            return
        entries[msg_seq_num] = Sent(decision_seq, index, text, seq)
        sends.with_text.append(msg_seq_num)
        if len(sends.with_text) > self._texts_max:
            number = sends.with_text.popleft()
            entry = entries[number]
            entries[number] = entry if isinstance(entry, int) else entry.seq
            sends.without_text.append(number)
        if len(entries) > self._numbers_max:
            del entries[sends.without_text.popleft()]

    def sent(self, session: str, msg_seq_num: int) -> Sent | None:
        """The message first sent with this number; None when the number is unknown, or its record was removed.

        Raises:
            JournalError: an older message's record cannot be read.
        """
        entry = self._entry(session, msg_seq_num)
        if entry is None or isinstance(entry, Sent):
            return entry
        try:
            return self._fetch(entry.seq if isinstance(entry, Place) else entry)
        except RecordRemoved:  # while the gateway runs; a start forgets them
            return None

    def _entry(self, session: str, msg_seq_num: int) -> Sent | Place | int | None:
        sends = self._sessions.get(session)
        return None if sends is None else sends.entries.get(msg_seq_num)

    def decision(self, session: str, msg_seq_num: int) -> int | None:
        """The input whose decision sent this number; None when unknown or sent for no decision."""
        entry = self._entry(session, msg_seq_num)
        sent = self.sent(session, msg_seq_num) if isinstance(entry, int) else entry
        return sent.decision_seq or None if sent else None

    def texts(self, session: str) -> Iterator[tuple[int, str]]:
        """Every known number of a session's epoch with its text, ascending."""
        sends = self._sessions.get(session)
        for number in sorted(sends.entries) if sends else ():
            text = self.text(session, number)
            if text is not None:
                yield number, text

    def numbers(self, session: str) -> Iterable[int]:
        """Every known number of a session's epoch, in no order."""
        sends = self._sessions.get(session)
        return sends.entries.keys() if sends else ()

    def at(self, seq: int) -> Sent:
        """The message of wire-out record ``seq``, of whatever epoch, read from the journal.

        Raises:
            JournalError: it cannot be read.
        """
        return self._fetch(seq)

    def text(self, session: str, msg_seq_num: int) -> str | None:
        """The text as it was first sent; None when the number is unknown."""
        sent = self.sent(session, msg_seq_num)
        return sent.text if sent else None

    def reset(self, session: str) -> None:
        """Forget a session's numbers: a new epoch counts from 1 again."""
        self._sessions[session] = _SessionSends()

    def forget(self, seq: int) -> None:
        """Forget the messages of records up to ``seq``, which were removed: asked for, their gaps are filled."""
        for session, sends in self._sessions.items():
            kept = {
                number: entry
                for number, entry in sends.entries.items()
                if (entry if isinstance(entry, int) else entry.seq) > seq
            }
            queues = (deque(x for x in queue if x in kept) for queue in (sends.with_text, sends.without_text))
            self._sessions[session] = _SessionSends(kept, *queues)

    # ------------------------------------------------------------ snapshots

    @property
    def sessions(self) -> tuple[str, ...]:
        """The sessions something was sent on in their epoch, by name."""
        return tuple(sorted(name for name, sends in self._sessions.items() if sends.entries))

    def recent(self, session: str) -> list[Place]:
        """The newest messages of a session, in the order they were noted."""
        sends = self._sessions[session]
        found = ((number, sends.entries[number]) for number in sends.with_text)
        return [
            Place(number, entry.decision_seq, entry.index, entry.seq) if isinstance(entry, Sent) else entry
            for number, entry in found
            if not isinstance(entry, int)
        ]

    def older(self, session: str) -> list[tuple[int, int]]:
        """The others, in the same order: number and wire-out record."""
        sends = self._sessions[session]
        found = ((number, sends.entries[number]) for number in sends.without_text)
        return [(number, entry) for number, entry in found if isinstance(entry, int)]

    def restore(self, session: str, recent: Iterable[Place] = (), older: Iterable[tuple[int, int]] = ()) -> None:
        """Note what :meth:`recent` and :meth:`older` gave; of one session in any number of parts."""
        sends = self._sessions.setdefault(session, _SessionSends())
        for place in recent:
            sends.entries[place.msg_seq_num] = place
            sends.with_text.append(place.msg_seq_num)
        for number, seq in older:
            sends.entries[number] = seq
            sends.without_text.append(number)
