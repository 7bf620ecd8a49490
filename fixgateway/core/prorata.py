"""Pro rata: exact shares under caps and minimums, then whole lots, then the odd rest.

1. *Exact shares.* The fill is poured over the intents like water: everybody gets the same fraction of the intent,
   nobody more than the cap (the holding, where it is smaller), the excess goes to those below theirs.
2. *Minimums* (DESIGN §5). While an exact share is below its account's minimum, the accounts with the smallest
   such share are dropped together and the rest poured again; nobody is dropped if the others' caps could
   not absorb the fill. Nobody is ever raised to the minimum.
3. *Whole lots* by the rounding the terms name, at most floor(cap / lot).
4. *The odd rest* below a lot by the policy's remainder rule, never above a cap.

Exclusion only ever raises the level. So a share that has reached its minimum never falls below it again, and a
line that has reached its cap stays there: lines are looked at once each, in the order of their size, and the whole
is sorting and one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

from fixgateway.core.apportion import largest_remainder, ratio_keys
from fixgateway.core.credits import carried, cumulative, kept
from fixgateway.core.division import BELOW_MINIMUM, CAP, FLOOR, FULL, Award, Part, Sheet
from fixgateway.core.model import Remainder, Rounding
from fixgateway.core.quota import quota


@dataclass(frozen=True, slots=True)
class Exact:
    """Exact shares: ``capped`` lines get their cap, the other ``active`` ones share ``rest`` by intents.

    ``weight`` is the sum of the intents of those. ``dropped`` holds the share each excluded line had then.
    """

    active: list[int]
    capped: set[int]
    rest: int
    weight: int
    dropped: dict[int, Fraction]
    below_minimum: bool

    def share(self, sheet: Sheet, i: int) -> Fraction:
        """The exact share of an active line, in units of 1/scale."""
        if i in self.capped:
            return Fraction(sheet.caps[i])
        return Fraction(self.rest * sheet.intents[i], self.weight)


def divide(sheet: Sheet, members: Sequence[int], fill: int) -> Part:
    """Divide ``fill``, at most the caps' sum, among the lines ``members`` of the sheet."""
    if fill >= sum(sheet.caps[i] for i in members):
        return Part({i: whole(sheet, i) for i in members})
    if sheet.terms.rounding is Rounding.QUOTA:
        return _by_quota(sheet, members, fill)
    exact = exact_shares(sheet, members, fill)
    lots, credit = _whole_lots(sheet, exact, fill)
    quantity = {i: n * sheet.lot for i, n in lots.items()}
    rest = fill - sum(quantity.values())
    takers = _give_rest(rest, quantity, sheet, exact) if rest else frozenset()
    awards = {i: Award(share, 0, 0, BELOW_MINIMUM) for i, share in exact.dropped.items()}
    for i in exact.active:
        awards[i] = _award(sheet, exact, i, quantity[i], i in takers, credit)
    return Part(
        awards,
        below_minimum=exact.below_minimum,
        all_below_minimum=exact.below_minimum and all(_is_below(sheet, exact, i) for i in exact.active),
        credits={
            sheet.lines[i].account: kept(before + (awards[i].exact - quantity[i]) / sheet.lot)
            for i, before in credit.items()
        },
    )


def whole(sheet: Sheet, i: int) -> Award:
    """The award of a line that gets all it may."""
    cap = sheet.caps[i]
    return Award(Fraction(cap), cap, cap, FULL if cap == sheet.intents[i] else CAP)


