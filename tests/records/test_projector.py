"""Decision records become rows: completely, once, the same on every database and however batched."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError

from fixgateway.core.outputs import Output
from fixgateway.errors import UsageError
from fixgateway.journal.records import Kind, Record
from fixgateway.journal.segments import Writer
from fixgateway.records import booked_tables, desk_tables, message_tables, queries, rotation_tables
from fixgateway.records.columns import ID_LIMIT, bounded_id, safe_text
from fixgateway.records.database import connect, create_schema
from fixgateway.records.projector import Projector, WatermarkMoved
from fixgateway.records.rebuild import rebuild
from fixgateway.records.tables import Base
from fixgateway.records.writers import WRITERS

AFTER_ALLOCATION = {
    table.__tablename__ for module in (booked_tables, rotation_tables, desk_tables, message_tables)
    for table in vars(module).values()
    if isinstance(table, type) and issubclass(table, Base) and table.__module__ == module.__name__
}  # fmt: skip


def full(engine: Engine, day: list[Record]) -> Engine:
    assert Projector(engine).apply(day) == len(day)
    return engine


def test_every_output_has_a_writer() -> None:
    assert set(WRITERS) == set(get_args(Output))


def test_the_day_reaches_every_table(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    engine = full(new_engine(), day)
    with engine.connect() as connection:
        rows = {
            table.name: connection.execute(text(f"SELECT count(*) FROM {table.name}")).scalar_one()
            for table in Base.metadata.sorted_tables
        }
    empty = {name for name, number in rows.items() if not number}
    assert empty - AFTER_ALLOCATION == {"unprojected"}  # the rest: test_booked.py


def test_records_below_the_watermark_are_skipped(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    engine = full(new_engine(), day)
    before = queries.dump(engine)
    assert Projector(engine).apply(day) == 0
    assert queries.dump(engine) == before
    assert Projector(engine).watermark == 0  # not read yet
    projector = Projector(engine)
    projector.load()
    assert projector.watermark == len(day)


def test_batch_boundaries_change_nothing(
    day: list[Record], new_engine: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = queries.dump(full(new_engine(), day))
    for batch_records, flush_rows in ((1, 1), (2, 20_000), (3, 2), (17, 5)):
        monkeypatch.setattr("fixgateway.records.projector.BATCH_RECORDS", batch_records)
        monkeypatch.setattr("fixgateway.records.projector.FLUSH_ROWS", flush_rows)
        assert queries.dump(full(new_engine(), day)) == whole


def test_both_databases_hold_the_same(
    day: list[Record], new_sqlite: Callable[[], str], new_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    dumps = []
    for url in (new_sqlite(), new_postgresql()):
        engine = connect(url, tmp_path)
        create_schema(engine)
        dumps.append(queries.dump(full(engine, day)))
        engine.dispose()
    assert dumps[0] == dumps[1]


def test_rebuild_gives_the_same(
    day: list[Record], data_dir: Path, new_url: Callable[[], str], new_engine: Callable[[], Engine]
) -> None:
    seen: list[int] = []
    url = new_url()
    assert rebuild(data_dir, url, seen.append) == len(day)
    assert seen[-1] == len(day)
    engine = connect(url, data_dir)
    first = queries.dump(engine)
    assert first == queries.dump(full(new_engine(), day))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM executions"))
    assert queries.dump(engine) != first
    assert rebuild(data_dir, url) == len(day)
    assert queries.dump(engine) == first
    engine.dispose()


def test_rebuild_without_journal_drops_nothing(
    day: list[Record], new_engine: Callable[[], Engine], tmp_path: Path
) -> None:
    engine = full(new_engine(), day)
    before = queries.dump(engine)
    with pytest.raises(UsageError, match="no journal"):
        rebuild(tmp_path / "nowhere", engine.url.render_as_string(hide_password=False))
    assert queries.dump(engine) == before


def test_a_crash_in_the_middle_leaves_rows_and_watermark_together(
    day: list[Record], new_engine: Callable[[], Engine]
) -> None:
    engine = new_engine()
    projector = Projector(engine)

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO alerts"):
            raise OperationalError("the connection is gone", {}, Exception("gone"))

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(OperationalError):
        projector.apply(day)
    event.remove(engine, "before_cursor_execute", fail)
    empty = queries.dump(new_engine())
    assert queries.dump(engine) == empty
    assert projector.apply(day) == len(day)
    assert queries.dump(engine) == queries.dump(full(new_engine(), day))


def test_one_bad_record_is_noted_and_passed_over(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    bad = next(
        n for n, record in enumerate(day) if record.kind is Kind.DECISION and b"AllocationAcked" in record.payload
    )
    spoiled = list(day)
    spoiled[bad] = Record(day[bad].seq, day[bad].ts_ns, Kind.DECISION, "", b'{"in":1,"out":[["NoSuchOutput",{}]]}')
    engine = new_engine()
    projector = Projector(engine)
    assert projector.apply(spoiled) == len(day)
    assert projector.skipped == 1
    noted = queries.unprojected(engine)
    assert [row["journal_seq"] for row in noted] == [day[bad].seq]
    assert "NoSuchOutput" in noted[0]["error"]
    with_it, without = (queries.dump(e, ["executions", "alerts"]) for e in (full(new_engine(), day), engine))
    assert with_it == without


def test_two_projectors_cannot_both_write(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    engine = new_engine()
    one, other = Projector(engine), Projector(engine)
    one.apply(day[:10])
    other.apply(day[:20])
    with pytest.raises(WatermarkMoved):
        one.apply(day)
    assert one.apply(day) == len(day) - 20
    assert queries.dump(engine) == queries.dump(full(new_engine(), day))


# ---------------------------------------------------------------- following


class Following:
    """A projector's thread on a data directory."""

    def __init__(self, engine: Engine, directory: Path, synced_seq: Callable[[], int]) -> None:
        self.projector = Projector(engine)
        self.stop, self.wake = threading.Event(), threading.Event()
        arguments = (directory, self.stop, self.wake, synced_seq)
        self.thread = threading.Thread(target=self.projector.run, args=arguments)

    def __enter__(self) -> "Following":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.wake.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"watermark {self.projector.watermark}: {self.projector.error}"
            time.sleep(0.01)


