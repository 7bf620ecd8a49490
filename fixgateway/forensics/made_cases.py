"""Histories shaped like published enforcement cases: periods, counts, win rates and mean returns as published.

The numbers come from the public orders, complaints and press releases named in each row; several are settled
without admission or only alleged, and the histories are made up: they show what such a pattern looks like to the
tests, not what anybody did. What a source does not say (counts, prices, sizes) is chosen here and marked "chosen".

None has a pre-trade statement (that is what these cases have in common), so the a2 family of tests applies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

from fixgateway.forensics.made_blocks import (
    CLOSE,
    Account,
    Block,
    Row,
    Scenario,
    Share,
    Times,
    at,
    divided,
    rows_of,
    weekdays,
)

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Kind:
    """Some blocks of a history that went the same way.

    Attributes:
        blocks: how many.
        wins: how many of them closed above their price.
        mean: mean first-day return of all of them, in units of 0.001 percent.
        favoured: percent of a winner's and of a loser's quantity that goes to the favoured accounts.
        accounts: how many accounts of a side share a block.
    """

    blocks: int
    wins: int
    mean: int
    favoured: tuple[int, int]
    accounts: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A published case as numbers.

    Attributes:
        words: what it is, for the list of scenarios, with its source.
        first, last: its period.
        kinds: its blocks.
        favoured, others: the accounts.
        late: least and most minutes from the last fill to the allocation.
        side: of all blocks.
        symbols: what was traded.
        price: of one unit, about.
        units: of one block, about.
        multiplier: contract multiplier, empty for 1.
    """

    words: str
    first: date
    last: date
    kinds: tuple[Kind, ...]
    favoured: tuple[Account, ...]
    others: tuple[Account, ...]
    late: tuple[int, int] = (240, 600)
    symbols: tuple[str, ...] = ("ABLE", "BIRCH", "COVE", "DELTA", "ELM", "FJORD")
    price: int = 100
    units: int = 1_000
    multiplier: str = ""
    strategy: str = "Equity"


def _own(name: str = "OWN", owner: str = "principal") -> Account:
    return Account(name, "proprietary", "standard", "0", owner)


def _clients(count: int) -> tuple[Account, ...]:
    return tuple(Account(f"CLIENT-{n:03}", "client", owner=f"client {n}") for n in range(1, count + 1))


def _paying(name: str, rate: str) -> Account:
    return Account(name, "client", "performance", rate, name.lower())


ALL_OWN, ALL_OTHERS = (100, 100), (0, 0)

