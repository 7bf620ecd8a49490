"""``fixgateway sim oms|broker``: counterparties to try the gateway with."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from fixgateway.errors import UsageError
from fixgateway.sim import oms as oms_module
from fixgateway.sim import script as script_module
from fixgateway.sim.broker import Broker
from fixgateway.sim.conversation import Conversation
from fixgateway.sim.oms import Oms, load_oms_scenario, read_statement, run_scenario
from fixgateway.sim.peer import Peer
from fixgateway.sim.script import BrokerScript, load_broker_script, parse_steps

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SEQ_FILE = click.option(
    "--seq-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep sequence numbers here across runs; default: sim-<comp-id>-<target>.seq in this folder.",
)
_VERSIONS = click.Choice(["FIX.4.2", "FIX.4.4", "FIXT.1.1"])


def _verbatim(text: str | None) -> str:
    """A module's description as click prints it unchanged: \\b before every paragraph."""
    return "\n\n".join(f"\b\n{part}" for part in (text or "").strip().split("\n\n"))


@click.command(epilog=_verbatim(script_module.__doc__))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9877, show_default=True, help="Port to listen on; 0 picks a free one.")
@click.option("--comp-id", default="BRK1", show_default=True, help="CompID of the broker.")
@click.option("--target", default="FIXGW", show_default=True, help="CompID of the gateway.")
@click.option("--begin-string", type=_VERSIONS, default="FIX.4.4", show_default=True)
@_SEQ_FILE
@click.option("--scenario", type=_FILE, help="Scenario file (TOML), see below.")
@click.option("--fills", default="", help='Steps for every order, see below: "10000@99.90,rest@100".')
@click.option("--for", "for_seconds", type=float, help="Stop after so many seconds; default: at Ctrl-C.")
@click.option("--admin", is_flag=True, help="Print heartbeats and test requests too.")
@click.option("--json", "json_lines", is_flag=True, help="Print JSON lines.")
def broker(
    host: str, port: int, comp_id: str, target: str, begin_string: str, seq_file: Path | None,
    scenario: Path | None, fills: str, for_seconds: float | None, admin: bool, json_lines: bool,
) -> int:  # fmt: skip
    """A broker that answers D, G, F, J and H as scripted."""
    script = load_broker_script(scenario) if scenario else BrokerScript()
    script = replace(script, steps=parse_steps(fills)) if fills else script
    conversation = Conversation(comp_id, Console(), json_lines=json_lines, admin=admin)
    try:
        with Broker(
            script, host, port, comp_id, target, begin_string=begin_string,
            seq_file=seq_file or Path(f"sim-{comp_id}-{target}.seq"), on_wire=conversation,
        ) as running:  # fmt: skip
            conversation("event", f"{comp_id} listens on {host}:{running.peer.port} for {target}")
            try:
                threading.Event().wait(for_seconds)
            except KeyboardInterrupt:
                conversation("event", "stopping")
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    return 0


@click.command(epilog=_verbatim(oms_module.__doc__))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the gateway.")
@click.option("--port", default=9876, show_default=True, help="FIX port of the gateway.")
@click.option("--comp-id", default="OMS1", show_default=True, help="CompID of the OMS.")
@click.option("--target", default="FIXGW", show_default=True, help="CompID of the gateway.")
@click.option("--begin-string", type=_VERSIONS, default="FIX.4.4", show_default=True)
@click.option("--heart-bt-int", default=30, show_default=True, help="Seconds between heartbeats.")
@_SEQ_FILE
@click.option("--reset", is_flag=True, help="Log on with ResetSeqNumFlag=Y.")
@click.option("--scenario", type=_FILE, help="Scenario file (TOML or JSON), see below.")
@click.option("--statement", type=_FILE, help="Register this statement, order its total, wait for the end.")
@click.option("--quantity", default="", help="OrderQty for --statement; default: the statement's total.")
@click.option("--cl-ord-id", default="O-1", show_default=True, help="ClOrdID for --statement.")
@click.option("--price", default="", help="Limit price for --statement; default: a market order.")
@click.option("--for", "for_seconds", default=2.0, show_default=True, help="Stay so many seconds at the end.")
@click.option("--admin", is_flag=True, help="Print heartbeats and test requests too.")
@click.option("--json", "json_lines", is_flag=True, help="Print JSON lines.")
def oms(
    host: str, port: int, comp_id: str, target: str, begin_string: str, heart_bt_int: int,
    seq_file: Path | None, reset: bool, scenario: Path | None, statement: Path | None, quantity: str,
    cl_ord_id: str, price: str, for_seconds: float, admin: bool, json_lines: bool,
) -> int:  # fmt: skip
    """An OMS that registers statements, sends orders and waits for the answers."""
    if (scenario is None) == (statement is None):
        raise UsageError("give either --scenario or --statement")
    steps = load_oms_scenario(scenario) if scenario else []
    draft = read_statement(statement) if statement else None
    conversation = Conversation(comp_id, Console(), json_lines=json_lines, admin=admin)
    numbers = seq_file or Path(f"sim-{comp_id}-{target}.seq")
    with Peer.connect(
        host, port, comp_id, target, heart_bt_int, begin_string=begin_string, reset_seq_num=reset,
        seq_file=numbers, on_wire=conversation,
    ) as peer:  # fmt: skip
        running = Oms(peer)
        if draft is not None:
            running.register(draft)
            running.order(cl_ord_id, quantity or draft.sum_of_lines(), draft.statement_id, price=price)
            running.wait_end()
        else:
            run_scenario(running, steps)
        threading.Event().wait(for_seconds)
        peer.logout()
    return 0
