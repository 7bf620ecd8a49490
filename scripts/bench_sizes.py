"""Divides statements of many sizes and prints what an account cost, for scripts/bench sizes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.config.preview import UNNAMED
from fixgateway.core import money
from fixgateway.core.columns import spread
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import BrokerSetup, Line, Method, Remainder, Rounding, Side, Statement, Ties, exact_sum
from fixgateway.core.outputs import Allocation, Share

REPEATS = 3
"""Times every case is done at every size; the least counts."""

TERMS = Terms("S-1", Decimal(1), Decimal(0), Ties.SEEDED, Remainder.LARGEST_SHORTFALL, "11" * 32)
Case = Callable[[], object]


def lines_of(size: int) -> list[Line]:
    """Intents of 100 to 1,099 in no order, a turn and one of three tiers each."""
    return [
        Line(f"A{n:06}", Decimal(100 + n * 7919 % 1000), turn=n * 7919 % size + 1, tier=n % 3) for n in range(size)
    ]


def statement_of(lines: Sequence[Line]) -> Statement:
    """The statement with these lines."""
    return Statement(
        statement_id="S-1", version=1, oms="", trade_date=date(2026, 11, 23), symbol="XYZ", security_id="",
        id_source="", side=Side.BUY, total=exact_sum(line.quantity for line in lines), lines=tuple(lines),
        method=Method.PRO_RATA, lot=Decimal(1), min_quantity=Decimal(0), ties=Ties.SEEDED,
        remainder=Remainder.LARGEST_SHORTFALL, policy_id="", policy_version="", cl_ord_ids=(), brokers=(),
        recommended_by="", placed_by="", discretionary="", rationale="", memo_complete=False, door="", actor="",
        registered_seq=0, registered_ns=0, seed="11" * 32, seed_commitment="",
    )  # fmt: skip


def cases_of(size: int) -> dict[str, Case]:
    """What is measured at a size, by name; what each needs is made before."""
    lines = lines_of(size)
    statement = statement_of(lines)
    filled = Decimal(int(statement.total) * 3 // 5)
    division = allocate(lines, filled, TERMS)
    shares = {line.account: line.quantity for line in division.lines}
    third = filled // 3
    fills = {"B1": third, "B2": third - 1, "B3": filled - third - third + 1}
    allocation = Allocation(
        alloc_id="A-1", trans_type="0", ref_alloc_id="", replace_reason="", alloc_type="1", statement_id="S-1",
        broker="B1", oms="", trade_date=statement.trade_date, symbol="XYZ", security_id="", id_source="",
        side=Side.BUY, quantity=filled, avg_px="100.1389", price_decimals=4, orders=(),
        shares=tuple(Share(account, share, "100.1389") for account, share in shares.items() if share),
    )  # fmt: skip
    broker = BrokerSetup("B1", commission=Decimal(25))

    def by(**terms: object) -> Case:
        asked = replace(TERMS, **terms)  # type: ignore[arg-type]
        return lambda: allocate(lines, filled, asked)

    return {
        "pro-rata": by(),
        "quota": by(rounding=Rounding.QUOTA),
        "carry-forward": by(rounding=Rounding.CARRY_FORWARD),
        "client-priority": by(method=Method.CLIENT_PRIORITY),
        "rotation": by(method=Method.ROTATION),
        "three brokers": lambda: spread(statement, shares, fills, 2),
        "money": lambda: money.priced(allocation, UNNAMED, broker, statement, Fraction(901_250, 9_000)),
    }


def measured(least: int, sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """CPU microseconds for each account, by case and size; sizes alternate, so that all see the same machine.

    Args:
        least: a small size is done so often that as many accounts are divided.
    """
    made = {size: cases_of(size) for size in sizes}
    best: dict[str, dict[int, float]] = {name: {} for name in made[sizes[0]]}
    for _ in range(REPEATS):
        for name, found in best.items():
            for size in sizes:
                times = max(1, least // size)
                before = time.process_time()
                for _ in range(times):
                    made[size][name]()
                taken = (time.process_time() - before) / times / size * 1e6
                found[size] = min(taken, found.get(size, taken))
    return best


if __name__ == "__main__":
    first, *rest = map(int, sys.argv[1:])
    print(json.dumps(measured(first, rest)))
