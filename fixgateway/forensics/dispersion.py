"""Test e, dispersion: did deviations make any account rich or poor, all accounts tested together?

Per account the deviation times price times return, summed; returns are permuted for all accounts jointly, and the
step-down maximum makes the p-values hold for all of them. Account returns themselves are not compared: flows and
holdings differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from fixgateway.forensics import moneys
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict, money
from fixgateway.forensics.joint import Joint, joint, money_weights
from fixgateway.forensics.stepdown import Floats, Ints

SHOWN = 500
MOST_ACCOUNTS = 2_000
"""Accounts tested; with more, those with the largest deviations in money (chosen without returns)."""
_CELLS = 20_000_000
LIMITS = (
    "Only what deviates from the expected allocation is compared; returns of whole accounts are not.",
    "The p-values hold for all accounts together (step-down maximum under one joint permutation of returns).",
)


def run(review: Review) -> list[Finding]:
    """Every deviating account's gain over its expected allocation, two-sided, adjusted for all accounts."""
    rows = _rows(review)
    judged = review.blocks.filter((pl.col("source") != "none") & pl.col("r").is_not_null()).height
    if not rows.height:
        return [_quiet(review, judged)]
    index, weights, units, left_out = by_account(rows, money_weights(rows, ["d"])[:, 0])
    pool = exchangeable(review)
    found = joint(review, pool["b"].to_numpy(), pool["r"].to_numpy(), index, weights, "e", (True,) * len(units))
    if found is None:
        return [_quiet(review, judged, Verdict.INSUFFICIENT)]
    p = float(found.result.p.min())
    return [
        Finding(
            id="e",
            title="Dispersion between accounts",
            verdict=_verdict(review, found, p),
            p=p,
            p_floor=found.floor,
            n_blocks=judged,
            n_permutations=found.n_permutations,
            exact=found.exact,
            seed=review.seed,
            strata=found.strata,
            limits=(*LIMITS, f"{left_out} accounts with smaller deviations were left out.") if left_out else LIMITS,
            details={"accounts": _table(review, rows, units, found), "spread": _spread(review, rows)},
            power={"text": _power(len(units), float(review.plan.amber)), "alpha": float(review.plan.amber)},
            summary=f"{len(units)} accounts deviate; the most remarkable gain or loss has p = {p:.2g}, "
            "adjusted for all of them.",
        )
    ]


def _rows(review: Review) -> pl.DataFrame:
    """The rows that deviate in blocks whose expected allocation and return are known."""
    facts = review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "den", "sign", "multiplier", "price", "price_den", "close",
        "currency", "strategy", "source", "r", "ret", "trade_date", "stratum", "filled",
    )  # fmt: skip
    return (
        review.rows.select("b", "a", "d")
        .filter(pl.col("d") != 0)
        .join(facts, on="b")
        .filter((pl.col("source") != "none") & pl.col("r").is_not_null())
        .sort("b", "a")
    )


def exchangeable(review: Review) -> pl.DataFrame:
    """The blocks (``b``, ``r``) whose returns may stand for each other: expected allocation and return are known."""
    return review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "r", "source"
    ).filter((pl.col("source") != "none") & pl.col("r").is_not_null())  # fmt: skip


