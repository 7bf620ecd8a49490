"""Column types: exact amounts, safe text, bounded ids; the same values on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Numeric, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from fixgateway.core.model import plain_text

ID_LIMIT = 400
"""Longest id stored as it is, in characters (4 bytes each fit a PostgreSQL index entry of 2,704 bytes)."""


def safe_text(value: str) -> str:
    """Text every database takes: NUL and lone surrogates (bytes that were not UTF-8) become U+FFFD.

    The raw bytes are in the journal; a counterparty's odd byte must not stop the projection.
    """
    if value.isascii():
        return value if "\0" not in value else value.replace("\0", "�")
    readable = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return readable.replace("\0", "�")


def bounded_id(value: str) -> str:
    """An id that fits an index: longer than :data:`ID_LIMIT`, its end becomes a hash of the whole."""
    value = safe_text(value)
    if len(value) <= ID_LIMIT:
        return value
    return f"{value[: ID_LIMIT - 17]}#{hashlib.sha256(value.encode()).hexdigest()[:16]}"


class Amount(TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC on PostgreSQL, plain text (``15000``, ``99.985``) on SQLite.

    SQLite has no exact decimal: NUMERIC columns there become floats. Text keeps every digit, but SQL on SQLite
    compares it as text, so fixgateway never orders, compares or sums amounts in SQL; it does so in Python.
    Whoever sorts by an amount in SQLite by hand writes ``ORDER BY CAST(quantity AS REAL)``.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC where the database has exact decimals."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Decimal to the driver's value."""
        if value is None or dialect.name == "postgresql":
            return value
        return plain_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The driver's value to Decimal."""
        return None if value is None else Decimal(value)


class Words(TypeDecorator[str]):
    """Text of any length as :func:`safe_text` leaves it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Text to what every database takes."""
        return None if value is None else safe_text(value)


class Id(TypeDecorator[str]):
    """An id as :func:`bounded_id` leaves it; a value asked for in a query goes the same way and is found.

    Ids are ordered by their characters' numbers on every database, so that an index finds them by their beginning.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The collation of plain numbers where the database has others."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Id to what fits every index."""
        return None if value is None else bounded_id(value)
