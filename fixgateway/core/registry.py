"""Registering an allocation statement: every check, every problem named by line and field.

All four doors (FIX J, HTTP, command line, drop folder) hand in the same :class:`Draft` of plain text and
get the same answer: a frozen :class:`Statement`, or the list of everything that is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

from fixgateway.core import calendar, freezing, holdings, rotation
from fixgateway.core.apportion import seed_commitment
from fixgateway.core.inputs import SubmitStatement
from fixgateway.core.model import (
    MAX_LINES,
    ZERO,
    Basis,
    Draft,
    DraftLine,
    Line,
    Policy,
    Side,
    Statement,
    exact_sum,
    plain_decimal,
    plain_text,
)
from fixgateway.core.outputs import Problem
from fixgateway.core.state import ACTIVE, State

_ID = re.compile(r"[!-~]{1,64}")
_WORD = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{0,4096}")
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)
_SIDES = {side.value: side for side in Side} | {
    "1": Side.BUY,
    "2": Side.SELL,
    "5": Side.SHORT,
    "6": Side.SHORT_EXEMPT,
}
_YES_NO = {"": "", "yes": "yes", "y": "yes", "true": "yes", "no": "no", "n": "no", "false": "no"}


def register(
    state: State, submitted: SubmitStatement, before: Statement | None = None
) -> Statement | tuple[Problem, ...]:
    """Turn a draft into a statement under the policy in force, or say everything that is wrong.

    Args:
        before: the statement this one repeats or replaces: unchanged lines keep their receipt times.
    """
    draft = submitted.draft
    policy = state.setup.policy
    basis = draft.basis or str(policy.basis)
    oms = submitted.session or draft.oms or (next(iter(state.omses)) if len(state.omses) == 1 else "")
    problems = [
        *(Problem(0, "", "GW-614", text) for text in draft.defects),
        *_identity(draft),
        *_trade_date(state, policy, draft),
        *_counterparties(state, draft, oms),
        *_memo(policy, draft),
        *(terms_problems := list(term_problems(policy, draft))),
        *_lines(state, draft, basis),
        *_total(draft, from_fix=submitted.door == "fix", basis=basis),
        *freezing.value_problems(policy, draft),
    ]
    if not terms_problems:
        problems += _by_terms(state, policy, submitted)
    if problems:
        return tuple(problems)
    terms = freezing.agreed(policy, draft)
    lines = freezing.frozen_lines(
        policy,
        draft,
        terms,
        state.accounts,
        seed=submitted.seed,
        ts_ns=submitted.ts_ns,
        total=_number(draft.total, ZERO),
        money=state.setup.money,
        before=before.lines if before else (),
        turns=_turns(state, policy, draft, terms, before),
    )
    found = tuple(line for line in lines if isinstance(line, Problem))
    if found:
        return found
    frozen = tuple(line for line in lines if isinstance(line, Line))
    lines = holdings.frozen(state, policy, draft, _SIDES[draft.side], frozen, before.statement_id if before else "")
    found = tuple(line for line in lines if isinstance(line, Problem))
    if found:
        return found
    frozen = tuple(line for line in lines if isinstance(line, Line))
    return _statement(state, submitted, oms, terms, frozen)


def _turns(
    state: State, policy: Policy, draft: Draft, terms: freezing.Agreed, before: Statement | None
) -> dict[str, int] | None:
    """The lines' turns in the policy's rotation, None where nothing looks at them."""
    if state.setup.rules < rotation.RULES or not rotation.applies(terms.method, terms.ties, terms.remainder):
        return None
    accounts = [line.account for line in draft.lines]
    return rotation.turns(state, policy.policy_id, accounts, before.statement_id if before else "")


def _by_terms(state: State, policy: Policy, submitted: SubmitStatement) -> Iterator[Problem]:
    """What is wrong under the terms of the statement, once these are known to be permitted."""
    draft = submitted.draft
    terms = freezing.agreed(policy, draft)
    yield from freezing.basis_problems(draft, terms.basis, terms.lot)
    yield from freezing.queue_problems(draft, terms.method, submitted.door, submitted.ts_ns)
    yield from freezing.justification_problems(policy, draft, terms.method, state.accounts)


def _statement(
    state: State, submitted: SubmitStatement, oms: str, terms: freezing.Agreed, lines: tuple[Line, ...]
) -> Statement:
    """The statement of a draft without problems."""
    draft, policy = submitted.draft, state.setup.policy
    return Statement(
        statement_id=draft.statement_id,
        version=1,
        oms=oms,
        trade_date=_date(draft.trade_date) or state.trade_date,
        symbol=draft.symbol,
        security_id=draft.security_id,
        id_source=draft.id_source,
        side=_SIDES[draft.side],
        total=exact_sum(line.quantity for line in lines),
        lines=lines,
        method=terms.method,
        lot=terms.lot,
        min_quantity=terms.min_quantity,
        ties=terms.ties,
        remainder=terms.remainder,
        policy_id=policy.policy_id,
        policy_version=policy.version,
        cl_ord_ids=draft.cl_ord_ids,
        brokers=draft.brokers,
        recommended_by=draft.recommended_by,
        placed_by=draft.placed_by,
        discretionary=_YES_NO[draft.discretionary.lower()],
        rationale=draft.rationale,
        memo_complete=bool(draft.recommended_by and draft.placed_by and draft.discretionary),
        door=submitted.door,
        actor=submitted.actor,
        registered_seq=submitted.seq,
        registered_ns=submitted.ts_ns,
        seed=submitted.seed,
        seed_commitment=seed_commitment(submitted.seed),
        basis=terms.basis,
        rounding=terms.rounding,
        reference_price=terms.reference_price,
        justification=draft.justification.strip(),
        new_issue=_YES_NO[draft.new_issue.lower()] == "yes",
    )


def same_content(old: Statement, new: Statement) -> bool:
    """Whether two statements say the same, leaving aside who submitted them, when, and what the gateway added."""
    return _said(old) == _said(new)


def _said(statement: Statement) -> Statement:
    """The statement as it was said: without submitter, time and seed, and what was frozen on its lines.

    Quantities made of weights depend on the seed where shares tie, and an account's class may have changed since.
    """
    made = statement.basis is not Basis.QUANTITY
    bare = [
        replace(line, quantity=ZERO if made else line.quantity, tier=0, turn=0, cap=None, residual=True)
        for line in statement.lines
    ]
    return replace(
        statement,
        version=1,
        door="",
        actor="",
        registered_seq=0,
        registered_ns=0,
        seed="",
        seed_commitment="",
        lines=tuple(bare),
    )


def _identity(draft: Draft) -> Iterator[Problem]:
    """Id, instrument and side: present and readable."""
    for field, value in (
        ("statement_id", draft.statement_id),
        ("trade_date", draft.trade_date),
        ("symbol", draft.symbol),
        ("side", draft.side),
    ):
        if not value:
            yield Problem(0, field, "GW-601", f"{field} is missing")
    if draft.statement_id and not _ID.fullmatch(draft.statement_id):
        yield Problem(
            0, "statement_id", "GW-602", "statement_id must be 1 to 64 printable ASCII characters, no blank"
        )
    if draft.side and draft.side not in _SIDES:
        yield Problem(0, "side", "GW-602", f"side {draft.side!r} is not one of {', '.join(Side)}")
    texts = (draft.symbol, draft.security_id, draft.id_source, draft.recommended_by, draft.placed_by)
    for field, value in zip(
        ("symbol", "security_id", "id_source", "recommended_by", "placed_by"), texts, strict=True
    ):
        if value and not _WORD.fullmatch(value):
            yield Problem(0, field, "GW-602", f"{field} has control characters or more than 256 characters")
    for field in ("rationale", "justification"):
        if not _TEXT.fullmatch(getattr(draft, field)):
            yield Problem(0, field, "GW-602", f"{field} has control characters or more than 4096 characters")
    if draft.new_issue.lower() not in _YES_NO:
        yield Problem(0, "new_issue", "GW-602", f"new_issue {draft.new_issue!r} is not yes or no")


def _trade_date(state: State, policy: Policy, draft: Draft) -> Iterator[Problem]:
    """Today or later, before today's cut-off, under a policy that is in force then."""
    if not draft.trade_date:
        return
    day = _date(draft.trade_date)
    if day is None:
        yield Problem(0, "trade_date", "GW-602", f"trade_date {draft.trade_date!r} is not YYYY-MM-DD")
        return
    if day < state.trade_date:
        yield Problem(
            0,
            "trade_date",
            "GW-609",
            f"trade date {day.isoformat()} is past; today is {state.trade_date.isoformat()}",
        )
    if closed := calendar.trade_day_problem(state, day):
        yield Problem(0, "trade_date", "GW-882", closed)
    if day == state.trade_date and calendar.past_cut_off(state, day, state.local_time):
        text = f"the cut-off {calendar.cut_off(state, day)} {policy.timezone} has passed"
        yield Problem(0, "trade_date", "GW-609", text)
    if not in_force(policy, day, state.local_time if day == state.trade_date else LAST_SECOND):
        since = f"{policy.effective_from.isoformat()} {policy.effective_at}".removesuffix(" 00:00:00")
        yield Problem(0, "trade_date", "GW-608", f"policy {policy.policy_id} is effective from {since}")


