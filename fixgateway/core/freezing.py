"""What registration freezes: the terms of a statement, and for each line the numbers its division will read.

Nothing that decides a share is looked up later (DESIGN §2 rules 5 and 8). Weights become quantities, a minimum
value becomes a quantity at the reference price the statement names, an account's class becomes a place in the
order client-priority serves, and a receipt time becomes nanoseconds. What the account file, the policy or the
clock says afterwards changes none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fixgateway.core.apportion import largest_remainder, tie_rank
from fixgateway.core.model import (
    EXACT,
    ZERO,
    Account,
    Basis,
    Draft,
    DraftLine,
    InstrumentTerms,
    Line,
    Method,
    Policy,
    Remainder,
    Rounding,
    Ties,
    exact_sum,
    plain_decimal,
    plain_text,
)
from fixgateway.core.outputs import Problem
from fixgateway.core.quota import STEPS_MAX

HUNDRED = Decimal(100)
NO_RESIDUAL = frozenset(("proprietary", "employee", "error"))
"""Classes of accounts that never bear residual cash."""

_RECEIVED = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_WEIGHED = frozenset((Basis.PERCENT, Basis.CASH))
_MADE = _WEIGHED | {Basis.EQUAL}
_WEIGHT_SCALE = 10**9
"""Plain decimals have at most nine places: this makes every weight an integer."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Agreed:
    """The terms of one statement: what it asks for, else the instrument's, else the policy's."""

    statement_id: str
    method: Method
    basis: Basis
    rounding: Rounding
    lot: Decimal
    min_quantity: Decimal
    ties: Ties
    remainder: Remainder
    reference_price: Decimal


def instrument(policy: Policy, draft: Draft) -> InstrumentTerms:
    """The policy's terms for the statement's instrument, by symbol, else by SecurityID(48); empty ones if none."""
    names = [name for name in (draft.symbol, draft.security_id) if name]
    for name in names:
        for terms in policy.instruments:
            if terms.symbol == name:
                return terms
    return InstrumentTerms(names[0] if names else "")


def agreed(policy: Policy, draft: Draft) -> Agreed:
    """The terms of a draft whose words and numbers were found readable and permitted."""
    own = instrument(policy, draft)
    lot = policy.lot if own.lot is None else own.lot
    minimum = policy.min_quantity if own.min_quantity is None else own.min_quantity
    return Agreed(
        statement_id=draft.statement_id,
        method=Method(draft.method or policy.method),
        basis=Basis(draft.basis or policy.basis),
        rounding=policy.rounding,
        lot=Decimal(draft.lot) if draft.lot else lot,
        min_quantity=Decimal(draft.min_quantity) if draft.min_quantity else minimum,
        ties=Ties(draft.ties or policy.ties),
        remainder=policy.remainder if own.remainder is None else own.remainder,
        reference_price=plain_decimal(draft.reference_price) or ZERO,
    )


_UNASKED: dict[str, Any] = dict.fromkeys(("method", "basis", "lot", "min_quantity", "ties", "reference_price"), "")


def own_terms(policy: Policy, draft: Draft) -> dict[str, str]:
    """Term → the value a statement for this instrument has without asking, as text."""
    terms = agreed(policy, replace(draft, **_UNASKED))
    return {
        "method": str(terms.method),
        "basis": str(terms.basis),
        "lot": plain_text(terms.lot),
        "min_quantity": plain_text(terms.min_quantity),
        "ties": str(terms.ties),
    }


# ---------------------------------------------------------------- checks


def basis_problems(draft: Draft, basis: Basis, lot: Decimal) -> Iterator[Problem]:
    """Weights need a total of whole lots, and percents add up to a hundred."""
    if basis is Basis.QUANTITY:
        return
    total = plain_decimal(draft.total)
    if not draft.total:
        text = f"basis {basis} divides a total; total is missing"
        yield Problem(0, "total", "GW-601", text)
    elif total and Fraction(total) % Fraction(lot):
        text = f"total {draft.total} is not a whole number of lots of {plain_text(lot)}"
        yield Problem(0, "total", "GW-622", text)
    weights = [plain_decimal(line.weight) for line in draft.lines]
    percents = [weight for weight in weights if weight is not None]
    if basis is Basis.PERCENT and len(percents) == len(weights) and exact_sum(percents) != HUNDRED:
        text = f"the weights add up to {plain_text(exact_sum(percents))}, not to 100"
        yield Problem(0, "weight", "GW-621", text)


