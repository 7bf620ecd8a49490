"""What follows an allocation, in the database: every table, the times, the view of a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from fixgateway.core import dayclock
from fixgateway.journal.records import Record
from fixgateway.records import booked_tables, queries
from fixgateway.records.affirmations import affirmations
from fixgateway.records.projector import Projector
from fixgateway.records.tables import Base

Evening = tuple[Any, list[Record]]
TABLES: list[Any] = [
    x for x in vars(booked_tables).values() if isinstance(x, type) and x.__module__ == booked_tables.__name__
]


@pytest.fixture
def engine(evening: Evening, new_engine: Callable[[], Engine]) -> Engine:
    engine = new_engine()
    Projector(engine).apply(evening[1])
    return engine


def rows(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def test_every_table_has_rows(engine: Engine) -> None:
    assert [x.__tablename__ for x in TABLES if not rows(engine, f"SELECT 1 FROM {x.__tablename__}")] == []
    assert len(TABLES) == 8
    assert rows(engine, "SELECT error FROM unprojected") == []
    assert issubclass(TABLES[0], Base)


def test_what_left_has_its_own_time(engine: Engine) -> None:
    found = rows(engine, "SELECT msg_type, session FROM deliveries ORDER BY journal_seq")
    assert found == [("J", "BRK1"), ("AU", "BRK1")]
    joined = rows(
        engine, "SELECT a.affirm_status FROM affirmations a JOIN deliveries d USING (input_seq, position)"
    )
    assert joined == [("3",)]


def test_the_view_of_a_day_is_what_the_engine_counts(evening: Evening, engine: Engine) -> None:
    world = evening[0]
    work = dayclock.survey(world.engine.state, world.engine.state.trade_date)["BRK1"]
    found = affirmations(engine)
    counted = {"due": work.due, "allocated": work.allocated, "accepted": work.accepted}
    counted |= {"confirmed": work.confirmed, "affirmed": work.affirmed}
    assert found["brokers"] == [{"broker": "BRK1", **counted}]
    assert counted == {"due": 4, "allocated": 4, "accepted": 4, "confirmed": 2, "affirmed": 1}
    assert [(x["account"], x["confirmation"]) for x in found["open"]] == [
        ("CLIENT-B", "rejected"), ("CLIENT-C", "missing"), ("PROP", "missing"),
    ]  # fmt: skip
    assert [(x["stage"], x["affirmed"]) for x in found["measured"]] == [("allocate", 1), ("affirm", 1)]


def test_a_database_without_allocations_has_an_empty_view(new_engine: Callable[[], Engine]) -> None:
    assert affirmations(new_engine())["trade_date"] is None


def test_the_trace_tells_the_rest_of_the_story(engine: Engine) -> None:
    told = {entry["what"] for entry in queries.trace(engine, "S-1")["timeline"]}
    assert {"broker's report", "confirmation", "confirmation answered", "confirmation asked for"} <= told
