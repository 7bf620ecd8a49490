"""Exceptions a person asks for and a second person decides: the only way to an allocation that is not the computed one.

    request ─▶ pending ─▶ approved │ rejected │ withdrawn │ expired (no second person) │ void (cut-off, other fills)

Asking needs a role, a code of the pre-approved list with its condition met, and an explanation that says something;
the CCO hears of it at that moment. Deciding needs another person with the deciding role. Everything is checked at both
times, because between them fills, roles and the account file may change; what is approved is checked a third time
whenever it is used (:mod:`.overrides`). A refused request or decision changes nothing and is kept with its reason.

Approved, a deviation or re-designation takes the place of the computed division and the usual way tells the brokers: a
replacement (71=1 with 72 and 796) of what they have. A statement change puts the statement's next version in force. An
exception is undone by asking for another one.
"""

from __future__ import annotations

from dataclasses import replace

from fixgateway.core import conditions, guard, pending
from fixgateway.core.codes import explanation_problem
from fixgateway.core.completion import allocate_statement, close, is_complete
from fixgateway.core.desk import words_problem
from fixgateway.core.desk_facts import ExceptionLine, ExceptionRequested
from fixgateway.core.desk_inputs import DecideException, RequestException
from fixgateway.core.desk_records import PENDING, ExceptionRecord
from fixgateway.core.exceptions import exception
from fixgateway.core.facts import Alert
from fixgateway.core.foreseen import Seen, foreseen
from fixgateway.core.model import EXACT, ZERO, plain_text
from fixgateway.core.outputs import Output, SendAllocation, StatementRegistered
from fixgateway.core.overrides import OWN
from fixgateway.core.people import Task
from fixgateway.core.reasons import Refusal, refuse
from fixgateway.core.state import ACTIVE, State, StatementRecord, policy_of

MAX_PENDING = 1_000
"""Undecided requests there may be; who asks for more waits until some are decided."""
NAMED = 10
"""Accounts written into the alert; all stand in the request."""


# ---------------------------------------------------------------- asking


def on_request(state: State, given: RequestException) -> list[Output]:
    """A person asks for an exception."""
    seen = _judged(state, given)
    if isinstance(seen, Refusal):
        words = seen.detail
        return guard.refused(given.actor, f"request {given.kind}", given.statement_id, seen.reason.code, words)
    rules = state.setup.exceptions
    record = state.statements[given.statement_id]
    due_date, due_time = pending.next_due(state)
    wanted = ExceptionRecord(
        exception_id=f"GWE{state.day}-{given.seq}",
        kind=given.kind,
        statement_id=given.statement_id,
        version=record.statement.version,
        total=record.statement.total,
        code=given.code,
        requested_by=given.actor,
        requested_ns=given.ts_ns,
        role=str(pending.role_of(given.kind)),
        due_date=due_date,
        due_time=due_time,
        lines=dict(seen.asked),
        open=record.status == ACTIVE,
    )
    state.exceptions[wanted.exception_id] = wanted
    state.pending[wanted.exception_id] = None
    fact = ExceptionRequested(
        wanted.exception_id, wanted.kind, wanted.statement_id, wanted.version, wanted.code,
        rules.version if rules else "", given.text, given.actor, wanted.role, due_date, due_time, seen.lines,
        seen.avg_px, seen.mark, seen.mark_source, seen.mark_ns, seen.alloc_ids,
    )  # fmt: skip
    told = Alert("GW-901", "critical", wanted.exception_id, _alert_text(state, fact))
    return [fact, told, *pending.expire_orphans(state)]


