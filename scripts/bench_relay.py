"""The bare relay of scripts/bench: QuickFIX for Python that checks and keeps nothing of its own.

One acceptor for OMS1, one initiator to BRK1, FileStore, no log. ``fromApp`` hands the body on with as few
engine calls as possible; both engines run their loops (``block()``) in threads made by Python, which halves
the cost of a callback. This is the limit that a gateway in Python on this engine can be measured against.

Usage: bench_relay.py DIRECTORY OMS_PORT BROKER_PORT
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import quickfix as fix

SETTINGS = """
[DEFAULT]
ConnectionType={kind}
FileStorePath={directory}/{kind}
NonStopSession=Y
UseDataDictionary=Y
DataDictionary={dictionary}
ValidateUserDefinedFields=N
AllowUnknownMsgFields=Y
HeartBtInt=30
ReconnectInterval=1
SocketNodelay=Y
[SESSION]
BeginString=FIX.4.4
SenderCompID=FIXGW
TargetCompID={target}
{address}
"""
DICTIONARY = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
BODY_AFTER = "\x0156="
TRAILER = "\x0110="


class Leg(fix.Application):  # type: ignore[misc]
    """One side of the relay: sends every application message on to session ``other``."""

    def __init__(self, other: fix.SessionID) -> None:
        super().__init__()
        self._other = other
        self._kept: dict[tuple[str, str], fix.Message] = {}

    def fromApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        """One parsed message from the engine: cut out the body, set it into a kept message, send."""
        raw = message.toString()
        msg_type = raw[raw.index("\x0135=") + 4 :].partition("\x01")[0]
        body = raw[raw.index("\x01", raw.index(BODY_AFTER) + 1) + 1 : raw.rindex(TRAILER)]
        first, _, rest = body.partition("=")
        kept = self._kept.get((msg_type, first))
        if kept is None:
            kept = self._kept[msg_type, first] = fix.Message()
            header = kept.getHeader()
            header.setField(8, "FIX.4.4")
            header.setField(35, msg_type)
        kept.setField(int(first), rest)
        fix.Session.sendToTarget(kept, self._other)

    def onCreate(self, session_id: fix.SessionID) -> None:  # noqa: D102
        pass

    onLogon = onLogout = onCreate

    def toAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:  # noqa: D102
        pass

    toApp = fromAdmin = toAdmin


def run_loop(engine: fix.SocketAcceptor | fix.SocketInitiator) -> None:
    """One engine's loop; an exception in it ends the process, or it would hang silently."""
    try:
        engine.block()
    except BaseException as error:
        print(f"bench_relay: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def main(directory: str, oms_port: str, broker_port: str) -> None:
    """Run until SIGTERM."""
    connect = f"SocketConnectHost=127.0.0.1\nSocketConnectPort={broker_port}"
    engines = []
    for kind, target, other, address, make in (
        ("acceptor", "OMS1", "BRK1", f"SocketAcceptPort={oms_port}", fix.SocketAcceptor),
        ("initiator", "BRK1", "OMS1", connect, fix.SocketInitiator),
    ):
        leg = Leg(fix.SessionID("FIX.4.4", "FIXGW", other))
        file = Path(directory) / f"{kind}.cfg"
        file.write_text(
            SETTINGS.format(
                kind=kind, directory=directory, dictionary=DICTIONARY, target=target, address=address
            )
        )
        settings = fix.SessionSettings(str(file))
        engines.append((make(leg, fix.FileStoreFactory(settings), settings), settings, leg))  # all kept alive
    for engine, *_ in engines:
        threading.Thread(target=run_loop, args=(engine,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # after the import: the engine sets its own
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
