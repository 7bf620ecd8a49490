"""Any record as it was at a time, and its trail (17 CFR 240.17a-4(f)(2)(i)(A)).

The database tells which journal records are about a record; those of them that were written by that time are read
from the journal and projected again, into an empty database in memory, by the projector's own functions. What
the ordinary queries answer there is the record as it was: nothing that was overwritten since is needed, and nothing
the database says about the content is believed. Accounts and policies keep every version as a row of its own and
are read from the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, select
from sqlalchemy.schema import CreateIndex, CreateTable

from fixgateway.errors import FixgatewayError, JournalError, RecordRemoved, UsageError
from fixgateway.journal.codec import decode_outputs
from fixgateway.journal.reader import Finder
from fixgateway.journal.records import Kind
from fixgateway.journal.records import Record as JournalRecord
from fixgateway.records import desk_queries, queries
from fixgateway.records.accounts import account_versions
from fixgateway.records.desk_writers import place_of
from fixgateway.records.memos import memos_of
from fixgateway.records.projector import project
from fixgateway.records.queries import _TABLES, Record, _in, utc_text
from fixgateway.records.tables import Base

MAX_RECORDS = 200_000
"""Most journal records read for one record; one with more is refused."""
_IN_MAX = 500
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_TIME = re.compile(r"(.*?\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How records of a kind are found in the database, and read from one that has only their records.

    ``events`` are the tables whose rows are the record's trail, with the column of the id and what to call them;
    without any the trail is the timeline of :func:`.queries.trace`.
    """

    seqs: Callable[[Connection, str], set[int]]
    read: Callable[[Engine, str], Any]
    events: tuple[tuple[str, str, str], ...] = ()


def moment(text: str) -> int:
    """A time as UTC nanoseconds: ISO 8601 with an offset or Z, up to nine decimals.

    Raises:
        UsageError: it is no such time.
    """
    found = _TIME.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        whole, decimals, zone = found.groups()
        offset = "+00:00" if zone == "Z" else zone
        delta = datetime.fromisoformat(whole + offset) - _EPOCH
    except ValueError:
        raise UsageError(
            f"{text!r} is no time; write date, time and offset: 2026-11-22T15:30:00-05:00 or …T20:30:00Z"
        ) from None
    seconds = delta.days * 86_400 + delta.seconds
    return seconds * 1_000_000_000 + int((decimals or "0").ljust(9, "0"))


def recreate(
    engine: Engine, data_dir: Path, wanted: str, as_of_ns: int | None = None, kind: str | None = None
) -> Record:
    """A record as it was at a time, and everything that had happened to it until then.

    Args:
        engine: the records database. data_dir: the gateway's data directory, with the journal.
        wanted: the id of a record of one of :data:`KINDS`. as_of_ns: UTC nanoseconds; None: now.
        kind: one of :data:`KINDS`; None: whatever has this id.

    Returns:
        ``{"id", "kind", "as_of", "record", "trail", "later", "journal_records"}``: ``record`` as the ordinary query
        would have answered then, ``trail`` oldest first, ``later`` how many journal records about it came after.

    Raises:
        UsageError: no record of this id, none yet at that time, or several kinds have it.
        FixgatewayError: the journal does not have a record any more, or cannot be read.
    """
    with engine.connect() as connection:
        name = _kind(connection, wanted, kind)
        if name in _VERSIONED:
            return _VERSIONED[name](engine, wanted, as_of_ns)
        seqs = sorted(KINDS[name].seqs(connection, wanted))
    if len(seqs) > MAX_RECORDS:
        raise UsageError(f"{name} {wanted!r} has {len(seqs)} journal records, more than {MAX_RECORDS} at once")
    finder = Finder(data_dir)
    decisions = [record for record in _read(finder, seqs) if as_of_ns is None or record.ts_ns <= as_of_ns]
    with engine.connect() as connection:
        others = _messages(connection, decisions)
    messages = [record for record in _read(finder, others) if as_of_ns is None or record.ts_ns <= as_of_ns]
    records = sorted({record.seq: record for record in (*decisions, *messages)}.values(), key=lambda x: x.seq)
    memory = _projected(records)
    try:
        answer = _answer(name, wanted, as_of_ns, KINDS[name].read(memory, wanted))
        answer |= {"trail": _trail(memory, KINDS[name], wanted), "later": len(seqs) - len(decisions)}
    except UsageError:
        raise _not_yet(name, wanted, as_of_ns) from None
    finally:
        memory.dispose()
    return answer | {"journal_records": [found.seq for found in records]}


