"""The permutation engine against enumeration by hand, scipy and its own two ways of drawing."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fixgateway.forensics import permutation
from fixgateway.forensics.permutation import exchanges, random_orders

Ints = npt.NDArray[np.int64]


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def chance(w: Ints, r: Ints, stratum: Ints, day: Ints, n: int = 99_999, seed: str = "1") -> permutation.Outcome:
    return permutation.test(w, r, exchanges(stratum, day), n, seed, "t")


def by_hand(w: Ints, r: Ints, orders: list[tuple[int, ...]]) -> tuple[Fraction, float]:
    """The exact p and the smallest p over these orders of the returns."""
    sums = [int(w @ r[list(order)]) for order in orders]
    observed = int(w @ r)
    reached = sum(total >= observed for total in sums)
    return Fraction(reached, len(sums)), sums.count(max(sums)) / len(sums)


@pytest.mark.parametrize("seed", range(8))
def test_one_stratum_is_enumerated_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, r = rng.integers(-3, 4, 7), rng.integers(-2, 3, 7)
    found = chance(w, r, np.zeros(7, dtype=np.int64), np.arange(7))
    p, smallest = by_hand(w, r, list(itertools.permutations(range(7))))
    assert (found.exact, found.p) == (True, p)
    assert found.smallest == pytest.approx(smallest)
    assert found.p_floor == found.smallest


@pytest.mark.parametrize("seed", range(6))
def test_whole_days_and_lone_days_are_enumerated_exactly(seed: int) -> None:
    """Days of 2, 2, 2 blocks change places as wholes; the one day of 3 inside itself."""
    rng = np.random.default_rng(seed)
    day = ints(1, 1, 2, 2, 3, 3, 4, 4, 4)
    w, r = rng.integers(-9, 10, 9), rng.integers(-9, 10, 9)
    found = chance(w, r, np.zeros(9, dtype=np.int64), day)
    orders = []
    for days in itertools.permutations(range(3)):
        head = [2 * d + k for d in days for k in (0, 1)]
        orders += [(*head, *tail) for tail in itertools.permutations((6, 7, 8))]
    p, smallest = by_hand(w, r, orders)
    assert (found.exact, found.p) == (True, p)
    assert found.smallest == pytest.approx(smallest)


def test_strata_do_not_mix() -> None:
    w, r = ints(1, 0, 0, 0, 1, 0, 0, 0), ints(4, 3, 2, 1, 80, 70, 60, 50)
    found = chance(w, r, ints(0, 0, 0, 0, 1, 1, 1, 1), np.arange(8))
    assert found.p == Fraction(1, 16)


def test_published_smallest_p() -> None:
    """50 blocks, 25 wins: 1/C(50,25) = 7.9e-15; 10 blocks 0.004; 8 blocks 0.014."""
    for blocks in (50, 10, 8):
        w = np.repeat([1, -1], blocks // 2).astype(np.int64)
        found = chance(w, np.arange(blocks)[::-1].copy(), np.zeros(blocks, dtype=np.int64), np.arange(blocks), 999)
        assert found.smallest == pytest.approx(1 / math.comb(blocks, blocks // 2))
    assert 1 / math.comb(50, 25) == pytest.approx(7.9e-15, rel=0.01)


def test_p_is_never_zero_and_the_floor_is_said() -> None:
    w, r = np.arange(40), np.arange(40)
    found = chance(w, r, np.zeros(40, dtype=np.int64), np.arange(40), 999)
    assert (found.exact, found.drawn, found.p, found.p_floor) == (False, 999, Fraction(1, 1000), 1 / 1000)


def test_one_stratum_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    w, r = rng.integers(-1000, 1000, 30), rng.integers(-1000, 1000, 30)
    w = w + r // 3
    found = chance(w, r, np.zeros(30, dtype=np.int64), np.arange(30))
    other = stats.permutation_test(
        (w.astype(float),), lambda x: float(x @ r), permutation_type="pairings", alternative="greater",
        n_resamples=50_000, rng=np.random.default_rng(4),
    )  # fmt: skip
    p = float(found.p)
    assert abs(p - other.pvalue) < 5 * math.sqrt(p * (1 - p) * (1 / 99_999 + 1 / 50_000)) + 2e-5
    assert 0.0005 < p < 0.2


def test_random_orders_are_orders_and_even() -> None:
    orders = random_orders(np.random.PCG64(1), 24_000, 4)
    kinds, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(kinds) == 24
    assert stats.chisquare(counts).pvalue > 1e-6


def test_pools_give_the_same_chance_as_direct_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    stratum, day = np.repeat(np.arange(40), 8), np.arange(320)
    r = rng.integers(-5000, 5000, 320)
    w = rng.integers(-5000, 5000, 320) + r // 8
    direct = chance(w, r, stratum, day, 100_000)
    monkeypatch.setattr(permutation, "POOL_FROM", 0)
    pooled = chance(w, r, stratum, day, 100_000)
    assert (direct.pool, pooled.pool) == (0, permutation.POOL)
    p = float(direct.p)
    assert 0.001 < p < 0.2
    assert abs(p - float(pooled.p)) < 6 * math.sqrt(p / 100_000) + 0.02 * p


def test_the_same_seed_gives_the_same_outcome() -> None:
    rng = np.random.default_rng(6)
    w, r = rng.integers(-99, 99, 60), rng.integers(-99, 99, 60)
    stratum = np.zeros(60, dtype=np.int64)
    one, same, other = (chance(w, r, stratum, np.arange(60), 9_999, seed) for seed in ("a", "a", "b"))
    assert one == same
    assert one.p != other.p


def test_equal_sums_count_exactly() -> None:
    """Sums that are equal count as reached, in whatever order they are added."""
    w, r = np.full(30, 3), np.tile([1, 2, 3], 10)
    found = permutation.test(w, r, exchanges(np.zeros(30, dtype=np.int64), np.arange(30)), 999, "1", "t")
    assert (found.p, found.smallest) == (1, 1.0)


def test_numbers_that_cannot_be_added_exactly_are_refused() -> None:
    big = ints(1 << 40, -(1 << 40))
    with pytest.raises(ValueError, match="too large"):
        chance(big, ints(1 << 20, 0), ints(0, 0), ints(0, 1))


def test_the_distribution_holds_every_order() -> None:
    w, r = np.arange(40), np.arange(40)[::-1].copy()
    found = chance(w, r, np.zeros(40, dtype=np.int64), np.arange(40), 20_000)
    assert sum(found.counts) == 20_000
    assert len(found.edges) == len(found.counts) + 1
    assert found.edges[0] <= found.observed <= found.edges[-1]
