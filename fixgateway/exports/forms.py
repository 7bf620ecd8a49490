"""Registers as files: CSV, JSON, or a page that prints. Everything is streamed; a year does not stand in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

from fixgateway.core.model import plain_text
from fixgateway.core.people import Task
from fixgateway.records.queries import Record
from fixgateway.records.registers import Connection, Period

Rows = Iterable[Record]

@dataclass(frozen=True, slots=True)
class Register:
    """One register. ``basis`` is the rule or duty behind it; ``columns`` stand in the file in this order.

    ``task`` is what a person must be allowed to have it; ``as_it_is``: a program reads it, so no text is made safe
    for spreadsheets.
    """

    title: str
    basis: str
    columns: tuple[str, ...]
    rows: Callable[[Connection, Period], Iterator[Record]]
    task: Task = Task.EXPORT
    as_it_is: bool = False


_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a text that a spreadsheet would take for a formula."""


def cell(value: object) -> str:
    """A value as it stands in a file: "" for none, yes and no, several with a blank between."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(cell, value))
    return str(value)


def csv_cell(value: object) -> str:
    """The same for CSV: a text that a spreadsheet would calculate gets an apostrophe before it; numbers never do."""
    text = cell(value)
    return f"'{text}" if text.startswith(_RISKY) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdigit() and text[0] in "+-"


def as_csv(register: Register, rows: Rows) -> Iterator[str]:
    """Lines of RFC 4180, the header first."""
    written = cell if register.as_it_is else csv_cell
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(register.columns)
    for row in rows:
        writer.writerow([written(row.get(name)) for name in register.columns])
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def as_json(register: Register, rows: Rows) -> Iterator[str]:
    """One JSON document: title, basis, columns and rows."""
    head = {"title": register.title, "basis": register.basis, "columns": register.columns}
    yield json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "rows": ['
    gap = "\n  "
    for row in rows:
        kept = {name: row.get(name) for name in register.columns}
        yield gap + json.dumps(kept, ensure_ascii=False, default=plain_text)
        gap = ",\n  "
    yield "\n ]\n}\n"


_STYLE = (
    "body{font:10pt/1.35 system-ui,sans-serif;margin:2em;color:#111}h1{font-size:16pt;margin:0}p{margin:.3em 0 1em}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:2px 6px;border-bottom:1px solid #ccc;"
    "vertical-align:top;overflow-wrap:anywhere}thead{display:table-header-group}th{border-bottom:1.5px solid #111}"
    "tr{break-inside:avoid}@page{size:landscape;margin:12mm}"
)


def as_html(register: Register, rows: Rows, about: str = "") -> Iterator[str]:
    """A page by itself that prints; ``about`` says of which period and firm."""
    yield (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(register.title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(register.title)}</h1>\n"
        f"<p>{escape(register.basis)}{'. ' + escape(about) if about else ''}</p>\n<table><thead><tr>"
    )
    yield "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in register.columns)
    yield "</tr></thead><tbody>\n"
    count = 0
    for row in rows:
        count += 1
        yield "<tr>" + "".join(f"<td>{escape(cell(row.get(name)))}</td>" for name in register.columns) + "</tr>\n"
    yield f"</tbody></table><p>{count} rows.</p></body></html>\n"


FORMS: dict[str, tuple[str, Callable[[Register, Rows], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
    "html": ("text/html; charset=utf-8", as_html),
}
"""Form → its media type and its writer."""
