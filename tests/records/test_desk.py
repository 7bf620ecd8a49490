"""People's work in the records: every table, what became of each row, the same on every database."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from desks import TEXT, asked
from sqlalchemy import Engine, text
from worlds import TODAY

from fixgateway.core.desk_facts import AlertAcknowledged, DeliveryNoted
from fixgateway.core.desk_inputs import (
    AttendException,
    Discrepancy,
    NoteAccess,
    RecordReconciliation,
    RecordReview,
    SignReview,
)
from fixgateway.core.outputs import Alert
from fixgateway.errors import UsageError
from fixgateway.records import desk_queries as queries
from fixgateway.records import desk_tables
from fixgateway.records.desk_queries import cursor
from fixgateway.records.queries import dump, trace

ASKED = {"CLIENT-A": 16000, "CLIENT-B": 5000, "CLIENT-C": 3000, "PROP": 6000}
SHA = "ab" * 32


@pytest.fixture
def busy(desk: Any) -> Any:
    """A desk at which everything was done once."""
    desk.mark("101.5")
    desk.mark("102", close=True)
    first = asked(desk.ask(ASKED))
    desk.decide(first.exception_id, "reject", text="no")
    second = asked(desk.ask(ASKED))
    desk.decide(second.exception_id, text="the custodian confirmed it")
    asked(desk.ask(ASKED | {"CLIENT-A": 15500, "CLIENT-B": 5500}))
    desk.ask({"PROP": 15000, "CLIENT-A": 15000})  # refused
    desk.record_person("tom", "trader", "operations", email="tom@example.com")
    desk.give(NoteAccess, actor="aud", what="read", subject="S-1", address="10.0.0.9")
    told = ("run", "R-1", SHA, SHA, "7", "red", "words", "2026-01-01", "2026-11-20", SHA)
    desk._again(RecordReview(0, 0, "cco", *told))
    desk.give(SignReview, actor="cco", review_id="R-1", conclusion="bad", follow_up="talk")
    found = (Discrepancy("missing", "ACC-1", "no such trade"), Discrepancy("quantity", "S-1", "14,000"))
    desk.give(
        RecordReconciliation, actor="ops", trade_date=TODAY, source="f.csv", sha256=SHA, rows=3, matched=1,
        discrepancies=found,
    )  # fmt: skip
    for _ in range(2):
        desk.tick(seconds=4_000)
        desk.say(Alert("GW-777", "critical", "X", "words"))
    desk.tick(TODAY.replace(day=TODAY.day + 1), "11:00:00")  # the last request is overdue
    return desk


def test_every_table_has_rows(busy: Any, projected: Callable[[Any], Engine]) -> None:
    opened = next(row for row in busy.engine.state.opened)
    busy.give(AttendException, actor="ops", exception_id=opened, action="note", text="called them")
    busy.say(DeliveryNoted("A-1-0", "mail", delivered=True, text="250 ok"), AlertAcknowledged("A-1-0", "cco", "seen"))
    engine = projected(busy)
    mine = [x for x in vars(desk_tables).values() if getattr(x, "__module__", "") == desk_tables.__name__]
    names = {x.__tablename__ for x in mine}
    with engine.connect() as connection:
        empty = {name for name in names if not connection.execute(text(f"SELECT 1 FROM {name}")).first()}
        assert connection.execute(text("SELECT error FROM unprojected")).all() == []
    assert len(names) == 14
    assert empty == set()


def test_the_same_on_every_database_and_however_batched(
    busy: Any, projected: Callable[[Any], Engine], new_engine: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dump(projected(busy))
    for batch in (1, 3):
        monkeypatch.setattr("fixgateway.records.projector.BATCH_RECORDS", batch)
        assert dump(projected(busy)) == whole


def test_requests_and_what_became_of_them(busy: Any, projected: Callable[[Any], Engine]) -> None:
    engine = projected(busy)
    third, second, first = queries.exceptions(engine)
    assert [row["state"] for row in (first, second, third)] == ["rejected", "approved", "open"]
    assert (second["decided_by"], second["late"], second["requested_by"], second["text"]) == ("cco", False, "tom", TEXT)
    assert second["decided_ns"] > second["ts_ns"]
    assert (third["decided_by"], third["late"]) == (None, None)
    assert third["overdue_ns"] is not None
    assert [(x["account"], x["before"], x["after"], x["benefit"]) for x in second["lines"]] == [
        ("CLIENT-A", "15000", "16000", "2000"), ("CLIENT-B", "6000", "5000", "-2000"),
        ("CLIENT-C", "3000", "3000", "0"), ("PROP", "6000", "6000", "0"),
    ]  # fmt: skip
    assert queries.exceptions(engine, "open") == [third]
    assert queries.exceptions(engine, limit=1) == [third]
    assert queries.exceptions(engine, limit=1, before=cursor(third)) == [second]
    assert queries.exceptions(engine, statement_id="S-9") == []
    assert queries.exceptions(engine, last_ns=first["ts_ns"]) == [first]
    told = queries.exception(engine, second["exception_id"])
    assert told["decisions"][0]["text"] == "the custodian confirmed it"
    (before,), (after,) = told["allocations_before"], told["allocations_after"]
    assert [line["quantity"] for line in before["lines"]] == ["15000", "6000", "3000", "6000"]
    assert [line["quantity"] for line in after["lines"]] == ["16000", "5000", "3000", "6000"]
    assert after["ref_alloc_id"] == before["alloc_id"]
    said = [entry["what"] for entry in trace(engine, "S-1")["timeline"] if entry["what"].startswith("exception ")]
    assert said == [
        "exception asked for", "exception rejected", "exception asked for", "exception approved", "exception asked for",
        "exception overdue",
    ]  # fmt: skip


def test_exceptions_the_gateway_opened(busy: Any, projected: Callable[[Any], Engine]) -> None:
    name = next(iter(busy.engine.state.opened))
    engine = projected(busy)
    known = {row["exception_id"]: row for row in queries.opened(engine)}
    assert set(known) == set(busy.engine.state.opened)
    assert {row["state"] for row in known.values()} == {"open"}
    states = []
    for action in ("acknowledge", "note", "resolve"):
        busy.give(AttendException, actor="ops", exception_id=name, action=action, text="words")
        states.append(queries.exception(projected(busy), name)["state"])
    assert states == ["acknowledged", "acknowledged", "resolved"]
    other = next(iter(busy.engine.state.opened))
    busy.give(AttendException, actor="ops", exception_id=other, action="note", text="words")
    engine = projected(busy)
    assert [row["action"] for row in queries.exception(engine, name)["attentions"]] == [
        "acknowledge", "note", "resolve",
    ]  # fmt: skip
    assert queries.exception(engine, other)["state"] == "noted"
    assert other in {row["exception_id"] for row in queries.opened(engine, "unresolved")}
    assert name not in {row["exception_id"] for row in queries.opened(engine, "unresolved")}
    assert [row["exception_id"] for row in queries.opened(engine, "resolved")] == [name]


def test_alerts_their_repeats_and_acknowledgement(busy: Any, projected: Callable[[Any], Engine]) -> None:
    engine = projected(busy)
    second, first = queries.alerts(engine, "open", reason="GW-777")
    number = queries.counts(engine)["alerts"]
    busy.say(DeliveryNoted(first["alert_id"], "mail", delivered=False, text="refused"))
    busy.say(AlertAcknowledged(first["alert_id"], "cco", "seen"))
    busy.say(Alert("GW-777", "critical", "X", "again"))
    busy.say(Alert("GW-777", "critical", "Y", "another"))
    engine = projected(busy)
    assert queries.counts(engine)["alerts"] == number  # two seen, two new
    found = {row["alert_id"]: row for row in queries.alerts(engine, reason="GW-777")}
    assert {found[name["alert_id"]]["acknowledged_by"] for name in (first, second)} == {"cco"}
    assert [row["subject"] for row in queries.alerts(engine, "open", reason="GW-777")] == ["Y", "X"]
    told = queries.alert(engine, first["alert_id"])
    assert [row["text"] for row in told["deliveries"]] == ["refused"]
    assert [row["actor"] for row in told["acknowledgements"]] == ["cco"]


def test_people_have_versions(busy: Any, projected: Callable[[Any], Engine]) -> None:
    engine = projected(busy)
    assert {row["person_id"] for row in queries.people(engine)} == {"cco", "cco2", "boss", "tom", "ops", "aud"}
    told = queries.person(engine, "tom")
    assert (told["roles"], told["email"]) == (["trader", "operations"], "tom@example.com")
    assert [row["roles"] for row in told["versions"]] == [["trader", "operations"], ["trader"]]
    assert told["versions"][1]["until_seq"] == told["journal_seq"]
    (access,) = queries.accesses(engine, "aud")
    assert (access["what"], access["subject"], access["address"]) == ("read", "S-1", "10.0.0.9")
    (refused,) = queries.refused_actions(engine, "tom")
    assert refused["reason"].startswith("GW-9")


def test_marks_reconciliations_and_reviews(busy: Any, projected: Callable[[Any], Engine]) -> None:
    engine = projected(busy)
    assert [(row["price"], row["close"]) for row in queries.marks(engine, "XYZ")] == [("102", True), ("101.5", False)]
    assert [row["price"] for row in queries.marks(engine, close=True)] == ["102"]
    known = queries.reconciliations(engine, TODAY)
    given = next(row for row in known if row["source"])
    assert (given["matched"], given["discrepancies"], len(given["exceptions"])) == (1, 2, 2)
    (review,) = queries.reviews(engine)
    assert (review["verdict"], review["signatures"][0]["conclusion"]) == ("red", "bad")
    assert queries.review(engine, "R-1") == review


@pytest.mark.parametrize("name", ["GWE20261123-999", "X-1-0", "X-1", "A-1-0", "X-99999999999999999999-0", ""])
def test_unknown_ids_are_said_to_be_unknown(name: str, desk: Any, projected: Callable[[Any], Engine]) -> None:
    engine = projected(desk)
    for question in (queries.exception, queries.alert, queries.person, queries.review):
        with pytest.raises(UsageError, match="no "):
            question(engine, name)


def test_a_wrong_cursor_is_refused(desk: Any, projected: Callable[[Any], Engine]) -> None:
    with pytest.raises(UsageError, match="before"):
        queries.alerts(projected(desk), before="x")
    assert json.dumps(queries.alerts(projected(desk)))
