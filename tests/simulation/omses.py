"""The OMSs of a simulated day: careful ones, moved by chance.

What an OMS asked for and was told is half of the truth the judge measures the gateway by. A careful counterparty
that resets its numbers (141=Y) sends again, with 97=Y, what it cannot know to have arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from line import End, Header, Msg

Pair = tuple[int, object]
ACCOUNTS = ("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP")


def body_of(*pairs: Pair) -> str:
    """FIX text of fields; None and "" are left out."""
    return "".join(f"{tag}={value}\x01" for tag, value in pairs if value not in (None, ""))


@dataclass(slots=True)
class Intent:
    """A statement as its OMS wrote it."""

    statement_id: str
    oms: str
    lines: tuple[tuple[str, int], ...]
    side: str
    symbol: str
    registered: bool = False

    @property
    def total(self) -> int:
        """The block."""
        return sum(quantity for _, quantity in self.lines)


@dataclass(slots=True)
class Request:
    """Something an OMS asked; ``answers`` are the kinds of messages that answered it."""

    kind: str
    name: str
    body: str
    header: Header
    number: int
    statement_id: str = ""
    answers: list[str] = field(default_factory=list)
    given_up: bool = False


class Oms:
    """One OMS: statements, orders, changes, mistakes.

    Args:
        end: its end of the session. chance: moves it. today: trade date as FIX writes it.
    """

    def __init__(self, end: End, chance: Random, today: str, brokers: tuple[str, ...]) -> None:
        self.end, self.chance, self.today, self.brokers = end, chance, today, brokers
        self.name = end.name
        self.intents: dict[str, Intent] = {}
        self.requests: dict[str, Request] = {}
        self.told: dict[str, list[Msg]] = {}
        self.quantity: dict[str, int] = {}
        self.root: dict[str, str] = {}
        self.asked = 0
        end.deliver = self.hear
        self._n = 0

    # ------------------------------------------------------------ asking

    def act(self) -> None:
        """One thing an OMS may do now."""
        if not self.end.up and self.chance.random() < 0.8:
            return
        acts = [self._statement, *[self._order] * 4, self._cancel, self._replace, self._odd]
        if not self.intents:
            acts = [self._statement]
        self.chance.choice(acts)()

    def _fresh(self, prefix: str) -> str:
        self._n += 1
        return f"{prefix}{self.name[-1]}-{self._n}"

    def _ask(self, kind: str, name: str, body: str, statement_id: str = "", header: Header = ()) -> None:
        self.asked += 1
        number = self.end.send(kind, body, header)
        self.requests[name] = Request(kind, name, body, header, number, statement_id)

    def _statement(self) -> None:
        chosen = self.chance.sample(ACCOUNTS, self.chance.randint(1, 4))
        lines = tuple((account, self.chance.randint(1, 60)) for account in chosen)
        side, symbol = self.chance.choice("12"), self.chance.choice(("XYZ", "XYZ", "ABC"))
        name = self._fresh("S")
        wrong = self.chance.random() < 0.08
        self.intents[name] = Intent(name, self.name, lines, side, symbol)
        total = sum(quantity for _, quantity in lines) + wrong
        group = [pair for account, quantity in lines for pair in ((79, account), (80, quantity))]
        body = body_of(
            (70, name), (71, 0), (626, 2), (857, 0), (54, side), (55, symbol), (53, total), (6, 0),
            (75, self.today), (78, len(lines)), *group,
        )  # fmt: skip
        self._ask("J", name, body)

    def _some_intent(self) -> Intent:
        return self.chance.choice(list(self.intents.values())[-4:])

    def _order(self) -> None:
        intent = self._some_intent()
        quantity = self.chance.choice((1, 5, max(1, intent.total // 2), intent.total, intent.total))
        self._new(self._fresh("C"), intent, quantity, intent.symbol)

    def _new(self, name: str, intent: Intent, quantity: int, symbol: str, *more: Pair) -> None:
        body = body_of(
            (11, name), (70, intent.statement_id), (55, symbol), (54, intent.side), (60, self.end.now()),
            (38, quantity), (40, 1), *more,
        )  # fmt: skip
        header = ((128, self.chance.choice(self.brokers)),) if self.chance.random() < 0.7 else ()
        self.quantity[name] = quantity
        self.root[name] = name
        self._ask("D", name, body, intent.statement_id, header)

    def _odd(self) -> None:
        """Mistakes, questions and repeats."""
        choice = self.chance.randrange(7)
        intent = self._some_intent()
        if choice == 0:
            self._new(self._fresh("C"), Intent("S-none", self.name, (), intent.side, "XYZ"), 5, "XYZ")
        elif choice == 1:
            self._new(self._fresh("C"), intent, intent.total * 3, intent.symbol)
        elif choice == 2:
            self._new(self._fresh("C"), intent, 1, "QQQ")
        elif choice == 3:
            self._new(self._fresh("C"), intent, 1, intent.symbol, (97, "Y"))
        elif choice == 4 and self.root:
            name = self.chance.choice(list(self.root))
            side, symbol = intent.side, intent.symbol
            question = self._fresh("H")
            self._ask("H", question, body_of((11, name), (55, symbol), (54, side), (5001, question)))
        elif choice == 5 and self.requests:
            again = self.chance.choice([r for r in self.requests.values() if r.kind in "DJH"] or [None])
            if again is not None:
                self._again(again)
        elif choice == 6:
            self.end.send("R", body_of((131, self._fresh("Q")), (146, 1), (55, "XYZ")))

    def _again(self, request: Request) -> None:
        """The same with 97=Y, as a careful OMS does when it cannot know whether it arrived."""
        header = tuple(pair for pair in request.header if pair[0] != 97)
        self.end.send(request.kind, request.body, (*header, (97, "Y")))

    def _open_names(self) -> list[str]:
        return list(self.root)[-8:]

    def _cancel(self) -> None:
        orig = self.chance.choice(self._open_names() or [""])
        if not orig:
            return
        name = self._fresh("F")
        body = body_of((11, name), (41, orig), (55, "XYZ"), (54, "1"), (60, self.end.now()))
        self._ask("F", name, body)

    def _replace(self) -> None:
        names = self._open_names()
        if not names:
            return
        orig = self.chance.choice(names)
        intent = self.intents.get(self.requests[self.root[orig]].statement_id)
        if intent is None:
            return
        name = self._fresh("G")
        quantity = max(1, self.quantity[orig] + self.chance.choice((-10, -1, 1, 10, 50)))
        body = body_of(
            (11, name), (41, orig), (55, intent.symbol), (54, intent.side), (60, self.end.now()), (38, quantity),
            (40, 1),
        )  # fmt: skip
        self._ask("G", name, body)

    # ------------------------------------------------------------ hearing

    def hear(self, msg: Msg) -> None:
        """An application message of the gateway."""
        if msg.kind == "P":
            name = msg.get(70)
            intent = self.intents.get(name)
            if intent is not None and msg.get(87) == "0":
                intent.registered = True
        elif msg.kind in "89":
            name = msg.get(11)
            self.told.setdefault(msg.get(17) or f"9-{name}", []).append(msg)
            if msg.get(150) == "I":
                for each in self.requests.values():
                    if each.kind == "H" and each.body.startswith(f"11={name}\x01"):
                        each.answers.append("8")
                return  # a status answers a question, not an order
            if msg.get(150) == "5":
                self._replaced(msg)
        elif msg.kind == "j":
            name = next((r.name for r in self.requests.values() if str(r.number) == msg.get(45)), "")
        elif msg.kind == "AS":
            self.end.send("AT", body_of((755, msg.get(755)), (70, msg.get(70)), (87, 0)))
            return
        else:
            name = ""
        if name in self.requests:
            self.requests[name].answers.append(msg.kind)

    def _replaced(self, msg: Msg) -> None:
        name, orig = msg.get(11), msg.get(41)
        if orig in self.root:
            self.root[name] = self.root[orig]
            self.quantity[name] = int(msg.get(38))

    def after_reset(self) -> None:
        """It reset its numbers: what was not answered is asked again, but no change of an order."""
        for request in list(self.requests.values()):
            request.number = 0
            if request.answers:
                continue
            if request.kind == "G":
                request.given_up = True
            elif request.kind in "JDFH":
                self._again(request)
