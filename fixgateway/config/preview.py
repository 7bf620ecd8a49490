"""What a statement would give for any fill: the engine's own arithmetic, no gateway needed.

A statement is made of the draft as registration would make it (:mod:`..core.freezing`, rotation, holdings),
divided as completion would (:mod:`..core.targets`) and priced as an allocation would be (:mod:`..core.money`,
executed prices). What only a running gateway knows is told in ``notes``: its seed, turns, other sell statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeVar

from fixgateway.config.statements import Source
from fixgateway.core import audit, executed, freezing, holdings, money, rotation
from fixgateway.core.apportion import seed_commitment
from fixgateway.core.model import (
    RULES,
    ZERO,
    Account,
    Basis,
    BrokerSetup,
    Completion,
    Draft,
    Line,
    Method,
    Policy,
    Remainder,
    Rounding,
    Setup,
    Side,
    Statement,
    Ties,
    exact_sum,
    plain_decimal,
    plain_text,
)
from fixgateway.core.outputs import Allocation, Problem, Share, TraceLine
from fixgateway.core.pricing import average, written
from fixgateway.core.registry import term_problems
from fixgateway.core.state import State, StatementRecord
from fixgateway.core.targets import Target, target, terms
from fixgateway.core.words import sentence
from fixgateway.errors import StatementFileError, UsageError

NO_SEED = "00" * 32
"""Seed of a preview that names none; the gateway draws its own at registration."""
MAX_FILLS = 10_000
"""Most fills one preview takes."""

_EXACT = Context(prec=80)  # two plain numbers have 24 digits each

UNNAMED = Policy(
    policy_id="", version="", approved_by="", effective_from=date.min, method=Method.PRO_RATA, ties=Ties.SEEDED,
    remainder=Remainder.LARGEST_SHORTFALL, lot=Decimal(1), min_quantity=ZERO, completion=Completion.ORDERS,
    price_decimals=4, require_memo=False, timezone="America/New_York", allocate_at="off", affirm_at="off",
    text_sha256="",
)  # fmt: skip
"""Terms where no policy is named: the shipped policy's values, without its error account."""

Word = TypeVar("Word", bound=StrEnum)
Fills = tuple[tuple[Decimal, Decimal], ...]
"""Quantity and price."""


@dataclass(frozen=True, slots=True)
class Case:
    """A draft as the statement it would become, under the policy it would be registered with.

    ``notes`` say what a registration would do otherwise, or would refuse.
    """

    statement: Statement
    setup: Setup
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """A statement split for one fill; ``price`` as given, None when none was; ``allocation`` its money."""

    case: Case
    filled: Decimal
    price: Decimal | None
    target: Target
    allocation: Allocation | None
    notes: tuple[str, ...]
    waived: bool = False

    def document(self) -> dict[str, Any]:
        """The preview as one JSON document; quantities and prices are text."""
        statement = self.case.statement
        seeded = statement.ties is Ties.SEEDED or statement.rounding is Rounding.CUMULATIVE
        shares: dict[str, list[Share]] = {}
        for share in self.allocation.shares if self.allocation else ():
            shares.setdefault(share.account, []).append(share)
        weights = {} if statement.basis is Basis.QUANTITY else {x.account: x.weight for x in statement.lines}
        return {
            "filled": plain_text(self.filled),
            **({} if self.price is None else {"price": plain_text(self.price)}),
            "lines": [
                self._line(line, weights.get(line.account), shares.get(line.account, []))
                for line in self.target.lines
            ],
            "unallocated": plain_text(self.target.unallocated),
            "total": plain_text(statement.total),
            "method": str(statement.method),
            "basis": str(statement.basis),
            "rounding": str(statement.rounding),
            "lot": plain_text(statement.lot),
            "min_quantity": plain_text(statement.min_quantity),
            "ties": str(statement.ties),
            "remainder": str(statement.remainder),
            "seed": statement.seed if seeded else "",
            **self._money(),
            "notes": list(self.notes),
        }

    def _money(self) -> dict[str, str]:
        found = self.allocation
        if found is None or found.gross is None:
            return {}
        amounts = {"gross": found.gross, "fills_money": found.fills_money, "residual_cash": found.residual_cash}
        texts = {name: plain_text(amount) for name, amount in amounts.items() if amount is not None}
        return {"avg_px": found.avg_px, **texts, "residual_to": found.residual_to}

    def _line(self, line: TraceLine, weight: Decimal | None, shares: Sequence[Share]) -> dict[str, Any]:
        document: dict[str, Any] = {
            "account": line.account,
            "intent": plain_text(line.intent),
            "quantity": plain_text(line.quantity),
            "exact": line.exact,
            "rule": line.rule,
            "floor": plain_text(line.floor),
            "award": plain_text(line.award),
            "why": sentence(line, self.case.statement.lot),
        }
        if weight is not None:
            document["weight"] = plain_text(weight)
        if line.place:
            document["place"] = line.place
        if line.cap is not None:
            document["cap"] = plain_text(line.cap)
        if self.price is not None:
            document["amount"] = plain_text(_EXACT.multiply(line.quantity, self.price))
        return document | _share_document(shares)


