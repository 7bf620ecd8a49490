"""Exports over HTTP: registers, the policy as printed, the exam pack of a block, the annual review pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from fastapi import Depends, FastAPI, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from fixgateway.core.people import Task
from fixgateway.web.answers import Answer
from fixgateway.web.identity import Identity, require

Form = Literal["csv", "json", "html"]
Day = Annotated[str, "YYYY-MM-DD, or empty"]
Exporting = Annotated[Identity, Depends(require(Task.EXPORT))]


class Made(Protocol):
    """A file that was made for somebody."""

    @property
    def file(self) -> Path:
        """The file."""
        ...

    @property
    def media_type(self) -> str:
        """Its media type."""
        ...

    def clear(self) -> None:
        """It was handed out."""
        ...


class ExportPort(Protocol):
    """Makes exports; UsageError for what does not exist."""

    def export(self, kind: str, name: str, form: str, first: str, last: str, by: str) -> Made:
        """Make one."""
        ...


def add_exports(app: FastAPI, exporter: ExportPort, catalogue: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
    """Add the routes; ``catalogue`` is the registers there are: name → title, basis and columns."""

    @app.get("/api/exports")
    def registers(_: Exporting) -> Response:
        """The registers that can be exported."""
        return Answer([{"name": name, **what} for name, what in catalogue().items()])

    def may_have(name: str, by: Identity) -> None:
        """Some registers are for fewer people than others."""
        task = catalogue().get(name, {}).get("task", Task.EXPORT)
        if not by.may(task):
            raise HTTPException(HTTPStatus.FORBIDDEN, f"{by.person_id or 'nobody'} may not {task}: register {name}")

    @app.get("/api/exports/registers/{name}", response_class=FileResponse)
    def register(name: str, by: Exporting, first: Day = "", last: Day = "", form: Form = "csv") -> Response:
        """A register of a period of trade dates as CSV, JSON or a page that prints."""
        may_have(name, by)
        return _handed_out(exporter.export("register", name, form, first, last, by.person_id))

    @app.get("/api/exports/policy", response_class=FileResponse)
    def policy(by: Exporting, version: str = "", form: Literal["html", "json", "text"] = "html") -> Response:
        """The allocation policy as a section of the firm's manual; ``version`` empty for the one in force."""
        return _handed_out(exporter.export("policy", version, form, "", "", by.person_id))

    @app.get("/api/exports/exam-pack/{statement_id}", response_class=FileResponse)
    def exam_pack(statement_id: str, by: Exporting) -> Response:
        """Everything about one block, with raw messages, proofs and a verifier, as a zip file."""
        return _handed_out(exporter.export("exam-pack", statement_id, "", "", "", by.person_id))

    @app.get("/api/exports/annual-review/{year}", response_class=FileResponse)
    def annual_review(year: str, by: Annotated[Identity, Depends(require(Task.READ_REVIEWS))]) -> Response:
        """Every register of a year and its policies, as a zip file."""
        return _handed_out(exporter.export("annual-review", year, "", "", "", by.person_id))


def _handed_out(made: Made) -> Response:
    """The file as an attachment; it is removed when it was sent."""
    return FileResponse(made.file, media_type=made.media_type, filename=made.file.name,
                        background=BackgroundTask(made.clear))  # fmt: skip
