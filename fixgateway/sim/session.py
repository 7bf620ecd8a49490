"""One side of a FIX session on one socket at a time: the protocol under :class:`fixgateway.sim.peer.Peer`.

One thread reads the connection, answers what the session protocol wants answered and delivers messages
strictly in the order of their numbers; any thread may send.

FIX source: FIX 4.4 vol. 2 "Session protocol" (FIXT 1.1 for the 5.0 versions).
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fixgateway.errors import CounterpartyError
from fixgateway.sim.fields import Fields, Framer, Pair, Stamp, body_text, build_frame, utc_timestamp
from fixgateway.sim.inbox import Inbox
from fixgateway.sim.numbers import Numbers, Sent

ADMIN_TYPES = frozenset("012345A")
HELD_MESSAGES = 100_000
"""Most messages held back behind a gap; beyond it the connection is dropped and they come again."""
SEND_TIMEOUT_SECONDS = 30.0
LOGON_TIMEOUT_SECONDS = 10.0
CLOSE_TIMEOUT_SECONDS = 2.0
"""How long the other side may leave the connection open after the logouts."""
POLL_SECONDS = 0.2

OnMessage = Callable[["Session", Fields], None]
OnWire = Callable[[Literal["in", "out", "event"], Fields | str], None]


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """One side of a session.

    Attributes:
        sender: own CompID (49 of what is sent).
        target: the other side's CompID.
        begin_string: 8; FIXT.1.1 adds DefaultApplVerID ``appl_ver_id`` to the Logon.
        heart_bt_int: seconds between heartbeats; an acceptor takes over the initiator's 108.
        reset_seq_num: log on with 141=Y.
        keep_when_down: number and keep messages sent while logged out; the other side asks for them.
        seq_file: where the next sequence numbers are kept across runs, if anywhere.
    """

    sender: str
    target: str
    begin_string: str = "FIX.4.4"
    heart_bt_int: int = 30
    reset_seq_num: bool = False
    keep_when_down: bool = False
    seq_file: Path | None = None
    appl_ver_id: str = "9"


class Session:
    """One side of a FIX session; :class:`fixgateway.sim.peer.Peer` makes and ends connections.

    Attributes:
        settings: who talks to whom.
        inbox: what arrived.
        mute: when true nothing is answered and no heartbeat sent.
    """

    def __init__(
        self, settings: PeerSettings, on_message: OnMessage | None = None, on_wire: OnWire | None = None
    ) -> None:
        self.settings = settings
        self.inbox = Inbox(settings.sender)
        self.mute = False
        self._numbers = Numbers(settings.seq_file)
        self._on_message = on_message
        self._on_wire = on_wire
        self._send_lock = threading.RLock()
        self._held: dict[int, Fields] = {}
        self._asked_up_to = 0
        self._socket: socket.socket | None = None
        self._acceptor = False
        self._logged_on = False
        self._connected_at = 0.0
        self._logout_sent = False
        self._heart_bt_int = settings.heart_bt_int
        self._last_sent = self._last_received = 0.0
        self._close_at = 0.0
        self._test_pending = False
        self._handlers: dict[str, Callable[[Fields], None]] = {
            "1": self._on_test_request,
            "2": self._on_resend_request,
            "5": self._on_logout,
        }

    @property
    def logged_on(self) -> bool:
        """Whether the session is logged on now."""
        return self._logged_on

    @property
    def next_out(self) -> int:
        """The next MsgSeqNum to send; setting it makes a gap or a number too low."""
        return self._numbers.next_out

    @next_out.setter
    def next_out(self, seq: int) -> None:
        self._numbers.next_out = seq

    @property
    def next_in(self) -> int:
        """The next MsgSeqNum to receive; setting it back at logon makes the other side resend."""
        return self._numbers.next_in

    @next_in.setter
    def next_in(self, seq: int) -> None:
        self._numbers.next_in = seq

    # ------------------------------------------------------------ sending

    def send(self, msg_type: str, fields: Iterable[Pair] | str = (), header: Iterable[Pair] = ()) -> int:
        """Stamp and send a message; returns its MsgSeqNum.

        Args:
            msg_type: 35.
            fields: body fields in wire order, or the body as text (``|`` or SOH between fields), sent as is.
            header: further header fields (128, 50, 97 …), placed after the standard ones.

        Raises:
            CounterpartyError: not logged on, and not ``keep_when_down``.
        """
        sent = Sent(msg_type, body_text(fields), tuple(header), utc_timestamp())
        admin = msg_type in ADMIN_TYPES
        with self._send_lock:
            if not (self._logged_on or admin or self.settings.keep_when_down):
                raise CounterpartyError(f"{self.settings.sender} is not logged on; {msg_type} was not sent")
            seq = self._numbers.use(sent)
            if self._logged_on or admin:
                self._write(build_frame(self._stamp(seq, sent.extra), msg_type, sent.body))
        return seq

    def _stamp(self, seq: int, extra: tuple[Pair, ...]) -> Stamp:
        settings = self.settings
        return Stamp(settings.begin_string, settings.sender, settings.target, seq, utc_timestamp(), extra)

    def _write(self, frame: bytes) -> None:
        """Write to the socket, if there is one; called under the send lock."""
        sock = self._socket
        if sock is None:
            return
        self._last_sent = time.monotonic()
        if self._on_wire is not None:
            self._on_wire("out", Fields.parse(frame))
        try:
            sock.sendall(frame)
        except OSError as error:
            self._note(f"send failed: {error}")

    def _answer(self, msg_type: str, fields: Iterable[Pair]) -> None:
        if not self.mute:
            self.send(msg_type, fields)

    # ------------------------------------------------------------ the connection's thread

    def _adopt(self, sock: socket.socket) -> None:
        sock.settimeout(SEND_TIMEOUT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held.clear()
        self._asked_up_to = 0
        self._logout_sent = self._test_pending = False
        self._last_sent = self._last_received = self._connected_at = time.monotonic()
        self._close_at = self._last_sent + LOGON_TIMEOUT_SECONDS
        with self._send_lock:
            self._socket = sock

    def _serve(self, sock: socket.socket) -> None:
        """Read one connection to its end."""
        framer = Framer(self.inbox.garbled)
        poller = select.poll()
        try:
            poller.register(sock, select.POLLIN)
            while self._socket is sock:
                if poller.poll(POLL_SECONDS * 1000):
                    data = sock.recv(1 << 18)
                    if not data:
                        break
                    self._last_received = time.monotonic()
                    self._test_pending = False
                    for frame in framer.feed(data):
                        self._on_frame(Fields.parse(frame))
                self._on_time()
        except (OSError, ValueError, CounterpartyError) as error:
            if self._socket is sock:
                self._note(f"connection: {error}")
        finally:
            with self._send_lock:
                if self._socket is sock:
                    self._socket = None
            sock.close()
            self._set_logged_on(False)

    def _on_time(self) -> None:
        """Heartbeats: send ours when due, ask for theirs when late, give up when dead."""
        now = time.monotonic()
        if not self._logged_on:
            if now > self._close_at:
                raise CounterpartyError("the connection stayed open without a session")
            return
        interval = self._heart_bt_int
        if self.mute or interval <= 0:
            return
        if now - self._last_sent >= interval:
            self.send("0")
        silent = now - self._last_received
        if silent > 2.4 * interval:
            raise CounterpartyError(f"nothing received for {silent:.1f} s")
        if silent > 1.2 * interval and not self._test_pending:
            self._test_pending = True
            self.send("1", [(112, f"T{self.next_out}")])

    # ------------------------------------------------------------ the session protocol

    def _on_frame(self, fields: Fields) -> None:
        if self._on_wire is not None:
            self._on_wire("in", fields)
        self.inbox.put_wire(fields)
        if fields.msg_type == "A":
            self._on_logon(fields)
        elif not self._logged_on:
            self.inbox.put(fields)
            raise CounterpartyError(f"before Logon came {fields!r}")
        elif fields.msg_type == "4" and fields.get(123) != "Y":
            self.inbox.put(fields)
            self._advance(int(fields.get(36)))
        else:
            self._in_sequence(fields)

    def _in_sequence(self, fields: Fields) -> None:
        """Deliver now, hold behind a gap, or ignore a duplicate."""
        seq = fields.seq
        if seq < self.next_in:
            if fields.get(43) != "Y":
                self._refuse(f"MsgSeqNum too low, expecting {self.next_in} but received {seq}")
            return
        if seq > self.next_in:
            if fields.msg_type == "2":  # answered at once, or two gaps wait for each other
                self._on_resend_request(fields)
            if len(self._held) >= HELD_MESSAGES:
                raise CounterpartyError(f"more than {HELD_MESSAGES} messages behind a gap at {self.next_in}")
            self._held[seq] = fields
            self._ask_from_next(seq)
            return
        self._deliver(fields, answered=False)
        while (held := self._held.pop(self.next_in, None)) is not None:
            self._deliver(held, answered=held.msg_type == "2")

    def _deliver(self, fields: Fields, *, answered: bool) -> None:
        after = self.next_in + 1
        self._advance(max(int(fields.get(36)), after) if fields.msg_type == "4" else after)
        self.inbox.put(fields)
        handler = self._handlers.get(fields.msg_type)
        if handler is not None:
            if not answered:
                handler(fields)
        elif fields.msg_type not in ADMIN_TYPES and self._on_message is not None:
            try:
                self._on_message(self, fields)
            except Exception as error:
                # a broken script must not look like a broken session; last_words() reports it
                self._note(f"{type(error).__name__} on {fields.msg_type}: {error}")

    def _advance(self, next_in: int) -> None:
        jumped = next_in > self.next_in + 1
        self._numbers.next_in = next_in
        self._numbers.save()
        if jumped:
            for seq in [seq for seq in self._held if seq < next_in]:
                del self._held[seq]

    def _ask_from_next(self, seen: int) -> None:
        """ResendRequest, once for every gap."""
        if self._asked_up_to < self.next_in:
            self._asked_up_to = seen
            self._answer("2", [(7, str(self.next_in)), (16, "0")])

    def _send_logon(self, answer_to: Fields | None = None) -> None:
        """Our Logon; as an answer it takes over HeartBtInt and ResetSeqNumFlag."""
        settings = self.settings
        reset = settings.reset_seq_num if answer_to is None else answer_to.get(141) == "Y"
        if answer_to is not None:
            self._heart_bt_int = int(answer_to.get(108, "30"))
        elif reset:
            self._numbers.reset()
        fields = [(98, "0"), (108, str(self._heart_bt_int))]
        fields += [(141, "Y")] if reset else []
        fields += [(1137, settings.appl_ver_id)] if settings.begin_string.startswith("FIXT") else []
        self.send("A", fields)

    def _on_logon(self, fields: Fields) -> None:
        if (fields.get(49), fields.get(56)) != (self.settings.target, self.settings.sender):
            raise CounterpartyError(f"Logon of another session: {fields!r}")
        acceptor = self._acceptor
        if acceptor and fields.get(141) == "Y":
            self._numbers.reset()
        if fields.seq < self.next_in and fields.get(43) != "Y":
            self._refuse(f"MsgSeqNum too low, expecting {self.next_in} but received {fields.seq}")
        if acceptor and self.mute:
            return
        with self._send_lock:  # nothing may take a number between our Logon and being logged on
            if acceptor:
                self._send_logon(fields)
            self._set_logged_on(True)
        gap = fields.seq > self.next_in
        if not gap:
            self._advance(fields.seq + 1)
        self.inbox.put(fields)
        if gap:
            self._ask_from_next(fields.seq)

    def _refuse(self, text: str) -> None:
        self._answer("5", [(58, text)])
        raise CounterpartyError(text)

    def _on_test_request(self, fields: Fields) -> None:
        self._answer("0", [(112, fields.get(112))])

    def _on_logout(self, _fields: Fields) -> None:
        if not self._logout_sent:
            self._answer("5", [])
        self._close_at = time.monotonic() + CLOSE_TIMEOUT_SECONDS
        self._set_logged_on(False)

    def _on_resend_request(self, fields: Fields) -> None:
        """Send again what is kept, marked 43=Y with its first SendingTime; gap-fill the rest."""
        if self.mute:
            return
        with self._send_lock:
            last = int(fields.get(16, "0"))
            end = self.next_out if last == 0 else min(last + 1, self.next_out)
            gap_from = 0
            for seq in range(max(1, int(fields.get(7, "1"))), end):
                sent = self._numbers.sent.get(seq)
                if sent is None or sent.msg_type in ADMIN_TYPES - {"3"}:
                    gap_from = gap_from or seq
                    continue
                self._fill_gap(gap_from, seq)
                gap_from = 0
                extra = ((43, "Y"), (122, sent.sending_time), *sent.extra)
                self._write(build_frame(self._stamp(seq, extra), sent.msg_type, sent.body))
            self._fill_gap(gap_from, end)

    def _fill_gap(self, first: int, next_seq: int) -> None:
        if first:
            stamp = self._stamp(first, ((43, "Y"), (122, utc_timestamp())))
            self._write(build_frame(stamp, "4", body_text([(123, "Y"), (36, str(next_seq))])))

    # ------------------------------------------------------------ small change

    def _set_logged_on(self, logged_on: bool) -> None:
        with self.inbox.news:
            changed = self._logged_on != logged_on
            self._logged_on = logged_on
            self.inbox.news.notify_all()
        if changed and self._on_wire is not None:
            self._on_wire("event", "logged on" if logged_on else "logged out")

    def _note(self, text: str) -> None:
        self.inbox.errors.append(text)
        if self._on_wire is not None:
            self._on_wire("event", text)
