"""``fixgateway keys``."""

from __future__ import annotations

from pathlib import Path

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json


@click.group()
def keys() -> None:
    """Keys that sign the journal's checkpoints."""


@keys.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--name", metavar="NAME", help="The key's name, for example gateway.example.com/journal; else FILE's name."
)
@json_option
def new(file: str, name: str | None, as_json: bool) -> int:
    """Make a signing key in FILE, which only you can read, and its public key in FILE.pub.

    Name FILE in journal.key_file of gateway.toml. Give FILE.pub to whoever shall check the journal.
    """
    from fixgateway.journal.keys import create, public_file

    path = Path(file)
    public = create(path, name or path.stem)
    if as_json:
        print_json({"key_file": file, "public_key_file": str(public_file(path)), "public_key": str(public)})
    else:
        click.echo(f"signing key  {file}\npublic key   {public_file(path)}\n{public}")
    return 0
