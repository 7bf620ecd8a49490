"""One permutation, many statistics: outcomes exchanged between days of a stratum, for all columns of weights together.

For tests whose statistic is a sum of weight times outcome over blocks (c, d, e, f). A stratum's days are exchanged
whole with days of as many blocks; a day without such a partner is exchanged inside itself. All sums are of whole
numbers that a float64 holds exactly, so equal arrangements compare equal on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from math import fsum, lgamma, log, sqrt
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fixgateway.forensics.data import Review
from fixgateway.forensics.stepdown import EXACT_BITS, Floats, Ints, StepDown, generator, quantised, step_down

_CHUNK_CELLS = 4_000_000
_DRAWS, _PRODUCTS = 100_000_000, 50_000_000_000
_FEWEST = 999
ENUMERATED = 50_000
"""Up to so many arrangements all of them are counted."""
_CENTRED_BY = 400
"""Permutations, drawn apart from the counted ones, that give each statistic's centre and spread."""


@dataclass(frozen=True, slots=True)
class Joint:
    """The outcome of one joint permutation test.

    Attributes:
        result: p-values in the order of the columns, adjusted by the step-down maximum and single.
        floor: the smallest p that was possible, by permutations drawn or by the space.
        n_permutations: drawn; 0 where every arrangement was counted (``exact``).
        strata: ``count`` and ``sizes`` of the strata whose blocks were exchanged.
    """

    result: StepDown
    floor: float
    n_permutations: int
    strata: dict[str, Any]
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Slots:
    """Places that may be exchanged: each row is a day's blocks, all rows as long; one row is exchanged inside."""

    places: Ints


def slots_of(stratum: Ints, day: Ints, within: Ints | None = None) -> list[Slots]:
    """The places of blocks (0 to n-1), by stratum and number of blocks a day; a day's in order, or by ``within``.

    Tests order a day's blocks at random: in the order of the file, days that all go the same way (a winner, then a
    loser) would look like each other whatever is exchanged.
    """
    order = np.lexsort((np.arange(len(day)) if within is None else within, day, stratum))
    edges = np.flatnonzero((np.diff(stratum[order], prepend=-1) != 0) | (np.diff(day[order], prepend=-1) != 0))
    found: dict[tuple[int, int], list[NDArray[np.intp]]] = {}
    for start, stop in pairwise([*edges.tolist(), len(order)]):
        found.setdefault((int(stratum[order[start]]), stop - start), []).append(order[start:stop])
    return [Slots(np.array(found[key], np.int64)) for key in sorted(found)]


def arrangements(slots: Sequence[Slots], n: int, rows: int, rng: np.random.Generator) -> Ints:
    """``rows`` random arrangements: for each place, the place whose outcome comes there."""
    index = np.broadcast_to(np.arange(n), (rows, n)).copy()
    for one in slots:
        days, size = one.places.shape
        if days > 1:
            drawn = rng.permuted(np.broadcast_to(np.arange(days), (rows, days)), axis=1)
            index[:, one.places.ravel()] = one.places[drawn].reshape(rows, days * size)
        elif size > 1:
            index[:, one.places[0]] = rng.permuted(np.broadcast_to(one.places[0], (rows, size)), axis=1)
    return index


def enumerated(slots: Sequence[Slots], n: int) -> Ints | None:
    """Every arrangement, the observed one among them; None where there are more than :data:`ENUMERATED`."""
    units = [one.places if len(one.places) > 1 else one.places.T for one in slots]
    if sum(lgamma(len(unit) + 1) for unit in units) > log(ENUMERATED) + 1e-9:
        return None
    index = np.arange(n)[None, :]
    for unit in units:
        orders = np.array(list(permutations(range(len(unit)))), np.int64)
        grown = np.repeat(index, len(orders), axis=0)
        grown[:, unit.ravel()] = np.tile(unit[orders].reshape(len(orders), -1), (len(index), 1))
        index = grown
    return index


def smallest_p(slots: Sequence[Slots], weights: Ints, outcome: Ints) -> float:
    """One over the number of arrangements that can differ, equal weights or equal outcomes taken as the same.

    Args:
        weights, outcome: one whole number a place; of the weights only whether they are equal matters.
    """
    logs = (sum(_log_arrangements(values[one.places]) for one in slots) for values in (weights, outcome))
    return float(np.exp(-min(logs)))


def _log_arrangements(values: Ints) -> float:
    """Log of the number of different orders of a slot's days (of a lone day's blocks), equal ones being one."""
    items = values[0] if len(values) == 1 else values
    _, counts = np.unique(items, axis=0, return_counts=True)
    return lgamma(len(items) + 1) - sum(lgamma(count + 1) for count in counts.tolist())


def joint(
    review: Review,
    pool: Ints,
    outcome: Ints,
    index: Ints,
    weights: Floats | Ints,
    name: str,
    two_sided: Sequence[bool],
) -> Joint | None:
    """Permute the outcomes of a pool of blocks against all columns of weights jointly.

    Args:
        pool: numbers (in ``review.blocks``) of all blocks whose outcomes may be exchanged, ascending.
        outcome: a whole number for each block of the pool.
        index: numbers of the blocks that have weights, all of them in the pool.
        weights: a row for each of ``index``, a column a statistic.
        name: the test's, for its random numbers.
        two_sided: for each column whether low sums are as remarkable as high ones.

    Returns:
        None when there is nothing to exchange.
    """
    facts = review.blocks[pool].select("stratum", "day")
    at = np.searchsorted(pool, index)
    seed, wanted = (review.seed, name), review.plan.permutations
    return permuted(weights, outcome, facts["stratum"].to_numpy(), facts["day"].to_numpy(), two_sided, seed, wanted, at)


