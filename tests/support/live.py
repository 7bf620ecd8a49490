"""A real gateway process with real TCP counterparties, for tests through the public doors.

:class:`Live` writes a configuration with free ports, starts ``fixgateway run``, gives peers for the OMS and
broker sessions, an HTTP client, the command line, the database and the journal, and can stop, kill and restart
the process. Whatever a test does, the process is gone when the ``with`` block ends.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import httpx
from prometheus_client.parser import text_string_to_metric_families

from fixgateway.journal.reader import read, verify
from fixgateway.journal.records import Kind, Record, unpack_wire_out
from fixgateway.sim.fields import Fields, Pair
from fixgateway.sim.peer import Peer
from fixgateway.sim.process import ACCOUNTS as WORKED_ACCOUNTS

HOST = "127.0.0.1"
START_SECONDS = 40.0
STOP_SECONDS = 40.0
SOH = "\x01"

ACCOUNTS = WORKED_ACCOUNTS + "SHUT,Closed Account,client,standard,large-cap,closed\n"

POLICY = """\
policy_id = "PRO-RATA"
version = "1"
approved_by = "Chief Compliance Officer"
effective_from = 2020-01-01
method = "pro-rata"
ties = "account"
remainder = "largest-shortfall"
lot = "1"
min_quantity = "0"
completion = "orders"
price_decimals = 4

[deadlines]
timezone = "America/New_York"
allocate = "off"
affirm = "off"
"""

WORKED_EXAMPLE = (("CLIENT-A", 25000), ("CLIENT-B", 10000), ("CLIENT-C", 5000), ("PROP", 10000))
WORKED_SHARES = {"CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000"}


Table = Mapping[str, Any]
"""Keys and values of one TOML table."""

# ---------------------------------------------------------------- small change


# Below the system's range for outgoing connections, so that no connection of a neighbour takes a port between
# our looking and the gateway's binding; the start differs from process to process.
_ports = itertools.cycle(range(12_000 + os.getpid() * 97 % 8_000, 32_000))


def free_port() -> int:
    """A port of this machine that is free now and that no other test process is likely to take."""
    for port in _ports:
        try:
            with socket.create_server((HOST, port)):
                return port
        except OSError:
            continue
    raise AssertionError("no free port")


def today() -> str:
    """The gateway's trade date as FIX LocalMktDate."""
    return datetime.now(ZoneInfo("America/New_York")).strftime("%Y%m%d")


def iso_today() -> str:
    """The gateway's trade date as ``YYYY-MM-DD``."""
    return datetime.now(ZoneInfo("America/New_York")).date().isoformat()


def utc() -> str:
    """Now as UTCTimestamp."""
    return datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


