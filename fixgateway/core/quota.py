"""The quota method: every share the floor or the ceiling of its exact one, and no later unit takes one back.

Balinski and Young ("The quota method of apportionment", American Mathematical Monthly 82, 1975) hand out units one
by one. Unit h goes to the account with the largest ``w / (x + 1)`` among those that would not exceed their upper
quota, ``x < h·w / W`` (w its weight, W the sum of all, x what it has). That is a rule for h steps. This module
finds the state after h steps without taking them.

Theory of operation. Call the k-th unit of an account a job. The upper quota releases it at step
``⌊(k-1)·W/w⌋ + 1``; the largest ``w / k`` is the earliest deadline ``k·W/w``. So the method is the schedule of
unit jobs on one machine, earliest deadline first, and it is never idle. After h steps

- all jobs with a deadline of at most h are done: the floor ⌊h·w/W⌋ of every account;
- the other units went to *candidates*, at most one for each account with a fraction (its next job). A candidate
  only gets a step in which no job of the first kind was waiting: a *free* step. In each free step it is the
  released candidate with the earliest deadline.

Which steps are free depends only on how many jobs are released when. With A(s) jobs of the first kind released
up to step s, the free steps up to t are ``max over s ≤ t of V(s) = s - A(s)``, so step s is free exactly when V
reaches a new maximum there. And V is easily bounded: ``V(s) = P(s) - U(s)``, where P(s) = Σ (s·w/W - floor) over
the released candidates grows with s, and U(s) ≥ 0 adds up, over all others, how far each is from its next unit.
P alone rules out all steps before the first candidates have a whole unit together (nearly always the steps before
the last round); a sample of U, which falls by at most Σ w/W a step, rules out long stretches more. What is left
is counted step by step. The cost is about n·log n and a few n steps in practice; ``STEPS_MAX`` bounds it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import accumulate
from math import gcd

from fixgateway.core.apportion import ratio_keys

STEPS_MAX = 10_000_000
"""Most steps that are counted one by one; :func:`steps` says how many a statement can need at worst."""
_CHUNK = 4096
_CHUNK_MAX = 1 << 20
_SAMPLE = 256


def steps(weights: Sequence[int]) -> int:
    """The most steps :func:`quota` can have to count for any number of units: W over the smallest weight."""
    positive = [weight for weight in weights if weight]
    return sum(positive) // min(positive) + 1 if positive else 0


def quota(units: int, weights: Sequence[int], rank: Sequence[int]) -> list[int]:
    """The shares of the quota method after ``units`` steps.

    Args:
        units: whole units, at least 0.
        weights: non-negative integers with a positive sum.
        rank: position of each account in the tie order, lower first, for equal ``w / (x + 1)``.

    Raises:
        ValueError: no weight is positive, or more than :data:`STEPS_MAX` steps would have to be counted.
    """
    common = gcd(*weights)
    if not common or units < 0:
        raise ValueError(f"{units} units cannot be divided by weights of sum {sum(weights)}")
    weights = [weight // common for weight in weights]
    total = sum(weights)
    rounds, units = divmod(units, total)  # after W steps everybody has exactly the weight and all begins again
    floors = [units * weight // total for weight in weights]
    given = [rounds * weight + floor for weight, floor in zip(weights, floors, strict=True)]
    extra = units - sum(floors)
    if extra:
        for i in _Round(units, weights, floors, total).winners(rank, extra):
            given[i] += 1
    return given


class _Round:
    """The first ``units`` steps of a round: the floors are given, the candidates' steps are looked for."""

    def __init__(self, units: int, weights: Sequence[int], floors: Sequence[int], total: int) -> None:
        self._units, self._weights, self._floors, self._total = units, weights, floors, total
        n = range(len(weights))
        candidates = [i for i in n if weights[i] and units * weights[i] % total]
        released = {i: floors[i] * total // weights[i] + 1 for i in candidates}
        self._candidates = sorted(candidates, key=released.__getitem__)
        self._released = [released[i] for i in self._candidates]
        # P(s) = s·slope/W - base over the candidates released up to s.
        self._slope = [0, *accumulate(weights[i] for i in self._candidates)]
        self._base = [0, *accumulate(floors[i] for i in self._candidates)]
        never = [i for i in n if weights[i] and i not in released]
        self._late = never + self._candidates[::-1]
        self._never = len(never)

    def winners(self, rank: Sequence[int], extra: int) -> list[int]:
        """The candidates that got one of the ``extra`` free steps."""
        free = self._free_steps(extra)
        order = self._candidates
        deadline = ratio_keys([self._floors[i] + 1 for i in order], [self._weights[i] for i in order])
        waiting: list[tuple[int, int, int]] = []
        found, upcoming = [], 0
        for step in free:
            while upcoming < len(order) and self._released[upcoming] <= step:
                i = order[upcoming]
                heappush(waiting, (deadline[upcoming], rank[i], i))
                upcoming += 1
            found.append(heappop(waiting)[2])
        return found

    def _free_steps(self, extra: int) -> list[int]:
        """The steps in which V reaches 1, 2, … ``extra``, in order."""
        free: list[int] = []
        step, counted, chunk = 1, 0, max(_CHUNK, len(self._weights))
        while len(free) < extra:
            step = self._first_possible(step, len(free) + 1)
            length = self._leap(step, len(free) + 1)
            if length:
                step += length
                continue
            end = min(self._units, step + chunk - 1)
            chunk = min(2 * chunk, _CHUNK_MAX)
            counted += end - step + 1
            if counted > STEPS_MAX:
                raise ValueError(
                    f"the quota method would have to count more than {STEPS_MAX} steps; the smallest weight "
                    f"{min(filter(None, self._weights))} is too small for the sum {self._total}"
                )
            self._count(step, end, extra, free)
            step = end + 1
        return free

    def _possible(self, step: int, value: int) -> bool:
        """P(step) ≥ value."""
        known = bisect_right(self._released, step)
        return step * self._slope[known] >= (self._base[known] + value) * self._total

    def _first_possible(self, step: int, value: int) -> int:
        """The first step from ``step`` on with P ≥ value; P never falls, and is large enough at the end."""
        low, high = step, self._units
        while low < high:
            middle = (low + high) // 2
            if self._possible(middle, value):
                high = middle
            else:
                low = middle + 1
        return low

    def _leap(self, step: int, value: int) -> int:
        """How many steps from ``step`` on surely stay below ``value``; 0 where counting them is quicker.

        A sample of those not yet released: each is ``-step·w mod W`` short of its next whole unit, W a unit, and
        that shrinks by at most w a step.
        """
        total, size = self._total, _SAMPLE
        while size < 2 * len(self._late):
            sample = self._late[:size]
            rate = sum(self._weights[i] for i in sample)
            short = sum(-step * self._weights[i] % total for i in sample)
            last = self._units
            if len(sample) > self._never:
                last = self._released[len(self._late) - len(sample)] - 1
            low, high = 0, last - step + 1
            while low < high:
                middle = (low + high + 1) // 2
                if self._stays_below(step + middle - 1, value, short - (middle - 1) * rate):
                    low = middle
                else:
                    high = middle - 1
            if low > max(len(sample), _SAMPLE):
                return low
            size *= 2
        return 0

    def _stays_below(self, step: int, value: int, short: int) -> bool:
        """P(step) - short/W < value."""
        known = bisect_right(self._released, step)
        return step * self._slope[known] - self._base[known] * self._total - max(short, 0) < value * self._total

    def _count(self, first: int, last: int, extra: int, free: list[int]) -> None:
        """Go through the steps ``first``…``last`` one by one and note the free ones."""
        total, weights = self._total, self._weights
        released = [0] * (last - first + 1)
        before = 0
        for weight, floor in zip(weights, self._floors, strict=True):
            if weight:
                done = min(floor, -(-(first - 1) * weight // total))
                before += done
                stop = min(floor, -(-last * weight // total))
                for numerator in range(done * total, stop * total, total):
                    released[numerator // weight + 1 - first] += 1
        value = first - 1 - before
        reached = len(free)
        for step, more in enumerate(released, first):
            value += 1 - more
            if value > reached:
                reached += 1
                free.append(step)
                if reached == extra:
                    return
