"""A file compared and an allocation sent again by HTTP: who may, what comes back, what is wrong with a body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from webdesk import WebDesk
from worlds import TODAY, one, some

from fixgateway.core.blotters import Compared, Row
from fixgateway.core.desk_facts import ReconciliationRecorded
from fixgateway.core.desk_inputs import Discrepancy
from fixgateway.core.facts import ExceptionOpened
from fixgateway.core.outputs import SendAllocation
from fixgateway.web import reconciling
from fixgateway.web.reconciling import add_reconciling

FILE = f"trade_date,account,symbol,side,quantity,price\n{TODAY},CLIENT-A,XYZ,buy,15000,100\n{TODAY},PROP,XYZ,buy,6,1\n"
URL = "/api/reconciliations?source=custody.csv"


class Comparison:
    """Stands in for the records; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[date, Sequence[Row], Decimal]] = []
        self.found: tuple[Discrepancy, ...] = ()

    def __call__(self, day: date, rows: Sequence[Row], tolerance: Decimal) -> Compared:
        self.asked.append((day, rows, tolerance))
        return Compared(len(rows) - len(self.found), self.found)


@pytest.fixture
def compare() -> Comparison:
    return Comparison()


@pytest.fixture
def firm(compare: Comparison) -> Iterator[WebDesk]:
    desk = WebDesk(more=lambda control: lambda app: add_reconciling(app, control, compare))
    yield desk
    desk.stop()


def post(client: Any, url: str = URL, body: str | bytes = FILE, kind: str = "text/csv") -> Any:
    return client.post(url, content=body, headers={"Content-Type": kind})


def test_a_file_is_compared_recorded_and_answered(firm: WebDesk, compare: Comparison) -> None:
    compare.found = (Discrepancy("quantity", "PROP buy XYZ", "the file has 6"),)
    answer = post(firm.program("olga"), f"{URL}&tolerance=0.01")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["trade_date"], body["rows"], body["matched"], body["differences"]) == (TODAY.isoformat(), 2, 1, 1)
    assert body["discrepancies"] == [{"kind": "quantity", "subject": "PROP buy XYZ", "text": "the file has 6"}]
    assert body["sha256"] == sha256(FILE.encode()).hexdigest()
    ((day, rows, tolerance),) = compare.asked
    assert (day, len(rows), tolerance) == (TODAY, 2, Decimal("0.01"))
    (recorded,) = firm.outputs(ReconciliationRecorded)
    assert (recorded.actor, recorded.source, recorded.sha256) == ("olga", "custody.csv", body["sha256"])
    assert [x.reason for x in firm.outputs(ExceptionOpened)] == ["GW-942"]


@pytest.mark.parametrize(("person", "status"), [("cco", 201), ("olga", 201), ("tom", 403), ("prin", 403), ("aud", 403)])
def test_who_may(firm: WebDesk, person: str, status: int) -> None:
    assert post(firm.program(person)).status_code == status
    assert len(firm.outputs(ReconciliationRecorded)) == (status == 201)


def test_nobody_may_without_a_sign_in(firm: WebDesk) -> None:
    assert post(firm.client()).status_code == 401


def test_before_anybody_is_recorded_nobody_may(compare: Comparison) -> None:
    desk = WebDesk({}, more=lambda control: lambda app: add_reconciling(app, control, compare))
    assert post(desk.client(**{"X-Actor": "olga"})).status_code == 403
    assert compare.asked == []
    desk.stop()


@pytest.mark.parametrize(
    ("url", "body", "status", "words"),
    [
        (URL, "", 400, "write the columns"),
        (URL, b"\xff\xfe", 400, "not UTF-8"),
        (URL, FILE.replace("6,1", "six,1"), 400, "line 3: quantity"),
        (f"{URL}&tolerance=-1", FILE, 400, "tolerance"),
        (f"{URL}&tolerance=1e9", FILE, 400, "tolerance"),
        (f"{URL}&trade_date=yesterday", FILE, 422, ""),
        ("/api/reconciliations", FILE, 422, ""),
        ("/api/reconciliations?source=%00", FILE, 422, ""),
        (URL, FILE.replace(TODAY.isoformat(), "2999-01-01"), 422, "has not come yet"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_recorded(
    firm: WebDesk, url: str, body: str | bytes, status: int, words: str
) -> None:
    answer = post(firm.program("olga"), url, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    assert firm.outputs(ReconciliationRecorded) == []


def test_records_that_are_behind_are_waited_for_and_then_refused(
    firm: WebDesk, compare: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "RECORDS_SECONDS", 0.1)
    monkeypatch.setattr(firm.control, "status", lambda: {"journal_records": 9, "records_watermark": 7})
    answer = post(firm.program("olga"))
    assert (answer.status_code, compare.asked) == (503, [])
    assert "2 behind the journal" in answer.json()["detail"]


def test_an_allocation_is_sent_again_by_operations_only(firm: WebDesk) -> None:
    world = firm.world
    world.order()
    world.fill("50000", "100")
    alloc_id = one(world.outputs, SendAllocation).allocation.alloc_id
    world.ack(alloc_id, "rejected")
    url = f"/api/allocations/{alloc_id}/send-again"
    assert firm.program("tom").post(url, json={"reason": "please"}).status_code == 403
    assert firm.program("olga").post(url, json={"reason": ""}).status_code == 409
    answer = firm.program("olga").post(url, json={"reason": "account set up", "actor": "tom"})
    assert answer.status_code == 200, answer.text
    given, outputs = firm.pump.decided[-1]
    assert (given.actor, len(some(outputs, SendAllocation))) == ("olga", 1)  # type: ignore[union-attr]
    assert firm.program("olga").post(url, json={"reason": "again"}).json()["reason"] == "GW-932"


def test_the_document_says_that_the_body_is_csv(firm: WebDesk) -> None:
    paths = firm.program("cco").get("/api/openapi.json").json()["paths"]
    assert list(paths["/api/reconciliations"]["post"]["requestBody"]["content"]) == ["text/csv"]
    assert "/api/allocations/{alloc_id}/send-again" in paths
