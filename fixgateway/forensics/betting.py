"""A sequential monitor that may be looked at every day: wealth of a gambler who bets that favouritism exists.

A p-value looked at weekly is wrong sooner or later. This is a betting martingale: were deviations blind to returns,
nobody could expect to grow rich on them, so wealth 20 is reached with a chance of at most 1 in 20 *ever*, wealth 100
with at most 1 in 100 (Ville's inequality), however often one looks.

Two gamblers, each betting once a trade date and stratum; several strata of a day share the stake, because their
returns hang together. The first bets *between days*: that today's return ranks high among the earlier ones of its
stratum, for or against the sign of the favoured group's deviation; on the day's block with the largest deviation in
money, chosen without its return. The second bets *within days* of several blocks: that their deviations are in the
order of their returns. Each may win by itself, so what counts is the larger of 0.9 of the first's wealth and 0.1 of
the second's; 20 is then still reached with a chance of at most 0.9/20 + 0.1/20.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

STAKES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the wealth that are staked; a gambler's wealth is the mean of four purses."""
BETWEEN, WITHIN = 0.9, 0.1
"""What the two gamblers begin with."""
AMBER, RED = 20.0, 100.0
"""Wealth from which on people are told; the chance of a false alarm is at most 1 in so many."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One block as the monitor sees it.

    Attributes:
        day: trade date, in an order that sorts (ISO text).
        stratum: strategy and side; ranks are among earlier days of the same.
        block_id: names the block and, with the seed, its random number.
        deviation: price times deviation of the favoured group; its sign is bet on, its size picks the day's block.
        outcome: the block's first-day return.
    """

    day: str
    stratum: str
    block_id: str
    deviation: float
    outcome: float


@dataclass(frozen=True, slots=True)
class Step:
    """Wealth after one trade date, and the highest until then."""

    day: str
    bets: int
    wealth: float
    highest: float


@dataclass(slots=True)
class Gambler:
    """Purses that stake different shares of themselves."""

    start: float
    purses: list[float] = field(default_factory=lambda: [1.0] * len(STAKES))

    @property
    def wealth(self) -> float:
        """Begun with ``start``."""
        return self.start * sum(self.purses) / len(self.purses)

    def bet(self, edges: Sequence[float]) -> None:
        """A day's bets, one stake for all of them; each edge is what a stake of 1 wins, of mean 0 under the null."""
        if edges:
            mean = sum(edges) / len(edges)
            self.purses = [purse * (1 + stake * mean) for purse, stake in zip(self.purses, STAKES, strict=True)]


@dataclass(slots=True)
class Monitor:
    """Keeps ranks and wealth; feed it trade dates in order. What it says of a day never changes later."""

    seed: str
    between: Gambler = field(default_factory=lambda: Gambler(BETWEEN))
    within: Gambler = field(default_factory=lambda: Gambler(WITHIN))
    highest: float = BETWEEN
    earlier: dict[str, list[float]] = field(default_factory=dict)

    @property
    def wealth(self) -> float:
        """The larger of the two gamblers' wealth."""
        return max(self.between.wealth, self.within.wealth)

    def day(self, blocks: Sequence[Observation]) -> Step:
        """One trade date's blocks, all strata."""
        strata: dict[str, list[Observation]] = {}
        for block in sorted(blocks, key=lambda block: (block.stratum, block.block_id)):
            strata.setdefault(block.stratum, []).append(block)
        between = [edge for some in strata.values() if (edge := self._rank(picked(some)))]
        ordered = [order_edge(some, self.seed) for some in strata.values()]
        within = [edge for edge in ordered if edge is not None]
        self.between.bet(between)
        self.within.bet(within)
        self.highest = max(self.highest, self.wealth)
        return Step(blocks[0].day, len(between) + len(within), self.wealth, self.highest)

    def _rank(self, block: Observation) -> float:
        """Sign of the deviation times the return's rank among earlier ones, -1 to 1; the return joins them."""
        ranks = self.earlier.setdefault(block.stratum, [])
        below, up_to = bisect_left(ranks, block.outcome), bisect_right(ranks, block.outcome)
        rank = (below + uniform(self.seed, block.block_id) * (up_to - below + 1)) / (len(ranks) + 1)
        insort(ranks, block.outcome)
        sign = (block.deviation > 0) - (block.deviation < 0)
        return sign * (2 * rank - 1)


def order_edge(blocks: Sequence[Observation], seed: str) -> float | None:
    """How far the deviations of a day's blocks are in the order of their returns, -1 to 1; None without differences.

    The sum of deviations (less their mean) times centred ranks, as a part of the largest such sum. Every order of the
    ranks being as likely under the null, its mean is 0. Equal returns are put in an order by the seed.
    """
    mean = sum(block.deviation for block in blocks) / len(blocks)
    middle = (len(blocks) - 1) / 2
    ordered = sorted(blocks, key=lambda block: (block.outcome, uniform(seed, f"{block.block_id}\nwithin")))
    ranks = [place - middle for place in range(len(blocks))]
    largest = sum(a * b for a, b in zip(sorted(block.deviation - mean for block in blocks), ranks, strict=True))
    if largest <= 0:
        return None
    seen = sum((block.deviation - mean) * rank for block, rank in zip(ordered, ranks, strict=True))
    return max(-1.0, min(1.0, seen / largest))


def picked(blocks: Sequence[Observation]) -> Observation:
    """The block of a stratum's day that is bet on: the largest deviation in money, then the smallest id."""
    return min(blocks, key=lambda block: (-abs(block.deviation), block.block_id))


def follow(observations: Iterable[Observation], seed: str) -> Iterator[Step]:
    """The monitor over a whole history, one step a trade date.

    The seed must stay the same from run to run: then adding days never changes what earlier days said.
    """
    monitor = Monitor(seed)
    ordered = sorted(observations, key=lambda block: (block.day, block.block_id))
    for _, blocks in groupby(ordered, key=lambda block: block.day):
        yield monitor.day(list(blocks))


def uniform(seed: str, name: str) -> float:
    """A number in [0, 1) that seed and name give, on any machine, whatever else is looked at."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) * 2.0**-53
