"""Databases to project into, and days to project."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from booked import CONFIRMING, confirm, report, sent
from desks import DESK_SETUP, PEOPLE, Desk
from sqlalchemy import Engine, create_engine, text
from worlds import ACCOUNTS, SETUP, TODAY, World, draft, one

from fixgateway.core.desk_inputs import RecordPerson
from fixgateway.core.inputs import AccountAnswer, AllocationAck, Configure, ExecKind, RenewCalendar
from fixgateway.core.model import Account, Calendar, FeeTerms, MarketDay, Setup
from fixgateway.core.outputs import Output, SendAllocation
from fixgateway.core.people import Person
from fixgateway.journal.codec import encode_outputs
from fixgateway.journal.records import Kind, Record, pack_wire_out
from fixgateway.journal.segments import Writer
from fixgateway.records.database import connect, create_schema
from fixgateway.records.projector import Projector

Entry = tuple[Kind, str, int, bytes]
ALWAYS = Calendar("T", "UTC", "test", TODAY, TODAY, (MarketDay(TODAY, "00:00", "23:59"),))
CHARGED = replace(
    SETUP,
    money=True,
    brokers=(
        replace(SETUP.brokers[0], commission=Decimal("10"), fees=(FeeTerms("4", Decimal("0.0001")),)),
        *SETUP.brokers[1:],
    ),
)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of our own, started once for the session."""
    pgserver = pytest.importorskip("pgserver")
    with tempfile.TemporaryDirectory(prefix="fgpg") as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chmod(directory, 0o777)  # the server refuses to run as root and takes another user
        try:
            server = pgserver.get_server(Path(directory) / "data")
        except Exception as error:
            pytest.skip(f"pgserver cannot run a PostgreSQL server here: {error!r}")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


def _new_database(admin: Engine, template: str = "template0") -> str:
    """The URL of a fresh database on the session's server."""
    name = f"t{uuid4().hex}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'"))
    return admin.url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def new_postgresql(postgresql_url: str) -> Iterator[Callable[[], str]]:
    """Makes URLs of fresh, empty databases on the session's server."""
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    yield lambda: _new_database(admin)
    admin.dispose()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_url: str) -> str:
    """A database with the tables in it: making them anew takes a second, a copy a tenth of one."""
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    engine = connect(_new_database(admin), ".")
    create_schema(engine)
    engine.dispose()
    admin.dispose()
    return str(engine.url.database)


@pytest.fixture
def new_sqlite(tmp_path: Path) -> Callable[[], str]:
    return lambda: f"sqlite:///{tmp_path / uuid4().hex}.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test that uses it runs once for each."""
    return str(request.param)


@pytest.fixture
def new_url(request: pytest.FixtureRequest, database: str) -> Callable[[], str]:
    """Makes URLs of fresh databases, once for each kind of database."""
    make: Callable[[], str] = request.getfixturevalue(f"new_{database}")
    return make


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the tables in it, to be copied."""
    directory = tmp_path_factory.mktemp("template")
    engine = connect("sqlite:///{data_dir}/records.db", directory)
    create_schema(engine)
    engine.dispose()
    return directory / "records.db"


@pytest.fixture
def new_engine(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes fresh databases with the tables in them, once for each kind of database."""
    engines: list[Engine] = []

    def make() -> Engine:
        if database == "sqlite":
            file = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / f"{uuid4().hex}.db")
            engines.append(connect(f"sqlite:///{file}", tmp_path))
        else:
            admin = create_engine(request.getfixturevalue("postgresql_url"), isolation_level="AUTOCOMMIT")
            url = _new_database(admin, request.getfixturevalue("postgresql_template"))
            admin.dispose()
            engines.append(connect(url, tmp_path))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


