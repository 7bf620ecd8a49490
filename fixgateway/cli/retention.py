"""``fixgateway journal prune`` and ``fixgateway journal hold add|list|release``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixgateway.cli.client import actor_option
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table, progress

if TYPE_CHECKING:
    from fixgateway.journal.holds import Hold
    from fixgateway.journal.notes import PublicKey
    from fixgateway.journal.retention import Pruning


_DAY = click.DateTime(["%Y-%m-%d"])

# ---------------------------------------------------------------- removing


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--before", type=_DAY, metavar="DATE", help="Only records of UTC days before it; all or none.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--public-key", "public_keys", multiple=True, metavar="FILE",
    help="The .pub file of the signing key, when the gateway signs; may be repeated when it was changed.",
)  # fmt: skip
@actor_option
@json_option
def prune(
    directory: str, before: datetime | None, dry_run: bool, public_keys: Sequence[str], actor: str, as_json: bool
) -> int:
    """Remove finished segments whose time is over; may run beside the gateway.

    Nothing younger than journal.retention_years goes, nothing under a legal hold, and nothing a start needs. With
    --before everything older must be free to go, or nothing is removed and the exit status is 1.
    """
    from fixgateway.journal.keys import load_public
    from fixgateway.journal.retention import prune as remove

    keys = [load_public(Path(file)) for file in public_keys]
    count = progress("records")
    now = datetime.now(UTC)
    usable = _usable(Path(directory), keys)
    done = remove(Path(directory), actor, now, usable, _date(before), dry_run, keys, count)
    if count:
        click.echo(err=True)
    failed = bool(before and done.refused)
    if as_json:
        print_json(asdict(done))
    else:
        _show(directory, done, failed)
    if failed:
        click.echo(f"error: nothing was removed: {done.refused}", err=True)
    return 1 if failed else 0


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _show(directory: str, done: Pruning, failed: bool) -> None:
    columns = ("file", "first_seq", "last_seq", "newest", "bytes")
    if done.removed:
        print_table(columns, [asdict(item) for item in done.removed], numbers=("first_seq", "last_seq", "bytes"))
    title = f"{directory}: {'would remove' if done.dry_run else 'removed'} {done.removed_records} records"
    told = {"removed", "removed_records", "dry_run", *(["refused"] if failed else [])}
    print_fields({key: value for key, value in asdict(done).items() if key not in told}, title=title)


def _usable(directory: Path, keys: Sequence[PublicKey]) -> Any:
    """Whether a start could use a snapshot: it is read just as a start reads it."""
    from fixgateway.journal.checkpoints import DIRECTORY, known, latest
    from fixgateway.journal.scan import locate
    from fixgateway.journal.snapshots import SnapshotUnfit
    from fixgateway.snapshots import Source, load

    def why_not(path: Path) -> str:
        journal = locate(directory)
        newest = latest(journal / DIRECTORY)
        key = next((key for key in keys if newest and key.signed(newest[1].note)), None)
        try:
            load(path, Source(journal, known(journal, ""), key))
        except SnapshotUnfit as error:
            return str(error)
        return ""

    return why_not


# ---------------------------------------------------------------- holds

_HOLD_COLUMNS = ("name", "state", "from", "to", "reason", "by", "at")


@click.group()
def hold() -> None:
    """Legal holds: what they cover is not removed, however old; DIR is the data directory."""


@hold.command()
@click.argument("directory", metavar="DIR")
@click.argument("name")
@click.option("--reason", required=True, help="Why.")
@click.option("--from", "first", type=_DAY, metavar="DATE", help="First UTC day covered; else from the beginning.")
@click.option("--to", "last", type=_DAY, metavar="DATE", help="Last UTC day covered; else without end.")
@actor_option
@json_option
def add(
    directory: str,
    name: str,
    reason: str,
    first: datetime | None,
    last: datetime | None,
    actor: str,
    as_json: bool,
) -> int:
    """Set hold NAME; names are used once."""
    from fixgateway.journal.holds import add as set_hold

    days = _date(first), _date(last)
    return _print(set_hold(_data_dir(directory), name, reason, actor, datetime.now(UTC), days), as_json)


@hold.command()
@click.argument("directory", metavar="DIR")
@click.argument("name")
@click.option("--reason", required=True, help="Why.")
@actor_option
@json_option
def release(directory: str, name: str, reason: str, actor: str, as_json: bool) -> int:
    """Release hold NAME; it stays on record."""
    from fixgateway.journal.holds import release as end

    return _print(end(_data_dir(directory), name, reason, actor, datetime.now(UTC)), as_json)


@hold.command("list")
@click.argument("directory", metavar="DIR")
@json_option
def list_(directory: str, as_json: bool) -> int:
    """List every hold there ever was."""
    from fixgateway.journal.holds import all_holds

    found = all_holds(_data_dir(directory))
    if as_json:
        print_json([{**asdict(item), "stands": item.stands} for item in found])
    elif found:
        print_table(_HOLD_COLUMNS, [_row(item) for item in found])
    else:
        click.echo("no holds")
    return 0


def _row(item: Hold) -> dict[str, str]:
    ended = f"released {item.released_at[:19]}Z by {item.released_by}: {item.released_reason}"
    return {
        "name": item.name,
        "state": "stands" if item.stands else ended,
        "from": item.from_day,
        "to": item.to_day,
        "reason": item.reason,
        "by": item.by,
        "at": f"{item.at[:19]}Z",
    }


def _print(item: Hold, as_json: bool) -> int:
    if as_json:
        print_json({**asdict(item), "stands": item.stands})
    else:
        days = f"{item.from_day or 'the first record'} to {item.to_day or 'the last'}"
        click.echo(f"hold {item.name} ({days}): {'stands' if item.stands else 'released'}")
    return 0


def _data_dir(directory: str) -> Path:
    """The data directory, also when its journal is named."""
    from fixgateway.journal.scan import locate

    return locate(Path(directory)).absolute().parent
