"""The trade date's deadlines: warnings before, breaches at, figures of what was done (17 CFR 240.15c6-2).

A day has stages, each with a local time: the allocation deadline, the affirmation deadline, a warning before
either, and between warning and affirmation deadline the times at which missing confirmations are asked for (BH). A
stage is done once, at the first tick at or after its time; a warning is not given when its deadline has come as
well. When the date changes the day that ended is measured once more.

Days without trading have no stages. Counted are the accounts of the day's allocations (:mod:`.standing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date

from fixgateway.core import calendar, compare, standing
from fixgateway.core.confirmations import affirmed, confirmed
from fixgateway.core.exceptions import exception
from fixgateway.core.inputs import Tick
from fixgateway.core.outputs import Alert, CompletionMeasured, Output, SendConfirmationRequest
from fixgateway.core.state import AllocationRecord, State, StatementRecord

REQUEST_ROUNDS = 3
"""How often a missing confirmation is asked for."""
MAX_EXCEPTIONS = 100
"""Exceptions one deadline opens at one broker; the rest is one exception that counts them."""
MAX_REQUESTS = 50
"""Accounts of an allocation asked for one by one; when more are missing the whole allocation is asked for."""
NAMED = 5
"""Ids written into an alert."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One moment of the day; ``deadline`` is what a warning or request comes before, "" for a deadline itself."""

    name: str
    at: str
    deadline: str = ""


@dataclass(slots=True)
class Work:
    """What is open at one broker on one day, and how much is done.

    ``unsent``: statements with fills that no allocation covers. ``unaccepted``: allocations the broker has not
    accepted. ``unconfirmed`` and ``unaffirmed``: accounts by allocation.
    """

    due: int = 0
    allocated: int = 0
    accepted: int = 0
    confirmed: int = 0
    affirmed: int = 0
    unsent: list[StatementRecord] = field(default_factory=list)
    unaccepted: list[AllocationRecord] = field(default_factory=list)
    unconfirmed: dict[str, list[str]] = field(default_factory=dict)
    unaffirmed: dict[str, list[str]] = field(default_factory=dict)


def stages(state: State, day: date) -> Iterator[Stage]:
    """The stages of ``day`` in the order they are done; none where deadlines are not watched or nothing trades."""
    setup = state.setup
    if not setup.life_cycle or not calendar.is_trade_date(setup, day):
        return
    warn = setup.policy.warn_minutes
    allocate, affirm = calendar.cut_off(state, day), calendar.affirm_by(state, day)
    if allocate != calendar.OFF:
        if warn:
            yield Stage("allocate-warning", calendar.later(allocate, -warn), "allocate")
        yield Stage("allocate", allocate)
    if affirm != calendar.OFF:
        if warn:
            yield Stage("affirm-warning", calendar.later(affirm, -warn), "affirm")
            for number in range(1, REQUEST_ROUNDS):
                waited = warn * number // REQUEST_ROUNDS
                if waited:  # else it would ask again at once
                    yield Stage(f"request-{number + 1}", calendar.later(affirm, waited - warn), "affirm")
        yield Stage("affirm", affirm)


def due(state: State, day: date, local_time: str) -> bool:
    """Whether a stage has come that was not done."""
    return any(stage.at <= local_time and stage.name not in state.stages for stage in stages(state, day))


def run(state: State, given: Tick) -> list[Output]:
    """Do the stages that have come."""
    come = [x for x in stages(state, given.trade_date) if x.at <= given.local_time and x.name not in state.stages]
    passed = {stage.name for stage in come}
    outputs: list[Output] = []
    for stage in come:
        state.stages[stage.name] = given.ts_ns
        if stage.deadline not in passed:
            outputs += _DO[stage.name](state, given, stage)
    return outputs


