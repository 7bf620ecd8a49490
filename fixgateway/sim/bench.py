"""``scripts/bench``: the gateway against the bare engine, measured side by side in one run.

Both relay NewOrderSingle from an OMS to a broker; the two ends are the same raw-socket processes
(:mod:`fixgateway.sim.bench_peer`) for both. The bare relay (scripts/bench_relay.py) is QuickFIX for Python
that checks and keeps nothing of its own; the gateway checks every order against a registered statement and
syncs its journal before anything leaves. Runs alternate, medians count, and what is told are ratios.

- throughput: orders of a burst, from the first send to the last order received by the broker;
- latency: time from the OMS's send to the broker's receipt of each order, at a steady rate;
- reading: the gateway's journal of the run verified and replayed in a process of its own, in records a second,
  as multiples of the records a second the burst wrote;
- start: a gateway with a large journal, from its snapshot and from the journal alone;
- fdatasync: 8 kB written and synced in preallocated space on the disk of the data directories, the unit in
  which the gateway's added latency is told.
"""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import fixgateway
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.sim import bench_journal
from fixgateway.sim.bench_journal import BenchError, ReadRates, Starts
from fixgateway.sim.process import GatewayProcess, free_port, write_files

RELAY_SCRIPT = Path(fixgateway.__file__).parents[1] / "scripts" / "bench_relay.py"
AIM_THROUGHPUT_RATIO = 0.4
AIM_ADDED_FDATASYNCS = 2.0
AIM_VERIFY_MULTIPLE = 10.0
AIM_REPLAY_MULTIPLE = 3.0
WARM_UP_ORDERS = 500
SYNC_BYTES = 8192
SYNC_COUNT = 200
ANSWER_SECONDS = 120.0
SILENCE_SECONDS = 10.0
"""When no order arrives for so long, the rest is lost."""
RECORDS_PER_ORDER = 4
FILL_ORDERS = 50_000
_ORDER_QUANTITY = 100

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: ``orders`` in a burst, ``rate`` orders a second for ``seconds``, ``runs`` of each side.

    ``recovery_records``: the size of the journal that a start is measured with, 0 for none.
    """

    orders: int
    rate: int
    seconds: int
    runs: int
    sync: str
    directory: Path
    recovery_records: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One side measured once; of the gateway also how fast its journal is read."""

    per_second: float
    p50_us: float
    p99_us: float
    journal_per_second: float = 0.0
    reading: ReadRates | None = None

    def multiple(self, of: str) -> float:
        """A reading rate over the rate the burst was journaled at."""
        return float(getattr(self.reading, of)) / self.journal_per_second if self.reading else 0.0


@dataclass(slots=True)
class Side:
    """The runs of one side; medians over them."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def median(self, of: str) -> float:
        """Median of a Run's field."""
        return float(statistics.median(getattr(run, of) for run in self.runs))

    def document(self) -> Document:
        """For --json."""
        medians = {name: round(self.median(name), 1) for name in ("per_second", "p50_us", "p99_us")}
        runs = [
            {"per_second": round(r.per_second, 1), "p50_us": round(r.p50_us, 1), "p99_us": round(r.p99_us, 1)}
            for r in self.runs
        ]
        return {**medians, "runs": runs}


