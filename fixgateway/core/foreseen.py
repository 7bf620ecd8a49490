"""What an exception would do, before anybody asks for it: refused with the reason, or account by account.

The same function answers the page that shows a request while it is written, the request itself, and, once more, its
approval: between the two everything may have changed.

| kind | what it may do | total |
|---|---|---|
| deviation | other shares for the statement's own accounts, none above its intent | what they share now |
| re-designation | quantity to any active account, the error account too (FINRA 4515) | everything filled |
| statement-change | other intents after the first order, before completion | at most the statement's |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import booking, freezing, held, holdings, overrides, own_orders, rotation
from fixgateway.core.codes import DEVIATION, KINDS, RE_DESIGNATION, STATEMENT_CHANGE
from fixgateway.core.desk_facts import ExceptionLine
from fixgateway.core.instructions import Part, average_of, orders_of
from fixgateway.core.model import (
    EXACT,
    MAX_LINES,
    ZERO,
    Basis,
    DraftLine,
    Line,
    Method,
    Rounding,
    Side,
    Statement,
    exact_sum,
    plain_decimal,
    plain_text,
)
from fixgateway.core.outputs import Allocation
from fixgateway.core.pricing import rounded, written
from fixgateway.core.quota import STEPS_MAX
from fixgateway.core.reasons import Refusal, refuse
from fixgateway.core.state import ACTIVE, State, StatementRecord, policy_of
from fixgateway.core.targets import Target, computed, target

LAST_FILL = "last fill"
"""The source of a mark that is only the newest fill's price."""
CLOSES = frozenset(("complete", "cut-off", "closed"))
"""Ways a statement ends with an allocation."""
_GROWING = frozenset((Method.PRO_RATA, Method.HIGH_LOW, Method.MIN_DISPERSION))
"""Methods that read nothing of a line but its quantity: an account may be added."""


class Cannot(Exception):
    """A request that cannot be; ``refusal`` says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.refusal = refuse(code, text)


@dataclass(frozen=True, slots=True)
class Seen:
    """An exception as it would be: every account of it, and the price it is valued at.

    ``asked`` is quantity by account as asked for, ``given`` what is to be put in force. ``mark``, ``mark_source`` and
    ``mark_ns`` are what the benefits are computed with, "" and 0 without one. ``statement`` is the changed one of a
    statement change.
    """

    lines: tuple[ExceptionLine, ...]
    asked: Mapping[str, Decimal]
    given: Mapping[str, Decimal]
    avg_px: str
    mark: str
    mark_source: str
    mark_ns: int
    alloc_ids: tuple[str, ...]
    statement: Statement | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a kind of exception comes to: what stands, what would, and both as shares of what is filled.

    ``shown`` are before and after as people see them; ``moved`` is what an account gets more of what is filled.
    """

    given: Mapping[str, Decimal]
    before: Mapping[str, Decimal]
    after: Mapping[str, Decimal]
    computed: Mapping[str, Decimal]
    moved: Mapping[str, Decimal]
    statement: Statement | None = None


def foreseen(
    state: State, kind: str, statement_id: str, written_lines: Sequence[tuple[str, str]], ts_ns: int = 0
) -> Seen | Refusal:
    """What an exception would do, or why it cannot be asked for.

    Args:
        kind: one of :data:`.codes.KINDS`. written_lines: account and quantity as they shall be, as written.
        ts_ns: clock reading (UTC nanoseconds); receipt time of a line that asks for more (price-time).
    """
    try:
        record = _record(state, kind, statement_id)
        given = _numbers(state, record, written_lines)
        plan = _PLANS[kind](state, record, given, ts_ns)
        _own_check(state, record, kind, plan)
    except Cannot as cannot:
        return cannot.refusal
    if plan.after == plan.before:
        return refuse("GW-910", f"statement {statement_id} stands like this already; nothing would change")
    return _seen(state, record, plan, given)


