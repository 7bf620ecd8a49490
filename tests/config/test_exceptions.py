"""The list of pre-approved codes: the shipped one, and what is wrong with one's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fixgateway.config import exceptions, settings, setup
from fixgateway.core.conditions import CONDITIONS
from fixgateway.errors import ConfigError

ROOT = Path(__file__).parents[2]
GOOD = """
version = "7"
approved_by = "CCO"
approved_on = 2026-01-02
min_text = 60
empty_phrases = ["as usual"]

[[code]]
code = "ONE"
kinds = ["deviation", "re-designation"]
criterion = "When something that was agreed before happens."
condition = "within-lot"
"""


def test_a_list_is_read_whole() -> None:
    rules, problems = exceptions.parse(GOOD)
    assert problems == []
    assert rules is not None
    assert (rules.version, rules.approved_by, rules.approved_on) == ("7", "CCO", date(2026, 1, 2))
    assert (rules.min_text, rules.empty_phrases, rules.text) == (60, ("as usual",), GOOD)
    found = rules.find("ONE")
    assert found is not None
    assert (found.kinds, found.condition) == (("deviation", "re-designation"), "within-lot")
    assert rules.find("TWO") is None


@pytest.mark.parametrize(
    ("was", "now", "key"),
    [
        ('version = "7"', "", "version"),
        ('version = "7"', "version = 7", "version"),
        ("approved_on = 2026-01-02", 'approved_on = "yesterday"', "approved_on"),
        ("min_text = 60", "min_text = 5", "min_text"),
        ('["as usual"]', '["..."]', "empty_phrases"),
        ('code = "ONE"', 'code = "one"', "code[1].code"),
        ('["deviation", "re-designation"]', "[]", "code[1].kinds"),
        ('["deviation", "re-designation"]', '["gift"]', "code[ONE].kinds"),
        ('criterion = "When something that was agreed before happens."', 'criterion = "x"', "code[1].criterion"),
        ('condition = "within-lot"', 'condition = "within-lots"', "code[ONE].condition"),
        ("[[code]]", "[code]", "code"),
        ("min_text = 60", "mintext = 60", "mintext"),
        (GOOD[GOOD.index("[[code]]") :], "", "code"),
        (GOOD, GOOD + GOOD[GOOD.index("[[code]]") :], "code[ONE]"),
    ],
)
def test_what_is_wrong_is_named(was: str, now: str, key: str) -> None:
    rules, problems = exceptions.parse(GOOD.replace(was, now), "codes.toml")
    assert rules is None
    assert key in {problem.key for problem in problems}, problems
    assert all(problem.file == "codes.toml" and problem.remedy for problem in problems)


def test_the_shipped_list_is_good_and_the_copy_is_one() -> None:
    rules, problems = exceptions.read(None)
    assert problems == []
    assert rules is not None
    assert {kind for code in rules.codes for kind in code.kinds} == {"deviation", "re-designation", "statement-change"}
    copy = (ROOT / "config" / "exceptions.toml").read_text(encoding="utf-8")
    assert copy == exceptions.SHIPPED.read_text(encoding="utf-8")


def test_the_page_names_every_shipped_code_and_every_condition() -> None:
    page = (ROOT / "docs" / "exceptions.md").read_text(encoding="utf-8")
    rules, _ = exceptions.read(None)
    assert rules is not None
    assert [code.code for code in rules.codes if f"`{code.code}`" not in page] == []
    rows = [f"| `{name}` | {meaning} |" for name, (meaning, _) in CONDITIONS.items()]
    assert [row for row in rows if row not in page] == []


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    for name in ("gateway.toml", "policy.toml", "accounts.csv"):
        (tmp_path / name).write_text((ROOT / "config" / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path / "gateway.toml"


def _name_a_list(gateway: Path) -> None:
    text = gateway.read_text(encoding="utf-8")
    gateway.write_text(text.replace('accounts = "accounts.csv"', 'accounts = "accounts.csv"\nexceptions = "own.toml"'))


def test_a_gateway_has_the_shipped_list_or_its_own(gateway: Path) -> None:
    shipped = setup.load(settings.load(gateway)).exceptions
    assert shipped is not None
    assert shipped.find("TRADE-ERROR") is not None
    _name_a_list(gateway)
    with pytest.raises(ConfigError, match=r"policy\.exceptions"):
        settings.load(gateway)
    gateway.with_name("own.toml").write_text(GOOD, encoding="utf-8")
    own = setup.load(settings.load(gateway)).exceptions
    assert own is not None
    assert own.text == GOOD
    gateway.with_name("own.toml").write_text(GOOD.replace("min_text = 60", "min_text = 1"), encoding="utf-8")
    with pytest.raises(ConfigError, match="min_text"):
        setup.load(settings.load(gateway))
    assert any("min_text" in problem.key for problem in setup.problems(str(gateway)))
