"""The HTTP API.

Handlers are plain functions: the framework runs them in its thread pool, so one that waits for the
journal's sync does not hold up the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import Field
from starlette.exceptions import HTTPException

import fixgateway
from fixgateway.config import proposals, statements
from fixgateway.config.preview import preview
from fixgateway.core.model import Policy
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.records.database import DatabaseError, short
from fixgateway.web.answers import Answer, found, problem, problem_rows
from fixgateway.web.desk_api import add_desk
from fixgateway.web.door import Door, DoorKeeper
from fixgateway.web.forms import Action, Before, MaybeLimit, Text, acted, listed
from fixgateway.web.guard import Guard
from fixgateway.web.identity import Viewer
from fixgateway.web.openapi import complete
from fixgateway.web.people_api import NOT_AGAIN, add_people
from fixgateway.web.port import GatewayPort, HealthPort, Queries, people_words
from fixgateway.web.repeats import RepeatKeeper, Repeats

_UNAVAILABLE = ("GW-502", "GW-503", "GW-615")
"""Reasons that mean "not now" rather than "not so": answered with 503."""

SeqNum = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
Count = Annotated[int, Query(ge=0, le=10_000_000)]
SessionAction = Literal["logout", "enable", "disable", "seq", "roll"]


class Switch(Action):
    """Halting or resuming orders: why is not optional."""

    target: Text
    reason: Text


class Pass(Action):
    """Passing a turn: whose, and why."""

    account: Text
    reason: Text


class HoldingChange(Pass):
    """What an account may sell of a symbol, and why it changes."""

    symbol: Text
    quantity: Text


class SessionChange(Action):
    """A session action; the numbers belong to ``seq``."""

    next_sender: SeqNum | None = None
    next_target: SeqNum | None = None


def create_app(
    gateway: GatewayPort,
    health: HealthPort,
    metrics_text: Callable[[], bytes],
    queries: Queries,
    policy: Policy | None = None,
    allowed_hosts: Iterable[str] = (),
    clock_ns: Callable[[], int] = time.monotonic_ns,
    more: Iterable[Callable[[FastAPI], None]] = (),
    door: Door | None = None,
) -> FastAPI:
    """The app.

    Args:
        gateway: the running gateway.
        health: what /healthz and /readyz ask.
        metrics_text: the Prometheus text of /metrics.
        queries: reads of the database.
        policy: terms a previewed statement does not name.
        allowed_hosts: names accepted in Host besides loopback ones.
        clock_ns: the clock ``health.live`` is asked with.
        more: each adds routes of its own.
        door: who comes in. Without one nobody is asked who they are, and there are no people: for tests of the rest.
    """
    app = FastAPI(title="fixgateway", version=fixgateway.__version__, docs_url=None, redoc_url=None,
                  openapi_url="/api/openapi.json", default_response_class=Answer)  # fmt: skip
    app.state.door = door
    if door is not None:
        app.add_middleware(RepeatKeeper, repeats=Repeats(door.credentials.vault), never=NOT_AGAIN)
        app.add_middleware(DoorKeeper, door=door)
        add_people(app, gateway, door)
    known = door.knows if door is not None else lambda _: True
    app.add_middleware(
        Guard, allowed_hosts=allowed_hosts, max_body_bytes=statements.MAX_FILE_BYTES, known=known
    )
    _add_errors(app)
    _add_statements(app, gateway, queries, policy)
    _add_reads(app, gateway, queries)
    _add_operations(app, gateway)
    add_desk(app, gateway, queries.desk)
    _add_health(app, gateway if door is not None else None, health, metrics_text, clock_ns)
    for add in more:
        add(app)
    complete(app)
    return app


# ---------------------------------------------------------------- statements


async def _source(request: Request) -> statements.Source:
    """The statement in the body, JSON or CSV by content type."""
    suffix = ".csv" if request.headers.get("content-type", "").startswith("text/csv") else ".json"
    return statements.parse(await request.body(), suffix, "body")


async def _proposal(request: Request) -> dict[str, Decimal]:
    """The proposed allocation in the body, JSON or CSV by content type."""
    suffix = ".csv" if request.headers.get("content-type", "").startswith("text/csv") else ".json"
    return proposals.parse(await request.body(), suffix, "body")


NOT_PERMITTED = "GW-903"
"""The reason that means "not you": answered with 403."""

Source = Annotated[statements.Source, Depends(_source)]
Proposed = Annotated[dict[str, Decimal], Depends(_proposal)]
Fills = Annotated[tuple[str, ...], Query()]
Actor = Annotated[str, Header(alias="X-Actor", min_length=1, max_length=64, pattern=r"^[ -~]+$")]
ByDoor = Annotated[Literal["http", "cli"], Header(alias="X-Door")]


def _add_statements(app: FastAPI, gateway: GatewayPort, queries: Queries, policy: Policy | None) -> None:
    @app.post("/api/statements")
    def submit(source: Source, viewer: Viewer, x_actor: Actor = "http", x_door: ByDoor = "http") -> Response:
        """Register a statement; answered when it is durable."""
        outcome = gateway.submit_statement(source.for_submission(), x_door, viewer.actor(x_actor))
        if outcome.registered:
            return Answer(asdict(outcome), status_code=HTTPStatus.CREATED)
        unavailable = any(item.reason in _UNAVAILABLE for item in outcome.problems)
        status = HTTPStatus.SERVICE_UNAVAILABLE if unavailable else HTTPStatus.UNPROCESSABLE_ENTITY
        if any(item.reason == NOT_PERMITTED for item in outcome.problems):
            status = HTTPStatus.FORBIDDEN
        detail = f"statement {outcome.statement_id} is refused"
        return problem(status, detail, problem_rows(outcome.problems), registered=False,
                       statement_id=outcome.statement_id, seq=outcome.seq)  # fmt: skip

    @app.post("/api/statements/preview")
    def split(source: Source, filled: str = "", price: str = "", fill: Fills = ()) -> Response:
        """Split a statement for any fill; nothing is registered."""
        if not filled and not fill:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "filled: missing (name it, or fills as fill=QTY@PRICE)")
        return Answer(preview(source, filled, price, policy, fills=fill).document())

    @app.post("/api/statements/{statement_id}/audit")
    def check(statement_id: str, proposed: Proposed, filled: str = "") -> Response:
        """Compare a proposed allocation (the body) with the registered statement."""
        quantity = proposals.quantity(filled, "filled") if filled else None
        return found(lambda name: queries.audit(name, proposed, quantity), statement_id)

    @app.get("/api/statements")
    def list_statements(request: Request, limit: MaybeLimit = None, before: Before = None) -> Response:
        """The registered statements, newest first."""
        return listed(request, queries.statements, limit, before)

    @app.get("/api/statements/{statement_id}")
    def show_statement(statement_id: str) -> Response:
        """One statement with its lines."""
        return found(queries.statement, statement_id)

    @app.post("/api/statements/{statement_id}/pass")
    def pass_turn(statement_id: str, by: Pass, viewer: Viewer) -> Response:
        """Pass over an account's turn in a release rotation, with the reason."""
        return acted(gateway.pass_turn(viewer.actor(by.actor), statement_id, by.account, by.reason))

    @app.post("/api/holdings")
    def set_holding(by: HoldingChange, viewer: Viewer) -> Response:
        """Say what an account may sell of a symbol from now on, with the reason."""
        actor = viewer.actor(by.actor)
        return acted(gateway.set_holding(actor, by.account, by.symbol, by.quantity, by.reason))

    @app.post("/api/statements/{statement_id}/{action}")
    def change_statement(
        statement_id: str, action: Literal["cancel", "close", "book"], by: Action, viewer: Viewer
    ) -> Response:
        """Cancel a statement without orders, close one with, or book what is filled so far (with a reason)."""
        return acted(gateway.operate(viewer.actor(by.actor), action, statement_id, by.reason))


