"""The order state change matrices of the FIX specification, row by row, in the words of FIX 4.2 and of FIX 4.4.

Every report goes the way a broker's does: FIX text, wire, engine. After each row the order's OrdStatus, CumQty,
OrderQty, LeavesQty and what the statement keeps for it are compared with the printed row, the average with
fills kept here. Rows are the specification's (FIX 4.2 Errata 20010501, FIX 4.4 vol. 4 and FIX 5.0SP2 vol. 4,
appendix D); prices are printed in J.1.a, J.1.b and H.1.b only and this page's own elsewhere. A title that ends in
"(shape)", and the groups G, I and K, have this page's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from worlds import SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import Execution
from fixgateway.core.model import BrokerSetup, Interim, Rounding, Ties
from fixgateway.core.orders import Order
from fixgateway.core.outputs import ExceptionOpened, ForwardToBroker, SendCancelReject, SendReport
from fixgateway.wire import inward
from fixgateway.wire.message import parse
from fixgateway.wire.versions import FIX42, FIX44, Version

STATUS = {
    "New": "0", "Partial": "1", "Filled": "2", "Done": "3", "Canceled": "4", "PendCxl": "6", "Stopped": "7",
    "Rejected": "8", "Suspended": "9", "PendNew": "A", "Calculated": "B", "Expired": "C", "PendRpl": "E",
}  # fmt: skip
EXEC_44 = {
    **STATUS, "Replace": "5", "Restated": "D", "Trade": "F", "Correct": "G", "Bust": "H", "Status": "I",
}  # fmt: skip
OVER = frozenset("2348C")
TOTAL = 20_000
"""What the statement holds: more than any matrix asks for, so that no row completes it by filling it."""


@dataclass
class Row:
    """One line of a matrix: who says what, and the printed numbers."""

    who: str
    ids: str
    kind: str = ""
    status: str = ""
    order_qty: str = ""
    cum_qty: str = ""
    leaves: str = ""
    more: dict[str, str] = field(default_factory=dict)


def rows(text: str) -> list[Row]:
    """``8 Y,X Trade Partial 10000 2000 8000 32=2000``; ``D X 10000``; ``9 Y,X Partial``; ``day``."""
    found = []
    for line in filter(None, (raw.split("#")[0].strip() for raw in text.splitlines())):
        words = line.split()
        more = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        match plain:
            case ["day"]:
                found.append(Row("day", ""))
            case ["8", ids, kind, status, order_qty, cum_qty, leaves]:
                found.append(Row("8", ids, kind, status, order_qty, cum_qty, leaves, more))
            case ["9", ids, status]:
                found.append(Row("9", ids, status=status, more=more))
            case [who, ids, order_qty]:
                found.append(Row(who, ids, order_qty=order_qty, more=more))
            case _:
                raise AssertionError(line)
    return found


def fix(msg_type: str, body: dict[str, str], begin: str) -> str:
    fields = "".join(f"{tag}={value}\x01" for tag, value in body.items() if value)
    inner = f"35={msg_type}\x0134=2\x0149=BRK1\x0152=20261123-14:30:00.123\x0156=FIXGW\x01{fields}"
    text = f"8={begin}\x019={len(inner)}\x01{inner}"
    return f"{text}10={sum(text.encode()) % 256:03d}\x01"


class Matrix:
    """A broker that reads its lines from a matrix, and a book of its own to compare with."""

    def __init__(self, version: Version, time_in_force: str = "", **setup: Any) -> None:
        policy = replace(SETUP.policy, interim=Interim.DAILY, rounding=Rounding.QUOTA, ties=Ties.ACCOUNT)
        brokers = (BrokerSetup("BRK1", **setup), BrokerSetup("BRK2"))
        self.world = World(replace(SETUP, policy=policy, brokers=brokers))
        self.world.submit(draft(lines=(("CLIENT-A", str(TOTAL)),)))
        self.version = version
        self.time_in_force = time_in_force
        self.day: date = TODAY
        self.n = 0
        self.fills: dict[str, tuple[int, Fraction]] = {}
        self.pending: dict[str, int] = {}
        self.status = "A"
        self.asked = 0

    @property
    def order(self) -> Order:
        assert self.world.engine.state is not None
        return next(iter(self.world.engine.state.orders.values()))

    def run(self, text: str) -> None:
        for row in rows(text):
            match row.who:
                case "D":
                    self.asked = int(row.order_qty)
                    self.world.order(row.ids, row.order_qty, time_in_force=self.time_in_force)
                case "G":
                    new, old = row.ids.split(",")
                    sent = self.world.replace(new, old, row.order_qty)
                    assert some(sent, ForwardToBroker), sent
                    self.pending[new] = int(row.order_qty)
                case "F":
                    assert some(self.world.cancel(*row.ids.split(",")), ForwardToBroker)
                case "day":
                    self.day += timedelta(days=1)
                    self.world.tick(self.day)
                case "9":
                    self.refused(row)
                case _:
                    self.reported(row)

    def ids(self, row: Row) -> dict[str, str]:
        new, _, old = row.ids.partition(",")
        return {"37": row.more.get("37", "O1"), "11": new, "41": old}

    def give(self, msg_type: str, body: dict[str, str]) -> None:
        message = parse(fix(msg_type, body, self.version.begin_string))
        self.world._again(inward.from_broker(message, self.version, "BRK1", 0, 0, 1, lambda *_: None))

    def refused(self, row: Row) -> None:
        self.give("9", {**self.ids(row), "39": STATUS[row.status], "102": "0", "434": "1", **row.more})
        self.pending.pop(row.ids.split(",")[0], None)
        self.status = STATUS[row.status]
        self.check(row)

    def reported(self, row: Row) -> None:
        self.n += 1
        exec_id, status = row.more.get("17", f"e{self.n}"), STATUS[row.status]
        self.book(row, exec_id)
        body = {
            **self.ids(row), "17": exec_id, "39": status, "55": "XYZ", "54": "1", "38": row.order_qty.strip("?"),
            "14": row.cum_qty, "151": row.leaves, "60": "20261123-14:30:00", **self.kind(row, status), **row.more,
        }  # fmt: skip
        if "6" not in body:
            quantity = sum(q for q, _ in self.fills.values())
            average = sum((q * p for q, p in self.fills.values()), Fraction(0)) / (quantity or 1)
            body["6"] = f"{float(average):.6f}"
        self.give("8", body)
        self.status = status
        if row.kind == "Replace":
            self.pending.pop(body["11"], None)
        if status in OVER - {"2", "3"}:
            self.pending.clear()
        if row.kind in ("Replace", "Restated"):
            self.asked = int(row.order_qty.strip("?"))
        self.check(row)

    def kind(self, row: Row, status: str) -> dict[str, str]:
        """ExecType, in FIX 4.2 with ExecTransType: a trade is 150=1 or 2 there, and what it does stands in 20."""
        if self.version is FIX44:
            return {"150": EXEC_44[row.kind]}
        trans = {"Bust": "1", "Correct": "2", "Status": "3"}.get(row.kind, "0")
        if row.kind in ("Trade", "Bust", "Correct"):
            return {"20": trans, "150": "2" if status == "2" else "1"}
        return {"20": trans, "150": status if row.kind == "Status" else EXEC_44[row.kind]}

    def book(self, row: Row, exec_id: str) -> None:
        if row.kind in ("Bust", "Correct"):
            self.fills.pop(row.more["19"])
        if row.kind in ("Trade", "Correct"):
            row.more.setdefault("31", "10")
            self.fills[exec_id] = (int(row.more["32"]), Fraction(row.more["31"]))

    def check(self, row: Row) -> None:
        order, where = self.order, f"{row}"
        expected = {"7": "1" if self.fills else "0", "9": "1" if self.fills else "0"}.get(self.status, self.status)
        filled = sum(q for q, _ in self.fills.values())
        if row.who == "8":
            assert int(row.cum_qty) == filled, f"the matrix disagrees with itself: {where}"
            if row.kind != "Calculated":
                assert order.status == expected, where
            if not row.order_qty.endswith("?"):
                assert order.quantity == int(row.order_qty), where
            if self.status not in "3B" or row.leaves != "0":  # "LeavesQty could be 0" after done for day
                assert order.leaves() == int(row.leaves), where
        else:
            assert order.status == expected, where
        assert order.cum_qty == filled, where
        money = sum((q * p for q, p in self.fills.values()), Fraction(0))
        assert order.average() == (money / filled if filled else 0), where
        kept = max(filled, *self.pending.values(), 0)
        if order.status not in ("2", "4", "8", "C"):
            kept = max(kept, self.asked)
        state = self.world.engine.state
        assert state is not None
        assert (order.commitment(), state.statements["S-1"].committed) == (kept, kept), where
        reasons = [out.reason for out in some(self.world.outputs, ExceptionOpened)]
        assert "GW-803" not in reasons, where


ACK = """
D X 10000
8 X New New 10000 0 10000
"""

MATRICES = {
    "A.1.a filled order": ACK + """