class Journaled(World):
    """A world whose inputs are numbered as in a journal: after each comes its decision, or an event."""

    def __init__(self, setup: Setup = CHARGED) -> None:
        self.entries: list[Entry] = []
        super().__init__(setup)

    def give(self, kind: type, **fields: Any) -> tuple[Output, ...]:
        return self._journaled(super().give(kind, **fields))

    def _again(self, given: Any) -> tuple[Output, ...]:
        return self._journaled(super()._again(given))

    def left(self, session: str, raw: bytes, input_seq: int, position: int) -> None:
        """A message was sent for output ``position`` of what ``input_seq`` decided."""
        ts_ns = self.ts_ns + 1_795_446_000_000_000_000
        self.entries.append((Kind.WIRE_OUT, session, ts_ns, pack_wire_out(input_seq, position, raw)))
        self.seq += 1

    def say(self, *decided: Output) -> None:
        """A decision as if the engine had made it, of an input that was not given to it."""
        self.seq += 1
        self.ts_ns += 1_000_000
        ts_ns = self.ts_ns + 1_795_446_000_000_000_000
        self.entries.append((Kind.CONTROL, "", ts_ns, b"an input"))
        self.entries.append((Kind.DECISION, "", ts_ns, encode_outputs(self.seq, decided)))
        self.seq += 1

    def _journaled(self, decided: tuple[Output, ...]) -> tuple[Output, ...]:
        given = self.inputs[-1]
        session = getattr(given, "session", "")
        ts_ns = given.ts_ns + 1_795_446_000_000_000_000
        self.entries.append((Kind.CONTROL, session, ts_ns, b"an input"))
        if decided:
            self.entries.append((Kind.DECISION, session, ts_ns, encode_outputs(given.seq, decided)))
        else:
            self.entries.append((Kind.EVENT, session, ts_ns, b"an event"))
        self.seq += 1
        return decided


@pytest.fixture(scope="session")
def day_entries() -> list[Entry]:
    """The journal of a day with everything: refusals, replace, cancel, bust after the allocation, halts."""
    world = Journaled()
    world.order("C0", statement="S-9")
    world.submit()
    world.submit(draft("S-BAD", lines=(("CLIENT-A", "10"), ("NOBODY", "x")), total="99"))
    world.submit(draft("S-2", recommended_by="", oms="OMS1"), session="")
    world.submit(draft("S-3", lines=(("CLIENT-A", "3"), ("CLIENT-B", "3"), ("PROP", "1"))))
    world.submit(
        draft("S-3", lines=(("CLIENT-A", "4"), ("PROP", "1"))), alloc_trans_type="1", ref_statement_id="S-3"
    )
    world.order()
    world.order()  # the same ClOrdID again
    world.execution(ExecKind.NEW, order_id="B-1")
    for number, px in enumerate(("99.90", "100", "100.10")):
        world.fill("10000", px, exec_id=f"F{number}")
    world.fill("10000", "100", exec_id="F1")  # the same execution again
    world.fill("5", "7", "NEVER-SENT", exec_id="U1")
    world.replace("C2", "C1", "40000")
    world.cancel_reject("C2", "C1")
    world.replace("C3", "C9", "40000")
    world.cancel("C4", "C1")
    done = world.execution(ExecKind.CANCELLED, "C4", orig_cl_ord_id="C1", order_id="B-1")
    alloc_id = one(done, SendAllocation).allocation.alloc_id
    world.ack(alloc_id, "received")
    world.ack(alloc_id)
    world.execution(ExecKind.BUST, exec_id="F9", exec_ref_id="F2", order_id="B-1")
    world.ack("NO-SUCH-ALLOCATION")
    world.order("C5", "5", "S-3")
    world.not_sent(world.seq - 1)
    world.order("C6", "4", "S-3")
    world.refused_by_broker(world.seq - 1)
    world.order("C7\udcff\0", "1e5", "S-3")
    world.order("L" * 5000, "1", "S-3", symbol="ABC")
    world.status("C1")
    world.unsupported("AB")
    world.operate("halt")
    world.order("C8", "1", "S-3")
    world.operate("resume")
    world.operate("cancel", "S-2")
    world.order("C9", "1", "S-3")
    world.tick(seconds=120)  # BRK1 has not answered C9
    changed = (*(replace(a, status="closed") if a.account == "X1" else a for a in ACCOUNTS if a.account != "X2"),
               Account("NEW", "new", "client", "performance", "S", "active", fee_rate="0.2"))  # fmt: skip
    world.give(Configure, setup=replace(CHARGED, accounts=changed))
    world.give(Configure, setup=replace(CHARGED, policy=replace(SETUP.policy, version="2", lot=Decimal(100))))
    return world.entries