def end_day(state: State, ended: date, given: Tick) -> list[Output]:
    """The date has changed: measure the day that ended, tell what is still open, begin anew."""
    state.stages.clear()
    if not state.setup.life_cycle:
        return []
    outputs: list[Output] = []
    if ended > date.min:
        work = survey(state, ended)
        outputs = _measured(state, ended, "day-end", work)
        for broker, open_ in work.items():
            if text := _open_text(open_, ("allocate", "affirm")):
                reason = "GW-879" if open_.unsent or open_.unaccepted else "GW-881"
                words = f"{broker}: at the end of {ended.isoformat()} {text}"
                outputs.append(Alert(reason, "critical", broker, words))
    left = calendar.days_left(state.setup, given.trade_date)
    if left is not None and left < calendar.HORIZON_DAYS and state.setup.calendar is not None:
        name = state.setup.calendar.name
        outputs.append(Alert("GW-883", "warning", name, f"the calendar {name} ends in {left} days"))
    return outputs


def survey(state: State, day: date) -> dict[str, Work]:
    """What is done and open on ``day``, by broker; brokers without anything due are left out."""
    found: dict[str, Work] = {}
    for kept in standing.in_force(state, day):
        _count(state, kept, found.setdefault(kept.allocation.broker, Work()))
    for record in standing.unallocated(state, day):
        orders = [state.orders[key] for key in record.orders]
        brokers = {x.broker for x in orders if any(y.quantity and not y.booking for y in x.fills.values())}
        for broker in sorted(brokers):
            work = found.setdefault(broker, Work())
            work.due += len(record.statement.lines)
            work.unsent.append(record)
    return found


def _count(state: State, kept: AllocationRecord, work: Work) -> None:
    allocation = kept.allocation
    shares = compare.shares_by_account(allocation)
    number = len(shares)
    work.due += number
    if kept.status != "rejected":
        work.allocated += number
    if kept.status == "accepted":
        work.accepted += number
    else:
        work.unaccepted.append(kept)
    if not _confirms(state, allocation.broker):
        return
    for share in shares:
        if affirmed(state, kept, share):
            work.affirmed += 1
            work.confirmed += 1
            continue
        work.unaffirmed.setdefault(allocation.alloc_id, []).append(share.account)
        if confirmed(state, kept, share):
            work.confirmed += 1
        else:
            work.unconfirmed.setdefault(allocation.alloc_id, []).append(share.account)


def _confirms(state: State, broker: str) -> bool:
    known = state.brokers.get(broker)
    return known is not None and known.setup.confirmations


def _measured(state: State, day: date, stage: str, work: dict[str, Work]) -> list[Output]:
    return [
        CompletionMeasured(
            day, broker, stage, x.due, x.allocated, x.accepted, x.confirmed, x.affirmed, _confirms(state, broker)
        )
        for broker, x in work.items()
    ]


# ---------------------------------------------------------------- what the stages do


def _warn_allocate(state: State, given: Tick, stage: Stage) -> list[Output]:
    return _warn(state, given, stage, "GW-878", calendar.cut_off(state, given.trade_date))


def _warn_affirm(state: State, given: Tick, stage: Stage) -> list[Output]:
    return [
        *_warn(state, given, stage, "GW-880", calendar.affirm_by(state, given.trade_date)),
        *_ask(state, given, stage),
    ]


def _warn(state: State, given: Tick, stage: Stage, reason: str, at: str) -> list[Output]:
    """One alert for each broker with open work."""
    outputs: list[Output] = []
    for broker, work in survey(state, given.trade_date).items():
        if text := _open_text(work, (stage.deadline,)):
            words = f"{broker}: {text}; due by {at} {state.setup.policy.timezone}"
            outputs.append(Alert(reason, "warning", broker, words))
    return outputs


def _open_text(work: Work, deadlines: tuple[str, ...]) -> str:
    """What is open, in words; "" when nothing is."""
    parts = []
    if "allocate" in deadlines:
        if work.unsent:
            parts.append(f"filled and not allocated: {_names([x.statement.statement_id for x in work.unsent])}")
        if work.unaccepted:
            parts.append(f"not accepted: {_names([x.allocation.alloc_id for x in work.unaccepted])}")
    if "affirm" in deadlines and work.unaffirmed:
        number = sum(map(len, work.unaffirmed.values()))
        parts.append(f"{number} accounts not affirmed, in {_names(list(work.unaffirmed))}")
    return "; ".join(parts)


