"""Confirmations (AK): what a broker booked for each account, compared with our allocation, affirmed or rejected.

    AK 773=2 666=0 ──▶ AU 940=1 received, then 940=3 affirmed or 940=2 rejected (774 and words)
    AK 666=1 (772)  ──▶ the same, in the place of the one it replaces
    AK 666=2 (772)  ──▶ AU 940=1: the account is not confirmed any more
    AK 797=Y, 773=1 ──▶ AU 940=1 only: a copy or a status, which nobody affirms

A confirmation is compared with the newest version of the allocation it names (70, else the orders in 73). Its
ConfirmID(664) is known from then on: the same message again gets the same answer and changes nothing.
"""

from __future__ import annotations

from fixgateway.core import compare, standing
from fixgateway.core.exceptions import exception
from fixgateway.core.inputs import Confirmation, Unsupported
from fixgateway.core.model import BrokerSetup
from fixgateway.core.outputs import (
    Allocation,
    ConfirmationJudged,
    Output,
    SendConfirmationAck,
    Share,
)
from fixgateway.core.requests import missing, on_unsupported
from fixgateway.core.state import AllocationRecord, ConfirmationRecord, State

MAX_KEPT = 1_000_000
"""Confirmations remembered to notice repeats; the oldest is forgotten first."""
RECEIVED, REJECTED, AFFIRMED = "1", "2", "3"
"""AffirmStatus(940)."""
_ANSWER = {"affirmed": AFFIRMED, "rejected": REJECTED}
_TROUBLE = {"2": "account unknown to it", "3": "settlement instructions are missing", "5": "request refused"}
"""ConfirmStatus(665) that needs somebody."""


def on_confirmation(state: State, given: Confirmation) -> list[Output]:
    """Confirmation (AK) from a broker; refused with j where its profile expects none."""
    setup = state.brokers[given.session].setup
    if not (state.setup.life_cycle and setup.confirmations):
        return on_unsupported(state, Unsupported(given.seq, given.ts_ns, given.session, given.msg_seq_num, "AK"))
    if not given.confirm_id:
        return [missing(given.session, given.msg_seq_num, "AK", "ConfirmID(664)")]
    known = state.confirmations.get((given.session, given.confirm_id))
    if known is not None and known.content == _content(given):
        return _repeated(state, given, known)
    kept = find(state, given.session, given.alloc_id, given.cl_ord_ids)
    if given.copy or given.confirm_type in ("1", "3"):
        return _noted(state, given, kept)
    if given.trans_type == "2":
        return _cancelled(state, given, kept)
    return _judged(state, given, kept, known, setup)


def find(state: State, broker: str, alloc_id: str, cl_ord_ids: tuple[str, ...]) -> AllocationRecord | None:
    """The allocation a broker's message is about, in its newest version: by AllocID(70), else by orders (73)."""
    kept = state.allocations.get(alloc_id)
    if kept is not None and kept.allocation.broker == broker:
        return standing.current(state, alloc_id)
    for cl_ord_id in cl_ord_ids:
        order = state.orders.get(state.at_broker.get((broker, cl_ord_id), 0))
        record = state.statements[order.statement_id] if order is not None else None
        if record is None:
            continue
        for sent in (record.sent, *(booking.sent for booking in reversed(record.bookings))):
            if broker in sent:
                return state.allocations[sent[broker].alloc_id]
    return None


def share_of(kept: AllocationRecord, account: str) -> Share | None:
    """An account's share of an allocation, None when it has none."""
    shares = kept.allocation.shares
    if not kept.by_account:
        kept.by_account = {share.account: at for at, share in enumerate(shares)}
    at = kept.by_account.get(account)
    if at is None or len(kept.by_account) == len(shares):
        return None if at is None else shares[at]
    own = [share for share in shares if share.account == account]
    return compare.combined(own, kept.allocation.price_decimals)


def affirmed(state: State, kept: AllocationRecord, share: Share) -> bool:
    """Whether the account is affirmed with the figures it has now."""
    return _stands(state, kept, share, ("affirmed",))


def confirmed(state: State, kept: AllocationRecord, share: Share) -> bool:
    """Whether the broker confirmed the account, rightly or not, since its figures changed last."""
    return _stands(state, kept, share, ("affirmed", "rejected"))


