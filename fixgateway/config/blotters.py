"""A custodian's or broker's file of a day's trades: CSV with the columns named here, any others passed over.

A file with the column ``account`` says what accounts were booked; without it, with ``exec_id``, it lists executions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from fixgateway.config.problems import shown
from fixgateway.core.blotters import Row
from fixgateway.core.model import plain_decimal
from fixgateway.errors import UsageError

COMMON = ("trade_date", "symbol", "side", "quantity", "price")
ACCOUNT, EXECUTION = "account", "exec_id"
OPTIONAL = ("broker",)
COLUMNS = (*COMMON, ACCOUNT, EXECUTION, *OPTIONAL)
"""All columns that are read."""
SIDES = {
    "buy": "buy", "b": "buy", "1": "buy", "sell": "sell", "s": "sell", "2": "sell", "short": "short", "5": "short",
    "short-exempt": "short-exempt", "6": "short-exempt",
}  # fmt: skip
"""What may stand in ``side``, in any case: words, letters, or Side(54)."""
MAX_ROWS = 200_000
MAX_PROBLEMS = 20
"""Problems named before the rest is only counted."""
_MAX_CELL_CHARS = 200


def parse(content: bytes, name: str, day: date | None = None) -> tuple[date, list[Row]]:
    """A file's trade date and its rows of that day.

    Args:
        content: the file. name: its name, for messages.
        day: the trade date wanted, rows of others are passed over; None when the file has one day only.

    Raises:
        UsageError: with every problem, line by line, at most :data:`MAX_PROBLEMS`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 at byte {error.start} (save it as UTF-8)") from None
    problems: list[str] = []
    rows: list[Row] = []
    try:
        for row in _rows(text, name, problems):
            if day is None or row.trade_date == day:
                rows.append(row)
            if len(rows) > MAX_ROWS:
                raise UsageError(f"{name}: more than {MAX_ROWS} rows (split it by broker)")
    except csv.Error as error:
        problems.append(f"{name}: no CSV: {error}")
    days = sorted({row.trade_date for row in rows})
    if len(days) > 1:
        problems.append(f"{name}: has the trade dates {days[0]} to {days[-1]} (name the one to compare)")
    if problems:
        more = [f"and {len(problems) - MAX_PROBLEMS} more problems"] if len(problems) > MAX_PROBLEMS else []
        raise UsageError("\n".join([*problems[:MAX_PROBLEMS], *more]))
    if not days and day is None:
        raise UsageError(f"{name}: has no rows, so name the trade date")
    return day or days[0], rows


def _rows(text: str, name: str, problems: list[str]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header = [cell.strip().lower().replace(" ", "_") for cell in next(reader, [])]
    missing = [column for column in COMMON if column not in header]
    if missing or not {ACCOUNT, EXECUTION} & {*header}:
        wanted = f"{', '.join(COMMON)}, and account or exec_id"
        lacking = ", ".join(missing) or "account, exec_id"
        problems.append(f"{name}: line 1: write the columns {wanted}; missing: {lacking}")
        return
    twice = [column for column in COLUMNS if header.count(column) > 1]
    if twice:
        problems.append(f"{name}: line 1: has the column {twice[0]} more than once")
        return
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{name}: line {reader.line_num}"
        if len(cells) != len(header):
            problems.append(f"{where}: has {len(cells)} cells for {len(header)} columns")
            continue
        found = {column: cell.strip() for column, cell in zip(header, cells, strict=True) if column in COLUMNS}
        row = _row(reader.line_num, found, where, problems)
        if row is not None:
            yield row


def _row(line: int, cells: dict[str, str], where: str, problems: list[str]) -> Row | None:
    """One row, or None and what is wrong with it."""
    wrong = [f"{where}: {column}: {words}" for column, cell in cells.items() if (words := _problem(column, cell))]
    account, exec_id = cells.get(ACCOUNT, ""), cells.get(EXECUTION, "")
    if ACCOUNT in cells and not account:
        wrong.append(f"{where}: account: is empty")
    if ACCOUNT not in cells and not exec_id:
        wrong.append(f"{where}: exec_id: is empty")
    if wrong:
        problems += wrong
        return None
    return Row(
        line=line,
        trade_date=date.fromisoformat(cells["trade_date"]),
        account=account,
        exec_id="" if account else exec_id,
        symbol=cells["symbol"],
        side=SIDES[cells["side"].lower()],
        quantity=_number(cells["quantity"]),
        price=_number(cells["price"]),
        broker=cells.get("broker", ""),
    )


def _number(text: str) -> Decimal:
    number = plain_decimal(text)
    assert number is not None  # looked at before
    return number


def _problem(column: str, cell: str) -> str:
    """What is wrong with a cell, "" when nothing is."""
    if len(cell) > _MAX_CELL_CHARS or not cell.isprintable():
        return f"{shown(cell)} is too long or not printable"
    match column:
        case "trade_date":
            return "" if _is_date(cell) else f"{shown(cell)} is no date (write YYYY-MM-DD)"
        case "side":
            return "" if cell.lower() in SIDES else f"{shown(cell)} is no side (write {', '.join(SIDES)})"
        case "quantity" | "price":
            number = plain_decimal(cell)
            if number is None or (column == "quantity" and number <= 0):
                return f"{shown(cell)} is no plain positive number (digits with at most one point)"
        case "symbol" if not cell:
            return "is empty"
    return ""


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
