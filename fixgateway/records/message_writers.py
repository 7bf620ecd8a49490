"""Rows of raw messages; see :mod:`.projector`, which calls these for records that are no decisions.

A message is read (``seen``) before it is delivered (``accepted``); a batch of the projector may end in between.
Within a batch the row gets both at once, across batches the later one changes it: the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, update

from fixgateway.core import outputs
from fixgateway.journal.records import Kind, Record, unpack_accepted, unpack_wire_out
from fixgateway.records import booked_tables, message_tables
from fixgateway.records.batch import Batch, Origin
from fixgateway.records.tables import Base

_TYPE_TAG = b"\x0135="
_HEAD_BYTES = 48
"""MsgType(35) is the third field: it begins within so many bytes."""
DELIVERED = frozenset((b"J", b"AS", b"AT", b"AU", b"BH"))
"""MsgTypes sent whose time of leaving and text are kept (17 CFR 275.204-2(a)(7)(iii))."""
ARRIVED = frozenset((b"D", b"F", b"G", b"J", b"P", b"AS", b"AK"))
"""MsgTypes received that are kept: orders and their changes (204-2(a)(3)), answers to allocations ((a)(7)(iii))."""

_ARRIVALS = Base.metadata.tables["arrivals"]
_DELIVER = (
    update(_ARRIVALS)
    .where(_ARRIVALS.c.journal_seq == bindparam("which"))
    .values(input_seq=bindparam("new_input_seq"))
)
_TELLING = (outputs.ExecutionApplied, outputs.ForwardToBroker, outputs.SendReport, outputs.SendCancelReject)
"""Outputs that leave a row which names their order."""


def msg_type(raw: bytes) -> bytes:
    """MsgType(35) of a message's text."""
    return raw[:_HEAD_BYTES].partition(_TYPE_TAG)[2].partition(b"\x01")[0]


def accepted(chunk: Iterable[Record]) -> dict[int, int]:
    """Which messages the records deliver: ``seen`` record to ``accepted`` record."""
    return {
        unpack_accepted(record.payload).seen_seq: record.seq for record in chunk if record.kind is Kind.ACCEPTED
    }


def arrived(batch: Batch, record: Record, delivered_as: Mapping[int, int]) -> None:
    """A ``seen`` record: a message that came. Others make no row."""
    kind = msg_type(record.payload)
    if kind not in ARRIVED:
        return
    row = {
        "journal_seq": record.seq,
        "ts_ns": record.ts_ns,
        "input_seq": delivered_as.get(record.seq),
        "session": record.session,
        "msg_type": kind.decode("ascii"),
        "raw": record.payload,
    }
    batch.insert(message_tables.ArrivalRow, row)


def delivered_later(batch: Batch, delivered_as: Mapping[int, int], before_seq: int) -> None:
    """Messages that were read in an earlier batch, before record ``before_seq``, and are delivered in this one."""
    for seen_seq, input_seq in delivered_as.items():
        if seen_seq < before_seq:
            batch.change(_DELIVER, {"which": seen_seq, "new_input_seq": input_seq})


def left(batch: Batch, record: Record) -> None:
    """A ``wire-out`` record: when an allocation message left. Others make no row."""
    sent = unpack_wire_out(record.payload)
    kind = msg_type(sent.raw)
    if kind not in DELIVERED or not sent.decision_seq:
        return
    row = {
        "journal_seq": record.seq,
        "ts_ns": record.ts_ns,
        "input_seq": sent.decision_seq,
        "position": sent.index,
        "session": record.session,
        "msg_type": kind.decode("ascii"),
        "raw": sent.raw,
    }
    batch.insert(booked_tables.DeliveryRow, row)


def changed_silently(batch: Batch, origin: Origin, out: outputs.OrderChanged | outputs.ResendForbidden) -> None:
    """A row for a change of an order that no other row of the decision names."""
    for other in origin.decided:
        if isinstance(other, _TELLING) and other.order == out.order:
            return
    row = {"order_key": out.order, "what": "in doubt" if isinstance(out, outputs.ResendForbidden) else "state"}
    batch.insert(message_tables.OrderChangeRow, {**origin.columns(), **row})