# ---------------------------------------------------------------- reads


def _add_reads(app: FastAPI, gateway: GatewayPort, queries: Queries) -> None:
    @app.get("/api/status")
    def status() -> Response:
        """The gateway at a glance."""
        return Answer(gateway.status())

    @app.get("/api/orders")
    def orders(request: Request, limit: MaybeLimit = None, before: Before = None) -> Response:
        """The orders, newest first."""
        return listed(request, queries.orders, limit, before)

    @app.get("/api/allocations")
    def allocations(request: Request, limit: MaybeLimit = None, before: Before = None) -> Response:
        """The allocations, newest first."""
        return listed(request, queries.allocations, limit, before)

    @app.get("/api/allocations/{alloc_id}")
    def explain(alloc_id: str) -> Response:
        """One allocation with the arithmetic of every account."""
        return found(queries.allocation, alloc_id)

    @app.get("/api/explain/{any_id}")
    def explain_any(any_id: str) -> Response:
        """How an allocation, or a statement's newest division, came about: everything stored with it."""
        return found(queries.explain or queries.allocation, any_id)

    @app.get("/api/affirmations")
    def affirmations(date: date | None = None) -> Response:
        """A trade date's allocations, confirmations and affirmations, by broker, and what is open."""
        return Answer(queries.affirmations(date))

    @app.get("/api/rotation")
    def rotation(policy: str | None = None, turns: Count = 1_000) -> Response:
        """The queue of each policy's rotation, and the turns there were, newest first."""
        queues = [
            {"policy_id": policy_id, "position": position, "account": account}
            for policy_id, queue in gateway.rotations().items()
            if policy in (None, policy_id)
            for position, account in enumerate(queue, 1)
        ]
        return Answer({"queue": queues, "turns": list(queries.turns(policy, turns))})

    @app.get("/api/fairness")
    def fairness(
        account: str | None = None, symbol: str | None = None, first: date | None = None, last: date | None = None
    ) -> Response:
        """How far remainders are from even, by account and symbol."""
        return Answer(queries.fairness(account, symbol, first, last))

    @app.get("/api/trace/{any_id}")
    def trace(any_id: str) -> Response:
        """One timeline for an order, statement or allocation."""
        return found(queries.trace, any_id)


