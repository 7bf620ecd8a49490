"""A scriptable broker: accepts one FIX session and answers D, G, F, J, H, AU and BH as its script says.

One thread owns all state: the session's thread only queues what arrived, so scripts run in order and a
message is never handled beside another. When 100,000 messages wait, the session waits too.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from fixgateway.errors import FixgatewayError
from fixgateway.sim.booker import Booker, plain
from fixgateway.sim.fields import Fields, Pair, utc_timestamp
from fixgateway.sim.peer import Peer
from fixgateway.sim.script import BrokerScript, Step
from fixgateway.sim.session import OnWire, Session

MAX_WAITING = 100_000
MAX_ORDERS = 200_000
"""Most orders remembered; a new one beyond them is rejected."""
_AVG_PX_UNIT = Decimal("0.000001")
_ENDED = frozenset("348C")

# ExecType as FIX 4.3 and later write it → (ExecTransType 20, ExecType 150) before; "" is the order's status
_BEFORE_43 = {"F": ("0", ""), "H": ("1", ""), "G": ("2", ""), "I": ("3", "")}


@dataclass(slots=True)
class Fill:
    """One execution as it stands now; quantity 0 when busted."""

    exec_id: str
    quantity: Decimal
    price: Decimal
    report: list[Pair]


@dataclass(slots=True)
class BrokerOrder:
    """One order at the broker."""

    cl_ord_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    script: BrokerScript
    orig_cl_ord_id: str = ""
    ended: str = ""
    next_step: int = 0
    fills: list[Fill] = field(default_factory=list)

    @property
    def cum(self) -> Decimal:
        """CumQty(14)."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def leaves(self) -> Decimal:
        """LeavesQty(151)."""
        return Decimal(0) if self.ended else max(Decimal(0), self.quantity - self.cum)

    @property
    def status(self) -> str:
        """OrdStatus(39)."""
        cum = self.cum
        return self.ended or ("2" if cum >= self.quantity else "1" if cum else "0")

    @property
    def avg_px(self) -> str:
        """AvgPx(6) to six decimals."""
        cum = self.cum
        if not cum:
            return "0"
        worth = sum((fill.quantity * fill.price for fill in self.fills), Decimal(0))
        return plain((worth / cum).quantize(_AVG_PX_UNIT, ROUND_HALF_UP))


