"""``fixgateway journal``; its ``prune`` and ``hold`` are in :mod:`retention`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fixgateway.cli.journal_export import export
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import note_pending, print_fields, print_json, progress
from fixgateway.cli.retention import hold, prune
from fixgateway.errors import UsageError

_SHOWN_RECORDS = 1000


@click.group()
def journal() -> None:
    """Verify, show and prove a gateway's journal; DIR is its data directory."""


journal.add_command(prune)
journal.add_command(hold)
journal.add_command(export)


@journal.command()
@click.argument("directory", metavar="DIR")
@click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="PATH",
    help="A checkpoint, or an anchor directory of them, the journal must agree with; may be repeated.",
)  # fmt: skip
@click.option(
    "--public-key", "public_keys", multiple=True, metavar="FILE",
    help="The .pub file of the signing key; may be repeated when it was changed.",
)  # fmt: skip
@click.option(
    "--tsa-ca", "tsa_files", multiple=True, metavar="FILE",
    help="Certificates (PEM) the signatures of time stamps must lead to; may be repeated.",
)  # fmt: skip
@json_option
def verify(
    directory: str,
    checkpoints: Sequence[str],
    public_keys: Sequence[str],
    tsa_files: Sequence[str],
    as_json: bool,
) -> int:
    """Check every record of the journal, and its tree against its checkpoints and their time stamps.

    Exits 1 and names the first damaged record, or the records among which one was replaced.
    """
    from fixgateway.journal.keys import load_public
    from fixgateway.journal.verification import verify as check

    keys = [load_public(Path(file)) for file in public_keys]
    count = progress("records")
    result = check(Path(directory), count, [Path(path) for path in checkpoints], keys, _certificates(tsa_files))
    if count:
        click.echo(err=True)
    if as_json:
        print_json(asdict(result))
    else:
        shown = {key: value for key, value in asdict(result).items() if key != "time_stamps"}
        print_fields(shown, title=f"{directory}: {'verified' if result.verified else 'DAMAGED'}")
    if not result.verified:
        click.echo(f"error: {directory}: {result.damage}", err=True)
    return 0 if result.verified else 1


def _certificates(files: Sequence[str]) -> list[Any]:
    if not files:
        return []
    from fixgateway.journal.timestamps import load_roots

    return [certificate for file in files for certificate in load_roots(Path(file))]


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
    from fixgateway.journal.reader import first_seq, read
    from fixgateway.journal.records import Kind

    labels = {kind.label: kind for kind in Kind}
    for label in kinds:
        if label not in labels:
            raise UsageError(f"--kind: {label} is unknown (write one of {', '.join(labels)})")
    path = Path(directory)
    note_pending(path)
    first = first_seq(path)
    if from_seq < first:
        click.echo(f"note: records 1 to {first - 1} were removed, see journal/pruned.json", err=True)
    revealed = text.revealed_seeds(read(path, first))
    records = read(path, max(from_seq, first))
    chosen = text.select(records, [labels[label] for label in kinds], session, contains, limit)
    rows = (text.row(record, revealed) for record in chosen)
    if as_json:
        print_json(list(rows))
        return 0
    for row in rows:
        click.echo(text.line(row))
    return 0


@journal.command()
@click.argument("directory", metavar="DIR")
@click.argument("sequence", metavar="SEQ", required=False, type=click.IntRange(min=1))
@click.option("--order", default="", metavar="ID", help="All records of this ClOrdID instead of SEQ.")
@click.option("--from", "first", metavar="FILE", help="The earlier checkpoint of a consistency proof.")
@click.option("--to", "second", metavar="FILE", help="The later one; the newest when not given.")
@click.option("--checkpoint", metavar="FILE", help="The checkpoint to prove records by; the newest if not given.")
@click.option("-o", "--output", metavar="FILE", help="Where the proof goes; standard output when not given.")
def prove(
    directory: str,
    sequence: int | None,
    order: str,
    first: str | None,
    second: str | None,
    checkpoint: str | None,
    output: str | None,
) -> int:
    """Write a proof that others can check with scripts/verify_proof.py, without the journal.

    That record SEQ, or every record of an order, is in the journal of a checkpoint; or, with --from, that
    everything an earlier checkpoint covers is unchanged in a later one.
    """
    if (sequence is not None) + bool(order) + bool(first) != 1:
        raise UsageError("say what to prove: SEQ, --order ID or --from FILE, one of them")
    if (second and not first) or (checkpoint and first):
        raise UsageError("--to goes with --from, --checkpoint with SEQ or --order")
    path = Path(directory)
    if first:
        document, words = _consistency(path, first, second)
    else:
        document, words = _inclusion(path, sequence, order, checkpoint)
    text = json.dumps(document, indent=2)
    if output is None:
        click.echo(text)
        return 0
    try:
        Path(output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"{output}: {words}")
    return 0


