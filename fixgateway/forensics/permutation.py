"""The permutation engine: how often chance gives at least the observed statistic.

The statistic is Σ w·r over blocks; under the null the returns r could as well stand in another order. What may be exchanged is
decided by the strata and the days: inside a stratum, days with equally many blocks are exchanged as wholes; a day without such
a partner has its blocks exchanged inside itself. Both w and r are whole numbers with Σ|w|·max|r| < 2^53, so every sum is exact,
whatever the order of additions, and "at least" is decided exactly.

Up to :data:`EXACT_UP_TO` distinct orders are all counted. Otherwise N random orders are drawn, p = (1 + k) / (N + 1), never 0. In
large problems each *exchange* (the units that change places with each other) has a pool of random orders and the observed one, and a
draw takes one of each pool: under the null the observed order is any of the pool's with the same chance, so that p is valid as it is.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from fixgateway.forensics.data import Progress, silent

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

EXACT_UP_TO = 1_000_000
MANTISSA = 1 << 53
POOL, POOL_SMALLEST = 1 << 15, 1 << 11
"""Orders in the pool of one exchange, the observed one included: the most, and the least in the largest problems."""

POOL_WORK = 1 << 30
"""Blocks times orders in all pools together, from which on pools are smaller."""

POOL_FROM = 1 << 28
"""Blocks times permutations from which pools are used."""

POOL_LEAST = 16
"""Fewest exchanges with which pools are used: with few, the observed orders would come together by chance."""

CELLS = 1 << 21
"""Numbers in memory at a time for one piece of work."""

BINS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the permutations showed.

    ``p`` is exact where ``exact``; ``smallest`` the smallest p of the space of permutations (its logarithm to ten where it
    is too small for a float, in ``log10_smallest``); ``p_floor`` the larger of it and 1/(N+1). ``drawn`` is N, 0 when all
    ``space`` orders were counted. ``edges`` and ``counts`` are the distribution, in units of the statistic.
    """  # noqa: E501

    observed: int
    p: Fraction
    exact: bool
    drawn: int
    smallest: float
    log10_smallest: float
    log10_space: float
    p_floor: float
    pool: int
    edges: list[float]
    counts: list[int]
    exchanges: int


def generator(seed: str, test: str) -> np.random.PCG64:
    """The random bits of one test: from the seed and the test's id alone."""
    number = int.from_bytes(hashlib.sha256(f"{seed}|{test}".encode()).digest(), "big")
    return np.random.PCG64(np.random.SeedSequence(number))


def within_days(seed: str, name: str, many: int) -> npt.NDArray[np.uint64]:
    """A random key for each block, by which :func:`exchanges` orders the blocks of a day.

    In the order of the file, days that all go the same way (a winner, then a loser) would look like each other whatever is
    exchanged: what happens inside a day could never be seen.
    """  # noqa: E501
    keys: npt.NDArray[np.uint64] = generator(seed, f"{name}|days").random_raw(many)
    return keys


def exchanges(stratum: Ints, day: Ints, within: npt.NDArray[np.uint64] | None = None) -> list[Ints]:
    """Which blocks change places: one array of units x blocks for each exchange.

    A day's blocks keep one order, by ``within`` (their own without it), which must not depend on outcomes.
    """
    order = np.lexsort((np.arange(len(day)) if within is None else within, day, stratum))
    found: list[Ints] = []
    bounds = np.flatnonzero(np.diff(stratum[order])) + 1
    for part in np.split(order, bounds):
        days = np.split(part, np.flatnonzero(np.diff(day[part])) + 1)
        by_size: dict[int, list[Ints]] = {}
        for one in days:
            by_size.setdefault(len(one), []).append(one)
        for size in sorted(by_size):
            if len(by_size[size]) > 1:
                found.append(np.stack(by_size[size]))
            elif size > 1:
                found.append(by_size[size][0].reshape(-1, 1))
    return found


def test(
    w: Ints, r: Ints, groups: Sequence[Ints], n: int, seed: str, name: str, progress: Progress = silent  # noqa: PT028
) -> Outcome:
    """How often an order of the returns gives at least Σ w·r.

    Args:
        w, r: whole numbers by block, Σ|w|·max|r| below 2^53.
        groups: the exchanges, see :func:`exchanges`.
        n: random orders to draw where there are too many to count.
        seed: text of the seed; with ``name``, the test's id, it decides the random orders.
        progress: told how far the work is.

    Raises:
        ValueError: the numbers are too large to be added exactly.
    """
    if _size(w) * _largest(r) >= MANTISSA:
        raise ValueError("weights and returns are too large to be added exactly")
    observed = int(w @ r)
    live = [_Exchange(w[units], r[units]) for units in groups]
    live = [x for x in live if x.moves()]
    fixed = observed - sum(x.observed for x in live)
    spaces = [x.log10_orders() for x in live]
    if sum(spaces) <= math.log10(EXACT_UP_TO) + 1e-9 and math.prod(x.orders() for x in live) <= EXACT_UP_TO:
        return _counted(live, fixed, observed)
    log_smallest = sum(x.log10_smallest() for x in live)
    rng = generator(seed, name)
    pool = _pool_of(n, len(w), len(live))
    draws = _pooled(live, rng, n, pool) if pool else _direct(live, rng, n)
    tally = _Tally(observed)
    for sums in draws:
        tally.add(sums + fixed)
        progress(name, tally.drawn / n)
    smallest = 10.0**log_smallest if log_smallest > -300 else 0.0
    return Outcome(
        observed, Fraction(1 + tally.reached, n + 1), False, n, smallest, log_smallest, sum(spaces),
        max(1 / (n + 1), smallest), pool, tally.edges.tolist(), tally.counts.tolist(), len(live),
    )  # fmt: skip


