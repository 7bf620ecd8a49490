"""Alpha Growth: one adviser, 50 block buys a year, and what became of the 30,000 filled of each 50,000 intended.

Every year 25 blocks close above their price of 100 and 25 below, by 0.08, 0.15, … 1.76 (steps of 0.07), each once:
23.00 in all each way. So what a year is worth to anybody is arithmetic: an account that gets ``u`` units more than
its share of every winner and ``v`` less of every loser has gained 23·(u + v). The seed only says which block closes
where, and the minutes. All twins of one seed share blocks, fills and closes; they differ in the allocation alone.

| scenario | proprietary, entitled to 6,000 | gain a year over its share |
|---|---|---|
| alpha-growth | 15,000 of winners, 1,500 of losers | 23·(9,000 + 4,500) = 310,500 |
| alpha-growth-smart | 10,000 (never over its intent) of winners, 0 of losers | 23·(4,000 + 6,000) = 230,000 |
| alpha-growth-tenth | as the first in 5 blocks a year, else 6,000 | depends on the five |
| alpha-growth-approved | as the first, every memo approved by somebody, hours late | 310,500 |
| alpha-growth-imported | as the first, without any statement | 310,500 |
| honest | 6,000 | 0 |
| noisy | 6,000 ± 3,000 without regard to anything, nothing approved | by chance |
| alpha-growth-daily | each day a winner and then a loser, as the first, no statements | depends on the year |
| honest-strategies | by the statement, which names more for it in the strategy that does better | 0 |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from fixgateway.forensics.made_blocks import (
    CLOSE,
    Account,
    Block,
    Memo,
    Row,
    Scenario,
    Share,
    Times,
    at,
    divided,
    rows_of,
    weekdays,
)

CLIENTS = tuple(Account(f"CLIENT-{letter}", "client", owner=f"Client {letter}") for letter in "ABC")
PROP = Account("PROP", "proprietary", "performance", "0.20", "Alpha Growth Partners")
INTENTS = (25_000, 10_000, 5_000, 10_000)
FILLED = 30_000
ENTITLED = 6_000
PRICE = Decimal(100)
MOVES = tuple(Decimal(8 + 7 * k) / 100 for k in range(25))
"""How far the closes of a year's winners are above the price, and the losers' below it; their sum is 23.00."""
FIRST_YEAR = 2024
MOMENTUM_INTENTS = (10_000, 5_000, 5_000, 30_000)
BETTER = Decimal("0.60")
"""How much higher Momentum's closes are, and lower Value's, in honest-strategies."""
SYMBOLS = ("XYZ", "ABLE", "BIRCH", "COVE", "DELTA", "ELM", "FJORD", "GROVE", "HEATH", "ISLE")

_TENTH = 5


@dataclass(frozen=True, slots=True)
class Day:
    """A block as the market left it, before anybody allocated: its close, and whether it is one of the tenth."""

    number: int
    day: date
    close: Decimal
    one_of_the_tenth: bool
    captured: datetime
    last_fill: datetime
    minutes: int
    noise: int


Deal = Callable[[Day], tuple[int, ...]]
"""What CLIENT-A, CLIENT-B, CLIENT-C and PROP get of a block's 30,000."""


def _days(seed: int, years: int) -> Iterator[Day]:
    """The blocks of all twins, one a week: Tuesdays from the second week of January on."""
    dice = Random(seed)
    for year in range(FIRST_YEAR, FIRST_YEAR + years):
        moves = [*MOVES, *(-move for move in MOVES)]
        dice.shuffle(moves)
        tenth = set(dice.sample(range(len(moves)), _TENTH))
        tuesday = date(year, 1, 5) + timedelta(days=(1 - date(year, 1, 5).weekday()) % 7)
        for n, move in enumerate(moves):
            day = tuesday + timedelta(days=7 * n)
            captured = at(day, time(9, 35), dice.randrange(60), dice.randrange(60))
            yield Day(
                number=(year - FIRST_YEAR) * len(moves) + n + 1,
                day=day,
                close=PRICE + move,
                one_of_the_tenth=n in tenth,
                captured=captured,
                last_fill=captured + timedelta(minutes=dice.randrange(20, 90), seconds=dice.randrange(60)),
                minutes=dice.randrange(2, 12),
                noise=dice.choice((-3_000, 0, 0, 3_000)),
            )


def _to_prop(quantity: int) -> tuple[int, ...]:
    """PROP gets this, the clients the rest by their intents."""
    return (*divided(FILLED - quantity, INTENTS[:3]), quantity)


def _by_the_statement(day: Day) -> tuple[int, ...]:
    return _to_prop(ENTITLED)


def _by_the_close(day: Day) -> tuple[int, ...]:
    """Winners half to PROP and half to CLIENT-A, the memo's example; losers mostly to the clients."""
    return (15_000, 0, 0, 15_000) if day.close > PRICE else _to_prop(1_500)


