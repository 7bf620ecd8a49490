"""Pieces of a blotter as columns of text become typed frames; what cannot be read is listed.

Cells of the row are read at once; cells that the rows of a block share are kept once a run of rows that agree (a
*variant* of the block) and joined to one row a block at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from fixgateway.forensics import columns as c
from fixgateway.forensics.data import Problem
from fixgateway.forensics.parsing import MAX_DIGITS, dates, digits_of, nanoseconds, whole_numbers

ROW_CELLS = (*c.ROW_NUMBERS, *c.ROW_TEXT, *c.ROW_TIMES)
BLOCK_CELLS = ("trade_date", "strategy", "trader", "clock_offset_us", *c.BLOCK_TEXT, *c.BLOCK_NUMBERS, *c.TIMES)
_SAME = {"trade_date": "trade_date", **{name: name for name in c.BLOCK_TEXT}, **c.BLOCK_NUMBERS}
"""Cells that must agree in all rows of a block, and their typed columns."""

SCALES = ("quantity", "price", "multiplier")


@dataclass(frozen=True, slots=True)
class Typed:
    """A whole blotter: ``rows`` joined to ``blocks`` by ``b``, ``a`` the index in ``accounts``."""

    rows: pl.DataFrame
    blocks: pl.DataFrame
    accounts: tuple[str, ...]
    problems: tuple[Problem, ...]
    set_aside: int
    digits: Mapping[str, int]


@dataclass(slots=True)
class Reading:
    """Takes piece after piece; :meth:`whole` gives the blotter."""

    header: Sequence[str]
    problems: list[Problem] = field(default_factory=list)
    _rows: list[tuple[pl.DataFrame, dict[str, int]]] = field(default_factory=list)
    _variants: list[tuple[pl.DataFrame, dict[str, int]]] = field(default_factory=list)

    def take(self, frame: pl.DataFrame) -> None:
        """Read one piece, a frame of texts and ``line``."""
        frame = frame.with_columns(
            pl.col(name).fill_null("").str.strip_chars() for name in frame.columns if name in c.KNOWN
        )
        frame = frame.with_columns(pl.col(*(n for n in c.WORDS if n in frame.columns)).str.to_lowercase())
        missing = [name for name in (*ROW_CELLS, *BLOCK_CELLS) if name not in frame.columns]
        frame = frame.with_columns(pl.lit("").alias(name) for name in missing)
        frame = frame.with_columns(pl.struct("block_id", *BLOCK_CELLS).hash(0).alias("variant"))
        fresh = (pl.col("variant") != pl.col("variant").shift(1)).fill_null(True)
        runs = frame.filter(fresh).select("line", "block_id", "variant", *BLOCK_CELLS)
        self._rows.append(_rows(frame.select("line", "block_id", "account", "variant", *ROW_CELLS), self.problems))
        self._variants.append(_variants(runs, self.problems))

    def whole(self) -> Typed:
        """Everything taken, checked across pieces."""
        if not self._rows:
            self.take(pl.DataFrame(schema={**dict.fromkeys(self.header, pl.String), "line": pl.Int64}))
        digits = {s: max(found.get(s, 0) for _, found in (*self._rows, *self._variants)) for s in SCALES}
        rows = pl.concat([_rescaled(frame, found, digits, self.problems) for frame, found in self._rows])
        self._rows.clear()
        variants = pl.concat([_rescaled(frame, found, digits, self.problems) for frame, found in self._variants])
        self._variants.clear()
        return _joined(rows, variants, self.problems, digits)


# ---------------------------------------------------------------- cells


def _rows(frame: pl.DataFrame, problems: list[Problem]) -> tuple[pl.DataFrame, dict[str, int]]:
    frame, digits = _numbers(frame, c.ROW_NUMBERS, problems)
    frame = _times(frame, c.ROW_TIMES, problems)
    _list(frame, pl.col("block_id") == "", "block_id: empty (name the block)", problems)
    _list(frame, pl.col("account") == "", "account: empty (name the account)", problems)
    unknown = pl.col("alloc").is_null() & (pl.col("alloc_qty") == "")
    _list(frame, unknown, "alloc_qty: empty (write 0 for none)", problems)
    unpriced = pl.col("price").is_null() & (pl.col("price_text") == "") & (pl.col("alloc") != 0)
    _list(frame, unpriced, "price: empty (write the account's price)", problems)
    _list(frame, pl.col("price") <= 0, "price: not above zero", problems)
    for cell, name in c.ROW_NUMBERS.items():
        if name != "price":
            _list(frame, pl.col(name) < 0, f"{cell}: below zero (the side says which way)", problems)
    for name in ("account_class", "fee"):
        _words(frame, name, problems)
    texts = [pl.col(name).cast(pl.Categorical) for name in c.ROW_TEXT if name != "exception_text"]
    kept = ("line", "block_id", "account", "variant", *c.ROW_NUMBERS.values(), *c.ROW_TIMES.values())
    return frame.select(*kept, *texts, "exception_text"), digits


def _variants(frame: pl.DataFrame, problems: list[Problem]) -> tuple[pl.DataFrame, dict[str, int]]:
    frame, digits = _numbers(frame, c.BLOCK_NUMBERS, problems)
    frame = _times(frame, c.TIMES, problems)
    days = dates(frame["trade_date"])
    frame = frame.with_columns(pl.col("trade_date").alias("date_text"), days.alias("trade_date"))
    _list(frame, pl.col("trade_date").is_null(), "trade_date: no date like 2026-01-31", problems, "date_text")
    offset = frame["clock_offset_us"].cast(pl.Float64, strict=False).abs().ceil().cast(pl.Int64, strict=False)
    frame = frame.with_columns(offset.alias("offset_us"))
    wrong = pl.col("offset_us").is_null() & (pl.col("clock_offset_us") != "")
    _list(frame, wrong, "clock_offset_us: no number", problems, "clock_offset_us")
    _words(frame, "side", problems)
    for name in ("close", "multiplier"):
        cell = {"close": "close_price"}.get(name, name)
        _list(frame, pl.col(name) <= 0, f"{cell}: not above zero", problems)
    _list(frame, pl.col("mark") <= 0, "mark_at_allocation: not above zero", problems)
    kept = ("line", "block_id", "variant", "trade_date", "strategy", "trader", "offset_us", *c.BLOCK_TEXT)
    return frame.select(*kept, *c.BLOCK_NUMBERS.values(), *c.TIMES.values()), digits


def _numbers(
    frame: pl.DataFrame, names: Mapping[str, str], problems: list[Problem]
) -> tuple[pl.DataFrame, dict[str, int]]:
    digits: dict[str, int] = {}
    for cell, name in names.items():
        digits[c.SCALE_OF[name]] = max(digits.get(c.SCALE_OF[name], 0), digits_of(frame[cell]))
    columns = []
    for cell, name in names.items():
        read = whole_numbers(frame[cell], digits[c.SCALE_OF[name]]).alias(name)
        if read.null_count():
            wrong = read.is_null() & (frame[cell] != "")
            why = f"{cell}: no plain number (digits and one point, up to {MAX_DIGITS} decimals, below 10^15)"
            _list(frame, wrong, why, problems, cell)
        columns.append(read)
        if name == cell:
            frame = frame.rename({cell: f"{cell}_text"})
    return frame.with_columns(columns), digits


def _times(frame: pl.DataFrame, names: Mapping[str, str], problems: list[Problem]) -> pl.DataFrame:
    columns = []
    for cell, name in names.items():
        read = nanoseconds(frame[cell]).alias(name)
        if read.null_count():
            wrong = read.is_null() & (frame[cell] != "")
            why = f"{cell}: no ISO 8601 time with an offset, like 2026-01-31T09:30:00-05:00"
            _list(frame, wrong, why, problems, cell)
        columns.append(read)
    return frame.with_columns(columns)


def _words(frame: pl.DataFrame, name: str, problems: list[Problem]) -> None:
    words = c.WORDS[name]
    known = pl.col(name).is_in(words) | (pl.col(name) == "" if name in c.MAY_BE_EMPTY else pl.lit(False))
    _list(frame, ~known, f"{name}: not one of {', '.join(words)}", problems, name)


def _list(
    frame: pl.DataFrame, wrong: pl.Expr | pl.Series, reason: str, problems: list[Problem], cell: str = ""
) -> None:
    """List the rows where ``wrong``, with the text of ``cell`` where one is named."""
    found = frame.filter(wrong)
    for row in found.iter_rows(named=True):
        text = f"{reason}; it says \"{str(row[cell])[:40]}\"" if cell else reason
        problems.append(Problem(row["line"], row["block_id"], text))


def _rescaled(
    frame: pl.DataFrame, found: Mapping[str, int], digits: Mapping[str, int], problems: list[Problem]
) -> pl.DataFrame:
    """Numbers of a piece, counted in its own scale, counted in the whole file's."""
    factors = {
        name: 10 ** (digits[scale] - found[scale])
        for name, scale in c.SCALE_OF.items()
        if name in frame.columns and digits[scale] > found[scale]
    }
    for name, factor in factors.items():
        _list(frame, pl.col(name).abs() >= (1 << 61) // factor, f"{name}: too large beside others' decimals", problems)
    return frame.with_columns(
        pl.when(pl.col(name).abs() < (1 << 61) // factor).then(pl.col(name) * factor).alias(name)
        for name, factor in factors.items()
    )


# ---------------------------------------------------------------- rows and blocks


def _joined(
    rows: pl.DataFrame, variants: pl.DataFrame, problems: list[Problem], digits: Mapping[str, int]
) -> Typed:
    _twice(rows, problems)
    _differing(variants, problems)
    blocks = _one_a_block(variants)
    bad = {problem.block_id for problem in problems if problem.block_id}
    listed = {problem.line for problem in problems}
    nameless = rows.filter(pl.col("block_id") == "")["line"].to_list()
    if bad or nameless:
        first: dict[str, int] = {}
        for problem in problems:
            first[problem.block_id] = min(problem.line, first.get(problem.block_id, problem.line))
        gone = rows.filter(pl.col("block_id").is_in(list(bad)))
        for line, block_id in gone.select("line", "block_id").iter_rows():
            if line not in listed:
                problems.append(Problem(line, block_id, f"left out with its block (line {first[block_id]})"))
        out = pl.col("block_id").is_in(list(bad)) | (pl.col("block_id") == "")
        rows, blocks = rows.filter(~out), blocks.filter(~out)
    blocks = blocks.sort("trade_date", "block_id").with_row_index("b").with_columns(pl.col("b").cast(pl.Int64))
    names = rows["account"].unique().sort()
    accounts = pl.DataFrame({"account": names, "a": pl.int_range(len(names), eager=True)})
    rows = rows.drop("variant").join(blocks.select("block_id", "b"), on="block_id").drop("block_id")
    rows = rows.join(accounts, on="account").drop("account").sort("b", "a")
    order = sorted(problems, key=lambda problem: (problem.line, problem.reason))
    return Typed(rows, blocks, tuple(names.to_list()), tuple(order), len(bad), digits)


def _twice(rows: pl.DataFrame, problems: list[Problem]) -> None:
    again = rows.filter(~pl.struct("block_id", "account").is_first_distinct())
    _list(again, pl.lit(True), "a second row of this account in this block (one row a block and account)", problems)


def _differing(variants: pl.DataFrame, problems: list[Problem]) -> None:
    """Rows of a block that disagree about what is the block's."""
    several = variants.filter(pl.col("block_id").is_duplicated())
    if not len(several):
        return
    first = several.group_by("block_id", maintain_order=True).first()
    beside = several.join(first, on="block_id", suffix="_first")
    for cell, name in _SAME.items():
        differs = pl.col(name).ne_missing(pl.col(f"{name}_first"))
        for line, block, before in beside.filter(differs).select("line", "block_id", "line_first").iter_rows():
            problems.append(Problem(line, block, f"{cell}: not what line {before} of the same block says"))


def _one_a_block(variants: pl.DataFrame) -> pl.DataFrame:
    """One row a block: the latest or earliest time, the largest clock offset, all strategies."""
    if not variants["block_id"].is_duplicated().any():
        return variants.drop("variant")
    once = variants.unique(("block_id", "variant"), keep="first", maintain_order=True).drop("variant")
    single = once.filter(~pl.col("block_id").is_duplicated())
    several = once.filter(pl.col("block_id").is_duplicated())
    if not len(several):
        return single
    joined = several.group_by("block_id", maintain_order=True).agg(
        pl.col("line").min(),
        pl.col("trade_date").first(),
        *(pl.col(name).unique().sort().str.join("+") for name in ("strategy", "trader")),
        pl.col("offset_us").max(),
        *(pl.col(name).first() for name in (*c.BLOCK_TEXT, *c.BLOCK_NUMBERS.values())),
        *(pl.col(name).max() if name in c.LATEST else pl.col(name).min() for name in c.TIMES.values()),
    )
    return pl.concat([single, joined.select(single.columns)])
