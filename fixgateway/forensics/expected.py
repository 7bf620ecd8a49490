"""The expected shares x*: what the policy, or else the statement's exact proportion, gives every account.

For each block the first of these that the blotter and the plan allow: the plan's policy recomputed; the column
``expected_qty``; the method named in the column ``method``, recomputed with the plan's lot; the exact share. Whole columns are
computed at once; what caps, minimums or tiers make special goes block by block through the gateway's own allocator
(:func:`fixgateway.core.methods.allocate`). Where the tie rule's outcome cannot be derived from a blotter (a seed, a queue of
turns) any outcome of a tie is the policy's.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from fixgateway.core import methods
from fixgateway.core.division import Terms
from fixgateway.core.model import Line, Method, Remainder, Ties
from fixgateway.forensics.plan import Plan

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NONE, EXACT, COLUMN, POLICY = 0, 1, 2, 3
SOURCES = ("none", "exact", "column", "policy")

RECOMPUTED = {Method.PRO_RATA, Method.HIGH_LOW, Method.MIN_DISPERSION, Method.CLIENT_PRIORITY}
"""Methods whose shares follow from what a blotter holds; the others need turns, limits or times of receipt."""

MOST = 1 << 61
"""Products of quantities stay below this."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of some blocks, sorted by block: ``first`` is where each block's rows begin, ``of`` the block of each row.

    ``intent`` and ``expected`` are -1 where empty. ``error`` marks rows of an error account, ``tier`` is where
    client-priority serves the row. ``method`` is the block's column, "" where empty.
    """

    first: Ints
    of: Ints
    account: Ints
    intent: Ints
    alloc: Ints
    expected: Ints
    error: Bools
    tier: Ints
    method: list[str]


@dataclass(frozen=True, slots=True)
class Shares:
    """Numerators ``star`` (x*), ``d`` (x - x*) over ``den``, ``exact`` over ``eden``; ``source`` of each block.

    ``large`` blocks cannot be divided exactly in 64 bits; their numbers mean nothing.
    """

    star: Ints
    d: Ints
    exact: Ints
    den: Ints
    eden: Ints
    source: Ints
    large: Bools
    filled: Ints
    intended: Ints


def shares(sheet: Sheet, plan: Plan, scale: int) -> Shares:
    """x* of every row; ``scale`` is the blotter's quantity scale."""
    blocks, of = len(sheet.first), sheet.of
    intent = np.maximum(sheet.intent, 0)
    filled, intended = _sums(sheet.alloc, sheet), _sums(intent, sheet)
    statement = intended > 0
    common = np.where(statement, np.gcd.reduceat(intent, sheet.first) if blocks else intended, 1)
    eden = np.where(statement, intended // common, 1)
    large = statement & (filled.astype(np.float64) * eden.astype(np.float64) * 2 >= MOST)
    eden = np.where(large, 1, eden)
    weight = np.where(large[of], 0, intent // common[of])
    exact = np.where(statement[of], filled[of] * weight, 0)
    exact = _overfilled(sheet, exact, intent, filled, intended, eden)
    source = _sources(sheet, plan, statement)
    star, den = exact.copy(), np.where(source == EXACT, eden, 1)
    star[(source == NONE)[of]] = 0
    column = (source == COLUMN)[of]
    star[column] = sheet.expected[column]
    policy = source == POLICY
    if policy.any():
        parts = _Parts(sheet, intent, weight, filled, intended, eden, policy & ~large)
        found = parts.shares(plan, scale)
        star[policy[of]] = found[policy[of]]
    d = np.where((source != NONE)[of], sheet.alloc * den[of] - star, 0)
    return Shares(star, d, exact, den, eden, source, large, filled, np.where(statement, intended, -1))


def _sums(values: Ints, sheet: Sheet) -> Ints:
    found: Ints = np.add.reduceat(values, sheet.first) if len(sheet.first) else values[:0]
    return found


def _sources(sheet: Sheet, plan: Plan, statement: Bools) -> Ints:
    """What x* of each block rests on."""
    planned = plan.method in RECOMPUTED
    column = np.minimum.reduceat(sheet.expected, sheet.first) >= 0 if len(sheet.first) else statement
    named = np.array([method in RECOMPUTED for method in sheet.method], dtype=bool)
    source = np.where(statement, EXACT, NONE)
    source = np.where(statement & named, POLICY, source)
    source = np.where(column, COLUMN, source)
    return np.where(statement & planned, POLICY, source).astype(np.int64)


def _overfilled(
    sheet: Sheet, exact: Ints, intent: Ints, filled: Ints, intended: Ints, eden: Ints
) -> Ints:
    """A fill above the statement: everybody the intent, the rest to the error account, where a row of it is there."""
    over = (filled > intended) & (intended > 0) & (np.bincount(sheet.of, sheet.error, len(filled)) > 0)
    if not over.any():
        return exact
    of = sheet.of
    rest = np.where(_first_error(sheet), filled[of] - intended[of], 0)
    return np.where(over[of], (intent + rest) * eden[of], exact)


def _first_error(sheet: Sheet) -> Bools:
    """The first row of an error account in each block."""
    at = np.flatnonzero(sheet.error)
    _, firsts = np.unique(sheet.of[at], return_index=True)
    marked = np.zeros(len(sheet.of), dtype=bool)
    marked[at[firsts]] = True
    return marked


@dataclass(frozen=True, slots=True)
class _Parts:
    """The policy recomputed for the blocks where ``wanted``; ``weight`` / ``eden`` is the share of the statement."""

    sheet: Sheet
    intent: Ints
    weight: Ints
    filled: Ints
    intended: Ints
    eden: Ints
    wanted: Bools

    def shares(self, plan: Plan, scale: int) -> Ints:
        """Pro rata by largest remainder for all blocks at once; what is special block by block."""
        lot, minimum = _units(plan.lot, scale), _units(plan.minimum, scale)
        ties, remainder = Ties(plan.ties) if plan.ties else None, Remainder(plan.remainder)
        names = np.array([plan.method or method for method in self.sheet.method], dtype=object)
        special = self.wanted & (names == str(Method.CLIENT_PRIORITY))
        rank = self._ranks(ties)
        star, hard = self._lots(lot, rank)
        star, harder = self._rest(star, lot, remainder, rank, self._ranks(None))
        special |= hard | harder
        if minimum:
            short = (self.weight * self.filled[self.sheet.of] < minimum * self.eden[self.sheet.of]) & (self.intent > 0)
            special |= np.bincount(self.sheet.of, short, len(self.filled)) > 0
        full = self.filled >= self.intended
        star = np.where(full[self.sheet.of], self._full(), star)
        for block in np.flatnonzero(special & self.wanted & ~full):
            rows = self._rows(int(block))
            star[rows] = self._one(int(block), rows, plan, scale, str(names[block]), lot, minimum)
        return star

    def _full(self) -> Ints:
        """Everybody the intent; what is above it to the error account."""
        surplus = np.maximum(self.filled - self.intended, 0)[self.sheet.of]
        return self.intent + np.where(_first_error(self.sheet), surplus, 0)

    def _rows(self, block: int) -> slice:
        first = self.sheet.first
        return slice(int(first[block]), int(first[block + 1]) if block + 1 < len(first) else len(self.sheet.of))

    def _ranks(self, ties: Ties | None) -> tuple[Ints, ...]:
        """Sort keys of the tie order, the least important first."""
        account, of = self.sheet.account, self.sheet.of
        match ties:
            case Ties.ACCOUNT:
                return (account,)
            case Ties.SMALLEST:
                return (account, self.intent)
            case Ties.LARGEST:
                return (account, -self.intent)
            case _:
                return (account, self.weight * self.filled[of] - self.sheet.alloc * self.eden[of])

    def _lots(self, lot: int, rank: tuple[Ints, ...]) -> tuple[Ints, Bools]:
        """Whole lots by largest remainder; blocks where the caps cut off more than one unit each are hard."""
        of = self.sheet.of
        caps = self.intent // lot
        units = np.minimum(self.filled // lot, _sums(caps, self.sheet))
        given = np.minimum(units[of] * self.weight // self.eden[of], caps)
        left = units - _sums(given, self.sheet)
        shut = given >= caps
        hard = left > _sums((~shut).astype(np.int64), self.sheet)
        place = self._places((*rank, given * self.eden[of] - units[of] * self.weight, shut.astype(np.int64)))
        return (given + ((place < left[of]) & ~shut)) * lot, hard

    def _rest(
        self, star: Ints, lot: int, remainder: Remainder, rank: tuple[Ints, ...], lenient: tuple[Ints, ...]
    ) -> tuple[Ints, Bools]:
        """The odd rest below a lot to one account; hard where one cannot take all of it."""
        rest = self.filled - _sums(star, self.sheet)
        if not (rest > 0).any():
            return star, np.zeros(len(rest), dtype=bool)
        of = self.sheet.of
        room = self.intent - star
        match remainder:
            case Remainder.LARGEST_SHORTFALL:
                keys = (*rank, star * self.eden[of] - self.filled[of] * self.weight)
            case Remainder.SMALLEST_ACCOUNT:
                keys = (*rank, self.intent)
            case Remainder.ROTATION:
                keys = lenient
        taker = (self._places((*keys, (room <= 0).astype(np.int64))) == 0) & (rest > 0)[of]
        hard = np.bincount(of, taker & (room < rest[of]), len(rest)) > 0
        return star + np.where(taker, rest[of], 0), hard

    def _places(self, keys: tuple[Ints, ...]) -> Ints:
        """The position of every row in its block when sorted by the keys (the last is the most important)."""
        order = np.lexsort((*keys, self.sheet.of))
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order)) - self.sheet.first[self.sheet.of[order]]
        return places

    def _one(
        self, block: int, rows: slice, plan: Plan, scale: int, method: str, lot: int, minimum: int
    ) -> Ints:
        """One block by the gateway's allocator, in whole units."""
        keys = self._ranks(None)[1][rows]
        turns = np.empty(len(keys), dtype=np.int64)
        turns[np.lexsort((self.sheet.account[rows], keys))] = np.arange(1, len(keys) + 1)
        lines = [
            Line(f"{account:012d}", Decimal(int(intent)), tier=int(tier), turn=int(turn))
            for account, intent, tier, turn in zip(
                self.sheet.account[rows], self.intent[rows], self.sheet.tier[rows], turns, strict=True
            )
        ]
        ties = Ties(plan.ties) if plan.ties and plan.ties != Ties.SEEDED else Ties.ROTATION
        terms = Terms("", Decimal(lot), Decimal(minimum), ties, Remainder(plan.remainder), "", Method(method))
        kept = [line for line in lines if line.quantity]
        division = methods.allocate(kept, Decimal(int(self.filled[block])), terms)
        given: Mapping[str, Decimal] = {line.account: line.quantity for line in division.lines}
        return np.array([int(given.get(line.account, Decimal(0))) for line in lines], dtype=np.int64)


def _units(value: Decimal, scale: int) -> int:
    return int(value * scale)