def _judged(state: State, given: RequestException) -> Seen | Refusal:
    """What is asked for, or the first reason why it cannot be."""
    why = guard.why_not(state, given.actor, Task.REQUEST)
    if why:
        return refuse(guard.REASON, why)
    rules = state.setup.exceptions
    if rules is None:
        return refuse("GW-908", "no list of pre-approved codes is in force")
    code = rules.find(given.code)
    if code is None:
        known = ", ".join(entry.code for entry in rules.codes)
        return refuse("GW-908", f"code {given.code or '(missing)'} is not on list {rules.version}: {known}")
    if given.kind not in code.kinds:
        return refuse("GW-908", f"code {code.code} is for {', '.join(code.kinds)}, not for {given.kind}")
    why = words_problem(given.text) or explanation_problem(given.text, rules)
    if why:
        return refuse("GW-909", why)
    before = pending.of(state, given.statement_id)
    if before is not None:
        text = f"request {before.exception_id} for statement {given.statement_id} is not decided yet"
        return refuse("GW-907", f"{text}: it is decided or taken back first")
    if len(state.pending) >= MAX_PENDING:
        return refuse("GW-907", f"{MAX_PENDING} requests are not decided yet")
    seen = foreseen(state, given.kind, given.statement_id, given.lines, given.ts_ns)
    if isinstance(seen, Refusal):
        return seen
    why = conditions.unmet(code.condition, state, state.statements[given.statement_id], seen.lines)
    return refuse("GW-908", f"code {code.code}: {why}") if why else seen


def _alert_text(state: State, asked: ExceptionRequested) -> str:
    """What the CCO reads: who asks for what, before and after, who gains."""
    changed = [line for line in asked.lines if line.after != line.before]
    parts = [_line_text(line) for line in changed[:NAMED]]
    if len(changed) > NAMED:
        parts.append(f"{len(changed) - NAMED} more")
    at = f" at {asked.mark} ({asked.mark_source})" if asked.mark else "; no mark is known"
    own = [x.account for x in asked.lines if x.class_ in OWN and x.benefit is not None and x.benefit > ZERO]
    gains = f" OWN ACCOUNT GAINS: {', '.join(own[:NAMED])}." if own else ""
    return (
        f"{asked.requested_by} asks for a {asked.kind} of statement {asked.statement_id} under code {asked.code}: "
        f"{'; '.join(parts)}{at}.{gains} Decided by {asked.role} until {asked.due_date.isoformat()} {asked.due_time} "
        f"{state.setup.policy.timezone}. Explanation: {asked.text[:500]}"
    )


def _line_text(line: ExceptionLine) -> str:
    more = EXACT.subtract(line.after, line.before)
    sign = "+" if more > ZERO else ""
    gain = "" if line.benefit is None else f", gains {plain_text(line.benefit)}"
    return f"{line.account} {plain_text(line.before)} → {plain_text(line.after)} ({sign}{plain_text(more)}{gain})"


# ---------------------------------------------------------------- deciding

_DECISIONS = {"approve": pending.APPROVED, "reject": pending.REJECTED, "withdraw": pending.WITHDRAWN}


def on_decide(state: State, given: DecideException) -> list[Output]:
    """A second person decides, or who asked takes it back."""
    wanted = state.exceptions.get(given.exception_id)
    why = _decision_problem(state, given, wanted)
    if wanted is None or why is not None:
        code, text = why.reason.code if why else "GW-912", why.detail if why else ""
        return guard.refused(given.actor, given.decision, given.exception_id, code, text)
    if given.decision == "approve":
        return _approve(state, given, wanted)
    record = state.statements[wanted.statement_id]
    fact = pending.end(state, wanted, _DECISIONS[given.decision], given.actor, given.text)
    return [fact, *_no_longer_waits(state, record, given)]


def _decision_problem(
    state: State, given: DecideException, wanted: ExceptionRecord | None
) -> Refusal | None:
    """Why a decision is none."""
    if wanted is None:
        return refuse("GW-912", f"exception {given.exception_id} does not exist")
    if given.decision not in _DECISIONS:
        return refuse("GW-912", f"{given.decision!r} is not one of {', '.join(_DECISIONS)}")
    if given.decision == "withdraw":
        why = guard.why_not(state, given.actor, Task.READ)
        if not why and given.actor != wanted.requested_by:
            return refuse("GW-904", f"only {wanted.requested_by} can take back what {wanted.requested_by} asked for")
    else:
        if given.actor == wanted.requested_by:
            return refuse("GW-904", f"{given.actor} asked for {wanted.exception_id}; a second person decides")
        why = guard.why_not(state, given.actor, pending.task_of(wanted.kind))
    if why:
        return refuse(guard.REASON, why)
    if wanted.status != PENDING:
        by = f" by {wanted.decided_by}" if wanted.decided_by else ""
        return refuse("GW-912", f"exception {wanted.exception_id} was {wanted.status}{by}")
    why = words_problem(given.text, needed=given.decision != "withdraw")
    return refuse("GW-912", f"{given.decision}: {why}") if why else None