8 X Trade Partial 10000 2000 8000 32=2000
8 X Trade Partial 10000 3000 7000 32=1000
8 X Trade Filled 10000 10000 0 32=7000
""",
    "A.1.b part-filled day order, done for day": ACK + """
8 X Trade Partial 10000 2000 8000 32=2000
8 X Trade Partial 10000 3000 7000 32=1000
8 X Done Done 10000 3000 0
""",
    "the order is rejected": """
D X 10000
8 X Rejected Rejected 10000 0 0
""",
    "B.1.a cancel of a zero-filled order": ACK + """
F Y,X 10000
8 Y,X PendCxl PendCxl 10000 0 10000
8 Y,X Canceled Canceled 10000 0 0
""",
    "B.1.a cancel refused by the trader": ACK + """
F Y,X 10000
8 Y,X PendCxl PendCxl 10000 0 10000
9 Y,X New
""",
    "B.1.b cancel of a part-filled order, executions while it is pending": ACK + """
8 X Trade Partial 10000 2000 8000 32=2000
F Y,X 10000
8 X Trade Partial 10000 5000 5000 32=3000
8 Y,X PendCxl PendCxl 10000 5000 5000
8 X Trade PendCxl 10000 6000 4000 32=1000
8 Y,X Canceled Canceled 10000 6000 0
""",
    "B.1.c cancel of an order that becomes filled first": ACK + """
