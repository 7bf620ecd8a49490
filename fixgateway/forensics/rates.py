"""Frequencies compared: Fisher, exact rates against the rest, shrinkage for ranking, funnel limits.

All of these take blocks as independent. They are companions and triage, not what a verdict rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import optimize, special, stats

from fixgateway.forensics.stepdown import Floats, Ints


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Two groups' hits, compared. ``odds_ratio`` is None where a zero makes it infinite or undefined."""

    hits: int
    trials: int
    other_hits: int
    other_trials: int
    p_greater: float
    p_two_sided: float
    odds_ratio: float | None
    difference: float
    interval: tuple[float, float]

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "hits": self.hits, "trials": self.trials, "other_hits": self.other_hits,
            "other_trials": self.other_trials, "p_greater": self.p_greater, "p_two_sided": self.p_two_sided,
            "odds_ratio": self.odds_ratio, "difference": self.difference, "interval_95": list(self.interval),
        }  # fmt: skip


def two_by_two(hits: int, trials: int, other_hits: int, other_trials: int) -> TwoByTwo:
    """Fisher's exact test of ``hits`` of ``trials`` against the others, sample odds ratio, Newcombe's interval."""
    misses, other_misses = trials - hits, other_trials - other_hits
    table = [[hits, misses], [other_hits, other_misses]]
    bottom = misses * other_hits
    return TwoByTwo(
        hits, trials, other_hits, other_trials,
        _positive(stats.fisher_exact(table, alternative="greater").pvalue),
        _positive(stats.fisher_exact(table).pvalue),
        hits * other_misses / bottom if bottom else None,
        _share(hits, trials) - _share(other_hits, other_trials),
        newcombe(hits, trials, other_hits, other_trials),
    )  # fmt: skip


