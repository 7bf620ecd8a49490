"""The HTTP door before a real engine, without FIX sessions and journal files: what people do, and what came of it."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import argon2
import httpx
from fastapi import FastAPI
from worlds import SETUP, World, draft

from fixgateway.control import Control
from fixgateway.core.desk_facts import AccessNoted
from fixgateway.core.desk_inputs import RecordPerson
from fixgateway.core.inputs import Input
from fixgateway.core.model import Setup
from fixgateway.core.outputs import Output
from fixgateway.core.people import Person
from fixgateway.doors import bound_queries
from fixgateway.errors import UsageError
from fixgateway.monitor.health import Health
from fixgateway.records.database import connect, create_schema
from fixgateway.web.app import create_app
from fixgateway.web.credentials import Credentials, Terms
from fixgateway.web.door import Door, DoorTerms
from fixgateway.web.port import Queries
from fixgateway.web.server import Server, serve
from fixgateway.web.vault import Vault

HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Cheap, so that tests are quick."""
PASSWORD = "correct horse battery"
MACHINE_TOKEN = "the machine's own token"
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "cco": ("compliance",), "prin": ("principal",), "tom": ("trader",), "olga": ("operations",), "aud": ("auditor",),
}  # fmt: skip
SECOND = 10**9


class EnginePump:
    """What :class:`Control` needs of a pump: one input at a time, decided at once."""

    def __init__(self, world: World) -> None:
        self.memory = SimpleNamespace(engine=world.engine)
        self.world = world
        self.decided: list[tuple[Input, tuple[Output, ...]]] = []
        self._lock = threading.Lock()

    def ask(self, make: Callable[[int, int], Input]) -> tuple[Input, tuple[Output, ...]]:
        """Decide an input."""
        with self._lock:
            self.world.seq += 1
            self.world.ts_ns += 1_000_000
            given = make(self.world.seq, self.world.ts_ns)
            outputs = self.world.engine.apply(given)
            self.decided.append((given, outputs))
            return given, outputs

    def tell(self, make: Callable[[int, int], Input]) -> None:
        """As :meth:`ask`; nobody waits."""
        self.ask(make)


class WebDesk:
    """A gateway of people: ``recorded`` are there from the beginning, each with :data:`PASSWORD`.

    Attributes:
        records: serve reads from an empty database. more: adds routes of other rooms.
        world: the engine and its clock. now_ns: what the credentials take for now. door: the door.
    """

    def __init__(
        self, recorded: Mapping[str, tuple[str, ...]] = PEOPLE, *, path: Path | None = None,
        terms: DoorTerms | None = None, sign_in: Terms | None = None, setup: Setup | None = None, records: bool = False,
        more: Callable[[Control], Callable[[FastAPI], None]] | None = None,
    ) -> None:  # fmt: skip
        self.world = World(setup or replace(SETUP, desk=True))
        self.pump = EnginePump(self.world)
        self.control = Control(cast(Any, self.pump), cast(Any, _NoSessions()), dict)
        self.now_ns = 1_800_000_000 * SECOND
        self.vault = Vault(path)
        self.credentials = Credentials(self.vault, sign_in or Terms(), lambda: self.now_ns, HASHER)
        where = terms or DoorTerms()
        self.door = Door(self.control, self.credentials, where, MACHINE_TOKEN)
        self.world.submit(draft())
        self._directory = tempfile.TemporaryDirectory()
        queries = self._records() if records else Queries(list, _none, list, list, _none, _none)
        app = create_app(
            self.control, Health([]), lambda: b"", queries, allowed_hosts=where.hosts, door=self.door,
            more=[more(self.control)] if more else (),
        )  # fmt: skip
        self.server: Server = serve(app, "127.0.0.1", 0)
        self.clients: list[httpx.Client] = []
        for person_id, roles in recorded.items():
            self.record(person_id, roles)

    def _records(self) -> Queries:
        """The reads of a database that has its tables and no rows."""
        database = connect("sqlite:///{data_dir}/records.db", Path(self._directory.name))
        create_schema(database)
        return bound_queries(database)

    def drop_table(self, name: str) -> None:
        """Take a table of the database away."""
        database = sqlite3.connect(Path(self._directory.name) / "records.db")
        database.execute(f"DROP TABLE {name}")
        database.close()

    def record(self, person_id: str, roles: tuple[str, ...], **more: Any) -> None:
        """A person, with a password of their own."""
        actor = "cco" if self.control.people() else "machine:root"
        person = Person(person_id, f"Name of {person_id}", roles, **more)
        outcome = self.control.act(lambda seq, ts_ns: RecordPerson(seq, ts_ns, actor, person))
        assert outcome.done, outcome
        self.credentials.set_password(person_id, PASSWORD)

    def client(self, **headers: str) -> httpx.Client:
        """A client that nobody signed in."""
        base = f"http://127.0.0.1:{self.server.port}"
        client = httpx.Client(base_url=base, trust_env=False, headers=headers, timeout=30)
        self.clients.append(client)
        return client

    def browser(self, person_id: str, password: str = PASSWORD) -> httpx.Client:
        """A client with a session, and its forms' value in the header."""
        client = self.client()
        answer = client.post("/api/sign-in", json={"person_id": person_id, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    def program(self, person_id: str) -> httpx.Client:
        """A client with a token."""
        return self.client(Authorization=f"Bearer {self.credentials.make_token(person_id, 'test', 1)[1]}")

    def noted(self, *what: str) -> list[tuple[str, str, str]]:
        """What was noted of accesses: who, what, about what."""
        return [
            (noted.actor, noted.what, noted.subject)
            for noted in self.outputs(AccessNoted)
            if not what or noted.what in what
        ]

    def outputs(self, kind: type) -> list[Any]:
        """Every output of a type, in order."""
        return [output for _, outputs in self.pump.decided for output in outputs if isinstance(output, kind)]

    def stop(self) -> None:
        """End the server."""
        for client in self.clients:
            client.close()
        self.server.stop()
        self.vault.close()
        self._directory.cleanup()


class _NoSessions:
    spec = SimpleNamespace(oms=(), brokers=())


def _none(name: str) -> Any:
    raise UsageError(f"no {name}")


@contextmanager
def desk(recorded: Mapping[str, tuple[str, ...]] = PEOPLE, **more: Any) -> Iterator[WebDesk]:
    """A :class:`WebDesk` that is stopped at the end."""
    made = WebDesk(recorded, **more)
    try:
        yield made
    finally:
        made.stop()