8 X Trade Partial 10000 2000 8000 32=2000
F Y,X 10000
8 X Trade Partial 10000 5000 5000 32=3000
8 Y,X PendCxl PendCxl 10000 5000 5000
8 X Trade PendCxl 10000 10000 0 32=5000
9 Y,X Filled
""",
    "B.1.d cancel of an order not acknowledged yet": """
D X 10000
F Y,X 10000
8 X PendNew PendNew 10000 0 10000
8 Y,X PendCxl PendCxl 10000 0 10000
8 X New PendCxl 10000 0 10000
8 Y,X Canceled Canceled 10000 0 0
""",
    "B.1.e cancel and acknowledgement cross": """
D X 10000
F Y,X 10000
8 X New New 10000 0 10000
8 Y,X PendCxl PendCxl 10000 0 10000
8 Y,X Canceled Canceled 10000 0 0
""",
    "C.1.a zero-filled order raised": ACK + """
G Y,X 11000
8 Y,X PendRpl PendRpl 10000 0 10000
8 Y,X Replace New 11000 0 11000
8 Y Trade Partial 11000 1000 10000 32=1000
8 Y Trade Partial 11000 3000 8000 32=2000
""",
    "C.1.b part-filled order raised, execution while it is pending": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 12000
8 Y,X PendRpl PendRpl 10000 1000 9000
8 X Trade PendRpl 10000 1100 8900 32=100
8 Y,X Replace Partial 12000 1100 10900
8 Y Trade Filled 12000 12000 0 32=10900
""",
    "C.1.c filled order raised": ACK + """
8 X Trade Filled 10000 10000 0 32=10000
G Y,X 12000
8 Y,X PendRpl PendRpl 10000 10000 0
8 Y,X Replace Partial 12000 10000 2000
8 Y Trade Filled 12000 12000 0 32=2000
""",
    "C.2.a replace refused as a fill has occurred": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 10000
8 X Trade Filled 10000 10000 0 32=9000
9 Y,X Filled
""",
    "C.3.a lowered to more than is filled": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
8 X Trade Partial 10000 1500 8500 32=500
8 Y,X PendRpl PendRpl 10000 1500 8500
8 X Trade PendRpl 10000 1600 8400 32=100
8 Y,X Replace Partial 8000 1600 6400
8 Y Trade Filled 8000 8000 0 32=6400
""",
    "C.3.b lowered to what is filled": ACK + """
G Y,X 7000
8 X Trade Partial 10000 7000 3000 32=7000
8 Y,X Replace Filled 7000 7000 0
""",
    "C.3.c lowered below what is filled": ACK + """
G Y,X 7000
8 X Trade Partial 10000 8000 2000 32=8000
8 Y,X Replace Filled 8000 8000 0
""",
    "D.1.a one replace accepted, then another": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
