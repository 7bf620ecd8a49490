"""A broker written with the quickfix package: fills 30,000 of an order in three parts, cancels, answers the J.

Usage: qf_broker.py PORT
"""

from __future__ import annotations

import itertools
import sys
import threading

import quickfix as fix
from qf_common import Counterparty, message, say, settings, shares, utc

_exec_ids = itertools.count(1)
_kept: dict[str, dict[int, str]] = {}


def report(
    order: dict[int, str], exec_type: str, status: str, cum: int, leaves: int, more: dict[int, str]
) -> fix.Message:
    """An ExecutionReport."""
    head = {37: "QF-1", 17: f"QFE{next(_exec_ids)}", 150: exec_type, 39: status, 11: order[11], 55: order[55]}
    tail = {54: order[54], 38: order[38], 14: str(cum), 151: str(leaves), 6: "100", 60: utc()}
    return message("8", {**head, **tail, **more})


def on_message(app: Counterparty, msg_type: str, received: fix.Message) -> None:
    """The broker's script."""
    if msg_type == "D":
        order = {tag: received.getField(tag) for tag in (11, 55, 54, 38, 70)}
        _kept["order"] = order
        say(order=order[11], quantity=order[38], alloc_id=order[70])
        app.send(report(order, "0", "0", 0, 50000, {}))
        for number, price in enumerate(("99.90", "100", "100.10"), 1):
            done = 10000 * number
            app.send(report(order, "F", "1", done, 50000 - done, {32: "10000", 31: price}))
    elif msg_type == "F":
        order = _kept["order"] | {11: received.getField(11)}
        app.send(report(order, "4", "4", 30000, 0, {41: received.getField(41)}))
    elif msg_type == "J":
        say(
            allocation=shares(received),
            total=received.getField(53),
            avg_px=received.getField(6),
            trans_type=received.getField(71),
            alloc_type=received.getField(626),
        )
        app.send(message("P", {70: received.getField(70), 60: utc(), 87: "0"}))
    else:
        say(error=f"unexpected {msg_type}")


def main() -> None:
    """Listen until the parent ends us."""
    app = Counterparty(on_message, lambda _: say(event="logon"))
    given, store, logs = settings("acceptor", "BRK1", int(sys.argv[1])), fix.MemoryStoreFactory(), None
    acceptor = fix.SocketAcceptor(app, store, given)
    acceptor.start()
    say(event="listening", logs=logs)
    threading.Event().wait()


if __name__ == "__main__":
    main()
