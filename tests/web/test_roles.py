"""The role matrix through real HTTP: every task, every role, by session and by token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, cast

import httpx
import pytest
from desks import DESK_SETUP, TEXT
from fastapi import FastAPI
from fastapi.testclient import TestClient
from webdesk import WebDesk, desk

from fixgateway.core.desk_facts import ActionRefused
from fixgateway.core.facts import StatementRefused
from fixgateway.core.people import MAY, Role, Task
from fixgateway.web.desk_api import add_desk
from fixgateway.web.identity import Identity
from fixgateway.web.port import DeskQueries

WHO = {"cco": ("compliance",), **{role.value: (role.value,) for role in Role}}
STATEMENT = {
    "statement_id": "S-9", "trade_date": "2026-11-23", "symbol": "XYZ", "side": "buy", "ties": "seeded",
    "lines": [{"account": "CLIENT-A", "quantity": "10"}],
}  # fmt: skip
REASON = {"reason": "a good one"}
ASKED = {
    "kind": "deviation", "statement_id": "S-1", "code": "ANY", "text": TEXT,
    "lines": [{"account": "CLIENT-A", "quantity": "1"}],
}  # fmt: skip
REVIEW = {"review_id": "R-1", "kind": "run", "plan_sha256": "a", "data_sha256": "b", "verdict": "green", "summary": "s"}
DOORS: dict[Task, list[tuple[str, dict[str, Any]]]] = {
    Task.REGISTER: [("/api/statements", STATEMENT)],
    Task.OPERATE: [
        ("/api/statements/S-1/close", REASON), ("/api/statements/S-1/cancel", REASON),
        ("/api/statements/S-1/book", REASON),
        ("/api/statements/S-1/pass", {**REASON, "account": "CLIENT-A"}),
    ],
    Task.SWITCH: [(f"/api/orders/{action}", {**REASON, "target": "OMS2"}) for action in ("halt", "resume")],
    Task.HOLDING: [("/api/holdings", {**REASON, "account": "CLIENT-A", "symbol": "XYZ", "quantity": "5"})],
    Task.MARK: [("/api/marks", {"symbol": "XYZ", "price": "10", "source": "screen"})],
    Task.REQUEST: [("/api/exceptions", ASKED)],
    Task.ATTEND: [
        ("/api/exceptions/X-1-0/attend/note", {"text": "seen"}), ("/api/alerts/A-1-0/acknowledge", {"text": "seen"}),
    ],
    Task.REVIEW: [("/api/reviews", REVIEW), ("/api/reviews/R-1/signature", {"conclusion": "fine"})],
    Task.PEOPLE: [
        ("/api/people", {"person_id": "new", "name": "New", "roles": ["auditor"]}),
        ("/api/people/auditor/password", {}), ("/api/people/auditor/unlock", {}),
    ],
}  # fmt: skip
"""What people can do by HTTP, by the task it needs."""


@pytest.fixture(scope="module")
def firm() -> Iterator[WebDesk]:
    with desk(WHO, setup=replace(DESK_SETUP, desk=True)) as made:
        yield made


def test_every_role_may_what_the_table_says_and_nothing_else(firm: WebDesk) -> None:
    found: dict[tuple[Task, str], set[bool]] = {}
    for role in Role:
        client = firm.program(role.value)
        for task, doors in DOORS.items():
            for path, body in doors:
                answer = client.post(path, json=body)
                assert answer.status_code < 500, (path, answer.text)
                assert answer.status_code not in (401, 404, 405, 415), (path, answer.text)
                found.setdefault((task, role.value), set()).add(answer.status_code != 403)
    expected = {(task, role.value): {role in MAY[task]} for task in DOORS for role in Role}
    assert found == expected


def test_a_refusal_names_who_and_why_and_is_in_the_journal(firm: WebDesk) -> None:
    answer = firm.program("auditor").post("/api/marks", json=DOORS[Task.MARK][0][1])
    assert (answer.status_code, answer.json()["reason"]) == (403, "GW-903")
    assert "auditor (auditor) may not record marks" in answer.json()["detail"]
    refused = firm.outputs(ActionRefused)[-1]
    assert (refused.actor, refused.action, refused.subject, refused.reason) == (
        "auditor", "record mark", "XYZ", "GW-903",
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/api/statements", "/api/orders", "/api/exceptions", "/api/alerts", "/api/marks"])
def test_who_acts_is_who_signed_in_whatever_headers_and_body_say(firm: WebDesk, path: str) -> None:
    trader = firm.program("trader")
    trader.headers.update({"X-Actor": "cco", "X-Door": "http"})
    trader.post("/api/statements", json={**STATEMENT, "statement_id": f"S-{path[5:]}"})
    assert firm.pump.decided[-1][0].actor == "trader"  # type: ignore[union-attr]


def test_a_statement_by_who_may_not_is_refused_as_forbidden(firm: WebDesk) -> None:
    answer = firm.program("compliance").post("/api/statements", json={**STATEMENT, "statement_id": "S-10"})
    assert answer.status_code == 403
    assert answer.json()["problems"][0]["reason"] == "GW-903"
    assert firm.outputs(StatementRefused)[-1].problems[0].reason == "GW-903"


def own_power(client: httpx.Client, person_id: str, **change: Any) -> httpx.Response:
    row = client.get(f"/api/people/{person_id}").json()
    return client.post("/api/people", json={**row, **change})


def test_nobody_gives_themselves_power(firm: WebDesk) -> None:
    cco = firm.program("cco")
    answer = own_power(cco, "cco", roles=["compliance", "trader"])
    assert answer.status_code == 422
    assert "another person must" in answer.json()["detail"]
    assert own_power(cco, "cco", active=False).status_code == 422
    assert own_power(cco, "cco", email="cco@example.com").status_code == 200


class _Reads:
    """A few rows of every read of the desk."""

    alert_rows = ({"reason": "GW-919", "text": "red: PROP gains"}, {"reason": "GW-502", "text": "disk"})

    def client(self, person: Identity) -> TestClient:
        """The desk's reads, asked by a person."""
        app = FastAPI()
        reads = DeskQueries(**dict.fromkeys((field.name for field in fields(DeskQueries)), self.none))
        reads = replace(
            reads,
            alerts=lambda **_: list(self.alert_rows),
            alert=lambda _: self.alert_rows[0],
            search=lambda *_: [{"kind": "review", "id": "R-1"}, {"kind": "account", "id": "R"}],
            reviews=lambda **_: [{"review_id": "R-1"}],
            accesses=lambda **_: [],
        )
        add_desk(app, cast(Any, None), reads)
        return TestClient(_As(app, person))

    @staticmethod
    def none(*_: Any, **__: Any) -> Any:
        return []


class _As:
    """An app every request to which is from one person."""

    def __init__(self, app: FastAPI, person: Identity) -> None:
        self.app, self.person = app, person

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"identity": self.person}
        await self.app(scope, receive, send)


@pytest.mark.parametrize("role", Role)
def test_reviews_are_read_by_compliance_and_auditors_whichever_way_one_asks(role: Role) -> None:
    client = _Reads().client(Identity("p", "P", (role.value,)))
    may = role in MAY[Task.READ_REVIEWS]
    assert [client.get(path).status_code for path in ("/api/reviews", "/api/accesses", "/api/refusals")] == [
        200 if may else 403
    ] * 3
    said = [row["text"] for row in client.get("/api/alerts").json()["rows"]]
    assert ("red: PROP gains" in said) == may
    assert "disk" in said
    assert ("PROP" in client.get("/api/alerts/A-1-0").text) == may
    assert ("R-1" in client.get("/api/search?q=R").text) == may
