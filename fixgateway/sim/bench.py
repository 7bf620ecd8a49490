"""``scripts/bench``: the gateway against the bare engine, measured side by side in one run.

Both relay NewOrderSingle from an OMS to a broker; the two ends are the same raw-socket processes
(:mod:`fixgateway.sim.bench_peer`) for both. The bare relay (scripts/bench_relay.py) is QuickFIX for Python
that checks and keeps nothing of its own; the gateway checks every order against a registered statement and
syncs its journal before anything leaves. Runs alternate, medians count, and what is told are ratios.

- throughput: orders of a burst, from the first send to the last order received by the broker;
- latency: time from the OMS's send to the broker's receipt of each order, at a steady rate;
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import fixgateway
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.sim.process import GatewayProcess, free_port, write_files

RELAY_SCRIPT = Path(fixgateway.__file__).parents[1] / "scripts" / "bench_relay.py"
AIM_THROUGHPUT_RATIO = 0.4
AIM_ADDED_FDATASYNCS = 2.0
WARM_UP_ORDERS = 500
SYNC_BYTES = 8192
SYNC_COUNT = 200
ANSWER_SECONDS = 120.0
SILENCE_SECONDS = 10.0
"""When no order arrives for so long, the rest is lost."""
_ORDER_QUANTITY = 100

Document = dict[str, Any]


class BenchError(FixgatewayError):
    """A measurement that cannot count: orders lost or rejected, or a process that ended."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: ``orders`` in a burst, ``rate`` orders a second for ``seconds``, ``runs`` of each side."""

    orders: int
    rate: int
    seconds: int
    runs: int
    sync: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Run:
    """One side measured once."""

    per_second: float
    p50_us: float
    p99_us: float


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
    with tempfile.TemporaryDirectory(prefix=f"bench-{side}-", dir=plan.directory) as name, ExitStack() as stack:
        broker = Helper("broker")
        stack.callback(broker.end)
        broker_port = broker.hear()["port"]
        fix_port = stack.enter_context(SIDES[side](Path(name), broker_port, plan))
        broker.hear()  # logged on
        oms = Helper("oms", "127.0.0.1", str(fix_port))
        stack.callback(oms.end)
        oms.hear()  # logged on
        rate_orders = plan.rate * plan.seconds
        if side == "gateway":
            register(oms, WARM_UP_ORDERS + rate_orders + plan.orders)
        orders(oms, broker, "burst", WARM_UP_ORDERS, "W-")
        steady = orders(oms, broker, "rate", rate_orders, "L-", plan.rate)
        burst = orders(oms, broker, "burst", plan.orders, "B-")
        oms.ask(do="logout")
        taken_us = [taken / 1000 for taken in steady["latencies_ns"]]
        seconds = (burst["last_ns"] - burst["first_ns"]) / 1e9
        return Run(plan.orders / seconds, quantile(taken_us, 0.50), quantile(taken_us, 0.99))


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
class Result:
    """Everything measured."""

    plan: Plan
    relay: Side
    gateway: Side
    fdatasync_us: float

    @property
    def throughput_ratio(self) -> float:
        """Gateway's throughput over the bare relay's."""
        return self.gateway.median("per_second") / self.relay.median("per_second")

    @property
    def added_fdatasyncs(self) -> float:
        """Median latency the gateway adds to the bare relay's, in fdatasync times."""
        return (self.gateway.median("p50_us") - self.relay.median("p50_us")) / self.fdatasync_us

    def document(self) -> Document:
        """For --json."""
        plan = self.plan
        return {
            "orders": plan.orders, "rate_per_second": plan.rate, "seconds": plan.seconds, "sync": plan.sync,
            "relay": self.relay.document(), "gateway": self.gateway.document(),
            "fdatasync_us": round(self.fdatasync_us, 1),
            "throughput_ratio": round(self.throughput_ratio, 3),
            "added_p50_fdatasyncs": round(self.added_fdatasyncs, 2),
            "aims": {
                "throughput_ratio": AIM_THROUGHPUT_RATIO, "added_p50_fdatasyncs": AIM_ADDED_FDATASYNCS,
                "met": self.throughput_ratio >= AIM_THROUGHPUT_RATIO
                and self.added_fdatasyncs <= AIM_ADDED_FDATASYNCS,
            },
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
    return Result(plan, relay, gateway, statistics.median(syncs))


@click.command()
@click.option("--orders", default=40_000, show_default=True, type=click.IntRange(1, 500_000), help="In the burst.")
@click.option("--rate", default=1000, show_default=True, type=click.IntRange(1, 20_000), help="Orders a second.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1, 120), help="Of the steady rate.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 20), help="Of each side.")
@click.option("--quick", is_flag=True, help="5,000 orders, 2 seconds, one run.")
@click.option("--sync", default="group", show_default=True, type=click.Choice(["group", "always", "never"]),
              help="The gateway's journal.sync.")
@click.option("--directory", default=".", show_default=True, help="Where the data directories are made.",
              type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(
    orders: int, rate: int, seconds: int, runs: int, quick: bool, sync: str, directory: Path, as_json: bool
) -> None:
    """The gateway against the bare QuickFIX Python relay, measured side by side in one run."""
    plan = Plan(orders, rate, seconds, runs, sync, directory)
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
    console.print(
        f"Aims: at least {AIM_THROUGHPUT_RATIO} of the bare relay's throughput (here "
        f"{result.throughput_ratio:.2f}), at most {AIM_ADDED_FDATASYNCS:.0f} fdatasync times added at p50 "
        f"(here {result.added_fdatasyncs:.2f}).",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