LAST_SECOND = "23:59:59"


def in_force(policy: Policy, day: date, local_time: str) -> bool:
    """Whether the policy is effective on ``day`` at ``local_time`` (``HH:MM:SS`` in its time zone)."""
    return (policy.effective_from, policy.effective_at) <= (day, local_time)


def past_cut_off(policy: Policy, local_time: str) -> bool:
    """Whether the policy's allocation cut-off has been reached today."""
    return policy.allocate_at != "off" and local_time >= policy.allocate_at


def _counterparties(state: State, draft: Draft, oms: str) -> Iterator[Problem]:
    """A known OMS, its own brokers, and ClOrdIDs that can be ClOrdIDs."""
    setup = state.omses.get(oms)
    if setup is None:
        wanted = f"OMS {oms!r} is not configured" if oms else f"name one of {', '.join(state.omses)}"
        yield Problem(0, "oms", "GW-610", wanted)
        return
    for broker in draft.brokers:
        if broker not in setup.brokers:
            yield Problem(0, "brokers", "GW-610", f"{broker!r} is not a broker of {oms}")
    for cl_ord_id in draft.cl_ord_ids:
        if not _ID.fullmatch(cl_ord_id):
            yield Problem(0, "cl_ord_ids", "GW-602", f"{cl_ord_id!r} cannot be a ClOrdID")


