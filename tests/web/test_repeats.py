"""Idempotency-Key and page-by-page lists, through real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from desks import DESK_SETUP
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from webdesk import WebDesk, desk

from fixgateway.core.desk_facts import MarkRecorded
from fixgateway.web.forms import Before, Limit, page
from fixgateway.web.repeats import KEEP_SECONDS, KEYS_MAX, Repeats
from fixgateway.web.vault import Vault

MARK = {"symbol": "XYZ", "price": "10", "source": "screen"}
PEOPLE = {"cco": ("compliance",), "ops": ("operations",), "ops2": ("operations",)}


@pytest.fixture
def firm() -> Iterator[WebDesk]:
    with desk(PEOPLE, setup=replace(DESK_SETUP, desk=True)) as made:
        yield made


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def test_a_repeated_request_is_answered_again_and_not_done_again(firm: WebDesk) -> None:
    ops = firm.program("ops")
    first = ops.post("/api/marks", json=MARK, headers=key("k-1"))
    again = ops.post("/api/marks", json=MARK, headers=key("k-1"))
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(firm.outputs(MarkRecorded)) == 1
    assert ops.post("/api/marks", json=MARK, headers=key("k-2")).status_code == 201
    assert len(firm.outputs(MarkRecorded)) == 2


def test_the_same_key_with_another_request_is_refused(firm: WebDesk) -> None:
    ops = firm.program("ops")
    ops.post("/api/marks", json=MARK, headers=key("k-1"))
    for path, body in (("/api/marks", {**MARK, "price": "11"}), ("/api/alerts/A-1-0/acknowledge", {"text": "x"})):
        answer = ops.post(path, json=body, headers=key("k-1"))
        assert (answer.status_code, "another request" in answer.text) == (422, True)
    assert len(firm.outputs(MarkRecorded)) == 1


def test_keys_are_each_persons_own(firm: WebDesk) -> None:
    for person_id in ("ops", "ops2"):
        assert firm.program(person_id).post("/api/marks", json=MARK, headers=key("k-1")).status_code == 201
    assert [mark.actor for mark in firm.outputs(MarkRecorded)] == ["ops", "ops2"]


def test_a_refusal_is_repeated_too_and_refused_people_take_no_key(firm: WebDesk) -> None:
    cco = firm.program("cco")
    first = cco.post("/api/marks", json=MARK, headers=key("k-1"))
    assert (first.status_code, cco.post("/api/marks", json=MARK, headers=key("k-1")).content) == (403, first.content)
    assert firm.client().post("/api/marks", json=MARK, headers=key("k-9")).status_code == 401
    assert firm.vault.one("SELECT count(*) AS n FROM requests")["n"] == 1  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "x" * 129, "\u00e4", "a\tb"])
def test_a_key_that_is_none_is_refused(firm: WebDesk, text: str) -> None:
    answer = firm.program("ops").post(
        "/api/marks", json=MARK, headers=[(b"Idempotency-Key", text.encode("latin-1"))]
    )
    assert answer.status_code == 400
    assert firm.outputs(MarkRecorded) == []


def test_of_the_same_request_many_times_at_once_one_is_done(firm: WebDesk) -> None:
    clients = [firm.program("ops") for _ in range(8)]
    together = threading.Barrier(len(clients))

    def send(client: Any) -> int:
        together.wait(20)
        return int(client.post("/api/marks", json=MARK, headers=key("k-1")).status_code)

    with ThreadPoolExecutor(len(clients)) as pool:
        statuses = list(pool.map(send, clients))
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert len(firm.outputs(MarkRecorded)) == 1


def test_an_answer_with_a_secret_is_never_kept(firm: WebDesk) -> None:
    cco = firm.program("cco")
    person = {"person_id": "new", "name": "New", "roles": ["auditor"]}
    secret = cco.post("/api/people", json=person, headers=key("k-1")).json()["one_time_password"]
    assert firm.vault.all("SELECT * FROM requests") == []
    assert secret not in cco.post("/api/people", json=person, headers=key("k-1")).text


def test_keys_outlive_the_gateway_and_one_it_never_answered_says_so(tmp_path: Path) -> None:
    now = [10**18]
    vault = Vault(tmp_path / "credentials.db")
    before = Repeats(vault, lambda: now[0])
    assert before.claim(b"answered", b"f") is None
    before.answered(b"answered", 201, "application/json", b"{}")
    assert before.claim(b"cut off", b"f") is None
    vault.close()

    after = Repeats(Vault(tmp_path / "credentials.db"), lambda: now[0])
    kept, cut = after.claim(b"answered", b"f"), after.claim(b"cut off", b"f")
    assert kept is not None
    assert (kept.status, kept.body) == (201, b"{}")
    assert cut is not None
    assert (cut.status, cut.run != after.run) == (0, True)
    now[0] += (KEEP_SECONDS + 1) * 10**9
    assert after.claim(b"cut off", b"f") is None


def test_keys_are_bounded_in_number() -> None:
    now = [10**18]
    vault = Vault()
    repeats = Repeats(vault, lambda: now[0])
    with vault.change():
        vault._database.executemany(
            "INSERT INTO requests VALUES (?, x'', ?, '', 200, '', x'')", [(b"%d" % n, n) for n in range(KEYS_MAX)]
        )
        vault.run("UPDATE requests SET made_ns = made_ns + ?", (now[0],))
    now[0] += KEYS_MAX
    assert repeats.claim(b"new", b"f") is None
    count = vault.one("SELECT count(*) AS n FROM requests")
    assert count is not None
    assert count["n"] == KEYS_MAX
    assert vault.one("SELECT * FROM requests WHERE key = ?", (b"0",)) is None
    assert vault.one("SELECT * FROM requests WHERE key = ?", (b"new",)) is not None


def test_pages_of_a_list_lead_to_the_end_without_a_row_twice() -> None:
    rows = [{"journal_seq": seq, "position": position} for seq in range(9, 0, -1) for position in (1, 0)]
    app = FastAPI()

    def read(limit: int, before: str | None, kind: str | None) -> list[dict[str, int]]:
        place = tuple(map(int, before.split("-"))) if before else (99, 0)
        return [row for row in rows if (row["journal_seq"], row["position"]) < place][:limit]

    @app.get("/list")
    def listed(request: Request, limit: Limit = 5, before: Before = None, kind: str | None = None) -> Response:
        return page(request, read, lambda row: f"{row['journal_seq']}-{row['position']}", limit, before, kind=kind)

    client, found, path = TestClient(app), [], "/list?limit=4&kind=a%26b"
    while path:
        answer = client.get(path)
        found += answer.json()["rows"]
        link = answer.headers.get("link", "")
        path = link.partition("<")[2].partition(">")[0]
        assert bool(path) == (answer.json()["next"] is not None)
        if path:
            assert link.endswith('; rel="next"')
            query = {"limit": ["4"], "kind": ["a&b"], "before": [answer.json()["next"]]}
            assert parse_qs(urlsplit(path).query) == query
    assert found == rows
    for wrong in ("before=1", "before=x-y", "limit=0", "limit=1001", "before=1-1%27"):
        assert client.get(f"/list?{wrong}").status_code == 422


def test_a_database_that_does_not_answer_is_said_without_its_sql() -> None:
    with desk({}, records=True) as firm:
        firm.drop_table("exception_requests")
        answer = firm.client().get("/api/exceptions")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "the records database does not answer" in answer.json()["detail"]
        assert "SELECT" not in answer.text
