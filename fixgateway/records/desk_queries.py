"""Questions about people's work, answered as in :mod:`.queries`: plain dicts, ready for JSON.

Lists are newest first and end after ``limit`` rows; ``before`` goes on behind a row: its :func:`cursor`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, func, or_, select

from fixgateway.errors import UsageError
from fixgateway.records.desk_writers import place_of
from fixgateway.records.queries import (
    _TABLES,
    LIMIT,
    Record,
    _add_lines,
    _equal,
    _find,
    _plain,
    _unknown,
    utc_text,
)

_IN_MAX = 500  # databases bound the number of parameters
_JSON = ("roles", "alloc_ids")


def cursor(row: Record) -> str:
    """Where a row stands, for ``before``: ``<journal_seq>-<position>``."""
    return f"{row['journal_seq']}-{row['position']}"


def _behind(table: Table, before: str | None) -> list[ColumnElement[bool]]:
    """Only rows behind ``before``.

    Raises:
        UsageError: it is no cursor.
    """
    if before is None:
        return []
    place = place_of(f"at-{before}")
    if place is None:
        raise UsageError(f"before: {before!r} is no place in a list; give the cursor of a row: 1234-0")
    seq, position = place
    at = table.c.journal_seq
    return [or_(at < seq, and_(at == seq, table.c.position < position))]


def _list(
    connection: Connection, name: str, *conditions: ColumnElement[bool], limit: int, before: str | None
) -> list[Record]:
    rows = _find(connection, name, *conditions, *_behind(_TABLES[name], before), limit=limit)
    return [_read(row) for row in rows]


def _read(row: Record) -> Record:
    """JSON columns as lists, and readable UTC beside every time."""
    for name in _JSON:
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    for name in [name for name in row if name.endswith("_ns") and name != "ts_ns"]:
        if row[name]:
            row[name.removesuffix("_ns") + "_time"] = utc_text(row[name])
    return row


def _grouped(connection: Connection, name: str, column: str, wanted: Iterable[str]) -> dict[str, list[Record]]:
    """Rows of a table by the id they are about, oldest first."""
    table = _TABLES[name]
    ids = sorted(set(wanted))
    found: dict[str, list[Record]] = {}
    for start in range(0, len(ids), _IN_MAX):
        condition = table.c[column].in_(ids[start : start + _IN_MAX])
        query = select(table).where(condition).order_by(*table.primary_key.columns)
        for row in connection.execute(query).mappings():
            found.setdefault(row[column], []).append(_read(_plain(row)))
    return found


# ---------------------------------------------------------------- exceptions people ask for


def exceptions(
    engine: Engine,
    state: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    statement_id: str | None = None,
    requested_by: str | None = None,
    code: str | None = None,
    first_ns: int | None = None,
    last_ns: int | None = None,
) -> list[Record]:
    """Exceptions people asked for, with ``lines``.

    Args:
        engine: the records database. state: ``open``, ``approved``, ``rejected``, ``withdrawn``, ``expired``, ``void``.
        limit: most rows. before: only behind this :func:`cursor`. statement_id, requested_by, code: only these.
        first_ns: requested at or after. last_ns: requested at or before.
    """
    table = _TABLES["exception_requests"]
    wanted = _equal(table, state=state, statement_id=statement_id, requested_by=requested_by, code=code)
    wanted += [table.c.ts_ns >= first_ns] if first_ns is not None else []
    wanted += [table.c.ts_ns <= last_ns] if last_ns is not None else []
    with engine.connect() as connection:
        found = _list(connection, table.name, *wanted, limit=limit, before=before)
        _add_lines(connection, "exception_lines", found)
    return found


def exception(engine: Engine, exception_id: str) -> Record:
    """One exception: ``GWE…``, which a person asked for, or ``X-…``, which the gateway opened.

    Returns:
        For a request the row with ``lines``, ``decisions``, ``overdues`` and the allocations ``allocations_before``
        (that stood at the request) and ``allocations_after`` (that its decision made), each with lines. For an opened
        one the row with ``attentions``.

    Raises:
        UsageError: there is no such exception.
    """
    with engine.connect() as connection:
        table = _TABLES["exception_requests"]
        found = _list(connection, table.name, table.c.exception_id == exception_id, limit=1, before=None)
        if found:
            _add_lines(connection, "exception_lines", found)
            return found[0] | _story(connection, found[0])
        place = place_of(exception_id) if exception_id.startswith("X-") else None
        rows = _opened_rows(connection, _at("exceptions", place), 1, None) if place else []
        if not rows:
            raise UsageError(_unknown("exception", exception_id, connection))
        return rows[0]


def _story(connection: Connection, head: Record) -> Record:
    """What became of a request."""
    which = [head["exception_id"]]
    decisions = _grouped(connection, "exception_decisions", "exception_id", which).get(which[0], [])
    overdues = _grouped(connection, "exception_overdues", "exception_id", which).get(which[0], [])
    made = [alloc_id for decision in decisions for alloc_id in decision["alloc_ids"]]
    return {
        "decisions": decisions,
        "overdues": overdues,
        "allocations_before": _allocations(connection, head["alloc_ids"]),
        "allocations_after": _allocations(connection, made),
    }


def _allocations(connection: Connection, alloc_ids: Sequence[str]) -> list[Record]:
    by_id = _grouped(connection, "allocations", "alloc_id", alloc_ids)
    found = [by_id[alloc_id][-1] for alloc_id in alloc_ids if alloc_id in by_id]
    _add_lines(connection, "allocation_lines", found)
    return found


def _at(name: str, place: tuple[int, int]) -> list[ColumnElement[bool]]:
    return _equal(_TABLES[name], input_seq=place[0], position=place[1])


# ---------------------------------------------------------------- exceptions the gateway opened


def opened(
    engine: Engine,
    state: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    reason: str | None = None,
    subject: str | None = None,
) -> list[Record]:
    """Exceptions the gateway opened, with ``exception_id`` (``X-…``) and ``attentions``.

    Args:
        engine: the records database. state: ``open``, ``noted``, ``acknowledged``, ``resolved``; ``unresolved`` for
            all but the last. limit: most rows. before: only behind this :func:`cursor`. reason: only this GW code.
            subject: only about this id.
    """
    table = _TABLES["exceptions"]
    wanted = _equal(table, reason=reason, subject=subject)
    if state == "unresolved":
        wanted.append(table.c.state.in_(("open", "noted", "acknowledged")))
    elif state is not None:
        wanted.append(table.c.state == state)
    with engine.connect() as connection:
        return _opened_rows(connection, wanted, limit, before)


def _opened_rows(
    connection: Connection, wanted: list[ColumnElement[bool]], limit: int, before: str | None
) -> list[Record]:
    rows = _list(connection, "exceptions", *wanted, limit=limit, before=before)
    for row in rows:
        row["exception_id"] = f"X-{row['input_seq']}-{row['position']}"
    done = _grouped(connection, "exception_attentions", "exception_id", (row["exception_id"] for row in rows))
    for row in rows:
        row["attentions"] = done.get(row["exception_id"], [])
    return rows


# ---------------------------------------------------------------- alerts


def alerts(
    engine: Engine,
    state: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    reason: str | None = None,
    severity: str | None = None,
    subject: str | None = None,
) -> list[Record]:
    """Alerts with ``alert_id`` (``A-…``), ``deliveries`` and ``acknowledgements``.

    A repeat of an alert nobody has acknowledged is a row of its own, without deliveries; who acknowledges one has
    seen its repeats.

    Args:
        engine: the records database. state: ``open`` (nobody has acknowledged it) or ``acknowledged``.
        limit: most rows. before: only behind this :func:`cursor`. reason, severity, subject: only these.
    """
    table = _TABLES["alerts"]
    wanted = _equal(table, reason=reason, severity=severity, subject=subject)
    if state == "open":
        wanted.append(table.c.acknowledged_ns.is_(None))
    elif state is not None:
        wanted.append(table.c.acknowledged_ns.is_not(None))
    with engine.connect() as connection:
        return _alert_rows(connection, wanted, limit, before)


def alert(engine: Engine, alert_id: str) -> Record:
    """One alert, as :func:`alerts` gives it.

    Raises:
        UsageError: there is no such alert.
    """
    place = place_of(alert_id) if alert_id.startswith("A-") else None
    with engine.connect() as connection:
        rows = _alert_rows(connection, _at("alerts", place), 1, None) if place else []
        if not rows:
            raise UsageError(_unknown("alert", alert_id, connection))
    return rows[0]


def _alert_rows(
    connection: Connection, wanted: list[ColumnElement[bool]], limit: int, before: str | None
) -> list[Record]:
    rows = _list(connection, "alerts", *wanted, limit=limit, before=before)
    for row in rows:
        row["alert_id"] = f"A-{row['input_seq']}-{row['position']}"
    ids = [row["alert_id"] for row in rows]
    tried = _grouped(connection, "alert_deliveries", "alert_id", ids)
    seen = _grouped(connection, "alert_acknowledgements", "alert_id", ids)
    for row in rows:
        row["deliveries"] = tried.get(row["alert_id"], [])
        row["acknowledgements"] = seen.get(row["alert_id"], [])
    return rows


# ---------------------------------------------------------------- people


def people(engine: Engine) -> list[Record]:
    """Everybody as recorded now, by id; nobody is ever removed."""
    with engine.connect() as connection:
        table = _TABLES["people"]
        rows = connection.execute(select(table).where(table.c.until_seq.is_(None))).mappings()
        found = [_read(_plain(row)) for row in rows]
    return sorted(found, key=lambda row: str(row["person_id"]))  # databases collate differently


def person(engine: Engine, person_id: str, limit: int = LIMIT) -> Record:
    """One person as recorded now, with every ``version``, newest first.

    Raises:
        UsageError: nobody has this id.
    """
    with engine.connect() as connection:
        versions = _list(
            connection, "people", _TABLES["people"].c.person_id == person_id, limit=limit, before=None
        )
        if not versions:
            raise UsageError(_unknown("person", person_id, connection))
    return {**versions[0], "versions": versions}


def accesses(
    engine: Engine,
    actor: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    what: str | None = None,
    subject: str | None = None,
) -> list[Record]:
    """Who signed in, failed to, read or exported what, and from where."""
    wanted = _equal(_TABLES["accesses"], actor=actor, what=what, subject=subject)
    with engine.connect() as connection:
        return _list(connection, "accesses", *wanted, limit=limit, before=before)


def refused_actions(
    engine: Engine, actor: str | None = None, limit: int = LIMIT, before: str | None = None
) -> list[Record]:
    """What people wanted to do and were refused."""
    with engine.connect() as connection:
        wanted = _equal(_TABLES["refused_actions"], actor=actor)
        return _list(connection, "refused_actions", *wanted, limit=limit, before=before)


# ---------------------------------------------------------------- marks, reconciliations, reviews


def marks(
    engine: Engine,
    symbol: str | None = None,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    close: bool | None = None,
) -> list[Record]:
    """Marks of all symbols or one; ``close``: only closing marks (True) or only others (False)."""
    with engine.connect() as connection:
        wanted = _equal(_TABLES["marks"], symbol=symbol, close=close)
        return _list(connection, "marks", *wanted, limit=limit, before=before)


def reconciliations(
    engine: Engine, trade_date: date | None = None, limit: int = LIMIT, before: str | None = None
) -> list[Record]:
    """Days compared with files, or not, each with the ``exceptions`` it opened."""
    table = _TABLES["exceptions"]
    with engine.connect() as connection:
        wanted = _equal(_TABLES["reconciliations"], trade_date=trade_date)
        rows = _list(connection, "reconciliations", *wanted, limit=limit, before=before)
        inputs = [row["input_seq"] for row in rows if row["discrepancies"]]
        found: list[Record] = []
        for start in range(0, len(inputs), _IN_MAX):
            of_rows = table.c.input_seq.in_(inputs[start : start + _IN_MAX])
            found += _opened_rows(connection, [of_rows], LIMIT, None)
    for row in rows:
        own = [other for other in found if other["input_seq"] == row["input_seq"]]
        row["exceptions"] = own[::-1]
    return rows


def reviews(
    engine: Engine, kind: str | None = None, limit: int = LIMIT, before: str | None = None
) -> list[Record]:
    """Forensic reviews with their ``signatures``; ``kind`` is ``run``, ``monitor`` or ``sample``."""
    with engine.connect() as connection:
        rows = _list(
            connection, "reviews", *_equal(_TABLES["reviews"], kind=kind), limit=limit, before=before
        )
        signed = _grouped(connection, "review_signatures", "review_id", (row["review_id"] for row in rows))
    for row in rows:
        row["signatures"] = signed.get(row["review_id"], [])
    return rows


def review(engine: Engine, review_id: str) -> Record:
    """The newest review of this id, as :func:`reviews` gives it.

    Raises:
        UsageError: there is no such review.
    """
    with engine.connect() as connection:
        of_id = _TABLES["reviews"].c.review_id == review_id
        rows = _list(connection, "reviews", of_id, limit=1, before=None)
        if not rows:
            raise UsageError(_unknown("review", review_id, connection))
        signed = _grouped(connection, "review_signatures", "review_id", [review_id])
    return {**rows[0], "signatures": signed.get(review_id, [])}


def counts(engine: Engine) -> dict[str, int]:
    """How much waits for a person: ``requests`` undecided, ``exceptions`` unresolved, ``alerts`` nobody has seen."""
    requests, exceptions_, alerts_ = (_TABLES[name] for name in ("exception_requests", "exceptions", "alerts"))
    conditions = {
        "requests": (requests, requests.c.state == "open"),
        "exceptions": (exceptions_, exceptions_.c.state.in_(("open", "noted", "acknowledged"))),
        "alerts": (alerts_, alerts_.c.acknowledged_ns.is_(None)),
    }
    with engine.connect() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table).where(condition)) or 0
            for name, (table, condition) in conditions.items()
        }