def _pool_of(n: int, blocks: int, live: int) -> int:
    """Orders in each pool; 0 where every order is drawn directly."""
    if n * blocks <= POOL_FROM or live < POOL_LEAST or n <= POOL:
        return 0
    return max(POOL_SMALLEST, min(POOL, 1 << max(0, (POOL_WORK // blocks).bit_length() - 1)))


def _size(w: Ints) -> int:
    return sum(abs(int(x)) for x in w) if len(w) < 1000 else int(np.abs(w).astype(np.float64).sum() * (1 + 1e-9)) + 1


def _largest(r: Ints) -> int:
    return int(np.abs(r).max()) if len(r) else 0


class _Exchange:
    """Units that change places: ``w`` and ``r`` are units x blocks of a unit."""

    def __init__(self, w: Ints, r: Ints) -> None:
        self.w, self.r = w.astype(np.float64), r.astype(np.float64)
        self.observed = int((self.w * self.r).sum())
        _, self._of_w, self._many_w = np.unique(w, axis=0, return_inverse=True, return_counts=True)
        _, self._of_r, self._many_r = np.unique(r, axis=0, return_inverse=True, return_counts=True)

    def moves(self) -> bool:
        """Whether an exchange can change the sum."""
        return len(self._many_w) > 1 and len(self._many_r) > 1

    def _swapped(self) -> bool:
        """Whether orders of the weights are fewer than orders of the returns; their sums are the same."""
        return _log_ties(self._many_w) > _log_ties(self._many_r)

    def log10_orders(self) -> float:
        """The logarithm of the number of distinct orders."""
        ties = max(_log_ties(self._many_w), _log_ties(self._many_r))
        return (math.lgamma(len(self.w) + 1) - ties) / math.log(10)

    def orders(self) -> int:
        """The number of distinct orders."""
        many = self._many_w if self._swapped() else self._many_r
        return math.factorial(len(self.w)) // math.prod(math.factorial(int(m)) for m in many)

    def sums(self) -> Floats:
        """The sum of every distinct order."""
        fixed, moved, many, of = self.w, self.r, self._many_r, self._of_r
        if self._swapped():
            fixed, moved, many, of = self.r, self.w, self._many_w, self._of_w
        kinds = moved[[int(np.flatnonzero(of.ravel() == kind)[0]) for kind in range(len(many))]]
        values = fixed @ kinds.T
        left = many.astype(np.int16).reshape(1, -1)
        found = np.zeros(1)
        for place in range(len(fixed)):
            parts, sums = [], []
            for kind in range(len(many)):
                some = left[:, kind] > 0
                rest = left[some].copy()
                rest[:, kind] -= 1
                parts.append(rest)
                sums.append(found[some] + values[place, kind])
            left, found = np.concatenate(parts), np.concatenate(sums)
        return found

    def log10_smallest(self) -> float:
        """The logarithm of the share of orders with the largest possible sum.

        Orders with the same table of how many units of each kind of weight get each kind of return have the same sum; there
        are Π n_i! · Π m_j! / Π N_ij! of them.
        """  # noqa: E501
        units = len(self.w)
        if self.w.shape[1] == 1:
            best = np.empty(units, dtype=np.int64)
            best[np.argsort(self.w[:, 0], kind="stable")] = np.argsort(self.r[:, 0], kind="stable")
        else:
            best = linear_sum_assignment(self.w @ self.r.T, maximize=True)[1]
        pairs = self._of_w.ravel() * len(self._many_r) + self._of_r.ravel()[best]
        table = np.unique(pairs, return_counts=True)[1]
        logs = _log_ties(self._many_w) + _log_ties(self._many_r) - _log_ties(table) - math.lgamma(units + 1)
        return min(0.0, logs / math.log(10))

    def random(self, rng: np.random.PCG64, many: int) -> Floats:
        """The sums of ``many`` random orders."""
        units, length = self.w.shape
        found = np.empty(many)
        step = max(1, CELLS // units)
        gains = (self.w @ self.r.T).ravel() if length > 1 else np.empty(0)
        rows = np.arange(units) * units
        for start in range(0, many, step):
            size = min(step, many - start)
            places = random_orders(rng, size, units)
            if length == 1:
                found[start : start + size] = self.r[:, 0].take(places, mode="clip") @ self.w[:, 0]
            else:
                found[start : start + size] = gains.take(places + rows, mode="clip").sum(axis=1)
        return found


def _log_ties(many: npt.NDArray[np.int64]) -> float:
    return float(sum(math.lgamma(int(m) + 1) for m in many if m > 1))


def random_orders(rng: np.random.PCG64, many: int, units: int) -> Ints:
    """``many`` random orders of 0..units-1, one a row.

    Each unit draws 64 random bits whose lowest are replaced by its number, and the draws are sorted. Two draws that are
    equal in the remaining bits (one in 2^50 for 10,000 units) would keep their order.
    """
    mask = (1 << max(1, (units - 1).bit_length())) - 1
    keys = rng.random_raw(many * units).reshape(many, units)
    keys &= np.uint64(~mask & (1 << 64) - 1)
    keys |= np.arange(units, dtype=np.uint64)
    keys.sort(axis=1)
    keys &= np.uint64(mask)
    return keys.view(np.int64)


def _direct(live: Sequence[_Exchange], rng: np.random.PCG64, n: int) -> Iterator[Floats]:
    """Independent random orders of everything, some at a time."""
    step = max(256, min(n, CELLS // max(1, max(x.w.size for x in live))))
    for start in range(0, n, step):
        size = min(step, n - start)
        sums = np.zeros(size)
        for x in live:
            sums += x.random(rng, size)
        yield sums


def _pooled(live: Sequence[_Exchange], rng: np.random.PCG64, n: int, pool: int) -> Iterator[Floats]:
    """Draws that take one order from the ``pool`` orders of each exchange, some at a time."""
    pools = [np.concatenate(([x.observed], x.random(rng, pool - 1))) for x in live]
    step = 1 << 16
    for start in range(0, n, step):
        size = min(step, n - start)
        sums, some = np.zeros(size), np.empty(size)
        for orders in pools:
            picks = rng.random_raw((size + 3) // 4).view(np.uint16)[:size] & np.uint16(pool - 1)
            np.take(orders, picks.astype(np.intp), out=some, mode="clip")
            sums += some
        yield sums


def _counted(live: Sequence[_Exchange], fixed: int, observed: int) -> Outcome:
    """Every distinct order, counted."""
    sums = np.full(1, float(fixed))
    for x in sorted(live, key=lambda x: x.orders()):
        sums = np.add.outer(sums, x.sums()).ravel()
    reached = int((sums >= observed).sum())
    smallest = int((sums == sums.max()).sum()) / len(sums)
    tally = _Tally(observed)
    tally.add(sums)
    log = math.log10(len(sums))
    return Outcome(
        observed, Fraction(reached, len(sums)), True, 0, smallest, math.log10(smallest), log, smallest, 0,
        tally.edges.tolist(), tally.counts.tolist(), len(live),
    )  # fmt: skip


class _Tally:
    """How many sums reached the observed one, and their distribution."""

    def __init__(self, observed: int) -> None:
        self.observed = observed
        self.reached = self.drawn = 0
        self.edges = np.empty(0)
        self.counts = np.zeros(BINS, dtype=np.int64)

    def add(self, sums: Floats) -> None:
        """Count some sums; the first ones decide the bins, later ones beyond them fall into the outermost."""
        if not len(self.edges):
            low, high = float(min(sums.min(), self.observed)), float(max(sums.max(), self.observed))
            margin = (high - low) * 0.05 or 1.0
            self.edges = np.linspace(low - margin, high + margin, BINS + 1)
        self.reached += int((sums >= self.observed).sum())
        self.drawn += len(sums)
        self.counts += np.histogram(np.clip(sums, self.edges[0], self.edges[-1]), self.edges)[0]