def _memo(policy: Policy, draft: Draft) -> Iterator[Problem]:
    """The order memorandum (17 CFR 275.204-2(a)(3)): required only when the policy says so."""
    if draft.discretionary.lower() not in _YES_NO:
        yield Problem(0, "discretionary", "GW-602", f"discretionary {draft.discretionary!r} is not yes or no")
    if policy.require_memo:
        for field in ("recommended_by", "placed_by", "discretionary"):
            if not getattr(draft, field):
                yield Problem(0, field, "GW-611", f"{field} is missing; policy {policy.policy_id} requires it")


def term_problems(policy: Policy, draft: Draft) -> Iterator[Problem]:
    """Method, basis, lot, minimum and ties: only the policy's own or one on its allowed list."""
    allowed = dict(policy.allowed)
    for field, own in freezing.own_terms(policy, draft).items():
        asked = getattr(draft, field)
        if asked and _canonical(asked) not in (own, *map(_canonical, allowed.get(field, ()))):
            yield Problem(0, field, "GW-608", f"{field} {asked} differs from policy {policy.policy_id}: {own}")


def _lines(state: State, draft: Draft, basis: str) -> Iterator[Problem]:
    """Accounts known, permitted and named once; quantities or weights plain and positive."""
    if not draft.lines:
        yield Problem(0, "lines", "GW-601", "the statement has no lines")
    if len(draft.lines) > MAX_LINES:
        yield Problem(0, "lines", "GW-602", f"more than {MAX_LINES} lines")
        return
    seen: dict[str, int] = {}
    minimums = _minimums(state, draft)
    for line in draft.lines:
        if line.account in seen:
            yield Problem(
                line.row,
                "account",
                "GW-605",
                f"account {line.account} is named twice, first in line {seen[line.account]}",
            )
        seen.setdefault(line.account, line.row)
        yield from _account(state, line, draft)
        yield from freezing.line_problems(line, basis)
        if line.min_quantity and plain_decimal(line.min_quantity) is None:
            yield Problem(
                line.row, "min_quantity", "GW-607", f"min_quantity {line.min_quantity} is not a plain number"
            )
        elif line.min_quantity and minimums is not None and _canonical(line.min_quantity) not in minimums:
            text = f"min_quantity {line.min_quantity} is neither the policy's nor on its allowed list"
            yield Problem(line.row, "min_quantity", "GW-608", text)


