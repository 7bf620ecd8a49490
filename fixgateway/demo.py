"""``fixgateway demo``: the worked example over real FIX sessions, from a blocked order to a verified journal.

A gateway process is started on its shipped configuration (free ports, deadlines off); a simulated OMS and a
simulated broker talk to it over TCP. What is printed is what they received on the wire.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fixgateway.errors import CounterpartyError, FixgatewayError
from fixgateway.journal.reader import Verification, verify
from fixgateway.sim.booker import plain
from fixgateway.sim.broker import Broker
from fixgateway.sim.fields import Fields
from fixgateway.sim.names import MSG_NAMES, TAG_NAMES, VALUE_NAMES
from fixgateway.sim.oms import Oms, SimStatement
from fixgateway.sim.peer import Peer
from fixgateway.sim.process import GatewayProcess, write_files
from fixgateway.sim.script import BrokerScript, parse_steps

STATEMENT = SimStatement(
    "S-1", "XYZ", "buy",
    (("CLIENT-A", "25000"), ("CLIENT-B", "10000"), ("CLIENT-C", "5000"), ("PROP", "10000")),
)  # fmt: skip
FILLS = "10000@99.90,10000@100.00,10000@100.10"
CHERRY_PICKED = {"CLIENT-A": 15_000, "PROP": 15_000}
"""What a trader might book after seeing the close: the winners to the account that pays a performance fee."""
WAIT_SECONDS = 20.0

# the fields worth seeing of each message, in this order
_SHOWN: dict[str, tuple[int, ...]] = {
    "D": (11, 70, 54, 55, 38),
    "F": (11, 41),
    "8": (11, 150, 39, 103, 32, 31, 14, 6, 58),
    "J": (70, 71, 54, 55, 53, 6),
    "P": (70, 87, 58),
    "AS": (755, 70, 87, 53, 6),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back over the wire, and what the journal says."""

    registered: Fields
    blocked: Fields
    end: Fields
    allocation: Fields
    report: Fields
    journal: Verification
    exit_code: int

    @property
    def lines(self) -> list[tuple[str, Decimal]]:
        """Account and quantity of every line of the J the broker received."""
        return [(e.get(79), Decimal(e.get(80))) for e in self.allocation.group(78, (79, 80, 153))]

    def problems(self) -> list[str]:
        """What is not as the statement demands; empty when all is well."""
        filled = Decimal(self.end.get(14))
        total = sum(Fraction(quantity) for _, quantity in STATEMENT.lines)
        fair = [(account, Fraction(quantity) * Fraction(filled) / total) for account, quantity in STATEMENT.lines]
        booked = [(account, Fraction(quantity)) for account, quantity in self.lines]
        checks = (
            (filled > 0, "nothing was filled"),
            (booked == fair, f"the broker was told {_shown(booked)}; the statement says {_shown(fair)}"),
            (self.report.get(87) == "0", f"the allocation is not accepted: {self.report!r}"),
            (self.journal.verified, f"the journal does not verify: {self.journal.damage}"),
            (self.exit_code == 0, f"the gateway exited with {self.exit_code}"),
        )
        return [text for good, text in checks if not good]

    def document(self) -> dict[str, object]:
        """The document of --json."""
        return {
            "statement": self.registered.get(70),
            "blocked": {"cl_ord_id": self.blocked.get(11), "text": self.blocked.get(58)},
            "filled": plain(Decimal(self.end.get(14))),
            "avg_px": plain(Decimal(self.allocation.get(6))),
            "allocation": [{"account": account, "quantity": plain(quantity)} for account, quantity in self.lines],
            "alloc_status": VALUE_NAMES.get((87, self.report.get(87)), self.report.get(87)),
            "journal": {"records": self.journal.records, "verified": self.journal.verified},
        }


def _shown(lines: list[tuple[str, Fraction]]) -> str:
    return ", ".join(f"{account} {quantity}" for account, quantity in lines)


class Story:
    """Prints numbered steps with what went over the wire in each; prints nothing when ``quiet``."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self.console = console
        self._quiet = quiet
        self._number = 0
        self._wire: list[tuple[str, str, Fields]] = []

    def hears(self, name: str, direction: Literal["in", "out", "event"], what: Fields | str) -> None:
        """An application message at the OMS or the broker."""
        if isinstance(what, Fields) and what.msg_type in _SHOWN:
            self._wire.append((name, direction, what))

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step: its title at once, its messages when it is done."""
        self._number += 1
        self._print(Text.assemble((f"\n{self._number}  ", "bold cyan"), (title, "bold")))
        yield
        wire, self._wire = self._wire, []
        for name, direction, fields in wire:
            arrow = "──▶" if (direction == "out") == (name == "OMS1") else "◀──"
            pair = f"{name} {arrow} FIXGW" if name == "OMS1" else f"FIXGW {arrow} {name}"
            self._print(Text.assemble((f"   {pair}  ", "dim"), *_words(fields)))

    def _print(self, what: Text) -> None:
        if not self._quiet:
            self.console.print(what, soft_wrap=True)


def _words(fields: Fields) -> list[str | tuple[str, str]]:
    """The message for people."""
    name = MSG_NAMES.get(fields.msg_type, fields.msg_type)
    words: list[str | tuple[str, str]] = [(name, "green"), f" 35={fields.msg_type}"]
    for tag in _SHOWN[fields.msg_type]:
        value = fields.get(tag)
        if value:
            meaning = VALUE_NAMES.get((tag, value))
            words += [(f"  {TAG_NAMES.get(tag, tag)}=", "dim"), f"{value} ({meaning})" if meaning else value]
    entries = fields.group(78, (79, 80, 153))
    if entries:
        words += ["  ", (" ".join(f"{e.get(79)}:{e.get(80)}" for e in entries), "yellow")]
    return words


