"""What the records have of a day, for the comparison with a custodian's or broker's file (:mod:`core.blotters`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Row, and_, or_, select

from fixgateway.core import blotters
from fixgateway.core.blotters import Booked, Compared, Executed, Instrument
from fixgateway.records import queries  # noqa: F401  so that the tables are known
from fixgateway.records.affirmations import _in_force
from fixgateway.records.tables import Base

_TABLES = Base.metadata.tables
_CHUNK = 500  # databases bound the number of parameters
_NS = 1_000_000_000
_ALLOCATION = (
    "journal_seq", "position", "alloc_id", "trans_type", "ref_alloc_id", "statement_id", "broker", "symbol",
    "security_id", "side", "status",
)  # fmt: skip


def compare(
    database: Engine, day: date, rows: Sequence[blotters.Row], tolerance: Decimal, timezone: str
) -> Compared:
    """A file's rows of a day against the records.

    Args:
        tolerance: how far prices may be apart in any case. timezone: of the policy; executions are of the local day.
    """
    with database.connect() as connection:
        rows = _by_symbol(connection, day, rows)
        if any(row.exec_id for row in rows):
            return blotters.executions(rows, _executed(connection, day, rows, timezone), tolerance)
        booked = list(_booked(connection, day))
        return blotters.accounts(rows, booked, _instruments(connection, day), tolerance)


def _by_symbol(connection: Connection, day: date, rows: Iterable[blotters.Row]) -> list[blotters.Row]:
    """Rows that name the security by its SecurityID(48), as custodians do, with our symbol."""
    table = _TABLES["statements"]
    query = select(table.c.symbol, table.c.security_id).where(table.c.trade_date == day).distinct()
    known = list(connection.execute(query))
    symbols = {row.symbol for row in known}
    names = {row.security_id: row.symbol for row in known if row.security_id}
    return [
        replace(row, symbol=names[row.symbol]) if row.symbol in names and row.symbol not in symbols else row
        for row in rows
    ]


def _instruments(connection: Connection, day: date) -> set[Instrument]:
    """Instruments and sides the day has statements for."""
    table = _TABLES["statements"]
    query = select(table.c.symbol, table.c.side).where(table.c.trade_date == day).distinct()
    return {(row.symbol, row.side) for row in connection.execute(query)}


def _booked(connection: Connection, day: date) -> Iterator[Booked]:
    """The day's allocations in force, account by account; what a broker refused as a whole it does not have."""
    table = _TABLES["allocations"]
    query = select(*(table.c[name] for name in _ALLOCATION)).where(table.c.trade_date == day)
    found = [dict(row._mapping) for row in connection.execute(query.order_by(*table.primary_key.columns))]
    heads: dict[str, dict[str, Any]] = {}
    for row in _in_force(found):
        if row["status"] != "rejected":
            heads.setdefault(row["alloc_id"], row)  # one sent again with 97=Y is the same allocation
    places = {(row["journal_seq"], row["position"]): row for row in heads.values()}
    lines = _TABLES["allocation_lines"]
    for chunk in _chunks(sorted({seq for seq, _ in places})):
        for line in connection.execute(select(lines).where(lines.c.journal_seq.in_(chunk))):
            head = places.get((line.journal_seq, line.position))
            if head is not None:
                price = Decimal(line.price or line.avg_px)
                yield Booked(
                    head["alloc_id"], head["broker"], line.account, head["symbol"], head["side"], line.quantity, price
                )


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


# ---------------------------------------------------------------- executions


def _executed(connection: Connection, day: date, rows: Sequence[blotters.Row], timezone: str) -> list[Executed]:
    """Executions of orders under statements that stand: those of the local day, and those the file names."""
    table, orders = _TABLES["executions"], _TABLES["orders"]
    zone = ZoneInfo(timezone)
    first, last = (int(datetime.combine(x, time(), zone).timestamp()) * _NS for x in (day, day + timedelta(days=1)))
    of_day = and_(table.c.ts_ns >= first, table.c.ts_ns < last)
    wanted = [of_day]
    wanted += [
        or_(table.c.exec_id.in_(chunk), table.c.exec_ref_id.in_(chunk))
        for chunk in _chunks(sorted({row.exec_id for row in rows}))
    ]
    found: dict[tuple[int, int], Any] = {}
    columns = [table.c[x] for x in ("journal_seq", "position", "ts_ns", "order_key", "broker", "exec_id", "exec_ref_id",
                                    "effect", "last_qty", "last_px")]  # fmt: skip
    for which in wanted:
        joined = select(*columns, orders.c.symbol, orders.c.side).join(orders, orders.c.order_key == table.c.order_key)
        for row in connection.execute(joined.where(which, table.c.effect.in_(("fill", "bust", "correct")))):
            found[row.journal_seq, row.position] = row
    return _standing([found[place] for place in sorted(found)], first, last)


def _standing(rows: Iterable[Row[Any]], first: int, last: int) -> list[Executed]:
    """Fills after their busts and corrections."""
    standing: dict[tuple[int, str], Executed] = {}
    for row in rows:
        before = standing.pop((row.order_key, row.exec_ref_id), None) if row.effect != "fill" else None
        if row.effect == "bust" or row.last_qty is None or row.last_px is None:
            continue
        names = (*before.names, before.exec_id) if before is not None else ()
        of_day = before.of_day if before is not None else first <= row.ts_ns < last
        standing[row.order_key, row.exec_id] = Executed(
            row.broker, row.exec_id, row.symbol, row.side, row.last_qty, row.last_px, names, of_day
        )
    return list(standing.values())
