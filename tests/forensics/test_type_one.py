"""False alarms measured: worlds in which nobody is favoured, and how often each test says otherwise.

Every world clusters what may be clustered: days have one to four blocks whose returns share the day's move and whose
deviations share the day's mood, twenty accounts share blocks and gain what others lose, and strategies honestly
differ in return, in shares, in lateness and in exceptions. Measured on the arrays that the tests' ``run`` builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from reviews import Row, block, review
from scipy import stats

from fixgateway.forensics import betting, permutation, run
from fixgateway.forensics.joint import permuted
from fixgateway.forensics.rates import poisson_binomial, two_sided
from fixgateway.forensics.signflip import day_sums, sign_flip
from fixgateway.forensics.stepdown import generator

FEW, MANY = 200, 10_000
PERMUTATIONS = 199
"""p <= 0.05 is then one of exactly 10 in 200, p <= 0.01 one of 2."""
ACCOUNTS = 20

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """Blocks of a year without favouritism, day by day; strategy is the stratum."""

    day: Ints
    stratum: Ints
    returns: Ints
    deviations: Floats
    shares: Floats
    late: Ints
    exceptions: Ints
    trader: Ints


def world(rng: np.random.Generator, days: int = 30) -> World:
    """One to four blocks a day in two strategies; the second is better, favours the group and is sloppier, honestly."""
    per_day = rng.choice([1, 2, 4], size=days, p=[0.4, 0.4, 0.2])
    day = np.repeat(np.arange(days), per_day)
    n = len(day)
    second = np.repeat(rng.random(days) < 0.5, per_day)
    move = rng.standard_t(4, days)[day] * 0.02
    returns = move + rng.standard_t(4, n) * 0.01 + 0.02 * second
    mood = rng.standard_t(3, (days, ACCOUNTS))[day]
    raw = mood + rng.standard_t(3, (n, ACCOUNTS))
    deviations = (raw - raw.mean(axis=1, keepdims=True)) * (rng.random(n) < 0.7)[:, None]
    sloppy = rng.random(days)[day]
    return World(
        day,
        second.astype(np.int64),
        np.rint(returns * (1 << 20)).astype(np.int64),
        deviations,
        0.2 + 0.4 * second + 0.1 * mood[:, 0] / 10 + 0.05 * rng.random(n),
        (sloppy > 0.7 - 0.3 * second).astype(np.int64),
        ((sloppy > 0.8 - 0.2 * second) & (rng.random(n) < 0.8)).astype(np.int64),
        rng.integers(0, 4, n),
    )


def favouritism_with_statement(rng: np.random.Generator, seed: str) -> float:
    """a1: the group's deviation against returns."""
    made = world(rng)
    weights = np.rint(made.deviations[:, :3].sum(axis=1) * 1e6).astype(np.int64)
    return _engine(made, weights, seed)


def favouritism_without_statement(rng: np.random.Generator, seed: str) -> float:
    """a2: the group's share less its stratum's mean; the better strategy has the larger shares."""
    made = world(rng)
    means = np.array([made.shares[made.stratum == s].mean() if (made.stratum == s).any() else 0 for s in (0, 1)])
    return _engine(made, np.rint((made.shares - means[made.stratum]) * 1e6).astype(np.int64), seed)


def _engine(made: World, weights: Ints, seed: str) -> float:
    within = permutation.within_days(seed, "null", len(made.day))
    groups = permutation.exchanges(made.stratum, made.day, within)
    return float(permutation.test(weights, made.returns, groups, PERMUTATIONS, seed, "null").p)


def deviation(rng: np.random.Generator, seed: str) -> float:
    """b: any account leaning one way; whole days are flipped."""
    made = world(rng)
    table = day_sums(made.deviations, made.day)
    return float(sign_flip(table, generator(seed, "b"), PERMUTATIONS).p.min())


def timestamps(rng: np.random.Generator, seed: str) -> float:
    """c: lateness against return and against the favoured having won."""
    made = world(rng)
    won = made.deviations[:, 0] * made.returns > 0
    weights = np.column_stack([made.returns, won.astype(np.int64)])
    return _joint(made, weights, made.late, (True, False), seed)


