"""What commands print: one JSON document, or tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_NARROWEST = 100
"""Columns of a table that goes to a file or a pipe; a terminal's own width is used otherwise."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], title: str = "", numbers: Sequence[str] = ()
) -> None:
    """A table of the named columns; ``numbers`` are aligned right, ``time`` and ``exact`` shown short."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        right, whole = column in numbers, column == "time"
        table.add_column(column, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(_SHORT.get(column, cell)(row.get(column))) for column in columns))
    _console().print(table)


def print_fields(fields: Mapping[str, Any], title: str = "") -> None:
    """Names and values, one a line; nested values are left to tables of their own."""
    if title:
        click.echo(title)
    shown = {name: value for name, value in fields.items() if not _nested(value)}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"  {name:<{width}}  {cell(value)}")


def cell(value: Any) -> str:
    """A value as people read it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(item) for item in value)
    return str(value)


def _moment(value: Any) -> str:
    """A time to the microsecond, as the log writes it."""
    text = cell(value)
    return f"{text[:26]}Z" if len(text) == len("2026-11-22T16:24:40.756072828Z") else text


def _share(value: Any) -> str:
    """An exact share ``50000/3`` as a person writes it: ``16666 2/3``."""
    text = cell(value)
    top, slash, bottom = text.partition("/")
    if not slash:
        return text
    whole, rest = divmod(int(top), int(bottom))
    return f"{whole} {rest}/{bottom}" if rest else f"{whole}"


_SHORT: Mapping[str, Callable[[Any], str]] = {"time": _moment, "exact": _share}
"""How columns of these names are shown; ``--json`` gives them whole."""


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(x, dict) for x in value))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_NARROWEST, no_color=True)


def note_pending(directory: Path) -> None:
    """Say on standard error what a reader of this journal does not see, because it is in the spare directory."""
    from fixgateway.journal.scan import locate
    from fixgateway.journal.spare import pending_text

    if text := pending_text(locate(directory)):
        click.echo(f"note: {text}", err=True)


def progress(what: str) -> Callable[[int], None] | None:
    """A counter of ``what`` on stderr when it is a terminal, else None."""
    if not sys.stderr.isatty():
        return None
    return lambda count: click.echo(f"\r{count} {what}", err=True, nl=False)
