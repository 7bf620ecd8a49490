"""The sequential monitor on a review: :mod:`.betting` fed with the blocks that have a statement, day by day.

Blocks belong when their statement was surely captured before release and their close is known. Strata are strategy
and side; months are not cut, because ranks need a past.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from fixgateway.errors import UsageError
from fixgateway.forensics import blotter, moneys
from fixgateway.forensics.betting import AMBER, RED, Observation, Step, follow
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Verdict, money
from fixgateway.forensics.joint import money_weights
from fixgateway.forensics.plan import Plan
from fixgateway.forensics.prepare import prepare
from fixgateway.forensics.verdicts import materiality

LIMITS = (
    "The chance that the wealth ever reaches 20 (100) although nobody is favoured is at most 5% (1%), however often "
    "one looks, if a stratum's days may be exchanged with each other.",
    "One bet a trade date and stratum between days, on the block with the largest deviation in money, and one within "
    "days of several blocks.",
    "A block's deviation must be on record before its close is used.",
)


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """What the monitor says of a group.

    Attributes:
        verdict: amber from a wealth of 20, red from 100 with a benefit over materiality; highest wealth counts.
        first_amber, first_red: trade dates at which the wealth first got there; "" if never.
        steps: one a trade date.
        benefits: exact benefit of the group in the watched blocks, by currency.
    """

    group: str
    verdict: Verdict
    steps: Sequence[Step]
    first_amber: str
    first_red: str
    benefits: dict[str, Fraction]
    seed: str
    plan_sha256: str
    data_sha256: str

    @property
    def summary(self) -> str:
        """One sentence for an alert."""
        last = self.steps[-1] if self.steps else None
        if last is None:
            return "no block with a statement in time and a close: nothing to watch"
        return (
            f"wealth {last.wealth:.3g}, highest {last.highest:.3g}, after {len(self.steps)} days of trading up to "
            f"{last.day} (amber from {AMBER:g}, red from {RED:g}; group {self.group})"
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        last = self.steps[-1] if self.steps else None
        return {
            "verdict": str(self.verdict), "group": self.group, "summary": self.summary,
            "wealth": last.wealth if last else 1.0, "highest": last.highest if last else 1.0,
            "amber_at": AMBER, "red_at": RED, "first_amber": self.first_amber, "first_red": self.first_red,
            "benefits": {currency: money(amount) for currency, amount in self.benefits.items()},
            "last_day": last.day if last else "", "days": len(self.steps),
            "bets": sum(step.bets for step in self.steps), "seed": self.seed,
            "plan_sha256": self.plan_sha256, "data_sha256": self.data_sha256,
            "limits": list(LIMITS),
            "steps": [
                {"day": step.day, "bets": step.bets, "wealth": step.wealth, "highest": step.highest}
                for step in self.steps
            ],
        }  # fmt: skip


def watch(review: Review, seed: str, group: str = "union") -> MonitorResult:
    """Follow a group through the review's blocks.

    Args:
        seed: must stay the same from run to run, so that days already watched keep what was said of them; not the
            review's own seed, which changes with the data.
        group: a name of ``review.groups``.

    Raises:
        UsageError: there is no such group.
    """
    if group not in review.groups:
        raise UsageError(f"no group {group!r}: the plan has {', '.join(sorted(review.groups))}")
    blocks = watched(review)
    steps = list(follow(observations(blocks, group), seed))
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    benefits = dict(moneys.by_currency(blocks, f"d_{group}", "den", "gain", scale))
    first_amber, first_red = (_first(steps, level) for level in (AMBER, RED))
    verdict = Verdict.INSUFFICIENT
    if steps:
        red = first_red and _material(review, blocks, group, benefits, scale)
        verdict = Verdict.RED if red else Verdict.AMBER if first_amber else Verdict.GREEN
    return MonitorResult(
        group, verdict, steps, first_amber, first_red, benefits, seed, review.plan.sha256, review.data_sha256
    )


def monitor_file(path: Path, plan: Plan, seed: str = "", group: str = "union") -> MonitorResult:
    """Follow a blotter file; the seed is the plan's SHA-256 without one, so it stays the same while the plan does.

    Raises:
        UsageError: the file cannot be read, or the plan has no such group.
    """
    return watch(prepare(blotter.read(path), plan), seed or plan.sha256, group)


def watched(review: Review) -> pl.DataFrame:
    """The blocks that are bet on: statement in time, something filled, close known."""
    return review.blocks.filter(pl.col("in_time") & pl.col("ret").is_not_null())


def observations(blocks: pl.DataFrame, group: str) -> Iterator[Observation]:
    """The blocks as the monitor sees them."""
    weights = money_weights(blocks, [f"d_{group}"])[:, 0]
    names = ("trade_date", "strategy", "side", "block_id", "ret")
    for (day, strategy, side, block_id, ret), weight in zip(blocks.select(names).iter_rows(), weights, strict=True):
        yield Observation(day.isoformat(), f"{strategy}\n{side}", block_id, float(weight), ret)


def _first(steps: Sequence[Step], level: float) -> str:
    return next((step.day for step in steps if step.highest >= level), "")


def _material(review: Review, blocks: pl.DataFrame, group: str, benefits: dict[str, Fraction], scale: int) -> bool:
    """Whether the benefit is over the plan's materiality in any currency: its amount, else its basis points."""
    notional = moneys.by_currency(blocks, f"x_{group}", None, "notional", scale)
    return any(amount > materiality(review.plan, currency, notional[currency]) for currency, amount in benefits.items())
