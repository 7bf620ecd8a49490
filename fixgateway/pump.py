"""The pump: one thread that joins the rooms.

Theory of operation. Everything that happens arrives in one inbox, first in first out. The pump takes a
batch, and for each item writes its journal record, translates it, applies it to the engine and writes the
decision. Then one sync makes the whole batch durable, and only then are the batch's messages sent and its
callers answered: nothing leaves that the journal does not hold (write ahead). What was sent comes back as an
``Outgoing`` item and is journaled with the next batch. A batch that nothing waits for (texts read or sent) is
made durable with the next one, at the latest after ``SYNC_SECONDS``. Behind a ``Barrier`` a FIX session's thread
waits for its reset of numbers to be durable; it goes on before the batch's messages are sent.

Failing. While the disk is full, slow or has failed new orders are off and the rest goes on (:mod:`.disk`). A
journal that cannot be written at all ends the process at once: nothing is sent unjournaled, and what was not
durable comes again by resend. A bug of ours in translating or deciding costs one message its decision,
never the record of it: the text is journaled, a broker's message is passed on, the sender of any other is
told, and new orders are off.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import structlog

from fixgateway.clock import Clock, local
from fixgateway.core.inputs import Input, JournalState, NotSent, SessionDown, SessionUp, Tick
from fixgateway.core.outputs import (
    CutSession,
    Output,
    PassToOms,
    ResendForbidden,
    SendBusinessReject,
)
from fixgateway.core.receipts import RESET as NUMBERS_RESET
from fixgateway.disk import DiskWatch
from fixgateway.errors import FixgatewayError, WireError
from fixgateway.figures import Figures, unallocated
from fixgateway.journal.codec import encode_input, encode_outputs
from fixgateway.journal.index import WireIndex
from fixgateway.journal.records import Kind, pack_accepted, pack_engine_refused, pack_wire_out
from fixgateway.journal.segments import Writer
from fixgateway.monitor.health import Health
from fixgateway.monitor.logs import DecisionLog
from fixgateway.monitor.metrics import Metrics
from fixgateway.recovery import (
    RESET,
    Memory,
    Pending,
    after,
    already_done,
    concerns_core,
    leftovers,
    new_epoch,
    note_admin,
    note_sent,
    note_told,
    receipt_unknown,
    refused_before,
    surely_not_sent,
    told_at_start,
)
from fixgateway.sender import Line, Sender, Waiting
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.items import Accepted, Barrier, EngineRefused, Outgoing, Seen, SessionEvent
from fixgateway.sessions.texts import msg_type
from fixgateway.tidy import tidy, tidy_young
from fixgateway.translate import REJECTS, Translator, destination, is_message
from fixgateway.wire.message import Message, parse

ASK_TIMEOUT_SECONDS = 30
"""How long a caller waits for the pump before being told that the outcome is unknown."""
SYNC_SECONDS = 0.01
"""Records that nothing waits for (texts read, texts sent) are durable at the latest after this."""
_WAIT_SECONDS = 0.1
_TICK_SECONDS = 1.0
_TIDY_SECONDS = 600.0


@dataclass(slots=True)
class Command:
    """An input that comes from inside: a clock tick, an operator, a statement by HTTP.

    ``make`` builds it from its journal sequence and clock reading; ``done`` gets the outputs once durable.
    """

    make: Callable[[int, int], Input]
    done: Future[tuple[Input, tuple[Output, ...]]] | None = None


Item = Seen | Accepted | EngineRefused | Outgoing | SessionEvent | Barrier | Command


class Pump:
    """See the module's theory of operation. Everything but :meth:`ask` runs on the pump's own thread."""

    def __init__(
        self,
        *,
        inbox: Inbox[Item],
        writer: Writer,
        memory: Memory,
        index: WireIndex,
        translator: Translator,
        line: Line,
        clock: Clock,
        zone: ZoneInfo,
        metrics: Metrics,
        health: Health,
        log: structlog.stdlib.BoundLogger,
        decision_log: DecisionLog,
        synced: Callable[[int], None],
        fail: Callable[[str], None],
        batch_messages: int,
        watch: DiskWatch,
    ) -> None:
        self.memory = memory
        self.busy = False
        self._inbox = inbox
        self._writer = writer
        self._append = writer.append
        self._index = index
        self._translator = translator
        self._sender = Sender(line, translator, index, metrics, log)
        self._clock = clock
        self._zone = zone
        self._metrics = metrics
        self._health = health
        self._log = log
        self._figures = Figures(metrics, decision_log, writer.appended)
        self._synced = synced
        self._fail = fail
        self._batch_messages = batch_messages
        self._stopping = False
        self._later: list[Command] = []
        self._line = line
        self._unsynced_since = 0.0
        self._next_tick = 0.0
        self._next_tidy = time.monotonic() + _TIDY_SECONDS
        self._watch = watch
        # What the journal says, else orders would stay off after a restart.
        self._degraded = memory.engine.state.degraded if memory.engine.state else ""
        self._bug = ""
        # What the batch in hand has led to; emptied by every cycle.
        self._now_ns = 0
        self._sends: list[Pending] = []
        self._cuts: list[CutSession] = []
        self._answers: list[tuple[Future[tuple[Input, tuple[Output, ...]]], Input, tuple[Output, ...]]] = []
        self._decided: list[tuple[Input, tuple[Output, ...]]] = []
        self._flush: list[str] = []
        self._barriers: list[Barrier] = []

    # ------------------------------------------------------------ from other threads

    def ask(self, make: Callable[[int, int], Input]) -> tuple[Input, tuple[Output, ...]]:
        """Give the engine an input and wait until its decision is durable.

        Raises:
            FixgatewayError: the pump did not answer in time; the outcome is unknown and in the journal.
        """
        done: Future[tuple[Input, tuple[Output, ...]]] = Future()
        self._inbox.put(Command(make, done))
        try:
            return done.result(ASK_TIMEOUT_SECONDS)
        except TimeoutError:
            raise FixgatewayError(
                f"the gateway did not answer in {ASK_TIMEOUT_SECONDS} seconds; whether it took the request is "
                "in its journal"
            ) from None

    def tell(self, make: Callable[[int, int], Input]) -> None:
        """Give the engine an input that nobody waits for; it is durable with the next sync."""
        self._inbox.put(Command(make))

    def resend(self, session: str, msg_seq_num: int, kind: str) -> str | None:
        """The body to resend as a number of a session, None to fill the gap instead (called by the engine)."""
        sent = self._index.sent(session, msg_seq_num)
        if sent is None or (kind in ("D", "G") and sent.decision_seq in self.memory.forbidden):
            return None
        return parse(sent.text).body

    def finish_recovery(self, first: list[Item], how: str) -> None:
        """Before the start: the decisions a crash kept from the journal, the first inputs, what was not sent.

        Args:
            first: the inputs every start begins with: configuration, start, time.
            how: the run before ended, as the start says it.
        """
        self._now_ns = self._clock.now_ns()
        for seq, outputs in sorted(self.memory.undecided.items()):
            self._append(Kind.DECISION, "", self._now_ns, encode_outputs(seq, outputs))
        self.memory.undecided.clear()
        unsent, told = leftovers(self.memory), told_at_start(self.memory, how)
        self.memory.pending.clear()
        why = "the gateway ended before it was sent"
        refused = [self._give_back(x, why, recovered=True) for x in unsent if surely_not_sent(x)]
        self._sender.keep(waiting for waiting in unsent if not waiting.is_order)
        self.cycle([*first[:1], *refused, *first[1:2], *map(Command, told), *first[2:]])

    @staticmethod
    def _give_back(waiting: Waiting, why: str, *, recovered: bool = False) -> Command:
        """A message that did not leave and never will, as an input."""
        session, seq, index = waiting.session, waiting.decision_seq, waiting.number
        return Command(lambda at_seq, ts_ns: NotSent(at_seq, ts_ns, session, seq, index, why, recovered))

    def stop(self) -> None:
        """Leave the loop after the batch in hand."""
        self._stopping = True

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in hand."""
        return not self.busy and self._inbox.qsize() == 0

    # ------------------------------------------------------------ the loop

    def run(self) -> None:
        """Take batches until stopped; any failure that would lose a record ends the process."""
        tidy()
        try:
            while not self._stopping:
                self.busy = False
                waiting = self._unsynced_since
                items = self._inbox.get_batch(self._batch_messages, SYNC_SECONDS if waiting else _WAIT_SECONDS)
                if waiting and time.monotonic() - waiting >= SYNC_SECONDS:
                    self._sync()
                self.busy = True
                self._health.beat(time.monotonic_ns())
                items = [*self._due(), *self._later, *items]
                self._later = []
                while items:
                    self.cycle(items)
                    items, self._later = list(self._later), []
                waiting_items = self._inbox.qsize()
                self._figures.publish(waiting_items, self._now_ns, idle=not waiting_items)
                if not waiting_items:
                    tidy_young()
            self.busy = False
        except Exception as error:
            self._log.critical("pump.failed", error=f"{type(error).__name__}: {error}", exc_info=True)
            self._fail(f"{type(error).__name__}: {error}")

    def _due(self) -> list[Item]:
        """About once a second: a tick if the engine wants one, the clock's state, the gauges."""
        now = time.monotonic()
        if now < self._next_tick:
            return []
        self._next_tick = now + _TICK_SECONDS
        if now >= self._next_tidy and self._inbox.qsize() == 0:
            self._next_tidy = now + _TIDY_SECONDS
            tidy()
        ts_ns = self._clock.now_ns()
        day, local_time = local(ts_ns, self._zone)
        due: list[Item] = []
        if self.memory.engine.due(ts_ns, day, local_time):
            due.append(Command(lambda seq, at: Tick(seq, at, day, local_time)))
        self._sender.ask_for_proof(self.memory.receipts, now, self._writer.next_seq)
        self._watch.look(now)
        for session in sorted(self._watch.broken_stores):
            self._reopen_store(session)
        due += self._orders_on_or_off()
        self._gauges()
        return due

    def _orders_on_or_off(self) -> list[Command]:
        """The input that turns new orders off or on, when that has changed."""
        causes = {"bug": self._bug, "clock": self._clock.stepped_back, **self._watch.causes}
        why = "; ".join(words for words in causes.values() if words)
        self._metrics.orders_off(name for name, words in causes.items() if words)
        self._health.set("journal", not why, f"new orders are off: {why}")
        if why == self._degraded:
            return []
        self._degraded = why
        return [Command(lambda seq, at: JournalState(seq, at, bool(why), why))]

    def _reopen_store(self, session: str) -> None:
        """A FIX store that failed stays unusable until it is opened again; then what waited goes out."""
        if self._line.reopen_store(session):
            self._watch.broken_stores.discard(session)
            self._log.info("store.reopened", session=session)
            self._send_waiting(session)

    def _send_waiting(self, session: str) -> None:
        for waiting, why in self._sender.flush(session, self._now_ns):
            self._later.append(self._give_back(waiting, why))

    def cycle(self, items: list[Item]) -> None:
        """Journal, decide, sync, perform: one batch."""
        self._now_ns = self._clock.now_ns()
        for item in items:
            _TAKE[type(item)](self, item)
        sync_seconds = 0.0
        if self._sends or self._answers or self._cuts or self._flush or self._barriers:
            sync_seconds = self._sync()
        elif not self._unsynced_since:
            self._unsynced_since = time.monotonic()
        sends, self._sends = self._sends, []
        for waiting in sends:
            why = self._sender.perform(waiting, self._now_ns)
            if why:
                self._later.append(self._give_back(waiting, why))
        self._after(len(items), sync_seconds)

    def _sync(self) -> float:
        """Make everything appended durable; how many seconds it took."""
        before = time.monotonic()
        self._watch.begin(before)
        self._writer.sync()
        after = time.monotonic()
        self._unsynced_since = 0.0
        for barrier in self._barriers:
            barrier.durable.set()
        self._barriers.clear()
        self._synced(self._writer.synced_seq)
        if self._watch.end(after):
            self._watch.look(after)
            self._later += self._orders_on_or_off()
        return after - before

    def _after(self, items: int, sync_seconds: float) -> None:
        """What follows a batch besides its messages: callers, sessions to cut or flush, figures."""
        for done, given, outputs in self._answers:
            done.set_result((given, outputs))
        for cut in self._cuts:
            self._line.logout(cut.session, cut.text)
        for session in self._flush:
            self._send_waiting(session)
        self._figures.batch(self._decided, items, sync_seconds)
        for batch in (self._answers, self._cuts, self._flush, self._decided):
            batch.clear()

    # ------------------------------------------------------------ items

    def _take_seen(self, item: Seen) -> None:
        raw = item.text.encode("utf-8", "surrogateescape")
        item.seq = self._append(Kind.SEEN, item.session, item.ts_ns, raw)

    def _take_accepted(self, item: Accepted) -> None:
        session, text, number = item.session, item.seen.text, item.msg_seq_num
        kind = msg_type(text)
        self._figures.messages[session, "in", kind] += 1
        statement = kind == "J" and self._translator.role(session) == "oms"
        seed = secrets.token_hex(32) if statement else ""
        payload = pack_accepted(item.seen.seq, number, self.memory.epochs.get(session, 0), seed)
        seq = item.seq = self._append(Kind.ACCEPTED, session, self._now_ns, payload)
        if already_done(self.memory, session, number, text):
            self._log.info("message.repeated", session=session, msg_seq_num=number, journal_seq=seq)
            return
        self.memory.highest[session] = after(kind, text, number)
        if not concerns_core(kind):
            note_admin(self.memory, session, kind, text)
            return
        try:
            given, message = self._translator.accepted(
                session, text, seq, self._now_ns, item.seen.ts_ns, number, seed
            )
            self._decide(given, message)
        except Exception as error:
            self._our_bug(error, session, kind, number, seq, text)

    def _take_refused(self, item: EngineRefused) -> None:
        payload = pack_engine_refused(item.seen.seq, item.why)
        seq = item.seq = self._append(Kind.ENGINE_REFUSED, item.session, self._now_ns, payload)
        self._log.warning("message.refused_by_engine", session=item.session, why=item.why, journal_seq=seq)
        if refused_before(self.memory, item.session, item.seen.text):
            return
        try:
            given, message = self._translator.refused(item.session, item.seen.text, seq, self._now_ns, item.why)
            if given is not None:
                self._decide(given, message)
        except Exception as error:
            self._our_bug(error, item.session, msg_type(item.seen.text), 0, seq, item.seen.text)

    def _take_outgoing(self, item: Outgoing) -> None:
        raw = item.text.encode("utf-8", "surrogateescape")
        payload = pack_wire_out(item.decision_seq, item.index, raw)
        seq = item.seq = self._append(Kind.WIRE_OUT, item.session, item.ts_ns, payload)
        self._figures.messages[item.session, "out", msg_type(item.text)] += 1
        note_sent(self.memory, self._index, item.session, item.text, seq, item.decision_seq, item.index)

    def _take_event(self, item: SessionEvent) -> None:
        words = f"{RESET}: {item.text}" if item.kind == "reset" else f"{item.kind}: {item.text}"
        item.seq = self._append(Kind.EVENT, item.session, item.ts_ns, words.encode("utf-8", "replace"))
        session, up = item.session, item.kind == "up"
        if item.kind in ("up", "down"):
            kind = SessionUp if up else SessionDown
            self._take_command(Command(lambda seq, ts_ns: kind(seq, ts_ns, session)))
            self._metrics.session_up(session, up)
            if self._translator.role(session) == "broker":
                self._health.set(f"broker {session}", up, f"broker {session} is not logged on")
            if up:
                self._flush.append(session)
        elif item.kind == "reset":
            self._begin_epoch(session)
        elif item.kind == "fatal":
            self._bug = f"the FIX engine failed: {item.text}"
        elif item.kind == "event" and self._watch.store_event(session, item.text, time.monotonic()):
            self._next_tick = 0.0
        write = self._log.error if item.kind == "fatal" else self._log.info
        if item.text.startswith("alert: "):
            write = self._log.warning
        elif item.kind in ("event", "up", "down"):  # the engine's chatter; up and down are decisions' lines
            write = self._log.debug
        write(f"session.{item.kind}", session=session, text=item.text, journal_seq=item.seq)

    def _take_barrier(self, item: Barrier) -> None:
        self._barriers.append(item)

    def _begin_epoch(self, session: str) -> None:
        """The session's numbers began at 1 again: what may not have been received goes again, D and G never."""
        used = bool(self.memory.highest.get(session) or self.memory.sent.get(session))
        self._sender.keep_first(session, new_epoch(self.memory, self._index, session))
        make = receipt_unknown(self.memory, session, NUMBERS_RESET) if used else None
        if make is not None:
            self._take_command(Command(make))

    def _take_command(self, item: Command) -> None:
        given = item.make(self._writer.next_seq, self._now_ns)
        self._append(Kind.CONTROL, "", self._now_ns, encode_input(given))
        note_told(self.memory, given)
        try:
            outputs = self._decide(given, None)
        except Exception as error:
            self._our_bug(error, "", type(given).__name__, 0, given.seq)
            outputs = ()
        if item.done is not None:
            self._answers.append((item.done, given, outputs))

    def _decide(self, given: Input, source: Message | None) -> tuple[Output, ...]:
        """Ask the engine, keep the decision, and line up what is to be done after the sync."""
        outputs = self.memory.engine.apply(given)
        self._decided.append((given, outputs))
        if outputs:
            self._append(Kind.DECISION, "", self._now_ns, encode_outputs(given.seq, outputs))
        for number, output in enumerate(outputs):
            if is_message(output):
                waiting = Pending(destination(output), given.seq, number, output, source, given.ts_ns)
                self._sends.append(waiting)
            elif isinstance(output, CutSession):
                self._cuts.append(output)
            elif isinstance(output, ResendForbidden):
                self.memory.forbidden.add(output.decision_seq)
        return outputs

    def _our_bug(self, error: Exception, session: str, kind: str, number: int, seq: int, text: str = "") -> None:
        """A message we could not process: kept, said, passed on or answered; new orders are off."""
        words = f"record {seq} could not be processed: {type(error).__name__}: {error}"
        self._log.critical("gateway.bug", error=words, session=session, msg_type=kind, exc_info=True)
        self._append(Kind.EVENT, session, self._now_ns, f"bug: {words}".encode("utf-8", "replace"))
        self._bug = self._bug or f"GW-504 {words}"
        output = self._fallback(session, kind, number)
        if output is not None:
            try:
                source = parse(text)
            except WireError:
                return
            self._sends.append(Pending(destination(output), seq, 0, output, source, self._now_ns))

    def _fallback(self, session: str, kind: str, number: int) -> PassToOms | SendBusinessReject | None:
        """What to send in place of the decision that failed: pass on, or tell the sender."""
        state = self.memory.engine.state
        if state is None or not session or kind in REJECTS:
            return None
        if self._translator.role(session) == "oms":
            words = "GW-504 the gateway could not process the message"
            return SendBusinessReject(session, number, kind, "", "4", "GW-504", words)
        clients = [oms.name for oms in state.omses.values() if session in oms.brokers]
        return PassToOms(clients[0], session, kind, 0) if len(clients) == 1 else None

    def _gauges(self) -> None:
        """Figures that are looked at once a second."""
        state = self.memory.engine.state
        if state is None:
            return
        for name, broker in state.brokers.items():
            self._metrics.unacked_orders(name, len(broker.unacked))
        self._metrics.unallocated_quantity(unallocated(state))
        self._metrics.alerts_unacknowledged(Counter(kept.severity for kept in state.alerts.values()))
        self._health.set("inbox", not self._inbox.full, "the inbox is full; FIX sessions wait")
        self._health.set("orders", not state.halted, f"orders are halted for {', '.join(sorted(state.halted))}")
        self._metrics.journal_free(self._watch.free)
        self._metrics.ready(self._health.ready()[0])


_TAKE: Mapping[type, Callable[..., None]] = {
    Seen: Pump._take_seen,
    Accepted: Pump._take_accepted,
    EngineRefused: Pump._take_refused,
    Outgoing: Pump._take_outgoing,
    SessionEvent: Pump._take_event,
    Barrier: Pump._take_barrier,
    Command: Pump._take_command,
}
