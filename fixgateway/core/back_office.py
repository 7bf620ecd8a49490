"""What brokers say of their books and what is answered, as values: inputs first, then sends, then facts.

They belong to :data:`.inputs.Input` and :data:`.outputs.Output` and are named there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

# ---------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """What a P says of one account: IndividualAllocRejCode(776) and AllocText(161)."""

    account: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportedLine:
    """One entry of NoAllocs(78) in a broker's report: AllocQty(80), AllocAvgPx(153), AllocNetMoney(154).

    A number is None when it is absent.
    """

    account: str
    quantity: Decimal | None
    avg_px: Decimal | None = None
    net: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ReportedAllocation:
    """AllocationReport (AS) from a broker.

    ``report_id`` is 755, ``ref_report_id`` 795, ``alloc_id`` 70, ``trans_type`` 71, ``report_type`` 794,
    ``status`` 87 as for :class:`AllocationAck`. Numbers are None when absent; ``defects`` lists what was unreadable.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    report_id: str
    ref_report_id: str
    alloc_id: str
    trans_type: str
    report_type: str
    status: str
    cl_ord_ids: tuple[str, ...]
    symbol: str
    side: str
    trade_date: str
    quantity: Decimal | None
    avg_px: Decimal | None
    gross: Decimal | None
    net: Decimal | None
    lines: tuple[ReportedLine, ...]
    text: str
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Confirmation (AK) from a broker: what it booked for one account.

    ``confirm_id`` is 664, ``ref_confirm_id`` 772, ``trans_type`` 666 (0 new, 1 replace, 2 cancel),
    ``confirm_type`` 773 (1 status, 2 confirmation, 3 request refused), ``status`` 665, ``request_id`` 859,
    ``copy`` 797=Y. ``commission`` is 12 where it is a sum (13=3). Numbers are None when absent.
    """

    seq: int
    ts_ns: int
    session: str
    msg_seq_num: int
    confirm_id: str
    ref_confirm_id: str
    trans_type: str
    confirm_type: str
    status: str
    copy: bool
    request_id: str
    alloc_id: str
    cl_ord_ids: tuple[str, ...]
    account: str
    symbol: str
    side: str
    trade_date: str
    quantity: Decimal | None
    avg_px: Decimal | None
    gross: Decimal | None
    net: Decimal | None
    commission: Decimal | None
    text: str
    defects: tuple[str, ...] = ()


# ---------------------------------------------------------------- sends


@dataclass(frozen=True, slots=True)
class SendReportAck:
    """An AllocationReportAck (AT) answering a broker's AS.

    ``alloc_status`` is 87 (3 received, 0 accepted, 1 rejected), ``alloc_rej_code`` 88 as FIX 4.4 numbers it, ""
    when not rejected. ``reason`` is the GW code, "" when accepted.
    """

    session: str
    report_id: str
    alloc_id: str
    trade_date: str
    alloc_status: str
    alloc_rej_code: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class SendConfirmationAck:
    """A ConfirmationAck (AU) answering a broker's AK.

    ``affirm_status`` is 940 (1 received, 3 affirmed, 2 rejected), ``reject_reason`` 774 (1 account, 2 missing
    instructions, 99 other). ``alloc_id``, ``statement_id`` and ``account`` say what it is about and are not sent.
    """

    session: str
    confirm_id: str
    trade_date: str
    affirm_status: str
    reject_reason: str
    reason: str
    text: str
    alloc_id: str
    statement_id: str
    account: str


@dataclass(frozen=True, slots=True)
class SendConfirmationRequest:
    """A ConfirmationRequest (BH) for an account of an allocation, or for all of it where ``account`` is ""."""

    session: str
    request_id: str
    alloc_id: str
    statement_id: str
    account: str


# ---------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class ReportJudged:
    """A broker's AllocationReport (AS) compared with what we sent; ``status`` is its 87.

    ``verdict`` is ``matched``, ``differs``, ``unknown``, ``withdrawn`` (71=2) or ``duplicate``; ``text`` says what
    differs.
    """

    report_id: str
    alloc_id: str
    statement_id: str
    broker: str
    trans_type: str
    status: str
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class ConfirmationJudged:
    """A broker's Confirmation (AK) of one account compared with what we sent.

    ``verdict`` is ``affirmed``, ``rejected``, ``copy`` (797=Y), ``status`` (773=1 or 3), ``cancelled`` (666=2) or
    ``duplicate``; ``text`` says what differs. ``alloc_id`` and ``statement_id`` are ours, "" when it fits none.
    """

    confirm_id: str
    ref_confirm_id: str
    trans_type: str
    confirm_type: str
    broker: str
    alloc_id: str
    statement_id: str
    account: str
    quantity: Decimal | None
    avg_px: Decimal | None
    gross: Decimal | None
    net: Decimal | None
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class CompletionMeasured:
    """How much of a trade date's allocations at one broker is done (17 CFR 240.15c6-2).

    Counted are accounts of allocations. ``stage`` says when: at the ``allocate`` or ``affirm`` deadline or at the
    ``day-end``. ``due`` are all, ``allocated`` those in an instruction sent, ``accepted`` those in one the broker
    accepted; ``confirmed`` and ``affirmed`` are 0 where the broker does not confirm (``confirms`` false).
    """

    trade_date: date
    broker: str
    stage: str
    due: int
    allocated: int
    accepted: int
    confirmed: int
    affirmed: int
    confirms: bool
