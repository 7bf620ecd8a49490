"""The file that keeps what must not stand in the journal: SQLite, readable by the gateway's user alone.

One connection behind one lock: what is kept here is small and asked for by key. Losing the file loses no record.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fixgateway.errors import ConfigError

FILE = "credentials.db"
"""Its name in the data directory."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS passwords (
    person_id TEXT PRIMARY KEY, hash TEXT NOT NULL, one_time INTEGER NOT NULL, expires_ns INTEGER NOT NULL,
    set_ns INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    token_id TEXT PRIMARY KEY, person_id TEXT NOT NULL, sha256 BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    made_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, revoked_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL
    ) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    sha256 BLOB PRIMARY KEY, person_id TEXT NOT NULL, csrf TEXT NOT NULL, made_ns INTEGER NOT NULL,
    seen_ns INTEGER NOT NULL, address TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS attempts (
    name TEXT PRIMARY KEY, failed INTEGER NOT NULL, last_ns INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS requests (
    key BLOB PRIMARY KEY, fingerprint BLOB NOT NULL, made_ns INTEGER NOT NULL, run TEXT NOT NULL,
    status INTEGER NOT NULL, media_type TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS requests_made ON requests (made_ns);
CREATE INDEX IF NOT EXISTS attempts_last ON attempts (last_ns);
"""


class Vault:
    """An open credentials file.

    Args:
        path: the file, made with mode 0600 when missing; None keeps everything in memory (tests).

    Raises:
        ConfigError: it cannot be read or is no such file.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        try:
            if path is not None:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                path.chmod(0o600)
            name = ":memory:" if path is None else str(path)
            self._database = sqlite3.connect(name, check_same_thread=False, isolation_level=None)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"{path}: {error} (people's passwords and tokens are kept there; move it away, and give people new"
                " passwords: fixgateway people password)"
            ) from None

    @contextmanager
    def change(self) -> Iterator[Vault]:
        """Several statements as one: all or nothing."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """A statement; how many rows it changed."""
        with self._lock:
            return self._database.execute(sql, values).rowcount

    def one(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row, None without one."""
        with self._lock:
            found: sqlite3.Row | None = self._database.execute(sql, values).fetchone()
            return found

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Every row."""
        with self._lock:
            return self._database.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
