"""A broker that executes at random: pieces, cancels, busts, corrections, late fills; answers J with P."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from live import utc

from fixgateway.sim.fields import Fields, Pair
from fixgateway.sim.peer import Peer
from fixgateway.sim.session import Session

PRICES = ("99.5", "100", "100.25", "101.125")


@dataclass
class Working:
    """An order in the broker's book; ``ended`` is "4" or "8" once it was cancelled or rejected."""

    order_id: str
    cl_ord_id: str
    symbol: str
    side: str
    quantity: int
    ended: str = ""
    left_over: int = 0
    fills: dict[str, tuple[int, Decimal]] = field(default_factory=dict)

    @property
    def cum(self) -> int:
        return sum(quantity for quantity, _ in self.fills.values())

    @property
    def leaves(self) -> int:
        return 0 if self.ended else self.quantity - self.cum

    @property
    def status(self) -> str:
        return self.ended or ("2" if self.cum >= self.quantity else "1" if self.cum else "0")

    @property
    def average(self) -> str:
        value = sum((quantity * price for quantity, price in self.fills.values()), Decimal(0))
        return format(round(value / self.cum, 6), "f") if self.cum else "0"


class Broker:
    """One broker: :meth:`step` does something at random, :meth:`on_message` takes what comes.

    Args:
        name: its CompID and the beginning of its ids.
        seed: of its random choices.
    """

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        self.chance = random.Random(seed)
        self.peer: Peer | None = None
        self.book: dict[str, Working] = {}
        self.names: dict[str, Working] = {}
        self.later: deque[Callable[[], None]] = deque()
        self.reports: deque[list[Pair]] = deque(maxlen=50)
        self.closing = False
        self.lock = threading.RLock()
        self._numbers = 0

    # ------------------------------------------------------------ doors

    def on_message(self, _session: Session, fields: Fields) -> None:
        """Take an order, a change, a cancel or an allocation: now, or some time later."""
        take = {"D": self._new, "G": self._replace, "F": self._cancel, "J": self._allocation}.get(fields.msg_type)
        if take is None:
            return
        with self.lock:
            if self.chance.random() < 0.25 and not self.closing:
                self.later.append(lambda: take(fields))
            else:
                while self.later and fields.msg_type != "J":  # a broker works orders and changes in their order
                    self.later.popleft()()
                take(fields)

    def step(self) -> None:
        """Do one thing."""
        with self.lock:
            dice = self.chance.random()
            if self.later and dice < 0.4:
                self.later.popleft()()
            elif dice < 0.85:
                self._work()
            elif dice < 0.92:
                self._amend()
            elif dice < 0.95:
                self._late_fill()
            elif dice < 0.98 and self.reports:
                self._send("8", self.chance.choice(self.reports), ((97, "Y"),))

    def finish(self) -> bool:
        """End everything that is open; whether nothing was."""
        with self.lock:
            self.closing = True
            while self.later:
                self.later.popleft()()
            alive = [working for working in self.book.values() if working.leaves]
            for working in alive:
                if self.chance.random() < 0.5:
                    self._fill(working, working.leaves)
                else:
                    self._end(working)
            return not alive

    # ------------------------------------------------------------ small change

    def _id(self, kind: str) -> str:
        self._numbers += 1
        return f"{self.name}{kind}{self._numbers}"

    def _send(self, msg_type: str, fields: list[Pair], header: tuple[Pair, ...] = ()) -> None:
        assert self.peer is not None
        self.peer.send(msg_type, fields, header)

    def _report(self, working: Working, exec_type: str, *more: Pair, exec_id: str = "", status: str = "") -> None:
        head: list[Pair] = [(37, working.order_id), (17, exec_id or self._id("E")), (150, exec_type)]
        head += [(39, status or working.status), (11, working.cl_ord_id), (55, working.symbol), (54, working.side)]
        tail: list[Pair] = [(38, str(working.quantity)), (14, str(working.cum)), (151, str(working.leaves))]
        report = [*head, *more, *tail, (6, working.average), (60, utc())]
        self.reports.append(report)
        self._send("8", report)

    def _refuse(self, fields: Fields, working: Working | None, reason: str) -> None:
        head = [(37, working.order_id if working else "NONE"), (11, fields.get(11)), (41, fields.get(41))]
        response = "2" if fields.msg_type == "G" else "1"
        self._send("9", [*head, (39, working.status if working else "8"), (434, response), (102, reason)])

    # ------------------------------------------------------------ requests

    def _new(self, fields: Fields) -> None:
        cl_ord_id, quantity = fields.get(11), int(fields.get(38))
        if cl_ord_id in self.names:  # the proof finds it on the tape; a real broker would answer 103=6
            return
        working = Working(self._id("O"), cl_ord_id, fields.get(55), fields.get(54), quantity)
        self.book[working.order_id] = self.names[cl_ord_id] = working
        dice = self.chance.random()
        if dice < 0.02:
            working.ended = "8"
            body = [(45, str(fields.seq)), (372, "D"), (379, cl_ord_id), (380, "0"), (58, "we do not like it")]
            self._send("j", body)
        elif dice < 0.06:
            working.ended = "8"
            self._report(working, "8", (103, "0"), (58, "not today"))
        else:
            self._report(working, "0")
            if self.chance.random() < 0.3:
                self._work(working)

    def _replace(self, fields: Fields) -> None:
        working, quantity = self.names.get(fields.get(41)), int(fields.get(38))
        if working is None:
            self._refuse(fields, None, "1")
        elif working.ended or quantity < max(working.cum, 1) or self.chance.random() < 0.15:
            self._refuse(fields, working, "0")
        elif self.chance.random() < 0.05:
            body = [(45, str(fields.seq)), (372, "G"), (379, fields.get(11)), (380, "0"), (58, "not that way")]
            self._send("j", body)
        else:
            orig = working.cl_ord_id
            self.names[fields.get(11)] = working
            working.cl_ord_id, working.quantity = fields.get(11), quantity
            self._report(working, "5", (41, orig))

    def _cancel(self, fields: Fields) -> None:
        working = self.names.get(fields.get(41))
        if working is not None and working.leaves and self.chance.random() < 0.3:
            self._fill(working, self.chance.randint(1, working.leaves))  # it crossed the cancel
        if working is None:
            self._refuse(fields, None, "1")
        elif not working.leaves or self.chance.random() < 0.1:
            self._refuse(fields, working, "0")
        else:
            self.names[fields.get(11)] = working
            working.left_over, working.ended = working.leaves, "4"
            orig, working.cl_ord_id = working.cl_ord_id, fields.get(11)
            self._report(working, "4", (41, orig))

    def _allocation(self, fields: Fields) -> None:
        dice = self.chance.random()
        statuses = "0" if dice < 0.75 or fields.get(71) == "2" else "30" if dice < 0.9 else "1"
        for status in statuses:
            self._send("P", [(70, fields.get(70)), (60, utc()), (87, status)])

    # ------------------------------------------------------------ executing

    def _work(self, working: Working | None = None) -> None:
        """Fill a piece or the rest of an open order, or give it up."""
        alive = [working] if working else [each for each in self.book.values() if each.leaves]
        if not alive:
            return
        chosen = self.chance.choice(alive[-15:])
        dice = self.chance.random()
        if dice < 0.06:
            self._end(chosen)
        else:
            self._fill(chosen, chosen.leaves if dice < 0.4 else self.chance.randint(1, chosen.leaves))

    def _fill(self, working: Working, quantity: int) -> None:
        exec_id, price = self._id("E"), self.chance.choice(PRICES)
        working.fills[exec_id] = (quantity, Decimal(price))
        self._report(working, "F", (32, str(quantity)), (31, price), exec_id=exec_id)

    def _end(self, working: Working) -> None:
        working.left_over, working.ended = working.leaves, "4"
        self._report(working, "4")

    def _amend(self) -> None:
        """Bust or correct a fill, whatever has become of its order."""
        filled = [working for working in self.book.values() if working.fills]
        if not filled:
            return
        working = self.chance.choice(filled)
        old = self.chance.choice(list(working.fills))
        quantity, _ = working.fills.pop(old)
        if self.chance.random() < 0.4:
            self._report(working, "H", (19, old))
            return
        exec_id, price = self._id("E"), self.chance.choice(PRICES)
        quantity = self.chance.randint(1, quantity)
        working.fills[exec_id] = (quantity, Decimal(price))
        self._report(working, "G", (19, old), (32, str(quantity)), (31, price), exec_id=exec_id)

    def _late_fill(self) -> None:
        """A fill of an order that was cancelled, as when two floors do not talk to each other."""
        late = [working for working in self.book.values() if working.ended == "4" and working.left_over]
        if late:
            working = self.chance.choice(late)
            quantity = self.chance.randint(1, working.left_over)
            working.left_over -= quantity
            self._fill(working, quantity)