def line_problems(line: DraftLine, basis: str) -> Iterator[Problem]:
    """Quantity and weight of one line: exactly what the basis reads. An unknown basis is a problem elsewhere."""
    if basis == Basis.QUANTITY:
        if not _positive(line.quantity):
            text = f"quantity {line.quantity or '(missing)'} is not a plain positive number"
            yield Problem(line.row, "quantity", "GW-607", text)
        if line.weight:
            yield Problem(line.row, "weight", "GW-620", "basis quantity reads no weight; leave it out")
        return
    if basis in _MADE and line.quantity and plain_decimal(line.quantity) != ZERO:
        text = f"basis {basis} makes the quantities itself; leave quantity out"
        yield Problem(line.row, "quantity", "GW-620", text)
    if basis == Basis.EQUAL:
        if line.weight:
            yield Problem(line.row, "weight", "GW-620", "basis equal reads no weight; leave it out")
    elif basis in _WEIGHED and not _positive(line.weight):
        text = f"basis {basis}: weight {line.weight or '(missing)'} is not a plain positive number"
        yield Problem(line.row, "weight", "GW-620", text)


def value_problems(policy: Policy, draft: Draft) -> Iterator[Problem]:
    """A policy's minimum value needs a price to become a quantity at."""
    if draft.reference_price and not _positive(draft.reference_price):
        text = f"reference_price {draft.reference_price} is not a plain positive number"
        yield Problem(0, "reference_price", "GW-607", text)
    elif policy.min_value and not draft.reference_price:
        text = f"policy {policy.policy_id} has a minimum value of {plain_text(policy.min_value)}"
        yield Problem(0, "reference_price", "GW-624", f"{text}; reference_price is missing")


def queue_problems(draft: Draft, method: Method, door: str, ts_ns: int) -> Iterator[Problem]:
    """Limit and receipt time: price-time needs the one and may be told the other, no other method reads them."""
    for line in draft.lines:
        if method is not Method.PRICE_TIME:
            for field in ("limit", "received_at"):
                if getattr(line, field):
                    yield Problem(line.row, field, "GW-625", f"method {method} reads no {field}; leave it out")
            continue
        if not _positive(line.limit):
            text = f"method price-time: limit {line.limit or '(missing)'} is not a plain positive number"
            yield Problem(line.row, "limit", "GW-625", text)
        if line.received_at:
            yield from _received_problems(line, door, ts_ns)


def _received_problems(line: DraftLine, door: str, ts_ns: int) -> Iterator[Problem]:
    """A receipt time comes from a program's message, and not from the future."""
    received = received_ns(line.received_at)
    if received is None:
        text = f"received_at {line.received_at} is not a time with offset such as 2026-11-22T14:30:00.123Z"
        yield Problem(line.row, "received_at", "GW-602", text)
    elif door not in MACHINE_DOORS:
        text = f"received_at is not taken from a file ({door}); leave it out, the gateway's own clock counts"
        yield Problem(line.row, "received_at", "GW-626", text)
    elif received > ts_ns:
        text = f"received_at {line.received_at} is later than the statement itself"
        yield Problem(line.row, "received_at", "GW-626", text)


MACHINE_DOORS = frozenset(("fix", "http"))
"""Doors programs use: a receipt time from a file might be typed in by whoever gains from it."""