def remainder_ties(rng: np.random.Generator, seed: str) -> float:
    """d, draws of ties: every account's wins are a sum of unequal chances."""
    least = 1.0
    for _ in range(ACCOUNTS):
        chances = rng.choice([0.25, 1 / 3, 0.5, 2 / 3], size=60)
        least = min(least, two_sided(*poisson_binomial(chances, int((rng.random(60) < chances).sum()))))
    return min(1.0, least * ACCOUNTS)


def dispersion(rng: np.random.Generator, seed: str) -> float:
    """e (and the extras of d): any account gaining or losing by its deviations."""
    made = world(rng)
    return _joint(made, made.deviations, made.returns, (True,) * ACCOUNTS, seed)


def exceptions(rng: np.random.Generator, seed: str) -> float:
    """f: any trader or account with more exceptions than the rest."""
    made = world(rng)
    units = np.column_stack([made.trader[:, None] == np.arange(4), made.deviations > 0.5])
    return _joint(made, units.astype(np.float64), made.exceptions, (False,) * units.shape[1], seed)


def round_trips(rng: np.random.Generator, seed: str) -> float:
    """g, and f's "who benefited": one share against returns, one-sided."""
    made = world(rng)
    return _joint(made, made.shares[:, None], made.returns, (False,), seed)


def _joint(made: World, weights: Floats | Ints, outcome: Ints, sides: tuple[bool, ...], seed: str) -> float:
    found = permuted(weights, outcome, made.stratum, made.day, sides, (seed,), PERMUTATIONS)
    return 1.0 if found is None else float(found.result.p.min())


NULLS: Mapping[str, Callable[[np.random.Generator, str], float]] = {
    "a1": favouritism_with_statement,
    "a2": favouritism_without_statement,
    "b": deviation,
    "c": timestamps,
    "d": remainder_ties,
    "e": dispersion,
    "f": exceptions,
    "g": round_trips,
}
DISCRETE = {"c", "d", "f"}
"""Tests of yes/no data: equal sums are many, so false alarms may be fewer than the level, never more."""


def alarms(name: str, runs: int) -> Floats:
    """The p-values of so many worlds without favouritism."""
    rng = np.random.default_rng(sum(map(ord, name)))
    return np.array([NULLS[name](rng, f"{name}{k}") for k in range(runs)])


def check(name: str, p: Floats, confidence: float) -> None:
    """False alarms at 5% and 1% are within the binomial bounds of the level (below the upper one if discrete)."""
    for level in (0.05, 0.01):
        low, high = stats.binom.interval(confidence, len(p), level)
        seen = int((p <= level + 1e-12).sum())
        assert seen <= high, f"{name}: {seen} of {len(p)} at {level}"
        assert name in DISCRETE or seen >= low, f"{name}: only {seen} of {len(p)} at {level}"


@pytest.mark.parametrize("name", NULLS)
def test_false_alarms_few_runs(name: str) -> None:
    check(name, alarms(name, FEW), 0.9999)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NULLS)
def test_false_alarms_ten_thousand_runs(name: str) -> None:
    check(name, alarms(name, MANY), 0.99)


def naive_rows(rng: np.random.Generator) -> float:
    """A t-test of rows: the returns of the favoured accounts' rows against the others', all rows as independent."""
    returns = rng.standard_t(4, 100)
    eagerness = np.where(rng.random((100, 2)) < 0.5, 0.9, 0.1)[:, [0] * 5 + [1] * 15]
    takes_part = rng.random((100, 20)) < eagerness
    rows = np.broadcast_to(returns[:, None], takes_part.shape)
    favoured, others = rows[:, :5][takes_part[:, :5]], rows[:, 5:][takes_part[:, 5:]]
    return float(stats.ttest_ind(favoured, others, equal_var=False).pvalue)


def test_a_row_level_test_cries_wolf() -> None:
    """Rows of one block are not independent: why all tests here work on blocks and days."""
    rng = np.random.default_rng(7)
    p = np.array([naive_rows(rng) for _ in range(FEW)])
    assert (p <= 0.05).mean() > 0.15


