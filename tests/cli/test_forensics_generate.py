"""``forensics generate``: made histories on the command line, and reviewed as a person would."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from fixgateway.cli.main import invoke
from fixgateway.forensics.generate import COLUMNS, SCENARIOS

Captured = pytest.CaptureFixture[str]


def test_without_a_name_the_scenarios_are_listed(capsys: Captured) -> None:
    assert invoke(["forensics", "generate"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert named == [*SCENARIOS, "big"]


def test_standard_output_is_a_blotter_and_nothing_else(capsys: Captured) -> None:
    assert invoke(["forensics", "generate", "honest", "--years", "2"]) == 0
    out, err = capsys.readouterr()
    read = list(csv.DictReader(io.StringIO(out)))
    assert len(read) == 400
    assert set(COLUMNS) <= set(read[0])
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no scenario 'nobody'"),
        (["magee", "--years", "2"], "published case"),
        (["honest", "--years", "0"], "1 to 100 years"),
        (["big"], "-o FILE"),
        (["honest", "-o", "/nowhere/at/all.csv"], "/nowhere/at/all.csv"),
        (["big", "-o", "/nowhere/at/all.csv"], "/nowhere/at/all.csv"),
        (["big", "-o", "x.csv", "--rows", "2"], "--rows 2"),
    ],
)
def test_what_cannot_be_made_is_refused(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["forensics", "generate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("error: ")) == ("", True)
    assert words in err


def test_big_is_written_to_its_file(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    assert invoke(["forensics", "generate", "big", "-o", str(path), "--rows", "1000", "--accounts", "10"]) == 0
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1_001
    assert f"1000 rows  {path}" in capsys.readouterr().err


@pytest.mark.parametrize(("scenario", "verdict", "code"), [("alpha-growth", "red", 1), ("honest", "green", 0)])
def test_a_history_is_made_reviewed_and_reported(
    capsys: Captured, tmp_path: Path, scenario: str, verdict: str, code: int
) -> None:
    blotter, page = str(tmp_path / "history.csv"), tmp_path / "report.html"
    assert invoke(["forensics", "generate", scenario, "-o", blotter]) == 0
    capsys.readouterr()
    assert invoke(["forensics", "run", "--blotter", blotter, "--json", "--html", str(page)]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == verdict
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert json.loads(text.split('id="document">')[1].split("</script>")[0]) == document
