"""``sim oms`` and ``sim broker`` as a newcomer runs them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fixgateway.cli.main import invoke
from fixgateway.sim.broker import Broker
from fixgateway.sim.peer import Peer
from fixgateway.sim.script import BrokerScript, parse_steps

STATEMENT = {
    "statement_id": "S-1", "trade_date": "2026-11-22", "symbol": "XYZ", "side": "buy",
    "lines": [{"account": "CLIENT-A", "quantity": "60"}, {"account": "PROP", "quantity": 40}],
}  # fmt: skip


Run = Callable[[str], tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``fixgateway sim …``; gives the exit code and what was printed since the last time."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(line: str) -> tuple[int, str]:
        code = invoke(["sim", *line.split()])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return command


def test_the_oms_registers_orders_and_prints_the_conversation(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps(STATEMENT))
    with Broker(BrokerScript(steps=parse_steps("rest@10")), target="OMS1") as broker:
        common = f"oms --port {broker.peer.port} --target BRK1 --statement {file} --seq-file {tmp_path}/n --for 0"
        code, out = run(f"{common} --price 10.5")
        assert code == 0, out
        assert "J AllocationInstruction  AllocID=S-1" in out
        assert "P AllocationInstructionAck  AllocID=S-1" in out
        assert "AllocStatus=0 (accepted)" in out
        assert "OrdStatus=2 (filled)" in out
        order = broker.peer.expect("D")
        assert [order.get(t) for t in (38, 40, 44, 70)] == ["100", "2", "10.5", "S-1"]
        code, out = run(f"{common} --cl-ord-id O-2 --json")
        assert code == 0, out
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["msg_type"] for line in lines if "fields" in line] == list("AAJPD8855")


def test_the_broker_answers_and_stops_after_its_time(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = tmp_path / "s.json"
    file.write_text(json.dumps(STATEMENT))
    oms_line = f"oms --port {port} --target BRK1 --statement {file} --seq-file {tmp_path}/o --for 0 --json"
    codes: list[int] = []
    oms = threading.Thread(target=lambda: codes.append(invoke(["sim", *oms_line.split()])))
    oms.start()
    code, out = run(f"broker --port {port} --target OMS1 --fills rest@9 --for 1.5 --seq-file {tmp_path}/b")
    oms.join(10)
    assert (code, codes) == (0, [0])
    assert f"BRK1 listens on 127.0.0.1:{port} for OMS1" in out
    assert "▶ 8 ExecutionReport" in out
    assert "OrdStatus=2 (filled)" in out


def test_usage_is_refused_with_two(run: Run, tmp_path: Path) -> None:
    assert run("oms") == (2, "error: give either --scenario or --statement\n")
    bad = tmp_path / "bad.toml"
    bad.write_text("acks = 1")
    code, out = run(f"broker --scenario {bad}")
    assert (code, "acks is not a key" in out) == (2, True)
    code, out = run("broker --fills 10")
    assert (code, "is not understood" in out) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out = run(f"broker --port {taken.getsockname()[1]} --seq-file {tmp_path}/n")
    assert (code, "choose another --port" in out) == (2, True)


def test_the_help_documents_the_scenario_files(run: Run) -> None:
    assert "correct 2 9000@99.95" in run("broker --help")[1]
    assert 'do = "statement"' in run("oms --help")[1]


def test_an_oms_that_cannot_log_on_says_so(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps(STATEMENT))
    with Peer.listen("127.0.0.1", 0, "OTHER", "OMS1") as other:
        code, out = run(f"oms --port {other.port} --statement {file} --seq-file {tmp_path}/n")
    assert (code, "OMS1 is not logged on to FIXGW" in out) == (1, True)
