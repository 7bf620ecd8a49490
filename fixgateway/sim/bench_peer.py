"""One side of the bench in a process of its own: a fast OMS or a fast broker over a raw socket.

``python -m fixgateway.sim.bench_peer oms HOST PORT`` or ``… broker``; commands come as JSON lines on
stdin, results go as JSON lines to stdout, see :data:`OMS_COMMANDS` and :data:`BROKER_COMMANDS`. Nothing is
parsed that need not be: frames are built before the burst, and the broker only counts and stamps. Times are
CLOCK_MONOTONIC, the same clock for every process of the machine.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

from fixgateway.sim.fields import Fields, Framer, Stamp, body_text, build_frame, utc_timestamp
from fixgateway.sim.oms import SimStatement

HEART_BT_INT = 30
READ_BYTES = 1 << 20
FRAMES_AT_ONCE = 50
"""Frames of a burst handed to the socket with one call."""
_ORDER_MARK = b"\x0135=D\x01"
_REJECT_MARK = b"\x0135=8\x01"
_STAMP = re.compile(rb"\x0158=([0-9]+)\x01")
_TEXT = re.compile(rb"\x0158=([^\x01]*)\x01")
_LONGEST_STAMP = 64
_NS = 1_000_000_000

Document = dict[str, Any]


class Commands:
    """JSON lines on stdin."""

    def __init__(self) -> None:
        self._buffer = b""

    def next(self, timeout_seconds: float) -> Document | None:
        """The next command, or None within the timeout; the process ends at end of file."""
        if b"\n" not in self._buffer and select.select([0], [], [], timeout_seconds)[0]:
            data = os.read(0, 65536)
            if not data:
                sys.exit(0)
            self._buffer += data
        if b"\n" not in self._buffer:
            return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        command: Document = json.loads(line)
        return command


def say(**document: object) -> None:
    """One JSON line on stdout."""
    print(json.dumps(document), flush=True)


class Line:
    """A FIX session reduced to what the bench needs: own numbers out, none checked in."""

    def __init__(self, sock: socket.socket, sender: str) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(120)
        self.sock = sock
        self.sender = sender
        self.next_out = 1
        self._last_sent = time.monotonic()

    def frame(self, msg_type: str, body: str, sending_time: str = "") -> bytes:
        """The next frame; its number is used up."""
        stamp = Stamp("FIX.4.4", self.sender, "FIXGW", self.next_out, sending_time or utc_timestamp())
        self.next_out += 1
        return build_frame(stamp, msg_type, body)

    def send(self, msg_type: str, body: str = "") -> None:
        """Send one message."""
        self.sock.sendall(self.frame(msg_type, body))
        self._last_sent = time.monotonic()

    def logon(self) -> None:
        """Send a Logon."""
        self.send("A", body_text([(98, "0"), (108, str(HEART_BT_INT))]))

    def wait(self, msg_type: str, framer: Framer) -> Fields:
        """Read until a message of that type comes."""
        while True:
            data = self.sock.recv(READ_BYTES)
            if not data:
                raise ConnectionError(f"the connection ended before {msg_type} came")
            for frame in framer.feed(data):
                fields = Fields.parse(frame)
                if fields.msg_type == msg_type:
                    return fields

    def beat(self) -> None:
        """A heartbeat often enough that nobody asks for one."""
        if time.monotonic() - self._last_sent > HEART_BT_INT / 3:
            self.send("0")


# ---------------------------------------------------------------- broker


class CountingBroker:
    """Counts orders, or takes the time each took, as ``count`` commands say."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            say(port=listener.getsockname()[1])
            sock, _ = listener.accept()
        self.line = Line(sock, "BRK1")
        self.line.wait("A", Framer())
        self.line.logon()
        say(logged_on=True)

    def run(self) -> None:
        """Take commands until stdin ends."""
        commands = Commands()
        while True:
            command = commands.next(0.05)
            if command is None:
                self._idle()
                continue
            count = self._latencies if command["do"] == "latencies" else self._count
            say(ready=True)
            say(**count(command["orders"], command["silence_seconds"]))

    def _idle(self) -> None:
        """Between counts: keep the session alive, throw away what comes."""
        self.line.beat()
        if select.select([self.line.sock], [], [], 0)[0] and not self.line.sock.recv(READ_BYTES):
            sys.exit(0)

    def _read(self, silence_seconds: float) -> bytes:
        """The next bytes; b"" when none come for so long, or at the end."""
        self.line.sock.settimeout(silence_seconds)
        try:
            return self.line.sock.recv(READ_BYTES)
        except TimeoutError:
            return b""

    def _count(self, orders: int, silence_seconds: float) -> Document:
        seen, tail, last_ns = 0, b"", 0
        while seen < orders and (chunk := self._read(silence_seconds)):
            last_ns = time.monotonic_ns()
            data = tail + chunk
            seen += data.count(_ORDER_MARK)
            tail = data[-(len(_ORDER_MARK) - 1) :]
        return {"received": seen, "last_ns": last_ns}

    def _latencies(self, orders: int, silence_seconds: float) -> Document:
        """Text(58) holds the time of sending in ns."""
        taken = array("q")
        tail = b""
        while len(taken) < orders and (chunk := self._read(silence_seconds)):
            now = time.monotonic_ns()
            tail += chunk
            end = 0
            for stamp in _STAMP.finditer(tail):
                taken.append(now - int(stamp[1]))
                end = stamp.end() - 1
            tail = tail[max(end, len(tail) - _LONGEST_STAMP) :]
        return {"received": len(taken), "latencies_ns": sorted(taken)}


