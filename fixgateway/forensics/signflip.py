"""Sign flips: had nobody a preference, every deviation could as well have gone the other way.

The unit that is flipped is a whole trade date, all accounts of it together: deviations of one day may hang together
in any way, those of different days are taken as independent and as likely up as down.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fixgateway.forensics.stepdown import EXACT_BITS, Floats, Ints, StepDown, quantised, scales, step_down

ENUMERATED_DAYS = 19
"""Up to so many days with deviations every one of the 2^days sign vectors is counted (at most 524,288)."""
_CHUNK_CELLS = 4_000_000


def day_sums(values: Floats, days: Ints) -> Floats:
    """The rows of ``values`` (one a block, one column an account) added up by day; days without any deviation left out.

    A day whose blocks cancel to zero for every account is no evidence and is left out as well.
    """
    _, index = np.unique(days, return_inverse=True)
    sums = np.zeros((int(index.max()) + 1 if len(index) else 0, values.shape[1]))
    np.add.at(sums, index, values)
    return sums[np.any(sums != 0, axis=1)]


def sign_flip(values: Floats, rng: np.random.Generator, permutations: int) -> StepDown:
    """Two-sided sign-flip test of every column, adjusted for all columns by the step-down maximum.

    Args:
        values: one row a day, one column an account (deviations as shares of the block).
        rng: the test's random numbers; unused when the space is enumerated.
        permutations: sign vectors drawn when there are too many days to enumerate.
    """
    days, accounts = values.shape
    whole = np.column_stack([quantised(values[:, a], EXACT_BITS)[0] for a in range(accounts)]) if accounts else values
    scale = scales(whole.astype(np.int64))
    weights = whole.astype(np.float64)
    observed = np.abs(weights.sum(axis=0)) * scale
    exact = days <= ENUMERATED_DAYS
    step = max(1, _CHUNK_CELLS // max(1, days, accounts))
    signs = _all_signs(days, step) if exact else _random_signs(days, rng, permutations, step)
    return step_down(observed, (np.abs(chunk @ weights) * scale for chunk in signs), exact)


def smallest_p(days: int) -> float:
    """The smallest two-sided p that so many days with deviations can give: both extreme sign vectors of 2^days."""
    return min(1.0, 2.0 ** (1 - days))


def _all_signs(days: int, step: int) -> Iterator[Floats]:
    """Every sign vector, in chunks; the first is the observed one (all plus)."""
    total = 1 << days
    for start in range(0, total, step):
        numbers = np.arange(start, min(start + step, total))[:, None]
        yield (1.0 - 2.0 * ((numbers >> np.arange(days)) & 1)).astype(np.float64)


def _random_signs(days: int, rng: np.random.Generator, count: int, step: int) -> Iterator[Floats]:
    for start in range(0, count, step):
        rows = min(step, count - start)
        yield (1.0 - 2.0 * rng.integers(0, 2, (rows, days), dtype=np.int8)).astype(np.float64)
