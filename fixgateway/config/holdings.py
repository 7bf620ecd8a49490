"""holdings.csv: what accounts may sell, as a day began."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from fixgateway.config.problems import Problem, read_text, shown
from fixgateway.core.model import Account, Holding, plain_decimal

MAX_HOLDINGS = 500_000
"""Most rows one file may hold; a longer file is refused."""
MAX_FILE_BYTES = 64_000_000
_MAX_FIELD_CHARS = 200
COLUMNS = ("account", "symbol", "quantity", "as_of")
"""All of them, in any order."""


def read(path: Path | None, accounts: Collection[Account] = ()) -> tuple[tuple[Holding, ...], list[Problem]]:
    """The rows of a holdings file in its order, and every problem found; nothing without a file.

    Args:
        accounts: those of the account file; a row of another account is a problem, unless there are none.
    """
    problems: list[Problem] = []
    text = None if path is None else read_text(path, MAX_FILE_BYTES, problems)
    if text is None:
        return (), problems
    return parse(text, str(path), frozenset(account.account for account in accounts))


def parse(
    text: str, file: str = "holdings.csv", known: frozenset[str] = frozenset()
) -> tuple[tuple[Holding, ...], list[Problem]]:
    """The holdings written in ``text``; ``file`` is its name for messages, ``known`` the accounts there are."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    found: list[Holding] = []
    problems: list[Problem] = []
    lines: dict[tuple[str, str], int] = {}
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        if sorted(header) != sorted(COLUMNS):
            remedy = f"write the columns {', '.join(COLUMNS)}"
            return (), [Problem(file, "line 1", f"has the columns {', '.join(header) or '(none)'}", remedy)]
        reader.fieldnames = header
        for row in reader:
            line = reader.line_num
            if None in row or None in row.values():
                problems.append(
                    Problem(file, f"line {line}", "has not one cell for each column", "correct the line")
                )
                continue
            cells = {name: value.strip() for name, value in row.items()}
            problems += _row_problems(file, line, cells, known)
            first = lines.setdefault((cells["account"], cells["symbol"]), line)
            if first != line:
                what = f"{shown(cells['account'])} and {shown(cells['symbol'])} are on line {first} too"
                problems.append(Problem(file, f"line {line}", what, "write one line for each account and symbol"))
            if len(lines) > MAX_HOLDINGS:
                text = f"is beyond {MAX_HOLDINGS} holdings"
                problems.append(Problem(file, f"line {line}", text, "leave out what is not traded"))
                break
            if not problems:
                quantity = plain_decimal(cells["quantity"])
                assert quantity is not None  # no problems
                found.append(
                    Holding(cells["account"], cells["symbol"], quantity, date.fromisoformat(cells["as_of"]))
                )
    except csv.Error as error:
        problems.append(Problem(file, f"line {reader.reader.line_num}", f"is no CSV: {error}", "correct the quotes"))
    return (() if problems else tuple(found)), problems


def _row_problems(file: str, line: int, row: dict[str, str], known: frozenset[str]) -> Iterator[Problem]:
    """What is wrong with one row, column by column."""
    for name, value in row.items():
        where = f"line {line}, {name}"
        if not value:
            yield Problem(file, where, "is empty", "fill it in")
        elif len(value) > _MAX_FIELD_CHARS or not value.isprintable():
            remedy = f"write at most {_MAX_FIELD_CHARS} printable characters"
            yield Problem(file, where, f"{shown(value)} is too long or not printable", remedy)
        elif name == "quantity" and plain_decimal(value) is None:
            yield Problem(file, where, f"{shown(value)} is no plain number", "write digits with at most one point")
        elif name == "as_of" and not _is_date(value):
            yield Problem(file, where, f"{shown(value)} is no date", "write YYYY-MM-DD")
        elif name == "account" and known and value not in known:
            yield Problem(
                file, where, f"{shown(value)} is not in the account file", "add it there or remove the line"
            )


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