def _stands(state: State, kept: AllocationRecord, share: Share, wanted: tuple[str, ...]) -> bool:
    broker = kept.allocation.broker
    key = (standing.root(state, kept.allocation.alloc_id), share.account)
    record = state.confirmations.get((broker, state.confirmed.get(key, "")))
    if record is None or record.status not in wanted:
        return False
    if record.alloc_id == kept.allocation.alloc_id:
        return True
    if not record.alloc_id:
        return False  # its id was used again, for a confirmation that fits nothing of ours
    before = state.allocations[record.alloc_id]  # a replace that left this account as it was needs no new AK
    return share_of(before, share.account) == share


# ---------------------------------------------------------------- the answers


def _judged(
    state: State,
    given: Confirmation,
    kept: AllocationRecord | None,
    known: ConfirmationRecord | None,
    setup: BrokerSetup,
) -> list[Output]:
    """A new or replacing confirmation: affirmed or rejected."""
    replaces = given.trans_type == "1"
    if replaces and given.ref_confirm_id in ("", given.confirm_id):
        known = None  # some brokers keep the id when they correct
    reason, code, text = _objection(state, given, kept, known, setup)
    verdict = "rejected" if reason else "affirmed"
    told = _withdraw(state, given, kept, f"replaced by {given.confirm_id}") if replaces else []
    if known is None:  # a second message of an id in use does not replace what the id stands for
        _remember(state, given, kept, verdict)
        if kept is not None and (not reason or reason == "GW-875"):
            _put_in_force(state, given, kept)
    outputs: list[Output] = [_fact(given, kept, verdict, text), _answer(given, kept, RECEIVED)]
    outputs.append(_answer(given, kept, _ANSWER[verdict], reason, code, text))
    if reason:
        words = f"{given.session}: confirmation {given.confirm_id} of account {given.account}: {text}"
        told += exception(reason, given.confirm_id, words)
    return outputs + told


def _objection(
    state: State,
    given: Confirmation,
    kept: AllocationRecord | None,
    known: ConfirmationRecord | None,
    setup: BrokerSetup,
) -> tuple[str, str, str]:
    """Why a confirmation is not affirmed: GW code, ConfirmRejReason(774) and words; three times "" when it is."""
    if kept is None:
        return "GW-876", "99", f"allocation {given.alloc_id or '(none)'} was never sent to {given.session}"
    share = share_of(kept, given.account)
    alloc_id = kept.allocation.alloc_id
    if known is not None:
        return "GW-875", "99", f"ConfirmID {given.confirm_id} was used before with other content"
    other = _other(state, given, kept, share)
    if other:
        return "GW-875", "99", f"account {given.account} is confirmed already by {other}"
    if kept.status in ("rejected", "account-rejected", "incomplete", *standing.OVER):
        return "GW-875", "99", f"allocation {alloc_id} is {kept.status}"
    found = compare.confirmation(given, kept.allocation, share, setup)
    if not found:
        return "", "", ""
    reason = "GW-876" if share is None else "GW-875"
    return reason, found[0].confirm_code, compare.words(found)


def _other(state: State, given: Confirmation, kept: AllocationRecord, share: Share | None) -> str:
    """Another confirmation that affirms the account as it is now, and that this one does not replace."""
    if share is None or not affirmed(state, kept, share):
        return ""
    confirm_id = state.confirmed[standing.root(state, kept.allocation.alloc_id), given.account]
    return "" if confirm_id in (given.confirm_id, given.ref_confirm_id) else confirm_id


def _cancelled(state: State, given: Confirmation, kept: AllocationRecord | None) -> list[Output]:
    """A cancel (666=2): what it names is over, its account not confirmed any more."""
    told = _withdraw(state, given, kept, "cancelled")
    _remember(state, given, kept, "cancelled")
    return [_fact(given, kept, "cancelled", ""), _answer(given, kept, RECEIVED), *told]


