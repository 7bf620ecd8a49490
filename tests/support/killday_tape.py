"""What the counterparties of a running day wrote and read, in one order of events."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Literal, NamedTuple

from fixgateway.sim.fields import Fields
from fixgateway.sim.session import ADMIN_TYPES


class Entry(NamedTuple):
    """One frame: read by ``peer`` (``in``) or about to be written by it (``out``)."""

    peer: str
    way: Literal["in", "out"]
    fields: Fields


class Tape:
    """Every frame of all counterparties, in the order they were read or about to be written.

    A frame stands before everything that follows from it: it is noted before it is written, and after it was read.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.entries)

    def recorder(self, peer: str) -> Callable[[Literal["in", "out", "event"], Fields | str], None]:
        """An ``on_wire`` callback for a :class:`~fixgateway.sim.peer.Peer`."""

        def note(direction: Literal["in", "out", "event"], what: Fields | str) -> None:
            if direction != "event" and isinstance(what, Fields):
                with self._lock:
                    self.entries.append(Entry(peer, direction, what))

        return note

    def text(self) -> str:
        """The tape for people, one frame a line."""
        return "".join(f"{n} {e.peer} {e.way} {e.fields!r}\n" for n, e in enumerate(self.entries))


class Heard(NamedTuple):
    """An application message and where on the tape it can first have been heard."""

    at: int
    fields: Fields


def frames(entries: list[Entry]) -> dict[tuple[str, str], list[Heard]]:
    """(peer, way) → its application frames as they were, copies included."""
    found: dict[tuple[str, str], list[Heard]] = defaultdict(list)
    for at, entry in enumerate(entries):
        kind = entry.fields.msg_type
        if kind not in ADMIN_TYPES or kind == "3":  # Reject (3) is for the users of a session
            found[entry.peer, entry.way].append(Heard(at, entry.fields))
    return found


def messages(copies: list[Heard]) -> list[Heard]:
    """Each message once, in the order of their numbers.

    A message cannot be heard before all that have a lower number: whoever gets it early asks for those first.
    """
    first: dict[int, Heard] = {}
    for heard in copies:
        first.setdefault(heard.fields.seq, heard)
    result, at = [], 0
    for _, heard in sorted(first.items()):
        at = max(at, heard.at)
        result.append(Heard(at, heard.fields))
    return result


def flagged(fields: Fields) -> bool:
    """Whether the frame says that it may be a copy: PossDupFlag(43) or PossResend(97)."""
    return fields.get(43) == "Y" or fields.get(97) == "Y"
