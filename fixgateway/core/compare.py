"""A broker's figures against ours, line by line: what differs, in words and as FIX codes.

Quantities, accounts, instrument, side and date must be equal; prices and amounts may differ by the tolerances of
the broker's profile. What the broker leaves out is not compared. Amounts are computed by :mod:`.money`; where an
allocation has none, gross is quantity times the price that was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from fixgateway.core.inputs import Confirmation, ReportedAllocation, ReportedLine
from fixgateway.core.model import EXACT, ZERO, BrokerSetup, exact_sum, plain_text
from fixgateway.core.outputs import Allocation, Share
from fixgateway.core.pricing import average, round_half_up

NAMED = 5
"""Differences written into a text; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not ours. ``alloc_code`` is AllocRejCode(88), ``confirm_code`` ConfirmRejReason(774)."""

    text: str
    alloc_code: str
    confirm_code: str = "99"


def words(found: list[Difference]) -> str:
    """Differences in one text, bounded."""
    named = "; ".join(x.text for x in found[:NAMED])
    return named if len(found) <= NAMED else f"{named}; and {len(found) - NAMED} more"


def fingerprint(*values: object) -> str:
    """What tells a message that comes again from another one of the same id."""
    return sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()


def confirmation(
    given: Confirmation, ours: Allocation, share: Share | None, broker: BrokerSetup
) -> list[Difference]:
    """What of a broker's confirmation differs from the allocation; ``share`` is the account's."""
    found = [Difference(text, "11") for text in given.defects]
    if share is None:
        text = f"account {given.account or '(none)'} is not in allocation {ours.alloc_id}"
        return [*found, Difference(text, "0", "1")]
    found += _identity(given, ours)
    found += _quantity(share.account, given.quantity, share.quantity)
    found += _price(share.account, given.avg_px, share_price(share), broker)
    found += _money(f"{share.account} gross", given.gross, share_gross(share), broker)
    found += _money(f"{share.account} commission", given.commission, share.commission, broker, "4")
    found += _money(f"{share.account} net", given.net, share.net, broker)
    return found


def report(given: ReportedAllocation, ours: Allocation, broker: BrokerSetup) -> list[Difference]:
    """What of a broker's allocation report differs from the allocation, block first, then account by account."""
    found = [Difference(text, "11") for text in given.defects]
    found += _identity(given, ours)
    found += _quantity("block", given.quantity, ours.quantity, "1")
    found += _price("block", given.avg_px, Decimal(ours.avg_px), broker)
    gross = ours.gross if ours.gross is not None else exact_sum(share_gross(x) for x in ours.shares)
    found += _money("block gross", given.gross, gross, broker)
    found += _money("block net", given.net, ours.net, broker)
    return [*found, *_lines(given.lines, ours, broker)]


def shares_by_account(ours: Allocation) -> tuple[Share, ...]:
    """One share for each account: an executed-price allocation names an account once for every price."""
    found: dict[str, list[Share]] = {}
    for share in ours.shares:
        found.setdefault(share.account, []).append(share)
    if len(found) == len(ours.shares):
        return ours.shares
    return tuple(combined(shares, ours.price_decimals) for shares in found.values())


def combined(shares: list[Share], decimals: int) -> Share:
    """An account's shares as one, at their average price."""
    if len(shares) == 1:
        return shares[0]
    quantity = exact_sum(share.quantity for share in shares)
    gross = [share_gross(share) for share in shares]
    price = average((share.quantity, share_price(share)) for share in shares)
    return Share(
        account=shares[0].account,
        quantity=quantity,
        avg_px=round_half_up(price, decimals),
        gross=exact_sum(gross),
        commission=_sum([share.commission for share in shares]),
        net=_sum([share.net for share in shares]),
    )


def _sum(amounts: list[Decimal | None]) -> Decimal | None:
    """Σ amounts, None when one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return exact_sum(known) if len(known) == len(amounts) else None


def share_price(share: Share) -> Decimal:
    """The price an account pays: its own of an executed-price allocation, else the average."""
    return Decimal(share.price or share.avg_px)


def share_gross(share: Share) -> Decimal:
    """An account's gross amount as we told it, or quantity times price where none was computed."""
    return EXACT.multiply(share.quantity, share_price(share)) if share.gross is None else share.gross


def _lines(lines: tuple[ReportedLine, ...], ours: Allocation, broker: BrokerSetup) -> Iterator[Difference]:
    """Every account once, with our quantity, price and net money."""
    shares = {share.account: share for share in shares_by_account(ours)}
    seen: set[str] = set()
    for line in lines:
        share = shares.get(line.account)
        if share is None or line.account in seen:
            why = "twice" if share is not None else "and is not in the allocation"
            yield Difference(f"account {line.account or '(none)'} is named {why}", "0")
            continue
        seen.add(line.account)
        yield from _quantity(line.account, line.quantity, share.quantity)
        yield from _price(line.account, line.avg_px, share_price(share), broker)
        yield from _money(f"{line.account} net", line.net, share.net, broker)
    for account in shares:
        if account not in seen:
            yield Difference(f"account {account} is missing", "0")


def _identity(given: Confirmation | ReportedAllocation, ours: Allocation) -> Iterator[Difference]:
    for name, theirs, own in (
        ("Symbol", given.symbol, ours.symbol),
        ("Side", given.side, ours.side.value),
        ("TradeDate", given.trade_date, ours.trade_date.isoformat()),
    ):
        if theirs and theirs != own:
            yield Difference(f"{name} is {theirs}, ours {own}", "11")


def _quantity(what: str, theirs: Decimal | None, own: Decimal, code: str = "8") -> Iterator[Difference]:
    if theirs is None:
        yield Difference(f"{what} quantity is missing, ours {plain_text(own)}", code)
    elif theirs != own:
        yield Difference(f"{what} quantity is {plain_text(theirs)}, ours {plain_text(own)}", code)


def _price(what: str, theirs: Decimal | None, own: Decimal, broker: BrokerSetup) -> Iterator[Difference]:
    if theirs is not None and _apart(theirs, own) > broker.price_tolerance:
        yield Difference(f"{what} price is {plain_text(theirs)}, ours {plain_text(own)}", "2")


def _money(
    what: str, theirs: Decimal | None, own: Decimal | None, broker: BrokerSetup, code: str = "9"
) -> Iterator[Difference]:
    if theirs is not None and own is not None and _apart(theirs, own) > broker.money_tolerance:
        yield Difference(f"{what} is {plain_text(theirs)}, ours {plain_text(own)}", code)


def _apart(one: Decimal, other: Decimal) -> Decimal:
    difference = EXACT.subtract(one, other)
    return -difference if difference < ZERO else difference
