"""The pages: what they all share, and their routes.

A page is made on the server and works without script. Whoever asks has come through the door (:mod:`.door`): their
identity is with the request and forms have been checked for forgery. What a page may show or do is asked of the same
role table as everywhere; the core decides again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import fixgateway
from fixgateway.core.people import Task
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.web.identity import Identity, viewer
from fixgateway.web.pages_port import DeskPort, Reads
from fixgateway.web.pages_render import HEADERS, STATIC, Renderer
from fixgateway.web.port import GatewayPort

_FIELDS_MAX = 5_000
_WAITS, _WAIT_SECONDS = 100, 0.03
"""How long the page behind a form waits for the records, which are a moment behind the journal."""
_LINE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


# ---------------------------------------------------------------- forms


class Form:
    """A form as sent: text of every field, cleaned of spaces around it and of carriage returns."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = {
            name: [value.replace("\r\n", "\n").strip() for value in values] for name, values in fields.items()
        }

    def __getitem__(self, name: str) -> str:
        values = self._fields.get(name, [""])
        return values[0]

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return list(self._fields.get(name, ()))

    def line(self, name: str, max_chars: int) -> str:
        """One line of text.

        Raises:
            HTTPException: it is longer, or holds control characters (a browser sends neither).
        """
        return self._checked(name, max_chars, _LINE)

    def text(self, name: str, max_chars: int = 4_000) -> str:
        """Text that may have several lines; as :meth:`line`."""
        return self._checked(name, max_chars, _TEXT)

    def _checked(self, name: str, max_chars: int, refused: re.Pattern[str]) -> str:
        value = self[name]
        if len(value) > max_chars or refused.search(value):
            detail = f"{name}: longer than {max_chars} characters, or with control characters in it"
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        return value

    def shown(self) -> dict[str, str]:
        """What is written back into the page; never a password."""
        secret = {"password", "old", "new", "again", "csrf"}
        return {name: values[0] for name, values in self._fields.items() if values and name not in secret}


async def _form(request: Request) -> Form:
    """The form in the body.

    Raises:
        HTTPException: it is none.
    """
    body = await request.body()
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the form cannot be read") from None
    return Form(fields)


Posted = Annotated[Form, Depends(_form)]
"""A handler's parameter: the form that was sent."""


# ---------------------------------------------------------------- what pages share


@dataclass(frozen=True, slots=True)
class Said:
    """What became of what somebody did, above the page; ``tone`` is good, warn, bad or ""."""

    tone: str
    title: str
    text: str = ""
    rows: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A line under the page's head, for everybody and every page."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Shared:
    """What every template finds under ``page``."""

    gateway: str
    version: str
    who: Identity
    now_ns: int
    shown: bool
    made: bool
    nav: Sequence[Mapping[str, Any]] = ()
    notices: Sequence[Notice] = ()
    query: str = ""
    journal_records: str = ""
    proved: int = 0
    form: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    outcome: Said | None = None


_NO_COUNTS = {"requests": 0, "exceptions": 0, "alerts": 0}
_NAV = (
    ("/", "Today", ""),
    ("/blocks", "Blocks", ""),
    ("/exceptions", "Exceptions", "exceptions"),
    ("/alerts", "Alerts", "alerts"),
    ("/journal", "Journal", ""),
    ("/people", "People", ""),
    ("/reviews", "Reviews", ""),
)


