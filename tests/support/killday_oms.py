"""An OMS that trades at random: statements, orders under them, and everything it should not do."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from live import cancel, order, replace, statement, utc

from fixgateway.sim.fields import Fields, Pair
from fixgateway.sim.peer import Peer
from fixgateway.sim.session import Session

ACCOUNTS = ("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP")
SYMBOLS = ("XYZ", "ABC", "QQQ")
ENDED = "248C"


@dataclass
class Plan:
    """A statement as its OMS knows it."""

    statement_id: str
    symbol: str
    side: str
    total: int
    room: int
    registered: bool = False
    dead: bool = False


@dataclass
class Ticket:
    """An order as its OMS knows it; ``cl_ord_id`` is the latest accepted one."""

    plan: Plan
    cl_ord_id: str
    quantity: int
    open: bool = True
    acknowledged: bool = False
    asked: str = ""


class Oms:
    """One OMS: :meth:`step` does something at random, :meth:`on_message` takes what comes.

    Args:
        name: its CompID and the beginning of all its ids.
        brokers: where its orders may go.
        seed: of its random choices.
    """

    def __init__(self, name: str, brokers: tuple[str, ...], seed: str) -> None:
        self.name = name
        self.brokers = brokers
        self.chance = random.Random(seed)
        self.peer: Peer | None = None
        self.plans: dict[str, Plan] = {}
        self.tickets: dict[str, Ticket] = {}
        self.lock = threading.RLock()
        self._numbers = 0
        self._actions = {
            self.register: 4, self.slice: 10, self.burst: 2, self.change: 4, self.withdraw_order: 4,
            self.impatient: 1, self.too_early: 1, self.wrong_statement: 1, self.uncovered: 1, self.misfit: 1,
            self.repeat: 1, self.withdraw: 1, self.unknown: 1,
        }  # fmt: skip

    # ------------------------------------------------------------ doors

    def step(self) -> None:
        """Do one thing."""
        with self.lock:
            self.chance.choices(list(self._actions), list(self._actions.values()))[0]()

    def on_message(self, _session: Session, fields: Fields) -> None:
        """Take what the gateway says."""
        with self.lock:
            match fields.msg_type:
                case "P":
                    plan = self.plans.get(fields.get(70))
                    if plan is not None and fields.get(87) == "0":
                        plan.registered = True
                case "8":
                    self._reported(fields)
                case "9":
                    ticket = self.tickets.get(fields.get(41))
                    if ticket is not None:
                        ticket.asked = ""
                case "AS":
                    if self.chance.random() < 0.5:
                        self.send("AT", [(755, fields.get(755)), (60, utc()), (87, "0")])

    def send(self, msg_type: str, fields: list[Pair], header: tuple[Pair, ...] = ()) -> None:
        """Send, or keep while logged out."""
        assert self.peer is not None
        self.peer.send(msg_type, fields, header)

    def statements(self) -> list[str]:
        """Ids of the statements the gateway registered."""
        with self.lock:
            return [plan.statement_id for plan in self.plans.values() if plan.registered]

    # ------------------------------------------------------------ what it remembers

    def _reported(self, fields: Fields) -> None:
        ticket = self.tickets.get(fields.get(11)) or self.tickets.get(fields.get(41))
        if ticket is None or fields.get(103) == "6":
            return
        if fields.get(58).startswith(("GW-103", "GW-104")):
            ticket.plan.dead = True  # its statement is closed
        ticket.acknowledged = True
        if fields.get(11) == ticket.asked:
            ticket.asked = ""
        if fields.get(150) == "5":
            ticket.cl_ord_id = fields.get(11)
            ticket.plan.room += ticket.quantity - int(fields.get(38))
            ticket.quantity = int(fields.get(38))
        ended = fields.get(39) in ENDED
        if ended and ticket.open and fields.get(39) != "2":
            ticket.plan.room += ticket.quantity - int(fields.get(14))
        ticket.open = not ended

    def _id(self, kind: str) -> str:
        self._numbers += 1
        return f"{self.name}{kind}{self._numbers}"

    # ------------------------------------------------------------ statements

    def _plan(self) -> tuple[Plan, list[tuple[str, object]]]:
        accounts = self.chance.sample(ACCOUNTS, self.chance.randint(1, 4))
        lines: list[tuple[str, object]] = [(account, self.chance.randint(1, 300)) for account in accounts]
        total = sum(int(str(quantity)) for _, quantity in lines)
        symbol, side = self.chance.choice(SYMBOLS), self.chance.choice("12")
        return Plan(self._id("S"), symbol, side, total, total), lines

    def register(self) -> Plan:
        """J of a new statement."""
        plan, lines = self._plan()
        self._register(plan, lines)
        return plan

    def _register(self, plan: Plan, lines: list[tuple[str, object]]) -> None:
        self.plans[plan.statement_id] = plan
        self.send("J", statement(plan.statement_id, lines, symbol=plan.symbol, side=plan.side))

    def wrong_statement(self) -> None:
        """J that must be refused."""
        plan, lines = self._plan()
        match self.chance.randrange(3):
            case 0:
                self.send("J", statement(plan.statement_id, lines, symbol=plan.symbol, total=plan.total + 1))
            case 1:
                closed = [*lines, ("SHUT", 10)]
                self.send("J", statement(plan.statement_id, closed, symbol=plan.symbol, side=plan.side))
            case 2 if self.plans:
                self.send("J", statement(self.chance.choice(list(self.plans)), lines, symbol="ZZZ"))

    def withdraw(self) -> None:
        """J 71=2 of a statement, with or without orders under it."""
        plan = self._any_plan()
        if plan is not None:
            plan.dead = plan.room == plan.total
            more = ((72, plan.statement_id), (796, "1"))
            given = statement(
                self._id("W"), [("PROP", plan.total)], *more, symbol=plan.symbol, side=plan.side, trans="2"
            )
            self.send("J", given)

    def _any_plan(self) -> Plan | None:
        alive = [plan for plan in self.plans.values() if plan.registered and plan.room > 0 and not plan.dead]
        return self.chance.choice(alive[-8:]) if alive else None

    # ------------------------------------------------------------ orders

    def _order(
        self, plan: Plan, quantity: int, *, statement_id: str = "", symbol: str = "", side: str = ""
    ) -> Ticket:
        ticket = Ticket(plan, self._id("C"), quantity)
        header = ((128, self.chance.choice(self.brokers)),) if self.chance.random() < 0.8 else ()
        body = order(
            ticket.cl_ord_id,
            statement_id or plan.statement_id,
            quantity,
            symbol=symbol or plan.symbol,
            side=side or plan.side,
            price=self.chance.choice(("", "101.5")),
        )
        plan.room -= quantity
        self.tickets[ticket.cl_ord_id] = ticket
        self.send("D", body, header)
        return ticket

    def slice(self) -> None:
        """An order for a part of a statement, or all of it."""
        plan = self._any_plan() or self.register()
        if plan.registered:
            self._order(plan, plan.room if self.chance.random() < 0.4 else self.chance.randint(1, plan.room))

    def burst(self) -> None:
        """Several at once."""
        for _ in range(self.chance.randint(3, 8)):
            self.slice()

    def impatient(self) -> None:
        """A statement and an order right behind it, without waiting for its P."""
        plan = self.register()
        self._order(plan, plan.total)

    def too_early(self) -> None:
        """An order, and only then its statement."""
        plan, lines = self._plan()
        self._order(plan, plan.total)
        self._register(plan, lines)

    def uncovered(self) -> None:
        """An order without a statement."""
        plan, _ = self._plan()
        self._order(plan, plan.total, statement_id=self.chance.choice(("NONE-SUCH", "OMS1S1", "OMS2S1")))

    def misfit(self) -> None:
        """An order that differs from its statement."""
        plan = self._any_plan()
        match self.chance.randrange(3):
            case 0 if plan:
                self._order(plan, plan.total * 2)
            case 1 if plan:
                self._order(plan, 1, symbol="ZZZ")
            case 2 if plan:
                self._order(plan, 1, side="2" if plan.side == "1" else "1")

    def repeat(self) -> None:
        """A ClOrdID used before."""
        if self.tickets:
            cl_ord_id = self.chance.choice(list(self.tickets)[-20:])
            plan = self.tickets[cl_ord_id].plan
            self.send("D", order(cl_ord_id, plan.statement_id, 1, symbol=plan.symbol, side=plan.side))

    # ------------------------------------------------------------ changes

    def _any_ticket(self) -> Ticket | None:
        alive = [t for t in self.tickets.values() if t.open and t.acknowledged and not t.asked]
        return self.chance.choice(alive[-20:]) if alive else None

    def change(self) -> None:
        """G: lower, the same, higher, too high."""
        ticket = self._any_ticket()
        if ticket is None:
            return
        plan, now = ticket.plan, ticket.quantity
        quantity = self.chance.choice((now + 1, now + max(plan.room, 1), max(1, now // 2), now, now + plan.total))
        ticket.asked = self._id("C")
        self.tickets[ticket.asked] = ticket
        body = replace(
            ticket.asked, ticket.cl_ord_id, quantity, (70, plan.statement_id), symbol=plan.symbol, side=plan.side
        )
        self.send("G", body)

    def withdraw_order(self) -> None:
        """F."""
        ticket = self._any_ticket()
        if ticket is not None and self.chance.random() < 0.6:
            ticket.asked = self._id("C")
            self.tickets[ticket.asked] = ticket
            plan = ticket.plan
            self.send("F", cancel(ticket.asked, ticket.cl_ord_id, symbol=plan.symbol, side=plan.side))

    def unknown(self) -> None:
        """F or G of an order that does not exist."""
        if self.chance.random() < 0.5:
            self.send("F", cancel(self._id("C"), "NEVER-SENT"))
        else:
            self.send("G", replace(self._id("C"), "NEVER-SENT", 10))
