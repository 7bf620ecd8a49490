"""The API over a real server and socket, with an in-memory gateway behind it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from memory_gateway import MemoryGateway

from fixgateway.core.model import Draft
from fixgateway.core.outputs import Problem
from fixgateway.errors import ConfigError, GatewayUnavailable, UsageError
from fixgateway.monitor.health import Health
from fixgateway.web.app import create_app
from fixgateway.web.port import OperateOutcome, Outcome, Queries, Row
from fixgateway.web.server import Server, serve

STATEMENT = {
    "statement_id": "S-1", "trade_date": "2026-11-22", "symbol": "XYZ", "side": "buy", "ties": "account",
    "lines": [{"account": "CLIENT-A", "quantity": "30"}, {"account": "PROP", "quantity": "10"}],
}  # fmt: skip


class ApiGateway(MemoryGateway):
    """Refuses an id it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.drafts: dict[str, tuple[Draft, str, str]] = {}

    def submit_statement(self, draft: Draft, door: str, actor: str) -> Outcome:
        if draft.statement_id == "SLOW":
            raise TimeoutError
        if draft.statement_id == "DOWN":
            raise GatewayUnavailable("the gateway is stopping")
        if draft.defects:
            return Outcome(False, draft.statement_id, tuple(Problem(0, "", "GW-614", x) for x in draft.defects))
        if draft.statement_id in self.drafts:
            return Outcome(False, draft.statement_id, (Problem(2, "quantity", "GW-607", "no"),), seq=9)
        self.drafts[draft.statement_id] = (draft, door, actor)
        return Outcome(True, draft.statement_id, seed_commitment="ab", seq=7)

    def operate(self, actor: str, action: str, target: str, reason: str) -> OperateOutcome:
        self.done.append((actor, action, target, reason))
        return OperateOutcome(target != "nobody", "GW-610 no counterparty nobody" if target == "nobody" else "", 3)


ROWS: dict[str, Row] = {"S-1": {"statement_id": "S-1", "total": Decimal("40.00")}}


def known(rows: Mapping[str, Row]) -> Callable[[str], Row]:
    def read(name: str) -> Row:
        if name not in rows:
            raise UsageError(f"no {name} in the records; check the id")
        return rows[name]

    return read


NO_QUERIES = Queries(list, known({}), list, list, known({}), known({}))


def broken() -> list[Row]:
    raise RuntimeError("secret detail")


@pytest.fixture
def gateway() -> ApiGateway:
    return ApiGateway()


@pytest.fixture
def health() -> Health:
    return Health(["broker BRK1"])


@pytest.fixture
def server(gateway: ApiGateway, health: Health) -> Iterator[Server]:
    queries = Queries(
        statements=lambda: list(ROWS.values()),
        statement=known(ROWS),
        orders=broken,
        allocations=list,
        allocation=known({"A-1": {"alloc_id": "A-1"}}),
        trace=known({"S-1": {"id": "S-1", "timeline": [{"what": "registered"}]}}),
    )
    app = create_app(gateway, health, lambda: b"up 1\n", queries, allowed_hosts=["gw.example.com"])
    running = serve(app, "127.0.0.1", 0)
    yield running
    running.stop()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        yield client


