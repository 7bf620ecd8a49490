"""``fixgateway journal export``: the journal as a file other programs read."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from fixgateway.cli.output import note_pending, progress
from fixgateway.errors import UsageError

_PROGRESS_RECORDS = 10_000


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("-o", "--output", metavar="FILE", help="Where it goes; standard output when not given.")
@click.option(
    "--from", "from_seq", default=1, type=click.IntRange(min=1), metavar="N", help="From this record on."
)
@click.option("--to", "to_seq", type=click.IntRange(min=1), metavar="N", help="Up to this record.")
@click.option("--raw", is_flag=True, help="Also each record's payload as it is, base64; only without open seeds.")
def export(directory: str, output: str | None, from_seq: int, to_seq: int | None, raw: bool) -> int:
    """Write every record as one JSON object a line: seq, time, kind, session, summary, data.

    Seeds no allocation has revealed stay hidden, so --raw leaves out the payload of a record that holds one. May
    run beside the gateway.
    """
    from fixgateway.journal import show
    from fixgateway.journal.reader import first_seq, read

    path = Path(directory)
    note_pending(path)
    first = first_seq(path)
    if from_seq < first:
        click.echo(f"note: records 1 to {first - 1} were removed, see journal/pruned.json", err=True)
    revealed = show.revealed_seeds(read(path, first))
    count, done = progress("records"), 0
    with _target(output) as file:
        for record in read(path, max(from_seq, first)):
            if to_seq is not None and record.seq > to_seq:
                break
            row = show.row(record, revealed)
            if raw and not show.has_hidden_seed(record, revealed):
                row["payload"] = base64.b64encode(record.payload).decode("ascii")
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            done += 1
            if count and done % _PROGRESS_RECORDS == 0:
                count(done)
    if output is not None:
        click.echo(f"{output}: {done} records", err=True)
    return 0


@contextmanager
def _target(output: str | None) -> Iterator[TextIO]:
    """Standard output, or a new file that gets its name when it is whole."""
    if output is None:
        yield sys.stdout
        return
    unfinished = Path(f"{output}.new")
    try:
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        os.replace(unfinished, output)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
