"""Core outputs become FIX bodies: what the gateway sends, field by field.

Forwarded bodies are the source's, byte for byte. Every other body is built here; texts of the gateway's own are
printable ASCII, values echoed from a peer lose control characters, and no field is ever sent empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from fixgateway.core.model import plain_decimal, plain_text
from fixgateway.core.outputs import (
    Allocation,
    ForwardToBroker,
    PassToOms,
    SendAllocation,
    SendAllocationReport,
    SendBusinessReject,
    SendCancelReject,
    SendConfirmationAck,
    SendConfirmationRequest,
    SendDontKnow,
    SendReport,
    SendReportAck,
    SendStatementAck,
    Share,
)
from fixgateway.core.values import quick
from fixgateway.errors import WireError
from fixgateway.wire import booked
from fixgateway.wire.message import DATA_OF, HEADER_TAGS, SOH, TRAILER_TAGS, Message, Pair, join
from fixgateway.wire.routing import HeaderFields, to_broker, to_oms
from fixgateway.wire.values import (
    clean_body,
    clean_text,
    fix_date,
    lenient_decimal,
    plain_words,
    utc_text,
)
from fixgateway.wire.versions import SIDE_CODE, UNDISCLOSED_SIDE, Version

Buildable: TypeAlias = (
    ForwardToBroker
    | PassToOms
    | SendReport
    | SendCancelReject
    | SendBusinessReject
    | SendStatementAck
    | SendAllocation
    | SendAllocationReport
    | SendReportAck
    | SendConfirmationAck
    | SendConfirmationRequest
    | SendDontKnow
)
"""Every send that is a message; a CutSession is not."""

NONE = "NONE"
"""OrderID(37) of an order the gateway does not know, and any other required id that is not there."""
ALLOC_REPORT_TYPE = "3"
"""AllocReportType(794): calculated from a preliminary instruction, which is what the statement was."""
CALCULATED = "1"
"""AllocType(626) of an instruction that says net money and fees (FIX 4.4 vol. 5)."""
ABSOLUTE = "3"
"""CommType(13): an amount of money."""
_LENGTH_OF = {data: length for length, data in DATA_OF.items()}
_DATA_TAGS = frozenset(_LENGTH_OF)
_ECHOED = ("1", "55", "48", "22", "40", "44")


@quick
@dataclass(frozen=True, slots=True)
class Built:
    """A message ready for the FIX engine: MsgType, body text ending with SOH, header fields besides the usual."""

    msg_type: str
    body: str
    header: HeaderFields = ()


def build(
    output: Buildable, version: Version, now_ns: int, source: Message | None, on_behalf_of: bool = False
) -> Built:
    """The FIX message that performs ``output``.

    Args:
        output: what the core decided.
        version: the version of the session it goes to.
        now_ns: UTC nanoseconds for TransactTime(60), the same at replay.
        source: the input's message. Required for what is forwarded; a refused order is echoed from it.
        on_behalf_of: the broker at one end takes third-party routing (:mod:`fixgateway.wire.routing`).

    Raises:
        WireError: a message is to be forwarded and ``source`` is None.
    """
    if isinstance(output, (ForwardToBroker, PassToOms)):  # a union would be made anew each time
        if source is None:
            raise WireError(f"{type(output).__name__} needs the message it forwards")
        return _forwarded(output, source, on_behalf_of)
    if isinstance(output, SendReport):
        return Built("8", _text(_report(output, version, now_ns, source)))
    if isinstance(output, SendAllocation):
        header = to_broker({}, output.allocation.oms, on_behalf_of)
        return Built("J", _text(_instruction(output.allocation, version, now_ns)), header)
    if isinstance(output, SendAllocationReport):
        return _allocation_report(output, version, now_ns)
    msg_type, pairs = _ANSWERS[type(output)]
    return Built(msg_type, _text(pairs(output, version, now_ns)))


def _text(pairs: Iterable[Pair]) -> str:
    """FIX text of the fields that have a value; control characters become ``?``."""
    return join([(tag, clean_text(value)) for tag, value in pairs if value])


# ---------------------------------------------------------------- forwarded


def _forwarded(output: ForwardToBroker | PassToOms, source: Message, on_behalf_of: bool) -> Built:
    if isinstance(output, ForwardToBroker):
        # An order that could not be sent exactly was refused by the text check; a cancel always passes, so
        # what the engine cannot carry is replaced in it.
        body = source.body if output.msg_type in _EXACT else _passable(source)
        return Built(output.msg_type, body, to_broker(source.header, output.oms, on_behalf_of))
    header = to_oms(source.header, output.broker, on_behalf_of)
    return Built(output.msg_type, _passable(source), header)


_EXACT = frozenset("DG")
"""Orders: sent byte for byte or not at all."""


def _passable(source: Message) -> str:
    """A peer's body as the engine can send and resend it; nearly always the body itself.

    NUL, bytes that are not UTF-8 and a SOH inside a text become ``?``, one for one; a data field gets its true
    length, because the engine cannot resend one that lies. The engine takes the body as the value of its
    first field, so a plain tag must come first: the first plain field is moved there when one does not.
    """
    body = clean_body(source.body)
    first_is_plain = _plain_tag(body.partition("=")[0])
    if first_is_plain and source.cut_at_soh and _DATA_TAGS.isdisjoint(source.fields):
        return body
    pairs = _with_true_lengths([(clean_body(tag), _sendable(tag, value)) for tag, value in source.pairs])
    if first_is_plain:
        return join(pairs)
    first = next((index for index, (tag, _) in enumerate(pairs) if _plain_tag(tag) and tag not in DATA_OF), -1)
    if first < 0:
        return _text([("58", "the message had no readable field")])
    return join([pairs[first], *pairs[:first], *pairs[first + 1 :]])


def _sendable(tag: str, value: str) -> str:
    """A value without what the engine cannot carry; a SOH that ends no field is one such thing, except in data."""
    value = clean_body(value)
    return value if tag in _DATA_TAGS else value.replace(SOH, "?")


def _with_true_lengths(pairs: list[Pair]) -> list[Pair]:
    """``pairs`` with every data field's length in bytes before it, corrected or added where it was not."""
    result: list[Pair] = []
    for tag, value in pairs:
        if tag in _DATA_TAGS:
            length_tag, size = _LENGTH_OF[tag], len(value.encode())
            declared = result[-1][1] if result and result[-1][0] == length_tag else None
            if declared is None:
                result.append((length_tag, str(size)))
            elif lenient_decimal(declared) != size:
                result[-1] = (length_tag, str(size))
        result.append((tag, value))
    return result


