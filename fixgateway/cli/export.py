"""``fixgateway export``: registers, the exam pack of a block, the policy as printed, the annual review pack."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table
from fixgateway.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])

_offline = click.option(
    "--offline", is_flag=True, help="Read database and journal of -c directly; the gateway need not run."
)


def _period(command: Command) -> Command:
    """Add ``--from`` and ``--to``."""
    for option in (
        click.option("--to", "last", default="", metavar="DATE", help="Last trade date, YYYY-MM-DD."),
        click.option("--from", "first", default="", metavar="DATE", help="First trade date, YYYY-MM-DD."),
    ):
        command = option(command)
    return command


@click.group()
def export() -> None:
    """Registers and packs for examiners.

    \b
    fixgateway export list
    fixgateway export register blocked-orders --from 2026-01-01 -o blocked.csv
    fixgateway export exam-pack --statement S-1 -o pack/
    """


@export.command("list")
@json_option
def list_registers(as_json: bool) -> None:
    """The registers there are, and the rule behind each."""
    from fixgateway.exports.catalogue import described

    rows = [{"name": name, **what} for name, what in described().items()]
    if as_json:
        print_json(rows)
    else:
        print_table(("name", "title", "basis"), rows)


@export.command()
@click.argument("name", metavar="NAME")
@_period
@click.option("--form", type=click.Choice(("csv", "json", "html")), default="csv", show_default=True,
              help="CSV, one JSON document, or a page that prints.")  # fmt: skip
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write it; - is standard output.")
@_offline
@gateway_options
def register(
    name: str, first: str, last: str, form: str, output: str, offline: bool, url: str | None, config: str | None
) -> None:
    """Write the register NAME of a period (see: fixgateway export list)."""
    wanted = {"kind": "register", "name": name, "form": form, "first": first, "last": last}
    path = f"/api/exports/registers/{quote(name)}?first={quote(first)}&last={quote(last)}&form={form}"
    _write(_made(wanted, path, offline, url, config), output)


@export.command()
@click.option("--version", default="", metavar="VERSION", help="A version of the policy; default the one in force.")
@click.option("--form", type=click.Choice(("html", "json", "text")), default="html", show_default=True,
              help="A page that prints, one JSON document, or the policy file itself.")  # fmt: skip
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write it; - is standard output.")
@_offline
@gateway_options
def policy(version: str, form: str, output: str, offline: bool, url: str | None, config: str | None) -> None:
    """Write the allocation policy as a section of the firm's manual."""
    path = f"/api/exports/policy?version={quote(version)}&form={form}"
    _write(_made({"kind": "policy", "name": version, "form": form}, path, offline, url, config), output)


@export.command("exam-pack")
@click.option("--statement", "statement_id", required=True, metavar="ID", help="The block's statement.")
@click.option("-o", "--output", required=True, metavar="DIR", help="A new directory for the pack.")
@_offline
@gateway_options
@json_option
def exam_pack(
    statement_id: str, output: str, offline: bool, url: str | None, config: str | None, as_json: bool
) -> None:
    """Write everything about one block, from statement to affirmation, with raw FIX, proofs and a verifier."""
    path = f"/api/exports/exam-pack/{quote(statement_id)}"
    _unpack(_made({"kind": "exam-pack", "name": statement_id}, path, offline, url, config), output)
    _say(Path(output), as_json, "check it with: python3 verify_pack.py --public-key KEY.pub")


@export.command("annual-review")
@click.option("--year", required=True, metavar="YEAR", help="A calendar year, for example 2026.")
@click.option("-o", "--output", required=True, metavar="DIR", help="A new directory for the pack.")
@_offline
@gateway_options
@json_option
def annual_review(year: str, output: str, offline: bool, url: str | None, config: str | None, as_json: bool) -> None:
    """Write every register of a year, the policies, and a first page to sign."""
    _unpack(_made({"kind": "annual-review", "name": year}, f"/api/exports/annual-review/{quote(year)}", offline, url,
                  config), output)  # fmt: skip
    _say(Path(output), as_json, "begin with index.html")


def _made(wanted: dict[str, str], path: str, offline: bool, url: str | None, config: str | None) -> bytes:
    """The export's bytes: from the running gateway, or made here from the files of ``-c``."""
    if not offline:
        return Client(url, config).download(path)
    if config is None:
        raise UsageError("--offline needs -c gateway.toml")
    from fixgateway.config import settings
    from fixgateway.exports.process import export
    from fixgateway.exports.request import Request
    from fixgateway.journal.keys import public_file

    given = settings.load(config)
    key = given.journal_key_file
    directory = Path(tempfile.mkdtemp(prefix="fixgateway-export-"))
    try:
        packed = wanted["kind"] in ("exam-pack", "annual-review")
        target = directory / "made"
        made = export(
            Request(**wanted, target=str(target), records_url=given.records.url, data_dir=str(given.data_dir),
                    public_key=str(public_file(key)) if key else "", archive=packed),
        )  # fmt: skip
        return Path(made["archive"] if packed else target).read_bytes()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _write(data: bytes, output: str) -> None:
    if output == "-":
        click.echo(data, nl=False)
        return
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"{output}: {len(data)} bytes")


def _unpack(data: bytes, output: str) -> None:
    """The files of a pack below ``output``, which must be new or empty."""
    target = Path(output)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{output} is in use: name a new directory for the pack")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts[1:]
            if info.is_dir() or ".." in parts or not parts:
                continue
            path = target.joinpath(*parts)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(info))
            except OSError as error:
                raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _say(target: Path, as_json: bool, hint: str) -> None:
    """What was written, from its manifest."""
    import json

    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"directory": str(target), **manifest})
        return
    counted = {name: len(value) if isinstance(value, list | dict) else value for name, value in manifest.items()}
    print_fields({"directory": str(target), **counted})
    click.echo(hint)
