"""Connecting to the records database, and its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Engine  # for rooms that must not import sqlalchemy
from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import DatabaseError as DatabaseError  # likewise

from fixgateway.errors import ConfigError, FixgatewayError, UsageError
from fixgateway.records import (  # noqa: F401  so that their tables are made, too
    booked_tables,
    configuration_tables,
    desk_tables,
    message_tables,
    rotation_tables,
)
from fixgateway.records.migrate import OLDEST, migrate
from fixgateway.records.tables import SCHEMA_VERSION, Base, Projection

BUSY_TIMEOUT_SECONDS = 10
"""How long SQLite waits for another writer before it gives up (the projector then tries again)."""
CONNECT_TIMEOUT_SECONDS = 5
"""How long PostgreSQL may take to answer a connection attempt."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers never wait for the projector
    "PRAGMA synchronous=NORMAL",  # a power cut may lose the last rows, never consistency; the journal refills
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
)
_REBUILD = "refill it from the journal: fixgateway records rebuild -c gateway.toml"


def connect(url: str, data_dir: str | Path) -> Engine:
    """An engine for the records database; nothing is opened yet.

    Args:
        url: ``sqlite:///…`` or ``postgresql+psycopg://…``; ``{data_dir}`` in it stands for ``data_dir``.
        data_dir: the gateway's data directory.

    Raises:
        ConfigError: the URL cannot be read, names another kind of database, or its driver is missing.
    """
    parsed = _parse(url, data_dir)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend != "postgresql":
        raise ConfigError(
            f"[records] url: {backend} is not supported; use sqlite:///{{data_dir}}/records.db or "
            "postgresql+psycopg://user@host/database"
        )
    try:
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=2,
            max_overflow=8,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            f"[records] url: the driver for {parsed.drivername} is missing ({error}); use "
            "postgresql+psycopg://… and install it: pip install 'fixgateway[postgresql]'"
        ) from error


def _parse(url: str, data_dir: str | Path) -> URL:
    # Only this one placeholder; a password may contain braces.
    try:
        return make_url(url.replace("{data_dir}", str(data_dir)))
    except ArgumentError as error:
        raise ConfigError(
            "[records] url cannot be read; write sqlite:///{data_dir}/records.db or "
            "postgresql+psycopg://user@host/database"
        ) from error


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    return engine


def create_schema(engine: Engine) -> None:
    """Create the tables that are missing, or bring an older version's to this one (:mod:`.migrate`).

    Raises:
        UsageError: the tables are of a version that cannot be brought to this one.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer or refuses.
    """
    if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    if inspect(engine).has_table("projection"):
        with engine.connect() as connection:
            found = connection.scalar(select(Projection.schema_version))
        if found is not None and found < SCHEMA_VERSION:
            _, found = migrate(engine)
        if found is not None:
            _check_version(found)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.scalar(select(Projection.schema_version)) is None:
            row = {"id": 1, "schema_version": SCHEMA_VERSION, "watermark": 0, "watermark_ns": 0}
            connection.execute(Base.metadata.tables["projection"].insert(), row)


def schema_version(engine: Engine) -> int:
    """The version of a database's tables, 0 without any.

    Raises:
        FixgatewayError: the database does not answer.
    """
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file and file != ":memory:" and not Path(file).exists():
        return 0
    try:
        if not inspect(engine).has_table("projection"):
            return 0
        with engine.connect() as connection:
            return connection.scalar(select(Projection.schema_version)) or 0
    except SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise FixgatewayError(f"the records database {where} does not answer: {short(error)}") from error


def open_records(url: str, data_dir: str | Path) -> Engine:
    """Open an existing records database for reading, for the commands and pages that query it.

    Raises:
        ConfigError: see :func:`connect`.
        UsageError: there is no records database yet, or it is of another version.
        FixgatewayError: the database does not answer.
    """
    engine = connect(url, data_dir)
    where = engine.url.render_as_string(hide_password=True)
    # SQLite would create an empty file.
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file and file != ":memory:" and not Path(file).exists():
        raise UsageError(f"no records database at {file}: start the gateway once, or {_REBUILD}")
    try:
        if not inspect(engine).has_table("projection"):
            raise UsageError(f"{where} has no records tables: start the gateway once, or {_REBUILD}")
        with engine.connect() as connection:
            _check_version(connection.scalar(select(Projection.schema_version)))
    except SQLAlchemyError as error:
        engine.dispose()
        raise FixgatewayError(f"the records database {where} does not answer: {short(error)}") from error
    except UsageError:
        engine.dispose()
        raise
    return engine


def _check_version(found: int | None) -> None:
    if found is not None and OLDEST <= found < SCHEMA_VERSION:
        raise UsageError(
            f"the records tables are of version {found}, this fixgateway uses {SCHEMA_VERSION}; start the gateway "
            "once, or bring them up to date: fixgateway records migrate -c gateway.toml"
        )
    if found != SCHEMA_VERSION:
        raise UsageError(
            f"the records tables are of version {found}, this fixgateway uses {SCHEMA_VERSION}; {_REBUILD}"
        )


def short(error: BaseException) -> str:
    """An error in one line of at most 300 characters, without SQL and parameters."""
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split()) or "no message"
    return f"{type(cause).__name__}: {text}"[:300]
