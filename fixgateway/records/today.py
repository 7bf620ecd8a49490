"""The figures of a trade date for the page of today: bounded reads of few columns."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from decimal import Decimal

from sqlalchemy import Engine, func, select

from fixgateway.core.model import exact_sum, plain_text
from fixgateway.records.queries import _TABLES

NEWEST = 5_000
"""Orders looked at, newest first; a day with more of them says so."""


def figures(engine: Engine, day: date, begin_ns: int) -> dict[str, int]:
    """How much there is of a trade date.

    Args:
        engine: the records database. day: the trade date. begin_ns: when it began, UTC nanoseconds.

    Returns:
        ``active`` and ``closed`` statements; ``orders`` received and ``blocked`` since ``begin_ns``, among the newest
        :data:`NEWEST`.
    """
    statements, orders = _TABLES["statements"], _TABLES["orders"]
    by_state = (
        select(statements.c.state, func.count()).where(statements.c.trade_date == day).group_by(statements.c.state)
    )
    newest = select(orders.c.ts_ns, orders.c.verdict).order_by(*(key.desc() for key in orders.primary_key.columns))
    with engine.connect() as connection:
        counted = {str(state): int(count) for state, count in connection.execute(by_state)}
        rows = connection.execute(newest.limit(NEWEST)).all()
    verdicts = [verdict for ts_ns, verdict in rows if ts_ns >= begin_ns]
    active = counted.pop("active", 0)
    return {
        "active": active,
        "closed": sum(counted.values()),
        "orders": len(verdicts),
        "blocked": verdicts.count("blocked"),
    }


def filled(engine: Engine, statement_ids: Collection[str]) -> dict[str, str]:
    """What the orders of some statements have filled by now, in sum; statements without orders are left out."""
    if not statement_ids:
        return {}
    orders = _TABLES["orders"]
    query = select(orders.c.statement_id, orders.c.cum_qty).where(orders.c.statement_id.in_(sorted(statement_ids)))
    sums: dict[str, list[Decimal]] = {}
    with engine.connect() as connection:
        for statement_id, quantity in connection.execute(query):
            sums.setdefault(statement_id, []).append(quantity)
    return {statement_id: plain_text(exact_sum(quantities)) for statement_id, quantities in sums.items()}