def records_of(entries: list[Entry]) -> list[Record]:
    """Entries as the records of a journal, in memory."""
    return [Record(seq, ts, kind, session, payload) for seq, (kind, session, ts, payload) in enumerate(entries, 1)]


@pytest.fixture
def new_world() -> type[Journaled]:
    """Makes worlds whose inputs are numbered as in a journal, see ``projected``."""
    return Journaled


class JournaledDesk(Desk, Journaled):
    """People at the desk, journaled."""

    def __init__(self) -> None:
        Journaled.__init__(self, DESK_SETUP)
        for number, (name, roles) in enumerate(PEOPLE.items()):
            person = Person(name, f"{name} name", tuple(roles))
            self.give(RecordPerson, actor="cco" if number else "machine:root", person=person)


@pytest.fixture
def desk() -> JournaledDesk:
    """The worked example with people, filled 30,000 of 50,000 and allocated."""
    world = JournaledDesk()
    world.example()
    return world


@pytest.fixture
def projected(new_engine: Callable[[], Engine]) -> Callable[[Journaled], Engine]:
    """Makes a database with what happened in a world."""

    def project(world: Journaled) -> Engine:
        engine = new_engine()
        records = records_of(world.entries)
        assert Projector(engine).apply(records) == len(records)
        return engine

    return project


@pytest.fixture(scope="session")
def evening() -> tuple[Journaled, list[Record]]:
    """A day's end with answers, reports, confirmations, requests and figures; and the world it happened in."""
    world = Journaled(replace(CONFIRMING, policy=replace(SETUP.policy, warn_minutes=30), calendar=ALWAYS))
    alloc_id = sent(world)
    world.left("BRK1", b"8=FIX.4.4\x019=5\x0135=J\x0134=9\x01", world.inputs[-1].seq, 2)
    world.give(
        AllocationAck, session="BRK1", msg_seq_num=1, alloc_id=alloc_id, status="received", reject_code="",
        text="", accounts=(AccountAnswer("PROP", "0", "unknown account"),),
    )  # fmt: skip
    world.ack(alloc_id)
    report(world, alloc_id)
    confirm(world, alloc_id, "CLIENT-A")
    world.left("BRK1", b"8=FIX.4.4\x019=5\x0135=AU\x0134=10\x01", world.inputs[-1].seq, 2)
    world.left("BRK1", b"8=FIX.4.4\x019=5\x0135=0\x0134=11\x01", 0, 0)  # a heartbeat: of no decision
    confirm(world, alloc_id, "CLIENT-B", quantity=Decimal(1))
    world.give(RenewCalendar, calendar=ALWAYS)
    world.tick(local_time="20:30:00")
    world.tick(local_time="21:00:00")
    return world, records_of(world.entries)


@pytest.fixture(scope="session")
def day(day_entries: list[Entry]) -> list[Record]:
    """A day's journal, in memory."""
    return records_of(day_entries)


@pytest.fixture
def data_dir(tmp_path: Path, day_entries: list[Entry]) -> Path:
    """A gateway's data directory with the day in its journal."""
    directory = tmp_path / "var"
    with Writer(directory / "journal") as writer:
        for kind, session, ts_ns, payload in day_entries:
            writer.append(kind, session, ts_ns, payload)
        writer.sync()
    return directory