def until(look: Callable[[], Any], what: str, timeout_seconds: float = 10.0) -> Any:
    """Ask ``look`` until it answers something true; returns that."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what} (last: {found!r})"
        time.sleep(0.03)


# ---------------------------------------------------------------- FIX bodies


def order(
    cl_ord_id: str,
    alloc_id: str = "",
    quantity: object = 1000,
    *more: Pair,
    symbol: str = "XYZ",
    side: str = "1",
    price: str = "",
) -> list[Pair]:
    """Body of a NewOrderSingle; limit when ``price`` is given."""
    pairs: list[Pair] = [(11, cl_ord_id)]
    pairs += [(70, alloc_id)] if alloc_id else []
    pairs += [(55, symbol), (54, side), (60, utc()), (38, str(quantity))]
    pairs += [(40, "2"), (44, price)] if price else [(40, "1")]
    return [*pairs, *more]


def replace(
    cl_ord_id: str, orig: str, quantity: object, *more: Pair, symbol: str = "XYZ", side: str = "1"
) -> list[Pair]:
    """Body of an OrderCancelReplaceRequest."""
    head: list[Pair] = [(11, cl_ord_id), (41, orig), (55, symbol), (54, side), (60, utc())]
    return [*head, (38, str(quantity)), (40, "1"), *more]


def cancel(cl_ord_id: str, orig: str, *more: Pair, symbol: str = "XYZ", side: str = "1") -> list[Pair]:
    """Body of an OrderCancelRequest."""
    return [(11, cl_ord_id), (41, orig), (55, symbol), (54, side), (60, utc()), *more]


def statement(
    statement_id: str,
    lines: Iterable[tuple[str, object]] = WORKED_EXAMPLE,
    *more: Pair,
    total: object = None,
    symbol: str = "XYZ",
    side: str = "1",
    trade_date: str = "",
    trans: str = "0",
    alloc_type: str = "2",
    count: object = None,
) -> list[Pair]:
    """Body of a J that registers a statement; ``total`` and ``count`` default to what the lines say."""
    lines = list(lines)
    summed = sum(int(str(q)) for _, q in lines) if total is None else total
    pairs: list[Pair] = [(70, statement_id), (71, trans), (626, alloc_type), (857, "0"), (54, side), (55, symbol)]
    pairs += [(53, str(summed)), (6, "0"), (75, trade_date or today()), *more]
    pairs.append((78, str(len(lines) if count is None else count)))
    for account, quantity in lines:
        pairs += [(79, account), (80, str(quantity))]
    return pairs


def report(
    cl_ord_id: str,
    exec_id: str,
    exec_type: str,
    status: str,
    *more: Pair,
    quantity: object = 1000,
    cum: object = 0,
    leaves: object = 0,
    last: object = None,
    price: str = "100",
    order_id: str = "",
    symbol: str = "XYZ",
    side: str = "1",
    avg: str | None = None,
) -> list[Pair]:
    """Body of a broker's ExecutionReport; ``last`` at ``price`` makes it a fill. AvgPx is ``price`` by default."""
    avg = avg if avg is not None else (price if cum else "0")
    pairs: list[Pair] = [(37, order_id or f"B-{cl_ord_id}"), (17, exec_id), (150, exec_type), (39, status)]
    pairs += [(11, cl_ord_id), (55, symbol), (54, side), (38, str(quantity))]
    pairs += [] if last is None else [(32, str(last)), (31, price)]
    return [*pairs, (14, str(cum)), (151, str(leaves)), (6, avg), *more]


def shares(message: Fields) -> dict[str, str]:
    """Account → quantity of a J's or AS's NoAllocs(78)."""
    return {entry.get(79): entry.get(80) for entry in message.group(78, (79, 80, 153))}


def statement_file(
    statement_id: str, lines: Iterable[tuple[str, object]] = WORKED_EXAMPLE, **more: Any
) -> dict[str, Any]:
    """The statement as a JSON document for files and HTTP."""
    rows = [{"account": account, "quantity": str(quantity)} for account, quantity in lines]
    head = {"statement_id": statement_id, "trade_date": iso_today(), "symbol": "XYZ", "side": "buy"}
    return {**head, **more, "lines": rows}


def statement_csv(statement_id: str, lines: Iterable[tuple[str, object]] = WORKED_EXAMPLE) -> str:
    """The statement as CSV text."""
    rows = "".join(f"{statement_id},{iso_today()},XYZ,buy,{account},{q}\n" for account, q in lines)
    return f"statement_id,trade_date,symbol,side,account,quantity\n{rows}"


# ---------------------------------------------------------------- the gateway


