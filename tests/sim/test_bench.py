"""The bench itself, small: both sides are really measured, and a lost order cannot pass for a result."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fixgateway.sim import bench
from fixgateway.sim.bench import Helper, Plan, Result, Run, Side
from fixgateway.sim.bench_journal import BenchError, ReadRates


@pytest.mark.serial
def test_both_sides_are_measured_in_one_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fixgateway.sim.bench", "--orders", "400", "--rate", "200", "--seconds", "1",
               "--runs", "1", "--recovery-records", "2000", "--json", "--directory", str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["orders"], document["sync"]) == (400, "group")
    for side in ("relay", "gateway"):
        measured = document[side]
        assert measured["per_second"] > 100
        assert 0 < measured["p50_us"] <= measured["p99_us"]
        assert len(measured["runs"]) == 1
    ratio = document["gateway"]["per_second"] / document["relay"]["per_second"]
    assert document["throughput_ratio"] == pytest.approx(ratio, abs=0.002)
    assert document["verify_multiple"] > 1
    assert document["replay_multiple"] > 0
    assert document["start"]["records"] >= 2000
    assert 0 < document["start"]["snapshot_seconds"] < 60
    assert 0 < document["start"]["journal_seconds"] < 60
    assert list(tmp_path.iterdir()) == []


@pytest.mark.serial
def test_rejected_orders_are_told_with_their_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register = bench.register
    monkeypatch.setattr(bench, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(bench, "register", lambda oms, count: register(oms, count // 2))
    with pytest.raises(BenchError, match=r"^\d+ of 500 orders arrived, \d+ were rejected: (.|\n)*GW-203"):
        bench.measure("gateway", Plan(100, 100, 1, 1, "never", tmp_path))


def test_an_ended_helper_is_told(tmp_path: Path) -> None:
    helper = Helper("oms", "127.0.0.1", "no-port")
    with pytest.raises(BenchError, match="the bench's oms ended with 1"):
        helper.hear(20)
    helper.end()


def test_ratios_are_of_medians() -> None:
    relay = Side("relay", [Run(1000, 100, 300), Run(3000, 90, 200), Run(2000, 110, 400)])
    reads = [
        ReadRates(100, verify, replay) for verify, replay in ((9_000, 7_000), (40_000, 6_000), (30_000, 1_000))
    ]
    gateway = Side(
        "gateway",
        [
            Run(500, 400, 900, 2000, reads[0]),
            Run(900, 300, 800, 2000, reads[1]),
            Run(1000, 500, 700, 1000, reads[2]),
        ],
    )
    result = Result(Plan(10, 1, 1, 3, "group", Path()), relay, gateway, fdatasync_us=150.0)
    assert result.throughput_ratio == pytest.approx(0.45)
    assert result.added_fdatasyncs == pytest.approx(2.0)
    assert (result.multiple("verify_per_second"), result.multiple("replay_per_second")) == (20.0, 3.0)
    aims = {"throughput_ratio": 0.4, "added_p50_fdatasyncs": 2.0, "verify_multiple": 10.0, "replay_multiple": 3.0}
    assert result.document()["aims"] == {**aims, "met": True}
    assert not replace(result, fdatasync_us=149.0).document()["aims"]["met"]


@pytest.mark.parametrize(("part", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_quantile(part: float, value: float) -> None:
    assert bench.quantile([float(i) for i in range(1, 101)], part) == value


def test_the_disk_is_measured(tmp_path: Path) -> None:
    assert bench.fdatasync_us(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []
