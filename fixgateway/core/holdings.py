"""Sells: nobody sells more than the account holds.

A holding is a snapshot: what an account could sell of a symbol as a day began (holdings file), or from the moment on at
which a named person said so. What is sellable now is the snapshot less what open sell statements may still give the
account and less what closed ones gave it since; purchases count only with the next snapshot. Registration refuses a
line above it and freezes it on the line as its cap. Where a person cuts a holding later, the account's part of open
statements is cut with it, the latest first: at the allocation the others take the rest, up to their own caps; what
nobody may take is an overfill.

Only policies with ``sellable = true`` look at holdings, and only for sells, not short sells. A stock split does not
change a holding: the next snapshot, or a person, must.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from fixgateway.core.exceptions import exception
from fixgateway.core.inputs import SetHolding
from fixgateway.core.model import EXACT, ZERO, Draft, Line, Policy, Side, plain_decimal, plain_text
from fixgateway.core.outputs import Alert, ExceptionOpened, HoldingSet, Output, Problem, StatementRefused
from fixgateway.core.state import ACTIVE, HoldingRecord, State, StatementRecord, policy_of

RULES = 2
"""The first edition of the rules with holdings."""


def adopt(state: State) -> None:
    """The holdings file of the configuration in force: newer snapshots take the place of older ones.

    One that a person set stands until a snapshot of a later day. An account the file does not name any more holds
    nothing.
    """
    if state.setup.rules < RULES:
        return
    newest = max((row.as_of for row in state.setup.holdings), default=date.min)
    kept = {key: held for key, held in state.holdings.items() if held.actor and held.as_of >= newest}
    state.holdings = {
        (row.account, row.symbol): HoldingRecord(row.quantity, row.as_of) for row in state.setup.holdings
    } | kept


# ---------------------------------------------------------------- what can be sold


def sellable(state: State, symbol: str, accounts: Iterable[str], besides: str = "") -> dict[str, Decimal]:
    """What each account may still sell of a symbol; 0 where no holding is known, below 0 where too much was sold.

    Args:
        besides: a statement that does not count, because it is replaced.
    """
    found = {account: held.quantity for account in accounts if (held := state.holdings.get((account, symbol)))}
    for record in _sells(state, symbol):
        if record.statement.statement_id == besides:
            continue
        for account, quantity in _taken(record):
            if account in found and record.statement.trade_date >= state.holdings[(account, symbol)].as_of:
                found[account] = EXACT.subtract(found[account], quantity)
    return {account: found.get(account, ZERO) for account in accounts}


def _sells(state: State, symbol: str) -> Iterator[StatementRecord]:
    """Every sell statement in a symbol, first registered first."""
    for name in dict.fromkeys(state.together.get(f"{Side.SELL}|{symbol}", ())):
        yield state.statements[name]


def _taken(record: StatementRecord) -> Iterator[tuple[str, Decimal]]:
    """What a statement takes of its accounts' holdings: what it may give while it is open, then what it gave."""
    if record.status == ACTIVE:
        for line in record.statement.lines:
            yield line.account, record.most(line)
    elif record.allocated is not None:
        for given in record.allocated.lines:
            yield given.account, EXACT.add(given.before, given.quantity)


def frozen(
    state: State, policy: Policy, draft: Draft, side: Side, lines: Sequence[Line], besides: str = ""
) -> tuple[Line, ...] | tuple[Problem, ...]:
    """The lines of a statement with what their accounts may sell as their caps, or which lines sell too much."""
    if state.setup.rules < RULES or not policy.sellable or side is not Side.SELL:
        return tuple(lines)
    free = sellable(state, draft.symbol, [line.account for line in lines], besides)
    problems = tuple(
        _too_much(state, row.row, line, draft.symbol, free[line.account])
        for row, line in zip(draft.lines, lines, strict=True)
        if line.quantity > free[line.account]
    )
    return problems or tuple(replace(line, cap=free[line.account]) for line in lines)


def _too_much(state: State, row: int, line: Line, symbol: str, free: Decimal) -> Problem:
    held = state.holdings.get((line.account, symbol))
    if held is None:
        return Problem(row, "quantity", "GW-634", f"no holding of {symbol} is known of account {line.account}")
    elsewhere = EXACT.subtract(held.quantity, free)
    more = f", {plain_text(elsewhere)} of it in other sell statements" if elsewhere else ""
    text = (
        f"{line.account} may sell {plain_text(max(free, ZERO))} {symbol}, not {plain_text(line.quantity)}: its holding "
        f"of {held.as_of.isoformat()} is {plain_text(held.quantity)}{more}"
    )
    return Problem(row, "quantity", "GW-634", text)


