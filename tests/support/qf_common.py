"""What the two quickfix counterparties share: settings, messages as dicts, JSON lines on stdout."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import quickfix as fix

HEARTBEAT_SECONDS = 30


def say(**facts: Any) -> None:
    """One fact for the test."""
    print(json.dumps(facts), flush=True)


def utc() -> str:
    """Now as UTCTimestamp."""
    return datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


def dictionary_file() -> str:
    """The FIX 4.4 dictionary the quickfix package installed: every check of it is on."""
    return str(Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml")


def settings(kind: str, sender: str, port: int) -> fix.SessionSettings:
    """Settings of one strict FIX 4.4 session with FIXGW."""
    keys = fix.Dictionary()
    common = {
        "ConnectionType": kind,
        "NonStopSession": "Y",
        "HeartBtInt": str(HEARTBEAT_SECONDS),
        "UseDataDictionary": "Y",
        "DataDictionary": dictionary_file(),
        "SocketNodelay": "Y",
        "ReconnectInterval": "1",
    }
    own = (
        {"SocketAcceptPort": str(port), "SocketReuseAddress": "Y"}
        if kind == "acceptor"
        else {"SocketConnectHost": "127.0.0.1", "SocketConnectPort": str(port)}
    )
    for key, value in (common | own).items():
        keys.setString(key, value)
    result = fix.SessionSettings()
    result.set(fix.SessionID("FIX.4.4", sender, "FIXGW"), keys)
    return result


def message(msg_type: str, fields: dict[int, str]) -> fix.Message:
    """A FIX message without groups."""
    made = fix.Message()
    made.getHeader().setField(8, "FIX.4.4")
    made.getHeader().setField(35, msg_type)
    for tag, value in fields.items():
        made.setField(tag, value)
    return made


def shares(received: fix.Message) -> dict[str, str]:
    """NoAllocs(78) as quickfix parsed it."""
    found = {}
    for number in range(1, int(received.getField(78)) + 1):
        group = fix.Group(78, 79)
        received.getGroup(number, group)
        found[group.getField(79)] = group.getField(80)
    return found


class Counterparty(fix.Application):  # type: ignore[misc]
    """An application that reports its messages and never lets an exception out."""

    def __init__(
        self,
        on_message: Callable[[Counterparty, str, fix.Message], None],
        on_logon: Callable[[Counterparty], None],
    ) -> None:
        super().__init__()
        self._on_message, self._on_logon = on_message, on_logon
        self.session: fix.SessionID | None = None

    def send(self, msg: fix.Message) -> None:
        """Send to the gateway."""
        fix.Session.sendToTarget(msg, self.session)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            say(error=traceback.format_exc())
            os._exit(1)

    def onCreate(self, session_id: Any) -> None:
        self.session = fix.SessionID("FIX.4.4", session_id.getSenderCompID().getValue(), "FIXGW")

    def onLogon(self, session_id: Any) -> None:
        self._guard(lambda: self._on_logon(self))

    def onLogout(self, session_id: Any) -> None:
        say(event="logout")

    def toAdmin(self, msg: Any, session_id: Any) -> None:
        kind = msg.getHeader().getField(35)
        if kind == "3":
            say(error=f"quickfix rejects: {msg.toString()}")

    def fromAdmin(self, msg: Any, session_id: Any) -> None:
        if msg.getHeader().getField(35) == "3":
            say(error=f"we were rejected: {msg.toString()}")

    def toApp(self, msg: Any, session_id: Any) -> None:
        if msg.getHeader().getField(35) == "j":
            say(error=f"quickfix refuses: {msg.toString()}")

    def fromApp(self, msg: Any, session_id: Any) -> None:
        self._guard(lambda: self._on_message(self, msg.getHeader().getField(35), msg))
