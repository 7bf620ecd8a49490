"""What a test would have seen: power by simulation, by formula, and the sentence beside every green.

The scheme that is assumed: in some blocks somebody looks at the return, raises the favoured share to 2.5 times what
was due when the block won and lowers it to a quarter when it lost (a due share of 20% becomes 50% or 5%).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from fixgateway.errors import UsageError
from fixgateway.forensics.stepdown import Floats, Ints, generator

WINNERS_TIMES, LOSERS_TIMES = 2.5, 0.25
"""What the assumed scheme makes of the favoured group's due share in winning and in losing blocks."""
WANTED = 0.8
"""The power asked for in the sentence beside a green."""
_CELLS, _FEWEST_RUNS, _MOST_RUNS = 1_000_000, 25, 400
_HALVINGS = 8
SIMULATED_BLOCKS = 20_000
"""Up to so many blocks the sentence beside a green rests on simulation, beyond on moments."""
_CHUNK_CELLS = 2_000_000
MOST_CELLS = 20_000_000_000
"""Runs x permutations x blocks of one simulation; more is refused."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Blocks of a simulated year and what is done to them.

    Attributes:
        blocks: block orders in the year; notional: of each, in currency; due: the favoured group's due share.
        winners, losers: its share in tampered blocks; freedom: of Student's t of the returns; scale: of the returns.
    """

    blocks: int = 50
    notional: float = 3_000_000.0
    due: float = 0.2
    winners: float = 0.5
    losers: float = 0.05
    freedom: int = 4
    scale: float = 0.014


@dataclass(frozen=True, slots=True)
class Power:
    """Share of simulated years in which p came out at or below each alpha, and the mean benefit in currency."""

    tampered: float
    runs: int
    permutations: int
    rejected: Mapping[float, float]
    benefit: float

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tampered": self.tampered,
            "runs": self.runs,
            "permutations": self.permutations,
            "rejected": {f"{alpha:g}": share for alpha, share in self.rejected.items()},
            "mean_benefit": round(self.benefit),
        }


def simulated(
    scheme: Scheme, tampered: float, alphas: Sequence[float], runs: int, permutations: int, seed: str
) -> Power:
    """Power of a1 by simulation: one stratum, Student's t returns, each block tampered with chance ``tampered``.

    Raises:
        UsageError: more than :data:`MOST_CELLS` of work was asked for, or permutations cannot reach an alpha.
    """
    _affordable(scheme, alphas, runs, permutations)
    rng = generator(seed, "power", str(tampered))
    reached = np.zeros(len(alphas))
    benefit = 0.0
    for _ in range(runs):
        returns = rng.standard_t(scheme.freedom, scheme.blocks) * scheme.scale
        touched = rng.random(scheme.blocks) < tampered
        shares = np.where(returns > 0, scheme.winners, scheme.losers) - scheme.due
        deviation = np.where(touched, shares, 0.0)
        reached += permuted_p(deviation, returns, rng, permutations) <= np.array(alphas)
        benefit += float(deviation @ returns) * scheme.notional
    shares_rejected = {alpha: float(count) / runs for alpha, count in zip(alphas, reached, strict=True)}
    return Power(tampered, runs, permutations, shares_rejected, benefit / runs)


def _affordable(scheme: Scheme, alphas: Sequence[float], runs: int, permutations: int) -> None:
    if scheme.blocks < 2 or runs < 1 or permutations < 1:
        raise UsageError("power needs at least 2 blocks, 1 run and 1 permutation")
    if min(alphas) <= 0:
        raise UsageError("a permutation p is never 0: give levels above 0")
    if runs * permutations * scheme.blocks > MOST_CELLS:
        raise UsageError(
            f"{runs} runs x {permutations} permutations x {scheme.blocks} blocks is more than {MOST_CELLS:,}: "
            "give fewer runs or permutations"
        )
    if 1 / (permutations + 1) > min(alphas):
        raise UsageError(
            f"{permutations} permutations cannot give a p of {min(alphas):g}: "
            f"give at least {round(1 / min(alphas)) - 1}"
        )


