"""The database's queries in the shape the app takes."""

from __future__ import annotations

from functools import partial
from typing import Any

from fixgateway.records import queries as records
from fixgateway.web.port import Queries


def from_engine(engine: Any) -> Queries:
    """Queries that read ``engine`` (of ``records.database``); each opens a connection of its own."""
    return Queries(
        statements=partial(records.statements, engine),
        statement=partial(records.statement, engine),
        orders=partial(records.orders, engine),
        allocations=partial(records.allocations, engine),
        allocation=partial(records.allocation, engine),
        trace=partial(records.trace, engine),
    )
