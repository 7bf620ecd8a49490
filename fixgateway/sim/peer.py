"""A FIX session over a plain socket, in pure Python: the raw-socket counterparty of demo, tests and newcomers.

A :class:`Peer` is either side of one session: it logs on, keeps sequence numbers, answers heartbeats,
test and resend requests, asks for what it missed, and delivers messages strictly in the order of their
numbers. Reconnecting continues the session. It can also misbehave on purpose: :meth:`Peer.send_raw`,
:meth:`Peer.frame` with a wrong length or checksum, ``next_out`` set by hand, ``mute``, :meth:`Peer.drop`.

FIX source: FIX 4.4 vol. 2 "Session protocol" (FIXT 1.1 for the 5.0 versions).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from fixgateway.errors import CounterpartyError
from fixgateway.sim.fields import Fields, Pair, body_text, build_frame
from fixgateway.sim.names import tag_of
from fixgateway.sim.session import (
    LOGON_TIMEOUT_SECONDS,
    POLL_SECONDS,
    OnMessage,
    OnWire,
    PeerSettings,
    Session,
)

REFUSED_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""How long an initiator waits before it tries again after a connection that was closed without an answer."""


class Peer(Session):
    """One side of a FIX session; make one with :meth:`connect` or :meth:`listen`.

    Attributes:
        port: TCP port an acceptor listens on.
    """

    def __init__(
        self, settings: PeerSettings, on_message: OnMessage | None = None, on_wire: OnWire | None = None
    ) -> None:
        super().__init__(settings, on_message, on_wire)
        self.port = 0
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._address = ("", 0)
        self._closing = False

    # ------------------------------------------------------------ making and ending

    @classmethod
    def connect(
        cls, host: str, port: int, sender: str, target: str, heart_bt_int: int = 30, *,
        begin_string: str = "FIX.4.4", reset_seq_num: bool = False, seq_file: Path | None = None,
        keep_when_down: bool = False, on_message: OnMessage | None = None, on_wire: OnWire | None = None,
        timeout_seconds: float = LOGON_TIMEOUT_SECONDS,
    ) -> Peer:  # fmt: skip
        """Connect as initiator, log on and wait for the Logon answer; parameters as in PeerSettings.

        Raises:
            CounterpartyError: no connection or no Logon within ``timeout_seconds``.
        """
        settings = PeerSettings(
            sender, target, begin_string, heart_bt_int, reset_seq_num, keep_when_down, seq_file
        )
        peer = cls(settings, on_message, on_wire)
        peer._address = (host, port)
        peer.reconnect(timeout_seconds)
        return peer

    @classmethod
    def listen(
        cls, host: str, port: int, sender: str, target: str, *, begin_string: str = "FIX.4.4",
        seq_file: Path | None = None, keep_when_down: bool = True, on_message: OnMessage | None = None,
        on_wire: OnWire | None = None,
    ) -> Peer:  # fmt: skip
        """Listen as acceptor for one counterparty, connection after connection; port 0 picks a free one."""
        settings = PeerSettings(sender, target, begin_string, 30, False, keep_when_down, seq_file)
        peer = cls(settings, on_message, on_wire)
        peer._acceptor = True
        peer._listener = socket.create_server((host, port), backlog=8)
        peer.port = peer._listener.getsockname()[1]
        peer._listener.settimeout(POLL_SECONDS)
        peer._thread = threading.Thread(target=peer._accept_loop, name=f"peer-{sender}", daemon=True)
        peer._thread.start()
        return peer

    def reconnect(self, timeout_seconds: float = LOGON_TIMEOUT_SECONDS) -> None:
        """Connect (again) as initiator and log on, continuing the sequence numbers.

        Raises:
            CounterpartyError: no connection or no Logon within ``timeout_seconds``.
        """
        deadline = time.monotonic() + timeout_seconds
        for pause_seconds in (*REFUSED_PAUSES_SECONDS, 0.0):
            self.drop()
            started = time.monotonic()
            self._log_on_once(deadline)
            # A connection closed without a word is what an acceptor does to a Logon it cannot place yet, such as
            # that of a session whose last connection it still holds: like every initiator, try again.
            silent = self._last_received == self._connected_at and self._socket is None
            if self._logged_on or not pause_seconds or not silent or started + pause_seconds > deadline:
                break
            time.sleep(pause_seconds)
        self.wait_logon(max(0.1, deadline - time.monotonic()))

    def _log_on_once(self, deadline: float) -> None:
        """One connection and one Logon; returns when logged on, refused, or at ``deadline``."""
        sock = _dial(self._address, deadline)
        self._adopt(sock)
        self._thread = threading.Thread(
            target=self._serve, args=(sock,), name=f"peer-{self.settings.sender}", daemon=True
        )
        self._send_logon()
        self._thread.start()
        wait_seconds = max(0.1, deadline - time.monotonic())
        self.inbox.wait_for(lambda: self._logged_on or self._socket is None, wait_seconds)

    def wait_logon(self, timeout_seconds: float = LOGON_TIMEOUT_SECONDS) -> None:
        """Wait until the session is logged on.

        Raises:
            CounterpartyError: it is not within ``timeout_seconds``, or an initiator's connection ended.
        """
        self.inbox.wait_for(
            lambda: self._logged_on or (self._listener is None and self._socket is None), timeout_seconds
        )
        if not self._logged_on:
            raise CounterpartyError(
                f"{self.settings.sender} is not logged on to {self.settings.target}: {self.inbox.last_words()}"
            )

    def wait_down(self, timeout_seconds: float = LOGON_TIMEOUT_SECONDS) -> bool:
        """Wait until there is no connection; whether that happened in time."""
        return self.inbox.wait_for(lambda: not self._logged_on and self._socket is None, timeout_seconds)

    def logout(self, text: str = "", timeout_seconds: float = 5.0) -> bool:
        """Log out, wait for the answer and close the connection; whether it was answered in time."""
        if not self._logged_on:
            return False
        self._logout_sent = True
        self.send("5", [(58, text)] if text else [])
        answered = self.inbox.wait_for(lambda: not self._logged_on, timeout_seconds)
        self.drop()
        return answered

    def drop(self, *, reset: bool = False) -> None:
        """Cut the connection without a Logout; ``reset`` sends a TCP reset instead of an orderly end."""
        with self._send_lock:
            sock, self._socket = self._socket, None
            self._set_logged_on(False)  # before the other side can notice and log on again
        if sock is not None:
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        if self._listener is None:
            self._join()

    def close(self) -> None:
        """End the connection and stop listening; the peer cannot be used afterwards."""
        self._closing = True
        self.drop()
        if self._listener is not None:
            self._listener.close()
            self._join()
        self._numbers.close()

    def _join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # ------------------------------------------------------------ sending and waiting

    def send_raw(self, data: bytes) -> None:
        """Write bytes to the socket as they are; no number is used.

        Raises:
            CounterpartyError: there is no connection.
        """
        with self._send_lock:
            if self._socket is None:
                raise CounterpartyError(f"{self.settings.sender} has no connection")
            self._write(data)

    def frame(
        self, msg_type: str, fields: Iterable[Pair] | str = (), *, seq: int | None = None,
        header: Iterable[Pair] = (), body_length: int | None = None, check_sum: str | None = None,
    ) -> bytes:  # fmt: skip
        """Build, without sending, a frame with any number, length or checksum; for :meth:`send_raw`."""
        stamp = self._stamp(self.next_out if seq is None else seq, tuple(header))
        return build_frame(stamp, msg_type, body_text(fields), body_length=body_length, check_sum=check_sum)

    def expect(self, msg_type: str, timeout_seconds: float = 5.0, **match: str) -> Fields:
        """Wait for a message, delivered in sequence and not expected before, and take it.

        Earlier messages that do not match stay for later calls.

        Args:
            msg_type: 35, or "" for any.
            timeout_seconds: how long to wait.
            match: values by FIX name or ``t<number>``: ``ClOrdID="A"``, ``t5001="x"``.

        Raises:
            CounterpartyError: nothing matching came in time; names what did come.
            ValueError: a name in ``match`` is not known.
        """
        return self.inbox.take(msg_type, timeout_seconds, _by_tag(match))

    def expect_wire(self, msg_type: str, timeout_seconds: float = 5.0, **match: str) -> Fields:
        """Like :meth:`expect`, over every good frame as it came, resent copies and duplicates included."""
        return self.inbox.take(msg_type, timeout_seconds, _by_tag(match), on_wire=True)

    def expect_none(self, msg_type: str, within_seconds: float = 0.3, **match: str) -> None:
        """Make sure nothing matching comes.

        Raises:
            CounterpartyError: it came.
        """
        try:
            found = self.expect(msg_type, within_seconds, **match)
        except CounterpartyError:
            return
        raise CounterpartyError(f"{self.settings.sender} received what should not come: {found!r}")

    @property
    def received(self) -> deque[Fields]:
        """Every message received, once, in sequence (bounded)."""
        return self.inbox.received

    def _accept_loop(self) -> None:
        listener = self._listener
        while listener is not None and not self._closing:
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._adopt(sock)
            self._serve(sock)


def _by_tag(match: dict[str, str]) -> dict[int, str]:
    return {tag_of(name): value for name, value in match.items()}


def _dial(address: tuple[str, int], deadline: float) -> socket.socket:
    """Connect, trying again until ``deadline`` (monotonic seconds)."""
    while True:
        try:
            return socket.create_connection(address, timeout=max(0.1, deadline - time.monotonic()))
        except OSError as error:
            if time.monotonic() >= deadline:
                raise CounterpartyError(f"no connection to {address[0]}:{address[1]}: {error}") from error
            time.sleep(0.05)
