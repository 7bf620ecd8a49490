"""Blotters for the forensic tests, a block a call, written and read through the public reader."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixgateway.forensics import blotter, plan
from fixgateway.forensics.data import Review
from fixgateway.forensics.prepare import prepare

Row = dict[str, str]

CLASSES = {
    "PROP": ("proprietary", "performance"), "HEDGE": ("client", "performance"), "STAFF": ("employee", "standard")
}  # fmt: skip
"""Accounts that are not plain clients: class and fee."""
COLUMNS = (
    "block_id", "trade_date", "symbol", "side", "strategy", "account", "account_class", "fee", "fee_rate",
    "intent_qty", "alloc_qty", "price", "close_price", "captured_at", "released_at", "last_fill_at", "allocated_at",
    "exception_code", "trader",
)  # fmt: skip


def block(
    k: int,
    given: Mapping[str, int | str],
    intents: Mapping[str, int | str] | None = None,
    *,
    prices: Mapping[str, str] | None = None,
    close: int | float | str = 100,
    price: int | float | str = 100,
    day: str = "2026-03-02",
    **fields: str,
) -> list[Row]:
    """The rows of block B<k>: quantities by account, intents (none: no statement); ``fields`` are cells of all rows."""
    rows = []
    for account, quantity in given.items():
        class_, fee = CLASSES.get(account, ("client", "standard"))
        row = {
            "block_id": f"B{k:05d}", "trade_date": day, "symbol": "XYZ", "side": "buy", "strategy": "value",
            "account": account, "account_class": class_, "fee": fee, "fee_rate": "0.01",
            "intent_qty": str((intents or {}).get(account, "")), "alloc_qty": str(quantity),
            "price": str((prices or {}).get(account, price)), "close_price": str(close),
            "captured_at": f"{day}T14:00:00Z", "released_at": f"{day}T14:01:00Z", "last_fill_at": f"{day}T15:00:00Z",
            "allocated_at": f"{day}T15:10:00Z", "exception_code": "", "trader": "T1",
        }  # fmt: skip
        rows.append(row | {name: str(value) for name, value in fields.items()})
    return rows


def write(path: Path, blocks: Sequence[Sequence[Row]]) -> Path:
    """The blocks as a blotter file with the columns they use."""
    rows = [row for rows in blocks for row in rows]
    names = [*COLUMNS, *dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def review(directory: Path, blocks: Sequence[Sequence[Row]], plan_text: str = "", seed: str = "") -> Review:
    """The blocks ready for the tests, under a plan's text or the shipped plan."""
    path = write(directory / "blotter.csv", blocks)
    made = plan.parse(plan_text.encode()) if plan_text else plan.default()
    return prepare(blotter.read(path), made, seed)