def test_follows_the_journal_as_it_grows(
    day: list[Record], new_url: Callable[[], str], new_engine: Callable[[], Engine], tmp_path: Path
) -> None:
    engine = connect(new_url(), tmp_path)
    with Writer(tmp_path / "journal") as writer:
        with Following(engine, tmp_path, lambda: writer.synced_seq) as following:
            for record in day:
                writer.append(record.kind, record.session, record.ts_ns, record.payload)
                if record.seq % 7 == 0:
                    writer.sync()
                    following.wake.set()
            synced = writer.synced_seq
            following.until(lambda: following.projector.watermark == synced)
            assert following.projector.lag == 0
            assert len(day) % 7, "the day must end between two syncs for the next check"
            time.sleep(0.1)
            assert following.projector.watermark == synced  # what is not durable stays out
        writer.sync()
        with Following(engine, tmp_path, lambda: writer.synced_seq) as following:
            following.until(lambda: following.projector.watermark == len(day))
    assert queries.dump(engine) == queries.dump(full(new_engine(), day))
    engine.dispose()


def test_a_database_that_is_down_is_tried_again(
    day: list[Record], data_dir: Path, new_sqlite: Callable[[], str]
) -> None:
    engine = connect(new_sqlite(), data_dir)
    file = Path(str(engine.url.database))
    file.mkdir()  # SQLite cannot open a directory
    with Following(engine, data_dir, lambda: len(day)) as following:
        following.until(lambda: following.projector.error != "")
        assert "unable to open database file" in following.projector.error
        assert following.projector.lag == len(day)
        file.rmdir()
        following.until(lambda: following.projector.watermark == len(day))
        following.until(lambda: following.projector.error == "")
    engine.dispose()