def _answer(name: str, wanted: str, as_of_ns: int | None, record: Any) -> Record:
    when = utc_text(as_of_ns) if as_of_ns is not None else None
    return {"id": wanted, "kind": name, "as_of": when, "record": record}


def _not_yet(name: str, wanted: str, as_of_ns: int | None) -> UsageError:
    when = f" at {utc_text(as_of_ns)}" if as_of_ns is not None else ""
    return UsageError(f"there was no {name} {wanted!r}{when}; its first record is later")


def _kind(connection: Connection, wanted: str, kind: str | None) -> str:
    """The kind of a record's id."""
    if kind is not None:
        if kind not in (*KINDS, *_VERSIONED):
            raise UsageError(f"no kind {kind!r}; there are {', '.join((*KINDS, *_VERSIONED))}")
        return kind
    found = [name for name, (table, column) in _IDS.items() if _has(connection, table, column, wanted)]
    if place_of(wanted) and wanted[:2] in _PLACED:
        found.append(_PLACED[wanted[:2]])
    if not found:
        raise UsageError(queries._unknown("record", wanted, connection))
    if len(found) > 1:
        raise UsageError(f"{wanted!r} is the id of {', '.join(found)}: say which kind")
    return found[0]


_IDS: dict[str, tuple[str, str]] = {
    "statement": ("statements", "statement_id"),
    "order": ("orders", "cl_ord_id"),
    "allocation": ("allocations", "alloc_id"),
    "exception": ("exception_requests", "exception_id"),
    "person": ("people", "person_id"),
    "review": ("reviews", "review_id"),
    "account": ("accounts", "account"),
    "policy": ("policies", "policy_id"),
}
_PLACED = {"X-": "exception", "A-": "alert"}


def _has(connection: Connection, table: str, column: str, wanted: str) -> bool:
    condition = _TABLES[table].c[column] == wanted
    return connection.execute(select(1).where(condition).limit(1)).first() is not None


# ---------------------------------------------------------------- which journal records


def _seqs(connection: Connection, name: str, column: str, values: Iterable[Any]) -> set[int]:
    """Journal records of a table's rows whose ``column`` is one of ``values``."""
    return _values(connection, name, "journal_seq", column, values)


def _values(connection: Connection, name: str, wanted: str, column: str, values: Iterable[Any]) -> set[Any]:
    table = _TABLES[name]
    known = sorted(set(values))
    found: set[Any] = set()
    for start in range(0, len(known), _IN_MAX):
        query = select(table.c[wanted]).where(_in(name, column, known[start : start + _IN_MAX])).distinct()
        found |= set(connection.scalars(query))
    return found - {None}


_BY_STATEMENT = (
    "statements", "statement_refusals", "divisions", "orders", "requests", "executions", "allocations",
    "allocation_acks", "allocation_reports", "broker_reports", "confirmations", "affirmations",
    "confirmation_requests", "rotation_turns", "exception_requests", "exception_decisions", "exception_overdues",
)  # fmt: skip
_BY_ORDER = ("orders", "requests", "executions", "order_changes")


def _of_statement(connection: Connection, statement_id: str) -> set[int]:
    """Everything about a statement: its own rows, its orders', what people and brokers said of it."""
    found: set[int] = set()
    for name in _BY_STATEMENT:
        found |= _seqs(connection, name, "statement_id", [statement_id])
    found |= _values(connection, "statements", "closed_seq", "statement_id", [statement_id])
    found |= _seqs(connection, "flags", "subject", [statement_id])
    keys = _values(connection, "orders", "order_key", "statement_id", [statement_id])
    for name in _BY_ORDER:
        found |= _seqs(connection, name, "order_key", keys)
    names = {statement_id} | _values(connection, "orders", "cl_ord_id", "order_key", keys)
    names |= _values(connection, "allocations", "alloc_id", "statement_id", [statement_id])
    names |= _values(connection, "confirmations", "confirm_id", "statement_id", [statement_id])
    return found | _about(connection, names)


