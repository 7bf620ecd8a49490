"""Allocation reports (AS) of brokers: compared with what we sent, answered with AT.

A report about our own allocation names it (70) or its orders (73). One that a broker makes unasked names orders of
ours at best: it is compared with what its statement sent that broker. What fits nothing, or differs, is rejected,
"and must be resolved out-of-band" (FIX 4.4 vol. 5): an exception. Every answer is 87=3, then 87=0 or 87=1.
"""

from __future__ import annotations

from fixgateway.core import compare
from fixgateway.core.confirmations import find
from fixgateway.core.exceptions import exception
from fixgateway.core.inputs import ReportedAllocation, Unsupported
from fixgateway.core.outputs import Output, ReportJudged, SendReportAck
from fixgateway.core.requests import missing, on_unsupported
from fixgateway.core.state import AllocationRecord, State

MAX_KEPT = 100_000
"""Reports remembered to notice repeats; the oldest is forgotten first."""
RECEIVED, ACCEPTED, REJECTED = "3", "0", "1"
"""AllocStatus(87) of an AT."""
_TYPES = frozenset(("", "3", "4"))
"""AllocReportTypes(794) that say what was booked: with and without a preliminary instruction of ours."""
_OUR_STATUSES = frozenset(("rejected", "account-rejected", "incomplete"))

Verdict = tuple[str, str, str, str]
"""Verdict, GW code, AllocRejCode(88) and words; the last three "" when there is nothing to object."""


def on_report(state: State, given: ReportedAllocation) -> list[Output]:
    """AllocationReport (AS) from a broker."""
    if not state.setup.life_cycle:
        return on_unsupported(state, Unsupported(given.seq, given.ts_ns, given.session, given.msg_seq_num, "AS"))
    if not given.report_id:
        return [missing(given.session, given.msg_seq_num, "AS", "AllocReportID(755)")]
    key = (given.session, given.report_id)
    content = _content(given)
    known = state.reports.get(key)
    kept = find(state, given.session, given.alloc_id, given.cl_ord_ids)
    if known is not None and known[0] == content:
        again = _answer(given, known[1], "", "7" if known[1] == REJECTED else "", "answered before")
        return [_fact(given, kept, "duplicate", ""), again]
    verdict, reason, code, text = _judge(state, given, kept, reused=known is not None)
    final = REJECTED if reason and verdict != "withdrawn" else ACCEPTED
    if known is None:
        _remember(state, key, content, final)
    outputs: list[Output] = [_fact(given, kept, verdict, text), _answer(given, RECEIVED)]
    outputs.append(_answer(given, final, reason, code, text))
    if reason:
        outputs += exception(reason, given.report_id, f"{given.session}: report {given.report_id}: {text}")
    return outputs


def _judge(state: State, given: ReportedAllocation, kept: AllocationRecord | None, *, reused: bool) -> Verdict:
    """What a report is worth."""
    if reused:
        return "differs", "GW-873", "7", f"AllocReportID {given.report_id} was used before with other content"
    if kept is None:
        return "unknown", "GW-874", "12" if given.cl_ord_ids else "7", _unknown(state, given)
    ours = kept.allocation
    if given.trans_type == "2":
        return "withdrawn", "GW-873", "", f"the broker withdraws its report of allocation {ours.alloc_id}"
    if given.report_type not in _TYPES:
        return "differs", "GW-873", "7", f"AllocReportType(794) {given.report_type} is not used here"
    if given.status in _OUR_STATUSES:
        text = f"allocation {ours.alloc_id} is {given.status} at the broker: {given.text}"
        return "differs", "GW-873", "7", text
    found = compare.report(given, ours, state.brokers[given.session].setup)
    if found:
        return "differs", "GW-873", found[0].alloc_code, compare.words(found)
    return "matched", "", "", ""


def _unknown(state: State, given: ReportedAllocation) -> str:
    """Why a report finds no allocation: nothing was sent yet, or it names nothing of ours."""
    for cl_ord_id in given.cl_ord_ids:
        order = state.orders.get(state.at_broker.get((given.session, cl_ord_id), 0))
        if order is not None:
            return f"statement {order.statement_id} of order {cl_ord_id} is not allocated at {given.session} yet"
    return f"neither allocation {given.alloc_id or '(none)'} nor an order it names was sent to {given.session}"


def _content(given: ReportedAllocation) -> str:
    """What tells a repeat from another message: everything but when it came."""
    return compare.fingerprint(
        given.ref_report_id, given.alloc_id, given.trans_type, given.report_type, given.status, given.cl_ord_ids,
        given.symbol, given.side, given.trade_date, given.quantity, given.avg_px, given.gross, given.net,
        given.lines,
    )  # fmt: skip


def _remember(state: State, key: tuple[str, str], content: str, final: str) -> None:
    state.reports[key] = (content, final)
    if len(state.reports) > MAX_KEPT:
        del state.reports[next(iter(state.reports))]


def _fact(given: ReportedAllocation, kept: AllocationRecord | None, verdict: str, text: str) -> ReportJudged:
    return ReportJudged(
        report_id=given.report_id,
        alloc_id=kept.allocation.alloc_id if kept is not None else given.alloc_id,
        statement_id=kept.allocation.statement_id if kept is not None else "",
        broker=given.session,
        trans_type=given.trans_type,
        status=given.status,
        verdict=verdict,
        text=text,
    )


def _answer(
    given: ReportedAllocation, status: str, reason: str = "", code: str = "", text: str = ""
) -> SendReportAck:
    return SendReportAck(
        session=given.session,
        report_id=given.report_id,
        alloc_id=given.alloc_id,
        trade_date=given.trade_date,
        alloc_status=status,
        alloc_rej_code=code if status == REJECTED else "",
        reason=reason if status == REJECTED else "",
        text=f"{reason} {text}".strip() if status == REJECTED else "",
    )
