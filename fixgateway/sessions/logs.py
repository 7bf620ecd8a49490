"""The engine's log: the only place where it shows raw text.

Its methods run under the engine's locks: they never wait, and no exception leaves them.
"""

from __future__ import annotations

from time import time_ns
from typing import Any

import quickfix as fix

from fixgateway.sessions.callbacks import MAX_EVENT_CHARS, Callbacks
from fixgateway.sessions.items import SessionEvent
from fixgateway.sessions.links import Link


class WireLog(fix.Log):  # type: ignore[misc]
    """What the engine reads, writes and notes of one session."""

    def __init__(self, callbacks: Callbacks, link: Link) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._link = link

    def clear(self) -> None:
        """Nothing is kept here."""

    def backup(self) -> None:
        """Nothing is kept here."""

    def onIncoming(self, text: str) -> None:
        """Text read from the socket."""
        try:
            self._callbacks.incoming(self._link, text)
        except BaseException as error:
            self._callbacks.poison.set(self._link.name, "onIncoming", error)

    def onOutgoing(self, text: str) -> None:
        """Text going to the socket."""
        try:
            self._callbacks.outgoing(self._link, text)
        except BaseException as error:
            self._callbacks.poison.set(self._link.name, "onOutgoing", error)

    def onEvent(self, text: str) -> None:
        """A note of the engine."""
        try:
            self._callbacks.event(self._link, text)
        except BaseException as error:
            self._callbacks.poison.set(self._link.name, "onEvent", error)


class EngineLog(fix.Log):  # type: ignore[misc]
    """Notes of the engine that belong to no session: connections, strangers."""

    def __init__(self, callbacks: Callbacks) -> None:
        super().__init__()
        self._callbacks = callbacks

    def clear(self) -> None:
        """Nothing is kept here."""

    def backup(self) -> None:
        """Nothing is kept here."""

    def onIncoming(self, text: str) -> None:
        """A stranger's message; the engine's event repeats it."""

    def onOutgoing(self, text: str) -> None:
        """Does not happen."""

    def onEvent(self, text: str) -> None:
        """A note of the engine."""
        try:
            if text.startswith("Accepted connection"):
                self._callbacks.accepting = True
            self._callbacks.put(SessionEvent("", time_ns(), "event", text[:MAX_EVENT_CHARS]))
        except BaseException as error:
            self._callbacks.poison.set("", "onEvent", error)


class Logs(fix.LogFactory):  # type: ignore[misc]
    """Makes the logs, and keeps them: the engine only borrows."""

    def __init__(self, callbacks: Callbacks) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._kept: list[Any] = []

    def create(self, *session_id: Any) -> Any:
        """A log for one session, or for the engine itself."""
        log: Any
        if session_id:
            log = WireLog(self._callbacks, self._callbacks.links[session_id[0].toString()])
        else:
            log = EngineLog(self._callbacks)
        # Handing over ownership takes a path in the binding that corrupts its lock.
        log.thisown = False
        self._kept.append(log)
        return log

    def destroy(self, log: Any) -> None:
        """Logs live as long as the process."""