def unclustered(rng: np.random.Generator, seed: str) -> float:
    """a1 as if every block were a day of its own, which these worlds are not."""
    made = world(rng)
    weights = np.rint(made.deviations[:, 0] * 1e6).astype(np.int64)
    groups = permutation.exchanges(made.stratum, np.arange(len(made.day)))
    return float(permutation.test(weights, made.returns, groups, PERMUTATIONS, seed, "null").p)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_the_worlds_catch_blocks_taken_as_independent() -> None:
    rng = np.random.default_rng(8)
    p = np.array([unclustered(rng, str(k)) for k in range(2_000)])
    assert (p <= 0.05).mean() > 0.07


def watched(rng: np.random.Generator, name: str, days: int) -> float:
    """The highest wealth the monitor ever shows in a world without favouritism."""
    made = world(rng, days)
    blocks = (
        betting.Observation(f"{made.day[b]:05d}", str(made.stratum[b]), f"{name}-{b}", float(made.deviations[b, 0]),
                            float(made.returns[b]))
        for b in range(len(made.day))
    )  # fmt: skip
    return max(step.highest for step in betting.follow(blocks, "null"))


def _ville(runs: int, days: int, confidence: float) -> None:
    rng = np.random.default_rng(9)
    highest = np.array([watched(rng, str(k), days) for k in range(runs)])
    for level in (betting.AMBER, betting.RED):
        bound = stats.binom.interval(confidence, runs, 1 / level)[1]
        assert (highest >= level).sum() <= bound


def test_monitor_false_alarms_few_runs() -> None:
    _ville(FEW, 100, 0.9999)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_monitor_false_alarms_ten_thousand_histories_of_many_looks() -> None:
    _ville(MANY, 250, 0.99)


# ---------------------------------------------------------------- through the public door

NAMES = ("PROP", "HEDGE", "A", "B", "C", "D")
CUTS = ("a1", "a1/own", "b", "c", "d", "e", "f")


def blotter_of(rng: np.random.Generator) -> list[list[Row]]:
    """A world as a blotter: quantities around 100 an account that add up, late and excepted blocks, four traders."""
    made = world(rng, 40)
    blocks = []
    for b in range(len(made.day)):
        moved = np.clip(np.rint(made.deviations[b, : len(NAMES)] * 5), -15, 15).astype(int)
        moved[-1] -= moved.sum()
        day = (date(2026, 1, 5) + timedelta(days=int(made.day[b]))).isoformat()
        blocks.append(
            block(
                b,
                {name: 100 + int(moved[k]) for k, name in enumerate(NAMES)},
                dict.fromkeys(NAMES, 300),
                close=max(0.01, round(100 * (1 + float(made.returns[b]) / (1 << 20)), 2)),
                day=day,
                strategy=("value", "momentum")[made.stratum[b]],
                trader=f"T{made.trader[b]}",
                exception_code="MARKET" if made.exceptions[b] else "",
                allocated_at=f"{day}T{'18' if made.late[b] else '15'}:10:00Z",
            )
        )
    return blocks


def reviewed_null(path: Path, rng: np.random.Generator, seed: str) -> dict[str, float]:
    """The p-values of a whole review of such a blotter; 1 where a test could not be made."""
    made = review(path, blotter_of(rng), "[test]\npermutations = 199\n", seed)
    by_id = {finding.id: finding for finding in run.reviewed(made).findings}
    return {cut: 1.0 if (p := by_id[cut].p) is None else p for cut in CUTS}


def _whole_reviews(path: Path, runs: int, confidence: float) -> None:
    rng = np.random.default_rng(20)
    found = [reviewed_null(path, rng, str(k)) for k in range(runs)]
    for cut in CUTS:
        p = np.array([one[cut] for one in found])
        for level in (0.05, 0.01):
            seen = int((p <= level + 1e-12).sum())
            assert seen <= stats.binom.interval(confidence, runs, level)[1], f"{cut}: {seen} of {runs} at {level}"
        assert cut == "d" or (p < 1).mean() >= 0.4, f"{cut} was not tested"


def test_whole_reviews_few(tmp_path: Path) -> None:
    _whole_reviews(tmp_path, 10, 0.9999)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_whole_reviews(tmp_path: Path) -> None:
    _whole_reviews(tmp_path, 1_000, 0.995)