# ---------------------------------------------------------------- operations


def _add_operations(app: FastAPI, gateway: GatewayPort) -> None:
    @app.get("/api/sessions")
    def sessions() -> Response:
        """The FIX sessions."""
        return Answer(list(gateway.sessions()))

    @app.post("/api/sessions/{name}/{action}")
    def session_action(name: str, action: SessionAction, change: SessionChange, viewer: Viewer) -> Response:
        """Log out, enable, disable, set sequence numbers, or start both at 1."""
        numbers = (change.next_sender, change.next_target)
        if (action == "seq") == (numbers == (None, None)):
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY,
                           "next_sender and next_target belong to seq, which needs at least one")  # fmt: skip
        if name not in {row["name"] for row in gateway.sessions()}:
            return problem(HTTPStatus.NOT_FOUND, f"no session {name}")
        return acted(gateway.session_action(name, action, *numbers, viewer.actor(change.actor)))

    @app.post("/api/orders/{action}")
    def switch(action: Literal["halt", "resume"], by: Switch, viewer: Viewer) -> Response:
        """Halt or resume new orders of all or one counterparty; cancels and fills always flow."""
        return acted(gateway.operate(viewer.actor(by.actor), action, by.target, by.reason))


# ---------------------------------------------------------------- health and errors


def _add_health(
    app: FastAPI, gateway: GatewayPort | None, health: HealthPort, metrics_text: Callable[[], bytes],
    clock_ns: Callable[[], int],
) -> None:  # fmt: skip
    @app.get("/healthz")
    def healthz() -> Response:
        """200 while the pump runs."""
        return _line(*health.live(clock_ns()))

    @app.get("/readyz")
    def readyz() -> Response:
        """200 while orders can flow; else one line that says why not. X-People says when nobody is recorded."""
        answer = _line(*health.ready())
        if gateway is not None:
            answer.headers["X-People"] = people_words(gateway.people())
        return answer

    @app.get("/metrics")
    def metrics() -> Response:
        """Prometheus text."""
        return Response(metrics_text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _line(good: bool, text: str) -> PlainTextResponse:
    return PlainTextResponse(f"{text}\n", HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)


def _add_errors(app: FastAPI) -> None:
    """Every error leaves as problem+json."""

    @app.exception_handler(UsageError)
    def wrong_usage(_: Request, error: UsageError) -> Response:
        return problem(HTTPStatus.BAD_REQUEST, str(error))

    @app.exception_handler(FixgatewayError)
    def not_now(_: Request, error: FixgatewayError) -> Response:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.exception_handler(DatabaseError)
    def no_records(_: Request, error: DatabaseError) -> Response:
        detail = f"the records database does not answer: {short(error)} (after a start it may still be being made)"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    @app.exception_handler(TimeoutError)
    def too_slow(_: Request, error: TimeoutError) -> Response:
        detail = f"{error or 'the gateway did not answer in time'}; the outcome is unknown, ask before repeating"
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    @app.exception_handler(RequestValidationError)
    def wrong_form(_: Request, error: RequestValidationError) -> Response:
        rows = [
            {"row": 0, "field": ".".join(str(part) for part in item["loc"][1:]), "reason": "", "text": item["msg"]}
            for item in error.errors()
        ]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request does not have the form it needs", rows)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        answer = _for_people(request, HTTPStatus(error.status_code), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def our_bug(request: Request, error: Exception) -> Response:
        detail = f"{type(error).__name__} in the gateway; the log has the rest"
        return _for_people(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _for_people(request: Request, status: HTTPStatus, detail: str) -> Response:
    """An error as a page for a browser that asked for one, else as problem+json."""
    page: Callable[[Request, HTTPStatus, str], Response] | None = getattr(request.app.state, "error_page", None)
    if page is None or request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem(status, detail)
    return page(request, status, detail)
