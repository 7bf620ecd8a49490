"""Shares at executed prices: the entries of an allocation where a policy hands out the fills themselves.

The quantities are decided before, blind to prices (:mod:`.methods`); which fills make them up is decided by
:mod:`.split_fills`. Here each account gets an entry for each price, AllocPrice(366): 79 and 366 together are the
key of an entry (FIX 4.2 Errata 20010501, executed price example).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.model import EXACT, ZERO, Method, PriceRounding, exact_sum, plain_text
from fixgateway.core.outputs import Charge, Share
from fixgateway.core.pricing import average, written
from fixgateway.core.split_fills import PricedPiece, split_fills

METHODS = frozenset((Method.HIGH_LOW, Method.MIN_DISPERSION))
"""Methods under which accounts pay the prices of their own fills."""
NOBODY = ""
"""Who takes the fills that stay unallocated (an overfill): dealt like an account, told to nobody."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How prices are written: decimals (74) and the policy's rounding."""

    decimals: int
    rounding: PriceRounding


def entries(
    shares: Mapping[str, Decimal],
    fills: Iterable[tuple[Decimal | Fraction, Decimal]],
    method: Method,
    writing: Writing,
) -> tuple[tuple[Share, ...], Fraction]:
    """The entries of one broker's allocation, in the order of ``shares``, each account's dearest first.

    Args:
        shares: quantity by account.
        fills: executed price and quantity; together at least the shares.
        method: one of :data:`METHODS`.
        writing: for the accounts' own averages, and for a price that no decimal says (after a stock split).

    Returns:
        The entries, and the exact average price of the fills in them.

    Raises:
        ValueError: the fills do not reach, or the method does not split fills.
    """
    priced = list(fills)
    left = EXACT.subtract(exact_sum(quantity for _, quantity in priced), exact_sum(shares.values()))
    rows = [*shares.items(), *([(NOBODY, left)] if left else [])]
    pieces = [piece for piece in split_fills(rows, priced, method) if piece.account != NOBODY]
    own: dict[str, list[PricedPiece]] = {}
    for piece in pieces:
        own.setdefault(piece.account, []).append(piece)
    averages = {account: _average(mine, writing) for account, mine in own.items()}
    made = tuple(
        Share(piece.account, piece.quantity, averages[piece.account], _price(piece.price, writing))
        for piece in pieces
    )
    return made, average((piece.quantity, piece.price) for piece in pieces)


def _average(pieces: Sequence[PricedPiece], writing: Writing) -> str:
    """What an account pays on average for its own fills."""
    exact = average((piece.quantity, piece.price) for piece in pieces)
    return written(exact, writing.decimals, writing.rounding)


def _price(price: Decimal | Fraction, writing: Writing) -> str:
    if isinstance(price, Decimal):
        return plain_text(price)
    return written(price, writing.decimals, writing.rounding)


def by_account(shares: Sequence[Share]) -> dict[str, Share]:
    """One share for each account: the entries of an account at several prices as one at its own average."""
    merged: dict[str, Share] = {}
    for share in shares:
        before = merged.get(share.account)
        merged[share.account] = share if before is None else _together(before, share)
    return merged


def _together(one: Share, other: Share) -> Share:
    return replace(
        one,
        quantity=EXACT.add(one.quantity, other.quantity),
        price="",
        gross=_sum(one.gross, other.gross),
        commission=_sum(one.commission, other.commission),
        fees=tuple(
            Charge(a.type, EXACT.add(a.amount, b.amount)) for a, b in zip(one.fees, other.fees, strict=True)
        ),
        net=_sum(one.net, other.net),
        residual=_sum(one.residual, other.residual),
    )


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None and other is None else EXACT.add(one or ZERO, other or ZERO)