def newcombe(hits: int, trials: int, other_hits: int, other_trials: int) -> tuple[float, float]:
    """95% interval of the difference of two shares (Newcombe 1998, method 10, without continuity correction)."""
    if not trials or not other_trials:
        return -1.0, 1.0
    share, other = hits / trials, other_hits / other_trials
    low, high = wilson(hits, trials)
    other_low, other_high = wilson(other_hits, other_trials)
    below = sqrt((share - low) ** 2 + (other_high - other) ** 2)
    above = sqrt((high - share) ** 2 + (other - other_low) ** 2)
    return share - other - below, share - other + above


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    z = float(stats.norm.ppf(0.975))
    share = hits / trials
    middle = share + z * z / (2 * trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    below = 1 + z * z / trials
    return (middle - half) / below, (middle + half) / below


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit's (trader's, account's, code's, approver's) events against everybody else's.

    Attributes:
        events: how many; exposure: chances it had (blocks, or partial fills).
        p: exact two-sided, given the sum of events (binomial with the exposures' share).
        shrunken: ratio to the overall rate after Gamma-Poisson shrinkage; low and high bound 95% of its posterior.
    """

    name: str
    events: int
    exposure: int
    expected: float
    p: float
    shrunken: float
    low: float
    high: float

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "name": self.name, "events": self.events, "exposure": self.exposure, "expected": self.expected,
            "rate": _share(self.events, self.exposure), "p": self.p, "shrunken_ratio": self.shrunken,
            "interval_95": [self.low, self.high],
        }  # fmt: skip


def rates_against_rest(counted: Mapping[str, tuple[int, int]]) -> list[Rate]:
    """Every unit's (events, exposure) against the rest, the highest shrunken ratio first.

    Given the total of events, a unit's share of them is binomial with its share of the exposure if all have the same
    rate (the exact comparison of two Poisson rates). Small units are pulled towards the overall rate for the ranking.
    """
    names = sorted(counted)
    events = np.array([counted[name][0] for name in names], np.int64)
    exposure = np.array([counted[name][1] for name in names], np.int64)
    total, chances = int(events.sum()), int(exposure.sum())
    if not total or not chances:
        return []
    expected = exposure * (total / chances)
    shape = shrinkage_shape(events, expected.astype(np.float64))
    found = []
    for name, seen, chance, awaited in zip(names, events.tolist(), exposure.tolist(), expected.tolist(), strict=True):
        p = _positive(stats.binomtest(seen, total, chance / chances).pvalue) if chance < chances else 1.0
        low, middle, high = _posterior(seen, awaited, shape)
        found.append(Rate(name, seen, chance, awaited, p, middle, low, high))
    return sorted(found, key=lambda rate: (-rate.shrunken, rate.name))


_LARGEST_SHAPE = 1e6
"""From here on the units do not differ more than chance makes them: all shrink to the overall rate."""


def shrinkage_shape(events: Ints, expected: Floats) -> float:
    """Shape of the Gamma prior with mean 1 of the units' rate ratios, by marginal likelihood (negative binomial)."""
    counts = np.asarray(events, np.float64)
    kept = expected > 0
    counts, awaited = counts[kept], expected[kept]

    def unlikeliness(log_shape: float) -> float:
        shape = np.exp(log_shape)
        terms = (
            special.gammaln(counts + shape) - special.gammaln(shape)
            + shape * np.log(shape / (shape + awaited)) + counts * np.log(awaited / (shape + awaited))
        )  # fmt: skip
        return -float(terms.sum())

    found = optimize.minimize_scalar(unlikeliness, bounds=(np.log(1e-2), np.log(_LARGEST_SHAPE)), method="bounded")
    return float(np.exp(found.x))


def _posterior(events: int, expected: float, shape: float) -> tuple[float, float, float]:
    top, bottom = events + shape, expected + shape
    low, high = stats.gamma.ppf([0.025, 0.975], top, scale=1 / bottom)
    return float(low), top / bottom, float(high)


def funnel(rate: float, exposures: Sequence[int]) -> list[dict[str, float]]:
    """Limits of a funnel plot: by exposure the 95% and 99.8% range of a rate that is the overall one."""
    limits = []
    for exposure in sorted(set(exposures) - {0}):
        cuts = stats.poisson.ppf([0.001, 0.025, 0.975, 0.999], rate * exposure) / exposure
        keys = ("low_998", "low_95", "high_95", "high_998")
        limits.append({"exposure": float(exposure)} | dict(zip(keys, map(float, cuts), strict=True)))
    return limits


def poisson_binomial(chances: Floats, seen: int) -> tuple[float, float]:
    """P(X <= seen) and P(X >= seen) of a sum of independent yes/no events with these chances, by exact convolution.

    Beyond :data:`CONVOLVED` events the refined normal (with skewness) takes over.
    """
    if len(chances) > CONVOLVED:
        return _poisson_binomial_normal(chances, seen)
    weights = np.ones(1)
    for chance in chances:
        grown = np.zeros(len(weights) + 1)
        grown[:-1] = weights * (1 - chance)
        grown[1:] += weights * chance
        weights = grown
    return min(1.0, float(weights[: seen + 1].sum())), min(1.0, float(weights[seen:].sum()))


CONVOLVED = 2_000
"""Events up to which the exact distribution is computed."""


def _poisson_binomial_normal(chances: Floats, seen: int) -> tuple[float, float]:
    mean, variance = float(chances.sum()), float((chances * (1 - chances)).sum())
    if variance == 0:
        return float(seen >= mean), float(seen <= mean)
    skew = float((chances * (1 - chances) * (1 - 2 * chances)).sum()) / variance**1.5

    def below(count: float) -> float:
        z = (count + 0.5 - mean) / sqrt(variance)
        return float(np.clip(stats.norm.cdf(z) + skew * (1 - z * z) * stats.norm.pdf(z) / 6, 1e-300, 1.0))

    return below(seen), max(1e-300, 1 - below(seen - 1))


def two_sided(lower: float, upper: float) -> float:
    """Twice the smaller tail, at most 1."""
    return min(1.0, 2 * min(lower, upper))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _positive(p: float) -> float:
    """A p-value is never 0: below what a float can hold, the smallest one."""
    return max(float(p), 5e-324)