def by_account(rows: pl.DataFrame, value: Floats) -> tuple[Ints, Floats, list[int], int]:
    """Rows' values (columns ``b`` and ``a``) as one line a block and one column an account.

    Returns:
        Block numbers, the table, the accounts' numbers, and how many accounts were left out beyond
        :data:`MOST_ACCOUNTS`, the smallest first.
    """
    order, place = np.unique(rows["a"].to_numpy(), return_inverse=True)
    index, block = np.unique(rows["b"].to_numpy(), return_inverse=True)
    size = np.bincount(place, np.abs(value), len(order))
    most = min(MOST_ACCOUNTS, max(1, _CELLS // max(1, len(index))))
    kept = np.sort(np.argsort(-size, kind="stable")[:most])
    column = np.full(len(order), -1)
    column[kept] = np.arange(len(kept))
    table = np.zeros((len(index), len(kept)))
    inside = column[place] >= 0
    np.add.at(table, (block[inside], column[place][inside]), value[inside])
    return index, table, order[kept].tolist(), len(order) - len(kept)


def _verdict(review: Review, found: Joint, p: float) -> Verdict:
    if found.floor > review.plan.amber:
        return Verdict.INSUFFICIENT
    return Verdict.AMBER if p <= review.plan.amber else Verdict.GREEN


def _table(review: Review, rows: pl.DataFrame, units: list[int], found: Joint) -> list[dict[str, Any]]:
    """The most remarkable accounts, each with its exact gain over its expected allocation by currency."""
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    order = sorted(range(len(units)), key=lambda i: (found.result.p[i], found.result.p_single[i], units[i]))[:SHOWN]
    parts = rows.filter(pl.col("a").is_in([units[i] for i in order])).partition_by("a", as_dict=True)
    return [
        {
            "account": review.accounts[units[i]],
            "gain": {
                currency: money(amount)
                for currency, amount in moneys.by_currency(parts[units[i],], "d", "den", "gain", scale).items()
            },
            "p": float(found.result.p_single[i]),
            "p_adj": float(found.result.p[i]),
        }
        for i in order
    ]


def _spread(review: Review, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """By strategy and quarter: standard deviation over accounts of gain over the filled value, in basis points."""
    value = pl.col("price") / pl.col("price_den")
    quarter = pl.format("{}-Q{}", pl.col("trade_date").dt.year(), pl.col("trade_date").dt.quarter()).alias("quarter")
    facts = review.blocks.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "strategy", "trade_date", "price",
                                 "price_den", "source", "r")  # fmt: skip
    known = facts.filter((pl.col("source") != "none") & pl.col("r").is_not_null())
    held = review.rows.select("b", "a", "alloc").join(known, on="b")
    notional = held.group_by("strategy", quarter, "a").agg((pl.col("alloc") * value).sum().alias("notional"))
    gains = rows.group_by("strategy", quarter, "a").agg(
        (pl.col("d") / pl.col("den") * value * pl.col("ret")).sum().alias("gain")
    )
    joined = notional.join(gains, on=["strategy", "quarter", "a"], how="left").filter(pl.col("notional") > 0)
    ratio = (10_000 * pl.col("gain").fill_null(0) / pl.col("notional")).alias("bps")
    spread = joined.with_columns(ratio).group_by("strategy", "quarter").agg(
        pl.len().alias("accounts"), pl.col("bps").std(ddof=0).round(3),
        pl.col("bps").min().round(3).alias("lowest_bps"), pl.col("bps").max().round(3).alias("highest_bps"),
    )  # fmt: skip
    return spread.sort("strategy", "quarter").rename({"bps": "std_bps"}).to_dicts()


def _power(accounts: int, alpha: float) -> str:
    """Smallest gain relative to an account's own permutation spread: normal, Bonferroni over accounts, power 80%."""
    times = float(stats.norm.isf(alpha / 2 / accounts) + stats.norm.isf(0.2))
    return (
        f"a gain or loss of about {times:.1f} times what chance moves an account by would have been seen with 80% power"
    )


def _quiet(review: Review, judged: int, verdict: Verdict | None = None) -> Finding:
    return Finding(
        id="e",
        title="Dispersion between accounts",
        verdict=verdict or (Verdict.GREEN if judged else Verdict.INSUFFICIENT),
        p=None if verdict or not judged else 1.0,
        n_blocks=judged,
        exact=True,
        seed=review.seed,
        limits=LIMITS,
        power={"text": "no account deviates, so no account gained or lost by deviations", "power": 1.0},
        summary="No account deviates from its expected allocation."
        if judged and not verdict
        else "Too little to test.",
    )