def _by_the_close_within_intent(day: Day) -> tuple[int, ...]:
    """The same, smarter: PROP never gets more than was intended for it."""
    return _to_prop(10_000 if day.close > PRICE else 0)


def _by_the_close_sometimes(day: Day) -> tuple[int, ...]:
    return _by_the_close(day) if day.one_of_the_tenth else _by_the_statement(day)


def _by_nothing(day: Day) -> tuple[int, ...]:
    """Careless: PROP and CLIENT-A exchange 3,000 now and then, whatever the close."""
    return (15_000 - day.noise, 6_000, 3_000, ENTITLED + day.noise)


def _block(day: Day, given: Sequence[int], looked: bool, intents: Sequence[int] = INTENTS) -> Block:
    """The block as allocated: within minutes of the last fill or, by who ``looked``, after the close, a memo later."""
    completed = day.last_fill + timedelta(minutes=1)
    allocated = at(day.day, CLOSE, 30 + 15 * day.minutes) if looked else completed + timedelta(minutes=day.minutes)
    return Block(
        block_id=f"AG-{day.number:04}",
        symbol=SYMBOLS[day.number % len(SYMBOLS)],
        side="buy",
        strategy="Alpha Growth",
        price=PRICE,
        close=day.close,
        mark=day.close if looked else PRICE + Decimal(day.minutes - 6) / 100,
        times=Times(
            captured=day.captured,
            released=day.captured + timedelta(seconds=40),
            first_fill=day.captured + timedelta(seconds=45),
            last_fill=day.last_fill,
            completed=completed,
            allocated=allocated,
        ),
        shares=[
            Share(account, intent, quantity)
            for account, intent, quantity in zip((*CLIENTS, PROP), intents, given, strict=True)
        ],
        memo=Memo(allocated + timedelta(hours=2), "DISCRETION", "market conditions") if looked else None,
    )


def _approved(block: Block) -> Block:
    memo = block.memo
    if memo is None:
        return block
    approved = replace(memo, code="REBALANCE", approver="cco", approved_at=memo.at + timedelta(minutes=20))
    return replace(block, memo=approved)


def _without_statement(block: Block) -> Block:
    shares = [replace(share, intent=None) for share in block.shares]
    return replace(block, times=replace(block.times, captured=None), shares=shares, memo=None)


def _as_is(block: Block) -> Block:
    return block


def _scenario(words: str, deal: Deal, then: Callable[[Block], Block] = _as_is, looks: bool = True) -> Scenario:
    def make(seed: int, years: int) -> Iterator[Row]:
        for day in _days(seed, years):
            given = deal(day)
            yield from rows_of(then(_block(day, given, looks and given != _by_the_statement(day))))

    return Scenario(words, make)


def _strategies(seed: int, years: int) -> Iterator[Row]:
    """Honest and different: Momentum, mostly the proprietary account's, closes higher than Value, mostly clients'."""
    for day in _days(seed, years):
        momentum = day.number % 2 == 1
        intents = MOMENTUM_INTENTS if momentum else INTENTS
        close = day.close + (BETTER if momentum else -BETTER)
        block = _block(replace(day, close=close), divided(FILLED, intents), False, intents)
        yield from rows_of(replace(block, strategy="Momentum" if momentum else "Value"))


def _daily(seed: int, years: int) -> Iterator[Row]:
    """Two blocks a day in the same order every day: what a test that exchanges whole days must not overlook."""
    dice = Random(seed)
    days = weekdays(date(FIRST_YEAR, 1, 2), date(FIRST_YEAR + years - 1, 12, 31))
    for n, day in enumerate(days):
        for turn, sign in enumerate((1, -1)):
            captured = at(day, time(9, 35), 10 * turn)
            made = Day(
                number=2 * n + turn + 1,
                day=day,
                close=PRICE + sign * dice.choice(MOVES),
                one_of_the_tenth=False,
                captured=captured,
                last_fill=captured + timedelta(minutes=dice.randrange(20, 90)),
                minutes=dice.randrange(2, 12),
                noise=0,
            )
            yield from rows_of(_without_statement(_block(made, _by_the_close(made), True)))


ALPHA = {
    "alpha-growth": _scenario("winners to the proprietary account, losers to clients", _by_the_close),
    "alpha-growth-smart": _scenario("the same, never above its intent", _by_the_close_within_intent),
    "alpha-growth-tenth": _scenario("the same in a tenth of the blocks", _by_the_close_sometimes),
    "alpha-growth-approved": _scenario("the same with approved codes", _by_the_close, _approved),
    "alpha-growth-imported": _scenario("the same without any statement", _by_the_close, _without_statement),
    "alpha-growth-daily": Scenario("the same in a winner and a loser every day, without any statement", _daily),
    "honest": _scenario("allocated by the statement, at once", _by_the_statement, looks=False),
    "noisy": _scenario("careless, without regard to the outcome", _by_nothing, looks=False),
    "honest-strategies": Scenario("by statements that give a better strategy to the proprietary account", _strategies),
}
"""Alpha Growth and its twins by name."""