def _approve(state: State, given: DecideException, wanted: ExceptionRecord) -> list[Output]:
    """Judge the request again as things are now, and put it in force."""
    record = state.statements[wanted.statement_id]
    seen = _judged_again(state, wanted, record, given.ts_ns)
    if isinstance(seen, Refusal):
        return guard.refused(given.actor, "approve", wanted.exception_id, seen.reason.code, seen.detail)
    if seen.statement is not None:
        return _change(state, given, wanted, record, seen)
    record.override, record.override_id = dict(seen.given), wanted.exception_id
    fact = pending.end(state, wanted, pending.APPROVED, given.actor, given.text)
    if record.status == ACTIVE:
        return [fact, *_no_longer_waits(state, record, given)]
    told = allocate_statement(state, record, given.seq, given.ts_ns)
    made = tuple(output.allocation.alloc_id for output in told if isinstance(output, SendAllocation))
    return [replace(fact, alloc_ids=made), *told]


def _judged_again(
    state: State, wanted: ExceptionRecord, record: StatementRecord, ts_ns: int
) -> Seen | Refusal:
    """The request as it would be asked for now."""
    statement = record.statement
    if (statement.version, statement.total) != (wanted.version, wanted.total):
        text = f"statement {wanted.statement_id} was changed since {wanted.exception_id} was asked for"
        return refuse("GW-907", text)
    asked = {account: quantity for account, quantity in wanted.lines.items() if quantity or account in state.accounts}
    lines = [(account, plain_text(quantity)) for account, quantity in asked.items()]
    seen = foreseen(state, wanted.kind, wanted.statement_id, lines, ts_ns)
    if isinstance(seen, Refusal):
        return seen
    rules = state.setup.exceptions
    code = rules.find(wanted.code) if rules else None
    if code is None or wanted.kind not in code.kinds:
        return refuse("GW-908", f"code {wanted.code} is not on the list in force any more")
    why = conditions.unmet(code.condition, state, record, seen.lines)
    return refuse("GW-908", f"code {code.code}: {why}") if why else seen


def _change(
    state: State, given: DecideException, wanted: ExceptionRecord, record: StatementRecord, seen: Seen
) -> list[Output]:
    """The statement's next version is in force from here on; what it is bounded by stays the registered one."""
    if seen.statement is None:
        raise AssertionError("a statement change has a statement")
    record.original = record.original or record.statement
    record.statement = seen.statement
    accounts = {line.account: state.accounts.get(line.account) for line in seen.statement.lines}
    record.barred = next((name for name, known in accounts.items() if known is None or known.status != ACTIVE), "")
    record.caps = {account: cap for account, cap in record.caps.items() if account in accounts}
    fact = pending.end(state, wanted, pending.APPROVED, given.actor, given.text)
    outputs: list[Output] = [fact, StatementRegistered(seen.statement)]
    if record.override:
        ended = f"exception {record.override_id} ended when {wanted.exception_id} changed its intents"
        text = f"statement {wanted.statement_id}: {ended}"
        outputs += exception("GW-906", wanted.statement_id, text)
        record.override, record.override_id = {}, ""
    if is_complete(state, record):
        outputs += close(state, record, "complete", "", given.seq, given.ts_ns)
    return outputs


def _no_longer_waits(state: State, record: StatementRecord, given: DecideException) -> list[Output]:
    """A complete statement whose allocation waited for this decision (policy ``exceptions_wait``)."""
    if record.status == ACTIVE and policy_of(state, record.statement).exceptions_wait and is_complete(state, record):
        return close(state, record, "complete", "", given.seq, given.ts_ns)
    return []
