"""The gateway's end of a line: what the FIX engine and our callbacks do, in their order.

Text logged, message delivered, then the target number stored; message stored, sender number stored, then shown
and written. The same items go into the inbox as from the real callbacks, and the store is the engine's four
files, read and repaired by the product. Every step is a point where the process may be killed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from line import ADMIN, End, Header, Msg, parsed

from fixgateway.sessions import store
from fixgateway.sessions.items import Accepted, Barrier, Outgoing, Seen, SessionEvent
from fixgateway.sessions.links import Link
from fixgateway.sessions.settings import SessionSpec


class EngineEnd(End):
    """The gateway's end: what the FIX engine and the callbacks do.

    Args:
        host: the sessions. spec: this one. store_dir: where the engine keeps its files.
    """

    def __init__(self, host: SimHost, spec: SessionSpec, store_dir: Path) -> None:
        super().__init__(spec.gateway_comp_id, spec.comp_id, host.now)
        self.host = host
        self.spec = spec
        self.session = spec.name
        self.initiator = spec.role == "broker"
        self.link = Link(spec)
        self.closing = False
        self.resets = 0
        self._store_dir = store_dir
        self._barrier: Barrier | None = None
        self._go_on: Callable[[], None] = lambda: None
        self._cut = False
        self._writing: Msg | None = None
        self._numbers_kept: list[tuple[int, int]] = []
        self._load()

    # ------------------------------------------------------------ the store

    def _load(self) -> None:
        """As the engine reads its files; what is not there is made."""
        self.next_out, self.next_in = store.read_seqnums(self._store_dir, self.spec) or (1, 1)
        self.sent = {n: parsed(text) for n, text in store.sent_texts(self._store_dir, self.spec)}
        self._settled = len(self.sent)
        self._numbers_kept = [(self.next_out, self.next_in)]
        self._writes: list[Msg] = list(self.sent.values())
        self._fresh = store.read_seqnums(self._store_dir, self.spec) is None
        self.link.used = self.next_out > 1

    def leave(self, kind: str, chance: Random) -> None:
        """Write the files as a crash leaves them: the engine flushes and never syncs.

        A kill may hit it while it writes a message: its text, then its entry.
        """
        writes, numbers = self._writes, self._numbers_kept[-1]
        header_count = len(writes)
        torn = 0
        gone = False
        if kind == "power":
            gone = self._fresh and chance.random() < 0.4
            writes = writes[: chance.choice((len(writes), chance.randint(self._settled, len(writes))))]
            header_count = chance.choice((len(writes), chance.randint(self._settled, header_count)))
            torn = chance.choice((0, 0, chance.randint(0, 30))) if len(writes) > self._settled else 0
            numbers = chance.choice((numbers, chance.choice(self._numbers_kept)))
        body, header = bytearray(), bytearray()
        for place, msg in enumerate(self._writes):
            raw = msg.text.encode()
            if place < header_count:
                header += b"%d,%d,%d " % (msg.number, len(body), len(raw))
            if place < len(writes):
                body += raw
        if kind == "kill" and self._writing is not None:
            raw = self._writing.text.encode()
            part = chance.choice((len(raw), chance.randint(0, len(raw))))
            if part == len(raw):
                entry = b"%d,%d,%d " % (self._writing.number, len(body), part)
                header += entry[: chance.choice((0, len(entry), chance.randint(0, len(entry))))]
            body += raw[:part]
        files = {
            "body": bytes(body[: len(body) - torn]),
            "header": bytes(header[: len(header) - (1 if torn else 0)]),
            "seqnums": b"%020d : %020d" % numbers,
            "session": b"20261123-00:00:00",
        }
        self._store_dir.mkdir(parents=True, exist_ok=True)
        for suffix, content in files.items():
            path = store.store_path(self._store_dir, self.spec, suffix)
            if gone:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)

    def keep_message(self, msg: Msg) -> None:
        """The store has the text before the number is counted up."""
        self._writing = msg
        self.host.point(f"{self.session} stores {msg.kind} {msg.number}")
        self._writing = None
        self.sent[msg.number] = msg
        self._writes.append(msg)
        self.host.point(f"{self.session} stored {msg.kind} {msg.number}")

    def keep_numbers(self) -> None:
        """The numbers' file is rewritten in place."""
        self._numbers_kept.append((self.next_out, self.next_in))
        self.host.point(f"{self.session} numbers {self.next_out}:{self.next_in}")

    def _reset(self) -> None:
        self._writes = []
        self._numbers_kept = []
        self._settled = 0
        self._fresh = True
        super()._reset()

    # ------------------------------------------------------------ the callbacks

    def on_read(self, msg: Msg) -> Seen:
        """WireLog.onIncoming."""
        seen = Seen(self.session, self.host.now_ns(), msg.text)
        self.host.inbox.put_quietly(seen)
        return seen

    def on_accept(self, msg: Msg, token: Any) -> None:
        """The callbacks fromApp and fromAdmin, before the engine counts the message."""
        if msg.number == self.next_in:
            self.host.point(f"{self.session} accepts {msg.kind} {msg.number}")
            admin = msg.kind in ADMIN
            self.host.inbox.put_bounded(Accepted(self.session, self.host.now_ns(), msg.number, token, admin))
        else:
            self._put("event", f"35={msg.kind} has MsgSeqNum {msg.number}, due is {self.next_in}")

    def on_write(self, msg: Msg, decision: int, index: int) -> None:
        """WireLog.onOutgoing."""
        self.host.point(f"{self.session} shows {msg.kind} {msg.number}")
        item = Outgoing(self.session, self.host.now_ns(), msg.text, decision, index)
        if decision:
            self.link.note_sent(item)
        if msg.kind == "5":
            self.link.leaving = True
        self.link.used = True
        self.host.inbox.put(item)
        self.host.world.judge.shown(self.session, msg, decision, index)

    def on_up(self) -> None:
        """The callback onLogon."""
        self.link.leaving, self.link.up, self.closing = False, True, False
        self._put("up", "logged on")

    def on_down(self) -> None:
        """The callback onLogout."""
        self.link.up, self.closing = False, False
        self._put("down", "logged out or disconnected")

    def on_reset(self) -> None:
        """The engine's store was emptied because the counterparty asked for it."""
        self.resets += 1
        self.link.begin_epoch()
        self.link.resetting = True
        self.host.world.judge.lost_sight.add(self.session)
        self._put("reset", "the counterparty's Logon has ResetSeqNumFlag(141)=Y")

    def once_durable(self, go_on: Callable[[], None]) -> None:
        """The callback fromAdmin of a Logon: after a reset it waits, and with it the engine's thread."""
        if not self.link.resetting:
            go_on()
            return
        self._barrier, self._go_on = Barrier(self.session), go_on
        self.host.inbox.put(self._barrier)

    @property
    def waits(self) -> bool:
        """Whether its Logon waits for a reset to be durable."""
        return self._barrier is not None

    def wake(self) -> None:
        """The thread goes on if what it waited for is durable; what happened to the line it learns only now."""
        if self._barrier is None or not self._barrier.durable.is_set():
            return
        self._barrier, self.link.resetting = None, False
        self.host.world.judge.answers_reset(self.session, self.resets)
        self._go_on()
        if self._cut:
            self._cut = False
            self.drop()

    def drop(self) -> None:
        """See :class:`End`."""
        if self.waits:
            self._cut = True
        else:
            super().drop()

    def _put(self, kind: Any, text: str) -> None:
        self.host.inbox.put(SessionEvent(self.session, self.host.now_ns(), kind, text))

    def resend_body(self, msg: Msg) -> str | None:
        """The callback toApp of a resend."""
        return self.link.unjournaled(msg.number) or self.host.resend(self.session, msg.number, msg.kind)


