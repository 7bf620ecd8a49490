"""One statement, several brokers: who gets how much of whose fills.

Theory of operation. First the statement's total is divided among its accounts (the rows: whole numbers ``X_i``);
each broker's fills are the columns (``F_b``), and both add up to the same total ``T``. The exact entry is
``e_ib = F_b · X_i / T``; what is wanted is a matrix of whole numbers with these rows and columns whose entries
are the floor or the ceiling of the exact ones. It always exists (the exact entries are a flow in a network of unit
arcs with whole-numbered supplies, and such a network has a whole-numbered flow), and among all of them the one
with the least Σ |entry − e_ib| is taken, so every account pays nearly the same blended price.

It is found as a flow of least cost by shortest augmenting paths. Every row first takes what is cheapest for
itself; columns that got too much then hand units to columns that got too little, always along the cheapest path.
As there are few columns, the path is looked for among them alone: the arc from column a to column b is the row
that moves a unit between them at the least cost, and a heap for every pair knows which row that is. Rows with the
same remainders are one row with a multiplicity, so a hundred thousand equal accounts cost no more than one. The
work is about n·B² for n accounts and B brokers, plus B² for every unit the rows' first choices are off by.

Where a broker has accepted an allocation that it will not replace, its entries are lower bounds. Rows below
theirs are raised first (:func:`raised`); then the same search runs without the ceilings, and what comes out is
the nearest matrix above the bounds. Entries more than a unit from the exact ones are *forced*.

Ties: rows take their turn in the order of ``rank`` (the policy's tie order), columns as given. A row's place in
the list never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush
from itertools import accumulate, pairwise
from math import gcd

from fixgateway.core.apportion import largest_remainder

Arc = tuple[int, int]
"""The cost of moving a unit, and the row that moves it."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """``columns[b][i]`` is what row i gets of column b; ``forced`` are (row, column) a unit or more from exact."""

    columns: list[list[int]]
    forced: tuple[tuple[int, int], ...] = ()


def divide(
    rows: Sequence[int],
    columns: Sequence[int],
    rank: Sequence[int],
    lower: Sequence[Sequence[int]] | None = None,
) -> Matrix:
    """The matrix of whole numbers nearest to the exact one.

    Args:
        rows: what each account gets in all, whole units.
        columns: what each broker filled, whole units; the same sum.
        rank: position of each row in the tie order; a permutation of 0..n-1.
        lower: for each column the least each row must get; None where nothing binds.

    Raises:
        ValueError: the sums differ, a number is negative, or the lower bounds do not fit.
    """
    total = sum(rows)
    if total != sum(columns) or min(rows, default=0) < 0 or min(columns, default=0) < 0:
        raise ValueError(f"rows add up to {total}, columns to {sum(columns)}; none may be negative")
    if lower is not None and any(map(any, lower)):
        return _above(rows, columns, rank, lower)
    if not total:
        return Matrix([[0] * len(rows) for _ in columns])
    filled = [b for b, units in enumerate(columns) if units]
    part = _rounded(rows, [columns[b] for b in filled], rank)
    found = dict(zip(filled, part, strict=True))
    return Matrix([found.get(b) or [0] * len(rows) for b in range(len(columns))])


def unit_of(lot: int, *amounts: Sequence[int]) -> int:
    """The largest unit no larger than a lot of which all amounts are whole numbers (whole lots where possible)."""
    return gcd(lot, *(amount for group in amounts for amount in group)) or 1


def raised(shares: Sequence[int], exact: Sequence[Fraction], lower: Sequence[int], rank: Sequence[int]) -> list[int]:
    """The shares nearest to exact ones with the same sum and none below its lower bound.

    Whoever is below the bound is raised to it; the units come from those furthest above their exact share, down to
    a common level, the last units (fewer than there are accounts) by rank.

    Raises:
        ValueError: the bounds add up to more than the shares.
    """
    need = sum(max(low - share, 0) for share, low in zip(shares, lower, strict=True))
    if sum(lower) > sum(shares):
        raise ValueError(f"the lower bounds add up to {sum(lower)}, the shares to {sum(shares)}")
    start = [max(share, low) for share, low in zip(shares, lower, strict=True)]

    def cut(level: int) -> list[int]:
        return [
            min(share, max(low, -((-e.numerator - level * e.denominator) // e.denominator)))
            for share, low, e in zip(start, lower, exact, strict=True)
        ]

    top = sum(start)
    high = top + 1  # nobody is cut there, everybody down to the bound at the low end
    low = -int(max(exact, default=Fraction(0))) - 2
    while high - low > 1:
        middle = (low + high) // 2
        if top - sum(cut(middle)) >= need:
            low = middle
        else:
            high = middle
    given = cut(low)
    back = top - sum(given) - need
    open_ = [i for i, share in enumerate(start) if given[i] < share]
    open_.sort(key=lambda i: (given[i] - exact[i], rank[i]))
    for i in open_[:back]:
        given[i] += 1
    return given


# ---------------------------------------------------------------- floors and ceilings


def _rounded(rows: Sequence[int], columns: Sequence[int], rank: Sequence[int]) -> list[list[int]]:
    """Every entry the floor or the ceiling of the exact one, at the least cost; no column is empty."""
    total = sum(rows)
    if len(columns) == 1:
        return [list(rows)]
    if len(columns) == 2:
        first = largest_remainder(columns[0], rows, rows, rank)
        return [first, [whole - part for whole, part in zip(rows, first, strict=True)]]
    common = gcd(total, *columns)
    period, parts = total // common, [units // common for units in columns]
    matrix = [[part * x // period for x in rows] for part in parts]
    classes: dict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(rows)), key=lambda i: rank[i]):
        classes[rows[i] % period].append(i)
    kinds = [_kind([part * rest % period for part in parts], len(members), period) for rest, members in classes.items()]
    demands = [units - sum(column) for units, column in zip(columns, matrix, strict=True)]
    counts = _Flow(kinds, demands, period).solve()
    for members, taken in zip(classes.values(), counts, strict=True):
        # Laid end to end around the members, no column meets a member twice and every member gets its number.
        starts = accumulate(taken, initial=0)
        for column, count, start in zip(matrix, taken, starts, strict=False):
            for place in range(start, start + count):
                column[members[place % len(members)]] += 1
    return matrix


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry within ``low..high``: a unit costs −T below ``mid``, ``slope`` up to ``end``, T above."""

    low: int
    mid: int
    end: int
    high: int
    slope: int


