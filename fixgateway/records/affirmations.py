"""A trade date's allocations as far as they are accepted, confirmed and affirmed, from the records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, Engine, func, select

from fixgateway.core.model import exact_sum, plain_text
from fixgateway.core.standing import OVER, REFUSED
from fixgateway.records import booked_tables  # noqa: F401  so that its tables are known
from fixgateway.records.queries import Record, _add_lines, _equal, _find
from fixgateway.records.tables import Base

MAX_ALLOCATIONS = 10_000
"""Most allocations of a day looked at."""
MAX_OPEN = 1_000
"""Most accounts listed as open; the rest is counted."""

_TABLES = Base.metadata.tables


@dataclass(slots=True)
class _Day:
    """What one broker has of a day."""

    due: int = 0
    allocated: int = 0
    accepted: int = 0
    confirmed: int = 0
    affirmed: int = 0


@dataclass(slots=True)
class _View:
    """The answer while it is put together."""

    brokers: dict[str, _Day] = field(default_factory=dict)
    open: list[Record] = field(default_factory=list)
    more: int = 0


def affirmations(engine: Engine, trade_date: date | None = None) -> Record:
    """What is due and done of a trade date, by broker, what was measured at its deadlines, and what is open.

    Args:
        engine: the records database. trade_date: None for the newest with an allocation.

    Returns:
        ``{"trade_date", "brokers", "measured", "open", "open_more", "truncated"}``. ``brokers`` count accounts as
        the records have them now; ``measured`` are the figures decided at the deadlines and the day's end.
    """
    with engine.connect() as connection:
        day = trade_date or connection.scalar(select(func.max(_TABLES["allocations"].c.trade_date)))
        if day is None:
            return _answer(None, _View(), [], truncated=False)
        found = _find(
            connection,
            "allocations",
            *_equal(_TABLES["allocations"], trade_date=day),
            limit=MAX_ALLOCATIONS + 1,
            oldest_first=True,
        )
        _add_lines(connection, "allocation_lines", found)
        view = _view(connection, found[:MAX_ALLOCATIONS])
        of_day = _equal(_TABLES["completions"], trade_date=day)
        measured = _find(connection, "completions", *of_day, oldest_first=True)
    return _answer(day, view, measured, truncated=len(found) > MAX_ALLOCATIONS)


def _answer(day: date | None, view: _View, measured: list[Record], *, truncated: bool) -> Record:
    return {
        "trade_date": day.isoformat() if day is not None else None,
        "brokers": [_row(broker, counted) for broker, counted in sorted(view.brokers.items())],
        "measured": measured,
        "open": view.open,
        "open_more": view.more,
        "truncated": truncated,
    }


def _row(broker: str, day: _Day) -> Record:
    counted = {"due": day.due, "allocated": day.allocated, "accepted": day.accepted}
    return {"broker": broker, **counted, "confirmed": day.confirmed, "affirmed": day.affirmed}


def _view(connection: Connection, allocations: list[Record]) -> _View:
    view = _View()
    by_id = {row["alloc_id"]: row for row in allocations}
    confirmed = _in_force_by_account(connection, by_id)
    for row in _in_force(allocations):
        day = view.brokers.setdefault(row["broker"], _Day())
        first = _root(by_id, row)
        for account, lines in _by_account(row).items():
            verdict, confirm_id = _verdict(by_id, confirmed, first, row, account)
            day.due += 1
            day.allocated += row["status"] != "rejected"
            day.accepted += row["status"] == "accepted"
            day.confirmed += bool(verdict)
            day.affirmed += verdict == "affirmed"
            if row["status"] == "accepted" and verdict == "affirmed":
                continue
            if len(view.open) == MAX_OPEN:
                view.more += 1
                continue
            view.open.append(
                {
                    "broker": row["broker"],
                    "statement_id": row["statement_id"],
                    "alloc_id": row["alloc_id"],
                    "account": account,
                    "quantity": plain_text(exact_sum(Decimal(line["quantity"]) for line in lines)),
                    "allocation": row["status"],
                    "confirmation": verdict or "missing",
                    "confirm_id": confirm_id,
                }
            )
    return view


def _in_force(allocations: list[Record]) -> Iterable[Record]:
    """The newest version of every allocation, cancels and refused versions left out."""
    named = {row["ref_alloc_id"] for row in allocations if row["status"] != REFUSED}
    changes = [row for row in allocations if row["trans_type"] != "2"]
    newest = {(row["statement_id"], row["broker"]): row["alloc_id"] for row in changes}
    for row in allocations:
        if row["alloc_id"] in named or row["trans_type"] == "2" or row["status"] in (REFUSED, *OVER):
            continue
        if row["status"] == "rejected" and newest[row["statement_id"], row["broker"]] != row["alloc_id"]:
            continue
        yield row


def _root(by_id: dict[str, Record], row: Record) -> str:
    while row["ref_alloc_id"] in by_id:
        row = by_id[row["ref_alloc_id"]]
    return str(row["alloc_id"])


def _in_force_by_account(connection: Connection, by_id: dict[str, Record]) -> dict[tuple[str, str], Record]:
    """The last confirmation that stands, by first AllocID and account."""
    table = _TABLES["confirmations"]
    standing: dict[tuple[str, str], Record] = {}
    ids = sorted(by_id)
    for start in range(0, len(ids), 500):  # databases bound the number of parameters
        wanted = table.c.alloc_id.in_(ids[start : start + 500])
        query = select(table).where(wanted).order_by(*table.primary_key.columns)
        for row in map(dict, connection.execute(query).mappings()):
            key = (_root(by_id, by_id[row["alloc_id"]]), row["account"])
            before = standing.get(key)
            if row["verdict"] == "cancelled" or row["trans_type"] == "1":
                standing.pop(key, None)
            if row["verdict"] == "affirmed" or (row["verdict"] == "rejected" and not _affirmed(before, row)):
                standing[key] = row
    return standing


def _affirmed(before: Record | None, row: Record) -> bool:
    """Whether another confirmation affirms the account already, so that a wrong one changes nothing."""
    return before is not None and before["verdict"] == "affirmed" and row["trans_type"] != "1"


def _by_account(row: Record) -> dict[str, list[Record]]:
    """An allocation's lines by account; an account has several where it has several prices."""
    found: dict[str, list[Record]] = {}
    for line in row["lines"]:
        found.setdefault(line["account"], []).append(line)
    return found


def _verdict(
    by_id: dict[str, Record], confirmed: dict[tuple[str, str], Record], first: str, row: Record, account: str
) -> tuple[str, str]:
    """What the confirmation in force makes of an account, and its id; "" where there is none for these figures."""
    found = confirmed.get((first, account))
    if found is None:
        return "", ""
    before = by_id[found["alloc_id"]]
    if before is not row and _by_account(before).get(account) != _by_account(row)[account]:
        return "", ""
    return found["verdict"], found["confirm_id"]
