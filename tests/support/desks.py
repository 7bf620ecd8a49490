"""A core world with people at the desk: who may ask for exceptions, who decides, and short words for both."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from worlds import SETUP, World

from fixgateway.core.codes import KINDS, ExceptionCode, ExceptionRules
from fixgateway.core.desk_facts import ActionRefused, ExceptionDecided, ExceptionRequested
from fixgateway.core.desk_inputs import DecideException, RecordMark, RecordPerson, RequestException
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Account, Setup
from fixgateway.core.outputs import Output, SendAllocation
from fixgateway.core.people import Person, Role
from fixgateway.core.state import State

TEXT = "The custodian of client B called at 15:10: half of its cash left the account before the order."
RULES = ExceptionRules(
    version="1",
    approved_by="CCO",
    approved_on=date(2026, 1, 1),
    codes=(
        ExceptionCode("ANY", KINDS, "anything"),
        ExceptionCode("LOT", ("deviation",), "odd lots", "within-lot"),
        ExceptionCode("ERROR", ("re-designation",), "a trade error", "to-error-account"),
        ExceptionCode("EARLY", ("statement-change",), "nothing is filled", "nothing-filled"),
        ExceptionCode("FROM-OWN", ("deviation",), "the firm gives to its clients", "from-own"),
    ),
    empty_phrases=("market conditions", "as discussed", "per trader"),
)
DESK_SETUP = replace(
    SETUP,
    exceptions=RULES,
    accounts=(*SETUP.accounts, Account("EMP", "an employee", "employee", "standard", "S", "active")),
)
PEOPLE = {
    "cco": (Role.COMPLIANCE,),
    "cco2": (Role.COMPLIANCE,),
    "boss": (Role.PRINCIPAL,),
    "tom": (Role.TRADER,),
    "ops": (Role.OPERATIONS,),
    "aud": (Role.AUDITOR,),
}
"""One person of each role, ``cco`` recorded first, and a second compliance officer."""


COMPUTED = {
    "CLIENT-A": Decimal(15000),
    "CLIENT-B": Decimal(6000),
    "CLIENT-C": Decimal(3000),
    "PROP": Decimal(6000),
}
FAIR = {"CLIENT-A": 18000, "CLIENT-B": 3000, "CLIENT-C": 3000, "PROP": 6000}
"""A deviation between clients."""
ABUSE = {"PROP": 15000, "CLIENT-A": 15000}
CHANGED = {"CLIENT-A": 27000, "CLIENT-B": 8000, "CLIENT-C": 5000, "PROP": 10000}
"""Intents of a statement change."""


class Desk(World):
    """A world with people recorded."""

    def __init__(self, setup: Setup = DESK_SETUP, people: dict[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(setup)
        for number, (name, roles) in enumerate((PEOPLE if people is None else people).items()):
            self.record_person(name, *roles, actor="cco" if number else "machine:root")

    def record_person(self, name: str, *roles: str, actor: str = "cco", **more: Any) -> tuple[Output, ...]:
        return self.give(RecordPerson, actor=actor, person=Person(name, f"{name} name", roles, **more))

    def mark(self, price: str = "101", symbol: str = "XYZ", actor: str = "ops", **more: Any) -> tuple[Output, ...]:
        fields = {"source": "screen", "as_of_ns": self.ts_ns, **more}
        return self.give(RecordMark, actor=actor, symbol=symbol, price=price, **fields)

    def ask(
        self,
        lines: Any,
        kind: str = "deviation",
        actor: str = "tom",
        code: str = "ANY",
        text: str = TEXT,
        statement: str = "S-1",
    ) -> tuple[Output, ...]:
        """Ask for an exception; ``lines`` is quantity by account."""
        rows = tuple(lines.items()) if isinstance(lines, dict) else tuple(lines)
        written = tuple((account, str(quantity)) for account, quantity in rows)
        return self._again(RequestException(0, 0, actor, kind, statement, code, text, written))

    def decide(
        self, exception_id: str, decision: str = "approve", actor: str = "cco", text: str = "agreed"
    ) -> tuple[Output, ...]:
        return self.give(DecideException, actor=actor, exception_id=exception_id, decision=decision, text=text)

    def example(self, filled: str = "30000", price: str = "100", **written: Any) -> None:
        """The worked example: ``filled`` of its 50,000, then the order is cancelled."""
        self.submit(actor="tom", **written)
        self.order()
        self.fill(filled, price)
        if filled != "50000":
            self.execution(ExecKind.CANCELLED, ord_status="4", cum_qty=Decimal(filled), leaves_qty=Decimal(0))

    def shares(self, statement: str = "S-1") -> dict[str, Decimal]:
        """What the statement's newest division gives each account."""
        record = self.engine.state.statements[statement]  # type: ignore[union-attr]
        return {} if record.allocated is None else {x.account: x.quantity for x in record.allocated.lines}


def state_of(desk: World) -> State:
    assert desk.engine.state is not None
    return desk.engine.state


def with_policy(**more: Any) -> Setup:
    return replace(DESK_SETUP, policy=replace(DESK_SETUP.policy, **more))


def open_example(setup: Setup = DESK_SETUP) -> Desk:
    """Of the worked example 30,000 are filled; the order still lives."""
    desk = Desk(setup)
    desk.submit(actor="tom")
    desk.order()
    desk.fill("30000", "100")
    return desk


def end(desk: Desk) -> Any:
    return desk.execution(ExecKind.CANCELLED, ord_status="4")


def asked(outputs: tuple[Output, ...]) -> ExceptionRequested:
    """The request that was taken; fails with the refusal's words when there is none."""
    found = [x for x in outputs if isinstance(x, ExceptionRequested)]
    assert found, outputs
    return found[0]


def refusal(outputs: tuple[Output, ...]) -> ActionRefused:
    """The only output: a refusal."""
    assert len(outputs) == 1, outputs
    found = outputs[0]
    assert isinstance(found, ActionRefused), found
    return found


def decided(outputs: tuple[Output, ...]) -> ExceptionDecided:
    """The decision."""
    found = [x for x in outputs if isinstance(x, ExceptionDecided)]
    assert found, outputs
    return found[-1]


def sent(outputs: tuple[Output, ...]) -> list[Any]:
    """The allocations that leave."""
    return [x.allocation for x in outputs if isinstance(x, SendAllocation)]
