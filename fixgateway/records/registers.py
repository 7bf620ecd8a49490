"""Registers: the rows an examiner asks for, a period at a time, oldest first, streamed.

Every function takes a connection and a :class:`Period` and yields plain dicts (see :mod:`.queries`). A period is of
trade dates where a row has one, else of the UTC days of its record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, func, or_, select
from sqlalchemy import Connection as Connection  # for rooms that must not import sqlalchemy

from fixgateway.core.model import plain_text
from fixgateway.records import (  # noqa: F401  so that their tables are known
    booked_tables,
    configuration_tables,
    rotation_tables,
)
from fixgateway.records.queries import Record, _plain, utc_text
from fixgateway.records.tables import Base

_CHUNK = 1_000
_NS_PER_SECOND = 1_000_000_000
_TABLES = Base.metadata.tables


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` to ``last``, both included; None where it has no end."""

    first: date | None = None
    last: date | None = None

    def of_dates(self, column: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """Conditions on a column of dates."""
        found: list[ColumnElement[bool]] = []
        if self.first is not None:
            found.append(column >= self.first)
        if self.last is not None:
            found.append(column <= self.last)
        return found

    def of_times(self, column: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """Conditions on a column of UTC nanoseconds."""
        found: list[ColumnElement[bool]] = []
        if self.first is not None:
            found.append(column >= _midnight_ns(self.first))
        if self.last is not None:
            found.append(column < _midnight_ns(self.last + timedelta(days=1)))
        return found


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _NS_PER_SECOND


def _stream(connection: Connection, query: Select[Any]) -> Iterator[Record]:
    """Rows of a query as plain values, some at a time."""
    result = connection.execution_options(stream_results=True).execute(query)
    for row in result.yield_per(_CHUNK).mappings():
        yield _plain(row)


def _of(name: str, connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[Record]:
    """Rows of a table in journal order."""
    table = _TABLES[name]
    return _stream(connection, select(table).where(*conditions).order_by(*table.primary_key.columns))


def _same_place(one: Table, other: Table) -> ColumnElement[bool]:
    """Rows of the same output of the same decision."""
    return and_(one.c.journal_seq == other.c.journal_seq, one.c.position == other.c.position)


def _at(ns: Any) -> str:
    """UTC nanoseconds as text, "" for none."""
    return utc_text(ns) if ns else ""


# ---------------------------------------------------------------- allocations and their days


def allocations(connection: Connection, period: Period) -> Iterator[Record]:
    """Every version of every allocation, a row an account, with when it was decided, sent and answered."""
    heads, lines, sent = _TABLES["allocations"], _TABLES["allocation_lines"], _TABLES["deliveries"]
    first = (
        select(sent.c.input_seq, sent.c.position, func.min(sent.c.ts_ns).label("sent_ns"))
        .group_by(sent.c.input_seq, sent.c.position)
        .subquery()
    )
    names = (
        "trade_date", "statement_id", "alloc_id", "trans_type", "ref_alloc_id", "replace_reason", "broker", "oms",
        "symbol", "side", "status", "booking", "ts_ns", "answered_ns",
    )  # fmt: skip
    query = (
        select(
            *(heads.c[name] for name in names),
            *(lines.c[name] for name in ("account", "quantity", "avg_px", "price", "gross", "commission", "fees",
                                         "net", "residual")),
            first.c.sent_ns,
        )
        .join(lines, _same_place(lines, heads))
        .outerjoin(first, and_(first.c.input_seq == heads.c.input_seq, first.c.position == heads.c.position))
        .where(*period.of_dates(heads.c.trade_date))
        .order_by(heads.c.journal_seq, heads.c.position, lines.c.line)
    )  # fmt: skip
    for row in _stream(connection, query):
        yield {**row, "decided_at": row["time"], "sent_at": _at(row["sent_ns"]), "booked_at": _at(row["answered_ns"])}


def completion_rates(connection: Connection, period: Period) -> Iterator[Record]:
    """What was measured at each day's deadlines, with the rates in percent (17 CFR 240.15c6-2(b))."""
    table = _TABLES["completions"]
    for row in _of("completions", connection, *period.of_dates(table.c.trade_date)):
        due = row["due"]
        yield {**row, **{f"{name}_rate": _percent(row[name], due) for name in _DONE}}


_DONE = ("allocated", "accepted", "confirmed", "affirmed")


def _percent(part: int, whole: int) -> str:
    """A share in percent with two decimals, "" of nothing."""
    return f"{Decimal(round(Fraction(part * 10_000, whole))).scaleb(-2):f}" if whole else ""


# ---------------------------------------------------------------- orders and statements


def blocked_orders(connection: Connection, period: Period) -> Iterator[Record]:
    """Every order and request that was not let through, with the reason and the words the OMS was told."""
    orders, requests = _TABLES["orders"], _TABLES["requests"]
    refused = requests.c.verdict.in_(("refused", "undone"))
    blocked = _of("orders", connection, orders.c.verdict == "blocked", *period.of_times(orders.c.ts_ns))
    others = _of("requests", connection, refused, *period.of_times(requests.c.ts_ns))
    for row in merge(_named(blocked, msg_type="D"), others, key=_place):
        session, quantity = row.get("oms") or row.get("session"), row.get("order_qty") or row["quantity"]
        yield {**row, "session": session, "order_qty": quantity}


def statement_changes(connection: Connection, period: Period) -> Iterator[Record]:
    """Statements that replaced another, were cancelled, replaced or closed by a person; and refused drafts."""
    table, refusals, problems = (_TABLES[x] for x in ("statements", "statement_refusals", "statement_problems"))
    changed = or_(table.c.version > 1, table.c.state.in_(("cancelled", "replaced", "closed")))
    refused = (
        select(refusals, problems.c.reason, problems.c.text)
        .join(problems, _same_place(problems, refusals))
        .where(problems.c.line == 0, *period.of_times(refusals.c.ts_ns))
        .order_by(refusals.c.journal_seq, refusals.c.position)
    )
    found = merge(
        _of("statements", connection, changed, *period.of_dates(table.c.trade_date)),
        _named(_stream(connection, refused), state="refused"),
        key=_place,
    )
    for row in found:
        yield {**row, "closed_at": _at(row.get("closed_ns"))}


_ERRORS = ("GW-802", "GW-801", "GW-804", "GW-805", "GW-813", "GW-842")
"""Exceptions and alerts that speak of a trade error: overfills, unknown or changed executions, late changes."""


def trade_errors(connection: Connection, period: Period) -> Iterator[Record]:
    """Busts and corrections, overfills and unknown executions, and everything an error account received."""
    executions, alerts = _TABLES["executions"], _TABLES["alerts"]
    amended = executions.c.effect.in_(("bust", "correct", "unknown-order"))
    return merge(
        _named(_of("executions", connection, amended, *period.of_times(executions.c.ts_ns)), what="execution"),
        _named(_of("alerts", connection, alerts.c.reason.in_(_ERRORS), *period.of_times(alerts.c.ts_ns)), what="alert"),
        _named(_error_shares(connection, period), what="error account"),
        key=_place,
    )


def _error_shares(connection: Connection, period: Period) -> Iterator[Record]:
    """Shares of accounts that were of class error when the allocation was decided."""
    heads, lines, accounts = _TABLES["allocations"], _TABLES["allocation_lines"], _TABLES["accounts"]
    query = (
        select(heads.c.journal_seq, heads.c.position, heads.c.ts_ns, heads.c.statement_id, heads.c.alloc_id,
               heads.c.trade_date, heads.c.broker, lines.c.account, lines.c.quantity, lines.c.avg_px)
        .join(lines, _same_place(lines, heads))
        .join(accounts, accounts.c.account == lines.c.account)
        .where(accounts.c.class_ == "error", _in_force_at(accounts, heads.c.journal_seq))
        .where(*period.of_dates(heads.c.trade_date))
        .order_by(heads.c.journal_seq, heads.c.position, lines.c.line)
    )  # fmt: skip
    return _stream(connection, query)


def _in_force_at(accounts: Table, seq: ColumnElement[Any]) -> ColumnElement[bool]:
    """The version of an account that was in force at a journal record."""
    return and_(accounts.c.journal_seq <= seq, or_(accounts.c.until_seq.is_(None), accounts.c.until_seq > seq))


def _named(rows: Iterator[Record], **more: str) -> Iterator[Record]:
    """Rows with columns of the same value."""
    return ({**row, **more} for row in rows)


_place = itemgetter("journal_seq", "position")


def turns(connection: Connection, period: Period) -> Iterator[Record]:
    """Every turn of a rotation."""
    return _of("rotation_turns", connection, *period.of_times(_TABLES["rotation_turns"].c.ts_ns))


# ---------------------------------------------------------------- accounts and policies


def accounts(connection: Connection, period: Period) -> Iterator[Record]:
    """Each account side by side with its class and fee over time; the whole history, whatever the period."""
    table = _TABLES["accounts"]
    ended = dict(_rows(connection, select(_TABLES["policies"].c.journal_seq, _TABLES["policies"].c.ts_ns)))
    for seq, ts_ns in _rows(connection, select(table.c.journal_seq, table.c.ts_ns).distinct()):
        ended.setdefault(seq, ts_ns)
    query = select(table).order_by(table.c.account, table.c.journal_seq, table.c.line)
    for row in _stream(connection, query):
        yield {**row, "from": row["time"], "until": _at(ended.get(row["until_seq"]))}


def _rows(connection: Connection, query: Select[Any]) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in connection.execute(query)]


def policies(connection: Connection, period: Period) -> Iterator[Record]:
    """Every policy that was in force, without its text; the whole history, whatever the period."""
    return _of("policies", connection)


# ---------------------------------------------------------------- dispersion


@dataclass(slots=True)
class _Off:
    """One account within a strategy."""

    blocks: int = 0
    quantity: Decimal = Decimal(0)
    notional: Fraction = Fraction(0)
    units: Fraction = Fraction(0)
    money: Fraction = Fraction(0)


def dispersion(connection: Connection, period: Period) -> Iterator[Record]:
    """How far apart the accounts of each strategy came out, by calendar quarter (NFA 9029: at least quarterly).

    ``deviation_units`` is Σ (received − exact share), ``deviation_money`` the same at the block's average price,
    ``deviation_bps`` that in basis points of what the account traded; ``spread_bps`` is the difference between the
    strategy's highest and lowest. Rounding alone makes these; no return enters.
    """
    sums: dict[tuple[str, str, str], _Off] = {}
    for row in _divided(connection, period):
        key = (_quarter(row["trade_date"]), row["strategy"] or "", row["account"])
        off = sums.setdefault(key, _Off())
        price = Fraction(row["avg_px"] or 0)
        received = Fraction(row["quantity"]) + Fraction(row["before"])
        units = received - Fraction(row["exact"])
        off.blocks += 1
        off.quantity += Decimal(row["quantity"]) + Decimal(row["before"])
        off.notional += received * price
        off.units += units
        off.money += units * price
    for (quarter, strategy), group in groupby(sorted(sums.items()), key=lambda item: item[0][:2]):
        rows = [(key[2], off, off.money / off.notional * 10_000 if off.notional else None) for key, off in group]
        known = [bps for _, _, bps in rows if bps is not None]
        spread = _places(max(known) - min(known), 4) if known else ""
        for account, off, bps in rows:
            yield {
                "quarter": quarter, "strategy": strategy, "account": account, "blocks": off.blocks,
                "quantity": plain_text(off.quantity), "notional": _places(off.notional, 2),
                "deviation_units": _places(off.units, 6), "deviation_money": _places(off.money, 2),
                "deviation_bps": "" if bps is None else _places(bps, 4), "spread_bps": spread,
            }  # fmt: skip


def _quarter(day: str) -> str:
    return f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"


def _places(value: Fraction, places: int) -> str:
    """A fraction with some decimals, for reading."""
    return f"{Decimal(round(value * 10**places)).scaleb(-places):f}"


def _divided(connection: Connection, period: Period) -> Iterator[Record]:
    """Lines of the newest division of every statement that stands, with the account's strategy then."""
    heads, lines = _TABLES["divisions"], _TABLES["division_lines"]
    statements, accounts_ = _TABLES["statements"], _TABLES["accounts"]
    newest = (
        select(heads.c.statement_id, func.max(heads.c.journal_seq).label("seq"))
        .group_by(heads.c.statement_id)
        .subquery()
    )
    place = (
        select(heads.c.journal_seq, heads.c.statement_id, func.max(heads.c.position).label("position"))
        .join(newest, and_(heads.c.statement_id == newest.c.statement_id, heads.c.journal_seq == newest.c.seq))
        .group_by(heads.c.journal_seq, heads.c.statement_id)
        .subquery()
    )
    query = (
        select(lines.c.account, lines.c.quantity, lines.c.before, lines.c.exact, statements.c.trade_date,
               statements.c.avg_px, accounts_.c.strategy)
        .join(place, and_(lines.c.journal_seq == place.c.journal_seq, lines.c.position == place.c.position))
        .join(statements, and_(statements.c.statement_id == place.c.statement_id, statements.c.filled.is_not(None)))
        .outerjoin(accounts_, and_(accounts_.c.account == lines.c.account,
                                   _in_force_at(accounts_, statements.c.journal_seq)))
        .where(statements.c.state != "replaced", lines.c.rule != "overfill")
        .where(*period.of_dates(statements.c.trade_date))
    )  # fmt: skip
    return _stream(connection, query)
