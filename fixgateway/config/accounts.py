"""accounts.csv: the accounts that statements may name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from fixgateway.config.problems import Problem, nearest, read_text, refuse, shown
from fixgateway.core.model import Account, plain_decimal

MAX_ACCOUNTS = 200_000
"""Most accounts one file may hold; a longer file is refused."""
MAX_FILE_BYTES = 64_000_000
_MAX_FIELD_CHARS = 200

REQUIRED = ("account", "name", "class", "fee", "strategy", "status")
OPTIONAL = (
    "fee_rate", "owner", "aggregation_permitted", "agreement_ref", "disclosed_on", "new_issue_restricted",
    "represented_on", "valid_from",
)  # fmt: skip
COLUMNS = REQUIRED + OPTIONAL
"""Columns in any order; the optional ones may be left out."""

_WORDS = {
    "class": ("client", "proprietary", "employee", "error"),
    "fee": ("standard", "performance"),
    "status": ("active", "restricted", "closed"),
    "aggregation_permitted": ("", "yes", "no", "true", "false"),
    "new_issue_restricted": ("", "yes", "no", "true", "false"),
}
_FILLED = ("account", "name")
_DAYS = ("disclosed_on", "represented_on", "valid_from")


def load(path: Path | str) -> tuple[Account, ...]:
    """Read accounts.csv.

    Raises:
        ConfigError: with every problem found; each names line and column.
    """
    accounts, problems = read(path)
    refuse(problems)
    return accounts


def read(path: Path | str) -> tuple[tuple[Account, ...], list[Problem]]:
    """accounts.csv as accounts, in the file's order, and every problem found in it."""
    file, found = Path(path), list[Problem]()
    text = read_text(file, MAX_FILE_BYTES, found)
    return ((), found) if text is None else parse(text, str(file))


def parse(text: str, file: str = "accounts.csv") -> tuple[tuple[Account, ...], list[Problem]]:
    """The accounts written in ``text`` and every problem; ``file`` is its name for messages."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    accounts: list[Account] = []
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        problems += _header_problems(file, header)
        if problems:
            return (), problems
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(
                    Problem(
                        file,
                        f"line {line}",
                        f"has {len(cells)} cells, the header {len(header)}",
                        "write one cell for each column",
                    )
                )
                continue
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            problems += _row_problems(file, line, row)
            if (first := lines.setdefault(row["account"], line)) != line:
                text = f"{shown(row['account'])} is on line {first} too"
                problems.append(Problem(file, f"line {line}, account", text, "name every account once"))
            if len(lines) > MAX_ACCOUNTS:
                problems.append(
                    Problem(file, f"line {line}", f"is beyond {MAX_ACCOUNTS} accounts", "remove closed accounts")
                )
                break
            if not problems:
                accounts.append(_account(row))
    except csv.Error as error:
        problems.append(Problem(file, f"line {reader.line_num}", f"is no CSV: {error}", "correct the quotes"))
    if not accounts and not problems:
        problems.append(Problem(file, "", "names no account", "add a line for every account"))
    return (() if problems else tuple(accounts)), problems


def _header_problems(file: str, header: list[str]) -> Iterator[Problem]:
    """What is wrong with the first line."""
    for name in REQUIRED:
        if name not in header:
            yield Problem(file, f"line 1, {name}", "column is missing", f"add the column {name}")
    for number, name in enumerate(header):
        if name not in COLUMNS:
            near = nearest(name, COLUMNS)
            remedy = f"did you mean {near}?" if near else f"known columns: {', '.join(COLUMNS)}"
            yield Problem(file, f"line 1, {shown(name)}", "unknown column", remedy)
        elif name in header[:number]:
            yield Problem(file, f"line 1, {name}", "column stands twice", "remove one")


def _row_problems(file: str, line: int, row: dict[str, str]) -> Iterator[Problem]:
    """What is wrong with one account's line, column by column."""
    for name, value in row.items():
        where = f"line {line}, {name}"
        if name in _FILLED and not value:
            yield Problem(file, where, "is empty", "fill it in")
        elif len(value) > _MAX_FIELD_CHARS or not (value.isprintable() or not value):
            yield Problem(
                file,
                where,
                f"{shown(value)} is too long or not printable",
                f"write at most {_MAX_FIELD_CHARS} printable characters",
            )
        elif name in _WORDS and value not in _WORDS[name]:
            words = ", ".join(word for word in _WORDS[name] if word)
            yield Problem(file, where, f"{shown(value)} is not accepted", f"write one of: {words}")
        elif name == "fee_rate" and value and plain_decimal(value) is None:
            yield Problem(file, where, f"{shown(value)} is no plain number", 'write a number such as "0.20"')
        elif name in _DAYS and value and not _is_date(value):
            yield Problem(file, where, f"{shown(value)} is no date", "write YYYY-MM-DD")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _account(row: dict[str, str]) -> Account:
    """A line without problems as the core's value."""
    yes = ("yes", "true")
    return Account(
        account=row["account"],
        name=row["name"],
        class_=row["class"],
        fee=row["fee"],
        strategy=row["strategy"],
        status=row["status"],
        fee_rate=row.get("fee_rate", ""),
        owner=row.get("owner", ""),
        aggregation_permitted=(row.get("aggregation_permitted") or "yes") in yes,
        agreement_ref=row.get("agreement_ref", ""),
        disclosed_on=row.get("disclosed_on", ""),
        new_issue_restricted=(row.get("new_issue_restricted") or "no") in yes,
        represented_on=row.get("represented_on", ""),
        valid_from=row.get("valid_from", ""),
    )
