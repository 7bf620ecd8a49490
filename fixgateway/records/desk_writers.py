"""Rows of people's work; see :mod:`.writers`, whose table takes in :data:`DESK_WRITERS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Table, Update, bindparam, update

from fixgateway.core import desk_facts as facts
from fixgateway.records import desk_tables as tables
from fixgateway.records.batch import Batch, Origin, Row
from fixgateway.records.tables import Base

Writer = Callable[[Batch, Origin, Any], None]

STATES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "note": ("noted", ("open",)),
    "acknowledge": ("acknowledged", ("open", "noted")),
    "resolve": ("resolved", ("open", "noted", "acknowledged")),
}
"""What an exception the gateway opened becomes by what a person does about it, and from which states."""


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


def _new(*names: str) -> Row:
    """Columns of an update, bound to parameters called ``new_…``."""
    return {name: bindparam(f"new_{name}") for name in names}


def _listed(values: tuple[str, ...]) -> str:
    return json.dumps(list(values))


def plain(table: type[Base], *names: str) -> Writer:
    """A writer of rows whose columns are called like the fact's fields."""

    def write(batch: Batch, origin: Origin, out: Any) -> None:
        batch.insert(table, {**origin.columns(), **{name: getattr(out, name) for name in names}})

    return write


# ---------------------------------------------------------------- people

_PEOPLE = _table("people")
_SUPERSEDE: Update = (
    update(_PEOPLE)
    .where(
        _PEOPLE.c.person_id == bindparam("which"),
        _PEOPLE.c.journal_seq < bindparam("before"),
        _PEOPLE.c.until_seq.is_(None),
    )
    .values(_new("until_seq"))
)


def person_recorded(batch: Batch, origin: Origin, out: facts.PersonRecorded) -> None:
    """The person as recorded; the row until now ends."""
    person = out.person
    row = {
        "person_id": person.person_id,
        "name": person.name,
        "roles": _listed(person.roles),
        "active": person.active,
        "email": person.email,
        "actor": out.actor,
        "until_seq": None,
    }
    batch.insert(tables.PersonRow, {**origin.columns(), **row})
    seq = origin.journal_seq
    batch.change(_SUPERSEDE, {"which": person.person_id, "before": seq, "new_until_seq": seq})


# ---------------------------------------------------------------- exceptions

_REQUEST = (
    "exception_id", "kind", "statement_id", "statement_version", "code", "codes_version", "text", "requested_by",
    "role", "due_date", "due_time", "avg_px", "mark", "mark_source", "mark_ns",
)  # fmt: skip
_REQUEST_LINE = ("account", "class_", "intent", "before", "after", "benefit")
_UNDECIDED: Row = {
    "state": "open", "decided_seq": None, "decided_ns": None, "decided_by": None, "late": None, "overdue_ns": None,
}  # fmt: skip
_REQUESTS = _table("exception_requests")
_OF_REQUEST = (_REQUESTS.c.exception_id == bindparam("which"), _REQUESTS.c.journal_seq <= bindparam("before"))
_DECIDE = (
    update(_REQUESTS).where(*_OF_REQUEST).values(_new("state", "decided_seq", "decided_ns", "decided_by", "late"))
)
_OVERDUE = update(_REQUESTS).where(*_OF_REQUEST).values(_new("overdue_ns"))
_overdue = plain(tables.ExceptionOverdueRow, "exception_id", "statement_id", "due_date", "due_time")


def exception_requested(batch: Batch, origin: Origin, out: facts.ExceptionRequested) -> None:
    """The request, and each account before and after."""
    row = {name: getattr(out, name) for name in _REQUEST}
    row |= {"alloc_ids": _listed(out.alloc_ids), **_UNDECIDED}
    batch.insert(tables.ExceptionRequestRow, {**origin.columns(), **row})
    for number, line in enumerate(out.lines):
        columns = {name: getattr(line, name) for name in _REQUEST_LINE}
        batch.insert(tables.ExceptionLineRow, {**origin.line(number), **columns})


def exception_decided(batch: Batch, origin: Origin, out: facts.ExceptionDecided) -> None:
    """The decision, and what it makes of the request."""
    row = {name: getattr(out, name) for name in ("exception_id", "statement_id", "decision", "actor", "text", "late")}
    batch.insert(
        tables.ExceptionDecisionRow, {**origin.columns(), **row, "alloc_ids": _listed(out.alloc_ids)}
    )
    batch.change(
        _DECIDE,
        {
            "which": out.exception_id,
            "before": origin.journal_seq,
            "new_state": out.decision,
            "new_decided_seq": origin.journal_seq,
            "new_decided_ns": origin.ts_ns,
            "new_decided_by": out.actor,
            "new_late": out.late,
        },
    )


