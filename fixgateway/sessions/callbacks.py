"""The engine's callbacks: they put raw text and clock readings into the inbox, and nothing else.

Three rules keep the process alive (each was learned by experiment):

- No exception leaves a callback except the two the engine knows; any other kills or freezes the process.
- ``Log`` methods, ``toApp``, ``toAdmin`` and ``onLogout`` run under the engine's locks: they never wait. Only
  ``fromApp`` and ``fromAdmin`` may.
- The parsed message passed in is borrowed and re-ordered; the text is what counts.

The engine empties its store for a Logon with ResetSeqNumFlag(141)=Y before it asks anybody, and answers when
``fromAdmin`` returns. So there the callback waits until the reset is durable in the journal: should the machine
fail before, the counterparty has no answer and asks for its reset again; after it, the next start knows of the
reset. The engine holds no lock then, so the pump, whatever it is sending, comes to the reset.

One :class:`Callbacks` serves one engine (the acceptor, or one broker's initiator) and is called by that
engine's one thread, except ``toApp`` and ``onOutgoing``, which also run in the pump's thread while it sends.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from threading import get_ident
from time import monotonic, time_ns
from typing import Any

import quickfix as fix

from fixgateway.sessions import texts
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.items import Accepted, Barrier, EngineRefused, Outgoing, Seen, SessionEvent
from fixgateway.sessions.links import Link, Sending

Resend = Callable[[str, int, str], str | None]
"""``resend(session, MsgSeqNum, MsgType)`` → the journaled body to send again, None to fill the gap instead. It
runs under the engine's locks: it must answer at once and must not call the engine."""

TIMER_SECONDS = 0.5
"""How often the timers of the acceptor's other sessions are run while one session is busy."""

RESET_SECONDS = 10.0
"""How long a Logon is not answered while the reset it asks for is not durable yet; about as long as counterparties
wait for an answer. Then the connection is dropped, without an answer, and the counterparty asks again."""

MAX_EVENT_CHARS = 500
"""Longer event texts are cut: a stranger's message can be part of one."""

REPEATED_EVENTS = ("Resending Message:", "Processing QUEUED message:")
"""Events, one per message, that only repeat what other items say."""

_INCR_WHATEVER_THE_NUMBER = frozenset("35")
"""MsgTypes (Reject, Logout) after which the engine counts one message as received, whatever number they bear."""


class Poison:
    """Set once, when something went wrong that must end the process; shared by all callbacks of a host."""

    def __init__(self, inbox: Inbox[Any]) -> None:
        self.reason = ""
        self._inbox = inbox

    def set(self, session: str, where: str, error: BaseException) -> None:
        """Remember the first reason and tell the pump of each; never raises."""
        reason = f"{where}: {error!r}"
        self.reason = self.reason or reason
        detail = "".join(traceback.format_exception(error))[-MAX_EVENT_CHARS * 4 :]
        self._inbox.put(SessionEvent(session, time_ns(), "fatal", f"{reason}\n{detail}"))


