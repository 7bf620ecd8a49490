"""Statements in: registered, refused, replaced, withdrawn, closed.

One path for every door. A change (71=1 or 2 with 72) is allowed until the first order; afterwards it is an
exception.
"""

from __future__ import annotations

from dataclasses import replace

from fixgateway.core import grinding, held, registry, rotation
from fixgateway.core.completion import close, is_complete
from fixgateway.core.inputs import (
    Operator,
    PassTurn,
    SubmitStatement,
)
from fixgateway.core.model import Statement
from fixgateway.core.outputs import (
    Alert,
    Output,
    Problem,
    SendStatementAck,
    StatementClosed,
    StatementRefused,
    StatementRegistered,
)
from fixgateway.core.reasons import CATALOGUE
from fixgateway.core.state import ACTIVE, State, StatementRecord


def on_submit(state: State, given: SubmitStatement) -> list[Output]:
    """An allocation statement by any door."""
    if state.degraded:
        problem = Problem(0, "", "GW-615", f"the journal cannot be written safely: {state.degraded}")
        return _refuse_statement(given, (problem,))
    if given.alloc_trans_type == "2":
        return _withdraw(state, given)
    before = state.statements.get(given.ref_statement_id or given.draft.statement_id)
    statement = registry.register(state, given, before.statement if before else None)
    if not isinstance(statement, Statement):
        return _refuse_statement(given, statement)
    old = state.statements.get(statement.statement_id)
    if old is not None and registry.same_content(old.original or old.statement, statement):
        if old.status in ("cancelled", "replaced") and state.setup.rules >= 2:
            text = f"statement {statement.statement_id} was {old.status}; its id is not used again"
            return _refuse_statement(given, (Problem(0, "statement_id", "GW-603", text),))
        return _ack(given, old.statement)
    if given.alloc_trans_type == "1":
        return _replace_statement(state, given, statement)
    if old is not None:
        text = f"statement id {statement.statement_id} is in use with other content"
        return _refuse_statement(given, (Problem(0, "statement_id", "GW-603", text),))
    return _enter(state, statement) + _ack(given, statement)


def _enter(state: State, statement: Statement) -> list[Output]:
    """Put a checked statement in force."""
    state.statements[statement.statement_id] = StatementRecord(statement)
    state.active[statement.statement_id] = None
    rotation.enter(state, state.statements[statement.statement_id])
    state.together.setdefault(held.key(statement), []).append(statement.statement_id)
    for cl_ord_id in statement.cl_ord_ids:
        state.named.setdefault(cl_ord_id, []).append(statement.statement_id)
    outputs: list[Output] = [StatementRegistered(statement)]
    if not statement.memo_complete:
        text = f"statement {statement.statement_id} lacks recommender, placer or discretion"
        outputs.append(Alert("GW-815", "warning", statement.statement_id, text))
    return outputs + grinding.registered(state, statement)


def _replace_statement(state: State, given: SubmitStatement, statement: Statement) -> list[Output]:
    """71=1: allowed before the first order; afterwards it is an exception."""
    old = _changeable(state, given)
    if isinstance(old, Problem):
        return _refuse_statement(given, (old,))
    name = old.statement.statement_id
    if statement.statement_id != name and statement.statement_id in state.statements:
        text = f"statement id {statement.statement_id} is in use"
        return _refuse_statement(given, (Problem(0, "statement_id", "GW-603", text),))
    closed = _cancel(state, old, "replaced", given.actor)
    fresh = replace(statement, version=old.statement.version + 1)
    for cl_ord_id in old.statement.cl_ord_ids:
        state.named[cl_ord_id].remove(name)
    return closed + _enter(state, fresh) + _ack(given, fresh)


def _withdraw(state: State, given: SubmitStatement) -> list[Output]:
    """71=2: cancel a statement before its first order."""
    record = _changeable(state, given)
    if isinstance(record, Problem):
        return _refuse_statement(given, (record,))
    return _cancel(state, record, "cancelled", given.actor) + _ack(given, record.statement)


def _changeable(state: State, given: SubmitStatement) -> StatementRecord | Problem:
    """The statement RefAllocID(72) names, when it may still be changed."""
    name = given.ref_statement_id or given.draft.statement_id
    record = state.statements.get(name)
    if record is None or record.status != ACTIVE or (given.session and record.statement.oms != given.session):
        return Problem(
            0, "statement_id", "GW-613", f"statement {name} does not exist, is closed or is another OMS's"
        )
    if record.orders:
        return Problem(0, "statement_id", "GW-612", f"statement {name} has orders under it; request an exception")
    return record


def _refuse_statement(given: SubmitStatement, problems: tuple[Problem, ...]) -> list[Output]:
    outputs: list[Output] = [StatementRefused(given.door, given.actor, given.draft.statement_id, problems)]
    if given.session:
        first = problems[0]
        where = f"line {first.row}: " if first.row else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        outputs.append(
            SendStatementAck(
                session=given.session,
                alloc_id=given.draft.statement_id,
                trade_date=given.draft.trade_date,
                alloc_status="1",
                alloc_rej_code=CATALOGUE[first.reason].alloc_rej or "7",
                reason=first.reason,
                text=f"{first.reason} {where}{first.text}{more}",
            )
        )
    return outputs


def _ack(given: SubmitStatement, statement: Statement) -> list[Output]:
    if not given.session:
        return []
    return [
        SendStatementAck(
            session=given.session,
            alloc_id=given.draft.statement_id,
            trade_date=statement.trade_date.isoformat(),
            alloc_status="0",
            alloc_rej_code="",
            reason="",
            text=f"registered; seed commitment {statement.seed_commitment}{rotation.sequence(statement)}",
        )
    ]


def on_pass_turn(state: State, given: PassTurn) -> list[Output]:
    """A turn of a release rotation is passed; the statement may be complete by it."""
    outputs = rotation.on_pass(state, given)
    record = state.statements.get(given.statement_id)
    if record is not None and is_complete(state, record):
        outputs += close(state, record, "complete", "", given.seq, given.ts_ns)
    return outputs


def end_statement(state: State, given: Operator) -> list[Output]:
    """A named person closes a statement (allocates what is filled) or cancels an unused one."""
    record = state.statements.get(given.target)
    if record is None or record.status != ACTIVE:
        problem = Problem(0, "statement_id", "GW-613", f"statement {given.target} does not exist or is closed")
    elif given.action == "cancel" and record.orders:
        problem = Problem(0, "statement_id", "GW-612", f"statement {given.target} has orders; close it instead")
    elif given.action == "cancel":
        return _cancel(state, record, "cancelled", given.actor)
    else:
        return close(state, record, "closed", given.actor, given.seq, given.ts_ns)
    return [StatementRefused("operator", given.actor, given.target, (problem,))]


def _cancel(state: State, record: StatementRecord, why: str, actor: str) -> list[Output]:
    record.status = why
    state.active.pop(record.statement.statement_id, None)
    return [StatementClosed(record.statement.statement_id, why, actor), *rotation.ended(state, record)]