def _plain_tag(tag: str) -> bool:
    return (
        tag.isascii() and tag.isdigit() and tag[0] != "0" and len(tag) <= 9
        and tag not in HEADER_TAGS and tag not in TRAILER_TAGS and tag not in _DATA_TAGS
    )  # fmt: skip


# ---------------------------------------------------------------- answers to orders


def _report(output: SendReport, version: Version, now_ns: int, source: Message | None) -> list[Pair]:
    """ExecutionReport (8): an order refused (150=8) or a status (150=I; up to 4.2 20=3)."""
    rejected = output.exec_type == "8"
    echo = _echo(source) if rejected else {}
    exec_type = output.exec_type
    if version.has_exec_trans_type and exec_type == "I":
        exec_type = output.ord_status
    return [
        ("37", output.order_id or NONE),
        ("11", output.cl_ord_id),
        ("17", output.exec_id),
        ("20", ("3" if output.exec_type == "I" else "0") if version.has_exec_trans_type else ""),
        ("150", exec_type),
        ("39", output.ord_status),
        ("103", version.ord_rej.of(output.ord_rej_reason) if rejected and output.ord_rej_reason else ""),
        ("1", echo.get("1", "")),
        *_instrument(version, output.symbol or echo.get("55", ""), echo.get("48", ""), echo.get("22", "")),
        ("54", _side_code(output.side) or UNDISCLOSED_SIDE),
        ("38", output.order_qty if plain_decimal(output.order_qty) is not None else ""),
        ("40", echo.get("40", "")),
        ("44", echo.get("44", "")),
        ("151", plain_text(output.leaves_qty)),
        ("14", plain_text(output.cum_qty)),
        ("6", output.avg_px or "0"),
        ("60", utc_text(now_ns)),
        ("58", plain_words(output.text)),
    ]


