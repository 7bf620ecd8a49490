"""Columns of text to exact whole numbers and nanoseconds, a whole column at a time.

Rows of one block repeat most cells, so a column is cut into runs of equal cells and each run read once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl

MAX_DIGITS = 12
"""Most decimals a number may have."""

MAX_WHOLE = 10**15
"""Quantities and prices are below this."""

_NUMBER = r"^[+-]?[0-9]{1,16}(\.[0-9]*)?$|^[+-]?\.[0-9]+$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def by_runs(cells: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """``read`` applied to the first cell of each run of equal cells, the result given to all of the run."""
    if len(cells) == 0:
        return read(cells)
    starts = (cells != cells.shift(1)).fill_null(True)
    runs = cells.filter(starts)
    if len(runs) == len(cells):
        return read(cells)
    return read(runs).gather(starts.cast(pl.UInt32).cum_sum() - 1)


def digits_of(cells: pl.Series) -> int:
    """The most decimals a cell has, without trailing zeros; at most MAX_DIGITS."""
    if not cells.str.contains(".", literal=True).any():
        return 0
    lengths = cells.str.extract(r"\.([0-9]*)$").str.strip_chars_end("0").str.len_bytes()
    found = lengths.filter(lengths <= MAX_DIGITS).max()
    return int(found) if isinstance(found, int) else 0


def whole_numbers(cells: pl.Series, digits: int) -> pl.Series:
    """Plain decimals as whole numbers of 10^-digits; null where a cell is empty or no such number."""
    return by_runs(cells, lambda runs: _whole(runs, digits))


def _whole(cells: pl.Series, digits: int) -> pl.Series:
    plain = cells.cast(pl.Int64, strict=False)
    frame = pl.DataFrame({"t": cells, "n": plain})
    scaled = pl.when(pl.col("n").abs() < MAX_WHOLE).then(pl.col("n") * 10**digits)
    if plain.null_count() == 0:
        return _fits(frame.select(scaled.alias("n")).to_series(), digits)
    text = pl.when(pl.col("n").is_null() & pl.col("t").str.contains(_NUMBER)).then(pl.col("t"))
    fraction = text.str.extract(r"\.([0-9]*)$").fill_null("").str.strip_chars_end("0")
    joined = text.str.extract(r"^([+-]?[0-9]*)").fill_null("") + fraction.str.pad_end(digits, "0")
    readable = text.is_not_null() & (fraction.str.len_bytes() <= digits)
    decimals = pl.when(readable).then(joined.cast(pl.Int64, strict=False))
    return _fits(frame.select(pl.coalesce(scaled, decimals).alias("n")).to_series(), digits)


def _fits(numbers: pl.Series, digits: int) -> pl.Series:
    """Null where a number is too large to be counted exactly."""
    limit = min(MAX_WHOLE * 10**digits, 1 << 61)
    return numbers.to_frame("n").select(pl.when(pl.col("n").abs() < limit).then(pl.col("n"))).to_series()


def nanoseconds(cells: pl.Series) -> pl.Series:
    """ISO 8601 times with an offset as ns since 1970 UTC; null where a cell is empty or no such time."""
    return by_runs(cells, _nanoseconds)


def _nanoseconds(cells: pl.Series) -> pl.Series:
    text = cells.str.replace(r"[Zz]$", "+00:00").str.replace(" ", "T", n=1, literal=True)
    times = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="ns", time_zone="UTC", strict=False)
    found = times.cast(pl.Int64)
    left = found.is_null() & (cells != "")
    if not left.any():
        return found
    others = {cell: _iso(cell) for cell in cells.filter(left).unique()}
    more = cells.replace_strict(others, default=None, return_dtype=pl.Int64)
    return found.to_frame("n").with_columns(more.alias("m")).select(pl.coalesce("n", "m")).to_series()


def _iso(cell: str) -> int | None:
    """Any other writing of ISO 8601, by the standard library; microseconds."""
    try:
        when = datetime.fromisoformat(cell)
    except ValueError:
        return None
    if when.tzinfo is None:
        return None
    return (when - _EPOCH) // timedelta(microseconds=1) * 1000


def dates(cells: pl.Series) -> pl.Series:
    """ISO dates; null where a cell is no date."""
    return by_runs(cells, lambda runs: runs.str.to_date("%Y-%m-%d", strict=False))
