"""Methods that serve lines one after another, or tier after tier, until the fill is used up.

- *In sequence* (rotation, price-time): everybody gets the whole intent while it lasts; the one with whom it ends
  gets the part that is left; the rest wait. Lots do not matter. A line whose part would be below its minimum is
  passed over and keeps its place; it is not passed over if the others could not absorb the fill.
- *In tiers* (client-priority, MiFID II delegated regulation 2017/565 article 69): a tier gets nothing before the
  one above it is whole; inside a tier the fill is divided pro rata. The own account is last because its tier is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import prorata
from fixgateway.core.division import BELOW_MINIMUM, PART, WAITING, Award, Part, Sheet
from fixgateway.core.model import ZERO, Line, Side

_NOTHING = Award(Fraction(0), 0, 0, WAITING)


def by_turn(lines: Sequence[Line]) -> list[int]:
    """The order of a rotation: the turn registration stamped on each line, then the account."""
    return sorted(range(len(lines)), key=lambda i: (lines[i].turn, lines[i].account))


def by_price_and_time(lines: Sequence[Line], side: Side) -> list[int]:
    """Best limit first (highest to buy, lowest to sell; none is a market order and best of all), then receipt,
    then the account."""
    sign = -1 if side is Side.BUY else 1

    def key(i: int) -> tuple[bool, Decimal, int, str]:
        line = lines[i]
        limit = ZERO if line.limit is None else line.limit.copy_negate() if sign < 0 else line.limit
        return line.limit is not None, limit, line.received_ns, line.account

    return sorted(range(len(lines)), key=key)


def in_sequence(sheet: Sheet, order: Sequence[int]) -> Part:
    """Serve the lines in ``order``; ``place`` of each award is its position there, from 1."""
    left = sheet.fill
    room = sum(sheet.caps)
    awards: dict[int, Award] = {}
    below: list[bool] = []
    for place, i in enumerate(order, 1):
        part = min(left, sheet.caps[i])
        short = part * sheet.fineness < sheet.minimums[i]
        if not left:
            award = _NOTHING
        elif short and room - sheet.caps[i] >= sheet.fill:
            room -= sheet.caps[i]
            award = Award(Fraction(part), 0, 0, BELOW_MINIMUM)
        else:
            full = part == sheet.caps[i]
            award = prorata.whole(sheet, i) if full else Award(Fraction(part), part, part, PART)
            left -= part
            below.append(short)
        awards[i] = award._replace(place=place)
    whole = sheet.fill >= sum(sheet.caps)
    return Part(awards, not whole and any(below), not whole and bool(below) and all(below))


def in_tiers(sheet: Sheet) -> Part:
    """Divide the fill tier by tier, lowest number first; ``place`` of an award is its tier's position, from 1."""
    tiers: defaultdict[int, list[int]] = defaultdict(list)
    for i, line in enumerate(sheet.lines):
        tiers[line.tier].append(i)
    left = sheet.fill
    awards: dict[int, Award] = {}
    parts: list[Part] = []
    for place, tier in enumerate(sorted(tiers), 1):
        fill = min(left, sum(sheet.caps[i] for i in tiers[tier]))
        if fill:
            parts.append(prorata.divide(sheet, tiers[tier], fill))
        found = parts[-1].awards if fill else dict.fromkeys(tiers[tier], _NOTHING)
        awards |= {i: award._replace(place=place) for i, award in found.items()}
        left -= fill
    return Part(
        awards,
        below_minimum=any(part.below_minimum for part in parts),
        all_below_minimum=bool(parts) and all(part.all_below_minimum for part in parts),
        credits={account: credit for part in parts for account, credit in part.credits.items()},
    )
