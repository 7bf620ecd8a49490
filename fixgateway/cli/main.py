"""The entry point: the table of commands, exit codes and error messages.

Exit codes: 0 good, 1 the thing asked for failed or differs, 2 wrong usage or configuration.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

import fixgateway
from fixgateway.cli.lazy import LazyGroup
from fixgateway.errors import FixgatewayError, UsageError

GOOD, FAILED, WRONG_USAGE = 0, 1, 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count

COMMANDS = {
    "demo": ("fixgateway.cli.demo:demo", "The worked example over real FIX sessions on this machine."),
    "run": ("fixgateway.cli.run:run", "Run the gateway."),
    "check": ("fixgateway.cli.check:check", "Check the configuration; every problem with a remedy."),
    "statement": ("fixgateway.cli.statement:statement", "Register, list, show, preview, cancel statements."),
    "preview": ("fixgateway.cli.preview:preview", "Split a statement file for any fill; no gateway needed."),
    "trace": ("fixgateway.cli.trace:trace", "One timeline for an order, statement or allocation."),
    "explain": ("fixgateway.cli.explain:explain", "How every account's share of an allocation came about."),
    "audit": ("fixgateway.cli.audit:audit", "What is wrong with a proposed allocation."),
    "affirmations": (
        "fixgateway.cli.affirmations:affirmations", "What of a trade date is allocated, confirmed and affirmed."),
    "rotation": ("fixgateway.cli.rotation:rotation", "The order of turns of each policy, and every turn."),
    "fairness": ("fixgateway.cli.rotation:fairness", "How far remainders are from even, by account and symbol."),
    "holding": ("fixgateway.cli.rotation:holding", "Set what an account may sell."),
    "journal": ("fixgateway.cli.journal:journal", "Verify, show and prove a gateway's journal."),
    "keys": ("fixgateway.cli.keys:keys", "Make the key that signs the journal's checkpoints."),
    "replay": ("fixgateway.cli.replay:replay", "Decide everything in a journal again and compare."),
    "export": ("fixgateway.cli.export:export", "Registers and packs for examiners."),
    "records": ("fixgateway.cli.records:records", "Rebuild or migrate the database."),
    "recreate": ("fixgateway.cli.records:recreate", "Any record as it was at a time, and its trail."),
    "accounts": ("fixgateway.cli.records:accounts", "The accounts as they were at a time."),
    "people": ("fixgateway.cli.people:people", "Record people and their roles, give passwords."),
    "login": ("fixgateway.cli.login:login", "Sign in; the other commands then act as you."),
    "exception": ("fixgateway.cli.exception:exception", "Ask for exceptions, decide them, attend to them."),
    "alert": ("fixgateway.cli.alert:alert", "List and acknowledge alerts."),
    "reconcile": ("fixgateway.cli.reconcile:reconcile", "Compare a custodian's or broker's file with the records."),
    "allocation": ("fixgateway.cli.reconcile:allocation", "Send a refused allocation again."),
    "mark": ("fixgateway.cli.alert:mark", "Record the prices exceptions are judged by."),
    "session": ("fixgateway.cli.session:session", "List and administer the FIX sessions."),
    "orders": ("fixgateway.cli.orders:orders", "Halt and resume new orders."),
    "forensics": ("fixgateway.cli.forensics:forensics", "Statistical review of allocations, on records or blotters."),
    "sim": ("fixgateway.cli.sim:sim", "Counterparties to try the gateway with."),
    "bench": ("fixgateway.cli.bench:bench", "The gateway against the bare engine, in one run."),
}


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(fixgateway.__version__, prog_name="fixgateway")
def app() -> None:
    """FIX allocation gateway: no order without a registered allocation statement."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(invoke(arguments))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, errors as one ``error: …`` line each on stderr."""
    try:
        result = app.main(args=arguments, prog_name="fixgateway", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else GOOD
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _say(error.format_message() + where)
        return WRONG_USAGE
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except UsageError as error:
        _say(str(error))
        return WRONG_USAGE
    except FixgatewayError as error:
        _say(str(error))
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone (a pager quit): not an error, but Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD


def _say(message: str) -> None:
    for line in message.splitlines():
        click.echo(f"error: {line}", err=True)


if __name__ == "__main__":
    main()
