"""Accounts over two times: what was true on a day, and what the records said of it at a moment.

An account's row is *recorded* when a configuration with it comes into force, and holds from the day it names
(``valid_from``; without one, the day it was recorded). What is recorded later overrules what was recorded before,
from its own day on. An account that leaves the file stops being valid on the day it is missing first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from fixgateway.records.queries import _TABLES, Record, _plain, utc_text

_NS_PER_SECOND = 1_000_000_000


def accounts_at(engine: Engine, known_ns: int | None = None, valid_on: date | None = None) -> list[Record]:
    """The accounts that were valid on a day as they were known at a moment, by account.

    Args:
        engine: the records database. known_ns: only what was recorded at or before this time, UTC nanoseconds; None:
            everything. valid_on: None: the account file as it was in force at that moment, whatever the days it names.
    """
    versions = _versions(engine, known_ns)
    return [found for rows in versions.values() if (found := _valid(rows, valid_on)) is not None]


def account_versions(engine: Engine, account: str, known_ns: int | None = None) -> list[Record]:
    """Every row recorded of an account, oldest first; ``until_…`` is empty for the one in force."""
    return _versions(engine, known_ns, account).get(account, [])


def _versions(engine: Engine, known_ns: int | None, account: str | None = None) -> dict[str, list[Record]]:
    """Rows by account, in the order they were recorded, as if nothing later had been."""
    table = _TABLES["accounts"]
    query = select(table).order_by(*table.primary_key.columns)
    if account is not None:
        query = query.where(table.c.account == account)
    if known_ns is not None:
        query = query.where(table.c.ts_ns <= known_ns)
    found: dict[str, list[Record]] = {}
    with engine.connect() as connection:
        zone = _zone(connection)
        for row in map(_plain, connection.execute(query).mappings()):
            if known_ns is not None and row["until_ns"] is not None and row["until_ns"] > known_ns:
                row |= {"until_seq": None, "until_ns": None}
            row["until"] = _day(row["until_ns"], zone)
            row["until_time"] = utc_text(row["until_ns"]) if row["until_ns"] is not None else None
            found.setdefault(row["account"], []).append(row)
    return dict(sorted(found.items()))  # databases collate differently


def _valid(rows: list[Record], valid_on: date | None) -> Record | None:
    """The row of an account that holds on a day; None when it is not in the file then."""
    if valid_on is None:
        return rows[-1] if rows[-1]["until_seq"] is None else None
    day = valid_on.isoformat()
    found: Record | None = None
    for row, following in zip_longest(rows, rows[1:]):
        if row["valid_from"] <= day:
            found = row
        removed = row["until_seq"] is not None and (not following or following["journal_seq"] != row["until_seq"])
        if removed and row["until"] <= day:
            found = None
    return found


def _zone(connection: Connection) -> str:
    table = _TABLES["policies"]
    query = select(table.c.timezone).order_by(table.c.journal_seq.desc()).limit(1)
    return connection.scalar(query) or "UTC"


def _day(ts_ns: Any, zone: str) -> str | None:
    """The day of a moment in a time zone."""
    if ts_ns is None:
        return None
    return datetime.fromtimestamp(ts_ns // _NS_PER_SECOND, UTC).astimezone(ZoneInfo(zone)).date().isoformat()
