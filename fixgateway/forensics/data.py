"""What every test works on: the blotter as exact integers, with the expected shares and the strata beside it.

``rows`` has one line for each block and account, ``blocks`` one for each block. Quantities are whole numbers of
1/``quantity_scale``, prices of 1/``price_scale``, multipliers of 1/``multiplier_scale``; scales are powers of ten.

``rows``
    ==================  ==========  =========================================================================
    b, a                Int64       index of the block in ``blocks``, of the account in ``accounts``
    line                Int64       line of the file (1 is the header)
    account_class, fee, fee_rate, owner, exception_code, exception_approver, exception_text
                        String or Categorical   as in the file; "" where empty (the block's id stands in ``blocks``, the
                                    account's name in ``accounts``)
    intent              Int64       null where there was none
    alloc, price        Int64
    expected            Int64       column expected_qty; null where empty
    d                   Int64       deviation x - x* as numerator: d / (den of the block · quantity_scale) units
    star                Int64       x* with the same denominator
    exact               Int64       the exact share by the statement, numerator over ``eden`` of the block; null without
    g_<group>           Boolean     the row belongs to the group
    exception_ns, approved_ns  Int64    the row's exception times, ns since 1970 UTC; null where empty
    ==================  ==========  =========================================================================

``blocks`` (row number = b; sorted by trade_date, block_id)
    ==================  ==========  =========================================================================
    block_id, symbol, side, strategy, trader, currency, method   String
    trade_date          Date
    day                 Int64       days since 1970
    sign                Int64       +1 buy, cover; -1 sell, short
    multiplier          Int64
    price, price_den    Int64       average price: price / (price_den · price_scale)
    one_price           Boolean     every account has the same price
    close, mark         Int64       null where empty
    captured_ns, released_ns, first_fill_ns, last_fill_ns, completed_ns, allocated_ns, changed_ns,
    exception_ns, approved_ns       Int64    ns since 1970 UTC; null where empty
    offset_us           Int64       clock_offset_us; null where empty
    exception_code, exception_approver, exception_text   String  the first that a row of the block has
    filled              Int64       Σ alloc
    intended            Int64       Σ intent; null without a statement
    statement           Boolean     has a pre-trade statement (captured before release or not)
    in_time             Boolean     captured surely before release: the block belongs to a1
    why_not             String      "" or why the block is not in a1 (no statement, no times, late, unresolved)
    known_policy        Boolean     x* is the policy's, not merely the exact share
    source              String      of x*: "policy", "column", "exact", "none" (no statement and no expectation)
    den, eden           Int64       denominators of d and of the exact share
    ret, ret_mark       Float64     s·(close/P - 1) and the same with the mark; null where not known
    r, r_mark           Int64       the same in whole units of 1/``RETURN_UNIT``; null where not known
    stratum             Int64       index in ``strata``
    d_<group>           Int64       Σ d of the group's rows (numerator over den)
    star_<group>        Int64       Σ star
    x_<group>           Int64       Σ alloc
    ==================  ==========  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from fixgateway.forensics.plan import Plan

RETURN_UNIT = 1 << 20
"""Returns are compared as whole numbers of 1/2^20, about a hundredth of a basis point."""

Progress = Callable[[str, float], None]
"""Told what is being done and how much of it is, 0 to 1."""


def silent(what: str, share: float) -> None:
    """A progress that says nothing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A line of the blotter that was not used, and why; ``block_id`` is empty where it cannot be read."""

    line: int
    block_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stratum:
    """Blocks that may be compared: one strategy, one side, some months (``months`` empty: all of them)."""

    strategy: str
    side: str
    months: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Review:
    """A blotter ready for the tests.

    ``groups`` maps a group's name (``own``, ``fee``, ``union`` and the plan's) to its accounts, in the order of
    ``accounts``. ``columns`` are the columns the file had. ``notes`` are sentences for the report: what cannot be tested and
    why. ``seed`` is hex. ``data_sha256`` identifies the file.
    """  # noqa: E501

    plan: Plan
    seed: str
    data_sha256: str
    rows: pl.DataFrame
    blocks: pl.DataFrame
    accounts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    strata: tuple[Stratum, ...]
    quantity_scale: int
    price_scale: int
    multiplier_scale: int
    columns: frozenset[str]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    progress: Progress = field(default=silent)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        """Whether the file had all these columns."""
        return self.columns.issuperset(names)

    @property
    def currencies(self) -> list[str]:
        """The currencies of the blocks, sorted; "" where the file names none."""
        return sorted(self.blocks["currency"].unique().to_list())