@dataclass(frozen=True, slots=True)
class _Row:
    supply: int
    entries: tuple[_Entry, ...]


def _kind(rests: Sequence[int], count: int, period: int) -> _Row:
    """Rows with the same remainders: from each column none to ``count`` units above the floors."""
    entries = tuple(_Entry(0, 0, count, count if rest else 0, period - 2 * rest) for rest in rests)
    return _Row(count * (sum(rests) // period), entries)


def _above(rows: Sequence[int], columns: Sequence[int], rank: Sequence[int], lower: Sequence[Sequence[int]]) -> Matrix:
    """The nearest matrix whose entries are not below their bounds."""
    total = sum(rows)
    order = sorted(range(len(rows)), key=lambda i: rank[i])
    bounds = [[low[i] for low in lower] for i in range(len(rows))]
    if any(sum(low) > units for low, units in zip(lower, columns, strict=True)) or any(
        sum(bound) > x for bound, x in zip(bounds, rows, strict=True)
    ):
        raise ValueError("the lower bounds add up to more than a row or a column")

    def entry(x: int, units: int, low: int) -> _Entry:
        floor, rest = divmod(units * x, total)
        return _Entry(low, floor, floor + (rest > 0), x, total - 2 * rest)

    wanted = [
        _Row(rows[i], tuple(entry(rows[i], u, low) for u, low in zip(columns, bounds[i], strict=True))) for i in order
    ]
    solved = _Flow(wanted, columns, total).solve()
    matrix = [[0] * len(rows) for _ in columns]
    for i, taken in zip(order, solved, strict=True):
        for b, units in enumerate(taken):
            matrix[b][i] = units
    forced = tuple(
        (i, b)
        for b, units in enumerate(columns)
        for i, x in enumerate(rows)
        if abs(matrix[b][i] * total - units * x) >= total
    )
    return Matrix(matrix, forced)


# ---------------------------------------------------------------- the flow


class _Flow:
    """Divides every row's supply among the columns at the least cost.

    Args:
        rows: supplies and costs. demands: what each column must get; the same sum.
        unit: what a unit costs beyond floor or ceiling.
    """

    def __init__(self, rows: Sequence[_Row], demands: Sequence[int], unit: int) -> None:
        self._rows = rows
        self._unit = unit
        self._width = len(demands)
        self._taken = [self._cheapest(row) for row in rows]
        sums = [sum(column) for column in zip(*self._taken, strict=True)] or [0] * self._width
        self._surplus = [got - wanted for got, wanted in zip(sums, demands, strict=True)]
        self._arcs: dict[tuple[int, int], list[Arc]] = {}

    def solve(self) -> list[list[int]]:
        """What each row takes of each column."""
        if not any(self._surplus):
            return self._taken
        self._arcs = {(a, b): [] for a in range(self._width) for b in range(self._width) if a != b}
        touching = [[pair for pair in self._arcs if b in pair] for b in range(self._width)]
        for k in range(len(self._rows)):
            for pair, cost in self._costs(k, self._arcs):
                self._arcs[pair].append((cost, k))
        for heap in self._arcs.values():
            heapify(heap)
        best = {pair: self._best(*pair) for pair in self._arcs}
        while any(self._surplus):
            path = self._path(best)
            for k, ends in self._augment(path).items():
                for pair, cost in self._costs(k, dict.fromkeys(pair for end in ends for pair in touching[end])):
                    heappush(self._arcs[pair], (cost, k))
            for pair in dict.fromkeys(pair for end in path for pair in touching[end]):
                best[pair] = self._best(*pair)
        return self._taken

    def _cheapest(self, row: _Row) -> list[int]:
        """A row's own first choice, whatever the columns need."""
        taken = [entry.low for entry in row.entries]
        left = row.supply - sum(taken)
        pieces = [
            piece
            for b, x in enumerate(row.entries)
            for piece in (
                (-self._unit, b, min(x.mid, x.high)),
                (x.slope, b, min(x.end, x.high)),
                (self._unit, b, x.high),
            )
        ]
        for _, b, until in sorted(pieces):
            if not left:
                break
            more = min(left, max(until - taken[b], 0))
            taken[b] += more
            left -= more
        return taken

    def _less(self, k: int, b: int) -> tuple[int, int] | None:
        """What taking a unit of column b from row k costs, and of how many units that is true."""
        x, taken = self._rows[k].entries[b], self._taken[k][b]
        if taken <= x.low:
            return None
        if taken > x.end:
            return -self._unit, taken - max(x.end, x.low)
        if taken > x.mid:
            return -x.slope, taken - max(x.mid, x.low)
        return self._unit, taken - x.low

    def _more(self, k: int, b: int) -> tuple[int, int] | None:
        """The same for giving row k a unit of column b."""
        x, taken = self._rows[k].entries[b], self._taken[k][b]
        if taken >= x.high:
            return None
        if taken < x.mid:
            return -self._unit, min(x.mid, x.high) - taken
        if taken < x.end:
            return x.slope, min(x.end, x.high) - taken
        return self._unit, x.high - taken

    def _cost(self, k: int, a: int, b: int) -> int | None:
        less, more = self._less(k, a), self._more(k, b)
        return None if less is None or more is None else less[0] + more[0]

    def _costs(self, k: int, pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int]]:
        """What row k's moves between some pairs of columns cost, where it can make them."""
        less = [self._less(k, a) for a in range(self._width)]
        more = [self._more(k, b) for b in range(self._width)]
        for pair in pairs:
            gives, takes = less[pair[0]], more[pair[1]]
            if gives is not None and takes is not None:
                yield pair, gives[0] + takes[0]

    def _best(self, a: int, b: int) -> Arc | None:
        """The row that moves a unit from column a to column b at the least cost; outdated entries go."""
        heap = self._arcs[a, b]
        while heap:
            cost, k = heap[0]
            if self._cost(k, a, b) == cost:
                return heap[0]
            heappop(heap)
        return None

    def _path(self, best: dict[tuple[int, int], Arc | None]) -> list[int]:
        """The cheapest way from a column with too much to one with too little (Bellman-Ford)."""
        far: list[int | None] = [0 if surplus > 0 else None for surplus in self._surplus]
        before = [-1] * self._width
        arcs = [(a, b, arc[0]) for (a, b), arc in best.items() if arc]
        for _ in range(self._width):
            changed = False
            for a, b, cost in arcs:
                start, end = far[a], far[b]
                if start is not None and (end is None or start + cost < end):
                    far[b], before[b], changed = start + cost, a, True
            if not changed:
                break
        ends = [(length, b) for b, length in enumerate(far) if length is not None and self._surplus[b] < 0]
        if not ends:
            raise ValueError("no matrix has these rows, columns and bounds")
        path = [min(ends)[1]]
        while before[path[-1]] >= 0:
            path.append(before[path[-1]])
        return path[::-1]

    def _augment(self, path: list[int]) -> dict[int, list[int]]:
        """Move as many units along the path as its price holds for; returns by row the columns it changed in."""
        amount = min(self._surplus[path[0]], -self._surplus[path[-1]])
        hops = [(self._arcs[a, b][0][1], a, b) for a, b in pairwise(path)]
        changed: dict[int, list[int]] = defaultdict(list)
        for k, a, b in hops:
            less, more = self._less(k, a), self._more(k, b)
            amount = min(amount, less[1] if less else 0, more[1] if more else 0)
            changed[k] += (a, b)
        for k, a, b in hops:
            self._taken[k][a] -= amount
            self._taken[k][b] += amount
        self._surplus[path[0]] -= amount
        self._surplus[path[-1]] += amount
        return changed
