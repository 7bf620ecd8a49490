"""What the gateway knows about each session while the engine runs it, and how texts and deliveries pair up.

The engine shows a message's text when it reads it and delivers the message, parsed, some time later: at once,
after the messages before it were sent again, or never. A :class:`Link` keeps the texts not yet delivered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from fixgateway.sessions import texts
from fixgateway.sessions.items import Outgoing, Seen
from fixgateway.sessions.settings import SessionSpec

MAX_UNDELIVERED = 65_536
"""Texts kept per session for messages waiting behind a gap. At the limit, the oldest goes; should the engine
deliver that one after all, the gateway makes do with the engine's own rendering and says so."""

MAX_REFUSALS = 1_024
"""Numbers per session whose refusals are counted; at the limit counting starts afresh."""


MAX_UNJOURNALED = 65_536
"""Sends per session that may wait for the pump to journal them; a resend of an older one is a gap fill."""


@dataclass(eq=False, slots=True)
class Link:
    """One session while the engine runs.

    Attributes:
        spec: what it is; ``session``: the engine's object, set when the engine is built.
        up: whether it is logged on (between the engine's onLogon and onLogout).
        leaving: whether our Logout has gone out since (the engine would still store and number a message, and
            send it at the next logon), or the counterparty is resetting the numbers.
        expected: the MsgSeqNum we believe comes next; only a shortcut, see callbacks.
        undelivered: texts by MsgSeqNum, the latest of each number.
        early: Rejects delivered ahead of their turn, waiting for it.
        refusals: how often the engine could not read a number.
        sent: what the pump sent and may not have journaled yet; filled in the pump's thread only.
        used: whether this epoch's sender numbers have begun.
        reset_sent: our own last Logon asked for a reset.
        resetting: the numbers began at 1 again, and that may not be durable yet.
        reopen: log on again once down.
    """

    spec: SessionSpec
    session: Any = None
    up: bool = False
    leaving: bool = False
    expected: int = 0
    undelivered: dict[int, Seen] = field(default_factory=dict)
    early: dict[int, Seen] = field(default_factory=dict)
    refusals: dict[int, int] = field(default_factory=dict)
    sent: deque[Outgoing] = field(default_factory=lambda: deque(maxlen=MAX_UNJOURNALED))
    used: bool = False
    reset_sent: bool = False
    resetting: bool = False
    reopen: bool = False

    @property
    def name(self) -> str:
        """The session's name."""
        return self.spec.name

    def stash(self, seen: Seen) -> None:
        """Keep a text whose message has not been delivered (yet)."""
        number = texts.msg_seq_num(seen.text)
        # A later copy of a number must also be the younger one in the dictionary's order.
        self.undelivered.pop(number, None)
        if len(self.undelivered) >= MAX_UNDELIVERED:
            self._make_room()
        self.undelivered[number] = seen

    def _make_room(self) -> None:
        stale = [number for number in self.undelivered if number < self.expected]
        for number in stale or [next(iter(self.undelivered))]:
            del self.undelivered[number]

    def note_sent(self, item: Outgoing) -> None:
        """Remember a send until the pump has journaled it (then the journal knows it)."""
        sent = self.sent
        while sent and sent[0].seq:
            sent.popleft()
        sent.append(item)

    def unjournaled(self, number: int) -> str | None:
        """The body sent as ``number`` if the pump has not journaled that send yet."""
        # Copied in one step: the pump's thread may be adding.
        for item in reversed(tuple(self.sent)):
            if texts.msg_seq_num(item.text) == number:
                return texts.body(item.text) if not item.seq else None
        return None

    def refused_again(self, number: int) -> bool:
        """Count a refusal of ``number``; whether it is not the first."""
        if len(self.refusals) >= MAX_REFUSALS:
            self.refusals.clear()
        self.refusals[number] = self.refusals.get(number, 0) + 1
        return self.refusals[number] > 1

    def begin_epoch(self) -> None:
        """Numbers start at 1 again: forget everything that was told apart by number."""
        self.expected = 1
        self.used = False
        self.undelivered.clear()
        self.early.clear()
        self.refusals.clear()
        self.sent.clear()


@dataclass(slots=True)
class Sending:
    """The send in progress; ``thread`` is the sender's thread number while it lasts, else 0.

    ``shown`` says whether the engine wrote the message to the socket's queue.
    """

    thread: int = 0
    link: Link | None = None
    decision_seq: int = 0
    index: int = 0
    shown: bool = False