def permuted_p(deviation: Floats, returns: Floats, rng: np.random.Generator, permutations: int) -> float:
    """One-sided permutation p of ``deviation @ returns``, all blocks one stratum."""
    touched = np.flatnonzero(deviation)
    if not len(touched):
        return 1.0
    weights = deviation[touched]
    observed, reached = float(weights @ returns[touched]), 0
    slack = 1e-12 * float(np.abs(weights).sum() * np.abs(returns).max())
    step = max(1, _CHUNK_CELLS // len(returns))
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        drawn = rng.permuted(np.broadcast_to(returns, (rows, len(returns))), axis=1)[:, : len(touched)]
        reached += int(np.count_nonzero(drawn @ weights >= observed - slack))
    return (1 + reached) / (permutations + 1)


def by_formula(scheme: Scheme, tampered: float, alpha: float) -> float:
    """Power of a1 by the normal approximation: quick, a little off where few blocks decide.

    Deviation and return of a block are d and r; the statistic's mean and spread come from the moments of d times r,
    the critical value from the permutation variance (sum of d squared times sum of r squared over n).
    """
    n, nu = scheme.blocks, scheme.freedom
    if not tampered:
        return 0.0
    up, down = scheme.winners - scheme.due, scheme.due - scheme.losers
    mean_size = _mean_absolute_t(nu)
    square = nu / (nu - 2)
    gain = tampered * (up + down) / 2 * mean_size
    spread = sqrt(n * (tampered * (up**2 + down**2) / 2 * square - gain**2))
    variance = tampered * (up**2 + down**2) / 2 - (tampered * (up - down) / 2) ** 2
    critical = float(stats.norm.isf(alpha)) * sqrt(n * variance * square)
    return float(stats.norm.sf((critical - n * gain) / spread))


def _mean_absolute_t(nu: int) -> float:
    """Mean of abs(t) with ``nu`` degrees of freedom; 1 for nu = 4."""
    return float(stats.t.expect(abs, args=(nu,), lb=-np.inf, ub=np.inf))


def favouritism(
    notional: Floats, returns: Floats, due: Floats, strata: Ints, alpha: float, seed: str, currency: str = ""
) -> dict[str, object]:
    """The power statement of a favouritism test on a review's own blocks: which benefit it would have seen.

    Args:
        notional: of each block, in currency; returns: its first-day return.
        due: the favoured group's due share of it, 0 to 1.
        strata: stratum of each block; alpha: the p from which on the test speaks.

    The critical value is the normal approximation of the stratified permutation distribution, blocks taken one by one.
    """
    order = np.argsort(strata, kind="stable")
    value, outcome, share, stratum = notional[order], returns[order], due[order], strata[order]
    base: dict[str, object] = {"alpha": alpha, "wanted": WANTED, "currency": currency, "scheme": SCHEME}
    if len(value) < 2:
        return base | {"benefit": None, "text": "too few blocks for any power"}
    swing = value * np.where(outcome > 0, np.minimum(1.0, WINNERS_TIMES * share), LOSERS_TIMES * share) - value * share
    runs = int(np.clip(_CELLS // len(value), _FEWEST_RUNS, _MOST_RUNS))
    large = len(value) > SIMULATED_BLOCKS
    lots = generator(seed, "power beside green").random((0 if large else runs, len(value)))
    starts = np.flatnonzero(np.diff(stratum, prepend=stratum[0] - 1))

    def power(tampered: float) -> float:
        if len(value) > SIMULATED_BLOCKS:
            return _detected_by_moments(tampered, swing, outcome, starts, alpha)
        return _share_detected(np.where(lots < tampered, swing, 0.0), outcome, starts, alpha)

    if power(1.0) < WANTED:
        return base | {"benefit": None, "power_if_all_tampered": power(1.0), "runs": runs, "text": _BLIND}
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= WANTED else (middle, high)
    benefit = high * float(swing @ outcome)
    text = f"would have seen about {benefit:,.0f} {currency}".rstrip() + (
        f" with {WANTED:.0%} power: the assumed scheme in {high:.1%} of the blocks"
    )
    return base | {"benefit": f"{benefit:.0f}", "tampered": high, "power": power(high), "runs": runs, "text": text}


SCHEME = "favoured share 2.5 times the due share in winning blocks, a quarter of it in losing ones"
_BLIND = "too few blocks: even with every block tampered the test would not have spoken with 80% power"


def _detected_by_moments(tampered: float, swing: Floats, outcome: Floats, starts: Ints, alpha: float) -> float:
    """Power with each block tampered by chance, from the statistic's mean and variance (normal approximation)."""
    sizes = np.diff(np.append(starts, len(swing))).astype(np.float64)
    totals, outcomes = np.add.reduceat(swing, starts), np.add.reduceat(outcome, starts)
    spread = np.add.reduceat(outcome**2, starts) - outcomes**2 / sizes
    squares = tampered * np.add.reduceat(swing**2, starts) - tampered**2 * totals**2 / sizes
    centred = outcome - np.repeat(outcomes / sizes, sizes.astype(np.int64))
    gain = swing * centred
    mean = tampered * float(gain.sum())
    noise = sqrt(tampered * (1 - tampered) * float((gain**2).sum()))
    critical = float(stats.norm.isf(alpha)) * sqrt(max(0.0, float(squares @ (spread / np.maximum(1.0, sizes - 1)))))
    return float(stats.norm.sf((critical - mean) / noise)) if noise else float(mean > critical)


def _share_detected(weights: Floats, outcome: Floats, starts: Ints, alpha: float) -> float:
    """Share of the rows of ``weights`` whose statistic is beyond the normal critical value at alpha."""
    if not len(starts):
        return 0.0
    sizes = np.diff(np.append(starts, weights.shape[1])).astype(np.float64)
    totals = np.add.reduceat(weights, starts, axis=1)
    squares = np.add.reduceat(weights**2, starts, axis=1) - totals**2 / sizes
    outcome_totals = np.add.reduceat(outcome, starts)
    spread = np.add.reduceat(outcome**2, starts) - outcome_totals**2 / sizes
    mean = totals @ (outcome_totals / sizes)
    variance = squares @ (spread / np.maximum(1.0, sizes - 1))
    excess = weights @ outcome - mean
    return float(np.mean((variance > 0) & (excess >= stats.norm.isf(alpha) * np.sqrt(np.maximum(variance, 0)))))
