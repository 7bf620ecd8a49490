"""The journal and its proofs, alerts, and forensic reviews."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from fixgateway.core.desk_inputs import AcknowledgeAlert, SignReview
from fixgateway.core.people import Task
from fixgateway.web import pages_words as words
from fixgateway.web.pages import Pages, Posted, Said, allow, see
from fixgateway.web.pages_render import HEADERS
from fixgateway.web.port import Row

LISTED = 100
_SEQUENCE_MAX = 10**18
_VERDICTS = {"green": words.GOOD, "amber": words.WARN, "red": words.BAD}


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""
    _add_journal(router, pages)
    _add_alerts(router, pages)
    _add_reviews(router, pages)


# ---------------------------------------------------------------- the journal


def _add_journal(router: APIRouter, pages: Pages) -> None:
    proving = threading.Semaphore(1)  # a proof reads the whole journal

    @router.get("/journal")
    def journal(request: Request, record: str = "") -> Response:
        """How the journal and its checkpoints stand."""
        allow(request, Task.READ)
        if record:
            return see(f"/journal/{_sequence(record)}")
        state = {"degraded": "", "records_error": "", "checkpoints": [], **pages.gateway.status()}
        return pages.show(request, "journal.html", state=state, newest=pages.desk.checkpoint())

    @router.get("/journal/{sequence}")
    def record(request: Request, sequence: str) -> Response:
        """One record."""
        return pages.show(request, "record.html", row=_record(pages, request, sequence))

    @router.get("/journal/{sequence}/proof")
    def proof(request: Request, sequence: str) -> Response:
        """The inclusion proof of a record, to be checked without this gateway."""
        number = int(_record(pages, request, sequence)["sequence"])
        if not proving.acquire(blocking=False):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "another proof is being made; try again in a moment")
        try:
            text = json.dumps(pages.desk.proof(number), indent=1)
        finally:
            proving.release()
        name = f"record-{number}.proof.json"
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text, headers=headers, media_type="application/json")


def _record(pages: Pages, request: Request, sequence: str) -> Row:
    """One record, when whoever asks may read what it is about."""
    allow(request, Task.READ)
    row = pages.desk.record(_sequence(sequence))
    if row["review"]:
        allow(request, Task.READ_REVIEWS)
    return row


def _sequence(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:19]) < _SEQUENCE_MAX or len(text) > 18:
        raise HTTPException(HTTPStatus.NOT_FOUND, "journal records have numbers, from 1 on")
    return int(text)


# ---------------------------------------------------------------- alerts


def _add_alerts(router: APIRouter, pages: Pages) -> None:
    @router.get("/alerts")
    def alerts(request: Request) -> Response:
        """What nobody has acknowledged, then what somebody has."""
        return _alerts(pages, request)

    @router.post("/alerts")
    def acknowledge(request: Request, form: Posted) -> Response:
        """Say that one has seen an alert."""
        who = allow(request, Task.ATTEND)
        alert_id, text = form.line("alert_id", 64), form.text("text", 1_000)
        outcome = pages.gateway.act(lambda seq, ts_ns: AcknowledgeAlert(seq, ts_ns, who.person_id, alert_id, text))
        if outcome.done:
            return pages.done("/alerts", "acknowledged")
        said = Said(words.BAD, "Not acknowledged.", f"{outcome.reason} {outcome.text}".strip())
        return _alerts(pages, request, HTTPStatus.CONFLICT, said)


def _alerts(pages: Pages, request: Request, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None) -> Response:
    who = allow(request, Task.READ)
    rows = _together(words.readable(pages.reads.alerts(state="open", limit=LISTED * 5), who))
    done = [_done(row) for row in words.readable(pages.reads.alerts(state="acknowledged", limit=LISTED), who)]
    why_not = "Acknowledging is for operations, compliance and principals."
    if who.set_up:
        why_not = "Acknowledging needs a recorded person."
    return pages.show(request, "alerts.html", status=status, said=said, alerts=rows[:LISTED], done=done,
                      may={"attend": who.may(Task.ATTEND)}, why_not=why_not)  # fmt: skip


def _together(rows: Any) -> list[dict[str, Any]]:
    """Repeats of an alert in one row, the first one's: that is the one that was delivered."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:  # newest first
        key = (row["reason"], row["subject"])
        count = found[key]["count"] + 1 if key in found else 1
        found[key] = {**row, "count": count, "tone": words.severity_tone(row["severity"]), "delivered": _delivered(row)}
    ranks = {"critical": 0, "error": 1, "warning": 2}
    return sorted(found.values(), key=lambda row: (ranks.get(row["severity"], 3), -row["ts_ns"]))


def _delivered(row: Row) -> str:
    """Where an alert was brought to, or that it was not."""
    good = sorted({item["channel"] for item in row["deliveries"] if item["delivered"]})
    bad = sorted({item["channel"] for item in row["deliveries"] if not item["delivered"]} - set(good))
    parts = [f"delivered by {', '.join(good)}"] if good else []
    parts += [f"not yet by {', '.join(bad)}"] if bad else []
    return "; ".join(parts) or "shown here only"


def _done(row: Row) -> dict[str, Any]:
    newest = row["acknowledgements"][-1] if row["acknowledgements"] else {"actor": "", "text": "with another"}
    tone = words.severity_tone(row["severity"])
    return {**row, "tone": tone, "acknowledged_by": newest["actor"], "acknowledged_text": newest["text"]}


# ---------------------------------------------------------------- reviews


def _add_reviews(router: APIRouter, pages: Pages) -> None:
    @router.get("/reviews")
    def reviews(request: Request) -> Response:
        """The forensic reviews; for compliance and auditors only."""
        return _reviews(pages, request)

    @router.post("/reviews")
    def sign(request: Request, form: Posted) -> Response:
        """Sign a review."""
        who = allow(request, Task.REVIEW)
        review_id = form.line("review_id", 256)
        conclusion, follow_up = form.text("conclusion"), form.text("follow_up")
        outcome = pages.gateway.act(
            lambda seq, ts_ns: SignReview(seq, ts_ns, who.person_id, review_id, conclusion, follow_up)
        )
        if outcome.done:
            return pages.done("/reviews", "signed")
        said = Said(words.BAD, "Not signed.", f"{outcome.reason} {outcome.text}".strip())
        return _reviews(pages, request, HTTPStatus.CONFLICT, said)


def _reviews(pages: Pages, request: Request, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None) -> Response:
    who = allow(request, Task.READ_REVIEWS)
    rows = []
    for row in pages.reads.reviews(limit=LISTED):
        signed = row["signatures"][-1] if row["signatures"] else {"actor": "", "conclusion": "", "follow_up": ""}
        tone = _VERDICTS.get(row["verdict"], words.PLAIN)
        rows.append({**row, "tone": tone, "signed_by": signed["actor"], "conclusion": signed["conclusion"],
                     "follow_up": signed["follow_up"]})  # fmt: skip
    return pages.show(request, "reviews.html", status=status, said=said, reviews=rows,
                      may={"review": who.known and who.may(Task.REVIEW)})  # fmt: skip