class Helper:
    """A bench_peer process, spoken to in JSON lines."""

    def __init__(self, *arguments: str) -> None:
        self._name = arguments[0]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fixgateway.sim.bench_peer", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._buffer = b""

    def tell(self, **command: object) -> None:
        """Send a command."""
        if self.process.stdin is None:
            raise BenchError(f"{self._name}: no pipe")
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchError(f"the bench's {self._name} ended with {self.process.poll()}") from error

    def hear(self, timeout_seconds: float = ANSWER_SECONDS) -> Document:
        """The next answer."""
        out = self.process.stdout
        if out is None:
            raise BenchError(f"{self._name}: no pipe")
        deadline = time.monotonic() + timeout_seconds
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise BenchError(f"the bench's {self._name} did not answer within {timeout_seconds:.0f} s")
            data = os.read(out.fileno(), 1 << 20)
            if not data:
                raise BenchError(f"the bench's {self._name} ended with {self.process.wait(5)}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: Document = json.loads(line)
        return answer

    def ask(self, **command: object) -> Document:
        """Send a command and wait for the answer."""
        self.tell(**command)
        return self.hear()

    def end(self) -> None:
        """Close its stdin and wait."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


# ---------------------------------------------------------------- one run


@contextmanager
def relay_process(directory: Path, broker_port: int, _plan: Plan) -> Iterator[int]:
    """The bare relay; gives the port OMS1 connects to."""
    if not RELAY_SCRIPT.is_file():
        raise UsageError(f"{RELAY_SCRIPT} does not exist (bench needs a checkout of the project)")
    port = free_port()
    command = [sys.executable, str(RELAY_SCRIPT), str(directory), str(port), str(broker_port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def gateway_process(directory: Path, broker_port: int, plan: Plan) -> Iterator[int]:
    """The gateway; gives the port OMS1 connects to."""
    files = write_files(
        directory, broker_port, sync=plan.sync, max_unacked_orders=1_000_000, max_unacked_seconds=3600
    )
    with GatewayProcess(files) as gateway:
        try:
            gateway.wait_ready()
            yield files.fix_port
        except BenchError as error:
            raise BenchError(f"{error}\n{gateway.tail()}") from error
        gateway.stop()


SIDES: dict[str, Callable[[Path, int, Plan], Any]] = {"relay": relay_process, "gateway": gateway_process}


def measure(side: str, plan: Plan) -> Run:
    """Start one side with its OMS and broker, and measure it once.

    Raises:
        BenchError: an order did not arrive.
    """
    with tempfile.TemporaryDirectory(prefix=f"bench-{side}-", dir=plan.directory) as name:
        run = _measure(side, plan, Path(name))
        if side == "relay":
            return run
        reading = bench_journal.read_rates(Path(name))
        orders_sent = WARM_UP_ORDERS + plan.rate * plan.seconds + plan.orders
        return replace(run, journal_per_second=run.per_second * reading.records / orders_sent, reading=reading)


@contextmanager
def ends(side: str, plan: Plan, directory: Path) -> Iterator[tuple[Helper, Helper]]:
    """One side with its OMS and its broker, logged on; the OMS logged out and all ended afterwards."""
    with ExitStack() as stack:
        broker = Helper("broker")
        stack.callback(broker.end)
        broker_port = broker.hear()["port"]
        fix_port = stack.enter_context(SIDES[side](directory, broker_port, plan))
        broker.hear()  # logged on
        oms = Helper("oms", "127.0.0.1", str(fix_port))
        stack.callback(oms.end)
        oms.hear()  # logged on
        yield oms, broker
        oms.ask(do="logout")


def _measure(side: str, plan: Plan, directory: Path) -> Run:
    with ends(side, plan, directory) as (oms, broker):
        rate_orders = plan.rate * plan.seconds
        if side == "gateway":
            register(oms, WARM_UP_ORDERS + rate_orders + plan.orders)
        orders(oms, broker, "burst", WARM_UP_ORDERS, "W-")
        steady = orders(oms, broker, "rate", rate_orders, "L-", plan.rate)
        burst = orders(oms, broker, "burst", plan.orders, "B-")
    taken_us = [taken / 1000 for taken in steady["latencies_ns"]]
    seconds = (burst["last_ns"] - burst["first_ns"]) / 1e9
    return Run(plan.orders / seconds, quantile(taken_us, 0.50), quantile(taken_us, 0.99))


def measure_starts(plan: Plan) -> Starts:
    """Fill a journal with ``plan.recovery_records``, and start from it.

    Raises:
        BenchError: an order did not arrive, or the gateway did not start.
    """
    with tempfile.TemporaryDirectory(prefix="bench-start-", dir=plan.directory) as name:
        empty = bench_journal.start_seconds(write_files(Path(name, "empty"), free_port()))
        full = Path(name, "full")
        count = plan.recovery_records // RECORDS_PER_ORDER
        with ends("gateway", plan, full) as (oms, broker):
            register(oms, count)
            for first in range(0, count, FILL_ORDERS):
                orders(oms, broker, "burst", min(FILL_ORDERS, count - first), f"F{first}-")
        return bench_journal.starts(write_files(full, free_port()), empty)


def register(oms: Helper, order_count: int) -> None:
    """A statement that covers ``order_count`` orders."""
    half = str(order_count * _ORDER_QUANTITY // 2)
    answer = oms.ask(do="statement", id="S-BENCH", lines=[["CLIENT-A", half], ["PROP", half]])
    if answer["status"] != "0":
        raise BenchError(f"the gateway refused the statement: {answer['text']}")


def orders(oms: Helper, broker: Helper, kind: str, count: int, prefix: str, rate: int = 0) -> Document:
    """Send ``count`` orders in a burst or at a rate; what OMS and broker measured."""
    counting = "latencies" if kind == "rate" else "count"
    broker.tell(do=counting, orders=count, silence_seconds=SILENCE_SECONDS)
    broker.hear()  # ready
    sent = oms.ask(do=kind, orders=count, prefix=prefix, alloc_id="S-BENCH", per_second=rate)
    received = broker.hear(ANSWER_SECONDS + count / 200)
    if received["received"] < count:
        rejects = oms.ask(do="rejects")
        raise BenchError(
            f"{received['received']} of {count} orders arrived, {rejects['rejected']} were rejected: "
            f"{'; '.join(rejects['texts'])}"
        )
    return {**sent, **received}


def quantile(ordered: list[float], part: float) -> float:
    """The value below which ``part`` of an ordered list lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def fdatasync_us(directory: Path) -> float:
    """Median microseconds to write 8 kB into preallocated space and fdatasync it."""
    taken = []
    with tempfile.TemporaryFile(dir=directory) as file:
        os.posix_fallocate(file.fileno(), 0, SYNC_BYTES * SYNC_COUNT)
        for index in range(SYNC_COUNT):
            started = time.perf_counter_ns()
            os.pwrite(file.fileno(), b"x" * SYNC_BYTES, index * SYNC_BYTES)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter_ns() - started) / 1000)
    return statistics.median(taken)


