"""What the FIX engine's callbacks hand to the pump, in one first-in-first-out inbox.

``text`` is FIX text exactly as the engine logged it: UTF-8 with surrogateescape, so
``text.encode("utf-8", "surrogateescape")`` gives the bytes of the wire back. ``ts_ns`` is the UTC clock
when the callback ran. ``seq`` is set by the pump when it journals the item; nobody else writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import Literal


@dataclass(slots=True)
class Seen:
    """Text the engine read from a session; not yet accepted by the FIX session layer."""

    session: str
    ts_ns: int
    text: str
    seq: int = 0


@dataclass(slots=True)
class Accepted:
    """The session layer delivered message ``msg_seq_num`` (fromApp or fromAdmin); ``seen`` is its text."""

    session: str
    ts_ns: int
    msg_seq_num: int
    seen: Seen
    admin: bool
    seq: int = 0


@dataclass(slots=True)
class EngineRefused:
    """The engine refused ``seen`` by itself (its own 35=3, or "Invalid message"); the text is all there is."""

    session: str
    ts_ns: int
    seen: Seen
    why: str
    seq: int = 0


@dataclass(slots=True)
class Outgoing:
    """Text the engine is about to write to a session's socket.

    ``decision_seq`` and ``index`` name the decision it was sent for; 0 for the engine's own administrative
    messages and for resends.
    """

    session: str
    ts_ns: int
    text: str
    decision_seq: int
    index: int
    seq: int = 0


@dataclass(slots=True)
class SessionEvent:
    """A session came up or went down, its store was reset, or the engine noted something."""

    session: str
    ts_ns: int
    kind: Literal["up", "down", "reset", "event", "fatal"]
    text: str
    seq: int = 0


@dataclass(slots=True)
class Barrier:
    """Nothing that happened: the engine's thread waits until the records of all items before it are durable.

    The pump syncs at once and sets ``durable``, before it sends anything.
    """

    session: str
    durable: Event = field(default_factory=Event)


Item = Seen | Accepted | EngineRefused | Outgoing | SessionEvent | Barrier