def run_demo(json_output: bool, keep: Path | None = None) -> int:
    """Run the worked example and print it; returns the exit code.

    Args:
        json_output: print one JSON document and nothing else.
        keep: directory for the gateway's files, kept afterwards; None: a temporary one, removed.

    Raises:
        FixgatewayError: something expected did not happen; with the gateway's last words.
    """
    console = Console()
    story = Story(console, quiet=json_output)
    with ExitStack() as stack:
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fixgateway-demo-")))
        outcome = _play(story, directory, stack)
    problems = outcome.problems()
    if json_output:
        print(json.dumps(outcome.document(), indent=2))
    else:
        _conclude(console, outcome, keep)
    for problem in problems:
        Console(stderr=True).print(f"error: {problem}", style="red", markup=False)
    return 1 if problems else 0


def _play(story: Story, directory: Path, stack: ExitStack) -> Outcome:
    """Start everything, run the example, stop everything."""
    script = BrokerScript(steps=parse_steps(FILLS))
    with story.step("A broker listens, the gateway starts, an OMS logs on"):
        broker = stack.enter_context(Broker(script, on_wire=lambda d, what: story.hears("BRK1", d, what)))
        files = write_files(directory, broker.peer.port)
        gateway = stack.enter_context(GatewayProcess(files))
        with Console(stderr=True).status("starting the gateway …"):
            gateway.wait_ready()
        try:
            broker.peer.wait_logon(WAIT_SECONDS)
            peer = Peer.connect(
                "127.0.0.1", files.fix_port, "OMS1", "FIXGW", timeout_seconds=WAIT_SECONDS,
                on_wire=lambda d, what: story.hears("OMS1", d, what),
            )  # fmt: skip
        except CounterpartyError as error:
            raise CounterpartyError(f"{error}\nThe gateway's last words:\n{gateway.tail()}") from error
        stack.callback(peer.close)
    try:
        messages = _example(story, Oms(peer, STATEMENT), broker)
        with story.step("The OMS logs out; the gateway stops and its journal is verified"):
            peer.logout()
            exit_code = gateway.stop()
    except FixgatewayError as error:
        raise CounterpartyError(f"{error}\nThe gateway's last words:\n{gateway.tail()}") from error
    return Outcome(*messages, verify(files.data_dir), exit_code)


def _example(story: Story, oms: Oms, broker: Broker) -> tuple[Fields, Fields, Fields, Fields, Fields]:
    """The worked example: P, the blocking 8, the last 8, J at the broker, AS."""
    total = STATEMENT.sum_of_lines()
    with story.step("An order without an allocation statement is blocked; the broker never sees it"):
        oms.order("O-9", total, alloc_id="S-9")
        blocked = oms.peer.expect("8", WAIT_SECONDS, ClOrdID="O-9", ExecType="8")
        broker.peer.expect_none("D", 0.2)
    with story.step("Who gets what is written down first: the statement is registered, durable, acknowledged"):
        registered = oms.register(STATEMENT, timeout_seconds=WAIT_SECONDS)
        if registered is None:
            raise CounterpartyError("the statement was not acknowledged")
    with story.step("The order that names the statement goes to the broker, which fills part of it"):
        oms.order("O-1", total, alloc_id=STATEMENT.statement_id)
        broker.peer.expect("D", WAIT_SECONDS, ClOrdID="O-1")
        oms.expect("8", {"ClOrdID": "O-1", "ExecType": "F"}, FILLS.count("@"), WAIT_SECONDS)
    with story.step("The OMS cancels the rest; the fills are allocated by what was written down"):
        oms.cancel("C-1", of="O-1")
        end = oms.peer.expect("8", WAIT_SECONDS, OrdStatus="4")
        allocation = broker.peer.expect("J", WAIT_SECONDS)
        report = oms.peer.expect("AS", WAIT_SECONDS)
    return registered, blocked, end, allocation, report


def _conclude(console: Console, outcome: Outcome, keep: Path | None) -> None:
    """The table and the last words."""
    total = Decimal(STATEMENT.sum_of_lines())
    filled, price = Decimal(outcome.end.get(14)), plain(Decimal(outcome.allocation.get(6)))
    table = Table(title=f"\n{filled:,f} of {total:,f} {STATEMENT.symbol} filled at an average of {price}")
    for name in ("account", "intended", "share", "allocated"):
        table.add_column(name, justify="left" if name == "account" else "right")
    table.add_column("cherry-picked", justify="right", style="dim red")
    intended = {account: Decimal(quantity) for account, quantity in STATEMENT.lines}
    for account, quantity in outcome.lines:
        part = intended.get(account, Decimal(0))
        table.add_row(
            account, f"{part:,f}", f"{part * 100 / total:.0f}%", Text(f"{quantity:,f}", "bold green"),
            f"{CHERRY_PICKED.get(account, 0):,}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "The last column is what cherry-picking would book after the close. The gateway has no way to book it:\n"
        "the statement was durable before the order left, and the split is computed from it alone.",
        soft_wrap=True,
    )
    journal = outcome.journal
    verdict = "verified" if journal.verified else f"NOT verified: {journal.damage}"
    console.print(f"Journal: {journal.records} records, every message and decision; {verdict}.", soft_wrap=True)
    if keep is not None:
        console.print(f"Look at it: fixgateway journal show {keep / 'var'}", soft_wrap=True)