def test_a_postgresql_that_is_gone_is_an_error_not_an_exception(data_dir: Path) -> None:
    engine = connect("postgresql+psycopg://nobody@127.0.0.1:1/none", data_dir)
    with Following(engine, data_dir, lambda: 5) as following:
        following.until(lambda: following.projector.error != "")
        assert "refused" in following.projector.error
    engine.dispose()


def test_rows_of_another_journal_are_refused(
    day: list[Record], data_dir: Path, new_sqlite: Callable[[], str]
) -> None:
    engine = connect(new_sqlite(), data_dir)
    create_schema(engine)
    other = [Record(r.seq, r.ts_ns + 1, r.kind, r.session, r.payload) for r in day]
    full(engine, other)
    before = queries.dump(engine)
    with Following(engine, data_dir, lambda: len(day)) as following:
        following.until(lambda: "another journal" in following.projector.error)
    assert queries.dump(engine) == before
    engine.dispose()


def test_a_rebuild_beside_a_running_projector(
    day: list[Record], data_dir: Path, new_url: Callable[[], str], new_engine: Callable[[], Engine]
) -> None:
    url = new_url()
    engine = connect(url, data_dir)
    with Following(engine, data_dir, lambda: len(day)) as following:
        following.until(lambda: following.projector.watermark == len(day))
        assert rebuild(data_dir, url) == len(day)
    assert queries.dump(engine) == queries.dump(full(new_engine(), day))
    engine.dispose()


# ---------------------------------------------------------------- texts and ids


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30))
def test_safe_text_is_always_storable(value: str) -> None:
    stored = safe_text(value)
    assert "\0" not in stored
    stored.encode("utf-8")
    assert safe_text(stored) == stored
    if value.isprintable():
        assert stored == value


@settings(max_examples=100)
@given(st.text(min_size=ID_LIMIT - 3, max_size=ID_LIMIT + 40))
def test_long_ids_fit_and_stay_distinct(value: str) -> None:
    stored = bounded_id(value)
    assert len(stored) <= ID_LIMIT
    assert bounded_id(stored) == stored
    assert bounded_id(value + "x") != stored


def test_odd_and_long_cl_ord_ids_are_found(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    engine = full(new_engine(), day)
    for cl_ord_id in ("C7\udcff\0", "L" * 5000):
        assert [row["verdict"] for row in queries.orders(engine, cl_ord_id=cl_ord_id)] == ["blocked"]


def test_the_money_of_an_allocation_is_in_its_rows(day: list[Record], new_engine: Callable[[], Engine]) -> None:
    """30,000 at 99.90, 100 and 100.10: 3,000,000 gross; commission 10 and a fee of 0.01 % for the block."""
    engine = full(new_engine(), day)
    alloc_id = queries.allocations(engine, statement_id="S-1")[-1]["alloc_id"]
    found = queries.allocation(engine, alloc_id)
    head = ("gross", "net", "fills_money", "residual_cash", "averaging_cash", "residual_to")
    assert [found[name] for name in head] == ["3000000", "3000310", "3000000", "0", "0", "accounts"]
    columns = ("account", "quantity", "gross", "commission", "fees", "net", "residual")
    assert [tuple(line[name] for name in columns) for line in found["lines"]] == [
        ("CLIENT-A", "15000", "1500000", "5", "150", "1500155", "0"),
        ("CLIENT-B", "6000", "600000", "2", "60", "600062", "0"),
        ("CLIENT-C", "3000", "300000", "1", "30", "300031", "0"),
        ("PROP", "6000", "600000", "2", "60", "600062", "0"),
    ]
    assert [(fee["account"], fee["type"], fee["amount"]) for fee in found["fees"]] == [
        ("CLIENT-A", "4", "150"),
        ("CLIENT-B", "4", "60"),
        ("CLIENT-C", "4", "30"),
        ("PROP", "4", "60"),
    ]
    assert [found["division"][name] for name in head[2:5]] == ["3000000", "0", "0"]
