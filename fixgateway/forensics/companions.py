"""Plain figures beside a test: win rates with intervals, dollar-weighted win rates, 2x2 tables.

They describe; no verdict rests on them, because rows of one block are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from fixgateway.forensics.data import Review

Z95 = 1.959963984540054


def wilson(hits: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a rate."""
    if not trials:
        return 0.0, 1.0
    p, n = hits / trials, trials
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(hits: int, trials: int, others: int, of_others: int) -> tuple[float, float]:
    """Newcombe's interval (method 10) of the difference of two rates."""
    if not trials or not of_others:
        return -1.0, 1.0
    p, q = hits / trials, others / of_others
    (l1, u1), (l2, u2) = wilson(hits, trials), wilson(others, of_others)
    low = p - q - math.sqrt((p - l1) ** 2 + (u2 - q) ** 2)
    high = p - q + math.sqrt((u1 - p) ** 2 + (q - l2) ** 2)
    return low, high


def two_by_two(wins: int, losses: int, other_wins: int, other_losses: int) -> dict[str, Any]:
    """A 2x2 table: rates, their difference, odds ratio and Fisher's one-sided exact p."""
    table = [[wins, losses], [other_wins, other_losses]]
    _, p = stats.fisher_exact(table, alternative="greater")
    product = losses * other_wins
    n, m = wins + losses, other_wins + other_losses
    return {
        "table": table,
        "rate": wins / n if n else None,
        "other_rate": other_wins / m if m else None,
        "difference_95": list(newcombe(wins, n, other_wins, m)),
        "odds_ratio": wins * other_losses / product if product else None,
        "fisher_p": float(p),
    }


def mantel_haenszel(tables: Sequence[tuple[int, int, int, int]]) -> dict[str, Any]:
    """Cochran-Mantel-Haenszel over strata, with continuity correction: statistic and two-sided p."""
    excess = variance = 0.0
    for a, b, c, d in tables:
        n = a + b + c + d
        if n < 2:
            continue
        excess += a - (a + b) * (a + c) / n
        variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    if variance <= 0:
        return {"statistic": None, "p": None}
    value = max(0.0, abs(excess) - 0.5) ** 2 / variance
    return {"statistic": value, "p": float(stats.chi2.sf(value, 1))}


def win_rates(review: Review, blocks: pl.DataFrame, group: str, ret: str) -> Mapping[str, Any]:
    """How often, and with how much money, the group's rows and the others' had a positive first day."""
    rows = _rows(review, blocks, group, ret)
    counts = {
        bool(mine): (wins, losses)
        for mine, wins, losses in rows.group_by("mine").agg(
            (pl.col("ret") > 0).sum().alias("wins"), (pl.col("ret") < 0).sum().alias("losses")
        ).iter_rows()
    }  # fmt: skip
    wins, losses = counts.get(True, (0, 0))
    other_wins, other_losses = counts.get(False, (0, 0))
    money = {
        bool(mine): {"dollar_win_rate": up / total if total else None, "mean_return": mean}
        for mine, up, total, mean in rows.group_by("mine").agg(
            pl.col("money").filter(pl.col("ret") > 0).sum().alias("up"),
            pl.col("money").filter(pl.col("ret") != 0).sum().alias("total"),
            pl.col("ret").mean().alias("mean"),
        ).iter_rows()
    }  # fmt: skip
    return {
        "unit": "rows with an allocation and a first-day return other than zero",
        **two_by_two(wins, losses, other_wins, other_losses),
        "group": money.get(True, {}),
        "others": money.get(False, {}),
    }


def by_strata(review: Review, blocks: pl.DataFrame, stratum: np.ndarray[Any, Any], group: str, ret: str) -> Any:
    """Cochran-Mantel-Haenszel of group x outcome over the strata of the test."""
    rows = _rows(review, blocks.with_columns(pl.Series("part", stratum)), group, ret, "part")
    found = rows.group_by("part").agg(
        (pl.col("mine") & (pl.col("ret") > 0)).sum().alias("a"),
        (pl.col("mine") & (pl.col("ret") < 0)).sum().alias("b"),
        (~pl.col("mine") & (pl.col("ret") > 0)).sum().alias("c"),
        (~pl.col("mine") & (pl.col("ret") < 0)).sum().alias("d"),
    )
    return mantel_haenszel([(int(a), int(b), int(c), int(d)) for a, b, c, d in found.select(*"abcd").iter_rows()])


def _rows(review: Review, blocks: pl.DataFrame, group: str, ret: str, *more: str) -> pl.DataFrame:
    some = blocks.select("b", *more, pl.col(ret).alias("ret"), (pl.col("price") / pl.col("price_den")).alias("at"))
    rows = review.rows.filter(pl.col("alloc") > 0).select("b", "alloc", pl.col(f"g_{group}").alias("mine"))
    return rows.join(some, on="b").with_columns((pl.col("alloc") * pl.col("at")).alias("money"))