class Live:
    """One gateway: its files, its process and its counterparties.

    Args:
        directory: where configuration and data directory go.
        omses: name → further keys of its ``[[oms]]`` table; ``brokers`` defaults to all.
        brokers: name → further keys of its ``[[broker]]`` table.
        tables: further tables of gateway.toml, for example ``{"limits": {"max_queue_seconds": 60}}``.
        down: brokers that shall not listen at first.
        policy: text of policy.toml. accounts: text of accounts.csv.
        drop: whether a drop folder is watched.
    """

    running: list[Live] = []  # noqa: RUF012 - shared on purpose: the conftest shows the logs of all of them

    def __init__(
        self,
        directory: Path,
        *,
        omses: Mapping[str, Table] | None = None,
        brokers: Mapping[str, Table] | None = None,
        tables: Mapping[str, Table] | None = None,
        down: Sequence[str] = (),
        policy: str = POLICY,
        accounts: str = ACCOUNTS,
        drop: bool = False,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.fix_port, self.http_port = free_port(), free_port()
        self._omses = dict(omses or {"OMS1": {}})
        self._brokers = dict(brokers or {"BRK1": {}})
        self._tables: dict[str, Table] = dict(tables or {})
        self.ports = {name: free_port() for name in self._brokers}
        self.brokers: dict[str, Peer] = {}
        self.omses: dict[str, Peer] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.program = [sys.executable, "-m", "fixgateway.cli.main"]
        self.http = httpx.Client(base_url=f"http://{HOST}:{self.http_port}", trust_env=False, timeout=30)
        self.drop_folder = directory / "drop"
        if drop:
            self.drop_folder.mkdir()
            self._tables["drop"] = {"directory": "drop"}
        (directory / "policy.toml").write_text(policy)
        (directory / "accounts.csv").write_text(accounts)
        self.write_config()
        for name in self._brokers:
            if name not in down:
                self.listen(name)

    # ------------------------------------------------------------ files

    @property
    def config(self) -> Path:
        """gateway.toml."""
        return self.directory / "gateway.toml"

    @property
    def data_dir(self) -> Path:
        """The gateway's data directory."""
        return self.directory / "var"

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.directory / "gateway.log"

    def write_config(self) -> None:
        """Write gateway.toml."""
        head: dict[str, Table] = {
            "gateway": {"comp_id": "FIXGW", "data_dir": "var"},
            "listen": {"host": HOST, "port": self.fix_port},
            "http": {"host": HOST, "port": self.http_port},
            **self._tables,
            # Not 64 MB of the disk for every test.
            "journal": {"reserve_bytes": 1 << 16, "min_free_bytes": 0, **self._tables.get("journal", {})},
        }
        parts = [f"[{name}]\n{_toml(keys)}" for name, keys in head.items()]
        for name, keys in self._omses.items():
            parts.append("[[oms]]\n" + _toml({"comp_id": name, "brokers": list(self._brokers), **keys}))
        for name, keys in self._brokers.items():
            own: dict[str, Any] = {"comp_id": name, "host": HOST, "port": self.ports[name], "reconnect_seconds": 1}
            # Most tests' brokers answer only what the test is about.
            own |= {"max_unacked_orders": 1_000_000, "max_unacked_seconds": 3600}
            parts.append("[[broker]]\n" + _toml({**own, **keys}))
        self.config.write_text("\n".join(parts))

    # ------------------------------------------------------------ process

    def __enter__(self) -> Live:
        Live.running.append(self)
        return self

    def __exit__(self, *_exc: object) -> None:
        for peer in (*self.omses.values(), *self.brokers.values()):
            peer.close()
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        Live.running.remove(self)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start ``fixgateway run`` without waiting for anything."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, "run", "-c", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def start(self, *, ready: bool = True) -> Self:
        """Start the process and wait until it is ready (or, without ``ready``, until its HTTP port answers)."""
        process = self.launch()
        path = "/readyz" if ready else "/healthz"
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, f"the gateway ended with {process.returncode}:\n{self.tail()}"
            try:
                answer = self.http.get(path)
                if answer.status_code == 200:
                    return self
                said = answer.text
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < deadline, f"not up in {START_SECONDS} s: {said}\n{self.tail()}"
            time.sleep(0.03)

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def restart(self, *, ready: bool = True) -> Self:
        """Start again after stop or kill, and log the known OMS peers on again."""
        self.start(ready=ready)
        for peer in self.omses.values():
            peer.reconnect(15)
        return self

    def doctored(self, **what: Any) -> Self:
        """From here on the process is started with something done to it (:mod:`doctored`), or as it is."""
        script = [str(Path(__file__).with_name("doctored.py")), json.dumps(what)]
        self.program = [sys.executable, *(script if what else ("-m", "fixgateway.cli.main"))]
        return self

    def tail(self, lines: int = 30) -> str:
        """The last lines the process printed."""
        text = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return "\n".join(text[-lines:])

    # ------------------------------------------------------------ counterparties

    def listen(self, name: str) -> Peer:
        """Let broker ``name`` listen (again) on its port."""
        peer = self.brokers[name] = Peer.listen(HOST, self.ports[name], name, "FIXGW")
        return peer

    @property
    def broker(self) -> Peer:
        """The first broker."""
        return next(iter(self.brokers.values()))

    def oms(self, name: str = "OMS1", heart_bt_int: int = 30, **more: Any) -> Peer:
        """OMS ``name``, logged on; connected at the first call."""
        if name not in self.omses:
            self.omses[name] = Peer.connect(HOST, self.fix_port, name, "FIXGW", heart_bt_int, **more)
        return self.omses[name]

    # ------------------------------------------------------------ the other doors

    def cli(self, *arguments: str, timeout_seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return subprocess.run(
            [sys.executable, "-m", "fixgateway.cli.main", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )

    def command(self, *arguments: str) -> Any:
        """Run a command with ``--json`` against this gateway; it must succeed."""
        done = self.cli(*arguments, "-c", str(self.config), "--json")
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def get(self, path: str) -> Any:
        """JSON of a GET that must succeed."""
        answer = self.http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples called ``name`` whose labels include ``labels``; 0 when there is none."""
        families = text_string_to_metric_families(self.http.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    def wait_metric(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until :meth:`metric` is ``wanted``; figures are published a moment after what they count."""
        until(lambda: self.metric(name, **labels) == wanted, f"{name} {labels} at {wanted}")

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the embedded database, once everything journaled is in it."""
        self.wait_projected()
        return self._select(sql, *values)

    def _select(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{self.data_dir / 'records.db'}?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def wait_projected(self) -> None:
        """Wait until the database holds all that the journal holds now (a running gateway only)."""
        if self.process is None or self.process.poll() is not None:
            return
        wanted = self.get("/api/status")["journal_records"]
        until(lambda: self.get("/api/status")["records_watermark"] >= wanted, f"records up to {wanted}", 30)

    # ------------------------------------------------------------ journal

    def records(self, *kinds: Kind, session: str | None = None) -> Iterator[Record]:
        """The journal's records of these kinds (all without any), of one session when given."""
        for record in read(self.data_dir):
            if (not kinds or record.kind in kinds) and session in (None, record.session):
                yield record

    def sent(self, session: str, msg_type: str = "") -> list[Fields]:
        """What the journal says was sent on a session, first sends and resends alike."""
        found = [
            Fields.parse(unpack_wire_out(record.payload).raw)
            for record in self.records(Kind.WIRE_OUT, session=session)
        ]
        return [fields for fields in found if not msg_type or fields.msg_type == msg_type]

    def journal_has(self, text: str | bytes, *kinds: Kind) -> bool:
        """Whether a record of these kinds contains ``text``."""
        wanted = text.encode() if isinstance(text, str) else text
        return any(wanted in record.payload for record in self.records(*kinds))

    def check_journal(self) -> int:
        """The journal verifies; returns how many records it has."""
        result = verify(self.data_dir)
        assert result.verified, result.damage
        assert result.records > 0
        return result.records

    def check_journal_after_crash(self) -> None:
        """Nothing but an unfinished last record may be wrong."""
        result = verify(self.data_dir)
        assert result.verified or result.torn_tail, result.damage

    def end_well(self) -> None:
        """Stop; the exit is clean, the journal verifies and no message met a bug of the gateway's."""
        assert self.stop() == 0, self.tail()
        self.check_journal()
        bugs = [record.payload for record in self.records(Kind.EVENT) if record.payload.startswith(b"bug: ")]
        assert bugs == []


def _toml(keys: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml_value(value)}\n" for key, value in keys.items())


def _toml_value(value: Any) -> str:
    """A value as TOML writes it: as JSON does, but for a table inside a list."""
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
