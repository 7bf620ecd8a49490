"""Connecting, the schema's version, exact amounts."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, inspect, select, text

from fixgateway.core.model import plain_text
from fixgateway.errors import ConfigError, FixgatewayError, UsageError
from fixgateway.records.database import connect, create_schema, open_records
from fixgateway.records.tables import Base

LINES = Base.metadata.tables["allocation_orders"]


def test_data_dir_is_filled_in_and_made(tmp_path: Path) -> None:
    engine = connect("sqlite:///{data_dir}/deep/records.db", tmp_path)
    create_schema(engine)
    assert (tmp_path / "deep" / "records.db").exists()
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("not a url", "cannot be read"),
        ("mysql://x@y/z", "mysql is not supported"),
        ("postgresql+nodriver://x@y/z", "driver .* is missing"),
    ],
)
def test_a_wrong_url_is_a_configuration_error(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        connect(url, tmp_path)
    assert "[records] url" in str(caught.value)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(FixgatewayError) as caught:
        open_records("postgresql+psycopg://u:hunter2@127.0.0.1:1/d", tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "does not answer" in str(caught.value)


def test_opening_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records database"):
        open_records("sqlite:///{data_dir}/records.db", tmp_path)
    assert not (tmp_path / "records.db").exists()


def test_opening_an_empty_database_says_so(new_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_url()
    connect(url, tmp_path).connect().close()
    with pytest.raises(UsageError, match="has no records tables"):
        open_records(url, tmp_path)


def test_another_version_is_refused(new_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_url()
    engine = connect(url, tmp_path)
    create_schema(engine)
    create_schema(engine)  # again is fine
    open_records(url, tmp_path).dispose()
    with engine.begin() as connection:
        connection.execute(text("UPDATE projection SET schema_version = 99"))
    for attempt in (lambda: create_schema(engine), lambda: open_records(url, tmp_path)):
        with pytest.raises(UsageError, match=r"version 99.*rebuild"):
            attempt()
    engine.dispose()


def test_constraints_have_the_names_of_the_convention(new_engine: Callable[[], Engine]) -> None:
    found = inspect(new_engine())
    assert found.get_pk_constraint("orders")["name"] == "pk_orders"
    assert {key["name"] for key in found.get_foreign_keys("statement_lines")} == {"fk_statement_lines_statements"}
    assert {index["name"] for index in found.get_indexes("allocations")} == {
        "ix_allocations_alloc_id",
        "ix_allocations_statement_id",
        "ix_allocations_trade_date",
    }


def test_amounts_are_exact(new_engine: Callable[[], Engine]) -> None:
    engine = new_engine()
    head = Base.metadata.tables["allocations"]

    @settings(max_examples=40, deadline=None)
    @given(st.decimals(min_value=0, max_value=10**15 - 1, places=9))
    def check(amount: Decimal) -> None:
        row = {"journal_seq": 1, "position": 0, "line": 0, "cl_ord_id": "", "order_id": "", "avg_px": ""}
        with engine.begin() as connection:
            connection.execute(delete(LINES))
            connection.execute(insert(LINES), {**row, "order_qty": amount, "booked_qty": Decimal("0.000000001")})
            stored = connection.execute(select(LINES)).one()
        assert stored.order_qty == amount
        assert plain_text(stored.order_qty) == plain_text(amount)
        assert plain_text(stored.booked_qty) == "0.000000001"

    with engine.begin() as connection:
        values = dict.fromkeys((column.name for column in head.columns if not column.nullable), "")
        connection.execute(insert(head), {**values, **_NUMBERS})
    check()


_NUMBERS = {
    "booking": 0,
    "journal_seq": 1,
    "position": 0,
    "input_seq": 1,
    "ts_ns": 2**62,
    "trade_date": date(2026, 11, 23),
    "quantity": Decimal(1),
    "price_decimals": 4,
    "answered_seq": None,
    "answered_ns": None,
}
