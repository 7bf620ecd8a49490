"""The OpenAPI document: what the framework reads off the handlers, completed with what it cannot know.

That is: how to sign in, the header for repeated requests, bodies read as they come (statements as JSON or CSV), the
shape of every answer, and every error as application/problem+json.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from fixgateway.web.guard import API
from fixgateway.web.people_api import NOT_AGAIN
from fixgateway.web.repeats import KEY_CHARACTERS_MAX

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["row", "field", "reason", "text"],
                "properties": {"row": {"type": "integer"}, "field": _TEXT, "reason": _TEXT, "text": _TEXT},
            },
        },
        "reason": {**_TEXT, "description": "The stable code of a refusal: GW-…"},
        "seq": {"type": "integer", "description": "The journal record that decided."},
        "must_change": {"type": "boolean"},
    },
}
_DONE: dict[str, Any] = {
    "type": "object",
    "required": ["done"],
    "properties": {
        "done": {"type": "boolean"},
        "text": _TEXT,
        "seq": {"type": "integer", "description": "The journal record that decided."},
        "subject": {**_TEXT, "description": "The id of what was made."},
    },
}
_PAGE: dict[str, Any] = {
    "type": "object",
    "required": ["rows", "next"],
    "properties": {
        "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Row"}},
        "next": {"type": ["string", "null"], "description": "`before` of the next page; null: there is none."},
    },
}
_ROW: dict[str, Any] = {
    "type": "object",
    "description": "Names and values; quantities, prices and money are text, times UTC text and nanoseconds.",
}
_STATEMENT: dict[str, Any] = {
    "type": "object",
    "description": "An allocation statement.",
    "required": ["statement_id", "trade_date", "symbol", "side", "lines"],
    "properties": {
        "statement_id": _TEXT, "trade_date": {"type": "string", "format": "date"}, "symbol": _TEXT, "side": _TEXT,
        "method": _TEXT, "lot": _TEXT, "min_quantity": _TEXT, "ties": _TEXT, "cl_ord_ids": _TEXTS, "brokers": _TEXTS,
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/StatementLine"}},
    },
}  # fmt: skip
_LINE: dict[str, Any] = {
    "type": "object",
    "required": ["account", "quantity"],
    "properties": {"account": _TEXT, "quantity": _TEXT, "limit": _TEXT, "min_quantity": _TEXT},
}
SCHEMAS = {
    "Problem": _PROBLEM, "Done": _DONE, "Page": _PAGE, "Row": _ROW, "Statement": _STATEMENT, "StatementLine": _LINE,
}  # fmt: skip
"""The shapes besides those of the forms."""

_ROWS = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
_LISTS = ("/api/statements", "/api/orders", "/api/allocations", "/api/sessions", "/api/roles", "/api/exports")
_PAGES = (
    "/api/exceptions", "/api/exceptions/opened", "/api/alerts", "/api/marks", "/api/reconciliations", "/api/reviews",
    "/api/accesses", "/api/refusals", "/api/search", "/api/people", "/api/tokens",
)  # fmt: skip
_CREATE = (
    "/api/statements", "/api/exceptions", "/api/marks", "/api/reviews", "/api/people", "/api/tokens",
    "/api/reconciliations",
)  # fmt: skip
_BODIES = {
    ("/api/statements", "post"): "Statement",
    ("/api/statements/preview", "post"): "Statement",
    ("/api/statements/{statement_id}/audit", "post"): "Row",
}
"""Bodies the handlers read themselves, as JSON or CSV."""
_CSV_BODIES = (("/api/reconciliations", "post"),)
_ERRORS = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
_ERRORS_OF_POST = (
    HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.TOO_MANY_REQUESTS,
)  # fmt: skip
_WITHOUT_SIGN_IN = ("/healthz", "/readyz", "/metrics", "/api/sign-in", "/api/password")
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key again gets the first answer again, for a day; with another request it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[!-~]+$"},
}


def complete(app: FastAPI) -> None:
    """Let the app answer ``/api/openapi.json`` with the whole document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    made: dict[str, Any] = get_openapi(
        title="fixgateway",
        version=app.version,
        description="Allocation statements before orders, exceptions decided by a second person, records of it all. "
        "Until the first person is recorded no sign-in is asked for.",
        routes=app.routes,
    )
    own = (API, "/healthz", "/readyz", "/metrics")
    made["paths"] = {path: found for path, found in made["paths"].items() if path.startswith(own)}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    parts = made.setdefault("components", {})
    parts["schemas"] = {**parts.get("schemas", {}), **SCHEMAS}
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A person's token: POST /api/tokens."},
        "session": {"type": "apiKey", "in": "cookie", "name": "fixgateway",
                    "description": "Set by POST /api/sign-in; what changes something needs X-CSRF-Token, too."},
    }  # fmt: skip
    made["security"] = [{"token": []}, {"session": []}]
    return made


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """One operation: its answers, its body where the handler reads it itself, its headers, who may ask."""
    responses = operation["responses"]
    good = "201" if method == "post" and path in _CREATE else "200"
    if path.startswith(API):
        if not path.startswith("/api/exports/"):
            content = {"application/json": {"schema": _shape(path, method)}}
            responses.pop("200", None)
            responses[good] = {"description": "Done" if method == "post" else "Found", "content": content}
            if path == "/api/people" and method == "post":
                responses["200"] = {"description": "Changed", "content": content}
        wanted = (*_ERRORS, *(_ERRORS_OF_POST if method == "post" else ()))
        responses.update({str(int(status)): _problem(status) for status in wanted})
    else:
        responses.clear()
        responses["200"] = {"description": "Good", "content": {"text/plain": {"schema": _TEXT}}}
        responses["503"] = {"description": "Not so", "content": {"text/plain": {"schema": _TEXT}}}
        responses["403"] = _problem(HTTPStatus.FORBIDDEN)
    if (path, method) in _BODIES:
        schema = {"$ref": f"#/components/schemas/{_BODIES[path, method]}"}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}, "text/csv": {"schema": _TEXT}},
        }
    if (path, method) in _CSV_BODIES:
        operation["requestBody"] = {"required": True, "content": {"text/csv": {"schema": _TEXT}}}
    if method == "post" and path.startswith(API) and not path.startswith(NOT_AGAIN):
        operation.setdefault("parameters", []).append(_KEY)
    if path in _WITHOUT_SIGN_IN:
        operation["security"] = []


def _shape(path: str, method: str) -> Mapping[str, Any]:
    if method == "post":
        rows = ("/api/sign-in", "/api/password", "/api/tokens", "/api/statements")
        plain = path in rows or path.endswith(("/audit", "/preview"))
        return {"$ref": f"#/components/schemas/{'Row' if plain else 'Done'}"}
    if path in _LISTS:
        return _ROWS
    return {"$ref": f"#/components/schemas/{'Page' if path in _PAGES else 'Row'}"}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": status.phrase, "content": {"application/problem+json": {"schema": schema}}}
