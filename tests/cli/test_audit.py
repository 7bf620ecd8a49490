"""``audit`` and ``preview --fill``: what people see, exit codes, and files that are no proposed allocation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fixgateway.cli.main import invoke
from fixgateway.config import proposals
from fixgateway.errors import StatementFileError

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config" / "statements" / "worked-example.csv")
POLICY = str(ROOT / "config" / "policy.toml")
GATEWAY = str(ROOT / "config" / "gateway.toml")

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def cherry(tmp_path: Path) -> str:
    """The worked example's cherry-picking: PROP and CLIENT-A 15,000 each of 30,000."""
    file = tmp_path / "cherry.csv"
    file.write_text("account,quantity\nPROP,15000\nCLIENT-A,15000\n")
    return str(file)


@pytest.mark.parametrize("terms", [[], ["--policy", POLICY], ["-c", GATEWAY]])
def test_cherry_picking_exits_1_with_its_breaches(cherry: str, terms: list[str], capsys: Captured) -> None:
    assert invoke(["audit", EXAMPLE, "--proposed", cherry, "--filled", "30000", *terms]) == 1
    out = capsys.readouterr().out
    assert "4 breaches" in out
    for words in ("PROP exceeds intent by 5,000", "CLIENT-B is short of its computed 6,000 by 6,000"):
        assert words in out
    assert invoke(["audit", EXAMPLE, "--proposed", cherry, "--filled", "30000", "--json", *terms]) == 1
    found = json.loads(capsys.readouterr().out)["breaches"]
    assert [(row["account"], row["rule"], row["by"]) for row in found] == [
        ("CLIENT-B", "short-of-computed", "6000"), ("CLIENT-C", "short-of-computed", "3000"),
        ("PROP", "above-intent", "5000"), ("PROP", "above-computed", "9000"),
    ]  # fmt: skip


def test_what_a_preview_says_has_no_breach(tmp_path: Path, capsys: Captured) -> None:
    assert invoke(["preview", EXAMPLE, "--filled", "33333", "--json"]) == 0
    said = tmp_path / "said.json"
    said.write_text(capsys.readouterr().out)
    assert invoke(["audit", EXAMPLE, "--proposed", str(said), "--filled", "33333"]) == 0
    assert "no breach" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit"],
        ["audit", EXAMPLE, "--filled", "1"],
        ["audit", EXAMPLE, "--proposed", EXAMPLE],
        ["audit", EXAMPLE, "--statement", "S-1", "--proposed", EXAMPLE, "--filled", "1"],
        ["audit", EXAMPLE, "--proposed", "missing.csv", "--filled", "1"],
        ["audit", EXAMPLE, "--proposed", EXAMPLE, "--filled", "x"],
        ["audit", EXAMPLE, "--proposed", EXAMPLE, "--filled", "1", "--policy", "missing.toml"],
        ["preview", EXAMPLE, "--fill", "1"],
        ["preview", EXAMPLE, "--fill", "1@2", "--price", "3"],
        ["preview", EXAMPLE, "--fill", "1@2", "--filled", "3"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: Captured) -> None:
    assert invoke(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("error: ")) == ("", 1)


def test_fills_are_shown_with_their_money(capsys: Captured) -> None:
    fills = ["--fill", "10000@99.90", "--fill", "20000@100.05"]
    assert invoke(["preview", EXAMPLE, *fills, "-c", GATEWAY]) == 0
    out = capsys.readouterr().out
    for words in ("30000 of 50000 filled at 100.0000 on average", "exact 15,000; 15,000 whole", "3000000"):
        assert words in out


@pytest.mark.parametrize(
    "text",
    ['{"A": "1", "B": "2.5"}', '[{"account": "A", "quantity": "1"}, {"account": "B", "quantity": "2.5"}]',
     '{"lines": [{"account": "A", "quantity": 1}, {"account": "B", "quantity": "2.5"}]}'],
)  # fmt: skip
def test_proposals_in_json(text: str) -> None:
    assert proposals.parse(text.encode(), ".json") == {"A": Decimal(1), "B": Decimal("2.5")}


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("account,shares\nA,1\n", ".csv", "line 1, quantity: column is missing"),
        ("account,quantity\nA,1\nA,2\n", ".csv", "line 3: A is named twice"),
        ("account,quantity\nA,1e5\n", ".csv", "line 2: quantity"),
        ("account,quantity\nA\n", ".csv", "line 2: quantity"),
        ("account,quantity\n,1\n", ".csv", "line 2: account: missing"),
        ("account,quantity\n", ".csv", "empty"),
        ('{"A": 1.5}', ".json", "quantity"),
        ('{"A": null}', ".json", "quantity: not text"),
        ('{"A": "1", "A": "2"}', ".json", "written twice"),
        ('[{"account": "A"}]', ".json", "line 1: not"),
        ("7", ".json", "not a proposed allocation"),
        ("{", ".json", "not JSON"),
        ("\xff", ".json", "not UTF-8"),
    ],
)
def test_what_is_no_proposed_allocation(text: str, suffix: str, words: str) -> None:
    with pytest.raises(StatementFileError, match=words):
        proposals.parse(text.encode("latin-1"), suffix)


def test_a_negative_quantity_is_for_the_audit_to_tell(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "p.csv"
    file.write_text("account,quantity\nCLIENT-A,-5\n")
    assert invoke(["audit", EXAMPLE, "--proposed", str(file), "--filled", "30000"]) == 1
    assert "CLIENT-A would get -5, below zero" in capsys.readouterr().out