PUBLISHED = {
    "welhouse": Case(
        "SPY options, own +6.28 %, clients -5.05 % (SEC, AP 3-16657, 2015); counts chosen",
        date(2010, 2, 1), date(2013, 1, 31),
        (Kind(180, 140, 6_280, ALL_OWN), Kind(260, 60, -5_050, ALL_OTHERS, 3)),
        (_own(),), _clients(12), symbols=("SPY-C", "SPY-P"), price=3, units=100, multiplier="100", strategy="Options",
    ),
    "hartshorn": Case(
        "own blocks 85 % profitable, client blocks never; split blocks 68 % of winners, 19 % of losers to own; "
        "+0.26 % / -1.02 % (SEC 34-77648, 2016); counts chosen",
        date(2010, 1, 4), date(2011, 3, 31),
        (Kind(60, 51, 260, ALL_OWN), Kind(60, 0, -1_020, ALL_OTHERS, 2), Kind(80, 40, 0, (68, 19), 2)),
        (_own(),), _clients(10),
    ),
    "middlecove": Case(
        "+67 bp / -32 bp (SEC, MiddleCove, 2013-2015); counts chosen",
        date(2008, 10, 1), date(2011, 2, 28),
        (Kind(400, 270, 670, ALL_OWN), Kind(900, 380, -320, ALL_OTHERS, 3)),
        (_own(),), _clients(60),
    ),
    "breton": Case(
        "over 200 winners to self, over 200 losers to clients, around earnings (SEC and D. Mass., 2017); means chosen",
        date(2010, 1, 4), date(2016, 8, 31),
        (Kind(210, 204, 2_500, ALL_OWN), Kind(215, 9, -2_400, ALL_OTHERS, 3)),
        (_own(),), _clients(30),
    ),
    "magee": Case(
        "own 376 of 459 profitable, +0.876 %; clients 219 of 1,365, -2.309 % (SEC, Valor, 2018)",
        date(2012, 7, 2), date(2015, 5, 29),
        (Kind(459, 376, 876, ALL_OWN), Kind(455, 73, -2_309, ALL_OTHERS, 3)),
        (_own(),), _clients(25),
    ),
    "buchanan": Case(
        "options, allocated more than an hour after the close; +56,075 / -60,821 in all (SEC 34-86761, 2019); rates "
        "and counts chosen",
        date(2013, 3, 1), date(2015, 6, 30),
        (Kind(150, 120, 1_246, ALL_OWN), Kind(180, 45, -1_126, ALL_OTHERS, 3)),
        (_own(),), _clients(15), late=(450, 700), units=300,
    ),
    "dushek": Case(
        "13,500 trades in four years, over 75 % of own and under 25 % of the clients' profitable, allocated days "
        "later (SEC complaint, 2013); means chosen",
        date(2008, 7, 1), date(2012, 6, 29),
        (Kind(5_400, 4_150, 500, ALL_OWN), Kind(8_100, 1_940, -550, ALL_OTHERS)),
        (_own("OWN-1"), _own("OWN-2")), _clients(40), late=(1_440, 5_760), symbols=("ES", "NQ", "CL", "GC"),
        units=5, multiplier="50", strategy="Futures",
    ),
    "zandlo": Case(
        "82.5 % of purchases through the block account, +2.47 % / -1.01 %, 78 client accounts (SEC, North East, "
        "2025); counts chosen",
        date(2020, 1, 2), date(2022, 12, 30),
        (Kind(143, 131, 2_470, ALL_OWN), Kind(372, 116, -1_010, ALL_OTHERS, 4)),
        (_own(),), _clients(78), units=300,
    ),
    "cobb": Case(
        "286 occasions, allocated at least a day later (SEC, 2024); rates and means chosen",
        date(2019, 6, 3), date(2022, 4, 15),
        (Kind(286, 250, 1_200, ALL_OWN), Kind(320, 60, -1_150, ALL_OTHERS, 2)),
        (_own(),), _clients(40), late=(1_440, 2_880), units=500,
    ),
    "kambolin": Case(
        "futures, winners to the proprietary pool (CFTC, Systematic Alpha, 2023); rates and counts chosen",
        date(2019, 1, 2), date(2021, 11, 30),
        (Kind(500, 380, 300, ALL_OWN), Kind(600, 210, -280, ALL_OTHERS, 2)),
        (_own("POOL"),), _clients(6), symbols=("ES", "BTC-F", "ETH-F"), price=4_000, units=4, multiplier="50",
        strategy="Futures",
    ),
    "glenncap": Case(
        "own and higher performance-fee clients favoured (SEC, GlennCap, 2023); rates, means and counts chosen",
        date(2020, 1, 2), date(2022, 3, 31),
        (Kind(200, 160, 900, ALL_OWN, 2), Kind(350, 120, -500, ALL_OTHERS, 4)),
        (_own(), _paying("FEE-20", "0.20"), _paying("FEE-15", "0.15")), _clients(20),
    ),
    "wamco": Case(
        "allegations: one strategy's accounts gained on the first day in each of 34 months, another's lost in each "
        "(SEC complaint, 2024; contested); counts and means chosen",
        date(2021, 1, 4), date(2023, 10, 31),
        (Kind(1_020, 782, 90, ALL_OWN, 2), Kind(1_360, 340, -90, ALL_OTHERS, 3)),
        (_paying("MACRO-1", "0.04"), _paying("MACRO-2", "0.04")), _clients(8), late=(180, 420),
        symbols=("TY", "US", "FV"), price=120, units=500, multiplier="1000", strategy="Fixed Income",
    ),
}  # fmt: skip
"""The published cases."""