class Broker:
    """The broker itself; listens from construction on, :meth:`close` ends it.

    Args:
        script: what it does; may be replaced between orders (``broker.script = …``).
        host, port: where it listens; port 0 picks a free one, see ``peer.port``.
        comp_id, target: CompIDs of the broker and of its client.
        id_prefix: starts every OrderID and ExecID; default is taken from the clock, so that ids do not
            repeat when the simulated broker is started again.
        seq_file: where sequence numbers are kept across runs, if anywhere.
    """

    def __init__(
        self, script: BrokerScript, host: str = "127.0.0.1", port: int = 0, comp_id: str = "BRK1",
        target: str = "FIXGW", *, begin_string: str = "FIX.4.4", id_prefix: str = "",
        seq_file: Path | None = None, on_wire: OnWire | None = None,
    ) -> None:  # fmt: skip
        self.script = script
        self.orders: dict[str, BrokerOrder] = {}
        self._old_style = begin_string in ("FIX.4.0", "FIX.4.1", "FIX.4.2")
        self._prefix = id_prefix or f"{comp_id}-{time.time_ns() // 1_000_000:x}-"
        self._ids = itertools.count(1)
        self._order_count = 0
        self._inbox: queue.Queue[Fields | None] = queue.Queue(MAX_WAITING)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._booker = Booker(lambda kind, pairs: self.peer.send(kind, pairs), self._later, self._id)
        self._on_type: dict[str, Callable[[Fields], None]] = {
            "D": self._on_order,
            "F": self._on_cancel,
            "G": self._on_replace,
            "H": self._on_status_request,
            "J": self._on_allocation,
            "AU": self._booker.on_ack,
            "BH": self._booker.on_request,
        }
        self.peer = Peer.listen(
            host, port, comp_id, target, begin_string=begin_string, seq_file=seq_file,
            on_message=self._take, on_wire=on_wire,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._work, name=f"broker-{comp_id}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Log out, stop listening and end the thread."""
        self.peer.logout(timeout_seconds=2)
        self.peer.close()
        self._inbox.put(None)
        self._thread.join(timeout=5)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # ------------------------------------------------------------ the thread

    def _take(self, _session: Session, fields: Fields) -> None:
        self._inbox.put(fields)

    def _work(self) -> None:
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            try:
                if wait == 0.0:
                    self._run_due()
                    continue
                fields = self._inbox.get(timeout=wait)
                if fields is None:
                    return
                handler = self._on_type.get(fields.msg_type)
                if handler is not None:
                    handler(fields)
            except queue.Empty:
                continue
            except (FixgatewayError, ArithmeticError, ValueError) as error:
                # one unreadable message must not end the broker
                self.peer.inbox.errors.append(f"broker: {type(error).__name__}: {error}")

    def _run_due(self) -> None:
        _, _, action = heapq.heappop(self._due)
        action()

    def _advance(self, order: BrokerOrder) -> None:
        """The next step of an order's script."""
        if order.next_step >= len(order.script.steps):
            return
        step = order.script.steps[order.next_step]
        order.next_step += 1
        _DO[step.verb](self, order, step)
        self._schedule(order, float(step.number) if step.verb == "wait" else 0.0)

    def _schedule(self, order: BrokerOrder, wait_seconds: float = 0.0) -> None:
        self._later(order.script.delay_seconds + wait_seconds, lambda: self._advance(order))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._ids), action))

    # ------------------------------------------------------------ messages in

    def _on_order(self, fields: Fields) -> None:
        self._order_count += 1
        script = self.script.for_order(fields)
        order = BrokerOrder(
            fields.get(11), self._id("O"), fields.get(55), fields.get(54), Decimal(fields.get(38, "0")), script
        )
        refusal = script.reject or ("duplicate ClOrdID" if order.cl_ord_id in self.orders else "")
        if refusal or len(self.orders) >= MAX_ORDERS:
            order.ended = "8"
            self._report(order, "8", [(103, "0"), (58, refusal or "too many orders")])
            return
        self.orders[order.cl_ord_id] = order
        if script.ack:
            self._report(order, "0")
        if script.disconnect_after and self._order_count >= script.disconnect_after:
            self._order_count = 0
            self.peer.drop()
        self._schedule(order)

    def _on_cancel(self, fields: Fields) -> None:
        order = self._known(fields, "1", self.script.on_cancel)
        if order is not None:
            self._rename(order, fields)
            order.next_step = len(order.script.steps)
            self._end(order, "4")

    def _on_replace(self, fields: Fields) -> None:
        order = self._known(fields, "2", self.script.on_replace)
        if order is not None:
            self._rename(order, fields)
            order.quantity = max(Decimal(fields.get(38, plain(order.quantity))), order.cum)
            self._report(order, "5")

    def _known(self, fields: Fields, response_to: str, choice: str) -> BrokerOrder | None:
        """The order a cancel or replace names, if the broker does as asked; else the answer is sent here."""
        order = self.orders.get(fields.get(41))
        if order is not None and choice == "accept" and not order.ended and order.status != "2":
            return order
        if order is not None and choice == "silent":
            return None
        reason = "1" if order is None else "0" if order.status in {*_ENDED, "2"} else "2"
        self.peer.send("9", [
            (37, order.order_id if order else "NONE"), (11, fields.get(11)), (41, fields.get(41)),
            (39, order.status if order else "8"), (434, response_to), (102, reason),
            (58, {"0": "too late", "1": "unknown order", "2": "not done here"}[reason]),
        ])  # fmt: skip
        return None

    def _rename(self, order: BrokerOrder, fields: Fields) -> None:
        order.orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, fields.get(11)
        self.orders[order.cl_ord_id] = order

    def _on_status_request(self, fields: Fields) -> None:
        order = self.orders.get(fields.get(11))
        if order is not None:
            self._report(order, "I")

    def _on_allocation(self, fields: Fields) -> None:
        statuses = {"received": "3", "accepted": "0", "rejected": "1", "account-rejected": "2"}
        for answer in self.script.allocation:
            reject = [(88, "7"), (58, f"{answer} by the script")] if "rejected" in answer else []
            head = [(70, fields.get(70)), (60, utc_timestamp()), (75, fields.get(75)), (87, statuses[answer])]
            self.peer.send("P", head + reject)
        if "accepted" in self.script.allocation and fields.get(71) in ("0", "1"):
            script = self.script
            self._booker.allocated(
                fields, script.allocation_report, script.confirmations, script.late_seconds
            )

    # ------------------------------------------------------------ what a script does

    def _fill(self, order: BrokerOrder, step: Step) -> None:
        quantity = step.quantity_of(order.quantity, order.leaves)
        if quantity:
            order.fills.append(Fill("", quantity, step.price, []))
            self._trade(order, order.fills[-1], "F", [])

    def _trade(self, order: BrokerOrder, fill: Fill, exec_type: str, more: list[Pair]) -> None:
        last = [(32, plain(fill.quantity)), (31, plain(fill.price))]
        fill.report = self._report(order, exec_type, [*last, *more])
        fill.exec_id = next(value for tag, value in fill.report if tag == 17)

    def _bust(self, order: BrokerOrder, step: Step) -> None:
        if 1 <= step.number <= len(order.fills):
            fill = order.fills[int(step.number) - 1]
            fill.quantity = Decimal(0)
            self._report(order, "H", [(19, fill.exec_id)])

    def _correct(self, order: BrokerOrder, step: Step) -> None:
        if 1 <= step.number <= len(order.fills):
            fill = order.fills[int(step.number) - 1]
            fill.quantity = step.quantity_of(order.quantity, order.leaves)
            fill.price = step.price
            self._trade(order, fill, "G", [(19, fill.exec_id)])

    def _repeat(self, order: BrokerOrder, step: Step) -> None:
        if 1 <= step.number <= len(order.fills):
            self.peer.send("8", order.fills[int(step.number) - 1].report)

    def _unknown(self, order: BrokerOrder, step: Step) -> None:
        quantity = step.quantity_of(order.quantity, order.leaves)
        names = (self._id("NEVER-SENT-"), self._id("O"))
        stranger = BrokerOrder(*names, order.symbol, order.side, quantity, order.script)
        stranger.fills.append(Fill("", quantity, step.price, []))
        self._trade(stranger, stranger.fills[0], "F", [])

    def _wait(self, _order: BrokerOrder, _step: Step) -> None:
        """Nothing now; the next step is scheduled later."""

    def _stop_step(self, order: BrokerOrder, step: Step) -> None:
        self._end(order, {"done": "3", "expire": "C", "cancel": "4"}[step.verb])

    def _end(self, order: BrokerOrder, status: str) -> None:
        order.ended = status
        self._report(order, status)

    def _disconnect(self, _order: BrokerOrder, step: Step) -> None:
        if step.verb == "logout":
            self.peer.logout()
        self.peer.drop()

    # ------------------------------------------------------------ reports

    def _id(self, kind: str) -> str:
        return f"{self._prefix}{kind}{next(self._ids)}"

    def _report(self, order: BrokerOrder, exec_type: str, more: list[Pair] | None = None) -> list[Pair]:
        """Send an ExecutionReport of the order as it stands; returns its fields."""
        trans_type, old_type = _BEFORE_43.get(exec_type, ("0", exec_type))
        kind = [(20, trans_type), (150, old_type or order.status)] if self._old_style else [(150, exec_type)]
        renamed = [(41, order.orig_cl_ord_id)] if order.orig_cl_ord_id and exec_type in "45" else []
        fields = [
            (37, order.order_id), (11, order.cl_ord_id), *renamed, (17, self._id("E")), *kind,
            (39, order.status), (55, order.symbol), (54, order.side), (38, plain(order.quantity)),
            *(more or []), (151, plain(order.leaves)), (14, plain(order.cum)), (6, order.avg_px),
            (60, utc_timestamp()),
        ]  # fmt: skip
        self.peer.send("8", fields)
        return fields


_DO: dict[str, Callable[[Broker, BrokerOrder, Step], None]] = {
    "fill": Broker._fill,
    "bust": Broker._bust,
    "correct": Broker._correct,
    "repeat": Broker._repeat,
    "unknown": Broker._unknown,
    "wait": Broker._wait,
    "done": Broker._stop_step,
    "expire": Broker._stop_step,
    "cancel": Broker._stop_step,
    "disconnect": Broker._disconnect,
    "logout": Broker._disconnect,
}
