"""Misuse through real HTTP: a clear answer, nothing half done, all recorded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from desks import DESK_SETUP, TEXT
from webdesk import PASSWORD, WebDesk, desk

from fixgateway.core.desk_facts import ActionRefused, ExceptionDecided, ExceptionRequested
from fixgateway.core.inputs import ExecKind
from fixgateway.web import guard, server
from fixgateway.web.credentials import Terms
from fixgateway.web.door import DoorTerms

PEOPLE = {
    "cco": ("compliance",), "cco2": ("compliance",), "both": ("compliance", "trader"), "tom": ("trader",),
    "ops": ("operations",), "boss": ("principal",),
}  # fmt: skip
HOSTILE = (
    "'; DROP TABLE people; --", "\" OR ''='", "<script>alert(1)</script>", "{{7*7}}", "../../etc/passwd", "%00",
    "\u202ecod", "a" * 300, "-1", "Na N", "\U0001f600",
)  # fmt: skip


@pytest.fixture
def firm() -> Iterator[WebDesk]:
    with desk(PEOPLE, setup=replace(DESK_SETUP, desk=True)) as made:
        yield made


def filled(firm: WebDesk) -> None:
    """The worked example: 30,000 of 50,000, done."""
    firm.world.order()
    firm.world.fill("30000", "100")
    firm.world.execution(ExecKind.CANCELLED, ord_status="4", cum_qty=Decimal(30000), leaves_qty=Decimal(0))


def ask(client: httpx.Client, lines: dict[str, str], **more: Any) -> httpx.Response:
    rows = [{"account": account, "quantity": quantity} for account, quantity in lines.items()]
    body = {"kind": "deviation", "statement_id": "S-1", "code": "ANY", "text": TEXT, "lines": rows, **more}
    return client.post("/api/exceptions", json=body)


TO_CLIENTS = {"CLIENT-A": "16000", "CLIENT-B": "6500", "CLIENT-C": "3500", "PROP": "4000"}
"""The proprietary account gives to the clients."""


def assert_problem(answer: httpx.Response, status: int, words: str = "") -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]
    return answer.json()


# ---------------------------------------------------------------- the second person


def test_nobody_approves_their_own_request(firm: WebDesk) -> None:
    filled(firm)
    both = firm.browser("both")
    made = ask(both, TO_CLIENTS)
    assert made.status_code == 201, made.text
    name = made.json()["subject"]
    assert name.startswith("GWE")
    refused = assert_problem(both.post(f"/api/exceptions/{name}/approve", json={"text": "fine"}), 403)
    assert refused["reason"] == "GW-904"
    assert firm.outputs(ExceptionDecided) == []
    assert firm.outputs(ActionRefused)[-1].actor == "both"
    assert firm.program("both").post(f"/api/exceptions/{name}/approve", json={"text": "fine"}).status_code == 403
    assert_problem(firm.browser("tom").post(f"/api/exceptions/{name}/approve", json={"text": "fine"}), 403)
    assert_problem(firm.browser("tom").post(f"/api/exceptions/{name}/withdraw", json={"text": "mine"}), 403)
    assert firm.browser("cco").post(f"/api/exceptions/{name}/approve", json={"text": "agreed"}).status_code == 200
    assert_problem(firm.browser("cco2").post(f"/api/exceptions/{name}/reject", json={"text": "no"}), 409)


def test_of_many_approvals_at_once_one_counts(firm: WebDesk) -> None:
    filled(firm)
    name = ask(firm.browser("tom"), TO_CLIENTS).json()["subject"]
    clients = [firm.browser(who) for who in ("cco", "cco2", "both") * 3]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(
            pool.map(lambda client: client.post(f"/api/exceptions/{name}/approve", json={"text": "agreed"}), clients)
        )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 8]
    (decided,) = firm.outputs(ExceptionDecided)
    assert decided.decision == "approved"
    assert len(firm.outputs(ActionRefused)) == 8


def test_cherry_picking_cannot_be_asked_for_by_anybody(firm: WebDesk) -> None:
    filled(firm)
    for who in PEOPLE:
        client = firm.program(who)
        for kind in ("deviation", "re-designation", "statement-change"):
            answer = ask(client, {"PROP": "15000", "CLIENT-A": "15000"}, kind=kind)
            assert answer.status_code in (403, 409, 422), answer.text
            assert firm.outputs(ActionRefused)[-1].actor == who
    assert firm.outputs(ExceptionRequested) == []


# ---------------------------------------------------------------- the browser


def test_a_page_of_another_site_cannot_act(firm: WebDesk) -> None:
    tom, before = firm.browser("tom"), len(firm.pump.decided)
    cookie = f"fixgateway={tom.cookies['fixgateway']}"
    stranger = firm.client(Cookie=cookie)
    body = {"target": "all", "reason": "x"}
    assert_problem(stranger.post("/api/orders/halt", json=body), 403, "load its page again")
    for headers in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert_problem(tom.post("/api/orders/halt", json=body, headers=headers), 403, "may not act")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_problem(stranger.post("/api/orders/halt", content="target=all&reason=x", headers=form), 415)
    assert_problem(stranger.post("/people", content="person_id=eve", headers=form), 403)
    refused = [note for note in firm.noted("refused") if note[0] == "tom"]
    assert refused, "who was abused is in the journal"
    assert all(type(given).__name__ == "NoteAccess" for given, _ in firm.pump.decided[before:])
    own = {"Origin": str(tom.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert firm.browser("ops").post("/api/orders/halt", json=body, headers=own).status_code == 200


def test_during_set_up_a_form_needs_our_own_pages_value_too() -> None:
    with desk({}) as firm:
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        page = firm.client()
        assert_problem(firm.client().post("/people", content="person_id=eve", headers={**form, "Accept": "*/*"}), 403)
        page.get("/nowhere", headers={"Accept": "text/html"})
        value = page.cookies["fixgateway-form"]
        assert page.post("/people", content="csrf=wrong", headers=form).status_code == 403
        assert page.post("/people", content=f"csrf={value}&csrf=x", headers=form).status_code == 403
        assert page.post("/nowhere", content=f"csrf={value}", headers=form).status_code == 404
        cross = {**form, "Origin": "https://evil.example"}
        assert page.post("/nowhere", content=f"csrf={value}", headers=cross).status_code == 403


def test_a_form_of_an_earlier_session_is_stale(firm: WebDesk) -> None:
    tom = firm.browser("tom")
    old = tom.headers["X-CSRF-Token"]
    tom.post("/api/sign-in", json={"person_id": "tom", "password": PASSWORD})
    body = {"target": "all", "reason": "x"}
    assert_problem(tom.post("/api/orders/halt", json=body, headers={"X-CSRF-Token": old}), 403, "load its page again")


def test_a_page_without_a_session_leads_to_the_sign_in(firm: WebDesk) -> None:
    answer = firm.client(Accept="text/html").get("/blocks?x=<script>")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fblocks%3Fx%3D%253Cscript%253E"
    assert firm.client(Accept="text/html").get("/api/statements").status_code == 401


def test_answers_tell_browsers_to_guess_frame_and_keep_nothing(firm: WebDesk) -> None:
    for path in ("/api/me", "/api/none", "/healthz"):
        headers = firm.client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


# ---------------------------------------------------------------- hostile text


@pytest.fixture(scope="module")
def shared() -> Iterator[WebDesk]:
    with desk(PEOPLE, setup=replace(DESK_SETUP, desk=True), sign_in=Terms(failures=100)) as made:
        yield made


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_and_comes_back_as_text(shared: WebDesk, text: str) -> None:
    firm = shared
    cco, people = firm.browser("cco"), dict(firm.control.people())
    person = {"person_id": text, "name": "N", "roles": ["compliance"]}
    answers = [
        cco.post("/api/people", json=person),
        cco.post("/api/people", json={**person, "person_id": "x", "roles": [text]}),
        firm.client().post("/api/sign-in", json={"person_id": text, "password": text}),
        ask(firm.browser("tom"), {text: "1"}, statement_id=text, code=text),
        firm.browser("ops").post("/api/marks", json={"symbol": "XYZ", "price": text, "source": text}),
        cco.post("/api/alerts/x/acknowledge", json={"text": text}),
        cco.get("/api/exceptions/none", params={"x": text}),
        cco.get("/api/tokens", params={"person_id": text}),
        firm.client(Cookie=f"fixgateway={text!a}", Authorization=f"Bearer {text!a}").get("/api/me"),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.text
        assert "html" not in answer.headers["content-type"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert firm.control.people() == people


UNREADABLE = (b"", b"[]", b"{", b"null", b'{"text": 1}', b"\xff", b"[" * 100_000, b'{"text":"\\ud800"}')


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_body_is_refused(shared: WebDesk, body: bytes) -> None:
    firm = shared
    cco, before = firm.browser("cco"), len(firm.pump.decided)
    for path in ("/api/exceptions", "/api/exceptions/GWE1/approve", "/api/marks", "/api/people"):
        answer = cco.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 409, 422), answer.text
    assert all(type(given).__name__ != "RecordPerson" for given, _ in firm.pump.decided[before:])


# ---------------------------------------------------------------- big and slow


def test_a_body_of_ten_megabytes_is_refused_and_the_door_stays_open(firm: WebDesk) -> None:
    cco = firm.browser("cco")
    big = b'{"text": "' + b"x" * 10_000_000 + b'"}'
    answer = cco.post("/api/exceptions/GWE1/approve", content=big, headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "larger than")
    assert cco.get("/api/me").status_code == 200


def test_a_slow_client_is_told_and_lets_go(firm: WebDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    head = b"POST /api/sign-in HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", firm.server.port), 20) as slow:
        slow.sendall(head + b"{")
        assert b" 408 " in slow.recv(4096)
    for begun in (b"", b"GET /api/me HTT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", firm.server.port), 20) as silent:
            silent.sendall(begun)
            while silent.recv(4096):
                pass  # ends when the server closes
    assert firm.client().get("/healthz").status_code in (200, 503)


def test_a_name_in_a_foreign_host_header_is_refused_behind_a_proxy_too() -> None:
    with desk(terms=DoorTerms(reachable=True, secure=True, hosts=("gw.example.com",))) as firm:
        assert firm.client(Host="evil.example").get("/api/me").status_code == 403
        client = firm.client(Host="gw.example.com")
        answer = client.post("/api/sign-in", json={"person_id": "cco", "password": PASSWORD},
                             headers={"Origin": "https://gw.example.com"})  # fmt: skip
        assert answer.status_code == 200


def test_a_large_statement_is_read_for_known_people_only(firm: WebDesk) -> None:
    big = b" " * 2_000_000 + b"{}"
    json = {"Content-Type": "application/json"}
    assert_problem(firm.client().post("/api/statements", content=big, headers=json), 413)
    assert_problem(firm.client(Authorization="Bearer x").post("/api/statements", content=big, headers=json), 413)
    assert_problem(firm.program("tom").post("/api/statements", content=big, headers=json), 400)
    with desk({}) as empty:
        assert_problem(empty.client().post("/api/statements", content=big, headers=json), 400)
