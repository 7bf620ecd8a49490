"""The brokers of a simulated day: what they really hold and have filled is the other half of the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

from line import Broken, End, Msg, show
from omses import Pair, body_of


def price_text(price: Fraction) -> str:
    """A price with two decimals."""
    cents = price * 100
    return f"{int(cents) // 100}.{int(cents) % 100:02d}"


@dataclass(slots=True)
class Held:
    """An order as its broker holds it."""

    name: str
    oms_name: str
    statement_id: str
    side: str
    symbol: str
    quantity: int
    status: str = "A"
    names: list[str] = field(default_factory=list)
    fills: dict[str, tuple[int, Fraction]] = field(default_factory=dict)

    @property
    def cum(self) -> int:
        """What is filled."""
        return sum(quantity for quantity, _ in self.fills.values())

    @property
    def open(self) -> bool:
        """Whether it still trades."""
        return self.status in "A01"

    @property
    def exposure(self) -> int:
        """What it may come to."""
        return max(self.quantity, self.cum) if self.open else self.cum

    @property
    def average(self) -> Fraction:
        """Average price of the fills."""
        value = sum((q * p for q, p in self.fills.values()), Fraction(0))
        return value / self.cum if self.cum else Fraction(0)


class Broker:
    """One broker: acknowledges, fills, cancels, corrects, answers allocations.

    Args:
        end: its end of the session. chance: moves it.

    Attributes:
        late: statements under which it filled more after an order's end; they may come to more than their total.
    """

    def __init__(self, end: End, chance: Random) -> None:
        self.end, self.chance = end, chance
        self.name = end.name
        self.orders: dict[str, Held] = {}
        self.chain: dict[str, str] = {}
        self.waiting: list[Msg] = []
        self.late: set[str] = set()
        self.asked: set[str] = set()
        self.allocations: list[Msg] = []
        self.alloc_ids: dict[str, Msg] = {}
        self.reports: dict[str, tuple[str, str]] = {}
        self.refused: dict[str, str] = {}
        self.answered: dict[str, list[str]] = {}
        self.sent_count = 0
        end.deliver = self.hear
        self._n = 0

    def hear(self, msg: Msg) -> None:
        """An application message of the gateway."""
        if msg.kind == "J":
            self._allocation(msg)
        elif msg.kind == "D" and msg.get(11) in self.chain:
            if not msg.has(97, "Y"):
                raise Broken(f"{self.name} got the D of {msg.get(11)} a second time: {show(msg.text)}")
        elif msg.kind in "GF" and msg.get(11) in self.asked:
            if msg.kind == "G" or not msg.has(97, "Y"):
                raise Broken(f"{self.name} got {msg.kind} {msg.get(11)} a second time: {show(msg.text)}")
        elif msg.kind in "DGFH":
            self.asked.add(msg.get(11))
            if msg.kind == "D":
                held = Held(msg.get(11), "", msg.get(70), msg.get(54), msg.get(55), int(msg.get(38)))
                held.names.append(held.name)
                self.orders[held.name] = held
                self.chain[held.name] = held.name
            self.waiting.append(msg)

    def _allocation(self, msg: Msg) -> None:
        name = msg.get(70)
        if name in self.alloc_ids:
            if not msg.has(97, "Y"):
                raise Broken(f"{self.name} got allocation {name} a second time: {show(msg.text)}")
        else:
            self.alloc_ids[name] = msg
            self.allocations.append(msg)
        self.waiting.append(msg)

    # ------------------------------------------------------------ acting

    @property
    def busy(self) -> bool:
        """Whether something waits for an answer."""
        return bool(self.waiting)

    def act(self) -> None:
        """One thing a broker may do now."""
        if self.waiting and self.chance.random() < 0.7:
            self.answer()
        else:
            acts = [*[self._fill] * 5, self._end, self._amend, self._late, self._again]
            self.chance.choice(acts)()

    def answer(self) -> None:
        """Answer what came first."""
        msg = self.waiting.pop(0)
        {"J": self._on_j, "D": self._on_d, "G": self._on_g, "F": self._on_f, "H": self._on_h}[msg.kind](msg)

    def _fresh(self, prefix: str) -> str:
        self._n += 1
        return f"{prefix}{self.name[-1]}{self._n}"

    def _send(self, kind: str, name: str, *pairs: Pair) -> None:
        self.sent_count += 1
        body = body_of(*pairs)
        self.reports[name] = (kind, body)
        self.end.send(kind, body)

    def _report(
        self, held: Held, exec_type: str, *more: Pair, name: str = "", orig: str = "", exec_id: str = ""
    ) -> None:
        exec_id, name = exec_id or self._fresh("E"), name or held.names[-1]
        average = int(held.average * 10**6 + Fraction(1, 2))
        text = f"{average // 10**6}.{average % 10**6:06d}"
        leaves = max(0, held.quantity - held.cum) if held.open else 0
        self._send(
            "8", exec_id,
            (37, f"B-{held.name}"), (17, exec_id), (150, exec_type), (39, held.status), (11, name),
            (41, orig), (55, held.symbol), (54, held.side), (38, held.quantity), *more, (14, held.cum),
            (151, leaves), (6, text), (60, self.end.now()),
        )  # fmt: skip

    def _on_d(self, msg: Msg) -> None:
        held = self.orders[msg.get(11)]
        if not held.open or held.status != "A":
            return
        chance = self.chance.random()
        if chance < 0.05:
            held.status = "8"
            self._report(held, "8", (103, 0), (58, "no"))
        elif chance < 0.08:
            held.status = "8"
            self.refused[held.name] = "3"
            kind = self.chance.choice("3j")
            pairs: tuple[Pair, ...] = ((45, msg.number), (372, "D"), (373 if kind == "3" else 380, 3), (58, "no"))
            self.sent_count += 1
            self.end.send(kind, body_of(*pairs))
        else:
            held.status = "0"
            self._report(held, "0")

    def _held(self, msg: Msg) -> Held | None:
        return self.orders.get(self.chain.get(msg.get(41), ""))

    def _reject(self, msg: Msg, held: Held | None) -> None:
        self._send(
            "9", f"9-{msg.get(11)}-{self._fresh('R')}",
            (37, f"B-{held.name}" if held else "NONE"), (11, msg.get(11)), (41, msg.get(41)),
            (39, held.status if held else "8"), (434, "2" if msg.kind == "G" else "1"), (102, 0), (58, "no"),
        )  # fmt: skip

    def _on_g(self, msg: Msg) -> None:
        held = self._held(msg)
        quantity = int(msg.get(38))
        if held is None or held.status not in ("0", "1") or quantity < held.cum or self.chance.random() < 0.2:
            self._reject(msg, held)
            return
        held.quantity = quantity
        held.names.append(msg.get(11))
        self.chain[msg.get(11)] = held.name
        held.status = self._status(held)
        self._report(held, "5", name=msg.get(11), orig=msg.get(41))

    @staticmethod
    def _status(held: Held) -> str:
        if held.cum >= held.quantity:
            return "2"
        return "1" if held.cum else "0"

    def _on_f(self, msg: Msg) -> None:
        held = self._held(msg)
        if held is None or not held.open or self.chance.random() < 0.2:
            self._reject(msg, held)
            return
        held.status = "4"
        self._report(held, "4", name=msg.get(11), orig=msg.get(41))

    def _on_h(self, msg: Msg) -> None:
        held = self.orders.get(self.chain.get(msg.get(11), ""))
        if held is not None:
            self._report(held, "I", (5001, msg.get(5001)), name=msg.get(11))
        else:
            exec_id = self._fresh("E")
            self._send(
                "8", exec_id, (37, "NONE"), (17, exec_id), (150, "I"), (39, "8"), (11, msg.get(11)),
                (55, msg.get(55)), (54, msg.get(54)), (38, 0), (5001, msg.get(5001)), (14, 0), (151, 0), (6, 0),
            )  # fmt: skip

    def _on_j(self, msg: Msg) -> None:
        chance, name = self.chance.random(), msg.get(70)
        codes, text = ["0"] if chance < 0.75 else ["3", "0"] if chance < 0.92 else ["1"], ""
        if name in self.answered:  # sent again: the same answer, or what many systems say to a known id
            codes = self.answered[name]
            if chance < 0.5:
                codes, text = ["1"], "duplicate AllocID"
        else:
            self.answered[name] = codes
            if codes == ["1"]:
                self.refused[name] = "1"
        for code in codes:
            pairs: tuple[Pair, ...] = ((70, name), (60, self.end.now()), (87, code), (58, text))
            self._send("P", f"P-{name}-{self._fresh('A')}", *pairs)

    # ------------------------------------------------------------ trading

    def _some(self, wanted: str) -> Held | None:
        found = [held for held in self.orders.values() if held.status in wanted]
        return self.chance.choice(found[-6:]) if found else None

    def _price(self) -> Fraction:
        return Fraction(self.chance.randint(9_000, 11_000), 100)

    def fill(self, held: Held, quantity: int) -> None:
        """A trade."""
        exec_id = self._fresh("E")
        price = self._price()
        held.fills[exec_id] = (quantity, price)
        if held.open:
            held.status = self._status(held)
        self._report(held, "F", (32, quantity), (31, price_text(price)), exec_id=exec_id)

    def _fill(self) -> None:
        held = self._some("01")
        if held is not None and held.quantity > held.cum:
            rest = held.quantity - held.cum
            self.fill(held, self.chance.choice((1, rest, self.chance.randint(1, rest))))

    def _end(self) -> None:
        held = self._some("01")
        if held is not None:
            held.status = self.chance.choice("4C")
            self._report(held, held.status)

    def _late(self) -> None:
        """A fill after the order ended; rarely."""
        held = self._some("4C")
        if held is not None and self.chance.random() < 0.3:
            self.late.add(held.statement_id)
            self.fill(held, 1)

    def _amend(self) -> None:
        found = [held for held in self.orders.values() if held.fills]
        if found:
            self.amend(self.chance.choice(found))

    def amend(self, held: Held) -> None:
        """A bust or a correction of one of its fills."""
        ref = self.chance.choice(list(held.fills))
        quantity, _ = held.fills.pop(ref)
        exec_id = self._fresh("E")
        more: tuple[Pair, ...] = ((19, ref),)
        kind = "H"
        if self.chance.random() < 0.5:
            kind, price = "G", self._price()
            quantity = self.chance.randint(1, quantity)
            held.fills[exec_id] = (quantity, price)
            more = ((19, ref), (32, quantity), (31, price_text(price)))
        if held.status in "012":
            held.status = self._status(held)
        self._report(held, kind, *more, exec_id=exec_id)

    def _again(self) -> None:
        """A report again with 97=Y."""
        if self.reports:
            kind, body = self.reports[self.chance.choice(list(self.reports))]
            self.end.send(kind, body, ((97, "Y"),))

    def finish(self) -> bool:
        """Bring one open order to its end; whether there was one."""
        held = self._some("01")
        if held is None:
            return False
        rest = held.quantity - held.cum
        if rest and self.chance.random() < 0.5:
            self.fill(held, rest)
        else:
            held.status = self.chance.choice("4C3")
            self._report(held, held.status)
        return True

    def after_reset(self) -> None:
        """It reset its numbers: everything it said is said again."""
        for kind, body in list(self.reports.values()):
            self.end.send(kind, body, ((97, "Y"),))