def _names(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return ", ".join(ids[:NAMED]) + more


def _allocate(state: State, given: Tick, _stage: Stage) -> list[Output]:
    """The allocation deadline; what this very tick has closed and sent is left to the broker's timeout."""
    outputs: list[Output] = []
    work = survey(state, given.trade_date)
    at = f"{calendar.cut_off(state, given.trade_date)} {state.setup.policy.timezone}"
    for broker, open_ in work.items():
        missed = [
            (name, f"statement {name} is filled at {broker} and not allocated")
            for name in (x.statement.statement_id for x in open_.unsent)
        ]
        missed += [
            (x.allocation.alloc_id, f"allocation {x.allocation.alloc_id} is {_where(state, x)}")
            for x in open_.unaccepted
            if x.decided_seq != given.seq
        ]
        outputs += _breaches("GW-879", broker, at, missed)
    return outputs + _measured(state, given.trade_date, "allocate", work)


def _where(state: State, kept: AllocationRecord) -> str:
    """An allocation's status in words, and whether it can have left at all."""
    broker = kept.allocation.broker
    if kept.status == "sent" and not state.brokers[broker].up:
        return f"not acknowledged, the session of {broker} is down: perhaps it was never sent"
    return f"{kept.status} at {broker}, not accepted"


def _affirm(state: State, given: Tick, _stage: Stage) -> list[Output]:
    """The affirmation deadline."""
    outputs: list[Output] = []
    work = survey(state, given.trade_date)
    at = f"{calendar.affirm_by(state, given.trade_date)} {state.setup.policy.timezone}"
    for broker, open_ in work.items():
        missed = [
            (alloc_id, f"allocation {alloc_id} at {broker}: accounts not affirmed: {_names(accounts)}")
            for alloc_id, accounts in open_.unaffirmed.items()
        ]
        outputs += _breaches("GW-881", broker, at, missed)
    return outputs + _measured(state, given.trade_date, "affirm", work)


def _breaches(reason: str, broker: str, at: str, missed: list[tuple[str, str]]) -> list[Output]:
    """An exception for each (subject, text), bounded."""
    outputs: list[Output] = []
    for subject, text in missed[:MAX_EXCEPTIONS]:
        outputs += exception(reason, subject, f"{text}; due by {at}")
    if len(missed) > MAX_EXCEPTIONS:
        text = f"{broker}: {len(missed) - MAX_EXCEPTIONS} more; due by {at}"
        outputs += exception(reason, broker, text)
    return outputs


def _ask(state: State, given: Tick, _stage: Stage) -> list[Output]:
    """Ask for confirmations that are missing (BH): account by account, or for a whole allocation."""
    outputs: list[Output] = []
    for work in survey(state, given.trade_date).values():
        for alloc_id, accounts in work.unconfirmed.items():
            kept = state.allocations[alloc_id]
            if kept.status != "accepted":
                continue
            whole = len(accounts) == len(compare.shares_by_account(kept.allocation))
            whole = whole or len(accounts) > MAX_REQUESTS
            for account in [""] if whole else accounts:
                number = len(outputs) + 1
                outputs.append(
                    SendConfirmationRequest(
                        session=kept.allocation.broker,
                        request_id=f"GWC{state.day}-{given.seq}-{number}",
                        alloc_id=alloc_id,
                        statement_id=kept.allocation.statement_id,
                        account=account,
                    )
                )
    return outputs


_DO: dict[str, Callable[[State, Tick, Stage], list[Output]]] = {
    "allocate-warning": _warn_allocate,
    "allocate": _allocate,
    "affirm-warning": _warn_affirm,
    **{f"request-{number}": _ask for number in range(2, REQUEST_ROUNDS + 1)},
    "affirm": _affirm,
}