def _about(connection: Connection, names: Iterable[str]) -> set[int]:
    """Exceptions the gateway opened and alerts about ids, and what people did about them."""
    found: set[int] = set()
    for table, prefix, done, column in (
        ("exceptions", "X", "exception_attentions", "exception_id"),
        ("alerts", "A", "alert_acknowledgements", "alert_id"),
    ):
        source = _TABLES[table]
        query = select(source.c.journal_seq, source.c.input_seq, source.c.position)
        known = sorted(set(names))
        ids = []
        for start in range(0, len(known), _IN_MAX):
            for row in connection.execute(query.where(_in(table, "subject", known[start : start + _IN_MAX]))):
                found.add(row.journal_seq)
                ids.append(f"{prefix}-{row.input_seq}-{row.position}")
        found |= _seqs(connection, done, column, ids)
    return found


def _of_order(connection: Connection, cl_ord_id: str) -> set[int]:
    keys = _values(connection, "orders", "order_key", "cl_ord_id", [cl_ord_id])
    statements = _values(connection, "orders", "statement_id", "order_key", keys) - {""}
    found: set[int] = set()
    for name in _BY_ORDER:
        found |= _seqs(connection, name, "order_key", keys)
    for statement_id in statements:  # its memorandum names recommender, placer and accounts
        found |= _seqs(connection, "statements", "statement_id", [statement_id])
    return found | _about(connection, {cl_ord_id})


def _of_allocation(connection: Connection, alloc_id: str) -> set[int]:
    found: set[int] = set()
    for statement_id in _values(connection, "allocations", "statement_id", "alloc_id", [alloc_id]):
        found |= _of_statement(connection, statement_id)
    return found


def _of_exception(connection: Connection, exception_id: str) -> set[int]:
    place = place_of(exception_id) if exception_id.startswith("X-") else None
    if place is not None:
        rows = _place(connection, "exceptions", place)
        return rows | _seqs(connection, "exception_attentions", "exception_id", [exception_id])
    found: set[int] = set()
    for statement_id in _values(
        connection, "exception_requests", "statement_id", "exception_id", [exception_id]
    ):
        found |= _of_statement(connection, statement_id)
    return found | _about(connection, {exception_id})


def _of_alert(connection: Connection, alert_id: str) -> set[int]:
    """The alert, attempts to deliver it, and who acknowledged it or another of the same reason and subject."""
    place = place_of(alert_id)
    if place is None:
        return set()
    table = _TABLES["alerts"]
    mine = select(table.c.reason, table.c.subject).where(*_at(table, place)).limit(1)
    row = connection.execute(mine).first()
    if row is None:
        return set()
    same = select(table.c.input_seq, table.c.position).where(
        table.c.reason == row.reason, table.c.subject == row.subject
    )
    ids = [f"A-{other.input_seq}-{other.position}" for other in connection.execute(same)]
    found = _place(connection, "alerts", place)
    for other in ids:
        found |= _place(connection, "alerts", place_of(other) or (0, 0))
    found |= _seqs(connection, "alert_deliveries", "alert_id", [alert_id])
    return found | _seqs(connection, "alert_acknowledgements", "alert_id", ids)


def _at(table: Any, place: tuple[int, int]) -> list[ColumnElement[bool]]:
    return [table.c.input_seq == place[0], table.c.position == place[1]]


def _place(connection: Connection, name: str, place: tuple[int, int]) -> set[int]:
    table = _TABLES[name]
    return set(connection.scalars(select(table.c.journal_seq).where(*_at(table, place))))


def _by_id(*tables: tuple[str, str]) -> Callable[[Connection, str], set[int]]:
    """Records of rows that name the id in a column."""

    def seqs(connection: Connection, wanted: str) -> set[int]:
        found: set[int] = set()
        for name, column in tables:
            found |= _seqs(connection, name, column, [wanted])
        return found

    return seqs


def _order(engine: Engine, cl_ord_id: str) -> list[Record]:
    """The orders of a ClOrdID as memoranda, with their executions, newest first."""
    found = [row for row in memos_of(engine, cl_ord_id) if row["cl_ord_id"] == cl_ord_id]
    if not found:
        raise UsageError(f"no order {cl_ord_id!r}")
    for row in found:
        row["executions"] = queries.executions(engine, order_key=row["order_key"])
    return found


KINDS: dict[str, _Kind] = {
    "statement": _Kind(_of_statement, queries.statement),
    "order": _Kind(_of_order, _order),
    "allocation": _Kind(_of_allocation, queries.allocation),
    "exception": _Kind(_of_exception, desk_queries.exception),
    "alert": _Kind(
        _of_alert,
        desk_queries.alert,
        (("alert_deliveries", "alert_id", "delivery"), ("alert_acknowledgements", "alert_id", "acknowledged")),
    ),
    "person": _Kind(
        _by_id(("people", "person_id")), desk_queries.person, (("people", "person_id", "person recorded"),)
    ),
    "review": _Kind(
        _by_id(("reviews", "review_id"), ("review_signatures", "review_id")),
        desk_queries.review,
        (("reviews", "review_id", "review"), ("review_signatures", "review_id", "review signed")),
    ),
}
"""Kinds of records made again from the journal."""


