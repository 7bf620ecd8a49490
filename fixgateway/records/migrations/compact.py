"""Tables of a version written as short text, so that a migration does not depend on what the tables are today.

A column is ``name:type``, with ``?`` behind it where it may be empty; columns of :data:`HAPPENED` and :data:`PART` come
first where a table begins with these words. Behind ``|`` stand the columns that are indexed, together where joined by
``+``, and behind ``>`` the head a line belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

HAPPENED = "journal_seq:seq position:int input_seq:seq ts_ns:seq"
PART = "journal_seq:seq position:int line:int"
_KEYS = {"happened": ("journal_seq", "position"), "part": ("journal_seq", "position", "line")}
_WORDS = {"happened": HAPPENED, "part": PART}

TYPES: Mapping[str, Callable[[], Any]] = {
    "seq": sa.BigInteger,
    "int": sa.Integer,
    "bool": sa.Boolean,
    "date": sa.Date,
    "words": sa.Text,
    "bytes": sa.LargeBinary,
    "amount": lambda: sa.Text().with_variant(sa.Numeric(), "postgresql"),
    "id": sa.String,
    "cid": lambda: sa.String().with_variant(sa.String(collation="C"), "postgresql"),
}
"""``id`` is version 2's, ordered as the database likes; ``cid`` is ordered by character numbers."""


def column(text: str) -> sa.Column[Any]:
    """A column from its text."""
    name, _, kind = text.partition(":")
    return sa.Column(name, TYPES[kind.rstrip("?")](), nullable=kind.endswith("?"))


def create(tables: Mapping[str, str]) -> None:
    """Create tables and their indexes; heads stand before their lines."""
    for name, text in tables.items():
        body, _, head = text.partition(">")
        columns, _, indexed = body.partition("|")
        _table(name, columns.split(), head.strip())
        for names in indexed.split():
            index(name, *names.split("+"))


def _table(name: str, words: list[str], head: str) -> None:
    keys = [word.lstrip("*").partition(":")[0] for word in words if word.startswith("*")]
    if words[0] in _KEYS:
        keys += _KEYS[words[0]]
        words = [*_WORDS[words[0]].split(), *words[1:]]
    constraints: list[Any] = [sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}")]
    if head:
        own, theirs = ["journal_seq", "position"], [f"{head}.journal_seq", f"{head}.position"]
        constraints.append(
            sa.ForeignKeyConstraint(own, theirs, name=f"fk_{name}_{head}", ondelete="CASCADE")
        )
    op.create_table(name, *(column(word.lstrip("*")) for word in words), *constraints)


def index(table: str, *columns: str) -> None:
    """Create an index, named as the tables' convention names it."""
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def ids(tables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Table and column of every ``id``."""
    for name, text in tables.items():
        for word in text.partition("|")[0].split():
            if word.partition(":")[2].rstrip("?") == "id":
                yield name, word.lstrip("*").partition(":")[0]
