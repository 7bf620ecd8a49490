"""What a broker says it has booked: P, AS and AK as core inputs, AT, AU and BH from core outputs.

AS, AK and their answers exist from FIX 4.4 on. Nothing here raises for what a broker wrote: what is unreadable
stands in ``defects``, and the core rejects it.
"""

from __future__ import annotations

from decimal import Decimal

from fixgateway.core import inputs
from fixgateway.core.outputs import SendConfirmationAck, SendConfirmationRequest, SendReportAck
from fixgateway.wire import dictionary
from fixgateway.wire.groups import Entry, Layout, layout
from fixgateway.wire.message import Message, Pair
from fixgateway.wire.values import clean_text, fix_date, iso_date, lenient_decimal, plain_words, utc_text
from fixgateway.wire.versions import SIDE_OF, Version

ABSOLUTE = "3"
"""CommType(13): Commission(12) is a sum of money."""


class Booked:
    """A broker's message cut into fields and groups, every value printable.

    Attributes:
        defects: what was unreadable so far.
    """

    def __init__(self, message: Message, version: Version) -> None:
        groups = dictionary.load(version.begin_string).message(message.msg_type).groups
        self._found: Layout = layout(message.pairs, groups)
        self.defects: list[str] = []
        for count_tag in ("73", "78"):
            block = self._found.blocks.get(count_tag)
            if block is not None and block.problem:
                self.defects.append(block.problem)

    def get(self, tag: str) -> str:
        """A field outside groups, "" when absent."""
        return clean_text(self._found.fields.get(tag, ""))

    def entries(self, count_tag: str) -> list[Entry]:
        """The entries of a group, [] when there is none."""
        block = self._found.blocks.get(count_tag)
        return block.entries if block is not None else []

    def number(self, tag: str, name: str, entry: Entry | None = None) -> Decimal | None:
        """A number of the body, or of one entry; None when absent, or unreadable (a defect)."""
        text = self._found.fields.get(tag, "") if entry is None else entry.get(tag)
        if not text:
            return None
        value = lenient_decimal(text)
        if value is None:
            self.defects.append(f"{name}({tag}) {clean_text(text)[:40]!r} is not a number")
        return value

    def cl_ord_ids(self) -> tuple[str, ...]:
        """The ClOrdIDs of NoOrders(73)."""
        return tuple(clean_text(value) for entry in self.entries("73") if (value := entry.get("11")))


def account_answers(message: Message, version: Version) -> tuple[inputs.AccountAnswer, ...]:
    """What a P says of single accounts (NoAllocs 78): those with a reject code or a text."""
    if "78" not in message.fields:
        return ()
    found = Booked(message, version)
    return tuple(
        inputs.AccountAnswer(clean_text(x.get("79")), clean_text(x.get("776")), clean_text(x.get("161")))
        for x in found.entries("78")
        if x.get("776") or x.get("161")
    )


def report(
    message: Message, version: Version, session: str, seq: int, ts_ns: int, msg_seq_num: int
) -> inputs.ReportedAllocation:
    """AllocationReport (AS)."""
    body = Booked(message, version)
    get = body.get
    lines = tuple(
        inputs.ReportedLine(
            clean_text(entry.get("79")),
            body.number("80", "AllocQty", entry),
            body.number("153", "AllocAvgPx", entry),
            body.number("154", "AllocNetMoney", entry),
        )
        for entry in body.entries("78")
    )
    return inputs.ReportedAllocation(
        seq=seq,
        ts_ns=ts_ns,
        session=session,
        msg_seq_num=msg_seq_num,
        report_id=get("755"),
        ref_report_id=get("795"),
        alloc_id=get("70"),
        trans_type=get("71"),
        report_type=get("794"),
        status=version.ack_status.get(get("87"), "other"),
        cl_ord_ids=body.cl_ord_ids(),
        symbol=get("55"),
        side=_side(get("54")),
        trade_date=iso_date(get("75")),
        quantity=body.number("53", "Quantity"),
        avg_px=body.number("6", "AvgPx"),
        gross=body.number("381", "GrossTradeAmt"),
        net=body.number("118", "NetMoney"),
        lines=lines,
        text=get("58"),
        defects=tuple(body.defects),
    )


def confirmation(
    message: Message, version: Version, session: str, seq: int, ts_ns: int, msg_seq_num: int
) -> inputs.Confirmation:
    """Confirmation (AK)."""
    body = Booked(message, version)
    get = body.get
    return inputs.Confirmation(
        seq=seq,
        ts_ns=ts_ns,
        session=session,
        msg_seq_num=msg_seq_num,
        confirm_id=get("664"),
        ref_confirm_id=get("772"),
        trans_type=get("666"),
        confirm_type=get("773"),
        status=get("665"),
        copy=get("797") == "Y",
        request_id=get("859"),
        alloc_id=get("70"),
        cl_ord_ids=body.cl_ord_ids(),
        account=get("79"),
        symbol=get("55"),
        side=_side(get("54")),
        trade_date=iso_date(get("75")),
        quantity=body.number("80", "AllocQty"),
        avg_px=body.number("6", "AvgPx"),
        gross=body.number("381", "GrossTradeAmt"),
        net=body.number("118", "NetMoney"),
        commission=body.number("12", "Commission") if get("13") == ABSOLUTE else None,
        text=get("58"),
        defects=tuple(body.defects),
    )


def _side(code: str) -> str:
    return SIDE_OF.get(code, code)


# ---------------------------------------------------------------- answers


def report_ack(output: SendReportAck, version: Version, now_ns: int) -> list[Pair]:
    """AllocationReportAck (AT); MatchStatus(573) says whether the report is ours."""
    final = output.alloc_status != "3"
    return [
        ("755", output.report_id),
        ("70", output.alloc_id or "NONE"),
        ("75", fix_date(output.trade_date)),
        ("60", utc_text(now_ns)),
        ("87", output.alloc_status),
        ("88", version.alloc_rej.of(output.alloc_rej_code) if output.alloc_rej_code else ""),
        ("573", ("0" if output.alloc_status == "0" else "1") if final else ""),
        ("58", plain_words(output.text)),
    ]


def confirmation_ack(output: SendConfirmationAck, _version: Version, now_ns: int) -> list[Pair]:
    """ConfirmationAck (AU); the trade date is required, so today's stands for one nobody knows."""
    now = utc_text(now_ns)
    return [
        ("664", output.confirm_id),
        ("75", fix_date(output.trade_date) or now[:8]),
        ("60", now),
        ("940", output.affirm_status),
        ("774", output.reject_reason),
        ("573", _MATCH_STATUS.get(output.affirm_status, "")),
        ("58", plain_words(output.text)),
    ]


_MATCH_STATUS = {"3": "0", "2": "1"}
"""AffirmStatus(940) → MatchStatus(573): affirmed, unaffirmed."""


def confirmation_request(output: SendConfirmationRequest, _version: Version, now_ns: int) -> list[Pair]:
    """ConfirmationRequest (BH) for a confirmation (773=2)."""
    return [
        ("859", output.request_id),
        ("773", "2"),
        ("70", output.alloc_id),
        ("60", utc_text(now_ns)),
        ("79", output.account),
    ]
