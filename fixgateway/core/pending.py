"""Requests that wait for a decision: until when, who may decide, and how they end without one.

A request is due 60 minutes after the next market open (SMC Capital, 1995, condition 6: no later than one hour after
the opening of the markets). A missed deadline ends nothing: people are told, and a later decision is kept as late.
Without a decision a request ends when nobody else may decide it (``expired``), and when the cut-off comes or its
quantities speak of a fill that is not there (``void``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from fixgateway.core import calendar, guard
from fixgateway.core.codes import RE_DESIGNATION, STATEMENT_CHANGE
from fixgateway.core.desk_facts import ExceptionDecided, ExceptionOverdue
from fixgateway.core.desk_records import ExceptionRecord
from fixgateway.core.facts import Alert
from fixgateway.core.model import exact_sum, plain_text
from fixgateway.core.outputs import Output
from fixgateway.core.people import Role, Task
from fixgateway.core.state import State, StatementRecord, policy_of

GRACE_MINUTES = 60
OPEN_WITHOUT_CALENDAR = "09:30"
APPROVED, REJECTED, WITHDRAWN, EXPIRED, VOID = "approved", "rejected", "withdrawn", "expired", "void"


def task_of(kind: str) -> Task:
    """What a person must be permitted to decide an exception of a kind."""
    return Task.APPROVE_DESIGNATION if kind == RE_DESIGNATION else Task.APPROVE


def role_of(kind: str) -> Role:
    """The role that decides, for people to read."""
    return Role.PRINCIPAL if kind == RE_DESIGNATION else Role.COMPLIANCE


def next_due(state: State) -> tuple[date, str]:
    """When a request made now is due: day and local time ``HH:MM``."""
    today, now = state.trade_date, state.local_time
    known = state.setup.calendar
    following = (day for day in known.days if (day.day, day.open) > (today, now)) if known else iter(())
    market = next(following, None)
    if market is None:
        return today + timedelta(days=1), calendar.later(OPEN_WITHOUT_CALENDAR, GRACE_MINUTES)
    return market.day, calendar.later(market.open, GRACE_MINUTES)


def over(state: State, wanted: ExceptionRecord) -> bool:
    """Whether a request's deadline has passed."""
    return _passed(wanted, state.trade_date, state.local_time)


def _passed(wanted: ExceptionRecord, today: date, local_time: str) -> bool:
    """Whether a clock reading is later than the deadline; its very second is not."""
    return (wanted.due_date, f"{wanted.due_time}:00"[:8]) < (today, local_time)


def of(state: State, statement_id: str) -> ExceptionRecord | None:
    """The undecided request for a statement, None without one."""
    return next((x for x in _pending(state) if x.statement_id == statement_id), None)


def _pending(state: State) -> Iterator[ExceptionRecord]:
    for name in state.pending:
        yield state.exceptions[name]


def waits(state: State, record: StatementRecord) -> bool:
    """Whether a complete statement's allocation waits for a decision."""
    if not state.pending or not policy_of(state, record.statement).exceptions_wait:
        return False
    wanted = of(state, record.statement.statement_id)
    return wanted is not None and wanted.kind != STATEMENT_CHANGE


# ---------------------------------------------------------------- ends without a person


def end(
    state: State, wanted: ExceptionRecord, decision: str, actor: str, text: str, allocs: tuple[str, ...] = ()
) -> ExceptionDecided:
    """A request is decided, or is over; the fact of it."""
    late = wanted.overdue or over(state, wanted)
    wanted.status, wanted.decided_by = decision, actor
    state.pending.pop(wanted.exception_id, None)
    return ExceptionDecided(wanted.exception_id, wanted.statement_id, decision, actor, text, late, allocs)


def _ended(state: State, wanted: ExceptionRecord, decision: str, reason: str, text: str) -> list[Output]:
    words = f"request {wanted.exception_id} of {wanted.requested_by} for statement {wanted.statement_id}: {text}"
    return [end(state, wanted, decision, "", text), Alert(reason, "warning", wanted.exception_id, words)]


def expire_orphans(state: State) -> list[Output]:
    """Requests that nobody but who asked may decide: there is no second person, so there is no exception."""
    outputs: list[Output] = []
    for wanted in list(_pending(state)):
        if not guard.others(state, task_of(wanted.kind), wanted.requested_by):
            text = f"nobody but {wanted.requested_by} holds role {wanted.role}; there is no second person to decide"
            outputs += _ended(state, wanted, EXPIRED, "GW-905", text)
    return outputs


def at_close(state: State, record: StatementRecord, why: str) -> list[Output]:
    """A statement was closed and divided as computed: what was asked of it before may not fit any more."""
    wanted = of(state, record.statement.statement_id) if state.pending else None
    if wanted is None:
        return []
    if why == "cut-off":
        text = "the cut-off came before a decision"
    elif wanted.kind == STATEMENT_CHANGE:
        text = "the statement was complete before a decision"
    elif (asked := exact_sum(wanted.lines.values())) not in (record.filled, min(record.filled, record.reach)):
        text = f"it divides {plain_text(asked)}, and {plain_text(record.filled)} were filled"
    else:
        return []
    return _ended(state, wanted, VOID, "GW-913", text)


# ---------------------------------------------------------------- the clock


def due(state: State, today: date, local_time: str) -> bool:
    """Whether a clock reading ends a request's time, or the market has opened since the last one.

    The open must be seen: the next request is due after the next one.
    """
    if any(not x.overdue and _passed(x, today, local_time) for x in _pending(state)):
        return True
    known = state.setup.calendar
    if not state.people or known is None or today != state.trade_date:
        return False
    hours = calendar.market_day(known, today)
    return hours is not None and state.local_time < hours.open <= local_time


def run(state: State) -> list[Output]:
    """Tell of requests whose deadline has passed."""
    outputs: list[Output] = []
    for wanted in _pending(state):
        if wanted.overdue or not over(state, wanted):
            continue
        wanted.overdue = True
        outputs.append(
            ExceptionOverdue(wanted.exception_id, wanted.statement_id, wanted.due_date, wanted.due_time)
        )
        text = (
            f"request {wanted.exception_id} of {wanted.requested_by} for statement {wanted.statement_id} was due "
            f"{wanted.due_date.isoformat()} {wanted.due_time} and is not decided"
        )
        outputs.append(Alert("GW-902", "critical", wanted.exception_id, text))
    return outputs