def _share_document(shares: Sequence[Share]) -> dict[str, Any]:
    """The money of one account, and its pieces at executed prices."""
    if not shares:
        return {}
    (whole,) = executed.by_account(shares).values()
    document: dict[str, Any] = {"avg_px": whole.avg_px}
    if whole.gross is not None and whole.residual is not None:
        document |= {"gross": plain_text(whole.gross), "residual": plain_text(whole.residual)}
    if shares[0].price:
        document["pieces"] = [{"quantity": plain_text(x.quantity), "price": x.price} for x in shares]
    return document


def preview(
    source: Source,
    filled: str,
    price: str = "",
    policy: Policy | None = None,
    *,
    fills: Sequence[str] = (),
    setup: Setup | None = None,
) -> Preview:
    """Split ``source`` for a total fill of ``filled`` at average ``price`` ("" for none).

    Terms the statement does not name come from ``policy``, else from the policy of ``setup``; without both from
    the shipped policy's values (lot 1, minimum 0, seeded ties, largest shortfall).

    Args:
        fills: ``QTY@PRICE`` each, instead of ``price``; ``filled`` may then be "" and is their sum.
        setup: accounts and holdings of a gateway: classes decide tiers and who bears residual cash.

    Raises:
        StatementFileError: when the statement cannot be split; names line and field.
        UsageError: when ``filled``, ``price`` or a fill is not a plain number, or they do not agree.
    """
    with localcontext(_EXACT):
        pieces, quantity, at = _asked(filled, price, fills)
        made = case(source, policy, setup)
        return split(made, quantity, at, pieces)


def _asked(filled: str, price: str, fills: Sequence[str]) -> tuple[Fills, Decimal, Decimal | None]:
    """The fills, the quantity filled and the price, as numbers that agree."""
    if len(fills) > MAX_FILLS:
        raise UsageError(f"more than {MAX_FILLS} fills (name fewer)")
    pieces = tuple(_fill(text) for text in fills)
    if not pieces:
        return (), _usage_number(filled, "filled"), _usage_number(price, "price") if price else None
    if price:
        raise UsageError("price: fills name their own prices (leave --price out)")
    total = exact_sum(quantity for quantity, _ in pieces)
    if filled and _usage_number(filled, "filled") != total:
        raise UsageError(f"filled: {filled}, but the fills add up to {plain_text(total)} (leave --filled out)")
    return pieces, total, None


def _fill(text: str) -> tuple[Decimal, Decimal]:
    quantity, at, price = text.partition("@")
    if not at:
        raise UsageError(f'fill: "{text[:60]}" is not QTY@PRICE (write for example 4000@100.25)')
    size = _usage_number(quantity.strip(), "fill")
    if not size:
        raise UsageError(f'fill: "{text[:60]}" fills nothing (leave it out)')
    return size, _usage_number(price.strip(), "fill")


# ---------------------------------------------------------------- the draft as a statement


def case(source: Source, policy: Policy | None = None, setup: Setup | None = None) -> Case:
    """The statement ``source`` would become; raises StatementFileError when it is none that can be split."""
    draft = source.draft
    rules = policy or (setup.policy if setup else UNNAMED)
    _words(draft)
    if setup is None:
        named = tuple(_stand_in(line.account) for line in draft.lines)
        setup = Setup("", rules, named, (), (), rules=RULES, money=True)
    else:
        setup = replace(setup, policy=rules, rules=RULES, money=True)
    own = freezing.agreed(rules, draft)
    if own.lot <= ZERO:
        raise StatementFileError(f"lot: {plain_text(own.lot)} is not positive (write a number above zero)")
    _check(draft, own, rules)
    known = {account.account: account for account in setup.accounts}
    notes = [
        f"{line.account} is not in the account file: registration refuses it"
        for line in draft.lines
        if line.account not in known
    ]
    accounts = {line.account: known.get(line.account) or _stand_in(line.account) for line in draft.lines}
    if own.method is Method.CLIENT_PRIORITY and all(not account.class_ for account in accounts.values()):
        text = "method: client-priority needs the accounts' classes (name a gateway.toml with -c)"
        raise StatementFileError(text)
    if rules is not UNNAMED:
        notes += (f"{problem.text}: registration refuses it" for problem in term_problems(rules, draft))
    if own.method is Method.CLIENT_PRIORITY and not rules.tiers:
        notes.append("the policy names no tiers: all accounts are served together")
    state = _state(setup)
    turns = None
    if rotation.applies(own.method, own.ties, own.remainder):
        turns = rotation.turns(state, rules.policy_id, list(accounts))
        notes.append("turns are taken from the account ids; a gateway keeps a queue of its own")
    seed = source.seed or NO_SEED
    if not source.seed and own.ties is Ties.SEEDED:
        notes.append("seed 00…: the gateway draws its own at registration, and equal fractions may fall otherwise")
    total = Decimal(draft.total) if draft.total else ZERO
    given: dict[str, Any] = {"seed": seed, "ts_ns": 1, "total": total, "money": True, "turns": turns}
    lines = _taken(freezing.frozen_lines(rules, draft, own, accounts, **given))
    side = Side(draft.side) if draft.side else Side.BUY
    if rules.sellable and setup.holdings:
        lines = _taken(holdings.frozen(state, rules, draft, side, lines))
        notes.append("holdings are the file's; what other sell statements take is not known here")
    return Case(_statement(draft, own, rules, lines, side, seed), setup, tuple(notes))


