"""The compliance desk by HTTP: exceptions, alerts, marks, reviews, what was read, search.

Who may do what is decided by the core, in the same way for every door; here only reading is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query, Request, Response

from fixgateway.core.desk_inputs import (
    AcknowledgeAlert,
    AttendException,
    DecideException,
    RecordMark,
    RecordReview,
    RequestException,
    SignReview,
)
from fixgateway.core.people import Task
from fixgateway.errors import UsageError
from fixgateway.web.answers import Answer, found
from fixgateway.web.forms import (
    PRINTABLE,
    Before,
    ExceptionForm,
    Filter,
    Limit,
    MarkForm,
    ReviewForm,
    SignatureForm,
    WordsForm,
    acted,
    page,
)
from fixgateway.web.identity import Identity, Viewer, require
from fixgateway.web.port import DeskQueries, GatewayPort, Row

Reviewer = Annotated[Identity, Depends(require(Task.READ_REVIEWS))]
RequestState = Literal["open", "approved", "rejected", "withdrawn", "expired", "void"]
OpenedState = Literal["open", "noted", "acknowledged", "resolved", "unresolved"]
Decision = Literal["approve", "reject", "withdraw"]
Attention = Literal["acknowledge", "note", "resolve"]
Wanted = Annotated[str, Query(min_length=1, max_length=100, pattern=PRINTABLE)]
_NS = 10**9


def add_desk(app: FastAPI, gateway: GatewayPort, reads: DeskQueries | None) -> None:
    """Add the routes; without ``reads`` only those that act."""
    _add_exceptions(app, gateway)
    _add_acts(app, gateway)
    if reads is not None:
        _add_exception_reads(app, reads)
        _add_reads(app, reads)


def _add_exceptions(app: FastAPI, gateway: GatewayPort) -> None:
    @app.post("/api/exceptions")
    def ask(by: ExceptionForm, viewer: Viewer) -> Response:
        """Ask for a deviation, a re-designation or a statement change; a second person decides."""
        lines = tuple((line.account, line.quantity) for line in by.lines)
        actor = viewer.person_id
        outcome = gateway.act(
            lambda seq, ts_ns: RequestException(
                seq, ts_ns, actor, by.kind, by.statement_id, by.code, by.text, lines
            )
        )
        return acted(outcome, HTTPStatus.CREATED)

    @app.post("/api/exceptions/{exception_id}/{decision}")
    def decide(exception_id: str, decision: Decision, by: WordsForm, viewer: Viewer) -> Response:
        """Approve or reject an exception somebody else asked for, or take one's own back."""
        actor = viewer.person_id
        return acted(
            gateway.act(
                lambda seq, ts_ns: DecideException(seq, ts_ns, actor, exception_id, decision, by.text)
            )
        )

    @app.post("/api/exceptions/{exception_id}/attend/{action}")
    def attend(exception_id: str, action: Attention, by: WordsForm, viewer: Viewer) -> Response:
        """Acknowledge an exception the gateway opened, write to it, or resolve it."""
        actor = viewer.person_id
        return acted(
            gateway.act(lambda seq, ts_ns: AttendException(seq, ts_ns, actor, exception_id, action, by.text))
        )


def _add_acts(app: FastAPI, gateway: GatewayPort) -> None:
    @app.post("/api/alerts/{alert_id}/acknowledge")
    def acknowledge(alert_id: str, by: WordsForm, viewer: Viewer) -> Response:
        """Say that one has seen an alert, and what is done about it."""
        actor = viewer.person_id
        return acted(gateway.act(lambda seq, ts_ns: AcknowledgeAlert(seq, ts_ns, actor, alert_id, by.text)))

    @app.post("/api/marks")
    def mark(by: MarkForm, viewer: Viewer) -> Response:
        """Record a security's price, with its source and time."""
        as_of_ns, actor = _instant(by.as_of), viewer.person_id
        outcome = gateway.act(
            lambda seq, ts_ns: RecordMark(
                seq, ts_ns, actor, by.symbol, by.price, by.source, as_of_ns or ts_ns, by.close
            )
        )
        return acted(outcome, HTTPStatus.CREATED)

    @app.post("/api/reviews")
    def review(by: ReviewForm, viewer: Viewer) -> Response:
        """Record that a forensic review was run."""
        actor = viewer.person_id
        outcome = gateway.act(
            lambda seq, ts_ns: RecordReview(
                seq, ts_ns, actor, by.kind, by.review_id, by.plan_sha256, by.data_sha256, by.seed, by.verdict,
                by.summary, by.first, by.last, by.result,
            )
        )  # fmt: skip
        return acted(outcome, HTTPStatus.CREATED)

    @app.post("/api/reviews/{review_id}/signature")
    def sign(review_id: str, by: SignatureForm, viewer: Viewer) -> Response:
        """Conclude a review."""
        actor = viewer.person_id
        return acted(
            gateway.act(
                lambda seq, ts_ns: SignReview(seq, ts_ns, actor, review_id, by.conclusion, by.follow_up)
            )
        )