# ---------------------------------------------------------------- the statement


def _record(state: State, kind: str, statement_id: str) -> StatementRecord:
    """The statement, when an exception of this kind can be asked for it at all."""
    record = state.statements.get(statement_id)
    if kind not in KINDS:
        raise Cannot("GW-907", f"{kind!r} is not one of {', '.join(KINDS)}")
    if record is None or record.status not in (ACTIVE, *CLOSES):
        raise Cannot("GW-907", f"statement {statement_id} does not exist or was {record.status if record else 'never'}")
    why = next(_obstacles(state, record, kind), "")
    if why:
        raise Cannot("GW-907", f"statement {statement_id} {why}")
    return record


def _obstacles(state: State, record: StatementRecord, kind: str) -> Iterator[str]:
    """Why no exception of this kind can work for a statement."""
    statement = record.statement
    if not record.orders:
        yield "has no order yet: replace it with a statement that says what is wanted"
    if own_orders.applies(statement, state.setup.rules):
        yield "is a release rotation: every account keeps the fills of its own orders"
    if booking.applies(state, record):
        yield f"is booked in parts (interim = {policy_of(state, statement).interim}), which no exception may undo"
    if own := overrides.shifts_prices(state, record):
        yield f"gives every account fills of its own ({statement.method}): {own} would get others"
    if record.status != ACTIVE and not record.filled:
        yield "has no fills to divide"
    if record.status == ACTIVE and record.first:
        yield "has turns, which the computed division decides: ask when it is allocated"
    if kind == STATEMENT_CHANGE and record.status != ACTIVE:
        yield f"is over ({record.status}): ask for a deviation"
    if kind == STATEMENT_CHANGE and statement.rounding is Rounding.CARRY_FORWARD:
        yield "carries roundings over to later statements, which count on its lines"
    keeping = [x.broker for x in standing(record) if not state.brokers[x.broker].setup.replace_accepted]
    if keeping and kind != STATEMENT_CHANGE:
        yield f"was allocated to {keeping[0]}, which takes no replacement of what it accepted"


def standing(record: StatementRecord) -> list[Allocation]:
    """What brokers have of a statement."""
    return [*record.sent.values(), *(sent for part in record.bookings for sent in part.sent.values())]


# ---------------------------------------------------------------- the quantities


def _numbers(
    state: State, record: StatementRecord, lines: Sequence[tuple[str, str]]
) -> dict[str, Decimal]:
    """Quantity by account as asked for; every account known and named once, no finer than what is traded."""
    if len(lines) > MAX_LINES:
        raise Cannot("GW-910", f"more than {MAX_LINES} lines")
    statement = record.statement
    known = (record.filled, statement.total, statement.lot, *(line.quantity for line in statement.lines))
    places = max(_places(value) for value in known)
    given: dict[str, Decimal] = {}
    for account, text in lines:
        quantity = plain_decimal(text)
        if quantity is None:
            raise Cannot("GW-910", f"{account}: {text or '(missing)'} is not a plain number")
        if account in given:
            raise Cannot("GW-910", f"{account} is named twice")
        if account not in state.accounts:
            raise Cannot("GW-910", f"account {account!r} is not in the account file")
        if _places(Decimal(plain_text(quantity))) > places:
            raise Cannot("GW-910", f"{account}: {text} is finer than anything of statement {statement.statement_id}")
        given[account] = quantity
    return given


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -min(0, exponent) if isinstance(exponent, int) else 0


def _total(state: State, record: StatementRecord, given: Mapping[str, Decimal]) -> Decimal:
    """What a division speaks of: everything filled; of an open statement what it says itself, not less."""
    if record.status != ACTIVE:
        return record.filled
    asked = exact_sum(given.values())
    if not record.filled <= asked <= record.reach:
        least, most = plain_text(record.filled), plain_text(record.reach)
        raise Cannot("GW-910", f"the lines add up to {plain_text(asked)}; between {least} and {most} may be filled")
    return asked