def permuted(
    weights: Floats | Ints, outcome: Ints, stratum: Ints, day: Ints, two_sided: Sequence[bool],
    seed: tuple[str, ...], wanted: int, at: Ints | None = None,
) -> Joint | None:  # fmt: skip
    """The test on plain arrays; ``at`` are the places of the weights' rows, without it there is one for each place."""
    places = np.arange(len(outcome)) if at is None else at
    whole = whole_weights(weights, outcome)
    slots = slots_of(stratum, day, generator(*seed, "days").permutation(len(day)))
    if not whole.any() or not any(one.places.size > 1 for one in slots):
        return None
    n = len(outcome)
    every = enumerated(slots, n)
    count = max(min(wanted, _FEWEST), min(wanted, _DRAWS // n, _PRODUCTS // whole.size))
    sums = _Sums(whole.astype(np.float64), places, outcome.astype(np.float64), slots)
    centre, scale = _spread(sums, generator(*seed, "centre"))
    sides = np.array(two_sided)

    def statistic(values: Floats) -> Floats:
        far: Floats = (values - centre) * scale
        return np.where(sides, np.abs(far), far)

    drawn = sums.drawn(count, generator(*seed)) if every is None else sums.of(every)
    result = step_down(statistic(sums.observed), (statistic(chunk) for chunk in drawn), exact=every is not None)
    smallest = smallest_p(slots, _kinds(whole, places, n), outcome)
    result = replace(result, p=np.maximum(result.p, smallest), p_single=np.maximum(result.p_single, smallest))
    sizes = np.unique(stratum, return_counts=True)[1].tolist()
    strata = {"count": len(sizes), "sizes": sizes[:_SIZES_SHOWN]}
    return Joint(result, max(result.floor, smallest), 0 if result.exact else count, strata, result.exact)


_SIZES_SHOWN = 500


def _kinds(weights: Ints, at: Ints, n: int) -> Ints:
    """A number for each place: 0 without weights, else the same where the weights are the same."""
    kinds = np.zeros(n, np.int64)
    some = np.any(weights != 0, axis=1)
    kinds[at[some]] = 1 + np.unique(weights[some], axis=0, return_inverse=True)[1].ravel()
    return kinds


def whole_weights(weights: Floats | Ints, outcome: Ints) -> Ints:
    """Weights as whole numbers so small that the sum of weight times outcome stays exact in a float64."""
    bits = EXACT_BITS - int(np.abs(outcome).max(initial=1)).bit_length()
    columns = [quantised(np.asarray(weights[:, k], np.float64), bits)[0] for k in range(weights.shape[1])]
    return np.column_stack(columns) if columns else np.zeros((len(weights), 0), np.int64)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of weight times outcome, observed and under random arrangements in chunks of bounded memory."""

    weights: Floats
    at: Ints
    outcome: Floats
    slots: Sequence[Slots]

    @property
    def observed(self) -> Floats:
        found: Floats = self.outcome[self.at] @ self.weights
        return found

    def drawn(self, count: int, rng: np.random.Generator) -> Iterator[Floats]:
        n = len(self.outcome)
        step = max(1, _CHUNK_CELLS // max(n, self.weights.shape[1]))
        for start in range(0, count, step):
            yield from self.of(arrangements(self.slots, n, min(step, count - start), rng))

    def of(self, index: Ints) -> Iterator[Floats]:
        """The sums under these arrangements."""
        yield self.outcome[index[:, self.at]] @ self.weights


def _spread(sums: _Sums, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Centre and one over the spread of each sum, from arrangements that are not counted.

    They are drawn apart, so given them every arrangement (the observed one too) is still as likely as any other.
    ``fsum`` rounds once, whatever the order of adding: the same numbers on any machine.
    """
    drawn = np.concatenate(list(sums.drawn(_CENTRED_BY, rng)))
    centre = np.array([round(fsum(column) / len(drawn)) for column in drawn.T.tolist()], np.float64)
    spread = np.array([sqrt(fsum(column) / len(drawn)) for column in ((drawn - centre) ** 2).T.tolist()])
    return centre, np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)


def money_weights(rows: pl.DataFrame, columns: Sequence[str], den: str = "den") -> Floats:
    """Price times deviation (a column over ``den``) times multiplier of each row; for comparing, not for the books.

    Of several currencies each is measured by what was traded in it, so that none outweighs the others by its unit.
    """
    value = rows["price"].to_numpy() / rows["price_den"].to_numpy() * rows["multiplier"].to_numpy()
    if rows["currency"].n_unique() > 1:
        _, place = np.unique(rows["currency"].cast(pl.String).rank("dense").to_numpy(), return_inverse=True)
        value = value / np.bincount(place, value * rows["filled"].to_numpy())[place]
    return np.column_stack([value * (rows[name].to_numpy() / rows[den].to_numpy()) for name in columns])