def _history(case: Case, seed: int) -> Iterator[Row]:
    """All rows of a case, in the order of their days."""
    dice = Random(seed)
    days = weekdays(case.first, case.last)
    planned = [
        (days[(2 * n + 1) * len(days) // (2 * kind.blocks)], order, n, kind, moved)
        for order, kind in enumerate(case.kinds)
        for n, moved in enumerate(_returns(kind, dice))
    ]
    planned.sort(key=lambda plan: plan[:3])
    for number, (day, _, n, kind, moved) in enumerate(planned, 1):
        yield from rows_of(_block(case, kind, dice, f"B-{number:05}", day, n, moved))


def _returns(kind: Kind, dice: Random) -> list[Fraction]:
    """The first-day return of every block: ``wins`` above zero, spread evenly over the period, mean as published."""
    losses = kind.blocks - kind.wins
    total = Fraction(kind.mean * kind.blocks, 100_000)
    gain, loss = _averages(kind.wins, losses, total)
    gains, falls = _around(gain, kind.wins, dice), _around(loss, losses, dice)
    result = []
    for n in range(kind.blocks):
        won = (n + 1) * kind.wins // kind.blocks > n * kind.wins // kind.blocks
        result.append(gains.pop() if won else -falls.pop())
    return result


def _averages(wins: int, losses: int, total: Fraction) -> tuple[Fraction, Fraction]:
    """Mean gain and mean loss that give the total; the less frequent of the two is a third of the other's sum."""
    if not losses:
        return total / wins, Fraction(0)
    if not wins:
        return Fraction(0), -total / losses
    if total > 0:
        return total * Fraction(3, 2) / wins, total / 2 / losses
    if total < 0:
        return -total / 2 / wins, -total * Fraction(3, 2) / losses
    return Fraction(1, 100) * losses / wins, Fraction(1, 100)


def _around(mean: Fraction, count: int, dice: Random) -> list[Fraction]:
    """So many positive values with exactly this mean: pairs as far below as above, 0.2 to 1.8 times the mean."""
    values = []
    for _ in range(count // 2):
        off = Fraction(dice.randrange(0, 81), 100)
        values += [mean * (1 + off), mean * (1 - off)]
    if count % 2:
        values.append(mean)
    dice.shuffle(values)
    return values


def _block(case: Case, kind: Kind, dice: Random, block_id: str, day: date, n: int, moved: Fraction) -> Block:
    price = case.price + Decimal(dice.randrange(-10 * case.price, 10 * case.price)) / 100
    # A finer tick than the market's, so that the published means are met within a thousandth of a percent.
    close = price + Decimal(round(Fraction(price) * moved * 10_000)) / 10_000
    units = case.units * dice.randrange(60, 141) // 100
    winner = moved > 0
    to_favoured = units * kind.favoured[0 if winner else 1] // 100
    released = at(day, time(9, 35), dice.randrange(240))
    last_fill = released + timedelta(minutes=dice.randrange(1, 60))
    return Block(
        block_id=block_id,
        symbol=case.symbols[dice.randrange(len(case.symbols))],
        side="buy",
        strategy=case.strategy,
        price=price,
        close=close,
        mark=None,
        times=_times(released, last_fill, dice.randrange(*case.late)),
        shares=[
            *_shares(case.favoured, to_favoured, kind.accounts, n),
            *_shares(case.others, units - to_favoured, kind.accounts, n),
        ],
        multiplier=case.multiplier,
    )


def _times(released: datetime, last_fill: datetime, late: int) -> Times:
    """No statement; allocated after the close, or whenever it was."""
    after_close = at(released.date(), CLOSE, 5)
    allocated = max(last_fill + timedelta(minutes=late), after_close)
    return Times(None, released, released + timedelta(seconds=10), last_fill, last_fill, allocated)


def _shares(accounts: Sequence[Account], units: int, count: int, n: int) -> list[Share]:
    """Units to the next few accounts in turn, equally."""
    if not units:
        return []
    chosen = [accounts[(n * count + k) % len(accounts)] for k in range(min(count, len(accounts)))]
    given = divided(units, [1] * len(chosen))
    return [Share(account, None, quantity) for account, quantity in zip(chosen, given, strict=True) if quantity]


def _scenario(case: Case) -> Scenario:
    def make(seed: int, years: int) -> Iterator[Row]:
        return _history(case, seed)

    return Scenario(case.words, make, fixed_length=True)


CASES = {name: _scenario(case) for name, case in PUBLISHED.items()}
"""The published cases as scenarios, by name."""
