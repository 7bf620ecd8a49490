"""`fixgateway forensics run`: the JSON contract, through the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from blotters import Row, block, write

from fixgateway.cli.main import invoke
from fixgateway.forensics import plan

Captured = pytest.CaptureFixture[str]
INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
HONEST = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
WINS = {"CLIENT-A": 15_000, "CLIENT-B": 0, "CLIENT-C": 0, "PROP": 15_000}
LOSES = {"CLIENT-A": 17_000, "CLIENT-B": 8_000, "CLIENT-C": 5_000, "PROP": 0}
KEYS = {"id", "verdict", "p", "p_floor", "n_blocks", "benefit", "benefit_bps", "groups", "p_adj", "strata", "limits"}


def history(honest: bool, count: int = 24) -> list[list[Row]]:
    blocks = []
    for k in range(count):
        won = k % 2 == 0
        given = HONEST if honest else WINS if won else LOSES
        close = f"{100 + (k + 1) / 100 * (1 if won else -1):.2f}"
        day = f"2026-0{k // 12 + 1}-{k % 12 + 1:02d}"
        blocks.append(block(k, given, INTENTS, close=close, day=day, currency="USD"))
    return blocks


def reviewed(path: Path, capsys: Captured, *more: str) -> tuple[int, dict[str, Any]]:
    code = invoke(["forensics", "run", "--blotter", str(path), "--json", *more])
    captured = capsys.readouterr()
    assert captured.err == ""
    document: dict[str, Any] = json.loads(captured.out)
    return code, document


def test_the_contract(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "b.csv", history(honest=False))
    code, found = reviewed(path, capsys)
    assert (code, found["verdict"]) == (1, "red")
    ids = [test["id"] for test in found["tests"]]
    assert ids[:4] == ["a1", "a1/own", "a1/fee", "a1/value"]
    assert {"a2", "b", "c", "d", "e", "f", "g/price-sorting"} <= set(ids)
    for test in found["tests"]:
        assert test.keys() >= KEYS
        assert test["verdict"] in ("green", "amber", "red", "insufficient")
        assert test["p"] is None or 0 < test["p"] <= 1
        assert test["p"] is None or test["p_floor"] is None or test["p"] >= test["p_floor"] * (1 - 1e-12)
    first = found["tests"][0]
    gain = sum((k + 1) * (90 if k % 2 == 0 else 60) for k in range(24))
    assert (first["benefit"], first["currency"]) == (f"{gain}.00", "USD")
    assert (first["n_blocks"], first["groups"]) == (24, {"union": ["PROP"]})
    assert found["plan_sha256"] == hashlib.sha256(plan.DEFAULT_TEXT.encode()).hexdigest()
    data = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["data_sha256"] == data
    assert found["seed"] == hashlib.sha256(f"{found['plan_sha256']}:{data}".encode()).hexdigest()


def test_the_honest_twin_is_green(tmp_path: Path, capsys: Captured) -> None:
    code, found = reviewed(write(tmp_path / "b.csv", history(honest=True)), capsys)
    assert (code, found["verdict"]) == (0, "green")
    assert found["tests"][0]["summary"] == "no deviation"


def test_a_green_says_what_it_would_have_seen(tmp_path: Path, capsys: Captured) -> None:
    _, found = reviewed(write(tmp_path / "b.csv", history(honest=True)), capsys)
    for test in found["tests"]:
        if test["verdict"] == "green" and test["counts"]:
            assert test["power"], test["id"]


def test_the_same_input_gives_the_same_document(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "b.csv", history(honest=False))
    assert reviewed(path, capsys) == reviewed(path, capsys)


def test_a_given_seed_is_used_and_said(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "b.csv", history(honest=False))
    _, found = reviewed(path, capsys, "--seed", "7")
    assert found["seed"] == 7
    assert reviewed(path, capsys, "--seed", "007")[1] == found, "the document says 7, and 7 must give it again"
    _, again = reviewed(path, capsys, "--seed", reviewed(path, capsys)[1]["seed"])
    assert again == reviewed(path, capsys)[1]


def test_the_plan_is_followed(tmp_path: Path, capsys: Captured) -> None:
    path, file = write(tmp_path / "b.csv", history(honest=False)), tmp_path / "plan.toml"
    file.write_text("[test]\npermutations = 999\nstrata = ['strategy']\n[thresholds]\nmateriality = 1e9\n")
    _, found = reviewed(path, capsys, "--plan", str(file))
    first = found["tests"][0]
    assert (first["n_permutations"], first["p"], first["strata"]["count"]) == (999, 0.001, 1)
    assert first["verdict"] == "amber", "nothing is material"
    assert found["plan_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_bad_rows_are_in_the_document(tmp_path: Path, capsys: Captured) -> None:
    blocks = history(honest=True)
    blocks[3][1]["alloc_qty"] = "many"
    _, found = reviewed(write(tmp_path / "b.csv", blocks), capsys)
    assert [problem["line"] for problem in found["problems"]] == [14, 15, 16, 17]
    assert "alloc_qty" in found["problems"][1]["reason"]
    assert "line 15" in found["problems"][0]["reason"]
    assert found["blocks"] == 23


def test_missing_optional_columns_are_said(tmp_path: Path, capsys: Captured) -> None:
    _, found = reviewed(write(tmp_path / "b.csv", [block(1, HONEST, INTENTS)]), capsys)
    notes = " ".join(found["notes"])
    for name in ("mark_at_allocation", "statement_changed_at", "exception_approver", "clock_offset_us", "currency"):
        assert f"column {name} is missing" in notes


def test_an_empty_blotter_is_insufficient(tmp_path: Path, capsys: Captured) -> None:
    path = write(tmp_path / "b.csv", [])
    code, found = reviewed(path, capsys)
    assert (code, found["verdict"]) == (0, "insufficient")


def test_people_get_the_same_numbers_and_a_page(tmp_path: Path, capsys: Captured) -> None:
    path, page = write(tmp_path / "b.csv", history(honest=False)), tmp_path / "report.html"
    assert invoke(["forensics", "run", "--blotter", str(path), "--html", str(page)]) == 1
    out = capsys.readouterr().out
    assert "verdict: red" in out
    assert "22320.00" in out
    assert "<html" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--blotter"), (["--blotter", "none.csv"], "none.csv"),
        (["--blotter", "x", "--records", "http://127.0.0.1:1"], "one of the two"),
        (["--blotter", "none.csv", "--plan", "none.toml"], "none.toml"), (["--blotter", "x", "--seed", "-1"], "--seed"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2(arguments: list[str], word: str, capsys: Captured) -> None:
    assert invoke(["forensics", "run", *arguments]) == 2
    assert word in capsys.readouterr().err


def test_plan_check_and_fix(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("plan_id = 'H1'\n[window]\nfrom = 2999-01-01\n")
    assert invoke(["forensics", "plan", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "post hoc"
    assert invoke(["forensics", "plan", "fix", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "fixed"
    assert invoke(["forensics", "plan", "fix", str(file)]) == 2
    assert "fixed already" in capsys.readouterr().err
