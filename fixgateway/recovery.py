"""Start and crash recovery, one code path: the journal's inputs applied to an empty engine.

Theory of operation. Every ``control``, ``accepted`` and ``engine-refused`` record feeds the engine exactly as
it did when it was written; what the engine answers is what was decided then. Every ``wire-out`` record says
which of those decisions reached a socket. What remains are decisions without a wire-out record: their
messages were surely not sent (onOutgoing is called before the bytes leave), unless the FIX store holds a
message the journal misses, which is adopted as sent. Then D and G are given back to the engine as not sent,
and everything else waits in the outbox for its session. When the machine failed (another boot id and no
``stop`` record) nothing is sure: the newest sends may have left no trace. D and G are in doubt then, and what has
no proof of receipt goes again with 97=Y (:mod:`.receipts`).

Inbound the journal wins: the next expected MsgSeqNum of a session is one more than the highest number
accepted and durable, so the counterparty sends the rest again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from fixgateway.core.engine import Engine
from fixgateway.core.inputs import Configure, Input, NotSent, Operator, ReceiptUnknown
from fixgateway.core.model import Setup
from fixgateway.core.outputs import ForwardToBroker, Output, ResendForbidden
from fixgateway.core.receipts import CRASH, MACHINE, answered
from fixgateway.errors import ConfigError, JournalError
from fixgateway.journal.codec import decode_input, decode_json
from fixgateway.journal.index import Sent, WireIndex
from fixgateway.journal.reader import Finder
from fixgateway.journal.records import Kind, Record, unpack_accepted, unpack_engine_refused, unpack_wire_out
from fixgateway.receipts import Answered, Delivery, Receipts
from fixgateway.sessions.texts import field as field_value
from fixgateway.sessions.texts import msg_seq_num, msg_type
from fixgateway.translate import Counterparty, Translator, destination, is_message
from fixgateway.wire.message import Message
from fixgateway.wire.outward import Buildable
from fixgateway.wire.versions import FIX44, Version, named

MAX_SEEN = 200_000
"""Texts read but not accepted that are kept while reading on; the oldest is dropped first."""

Make = Callable[..., tuple[Input | None, Message | None]]
"""Makes an input of what a record holds, and the parsed message when it is one."""
Text = tuple[str, str, int, int, int, int, str]
"""An accepted text: what :meth:`Translator.accepted` is called with."""

RECEIPTS = "receipts"
"""True in a ``start`` record: from here on receipts are kept account of."""
RESET = "reset"
"""First word of an ``event`` record that begins a new epoch of its session."""
STORE_LOST = "store lost"
"""First words of an ``event`` record: a crash and a damaged FIX store hide what was sent last on the session."""


class Pending(NamedTuple):
    """A message that was decided and not sent: output ``number`` of the decision on input ``decision_seq``.

    ``again``: it may have been sent before the machine failed, so it leaves with PossResend(97)=Y.
    """

    session: str
    decision_seq: int
    number: int
    output: Buildable
    source: Message | None
    ts_ns: int
    again: bool = False

    @property
    def is_order(self) -> bool:
        """Whether it is a D or G, which never leaves late."""
        return isinstance(self.output, ForwardToBroker) and self.output.msg_type in ("D", "G")


@dataclass(slots=True)
class Memory:
    """What the journal remembers besides the engine's state.

    ``epochs`` counts resets of a session's numbers; ``highest`` is the highest MsgSeqNum accepted in the
    epoch, ``sent`` the highest sent, ``refused`` the number of the last one the FIX engine refused;
    ``undecided`` are inputs whose decision record is missing; ``forbidden`` the decisions whose D or G must
    not be resent any more; ``receipts`` what was sent without proof that it was received; ``running`` whether
    the last run has no ``stop`` record: it crashed; ``boot_id`` the kernel's of the last run.
    """

    engine: Engine = field(default_factory=Engine)
    epochs: dict[str, int] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    pending: dict[tuple[int, int], Pending] = field(default_factory=dict)
    undecided: dict[int, tuple[Output, ...]] = field(default_factory=dict)
    forbidden: set[int] = field(default_factory=set)
    receipts: Receipts = field(default_factory=Receipts)
    running: bool = False
    boot_id: str = ""
    last_ns: int = 0
    records: int = 0
    bugs: list[str] = field(default_factory=list)


def text_of(raw: bytes) -> str:
    """FIX text of journaled bytes, as the engine gave it."""
    return raw.decode("utf-8", "surrogateescape")


def bug_text(seq: int, error: Exception) -> str:
    """What is said of an input that could not be processed."""
    return f"record {seq}: {type(error).__name__}: {error}"


def sent_at(finder: Finder, seq: int) -> Sent:
    """An older message, read back from its wire-out record ``seq``, for :class:`WireIndex`."""
    wire_out = unpack_wire_out(finder.read(seq).payload)
    return Sent(wire_out.decision_seq, wire_out.index, text_of(wire_out.raw), seq)


def recover(
    records: Iterable[Record], reader: Reader, progress: Callable[[int], None] | None = None
) -> Memory:
    """Apply a journal to an empty engine, or the rest of it to one a snapshot left.

    The counterparties are those the journal names, as they were when each message came: what today's
    configuration says changes nothing of what was decided.

    Args:
        records: the journal behind what ``reader`` has taken; from its first record for a new one.
        reader: takes them.
        progress: called now and then with the number of records read.
    """
    for record in records:
        reader.take(record)
        if progress and record.seq % 10_000 == 0:
            progress(record.seq)
    return reader.memory


class Reader:
    """One pass over the journal. All it remembers is kept in a snapshot (:mod:`fixgateway.snapshots`).

    Args:
        index: filled with what was sent.

    Attributes:
        memory: what the records taken so far leave behind.
        version: of the fixgateway that wrote the current run.
        told: FIX version and ``on_behalf_of`` of each counterparty by the last start record.
        parties, max_queue_seconds: what texts are translated with.
        seen: texts read and not accepted yet, with the clock when they were read, by record.
    """

    def __init__(self, index: WireIndex) -> None:
        self.memory = Memory()
        self.version = ""
        self.told: dict[str, tuple[Version, bool]] = {}
        self.seen: dict[int, tuple[str, int]] = {}
        self.index = index
        self.translate_with({}, 0)

    def translate_with(self, parties: dict[str, Counterparty], max_queue_seconds: int) -> None:
        """From here on texts are translated for these counterparties."""
        self.parties, self.max_queue_seconds = parties, max_queue_seconds
        self._translator = Translator(parties, self.index.decision, max_queue_seconds)

    def take(self, record: Record) -> None:
        """Apply one record."""
        self.memory.records += 1
        self.memory.last_ns = max(self.memory.last_ns, record.ts_ns)
        handler = self.TAKE.get(record.kind)
        if handler is not None:
            handler(self, record)

    def _on_start(self, record: Record) -> None:
        facts = decode_json(record.payload)
        if not isinstance(facts, dict):
            raise JournalError(f"record {record.seq} is no start record: it starts {record.payload[:60]!r}")
        self.version = str(facts.get("version", ""))
        self.told = told_parties(facts, record.seq)
        note_start(self.memory, str(facts.get("boot_id", "")), facts.get(RECEIPTS) is True)

    def _on_seen(self, record: Record) -> None:
        self.seen[record.seq] = (text_of(record.payload), record.ts_ns)
        if len(self.seen) > MAX_SEEN:
            del self.seen[next(iter(self.seen))]

    def _text(self, record: Record, seen_seq: int) -> tuple[str, int]:
        try:
            return self.seen.pop(seen_seq)
        except KeyError:
            raise JournalError(f"record {record.seq} names seen record {seen_seq}, which is not there") from None

    def _on_accepted(self, record: Record) -> None:
        ref = unpack_accepted(record.payload)
        text, seen_ns = self._text(record, ref.seen_seq)
        kind = msg_type(text)
        if already_done(self.memory, record.session, ref.msg_seq_num, text):
            return
        self.memory.highest[record.session] = after(kind, text, ref.msg_seq_num)
        if not concerns_core(kind):
            note_admin(self.memory, record.session, kind, text)
            return
        with_seed = (record.session, text, record.seq, record.ts_ns, seen_ns, ref.msg_seq_num, ref.seed)
        self._take_text(kind, with_seed)

    def _take_text(self, _kind: str, given: Text) -> None:
        self._apply(given[2], self._translator.accepted, *given)

    def _on_refused(self, record: Record) -> None:
        ref = unpack_engine_refused(record.payload)
        text, _ = self._text(record, ref.seen_seq)
        if refused_before(self.memory, record.session, text):
            return
        as_it_came = (record.session, text, record.seq, record.ts_ns, ref.why)
        self._apply(record.seq, self._translator.refused, *as_it_came)

    def _on_control(self, record: Record) -> None:
        given = decode_input(record.payload, record.seq, record.ts_ns)
        self._apply(record.seq, lambda: (given, None))
        note_told(self.memory, given)
        if isinstance(given, Configure):
            self.translate_with(journaled_parties(given.setup, self.told), given.setup.limits.max_queue_seconds)

    def _apply(self, seq: int, make: Make, *of: Any) -> None:
        """Drive the engine as the pump did; an input that failed then fails again and changes nothing more."""
        try:
            given, source = make(*of)
            if given is None:
                return
            outputs = self.memory.engine.apply(given)
        except Exception as error:
            self.memory.bugs.append(bug_text(seq, error))
            return
        if outputs:
            self.memory.undecided[seq] = outputs
        for number, output in enumerate(outputs):
            if isinstance(output, ResendForbidden):
                self.memory.forbidden.add(output.decision_seq)
            elif is_message(output):
                waiting = Pending(destination(output), seq, number, output, source, given.ts_ns)
                self.memory.pending[(seq, number)] = waiting

    def _on_decision(self, record: Record) -> None:
        head = record.payload[6 : record.payload.index(b",")]  # {"in":123,…
        self.memory.undecided.pop(int(head), None)

    def _on_wire_out(self, record: Record) -> None:
        sent = unpack_wire_out(record.payload)
        text = text_of(sent.raw)
        note_sent(self.memory, self.index, record.session, text, record.seq, sent.decision_seq, sent.index)

    def _on_event(self, record: Record) -> None:
        if record.payload.startswith(RESET.encode()):
            new_epoch(self.memory, self.index, record.session)
        elif record.payload.startswith(STORE_LOST.encode()):
            store_lost(self.memory, record.session)

    def _on_stop(self, _record: Record) -> None:
        self.memory.running = False

    TAKE: ClassVar[Mapping[int, Callable[[Any, Record], None]]] = {
        Kind.START: _on_start,
        Kind.SEEN: _on_seen,
        Kind.ACCEPTED: _on_accepted,
        Kind.ENGINE_REFUSED: _on_refused,
        Kind.CONTROL: _on_control,
        Kind.DECISION: _on_decision,
        Kind.WIRE_OUT: _on_wire_out,
        Kind.EVENT: _on_event,
        Kind.STOP: _on_stop,
    }
    """What is done with a record of each kind; replay does more."""


# ---------------------------------------------------------------- counterparties in the journal


def describe_parties(parties: Mapping[str, Counterparty]) -> dict[str, dict[str, Any]]:
    """``parties`` of a ``start`` record: what translating needs and ``Configure`` does not hold.

    Role, match keys and the longest wait are in the ``Configure`` input that follows it.
    """
    return {
        party.name: {"version": party.version.name, "on_behalf_of": party.on_behalf_of}
        for party in parties.values()
    }


def told_parties(facts: Mapping[str, Any], seq: int) -> dict[str, tuple[Version, bool]]:
    """FIX version and ``on_behalf_of`` of each counterparty a ``start`` record names; older ones name none.

    Raises:
        JournalError: a version this fixgateway does not speak; ``seq`` is the record.
    """
    try:
        return {
            str(name): (named(str(told["version"])), bool(told["on_behalf_of"]))
            for name, told in facts.get("parties", {}).items()
        }
    except (ConfigError, AttributeError, KeyError, TypeError) as error:
        raise JournalError(
            f"record {seq}: the counterparties of the start record cannot be read: {error}; read this journal "
            f"with fixgateway {facts.get('version', 'of the version that wrote it')}"
        ) from None


def journaled_parties(setup: Setup, told: Mapping[str, tuple[Version, bool]]) -> dict[str, Counterparty]:
    """The counterparties of a ``Configure``; FIX 4.4 where the ``start`` record does not say."""
    unknown = (FIX44, False)
    omses = {x.name: Counterparty(x.name, "oms", *told.get(x.name, unknown)[:1], x.match) for x in setup.omses}
    brokers = {
        x.name: Counterparty(x.name, "broker", version, (), on_behalf_of)
        for x in setup.brokers
        for version, on_behalf_of in (told.get(x.name, unknown),)
    }
    return {**omses, **brokers}


# ---------------------------------------------------------------- shared with the pump


def concerns_core(kind: str) -> bool:
    """Whether a message of this type is an input: application messages, and Reject (3) of one of ours."""
    return kind not in ("0", "1", "2", "4", "5", "A")


def after(kind: str, text: str, number: int) -> int:
    """The highest number dealt with once this message is: SequenceReset (4) moves it to NewSeqNo − 1."""
    if kind != "4":
        return number
    value = field_value(text, 36)
    plain = value.isascii() and value.isdigit() and len(value) < 12
    return max(number, int(value) - 1) if plain else number


def already_done(memory: Memory, session: str, number: int, text: str) -> bool:
    """Whether a PossDup message repeats a number of this epoch that was accepted before."""
    return number <= memory.highest.get(session, 0) and "\x0143=Y\x01" in text


def refused_before(memory: Memory, session: str, text: str) -> bool:
    """Whether a message that the engine refuses is the resent copy of the one it refused last."""
    number = field_value(text, 34)
    repeated = memory.refused.get(session) == number and "\x0143=Y\x01" in text
    memory.refused[session] = number
    return repeated


def new_epoch(memory: Memory, index: WireIndex, session: str) -> list[Delivery]:
    """A session's numbers begin again at 1: what may not have been received cannot be asked for any more.

    Returns:
        what is to be sent again because of that.
    """
    again = memory.receipts.lose_sight(session, is_answered(memory))
    memory.epochs[session] = memory.epochs.get(session, 0) + 1
    memory.highest[session] = memory.sent[session] = 0
    index.reset(session)
    return again


def note_sent(
    memory: Memory, index: WireIndex, session: str, text: str, seq: int, decision_seq: int, output: int
) -> None:
    """Remember a message that left: for resends, for refusals by number, and as no longer pending."""
    number, kind = msg_seq_num(text), msg_type(text)
    if not number or kind == "4":  # a gap fill uses no number of its own
        return
    index.note(session, number, decision_seq, output, text, seq)
    if number > memory.sent.get(session, 0):
        memory.sent[session] = number
    if not decision_seq:
        memory.receipts.engine_sent(session, kind, text, number)
        return
    memory.pending.pop((decision_seq, output), None)
    memory.receipts.sent(Delivery(session, number, decision_seq, output, kind, seq))


def note_start(memory: Memory, boot_id: str, kept: bool) -> None:
    """A run begins.

    After a crash D and G without proof of receipt are in doubt; after the machine failed everything else without
    it is to be sent again, and what was decided and has no wire-out record may have been sent all the same.

    Args:
        boot_id: of this run. kept: whether it keeps account of receipts.
    """
    failed = memory.running and not same_boot(memory, boot_id)
    lost = memory.receipts.lose_sight if failed else memory.receipts.doubt
    for session in list(memory.receipts.unproven) if memory.running else ():
        lost(session, is_answered(memory))
    if failed:
        store_lost(memory)
    memory.running, memory.boot_id, memory.receipts.kept = True, boot_id, kept


def store_lost(memory: Memory, session: str = "") -> None:
    """What was decided and has no wire-out record may have been sent: on a session, or on all.

    D and G of it are in doubt then, and the rest leaves with 97=Y.
    """
    memory.pending = {
        key: waiting._replace(again=True) if session in ("", waiting.session) else waiting
        for key, waiting in memory.pending.items()
    }


def same_boot(memory: Memory, boot_id: str) -> bool:
    """Whether the machine is known not to have been started since the last run."""
    return bool(boot_id) and boot_id == memory.boot_id


def note_admin(memory: Memory, session: str, kind: str, text: str) -> None:
    """A session-level message was accepted: an answered TestRequest proves receipts."""
    if kind == "0":
        memory.receipts.heartbeat(session, text)


def note_told(memory: Memory, given: Input) -> None:
    """The engine was told what will never leave."""
    if isinstance(given, NotSent):
        memory.pending.pop((given.decision_seq, given.index), None)
    elif isinstance(given, ReceiptUnknown):
        memory.receipts.doubtful.pop(given.session, None)
        for key in [key for key in memory.pending if key[0] in given.doubtful]:
            if memory.pending[key].is_order:
                del memory.pending[key]


def is_answered(memory: Memory) -> Answered:
    """Whether the counterparty answered what a decision sent it, as the engine sees it now."""
    state = memory.engine.state
    return lambda decision, session: state is not None and answered(state, decision, session)


def receipt_unknown(memory: Memory, session: str, why: str) -> Callable[[int, int], Input] | None:
    """The input that tells the engine what was lost sight of on a session; None when nothing was.

    A reset and a machine's failure are told in any case when the session was in use.
    """
    receipts = memory.receipts
    waiting = [x for x in memory.pending.values() if x.session == session and x.again]
    repeats = [*receipts.again.get(session, ()), *(x for x in waiting if not x.is_order)]
    doubts = [*receipts.doubtful.get(session, ()), *(x for x in waiting if x.is_order)]
    if not repeats and not doubts and why == CRASH:
        return None
    repeated = tuple(sorted({x.decision_seq for x in repeats}))
    doubtful = tuple(sorted({x.decision_seq for x in doubts}))
    return lambda seq, ts_ns: ReceiptUnknown(seq, ts_ns, session, why, repeated, doubtful)


def leftovers(memory: Memory) -> list[Pending | Delivery]:
    """What was decided and not sent, or is to be sent again, in order of decision."""
    again = (sent for sends in memory.receipts.again.values() for sent in sends)
    return sorted([*memory.pending.values(), *again], key=lambda waiting: (waiting.decision_seq, waiting.number))


def surely_not_sent(waiting: Pending | Delivery) -> bool:
    """Whether it is a D or G that onOutgoing never showed, and nothing can have hidden that."""
    return isinstance(waiting, Pending) and waiting.is_order and not waiting.again


def told_at_start(memory: Memory, how: str) -> list[Callable[[int, int], Input]]:
    """What the engine is told, session by session, of what was lost sight of. Ask after :func:`note_start`."""
    failed = how == "failed"
    sessions = {*memory.receipts.again, *memory.receipts.doubtful}
    sessions.update(waiting.session for waiting in memory.pending.values())
    sessions.update(name for name, number in memory.sent.items() if failed and number)
    why = MACHINE if failed else CRASH
    return [make for name in sorted(sessions) if (make := receipt_unknown(memory, name, why))]


def ended(memory: Memory, boot_id: str) -> str:
    """How the run before this one ended, as the ``start`` input says it. Ask before :func:`note_start`."""
    if not memory.records:
        return "none"
    if not memory.running:
        return "stopped"
    return "killed" if same_boot(memory, boot_id) else "failed"


def started(how: str) -> Callable[[int, int], Input]:
    """The control input of a start."""
    return lambda seq, ts_ns: Operator(seq, ts_ns, "gateway", "start", "all", how)
