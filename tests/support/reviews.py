"""Reviews of small blotters: a block in one call, a review of a list of them. Defaults are blocks in order."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fixgateway.forensics import blotter, plan
from fixgateway.forensics.data import Review
from fixgateway.forensics.prepare import prepare

Row = dict[str, str]

CLASSES = {"PROP": ("proprietary", "performance"), "HEDGE": ("client", "performance")}
"""Accounts that are favoured by default; all others are clients with a standard fee."""


def block(
    number: int,
    allocated: Mapping[str, object],
    intents: Any = None,
    close: Any = 100,
    day: str = "2026-03-02",
    prices: Any = None,
    **fields: Any,
) -> list[Row]:
    """The rows of one block: bought at 100 with times in order, unless ``fields`` say otherwise.

    Args:
        allocated, intents: quantity by account (a mapping); without ``intents`` there was no statement.
        prices: an account's own price (a mapping), where it is not the block's.
        fields: columns of all rows.
    """
    common = {
        "block_id": f"B{number:05d}", "trade_date": day, "symbol": "XYZ", "side": "buy", "strategy": "growth",
        "fee_rate": "0.01", "price": "100", "close_price": str(close),
        "captured_at": f"{day}T14:00:00Z" if intents is not None else "", "released_at": f"{day}T14:01:00Z",
        "last_fill_at": f"{day}T15:00:00Z", "allocated_at": f"{day}T15:10:00Z", "exception_code": "", "trader": "T1",
    } | {name: str(value) for name, value in fields.items()}  # fmt: skip
    rows = []
    for account, quantity in allocated.items():
        account_class, fee = CLASSES.get(account, ("client", "standard"))
        own = {
            "account": account, "account_class": account_class, "fee": fee, "alloc_qty": str(quantity),
            "intent_qty": "" if intents is None else str(intents[account]),
        }  # fmt: skip
        rows.append(common | own | ({"price": str(prices[account])} if prices and account in prices else {}))
    return rows


def write(path: Path, blocks: Iterable[list[Row]]) -> Path:
    """The blocks as a CSV file."""
    rows = [row for rows in blocks for row in rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def review(path: Path, blocks: Iterable[list[Row]], plan_text: str = "", seed: str = "1") -> Review:
    """A review of the blocks, read back from a file in the directory ``path``; default plan without a text."""
    made = plan.parse(plan_text.encode()) if plan_text else plan.default()
    found = prepare(blotter.read(write(path / "blotter.csv", blocks)), made, seed)
    assert not found.problems, found.problems
    return found
