"""Any record as it was at any time: what the journal gives when it is read only so far."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import asked
from journals import Scribe, random_day, worked_example
from sqlalchemy import Engine, text
from worlds import TODAY

from fixgateway.core.desk_facts import AlertAcknowledged, DeliveryNoted, ExceptionAttended
from fixgateway.core.desk_inputs import RecordReview, SignReview
from fixgateway.core.outputs import Alert, ExceptionOpened
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.journal.reader import read
from fixgateway.journal.segments import Writer
from fixgateway.records import desk_queries, queries
from fixgateway.records.database import connect, create_schema
from fixgateway.records.projector import Projector
from fixgateway.records.recreate import KINDS, moment, recreate
from fixgateway.records.tables import Base

Truth = Callable[[int], Engine]


class Story:
    """A journal, the database filled from it, and databases filled from it only so far."""

    def __init__(self, data_dir: Path, new_engine: Callable[[], Engine]) -> None:
        self.data_dir = data_dir
        self.records = list(read(data_dir))
        self._new = new_engine
        self.engine = self.until(self.records[-1].ts_ns)

    def until(self, as_of_ns: int) -> Engine:
        engine = self._new()
        Projector(engine).apply(record for record in self.records if record.ts_ns <= as_of_ns)
        return engine

    def compare(self, kind: str, wanted: str, as_of_ns: int, truth: Engine) -> bool:
        """Whether the record was there at that time; it is the same as in the truth, or in neither."""
        try:
            expected = json.dumps(KINDS[kind].read(truth, wanted), sort_keys=True)
        except UsageError:
            with pytest.raises(UsageError, match="there was no"):
                recreate(self.engine, self.data_dir, wanted, as_of_ns, kind)
            return False
        found = recreate(self.engine, self.data_dir, wanted, as_of_ns, kind)
        assert json.dumps(found["record"], sort_keys=True) == expected
        assert all(entry["ts_ns"] <= as_of_ns for entry in found["trail"])
        return True


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes SQLite databases in memory: a truth needs many."""
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(connect("sqlite://", tmp_path))
        create_schema(engines[-1])
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


def ids(engine: Engine, table: str, column: str) -> list[str]:
    with engine.connect() as connection:
        return sorted(set(connection.scalars(text(f"SELECT {column} FROM {table} WHERE {column} <> ''"))))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.full)])
def test_random_days_at_random_times(seed: int, tmp_path: Path, local: Callable[[], Engine]) -> None:
    story = Story(random_day(tmp_path, seed).close(), local)
    chance = random.Random(seed)
    known = {
        "statement": ids(story.engine, "statements", "statement_id"),
        "order": ids(story.engine, "orders", "cl_ord_id"),
        "allocation": ids(story.engine, "allocations", "alloc_id"),
    }
    there = 0
    for _ in range(6):
        as_of_ns = chance.choice(story.records).ts_ns + chance.choice((0, 1, -1))
        truth = story.until(as_of_ns)
        for kind, names in known.items():
            for wanted in chance.sample(names, min(4, len(names))):
                there += story.compare(kind, wanted, as_of_ns, truth)
    assert there >= 15


def test_every_moment_of_the_worked_example(tmp_path: Path, local: Callable[[], Engine]) -> None:
    """With its messages: what was sent and received is part of the record."""
    story = Story(worked_example(tmp_path).close(), local)
    (alloc_id,) = ids(story.engine, "allocations", "alloc_id")
    seen = {"statement": 0, "order": 0, "allocation": 0}
    for record in story.records[::4]:
        truth = story.until(record.ts_ns)
        for kind, wanted in (("statement", "S-1"), ("order", "C1"), ("allocation", alloc_id)):
            seen[kind] += story.compare(kind, wanted, record.ts_ns, truth)
    assert min(seen.values()) >= 2
    now = recreate(story.engine, story.data_dir, "S-1")
    assert (now["kind"], now["later"], now["as_of"]) == ("statement", 0, None)
    assert [entry["what"] for entry in now["trail"]] == [
        entry["what"] for entry in queries.trace(story.engine, "S-1")["timeline"]
    ]


