"""``fixgateway bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

import fixgateway
from fixgateway.errors import UsageError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """The gateway against the bare engine, measured side by side in one run.

    Runs scripts/bench of the checkout with ARGUMENTS.
    """
    script = Path(fixgateway.__file__).parents[1] / "scripts" / "bench"
    if not script.is_file():
        raise UsageError(f"{script} does not exist (bench needs a checkout of the project)")
    with script.open("rb") as file:
        in_python = b"python" in file.readline()
    # A Python script runs under the interpreter that has the dependencies.
    command = [sys.executable] if in_python else []
    return 1 if subprocess.run([*command, str(script), *arguments], check=False).returncode else 0