def _stand_in(account: str) -> Account:
    """An account nothing is known of."""
    return Account(account, "", "", "", "", "active")


def _state(setup: Setup) -> State:
    """An engine's memory that knows the configuration and nothing else."""
    state = State(setup)
    state.accounts = {account.account: account for account in setup.accounts}
    holdings.adopt(state)
    return state


def _taken(lines: Sequence[Line] | Sequence[Problem]) -> tuple[Line, ...]:
    for line in lines:
        if isinstance(line, Problem):
            raise StatementFileError(_problem(line))
    return tuple(line for line in lines if isinstance(line, Line))


def _problem(problem: Problem) -> str:
    where = f"line {problem.row}, " if problem.row else ""
    return f"{where}{problem.field}: {problem.text}"


def _statement(
    draft: Draft, terms: freezing.Agreed, policy: Policy, lines: tuple[Line, ...], side: Side, seed: str
) -> Statement:
    return Statement(
        statement_id=draft.statement_id,
        version=1,
        oms="",
        trade_date=date.min,
        symbol=draft.symbol,
        security_id=draft.security_id,
        id_source=draft.id_source,
        side=side,
        total=exact_sum(line.quantity for line in lines),
        lines=lines,
        method=terms.method,
        lot=terms.lot,
        min_quantity=terms.min_quantity,
        ties=terms.ties,
        remainder=terms.remainder,
        policy_id=policy.policy_id,
        policy_version=policy.version,
        cl_ord_ids=(),
        brokers=(),
        recommended_by="",
        placed_by="",
        discretionary="",
        rationale="",
        memo_complete=False,
        door="preview",
        actor="",
        registered_seq=0,
        registered_ns=0,
        seed=seed,
        seed_commitment=seed_commitment(seed),
        basis=terms.basis,
        rounding=terms.rounding,
        reference_price=terms.reference_price,
        justification=draft.justification.strip(),
    )


# ---------------------------------------------------------------- the division


def split(made: Case, quantity: Decimal, price: Decimal | None = None, fills: Fills = ()) -> Preview:
    """Divide ``quantity`` and price it; ``fills`` for the methods that hand out the fills themselves."""
    statement, notes = made.statement, list(made.notes)
    if statement.method is Method.RELEASE_ROTATION:
        statement = replace(statement, method=Method.ROTATION)
        notes.append("release-rotation: every account has its own orders; shown are fills in order of turn")
    state = _state(made.setup)
    found = target(state, StatementRecord(statement, filled=quantity), quantity)
    waived = found.waits
    if waived:
        notes.append("every share is below its minimum: the gateway waits for more fills; shown is the cut-off's")
        found = target(state, StatementRecord(statement, filled=quantity, waived=True), quantity)
    notes += found.notes
    if found.unallocated:
        notes.append("more was filled than the accounts may have; it stays unallocated and an exception is opened")
    if price is not None and not fills and statement.method in executed.METHODS:
        notes.append(f"{statement.method} hands out the fills themselves: name them with --fill for its pieces")
    pairs = fills or (((quantity, price),) if price is not None and quantity else ())
    allocation = _priced(made.setup.policy, statement, found, pairs) if pairs else None
    return Preview(made, quantity, price, found, allocation, tuple(notes), waived)