class Pages:
    """What every page is made with.

    Args:
        gateway: the running gateway. reads: the database. desk: the rest of the running gateway.
        renderer: the templates. name: what the pages call the gateway.
    """

    def __init__(
        self, gateway: GatewayPort, reads: Reads, desk: DeskPort, renderer: Renderer, name: str = "fixgateway"
    ) -> None:
        self.gateway = gateway
        self.reads = reads
        self.desk = desk
        self.renderer = renderer
        self.name = name

    def show(
        self,
        request: Request,
        template: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        said: Said | None = None,
        form: Form | Mapping[str, str] | None = None,
        wrong: Mapping[str, str] | None = None,
        query: str = "",
        **values: Any,
    ) -> Response:
        """A page for whoever asks."""
        who = viewer(request)
        filled = form.shown() if isinstance(form, Form) else form or {}
        state = self.gateway.status()
        shared = Shared(
            gateway=self.name,
            version=fixgateway.__version__,
            who=who,
            now_ns=self.desk.now_ns(),
            shown=who.known or who.set_up,
            made=who.known or who.set_up,
            nav=self._nav(request, who, self.reads.counts()),
            notices=self._notices(who, state),
            query=query,
            journal_records=str(state.get("journal_records", "")),
            proved=self.desk.proved(),
            form=filled,
            wrong=wrong or {},
            outcome=said or _from_address(request),
        )
        return self.renderer.page(template, {**values, "page": shared}, status)

    def done(self, path: str, what: str) -> Response:
        """On to another page behind a form, by GET: says ``what`` (:data:`DONE`) once the records have it."""
        return see(f"{path}?done={what}&at={self.gateway.status()['journal_records']}")

    def wait(self, at: str) -> None:
        """Until the records have the journal up to a record that is there, or for a moment: then as they are."""
        if not at.isascii() or not at.isdigit() or len(at) > 18:
            return
        for _ in range(_WAITS):
            state = self.gateway.status()
            if int(at) > int(state["journal_records"]) or int(state["records_watermark"]) >= int(at):
                return
            time.sleep(_WAIT_SECONDS)

    def _nav(self, request: Request, who: Identity, counts: Mapping[str, int]) -> list[dict[str, Any]]:
        found = {"exceptions": counts["requests"] + counts["exceptions"], "alerts": counts["alerts"]}
        here = "/" + request.url.path.split("/")[1]
        return [
            {"path": path, "name": name, "current": path == here, "count": found.get(key, 0)}
            for path, name, key in _NAV
            if path != "/reviews" or who.may(Task.READ_REVIEWS)
        ]

    def _notices(self, who: Identity, state: Mapping[str, Any]) -> list[Notice]:
        notes = []
        if who.set_up:
            text = (
                "Nobody is recorded: anybody who reaches this address may act. Record people (fixgateway people add)."
            )
            notes.append(Notice("", text))
        if not (who.known or who.set_up):
            return notes
        if state.get("halted"):
            notes.append(Notice("bad", f"New orders are halted: {', '.join(state['halted'])}."))
        if state.get("degraded"):
            notes.append(Notice("bad", f"The journal is degraded, new orders are refused: {state['degraded']}."))
        elif state.get("ready") not in (None, "", "ready"):
            notes.append(Notice("bad", f"New orders cannot flow: {str(state['ready']).removeprefix('not ready: ')}."))
        if state.get("records_error"):
            notes.append(Notice("bad", f"The database is behind the journal: {state['records_error']}."))
        return notes

    def error(self, request: Request, status: HTTPStatus, detail: str) -> Response:
        """An error for people; it needs nothing of the gateway that may be what failed."""
        who = viewer(request)
        known = who.known or who.set_up
        nav = self._nav(request, who, _NO_COUNTS)
        shared = Shared(self.name, fixgateway.__version__, who, self.desk.now_ns(), known, False, nav)
        titles = {404: "Not found", 403: "Not allowed", 503: "Not now", 500: "Our fault"}
        rest = {"title": titles.get(int(status), status.phrase), "detail": detail, "rows": (), "tone": "bad"}
        back = {"back": "/", "back_text": "To the page of today"}
        return self.renderer.page("error.html", {**rest, **back, "page": shared}, status)


def _from_address(request: Request) -> Said | None:
    """What became of the form that led here: a word in the address, from a fixed list."""
    return DONE.get(request.query_params.get("done", ""))


DONE = {
    "registered": Said("good", "Registered.", "It is durable in the journal; orders that name it may pass."),
    "requested": Said("good", "Requested.", "The Chief Compliance Officer has been alerted."),
    "decided": Said("good", "Decided.", "The decision is in the journal; what follows from it is below."),
    "attended": Said("good", "Noted.", "It is in the journal with your name."),
    "acknowledged": Said("good", "Acknowledged.", "It is in the journal with your name."),
    "person": Said("good", "Saved.", "It is in the journal with your name."),
    "password": Said("good", "Your password is changed.", "Your other sessions have ended."),
    "signed": Said("good", "Signed.", "The conclusion is in the journal with your name."),
    "done": Said("good", "Done.", "It is in the journal with your name and reason."),
}
"""What a page says after a form; the words are ours, so that nobody can put theirs into an address."""


def own_path(path: str) -> str:
    """A path of this gateway to go on to; the first page for anything else."""
    parts = urlsplit(path)
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not _LINE.search(path)
    return path if good and not path.startswith("/sign-") else "/"


def see(path: str) -> Response:
    """On to another page, by GET."""
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": path})


def allow(request: Request, task: Task) -> Identity:
    """Whoever asks, when they may.

    Raises:
        HTTPException: 403, in words.
    """
    who = viewer(request)
    if who.may(task):
        return who
    if who.set_up:
        detail = f"to {task.value} needs a recorded person, and nobody is recorded yet (fixgateway people add)"
    else:
        detail = f"{who.person_id or 'nobody'} ({', '.join(who.roles) or 'no role'}) may not {task.value}"
    raise HTTPException(HTTPStatus.FORBIDDEN, detail)


# ---------------------------------------------------------------- the routes' frame


def page_route(pages: Pages) -> type[APIRoute]:
    """Routes whose errors are pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                try:
                    if "at" in request.query_params:
                        await run_in_threadpool(pages.wait, request.query_params["at"])
                    return await handle(request)
                except HTTPException as error:
                    status, detail = HTTPStatus(error.status_code), str(error.detail)
                except UsageError as error:
                    status, detail = HTTPStatus.NOT_FOUND, str(error)
                except TimeoutError as error:
                    status = HTTPStatus.SERVICE_UNAVAILABLE
                    why = str(error) or "the gateway did not answer in time"
                    detail = f"{why}; the outcome is unknown: look before you repeat it"
                except FixgatewayError as error:
                    status, detail = HTTPStatus.SERVICE_UNAVAILABLE, str(error)
                return await run_in_threadpool(pages.error, request, status, detail)

            return guarded

    return PageRoute


def add_static(app: FastAPI) -> None:
    """The stylesheet, the script and the mark; nothing else is reachable by this path."""
    files = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in STATIC.iterdir() if path.suffix in _TYPES}

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        """A file of the pages."""
        if name not in files:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such file")
        data, kind = files[name]
        return Response(data, headers={**HEADERS, "Cache-Control": "max-age=300"}, media_type=kind)
