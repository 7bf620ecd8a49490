"""The GW-… catalogue: every reason the gateway gives, as data.

A reason is stable: its code and meaning never change once released. The text on the wire is the code, a
blank and plain words, for example ``GW-101 no allocation statement for AllocID S-9``.
``ord_rej`` is OrdRejReason(103) in FIX 4.4 numbering, ``cxl_rej`` CxlRejReason(102), ``alloc_rej``
AllocRejCode(88), ``business`` BusinessRejectReason(380); "" where the reason is never given that way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One entry of the catalogue."""

    code: str
    meaning: str
    remedy: str
    ord_rej: str = ""
    cxl_rej: str = ""
    alloc_rej: str = ""
    business: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A business refusal: the reason and the words for this case."""

    reason: Reason
    detail: str

    @property
    def text(self) -> str:
        """``GW-… words``, as sent in Text(58)."""
        return f"{self.reason.code} {self.detail}"


_ALL = (
    # 1xx: the order finds no statement that covers it
    Reason("GW-101", "No registered allocation statement matches the order.",
           "Register the statement first and wait for its P with 87=0, then send the order with its AllocID.",
           ord_rej="99", cxl_rej="99"),
    Reason("GW-102", "More than one statement matches the order.",
           "Name the statement by AllocID(70).", ord_rej="99", cxl_rej="99"),
    Reason("GW-103", "The statement is closed: its fills are allocated or the cut-off has passed.",
           "Register a new statement for the new order.", ord_rej="99", cxl_rej="99"),
    Reason("GW-104", "The statement was cancelled or replaced.",
           "Use the statement that is in force.", ord_rej="99", cxl_rej="99"),
    Reason("GW-105", "The statement belongs to another OMS.",
           "Send the order from the OMS that registered the statement.", ord_rej="99", cxl_rej="99"),
    Reason("GW-106", "The statement's trade date is not today's.",
           "Register a statement for today's trade date.", ord_rej="99", cxl_rej="99"),
    Reason("GW-107", "The statement cites a policy that is not in force.",
           "Register the statement again under the policy in force.", ord_rej="99", cxl_rej="99"),
    Reason("GW-108", "The statement does not permit the broker the order goes to.",
           "Route the order to a broker the statement names.", ord_rej="99", cxl_rej="99"),
    Reason("GW-109", "An account of the statement is not permitted any more.",
           "Register a statement without the account.", ord_rej="15", cxl_rej="99"),
    # 2xx: the order differs from its statement
    Reason("GW-201", "The instrument differs from the statement's.",
           "Send the order for the instrument the statement names.", ord_rej="99", cxl_rej="99"),
    Reason("GW-202", "The side differs from the statement's.",
           "Send the order with the statement's side.", ord_rej="99", cxl_rej="99"),
    Reason("GW-203", "OrderQty exceeds what the statement has left uncommitted.",
           "Lower the quantity, cancel another order under the statement, or register a new statement.",
           ord_rej="13", cxl_rej="99"),
    Reason("GW-204", "The order's own allocation group differs from the statement.",
           "Leave the group out or send it as the statement says, scaled to the order.",
           ord_rej="14", cxl_rej="99"),
    Reason("GW-205", "The order carries a cash quantity; only OrderQty(38) can be covered.",
           "Send OrderQty(38) without CashOrderQty(152).", ord_rej="99", cxl_rej="99"),
    # 3xx: the order message itself
    Reason("GW-301", "ClOrdID was used already today.",
           "Use a new ClOrdID.", ord_rej="6", cxl_rej="6"),
    Reason("GW-302", "OrderQty is not a plain positive number.",
           "Send digits with at most one point: no sign, exponent or more than 15 digits.",
           ord_rej="13", cxl_rej="99"),
    Reason("GW-303", "A field the gate needs is missing.",
           "Send the field named in the text.", ord_rej="99", cxl_rej="99", business="5"),
    Reason("GW-304", "A header or trailer tag stands in the body.",
           "Move the tag to the header or leave it out.", ord_rej="99", cxl_rej="99"),
    Reason("GW-305", "A tag is not a plain positive number.",
           "Send tags without sign, blank or leading zero.", ord_rej="99", cxl_rej="99"),
    Reason("GW-306", "A tag is repeated outside a group or inside one entry.",
           "Send every tag once.", ord_rej="99", cxl_rej="99"),
    Reason("GW-307", "A group's count differs from its entries.",
           "Send as many entries as the count says, each starting with the group's first tag.",
           ord_rej="99", cxl_rej="99"),
    Reason("GW-308", "A data field's length differs from its data.",
           "Send the length in bytes of the data that follows.", ord_rej="99", cxl_rej="99"),
    Reason("GW-309", "Control characters, an empty value or bytes that are not UTF-8 in an order.",
           "Send printable text.", ord_rej="99", cxl_rej="99"),
    Reason("GW-310", "The order is older than the limit for queued or resent orders.",
           "Send it again with a new ClOrdID if it is still wanted.", ord_rej="8", cxl_rej="99"),
    Reason("GW-311", "ClOrdID is live on the same broker from another OMS.",
           "Use a ClOrdID that no other OMS has live.", ord_rej="6", cxl_rej="6"),
    Reason("GW-312", "The side is not one the gateway can cover.",
           "Use Side(54) 1, 2, 5 or 6.", ord_rej="99", cxl_rej="99"),
    # 4xx: routing and sessions
    Reason("GW-401", "The broker named by the order is not one of this OMS's brokers.",
           "Name a configured broker in DeliverToCompID(128) or ExDestination(100), or none.",
           ord_rej="99", cxl_rej="99"),
    Reason("GW-402", "The broker's session is not logged on.",
           "Wait for the session; operations sees it in session list.", ord_rej="2", cxl_rej="99"),
    Reason("GW-403", "The broker has too many unacknowledged orders, or one too old.",
           "Wait until the broker answers; operations was alerted.", ord_rej="99", cxl_rej="99"),
    Reason("GW-404", "The message type is not supported on this session.",
           "Send only the message types of the rules of engagement.", business="3"),
    Reason("GW-405", "The order did not leave: the broker's session went down first.",
           "Send it again with a new ClOrdID when the session is back.", ord_rej="2", cxl_rej="99"),
    Reason("GW-406", "The gateway ended before the order left; it never will.",
           "Send it again with a new ClOrdID if it is still wanted.", ord_rej="8", cxl_rej="99"),
    Reason("GW-407", "A session's sequence numbers began at 1 again.",
           "Ask the counterparty why, unless it was agreed; look at the orders in doubt."),
    Reason("GW-408", "The machine failed; what was sent last may be lost, or is sent a second time with 97=Y.",
           "Look at the orders in doubt; compare open orders and allocations with the brokers."),
    # 5xx: the gateway's own state
    Reason("GW-501", "Orders are halted by operations.",
           "Ask operations; cancels still pass.", ord_rej="99", cxl_rej="99"),
    Reason("GW-502", "The journal cannot be written safely; new orders are off.",
           "Operations must restore the journal; cancels and fills still pass.", ord_rej="99", cxl_rej="99"),
    Reason("GW-503", "The gateway is stopping.",
           "Send the order after the restart.", ord_rej="99", cxl_rej="99"),
    Reason("GW-504", "The gateway could not process the message; new orders are off until it is restarted.",
           "Operations must look at the log and restart; cancels and fills still pass.",
           ord_rej="99", cxl_rej="99", business="4"),
    # 6xx: a statement is refused
    Reason("GW-601", "A field of the statement is missing.", "Add the field named.", alloc_rej="7"),
    Reason("GW-602", "A field of the statement cannot be read.", "Write it as the text says.", alloc_rej="7"),
    Reason("GW-603", "The statement id is in use with other content.",
           "Choose a new statement id.", alloc_rej="7"),
    Reason("GW-604", "The lines do not add up to the total.",
           "Correct a line or the total.", alloc_rej="1"),
    Reason("GW-605", "An account is named twice.", "Name every account once.", alloc_rej="7"),
    Reason("GW-606", "An account is unknown, closed, restricted or not permitted to aggregate.",
           "Use an active account of the account file.", alloc_rej="0"),
    Reason("GW-607", "A quantity is not a plain positive number.",
           "Write digits with at most one point, above zero.", alloc_rej="8"),
    Reason("GW-608", "A term differs from the policy in force and is not on its allowed list.",
           "Leave the term out or use the policy's.", alloc_rej="7"),
    Reason("GW-609", "The trade date is not today or later.", "Use today's trade date.", alloc_rej="7"),
    Reason("GW-610", "The OMS or a broker named is unknown or not permitted.",
           "Use names from the configuration.", alloc_rej="7"),
    Reason("GW-611", "The order memorandum is incomplete: recommender, placer or discretion is missing.",
           "Add recommended_by, placed_by and discretionary.", alloc_rej="7"),
    Reason("GW-612", "A statement with orders under it cannot be changed this way.",
           "Request an exception.", alloc_rej="7"),
    Reason("GW-613", "The statement to change does not exist, is closed or is another OMS's.",
           "Name a registered, open statement.", alloc_rej="7"),
    Reason("GW-614", "The statement cannot be read as a whole.",
           "Correct the source as the text says.", alloc_rej="7"),
    Reason("GW-615", "The journal cannot be written safely; statements are not taken.",
           "Operations must restore the journal.", alloc_rej="7"),
    # 7xx: cancels, replaces, status
    Reason("GW-701", "The order is unknown.", "Name the latest accepted ClOrdID in OrigClOrdID(41).",
           ord_rej="5", cxl_rej="1"),
    Reason("GW-702", "A replace may not change instrument, side or account.",
           "Cancel the order and send a new one.", cxl_rej="99"),
    Reason("GW-703", "The order has ended.", "Send a new order under an open statement.", cxl_rej="0"),
    # 8xx: brokers, fills and allocations (exceptions and alerts)
    Reason("GW-801", "An execution report for an order the gateway never sent.",
           "Call the broker; the raw report is in the journal."),
    Reason("GW-802", "The broker filled more than was ordered or more than the statement holds.",
           "Call the broker; decide the excess as an exception."),
    Reason("GW-803", "The broker's CumQty or AvgPx differs from the fills received.",
           "Ask the broker for a status or the missing execution."),
    Reason("GW-804", "An ExecID came twice with different content.", "Call the broker."),
    Reason("GW-805", "A bust or correction names an execution the gateway does not know.", "Call the broker."),
    Reason("GW-806", "The broker rejected the allocation.",
           "Read the broker's text; correct what it names; the statement's split itself does not change."),
    Reason("GW-807", "An acknowledgement names an allocation the gateway never sent.", "Call the broker."),
    Reason("GW-808", "The broker has not acknowledged an allocation in time.", "Call the broker."),
    Reason("GW-809", "A forwarded order is in doubt: sent, never answered.",
           "Ask the broker for its status; its quantity stays committed."),
    Reason("GW-810", "The broker refused a message the gateway sent.",
           "Read the broker's text and correct the dialect profile."),
    Reason("GW-811", "An execution report has a field that cannot be read.",
           "Call the broker; the raw report is in the journal and was passed on."),
    Reason("GW-812", "The FIX engine refused a broker's message; it was taken from its raw text.",
           "Correct the dialect profile or the broker."),
    Reason("GW-813", "The fills changed after the allocation was sent.",
           "A replacing or cancelling allocation was sent; watch for its acknowledgement."),
    Reason("GW-814", "Nothing was filled under the statement; there is nothing to allocate.",
           "None; the statement is closed."),
    Reason("GW-815", "The order memorandum is incomplete.",
           "Add recommender, placer and discretion to the next statement."),
    Reason("GW-816", "The broker refused a repeated allocation, perhaps because it has it already.",
           "Ask the broker whether it has the AllocID; no new allocation is sent."),
)  # fmt: skip

CATALOGUE: dict[str, Reason] = {reason.code: reason for reason in _ALL}


def refuse(code: str, detail: str) -> Refusal:
    """The refusal ``code`` in the words of this case."""
    return Refusal(CATALOGUE[code], detail)
