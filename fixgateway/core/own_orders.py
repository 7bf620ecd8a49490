"""Release rotation: every account has orders of its own, and their fills are its own. Nothing is divided.

An account's share is what its orders filled, at most what it may receive; each broker's allocation has for each account
what its orders filled there, at the account's own average price. What is filled above an account's line is an overfill
and goes where the policy says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.executed import Writing
from fixgateway.core.fills import Fill
from fixgateway.core.model import EXACT, ZERO, Line, Method, Statement, exact_sum
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Share, TraceLine
from fixgateway.core.pricing import average, written

RULE = "own-order"
"""The rule of every line: the account's own orders."""
_RULES = 2


def applies(statement: Statement, rules: int) -> bool:
    """Whether a statement's accounts keep the fills of their own orders."""
    return statement.method is Method.RELEASE_ROTATION and rules >= _RULES


def shares(lines: Sequence[Line], orders: Sequence[Order]) -> tuple[tuple[TraceLine, ...], Decimal]:
    """Each account's own fills, up to its quantity and cap, and what was filled above."""
    filled: dict[str, Decimal] = {}
    for order in orders:
        filled[order.account] = EXACT.add(filled.get(order.account, ZERO), order.cum_qty)
    found = tuple(_line(line, filled.get(line.account, ZERO)) for line in lines)
    above = EXACT.subtract(exact_sum(filled.values()), exact_sum(line.quantity for line in found))
    return found, above


def _line(line: Line, filled: Decimal) -> TraceLine:
    exact = Fraction(filled)
    share = min(filled, line.quantity if line.cap is None else min(line.quantity, line.cap))
    return TraceLine(
        line.account, line.quantity, f"{exact.numerator}/{exact.denominator}", share, ZERO, share, RULE,
        place=line.turn, cap=line.cap,
    )  # fmt: skip


def columns(
    shares: Mapping[str, Decimal], orders: Sequence[Order], accounts: Sequence[str]
) -> dict[str, list[Decimal]]:
    """For each broker what each of ``shares`` gets there: the fills of its own orders, first order first.

    Args:
        shares: quantity by account; one that is none of ``accounts`` (the error account) gets what is above the
            others'.
        orders: the statement's. accounts: those of its lines.
    """
    left = {account: shares.get(account, ZERO) for account in accounts}
    other = next((account for account in shares if account not in left), None)
    found: dict[str, dict[str, Decimal]] = {order.broker: dict.fromkeys(shares, ZERO) for order in orders}
    for order in orders:
        own = min(order.cum_qty, left[order.account])
        left[order.account] = EXACT.subtract(left[order.account], own)
        column = found[order.broker]
        column[order.account] = EXACT.add(column[order.account], own)
        if other is not None:
            column[other] = EXACT.add(column[other], EXACT.subtract(order.cum_qty, own))
    return {broker: list(column.values()) for broker, column in found.items()}


def entries(
    given: Mapping[str, Decimal], fills: Sequence[tuple[str, Fill]], writing: Writing
) -> tuple[tuple[Share, ...], Fraction]:
    """The entries of one broker's allocation, each at its own average price, and the exact average of all.

    Args:
        given: quantity by account, in the order of the entries.
        fills: account and fill, of the orders at this broker.
    """
    own: dict[str, list[Fill]] = {}
    for account, fill in fills:
        own.setdefault(account, []).append(fill)
    price = {account: average((f.quantity, f.exact_price) for f in mine) for account, mine in own.items()}
    above = [
        (rest, price[account])
        for account, mine in own.items()
        if (rest := EXACT.subtract(exact_sum(f.quantity for f in mine), given.get(account, ZERO)))
    ]
    for account in given:
        if account not in price:  # the error account: at what the fills above the lines cost
            price[account] = average(above)
    made = tuple(
        Share(account, quantity, written(price[account], writing.decimals, writing.rounding))
        for account, quantity in given.items()
    )
    return made, average((quantity, price[account]) for account, quantity in given.items())
