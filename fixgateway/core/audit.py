"""A proposed allocation compared with what the statement gives: the breaches, in plain words.

The proposal may come from anywhere (a spreadsheet, a broker, a person); nothing of it is believed. Pure: the same
statement, fill and terms give the same breaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import EXACT, ZERO, Line, exact_sum, plain_text


@dataclass(frozen=True, slots=True)
class Breach:
    """One way in which a proposed allocation departs from the statement.

    ``rule`` is ``unknown-account``, ``negative``, ``above-intent``, ``above-holding``, ``above-computed``,
    ``short-of-computed`` or ``total``; ``account`` is "" for the total; ``by`` is how far it departs, positive.
    """

    account: str
    rule: str
    by: Decimal
    text: str


def breaches(
    lines: Sequence[Line], filled: Decimal, terms: Terms, proposed: Mapping[str, Decimal]
) -> tuple[Breach, ...]:
    """Compare ``proposed`` (account → quantity) with the division of ``filled`` among ``lines``.

    An account the proposal does not name gets nothing by it. Breaches come in the statement's order, then accounts
    that are not in the statement, then the total.

    Raises:
        TypeError: a quantity is a float.
    """
    for account, quantity in proposed.items():
        if not isinstance(quantity, Decimal):
            raise TypeError(f"{account}: {quantity!r} is a {type(quantity).__name__}; quantities are decimals")
    division = allocate(lines, filled, terms)
    found: list[Breach] = []
    for line, computed in zip(lines, division.lines, strict=True):
        found += _of_line(line, computed.quantity, proposed.get(line.account, ZERO))
    known = {line.account for line in lines}
    for account, quantity in proposed.items():
        if account not in known:
            text = f"{account} is not in the statement and would get {_number(quantity)}"
            found.append(Breach(account, "unknown-account", abs(quantity), text))
    return (*found, *_of_total(exact_sum(proposed.values()), filled, division.unallocated))


def _of_line(line: Line, computed: Decimal, proposed: Decimal) -> list[Breach]:
    """What is wrong with one account's quantity."""
    account, found = line.account, []
    if proposed < ZERO:
        found.append(
            Breach(account, "negative", -proposed, f"{account} would get {_number(proposed)}, below zero")
        )
    above = EXACT.subtract(proposed, line.quantity)
    if above > ZERO:
        found.append(Breach(account, "above-intent", above, f"{account} exceeds intent by {_number(above)}"))
    elif line.cap is not None and proposed > line.cap:
        above = EXACT.subtract(proposed, line.cap)
        found.append(Breach(account, "above-holding", above, f"{account} exceeds its holding by {_number(above)}"))
    over = EXACT.subtract(proposed, computed)
    if over > ZERO:
        text = f"{account} is above its computed {_number(computed)} by {_number(over)}"
        found.append(Breach(account, "above-computed", over, text))
    if over < ZERO:
        text = f"{account} is short of its computed {_number(computed)} by {_number(-over)}"
        found.append(Breach(account, "short-of-computed", -over, text))
    return found


def _of_total(proposed: Decimal, filled: Decimal, unallocated: Decimal) -> list[Breach]:
    """The proposal must add up to what can be allocated."""
    due = EXACT.subtract(filled, unallocated)
    if proposed == due:
        return []
    by = EXACT.subtract(proposed, due).copy_abs()
    text = f"adds up to {_number(proposed)}, not to the {_number(due)} to allocate"
    return [Breach("", "total", by, text)]


def _number(value: Decimal) -> str:
    """Plainly, with thousands separated: ``15,000``."""
    whole, point, decimals = plain_text(value).partition(".")
    return f"{int(whole):,}{point}{decimals}" if whole not in ("-0", "-") else f"{whole}{point}{decimals}"