def _statement_accounts(record: StatementRecord) -> dict[str, Line]:
    return {line.account: line for line in record.statement.lines}


def _deviation(state: State, record: StatementRecord, given: Mapping[str, Decimal], _ts_ns: int) -> _Plan:
    """Other shares for the accounts of the statement; what an overfill left to others stays with them."""
    total = _total(state, record, given)
    own = _statement_accounts(record)
    for account, quantity in given.items():
        line = own.get(account)
        if line is None:
            raise Cannot("GW-910", f"{account} is not in the statement; ask for a re-designation")
        if quantity > record.most(line) and not overrides.is_own(state, account, _since(record)):
            most = plain_text(record.most(line))
            raise Cannot("GW-910", f"{account}: {plain_text(quantity)} exceeds its intent, of which it may have {most}")
    found = computed(state, record, total)
    others = {line.account: line.quantity for line in found.lines if line.account not in own}
    all_given = {**dict.fromkeys(own, ZERO), **given, **others}
    _adds_up(all_given, exact_sum(found.shares.values()))
    return _plan(state, record, all_given, total, found)


def _re_designation(state: State, record: StatementRecord, given: Mapping[str, Decimal], _ts_ns: int) -> _Plan:
    """Quantity to any active account that may have it; what nobody may have now may find somebody."""
    total = _total(state, record, given)
    found = computed(state, record, total)
    all_given = {**dict.fromkeys(found.shares, ZERO), **given}
    _adds_up(all_given, exact_sum(found.shares.values()), total)
    plan = _plan(state, record, all_given, total, found)
    own = _statement_accounts(record)
    for account, quantity in plan.after.items():
        if quantity > plan.before.get(account, ZERO):
            _may_receive(state, record, account, quantity, own.get(account))
    return plan


def _adds_up(given: Mapping[str, Decimal], *sums: Decimal) -> None:
    total = exact_sum(given.values())
    if total not in sums:
        wanted = " or ".join(plain_text(x) for x in dict.fromkeys(sums))
        raise Cannot("GW-910", f"the lines add up to {plain_text(total)}, not to the {wanted} to divide")


def _plan(
    state: State, record: StatementRecord, given: Mapping[str, Decimal], total: Decimal, found: Target
) -> _Plan:
    before = target(state, record, total).shares
    accounts = dict.fromkeys((*before, *given))
    after = {account: given.get(account, ZERO) for account in accounts}
    before = {account: before.get(account, ZERO) for account in accounts}
    for account, quantity in after.items():
        if quantity > before[account] and state.accounts[account].status != ACTIVE:
            raise Cannot("GW-910", f"account {account} is {state.accounts[account].status} and cannot receive more")
    moved = {account: EXACT.subtract(after[account], before[account]) for account in accounts}
    return _Plan(given, before, after, found.shares, moved)


def _may_receive(
    state: State, record: StatementRecord, account: str, quantity: Decimal, line: Line | None
) -> None:
    """An account that gets more by a re-designation than it has: may it?"""
    statement, known = record.statement, state.accounts[account]
    if known.class_ == "error":
        return
    if line is None and not known.aggregation_permitted:
        raise Cannot("GW-910", f"account {account} may not be aggregated with others")
    if statement.new_issue:
        draft = DraftLine(0, account, plain_text(quantity))
        for problem in freezing.new_issue_problems(draft, known, statement.trade_date.isoformat()):
            raise Cannot("GW-910", problem.text)
    if statement.side is Side.SELL and policy_of(state, statement).sellable:
        free = holdings.sellable(state, statement.symbol, [account], statement.statement_id)[account]
        if quantity > free:
            raise Cannot("GW-910", f"account {account} may sell {plain_text(free)} {statement.symbol} only")


# ---------------------------------------------------------------- a changed statement