def justification_problems(
    policy: Policy, draft: Draft, method: Method, accounts: Mapping[str, Account]
) -> Iterator[Problem]:
    """Own and client accounts side by side, where the policy serves clients first, need a written reason.

    Commission Delegated Regulation (EU) 2017/565, article 69(2): proportional allocation only when the firm can
    show on reasonable grounds that without its own order the client's could not have been carried out as well. A
    client-priority statement with a justification is divided in proportion, so the policy must allow that.
    """
    if method is Method.CLIENT_PRIORITY:
        allowed = (policy.method, *dict(policy.allowed).get("method", ()))
        if draft.justification.strip() and Method.PRO_RATA not in allowed:
            text = f"a justification divides in proportion, which policy {policy.policy_id} does not allow"
            yield Problem(0, "justification", "GW-608", text)
        return
    if policy.method is not Method.CLIENT_PRIORITY:
        return
    tiers = {tier_of(policy, accounts[line.account].class_) for line in draft.lines if line.account in accounts}
    if len(tiers) > 1 and not draft.justification.strip():
        text = f"policy {policy.policy_id} serves clients first; method {method} needs a written justification"
        yield Problem(0, "justification", "GW-627", text)


def new_issue_problems(line: DraftLine, account: Account, trade_day: str) -> Iterator[Problem]:
    """FINRA 5130 and 5131: no restricted person, and a representation not older than twelve months.

    Args:
        trade_day: the statement's trade date, ``YYYY-MM-DD``.
    """
    if account.new_issue_restricted:
        text = f"account {account.account} is restricted from new issues"
        yield Problem(line.row, "account", "GW-628", text)
    elif not account.represented_on:
        text = f"account {account.account} has no represented_on in the account file"
        yield Problem(line.row, "account", "GW-628", text)
    elif _a_year_later(account.represented_on) < trade_day:
        text = f"account {account.account}: its representation of {account.represented_on} is older than 12 months"
        yield Problem(line.row, "account", "GW-628", text)
    elif account.represented_on > trade_day:
        text = f"account {account.account}: its representation of {account.represented_on} is after the trade date"
        yield Problem(line.row, "account", "GW-628", text)


def _a_year_later(day: str) -> str:
    """The same day of the next year as text; a 29 February stays one, which sorts before 1 March."""
    return f"{int(day[:4]) + 1:04d}{day[4:]}"


# ---------------------------------------------------------------- lines


def frozen_lines(
    policy: Policy,
    draft: Draft,
    terms: Agreed,
    accounts: Mapping[str, Account],
    *,
    seed: str,
    ts_ns: int,
    total: Decimal,
    money: bool,
    before: Sequence[Line] = (),
    turns: Mapping[str, int] | None = None,
) -> tuple[Line, ...] | tuple[Problem, ...]:
    """The lines of a draft that was found good, or what is wrong with the quantities its weights come to.

    Args:
        seed: of the statement, in hex. ts_ns: UTC nanoseconds of the message that brings it.
        total: what weights are divided of. money: whether residual cash is computed (``Setup.money``).
        before: lines of the statement this one replaces or repeats: an unchanged line keeps its receipt time.
        turns: places of accounts in the rotation, from 1.
    """
    kept = {line.account: line for line in before}
    lines = [
        Line(
            account=line.account,
            quantity=Decimal(line.quantity) if terms.basis is Basis.QUANTITY else ZERO,
            min_quantity=_minimum(policy, terms, line),
            weight=_weight(terms.basis, line),
            limit=Decimal(line.limit) if line.limit else None,
            tier=_tier(policy, terms.method, accounts[line.account]),
            turn=(turns or {}).get(line.account, 0),
            residual=not money or accounts[line.account].class_ not in NO_RESIDUAL,
        )
        for line in draft.lines
    ]
    if terms.basis is not Basis.QUANTITY:
        lines = weighed(lines, total, terms, seed)
        empty = [row for row, line in zip(draft.lines, lines, strict=True) if not line.quantity]
        if empty:
            return tuple(_no_lot(row, total, terms) for row in empty)
    if terms.rounding is Rounding.QUOTA and (problem := _too_unequal(draft, lines)):
        return (problem,)
    if terms.method is Method.PRICE_TIME:
        lines = [_received(line, row, kept, ts_ns) for row, line in zip(draft.lines, lines, strict=True)]
    return tuple(lines)


