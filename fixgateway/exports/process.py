"""Exports in a process of their own: a year's rows and a journal read twice are nothing for the gateway's interpreter.

    python -m fixgateway.exports.process < request.json

The request is one JSON document (:class:`.request.Request`), the answer one on standard output: ``{"file": …, …}`` or
``{"error": …, "usage": true|false}``. The process lowers its own priority and writes files only where it is told to.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.exports import annual, catalogue, exam_pack, policy
from fixgateway.exports.forms import FORMS
from fixgateway.exports.request import Request
from fixgateway.records.database import open_records
from fixgateway.records.registers import Period

_NICENESS = 10


def export(request: Request, progress: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Do what is asked; returns what was made.

    Raises:
        UsageError: there is nothing of that name, or the target is in use.
        FixgatewayError: database or journal do not answer.
    """
    do = _KINDS.get(request.kind)
    if do is None:
        raise UsageError(f"no export of kind {request.kind!r}; there are {', '.join(_KINDS)}")
    made = do(request, progress)
    if request.archive:
        made["archive"] = _zipped(Path(request.target))
    return made


def period(first: str, last: str) -> Period:
    """The period of two ISO dates, either "".

    Raises:
        UsageError: one is no date, or they are the wrong way round.
    """
    days = []
    for name, text in (("from", first), ("to", last)):
        try:
            days.append(date.fromisoformat(text) if text else None)
        except ValueError:
            raise UsageError(f"{name}: {text!r} is no date (write 2026-11-22)") from None
    found = Period(*days)
    if found.first and found.last and found.last < found.first:
        raise UsageError(f"the period ends ({last}) before it begins ({first})")
    return found


def _register(request: Request, _: Callable[[str], None]) -> dict[str, Any]:
    engine = open_records(request.records_url, request.data_dir)
    days = period(request.first, request.last)
    rows = catalogue.write(engine, request.name, request.form, days, Path(request.target))
    return {"register": request.name, "file": request.target, "rows": rows, "media_type": FORMS[request.form][0]}


def _exam_pack(request: Request, progress: Callable[[str], None]) -> dict[str, Any]:
    key = Path(request.public_key) if request.public_key else None
    made = exam_pack.make(
        open_records(request.records_url, request.data_dir),
        Path(request.data_dir),
        request.name,
        Path(request.target),
        public_key=key,
        by=request.by,
        progress=progress,
    )
    return asdict(made)


def _policy(request: Request, _: Callable[[str], None]) -> dict[str, Any]:
    engine = open_records(request.records_url, request.data_dir)
    return policy.write(engine, request.name, request.form, Path(request.target))


def _annual(request: Request, progress: Callable[[str], None]) -> dict[str, Any]:
    engine = open_records(request.records_url, request.data_dir)
    return annual.make(engine, request.name, Path(request.target), by=request.by, progress=progress)


_KINDS: dict[str, Callable[[Request, Callable[[str], None]], dict[str, Any]]] = {
    "register": _register,
    "exam-pack": _exam_pack,
    "policy": _policy,
    "annual-review": _annual,
}


def _zipped(directory: Path) -> str:
    """The files below a directory as one zip file beside it."""
    archive = directory.with_name(f"{directory.name}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                file.write(path, Path(directory.name) / path.relative_to(directory))
    return str(archive)


def main() -> None:
    """Answer the request on standard input."""
    os.nice(_NICENESS)
    try:
        answer = export(Request(**json.load(sys.stdin)))
    except FixgatewayError as error:
        answer = {"error": str(error), "usage": isinstance(error, UsageError)}
    json.dump(answer, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
