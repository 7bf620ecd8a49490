"""Strata as the plan says them: strategy x side x month, months joined until they have four blocks."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from fixgateway.forensics.strata import assign, merged


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([4, 4, 4], [[4], [4], [4]]),
        ([5, 3, 4], [[5, 3], [4]]),
        ([3, 4, 4], [[3, 4], [4]]),
        ([5, 1, 2, 6, 3], [[5, 1, 2], [6, 3]]),
        ([3, 1, 5], [[3, 1], [5]]),
        ([2, 1, 9, 9], [[2, 1, 9, 9]]),
        ([1] * 12, [[1] * 12]),
        ([3], [[3]]),
        ([2, 1], [[2, 1]]),
        ([7], [[7]]),
    ],
    ids=[
        "enough", "joins the previous", "first joins the next", "a run joins", "first with another small one",
        "still under four: no months", "one a month", "too few at all", "two too small", "one month",
    ],
)  # fmt: skip
def test_months(sizes: list[int], parts: list[list[int]]) -> None:
    months = [(f"2025-{i + 1:02d}", size) for i, size in enumerate(sizes)]
    assert [[size for _, size in part] for part in merged(months)] == parts


def test_strategies_and_sides_are_apart() -> None:
    blocks = pl.DataFrame(
        {
            "strategy": ["A"] * 8 + ["B"] * 4,
            "side": ["buy"] * 4 + ["sell"] * 4 + ["buy"] * 4,
            "trade_date": [date(2025, 1, 2 + i) for i in range(12)],
        }
    )
    stratum, strata = assign(blocks, ("strategy", "side", "month"))
    assert stratum.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [(x.strategy, x.side, x.months, x.size) for x in strata] == [
        ("A", "buy", ("2025-01",), 4), ("A", "sell", ("2025-01",), 4), ("B", "buy", ("2025-01",), 4),
    ]  # fmt: skip
    assert len(assign(blocks, ())[1]) == 1
