"""A stock split under a statement: everything in it is in new units from one moment on.

A split concerns the instrument, not one order. The first good-till order whose broker restates it (150=D, 378=0)
therefore takes its whole statement along: total, lines, minimums and caps times the ratio, limits and the
reference price divided by it, every order and every fill under it, whichever broker has it. Money does not
change. A restatement by another broker then finds the numbers that it says.

Scaling is exact or does not happen: a quantity that no decimal says (1:3 of 1,000) is a matter of cash in lieu,
which a person must settle (GW-863). Allocations that a broker has already booked stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.exceptions import exception
from fixgateway.core.fills import SHOWN_PLACES, Fill, exact_decimal, scaled, times
from fixgateway.core.instructions import restate
from fixgateway.core.model import Basis, Line, Statement
from fixgateway.core.orders import Order
from fixgateway.core.outputs import Output, StatementSplit
from fixgateway.core.pricing import round_half_up
from fixgateway.core.state import State, StatementRecord, settle


class _Inexact(Exception):
    """A number that no decimal says after the split."""


def split_statement(state: State, record: StatementRecord, ratio: Fraction, cause: str) -> list[Output]:
    """Scale a statement and everything under it.

    Args:
        state: the engine's memory.
        record: the statement.
        ratio: new units for one old one.
        cause: what said so, for the texts: the ExecID and its order.

    Returns:
        The fact and the exception for a person; only the exception when nothing could be scaled.
    """
    name = record.statement.statement_id
    orders = [state.orders[key] for key in record.orders]
    written = f"{ratio.numerator}:{ratio.denominator}"
    try:
        statement = _statement(record.statement, ratio)
        original = None if record.original is None else _statement(record.original, ratio)
        override = {account: _times(x, ratio, f"{account}'s exception") for account, x in record.override.items()}
        fills = [_fills(order, ratio) for order in orders]
        amounts = [_amounts(order, ratio) for order in orders]
        caps = {account: _times(cap, ratio, f"{account}'s cut") for account, cap in record.caps.items()}
    except _Inexact as error:
        text = f"{cause} says a split of {written}, but {error} of statement {name} would have no exact decimal"
        return exception("GW-863", name, f"{text}; nothing was scaled")
    record.statement, record.caps, record.original, record.override = statement, caps, original, override
    total = Fraction(record.split_num, record.split_den) * ratio
    record.split_num, record.split_den = total.numerator, total.denominator
    for order, own, (quantity, pending) in zip(orders, fills, amounts, strict=True):
        order.fills, order.quantity, order.pending = own, quantity, pending
        order.recount()
        settle(state, order)
    restate(state, record, ratio)
    fact = StatementSplit(name, ratio.numerator, ratio.denominator, statement.total, record.filled)
    text = (
        f"{cause} says a split of {written}: statement {name} and its orders were scaled to a total of "
        f"{statement.total}, {record.filled} filled; what brokers have booked already was not"
    )
    return [fact, *exception("GW-861", name, text)]


def _times(value: Decimal, ratio: Fraction, what: str) -> Decimal:
    """``value`` times ``ratio``. Raises _Inexact when no decimal says it."""
    found = times(value, ratio)
    if found is None:
        raise _Inexact(f"{what} {value}")
    return found


def _statement(statement: Statement, ratio: Fraction) -> Statement:
    return replace(
        statement,
        total=_times(statement.total, ratio, "the total"),
        min_quantity=_times(statement.min_quantity, ratio, "the minimum"),
        reference_price=_price(statement.reference_price, ratio),
        lines=tuple(_line(line, ratio, statement.basis) for line in statement.lines),
    )


def _line(line: Line, ratio: Fraction, basis: Basis) -> Line:
    """One account's intent in new units; percentages and money stay what they are."""
    return replace(
        line,
        quantity=_times(line.quantity, ratio, f"{line.account}'s quantity"),
        min_quantity=_times(line.min_quantity, ratio, f"{line.account}'s minimum"),
        weight=_times(line.weight, ratio, f"{line.account}'s weight") if basis is Basis.QUANTITY else line.weight,
        cap=None if line.cap is None else _times(line.cap, ratio, f"{line.account}'s cap"),
        limit=None if line.limit is None else _price(line.limit, ratio),
    )


def _price(price: Decimal, ratio: Fraction) -> Decimal:
    """A price that is only compared with others: rounded where no decimal says it."""
    exact = Fraction(price) / ratio
    found = exact_decimal(exact)
    return Decimal(round_half_up(exact, SHOWN_PLACES)) if found is None else found


def _fills(order: Order, ratio: Fraction) -> dict[str, Fill]:
    found = {}
    for name, fill in order.fills.items():
        new = scaled(fill, ratio)
        if new is None:
            raise _Inexact(f"a fill of {fill.quantity}")
        found[name] = new
    return found


def _amounts(order: Order, ratio: Fraction) -> tuple[Decimal, dict[str, Decimal]]:
    quantity = _times(order.quantity, ratio, f"order {order.cl_ord_id}'s quantity")
    pending = {name: _times(asked, ratio, f"replace {name}'s quantity") for name, asked in order.pending.items()}
    return quantity, pending
