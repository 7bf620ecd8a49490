"""An OMS written with the quickfix package: the worked example, then it leaves with exit 0.

Usage: qf_oms.py PORT TRADE_DATE
"""

from __future__ import annotations

import os
import sys
import threading

import quickfix as fix
from qf_common import Counterparty, message, say, settings, shares, utc

LINES = (("CLIENT-A", "25000"), ("CLIENT-B", "10000"), ("CLIENT-C", "5000"), ("PROP", "10000"))
finished = threading.Event()


def order(cl_ord_id: str, alloc_id: str) -> fix.Message:
    """A NewOrderSingle for 50,000 XYZ."""
    return message(
        "D", {11: cl_ord_id, 70: alloc_id, 55: "XYZ", 54: "1", 60: utc(), 38: "50000", 40: "1", 21: "1"}
    )


def statement() -> fix.Message:
    """The worked example's statement."""
    made = message(
        "J", {70: "S-1", 71: "0", 626: "2", 857: "0", 54: "1", 55: "XYZ", 53: "50000", 6: "0", 75: sys.argv[2]}
    )
    for account, quantity in LINES:
        group = fix.Group(78, 79)
        group.setField(79, account)
        group.setField(80, quantity)
        made.addGroup(group)
    return made


def on_message(app: Counterparty, msg_type: str, received: fix.Message) -> None:
    """The OMS's script."""
    if msg_type == "8":
        kind = received.getField(150)
        if kind == "8":
            say(blocked=received.getField(11), reason=received.getField(103), text=received.getField(58))
            app.send(statement())
        elif kind == "F":
            say(fill=received.getField(32), price=received.getField(31), cum=received.getField(14))
            if received.getField(14) == "30000":
                app.send(message("F", {11: "X1", 41: "C1", 55: "XYZ", 54: "1", 60: utc()}))
        elif kind == "4":
            say(cancelled=received.getField(11))
    elif msg_type == "P":
        say(registered=received.getField(70), status=received.getField(87))
        app.send(order("C1", "S-1"))
    elif msg_type == "AS":
        say(allocation=shares(received), status=received.getField(87), total=received.getField(53))
        finished.set()
    else:
        say(error=f"unexpected {msg_type}")


def main() -> None:
    """Log on, play the example, log out."""
    app = Counterparty(on_message, lambda app: app.send(order("C0", "S-9")))
    given, store = settings("initiator", "OMS1", int(sys.argv[1])), fix.MemoryStoreFactory()
    initiator = fix.SocketInitiator(app, store, given)
    initiator.start()
    done = finished.wait(30)
    fix.Session.lookupSession(app.session).logout("done")
    threading.Event().wait(1)
    os._exit(0 if done else 1)


if __name__ == "__main__":
    main()
