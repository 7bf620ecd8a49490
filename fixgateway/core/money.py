"""Money of an allocation: gross, commission, fees, net and the cents that rounding leaves.

Theory of operation. The shares are decided before any money is; nothing here changes a quantity. All amounts are
integers of the policy's minor unit (``money_decimals``) until they are written.

    gross          quantity x price written, rounded half up: what a broker computes too (153 or 366; Σ is 381)
    fills_money    what the fills booked cost, exact, rounded once
    residual_cash  what the accounts should pay together at the exact price, minus Σ gross
    averaging_cash what a day average moves between this allocation and the day's others

so that Σ gross + residual_cash + averaging_cash = fills_money, to the unit (property P12). The residual is spread
by largest remainder over the lines registration froze as able to bear it (``Line.residual``: never proprietary nor
employee accounts), so that each pays its exact part to the unit; or the error account bears it.

Commission and fees are computed for the block from the broker's profile and split pro rata by largest remainder,
ties in the statement's tie order. Net money(154) is gross plus (buy) or minus (sell) both (FIX 4.4 vol. 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.apportion import tie_rank
from fixgateway.core.exceptions import exception
from fixgateway.core.model import (
    EXACT,
    ZERO,
    BrokerSetup,
    CommType,
    FeeBasis,
    FeeTerms,
    Policy,
    ResidualCash,
    Side,
    Statement,
    exact_sum,
    plain_text,
)
from fixgateway.core.outputs import (
    Allocation,
    Charge,
    Output,
    Share,
    StatementAllocated,
)
from fixgateway.core.pricing import rounded

ACCOUNTS = "accounts"
"""``Allocation.residual_to`` when the accounts that may bear residual cash do."""


def split(units: int, weights: Sequence[int], rank: Sequence[int]) -> list[int]:
    """Divide ``units``, of either sign, by ``weights`` by largest remainder; equal parts where all weights are 0.

    Every result is the floor or the ceiling of its exact part and their sum is ``units``.

    Args:
        units: minor units of money.
        weights: one integer for each receiver, at least one.
        rank: who comes first when remainders are equal, lower first; then the place in the list.
    """
    total = sum(weights)
    if not total:
        weights, total = [1] * len(weights), len(weights)
    sign = -1 if total < 0 else 1
    exact = [divmod(sign * units * weight, sign * total) for weight in weights]
    given = [floor for floor, _ in exact]
    for i in sorted(range(len(exact)), key=lambda i: (-exact[i][1], rank[i]))[: units - sum(given)]:
        given[i] += 1
    return given


@dataclass(frozen=True, slots=True)
class _Entries:
    """The shares of one allocation as integers.

    ``exact`` is quantity times price written, unrounded; ``gross`` is it in minor units; ``rank`` the tie order.
    """

    shares: tuple[Share, ...]
    quantities: list[int]
    exact: list[int]
    gross: list[int]
    rank: list[int]
    decimals: int

    def money(self, units: int) -> Decimal:
        """Minor units as an amount."""
        return Decimal(units).scaleb(-self.decimals, EXACT)


def priced(
    allocation: Allocation,
    policy: Policy,
    broker: BrokerSetup,
    statement: Statement,
    price: Fraction,
    own: Fraction | None = None,
) -> Allocation:
    """``allocation`` with its money; without shares (71=2) as it is.

    Args:
        allocation: an instruction whose shares have the prices that will be written.
        policy: the one the statement was registered under.
        broker: whose commission and fees apply.
        statement: says who may bear residual cash, and the tie order.
        price: the exact average price that was rounded to ``avg_px``; the average of what is allocated at
            executed prices.
        own: exact average price of the broker's own fills booked here where it differs: with a day average.
    """
    if not allocation.shares:
        return allocation
    entries = _entries(allocation, policy.money_decimals, statement)
    owed = rounded(Fraction(allocation.quantity) * price, policy.money_decimals)
    paid = owed if own is None else rounded(Fraction(allocation.quantity) * own, policy.money_decimals)
    residual, residual_to = _residual(entries, owed, policy, statement)
    charges = _charges(entries, broker, allocation.quantity)
    shares = _shares(entries, residual, charges, allocation.side)
    return replace(
        allocation,
        shares=shares,
        gross=entries.money(sum(entries.gross)),
        net=exact_sum(share.net or ZERO for share in shares) if charges else None,
        fills_money=entries.money(paid),
        residual_cash=entries.money(owed - sum(entries.gross)),
        averaging_cash=entries.money(paid - owed),
        residual_to=residual_to,
    )


def _entries(allocation: Allocation, decimals: int, statement: Statement) -> _Entries:
    shares = allocation.shares
    prices = {text: Decimal(text) for text in {share.price or share.avg_px for share in shares}}
    scale = max(_places(share.quantity) for share in shares)
    price_scale = max(_places(price) for price in prices.values())
    whole = {text: _whole(price, price_scale) for text, price in prices.items()}
    quantities = [_whole(share.quantity, scale) for share in shares]
    exact = [q * whole[share.price or share.avg_px] for q, share in zip(quantities, shares, strict=True)]
    unit = 10 ** (scale + price_scale)
    order = tie_rank(statement.lines, statement.ties, statement.seed, statement.statement_id)
    rank_of = {line.account: rank for line, rank in zip(statement.lines, order, strict=True)}
    return _Entries(
        shares=shares,
        quantities=quantities,
        exact=exact,
        gross=[_half_up(amount * 10**decimals, unit) for amount in exact],
        rank=[rank_of.get(share.account, len(order)) for share in shares],
        decimals=decimals,
    )


def _half_up(numerator: int, denominator: int) -> int:
    """The nearest whole number, halves away from zero; ``denominator`` is positive."""
    nearest = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -nearest if numerator < 0 else nearest


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -min(0, exponent) if isinstance(exponent, int) else 0


def _whole(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale, EXACT))


def _residual(entries: _Entries, owed: int, policy: Policy, statement: Statement) -> tuple[list[int], str]:
    """What each share bears of ``owed`` minus Σ gross, and who bears it.

    Each bearer pays its exact part of what the others' gross amounts leave of ``owed``.
    """
    nobody = [0] * len(entries.shares)
    able = {line.account for line in statement.lines if line.residual}
    bearers = [i for i, share in enumerate(entries.shares) if share.account in able]
    if policy.residual_cash is ResidualCash.ERROR_ACCOUNT or not bearers:
        return nobody, policy.error_account
    own = sum(entries.gross[i] for i in bearers)
    due = owed - (sum(entries.gross) - own)
    parts = split(due, [entries.exact[i] for i in bearers], [entries.rank[i] for i in bearers])
    for i, part in zip(bearers, parts, strict=True):
        nobody[i] = part - entries.gross[i]
    return nobody, ACCOUNTS


def unchanged(previous: Allocation, fresh: Allocation) -> bool:
    """Whether a broker that has ``previous`` is told nothing new by ``fresh``.

    One from before money was computed has none; that alone is no reason to send it again.
    """
    shares = fresh.shares
    if previous.gross is None:
        shares = tuple(Share(share.account, share.quantity, share.avg_px, share.price) for share in shares)
    return (previous.orders, previous.shares, previous.avg_px) == (fresh.orders, shares, fresh.avg_px)


# ---------------------------------------------------------------- commission and fees


@dataclass(frozen=True, slots=True)
class _Charges:
    """What each share is charged, in minor units; ``commission`` is None where none is agreed.

    ``fees`` are types (139) with what each share is charged.
    """

    commission: list[int] | None
    fees: tuple[tuple[str, list[int]], ...]


def _charges(entries: _Entries, broker: BrokerSetup, quantity: Decimal) -> _Charges | None:
    """Commission and fees of the block by the broker's profile, split; None where the profile has neither."""
    if broker.commission is None and not broker.fees:
        return None
    commission = None
    if broker.commission is not None:
        basis = _COMMISSION_BASIS[broker.commission_type]
        commission = _charge(entries, FeeTerms("", broker.commission, basis), quantity)
    return _Charges(commission, tuple((fee.type, _charge(entries, fee, quantity)) for fee in broker.fees))