def weighed(lines: Sequence[Line], total: Decimal, terms: Agreed, seed: str) -> list[Line]:
    """Weights as quantities in whole lots that add up to ``total``, by largest remainder under the tie rule.

    Smallest and largest mean the weight here, as no quantity is there yet.
    """
    lots = Fraction(total) / Fraction(terms.lot)
    if lots.denominator != 1:
        raise ValueError(f"{total} is not a whole number of lots of {terms.lot}")
    weights = [int(Fraction(line.weight) * _WEIGHT_SCALE) for line in lines]
    by_weight = [replace(line, quantity=line.weight) for line in lines]
    rank = tie_rank(by_weight, terms.ties, seed, terms.statement_id)
    given = largest_remainder(int(lots), weights, [int(lots)] * len(weights), rank)
    return [
        replace(line, quantity=EXACT.multiply(Decimal(units), terms.lot))
        for line, units in zip(lines, given, strict=True)
    ]


def _too_unequal(draft: Draft, lines: Sequence[Line]) -> Problem | None:
    """The quota method counts up to total / smallest line steps; beyond its bound it divides nothing."""
    at = min(range(len(lines)), key=lambda n: lines[n].quantity)
    total = exact_sum(line.quantity for line in lines)
    if Fraction(total) // Fraction(lines[at].quantity) < STEPS_MAX:
        return None
    row = draft.lines[at]
    text = (
        f"the quantity of {row.account} is less than 1/{STEPS_MAX} of the total; rounding quota cannot divide it"
    )
    return Problem(row.row, "quantity", "GW-629", text)


def _no_lot(row: DraftLine, total: Decimal, terms: Agreed) -> Problem:
    text = f"the weight of {row.account} gives it no lot of {plain_text(terms.lot)} in {plain_text(total)}"
    return Problem(row.row, "weight", "GW-623", text)


def _weight(basis: Basis, line: DraftLine) -> Decimal:
    match basis:
        case Basis.QUANTITY:
            return ZERO
        case Basis.EQUAL:
            return Decimal(1)
        case Basis.PERCENT | Basis.CASH:
            return Decimal(line.weight)


def _minimum(policy: Policy, terms: Agreed, line: DraftLine) -> Decimal:
    """A line's own minimum; with a minimum value, the larger of what it has and the value in whole lots."""
    own = Decimal(line.min_quantity) if line.min_quantity else ZERO
    if not policy.min_value:
        return own
    return max(own or terms.min_quantity, quantity_of(policy.min_value, terms.reference_price, terms.lot))


def quantity_of(value: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The least whole number of lots worth ``value`` or more at ``price``."""
    lots = -(-Fraction(value) / Fraction(price) // Fraction(lot))
    return EXACT.multiply(Decimal(lots), lot)


def tier_of(policy: Policy, class_: str) -> int:
    """The place of an account class in the order of service, 0 first; a class without one comes last."""
    return next((n for n, tier in enumerate(policy.tiers) if class_ in tier), len(policy.tiers))


def _tier(policy: Policy, method: Method, account: Account) -> int:
    return tier_of(policy, account.class_) if method is Method.CLIENT_PRIORITY else 0


def _received(line: Line, row: DraftLine, kept: Mapping[str, Line], ts_ns: int) -> Line:
    """A line with its receipt time: the one it was sent with, the one it had, or this message's.

    A place in the queue is kept by whoever asks for no more and names no other limit.
    """
    said = received_ns(row.received_at) if row.received_at else None
    if said is None:
        old = kept.get(line.account)
        same = old is not None and old.limit == line.limit and line.quantity <= old.quantity
        said = old.received_ns if old is not None and same and old.received_ns else ts_ns
    return replace(line, received_ns=said)


def received_ns(text: str) -> int | None:
    """An ISO 8601 time with offset as UTC nanoseconds since 1970, None when it is none."""
    found = _RECEIVED.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset == 'Z' else offset}")
    except ValueError:
        return None
    since = (at - _EPOCH) // timedelta(seconds=1)
    return since * 1_000_000_000 + int((fraction or "0").ljust(9, "0")) if since > 0 else None


def _positive(text: str) -> bool:
    value = plain_decimal(text)
    return value is not None and value > ZERO
