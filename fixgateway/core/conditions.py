"""What a code's condition tests: facts of the case that need nobody's judgement.

A code of the pre-approved list may name one (:class:`.codes.ExceptionCode`); a request under the code is refused where
it does not hold, whatever the explanation says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from fixgateway.core.desk_facts import ExceptionLine
from fixgateway.core.model import ZERO, plain_text
from fixgateway.core.overrides import OWN
from fixgateway.core.state import ACTIVE, State, StatementRecord

ERROR = "error"


def _within_lot(_state: State, record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    lot = record.statement.lot
    for line in lines:
        if abs(Fraction(line.after) - Fraction(line.before)) > Fraction(lot):
            return f"{line.account} would change by more than one lot of {plain_text(lot)}"
    return ""


def _account_barred(state: State, _record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        known = state.accounts.get(line.account)
        if line.after < line.before and known is not None and known.status == ACTIVE:
            return f"{line.account} would get less and is active"
    return ""


def _leaves(_state: State, _record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        if ZERO < line.after < line.before:
            return f"{line.account} would get less and still something"
    return ""


def _to_error(_state: State, _record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        if line.after > line.before and line.class_ != ERROR:
            return f"{line.account} would get more and is no error account"
    return ""


def _from_error(_state: State, _record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        if line.after < line.before and line.class_ != ERROR:
            return f"{line.account} would get less and is no error account"
    return ""


def _from_own(_state: State, _record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        if line.after < line.before and line.class_ not in OWN:
            return f"{line.account} ({line.class_ or 'unknown'}) would get less; only proprietary and employee may"
    return ""


def _holding_cut(_state: State, record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    for line in lines:
        if line.after < line.before and line.account not in record.caps:
            return f"{line.account} would get less, and its holding was not set since the statement was registered"
    return ""


def _nothing_filled(_state: State, record: StatementRecord, _lines: Sequence[ExceptionLine]) -> str:
    return f"{plain_text(record.filled)} are filled" if record.filled else ""


CONDITIONS: dict[str, tuple[str, Callable[[State, StatementRecord, Sequence[ExceptionLine]], str]]] = {
    "within-lot": ("nobody's quantity changes by more than one lot of the statement", _within_lot),
    "account-barred": ("only accounts that the account file does not permit any more get less", _account_barred),
    "leaves": ("whoever gets less gets nothing at all", _leaves),
    "to-error-account": ("only error accounts get more", _to_error),
    "from-error-account": ("only error accounts get less", _from_error),
    "from-own": ("only proprietary and employee accounts get less", _from_own),
    "holding-cut": ("only accounts whose holding a person has set since registration get less", _holding_cut),
    "nothing-filled": ("nothing is filled under the statement yet", _nothing_filled),
}
"""Condition → what it says, and the test: why it does not hold, "" when it does."""


def unmet(name: str, state: State, record: StatementRecord, lines: Sequence[ExceptionLine]) -> str:
    """Why a condition does not hold, "" when it does, or when there is none to hold."""
    if not name:
        return ""
    known = CONDITIONS.get(name)
    return f"condition {name} is not known to this version" if known is None else known[1](state, record, lines)