# ---------------------------------------------------------------- reading and projecting


def _read(finder: Finder, seqs: Iterable[int]) -> list[JournalRecord]:
    """The journal records of these numbers, in order."""
    found: list[JournalRecord] = []
    for seq in seqs:
        try:
            found.append(finder.read(seq))
        except RecordRemoved as error:
            raise FixgatewayError(f"journal record {seq} was removed when its retention was over: {error}") from error
        except JournalError as error:
            raise FixgatewayError(f"journal record {seq} cannot be read: {error}") from error
    return found


def _messages(connection: Connection, decisions: Iterable[JournalRecord]) -> list[int]:
    """Records of what was decided: the input, its text, and what left for it."""
    inputs = {decode_outputs(record.payload)[0] for record in decisions if record.kind is Kind.DECISION}
    texts = _seqs(connection, "arrivals", "input_seq", inputs)
    return sorted(inputs | texts | _seqs(connection, "deliveries", "input_seq", inputs))


@cache
def _schema() -> str:
    """The tables as SQL for SQLite: five times as quick as making them one by one."""
    dialect = create_engine("sqlite://").dialect
    made: list[CreateTable | CreateIndex] = []
    for table in Base.metadata.sorted_tables:
        made += [CreateTable(table), *map(CreateIndex, sorted(table.indexes, key=lambda index: str(index.name)))]
    return ";\n".join(str(statement.compile(dialect=dialect)) for statement in made)


def _projected(records: list[JournalRecord]) -> Engine:
    """A database in memory with nothing but what these records say."""
    engine = create_engine("sqlite://")
    raw = engine.raw_connection()
    raw.executescript(_schema())
    raw.close()
    if records:
        with engine.begin() as connection:
            project(connection, records)
    return engine


def _trail(memory: Engine, kind: _Kind, wanted: str) -> list[Record]:
    """What had happened to the record, oldest first."""
    events = kind.events
    if wanted.startswith("X-") and place_of(wanted):
        events = (("exception_attentions", "exception_id", "attended"),)
    if not events:
        with memory.connect() as connection:
            about = _values(connection, "exception_requests", "statement_id", "exception_id", [wanted])
        timeline: list[Record] = queries.trace(memory, next(iter(about), wanted), limit=MAX_RECORDS)["timeline"]
        return timeline
    found: list[Record] = []
    with memory.connect() as connection:
        for name, column, what in events:
            for row in queries._find(connection, name, _TABLES[name].c[column] == wanted, limit=MAX_RECORDS):
                found.append({"what": what, **row})
    return sorted(found, key=lambda row: (row["journal_seq"], row["position"]))


# ---------------------------------------------------------------- accounts and policies


def _account(engine: Engine, wanted: str, as_of_ns: int | None) -> Record:
    return _versions(account_versions(engine, wanted), "account", wanted, as_of_ns)


def _policy(engine: Engine, wanted: str, as_of_ns: int | None) -> Record:
    with engine.connect() as connection:
        of_id = _TABLES["policies"].c.policy_id == wanted
        rows = queries._find(connection, "policies", of_id, limit=MAX_RECORDS, oldest_first=True)
    return _versions(rows, "policy", wanted, as_of_ns)


_VERSIONED: dict[str, Callable[[Engine, str, int | None], Record]] = {"account": _account, "policy": _policy}
"""Kinds whose every version is a row."""


def _versions(rows: list[Record], name: str, wanted: str, as_of_ns: int | None) -> Record:
    """The answer for a record whose versions are rows, oldest first: the newest of then, and those before it."""
    known = [row for row in rows if as_of_ns is None or row["ts_ns"] <= as_of_ns]
    if not known:
        raise _not_yet(name, wanted, as_of_ns)
    for row in known:
        if as_of_ns is not None and row["until_ns"] is not None and row["until_ns"] > as_of_ns:
            row |= dict.fromkeys((key for key in row if key.startswith("until")), None)
    return _answer(name, wanted, as_of_ns, known[-1]) | {
        "trail": known,
        "later": len(rows) - len(known),
        "journal_records": sorted({row["journal_seq"] for row in known}),
    }
