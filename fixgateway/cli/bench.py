"""``fixgateway bench``."""

from __future__ import annotations

import subprocess
import sys

import click

_OTHERS = {"sizes": "fixgateway.sim.bench_sizes", "forensics": "fixgateway.forensics.bench"}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """The gateway against the bare engine, measured side by side in one run.

    ARGUMENTS are those of scripts/bench, for example --quick or --json. "bench sizes" measures what an account costs
    in statements of 1,000 to 100,000 accounts, "bench forensics" what permutations and blotter rows cost in a review.
    """
    # A process of its own: what this command line has loaded must not weigh on the measurement.
    named = next((module for name, module in _OTHERS.items() if arguments[:1] == (name,)), "")
    command = [sys.executable, "-m", named or "fixgateway.sim.bench", *arguments[bool(named) :]]
    return 1 if subprocess.run(command, check=False).returncode else 0