_COMMISSION_BASIS = {
    CommType.PER_UNIT: FeeBasis.PER_UNIT,
    CommType.PERCENT: FeeBasis.PERCENTAGE,
    CommType.ABSOLUTE: FeeBasis.ABSOLUTE,
}


def _charge(entries: _Entries, terms: FeeTerms, quantity: Decimal) -> list[int]:
    """One charge of the block, rounded half up to the minor unit and split pro rata."""
    amount, weights = Fraction(terms.amount), entries.quantities
    match terms.basis:
        case FeeBasis.PER_UNIT:
            amount *= Fraction(quantity)
        case FeeBasis.PERCENTAGE:
            amount *= Fraction(entries.money(sum(entries.gross)))
            weights = entries.exact
        case FeeBasis.ABSOLUTE:
            pass
    units = rounded(amount, entries.decimals)
    if not terms.each:
        return split(units, weights, entries.rank)
    first = {share.account: i for i, share in reversed(list(enumerate(entries.shares)))}
    return [units if first[share.account] == i else 0 for i, share in enumerate(entries.shares)]


def _shares(entries: _Entries, residual: list[int], charges: _Charges | None, side: Side) -> tuple[Share, ...]:
    """The shares with their amounts."""
    money, gross = entries.money, entries.gross
    sign = 1 if side is Side.BUY else -1
    made = []
    for i, share in enumerate(entries.shares):
        commission = fees = net = None
        if charges is not None:
            commission = charges.commission[i] if charges.commission else None
            fees = [(type_, parts[i]) for type_, parts in charges.fees]
            net = gross[i] + sign * ((commission or 0) + sum(part for _, part in fees))
        made.append(
            Share(
                share.account,
                share.quantity,
                share.avg_px,
                share.price,
                gross=money(gross[i]),
                commission=None if commission is None else money(commission),
                fees=tuple(Charge(type_, money(part)) for type_, part in fees or ()),
                net=None if net is None else money(net),
                residual=money(residual[i]),
            )
        )
    return tuple(made)


