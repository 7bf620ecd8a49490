"""What every made history is built of: blocks in plain values, and how one becomes rows of the blotter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

Row = dict[str, str]

COLUMNS = (
    "block_id", "trade_date", "symbol", "side", "strategy", "account", "account_class", "fee", "fee_rate",
    "intent_qty", "alloc_qty", "price", "close_price", "captured_at", "released_at", "last_fill_at", "allocated_at",
    "exception_code", "trader",
)  # fmt: skip
"""The columns every blotter has."""

OPTIONAL = (
    "mark_at_allocation", "completed_at", "first_fill_at", "statement_changed_at", "exception_at",
    "exception_approver", "exception_approved_at", "exception_text", "method", "expected_qty", "currency",
    "multiplier", "owner", "clock_offset_us",
)  # fmt: skip
"""The columns that let more be tested."""

NEW_YORK = ZoneInfo("America/New_York")
CLOSE = time(16)
_WEEKEND = 5


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the blotter describes it; ``fee_rate`` is a fraction as decimal text."""

    name: str
    account_class: str
    fee: str = "standard"
    fee_rate: str = "0.01"
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Memo:
    """What was written about a deviation: when, by what code and text; who approved it and when, if anybody."""

    at: datetime
    code: str
    text: str
    approver: str = ""
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """One account's line of a block: intended units (None: nothing was written down before) and allocated ones."""

    account: Account
    intent: int | None
    quantity: int


@dataclass(frozen=True, slots=True)
class Times:
    """The moments of a block; ``captured`` is None when there was no statement."""

    captured: datetime | None
    released: datetime
    first_fill: datetime
    last_fill: datetime
    completed: datetime
    allocated: datetime


@dataclass(frozen=True, slots=True)
class Block:
    """One aggregated order, filled and allocated; prices are for one unit of ``multiplier``."""

    block_id: str
    symbol: str
    side: str
    strategy: str
    price: Decimal
    close: Decimal
    mark: Decimal | None
    times: Times
    shares: Sequence[Share]
    trader: str = "T1"
    memo: Memo | None = None
    multiplier: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of history: its words for the list, and the function (seed, years) → rows."""

    words: str
    make: Callable[[int, int], Iterator[Row]]
    fixed_length: bool = False


def rows_of(block: Block) -> Iterator[Row]:
    """The rows of a block, one for each account."""
    times, memo = block.times, block.memo
    common = {
        "block_id": block.block_id,
        "trade_date": times.released.date().isoformat(),
        "symbol": block.symbol,
        "side": block.side,
        "strategy": block.strategy,
        "price": str(block.price),
        "close_price": str(block.close),
        "mark_at_allocation": str(block.mark) if block.mark is not None else "",
        "captured_at": _iso(times.captured),
        "released_at": _iso(times.released),
        "first_fill_at": _iso(times.first_fill),
        "last_fill_at": _iso(times.last_fill),
        "completed_at": _iso(times.completed),
        "allocated_at": _iso(times.allocated),
        "trader": block.trader,
        "multiplier": block.multiplier,
        "exception_code": memo.code if memo else "",
        "exception_text": memo.text if memo else "",
        "exception_at": _iso(memo.at) if memo else "",
        "exception_approver": memo.approver if memo else "",
        "exception_approved_at": _iso(memo.approved_at) if memo else "",
        "currency": "USD",
    }
    for share in block.shares:
        account = share.account
        yield common | {
            "account": account.name,
            "account_class": account.account_class,
            "fee": account.fee,
            "fee_rate": account.fee_rate,
            "owner": account.owner,
            "intent_qty": "" if share.intent is None else str(share.intent),
            "alloc_qty": str(share.quantity),
        }


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def at(day: date, clock: time, minutes: int = 0, seconds: int = 0) -> datetime:
    """A moment of New York's clock on a day, so much later."""
    return datetime.combine(day, clock, NEW_YORK) + timedelta(minutes=minutes, seconds=seconds)


def weekdays(first: date, last: date) -> list[date]:
    """Monday to Friday from the first day to the last, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < _WEEKEND]


def divided(units: int, weights: Sequence[int]) -> list[int]:
    """Units by weights of positive sum, largest remainder, ties to the first."""
    total = sum(weights)
    given = [units * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (Fraction(given[i]) - Fraction(units * weights[i], total), i))
    for i in order[: units - sum(given)]:
        given[i] += 1
    return given
