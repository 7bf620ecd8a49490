"""The sequential monitor on blotters, unannounced picks, and the commands power, monitor and audit-sample."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from reviews import block, review, write

from fixgateway.cli.main import invoke
from fixgateway.errors import UsageError
from fixgateway.forensics import plan, sample
from fixgateway.forensics.findings import Verdict
from fixgateway.forensics.monitor import monitor_file, watch

Captured = pytest.CaptureFixture[str]
Blocks = list[list[dict[str, str]]]


def history(count: int, looks: bool) -> Blocks:
    """PROP gets 80 of winners and 20 of losers if somebody ``looks``, else 50 of 100 give or take 30 by chance."""
    rng = np.random.default_rng(3)
    blocks = []
    for k in range(count):
        move = round(float(rng.standard_t(4)), 2)
        more = 30 if (move > 0 if looks else rng.random() < 0.5) else -30
        day = (date(2026, 1, 5) + timedelta(days=k)).isoformat()
        blocks.append(
            block(k, {"PROP": 50 + more, "A": 50 - more}, {"PROP": 100, "A": 100}, close=100 + move, day=day)
        )
    return blocks


def test_monitor_reports_the_day_it_became_sure(tmp_path: Path) -> None:
    found = watch(review(tmp_path, history(50, looks=True)), "s")
    assert found.verdict is Verdict.RED
    days = [step.day for step in found.steps]
    assert 5 <= days.index(found.first_amber) < days.index(found.first_red) <= 40
    red = days.index(found.first_red)
    assert found.steps[red - 1].highest < 100 <= found.steps[red].highest


def test_monitor_of_an_honest_history(tmp_path: Path) -> None:
    found = watch(review(tmp_path, history(50, looks=False)), "s")
    assert (found.verdict, found.first_amber) == (Verdict.GREEN, "")


def test_little_money_is_never_red(tmp_path: Path) -> None:
    plan_text = "[thresholds]\nmateriality = 1000000\n"
    found = watch(review(tmp_path, history(50, looks=True), plan_text), "s")
    assert (found.verdict, found.first_red != "") == (Verdict.AMBER, True)


def test_late_statements_are_not_bet_on(tmp_path: Path) -> None:
    late = history(50, looks=True)
    for rows in late:
        for row in rows:
            row["captured_at"] = row["allocated_at"]
    found = watch(review(tmp_path, late), "s")
    assert (found.verdict, found.steps) == (Verdict.INSUFFICIENT, [])


def test_every_day_is_as_it_was_seen_then(tmp_path: Path) -> None:
    """A run after each close says of old days what the runs of those days said."""
    blocks = history(40, looks=True)
    whole = monitor_file(write(tmp_path / "40.csv", blocks), plan.default())
    for count in (1, 7, 25):
        part = monitor_file(write(tmp_path / f"{count}.csv", blocks[:count]), plan.default())
        assert part.steps == whole.steps[:count]
    assert whole.seed == plan.default().sha256


def test_unknown_group(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fee, own, union"):
        watch(review(tmp_path, history(3, looks=False)), "s", "friends")


def test_picks_can_be_found_again_by_hand() -> None:
    items = [f"B{k}" for k in range(100)]
    found = sample.draw(items, "8f3c", 5)
    keys = sorted((hashlib.sha256(f"8f3c\n{item}".encode()).hexdigest(), item) for item in items)
    assert list(found.picks) == keys[:5]
    listed = "".join(f"{item}\n" for item in sorted(items))
    assert found.population_sha256 == hashlib.sha256(listed.encode()).hexdigest()


def test_picks_depend_on_population_and_value_only() -> None:
    items = [f"B{k}" for k in range(100)]
    one = sample.draw(items, "value", 10)
    assert sample.draw(items[::-1], " value\n", 10) == one
    assert sample.draw(items, "another", 10).picks != one.picks
    assert [item for _, item in sample.draw(items, "value", 3).picks] == [item for _, item in one.picks][:3]


def test_picks_are_even() -> None:
    """Each of 20 items is picked about equally often over 2,000 values: chi-squared below its 99.99% point."""
    counts = dict.fromkeys((f"B{k}" for k in range(20)), 0)
    for value in range(2_000):
        counts[sample.draw(list(counts), str(value), 1).picks[0][1]] += 1
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 50.8


@pytest.mark.parametrize(
    ("items", "value", "count", "committed", "words"),
    [
        (["A"], " ", 1, "", "random value is empty"),
        (["A"], "1", 0, "", "at least 1"),
        (["A", "A"], "1", 1, "", "twice"),
        (["A\nB"], "1", 1, "", "line break"),
        (["A"], "1", 1, "00", "changed after it was fixed"),
    ],
)
def test_unfit_draws(items: list[str], value: str, count: int, committed: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        sample.draw(items, value, count, committed)


# ---------------------------------------------------------------- commands


def out(captured: Captured) -> dict[str, object]:
    document: dict[str, object] = json.loads(captured.readouterr().out)
    return document


@pytest.mark.parametrize(("looks", "code", "verdict"), [(True, 1, "red"), (False, 0, "green")])
def test_monitor_command(tmp_path: Path, capsys: Captured, looks: bool, code: int, verdict: str) -> None:
    path = str(write(tmp_path / "b.csv", history(50, looks=looks)))
    assert invoke(["forensics", "monitor", "--blotter", path, "--json"]) == code
    assert out(capsys)["verdict"] == verdict
    assert invoke(["forensics", "monitor", "--blotter", path]) == code
    assert verdict in capsys.readouterr().out


def test_audit_sample_command(tmp_path: Path, capsys: Captured) -> None:
    path = str(write(tmp_path / "b.csv", history(30, looks=False)))
    assert invoke(["forensics", "audit-sample", "--blotter", path, "--commit", "--json"]) == 0
    committed = str(out(capsys)["population_sha256"])
    draw = ["forensics", "audit-sample", "--blotter", path, "--value", "42", "--count", "4", "--json", "--committed"]
    assert invoke([*draw, committed]) == 0
    picks = out(capsys)["picks"]
    assert isinstance(picks, list)
    assert len(picks) == 4
    assert invoke([*draw, "0" * 64]) == 2
    assert "changed after it was fixed" in capsys.readouterr().err


def test_blocks_with_bad_rows_can_be_picked(tmp_path: Path, capsys: Captured) -> None:
    """Whoever spoils a row must not take his block out of the draw."""
    blocks = history(5, looks=False)
    blocks[2][0]["alloc_qty"] = "many"
    path = str(write(tmp_path / "b.csv", blocks))
    assert invoke(["forensics", "audit-sample", "--blotter", path, "--value", "42", "--json"]) == 0
    document = out(capsys)
    assert document["population"] == 5
    assert "B00002" in str(document["picks"])


def test_audit_sample_of_days_and_lists(tmp_path: Path, capsys: Captured) -> None:
    path = str(write(tmp_path / "b.csv", history(5, looks=False)))
    assert invoke(["forensics", "audit-sample", "--blotter", path, "--of", "day", "--value", "1", "--json"]) == 0
    assert out(capsys)["population"] == 5
    listed = tmp_path / "list.txt"
    listed.write_text("a\r\nb\n\nc", encoding="utf-8")
    assert invoke(["forensics", "audit-sample", "--population", str(listed), "--value", "1", "--count", "2"]) == 0
    assert invoke(["forensics", "audit-sample", "--value", "1"]) == 2
    assert "--blotter FILE.csv or --records URL" in capsys.readouterr().err


def test_power_command(capsys: Captured) -> None:
    command = ["forensics", "power", "--runs", "40", "--permutations", "1999", "--tampered", "0,1"]
    assert invoke([*command, "--json"]) == 0
    rows = out(capsys)["power"]
    assert isinstance(rows, list)
    assert [row["rejected"]["0.01"] for row in rows] == [0.0, 1.0]
    assert invoke(command) == 0
    assert "deterministic checks" in capsys.readouterr().out
    assert invoke(["forensics", "power", "--tampered", "2"]) == 2
    assert invoke(["forensics", "power", "--alpha", "x"]) == 2
