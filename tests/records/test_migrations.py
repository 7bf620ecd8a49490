"""Older databases are brought to this version in place: the same tables as new ones, and every row kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from fixgateway.errors import UsageError
from fixgateway.journal.records import Record
from fixgateway.records import migrate, queries
from fixgateway.records.database import connect, create_schema, open_records
from fixgateway.records.migrate import locked, upgrade
from fixgateway.records.projector import Projector
from fixgateway.records.tables import SCHEMA_VERSION, Base

FIRST = 1_795_446_000_000_000_000


@pytest.fixture
def old(new_url: Callable[[], str], tmp_path: Path) -> Iterator[Engine]:
    """A database of version 2 with a few rows."""
    engine = connect(new_url(), tmp_path)
    with locked(engine) as connection:
        upgrade(connection, 0, 2)
        connection.execute(text("INSERT INTO projection VALUES (1, 2, 9, 99)"))
        insert(connection, "exceptions", 3, reason="GW-801", subject="S-1")
        insert(connection, "alerts", 3, reason="GW-801", subject="S-1", severity="warning")
        insert(connection, "policies", 1, timezone="America/New_York", until_seq=5)
        insert(connection, "policies", 5, timezone="UTC", until_seq=None)
        insert(connection, "accounts", 1, account="A", until_seq=5)
        insert(connection, "accounts", 5, account="A", until_seq=None)
        insert(connection, "statements", 3, statement_id="S-1", symbol="XYZ")
    yield engine
    engine.dispose()


def insert(connection: Any, table: str, seq: int, **values: Any) -> None:
    """A row of version 2; what is not given is empty or zero. ``ts_ns`` is an hour later with every number."""
    row: dict[str, Any] = {}
    for column in inspect(connection).get_columns(table):
        kind = str(column["type"]).split("(")[0]
        blank: Any = {"DATE": "2026-11-22", "BOOLEAN": False, "INTEGER": 0, "BIGINT": 0, "NUMERIC": 0}.get(kind, "")
        row[column["name"]] = None if column["nullable"] else blank
    row |= {"journal_seq": seq, "ts_ns": FIRST + seq * 3_600_000_000_000, **values}
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)


def test_the_migrated_tables_are_the_new_ones(old: Engine) -> None:
    assert migrate.migrate(old) == (2, SCHEMA_VERSION)
    with old.connect() as connection:
        options = {"compare_type": old.dialect.name == "postgresql"}  # SQLite's types are but names
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    assert [str(found) for found in differences] == []


def test_columns_are_empty_where_new_ones_are(old: Engine, new_engine: Callable[[], Engine]) -> None:
    create_schema(old)
    for engine in (old, new_engine()):
        found = inspect(engine)
        assert sorted(set(found.get_table_names()) - {"alembic_version"}) == sorted(Base.metadata.tables)
        for table in Base.metadata.sorted_tables:
            nullable = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert nullable == {column.name: bool(column.nullable) for column in table.columns}, table.name


def test_rows_are_kept_and_tell_what_is_new(old: Engine) -> None:
    create_schema(old)
    assert [(row["subject"], row["state"]) for row in queries.exceptions(old)] == [("S-1", "open")]
    assert [row["acknowledged_ns"] for row in queries.alerts(old)] == [None]
    five = FIRST + 5 * 3_600_000_000_000
    with old.connect() as connection:
        found = connection.execute(text("SELECT valid_from, until_ns FROM accounts ORDER BY journal_seq")).all()
        # 1795446000 is 2026-11-23T15:40Z; five hours on it is still the day, in New York as in UTC.
        assert [(str(row[0]), row[1]) for row in found] == [("2026-11-23", five), ("2026-11-23", None)]
        assert list(connection.scalars(text("SELECT until_ns FROM policies ORDER BY journal_seq"))) == [five, None]


def test_the_projector_goes_on_where_the_old_one_stopped(
    old: Engine, day: list[Record], new_engine: Callable[[], Engine]
) -> None:
    with old.begin() as connection:
        for name in ("exceptions", "alerts", "policies", "accounts", "statements"):
            connection.execute(text(f"DELETE FROM {name}"))
        connection.execute(text("UPDATE projection SET watermark = 0, watermark_ns = 0"))
    create_schema(old)
    fresh = new_engine()
    for engine in (old, fresh):
        Projector(engine).apply(day)
    assert queries.dump(old) == queries.dump(fresh)


def test_a_migration_that_fails_leaves_the_old_version(old: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from fixgateway.records.migrations import compact

    def fail(*_: object) -> None:
        raise OSError("killed here")

    before = sorted(inspect(old).get_table_names())
    monkeypatch.setattr(compact, "index", fail)
    with pytest.raises(OSError, match="killed here"):
        migrate.migrate(old)
    monkeypatch.undo()
    assert sorted(inspect(old).get_table_names()) == before
    assert migrate.migrate(old) == (2, SCHEMA_VERSION)


def test_twice_is_once(old: Engine) -> None:
    assert migrate.migrate(old) == (2, SCHEMA_VERSION)
    assert migrate.migrate(old) == (SCHEMA_VERSION, SCHEMA_VERSION)


def test_readers_of_an_old_database_are_told_what_to_do(old: Engine) -> None:
    with pytest.raises(UsageError, match="records migrate"):
        open_records(old.url.render_as_string(hide_password=False), ".")


@pytest.mark.parametrize("version", [1, 99])
def test_versions_out_of_reach_are_left_alone(old: Engine, version: int) -> None:
    with old.begin() as connection:
        connection.execute(text(f"UPDATE projection SET schema_version = {version}"))
    with pytest.raises(UsageError, match="rebuild"):
        create_schema(old)
    assert "marks" not in inspect(old).get_table_names()