# ---------------------------------------------------------------- statement and day


def with_cash(
    allocated: StatementAllocated, allocations: Sequence[Allocation], policy: Policy, price: Fraction
) -> StatementAllocated:
    """A statement's division with the money of its allocations.

    Args:
        allocated: the division.
        allocations: what each broker has now; one without money (older journals) makes this return ``allocated``.
        policy: the one the statement was registered under.
        price: the statement's exact average price; with several brokers each account's gross is compared with it.
    """
    if any(allocation.gross is None for allocation in allocations):
        return allocated
    allocated = replace(allocated, average=f"{price.numerator}/{price.denominator}")
    if not allocations:
        return allocated
    lines = allocated.lines
    if len(allocations) > 1 or any(share.price for share in allocations[0].shares[:1]):
        paid: dict[str, Decimal] = {}
        for share in (share for allocation in allocations for share in allocation.shares):
            paid[share.account] = EXACT.add(paid.get(share.account, ZERO), share.gross or ZERO)
        even = {line.account: rounded(Fraction(line.quantity) * price, policy.money_decimals) for line in lines}
        lines = tuple(
            replace(
                line,
                cost_difference=EXACT.subtract(
                    paid.get(line.account, ZERO), Decimal(even[line.account]).scaleb(-policy.money_decimals, EXACT)
                ),
            )
            for line in lines
        )
    return replace(
        allocated,
        lines=lines,
        gross=exact_sum(allocation.gross or ZERO for allocation in allocations),
        fills_money=exact_sum(allocation.fills_money or ZERO for allocation in allocations),
        residual_cash=exact_sum(allocation.residual_cash or ZERO for allocation in allocations),
        averaging_cash=exact_sum(allocation.averaging_cash or ZERO for allocation in allocations),
    )


def remarks(allocation: Allocation) -> list[Output]:
    """What a person must know of one allocation's money: residual cash nobody may bear (GW-851)."""
    if not allocation.residual_cash or allocation.residual_to:
        return []
    subject = allocation.alloc_id
    text = (
        f"allocation {subject}: nobody bears the residual cash {plain_text(allocation.residual_cash)}: no account "
        "of the statement may and the policy names no error account"
    )
    return exception("GW-851", subject, text, "warning")


def day_remarks(allocations: Iterable[Allocation]) -> list[Output]:
    """Whether a day average asks for money to move between brokers (GW-852).

    A broker is owed what its own fills cost. Within one broker a day average only moves money between
    allocations; between brokers it does not come out even, and somebody must settle the difference.

    Args:
        allocations: those that stand for all statements of one security, side and trade date.
    """
    sums: dict[str, Decimal] = {}
    counts: dict[str, int] = {}
    first: Allocation | None = None
    for allocation in allocations:
        first = first or allocation
        moved = allocation.averaging_cash or ZERO
        sums[allocation.broker] = EXACT.add(sums.get(allocation.broker, ZERO), moved)
        counts[allocation.broker] = counts.get(allocation.broker, 0) + 1
    # Each amount was rounded by itself: half a unit for its fills and half for its price.
    uneven = {
        broker: moved
        for broker, moved in sums.items()
        if abs(moved) > counts[broker] * Decimal(1).scaleb(_exponent(moved), EXACT)
    }
    if first is None or not uneven:
        return []
    told = ", ".join(f"{broker} {plain_text(moved)}" for broker, moved in uneven.items())
    subject = f"{first.symbol} {first.side} {first.trade_date}"
    text = (
        f"the day average of {subject} differs from what the brokers' own fills cost (fills minus allocations: "
        f"{told}); agree with the brokers how that is settled"
    )
    return exception("GW-852", subject, text)


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