def assert_problem(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


def test_a_statement_is_registered_by_json_and_csv(http: httpx.Client, gateway: ApiGateway) -> None:
    answer = http.post("/api/statements", json=STATEMENT, headers={"X-Actor": "ann", "X-Door": "cli"})
    assert answer.status_code == 201
    assert answer.json() == {
        "registered": True, "statement_id": "S-1", "problems": [], "seed_commitment": "ab", "seq": 7,
        "already": False,
    }  # fmt: skip
    draft, door, actor = gateway.drafts["S-1"]
    assert (door, actor, draft.lines[0].quantity) == ("cli", "ann", "30")

    text = "statement_id,account,quantity\nS-2,A,1\nS-2,B,2\n"
    answer = http.post("/api/statements", content=text, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert answer.status_code == 201
    draft, door, actor = gateway.drafts["S-2"]
    assert (door, actor, len(draft.lines)) == ("http", "http", 2)


def test_a_refused_statement_lists_every_problem(http: httpx.Client) -> None:
    http.post("/api/statements", json=STATEMENT)
    document = assert_problem(http.post("/api/statements", json=STATEMENT), 422)
    assert document["problems"] == [{"row": 2, "field": "quantity", "reason": "GW-607", "text": "no"}]
    assert document["statement_id"] == "S-1"
    assert document["registered"] is False


def test_a_seed_is_for_preview_only(http: httpx.Client) -> None:
    with_seed = {**STATEMENT, "seed": "00ff"}
    assert "seed" in assert_problem(http.post("/api/statements", json=with_seed), 422)["problems"][0]["text"]
    assert http.post("/api/statements/preview?filled=7", json=with_seed).status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"lines": 1}', b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_an_unreadable_statement_is_a_bad_request(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/api/statements", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400)


def test_unavailable_and_unknown_outcome(http: httpx.Client) -> None:
    answer = http.post("/api/statements", json={**STATEMENT, "statement_id": "DOWN"})
    assert "stopping" in assert_problem(answer, 503)["detail"]
    answer = http.post("/api/statements", json={**STATEMENT, "statement_id": "SLOW"})
    assert "unknown" in assert_problem(answer, 503)["detail"]


def test_preview_splits(http: httpx.Client) -> None:
    answer = http.post("/api/statements/preview", params={"filled": "20", "price": "1.5"}, json=STATEMENT)
    document = answer.json()
    assert [line["quantity"] for line in document["lines"]] == ["15", "5"]
    assert document["lines"][0]["amount"] == "22.5"
    assert_problem(http.post("/api/statements/preview", params={"filled": "-1"}, json=STATEMENT), 400)
    assert_problem(http.post("/api/statements/preview", json=STATEMENT), 422)


def test_reads(http: httpx.Client) -> None:
    assert http.get("/api/statements").json() == [{"statement_id": "S-1", "total": "40"}]
    assert http.get("/api/statements/S-1").json()["total"] == "40"
    assert "S-9" in assert_problem(http.get("/api/statements/S-9"), 404)["detail"]
    assert http.get("/api/allocations").json() == []
    assert http.get("/api/allocations/A-1").json() == {"alloc_id": "A-1"}
    assert_problem(http.get("/api/allocations/A-9"), 404)
    assert http.get("/api/trace/S-1").json() == {"id": "S-1", "timeline": [{"what": "registered"}]}
    assert_problem(http.get("/api/trace/S-9"), 404)
    assert http.get("/api/status").json() == {"version": "0"}
    assert http.get("/api/sessions").json()[0]["name"] == "OMS1"
    assert_problem(http.get("/api/nothing"), 404)
    assert_problem(http.put("/api/orders", json={}), 405)


def test_our_own_fault_says_so_without_details(http: httpx.Client) -> None:
    assert "secret" not in str(assert_problem(http.get("/api/orders"), 500))


def test_operations(http: httpx.Client, gateway: ApiGateway) -> None:
    by = {"actor": "ann", "reason": "drill"}
    assert http.post("/api/orders/halt", json={**by, "target": "all"}).json()["done"] is True
    assert http.post("/api/statements/S-1/close", json=by).status_code == 200
    assert http.post("/api/statements/S-1/cancel", json={"actor": "ann"}).status_code == 200
    assert http.post("/api/sessions/OMS1/seq", json={"actor": "ann", "next_sender": 5}).status_code == 200
    assert http.post("/api/sessions/OMS1/logout", json={"actor": "ann"}).status_code == 200
    assert gateway.done == [
        ("ann", "halt", "all", "drill"),
        ("ann", "close", "S-1", "drill"),
        ("ann", "cancel", "S-1", ""),
        ("OMS1", "seq", 5, None, "ann"),
        ("OMS1", "logout", None, None, "ann"),
    ]
    assert (
        "nobody" in assert_problem(http.post("/api/orders/halt", json={**by, "target": "nobody"}), 409)["detail"]
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/orders/halt", {"actor": "ann", "target": "all"}),
        ("/api/orders/halt", {"actor": "ann", "target": "all", "reason": ""}),
        ("/api/orders/halt", {"actor": "a\x01b", "target": "all", "reason": "x"}),
        ("/api/orders/halt", {"actor": "a", "target": "all", "reason": "x", "more": 1}),
        ("/api/orders/sell", {"actor": "a", "target": "all", "reason": "x"}),
        ("/api/statements/S-1/close", {}),
        ("/api/sessions/OMS1/seq", {"actor": "ann"}),
        ("/api/sessions/OMS1/logout", {"actor": "ann", "next_sender": 1}),
        ("/api/sessions/OMS1/seq", {"actor": "ann", "next_sender": 0}),
        ("/api/sessions/OMS1/seq", {"actor": "ann", "next_sender": "5"}),
    ],
)
def test_wrong_forms_do_nothing(
    http: httpx.Client, gateway: ApiGateway, path: str, body: dict[str, Any]
) -> None:
    assert_problem(http.post(path, json=body), 422)
    assert gateway.done == []


