"""FIX sessions without sockets: one end of a line, as a counterparty keeps it.

:class:`End` is one side of a session: numbers, what it sent, what waits behind a gap, Logon, ResendRequest and
gap fill (FIX 4.4 vol. 2, "Session protocol"). A counterparty keeps its numbers always; the gateway's end is
:mod:`engine_end`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ADMIN = frozenset("012345A")
Header = tuple[tuple[int, str], ...]


@dataclass(slots=True)
class Msg:
    """One message; ``body`` is FIX text, ``header`` what stands there besides the usual."""

    kind: str
    number: int
    sender: str
    target: str
    body: str
    header: Header
    time: str
    dup: bool = False
    orig: str = ""

    @property
    def text(self) -> str:
        """The whole FIX text."""
        head = f"35={self.kind}\x0134={self.number}\x0149={self.sender}\x0152={self.time}\x0156={self.target}\x01"
        head += f"43=Y\x01122={self.orig}\x01" if self.dup else ""
        inner = head + "".join(f"{tag}={value}\x01" for tag, value in self.header) + self.body
        text = f"8=FIX.4.4\x019={len(inner)}\x01{inner}"
        return f"{text}10={sum(text.encode()) % 256:03d}\x01"

    def get(self, tag: int) -> str:
        """The first field ``tag`` of the body, "" when there is none."""
        return next((value for each, value in self.fields() if each == tag), "")

    def fields(self) -> list[tuple[int, str]]:
        """The body's fields in order."""
        pairs = (piece.partition("=") for piece in self.body.split("\x01") if piece)
        return [(int(tag), value) for tag, _, value in pairs]

    def has(self, tag: int, value: str) -> bool:
        """Whether the header has this field besides the usual ones."""
        return (tag, value) in self.header


def parsed(text: str) -> Msg:
    """A stored text as a message."""
    usual = {"8": "", "9": "", "35": "", "34": "", "49": "", "52": "", "56": ""}
    header: list[tuple[int, str]] = []
    rest = text[: text.rindex("\x0110=") + 1]
    while rest:
        piece, _, after = rest.partition("\x01")
        tag, _, value = piece.partition("=")
        if tag in usual and not usual[tag]:
            usual[tag] = value
        elif tag in ("50", "57", "97", "115", "116", "128", "129"):
            header.append((int(tag), value))
        else:
            break
        rest = after
    return Msg(usual["35"], int(usual["34"]), usual["49"], usual["56"], rest, tuple(header), usual["52"])


