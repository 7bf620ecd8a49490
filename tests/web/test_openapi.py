"""The OpenAPI document is whole, and the API does what it says, whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import schemathesis
from desks import DESK_SETUP
from hypothesis import HealthCheck, Phase, given, settings
from live import Live
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from webdesk import WebDesk, desk

from fixgateway.core.people import Role

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EVERY_ROLE = tuple(role.value for role in Role)


@pytest.fixture(scope="module")
def firm() -> Iterator[WebDesk]:
    people = {"cco": EVERY_ROLE, "two": EVERY_ROLE}
    with desk(people, setup=replace(DESK_SETUP, desk=True), records=True) as made:
        yield made


@pytest.fixture(scope="module")
def document(firm: WebDesk) -> Any:
    return firm.program("cco").get("/api/openapi.json").json()


def test_the_document_is_whole(firm: WebDesk, document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, where
            for status, answer in operation["responses"].items():
                if path.startswith("/api/") and not status.startswith("2"):
                    assert list(answer["content"]) == ["application/problem+json"], where
            assert (method == "post") == ("requestBody" in operation), where
            if path.startswith("/api/") and path not in ("/api/sign-in", "/api/password"):
                assert "security" not in operation, f"{where}: the document's own counts"
                assert {"401", "403", "422", "503"} <= operation["responses"].keys(), where
    text = str(document)
    used = {part.split("'")[0] for part in text.split("'#/components/schemas/")[1:]}
    assert used <= schemas.keys()
    assert document["security"] == [{"token": []}, {"session": []}]


def test_the_document_names_every_route_of_the_api(firm: WebDesk, document: Any) -> None:
    routes = {
        (method.lower(), route.path)
        for route in firm.server._server.config.app.routes  # type: ignore[union-attr]
        if getattr(route, "include_in_schema", False) and route.path.startswith("/api/")
        for method in route.methods
    }
    named = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert routes <= named
    assert len(routes) > 50


def fuzz(document: Any, base_url: str, headers: dict[str, str], examples: int) -> int:
    """Send every operation what its description allows, and what it does not; how many answers came."""
    answers = 0
    schema = schemathesis.openapi.from_dict(document)
    for result in schema.get_all_operations():
        operation: Any = cast(Any, result).ok()
        if not operation.path.startswith("/api/") or operation.path.startswith("/api/exports/"):
            continue  # health may be 503; an export starts a process each and is tested on its own

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def send(case: Any) -> None:
            nonlocal answers
            answer = case.call(base_url=base_url, headers=headers, timeout=30)
            case.validate_response(answer, checks=CHECKS)
            answers += 1

        send()
    return answers


def test_the_api_does_what_the_document_says(firm: WebDesk, document: Any) -> None:
    token = firm.credentials.make_token("cco", "fuzz", 1)[1]
    base_url = f"http://127.0.0.1:{firm.server.port}"
    assert fuzz(document, base_url, {"Authorization": f"Bearer {token}"}, 2) > 80


@pytest.mark.full
def test_a_real_gateway_does_what_the_document_says(tmp_path: Any) -> None:
    with Live(tmp_path / "gateway") as gateway:
        gateway.start()
        document = gateway.get("/api/openapi.json")
        base_url = str(gateway.http.base_url)
        assert fuzz(document, base_url, {}, 20) > 500
        first = gateway.http.post(
            "/api/people", json={"person_id": "cco", "name": "C", "roles": list(EVERY_ROLE), "actor": "root"}
        ).json()
        secret = {"person_id": "cco", "password": first["one_time_password"], "new_password": "a long enough secret"}
        csrf = gateway.http.post("/api/password", json=secret).json()["csrf"]
        made = gateway.http.post("/api/tokens", json={"label": "fuzz"}, headers={"X-CSRF-Token": csrf}).json()
        gateway.http.cookies.clear()
        headers = {"Authorization": f"Bearer {made['token']}"}
        gateway.http.headers.update(headers)
        assert fuzz(document, base_url, headers, 40) > 1_000
        assert fuzz(document, base_url, {}, 5) > 100
        gateway.end_well()