def _change(state: State, record: StatementRecord, given: Mapping[str, Decimal], ts_ns: int) -> _Plan:
    """Other intents: the statement's next version, what it would give of the fill, and what the present one gives."""
    statement = _changed(state, record, {name: q for name, q in given.items() if q}, ts_ns)
    changed = replace(record, statement=statement, original=record.original or record.statement)
    own = {name for name in (x.account for x in statement.lines) if overrides.is_own(state, name, _since(record))}
    fraction = {line.account: _part(line, record.statement) for line in record.statement.lines}
    bounded = {line.account: line for line in computed(state, changed, statement.total).lines}
    for line in statement.lines:
        if line.account not in own:
            continue
        if _part(line, statement) > fraction.get(line.account, 0):
            raise Cannot("GW-911", f"{line.account} would have a larger part of the statement than it has")
        most = bounded[line.account].quantity
        if line.quantity > most:
            words = f"{plain_text(line.quantity)}, and the statement as registered gives it {plain_text(most)}"
            raise Cannot("GW-911", f"{line.account} would have {words} of {plain_text(statement.total)}")
    before, after = _intents(record.statement), _intents(statement)
    accounts = dict.fromkeys((*before, *after))
    now, then = target(state, record, record.filled).shares, computed(state, changed, record.filled).shares
    return _Plan(
        given=after,
        before={account: before.get(account, ZERO) for account in accounts},
        after={account: after.get(account, ZERO) for account in accounts},
        computed={account: before.get(account, ZERO) for account in accounts},
        moved={name: EXACT.subtract(then.get(name, ZERO), now.get(name, ZERO)) for name in accounts},
        statement=statement,
    )


def _since(record: StatementRecord) -> int:
    return (record.original or record.statement).registered_seq


def _part(line: Line, statement: Statement) -> Fraction:
    return Fraction(line.quantity) / Fraction(statement.total)


def _intents(statement: Statement) -> dict[str, Decimal]:
    return {line.account: line.quantity for line in statement.lines}


def _changed(state: State, record: StatementRecord, given: Mapping[str, Decimal], ts_ns: int) -> Statement:
    """The statement with other intents, as its next version; accounts stay in their order, new ones come last."""
    statement = record.statement
    total = exact_sum(given.values())
    if not given or not record.committed <= total <= statement.total:
        least, most = plain_text(record.committed), plain_text(statement.total)
        words = f"the intents add up to {plain_text(total)}; {least} is committed to orders, {most} is the statement's"
        raise Cannot("GW-910", f"{words}: for more register another one")
    known = _statement_accounts(record)
    lines = [_line(record, line, given[line.account], ts_ns) for line in statement.lines if line.account in given]
    for account, quantity in given.items():
        before = known[account].quantity if account in known else ZERO
        if quantity > before and state.accounts[account].status != ACTIVE:
            raise Cannot("GW-910", f"account {account} is {state.accounts[account].status} and cannot receive more")
        if account not in known:
            lines.append(_new_line(state, record, account, quantity))
    if statement.rounding is Rounding.QUOTA and Fraction(total) // min(map(Fraction, given.values())) >= STEPS_MAX:
        raise Cannot("GW-910", "the intents are too unequal for the quota method")
    return replace(
        statement, version=statement.version + 1, total=total, lines=tuple(lines), basis=Basis.QUANTITY
    )


def _line(record: StatementRecord, line: Line, quantity: Decimal, ts_ns: int) -> Line:
    """A line with another intent; who asks for more stands behind those who were there before (price-time)."""
    if line.cap is not None and quantity > line.cap:
        raise Cannot("GW-910", f"{line.account}: {plain_text(quantity)} exceeds its holding of {plain_text(line.cap)}")
    received = ts_ns if line.received_ns and quantity > line.quantity else line.received_ns
    return replace(line, quantity=quantity, weight=ZERO, received_ns=received)


