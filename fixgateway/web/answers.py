"""Answers: JSON with quantities as text, and errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from fixgateway.core.model import plain_text
from fixgateway.core.outputs import Problem
from fixgateway.errors import UsageError

_TYPE = "about:blank"  # RFC 9457 §4.2.1: the title is the status phrase, details say the rest


class Answer(JSONResponse):
    """A JSON answer; decimals become plain text, dates ISO text, floats are refused."""

    def render(self, content: Any) -> bytes:
        """The answer's bytes."""
        return json.dumps(content, default=_plain, ensure_ascii=False, allow_nan=False).encode(
            "utf-8", "backslashreplace"
        )


class ProblemAnswer(Answer):
    """An error as RFC 9457 wants it."""

    media_type = "application/problem+json"


def problem(
    status: HTTPStatus, detail: str, problems: Sequence[Mapping[str, Any]] = (), **extra: Any
) -> ProblemAnswer:
    """An error answer; ``problems`` lists row, field, reason and text of each thing wrong."""
    content = {"type": _TYPE, "title": status.phrase, "status": int(status), "detail": detail, **extra}
    if problems:
        content["problems"] = list(problems)
    return ProblemAnswer(content, status_code=int(status))


def found(read: Callable[[str], Mapping[str, Any]], wanted: str) -> Answer:
    """What a read gives for an id; 404 for one it does not know."""
    try:
        return Answer(read(wanted))
    except UsageError as error:
        return problem(HTTPStatus.NOT_FOUND, str(error))


def problem_rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The core's problems as rows."""
    return [asdict(item) for item in problems]


def _plain(value: object) -> str:
    match value:
        case Decimal():
            return plain_text(value)
        case date():
            return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")