def _echo(source: Message | None) -> dict[str, str]:
    """What a refused order's report repeats of the order: account, instrument, type and limit."""
    if source is None or source.msg_type != "D":
        return {}
    echo = {tag: source.get(tag) for tag in _ECHOED}
    if lenient_decimal(echo["44"]) is None:
        echo["44"] = ""  # a price nobody can read would get our own report refused
    return echo


def _cancel_reject(output: SendCancelReject, version: Version, now_ns: int) -> list[Pair]:
    return [
        ("37", output.order_id or NONE),
        ("11", output.cl_ord_id or NONE),
        ("41", output.orig_cl_ord_id or NONE),
        ("39", output.ord_status),
        ("60", utc_text(now_ns)),
        ("434", output.response_to),
        ("102", version.cxl_rej.of(output.cxl_rej_reason) if output.cxl_rej_reason else ""),
        ("58", plain_words(output.text)),
    ]


def _business_reject(output: SendBusinessReject, version: Version, now_ns: int) -> list[Pair]:
    return [
        ("45", str(output.ref_seq_num) if output.ref_seq_num > 0 else ""),
        ("372", output.ref_msg_type),
        ("379", output.ref_id),
        ("380", version.business.of(output.business_reason)),
        ("58", plain_words(output.text)),
    ]


def _dont_know(output: SendDontKnow, version: Version, now_ns: int) -> list[Pair]:
    return [
        ("37", output.order_id or NONE),
        ("17", output.exec_id or NONE),
        ("127", output.dk_reason),
        *_instrument(version, output.symbol, "", ""),
        ("54", _side_code(output.side) or UNDISCLOSED_SIDE),
        ("58", plain_words(output.text)),
    ]


# ---------------------------------------------------------------- statements and allocations


def _statement_ack(output: SendStatementAck, version: Version, now_ns: int) -> list[Pair]:
    now = utc_text(now_ns)
    return [
        ("70", output.alloc_id or NONE),
        # required up to 4.3; a statement without a readable trade date is refused on the day it came
        ("75", fix_date(output.trade_date) or ("" if version.has_alloc_type else now[:8])),
        ("60", now),
        ("87", output.alloc_status),
        ("88", version.alloc_rej.of(output.alloc_rej_code) if output.alloc_rej_code else ""),
        ("58", plain_words(output.text)),
    ]


def _instruction(
    allocation: Allocation, version: Version, now_ns: int, alloc_id: str = "", statement_id: str = ""
) -> list[Pair]:
    """AllocationInstruction (J); ``statement_id`` is told (793) to the OMS only."""
    trans_type = allocation.trans_type
    if not version.has_alloc_type and trans_type == "0":
        trans_type = version.alloc_trans_of_type.get(allocation.alloc_type, trans_type)
    return [
        ("70", alloc_id or allocation.alloc_id),
        ("71", trans_type),
        *_from_44(version, [("793", statement_id), ("626", allocation.alloc_type)]),
        ("72", allocation.ref_alloc_id),
        *_from_44(version, [("796", allocation.replace_reason)]),
        *_block(allocation, version, now_ns),
    ]


def _allocation_report(output: SendAllocationReport, version: Version, now_ns: int) -> Built:
    allocation = output.allocation
    if output.form != "AS" or not version.has_allocation_report:
        pairs = _instruction(allocation, version, now_ns, output.report_id, allocation.statement_id)
        return Built("J", _text(pairs))
    return Built("AS", _text([
        ("755", output.report_id),
        ("70", allocation.alloc_id),
        ("71", allocation.trans_type),
        ("796", allocation.replace_reason),
        ("793", allocation.statement_id),
        ("794", ALLOC_REPORT_TYPE),
        ("87", "0"),
        ("72", allocation.ref_alloc_id),
        *_block(allocation, version, now_ns),
    ]))  # fmt: skip