8 Y,X PendRpl PendRpl 10000 1000 9000
8 X Trade PendRpl 10000 1500 8500 32=500
8 Y,X Replace Partial 8000 1500 6500
8 Y Trade Partial 8000 3500 4500 32=2000
G Z,Y 6000
8 Z,Y PendRpl PendRpl 8000 3500 4500
8 Y Trade PendRpl 8000 4000 4000 32=500
8 Z,Y Replace Partial 6000 4000 2000
8 Z Trade Filled 6000 6000 0 32=2000
""",
    "D.1.b one replace refused before it is pending, another accepted": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
9 Y,X Partial
8 X Trade Partial 10000 1500 8500 32=500
8 X Trade Partial 10000 3500 6500 32=2000
G Z,X 6000
8 Z,X PendRpl PendRpl 10000 3500 6500
8 Z,X Replace Partial 6000 3500 2500
8 Z Trade Partial 6000 5000 1000 32=1500
""",
    "D.1.c one replace refused while it is pending, another accepted": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
8 Y,X PendRpl PendRpl 10000 1000 9000
8 X Trade PendRpl 10000 1500 8500 32=500
9 Y,X Partial
8 X Trade Partial 10000 3500 6500 32=2000
G Z,X 6000
8 Z,X PendRpl PendRpl 10000 3500 6500
8 Z,X Replace Partial 6000 3500 2500
8 Z Trade Partial 6000 5000 1000 32=1500
""",
    "D.2.a chained replaces, processed one after the other": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
G Z,Y 7000
8 Y,X PendRpl PendRpl 10000 1000 9000
8 Y,X Replace Partial 8000 1000 7000
8 Z,Y PendRpl PendRpl 8000 1000 7000
8 Z,Y Replace Partial 7000 1000 6000
8 Z Trade Filled 7000 7000 0 32=6000
""",
    # The specification prints 38=8000 in the second pending row, before the first replace is in force: 10000 here.
    "D.2.b chained replaces, all pending first": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
G Z,Y 7000
8 Y,X PendRpl PendRpl 10000 1000 9000
8 Z,X PendRpl PendRpl 8000? 1000 9000
8 Y,X Replace PendRpl 8000 1000 7000
8 Z,Y Replace Partial 7000 1000 6000
8 Z Trade Filled 7000 7000 0 32=6000
""",
    "D.2.c chained replaces, the second refused as the first is pending": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
G Y,X 8000
G Z,Y 7000
8 Y,X PendRpl PendRpl 10000 1000 9000
9 Z,X PendRpl
8 Y,X Replace Partial 8000 1000 7000
8 Y Trade Partial 8000 3000 5000 32=2000
""",
    "E.1.b unsolicited cancel": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Canceled Canceled 10000 1000 0 378=2
""",
    "E.1.c unsolicited raise": ACK + """
8 X Restated New 11000 0 11000 378=2
8 X Trade Partial 11000 1000 10000 32=1000
8 X Restated Partial 12000 1000 11000 378=2
""",
    "F.1.c rejected after the acknowledgement": ACK + """
8 X Rejected Rejected 10000 0 0
""",
    "F rejected after fills (shape)": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Rejected Rejected 10000 1000 0
""",
    "G status answers between": ACK + """
8 X Status New 10000 0 10000
8 X Trade Partial 10000 1000 9000 32=1000
8 X Status Partial 10000 1000 9000
8 X Trade Filled 10000 10000 0 32=9000
8 X Status Filled 10000 10000 0
""",
    "I.1 fill or kill not filled": ACK + """
8 X Canceled Canceled 10000 0 0
""",
    "I.1 immediate or cancel, a part hit": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Canceled Canceled 10000 1000 0
