"""The FIX store against the journal, before the sessions open.

Theory of operation. Of what came the journal is right: the next number expected is one more than the highest
accepted and durable, whatever the store says, so the counterparty sends the rest again. Of what left the union
of both is right: a message the store has and the journal misses is adopted as sent, one the journal has and the
store misses is put back, and the next number is above both. What left last may be in neither when the store was
lost, is older than the journal, or the machine failed; then :data:`SAFETY_GAP` numbers are skipped, so that none
is used twice, and the counterparty that asks for them gets a gap fill. What was decided and not journaled as sent
may have been sent then (:func:`.recovery.store_lost`). The message the engine was writing when it was killed is
none of that: it sends only what it has stored.

A store emptied by the counterparty's ResetSeqNumFlag(141)=Y a moment before a crash is of a newer epoch than the
journal: its messages bear the journal's numbers and later times. Nothing of the old epoch may be put into it,
for the counterparty would take it for new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from fixgateway.errors import UsageError, WireError
from fixgateway.journal.index import WireIndex
from fixgateway.recovery import RESET, STORE_LOST, Memory, new_epoch, note_sent, store_lost
from fixgateway.sessions import store
from fixgateway.sessions.settings import SessionSpec
from fixgateway.sessions.texts import field, msg_type
from fixgateway.translate import Translator
from fixgateway.wire.message import parse

SAFETY_GAP = 1_000
"""Sender numbers skipped when those used last may not be known."""
ENGINE_SENDS = frozenset({"0", "1", "2", "3", "4", "5", "A", "j"})
"""MsgTypes the FIX engine sends of its own accord; every other message in its store was decided by us."""

ORDERS = ("D", "G")

SAME, NEWER, OLDER, UNKNOWN = "same", "newer", "older", "unknown"
"""The epoch of a store as the journal sees it; unknown when they have no message in common."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles one session after the other.

    Args:
        directory: the FIX stores. memory, index: what the journal says; brought up to date.
        translator: builds what was decided, to know it again in the store.
        wire_out: journals an adopted message: (session, decision, output index, text) → record.
        event: journals an event of a session.
        ended: how the last run did, see :func:`.recovery.ended`.
        log: told what was done.
    """

    directory: Path
    memory: Memory
    index: WireIndex
    translator: Translator
    wire_out: Callable[[str, int, int, str], int]
    event: Callable[[str, str], None]
    ended: str
    log: structlog.stdlib.BoundLogger

    def session(self, spec: SessionSpec) -> None:
        """Make a session's store and the journal agree.

        Raises:
            UsageError: the journal is older than the store; nothing was changed but that a torn end was cut off.
        """
        held = store.look(self.directory, spec)
        if not self.memory.records and held.numbers and max(held.numbers) > 1:
            what = f"says that {held.numbers[0] - 1} messages were sent and {held.numbers[1] - 1} received"
            raise UsageError(self._journal_older(spec, what))
        epoch = self._epoch(spec, held)
        if epoch == NEWER:
            self._adopt_reset(spec)
            epoch = SAME
        if epoch == OLDER:
            held = store.Held(None, (), whole=False)
        else:
            held = self._cut_unsent(spec, held)
            self._adopt(spec, held)
        self._prepare(spec, held, epoch, self.memory.sent.get(spec.name, 0))

    # ------------------------------------------------------------ whose epoch

    def _epoch(self, spec: SessionSpec, held: store.Held) -> str:
        """Compare the first message both have."""
        known = set(self.index.numbers(spec.name))
        common = next((number for number in held.sound if number in known), 0)
        if not common:
            return self._epoch_by_time(spec, held, known)
        journaled = self.index.text(spec.name, common) or ""
        _, stored = next(store.sent_texts(self.directory, spec, common))
        if stored == journaled:
            return SAME
        return NEWER if field(stored, 52) > field(journaled, 52) else OLDER

    def _epoch_by_time(self, spec: SessionSpec, held: store.Held, known: set[int]) -> str:
        """No message in common: numbers that begin again below the journal's, written later, are of a reset."""
        if not (held.sound and known and held.numbers) or held.numbers[0] > self.memory.sent.get(spec.name, 0):
            return UNKNOWN
        newest = self.index.text(spec.name, max(known)) or ""
        _, stored = next(store.sent_texts(self.directory, spec))
        return NEWER if field(stored, 52) > field(newest, 52) else UNKNOWN

    def _adopt_reset(self, spec: SessionSpec) -> None:
        """The counterparty reset the numbers, and the crash kept that from the journal.

        The reset emptied the store, too: what was sent just before it may have left no trace.
        """
        self.event(spec.name, f"{RESET}: found at the start: the FIX store is of a newer epoch")
        new_epoch(self.memory, self.index, spec.name)
        if any(waiting.session == spec.name for waiting in self.memory.pending.values()):
            self.event(spec.name, f"{STORE_LOST}: what was sent last before the reset cannot be known")
            store_lost(self.memory, spec.name)
        self.log.warning("store.newer_epoch", session=spec.name)

    # ------------------------------------------------------------ what left

    def _cut_unsent(self, spec: SessionSpec, held: store.Held) -> store.Held:
        """A kill in the middle of the engine's writing: the message it was writing has not left, and is cut off.

        The engine writes the text, its entry, the number after it, and only then sends. A kill loses nothing that
        was written, so a store that lacks only the end of that hides nothing that left.
        """
        if self.ended != "killed" or held.numbers is None or held.numbers[0] <= self.memory.sent.get(spec.name, 0):
            return held
        number = held.numbers[0]
        if not (held.torn or (held.whole and held.sound[-1:] == (number,))):
            return held
        store.cut(self.directory, spec, number)
        self.log.info("store.torn_end_cut", session=spec.name, msg_seq_num=number)
        return store.look(self.directory, spec)

    def _adopt(self, spec: SessionSpec, held: store.Held) -> None:
        """Messages the store sent and the journal misses (a crash between the two) become wire-out records."""
        name = spec.name
        first = self.memory.sent.get(name, 0) + 1
        for number, text in store.sent_texts(self.directory, spec, first):
            decision, output = self._decided(name, text)
            if not decision and msg_type(text) not in ENGINE_SENDS:
                raise UsageError(self._journal_older(spec, f"holds message {number} (35={msg_type(text)})"))
            seq = self.wire_out(name, decision, output, text)
            note_sent(self.memory, self.index, name, text, seq, decision, output)
            self.log.info("store.adopted", session=name, msg_seq_num=number, decision_seq=decision)

    def _decided(self, session: str, text: str) -> tuple[int, int]:
        """Which message that was to be sent this one is: (decision, output index), (0, 0) when none."""
        try:
            message = parse(text)
        except WireError:
            return 0, 0
        wanted = (message.msg_type, message.body)
        for key, waiting in self.memory.pending.items():
            if waiting.session == session:
                built = self.translator.build(waiting.output, waiting.ts_ns, waiting.source)
                if (built.msg_type, built.body) == wanted:
                    return key
        for sent in self.memory.receipts.again.get(session, ()):
            first = parse(self.index.at(sent.seq).text)
            if (first.msg_type, first.body) == wanted:
                return sent.decision_seq, sent.number
        return 0, 0

    def _journal_older(self, spec: SessionSpec, what: str) -> str:
        """The words for a journal that is older than a session's store."""
        name = spec.name
        return (
            f"the FIX store of session {name} {what}, and the journal has no decision behind that: it is older "
            f"than the session. Restore the newest journal, or agree a sequence reset with {name} and remove its "
            f"files in {self.directory}"
        )

    # ------------------------------------------------------------ what it goes on with

    def _prepare(self, spec: SessionSpec, held: store.Held, epoch: str, sent: int) -> None:
        """The numbers the session goes on with, and a store that has what the journal has."""
        name, numbers = spec.name, held.numbers
        highest = self.memory.highest.get(name, 0)
        known = set(self.index.numbers(name))
        missing = any(not self._is_order(name, number) for number in known.difference(held.sound))
        behind = numbers is None or numbers[0] <= sent
        last = max(sent, (numbers[0] if numbers else 1) - 1)
        # When the machine failed, even a session nothing is known of may just have logged on for the first time.
        failed = self.ended == "failed"
        unsure = failed or (last > 0 and behind)
        next_sender = last + 1 + (SAFETY_GAP if unsure else 0)
        next_target = min(highest + 1, numbers[1]) if numbers else highest + 1
        if not (known or held.sound or numbers or held.files or failed):
            return  # a session that was never there
        if held.whole and not missing and not behind:
            store.prepare_target(self.directory, spec, next_target)
            store.prepare_sender(self.directory, spec, next_sender)
            if unsure:
                self.log.warning("store.numbers_raised", session=name, next_sender=next_sender)
            return
        waiting = any(x.session == name and not x.again for x in self.memory.pending.values())
        if self.ended == "killed" and waiting:
            self.event(name, f"{STORE_LOST}: what was sent last before the crash cannot be known")
            store_lost(self.memory, name)
        texts = self._texts(spec, held, known, orders=epoch == SAME)
        store.rebuild(self.directory, spec, texts, next_sender, next_target)
        if unsure or last > 0:
            self.log.warning("store.rebuilt", session=name, next_sender=next_sender, next_target=next_target)

    def _texts(
        self, spec: SessionSpec, held: store.Held, known: set[int], *, orders: bool
    ) -> Iterator[tuple[int, str]]:
        """Every message of both, ascending.

        Without ``orders`` D and G are left out: it is not sure that the counterparty counts as the journal does,
        and an order sent again under a number that is new to it would be a new order.
        """
        stored = dict(store.sent_texts(self.directory, spec)) if held.sound else {}
        for number in sorted(known.union(held.sound)):
            text = stored.get(number) or self.index.text(spec.name, number)
            if text and (orders or msg_type(text) not in ORDERS):
                yield number, text

    def _is_order(self, session: str, number: int) -> bool:
        """Whether the journal's message is a D or G: left out of a store, it stays out."""
        return msg_type(self.index.text(session, number) or "") in ORDERS