# ---------------------------------------------------------------- all runs


@dataclass(frozen=True, slots=True)
class Aim:
    """One thing measured against what is wanted; ``most``: no more than ``wanted``, else no less."""

    name: str
    wanted: float
    measured: float
    most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is as wanted."""
        return self.measured <= self.wanted if self.most else self.measured >= self.wanted

    @property
    def text(self) -> str:
        """One line for people."""
        bound = "at most" if self.most else "at least"
        return f"{self.name}: {self.measured:.2f} (aim: {bound} {self.wanted:g}) {'met' if self.met else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured."""

    plan: Plan
    relay: Side
    gateway: Side
    fdatasync_us: float
    starts: Starts | None = None

    @property
    def throughput_ratio(self) -> float:
        """Gateway's throughput over the bare relay's."""
        return self.gateway.median("per_second") / self.relay.median("per_second")

    @property
    def added_fdatasyncs(self) -> float:
        """Median latency the gateway adds to the bare relay's, in fdatasync times."""
        return (self.gateway.median("p50_us") - self.relay.median("p50_us")) / self.fdatasync_us

    def multiple(self, of: str) -> float:
        """Median over the runs of a reading rate as a multiple of the live rate."""
        return float(statistics.median(run.multiple(of) for run in self.gateway.runs))

    @property
    def aims(self) -> tuple[Aim, ...]:
        """What the gateway is held to."""
        return (
            Aim("throughput_ratio", AIM_THROUGHPUT_RATIO, self.throughput_ratio),
            Aim("added_p50_fdatasyncs", AIM_ADDED_FDATASYNCS, self.added_fdatasyncs, most=True),
            Aim("verify_multiple", AIM_VERIFY_MULTIPLE, self.multiple("verify_per_second")),
            Aim("replay_multiple", AIM_REPLAY_MULTIPLE, self.multiple("replay_per_second")),
        )

    def document(self) -> Document:
        """For --json."""
        plan = self.plan
        return {
            "orders": plan.orders, "rate_per_second": plan.rate, "seconds": plan.seconds, "sync": plan.sync,
            "relay": self.relay.document(), "gateway": self.gateway.document(),
            "fdatasync_us": round(self.fdatasync_us, 1),
            **{aim.name: round(aim.measured, 3) for aim in self.aims},
            "start": None if self.starts is None else {
                "records": self.starts.records,
                "empty_seconds": round(self.starts.empty_seconds, 2),
                "snapshot_seconds": round(self.starts.snapshot_seconds, 2),
                "journal_seconds": round(self.starts.journal_seconds, 2),
            },
            "aims": {**{aim.name: aim.wanted for aim in self.aims}, "met": all(aim.met for aim in self.aims)},
        }  # fmt: skip

    def table(self) -> Table:
        """For people."""
        plan = self.plan
        table = Table(
            title=f"{plan.orders:,} orders in a burst; {plan.rate:,}/s for {plan.seconds} s; "
            f"median of {plan.runs} run(s); sync = {plan.sync}"
        )
        for name, justify in (("", "left"), ("bare relay", "right"), ("gateway", "right"), ("ratio", "right")):
            table.add_column(name, justify="left" if justify == "left" else "right")
        for label, of, unit in (
            ("throughput", "per_second", "/s"),
            ("latency p50", "p50_us", " µs"),
            ("latency p99", "p99_us", " µs"),
        ):
            bare, ours = self.relay.median(of), self.gateway.median(of)
            table.add_row(label, f"{bare:,.0f}{unit}", f"{ours:,.0f}{unit}", f"{ours / bare:.2f}")
        table.add_section()
        table.add_row("fdatasync of 8 kB", "", f"{self.fdatasync_us:,.0f} µs", "")
        table.add_row("p50 added, in fdatasyncs", "", f"{self.added_fdatasyncs:.2f}", "")
        table.add_section()
        live = self.gateway.median("journal_per_second")
        table.add_row("journaled in the burst", "", f"{live:,.0f} records/s", "1.00")
        for label, of in (("verified", "verify_per_second"), ("replayed", "replay_per_second")):
            rate = statistics.median(getattr(run.reading, of) for run in self.gateway.runs)
            table.add_row(label, "", f"{rate:,.0f} records/s", f"{self.multiple(of):.1f}")
        if self.starts:
            table.add_section()
            table.add_row("start without a journal", "", f"{self.starts.empty_seconds:.1f} s", "")
            table.add_row(
                f"{self.starts.records:,} records, snapshot", "", f"{self.starts.snapshot_seconds:.1f} s", ""
            )
            table.add_row(f"{self.starts.records:,} records, none", "", f"{self.starts.journal_seconds:.1f} s", "")
        return table