# ---------------------------------------------------------------- a holding set by a person


def on_set(state: State, given: SetHolding) -> list[Output]:
    """What an account may sell from now on; open statements that would sell more are cut."""
    quantity = plain_decimal(given.quantity)
    why = _problem(state, given, quantity)
    if quantity is None or why:
        return [StatementRefused("operator", given.actor, "", (Problem(0, "quantity", "GW-635", why),))]
    key = (given.account, given.symbol)
    old = state.holdings.get(key)
    before = EXACT.subtract(old.quantity, _sold_since(state, *key, old.as_of)) if old else None
    gone = _sold_since(state, *key, state.trade_date)
    state.holdings[key] = HoldingRecord(EXACT.add(quantity, gone), state.trade_date, given.actor)
    changed = list(_recut(state, given, quantity))
    fact = HoldingSet(
        given.account, given.symbol, quantity, before, given.actor, given.reason,
        tuple(record.statement.statement_id for record in changed),
    )  # fmt: skip
    return [fact, *(output for record in changed for output in _told(record, given))]


def _problem(state: State, given: SetHolding, quantity: Decimal | None) -> str:
    """Why a holding cannot be set, "" when it can."""
    if given.account not in state.accounts:
        return f"account {given.account} is not in the account file"
    if not given.symbol.strip():
        return "a holding is of a symbol"
    if quantity is None:
        return f"{given.quantity or '(missing)'} is not a plain number"
    if not given.reason.strip() or not given.actor.strip():
        return "a holding is set by a named person with a reason"
    return ""


def _sold_since(state: State, account: str, symbol: str, day: date) -> Decimal:
    """What closed statements of a day or later gave an account: the holding a person sees is without it."""
    closed = (r for r in _sells(state, symbol) if r.status != ACTIVE and r.statement.trade_date >= day)
    sold = ZERO
    for record in closed:
        for name, quantity in _taken(record):
            sold = EXACT.add(sold, quantity) if name == account else sold
    return sold


def _recut(state: State, given: SetHolding, room: Decimal) -> Iterator[StatementRecord]:
    """Cut what the account may receive of open statements to ``room`` in all; yields those in which it changed."""
    for record in list(_sells(state, given.symbol)):
        line = next((line for line in record.statement.lines if line.account == given.account), None)
        if record.status != ACTIVE or line is None or not policy_of(state, record.statement).sellable:
            continue
        was, now = record.most(line), min(line.quantity, room)
        room = EXACT.subtract(room, now)
        record.caps.pop(given.account, None)
        if now < line.quantity:
            record.caps[given.account] = now
        if now != was:
            yield record


def _told(record: StatementRecord, given: SetHolding) -> list[Output]:
    statement = record.statement
    line = next(line for line in statement.lines if line.account == given.account)
    text = (
        f"statement {statement.statement_id}: {given.account} may receive {plain_text(record.most(line))} of its "
        f"{plain_text(line.quantity)} since {given.actor} set its holding of {given.symbol}: {given.reason}"
    )
    return [
        ExceptionOpened("GW-832", statement.statement_id, text),
        Alert("GW-832", "critical", statement.statement_id, text),
    ]


# ---------------------------------------------------------------- at the allocation


def capped(record: StatementRecord) -> tuple[Line, ...]:
    """The statement's lines with the cuts made since registration as their caps."""
    return cut(record.statement.lines, record.caps)


def cut(lines: tuple[Line, ...], caps: Mapping[str, Decimal]) -> tuple[Line, ...]:
    """Lines with the cuts by account as their caps."""
    if not caps:
        return lines
    return tuple(replace(line, cap=caps[line.account]) if line.account in caps else line for line in lines)


def notes(record: StatementRecord) -> tuple[str, ...]:
    """The cuts in words, for the division's trace."""
    return tuple(
        f"{account} was cut to {plain_text(cap)}: its holding was set" for account, cap in record.caps.items()
    )


def barred(record: StatementRecord) -> list[Output]:
    """An account was restricted or closed after its statement had fills: it gets its share, and a person decides."""
    if not record.barred:
        return []
    name = record.statement.statement_id
    text = (
        f"statement {name} was allocated as registered, and its account {record.barred} is not permitted any more"
    )
    return exception("GW-833", name, text)
