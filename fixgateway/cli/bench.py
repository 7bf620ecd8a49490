"""``fixgateway bench``."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """The gateway against the bare engine, measured side by side in one run.

    ARGUMENTS are those of scripts/bench, for example --quick or --json. "bench sizes" measures what an account costs
    in statements of 1,000 to 100,000 accounts.
    """
    # A process of its own: what this command line has loaded must not weigh on the measurement.
    sizes = arguments[:1] == ("sizes",)
    module = "fixgateway.sim.bench_sizes" if sizes else "fixgateway.sim.bench"
    command = [sys.executable, "-m", module, *arguments[sizes:]]
    return 1 if subprocess.run(command, check=False).returncode else 0