def test_exceptions_alerts_people_and_reviews_at_every_moment(
    desk: Any, tmp_path: Path, local: Callable[[], Engine]
) -> None:
    lines = {"CLIENT-A": 16000, "CLIENT-B": 5000, "CLIENT-C": 3000, "PROP": 6000}
    desk.mark()
    request = asked(desk.ask(lines))
    desk.decide(request.exception_id, text="agreed")
    desk.record_person("tom", "trader", "operations")
    desk.tick(TODAY.replace(day=TODAY.day + 1), "11:00:00")
    desk.say(ExceptionOpened("GW-801", "S-1", "words"))
    opened = f"X-{desk.seq - 1}-0"
    for action in ("acknowledge", "resolve"):
        desk.say(ExceptionAttended(opened, "ops", action, "done"))
    desk.say(Alert("GW-777", "critical", "X", "words"))
    alert_id = f"A-{desk.seq - 1}-0"
    desk.say(Alert("GW-777", "critical", "X", "again"))
    repeat = f"A-{desk.seq - 1}-0"
    desk.say(DeliveryNoted(alert_id, "mail", delivered=True, text="250"), AlertAcknowledged(repeat, "cco", "seen"))
    sha = "ab" * 32
    desk._again(RecordReview(0, 0, "cco", "run", "R-1", sha, sha, "7", "red", "words"))
    desk.give(SignReview, actor="cco", review_id="R-1", conclusion="bad", follow_up="talk")
    with Writer(tmp_path / "journal") as writer:
        for kind, session, ts_ns, payload in desk.entries:
            writer.append(kind, session, ts_ns, payload)
    story = Story(tmp_path, local)
    wanted = [
        ("exception", request.exception_id), ("exception", opened), ("alert", alert_id), ("person", "tom"),
        ("review", "R-1"), ("allocation", request.alloc_ids[0]),
    ]  # fmt: skip
    there = dict.fromkeys(wanted, 0)
    for record in story.records[len(story.records) // 4 :: 5]:
        truth = story.until(record.ts_ns)
        for kind, name in wanted:
            there[kind, name] += story.compare(kind, name, record.ts_ns, truth)
    assert min(there.values()) >= 1
    told = {name: recreate(story.engine, tmp_path, name) for _, name in wanted}
    assert [entry["what"] for entry in told["tom"]["trail"]] == ["person recorded"] * 2
    assert [entry["what"] for entry in told["R-1"]["trail"]] == ["review", "review signed"]
    assert [entry["action"] for entry in told[opened]["trail"]] == ["acknowledge", "resolve"]
    assert told[alert_id]["record"]["acknowledged_by"] == "cco"
    said = [entry["what"] for entry in told[request.exception_id]["trail"]]
    assert [what for what in said if what.startswith("exception a")] == ["exception asked for", "exception approved"]


def test_what_the_database_says_about_content_is_not_believed(
    tmp_path: Path, new_engine: Callable[[], Engine]
) -> None:
    story = Story(worked_example(tmp_path).close(), new_engine)
    before = recreate(story.engine, story.data_dir, "S-1")
    with story.engine.begin() as connection:
        connection.execute(text("UPDATE statement_lines SET quantity = '1'"))
        connection.execute(text("UPDATE statements SET actor = 'somebody else'"))
        connection.execute(text("UPDATE division_lines SET quantity = '7'"))
    assert recreate(story.engine, story.data_dir, "S-1") == before


def test_an_unknown_id_and_a_wrong_kind(tmp_path: Path, new_engine: Callable[[], Engine]) -> None:
    story = Story(worked_example(tmp_path).close(), new_engine)
    with pytest.raises(UsageError, match="no record 'NO-SUCH'"):
        recreate(story.engine, story.data_dir, "NO-SUCH")
    with pytest.raises(UsageError, match="no kind"):
        recreate(story.engine, story.data_dir, "S-1", kind="thing")
    with pytest.raises(UsageError, match="there was no statement 'S-1' at 1970"):
        recreate(story.engine, story.data_dir, "S-1", as_of_ns=5)


def test_accounts_and_policies_are_their_versions(tmp_path: Path, new_engine: Callable[[], Engine]) -> None:
    story = Story(worked_example(tmp_path).close(), new_engine)
    found = recreate(story.engine, story.data_dir, "CLIENT-A")
    assert (found["kind"], found["record"]["class"], found["later"]) == ("account", "client", 0)
    assert recreate(story.engine, story.data_dir, "CLIENT-A", kind="account") == found
    policy = queries.policies(story.engine)[0]["policy_id"]
    assert recreate(story.engine, story.data_dir, policy)["record"]["version"] == "1"
    with pytest.raises(UsageError, match="there was no account"):
        recreate(story.engine, story.data_dir, "CLIENT-A", as_of_ns=1)


def test_a_journal_that_is_not_there(tmp_path: Path, new_engine: Callable[[], Engine]) -> None:
    story = Story(worked_example(tmp_path / "one").close(), new_engine)
    other = Scribe(tmp_path / "two").close()
    with pytest.raises(FixgatewayError, match="cannot be read"):
        recreate(story.engine, other, "S-1")


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01 01:00:00.5+01:00", 500_000_000),
        ("2026-11-22T15:30:00-05:00", 1_795_379_400_000_000_000),
    ],
)
def test_moments(written: str, ns: int) -> None:
    assert moment(written) == ns


@pytest.mark.parametrize("written", ["", "2026-11-22", "2026-11-22T15:30:00", "x", "2026-13-01T00:00:00Z", "1Z"])
def test_what_is_no_moment(written: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        moment(written)


def test_every_table_of_a_statement_leads_to_its_records(tmp_path: Path, new_engine: Callable[[], Engine]) -> None:
    """A table with a statement_id that recreate does not look into would leave a hole in the trail."""
    from fixgateway.records.recreate import _BY_STATEMENT

    named = {table.name for table in Base.metadata.sorted_tables if "statement_id" in table.c}
    assert named - set(_BY_STATEMENT) == set()
    assert desk_queries.counts(new_engine()) == {"requests": 0, "exceptions": 0, "alerts": 0}
