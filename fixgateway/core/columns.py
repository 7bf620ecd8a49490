"""A division spread over the brokers that filled it: :mod:`.matrix` in decimals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fixgateway.core import matrix
from fixgateway.core.apportion import largest_remainder, tie_rank
from fixgateway.core.model import EXACT, ZERO, Line, Statement

MATRIX_RULES = 2
"""From these rules on the brokers' columns are computed together; before, one after the other."""


@dataclass(frozen=True, slots=True)
class Columns:
    """For each broker what each account gets of its fills, in the shares' order.

    ``forced`` are the accounts with an entry a unit or more from exact, because a broker keeps what it accepted.
    """

    by_broker: dict[str, list[Decimal]]
    forced: tuple[str, ...] = ()


def spread(
    statement: Statement,
    shares: Mapping[str, Decimal],
    fills: Mapping[str, Decimal],
    rules: int,
    kept: Mapping[str, Mapping[str, Decimal]] | None = None,
) -> Columns:
    """Divide each account's share among the brokers: rows add up to shares, columns to fills.

    Args:
        statement: for its lot and ties.
        shares: quantity by account. fills: quantity by broker; when it is more than the shares (an overfill that
            stays unallocated) each broker's column is short in proportion.
        rules: the edition of the rules.
        kept: by broker and account what an accepted allocation holds that the broker will not replace.

    What is kept does not count where it is more than an account's share or a broker's fills.
    """
    quantities = list(shares.values())
    if len(fills) == 1:
        return Columns(dict.fromkeys(fills, quantities))
    bounds = [(kept or {}).get(broker, {}) for broker in fills]
    held_quantities = (q for held in bounds for q in held.values())
    scale = max((_places(q) for q in (*fills.values(), *quantities, *held_quantities)), default=0)
    rows = [_whole(q, scale) for q in quantities]
    sums = [_whole(q, scale) for q in fills.values()]
    if sum(sums) > sum(rows):
        least = [sum(_whole(q, scale) for q in held.values()) for held in bounds]
        sums = _shortened(sum(rows), sums, least)
    if rules < MATRIX_RULES:
        return Columns(_one_after_another(statement, shares, list(fills), rows, sums, scale))
    rank = _rank(statement, list(shares))
    lot = max(1, _whole(statement.lot, scale)) if _places(statement.lot) <= scale else 1
    unit = matrix.unit_of(lot, rows, sums)
    found = matrix.divide([x // unit for x in rows], [x // unit for x in sums], rank)
    columns = [[x * unit for x in column] for column in found.columns]
    forced: tuple[str, ...] = ()
    lower = [[_whole(held[account], scale) if account in held else 0 for account in shares] for held in bounds]
    if _below(columns, lower) and _fits(rows, sums, lower):
        nearest = matrix.divide(rows, sums, rank, lower)
        columns = nearest.columns
        names = list(shares)
        forced = tuple(names[i] for i in sorted({i for i, _ in nearest.forced}))
    return Columns(
        {
            broker: [Decimal(x).scaleb(-scale, EXACT) for x in column]
            for broker, column in zip(fills, columns, strict=True)
        },
        forced,
    )


def _shortened(total: int, sums: Sequence[int], least: Sequence[int]) -> list[int]:
    """``total`` of the brokers' fills in proportion; nobody gets less than what is kept where that can be."""
    fixed: dict[int, int] = {}
    if sum(least) > total or any(low > units for low, units in zip(least, sums, strict=True)):
        least = [0] * len(sums)
    while True:
        free = [b for b in range(len(sums)) if b not in fixed]
        units = [sums[b] for b in free]
        given = largest_remainder(total - sum(fixed.values()), units, units, range(len(units)))
        short = {b: least[b] for b, got in zip(free, given, strict=True) if got < least[b]}
        if not short:
            return [{**fixed, **dict(zip(free, given, strict=True))}[b] for b in range(len(sums))]
        fixed |= short


def _below(columns: Sequence[Sequence[int]], lower: Sequence[Sequence[int]]) -> bool:
    """Whether an entry is below its bound."""
    return any(
        entry < low
        for column, lows in zip(columns, lower, strict=True)
        for entry, low in zip(column, lows, strict=True)
    )


def _fits(rows: Sequence[int], sums: Sequence[int], lower: Sequence[Sequence[int]]) -> bool:
    """Whether there is room for the bounds."""
    across = [sum(lows) for lows in zip(*lower, strict=True)]
    down = [sum(lows) for lows in lower]
    return all(x >= low for x, low in zip(rows, across, strict=True)) and all(
        x >= low for x, low in zip(sums, down, strict=True)
    )


def _rank(statement: Statement, accounts: Sequence[str]) -> list[int]:
    """The policy's tie order of the shares' accounts; the error account, not being one, has a line of 0."""
    known = {line.account for line in statement.lines}
    more = [Line(account, ZERO) for account in accounts if account not in known]
    return tie_rank([*statement.lines, *more], statement.ties, statement.seed, statement.statement_id)


def _one_after_another(
    statement: Statement,
    shares: Mapping[str, Decimal],
    brokers: Sequence[str],
    rest: list[int],
    sums: Sequence[int],
    scale: int,
) -> dict[str, list[Decimal]]:
    """The columns of older journals: each broker in turn takes its part of what the accounts still have to get."""
    lines = [Line(account, share) for account, share in shares.items()]
    rank = tie_rank(lines, statement.ties, statement.seed, statement.statement_id)
    columns: dict[str, list[Decimal]] = {}
    for broker, units in zip(brokers, sums, strict=True):
        taken = largest_remainder(units, rest, rest, rank) if units else [0] * len(rest)
        rest = [left - took for left, took in zip(rest, taken, strict=True)]
        columns[broker] = [Decimal(took).scaleb(-scale, EXACT) for took in taken]
    return columns


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -min(0, exponent) if isinstance(exponent, int) else 0


def _whole(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale, EXACT))