# ---------------------------------------------------------------- OMS


class FastOms:
    """Sends orders as ``burst`` and ``rate`` commands say."""

    def __init__(self, host: str, port: int) -> None:
        self.line = Line(_dial(host, port), "OMS1")
        self.framer = Framer()
        self.line.logon()
        self.line.wait("A", self.framer)
        self.rejected = 0
        self.texts: set[str] = set()
        say(logged_on=True)

    def run(self) -> None:
        """Take commands until stdin ends."""
        commands = Commands()
        do: dict[str, Callable[[Document], Document]] = {
            "statement": self._statement,
            "burst": self._burst,
            "rate": self._rate,
            "rejects": self._rejects,
            "logout": self._logout,
        }
        while True:
            command = commands.next(0.05)
            if command is not None:
                say(**do[command["do"]](command))
            else:
                self.line.beat()
                self._read()

    def _read(self) -> None:
        """Count what came back; the bench's broker answers nothing, so an 8 is the gateway's reject."""
        while select.select([self.line.sock], [], [], 0)[0]:
            data = self.line.sock.recv(READ_BYTES)
            if not data:
                sys.exit(0)
            self.rejected += data.count(_REJECT_MARK)
            if len(self.texts) < 5:
                self.texts.update(text.decode(errors="replace") for text in _TEXT.findall(data)[:5])

    def _statement(self, command: Document) -> Document:
        statement = SimStatement(command["id"], "XYZ", "buy", tuple(map(tuple, command["lines"])))
        self.line.send("J", body_text(statement.fields("FIX.4.4")))
        answer = self.line.wait("P", self.framer)
        return {"status": answer.get(87), "text": answer.get(58)}

    def _order(self, command: Document, number: int, now: str, text: str) -> bytes:
        body = (
            f"11={command['prefix']}{number}\x0170={command['alloc_id']}\x0121=1\x0155=XYZ\x0154=1\x01"
            f"60={now}\x0138=100\x0140=2\x0144=100.25\x0159=0\x0158={text}\x01"
        )
        return self.line.frame("D", body, now)

    def _burst(self, command: Document) -> Document:
        now = utc_timestamp()
        frames = [self._order(command, number, now, "bench") for number in range(command["orders"])]
        parts = [b"".join(frames[i : i + FRAMES_AT_ONCE]) for i in range(0, len(frames), FRAMES_AT_ONCE)]
        first_ns = time.monotonic_ns()
        for part in parts:
            self.line.sock.sendall(part)
        return {"first_ns": first_ns, "sent_ns": time.monotonic_ns()}

    def _rate(self, command: Document) -> Document:
        interval_ns = _NS // command["per_second"]
        due = first = time.monotonic_ns()
        for number in range(command["orders"]):
            while (wait_ns := due - time.monotonic_ns()) > 0:
                time.sleep(wait_ns / _NS)
            stamp = str(time.monotonic_ns())
            self.line.sock.sendall(self._order(command, number, utc_timestamp(), stamp))
            due += interval_ns
        return {"first_ns": first, "sent_ns": time.monotonic_ns()}

    def _rejects(self, _command: Document) -> Document:
        self._read()
        return {"rejected": self.rejected, "texts": sorted(self.texts)[:5]}

    def _logout(self, _command: Document) -> Document:
        self.line.send("5")
        return {"logged_out": True}


def _dial(host: str, port: int, timeout_seconds: float = 30.0) -> socket.socket:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return socket.create_connection((host, port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def main(arguments: list[str]) -> None:
    """``oms HOST PORT`` or ``broker``."""
    if arguments[0] == "broker":
        CountingBroker().run()
    else:
        FastOms(arguments[1], int(arguments[2])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
