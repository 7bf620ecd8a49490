"""Honest histories of any size, made in columns: for the bench and for trying what a machine can do.

A year of blocks over four strategies and both sides; a fixed number of accounts takes part in each, one of them
proprietary and one paying a performance fee. Intents and fills are drawn, shares are largest remainder in account
order. In a chosen percent of the blocks the proprietary account and a client exchange a tenth of the smaller share
without regard to the outcome: deviations that favour nobody.

The same arguments give the same rows with the same version of numpy (its generators may change between versions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fixgateway.errors import UsageError
from fixgateway.forensics.made_blocks import COLUMNS

Ints = NDArray[np.int64]

CHUNK_ROWS = 500_000
"""Rows made and written at a time."""

_STRATEGIES = ("Core", "Growth", "Income", "Value")
_SIDES = ("buy", "sell")
_WEEKDAYS_A_YEAR = 260
_OPEN_SECOND = 14 * 3600 + 35 * 60
_SHARES_IN_TEN = 10


@dataclass(frozen=True, slots=True)
class Big:
    """What to make.

    Attributes:
        rows: how many rows; rounded down to whole blocks.
        accounts: accounts of each block, at least 3.
        deviating_percent: blocks in which two accounts exchange something, 0 to 100.
        year: of the trade dates.
    """

    rows: int
    accounts: int = 20
    deviating_percent: int = 0
    year: int = 2025

    @property
    def blocks(self) -> int:
        """How many blocks."""
        return self.rows // self.accounts


def frames(big: Big, seed: int = 1) -> Iterator[pl.DataFrame]:
    """The history in pieces of whole blocks, in the order of trade dates, contract columns.

    Raises:
        UsageError: fewer than three accounts a block, or not one block.
    """
    if big.accounts < 3 or big.blocks < 1:
        raise UsageError(f"--rows {big.rows} --accounts {big.accounts}: needs 3 accounts a block and one block")
    step = max(1, CHUNK_ROWS // big.accounts)
    for number, first in enumerate(range(0, big.blocks, step)):
        dice = np.random.Generator(np.random.PCG64([seed, number]))
        yield _frame(big, np.arange(first, min(first + step, big.blocks)), dice)


def write_big(big: Big, path: Path, seed: int = 1, progress: Callable[[int], None] = lambda rows: None) -> int:
    """Write the history as a blotter; memory stays at one piece. Returns the rows written."""
    written = 0
    with path.open("wb") as file:
        for frame in frames(big, seed):
            frame.write_csv(file, include_header=not written)
            written += frame.height
            progress(written)
    return written


def _frame(big: Big, numbers: Ints, dice: np.random.Generator) -> pl.DataFrame:
    count = len(numbers)
    intents = dice.integers(1, 51, (count, big.accounts)) * 100
    totals = intents.sum(axis=1)
    given = largest_remainders(totals * dice.integers(30, 101, count) // 100, intents)
    _exchange(given, dice.integers(0, 100, count) < big.deviating_percent, dice)
    cents = dice.integers(1_000, 20_000, count)
    # Day-clustered returns: blocks of a day share most of their move.
    day = numbers * _WEEKDAYS_A_YEAR // big.blocks
    of_the_day = np.random.Generator(np.random.PCG64(big.year)).normal(0, 0.008, _WEEKDAYS_A_YEAR)
    moves = of_the_day[day] + dice.standard_t(4, count) * 0.006
    closes = np.maximum(1, np.rint(cents * (1 + np.clip(moves, -0.5, 0.5)))).astype(np.int64)
    seconds = dice.integers(0, 18_000, count)
    blocks = _blocks(big, numbers, day, cents, closes, seconds, dice)
    rows = pl.DataFrame(
        {
            "i": np.repeat(np.arange(count), big.accounts),
            "n": np.tile(np.arange(big.accounts), count),
            "intent_qty": intents.ravel(),
            "alloc_qty": given.ravel(),
        }
    )
    return (
        rows.join(blocks, on="i", maintain_order="left")
        .join(_accounts(big), on="n", maintain_order="left")
        .select(COLUMNS)
    )


def largest_remainders(units: Ints, weights: Ints) -> Ints:
    """Divide the units of every row by that row's weights: floors, then one more by largest remainder, ties first."""
    totals = weights.sum(axis=1)
    exact = units[:, None] * weights
    given = exact // totals[:, None]
    left = units - given.sum(axis=1)
    order = np.argsort(-(exact % totals[:, None]), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(weights.shape[1])[None, :], axis=1)
    more: Ints = given + (ranks < left[:, None])
    return more


def _exchange(given: Ints, chosen: NDArray[np.bool_], dice: np.random.Generator) -> None:
    """In the chosen blocks the first account and the last exchange a tenth of the smaller share, either way."""
    some = np.minimum(given[:, 0], given[:, -1]) // _SHARES_IN_TEN * dice.choice(np.array([-1, 1]), len(given)) * chosen
    given[:, 0] += some
    given[:, -1] -= some


def _blocks(
    big: Big, numbers: Ints, day: Ints, cents: Ints, closes: Ints, seconds: Ints, dice: np.random.Generator
) -> pl.DataFrame:
    count = len(numbers)
    dates = np.busday_offset(f"{big.year}-01-01", day, roll="forward")
    start = dates.astype("datetime64[ms]") + (_OPEN_SECOND + seconds) * 1_000

    def moment(after_seconds: int) -> pl.Series:
        return pl.Series(start + np.timedelta64(after_seconds * 1_000, "ms")).dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")

    def one_of(names: tuple[str, ...]) -> pl.Series:
        return pl.Series(names).gather(dice.integers(0, len(names), count))

    return pl.DataFrame(
        {
            "i": np.arange(count),
            "block_id": pl.Series(numbers).cast(pl.String).str.zfill(9),
            "trade_date": pl.Series(dates.astype("datetime64[D]")).cast(pl.Date).dt.strftime("%Y-%m-%d"),
            "symbol": "S" + pl.Series(dice.integers(0, 500, count)).cast(pl.String).str.zfill(3),
            "side": one_of(_SIDES),
            "strategy": one_of(_STRATEGIES),
            "price": _money(cents),
            "close_price": _money(closes),
            "captured_at": moment(0),
            "released_at": moment(60),
            "last_fill_at": moment(1_800),
            "allocated_at": moment(2_100),
            "exception_code": "",
            "trader": one_of(("T1", "T2", "T3")),
        }
    )


def _money(cents: Ints) -> pl.Series:
    return pl.Series(cents // 100).cast(pl.String) + "." + pl.Series(cents % 100).cast(pl.String).str.zfill(2)


def _accounts(big: Big) -> pl.DataFrame:
    """One proprietary account, one that pays a performance fee, clients."""
    clients = big.accounts - 2
    return pl.DataFrame(
        {
            "n": np.arange(big.accounts),
            "account": ["PROP", "FEE", *(f"CLIENT-{n:05}" for n in range(clients))],
            "account_class": ["proprietary", *["client"] * (clients + 1)],
            "fee": ["standard", "performance", *["standard"] * clients],
            "fee_rate": ["0", "0.20", *["0.01"] * clients],
        }
    )
