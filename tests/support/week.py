"""A trading week made from a seed: an adviser's OMS, two brokers, a holiday, a half day, nights, and what goes wrong.

Everything between OMS, gateway and brokers is FIX text, built and read by the gateway's own wire room on its side and
by :mod:`week_fix` on the brokers'. The book-keeper (:mod:`week_books`) sees the brokers' side only.

A statement's kind says under which policy it is registered and how it is divided:

    hamilton, seeded   pro rata to the unit, ties by account or seed        BLOCK
    lots               pro rata in lots of ten                              BLOCK
    priority, price-time, rotation, high-low                                BLOCK
    day                pro rata at the day's average, two at a time         DAY
    quota              good-till orders, booked every day                   GT
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from week_books import Books, Cash, Plan
from week_broker import CANCELLED, DONE, EXPIRED, Desk, Order, Trade
from week_fix import Told, fields, frame, plain, told_of
from week_setting import DAYS, EXPECTED, HALF_DAY, KINDS, METHOD, NAMES, POLICIES, SETTING
from worlds import World

from fixgateway.core.inputs import Configure, Input
from fixgateway.core.model import Draft, DraftLine, Setup
from fixgateway.core.outputs import (
    ExceptionOpened,
    ForwardToBroker,
    Output,
    SendAllocation,
    SendBusinessReject,
    SendConfirmationAck,
    SendReportAck,
    StatementAllocated,
    StatementClosed,
    StatementRefused,
)
from fixgateway.journal.codec import encode_outputs
from fixgateway.wire import inward, outward
from fixgateway.wire.message import Message, parse
from fixgateway.wire.versions import FIX42, FIX44, Version


class Journaled(World):
    """A world that keeps the bytes of every decision as the journal would have them."""

    def __init__(self, setup: Setup) -> None:
        self.decided: list[bytes] = []
        super().__init__(setup)

    def give(self, kind: type, **fields: Any) -> tuple[Output, ...]:
        outputs = super().give(kind, **fields)
        self.decided.append(encode_outputs(self.seq, outputs))
        return outputs

    def _again(self, given: Any) -> tuple[Output, ...]:
        outputs = super()._again(given)
        self.decided.append(encode_outputs(self.seq, outputs))
        return outputs


class Week:
    """See the module."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.version: Version = FIX42 if seed % 4 == 3 else FIX44
        self.world = Journaled(SETTING)
        self.desks = {name: Desk(name, self.version.begin_string) for name in ("BRK1", "BRK2")}
        self.books = Books(self.desks)
        self.world.up("OMS1")
        self.day = DAYS[0]
        self.n = 0
        self.waiting: list[Told] = []
        self.wrong: list[Told] = []
        self.refusals = {"0": self.random.randint(1, 4), "1": self.random.randint(1, 3)}
        self.reasons: dict[str, int] = defaultdict(int)
        self.split_on = self.random.choice(DAYS[1:4])

    def run(self) -> Books:
        for self.day in DAYS:
            self.morning()
            self.trading()
            self.evening()
        self.answer_all()
        self.books.audit()
        assert all(plan.closed for plan in self.books.plans.values())
        return self.books

    @property
    def today(self) -> str:
        return f"{self.day:%Y%m%d}"

    @property
    def last(self) -> bool:
        return self.day == DAYS[-1]

    # ------------------------------------------------------------ the gateway's two sides

    def tick(self, local_time: str) -> None:
        at = datetime.fromisoformat(f"{self.day}T{local_time}").replace(tzinfo=UTC) + timedelta(hours=5)
        self.world.ts_ns = max(self.world.ts_ns, int(at.timestamp()) * 1_000_000_000)
        self.given(self.world.tick(self.day, local_time))

    def name(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}-{self.n}"

    def from_broker(self, desk: Desk, text: str) -> None:
        message = parse(text)
        given = inward.from_broker(message, self.version, desk.name, 0, 0, 2, lambda *_: None)
        self.given(self.world._again(given), message)
        if message.msg_type == "8" and self.random.random() < 0.05:
            self.given(self.world._again(given), message)  # it comes twice

    def from_oms(self, msg_type: str, body: str, broker: str = "") -> None:
        header = f"128={broker}\x01" if broker else ""
        message = parse(frame(msg_type, body, "OMS1", "FIXGW", self.version.begin_string, header))
        given: Input = inward.from_oms(message, self.version, ("AllocID", "ClOrdID"), "OMS1", 0, 0, 2, "")
        self.given(self.world._again(given), message)

    def given(self, outputs: tuple[Output, ...], source: Message | None = None) -> None:
        """What the gateway decided: orders and allocations go to the brokers, answers are read."""
        orders: list[ForwardToBroker] = []
        fresh: list[Told] = []
        for output in outputs:
            match output:
                case ForwardToBroker():
                    orders.append(output)
                case SendAllocation():
                    fresh.append(self.allocated(output))
                case StatementClosed():
                    self.books.close(output.statement_id)
                case ExceptionOpened():
                    self.reasons[output.reason] += 1
                    assert output.reason in EXPECTED, output
                    if output.reason == "GW-841":
                        assert self.books.factor[output.subject] > 1, output
                        self.books.forced.add(output.subject)
                case StatementAllocated():
                    lines = {line.account: Fraction(line.quantity) for line in output.lines}
                    self.books.divided(output.statement_id, output.number, lines)
                case SendConfirmationAck():
                    assert output.affirm_status in "13", output
                    self.books.count[f"940={output.affirm_status}"] += 1
                case SendReportAck():
                    assert output.alloc_status in "30", output
                    self.books.count[f"AT 87={output.alloc_status}"] += 1
                case StatementRefused(door="operator"):
                    assert [problem.reason for problem in output.problems] == ["GW-843"], output
                case StatementRefused() | SendBusinessReject():
                    raise AssertionError(output)
                case _:
                    pass
        for told in fresh:
            self.answer_first(told)
        for order in orders:
            self.forwarded(order, source)

    def built(self, output: ForwardToBroker | SendAllocation, source: Message | None, broker: str) -> str:
        made = outward.build(output, self.version, self.world.ts_ns, source)
        return frame(made.msg_type, made.body, "FIXGW", broker, self.version.begin_string)

    def forwarded(self, output: ForwardToBroker, source: Message | None) -> None:
        """A D, G or F has reached the broker, who answers at once."""
        desk = self.desks[output.broker]
        message = parse(self.built(output, source, output.broker))
        match message.msg_type:
            case "D":
                order = desk.open(message, self.today)
                self.from_broker(desk, desk.report(order, "0", self.today))
            case "F":
                order = desk.names[message.get("41")]
                if order.works:
                    self.from_broker(desk, desk.end(order, CANCELLED, self.today, message.get("11")))
                else:
                    self.from_broker(desk, self.too_late(desk, order, message, "1"))
            case _:
                self.replaced(desk, message)

    def replaced(self, desk: Desk, message: Message) -> None:
        order = desk.names[message.get("41")]
        quantity = int(message.get("38"))
        if not order.works or quantity <= order.filled or self.random.random() < 0.3:
            self.from_broker(desk, self.too_late(desk, order, message, "2"))
            return
        old, order.name, order.quantity = order.name, message.get("11"), quantity
        desk.names[order.name] = order
        self.from_broker(desk, desk.report(order, "5", self.today, {"41": old}))

    def too_late(self, desk: Desk, order: Order, message: Message, response_to: str) -> str:
        body = {"37": order.order_id, "11": message.get("11"), "41": message.get("41"), "39": order.status}
        return desk.say("9", fields({**body, "434": response_to, "102": "0"}))

    # ------------------------------------------------------------ statements and orders

    def statement(self, kind: str, symbol: str, side: str) -> Plan:
        names = self.random.sample(NAMES, self.random.randint(2, 5))
        most, lot = {"quota": (250, 1), "lots": (12, 10)}.get(kind, (90, 1))
        quantities = [lot * self.random.randint(1, most) for _ in names]
        limits = [Fraction(self.random.randint(900, 1100), 100) for _ in names]
        lines = list(zip(names, quantities, limits, strict=True))
        plan_ = Plan(self.name(kind.upper()), kind, symbol, side, self.today, lines)
        policy = POLICIES[{"quota": "GT", "day": "DAY"}.get(kind, "BLOCK")]
        assert self.world.engine.state is not None
        if self.world.engine.state.setup.policy != policy:
            self.given(self.world.give(Configure, setup=replace(SETTING, policy=policy)))
        priced = kind == "price-time"
        rows = tuple(
            DraftLine(
                n, account, str(quantity), limit=plain(limit) if priced else "",
                received_at=f"{self.day}T13:00:{n:02d}Z" if priced else "",
            )
            for n, (account, quantity, limit) in enumerate(lines, 1)
        )  # fmt: skip
        self.books.register(plan_)
        self.given(self.world.submit(Draft(
            plan_.name, self.day.isoformat(), symbol, "buy" if side == "1" else "sell", rows, str(plan_.total),
            method=METHOD.get(kind, ""), lot="10" if kind == "lots" else "", ties="seeded" if kind == "seeded" else "",
            recommended_by="pm", placed_by="trader", discretionary="yes",
        ), seed=f"{self.random.getrandbits(256):064x}"))  # fmt: skip
        return plan_

    def order(self, plan_: Plan, broker: str, quantity: int) -> None:
        name = self.name("C")
        self.from_oms("D", fields({
            "11": name, "21": "1", "55": plan_.symbol, "54": plan_.side, "38": str(quantity), "40": "2", "44": "12",
            "59": "1" if plan_.kind == "quota" else "0", "60": f"{self.today}-15:00:00", "70": plan_.name,
        }), broker)  # fmt: skip
        assert name in self.desks[broker].orders, name

    def ordered(self, kind: str, symbol: str, side: str) -> None:
        """A statement and its orders, at one broker or both; sometimes for less than all of it."""
        plan_ = self.statement(kind, symbol, side)
        left = plan_.total if self.random.random() < 0.8 else max(1, plan_.total * 3 // 4)
        pieces = self.random.randint(1, 3)
        for n in range(pieces):
            quantity = left if n == pieces - 1 else self.random.randint(1, max(1, left - 1))
            if quantity:
                self.order(plan_, self.random.choice(list(self.desks)), quantity)
                left -= quantity

    # ------------------------------------------------------------ a day

    def morning(self) -> None:
        self.tick("09:30:00")
        self.answer_all()
        for desk in self.desks.values():
            for order in list(desk.orders.values()):
                if order.good_till and order.over == DONE:
                    self.from_broker(desk, desk.renew(order, self.today))
        if self.day == self.split_on:
            self.split()
        for _ in range(self.random.randint(0, 4)):
            self.random.choice((self.amend, self.late))()
        self.books.reconcile(lambda plan: plan.closed)
        if self.day == DAYS[0]:
            self.ordered("quota", "GTA", "1")
            self.ordered("quota", "GTB", "2")
        if self.day == DAYS[1]:
            self.ordered("quota", "GTC", "2")
        for kind in self.random.sample(KINDS, 4):
            self.ordered(kind, kind.upper()[:3], self.random.choice("12"))
        if self.random.random() < 0.5:
            self.ordered("day", "DAV", "1")
            self.ordered("day", "DAV", "1")

    def split(self) -> None:
        """Two for one for every statement in GTA that has a live order."""
        for plan_ in self.books.plans.values():
            if plan_.symbol != "GTA":
                continue
            texts = [(desk, text) for desk in self.desks.values() for text in desk.split(plan_.name, self.today)]
            if not texts:  # nobody is told of a split of what is over
                self.unsplit(plan_)
                continue
            self.books.factor[plan_.name] *= 2
            for desk, text in texts:
                self.from_broker(desk, text)

    def unsplit(self, plan_: Plan) -> None:
        for desk in self.desks.values():
            for order in desk.orders.values():
                if order.statement == plan_.name:
                    order.quantity //= 2
                    for trade in order.trades:
                        trade.quantity, trade.price = trade.quantity // 2, trade.price * 2

    def trading(self) -> None:
        actions = [
            *[self.fill] * 20, *[self.amend] * 4, self.cancel, self.cancel, self.change, self.change, self.over,
            self.over, self.answer, self.answer, self.overtaken, self.book, self.close,
        ]  # fmt: skip
        for step in range(60):
            if step == 30:
                self.tick("11:00:00")
            self.random.choice(actions)()

    def evening(self) -> None:
        """Day orders end, the cut-off comes, some things come to light after it."""
        for desk in self.desks.values():
            for order in [order for order in desk.orders.values() if not order.over]:
                if order.good_till and not self.last:
                    if order.works and self.random.random() < 0.5:
                        self.from_broker(desk, desk.end(order, DONE, self.today))
                elif order.works and (order.good_till or self.random.random() < 0.7):
                    how = self.random.choice((CANCELLED, EXPIRED) if order.good_till else (DONE, CANCELLED, EXPIRED))
                    self.from_broker(desk, desk.end(order, how, self.today))
        self.tick("16:00:00" if self.day == HALF_DAY else "19:00:00")
        self.books.reconcile(lambda plan: True)
        for desk in self.desks.values():
            for order in list(desk.orders.values()):
                if order.works and not order.good_till:
                    self.from_broker(desk, desk.end(order, EXPIRED, self.today))
                elif not order.over and not order.good_till:
                    order.over = EXPIRED  # it is filled; a bust on a later day does not bring it back
        for _ in range(self.random.randint(0, 4)):
            self.random.choice((self.amend, self.late, self.answer))()
        self.tick("21:00:00")
        self.books.reconcile(lambda plan: plan.closed)

    # ------------------------------------------------------------ what happens to orders

    def price(self) -> Fraction:
        return Fraction(self.random.randint(90_000, 110_000), 10 ** self.random.choice((2, 3, 4, 4)))

    def pick(self, wanted: Callable[[Order], bool]) -> tuple[Desk, Order] | None:
        found = [(desk, order) for desk in self.desks.values() for order in desk.orders.values() if wanted(order)]
        return self.random.choice(found) if found else None

    def fill(self) -> None:
        found = self.pick(lambda order: order.works)
        if found:
            desk, order = found
            most = order.quantity - order.filled
            part = 8 if order.good_till else 2
            whole = self.random.random() < (0.02 if order.good_till else 0.2)
            quantity = most if whole else self.random.randint(1, max(1, most // part))
            self.from_broker(desk, desk.fill(order, quantity, self.price(), self.today, self.today))

    def overtaken(self) -> None:
        """The bust of a trade is here before the trade."""
        found = self.pick(lambda order: order.works)
        if found:
            desk, order = found
            fill = desk.fill(order, self.random.randint(1, order.left), self.price(), self.today, self.today)
            self.from_broker(desk, desk.bust(order, order.trades[-1], self.today))
            self.from_broker(desk, fill)

    def book(self) -> None:
        """Operations want what is filled of a good-till order booked now."""
        found = [plan.name for plan in self.books.plans.values() if plan.kind == "quota" and not plan.closed]
        if found:
            self.given(self.world.operate("book", self.random.choice(found)))

    def close(self) -> None:
        """Operations close a statement while its orders may still be filled."""
        found = [plan.name for plan in self.books.plans.values() if not plan.closed]
        if found:
            self.given(self.world.operate("close", self.random.choice(found)))

    def over(self) -> None:
        """A broker executes more than it was asked for."""
        found = self.pick(lambda order: not order.over and order.opened == self.today and order.filled > 0)
        if found and self.random.random() < 0.4:
            desk, order = found
            quantity = max(order.quantity - order.filled, 0) + self.random.randint(1, 5)
            self.from_broker(desk, desk.fill(order, quantity, self.price(), self.today, self.today))

    def late(self) -> None:
        """A fill of an earlier day, or of this one after the close, of an order that had ended or lives for days."""
        found = self.pick(
            lambda order: order.filled < order.quantity and (order.good_till or order.over in (CANCELLED, EXPIRED))
        )
        if found:
            desk, order = found
            days = [f"{day:%Y%m%d}" for day in DAYS if order.opened <= f"{day:%Y%m%d}" <= self.today]
            day = self.random.choice(days) if order.good_till else order.opened
            quantity = self.random.randint(1, order.quantity - order.filled)
            self.from_broker(desk, desk.fill(order, quantity, self.price(), day, self.today))

    def amend(self, of: Trade | None = None) -> None:
        """A bust or a correction, of today's trades or of an earlier day's, perhaps of a correction."""
        found = [
            (each, order, trade)
            for each in self.desks.values()
            for order, trade in each.trades()
            if trade.quantity and of in (None, trade)
        ]
        if not found:
            return
        each, order, trade = self.random.choice(found)
        if of is None and self.random.random() < 0.4:
            self.from_broker(each, each.bust(order, trade, self.today))
            return
        room = max(order.quantity - order.filled, 0)
        quantity = self.random.choice((trade.quantity, self.random.randint(1, trade.quantity + room)))
        price = trade.price if self.random.random() < 0.2 and of is None else self.price()
        self.from_broker(each, each.correct(order, trade, quantity, price, self.today))

    def cancel(self) -> None:
        found = self.pick(lambda order: order.works and not order.good_till)
        if found:
            desk, order = found
            if self.random.random() < 0.5:
                self.from_broker(desk, desk.end(order, CANCELLED, self.today))
                return
            self.from_oms("F", fields({
                "11": self.name("F"), "41": order.name, "55": order.symbol, "54": order.side,
                "38": str(order.quantity), "60": f"{self.today}-15:00:00",
            }))  # fmt: skip

    def change(self) -> None:
        """The OMS asks for more or less."""
        found = self.pick(lambda order: order.works)
        if found:
            _, order = found
            self.from_oms("G", fields({
                "11": self.name("G"), "41": order.name, "21": "1", "55": order.symbol, "54": order.side,
                "38": str(self.random.randint(order.filled + 1, order.quantity + 3)), "40": "2", "44": "12",
                "60": f"{self.today}-15:00:00",
            }))  # fmt: skip

    # ------------------------------------------------------------ what happens to allocations

    def allocated(self, output: SendAllocation) -> Told:
        ours = output.allocation
        told = told_of(ours.broker, self.built(output, None, ours.broker))
        told.booking = ours.booking
        self.books.take(told)
        bearers: dict[str, Fraction] = defaultdict(Fraction)
        for share in ours.shares:
            bearers[share.account] += Fraction(share.residual or 0)
        self.books.cash[told.alloc_id] = Cash(
            Fraction(ours.residual_cash or 0), Fraction(ours.averaging_cash or 0), dict(bearers), ours.residual_to
        )
        return told

    def answer_first(self, told: Told) -> None:
        """Now and then a J is refused; the broker then corrects the price of a trade it covers."""
        kind = "1" if told.trans_type == "1" else "0"
        desk = self.desks[told.broker]
        self.refusals[kind] -= told.trans_type == kind
        newest = self.books.in_force.get(told.alloc_id) is told
        if self.refusals[kind] != 0 or told.trans_type != kind or not newest:
            self.waiting.append(told)
            return
        self.refusals[kind] = -1
        self.books.count[f"refused 71={kind}"] += 1
        self.books.refuse(told)
        self.from_broker(desk, desk.ack(told.alloc_id, "1", self.today))
        covered = [t for o, t in desk.trades() if o.statement == told.statement and t.day == told.day and t.quantity]
        self.amend(of=next(trade for trade in covered if self.booking(trade) == told.booking))

    def booking(self, trade: Trade) -> int:
        """Which booking has a trade: only the gateway knows."""
        assert self.world.engine.state is not None
        fills = (order.fills for order in self.world.engine.state.orders.values())
        return next(found[trade.name].booking for found in fills if trade.name in found)

    def answer(self) -> None:
        """The brokers answer the oldest J."""
        if not self.waiting:
            return
        told = self.waiting.pop(0)
        desk = self.desks[told.broker]
        for status in ("3", "0") if self.random.random() < 0.3 else ("0",):
            self.from_broker(desk, desk.ack(told.alloc_id, status, self.today))
        stands = self.books.in_force.get(told.alloc_id) is told
        if self.version is FIX42 or not (stands or told.trans_type == "2"):
            return
        if desk.name == "BRK1":
            for text in desk.confirmations(told):
                self.from_broker(desk, text)
        elif stands:
            self.from_broker(desk, desk.allocation_report(told))

    def answer_all(self) -> None:
        while self.waiting:
            self.answer()
