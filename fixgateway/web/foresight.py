"""What a request for an exception needs before it is filed: the codes there are, and what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal, Protocol

from fastapi import FastAPI, Response
from pydantic import Field

from fixgateway.web.answers import Answer, problem
from fixgateway.web.forms import Form, LineForm, Text
from fixgateway.web.identity import Viewer
from fixgateway.web.port import Row


class ForesightPort(Protocol):
    """What of the running gateway says so."""

    def codes(self) -> Row:
        """The pre-approved list."""
        ...

    def foresee(self, actor: str, kind: str, statement_id: str, code: str, lines: Sequence[tuple[str, str]]) -> Row:
        """What a request would say; ``problem`` why it could not be asked for."""
        ...


class PreviewForm(Form):
    """As a request for an exception, without code and explanation."""

    kind: Literal["deviation", "re-designation", "statement-change"]
    statement_id: Text
    lines: Annotated[tuple[LineForm, ...], Field(min_length=1, max_length=10_000)]


def add_foresight(app: FastAPI, gateway: ForesightPort) -> None:
    """Add the routes."""

    @app.get("/api/codes")
    def codes() -> Response:
        """The pre-approved codes of exceptions, each with its criterion."""
        return Answer(gateway.codes())

    @app.post("/api/exceptions/preview")
    def preview(by: PreviewForm, viewer: Viewer) -> Response:
        """What an exception would change: accounts before and after, who gains at the mark. Files nothing."""
        lines = [(line.account, line.quantity) for line in by.lines]
        found = gateway.foresee(viewer.person_id, by.kind, by.statement_id, "", lines)
        if found["problem"]:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(found["problem"]))
        return Answer(found)