def _priced(policy: Policy, statement: Statement, found: Target, fills: Fills) -> Allocation | None:
    """One broker's allocation of the shares at the fills' average, or at their own prices."""
    given: Mapping[str, Decimal] = {account: share for account, share in found.shares.items() if share}
    if not given:
        return None
    price: Fraction = average(fills)
    decimals, rounding = policy.price_decimals, policy.price_rounding
    if statement.method in executed.METHODS:
        writing = executed.Writing(decimals, rounding)
        shares, price = executed.entries(given, [(at, size) for size, at in fills], statement.method, writing)
    else:
        avg_px = written(price, decimals, rounding)
        shares = tuple(Share(account, share, avg_px) for account, share in given.items())
    allocation = Allocation(
        alloc_id="", trans_type="0", ref_alloc_id="", replace_reason="", alloc_type="1",
        statement_id=statement.statement_id, broker="", oms="", trade_date=statement.trade_date,
        symbol=statement.symbol, security_id=statement.security_id, id_source=statement.id_source,
        side=statement.side, quantity=exact_sum(given.values()), avg_px=written(price, decimals, rounding),
        price_decimals=decimals, orders=(), shares=shares,
    )  # fmt: skip
    return money.priced(allocation, policy, BrokerSetup("preview"), statement, price)


# ---------------------------------------------------------------- a proposed allocation


def breaches(
    source: Source, proposed: Mapping[str, Decimal], filled: str, policy: Policy | None, setup: Setup | None
) -> dict[str, Any]:
    """What is wrong with a proposed allocation of ``filled``: the document of ``fixgateway audit``.

    Raises:
        StatementFileError, UsageError: as :func:`preview`.
    """
    quantity = _usage_number(filled, "filled")
    with localcontext(_EXACT):
        made = case(source, policy, setup)
        own = split(made, quantity)
        asked = replace(terms(made.statement), ignore_minimum=own.waived)
        found = audit.breaches(made.statement.lines, quantity, asked, proposed)
    rows = [{"account": x.account, "rule": x.rule, "by": plain_text(x.by), "text": x.text} for x in found]
    return {
        "statement_id": made.statement.statement_id,
        "filled": plain_text(quantity),
        "breaches": rows,
        "notes": list(own.notes),
    }


# ---------------------------------------------------------------- checks


def _words(draft: Draft) -> None:
    """Every word one of the known ones, every number a number; else StatementFileError."""
    _word(Method, draft.method, "method")
    _word(Basis, draft.basis, "basis")
    _word(Ties, draft.ties, "ties")
    _word(Side, draft.side, "side")
    for field in ("lot", "min_quantity", "reference_price", "total"):
        if getattr(draft, field):
            _number(getattr(draft, field), field)


def _check(draft: Draft, terms: freezing.Agreed, policy: Policy) -> None:
    """What cannot be divided: lines without account or quantity, weights without a total, a sum that is none."""
    if not draft.lines:
        raise StatementFileError("lines: empty (write one line for every account)")
    for line in draft.lines:
        where = f"line {line.row}, "
        if not line.account:
            raise StatementFileError(f"{where}account: missing (name the account)")
        if terms.basis is Basis.QUANTITY and _number(line.quantity, f"{where}quantity") <= ZERO:
            raise StatementFileError(f"{where}quantity: {line.quantity} is not positive (write more than zero)")
        if line.min_quantity:
            _number(line.min_quantity, f"{where}min_quantity")
        for problem in freezing.line_problems(line, terms.basis):
            raise StatementFileError(_problem(problem))
    doubled = [account for account, times in Counter(line.account for line in draft.lines).items() if times > 1]
    if doubled:
        raise StatementFileError(f"account: {doubled[0]} is named twice (name every account once)")
    if terms.basis is Basis.QUANTITY and draft.total:
        total = exact_sum(Decimal(line.quantity) for line in draft.lines)
        if _number(draft.total, "total") != total:
            raise StatementFileError(
                f"total: {draft.total}, but the lines add up to {plain_text(total)} (correct a line or the total)"
            )
    problems = [
        *freezing.basis_problems(draft, terms.basis, terms.lot),
        *freezing.value_problems(policy, draft),
        *freezing.queue_problems(draft, terms.method, "http", 1 << 63),
    ]
    if problems:
        raise StatementFileError(_problem(problems[0]))


def _number(text: str, where: str) -> Decimal:
    value = plain_decimal(text)
    if value is None:
        raise StatementFileError(
            f'{where}: "{text[:40]}" is not a plain number (write digits with at most one point)'
        )
    return value


def _usage_number(text: str, what: str) -> Decimal:
    value = plain_decimal(text)
    if value is None:
        raise UsageError(f'{what}: "{text[:40]}" is not a plain number (write digits with at most one point)')
    return value


def _word(words: type[Word], text: str, field: str) -> None:
    """Refuse a text that is none of the words."""
    if text and text not in list(words):
        raise StatementFileError(f'{field}: "{text[:40]}" is unknown (write one of {", ".join(words)})')
