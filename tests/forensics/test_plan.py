"""Review plans: keys, hash, fixing, and what makes a review post hoc."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from blotters import block, write

from fixgateway.errors import ConfigError
from fixgateway.forensics import plan, run

TEXT = """\
plan_id = "H1"
version = "3"
[window]
from = 2026-03-01
to = 2026-06-30
[groups]
own = { classes = ["proprietary"] }
friends = ["CLIENT-B"]
[test]
measure = "mark"
strata = ["strategy", "side"]
permutations = 9999
[thresholds]
amber = 0.05
red = 0.01
late_minutes = 30
materiality = { USD = 1000.5 }
[policy]
method = "pro-rata"
lot = 100
minimum = "200"
ties = "account"
remainder = "smallest-account"
codes = ["REBALANCE"]
"""


def test_every_key_is_read() -> None:
    made = plan.parse(TEXT.encode())
    assert (made.plan_id, made.version, made.start, made.end) == ("H1", "3", date(2026, 3, 1), date(2026, 6, 30))
    assert [group.name for group in made.groups] == ["own", "friends"]
    assert (made.measure, made.strata, made.permutations) == ("mark", ("strategy", "side"), 9999)
    assert (made.amber, made.red, made.late_minutes) == (Fraction(1, 20), Fraction(1, 100), 30)
    assert made.materiality == {"USD": Fraction("1000.5")}
    assert (made.method, made.lot, made.minimum, made.ties) == ("pro-rata", Decimal(100), Decimal(200), "account")
    assert (made.remainder, made.codes) == ("smallest-account", frozenset(["REBALANCE"]))
    assert made.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()


def test_a_key_may_stand_outside_its_table() -> None:
    assert plan.parse(b"method = 'pro-rata'\nlot = 100").lot == 100


def test_terms_of_a_policy_without_a_method_mean_pro_rata() -> None:
    assert plan.parse(b"minimum = 100").method == "pro-rata"
    assert plan.parse(b"lot = 100").method == "", "a lot alone is a lot, not a policy"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("lots = 5", "lots"), ("[policy]\nmethod = 'fair'", "policy.method"), ("[policy]\nlot = 0", "policy.lot"),
        ("[thresholds]\namber = 1.5", "thresholds.amber"), ("[test]\npermutations = 5", "permutations"),
        ("[test]\nmeasure = 'open'", "measure"), ("[window]\nfrom = '2026-01-01'", "window.from"),
        ("[groups]\nown = 5", "groups"), ("[groups]\nunion = ['A']", "union"), ("x = ", "TOML"),
        ("[thresholds]\namber = 0.001\nred = 0.01", "red"), ("[window]\nfrom = 2026-02-01\nto = 2026-01-01", "to"),
        ("[test]\nstrata = ['symbol']", "strata"), ("[policy]\nties = 'me'", "ties"),
    ],
)  # fmt: skip
def test_a_wrong_plan_names_file_and_key(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word) as raised:
        plan.load(path)
    assert "plan.toml" in str(raised.value)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_plan_fixed_before_its_window_is_fixed_and_an_edited_one_post_hoc(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TEXT)
    assert plan.load(path).status == "post hoc", "nobody can tell when it was written"
    plan.write_fixing(path, at("2026-02-28T12:00:00"))
    assert plan.load(path).status == "fixed"
    path.write_text(TEXT + "# a comment\n")
    edited = plan.load(path)
    assert (edited.status, "edited" in edited.status_text) == ("post hoc", True)
    with pytest.raises(ConfigError, match="fixed already"):
        plan.write_fixing(path, at("2026-02-28T12:00:00"))


def test_a_plan_fixed_in_its_window_is_post_hoc(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(TEXT)
    plan.write_fixing(path, at("2026-03-01T00:00:01"))
    assert "window had begun" in plan.load(path).status_text


@pytest.mark.parametrize(("when", "status"), [("2026-03-01T00:00:00", "fixed"), ("2026-03-05T00:00:00", "post hoc")])
def test_without_a_window_the_first_trade_date_counts(tmp_path: Path, when: str, status: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("plan_id = 'open'")
    plan.write_fixing(path, at(when))
    blotter = write(tmp_path / "b.csv", [block(1, {"A": 1}, {"A": 1}, day="2026-03-02")])
    document = run.review(blotter, plan.load(path)).document()
    assert (document["plan"]["status"], document["post_hoc"]) == (status, status == "post hoc")
    assert any(limit.startswith("post hoc") for limit in document["limits"]) == (status == "post hoc")


def test_a_fixing_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("plan_id = 'x'")
    plan.fixing_path(path).write_text(json.dumps({"sha": "1"}))
    with pytest.raises(ConfigError, match=r"plan\.toml\.fixed"):
        plan.load(path)


def test_blocks_outside_the_window_are_left_out_and_said(tmp_path: Path) -> None:
    blocks = [block(k, {"A": 1}, {"A": 1}, day=day) for k, day in enumerate(("2026-02-28", "2026-03-01", "2026-07-01"))]
    document = run.review(write(tmp_path / "b.csv", blocks), plan.parse(TEXT.encode())).document()
    assert document["blocks"] == 1
    assert any("2 blocks outside" in note for note in document["notes"])