def test_unknown_session(http: httpx.Client, gateway: ApiGateway) -> None:
    assert_problem(http.post("/api/sessions/OMS9/logout", json={"actor": "ann"}), 404)
    assert gateway.done == []


def test_health_ready_metrics(http: httpx.Client, health: Health) -> None:
    assert http.get("/healthz").status_code == 503
    answer = http.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready: broker BRK1 has not reported yet\n")
    health.set("broker BRK1", True, "")
    health.beat(time.monotonic_ns())
    assert http.get("/readyz").text == "ready\n"
    assert http.get("/healthz").status_code == 200
    answer = http.get("/metrics")
    assert answer.text == "up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.com", "", "10.0.0.1:8080"])
def test_a_foreign_host_is_refused(http: httpx.Client, host: str) -> None:
    assert_problem(http.get("/api/statements", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "[::1]:8080", "[::1]", "gw.example.com:80"])
def test_own_hosts_are_accepted(http: httpx.Client, host: str) -> None:
    assert http.get("/api/statements", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_web_page_can_post_is_refused(http: httpx.Client, gateway: ApiGateway, kind: str) -> None:
    body = b'{"actor":"a","target":"all","reason":"x"}'
    headers = {"Content-Type": kind} if kind else {}
    assert_problem(http.post("/api/orders/halt", content=body, headers=headers), 415)
    assert gateway.done == []


def test_a_body_is_bounded_declared_or_not(http: httpx.Client, server: Server) -> None:
    headers = {"Content-Type": "application/json"}

    def endless() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1_000_000

    assert_problem(http.post("/api/statements", content=endless(), headers=headers), 413)
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw:
        raw.sendall(
            b"POST /api/statements HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999\r\n\r\n"
        )
        assert b" 413 " in raw.recv(4096)


def test_stop_frees_the_port(gateway: ApiGateway, health: Health) -> None:
    first = serve(create_app(gateway, health, bytes, NO_QUERIES), "127.0.0.1", 0)
    first.stop()
    second = serve(create_app(gateway, health, bytes, NO_QUERIES), "127.0.0.1", first.port)
    assert second.port == first.port
    second.stop()


def test_a_taken_port_is_a_configuration_error(server: Server, gateway: ApiGateway, health: Health) -> None:
    with pytest.raises(ConfigError, match=r"http\.port"):
        serve(create_app(gateway, health, bytes, NO_QUERIES), "127.0.0.1", server.port)


def test_turns_and_holdings(http: httpx.Client, gateway: ApiGateway) -> None:
    found = http.get("/api/rotation").json()
    assert [(row["policy_id"], row["position"], row["account"]) for row in found["queue"]] == [
        ("P", 1, "B"), ("P", 2, "A"), ("Q", 1, "C"),
    ]  # fmt: skip
    assert [row["account"] for row in http.get("/api/rotation?policy=Q").json()["queue"]] == ["C"]
    assert_problem(http.get("/api/rotation?turns=-1"), 422)

    why = {"actor": "ann", "reason": "asked to wait"}
    assert http.post("/api/statements/S-1/pass", json={**why, "account": "B"}).json()["text"] == "passed"
    assert_problem(http.post("/api/statements/S-1/pass", json={**why, "account": "nobody"}), 409)
    assert_problem(http.post("/api/statements/S-1/pass", json={"actor": "ann", "account": "B"}), 422)
    change = {**why, "account": "B", "symbol": "XYZ", "quantity": "5"}
    assert http.post("/api/holdings", json=change).json()["seq"] == 9
    assert_problem(http.post("/api/holdings", json={**change, "reason": ""}), 422)
    assert gateway.done[0] == ("pass", "ann", "S-1", "B", "asked to wait")
    assert gateway.done[-1] == ("holding", "ann", "B", "XYZ", "5", "asked to wait")
    assert_problem(http.get("/api/fairness?first=yesterday"), 422)
