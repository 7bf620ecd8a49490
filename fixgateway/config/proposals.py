"""A proposed allocation, as a person or another program wrote it: account → quantity.

JSON: ``{"CLIENT-A": "15000"}``, or ``{"lines": [{"account": …, "quantity": …}]}`` as of a preview, or the bare list.
CSV: a header with the columns ``account`` and ``quantity``; others are passed over. Nothing else of it is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from fixgateway.config import files
from fixgateway.config.problems import shown
from fixgateway.config.statements import parse_json
from fixgateway.core.model import MAX_LINES, plain_decimal
from fixgateway.errors import StatementFileError, UsageError


def read(path: Path | str) -> dict[str, Decimal]:
    """Read a ``.json`` or ``.csv`` file.

    Raises:
        StatementFileError: when it is no proposed allocation; names file, line and remedy.
    """
    content, suffix = files.contents(path)
    return parse(content, suffix, str(path))


def parse(content: bytes, suffix: str, name: str = "proposal") -> dict[str, Decimal]:
    """A proposed allocation from the bytes of a ``.json`` or ``.csv`` file; raises like :func:`read`."""
    text = files.decoded(content, name)
    return _from_csv(text, name) if suffix == ".csv" else _from_object(parse_json(text, name), name)


def quantity(text: str, where: str) -> Decimal:
    """A quantity of a proposal: a plain number, a minus sign allowed (the audit says what is wrong with it)."""
    value = plain_decimal(text.removeprefix("-"))
    if value is None:
        raise UsageError(f"{where}: {shown(text)} is not a plain number (write digits with at most one point)")
    return -value if text.startswith("-") else value


def _from_object(obj: object, name: str) -> dict[str, Decimal]:
    if isinstance(obj, Mapping) and isinstance(obj.get("lines"), list):
        obj = obj["lines"]
    if isinstance(obj, list):
        return _collect((_member(item, row, name) for row, item in enumerate(obj, 1)), name)
    if not isinstance(obj, Mapping):
        raise StatementFileError(f'{name}: not a proposed allocation (write {{"CLIENT-A": "15000", …}})')
    return _collect(((str(account), given, f"{name}: {shown(str(account))}") for account, given in obj.items()), name)


def _member(item: object, row: int, name: str) -> tuple[str, object, str]:
    if not isinstance(item, Mapping) or "account" not in item or "quantity" not in item:
        raise StatementFileError(f'{name}: line {row}: not {{"account": …, "quantity": …}} (write both)')
    return str(item["account"]), item["quantity"], f"{name}: line {row}"


def _from_csv(text: str, name: str) -> dict[str, Decimal]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in reader.fieldnames or ()]
        for field in ("account", "quantity"):
            if header.count(field) != 1:
                raise StatementFileError(f"{name}: line 1, {field}: column is missing or stands twice (write it once)")
        reader.fieldnames = header
        rows = (
            ((row["account"] or "").strip(), (row["quantity"] or "").strip(), f"{name}: line {reader.line_num}")
            for row in reader
        )
        return _collect(rows, name)
    except csv.Error as error:
        raise StatementFileError(f"{name}: line {reader.line_num}: not CSV: {error} (correct it)") from None


def _collect(rows: Iterable[tuple[str, object, str]], name: str) -> dict[str, Decimal]:
    """Every account once, its quantity as text or a whole number."""
    found: dict[str, Decimal] = {}
    for account, given, where in rows:
        if len(found) == MAX_LINES:
            raise StatementFileError(f"{name}: more than {MAX_LINES} accounts (split it)")
        if not account:
            raise StatementFileError(f"{where}: account: missing (name the account)")
        if account in found:
            raise StatementFileError(f"{where}: {account} is named twice (name every account once)")
        if type(given) is not str:  # a JSON number with a point comes as a text of its own kind
            raise StatementFileError(f"{where}: quantity: not text (write it in quotes)")
        try:
            found[account] = quantity(given, f"{where}: quantity")
        except UsageError as error:
            raise StatementFileError(str(error)) from None
    if not found:
        raise StatementFileError(f"{name}: empty (write one line for every account)")
    return found
