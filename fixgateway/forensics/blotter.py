"""Reading a blotter: CSV text to typed frames, and every row that cannot be used with its line and the reason.

The file is read in pieces of some megabytes. Each piece is cut into records (a quoted cell may hold commas and line ends),
records with a wrong number of cells are listed, the rest becomes columns. Cells that all rows of a block share are read once a
block. A bad row takes its block with it: what the others should have had cannot be told without it.
"""  # noqa: E501

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

from fixgateway.errors import UsageError
from fixgateway.forensics import columns as c
from fixgateway.forensics.data import Problem, Progress, silent
from fixgateway.forensics.typed import Reading

PIECE_BYTES = 1 << 25
MAX_RECORD_BYTES = 1 << 20
"""A longer record is a quote that never ends."""


@dataclass(frozen=True, slots=True)
class Blotter:
    """A blotter read: ``rows`` and ``blocks`` joined by ``b``; digits are powers of ten of the scales.

    ``set_aside`` counts blocks that were left out because a row of theirs is bad.
    """

    rows: pl.DataFrame
    blocks: pl.DataFrame
    accounts: tuple[str, ...]
    columns: frozenset[str]
    unknown: tuple[str, ...]
    problems: tuple[Problem, ...]
    set_aside: int
    sha256: str
    quantity_scale: int
    price_scale: int
    multiplier_scale: int


def read(path: Path | str, progress: Progress = silent) -> Blotter:
    """Read the CSV file.

    Raises:
        UsageError: the file cannot be read, has no header or lacks a column; names the column and the remedy.
    """
    name = Path(path).name
    try:
        with open(path, "rb") as file:
            size = max(1, Path(path).stat().st_size)
            return _read(file, name, size, progress)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error} (name a blotter CSV with --blotter)") from error


def _read(file: BinaryIO, name: str, size: int, progress: Progress) -> Blotter:
    digest = hashlib.sha256()
    source = _Source(file, digest)
    header = _header(source, name)
    reading = Reading(header)
    for piece, lines in _pieces(source, name, header, reading.problems):
        reading.take(_frame(piece, header).with_columns(pl.Series("line", lines, dtype=pl.Int64)))
        progress("reading", min(0.99, source.taken / size))
    found = reading.whole()
    progress("reading", 1.0)
    return Blotter(
        rows=found.rows, blocks=found.blocks, accounts=found.accounts, columns=frozenset(header) & c.KNOWN,
        unknown=tuple(sorted(set(header) - c.KNOWN)), problems=found.problems, set_aside=found.set_aside,
        sha256=digest.hexdigest(), quantity_scale=10 ** found.digits["quantity"],
        price_scale=10 ** found.digits["price"], multiplier_scale=10 ** found.digits["multiplier"],
    )  # fmt: skip


# ---------------------------------------------------------------- bytes to records


class _Source:
    """The file's bytes, hashed as they are read."""

    def __init__(self, file: BinaryIO, digest: hashlib._Hash) -> None:
        self._file, self._digest = file, digest
        self.taken = 0
        self.carry = b""
        self.line = 1

    def more(self) -> bytes:
        """The next bytes; empty at the end."""
        data = self._file.read(PIECE_BYTES)
        self._digest.update(data)
        self.taken += len(data)
        return data


def _header(source: _Source, name: str) -> list[str]:
    data = source.more().removeprefix(b"\xef\xbb\xbf")
    first, _, source.carry = data.partition(b"\n")
    try:
        names = next(csv.reader(io.StringIO(first.decode("utf-8"))), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{name}, line 1: no CSV header in UTF-8 ({error})") from error
    source.line = 2
    names = [text.strip().lower() for text in names]
    doubled = sorted({text for text in names if names.count(text) > 1})
    if doubled:
        raise UsageError(f"{name}, line 1: column {doubled[0]} is named twice (name every column once)")
    missing = [text for text in c.REQUIRED if text not in names]
    if missing:
        raise UsageError(
            f"{name}, line 1: column {', '.join(missing)} is missing (docs/forensics.md lists the columns; leave "
            "cells empty where a fact is not known)"
        )
    return names


def _pieces(
    source: _Source, name: str, header: list[str], problems: list[Problem]
) -> Iterator[tuple[bytes, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    """Pieces of whole records of the right width, with the line each begins on."""
    ended = False
    while not ended:
        data = source.more()
        ended = not data
        data = source.carry + (data or b"\n")
        piece, source.carry = _cut(data)
        if len(source.carry) > MAX_RECORD_BYTES + PIECE_BYTES or (ended and source.carry):
            line = source.line + piece.count(b"\n")
            raise UsageError(f"{name}, line {line}: a quote that never ends (close it, or double it inside)")
        if piece:
            yield _good(piece, source, header, problems)


def _outside(data: np.ndarray[tuple[int], np.dtype[np.uint8]], byte: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where ``byte`` stands outside quotes."""
    at = np.flatnonzero(data == byte)
    quotes = np.flatnonzero(data == ord('"'))
    return at[np.searchsorted(quotes, at) % 2 == 0] if len(quotes) else at


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Whole records, and the rest."""
    if b'"' not in data:
        end = data.rfind(b"\n") + 1
        return data[:end], data[end:]
    ends = _outside(np.frombuffer(data, np.uint8), ord("\n"))
    end = int(ends[-1]) + 1 if len(ends) else 0
    return data[:end], data[end:]


def _good(
    piece: bytes, source: _Source, header: list[str], problems: list[Problem]
) -> tuple[bytes, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The records with as many cells as the header; the others are listed, empty ones skipped."""
    width = len(header)
    data = np.frombuffer(piece, np.uint8)
    ends = _outside(data, ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    commas = np.searchsorted(_outside(data, ord(",")), ends)
    cells = np.diff(commas, prepend=0) + 1
    breaks = np.flatnonzero(data == ord("\n"))
    lines = source.line + np.searchsorted(breaks, starts)
    source.line += len(breaks)
    length = ends - starts
    blank = (length == 0) | ((length == 1) & (data[starts] == ord("\r")))
    wrong = (cells != width) & ~blank
    for i in np.flatnonzero(wrong):
        text = piece[starts[i] : ends[i]].decode("utf-8", "replace")
        found = dict(zip(header, next(csv.reader([text]), []), strict=False)).get("block_id", "").strip()
        problems.append(Problem(int(lines[i]), found, f"{cells[i]} cells, the header has {width}"))
    keep = ~(wrong | blank)
    if keep.all():
        return piece, lines
    kept = b"".join(piece[starts[i] : ends[i] + 1] for i in np.flatnonzero(keep))
    return kept, lines[keep]


def _frame(piece: bytes, header: list[str]) -> pl.DataFrame:
    if not piece:
        return pl.DataFrame(schema=dict.fromkeys(header, pl.String))
    return pl.read_csv(
        io.BytesIO(piece), has_header=False, schema=dict.fromkeys(header, pl.String), encoding="utf8-lossy",
        quote_char='"',
    )  # fmt: skip
