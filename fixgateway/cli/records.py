"""``fixgateway records``, ``fixgateway recreate`` and ``fixgateway accounts``: the database and what it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table, progress
from fixgateway.errors import UsageError

if TYPE_CHECKING:
    from fixgateway.records.database import Engine

_CONFIG = click.option("-c", "--config", required=True, metavar="FILE", help="gateway.toml.")
_TABLES = ("lines", "orders", "executions", "allocations", "changes", "accounts", "decisions", "attentions", "versions")
"""Lists in a record that are printed as tables; ``--json`` gives everything."""
_COLUMNS = {
    "lines": ("account", "quantity", "intent", "before", "after", "benefit"),
    "orders": ("cl_ord_id", "broker", "side", "order_qty", "status", "cum_qty", "avg_px", "verdict"),
    "executions": ("time", "exec_id", "kind", "effect", "last_qty", "last_px"),
    "allocations": ("alloc_id", "trans_type", "broker", "quantity", "avg_px", "status"),
    "changes": ("time", "what", "cl_ord_id", "quantity", "verdict", "text"),
    "accounts": ("account", "quantity"),
    "decisions": ("time", "decision", "actor", "text"),
    "attentions": ("time", "action", "actor", "text"),
    "versions": ("time", "name", "roles", "active", "actor"),
}
_TRAIL = ("time", "record", "what", "who")
_ACCOUNT = ("account", "class", "fee", "fee_rate", "strategy", "status", "valid_from", "until")


@click.group()
def records() -> None:
    """The SQL database, a projection of the journal."""


@records.command()
@_CONFIG
@json_option
def rebuild(config: str, as_json: bool) -> int:
    """Empty the gateway's tables and fill them again from the journal."""
    from fixgateway.config import settings
    from fixgateway.records.rebuild import rebuild as fill

    given = settings.load(config)
    report = progress("records")
    count = fill(given.data_dir, given.records.url, report)
    if report:
        click.echo(err=True)
    if as_json:
        print_json({"records": count})
    else:
        click.echo(f"rebuilt from {count} journal records")
    return 0


@records.command()
@_CONFIG
@json_option
def migrate(config: str, as_json: bool) -> int:
    """Bring the tables of an older version to this one; every row is kept.

    A gateway does this by itself when it starts. The journal is not read: rows from before have no raw messages
    until "records rebuild".
    """
    from fixgateway.config import settings
    from fixgateway.records.database import connect, create_schema, schema_version

    given = settings.load(config)
    engine = connect(given.records.url, given.data_dir)
    found = schema_version(engine)
    create_schema(engine)
    now = schema_version(engine)
    engine.dispose()
    if as_json:
        print_json({"before": found, "after": now})
    else:
        was = f"were of version {found}" if found else "were missing"
        click.echo(f"the tables {was} and are of version {now}")
    return 0


def _open(config: str) -> tuple[Engine, Path]:
    """The records database and the data directory of a configuration."""
    from fixgateway.config import settings
    from fixgateway.records.database import open_records

    given = settings.load(config)
    return open_records(given.records.url, given.data_dir), Path(given.data_dir)


# ---------------------------------------------------------------- recreate


@click.command()
@click.argument("any_id", metavar="ID")
@_CONFIG
@click.option("--as-of", metavar="TIME", help="ISO 8601 with an offset: 2026-11-22T15:30:00-05:00. Default: now.")
@click.option("--kind", metavar="KIND", help="statement, order, allocation, exception, alert, person, review, "
              "account or policy, where several have this id.")  # fmt: skip
@json_option
def recreate(any_id: str, config: str, as_of: str | None, kind: str | None, as_json: bool) -> int:
    """Any record as it was at a time, and its trail until then.

    Made again from the journal; the database only tells which journal records to read.
    """
    from fixgateway.records.recreate import moment
    from fixgateway.records.recreate import recreate as made_again

    as_of_ns = moment(as_of) if as_of else None
    engine, data_dir = _open(config)
    found = made_again(engine, data_dir, any_id, as_of_ns, kind)
    engine.dispose()
    if as_json:
        print_json(found)
        return 0
    when = f" as of {found['as_of']}" if found["as_of"] else ""
    for one in found["record"] if isinstance(found["record"], list) else [found["record"]]:
        _print_record(one, f"{found['kind']} {any_id}{when}")
    rows = [{**entry, "record": entry["journal_seq"], "who": _who(entry)} for entry in found["trail"]]
    print_table(_TRAIL, rows, title="trail", numbers=("record",))
    if found["later"]:
        click.echo(f"{found['later']} later journal records are about it")
    return 0


def _print_record(one: dict[str, Any], title: str) -> None:
    terms = one.get("terms")
    text = {"terms": " ".join(f"{name}={value}" for name, value in terms.items())} if terms else {}
    print_fields({**one, **text}, title=title)
    for name in _TABLES:
        rows = one.get(name)
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            columns = [column for column in _COLUMNS[name] if column in rows[0]]
            print_table(columns, rows, title=name)


def _who(entry: dict[str, Any]) -> str:
    """Who did it: a person, else the session it came from."""
    names = ("actor", "requested_by", "decided_by", "closed_by", "oms", "session", "broker")
    return next((str(entry[name]) for name in names if entry.get(name)), "the gateway")


# ---------------------------------------------------------------- accounts


@click.command()
@_CONFIG
@click.option("--as-of", metavar="TIME", help="Only what was recorded by then: 2026-11-22T15:30:00-05:00.")
@click.option("--valid-on", metavar="DATE", help="What was true on this day, as far as it was recorded: 2026-11-22.")
@json_option
def accounts(config: str, as_of: str | None, valid_on: str | None, as_json: bool) -> int:
    """The accounts as they were: what was true on a day, and what was known of it at a time."""
    from fixgateway.records.accounts import accounts_at
    from fixgateway.records.recreate import moment

    try:
        day = date.fromisoformat(valid_on) if valid_on else None
    except ValueError:
        raise UsageError(f"--valid-on: {valid_on!r} is no date; write it like 2026-11-22") from None
    known_ns = moment(as_of) if as_of else None
    engine, _ = _open(config)
    found = accounts_at(engine, known_ns, day)
    engine.dispose()
    if as_json:
        print_json(found)
    else:
        print_table(_ACCOUNT, found)
    return 0
