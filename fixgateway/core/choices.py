"""The words of policies, statements and brokers: every choice that a file or a message names."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Side of an order or statement; the value is the word used in files."""

    BUY = "buy"
    SELL = "sell"
    SHORT = "short"
    SHORT_EXEMPT = "short-exempt"


class Method(StrEnum):
    """How fills are divided among the lines of a statement; the rules of each stand in ``core/methods.py``."""

    PRO_RATA = "pro-rata"
    ROTATION = "rotation"
    RELEASE_ROTATION = "release-rotation"
    PRICE_TIME = "price-time"
    CLIENT_PRIORITY = "client-priority"
    HIGH_LOW = "high-low"
    MIN_DISPERSION = "min-dispersion"


class Basis(StrEnum):
    """What the lines of a statement say: quantities, or weights of its total that registration turns into them."""

    QUANTITY = "quantity"
    EQUAL = "equal"
    PERCENT = "percent"
    CASH = "cash"


class Rounding(StrEnum):
    """How whole lots come of exact shares.

    ``CARRY_FORWARD`` and ``CUMULATIVE`` remember what earlier roundings gave an account; ``QUOTA`` is
    house-monotone and the one interim booking needs.
    """

    LARGEST_REMAINDER = "largest-remainder"
    CARRY_FORWARD = "carry-forward"
    CUMULATIVE = "cumulative-rounding"
    QUOTA = "quota"


class PriceRounding(StrEnum):
    """How an average price is written: halves away from zero, halves to even, or cut."""

    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    DOWN = "down"


class ResidualCash(StrEnum):
    """Who bears the cents rounding leaves: eligible accounts by largest remainder, or the error account."""

    ACCOUNTS = "accounts"
    ERROR_ACCOUNT = "error-account"


class Overfill(StrEnum):
    """Where a fill above a statement's total goes; an exception is opened in any case."""

    ERROR_ACCOUNT = "error-account"
    UNALLOCATED = "unallocated"


class Averaging(StrEnum):
    """Which fills share one average price: a statement's, or all of the trade date in that security and side."""

    STATEMENT = "statement"
    DAY = "day"


class Interim(StrEnum):
    """Whether anything is booked before a statement is complete: never, on request, or at each day's cut-off."""

    NEVER = "never"
    ON_REQUEST = "on-request"
    DAILY = "daily"


class Ties(StrEnum):
    """Who comes first when two shares have the same remainder (DESIGN §2 rule 8)."""

    SEEDED = "seeded"
    ACCOUNT = "account"
    SMALLEST = "smallest"
    LARGEST = "largest"
    ROTATION = "rotation"


class Remainder(StrEnum):
    """Who receives the odd rest below one lot."""

    LARGEST_SHORTFALL = "largest-shortfall"
    SMALLEST_ACCOUNT = "smallest-account"
    ROTATION = "rotation"


class Completion(StrEnum):
    """When a statement is complete: when its orders have ended, or only at the cut-off."""

    ORDERS = "orders"
    DAY = "day"


class CommType(StrEnum):
    """CommType(13): money for each unit, a fraction of the gross amount (0.05 is 5 %), or a sum for the block."""

    PER_UNIT = "1"
    PERCENT = "2"
    ABSOLUTE = "3"


class FeeBasis(StrEnum):
    """MiscFeeBasis(891): a sum, money for each unit, or a fraction of the gross amount (0.05 is 5 %)."""

    ABSOLUTE = "0"
    PER_UNIT = "1"
    PERCENTAGE = "2"
