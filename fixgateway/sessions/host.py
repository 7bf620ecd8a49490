"""The FIX engine of one gateway process: one acceptor for all OMS sessions, one initiator per broker.

The process that runs a :class:`SessionHost` must be left with ``os._exit`` after the sessions are logged out:
the engine's own ``stop()`` and destructors crash now and then, and nothing of value is lost without them.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import quickfix as fix

from fixgateway.errors import FixgatewayError, UsageError, WireError
from fixgateway.sessions import listener, store, texts
from fixgateway.sessions.callbacks import Callbacks, Poison, Resend, set_body
from fixgateway.sessions.dictionary import write_dictionaries
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.links import Link, Sending
from fixgateway.sessions.logs import Logs
from fixgateway.sessions.settings import (
    HostSpec,
    SessionSpec,
    check_specs,
    dictionary_names,
    engine_settings,
    session_id,
)

MAX_CACHED_MESSAGES = 4_096
"""Engine messages kept ready per (session, MsgType, first body tag); at the limit all are dropped."""

LISTEN_SECONDS = 10.0
"""How long the acceptor may take to listen."""

_WAIT_STEP_SECONDS = 0.01


class Ready(NamedTuple):
    """An engine message with its plain header set, kept for the next body; ``field`` lies inside ``message``."""

    message: Any
    field: Any


class SessionHost:
    """Runs the sessions of ``spec`` and puts everything they do into ``inbox``.

    Args:
        spec: the sessions and where the engine keeps its files.
        inbox: see :mod:`fixgateway.sessions.items`; the pump empties it.
        resend: see :data:`fixgateway.sessions.callbacks.Resend`.

    Raises:
        ConfigError: the sessions cannot be told apart, or a value cannot be.
    """

    def __init__(self, spec: HostSpec, inbox: Inbox[Any], resend: Resend) -> None:
        check_specs(spec)
        self.spec = spec
        self._inbox = inbox
        self._resend = resend
        self._links = {session.name: Link(session) for session in (*spec.oms, *spec.brokers)}
        self._sending = Sending()
        self._poison = Poison(inbox)
        self._ready: dict[tuple[str, str, str], Ready] = {}
        self._engines: list[tuple[str, Any]] = []
        self._callbacks: dict[str, Callbacks] = {}
        self._kept: list[Any] = []
        self._listener: Any = None
        self._reserved: Any = None

    # ------------------------------------------------------------ start

    def open(self) -> None:
        """Build the engine without connecting anything: from here on sequence numbers can be read and set.

        Raises:
            ConfigError: a dictionary is missing, or the address to listen on cannot be used.
        """
        if self._engines:
            return
        sessions = (*self.spec.oms, *self.spec.brokers)
        names = [name for session in sessions for name in dictionary_names(session)]
        write_dictionaries(names, self.spec.dictionary_dir, self.spec.dictionary_source)
        self.spec.store_dir.mkdir(parents=True, exist_ok=True)
        for session in sessions:
            numbers = store.read_seqnums(self.spec.store_dir, session)
            self._links[session.name].used = numbers is not None and numbers[0] > 1
        engine_port = 0
        if self.spec.oms:
            self._listener = listener.open_listener(self.spec.listen_host, self.spec.listen_port)
            self._reserved = listener.reserve_port()
            engine_port = self._reserved.getsockname()[1]
            self._build("acceptor", fix.SocketAcceptor, self.spec.oms, engine_port)
        for broker in self.spec.brokers:
            self._build(broker.name, fix.SocketInitiator, (broker,), 0)

    def _build(self, name: str, engine_class: Any, specs: tuple[SessionSpec, ...], engine_port: int) -> None:
        links = [self._links[spec.name] for spec in specs]
        acceptor = engine_class is fix.SocketAcceptor
        callbacks = Callbacks(links, self._inbox, self._resend, self._sending, self._poison, acceptor)
        settings = engine_settings(specs, self.spec, engine_port, datetime.now(UTC))
        stores, logs = fix.FileStoreFactory(settings), Logs(callbacks)
        try:
            engine = engine_class(callbacks, stores, settings, logs)
        except fix.FIXException as error:
            raise UsageError(f"FIX engine {name}: {error}; look at the sessions' settings") from error
        for link in links:
            link.session = fix.Session.lookupSession(session_id(link.spec))
            link.expected = link.session.getExpectedTargetNum()
            self._callbacks[link.name] = callbacks
        self._kept += [settings, stores, logs]  # the engine only borrows them
        self._engines.append((name, engine))

    def start(self) -> None:
        """Open the doors: listen for the OMS sessions and connect to the brokers. Returns when listening.

        Raises:
            ConfigError: see :meth:`open`.
            FixgatewayError: the acceptor did not come up.
        """
        self.open()
        for name, engine in self._engines:
            threading.Thread(target=self._run, args=(name, engine), name=f"fix-{name}", daemon=True).start()
        if self._listener is not None:
            port = self._reserved.getsockname()[1]
            callbacks = self._callbacks[self.spec.oms[0].name]
            up = listener.take_over(
                self._listener, port, LISTEN_SECONDS, lambda: bool(self.failed), lambda: callbacks.accepting
            )
            self._reserved.close()
            if not up:
                raise FixgatewayError(f"the FIX acceptor does not listen: {self.failed or 'no reason given'}")

    def _run(self, name: str, engine: Any) -> None:
        """One engine's thread: its loop runs in here for the life of the process."""
        # Signals belong to the main thread; an interrupted socket call is one the engine handles badly.
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
        )
        session = name if name in self._links else ""
        try:
            engine.block()
        except BaseException as error:
            self._poison.set(session, f"FIX engine {name}", error)
        else:
            self._poison.set(session, f"FIX engine {name}", FixgatewayError("its loop ended"))

    @property
    def listen_port(self) -> int:
        """The port OMS sessions connect to."""
        return int(self._listener.getsockname()[1]) if self._listener is not None else self.spec.listen_port

    @property
    def failed(self) -> str:
        """Why the process must end, "" while all is well."""
        return self._poison.reason

    # ------------------------------------------------------------ send

    def send(
        self,
        session: str,
        msg_type: str,
        body: str,
        header: tuple[tuple[int, str], ...],
        decision_seq: int,
        index: int,
    ) -> bool:
        """Send ``body`` byte for byte; only the pump's thread may call this.

        Args:
            session: the session's name.
            msg_type: MsgType(35).
            body: ``tag=value`` fields, each but perhaps the last ended by SOH, no header and no trailer field.
            header: optional header fields besides those the engine sets, such as ``(97, "Y")``.
            decision_seq, index: what it is sent for, echoed in the :class:`Outgoing` item.

        Returns:
            True: written (possibly received). False: surely not sent, no number used, never sent later.

        Raises:
            WireError: a body the engine could not send or could not resend; it names the reason.
        """
        link = self._links[session]
        if not link.up or link.leaving:
            return False
        message = self._message_for(link, msg_type, body, header)
        sending = self._sending
        sending.link, sending.decision_seq, sending.index, sending.shown = link, decision_seq, index, False
        sending.thread = threading.get_ident()
        try:
            link.session.send(message)
        finally:
            sending.thread = 0
        return sending.shown

    def _message_for(self, link: Link, msg_type: str, body: str, header: tuple[tuple[int, str], ...]) -> Any:
        first_tag, equals, rest = body.partition("=")
        try:
            # A ready message keeps every header field it ever had, so only plain ones are kept ready.
            ready = None if header else self._ready.get((link.spec.name, msg_type, first_tag))
            if ready is not None:
                _check_rest(body)
                # The body is the value of its only field (see set_body), and that field is at hand.
                ready.field.setString(rest[:-1] if rest.endswith(texts.SOH) else rest)
                return ready.message
            _check_first_tag(first_tag, equals, body)
            _check_rest(body)
            message = _new_message(link.spec, msg_type)
            fields = message.getHeader()
            for tag, value in header:
                _check_header_value(tag, value)
                fields.setField(tag, value)
            set_body(message, body)
        except TypeError as error:
            raise WireError(
                f"a {msg_type} for {link.name} has characters that are no UTF-8; replace them before sending"
            ) from error
        if not header:
            if len(self._ready) >= MAX_CACHED_MESSAGES:
                self._ready.clear()
            field = message.getFieldRef(int(first_tag))
            self._ready[(link.spec.name, msg_type, first_tag)] = Ready(message, field)
        return message

    # ------------------------------------------------------------ state and administration

    def is_up(self, session: str) -> bool:
        """Whether the session is logged on."""
        return self._links[session].up

    def sequence(self, session: str) -> tuple[int, int]:
        """``(next sender, next target)`` MsgSeqNum of the session."""
        engine_session = self._links[session].session
        return int(engine_session.getExpectedSenderNum()), int(engine_session.getExpectedTargetNum())

    def set_sequence(self, session: str, next_sender: int | None, next_target: int | None) -> None:
        """Set the session's next numbers; None leaves one as it is. Only while it is down.

        Raises:
            UsageError: the session is logged on, or a number is below 1.
        """
        link = self._links[session]
        if link.up:
            remedy = f"fixgateway session disable {session}"
            raise UsageError(f"session {session} is logged on; keep it out first: {remedy}")
        if any(number is not None and number < 1 for number in (next_sender, next_target)):
            raise UsageError(f"session {session}: sequence numbers start at 1")
        if next_sender is not None:
            link.session.setNextSenderMsgSeqNum(next_sender)
            link.used = next_sender > 1
        if next_target is not None:
            link.session.setNextTargetMsgSeqNum(next_target)
            link.expected = next_target

    def logout(self, session: str, text: str) -> None:
        """Log the session out (within about a second), telling the counterparty why; it may log on again."""
        link = self._links[session]
        if not link.up:
            return
        link.reopen = True
        link.session.logout(text)
        if not self.is_up(session):
            # It went down by itself meanwhile, so no onLogout will open it again.
            self.enable(session)

    def reopen_store(self, session: str) -> bool:
        """Open the session's store again after a write to it failed; only the pump's thread may call this.

        The engine's files remember their first error for ever, so that nothing could be sent on the session any
        more (not even a Heartbeat), also when the disk has space again.

        Returns:
            whether the store is open again; False when its files cannot be opened, then nothing was changed.
        """
        link = self._links[session]
        if not store.is_writable(self.spec.store_dir, link.spec):
            return False  # the engine would be left without files, and crash at the next message
        sender, target = self.sequence(session)
        try:
            link.session.refresh()
        except Exception:  # whatever the engine makes of its IOException; it has its files, and is asked again
            return False
        if self.sequence(session)[0] < sender:
            link.session.setNextSenderMsgSeqNum(sender)
        if self.sequence(session)[1] < min(target, link.expected):
            link.session.setNextTargetMsgSeqNum(min(target, link.expected))
        return True

    def disable(self, session: str, text: str = "session disabled") -> None:
        """Log the session out and let it not log on again before :meth:`enable`."""
        link = self._links[session]
        link.reopen = False
        link.session.logout(text)

    def enable(self, session: str) -> None:
        """Let the session log on (again)."""
        link = self._links[session]
        link.reopen = False
        link.session.logon()

    def is_enabled(self, session: str) -> bool:
        """Whether the session may log on."""
        return bool(self._links[session].session.isEnabled())

    def roll(self, session: str, timeout_seconds: float = 10.0) -> bool:
        """End the session's day: log out, reset both numbers to 1 and the store, start a new epoch.

        Waits for the counterparty's Logout, so the pump must not call it itself.

        Returns:
            False when the session did not go down in time; then nothing was reset and it may go on.
        """
        link = self._links[session]
        was_enabled = self.is_enabled(session)
        self.disable(session, "end of day")
        try:
            if not self._wait_down([link], timeout_seconds):
                return False
            link.session.reset()
            self._callbacks[session].reset(link, "end of day: numbers and store were reset")
        finally:
            if was_enabled:
                self.enable(session)
        return True

    def stop_omses(self, timeout_seconds: float) -> bool:
        """Log all OMS sessions out and keep them out; whether all are down in time."""
        return self._stop([self._links[spec.name] for spec in self.spec.oms], timeout_seconds)

    def stop_brokers(self, timeout_seconds: float) -> bool:
        """Log all broker sessions out and keep them out; whether all are down in time."""
        return self._stop([self._links[spec.name] for spec in self.spec.brokers], timeout_seconds)

    def _stop(self, links: Iterable[Link], timeout_seconds: float) -> bool:
        stopping = [link for link in links if link.session is not None]
        for link in stopping:
            link.reopen = False
            link.session.logout("gateway stopping")
        return self._wait_down(stopping, timeout_seconds)

    @staticmethod
    def _wait_down(links: Iterable[Link], timeout_seconds: float) -> bool:
        waiting = list(links)
        deadline = time.monotonic() + timeout_seconds
        while any(link.up for link in waiting):
            if time.monotonic() > deadline:
                return False
            time.sleep(_WAIT_STEP_SECONDS)
        return True


def _new_message(spec: SessionSpec, msg_type: str) -> Any:
    message = fix.Message()
    header = message.getHeader()
    header.setField(8, spec.begin_string)
    header.setField(35, msg_type)
    return message


def _check_first_tag(first_tag: str, equals: str, body: str) -> None:
    if not equals or not first_tag.isdigit() or int(first_tag) < 1:
        raise WireError(f"a body must begin with tag=value, not {body[:40]!r}")


def _check_rest(body: str) -> None:
    if "\x00" in body:
        raise WireError(f"a body contains NUL at position {body.index(chr(0))}: the engine could never resend it")
    if tag := texts.lying_length(body):
        raise WireError(f"data tag {tag} is longer or shorter than its length field says: it could not be resent")


def _check_header_value(tag: int, value: str) -> None:
    if not value or not value.isprintable():
        raise WireError(f"header field {tag} must be printable and not empty, not {value!r}")
