"""Search: what a person typed, wherever it stands in the records.

Ids are found by their beginning, case and all, by an index; a range, not LIKE, because databases disagree about the
case of LIKE and when it uses an index.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, select

from fixgateway.records.columns import bounded_id
from fixgateway.records.queries import _TABLES, Record, _plain

HITS = 20
"""Most hits of each kind."""
TEXT_MAX = 400
"""Longest text looked for, in characters; the rest is cut."""

_LAST_CHARACTER = "\U0010ffff"


class _Place(NamedTuple):
    """Where to look: what a hit is, table, column of the id, words to show."""

    kind: str
    table: str
    column: str
    words: tuple[str, ...]


_PLACES = (
    _Place("statement", "statements", "statement_id", ("trade_date", "side", "total", "symbol", "state")),
    _Place("order", "orders", "cl_ord_id", ("side", "order_qty", "symbol", "broker", "verdict", "text")),
    _Place("order", "orders", "latest_cl_ord_id", ("side", "order_qty", "symbol", "broker", "verdict", "text")),
    _Place("order", "orders", "order_id", ("cl_ord_id", "side", "order_qty", "symbol", "broker")),
    _Place("request", "requests", "cl_ord_id", ("msg_type", "orig_cl_ord_id", "verdict", "text")),
    _Place("execution", "executions", "exec_id", ("broker", "effect", "last_qty", "last_px", "statement_id")),
    _Place("allocation", "allocations", "alloc_id", ("statement_id", "broker", "quantity", "symbol", "status")),
    _Place("confirmation", "confirmations", "confirm_id", ("broker", "account", "quantity", "verdict")),
    _Place("broker report", "broker_reports", "report_id", ("broker", "alloc_id", "status", "verdict")),
    _Place("refused statement", "statement_refusals", "statement_id", ("door", "actor")),
    _Place("exception", "exception_requests", "exception_id", ("statement_id", "kind", "code", "state")),
    _Place("exception", "exceptions", "subject", ("reason", "text", "state")),
    _Place("alert", "alerts", "subject", ("reason", "severity", "text")),
    _Place("person", "people", "person_id", ("name", "roles", "active")),
    _Place("review", "reviews", "review_id", ("kind", "verdict", "summary")),
    _Place("account", "accounts", "account", ("name", "class", "fee", "strategy", "status")),
)
_NAMED = {"exceptions": "X", "alerts": "A"}
"""Tables whose rows have no id of their own, and what it begins with."""


def search(engine: Engine, text: str, limit: int = HITS) -> list[Record]:
    """What begins with ``text``: statements, orders, executions, allocations, exceptions, people, accounts and more.

    An ISO date finds the statements of that trade date; a symbol its newest statements.

    Args:
        engine: the records database. text: what was typed. limit: most hits of each kind.

    Returns:
        ``{"kind", "id", "text", "journal_seq", "time"}``: exact ids first, then newest first, kind by kind.
    """
    wanted = bounded_id(text.strip()[:TEXT_MAX])
    if not wanted:
        return []
    found: list[Record] = []
    seen: set[tuple[str, str]] = set()
    with engine.connect() as connection:
        for place in _PLACES:
            column = _TABLES[place.table].c[place.column]
            for condition in (column == wanted, _begins(column, wanted)):
                for hit in _hits(connection, place, condition, limit):
                    if (hit["kind"], hit["id"]) not in seen:
                        seen.add((hit["kind"], hit["id"]))
                        found.append(hit)
        found += _statements(connection, wanted, limit, seen)
    exact = [hit for hit in found if hit["id"] == wanted]
    kept: dict[str, int] = {}
    for hit in found:
        kept[hit["kind"]] = kept.get(hit["kind"], 0) + (hit["id"] != wanted)
        if hit["id"] != wanted and kept[hit["kind"]] <= limit:
            exact.append(hit)
    return exact


def _begins(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Ids that begin with a text."""
    return and_(column > text, column < text + _LAST_CHARACTER)


def _hits(connection: Connection, place: _Place, condition: ColumnElement[bool], limit: int) -> list[Record]:
    table = _TABLES[place.table]
    query = select(table).where(condition).order_by(*_newest(table)).limit(limit)
    return [_hit(place, _plain(row)) for row in connection.execute(query).mappings()]


def _newest(table: Table) -> list[ColumnElement[Any]]:
    return [key.desc() for key in table.primary_key.columns]


def _hit(place: _Place, row: Record) -> Record:
    prefix = _NAMED.get(place.table)
    known_as = f"{prefix}-{row['input_seq']}-{row['position']}" if prefix else row[place.column]
    said = [str(row[name]) for name in place.words if row[name] not in (None, "")]
    if place.table == "orders" and place.column != "cl_ord_id":
        known_as = row["cl_ord_id"]
    return {
        "kind": place.kind,
        "id": known_as,
        "text": " ".join([row[place.column], *said] if prefix else said),
        "journal_seq": row["journal_seq"],
        "time": row["time"],
    }


def _statements(connection: Connection, wanted: str, limit: int, seen: set[tuple[str, str]]) -> list[Record]:
    """The statements of a trade date or of a symbol."""
    table = _TABLES["statements"]
    condition = table.c.symbol == wanted
    try:
        condition = table.c.trade_date == date.fromisoformat(wanted)
    except ValueError:
        pass
    hits = _hits(connection, _PLACES[0], condition, limit)
    return [hit for hit in hits if ("statement", hit["id"]) not in seen]
