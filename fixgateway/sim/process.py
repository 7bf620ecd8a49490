"""A real gateway process for the demo, the bench and tests: its files, its start and its end.

The configuration is the shipped one (config/) on free ports, with the policy's deadlines off so that it
works at any hour.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from fixgateway.errors import GatewayUnavailable

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TAIL_LINES = 25

ACCOUNTS = """\
account,name,class,fee,strategy,status
CLIENT-A,Client A,client,standard,large-cap,active
CLIENT-B,Client B,client,standard,large-cap,active
CLIENT-C,Client C,client,standard,large-cap,active
PROP,Proprietary Account,proprietary,performance,large-cap,active
"""

POLICY = """\
policy_id = "PRO-RATA"
version = "1"
approved_by = "Chief Compliance Officer"
effective_from = 2020-01-01
method = "pro-rata"
ties = "seeded"
remainder = "largest-shortfall"
lot = "1"
min_quantity = "0"
completion = "orders"

[deadlines]
timezone = "America/New_York"
allocate = "off"
affirm = "off"
"""

GATEWAY = """\
[gateway]
comp_id = "FIXGW"
data_dir = "var"

[listen]
port = {fix_port}

[http]
port = {http_port}

[journal]
sync = "{sync}"

[[oms]]
comp_id = "OMS1"
brokers = ["BRK1"]

[[broker]]
comp_id = "BRK1"
host = "127.0.0.1"
port = {broker_port}
reconnect_seconds = 1
max_unacked_orders = {max_unacked_orders}
max_unacked_seconds = {max_unacked_seconds}
"""


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class GatewayFiles:
    """Where a gateway's files are and which ports it uses."""

    directory: Path
    fix_port: int
    http_port: int

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


def write_files(
    directory: Path, broker_port: int, *, sync: str = "group", max_unacked_orders: int = 1000,
    max_unacked_seconds: int = 30,
) -> GatewayFiles:  # fmt: skip
    """Write gateway.toml, policy.toml and accounts.csv for OMS1 and a broker BRK1 on ``broker_port``."""
    files = GatewayFiles(directory, free_port(), free_port())
    directory.mkdir(parents=True, exist_ok=True)
    text = GATEWAY.format(
        fix_port=files.fix_port, http_port=files.http_port, broker_port=broker_port, sync=sync,
        max_unacked_orders=max_unacked_orders, max_unacked_seconds=max_unacked_seconds,
    )  # fmt: skip
    files.config.write_text(text)
    (directory / "policy.toml").write_text(POLICY)
    (directory / "accounts.csv").write_text(ACCOUNTS)
    return files


class GatewayProcess:
    """A running gateway; started by the constructor, ready after :meth:`wait_ready`.

    As a context manager it is stopped, and killed if it does not stop, at the end.
    """

    def __init__(self, files: GatewayFiles) -> None:
        self.files = files
        with files.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fixgateway.cli.main", "run", "-c", str(files.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Wait until /readyz answers 200.

        Raises:
            GatewayUnavailable: it ended or is not ready in time; with its last words.
        """
        deadline = time.monotonic() + timeout_seconds
        answer = "no answer yet"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise GatewayUnavailable(f"the gateway ended with {self.process.returncode}:\n{self.tail()}")
            ready, answer = self.get("/readyz")
            if ready:
                return
            time.sleep(0.05)
        raise GatewayUnavailable(
            f"the gateway is not ready after {timeout_seconds:.0f} s: {answer}\n{self.tail()}"
        )

    def get(self, path: str) -> tuple[bool, str]:
        """GET a path of its HTTP port: whether it answered 200, and the body or the reason."""
        url = f"http://127.0.0.1:{self.files.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status == 200, response.read().decode()
        except urllib.error.HTTPError as error:
            return False, error.read().decode()
        except OSError as error:
            return False, str(error)

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM and wait for the exit; returns its code.

        Raises:
            GatewayUnavailable: it did not end in time (it is killed then); with its last words.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise GatewayUnavailable(
                f"the gateway did not stop within {timeout_seconds:.0f} s:\n{self.tail()}"
            ) from error

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines it printed."""
        return self.tail_of(self.files, lines)

    @staticmethod
    def tail_of(files: GatewayFiles, lines: int = TAIL_LINES) -> str:
        """The last lines a gateway with these files printed, also after its end."""
        text = files.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(text[-lines:]) or "(it printed nothing)"

    def __enter__(self) -> GatewayProcess:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
