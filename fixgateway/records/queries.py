"""Questions to the records: plain dicts, ready for JSON.

Quantities and prices are strings without exponent, dates ISO, times nanoseconds (``ts_ns``) with readable
UTC beside them (``time``). Every list has a limit; lists are newest first unless said otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Table, and_, or_, select

from fixgateway.core.model import plain_text
from fixgateway.errors import UsageError
from fixgateway.records import (  # noqa: F401  so that their tables are known
    booked_tables,
    configuration_tables,
    desk_tables,
    message_tables,
    rotation_tables,
)
from fixgateway.records.allocation_times import add_times
from fixgateway.records.tables import Base

Record = dict[str, Any]

LIMIT = 1_000
"""Rows a list gives unless asked for another number."""

_NS_PER_SECOND = 1_000_000_000
_TABLES = Base.metadata.tables
_LISTS = frozenset({"cl_ord_ids", "brokers"})


def utc_text(ts_ns: int) -> str:
    """UTC nanoseconds as ISO text with all nine digits: ``2026-11-22T14:30:00.000000001Z``."""
    seconds, rest = divmod(ts_ns, _NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _plain(row: RowMapping) -> Record:
    """A row as plain values."""
    record: Record = {}
    for name, value in row.items():
        if isinstance(value, Decimal):
            value = plain_text(value)
        elif isinstance(value, date):
            value = value.isoformat()
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        elif name in _LISTS and isinstance(value, str):
            value = json.loads(value)
        record[name] = value
        if name == "ts_ns":
            record["time"] = utc_text(value)
    return record


def behind(table: Table, before: str | None) -> list[ColumnElement[bool]]:
    """Only rows behind ``before``, a row's ``<journal_seq>-<position>``; every row for None.

    Raises:
        UsageError: it is no such place.
    """
    if before is None:
        return []
    seq, _, position = before.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (seq, position)):
        raise UsageError(f"before: {before!r} is no place in a list; give that of a row: 1234-0")
    at = table.c.journal_seq
    return [or_(at < int(seq), and_(at == int(seq), table.c.position < int(position)))]


def _find(
    connection: Connection,
    name: str,
    *conditions: ColumnElement[bool],
    limit: int = LIMIT,
    oldest_first: bool = False,
) -> list[Record]:
    """Rows of a table by its key."""
    table = _TABLES[name]
    keys = list(table.primary_key.columns)
    order = keys if oldest_first else [key.desc() for key in keys]
    query = select(table).where(*conditions).order_by(*order).limit(limit)
    return [_plain(row) for row in connection.execute(query).mappings()]


def _equal(table: Table, **wanted: Any) -> list[ColumnElement[bool]]:
    """``column = value`` for every value that is not None."""
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


def _add_lines(connection: Connection, name: str, heads: Sequence[Record], key: str = "lines") -> None:
    """Give every row of ``heads`` its lines under ``key``, in order, without their keys; one query."""
    if not heads:
        return
    table = _TABLES[name]
    wanted = table.c.journal_seq.in_(sorted({head["journal_seq"] for head in heads}))
    found: dict[tuple[int, int], list[Record]] = {}
    for row in connection.execute(select(table).where(wanted).order_by(*table.primary_key.columns)).mappings():
        line = _plain(row)
        place = (line.pop("journal_seq"), line.pop("position"))
        line.pop("line")
        found.setdefault(place, []).append(line)
    for head in heads:
        head[key] = found.get((head["journal_seq"], head["position"]), [])


# ---------------------------------------------------------------- statements


def statements(
    engine: Engine,
    *,
    trade_date: date | None = None,
    state: str | None = None,
    oms: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
) -> list[Record]:
    """Statements without lines; ``state`` is ``active`` or why it was closed, ``before`` as :func:`behind`."""
    conditions = _equal(_TABLES["statements"], trade_date=trade_date, state=state, oms=oms)
    conditions += behind(_TABLES["statements"], before)
    with engine.connect() as connection:
        return _find(connection, "statements", *conditions, limit=limit)


def statement(engine: Engine, statement_id: str) -> Record:
    """The newest statement of this id with ``lines``, ``orders``, ``divisions`` and ``allocations``.

    Raises:
        UsageError: no such statement.
    """
    with engine.connect() as connection:
        found = _find(connection, "statements", *_by_statement("statements", statement_id), limit=1)
        if not found:
            raise UsageError(_unknown("statement", statement_id, connection))
        head = found[0]
        _add_lines(connection, "statement_lines", found)
        for name in ("orders", "divisions", "allocations"):
            head[name] = _find(connection, name, *_by_statement(name, statement_id), oldest_first=True)
        _add_lines(connection, "division_lines", head["divisions"])
        _add_lines(connection, "allocation_lines", head["allocations"])
        add_times(connection, head["allocations"])
    return head


def statement_refusals(engine: Engine, *, limit: int = LIMIT) -> list[Record]:
    """Refused drafts with their ``problems``."""
    with engine.connect() as connection:
        found = _find(connection, "statement_refusals", limit=limit)
        _add_lines(connection, "statement_problems", found, "problems")
    return found


def _by_statement(name: str, statement_id: str) -> list[ColumnElement[bool]]:
    return _equal(_TABLES[name], statement_id=statement_id)


def _unknown(what: str, wanted: str, connection: Connection) -> str:
    seq = projected_to(connection)
    return f"no {what} {wanted!r} in the records (projected up to journal record {seq}); check the id"


# ---------------------------------------------------------------- orders and executions


def orders(
    engine: Engine,
    *,
    statement_id: str | None = None,
    cl_ord_id: str | None = None,
    verdict: str | None = None,
    oms: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
) -> list[Record]:
    """Orders; ``verdict`` is ``forwarded``, ``blocked`` or ``undone``, ``before`` as :func:`behind`."""
    wanted = {"statement_id": statement_id, "cl_ord_id": cl_ord_id, "verdict": verdict, "oms": oms}
    conditions = [*_equal(_TABLES["orders"], **wanted), *behind(_TABLES["orders"], before)]
    with engine.connect() as connection:
        return _find(connection, "orders", *conditions, limit=limit)


def executions(
    engine: Engine,
    *,
    statement_id: str | None = None,
    order_key: int | None = None,
    limit: int = LIMIT,
) -> list[Record]:
    """Execution reports, oldest first."""
    conditions = _equal(_TABLES["executions"], statement_id=statement_id, order_key=order_key)
    with engine.connect() as connection:
        return _find(connection, "executions", *conditions, limit=limit, oldest_first=True)


# ---------------------------------------------------------------- allocations


def allocations(
    engine: Engine,
    *,
    statement_id: str | None = None,
    broker: str | None = None,
    trade_date: date | None = None,
    status: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
) -> list[Record]:
    """AllocationInstructions with their ``lines`` and when each was sent, received and booked (``…_ns``)."""
    wanted = {"statement_id": statement_id, "broker": broker, "trade_date": trade_date, "status": status}
    with engine.connect() as connection:
        conditions = [*_equal(_TABLES["allocations"], **wanted), *behind(_TABLES["allocations"], before)]
        found = _find(connection, "allocations", *conditions, limit=limit)
        _add_lines(connection, "allocation_lines", found)
        add_times(connection, found)
    return found


def allocation(engine: Engine, alloc_id: str) -> Record:
    """One AllocationInstruction: ``lines``, ``orders``, ``fees``, what was answered and confirmed, ``division``.

    The division's lines say per account: intent, exact share (``num/den``), floor, award, quantity, rule.

    Raises:
        UsageError: no such allocation.
    """
    with engine.connect() as connection:
        found = _find(connection, "allocations", *_equal(_TABLES["allocations"], alloc_id=alloc_id), limit=1)
        if not found:
            raise UsageError(_unknown("allocation", alloc_id, connection))
        head = found[0]
        _add_lines(connection, "allocation_lines", found)
        add_times(connection, found)
        _add_lines(connection, "allocation_orders", found, "orders")
        _add_lines(connection, "allocation_fees", found, "fees")
        for key, name in (
            ("acks", "allocation_acks"), ("reports", "allocation_reports"), ("broker_reports", "broker_reports"),
            ("confirmations", "confirmations"), ("affirmations", "affirmations"),
        ):  # fmt: skip
            head[key] = _find(connection, name, *_equal(_TABLES[name], alloc_id=alloc_id), oldest_first=True)
        table = _TABLES["divisions"]
        upto = table.c.journal_seq <= head["journal_seq"]
        own = table.c.number.in_((0, head["booking"]))
        conditions = [*_by_statement("divisions", head["statement_id"]), upto, own]
        divisions = _find(connection, "divisions", *conditions, limit=1)
        head["division"] = divisions[0] if divisions else None
        _add_lines(connection, "division_lines", divisions)
    return head


# ---------------------------------------------------------------- for people


def exceptions(engine: Engine, *, reason: str | None = None, limit: int = LIMIT) -> list[Record]:
    """Exceptions opened."""
    with engine.connect() as connection:
        return _find(connection, "exceptions", *_equal(_TABLES["exceptions"], reason=reason), limit=limit)


def alerts(
    engine: Engine, *, severity: str | None = None, reason: str | None = None, limit: int = LIMIT
) -> list[Record]:
    """Alerts raised."""
    conditions = _equal(_TABLES["alerts"], severity=severity, reason=reason)
    with engine.connect() as connection:
        return _find(connection, "alerts", *conditions, limit=limit)


def accounts(engine: Engine, *, at_seq: int | None = None) -> list[Record]:
    """The account file as in force now, or at journal sequence ``at_seq``, by account."""
    table = _TABLES["accounts"]
    in_force: ColumnElement[bool] = table.c.until_seq.is_(None)
    if at_seq is not None:
        in_force = and_(table.c.journal_seq <= at_seq, or_(in_force, table.c.until_seq > at_seq))
    with engine.connect() as connection:
        rows = connection.execute(select(table).where(in_force)).mappings()
        found = [_plain(row) for row in rows]
    return sorted(found, key=lambda row: str(row["account"]))  # databases collate differently


def policies(engine: Engine, *, limit: int = LIMIT) -> list[Record]:
    """Every policy that was in force; ``until_seq`` is None for the one in force now."""
    with engine.connect() as connection:
        return _find(connection, "policies", limit=limit)


def projected_to(connection: Connection) -> int:
    """The watermark: sequence of the last journal record in the database."""
    return connection.scalar(select(_TABLES["projection"].c.watermark)) or 0


def unprojected(engine: Engine, *, limit: int = LIMIT) -> list[Record]:
    """Journal records the database could not take, and why."""
    with engine.connect() as connection:
        return _find(connection, "unprojected", limit=limit)


# ---------------------------------------------------------------- trace


def trace(engine: Engine, wanted: str, *, limit: int = LIMIT) -> Record:
    """One timeline of everything about a statement id, a ClOrdID, an ExecID or an AllocID.

    A statement or allocation gives everything under the statement; a ClOrdID (also one of a replace or
    cancel) gives its orders, their executions and their statement's own story, without the other orders. A
    refused draft, a refused message or a fill of an unknown order is found by its id as well.

    Returns:
        ``{"id", "statements", "orders", "timeline", "truncated"}``; the timeline is oldest first, each entry
        with ``journal_seq``, ``time``, ``what`` and the row's own fields.

    Raises:
        UsageError: nothing is known by this id.
    """
    with engine.connect() as connection:
        statement_ids, order_keys, whole = _subjects(connection, wanted)
        timeline = _gather(connection, wanted, statement_ids, order_keys, whole, limit)
        if not timeline:
            raise UsageError(_unknown("statement, order, execution or allocation", wanted, connection))
    timeline.sort(key=lambda entry: (entry["journal_seq"], entry["position"], entry["what"]))
    return {
        "id": wanted,
        "statements": sorted(statement_ids),
        "orders": sorted(order_keys),
        "timeline": timeline[:limit],
        "truncated": len(timeline) > limit or len(order_keys) >= LIMIT,
    }


def _column(connection: Connection, name: str, column: str, *conditions: ColumnElement[bool]) -> set[Any]:
    table = _TABLES[name]
    query = select(table.c[column]).where(*conditions).distinct().limit(LIMIT)
    return {value for value in connection.scalars(query) if value}


def _subjects(connection: Connection, wanted: str) -> tuple[set[str], set[int], bool]:
    """Statement ids and order keys an id stands for, and whether the whole statement is asked for."""
    whole_ids = _column(connection, "statements", "statement_id", *_by_statement("statements", wanted))
    by_alloc_id = _equal(_TABLES["allocations"], alloc_id=wanted)
    whole_ids |= _column(connection, "allocations", "statement_id", *by_alloc_id)
    if whole_ids:
        keys: set[int] = set()
        for statement_id in whole_ids:
            keys |= _column(connection, "orders", "order_key", *_by_statement("orders", statement_id))
        return whole_ids, keys, True
    keys = _column(connection, "orders", "order_key", _TABLES["orders"].c.cl_ord_id == wanted)
    keys |= _column(connection, "requests", "order_key", _TABLES["requests"].c.cl_ord_id == wanted)
    statement_ids = _column(connection, "orders", "statement_id", _in("orders", "order_key", keys))
    return statement_ids, keys, False


def _in(name: str, column: str, values: Iterable[Any]) -> ColumnElement[bool]:
    return _TABLES[name].c[column].in_(sorted(values))


def _names(connection: Connection, wanted: str, statement_ids: set[str], order_keys: set[int]) -> set[str]:
    """Every id that exceptions and alerts about these statements and orders may carry as subject."""
    names = {wanted, *statement_ids}
    for name, columns in (
        ("orders", ("cl_ord_id", "latest_cl_ord_id", "order_id")),
        ("requests", ("cl_ord_id",)),
        ("executions", ("exec_id",)),
    ):
        for column in columns:
            names |= _column(connection, name, column, _in(name, "order_key", order_keys))
    if statement_ids:
        for name, column in (
            ("allocations", "alloc_id"), ("confirmations", "confirm_id"), ("broker_reports", "report_id"),
            ("exception_requests", "exception_id"),
        ):  # fmt: skip
            names |= _column(connection, name, column, _in(name, "statement_id", statement_ids))
    return names


_OF_STATEMENT = (
    ("statements", "statement registered"),
    ("statement_refusals", "statement refused"),
    ("divisions", "statement allocated"),
    ("allocations", "allocation sent"),
    ("allocation_acks", "allocation answered"),
    ("allocation_reports", "allocation reported"),
    ("broker_reports", "broker's report"),
    ("confirmations", "confirmation"),
    ("affirmations", "confirmation answered"),
    ("confirmation_requests", "confirmation asked for"),
    ("rotation_turns", "turn"),
    ("exception_requests", "exception asked for"),
    ("exception_decisions", "exception decided"),
    ("exception_overdues", "exception overdue"),
)
_OF_ORDER = (
    ("orders", "order", "cl_ord_id"),
    ("requests", "request", "cl_ord_id"),
    ("executions", "execution", "exec_id"),
)
_OF_SUBJECT = (("exceptions", "exception"), ("alerts", "alert"))
_HAS_LINES = {
    "statements": "statement_lines",
    "statement_refusals": "statement_problems",
    "divisions": "division_lines",
    "allocations": "allocation_lines",
    "exception_requests": "exception_lines",
}


def _gather(
    connection: Connection,
    wanted: str,
    statement_ids: set[str],
    order_keys: set[int],
    whole: bool,
    limit: int,
) -> list[Record]:
    """The entries of a timeline, unordered; at most ``limit`` + 1 from each table, the oldest."""
    entries: list[Record] = []

    def take(name: str, what: str, condition: ColumnElement[bool]) -> None:
        rows = _find(connection, name, condition, limit=limit + 1, oldest_first=True)
        if name in _HAS_LINES:
            _add_lines(connection, _HAS_LINES[name], rows)
        for row in rows:
            entries.append({"what": _WORDING[name](row) if name in _WORDING else what, **row})

    for name, what in _OF_STATEMENT:
        take(name, what, _in(name, "statement_id", statement_ids | {wanted}))
    for name, what, id_column in _OF_ORDER:
        by_order = _in(name, "order_key", order_keys)
        of_statement = _in(name, "statement_id", statement_ids)
        by_id = _TABLES[name].c[id_column] == wanted
        take(name, what, or_(by_order, by_id, of_statement) if whole else or_(by_order, by_id))
    names = _names(connection, wanted, statement_ids, order_keys)
    for name, what in _OF_SUBJECT:
        take(name, what, _in(name, "subject", names))
    entries += [_closed(entry) for entry in entries if entry.get("closed_seq") is not None]
    return entries


_WORDING: dict[str, Callable[[Record], str]] = {
    # What became of it stands in the row; the timeline says what was decided then.
    "orders": lambda row: "order blocked" if row["verdict"] == "blocked" else "order forwarded",
    "requests": lambda row: f"{row['msg_type']} {row['verdict']}",
    "exception_decisions": lambda row: f"exception {row['decision']}",
    "executions": lambda row: f"execution {row['kind'] if row['effect'] == 'state' else row['effect']}",
}


def _closed(row: Record) -> Record:
    """The closing of a statement, which its row carries, as an entry of its own."""
    return {
        "what": f"statement closed: {row['state']}",
        "journal_seq": row["closed_seq"],
        "position": 0,  # behind the execution that closed it: "execution" sorts before "statement"
        "ts_ns": row["closed_ns"],
        "time": utc_text(row["closed_ns"]),
        "statement_id": row["statement_id"],
        "actor": row["closed_by"],
    }


# ---------------------------------------------------------------- comparing databases


def dump(engine: Engine, tables: Sequence[str] | None = None) -> str:
    """Every row of every table (or of ``tables``) as JSON lines, in key order.

    The same journal gives the same text on every database and however it was batched.
    """
    lines: list[str] = []
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if tables is not None and table.name not in tables:
                continue
            keys = list(table.primary_key.columns)
            for row in connection.execute(select(table).order_by(*keys)).mappings():
                lines.append(json.dumps([table.name, _plain(row)], sort_keys=True))
    return "\n".join(lines)