def _withdraw(state: State, given: Confirmation, kept: AllocationRecord | None, how: str) -> list[Output]:
    """The confirmation that 772 names (or, of a cancel, the one in force for the account) is over."""
    old_id = given.ref_confirm_id
    if kept is not None and not old_id:
        old_id = state.confirmed.get((standing.root(state, kept.allocation.alloc_id), given.account), "")
    old = state.confirmations.get((given.session, old_id))
    if old is None:
        text = f"{given.session}: confirmation {given.confirm_id} changes {old_id or '(none)'}, which is unknown"
        return exception("GW-876", given.confirm_id, text)
    was, old.status = old.status, "cancelled" if how == "cancelled" else "replaced"
    if old.alloc_id:
        state.confirmed.pop((standing.root(state, old.alloc_id), old.account), None)
    if was != "affirmed" or (kept is not None and old.alloc_id != kept.allocation.alloc_id):
        return []  # after a replace of ours the broker has to confirm anew
    text = f"{given.session}: confirmation {old_id} of account {old.account} was affirmed and is {how}"
    return exception("GW-877", old_id, text)


def _noted(state: State, given: Confirmation, kept: AllocationRecord | None) -> list[Output]:
    """A copy or a status: acknowledged, never affirmed."""
    verdict = "copy" if given.copy else "status"
    _remember(state, given, kept, verdict)
    outputs: list[Output] = [_fact(given, kept, verdict, given.text), _answer(given, kept, RECEIVED)]
    trouble = _TROUBLE.get(given.status, "")
    if trouble and not given.copy:
        text = f"{given.session} does not confirm account {given.account or '(none)'}: {trouble}; {given.text}"
        outputs += exception("GW-884", given.confirm_id or given.request_id, text)
    return outputs


def _repeated(state: State, given: Confirmation, known: ConfirmationRecord) -> list[Output]:
    """The same message again: the same last answer, nothing else."""
    kept = state.allocations.get(known.alloc_id)
    status = _ANSWER.get(known.status, RECEIVED)
    reason, code = ("GW-875", "99") if status == REJECTED else ("", "")
    text = "rejected before" if status == REJECTED else ""
    return [_fact(given, kept, "duplicate", ""), _answer(given, kept, status, reason, code, text)]


# ---------------------------------------------------------------- small parts


def _content(given: Confirmation) -> str:
    """What tells a repeat from another message: everything but when it came."""
    return compare.fingerprint(
        given.trans_type, given.confirm_type, given.status, given.ref_confirm_id, given.copy, given.alloc_id,
        given.account, given.symbol, given.side, given.trade_date, given.quantity, given.avg_px, given.gross,
        given.net, given.commission,
    )  # fmt: skip


def _remember(state: State, given: Confirmation, kept: AllocationRecord | None, status: str) -> None:
    alloc_id = kept.allocation.alloc_id if kept is not None else ""
    state.confirmations[given.session, given.confirm_id] = ConfirmationRecord(
        _content(given), status, alloc_id, given.account
    )
    if len(state.confirmations) > MAX_KEPT:
        del state.confirmations[next(iter(state.confirmations))]


def _put_in_force(state: State, given: Confirmation, kept: AllocationRecord) -> None:
    """The confirmation is the account's from now on, unless another one affirms it already."""
    share = share_of(kept, given.account)
    if share is not None and not affirmed(state, kept, share):
        state.confirmed[standing.root(state, kept.allocation.alloc_id), given.account] = given.confirm_id


def _ours(kept: AllocationRecord | None) -> Allocation | None:
    return kept.allocation if kept is not None else None


def _fact(given: Confirmation, kept: AllocationRecord | None, verdict: str, text: str) -> ConfirmationJudged:
    ours = _ours(kept)
    return ConfirmationJudged(
        confirm_id=given.confirm_id,
        ref_confirm_id=given.ref_confirm_id,
        trans_type=given.trans_type,
        confirm_type=given.confirm_type,
        broker=given.session,
        alloc_id=ours.alloc_id if ours else "",
        statement_id=ours.statement_id if ours else "",
        account=given.account,
        quantity=given.quantity,
        avg_px=given.avg_px,
        gross=given.gross,
        net=given.net,
        verdict=verdict,
        text=text,
    )


def _answer(
    given: Confirmation,
    kept: AllocationRecord | None,
    status: str,
    reason: str = "",
    code: str = "",
    text: str = "",
) -> SendConfirmationAck:
    ours = _ours(kept)
    return SendConfirmationAck(
        session=given.session,
        confirm_id=given.confirm_id,
        trade_date=given.trade_date or (ours.trade_date.isoformat() if ours else ""),
        affirm_status=status,
        reject_reason=code,
        reason=reason,
        text=f"{reason} {text}" if reason else "",
        alloc_id=ours.alloc_id if ours else "",
        statement_id=ours.statement_id if ours else "",
        account=given.account,
    )