""",
    "I.1 expired": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Expired Expired 10000 1000 0
""",
    "J.1.a filled order, executions busted and corrected": """
D X 10000
8 X New New 10000 0 10000 17=B 6=0
8 X Trade Partial 10000 1000 9000 17=C 32=1000 31=100 6=100
8 X Trade Filled 10000 10000 0 17=D 32=9000 31=110 6=109
8 X Bust Partial 10000 9000 1000 17=E 19=C 32=0 31=0 6=110
8 X Correct Partial 10000 9000 1000 17=F 19=D 32=9000 31=100 6=100
8 X Trade Filled 10000 10000 0 17=G 32=1000 31=120 6=102
8 X Correct Filled 10000 10000 0 17=H 19=F 32=9000 31=120 6=120
G Y,X 12000
8 Y,X PendRpl PendRpl 10000 10000 0 17=I 6=120
8 Y,X Replace Partial 12000 10000 2000 17=J 6=120
8 Y Correct Partial 12000 10500 1500 17=K 19=H 32=9500 31=120 6=120
""",
    "J.1.b canceled order, its execution busted, then another": """
D X 10000
8 X New New 10000 0 10000 17=A
8 X Trade Partial 10000 5000 5000 17=B 32=5000 31=50 6=50
F Y,X 10000
8 Y,X PendCxl PendCxl 10000 5000 5000 17=C
8 Y,X Canceled Canceled 10000 5000 0 17=D
8 X Bust Canceled 10000 0 0 17=E 19=B
8 X Trade Canceled 10000 4000 0 17=F 32=4000 31=51 6=51
""",
    "K trading halt, suspended and taken up again (shape)": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Suspended Suspended 10000 1000 9000
8 X Trade Partial 10000 3000 7000 32=2000
""",
    "K trading halt, cancelled (shape)": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Canceled Canceled 10000 1000 0 378=6
""",
    "calculated after done for day (shape)": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Done Done 10000 1000 0
8 X Calculated Calculated 10000 1000 0
""",
    "done for day, trading goes on by a replace (shape)": ACK + """
8 X Trade Partial 10000 1000 9000 32=1000
8 X Done Done 10000 1000 0
G Y,X 10000
8 Y,X Replace Partial 10000 1000 9000
8 Y Trade Filled 10000 10000 0 32=9000
""",
}  # fmt: skip

STOPPED = {
    # In FIX 4.2 the guarantee has ExecType "partial fill" and LastShares, but leaves CumQty where it was.
    "FIX.4.2": ACK + """
8 X Guarantee Stopped 10000 0 10000 150=1 20=0 32=1000 31=50.10
8 X Trade Stopped 10000 1000 9000 32=1000 31=50
""",
    "FIX.4.4": ACK + """
8 X Stopped Stopped 10000 0 10000 32=1000 31=50.10
8 X Trade Stopped 10000 1000 9000 32=1000 31=50
""",
}  # fmt: skip
EXEC_44["Guarantee"] = "1"

GT_START = (
    ACK
    + """
8 X Trade Partial 10000 2000 8000 17=B 32=2000 31=50
8 X Done Done 10000 2000 8000
day
"""
)
RENEWED = """
8 X Restated Partial 10000 2000 8000 378=1 424=8000 425=0
"""
GT_MATRICES = {
    "H.1.a restated and partially filled the next day": GT_START + RENEWED + """
8 X Trade Partial 10000 3000 7000 32=1000 424=8000 425=1000
""",
    "H.1.a without a restatement, which is optional": GT_START + """
8 X Trade Partial 10000 3000 7000 32=1000 424=8000 425=1000
""",
    "H.1.c restated and cancelled the next day": GT_START + RENEWED + """
F Y,X 10000
8 Y,X PendCxl PendCxl 10000 2000 8000 424=8000 425=0
8 Y,X Canceled Canceled 10000 2000 0 424=8000 425=0
""",
    "J.1.c corrections of both days' executions": GT_START + RENEWED + """
8 X Trade Partial 10000 3000 7000 17=E 32=1000 31=51 424=8000 425=1000
8 X Correct Partial 10000 2500 7500 17=F 19=B 32=1500 31=50 424=8500 425=1000
8 X Correct Partial 10000 2000 8000 17=G 19=E 32=500 31=51 424=8500 425=500
""",
    "the broker gives the order other ids for the new day (shape)": GT_START + """
