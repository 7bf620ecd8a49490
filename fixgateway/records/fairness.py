"""Turns, and how far remainders are from even over many statements, from the records.

What is measured is the *deviation* of every share: what an account received minus its exact share, in lots. It comes
from the stored trace of every allocated statement, its newest division, all bookings together. Over a fixed set of
accounts with fixed proportions a rotation or a carry-forward keeps the sum below one lot; with accounts that come
and go no rule can, so nothing here is compared with a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from fixgateway.records.queries import LIMIT, Record, _equal, _find
from fixgateway.records.rotation_tables import RotationTurnRow
from fixgateway.records.tables import Base

MAX_LINES = 250_000
"""Most lines of divisions looked at, the newest; beyond it the answer says ``truncated``. It takes the gateway's own
time: a second or two."""
RULE_WORDS = (
    "Deviation: what the account received minus its exact share, summed over its blocks, in lots. No bound is "
    "promised: one below a lot holds only for a fixed set of accounts with fixed proportions; with changing "
    "participants no rule can hold it."
)
"""What the figures are and are not."""
_PLACES = 6
_TABLES = Base.metadata.tables


def turns(engine: Engine, *, policy_id: str | None = None, limit: int = LIMIT) -> list[Record]:
    """Turns of all rotations or of one policy's, newest first."""
    table = _TABLES[RotationTurnRow.__tablename__]
    with engine.connect() as connection:
        return _find(connection, table.name, *_equal(table, policy_id=policy_id), limit=limit)


@dataclass(slots=True)
class _Sum:
    """One account and symbol."""

    blocks: int = 0
    above: int = 0
    below: int = 0
    lots: Fraction = Fraction(0)
    largest: Fraction = Fraction(0)

    def add(self, lots: Fraction) -> None:
        self.blocks += 1
        self.above += lots > 0
        self.below += lots < 0
        self.lots += lots
        self.largest = max(self.largest, abs(lots))


def fairness(
    engine: Engine,
    *,
    account: str | None = None,
    symbol: str | None = None,
    first: date | None = None,
    last: date | None = None,
) -> Record:
    """The deviations of remainders by account and symbol.

    Args:
        engine: the records database. account: only this one. symbol: only this one.
        first: trade date from. last: trade date to, included.

    Returns:
        ``{"rows", "statements", "truncated", "words"}``. A row has account, symbol, blocks, above and below (blocks
        that gave more or less than exact), ``lots`` (exact, ``num/den``), ``deviation`` and ``mean`` (decimals, in
        lots) and ``largest`` (the largest of one block).
    """
    sums: dict[tuple[str, str], _Sum] = {}
    statements: set[tuple[int, int]] = set()
    truncated = False
    with engine.connect() as connection:
        for count, row in enumerate(_lines(connection, account, symbol, first, last)):
            truncated = count >= MAX_LINES
            if truncated:
                break
            statements.add((row.journal_seq, row.position))
            off = Fraction(row.quantity) + Fraction(row.before) - Fraction(row.exact)
            sums.setdefault((row.account, row.symbol), _Sum()).add(off / Fraction(row.lot))
    rows = [_row(key, found) for key, found in sorted(sums.items())]
    return {"rows": rows, "statements": len(statements), "truncated": truncated, "words": RULE_WORDS}


def _row(key: tuple[str, str], found: _Sum) -> Record:
    lots = found.lots
    return {
        "account": key[0],
        "symbol": key[1],
        "blocks": found.blocks,
        "above": found.above,
        "below": found.below,
        "lots": f"{lots.numerator}/{lots.denominator}",
        "deviation": _decimal(lots),
        "mean": _decimal(lots / found.blocks),
        "largest": _decimal(found.largest),
    }


def _decimal(value: Fraction) -> str:
    """A fraction with six decimals, for reading; the exact one stands beside it."""
    units = round(value * 10**_PLACES)
    return f"{Decimal(units).scaleb(-_PLACES):f}"


def _lines(
    connection: Connection, account: str | None, symbol: str | None, first: date | None, last: date | None
) -> Iterator[Any]:
    """Lines of the newest division of every statement that still stands, error account's left out."""
    heads, lines, statements = _TABLES["divisions"], _TABLES["division_lines"], _TABLES["statements"]
    newest = select(heads.c.statement_id, func.max(heads.c.journal_seq).label("seq")).group_by(
        heads.c.statement_id
    )
    latest = newest.subquery()
    # Several bookings told by one input stand at several positions; each says the same of the statement as a whole.
    place = (
        select(heads.c.journal_seq, heads.c.statement_id, func.max(heads.c.position).label("position"))
        .join(latest, (heads.c.statement_id == latest.c.statement_id) & (heads.c.journal_seq == latest.c.seq))
        .group_by(heads.c.journal_seq, heads.c.statement_id)
        .subquery()
    )
    query = (
        select(
            lines.c.journal_seq, lines.c.position, lines.c.account, lines.c.quantity, lines.c.before, lines.c.exact,
            statements.c.symbol, statements.c.lot,
        )
        .join(place, (lines.c.journal_seq == place.c.journal_seq) & (lines.c.position == place.c.position))
        .join(statements, (statements.c.statement_id == place.c.statement_id) & (statements.c.filled.is_not(None)))
        .where(statements.c.state != "replaced", lines.c.rule != "overfill")
        .where(*_equal(lines, account=account), *_equal(statements, symbol=symbol))
    )  # fmt: skip
    if first is not None:
        query = query.where(statements.c.trade_date >= first)
    if last is not None:
        query = query.where(statements.c.trade_date <= last)
    query = query.order_by(lines.c.journal_seq.desc(), lines.c.position.desc(), lines.c.line).limit(MAX_LINES + 1)
    result = connection.execution_options(stream_results=True).execute(query)
    yield from result.yield_per(1_000)
