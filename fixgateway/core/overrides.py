"""A division an approved exception put in the place of the computed one, and what no exception may ever do.

The rule that nothing sets aside: a proprietary or employee account has at most its computed share. It is asked when an
exception is requested, when it is approved, and here again whenever a division is used, against the division that the
statement as it was *registered* gives; so neither a chain of exceptions, nor a changed statement, nor a fill that
changes afterwards leads around it. An account counts as the firm's own when it is proprietary or employee in the
account file now, or was at any time since the statement was registered.

An approved division fits one total. When the fills change it fits no more, and the computed division counts again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from fixgateway.core import executed, holdings
from fixgateway.core.model import EXACT, ZERO, Account, Line, exact_sum, plain_text
from fixgateway.core.outputs import TraceLine
from fixgateway.core.state import State, StatementRecord

OWN = frozenset(("proprietary", "employee"))
"""Classes of accounts that no exception may give more than their computed share."""
RULE = "exception"
"""The rule of every line an exception changed."""


# ---------------------------------------------------------------- whose account is it


def is_own(state: State, account: str, since_seq: int) -> bool:
    """Whether an account is the firm's or an employee's now, or was after input ``since_seq``."""
    known = state.accounts.get(account)
    return (known is not None and known.class_ in OWN) or state.own_until.get(account, 0) > since_seq


def remember_own(state: State, after: Mapping[str, Account], seq: int) -> None:
    """A new account file, read with input ``seq``: which accounts were own until now and are not any more."""
    for name, account in state.accounts.items():
        now = after.get(name)
        if account.class_ in OWN and (now is None or now.class_ not in OWN):
            state.own_until[name] = seq


def own_accounts(state: State, record: StatementRecord) -> list[str]:
    """The own accounts of a statement, as registered."""
    statement = record.original or record.statement
    return [x.account for x in statement.lines if is_own(state, x.account, statement.registered_seq)]


# ---------------------------------------------------------------- a division in the place of the computed one


def misfit(
    state: State, record: StatementRecord, given: Mapping[str, Decimal], lines: tuple[TraceLine, ...], rest: Decimal
) -> str:
    """Why a division cannot take the place of the computed one, "" when it can.

    Args:
        given: quantity by account. lines: the computed division. rest: what it leaves to nobody.
    """
    total, due = exact_sum(given.values()), exact_sum(line.quantity for line in lines)
    if total not in (due, EXACT.add(due, rest)):
        return f"it divides {plain_text(total)}, and {plain_text(due)} are to be divided"
    short = next((x for x in lines if x.cap is not None and given.get(x.account, ZERO) > x.cap), None)
    if short is not None and short.cap is not None:
        return f"{short.account} may receive {plain_text(short.cap)} only, since its holding was set"
    above = own_above(state, record, given, {line.account: line.quantity for line in lines})
    return f"{above[0]} would have more than its computed share" if above else ""


def own_above(
    state: State, record: StatementRecord, given: Mapping[str, Decimal], computed: Mapping[str, Decimal]
) -> list[str]:
    """The own accounts that a division gives more than their computed share."""
    since = (record.original or record.statement).registered_seq
    return [
        account
        for account, quantity in given.items()
        if quantity > computed.get(account, ZERO) and is_own(state, account, since)
    ]


def in_place(given: Mapping[str, Decimal], lines: tuple[TraceLine, ...]) -> tuple[TraceLine, ...]:
    """The computed lines with the quantities given; accounts that have none in them come last."""
    known = {line.account for line in lines}
    more = [TraceLine(name, ZERO, "0/1", ZERO, ZERO, ZERO, RULE) for name in given if name not in known]
    return tuple(_moved(line, given.get(line.account, ZERO)) for line in (*lines, *more))


def _moved(line: TraceLine, quantity: Decimal) -> TraceLine:
    if quantity == line.quantity:
        return line
    floor = min(line.floor, quantity)
    return replace(line, floor=floor, award=EXACT.subtract(quantity, floor), quantity=quantity, rule=RULE)


# ---------------------------------------------------------------- a changed statement


def bounded(
    state: State, record: StatementRecord, lines: tuple[Line, ...], first: Mapping[str, Decimal]
) -> tuple[Line, ...]:
    """The lines of a changed statement: own accounts get at most what the statement as registered gives them.

    Args:
        first: the shares of the same total by the statement as registered.
    """
    own = {
        line.account
        for line in lines
        if is_own(state, line.account, (record.original or record.statement).registered_seq)
    }
    return tuple(_capped(line, first.get(line.account, ZERO)) if line.account in own else line for line in lines)


def _capped(line: Line, most: Decimal) -> Line:
    cap = line.quantity if line.cap is None else line.cap
    return replace(line, cap=min(cap, most)) if most < cap else line


def first_lines(record: StatementRecord) -> tuple[Line, ...]:
    """The lines as they were registered, with the cuts of holdings made since."""
    statement = record.original or record.statement
    return holdings.cut(statement.lines, record.caps)


def shifts_prices(state: State, record: StatementRecord) -> str:
    """An own account that gets other fills when others' quantities change (executed prices), "" for none."""
    if record.statement.method not in executed.METHODS:
        return ""
    return next(iter(own_accounts(state, record)), "")

