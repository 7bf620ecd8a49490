"""``fixgateway check``."""

from __future__ import annotations

from dataclasses import asdict

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="gateway.toml.")
@json_option
def check(config: str, as_json: bool) -> int:
    """Check gateway.toml and the policy and account files it names.

    Lists every problem with its file, key and remedy; exits 2 when there is one.
    """
    from fixgateway.config import settings, setup

    found = setup.problems(config)
    warned = [] if found else settings.warnings(settings.load(config))
    if as_json:
        problems, warnings = ([asdict(problem) for problem in some] for some in (found, warned))
        print_json({"file": config, "good": not found, "problems": problems, "warnings": warnings})
    else:
        for problem in warned:
            click.echo(f"warning: {problem}", err=True)
        for problem in found:
            click.echo(f"error: {problem}", err=True)
        if not found:
            click.echo(f"{config}: good")
    return 2 if found else 0
