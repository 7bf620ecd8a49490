"""FIX messages become core inputs: the only place where tags turn into the core's words.

Nothing here raises for what a counterparty wrote. What is wrong with an order stands in ``defect``, what is
unreadable in an execution report in ``defects``; the core decides what follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any

from fixgateway.core import inputs
from fixgateway.core.inputs import ExecKind, Input
from fixgateway.core.model import Draft, DraftLine
from fixgateway.errors import ConfigError
from fixgateway.wire import booked, check, dictionary
from fixgateway.wire.groups import Entry, Layout, layout
from fixgateway.wire.message import DATA_OF, Message, intact
from fixgateway.wire.values import (
    clean_text,
    is_clean,
    iso_date,
    iso_time,
    lenient_decimal,
    market_date,
    utc_ns,
)
from fixgateway.wire.versions import SIDE_OF, Version, exec_kind

MATCH_KEYS: Mapping[str, str] = {
    "AllocID": "70", "ClOrdID": "11", "ClOrdLinkID": "583", "ListID": "66", "SecondaryClOrdID": "526",
}  # fmt: skip
"""Names of the configuration's match keys → tags; any other tag is written ``tag:9001``."""

_TAG_KEY = re.compile("tag:([1-9][0-9]{0,8})")
_ABSORBED_FROM_OMS = frozenset(("AT", "AU", "P", "3", "j", "0", "1", "2", "4", "5", "A"))
"""Answers and session messages of an OMS. A refusal of ours refused again would go round for ever."""

_PLACER_ROLES = ("11", "12", "36")
"""PartyRole(452): order origination trader, executing trader, entering trader."""
_RECOMMENDER_ROLES = ("122", "9")
"""PartyRole(452): investment decision maker, fund manager."""

STATEMENT_TAGS: Mapping[str, str] = {
    "9801": "method", "9802": "basis", "9803": "ties", "9804": "lot", "9805": "min_quantity",
    "9806": "reference_price", "9807": "justification", "9808": "new_issue", "9809": "discretionary",
}  # fmt: skip
"""Tags of a statement's J → the draft's field, for terms that no version of J knows. User-defined, and
below 10000: the engine refuses a higher one inside an entry of NoAllocs(78)."""
LINE_TAGS: Mapping[str, str] = {
    "9811": "weight", "9812": "min_quantity", "9813": "limit", "9814": "received_at",
}  # fmt: skip
"""The same inside an entry of NoAllocs(78)."""

_DATA_TAGS = frozenset(DATA_OF) | frozenset(DATA_OF.values())
_NUMBERS = (
    # tag, name, may it be negative: spreads and some futures trade below zero, quantities never are
    ("32", "LastQty", False), ("31", "LastPx", True), ("14", "CumQty", False), ("151", "LeavesQty", False),
    ("6", "AvgPx", True), ("38", "OrderQty", False),
)  # fmt: skip


