"""Bringing an older database's tables to this version, in place; nothing is lost and the journal is not read.

One transaction under a lock, so that a gateway's projector and ``fixgateway records migrate`` may both try, and a
process killed in the middle leaves the old version. ``projection.schema_version`` says which version a database is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, select, text

from fixgateway.records.tables import SCHEMA_VERSION, Projection

OLDEST = 2
"""The oldest version that can be brought to this one."""

_LOCK = 0x66_69_78_67  # any number that nobody else uses on the same PostgreSQL database


def migrate(engine: Engine) -> tuple[int, int]:
    """Bring the tables to :data:`.tables.SCHEMA_VERSION`; the version found and the version now.

    A version outside ``OLDEST`` to ``SCHEMA_VERSION`` is left as it is.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer or refuses; it is as it was.
    """
    with locked(engine) as connection:
        found = connection.scalar(select(Projection.schema_version)) or 0
        if OLDEST <= found < SCHEMA_VERSION:
            upgrade(connection, found, SCHEMA_VERSION)
        now = connection.scalar(select(Projection.schema_version)) or 0
    return found, now


def upgrade(connection: Connection, found: int, wanted: int) -> None:
    """Run the migrations behind version ``found`` up to ``wanted``, inside the connection's transaction.

    0 for ``found`` is an empty database.
    """
    # Only here: a gateway whose tables are right has no use for alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.stamp(config, f"{found:04d}" if found else "base", purge=True)
    command.upgrade(config, f"{wanted:04d}")


@contextmanager
def locked(engine: Engine) -> Iterator[Connection]:
    """A transaction in which nobody else changes the tables; SQLite's own begin before changes of tables, too."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