def _award(
    sheet: Sheet, exact: Exact, i: int, quantity: int, took_rest: bool, credit: Mapping[int, Fraction]
) -> Award:
    share = exact.share(sheet, i)
    floor = min(share.numerator // (share.denominator * sheet.lot) * sheet.lot, quantity)
    terms = sheet.terms
    if took_rest:
        rule = f"odd-rest:{terms.remainder}"
    elif i in exact.capped and quantity == sheet.caps[i]:
        rule = CAP
    elif terms.rounding is Rounding.LARGEST_REMAINDER:
        rule = FLOOR if quantity == floor else f"remainder:{terms.ties}"
    else:
        rule = FLOOR if quantity == floor else str(terms.rounding)
    return Award(share, floor, quantity, rule, credit=credit.get(i))


# ---------------------------------------------------------------- exact shares, caps and minimums


def exact_shares(sheet: Sheet, members: Sequence[int], fill: int) -> Exact:
    """Steps 1 and 2: the level of the water, and who is excluded for a minimum."""
    pool = _Pool(sheet, members, fill)
    dropped: dict[int, Fraction] = {}
    while True:
        pool.rise()
        group = pool.smallest_below()
        if not group:
            break
        caps = sum(sheet.caps[i] for i in group)
        if pool.room - caps < fill or len(group) == pool.count:
            break
        for i in group:
            dropped[i] = pool.share(i)
        pool.drop(group)
    active = [i for i in members if i not in dropped]
    return Exact(active, pool.capped, pool.rest, pool.weight, dropped, bool(group) and fill > 0)


class _Pool:
    """The lines not excluded, and where the water stands: ``rest`` over ``weight`` for each unit of intent."""

    def __init__(self, sheet: Sheet, members: Sequence[int], fill: int) -> None:
        self._intents, self._caps = sheet.intents, sheet.caps
        self._minimums, self._fineness = sheet.minimums, sheet.fineness
        self.rest, self.weight = fill, sum(sheet.intents[i] for i in members)
        self.room, self.count = sum(sheet.caps[i] for i in members), len(members)
        self.capped: set[int] = set()
        self._gone: set[int] = set()
        limited = [i for i in members if sheet.caps[i] < sheet.intents[i]]
        keys = ratio_keys([sheet.caps[i] for i in limited], [sheet.intents[i] for i in limited])
        self._limited = [i for _, i in sorted(zip(keys, limited, strict=True))]
        self._bound = [i for i in members if sheet.minimums[i]]
        self._bound.sort(key=sheet.intents.__getitem__)
        self._next_limited = self._next_bound = 0
        self._full_below: list[tuple[int, int]] = []

    def rise(self) -> None:
        """Fill the lines whose cap the water has reached."""
        while self._next_limited < len(self._limited):
            i = self._limited[self._next_limited]
            if i not in self._gone:
                intent, cap = self._intents[i], self._caps[i]
                if self.rest * intent < cap * self.weight or self.weight == intent:
                    return
                self.capped.add(i)
                self.rest -= cap
                self.weight -= intent
                if cap * self._fineness < self._minimums[i]:
                    heappush(self._full_below, (cap, i))
            self._next_limited += 1

    def share(self, i: int) -> Fraction:
        """The exact share of a line."""
        return Fraction(self._caps[i]) if i in self.capped else Fraction(self.rest * self._intents[i], self.weight)

    def smallest_below(self) -> list[int]:
        """All lines whose share is the smallest of those below their minimum; empty when there is none.

        The caller drops them or stops, so lines found here are not looked for again.
        """
        self._pass_over()
        open_ = self._bound[self._next_bound] if self._next_bound < len(self._bound) else None
        full = self._full_below
        if open_ is None or (full and full[0][0] * self.weight < self.rest * self._intents[open_]):
            return self._least_full()
        equal = bool(full) and full[0][0] * self.weight == self.rest * self._intents[open_]
        return self._equals(open_) + (self._least_full() if equal else [])

    def _pass_over(self) -> None:
        """Lines that have reached their minimum: the water only rises, so none of them falls below it again."""
        while self._next_bound < len(self._bound) and not self._is_below(self._bound[self._next_bound]):
            self._next_bound += 1

    def _equals(self, open_: int) -> list[int]:
        """The open lines below their minimum with this line's intent, hence its share."""
        group = []
        for at in range(self._next_bound, len(self._bound)):
            i = self._bound[at]
            if self._intents[i] != self._intents[open_]:
                break
            if self._is_below(i):
                group.append(i)
        return group

    def _least_full(self) -> list[int]:
        """The full lines below their minimum with the smallest cap."""
        group: list[int] = []
        while self._full_below and (not group or self._full_below[0][0] == self._caps[group[0]]):
            group.append(heappop(self._full_below)[1])
        return group

    def _is_below(self, i: int) -> bool:
        if i in self._gone or i in self.capped:
            return False
        return self.rest * self._intents[i] * self._fineness < self._minimums[i] * self.weight

    def drop(self, group: Sequence[int]) -> None:
        """Exclude lines: what they would have had goes to the others."""
        for i in group:
            self.room -= self._caps[i]
            if i in self.capped:
                self.capped.discard(i)
                self.rest += self._caps[i]
            else:
                self.weight -= self._intents[i]
            self._gone.add(i)
        self.count -= len(group)


def _is_below(sheet: Sheet, exact: Exact, i: int) -> bool:
    return exact.share(sheet, i) * sheet.fineness < sheet.minimums[i]


# ---------------------------------------------------------------- whole lots and the odd rest


def _whole_lots(sheet: Sheet, exact: Exact, fill: int) -> tuple[dict[int, int], dict[int, Fraction]]:
    """Step 3: the lots of every active line, and the credits they started with (for roundings that have them)."""
    caps = {i: sheet.caps[i] // sheet.lot for i in exact.active}
    lots = min(fill // sheet.lot, sum(caps.values()))
    terms = sheet.terms
    match terms.rounding:
        case Rounding.CARRY_FORWARD:
            credit = {i: terms.credits.get(sheet.lines[i].account, Fraction(0)) for i in exact.active}
            targets = [exact.share(sheet, i) / sheet.lot + credit[i] for i in exact.active]
            given = carried(lots, targets, list(caps.values()), [sheet.rank[i] for i in exact.active])
            return dict(zip(exact.active, given, strict=True)), credit
        case Rounding.CUMULATIVE:
            shares = [exact.share(sheet, i) for i in exact.active]
            accounts = [sheet.lines[i].account for i in exact.active]
            given = cumulative(lots, shares, list(caps.values()), accounts, terms.seed, terms.statement_id)
            return dict(zip(exact.active, given, strict=True)), {}
        case Rounding.LARGEST_REMAINDER | Rounding.QUOTA:
            given_lots = {i: caps[i] for i in exact.capped}
            open_ = [i for i in exact.active if i not in exact.capped]
            left = lots - sum(given_lots.values())
            given = largest_remainder(
                left,
                [sheet.intents[i] for i in open_],
                [caps[i] for i in open_],
                [sheet.rank[i] for i in open_],
                terms.by_weight,
            )
            return given_lots | dict(zip(open_, given, strict=True)), {}


def _give_rest(rest: int, quantity: dict[int, int], sheet: Sheet, exact: Exact) -> frozenset[int]:
    """Step 4: hand out what is left below a lot, in place; returns who took some of it."""
    takers: set[int] = set()
    for i in _rest_order(quantity, sheet, exact):
        take = min(rest, sheet.caps[i] - quantity[i])
        if take > 0:
            quantity[i] += take
            rest -= take
            takers.add(i)
        if not rest:
            break
    return frozenset(takers)


def _rest_order(quantity: Mapping[int, int], sheet: Sheet, exact: Exact) -> list[int]:
    """Who is asked first to take the odd rest."""
    rank = sheet.rank
    match sheet.terms.remainder:
        case Remainder.LARGEST_SHORTFALL:
            # Shortfalls times the common denominator ``weight`` are whole numbers.
            share = {
                i: sheet.caps[i] * exact.weight if i in exact.capped else exact.rest * sheet.intents[i]
                for i in quantity
            }
            return sorted(quantity, key=lambda i: (quantity[i] * exact.weight - share[i], rank[i]))
        case Remainder.SMALLEST_ACCOUNT:
            return sorted(quantity, key=lambda i: (sheet.intents[i], rank[i]))
        case Remainder.ROTATION:
            return sorted(quantity, key=lambda i: (sheet.lines[i].turn, sheet.lines[i].account))


# ---------------------------------------------------------------- the house-monotone method


def _by_quota(sheet: Sheet, members: Sequence[int], fill: int) -> Part:
    """Whole units by the quota method, a function of the fill alone that no later fill takes back.

    The weights are the caps. The unit is the lot where every cap is a whole number of lots, else the smallest
    unit; what is left below a lot goes to the line that the next lot goes to, so that it grows into that lot.
    Minimums do not apply: an exclusion that a later fill lifts would be a share given and taken.
    """
    caps = [sheet.caps[i] for i in members]
    unit = sheet.lot if all(cap % sheet.lot == 0 for cap in caps) else 1
    weights, rank = [cap // unit for cap in caps], [sheet.rank[i] for i in members]
    lots, rest = divmod(fill, unit)
    given = quota(lots, weights, rank)
    after = quota(lots + 1, weights, rank) if rest else given
    awards = {}
    for i, x, y, share in zip(members, given, after, _shares(fill, caps), strict=True):
        quantity = x * unit + (rest if y > x else 0)
        floor = share.numerator // (share.denominator * unit) * unit
        rule = "odd-rest:quota" if y > x else FLOOR if quantity == floor else "quota"
        awards[i] = Award(share, min(floor, quantity), quantity, rule)
    return Part(awards)


def _shares(fill: int, weights: Sequence[int]) -> Iterator[Fraction]:
    total = sum(weights)
    return (Fraction(fill * weight, total) for weight in weights)