def _block(allocation: Allocation, version: Version, now_ns: int) -> list[Pair]:
    """What J and AS share: orders, instrument, totals, shares; groups in the dictionary's order."""
    return [
        *_from_44(version, [("857", "1" if allocation.orders else "0")]),
        *_orders(allocation, version),
        ("54", SIDE_CODE[allocation.side.value]),
        *_instrument(version, allocation.symbol, allocation.security_id, allocation.id_source),
        ("53", plain_text(allocation.quantity)),
        ("6", allocation.avg_px or "0"),
        ("74", str(allocation.price_decimals)),
        ("75", f"{allocation.trade_date:%Y%m%d}"),
        ("60", utc_text(now_ns)),
        *(_block_money(allocation) if _says_money(allocation) else []),
        *_shares(allocation),
    ]


def _orders(allocation: Allocation, version: Version) -> list[Pair]:
    if not allocation.orders:
        return []
    pairs = [("73", str(len(allocation.orders)))]
    for order in allocation.orders:
        pairs += [("11", order.cl_ord_id or NONE), ("37", order.order_id)]
        pairs += _from_44(version, [
            ("38", plain_text(order.order_qty)),
            ("799", order.avg_px),
            ("800", plain_text(order.booked_qty)),
        ])  # fmt: skip
    return pairs


def _says_money(allocation: Allocation) -> bool:
    """Whether it says commission, fees and net money: calculated (626=1), for a broker whose charges are known."""
    return allocation.alloc_type == CALCULATED and allocation.net is not None


def _block_money(allocation: Allocation) -> list[Pair]:
    return [("381", _amount(allocation.gross)), ("118", _amount(allocation.net))]


def _shares(allocation: Allocation) -> list[Pair]:
    """NoAllocs(78): an entry has AllocPrice(366) at executed prices and AllocAvgPx(153) otherwise."""
    if not allocation.shares:
        return []
    says_money = _says_money(allocation)
    pairs = [("78", str(len(allocation.shares)))]
    for share in allocation.shares:
        pairs += [("79", share.account), ("366", share.price), ("80", plain_text(share.quantity))]
        pairs += _commission(share) if says_money else []
        pairs.append(("153", "" if share.price else share.avg_px))
        pairs += _net_and_fees(share) if says_money else []
    return pairs


def _commission(share: Share) -> list[Pair]:
    """Commission(12) as the account's own amount, CommType(13)=3, whatever the profile computes it of."""
    return [] if share.commission is None else [("12", _amount(share.commission)), ("13", ABSOLUTE)]


def _net_and_fees(share: Share) -> list[Pair]:
    """AllocNetMoney(154), then NoMiscFees(136) with the fees that are not 0."""
    charged = [fee for fee in share.fees if fee.amount]
    pairs = [("154", _amount(share.net)), ("136", str(len(charged)) if charged else "")]
    for fee in charged:
        pairs += [("137", _amount(fee.amount)), ("139", fee.type)]
    return pairs


def _amount(value: Decimal | None) -> str:
    return "" if value is None else plain_text(value)


def _from_44(version: Version, pairs: list[Pair]) -> list[Pair]:
    """Fields that FIX 4.2 does not have."""
    return pairs if version.has_alloc_type else []


def _instrument(version: Version, symbol: str, security_id: str, id_source: str) -> list[Pair]:
    # "[N/A]" is what FIX prescribes where Symbol is required and there is none.
    return [
        ("55", symbol or ("[N/A]" if version.symbol_required else "")),
        ("48", security_id),
        ("22", id_source if security_id else ""),
    ]


def _side_code(side: str) -> str:
    return SIDE_CODE.get(side, side)


_ANSWERS: dict[type, tuple[str, Callable[..., list[Pair]]]] = {
    SendCancelReject: ("9", _cancel_reject),
    SendBusinessReject: ("j", _business_reject),
    SendStatementAck: ("P", _statement_ack),
    SendReportAck: ("AT", booked.report_ack),
    SendConfirmationAck: ("AU", booked.confirmation_ack),
    SendConfirmationRequest: ("BH", booked.confirmation_request),
    SendDontKnow: ("Q", _dont_know),
}
