"""Which decision sent message number N of a session, and its text, for resends and for rejects by number.

Built from the ``wire-out`` records in order: at start from the journal, afterwards by the pump. Texts of the
latest messages are kept in memory; of older ones only the record's number, and the record is fetched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

TEXTS_MAX = 100_000
"""Messages per session whose text stays in memory."""

NUMBERS_MAX = 1_000_000
"""Messages per session that can be found at all; the oldest are forgotten first (a resend gap-fills them)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message sent: the decision (0: none) and output index, FIX text, wire-out record."""

    decision_seq: int
    index: int
    text: str
    seq: int


@dataclass(slots=True)
class _SessionSends:
    """A session's sends in its epoch: a full entry, or only the record number of an older one.

    The two queues hold the numbers in the order they were noted; only the noting thread touches them.
    """

    entries: dict[int, Sent | int] = field(default_factory=dict)
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
            entries[number] = entry.seq if isinstance(entry, Sent) else entry
            sends.without_text.append(number)
        if len(entries) > self._numbers_max:
            del entries[sends.without_text.popleft()]

    def sent(self, session: str, msg_seq_num: int) -> Sent | None:
        """The message first sent with this number; None when the number is unknown.

        Raises:
            JournalError: an older message's record cannot be read.
        """
        sends = self._sessions.get(session)
        entry = None if sends is None else sends.entries.get(msg_seq_num)
        return self._fetch(entry) if isinstance(entry, int) else entry

    def decision(self, session: str, msg_seq_num: int) -> int | None:
        """The input whose decision sent this number; None when unknown or sent for no decision."""
        sent = self.sent(session, msg_seq_num)
        return sent.decision_seq or None if sent else None

    def texts(self, session: str) -> Iterator[tuple[int, str]]:
        """Every known number of a session's epoch with its text, ascending."""
        sends = self._sessions.get(session)
        for number in sorted(sends.entries) if sends else ():
            text = self.text(session, number)
            if text is not None:
                yield number, text

    def text(self, session: str, msg_seq_num: int) -> str | None:
        """The text as it was first sent; None when the number is unknown."""
        sent = self.sent(session, msg_seq_num)
        return sent.text if sent else None

    def reset(self, session: str) -> None:
        """Forget a session's numbers: a new epoch counts from 1 again."""
        self._sessions[session] = _SessionSends()
