"""``fixgateway journal verify|show``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, progress
from fixgateway.errors import UsageError

_SHOWN_RECORDS = 1000


@click.group()
def journal() -> None:
    """Verify and show a gateway's journal; DIR is its data directory."""


@journal.command()
@click.argument("directory", metavar="DIR")
@json_option
def verify(directory: str, as_json: bool) -> int:
    """Check every record of the journal; exits 1 and names the first damaged one."""
    from fixgateway.journal.reader import verify as check

    count = progress("records")
    result = check(Path(directory), count)
    if count:
        click.echo(err=True)
    if as_json:
        print_json(asdict(result))
    else:
        print_fields(asdict(result), title=f"{directory}: {'verified' if result.verified else 'DAMAGED'}")
    if not result.verified:
        click.echo(f"error: {directory}: {result.damage}", err=True)
    return 0 if result.verified else 1


@journal.command()
@click.argument("directory", metavar="DIR")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind of record; may be repeated.")
@click.option("--session", default="", metavar="NAME", help="Only this session.")
@click.option("--contains", default="", metavar="TEXT", help="Only records with this text; | matches SOH.")
@click.option(
    "--from", "from_seq", default=1, type=click.IntRange(min=1), metavar="N", help="From this record on."
)
@click.option(
    "--limit", default=_SHOWN_RECORDS, show_default=True, type=click.IntRange(min=1), help="Most records."
)
@json_option
def show(
    directory: str, kinds: tuple[str, ...], session: str, contains: str, from_seq: int, limit: int, as_json: bool
) -> int:
    """Show records, oldest first. Seeds no allocation has revealed stay hidden."""
    from fixgateway.journal import show as text
    from fixgateway.journal.reader import read
    from fixgateway.journal.records import Kind

    labels = {kind.label: kind for kind in Kind}
    for label in kinds:
        if label not in labels:
            raise UsageError(f"--kind: {label} is unknown (write one of {', '.join(labels)})")
    path = Path(directory)
    revealed = text.revealed_seeds(read(path))
    chosen = text.select(read(path, from_seq), [labels[label] for label in kinds], session, contains, limit)
    rows = (text.row(record, revealed) for record in chosen)
    if as_json:
        print_json(list(rows))
        return 0
    for row in rows:
        click.echo(text.line(row))
    return 0
