"""Many accounts tested at once: the step-down maximum of Westfall and Young.

The same permutation is applied to all accounts together, so however they depend on each other (they share blocks) the
maximum has the right distribution. An adjusted p of 0.01 means: were nobody favoured, one run in a hundred would show
*any* account this far out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import frexp, fsum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT_BITS = 53
"""A float64 holds every integer of so many bits; sums that stay below it are exact in any order of adding."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """Adjusted p-values, in the order of the statistics, and how they came about.

    Attributes:
        p: adjusted for all statistics together; never 0.
        p_single: of each statistic on its own, not adjusted.
        n: permutations counted, the observed one not among them unless ``exact``.
        exact: every element of the permutation space was counted.
        floor: the smallest p this could have given.
    """

    p: Floats
    p_single: Floats
    n: int
    exact: bool
    floor: float


def step_down(observed: Floats, chunks: Iterable[Floats], exact: bool = False) -> StepDown:
    """Count how often the maximum of the statistics not yet passed reaches the observed one.

    Args:
        observed: one statistic an account, larger is more remarkable.
        chunks: the same statistics under permutations, one row a permutation.
        exact: the chunks enumerate the whole space, the observed one included.
    """
    order = np.argsort(-observed, kind="stable")
    ranked = observed[order]
    reached = np.zeros(len(observed), np.int64)
    single = np.zeros(len(observed), np.int64)
    n = 0
    for chunk in chunks:
        one = chunk[:, order]
        single += np.count_nonzero(one >= ranked, axis=0)
        highest = np.maximum.accumulate(one[:, ::-1], axis=1)[:, ::-1]
        reached += np.count_nonzero(highest >= ranked, axis=0)
        n += len(chunk)
    own = 0 if exact else 1
    total = max(1, n + own)
    adjusted, alone = np.empty(len(observed)), np.empty(len(observed))
    adjusted[order] = np.maximum.accumulate((reached + own) / total)
    alone[order] = (single + own) / total
    return StepDown(adjusted, alone, n, exact, 1 / total)


def quantised(values: Sequence[Fraction] | Floats, bits: int) -> tuple[Ints, float]:
    """Values as integers whose absolute sum stays below ``2 ** bits``, and the quantum they are multiples of.

    The quantum is a power of two, so the same on every machine. Zero stays zero and equal values stay equal.
    """
    total = fsum(np.abs(values).tolist()) if isinstance(values, np.ndarray) else float(sum(map(abs, values)))
    if not total:
        return np.zeros(len(values), np.int64), 1.0
    exponent = frexp(total)[1] - bits + 1  # total / quantum < 2^(bits-1); rounding adds at most half a quantum each
    quantum = Fraction(2) ** exponent
    if isinstance(values, np.ndarray):
        return np.rint(np.ldexp(values, -exponent)).astype(np.int64), float(quantum)
    return np.array([round(value / quantum) for value in values], np.int64), float(quantum)


def scales(columns: Ints) -> Floats:
    """One over the root of each column's sum of squares (0 for a column of zeros), from exact integers."""
    squares = [sum(int(value) ** 2 for value in column) for column in columns.T]
    return np.array([1 / np.sqrt(float(square)) if square else 0.0 for square in squares])


def generator(seed: str, *names: str) -> np.random.Generator:
    """The random numbers of one test: the review's seed and the test's name give them, on any machine."""
    digest = hashlib.sha256("\n".join((seed, *names)).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest))))
