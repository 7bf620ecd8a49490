"""Short words for what an OMS and a broker do to a running gateway in tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal

from live import Live, order, report, statement, utc

from fixgateway.sim.fields import Fields, Pair
from fixgateway.sim.peer import Peer

LINES = (("CLIENT-A", 60), ("PROP", 40))
_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """An id nobody has used."""
    return f"{prefix}{next(_numbers)}"


class Trade:
    """A statement with one order under it, forwarded and acknowledged.

    Attributes:
        statement_id, cl_ord_id: what they are called.
        order: the D as the broker received it.
        cum: what is filled according to the broker.
        value: Σ quantity × price of it, for AvgPx.
    """

    def __init__(
        self,
        live: Live,
        quantity: int = 100,
        *,
        lines: Iterable[tuple[str, object]] = LINES,
        oms: str = "OMS1",
        broker: str = "",
        statement_id: str = "",
        acknowledge: bool = True,
    ) -> None:
        self.live = live
        self.oms: Peer = live.oms(oms)
        self.broker: Peer = live.brokers[broker] if broker else live.broker
        self.quantity = quantity
        self.cum = 0
        self.value = Decimal(0)
        self.statement_id = statement_id or fresh("ST")
        self.cl_ord_id = fresh("OR")
        if not statement_id:
            self.oms.send("J", statement(self.statement_id, lines))
            answer = self.oms.expect("P", AllocID=self.statement_id)
            assert answer.get(87) == "0", answer.get(58)
        self.oms.send("D", order(self.cl_ord_id, self.statement_id, quantity), [(128, broker)] if broker else [])
        self.order = self.broker.expect("D", ClOrdID=self.cl_ord_id)
        if acknowledge:
            self.report("0", "0")

    def report(
        self,
        exec_type: str,
        status: str,
        *more: Pair,
        exec_id: str = "",
        last: int | None = None,
        price: str = "100",
        cl_ord_id: str = "",
        told: bool = True,
    ) -> Fields:
        """The broker sends an execution report; returns it as the OMS got it (unless ``told`` is false)."""
        exec_id = exec_id or fresh("EX")
        leaves = 0 if status in "2348C" else self.quantity - self.cum
        self.broker.send(
            "8",
            report(
                cl_ord_id or self.cl_ord_id,
                exec_id,
                exec_type,
                status,
                *more,
                quantity=self.quantity,
                cum=self.cum,
                leaves=leaves,
                last=last,
                price=price,
                order_id=f"B-{self.cl_ord_id}",
                avg=self.average,
            ),
        )
        return self.oms.expect("8", ExecID=exec_id) if told else Fields([])

    @property
    def average(self) -> str:
        """AvgPx(6) of what is filled, as a broker writes it."""
        return format(round(self.value / self.cum, 6), "f") if self.cum else "0"

    def now(self, *fills: tuple[int, str]) -> None:
        """What is filled, according to the broker, is these (quantity, price)."""
        self.cum = sum(quantity for quantity, _ in fills)
        self.value = sum((quantity * Decimal(price) for quantity, price in fills), Decimal(0))

    def fill(self, last: int, price: str = "100", *more: Pair, exec_id: str = "") -> Fields:
        """A fill."""
        self.cum += last
        self.value += last * Decimal(price)
        status = "2" if self.cum >= self.quantity else "1"
        return self.report("F", status, *more, last=last, price=price, exec_id=exec_id)

    def cancelled(self) -> Fields:
        """The broker ends the order."""
        return self.report("4", "4")

    def allocation(self, trans_type: str = "0") -> Fields:
        """The J the broker gets for this statement's orders."""
        return self.broker.expect("J", 5, AllocTransType=trans_type, t11=self.cl_ord_id)

    def acknowledge(self, allocation: Fields, status: str = "0", *more: Pair) -> None:
        """The broker answers a J."""
        self.broker.send("P", [(70, allocation.get(70)), (60, utc()), (87, status), *more])

    def exceptions(self) -> list[str]:
        """Reasons of the exceptions about this order or statement."""
        rows = self.live.rows(
            "SELECT reason FROM exceptions WHERE subject IN (?, ?) ORDER BY journal_seq, position",
            self.cl_ord_id,
            self.statement_id,
        )
        return [reason for (reason,) in rows]