def _minimums(state: State, draft: Draft) -> frozenset[str] | None:
    """The minimums a line may name; None in journals of the first rules, which did not ask."""
    if state.setup.rules < 2:
        return None
    policy = state.setup.policy
    own = freezing.own_terms(policy, draft)["min_quantity"]
    return frozenset(("0", own, *map(_canonical, dict(policy.allowed).get("min_quantity", ()))))


def _account(state: State, line: DraftLine, draft: Draft) -> Iterator[Problem]:
    """The account is known, active and may take part in this statement."""
    several = len(draft.lines) > 1
    if not line.account:
        yield Problem(line.row, "account", "GW-601", "account is missing")
        return
    account = state.accounts.get(line.account)
    if account is None:
        yield Problem(line.row, "account", "GW-606", f"account {line.account!r} is not in the account file")
    elif account.status != ACTIVE:
        yield Problem(line.row, "account", "GW-606", f"account {line.account} is {account.status}")
    elif account.class_ == "error":
        yield Problem(line.row, "account", "GW-606", f"account {line.account} is the error account")
    elif several and not account.aggregation_permitted:
        yield Problem(line.row, "account", "GW-606", f"account {line.account} may not be aggregated")
    elif _YES_NO.get(draft.new_issue.lower()) == "yes":
        day = _date(draft.trade_date) or state.trade_date
        yield from freezing.new_issue_problems(line, account, day.isoformat())


def _total(draft: Draft, *, from_fix: bool, basis: str) -> Iterator[Problem]:
    """Quantities add up to the total; a FIX statement must carry it (53)."""
    if not draft.total:
        if from_fix:
            yield Problem(0, "total", "GW-601", "Quantity(53) is missing")
        return
    if not _positive(draft.total):
        yield Problem(0, "total", "GW-607", f"total {draft.total} is not a plain positive number")
        return
    if basis != Basis.QUANTITY:
        return
    quantities = [plain_decimal(line.quantity) for line in draft.lines]
    known = [q for q in quantities if q is not None]
    if len(known) == len(quantities) and exact_sum(known) != Decimal(draft.total):
        yield Problem(
            0, "total", "GW-604", f"the lines add up to {plain_text(exact_sum(known))}, the total is {draft.total}"
        )


def _positive(text: str) -> bool:
    value = plain_decimal(text)
    return value is not None and value > ZERO


def _number(text: str, default: Decimal) -> Decimal:
    return Decimal(text) if text else default


def _canonical(text: str) -> str:
    """Numbers without trailing zeros, words as they are."""
    value = plain_decimal(text)
    return text if value is None else plain_text(value)


def _date(text: str) -> date | None:
    """``2026-11-22`` or ``20261122`` (FIX LocalMktDate)."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