class End:
    """One end of a line; a counterparty's as it stands.

    Args:
        name, other: the two comp ids. now: the time as FIX writes it.

    Attributes:
        wire: what is on its way to the other end. up: logged on.
        deliver: what a counterparty does with an application message. reset_told: its numbers began at 1.
    """

    def __init__(self, name: str, other: str, now: Callable[[], str]) -> None:
        self.name, self.other = name, other
        self.now = now
        self.wire: deque[Msg] = deque()
        self.up = self.connected = False
        self.initiator = False
        self.next_out = self.next_in = 1
        self.sent: dict[int, Msg] = {}
        self.deliver: Callable[[Msg], None] = lambda _msg: None
        self.reset_told: Callable[[], None] = lambda: None
        self.resets_at_logon = False
        self.reset_sent = False
        self._held: dict[int, tuple[Msg, Any]] = {}
        self._asked = 0

    # what an engine does and a counterparty does not

    def on_read(self, msg: Msg) -> Any:
        """A text was read."""

    def on_accept(self, msg: Msg, token: Any) -> None:
        """A message is delivered; for a counterparty only what is no session message matters."""
        if msg.kind not in ADMIN or msg.kind == "3":
            self.deliver(msg)

    def once_durable(self, go_on: Callable[[], None]) -> None:
        """A Logon is delivered: go on now, or when the reset it asked for is durable."""
        go_on()

    def on_write(self, msg: Msg, decision: int, index: int) -> None:
        """A text is about to be written."""

    def on_up(self) -> None:
        """Logged on."""

    def on_down(self) -> None:
        """Not any more."""

    def on_reset(self) -> None:
        """Numbers begin at 1."""
        self.reset_told()

    def keep_message(self, msg: Msg) -> None:
        """Store what is sent."""
        self.sent[msg.number] = msg

    def keep_numbers(self) -> None:
        """Store the numbers."""

    def resend_body(self, msg: Msg) -> str | None:
        """What to send again for ``msg``; None: a gap fill."""
        return msg.body if msg.kind not in ADMIN or msg.kind == "3" else None

    # ------------------------------------------------------------ sending

    def send(self, kind: str, body: str, header: Header = (), decision: int = 0, index: int = 0) -> int:
        """Number, store and, when it can go, write a message; returns its number."""
        number = self.next_out
        msg = Msg(kind, number, self.name, self.other, body, header, self.now())
        self.keep_message(msg)
        self.next_out = number + 1
        self.keep_numbers()
        if self.up or (self.connected and kind in ADMIN):
            self._write(msg, decision, index)
        return number

    def _write(self, msg: Msg, decision: int = 0, index: int = 0) -> None:
        self.on_write(msg, decision, index)
        if self.connected:
            self.wire.append(msg)

    def _resend(self, begin: int) -> None:
        gap = 0
        for number in range(begin, self.next_out):
            msg = self.sent.get(number)
            goes = msg is not None and (msg.kind not in ADMIN or msg.kind == "3")
            body = self.resend_body(msg) if msg is not None and goes else None
            if msg is None or body is None:
                gap = gap or number
                continue
            self._fill(gap, number)
            gap = 0
            copy = Msg(msg.kind, number, self.name, self.other, body, msg.header, self.now(), True, msg.time)
            self._write(copy)
        self._fill(gap, self.next_out)

    def _fill(self, first: int, following: int) -> None:
        if first:
            body = f"123=Y\x0136={following}\x01"
            self._write(Msg("4", first, self.name, self.other, body, (), self.now(), True, self.now()))

    # ------------------------------------------------------------ connecting

    def connect(self) -> None:
        """A fresh connection; the initiator logs on."""
        self.connected = True
        self.wire.clear()
        self._held.clear()
        self._asked = 0
        self.reset_sent = False
        if self.initiator:
            if self.resets_at_logon:
                self._reset()
                self.reset_sent = True
            self._send_logon(self.resets_at_logon)
            self.resets_at_logon = False

    def drop(self) -> None:
        """The connection is gone."""
        was_up, self.up, self.connected = self.up, False, False
        self._held.clear()
        self.wire.clear()
        if was_up:
            self.on_down()

    def _send_logon(self, reset: bool) -> None:
        self.send("A", "98=0\x01108=30\x01" + ("141=Y\x01" if reset else ""))

    def _reset(self) -> None:
        self.sent.clear()
        self._held.clear()
        self._asked = 0
        self.next_out = self.next_in = 1
        self.on_reset()
        self.keep_numbers()

    def _on_logon(self, msg: Msg, token: Any) -> None:
        asks_reset = "141=Y\x01" in msg.body
        if asks_reset and not self.reset_sent:
            self._reset()
        if msg.number < self.next_in:
            self.too_low(msg)
        self.once_durable(lambda: self._take_logon(msg, token, asks_reset))

    def _take_logon(self, msg: Msg, token: Any, asks_reset: bool) -> None:
        self.on_accept(msg, token)
        answers_reset = not self.initiator and self.resets_at_logon and not asks_reset
        if answers_reset:  # its number was of the old count; the next one is 1
            self.resets_at_logon = False
            self._reset()
            self.reset_sent = True
            self._send_logon(True)
            return
        if not self.initiator or (asks_reset and not self.reset_sent):
            self._send_logon(asks_reset)
        self.reset_sent = False
        if msg.number > self.next_in:
            self._ask(msg.number)
        else:
            self._advance(msg.number + 1)
        self.up = True
        self.on_up()

    # ------------------------------------------------------------ receiving

    def receive(self, msg: Msg) -> None:
        """One message from the wire."""
        token = self.on_read(msg)
        if msg.kind == "A" and (not self.up or "141=Y\x01" in msg.body):
            if self.reset_sent and not self.initiator and msg.number == 1:  # the answer to our own reset
                self.reset_sent = False
                self._advance(2)
                self.up = True
                self.on_up()
            else:
                self._on_logon(msg, token)
        elif not self.up:
            return  # between our reset and the answer to it, what comes belongs to the old count
        elif msg.kind == "2":
            due = msg.number == self.next_in
            self.on_accept(msg, token)
            self._resend(int(msg.get(7)))
            if due:
                self._advance(msg.number + 1)
            elif msg.number > self.next_in:
                self._ask(msg.number)
        elif msg.number > self.next_in:
            self._held[msg.number] = (msg, token)
            self._ask(msg.number)
        elif msg.number < self.next_in:
            if not msg.dup:
                self.too_low(msg)
        else:
            self._take(msg, token)
        while self.next_in in self._held:
            self._take(*self._held.pop(self.next_in))

    def _take(self, msg: Msg, token: Any) -> None:
        self.on_accept(msg, token)
        if msg.kind == "4":
            self._advance(max(int(msg.get(36)), msg.number + 1))
        else:
            self._advance(msg.number + 1)
        if msg.kind == "1":
            self.send("0", f"112={msg.get(112)}\x01")

    def _advance(self, next_in: int) -> None:
        self.next_in = next_in
        self.keep_numbers()
        for number in [n for n in self._held if n < next_in]:
            del self._held[number]

    def _ask(self, seen: int) -> None:
        if self._asked < self.next_in:
            self._asked = seen
            self.send("2", f"7={self.next_in}\x0116=0\x01")

    def too_low(self, msg: Msg) -> None:
        """A number that was used before and is no repeat ends a session for good."""
        raise Broken(f"{self.name} expects {self.next_in} of {self.other} and got {msg.number}: {show(msg.text)}")


class Broken(BaseException):
    """A rule was broken; a BaseException, so that nothing in the product takes it for its own affair."""


def show(text: str) -> str:
    """FIX text for people."""
    return text.replace("\x01", "|")
