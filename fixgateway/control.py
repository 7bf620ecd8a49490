"""The running gateway as the HTTP room sees it: people's requests become inputs of the engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fixgateway.core.desk_facts import ActionRefused, ExceptionDecided, ExceptionRequested
from fixgateway.core.desk_inputs import DeskInput
from fixgateway.core.inputs import Operator, PassTurn, SetHolding, SubmitStatement
from fixgateway.core.model import Draft, exact_sum, plain_text
from fixgateway.core.outputs import (
    HoldingSet,
    Output,
    StatementAllocated,
    StatementClosed,
    StatementRefused,
    StatementRegistered,
)
from fixgateway.core.people import Person
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.pump import Pump
from fixgateway.sessions.host import SessionHost
from fixgateway.sessions.settings import SessionSpec
from fixgateway.web.port import OperateOutcome, Outcome, Row, people_words


class Control:
    """Implements :class:`fixgateway.web.port.GatewayPort` on the pump and the session host.

    Args:
        pump: decides. host: the FIX sessions. describe: facts for :meth:`status` besides the engine's.
    """

    def __init__(self, pump: Pump, host: SessionHost, describe: Callable[[], dict[str, Any]]) -> None:
        self._pump = pump
        self._host = host
        self._describe = describe

    def submit_statement(self, draft: Draft, door: str, actor: str) -> Outcome:
        """Register a statement; returns when the decision is durable."""
        seed = secrets.token_hex(32)
        given, outputs = self._pump.ask(
            lambda seq, ts_ns: SubmitStatement(seq, ts_ns, door, actor, "", draft, seed)
        )
        for output in outputs:
            if isinstance(output, StatementRefused):
                return Outcome(False, draft.statement_id, output.problems, seq=given.seq)
            if isinstance(output, StatementRegistered):
                statement = output.statement
                return Outcome(True, statement.statement_id, (), statement.seed_commitment, given.seq)
        state = self._pump.memory.engine.state
        known = state.statements.get(draft.statement_id) if state else None
        if known is None:
            raise FixgatewayError("the statement could not be processed; the gateway's log says why")
        statement = known.statement  # the same content was registered before
        return Outcome(
            True, statement.statement_id, (), statement.seed_commitment, statement.registered_seq, already=True
        )

    def operate(self, actor: str, action: str, target: str, reason: str) -> OperateOutcome:
        """``halt`` or ``resume`` orders, ``close``, ``cancel`` or ``book`` a statement."""
        state = self._pump.memory.engine.state
        known = {"all", *state.omses, *state.brokers} if state else {"all"}
        if action in ("halt", "resume") and target not in known:
            raise UsageError(f"{target!r} is neither all nor a counterparty: {', '.join(sorted(known))}")
        given, outputs = self._pump.ask(lambda seq, ts_ns: Operator(seq, ts_ns, actor, action, target, reason))
        for output in outputs:
            if isinstance(output, StatementRefused | ActionRefused):
                return _refused(output, given.seq)
            if isinstance(output, StatementClosed):
                return OperateOutcome(True, f"statement {target} is {output.why}", given.seq)
        booked = [output.filled for output in outputs if isinstance(output, StatementAllocated)]
        if action == "book":
            return OperateOutcome(True, f"booked {plain_text(exact_sum(booked))} of statement {target}", given.seq)
        return OperateOutcome(True, "", given.seq)

    def pass_turn(self, actor: str, statement_id: str, account: str, reason: str) -> OperateOutcome:
        """Pass over an account's turn in a release rotation; journaled with who and why."""
        given, outputs = self._pump.ask(
            lambda seq, ts_ns: PassTurn(seq, ts_ns, actor, statement_id, account, reason)
        )
        return _outcome(given.seq, outputs, f"turn of {account} in statement {statement_id} is passed")

    def set_holding(self, actor: str, account: str, symbol: str, quantity: str, reason: str) -> OperateOutcome:
        """Say what an account may sell of a symbol from now on; journaled with who and why."""
        given, outputs = self._pump.ask(
            lambda seq, ts_ns: SetHolding(seq, ts_ns, actor, account, symbol, quantity, reason)
        )
        cut = [name for output in outputs if isinstance(output, HoldingSet) for name in output.statements]
        more = f"; changed in open statements {', '.join(cut)}" if cut else ""
        return _outcome(given.seq, outputs, f"{account} may sell {quantity} {symbol}{more}")

    def act(self, make: Callable[[int, int], DeskInput]) -> OperateOutcome:
        """What a person does at the desk; returns when the decision is durable."""
        given, outputs = self._pump.ask(make)
        return _desk_outcome(given.seq, outputs)

    def note(self, make: Callable[[int, int], DeskInput]) -> None:
        """An input of the desk that nobody waits for."""
        self._pump.tell(make)

    def people(self) -> Mapping[str, Person]:
        """Everybody recorded, by id."""
        state = self._pump.memory.engine.state
        return dict(state.people) if state else {}

    def rotations(self) -> dict[str, list[str]]:
        """The accounts of each policy in the order of their next turn."""
        state = self._pump.memory.engine.state
        return {policy_id: list(queue) for policy_id, queue in list(state.rotations.items())} if state else {}

    def sessions(self) -> Sequence[Row]:
        """One row for each configured session."""
        return [self._row(session) for session in (*self._host.spec.oms, *self._host.spec.brokers)]

    def _row(self, session: SessionSpec) -> Row:
        next_sender, next_target = self._host.sequence(session.name)
        return {
            "name": session.name,
            "role": session.role,
            "begin_string": session.begin_string,
            "up": self._host.is_up(session.name),
            "enabled": self._host.is_enabled(session.name),
            "next_sender": next_sender,
            "next_target": next_target,
            "address": f"{session.host}:{session.port}" if session.role == "broker" else "connects to us",
        }

    def session_action(
        self, name: str, action: str, next_sender: int | None, next_target: int | None, actor: str
    ) -> OperateOutcome:
        """Log out, enable, disable, renumber or roll a session; journaled with who asked."""
        if name not in {session.name for session in (*self._host.spec.oms, *self._host.spec.brokers)}:
            raise UsageError(f"no session {name!r}; see: fixgateway session list")
        numbers = f" next_sender={next_sender} next_target={next_target}" if action == "seq" else ""
        reason = f"{action}{numbers}"
        given, outputs = self._pump.ask(lambda seq, ts_ns: Operator(seq, ts_ns, actor, "session", name, reason))
        for output in outputs:
            if isinstance(output, ActionRefused):
                return _refused(output, given.seq)
        match action:
            case "logout":
                self._host.logout(name, f"logged out by {actor}")
            case "enable":
                self._host.enable(name)
            case "disable":
                self._host.disable(name)
            case "seq":
                self._host.set_sequence(name, next_sender, next_target)
            case "roll":
                if not self._host.roll(name):
                    return OperateOutcome(False, f"{name} did not log out in time; nothing was reset", given.seq)
            case _:
                raise UsageError(f"unknown session action {action!r}")
        return OperateOutcome(True, f"{name}: {reason}", given.seq)

    def status(self) -> Row:
        """The gateway at a glance."""
        state = self._pump.memory.engine.state
        if state is None:
            raise FixgatewayError("the gateway is starting")
        return {
            **self._describe(),
            "trade_date": state.trade_date.isoformat(),
            "policy": f"{state.setup.policy.policy_id} {state.setup.policy.version}",
            "halted": sorted(state.halted),
            "degraded": state.degraded,
            "people": people_words(state.people),
            "statements_active": len(state.active),
            "orders_open": sum(state.statements[name].open_orders for name in state.active),
            "unacked": {name: len(broker.unacked) for name, broker in state.brokers.items()},
            "uncommitted": {
                name: plain_text(state.statements[name].uncommitted) for name in list(state.active)[:100]
            },
        }


def _outcome(seq: int, outputs: Sequence[Output], done: str) -> OperateOutcome:
    """What became of a person's action that either happens or is refused."""
    for output in outputs:
        if isinstance(output, StatementRefused):
            return _refused(output, seq)
    return OperateOutcome(True, done, seq)


def _refused(output: StatementRefused | ActionRefused, seq: int) -> OperateOutcome:
    """A person's action that changed nothing."""
    if isinstance(output, ActionRefused):
        return OperateOutcome(False, output.text, seq, output.reason, output.subject)
    return OperateOutcome(False, output.problems[0].text, seq, output.problems[0].reason)


def _desk_outcome(seq: int, outputs: Sequence[Output]) -> OperateOutcome:
    """What became of a person's action at the desk: refused, or what it made.

    Raises:
        FixgatewayError: nothing came of it, which is a bug of ours.
    """
    if not outputs:
        raise FixgatewayError(f"journal record {seq} could not be processed; the gateway's log says why")
    subject = ""
    for output in outputs:
        match output:
            case ActionRefused():
                return _refused(output, seq)
            case ExceptionRequested() | ExceptionDecided():
                subject = subject or output.exception_id
            case _:
                pass
    return OperateOutcome(True, "", seq, "", subject)