class SimHost:
    """In the place of the session host: the same door for the pump, engine ends behind it.

    ``world`` is set on the class before a gateway is made; see ``world.Day``.
    """

    world: Any = None

    def __init__(self, spec: Any, inbox: Any, resend: Callable[[str, int, str], str | None]) -> None:
        self.spec = spec
        self.inbox = inbox
        self.resend = resend
        self.failed = ""
        self.ends = {one.name: EngineEnd(self, one, spec.store_dir) for one in (*spec.oms, *spec.brokers)}
        self.world.host = self

    def now(self) -> str:
        """The time as FIX writes it."""
        return str(self.world.utc())

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return int(self.world.now_ns)

    def point(self, what: str) -> None:
        """A place where the process may be killed."""
        self.world.disk.point(what)

    def blocked(self, session: str) -> bool:
        """Whether the engine's thread of a session waits: one for all OMS sessions, one for each broker."""
        end = self.ends[session]
        return any(x.waits and (x is end or not (x.initiator or end.initiator)) for x in self.ends.values())

    def wake(self) -> None:
        """The engine's threads go on where they can."""
        for end in self.ends.values():
            end.wake()

    # ------------------------------------------------------------ what the pump calls

    def send(self, session: str, msg_type: str, body: str, header: Header, decision_seq: int, index: int) -> bool:
        """See :class:`fixgateway.sender.Line`."""
        end = self.ends[session]
        if decision_seq or msg_type != "1":  # a TestRequest rests on no decision
            self.world.judge.asked_to_send(session, msg_type, body, header, decision_seq, index)
        self.world.interfere(0.05)
        if not end.up or end.link.leaving:
            return False
        end.send(msg_type, body, tuple(header), decision_seq, index)
        self.point(f"{session} sent {msg_type}")
        return True

    def is_up(self, session: str) -> bool:
        """See :class:`fixgateway.sender.Line`."""
        return self.ends[session].up

    def logout(self, session: str, text: str) -> None:
        """See :class:`fixgateway.sender.Line`."""
        end = self.ends[session]
        if end.up and not end.closing:
            end.closing = True
            end.send("5", f"58={text}\x01")

    def reopen_store(self, _session: str) -> bool:
        """See :class:`fixgateway.sender.Line`; this store does not fail."""
        return True

    def sequence(self, session: str) -> tuple[int, int]:
        """Next sender and target number."""
        return self.ends[session].next_out, self.ends[session].next_in
