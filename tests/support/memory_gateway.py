"""A gateway port that keeps what it is told, for tests of the HTTP API and the command line without a gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixgateway.core.desk_inputs import DeskInput
from fixgateway.core.model import Draft
from fixgateway.core.people import Person
from fixgateway.web.port import OperateOutcome, Outcome, Row


class MemoryGateway:
    """Takes everything; tests refuse in subclasses. ``done`` are actions, ``acts`` what people did at the desk."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.acts: list[DeskInput] = []
        self.persons: dict[str, Person] = {}

    def submit_statement(self, draft: Draft, door: str, actor: str) -> Outcome:
        return Outcome(True, draft.statement_id, seed_commitment="ab", seq=7)

    def operate(self, actor: str, action: str, target: str, reason: str) -> OperateOutcome:
        self.done.append((actor, action, target, reason))
        return OperateOutcome(True)

    def pass_turn(self, actor: str, statement_id: str, account: str, reason: str) -> OperateOutcome:
        self.done.append(("pass", actor, statement_id, account, reason))
        return OperateOutcome(account != "nobody", "passed" if account != "nobody" else "account nobody is unknown", 8)

    def set_holding(self, actor: str, account: str, symbol: str, quantity: str, reason: str) -> OperateOutcome:
        self.done.append(("holding", actor, account, symbol, quantity, reason))
        return OperateOutcome(True, "set", 9)

    def act(self, make: Callable[[int, int], DeskInput]) -> OperateOutcome:
        self.acts.append(make(11, 1))
        return OperateOutcome(True, "done", 11)

    def note(self, make: Callable[[int, int], DeskInput]) -> None:
        self.acts.append(make(12, 1))

    def people(self) -> dict[str, Person]:
        return self.persons

    def rotations(self) -> dict[str, list[str]]:
        return {"P": ["B", "A"], "Q": ["C"]}

    def sessions(self) -> list[Row]:
        return [{"name": "OMS1", "role": "oms", "up": True, "enabled": True, "next_sender": 12,
                 "next_target": 34, "address": "127.0.0.1"}]  # fmt: skip

    def session_action(
        self, name: str, action: str, next_sender: int | None, next_target: int | None, actor: str
    ) -> OperateOutcome:
        self.done.append((name, action, next_sender, next_target, actor))
        return OperateOutcome(True)

    def status(self) -> Row:
        return {"version": "0"}
