"""A broker's desk in the simulated week: its orders, its trades, and the FIX text it sends about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from week_fix import ZERO, Entry, Told, cents, fields, fixed, frame, plain

from fixgateway.wire.message import Message

LIVE, DONE, CANCELLED, EXPIRED = "", "3", "4", "C"
OF_42 = {"H": ("1", ""), "G": ("2", ""), "F": ("0", "")}
"""ExecType(150) of a trade in FIX 4.4 → ExecTransType(20) in 4.2, where 150 is then the OrdStatus."""


@dataclass
class Trade:
    """One execution as it stands; ``name`` is its last ExecID. A busted one has quantity 0."""

    name: str
    day: str
    quantity: int
    price: Fraction

    @property
    def money(self) -> Fraction:
        return self.quantity * self.price


@dataclass
class Order:
    """An order as the broker has it."""

    name: str
    order_id: str
    statement: str
    symbol: str
    side: str
    quantity: int
    good_till: bool
    opened: str
    over: str = LIVE
    trades: list[Trade] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return sum(trade.quantity for trade in self.trades)

    @property
    def left(self) -> int:
        return 0 if self.over in (CANCELLED, EXPIRED) else max(self.quantity - self.filled, 0)

    @property
    def works(self) -> bool:
        return not self.over and self.filled < self.quantity

    @property
    def status(self) -> str:
        if self.filled >= self.quantity:
            return "2"
        return self.over or ("1" if self.filled else "0")

    def average(self, day: str = "") -> Fraction:
        trades = [trade for trade in self.trades if day in ("", trade.day) and trade.quantity]
        quantity = sum(trade.quantity for trade in trades)
        return sum((trade.money for trade in trades), ZERO) / quantity if quantity else ZERO

    def on(self, day: str) -> int:
        return sum(trade.quantity for trade in self.trades if trade.day == day)


class Desk:
    """One broker. Everything it says is FIX text; what it is told is FIX text, too."""

    def __init__(self, name: str, version: str) -> None:
        self.name = name
        self.version = version
        self.orders: dict[str, Order] = {}
        self.names: dict[str, Order] = {}
        self.n = 0
        self.confirmed: dict[tuple[str, str], str] = {}

    def id(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}{self.name[-1]}{self.n}"

    def say(self, msg_type: str, body: str) -> str:
        return frame(msg_type, body, self.name, "FIXGW", self.version)

    # ------------------------------------------------------------ orders

    def open(self, message: Message, day: str) -> Order:
        get = message.get
        order = Order(get("11"), self.id("O"), get("70"), get("55"), get("54"), int(get("38")), get("59") == "1", day)
        self.orders[order.name] = self.names[order.name] = order
        return order

    def trades(self) -> Iterator[tuple[Order, Trade]]:
        for order in self.orders.values():
            for trade in order.trades:
                yield order, trade

    def report(self, order: Order, kind: str, day: str, more: dict[str, str] | None = None) -> str:
        """An ExecutionReport about an order as it is now."""
        status = order.status
        body = {
            "37": order.order_id, "11": order.name, "17": self.id("E"), "150": kind, "39": status,
            "55": order.symbol, "54": order.side, "38": str(order.quantity), "59": "1" if order.good_till else "0",
            "14": str(order.filled), "151": str(order.left), "6": fixed(order.average(), 6),
        }  # fmt: skip
        if order.good_till and day > order.opened:
            done = order.on(day)
            body |= {"424": str(order.quantity - order.filled + done), "425": str(done)}
            body |= {"426": fixed(order.average(day), 6)}
        body |= more or {}
        if self.version == "FIX.4.2":
            body["20"], body["150"] = OF_42.get(kind, ("0", kind))
            body["150"] = body["150"] or ("2" if status == "2" else "1")
        return self.say("8", fields(body))

    def fill(self, order: Order, quantity: int, price: Fraction, trade_day: str, day: str) -> str:
        trade = Trade(self.id("T"), trade_day, quantity, price)
        order.trades.append(trade)
        return self._trade(order, trade, "F", day, trade.name, "")

    def bust(self, order: Order, trade: Trade, day: str) -> str:
        ref, trade.name, trade.quantity = trade.name, self.id("B"), 0
        return self._trade(order, trade, "H", day, trade.name, ref)

    def correct(self, order: Order, trade: Trade, quantity: int, price: Fraction, day: str) -> str:
        ref, trade.name, trade.quantity, trade.price = trade.name, self.id("C"), quantity, price
        return self._trade(order, trade, "G", day, trade.name, ref)

    def _trade(self, order: Order, trade: Trade, kind: str, day: str, name: str, ref: str) -> str:
        more = {"17": name, "19": ref, "32": str(trade.quantity), "31": plain(trade.price), "75": trade.day}
        return self.report(order, kind, day, more)

    def end(self, order: Order, how: str, day: str, name: str = "") -> str:
        order.over = how
        more = {"41": order.name, "11": name} if name else {}
        if name:
            self.names[name] = order
        return self.report(order, how, day, more)

    def renew(self, order: Order, day: str) -> str:
        """A good-till order wakes up in the morning."""
        order.over = LIVE
        return self.report(order, "D", day, {"378": "1"})

    def split(self, statement: str, day: str) -> list[str]:
        """Two for one, before the market opens: every order under the statement, and word of those that live."""
        mine = [order for order in self.orders.values() if order.statement == statement]
        for order in mine:
            order.quantity *= 2
            for trade in order.trades:
                trade.quantity, trade.price = trade.quantity * 2, trade.price / 2
        return [self.report(order, "D", day, {"378": "0"}) for order in mine if order.works]

    # ------------------------------------------------------------ allocations

    def ack(self, alloc_id: str, status: str, day: str) -> str:
        text = {"88": "9", "58": "unknown price"} if status == "1" else {}
        return self.say("P", fields({"70": alloc_id, "75": day, "60": f"{day}-20:00:00", "87": status, **text}))

    def allocation_report(self, told: Told) -> str:
        """AS: the allocation as the broker booked it."""
        head = fields({
            "755": self.id("R"), "70": told.alloc_id, "71": "0", "794": "3", "87": "0", "857": "0", "54": told.side,
            "55": told.symbol, "53": plain(told.quantity), "6": fixed(told.price, 6), "75": told.day,
            "60": f"{told.day}-20:00:00", "381": "" if told.gross is None else plain(told.gross),
            "118": "" if told.net is None else plain(told.net), "78": str(len(by_account(told))),
        })  # fmt: skip
        lines = [
            fields({"79": account, "80": plain(sum((x.quantity for x in own), ZERO)), "154": _net(own)})
            for account, own in by_account(told).items()
        ]
        return self.say("AS", head + "".join(lines))

    def confirmations(self, told: Told) -> list[str]:
        """AK for every account of an allocation; of a changed one in the place of what was confirmed before."""
        first = told
        while first.before is not None:
            first = first.before
        said = []
        accounts = by_account(told) if told.trans_type != "2" else {}
        for account, own in accounts.items():
            said.append(self._confirm(told, first.alloc_id, account, own))
        for root, account in [key for key in self.confirmed if key[0] == first.alloc_id and key[1] not in accounts]:
            ref = self.confirmed.pop((root, account))
            said.append(self.say("AK", fields({
                "664": self.id("K"), "772": ref, "666": "2", "773": "2", "665": "4", "70": told.alloc_id,
                "75": told.day, "60": f"{told.day}-20:00:00", "54": told.side, "55": told.symbol, "79": account,
            })))  # fmt: skip
        return said

    def _confirm(self, told: Told, root: str, account: str, own: list[Entry]) -> str:
        ref = self.confirmed.get((root, account), "")
        name = self.confirmed[root, account] = self.id("K")
        quantity = sum((x.quantity for x in own), ZERO)
        price = sum((x.quantity * x.price for x in own), ZERO) / quantity
        commission = sum((x.commission or ZERO for x in own), ZERO)
        return self.say("AK", fields({
            "664": name, "772": ref, "666": "1" if ref else "0", "773": "2", "665": "4", "70": told.alloc_id,
            "75": told.day, "60": f"{told.day}-20:00:00", "54": told.side, "55": told.symbol, "79": account,
            "80": plain(quantity), "6": fixed(price, told.places), "12": plain(commission), "13": "3",
            "381": plain(sum((x.gross for x in own), ZERO)), "118": _net(own),
        }))  # fmt: skip


def by_account(told: Told) -> dict[str, list[Entry]]:
    """The entries of each account: at executed prices it has several."""
    found: dict[str, list[Entry]] = {}
    for entry in told.entries:
        found.setdefault(entry.account, []).append(entry)
    return found


def _net(own: list[Entry]) -> str:
    return plain(cents(sum((x.net for x in own if x.net is not None), ZERO)))