def _add_exception_reads(app: FastAPI, reads: DeskQueries) -> None:
    @app.get("/api/exceptions")
    def exceptions(
        request: Request, state: RequestState | None = None, statement_id: Filter = None, requested_by: Filter = None,
        code: Filter = None, limit: Limit = 100, before: Before = None,
    ) -> Response:  # fmt: skip
        """Exceptions people asked for, with their accounts, newest first."""
        return page(request, reads.exceptions, reads.cursor, limit, before, state=state,
                    statement_id=statement_id, requested_by=requested_by, code=code)  # fmt: skip

    @app.get("/api/exceptions/opened")
    def opened(
        request: Request, state: OpenedState | None = None, reason: Filter = None, subject: Filter = None,
        limit: Limit = 100, before: Before = None,
    ) -> Response:  # fmt: skip
        """Exceptions the gateway opened itself, newest first."""
        return page(
            request, reads.opened, reads.cursor, limit, before, state=state, reason=reason, subject=subject
        )

    @app.get("/api/exceptions/{exception_id}")
    def exception(exception_id: str) -> Response:
        """One exception: accounts before and after, who gains, what was decided, the allocations before and after."""
        return found(reads.exception, exception_id)


def _add_reads(app: FastAPI, reads: DeskQueries) -> None:
    @app.get("/api/alerts")
    def alerts(
        request: Request, viewer: Viewer, state: Literal["open", "acknowledged"] | None = None, reason: Filter = None,
        severity: Filter = None, limit: Limit = 100, before: Before = None,
    ) -> Response:  # fmt: skip
        """Alerts with what became of their delivery, newest first."""
        read = _hiding(reads.alerts, viewer)
        return page(request, read, reads.cursor, limit, before, state=state, reason=reason, severity=severity)

    @app.get("/api/alerts/{alert_id}")
    def alert(alert_id: str, viewer: Viewer) -> Response:
        """One alert."""
        return found(lambda name: _shown(reads.alert(name), viewer), alert_id)

    @app.get("/api/marks")
    def marks(request: Request, symbol: Filter = None, limit: Limit = 100, before: Before = None) -> Response:
        """Marks, newest first."""
        return page(request, reads.marks, reads.cursor, limit, before, symbol=symbol)

    @app.get("/api/reconciliations")
    def reconciliations(
        request: Request, trade_date: date | None = None, limit: Limit = 100, before: Before = None
    ) -> Response:
        """Days compared with a file, or not, newest first."""
        return page(request, reads.reconciliations, reads.cursor, limit, before, trade_date=trade_date)

    @app.get("/api/reviews")
    def reviews(
        request: Request, _: Reviewer, kind: Literal["run", "monitor", "sample"] | None = None, limit: Limit = 100,
        before: Before = None,
    ) -> Response:  # fmt: skip
        """Forensic reviews, newest first."""
        return page(request, reads.reviews, reads.cursor, limit, before, kind=kind)

    @app.get("/api/reviews/{review_id}")
    def review(review_id: str, _: Reviewer) -> Response:
        """One forensic review with its signatures."""
        return found(reads.review, review_id)

    @app.get("/api/accesses")
    def accesses(
        request: Request, _: Reviewer, actor: Filter = None, what: Filter = None, limit: Limit = 100,
        before: Before = None,
    ) -> Response:  # fmt: skip
        """Who signed in, was refused, read or exported what, newest first."""
        return page(request, reads.accesses, reads.cursor, limit, before, actor=actor, what=what)

    @app.get("/api/refusals")
    def refusals(
        request: Request, _: Reviewer, actor: Filter = None, limit: Limit = 100, before: Before = None
    ) -> Response:
        """What people wanted to do and were refused, newest first."""
        return page(request, reads.refused_actions, reads.cursor, limit, before, actor=actor)

    @app.get("/api/search")
    def search(q: Wanted, viewer: Viewer, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
        """What begins with `q`: statements, orders, executions, allocations, exceptions, accounts, people, symbols."""
        may = viewer.may(Task.READ_REVIEWS)
        rows = [row for row in reads.search(q, limit) if may or row["kind"] != "review"]
        return Answer({"rows": rows, "next": None})

    @app.get("/api/waiting")
    def waiting() -> Response:
        """How many requests, exceptions and alerts wait for somebody."""
        return Answer(reads.counts())


_REVIEWED = ("GW-919",)
"""Alerts whose words are a forensic review's result."""


def _shown(row: Row, viewer: Identity) -> Row:
    """An alert as a person may read it: without the words of a review for who may not read reviews."""
    if row["reason"] not in _REVIEWED or viewer.may(Task.READ_REVIEWS):
        return row
    return {**row, "text": "the result of a forensic review (for compliance and auditors)"}


def _hiding(read: Callable[..., Sequence[Row]], viewer: Identity) -> Callable[..., Sequence[Row]]:
    """A read of alerts whose rows are :func:`_shown`."""
    return lambda **filters: [_shown(row, viewer) for row in read(**filters)]


def _instant(text: str) -> int:
    """ISO text with a time zone as UTC nanoseconds, 0 for "".

    Raises:
        UsageError: it is no instant.
    """
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"as_of: {text!r} is no time (write 2026-11-22T16:00:00-05:00)") from None
    if moment.tzinfo is None:
        raise UsageError(f"as_of: {text!r} has no time zone (write 2026-11-22T16:00:00-05:00)")
    try:
        since = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    except OverflowError:
        raise UsageError(f"as_of: {text!r} is out of range") from None
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1_000