def _new_line(state: State, record: StatementRecord, account: str, quantity: Decimal) -> Line:
    statement, known = record.statement, state.accounts[account]
    if statement.method not in _GROWING or rotation.applies(statement.method, statement.ties, statement.remainder):
        raise Cannot("GW-910", f"{account} is not in the statement, whose lines have places ({statement.method})")
    if known.class_ == "error" or overrides.is_own(state, account, _since(record)):
        raise Cannot("GW-911", f"{account} is no client account and was not in the statement")
    _may_receive(state, record, account, quantity, None)
    able = not state.setup.money or known.class_ not in freezing.NO_RESIDUAL
    return Line(account, quantity, min_quantity=statement.min_quantity, residual=able)


# ---------------------------------------------------------------- the rule nothing sets aside


def _own_check(state: State, record: StatementRecord, kind: str, plan: _Plan) -> None:
    if kind == STATEMENT_CHANGE:
        return  # its own check is in _change: intents, not shares
    above = overrides.own_above(state, record, plan.after, plan.computed)
    if above:
        name = above[0]
        has, may = plain_text(plan.after[name]), plain_text(plan.computed.get(name, ZERO))
        class_ = state.accounts[name].class_
        words = f"{name} ({class_}) would have {has}, and its computed share is {may}"
        raise Cannot("GW-911", f"{words}; no exception may give it more")


# ---------------------------------------------------------------- who gains


def _seen(state: State, record: StatementRecord, plan: _Plan, asked: Mapping[str, Decimal]) -> Seen:
    statement, policy = record.statement, policy_of(state, record.statement)
    average = _average(state, record)
    mark, source, mark_ns = current_mark(state, record)
    intents = {line.account: line.quantity for line in statement.lines}

    def benefit(account: str) -> Decimal | None:
        if mark is None or average is None:
            return None
        gain = (Fraction(mark) - average) * Fraction(plan.moved.get(account, ZERO))
        gain = gain if statement.side is Side.BUY else -gain
        units = rounded(abs(gain), policy.money_decimals)
        money = Decimal(units).scaleb(-policy.money_decimals, EXACT)
        return money if gain >= 0 or not units else EXACT.minus(money)

    return Seen(
        lines=tuple(
            ExceptionLine(
                account, state.accounts[account].class_ if account in state.accounts else "",
                intents.get(account, ZERO), plan.before[account], after, benefit(account),
                plan.computed.get(account, ZERO),
            )
            for account, after in plan.after.items()
        ),
        asked=asked,
        given=plan.given,
        avg_px="" if average is None else written(average, policy.price_decimals, policy.price_rounding),
        mark="" if mark is None else plain_text(mark),
        mark_source=source,
        mark_ns=mark_ns,
        alloc_ids=tuple(x.alloc_id for x in standing(record)),
        statement=plan.statement,
    )  # fmt: skip


def _average(state: State, record: StatementRecord) -> Fraction | None:
    """What the fills cost on average; the day's price where the policy asks for it; None without fills."""
    orders = orders_of(state, record)
    if not record.filled:
        return None
    day_price = held.price(state, record.statement, record.statement.trade_date)
    return average_of([Part(order, order.cum_qty, order.paid) for order in orders]) if day_price is None else day_price


def current_mark(state: State, record: StatementRecord) -> tuple[Decimal | None, str, int]:
    """The latest mark of the security, else its newest fill's price: price, source, time (UTC ns, 0 unknown)."""
    mark = state.marks.get(record.statement.symbol)
    if mark is not None:
        return mark.price, mark.source, mark.as_of_ns
    for order in reversed(orders_of(state, record)):
        prices: Iterable[Decimal] = [fill.price for fill in order.fills.values()]
        for price in reversed(list(prices)):
            return price, LAST_FILL, 0
    return None, "", 0


_PLANS: dict[str, Callable[[State, StatementRecord, Mapping[str, Decimal], int], _Plan]] = {
    DEVIATION: _deviation,
    RE_DESIGNATION: _re_designation,
    STATEMENT_CHANGE: _change,
}
