"""Connecting to the records database, and its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Engine  # for rooms that must not import sqlalchemy
from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from fixgateway.errors import ConfigError, FixgatewayError, UsageError
from fixgateway.records import booked_tables, configuration_tables  # noqa: F401  so that their tables are made, too
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
    """Create the tables that are missing and check the version.

    Raises:
        UsageError: the tables are of another version.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer or refuses.
    """
    if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        found = connection.scalar(select(Projection.schema_version))
        if found is None:
            row = {"id": 1, "schema_version": SCHEMA_VERSION, "watermark": 0, "watermark_ns": 0}
            connection.execute(Base.metadata.tables["projection"].insert(), row)
            return
    _check_version(found)


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
        raise FixgatewayError(f"the records database {where} does not answer: {short(error)}") from error
    return engine


def _check_version(found: int | None) -> None:
    if found != SCHEMA_VERSION:
        raise UsageError(
            f"the records tables are of version {found}, this fixgateway uses {SCHEMA_VERSION}; {_REBUILD}"
        )


def short(error: BaseException) -> str:
    """An error in one line of at most 300 characters, without SQL and parameters."""
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split()) or "no message"
    return f"{type(cause).__name__}: {text}"[:300]