def run_bench(plan: Plan, say: Callable[[str], None]) -> Result:
    """Alternate relay and gateway, ``plan.runs`` of each; ``say`` is told after each."""
    relay, gateway = Side("relay"), Side("gateway")
    syncs = [fdatasync_us(plan.directory)]
    for number in range(1, plan.runs + 1):
        for side in (relay, gateway):
            run = measure(side.name, plan)
            side.runs.append(run)
            say(
                f"run {number} of {plan.runs}, {side.name}: {run.per_second:,.0f}/s, "
                f"p50 {run.p50_us:,.0f} µs, p99 {run.p99_us:,.0f} µs"
            )
        syncs.append(fdatasync_us(plan.directory))
    found = None
    if plan.recovery_records:
        say(f"filling a journal with {plan.recovery_records:,} records and starting from it")
        found = measure_starts(plan)
    return Result(plan, relay, gateway, statistics.median(syncs), found)


@click.command()
@click.option("--orders", default=40_000, show_default=True, type=click.IntRange(1, 500_000), help="In the burst.")
@click.option("--rate", default=1000, show_default=True, type=click.IntRange(1, 20_000), help="Orders a second.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1, 120), help="Of the steady rate.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 20), help="Of each side.")
@click.option(
    "--recovery-records",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(0, 10_000_000),
    help="Journal that a start is measured with; 0: none.",
)
@click.option("--quick", is_flag=True, help="5,000 orders, 2 seconds, one run, no start.")
@click.option(
    "--sync",
    default="group",
    show_default=True,
    type=click.Choice(["group", "always", "never"]),
    help="The gateway's journal.sync.",
)
@click.option(
    "--directory",
    default=".",
    show_default=True,
    help="Where the data directories are made.",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(
    orders: int, rate: int, seconds: int, runs: int, recovery_records: int, quick: bool, sync: str,
    directory: Path, as_json: bool,
) -> None:  # fmt: skip
    """The gateway against the bare QuickFIX Python relay, measured side by side in one run."""
    plan = Plan(orders, rate, seconds, runs, sync, directory, recovery_records)
    if quick:
        plan = Plan(5000, rate, 2, 1, sync, directory)
    progress = Console(stderr=True)
    try:
        result = run_bench(plan, lambda text: progress.print(text, highlight=False))
    except FixgatewayError as error:
        progress.print(f"error: {error}", style="red", markup=False)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    if as_json:
        print(json.dumps(result.document(), indent=2))
        return
    console = Console()
    console.print(result.table())
    for aim in result.aims:
        console.print(aim.text, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
