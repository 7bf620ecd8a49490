"""Strata: blocks that may be compared with each other.

Strategy x side x month. A month with fewer than 4 blocks joins the month before it of its strategy and side, the first one
joins the next. Where that still leaves fewer than 4, the strategy and side is not cut by month at all.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from fixgateway.forensics.data import Stratum

LEAST = 4
"""Blocks a month must have to stand alone."""


def assign(blocks: pl.DataFrame, keys: Sequence[str]) -> tuple[npt.NDArray[np.int64], tuple[Stratum, ...]]:
    """The stratum of every block, and the strata; ``keys`` are those of strategy, side and month that count."""
    frame = blocks.select(
        (pl.col("strategy") if "strategy" in keys else pl.lit("")).alias("strategy"),
        (pl.col("side") if "side" in keys else pl.lit("")).alias("side"),
        (pl.col("trade_date").dt.strftime("%Y-%m") if "month" in keys else pl.lit("")).alias("month"),
    )
    if not len(frame):
        return np.empty(0, dtype=np.int64), ()
    sizes = frame.group_by("strategy", "side", "month").len().sort("strategy", "side", "month")
    strata: list[Stratum] = []
    places: list[tuple[str, str, str, int]] = []
    for (strategy, side), months in sizes.group_by("strategy", "side", maintain_order=True):
        for joined in merged(list(zip(months["month"].to_list(), months["len"].to_list(), strict=True))):
            names = tuple(month for month, _ in joined)
            places += [(str(strategy), str(side), month, len(strata)) for month in names]
            strata.append(Stratum(str(strategy), str(side), names, sum(size for _, size in joined)))
    schema = {"strategy": pl.String, "side": pl.String, "month": pl.String, "stratum": pl.Int64}
    found = pl.DataFrame(places, schema=schema, orient="row")
    joined_frame = frame.join(found, on=("strategy", "side", "month"), how="left", maintain_order="left")
    return joined_frame["stratum"].to_numpy(), tuple(strata)


def merged(months: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Months (name, blocks) of one strategy and side in order, joined until each part has LEAST blocks."""
    parts: list[list[tuple[str, int]]] = []
    for month in months:
        first_joins = len(parts) == 1 and len(parts[0]) == 1 and parts[0][0][1] < LEAST
        if parts and (month[1] < LEAST or first_joins):
            parts[-1].append(month)
        else:
            parts.append([month])
    if any(sum(size for _, size in part) < LEAST for part in parts):
        return [list(months)]
    return parts