8 N,X Restated Partial 10000 2000 8000 378=1 424=8000 425=0 37=O2
8 N Trade Partial 10000 3000 7000 32=1000 424=8000 425=1000 37=O2
F Y,N 10000
8 Y,N Canceled Canceled 10000 3000 0 37=O2
""",
}  # fmt: skip
RAISED_NEXT_DAY = GT_START + RENEWED + """
G Y,X 15000
8 Y,X PendRpl PendRpl 10000 2000 8000 424=8000 425=0
8 X Trade PendRpl 10000 3000 7000 32=1000 424=8000 425=1000
8 Y,X Replace Partial 15000 3000 12000 424=13000 425=1000
"""  # fmt: skip

BOTH = pytest.mark.parametrize("version", [FIX42, FIX44], ids=lambda version: version.name)


@BOTH
@pytest.mark.parametrize("name", MATRICES)
def test_matrix(name: str, version: Version) -> None:
    Matrix(version).run(MATRICES[name])


@BOTH
def test_matrix_l_1_a_a_guarantee_is_not_a_trade(version: Version) -> None:
    Matrix(version).run(STOPPED[version.name])


@BOTH
@pytest.mark.parametrize("name", GT_MATRICES)
@pytest.mark.parametrize("time_in_force", ["1", "6"])
def test_good_till_matrix(name: str, time_in_force: str, version: Version) -> None:
    matrix = Matrix(version, time_in_force)
    matrix.run(GT_MATRICES[name])
    assert not [out for out in some(matrix.world.outputs, ExceptionOpened) if out.reason == "GW-866"]


@BOTH
def test_matrix_h_1_d_raised_the_next_day(version: Version) -> None:
    matrix = Matrix(version, "1")
    matrix.run(RAISED_NEXT_DAY)
    assert (matrix.order.day_order_qty(matrix.day), matrix.order.day(matrix.day)[0]) == (13000, 1000)


def test_matrix_j_1_c_keeps_each_day_its_own() -> None:
    """DayOrderQty and DayCumQty as printed: a correction of yesterday's execution changes yesterday."""
    matrix = Matrix(FIX44, "1")
    matrix.run(GT_MATRICES["J.1.c corrections of both days' executions"])
    days = list(matrix.order.days().items())
    assert days == [(TODAY, (1500, 1500 * 50)), (matrix.day, (500, 500 * 51))]
    assert matrix.order.day_order_qty(matrix.day) == 8500


def test_matrix_b_1_f_cancel_of_an_unknown_order() -> None:
    world = World()
    (refusal,) = some(world.cancel("Y", "X"), SendCancelReject)
    assert (refusal.ord_status, refusal.order_id, refusal.cxl_rej_reason) == ("8", "NONE", "1")


@BOTH
def test_matrix_f_1_a_and_b_the_same_cl_ord_id_again(version: Version) -> None:
    """The first order's numbers in both answers; a reject (103=6) without PossResend, a status with it."""
    matrix = Matrix(version)
    matrix.run(ACK)
    resent = one(matrix.world.order("X", "10000", poss_resend=True), SendReport)
    assert (resent.exec_type, resent.ord_status, resent.cum_qty, resent.leaves_qty) == ("I", "0", 0, 10000)
    again = one(matrix.world.order("X", "20000"), SendReport)
    assert (again.exec_type, again.ord_status, again.ord_rej_reason) == ("8", "0", "6")
    assert (again.cum_qty, again.leaves_qty) == (0, 10000)


def test_the_kinds_of_both_versions_are_the_same() -> None:
    """No matrix is decided by the version: the engine sees equal inputs but for the numbers of records."""
    seen = []
    for version in (FIX42, FIX44):
        matrix = Matrix(version)
        matrix.run(MATRICES["J.1.a filled order, executions busted and corrected"])
        seen.append([each for each in matrix.world.inputs if isinstance(each, Execution)])
    assert seen[0] == seen[1]


def test_h_1_b_a_stock_split_overnight() -> None:
    """38 10000→20000, 14 2000→4000, 6 50→25 (150=D, 378=0): statement, order and fills are in new units."""
    matrix = Matrix(FIX44, "1")
    matrix.run(GT_START)
    matrix.fills = {"B": (4000, Fraction(25))}
    matrix.run("8 X Restated Partial 20000 4000 16000 378=0 6=25 424=16000 425=0")
    state = matrix.world.engine.state
    assert state is not None
    record = state.statements["S-1"]
    assert (record.statement.total, record.statement.lines[0].quantity, record.filled) == (40000, 40000, 4000)
    assert matrix.order.fills["B"].price == Decimal(25)
    assert [out.reason for out in some(matrix.world.outputs, ExceptionOpened)].count("GW-861") == 1
    matrix.run("8 X Trade Partial 20000 9000 11000 32=5000 31=30 424=16000 425=5000")
    assert matrix.order.average() == Fraction(250_000, 9000)
    matrix.run("8 X Trade Filled 20000 20000 0 32=11000 31=30 424=16000 425=16000")