class Callbacks(fix.Application):  # type: ignore[misc]
    """The engine's application object for the sessions in ``links``.

    Args:
        links: the sessions of this engine.
        inbox: where everything goes.
        resend: see :data:`Resend`.
        sending: the pump's send in progress, shared by all engines.
        poison: shared by all engines.
        runs_timers: whether to run the other sessions' timers (acceptor only).

    Attributes:
        accepting: whether the engine has accepted a connection: its listening sockets are set up.
    """

    def __init__(
        self,
        links: Iterable[Link],
        inbox: Inbox[Any],
        resend: Resend,
        sending: Sending,
        poison: Poison,
        runs_timers: bool,
    ) -> None:
        super().__init__()
        self.links = {link.spec.engine_key: link for link in links}
        self.pending: Seen | None = None
        self.pending_link: Link | None = None
        self.sending = sending
        self.poison = poison
        self.put = inbox.put
        self._put_bounded = inbox.put_bounded
        self._put_quietly = inbox.put_quietly
        self._resend_body = resend
        self._runs_timers = runs_timers and len(self.links) > 1
        self._next_timers = 0.0
        self.accepting = False

    # ------------------------------------------------------------ what the engine calls

    def onCreate(self, session_id: Any) -> None:
        """Nothing to do."""

    def onLogon(self, session_id: Any) -> None:
        """The session is up."""
        try:
            link = self.links[session_id.toString()]
            link.leaving = False
            link.up = True
            self.put(SessionEvent(link.name, time_ns(), "up", "logged on"))
        except BaseException as error:
            self.poison.set("", "onLogon", error)

    def onLogout(self, session_id: Any) -> None:
        """The session is down; what waited behind a gap will have to be sent again."""
        try:
            link = self.links[session_id.toString()]
            was_up, link.up = link.up, False
            link.undelivered.clear()
            if self.pending_link is link:
                self.pending = None
            if was_up:
                self.put(SessionEvent(link.name, time_ns(), "down", "logged out or disconnected"))
            else:
                self.put(SessionEvent(link.name, time_ns(), "event", "the logon did not succeed"))
            if link.reopen:
                link.reopen = False
                link.session.logon()
        except BaseException as error:
            self.poison.set("", "onLogout", error)

    def toAdmin(self, message: Any, session_id: Any) -> None:
        """The engine's own messages go as they are."""

    def toApp(self, message: Any, session_id: Any) -> None:
        """Let a first send through only while logged on; give a resend its journaled body."""
        refuse = True
        try:
            sending = self.sending
            if sending.thread == get_ident() and sending.link is not None:
                # onLogout clears this under the lock we are called under, so it is the engine's own state here,
                # and the session cannot log out between here and the socket.
                refuse = not sending.link.up or sending.link.leaving
            else:
                refuse = not self._resend(message, session_id)
        except BaseException as error:
            self.poison.set("", "toApp", error)
        if refuse:
            raise fix.DoNotSend()

    def fromAdmin(self, message: Any, session_id: Any) -> None:
        """A session-level message."""
        refuse = False
        try:
            if not self.poison.reason:
                refuse = not self._deliver_admin(message, session_id)
        except BaseException as error:
            self.poison.set("", "fromAdmin", error)
        if refuse:
            raise fix.RejectLogon("the reset of the sequence numbers is not durable")

    def fromApp(self, message: Any, session_id: Any) -> None:
        """An application message, in sequence."""
        try:
            # After a failure nothing is accepted any more: what was lost must stay the first thing missing.
            if self.poison.reason:
                return
            seen, link = self.pending, self.pending_link
            if seen is not None and link is not None and texts.msg_seq_num(seen.text) == link.expected:
                # The engine is handling the very text it showed last, and that is the one due: no need to ask.
                self.pending = None
                number = link.expected
            else:
                link, number = self._identify(message, session_id)
                seen = self._text_of(link, number, message)
            self._accept(link, number, seen, admin=False)
        except BaseException as error:
            self.poison.set("", "fromApp", error)

    # ------------------------------------------------------------ delivery

    def _deliver_admin(self, message: Any, session_id: Any) -> bool:
        """Put it into the inbox; False when it is a Logon that must not be answered."""
        link, number = self._identify(message, session_id)
        due = link.session.getExpectedTargetNum()
        if due == 1 and link.expected > 1:
            # A schedule or ResetOnLogon did it; the engine says nothing. It must come before what is number 1 now.
            self.reset(link, "the engine expects MsgSeqNum 1 again: the store was reset")
        seen = self._text_of(link, number, message)
        msg_type = texts.msg_type(seen.text)
        if msg_type == "A" and link.resetting and not self._reset_is_durable(link):
            return False
        if number == due:
            self._accept(link, number, seen, admin=True)
            return True
        # Delivered out of turn (a Logon above a gap, say). It must not pass for the highest number received.
        if msg_type == "3" and number > due:
            link.early[number] = seen
        self.put(
            SessionEvent(
                link.name,
                time_ns(),
                "event",
                f"session message 35={msg_type} has MsgSeqNum {number}, due is {due}: handled out of turn",
            )
        )
        if msg_type in _INCR_WHATEVER_THE_NUMBER:
            # The engine now adds one to the number due, as if message `due` had come: take it back beforehand.
            link.session.setNextTargetMsgSeqNum(due - 1)
        return True

    def _reset_is_durable(self, link: Link) -> bool:
        """Wait until the session's new epoch is in the journal; False: it is not, and the connection is gone."""
        barrier = Barrier(link.name)
        self.put(barrier)
        link.resetting = not barrier.durable.wait(RESET_SECONDS)
        self._next_timers = monotonic() + TIMER_SECONDS  # we kept the engine from reading, see _accept
        if link.resetting:
            waited = f"{RESET_SECONDS:.0f} s"
            self._event(link, f"alert: a reset was not durable in {waited}; its Logon is not answered")
            # At once, else the engine would answer with a Logout, number 1 of the new epoch.
            link.session.disconnect()
        return not link.resetting

    def _identify(self, message: Any, session_id: Any) -> tuple[Link, int]:
        link = self.links[session_id.toString()]
        try:
            value = message.getHeader().getField(34)
        except fix.FieldNotFound:
            return link, 0
        return link, int(value) if value.isdigit() else 0

    def _text_of(self, link: Link, number: int, message: Any) -> Seen:
        """The wire text of a message the engine delivers."""
        seen = self.pending
        if seen is not None and self.pending_link is link and texts.msg_seq_num(seen.text) == number:
            self.pending = None
            return seen
        kept = link.undelivered.pop(number, None)
        if kept is not None:
            return kept
        made = Seen(link.name, time_ns(), message.toString())
        self.put(made)
        self._event(link, f"alert: no wire text for MsgSeqNum {number}; the engine's own rendering is used")
        return made

    def _accept(self, link: Link, number: int, seen: Seen, admin: bool) -> None:
        link.expected = number + 1
        if link.early:
            seen = self._accept_early(link, number, seen)
        waited_seconds = self._put_bounded(Accepted(link.name, time_ns(), number, seen, admin))
        if self._runs_timers:
            now = monotonic()
            if waited_seconds > TIMER_SECONDS:
                # We kept the engine from reading: the others' silence is our doing, let them be heard first.
                self._next_timers = now + TIMER_SECONDS
            elif now >= self._next_timers:
                self._next_timers = now + TIMER_SECONDS
                self._run_timers(link)

    def _accept_early(self, link: Link, number: int, seen: Seen) -> Seen:
        """Accept, in their turn, the Rejects that came ahead of it (the peer rarely sends those again).

        Returns:
            the text to accept as ``number``: a Reject that came ahead rather than the gap fill over it.
        """
        for early in sorted(n for n in link.early if n < number):
            self._put_bounded(Accepted(link.name, time_ns(), early, link.early.pop(early), True))
        reject = link.early.pop(number, None)
        return reject if reject is not None and texts.msg_type(seen.text) == "4" else seen

    def _run_timers(self, busy: Link) -> None:
        """Heartbeats and dead peers of the other sessions: the acceptor looks only when nobody sends."""
        for link in self.links.values():
            if link is not busy and link.up:
                link.session.next(fix.UtcTimeStamp())

    # ------------------------------------------------------------ resend

    def _resend(self, message: Any, session_id: Any) -> bool:
        """Put the journaled body back into a message the engine re-ordered; whether it may go out."""
        link = self.links[session_id.toString()]
        header = texts.header_fields(message.toString())
        values = dict(header)
        if values.get(43) != "Y":
            # Not a resend and not the pump's: the engine's own BusinessMessageReject.
            return bool(link.session.isLoggedOn())
        number = int(values[34])
        # The peer may ask before the pump has got round to journaling the send.
        body = link.unjournaled(number) or self._resend_body(link.name, number, values[35])
        if body is None:
            return False
        message.clear()
        fields = message.getHeader()
        for tag, value in header:
            fields.setField(tag, value)
        set_body(message, body)
        return True

    # ------------------------------------------------------------ what the logs tell

    def incoming(self, link: Link, text: str) -> None:
        """The engine read ``text``; whether it accepts the message is still open."""
        seen = Seen(link.spec.name, time_ns(), text)
        self._set_pending_aside()
        self.pending, self.pending_link = seen, link
        self._put_quietly(seen)

    def _set_pending_aside(self) -> None:
        if self.pending is not None and self.pending_link is not None:
            self.pending_link.stash(self.pending)
            self.pending = None

    def outgoing(self, link: Link, text: str) -> None:
        """The engine is writing ``text`` to the session's socket."""
        sending = self.sending
        if sending.thread == get_ident():
            sending.shown = True
            link.used = True
            item = Outgoing(link.spec.name, time_ns(), text, sending.decision_seq, sending.index)
            link.note_sent(item)
            self.put(item)
            return
        msg_type = texts.msg_type(text)
        if msg_type == "A":
            self._own_logon(link, text)
        elif msg_type == "5":
            link.leaving = True
        link.used = True
        self.put(Outgoing(link.spec.name, time_ns(), text, 0, 0))
        if msg_type in ("3", "j", "5") and "\x0143=Y\x01" not in text:
            self._own_refusal(link, msg_type, text)
        # The engine spoke between reading a text and delivering it: from here on, ask it which message it means.
        self._set_pending_aside()

    def event(self, link: Link, text: str) -> None:
        """The engine notes something; three notes mean more than their words."""
        if text.startswith(REPEATED_EVENTS):
            return
        self._event(link, text)
        if text.startswith("Invalid message"):
            self._unreadable(link, text)
        elif text.startswith("Logon contains ResetSeqNumFlag=Y"):
            link.leaving = True  # in the middle of a session: nothing may leave before our Logon that answers
            if link.reset_sent:
                link.reset_sent = False
            else:
                self.reset(link, "the counterparty's Logon has ResetSeqNumFlag(141)=Y")

    def _event(self, link: Link, text: str) -> None:
        self.put(SessionEvent(link.name, time_ns(), "event", text[:MAX_EVENT_CHARS]))

    def reset(self, link: Link, why: str) -> None:
        """The session's numbers start at 1: a new epoch."""
        link.begin_epoch()
        link.resetting = True
        self.put(SessionEvent(link.name, time_ns(), "reset", why))

    def _own_logon(self, link: Link, text: str) -> None:
        link.reset_sent = "\x01141=Y\x01" in text
        if link.used and texts.msg_seq_num(text) == 1:
            self.reset(link, "our Logon has MsgSeqNum 1: the store was reset")

    def _own_refusal(self, link: Link, msg_type: str, text: str) -> None:
        """The engine rejects a message by itself: nobody else will tell the gateway what was in it."""
        why = texts.field(text, 58)
        if msg_type == "5" and why != "Incorrect BeginString":
            return
        named = texts.field(text, 45)
        pending = self.pending if self.pending_link is link else None
        seen: Seen | None
        if pending is not None and (not named or named == texts.field(pending.text, 34)):
            seen, self.pending = pending, None
        else:
            seen = link.undelivered.pop(int(named), None) if named.isdigit() else None
        if seen is not None:
            self.put(EngineRefused(link.name, time_ns(), seen, f"35={msg_type} {why}"))

    def _unreadable(self, link: Link, why: str) -> None:
        """The engine could not parse the text it showed last.

        A frame whose length and checksum are right is what the peer meant, and is taken from its text. Any
        other is noise that FIX says to ignore: the peer is asked for it again. What comes twice like that is
        taken too, and passed over, for otherwise every later message would wait behind it for ever.
        """
        seen = self.pending
        if seen is None or self.pending_link is not link:
            return
        self.pending = None
        number = texts.msg_seq_num(seen.text)
        again = number > 0 and link.refused_again(number)
        if again or texts.is_sound(seen.text):
            self.put(EngineRefused(link.name, time_ns(), seen, why))
        if again and link.session.getExpectedTargetNum() == number:
            link.session.setNextTargetMsgSeqNum(number + 1)
            link.expected = number + 1
            self._event(link, f"alert: MsgSeqNum {number} could not be read twice and was passed over")


def set_body(message: Any, body: str) -> None:
    """Make ``body`` the body of an engine message, byte for byte.

    The engine does not look into a field's value, so the whole body goes in as the value of its first field.
    """
    first_tag, rest = body.split("=", 1)
    message.setField(int(first_tag), rest[:-1] if rest.endswith(texts.SOH) else rest)
