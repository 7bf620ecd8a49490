"""When an allocation was decided, sent, received by the broker and booked there (17 CFR 275.204-2(a)(7)(iii))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from fixgateway.records import booked_tables  # noqa: F401  so that its tables are known
from fixgateway.records.tables import Base

TIMES: Final = ("sent_ns", "received_ns", "booked_ns")
"""What :func:`add_times` adds; empty where it did not happen. ``ts_ns`` is when the allocation was decided."""

_ANSWERS: Final = {"received": "received_ns", "accepted": "booked_ns"}
_IN_MAX = 500
_TABLES = Base.metadata.tables


def add_times(connection: Connection, allocations: Sequence[dict[str, Any]]) -> None:
    """Give rows of ``allocations`` the times of :data:`TIMES`: each the first of its kind.

    A broker that accepts without saying first that it received has received then.
    """
    by_place = {(row["input_seq"], row["position"]): row for row in allocations}
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in allocations:
        row |= dict.fromkeys(TIMES)
        by_id.setdefault(row["alloc_id"], []).append(row)
    sent, acks = _TABLES["deliveries"], _TABLES["allocation_acks"]
    for some in _parts(sorted({place[0] for place in by_place})):
        left = select(sent.c.input_seq, sent.c.position, sent.c.ts_ns).where(sent.c.input_seq.in_(some))
        for input_seq, position, ts_ns in connection.execute(left.order_by(sent.c.journal_seq)):
            if (found := by_place.get((input_seq, position))) is not None and found["sent_ns"] is None:
                found["sent_ns"] = ts_ns
    for some in _parts(sorted(by_id)):
        answers = select(acks.c.alloc_id, acks.c.status, acks.c.ts_ns).where(acks.c.alloc_id.in_(some))
        for alloc_id, status, ts_ns in connection.execute(answers.order_by(acks.c.journal_seq)):
            for row in by_id.get(alloc_id, ()):
                _answered(row, status, ts_ns)


def _answered(row: dict[str, Any], status: str, ts_ns: int) -> None:
    name = _ANSWERS.get(status)
    if name is not None and row[name] is None and ts_ns >= row["ts_ns"]:
        row[name] = ts_ns
    if name is not None and row["received_ns"] is None:
        row["received_ns"] = row[name]


def _parts(values: list[Any]) -> list[list[Any]]:
    """Databases bound the number of parameters."""
    return [values[start : start + _IN_MAX] for start in range(0, len(values), _IN_MAX)]