def _inclusion(path: Path, sequence: int | None, order: str, checkpoint: str | None) -> tuple[dict[str, Any], str]:
    from fixgateway.journal import checkpoints, proofs

    by = checkpoints.load(Path(checkpoint)) if checkpoint else proofs.newest_checkpoint(path)
    sequences = proofs.order_records(path, order) if order else [sequence or 0]
    document = proofs.prove_records(path, sequences, by)
    return document, f"{len(sequences)} of the {by.head.size} records of the checkpoint proved"


def _consistency(path: Path, first: str, second: str | None) -> tuple[dict[str, Any], str]:
    from fixgateway.journal import checkpoints, proofs

    earlier = checkpoints.load(Path(first))
    later = checkpoints.load(Path(second)) if second else proofs.newest_checkpoint(path)
    document = proofs.prove_consistency(path, earlier, later)
    return document, f"records 1 to {earlier.head.size} proved unchanged in the journal of {later.head.size}"


@journal.command()
@click.argument("directory", metavar="DIR")
@json_option
def compress(directory: str, as_json: bool) -> int:
    """Compress every finished segment with gzip; may run beside the gateway.

    Compressed segments are read and verified like the others.
    """
    from fixgateway.journal.compress import compress as shrink

    rows = []
    for done in shrink(Path(directory)):
        rows.append({"file": str(done.path), "before": done.bytes_before, "after": done.bytes_after})
        if not as_json:
            click.echo(f"{done.path}: {done.bytes_before} bytes, now {done.bytes_after}")
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("nothing to compress: the last segment stays as it is")
    return 0


@journal.command()
@click.argument("directory", metavar="DIR")
@click.option("--key-file", default="", metavar="FILE", help="The signing key, where journal.key_file is set.")
@click.option("--check", is_flag=True, help="Make none; compare the newest with the whole journal.")
@json_option
def snapshot(directory: str, key_file: str, check: bool, as_json: bool) -> int:
    """Make a snapshot of the journal, from which the next start reads on.

    The gateway makes them by itself; this is for a copy, or after an upgrade. Exits 1 when the journal cannot be
    read, or with --check when the snapshot says something else than the journal.
    """
    from fixgateway.journal import snapshots
    from fixgateway.journal.keys import load_private
    from fixgateway.snapshotter import answer

    data_dir = Path(directory)
    if not (data_dir / "journal").is_dir():
        raise UsageError(f"no journal in {data_dir / 'journal'}: name a gateway's data directory")
    count = progress("records")
    if check:
        newest = next(iter(snapshots.stored(data_dir / snapshots.DIRECTORY)), None)
        if newest is None:
            raise UsageError(f"there are no snapshots in {data_dir / snapshots.DIRECTORY}")
        return _compared(newest, data_dir / "journal", count, as_json)
    made = answer(data_dir, key=load_private(Path(key_file)) if key_file else None, progress=count)
    if count:
        click.echo(err=True)
    for name, why in made.left_aside:
        click.echo(f"warning: {name} was left aside: {why}", err=True)
    if as_json:
        print_json(asdict(made))
    elif not made.error:
        after = f" behind {made.based_on}" if made.based_on else ""
        click.echo(f"{made.path}: {made.records} records, {made.replayed} replayed{after}")
    if made.error:
        click.echo(f"error: {made.error}", err=True)
    return 1 if made.error else 0


def _compared(path: Path, journal: Path, count: Callable[[int], None] | None, as_json: bool) -> int:
    from fixgateway.snapshots import check

    differs = check(path, journal, count)
    if count:
        click.echo(err=True)
    if as_json:
        print_json({"path": str(path), "agrees": not differs, "difference": differs})
    elif not differs:
        click.echo(f"{path}: the journal says the same from its first record on")
    if differs:
        click.echo(f"error: {path}: {differs}", err=True)
    return 1 if differs else 0
