"""Registers of people's work: exceptions, alerts, who did and read what, reviews; as :mod:`.registers`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select

from fixgateway.records import desk_tables  # noqa: F401  so that its tables are known
from fixgateway.records.blotter import blotter
from fixgateway.records.memos import flat, order_memos
from fixgateway.records.queries import Record
from fixgateway.records.registers import Connection, Period, _at, _of, _same_place, _stream
from fixgateway.records.tables import Base

_TABLES = Base.metadata.tables
_MEMOS_AT_ONCE = 500


def exceptions(connection: Connection, period: Period) -> Iterator[Record]:
    """Every exception asked for, a row an account, with the decision and whether it came in time."""
    heads, lines, decisions = (_TABLES[x] for x in ("exception_requests", "exception_lines", "exception_decisions"))
    query = (
        select(heads, *(lines.c[name] for name in ("account", "class_", "intent", "before", "after", "benefit")),
               decisions.c.text.label("decision_text"), decisions.c.alloc_ids.label("made"))
        .join(lines, _same_place(lines, heads))
        .outerjoin(decisions, decisions.c.exception_id == heads.c.exception_id)
        .where(*period.of_times(heads.c.ts_ns))
        .order_by(heads.c.journal_seq, heads.c.position, lines.c.line)
    )  # fmt: skip
    for row in _stream(connection, query):
        yield {**row, "decided_at": _at(row["decided_ns"]), "overdue_at": _at(row["overdue_ns"])}


def opened_exceptions(connection: Connection, period: Period) -> Iterator[Record]:
    """Every exception the gateway opened, and who resolved it when."""
    heads, attended = _TABLES["exceptions"], _TABLES["exception_attentions"]
    resolved = select(attended).where(attended.c.action == "resolve").order_by(attended.c.journal_seq)
    ends: dict[str, Record] = {row["exception_id"]: row for row in _stream(connection, resolved)}
    for row in _of("exceptions", connection, *period.of_times(heads.c.ts_ns)):
        exception_id = f"X-{row['input_seq']}-{row['position']}"
        end = ends.get(exception_id, {})
        yield {
            **row, "exception_id": exception_id, "resolved_at": end.get("time", ""),
            "resolved_by": end.get("actor", ""), "resolution": end.get("text", ""),
        }  # fmt: skip


def alerts(connection: Connection, period: Period) -> Iterator[Record]:
    """Every alert, when it was first delivered, and who acknowledged it when."""
    heads = _TABLES["alerts"]
    delivered, seen = _TABLES["alert_deliveries"], _TABLES["alert_acknowledgements"]
    query = (
        select(delivered.c.alert_id, func.min(delivered.c.ts_ns).label("first_ns"))
        .where(delivered.c.delivered.is_(True))
        .group_by(delivered.c.alert_id)
    )
    told: dict[str, Any] = {row["alert_id"]: row["first_ns"] for row in _stream(connection, query)}
    acknowledged: dict[str, Record] = {}
    for row in _of("alert_acknowledgements", connection, seen.c.alert_id != ""):
        acknowledged.setdefault(row["alert_id"], row)
    for row in _of("alerts", connection, *period.of_times(heads.c.ts_ns)):
        alert_id = f"A-{row['input_seq']}-{row['position']}"
        end = acknowledged.get(alert_id, {})
        yield {
            **row, "alert_id": alert_id, "delivered_at": _at(told.get(alert_id)),
            "acknowledged_at": end.get("time", ""), "acknowledged_by": end.get("actor", ""),
            "acknowledgement": end.get("text", ""),
        }  # fmt: skip


def _by_time(name: str, connection: Connection, period: Period) -> Iterator[Record]:
    column: ColumnElement[Any] = _TABLES[name].c.ts_ns
    return _of(name, connection, *period.of_times(column))


def accesses(connection: Connection, period: Period) -> Iterator[Record]:
    """Who signed in, was refused, and read or exported what."""
    return _by_time("accesses", connection, period)


def refused_actions(connection: Connection, period: Period) -> Iterator[Record]:
    """What people tried and were not allowed."""
    return _by_time("refused_actions", connection, period)


def people(connection: Connection, period: Period) -> Iterator[Record]:
    """Every change of a person's name, roles or activity; the whole history, whatever the period."""
    return _of("people", connection)


def marks(connection: Connection, period: Period) -> Iterator[Record]:
    """Every mark, with its source and its own time."""
    for row in _by_time("marks", connection, period):
        yield {**row, "as_of": _at(row["as_of_ns"])}


def reconciliations(connection: Connection, period: Period) -> Iterator[Record]:
    """Which days were compared with a custodian's or broker's file, and which were not."""
    return _of("reconciliations", connection, *period.of_dates(_TABLES["reconciliations"].c.trade_date))


def reviews(connection: Connection, period: Period) -> Iterator[Record]:
    """Every forensic review, and what the CCO concluded."""
    heads, signed = _TABLES["reviews"], _TABLES["review_signatures"]
    query = (
        select(heads, signed.c.conclusion, signed.c.follow_up, signed.c.actor.label("signed_by"),
               signed.c.ts_ns.label("signed_ns"))
        .outerjoin(signed, signed.c.review_id == heads.c.review_id)
        .where(*period.of_times(heads.c.ts_ns))
        .order_by(heads.c.journal_seq, heads.c.position)
    )  # fmt: skip
    for row in _stream(connection, query):
        yield {**row, "signed_at": _at(row["signed_ns"])}


def order_memoranda(connection: Connection, period: Period) -> Iterator[Record]:
    """The memorandum of every order and of its changes (17 CFR 275.204-2(a)(3)), newest order first."""
    before: str | None = None
    while found := order_memos(
        connection.engine, period.first or date.min, period.last or date.max, _MEMOS_AT_ONCE, before
    ):
        for memo in found:
            yield from flat(memo)
        last = found[-1]
        before = f"{last['journal_seq']}-{last['position']}"
        if len(found) < _MEMOS_AT_ONCE:
            return


def period_blotter(connection: Connection, period: Period) -> Iterator[Record]:
    """The rows forensic tests read."""
    return blotter(connection.engine, period.first or date.min, period.last or date.max)
