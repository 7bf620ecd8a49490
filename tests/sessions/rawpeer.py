"""A FIX counterparty over a plain socket: sends exactly the bytes it is told to and keeps what it receives."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

SOH = "\x01"


def frame(begin_string: str, rest: str) -> bytes:
    """8=, 9= and 10= around ``rest`` (which begins with 35= and ends with SOH)."""
    body = rest.encode("latin-1")
    head = f"8={begin_string}{SOH}9={len(body)}{SOH}".encode()
    return head + body + f"10={sum(head + body) % 256:03d}{SOH}".encode()


def field(text: str, tag: int) -> str:
    """The first value of ``tag``, "" when absent."""
    for part in text.split(SOH):
        if part.startswith(f"{tag}="):
            return part[len(str(tag)) + 1 :]
    return ""


def body_of(text: str) -> str:
    """What stands between the standard header and the trailer."""
    header = {"8", "9", "35", "49", "56", "34", "52", "43", "97", "122", "50", "57", "115", "128", "1128"}
    parts = text.split(SOH)
    start = next(i for i, part in enumerate(parts) if part.split("=")[0] not in header)
    return SOH.join(parts[start:-2]) + SOH


def utc() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


class RawPeer:
    """One side of a FIX session; a thread reads, answers heartbeats and keeps every message."""

    def __init__(self, sock: socket.socket, comp_id: str, begin_string: str = "FIX.4.4") -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.comp_id, self.begin_string = comp_id, begin_string
        self.next_out = 1
        self.messages: list[str] = []
        self.closed = False
        self.answer_heartbeats = True
        self._changed = threading.Condition()
        self._write = threading.RLock()
        threading.Thread(target=self._read, daemon=True).start()

    @classmethod
    def connect(cls, port: int, comp_id: str, begin_string: str = "FIX.4.4") -> RawPeer:
        return cls(socket.create_connection(("127.0.0.1", port), timeout=5), comp_id, begin_string)

    def _read(self) -> None:
        self.sock.settimeout(None)
        data = b""
        while True:
            try:
                got = self.sock.recv(1 << 16)
            except OSError:
                got = b""
            if not got:
                break
            data += got
            new: list[str] = []
            while (end := data.find(b"\x0110=")) >= 0 and len(data) >= end + 8:
                new.append(data[: end + 8].decode("latin-1"))
                data = data[end + 8 :]
            for text in new:
                if field(text, 35) == "1" and self.answer_heartbeats:
                    self.send("0", f"112={field(text, 112)}{SOH}")
            with self._changed:
                self.messages += new
                self._changed.notify_all()
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def raw(self, msg_type: str, body: str, number: int | None = None, extra: str = "") -> bytes:
        """The bytes of a message; ``extra`` is more header, for example ``43=Y<SOH>``."""
        if number is None:
            number, self.next_out = self.next_out, self.next_out + 1
        head = f"35={msg_type}{SOH}49={self.comp_id}{SOH}56=FIXGW{SOH}34={number}{SOH}{extra}52={utc()}{SOH}"
        return frame(self.begin_string, head + body)

    def send(self, msg_type: str, body: str, number: int | None = None, extra: str = "") -> None:
        with self._write:
            self.send_bytes(self.raw(msg_type, body, number, extra))

    def send_bytes(self, data: bytes) -> None:
        with self._write:
            try:
                self.sock.sendall(data)
            except OSError:
                pass

    def logon(self, heart_bt_int: int = 30, extra: str = "", number: int | None = None) -> None:
        self.send("A", f"98=0{SOH}108={heart_bt_int}{SOH}{extra}", number)
        self.expect(lambda text: field(text, 35) == "A")

    def expect(self, wanted: Callable[[str], bool], timeout: float = 10.0, count: int = 1) -> list[str]:
        """Wait until ``count`` messages are as wanted, and return them."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [text for text in self.messages if wanted(text)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self.closed:
                    shown = "\n".join(text.replace(SOH, "|") for text in self.messages[-20:])
                    raise AssertionError(f"{len(found)} of {count}; closed={self.closed}; last:\n{shown}")
                self._changed.wait(left)

    def expect_type(self, msg_type: str, timeout: float = 10.0, count: int = 1) -> list[str]:
        return self.expect(lambda text: field(text, 35) == msg_type, timeout, count)

    def wait_closed(self, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self.closed:
                left = deadline - time.monotonic()
                assert left > 0, "still connected"
                self._changed.wait(left)

    def logout(self) -> None:
        self.send("5", f"58=bye{SOH}")
        self.expect_type("5")
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class RawBroker:
    """Listens like a broker and hands out a peer per connection."""

    def __init__(self, comp_id: str, begin_string: str = "FIX.4.4") -> None:
        self.comp_id, self.begin_string = comp_id, begin_string
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(15)
        self.port: int = self.server.getsockname()[1]

    def accept(self, next_out: int = 1) -> RawPeer:
        """Wait for the gateway's connection and Logon, and answer it."""
        sock, _ = self.server.accept()
        peer = RawPeer(sock, self.comp_id, self.begin_string)
        peer.next_out = next_out
        logon = peer.expect_type("A")[0]
        more = f"1137=9{SOH}" if self.begin_string == "FIXT.1.1" else ""
        peer.send("A", f"98=0{SOH}108={field(logon, 108)}{SOH}{more}")
        return peer

    def close(self) -> None:
        self.server.close()
