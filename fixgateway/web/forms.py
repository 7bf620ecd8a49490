"""What requests to the API carry, as forms with bounds, and how lists are given out page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from fixgateway.web.answers import Answer, problem
from fixgateway.web.port import OperateOutcome, Row

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Text = Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]
MaybeText = Annotated[str, Field(max_length=1000, pattern=PRINTABLE)]
Words = Annotated[str, Field(max_length=4_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""What a person writes; lines and tabs are theirs."""
Secret = Annotated[str, Field(min_length=1, max_length=1_024)]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Most rows of a page.")]
MaybeLimit = Annotated[int | None, Query(ge=1, le=1_000, description="Most rows; without it 1,000.")]
Before = Annotated[
    str | None,
    Query(max_length=40, pattern=r"^[0-9]{1,18}-[0-9]{1,9}$", description="Go on behind this row: `next` of a page."),
]
Filter = Annotated[str | None, Query(max_length=256, pattern=PRINTABLE)]

_STATUS = {
    "GW-903": HTTPStatus.FORBIDDEN,
    "GW-904": HTTPStatus.FORBIDDEN,
    **dict.fromkeys(
        ("GW-908", "GW-909", "GW-910", "GW-911", "GW-914", "GW-916", "GW-933"), HTTPStatus.UNPROCESSABLE_ENTITY
    ),
}
"""The status of a refusal by its reason; 409 for all others: it cannot be as things stand."""


class Form(BaseModel):
    """Base of every body: no unknown keys."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Form):
    """An empty object: the address says it all."""


class Action(Form):
    """Who does something, and why. ``actor`` counts during set-up only: later it is who signed in."""

    actor: Annotated[str, Field(max_length=256, pattern=PRINTABLE)] = ""
    reason: MaybeText = ""


class SignIn(Form):
    """A name and its password."""

    person_id: Text
    password: Secret


class NewPassword(SignIn):
    """A password of one's own in place of the one that is known."""

    new_password: Secret


class PersonForm(Form):
    """A person as they shall be recorded from now on. ``actor`` counts for the first person only."""

    person_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    roles: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    active: Annotated[bool, Field(strict=True)] = True
    email: Annotated[str, Field(max_length=201, pattern=PRINTABLE)] = ""
    actor: Annotated[str, Field(max_length=64, pattern=PRINTABLE)] = ""


class TokenForm(Form):
    """A token for a program that acts in one's name: what it is for, and how many days it is good."""

    label: Annotated[str, Field(min_length=1, max_length=100, pattern=PRINTABLE)]
    days: Annotated[int, Field(ge=1, le=366, strict=True)] = 90


class LineForm(Form):
    """An account and the quantity it shall have, as written."""

    account: Text
    quantity: Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)]


class ExceptionForm(Form):
    """A request for an exception: accounts left out receive nothing."""

    kind: Literal["deviation", "re-designation", "statement-change"]
    statement_id: Text
    code: Text
    text: Words
    lines: Annotated[tuple[LineForm, ...], Field(min_length=1, max_length=10_000)]


class WordsForm(Form):
    """What a person says to it."""

    text: Words = ""


class MarkForm(Form):
    """A security's price; ``as_of`` is its own time, with a time zone (none: now)."""

    symbol: Text
    price: Annotated[str, Field(min_length=1, max_length=40, pattern=PRINTABLE)]
    source: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    as_of: Annotated[str, Field(max_length=40, pattern=PRINTABLE)] = ""
    close: Annotated[bool, Field(strict=True)] = False


class ReviewForm(Form):
    """A forensic review that was run: its plan, data and result by hash, what it found in words."""

    review_id: Text
    kind: Literal["run", "monitor", "sample"]
    plan_sha256: Text
    data_sha256: Text
    seed: MaybeText = ""
    verdict: Text
    summary: Words
    first: Annotated[str, Field(max_length=10, pattern=PRINTABLE)] = ""
    last: Annotated[str, Field(max_length=10, pattern=PRINTABLE)] = ""
    result: MaybeText = ""


class SignatureForm(Form):
    """The conclusion of a review, and what follows from it."""

    conclusion: Words
    follow_up: Words = ""


def acted(outcome: OperateOutcome, good: HTTPStatus = HTTPStatus.OK, **more: Any) -> Response:
    """The answer to a person's action: what was done, or why not, with the GW code and the journal's number."""
    if outcome.done:
        document = {"done": True, "text": outcome.text, "seq": outcome.seq, "subject": outcome.subject, **more}
        return Answer(document, status_code=good)
    status = _STATUS.get(outcome.reason, HTTPStatus.CONFLICT)
    return problem(status, outcome.text, seq=outcome.seq, reason=outcome.reason)


def listed(
    request: Request, read: Callable[..., Sequence[Row]], limit: int | None, before: str | None
) -> Response:
    """A list as an array, newest first; with ``limit`` the header Link has the address of the page after it."""
    if limit is None and before is None:
        return Answer(list(read()))
    most = limit or 1_000
    rows = list(read(limit=most + 1, before=before))
    answer = Answer(rows[:most])
    if len(rows) > most:
        last = rows[most - 1]
        _link(answer, request, f"{last['journal_seq']}-{last['position']}")
    return answer


def _link(answer: Answer, request: Request, following: str) -> None:
    """Say where the page after this one is."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "before"]
    query = urlencode([*given, ("before", following)])
    answer.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'


def page(
    request: Request, read: Callable[..., Sequence[Row]], cursor: Callable[[Any], str], limit: int, before: str | None,
    **filters: Any,
) -> Response:  # fmt: skip
    """One page of a list, newest first: ``rows``, and ``next``, the ``before`` of the page after it (null: none).

    The same address with that ``before`` stands in the header Link, too (RFC 8288).
    """
    rows = list(read(limit=limit + 1, before=before, **filters))
    more = len(rows) > limit
    following = cursor(rows[limit - 1]) if more else None
    answer = Answer({"rows": rows[:limit], "next": following})
    if following:
        _link(answer, request, following)
    return answer
