"""The columns of a blotter and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping

REQUIRED = (
    "block_id", "trade_date", "symbol", "side", "strategy", "account", "account_class", "fee", "fee_rate",
    "intent_qty", "alloc_qty", "price", "close_price", "captured_at", "released_at", "last_fill_at", "allocated_at",
    "exception_code", "trader",
)  # fmt: skip
"""Columns every blotter has; a cell may be empty where the fact is not known."""

OPTIONAL: Mapping[str, str] = {
    "mark_at_allocation": "returns to the mark that the allocator could see are not tested",
    "completed_at": "lateness runs from last_fill_at",
    "first_fill_at": "changes of a statement after the first fill cannot be seen",
    "statement_changed_at": "changes of a statement after the first fill cannot be seen",
    "exception_at": "the time of exceptions is not tested",
    "exception_approver": "exceptions are not tested by approver",
    "exception_approved_at": "late approvals cannot be seen",
    "exception_text": "the words of exceptions are not looked at",
    "method": "the method is the plan's",
    "expected_qty": "expected shares are the plan's recomputation, or the exact shares",
    "currency": "one currency is assumed",
    "multiplier": "a multiplier of 1 is assumed",
    "owner": "accounts are not grouped by owner",
    "clock_offset_us": "clocks are taken as right",
}
"""Columns a blotter may have, and what cannot be said without them."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "side": ("buy", "sell", "short", "cover"),
    "account_class": ("client", "proprietary", "employee", "error"),
    "fee": ("standard", "performance"),
}
"""Columns of fixed words."""

MAY_BE_EMPTY = ("fee",)
"""Of these, columns where an empty cell is no mistake: an account without a fee pays no performance fee."""

OWN = ("proprietary", "employee")
"""Account classes that are the adviser's own."""

SIGNS: Mapping[str, int] = {"buy": 1, "cover": 1, "sell": -1, "short": -1}

TIMES: Mapping[str, str] = {
    "captured_at": "captured_ns", "released_at": "released_ns", "first_fill_at": "first_fill_ns",
    "last_fill_at": "last_fill_ns", "completed_at": "completed_ns", "allocated_at": "allocated_ns",
    "statement_changed_at": "changed_ns",
}  # fmt: skip
"""Times of a block, and their columns as nanoseconds."""

LATEST = ("captured_ns", "last_fill_ns", "completed_ns", "allocated_ns", "changed_ns")
"""Where the rows of a block differ, its time is the latest; of the others the earliest."""

ROW_TIMES: Mapping[str, str] = {"exception_at": "exception_ns", "exception_approved_at": "approved_ns"}

BLOCK_TEXT = ("symbol", "side", "method", "currency")
"""Texts that must be the same in all rows of a block."""

BLOCK_NUMBERS: Mapping[str, str] = {"close_price": "close", "mark_at_allocation": "mark", "multiplier": "multiplier"}

ROW_NUMBERS: Mapping[str, str] = {
    "intent_qty": "intent", "alloc_qty": "alloc", "expected_qty": "expected", "price": "price"
}  # fmt: skip

ROW_TEXT = ("account_class", "fee", "fee_rate", "owner", "exception_code", "exception_approver", "exception_text")

SCALE_OF: Mapping[str, str] = {
    "intent": "quantity", "alloc": "quantity", "expected": "quantity", "price": "price", "close": "price",
    "mark": "price", "multiplier": "multiplier",
}  # fmt: skip
"""Which scale a number is counted in."""

KNOWN = frozenset(REQUIRED) | frozenset(OPTIONAL)