@lru_cache(maxsize=256)
def match_tags(match_keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The configured match keys as (name, tag).

    Raises:
        ConfigError: a name that is neither known nor ``tag:NUMBER``.
    """
    found = []
    for name in match_keys:
        numbered = _TAG_KEY.fullmatch(name)
        tag = MATCH_KEYS.get(name) or (numbered[1] if numbered else "")
        if not tag:
            raise ConfigError(f"match key {name!r}: use one of {', '.join(MATCH_KEYS)} or tag:NUMBER")
        found.append((name, tag))
    return tuple(found)


def from_oms(
    message: Message,
    version: Version,
    match_keys: tuple[str, ...],
    session: str,
    seq: int,
    ts_ns: int,
    msg_seq_num: int,
    seed: str,
) -> Input:
    """One message of an OMS session as an input.

    Args:
        message: the parsed message.
        version: the session's version.
        match_keys: the OMS's match keys in order, as in :func:`match_tags`.
        session: the OMS's name.
        seq: journal sequence of the input.
        ts_ns: UTC nanoseconds when it was taken.
        msg_seq_num: MsgSeqNum(34) as the session layer accepted it.
        seed: 32 random bytes in hex for a statement; not used otherwise.

    Raises:
        ConfigError: a match key that does not exist.
    """
    msg_type = message.msg_type
    if msg_type == "D":
        return _new_order(message, version, match_keys, session, seq, ts_ns, msg_seq_num)
    if msg_type == "J":
        return _statement(message, version, session, seq, ts_ns, seed)
    if msg_type in _ABSORBED_FROM_OMS:
        return inputs.Absorbed(seq, ts_ns, session, msg_seq_num, msg_type)
    if msg_type not in ("F", "G", "H"):
        return inputs.Unsupported(seq, ts_ns, session, msg_seq_num, clean_text(msg_type))
    defect, found = check.examine(message, dictionary.load(version.begin_string))
    body = _Body(message, found, defect)
    if msg_type == "H":
        return inputs.StatusRequest(seq, ts_ns, session, msg_seq_num, body.get("11"))
    if msg_type == "F":
        return inputs.CancelOrder(seq, ts_ns, session, msg_seq_num, defect, body.get("11"), body.get("41"))
    return inputs.ReplaceOrder(
        seq=seq,
        ts_ns=ts_ns,
        session=session,
        msg_seq_num=msg_seq_num,
        defect=defect,
        cl_ord_id=body.get("11"),
        orig_cl_ord_id=body.get("41"),
        symbol=body.get("55"),
        security_id=body.get("48"),
        side=_side(body.get("54")),
        order_qty=body.get("38"),
        account=body.get("1"),
        alloc_lines=body.alloc_lines(),
        poss_resend=message.header.get("97") == "Y",
        poss_dup=message.header.get("43") == "Y",
        cash_order_qty=body.get("152"),
    )


def from_broker(
    message: Message,
    version: Version,
    session: str,
    seq: int,
    ts_ns: int,
    msg_seq_num: int,
    resolve: Callable[[str, int], int | None],
) -> Input:
    """One message of a broker session as an input.

    Args:
        message: the parsed message.
        version: the session's version.
        session: the broker's name.
        seq: journal sequence of the input.
        ts_ns: UTC nanoseconds when it was taken.
        msg_seq_num: MsgSeqNum(34) as the session layer accepted it.
        resolve: (session, sequence number of ours) → journal sequence of the input whose decision sent that
            message, None when none did.
    """
    msg_type = message.msg_type
    if msg_type == "8":
        return _execution(message, version, session, seq, ts_ns, msg_seq_num, "")
    get = _cleaned(message).get
    if msg_type == "9":
        return inputs.CancelReject(
            seq=seq,
            ts_ns=ts_ns,
            session=session,
            msg_seq_num=msg_seq_num,
            cl_ord_id=get("11", ""),
            orig_cl_ord_id=get("41", ""),
            ord_status=get("39", ""),
            response_to=get("434", ""),
            reason=get("102", ""),
            text=get("58", ""),
        )
    if msg_type in ("3", "j"):
        ref_seq_num = _sequence(get("45", ""))
        reason = get("373" if msg_type == "3" else "380", "")
        return inputs.MessageReject(
            seq=seq,
            ts_ns=ts_ns,
            session=session,
            msg_seq_num=msg_seq_num,
            msg_type=msg_type,
            ref_seq_num=ref_seq_num,
            ref_msg_type=get("372", ""),
            ref_decision=resolve(session, ref_seq_num) if ref_seq_num else None,
            ref_id=get("379", ""),
            reason=reason,
            text=get("58", ""),
            duplicate=_maybe_duplicate(reason, _OTHER[msg_type], get),
        )
    if msg_type == "P":
        status = version.ack_status.get(get("87", ""), "other")
        refused = status == "rejected"
        return inputs.AllocationAck(
            seq=seq,
            ts_ns=ts_ns,
            session=session,
            msg_seq_num=msg_seq_num,
            alloc_id=get("70", ""),
            status=status,
            reject_code=get("88", ""),
            text=get("58", ""),
            duplicate=refused and _maybe_duplicate(get("88", ""), version.alloc_rej_other, get),
            accounts=booked.account_answers(message, version),
        )
    if msg_type in _BOOKED and version.has_allocation_report:
        return _BOOKED[msg_type](message, version, session, seq, ts_ns, msg_seq_num)
    return inputs.Unsupported(seq, ts_ns, session, msg_seq_num, clean_text(msg_type))


_BOOKED: Mapping[str, Callable[..., Input]] = {"AS": booked.report, "AK": booked.confirmation}

_OTHER = {"3": frozenset(("", "99")), "j": frozenset(("", "0"))}
"""SessionRejectReason(373) and BusinessRejectReason(380) that say no more than "other"."""


def _maybe_duplicate(code: str, other: frozenset[str], get: Callable[[str, str], str]) -> bool:
    """Whether a refusal may mean that the id is known: its code says nothing better, or its text says so."""
    return code in other or "duplicate" in get("58", "").lower()


def from_refused(message: Message, version: Version, session: str, seq: int, ts_ns: int, why: str) -> Input:
    """A broker's message that the FIX engine refused, taken from its raw text.

    An execution report is taken when its BodyLength and CheckSum hold (``why`` stands in ``refused``). A
    garbled one is not: its numbers may be anybody's, and FIX has it resent. Everything else is Unsupported,
    to be flagged.
    """
    msg_seq_num = _sequence(message.header.get("34", ""))
    if message.msg_type == "8" and intact(message.text):
        return _execution(message, version, session, seq, ts_ns, msg_seq_num, why or "refused by the FIX engine")
    return inputs.Unsupported(seq, ts_ns, session, msg_seq_num, clean_text(message.msg_type))


# ---------------------------------------------------------------- orders


class _Body:
    """A body's own fields, group members aside, whatever the text check found."""

    __slots__ = ("_found", "_message", "_values")

    def __init__(self, message: Message, found: Layout | None, defect: str) -> None:
        self._message = message
        self._found = found
        values = message.fields if found is None else found.fields
        self._values = {tag: clean_text(value) for tag, value in values.items()} if defect else values

    def get(self, tag: str, default: str = "") -> str:
        """The field outside groups, or ``default``."""
        return self._values.get(tag, default)

    def anywhere(self, tag: str, default: str = "") -> str:
        """The same; an unknown tag behind a group's last entry counts too, if it stands there only once."""
        value = self._values.get(tag, "")
        if value or self._found is None:
            return value or default
        values = [value for each, value in self._message.pairs if each == tag]
        return clean_text(values[0]) if len(values) == 1 else default

    def entries(self, count_tag: str) -> list[Entry]:
        """The entries of a group, [] when there is none."""
        block = self._found.blocks.get(count_tag) if self._found is not None else None
        return block.entries if block is not None else []

    def alloc_lines(self) -> tuple[tuple[str, str], ...] | None:
        """The allocation group as (account, quantity text), None when absent or empty."""
        entries = self.entries(check.ALLOC_COUNT)
        if not entries:
            return None
        return tuple((clean_text(entry.get("79")), clean_text(entry.get("80"))) for entry in entries)

    def party(self, roles: tuple[str, ...]) -> str:
        """PartyID(448) of the first role that is present, "" when none is."""
        by_role = {entry.get("452"): entry.get("448") for entry in reversed(self.entries("453"))}
        return clean_text(next((by_role[role] for role in roles if by_role.get(role)), ""))


def _new_order(
    message: Message,
    version: Version,
    match_keys: tuple[str, ...],
    session: str,
    seq: int,
    ts_ns: int,
    msg_seq_num: int,
) -> inputs.NewOrder:
    defect, found = check.examine(message, dictionary.load(version.begin_string))
    header = message.header
    placed_by = _header_value(header, "50")
    alloc_lines = None
    # Nearly every order has neither groups nor defects: the body's own dict will do.
    get: Callable[[str, str], str] = message.fields.get
    find = get
    if found is not None:
        body = _Body(message, found, defect)
        get, find = body.get, body.anywhere
        alloc_lines = body.alloc_lines()
        placed_by = body.party(_PLACER_ROLES) or placed_by
    side = get("54", "")
    return inputs.NewOrder(
        seq,
        ts_ns,
        session,
        msg_seq_num,
        defect,
        get("11", ""),
        tuple([(name, value) for name, tag in match_tags(match_keys) if (value := find(tag, ""))]),
        get("55", ""),
        get("48", ""),
        get("22", ""),
        SIDE_OF.get(side, side),
        get("38", ""),
        get("40", ""),
        get("1", ""),
        alloc_lines,
        _header_value(header, "128"),
        get("100", ""),
        header.get("97") == "Y",
        header.get("43") == "Y",
        utc_ns(get("60", "")) or utc_ns(header.get("122", "")) or utc_ns(header.get("52", "")),
        placed_by,
        get("152", ""),
        get("59", ""),
    )


# ---------------------------------------------------------------- statements


def _statement(
    message: Message, version: Version, session: str, seq: int, ts_ns: int, seed: str
) -> inputs.SubmitStatement:
    known = dictionary.load(version.begin_string)
    defect, _ = check.examine(message, known)
    found = layout(message.pairs, known.message("J").groups)
    body = _Body(message, found, defect)
    sub = _header_value(message.header, "50")
    trans_type = version.statement.get((body.get("71"), body.get("626") if version.has_alloc_type else ""), "")
    defects = [defect.split(" ", 1)[1]] if defect else []
    if not trans_type:
        defects.append(_not_a_statement(body, version))
    terms: dict[str, Any] = {field: body.anywhere(tag) for tag, field in STATEMENT_TAGS.items()}
    unclear = [tag for tag, field in STATEMENT_TAGS.items() if tag in message.fields and not terms[field]]
    defects += [f"tag {tag} stands in several places; send it once, before NoAllocs(78)" for tag in unclear]
    told = [tag if tag in message.fields else "" for tag in LINE_TAGS]
    lines = tuple(_line(row, entry, told) for row, entry in enumerate(body.entries(check.ALLOC_COUNT), 1))
    draft = Draft(
        statement_id=body.get("70"),
        trade_date=iso_date(body.get("75")),
        symbol=body.get("55"),
        side=_side(body.get("54")),
        lines=lines,
        total=body.get("53"),
        security_id=body.get("48"),
        id_source=body.get("22"),
        oms=session,
        cl_ord_ids=tuple(clean_text(value) for entry in body.entries("73") if (value := entry.get("11"))),
        recommended_by=body.party(_RECOMMENDER_ROLES) or _header_value(message.header, "57"),
        placed_by=body.party(_PLACER_ROLES) or sub,
        rationale=body.get("58"),
        defects=tuple(defects),
        **terms,
    )
    return inputs.SubmitStatement(
        seq=seq,
        ts_ns=ts_ns,
        door="fix",
        actor=f"{session}/{sub}" if sub else session,
        session=session,
        draft=draft,
        seed=seed,
        alloc_trans_type=trans_type or "0",
        ref_statement_id=body.get("72"),
    )


def _line(row: int, entry: Entry, told: list[str]) -> DraftLine:
    """One entry of 78; ``told`` are the tags of :data:`LINE_TAGS` that the message has, "" for one it has not."""
    account, quantity = clean_text(entry.get("79")), clean_text(entry.get("80"))
    if not any(told):
        return DraftLine(row, account, quantity)
    more = {field: clean_text(entry.get(tag)) for tag, field in zip(told, LINE_TAGS.values(), strict=True) if tag}
    if "received_at" in more:
        more["received_at"] = iso_time(more["received_at"])
    return DraftLine(row, account, quantity, **more)


def _not_a_statement(body: _Body, version: Version) -> str:
    """Why a J registers nothing, with what would."""
    wanted = sorted(version.statement)
    if not version.has_alloc_type:
        codes = ", ".join(trans for trans, _ in wanted)
        return f"AllocTransType(71) is {body.get('71') or 'missing'}; a statement has one of {codes}"
    if body.get("626") != "2":
        return f"AllocType(626) is {body.get('626') or 'missing'}; a statement has 2 (preliminary)"
    return f"AllocTransType(71) is {body.get('71') or 'missing'}; a statement has 0 new, 1 replace or 2 cancel"


# ---------------------------------------------------------------- brokers


_RARE_KINDS = frozenset((ExecKind.BUST, ExecKind.CORRECT, ExecKind.RESTATED, ExecKind.REPLACED))
"""Reports that bring an order into another shape: 16017, 378 and 59 are read from no other."""


def _execution(
    message: Message, version: Version, session: str, seq: int, ts_ns: int, msg_seq_num: int, refused: str
) -> inputs.Execution:
    fields = _cleaned(message)
    get = fields.get
    defects: list[str] = []
    if fields is not message.fields:
        defects.append("control characters or bytes that are not UTF-8; each is passed on as ?")
    if not _DATA_TAGS.isdisjoint(fields):
        wrong = check.data_defects(message, dictionary.load(version.begin_string))
        defects += [text.split(" ", 1)[1] for text in islice(wrong, 1)]
    last_qty, last_px, cum_qty, leaves_qty, avg_px, order_qty = [
        _number(text, tag, name, signed, defects) if (text := get(tag, "")) else None
        for tag, name, signed in _NUMBERS
    ]
    kind = exec_kind(version, get("150", ""), get("20", ""), get("39", ""))
    rare = kind in _RARE_KINDS
    day_cum_qty = get("425", "")
    return inputs.Execution(
        seq=seq,
        ts_ns=ts_ns,
        session=session,
        msg_seq_num=msg_seq_num,
        kind=kind,
        ord_status=get("39", ""),
        order_id=get("37", ""),
        exec_id=get("17", ""),
        exec_ref_id=get("19", ""),
        cl_ord_id=get("11", ""),
        orig_cl_ord_id=get("41", ""),
        symbol=get("55", ""),
        side=_side(get("54", "")),
        order_qty=order_qty,
        last_qty=last_qty,
        last_px=last_px,
        cum_qty=cum_qty,
        leaves_qty=leaves_qty,
        avg_px=avg_px,
        copy=get("797", "") == "Y",
        poss_resend=message.header.get("97") == "Y",
        deliver_to=_header_value(message.header, "128"),
        text=get("58", ""),
        defects=tuple(defects),
        refused=refused,
        trade_date=market_date(get("75", "")),
        day_cum_qty=lenient_decimal(day_cum_qty) if day_cum_qty else None,
        orig_exec_id=get("16017", "") if rare else "",
        restatement_reason=get("378", "") if rare else "",
        time_in_force=get("59", "") if rare else "",
    )


def _number(text: str, tag: str, name: str, signed: bool, defects: list[str]) -> Decimal | None:
    """A broker's number, None when unreadable; that is noted in ``defects``."""
    value = lenient_decimal(text)
    if value is None:
        defects.append(f"{name}({tag}) {text[:40]!r} is not a number")
        return None
    if not signed and value < 0:
        defects.append(f"{name}({tag}) is negative: {text}")
        return None
    return value


def _cleaned(message: Message) -> dict[str, str]:
    """The body's fields, printable (data aside, which no input uses): the same dict when all were."""
    if message.cut_at_soh and is_clean(message.body):
        return message.fields
    cleaned = {tag: value if tag in _DATA_TAGS else clean_text(value) for tag, value in message.fields.items()}
    return message.fields if cleaned == message.fields else cleaned


def _header_value(header: Mapping[str, str], tag: str) -> str:
    value = header.get(tag, "")
    return clean_text(value) if value else ""


def _side(code: str) -> str:
    return SIDE_OF.get(code, code)


def _sequence(text: str) -> int:
    """A sequence number, 0 when it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