def exception_overdue(batch: Batch, origin: Origin, out: facts.ExceptionOverdue) -> None:
    """The deadline that passed."""
    _overdue(batch, origin, out)
    batch.change(
        _OVERDUE, {"which": out.exception_id, "before": origin.journal_seq, "new_overdue_ns": origin.ts_ns}
    )


_OPENED = _table("exceptions")
_ATTEND = (
    update(_OPENED)
    .where(
        _OPENED.c.input_seq == bindparam("which_seq"),
        _OPENED.c.position == bindparam("which_position"),
        _OPENED.c.state.in_(bindparam("from_states", expanding=True)),
    )
    .values(_new("state"))
)
_attended = plain(tables.AttentionRow, "exception_id", "actor", "action", "text")


def place_of(name: str) -> tuple[int, int] | None:
    """Input sequence and position in an id such as ``X-17-2`` or ``A-17-2``; None when it is none."""
    parts = name.split("-")
    if len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts[1:]):
        return int(parts[1]), int(parts[2])
    return None


def exception_attended(batch: Batch, origin: Origin, out: facts.ExceptionAttended) -> None:
    """What was done, and the exception's state; a note leaves a resolved one resolved."""
    _attended(batch, origin, out)
    place = place_of(out.exception_id)
    if place is not None and out.action in STATES:
        seq, position = place
        state, earlier = STATES[out.action]
        which = {"which_seq": seq, "which_position": position, "from_states": earlier}
        batch.change(_ATTEND, {**which, "new_state": state})


# ---------------------------------------------------------------- alerts

_ALERTS = _table("alerts")
_FIRST = _ALERTS.alias("first_alert")
_SAME = tuple(
    _ALERTS.c[name]
    == (
        _FIRST.select()
        .with_only_columns(_FIRST.c[name])
        .where(_FIRST.c.input_seq == bindparam("which_seq"), _FIRST.c.position == bindparam("which_position"))
        .scalar_subquery()
    )
    for name in ("reason", "subject")
)
# Repeats of an alert are not delivered again; whoever acknowledges it has seen them all.
_ACKNOWLEDGE = (
    update(_ALERTS)
    .where(*_SAME, _ALERTS.c.acknowledged_ns.is_(None), _ALERTS.c.journal_seq <= bindparam("before"))
    .values(_new("acknowledged_ns", "acknowledged_by"))
)
_acknowledged = plain(tables.AcknowledgementRow, "alert_id", "actor", "text")


def alert_acknowledged(batch: Batch, origin: Origin, out: facts.AlertAcknowledged) -> None:
    """The acknowledgement, and the alert with its repeats until now."""
    _acknowledged(batch, origin, out)
    place = place_of(out.alert_id)
    if place is not None:
        seq, position = place
        which = {"which_seq": seq, "which_position": position, "before": origin.journal_seq}
        values = {"new_acknowledged_ns": origin.ts_ns, "new_acknowledged_by": out.actor}
        batch.change(_ACKNOWLEDGE, which | values)


DESK_WRITERS: Final[Mapping[type[Any], Writer]] = {
    facts.PersonRecorded: person_recorded,
    facts.AccessNoted: plain(tables.AccessRow, "actor", "what", "subject", "address"),
    facts.ActionRefused: plain(tables.RefusedActionRow, "actor", "action", "subject", "reason", "text"),
    facts.ExceptionRequested: exception_requested,
    facts.ExceptionDecided: exception_decided,
    facts.ExceptionOverdue: exception_overdue,
    facts.ExceptionAttended: exception_attended,
    facts.MarkRecorded: plain(tables.MarkRow, "symbol", "price", "source", "as_of_ns", "close", "actor"),
    facts.DeliveryNoted: plain(tables.AlertDeliveryRow, "alert_id", "channel", "delivered", "text"),
    facts.AlertAcknowledged: alert_acknowledged,
    facts.ReconciliationRecorded: plain(
        tables.ReconciliationRow, "trade_date", "source", "sha256", "rows", "matched", "discrepancies", "actor"
    ),
    facts.ReviewRecorded: plain(
        tables.ReviewRow, "review_id", "kind", "plan_sha256", "data_sha256", "seed", "verdict", "summary", "first",
        "last", "result", "actor",
    ),
    facts.ReviewSigned: plain(tables.ReviewSignatureRow, "review_id", "conclusion", "follow_up", "actor"),
}  # fmt: skip
"""Desk fact → what it leaves in the database."""
