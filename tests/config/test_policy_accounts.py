"""policy.toml and accounts.csv."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.config import accounts, policy
from fixgateway.core.model import Completion, Remainder, Ties
from fixgateway.errors import ConfigError

POLICY = """
policy_id = "P"
version = "7"
approved_by = "CCO"
effective_from = 2026-01-01
ties = "account"
"""


def test_policy_defaults_and_values() -> None:
    rules, found = policy.parse(POLICY)
    assert not found
    assert rules is not None
    assert (rules.lot, rules.min_quantity, rules.price_decimals) == (Decimal(1), Decimal(0), 4)
    assert (rules.ties, rules.remainder, rules.completion) == (
        Ties.ACCOUNT,
        Remainder.LARGEST_SHORTFALL,
        Completion.ORDERS,
    )
    assert (rules.timezone, rules.allocate_at, rules.affirm_at) == ("America/New_York", "19:00", "21:00")
    assert rules.text_sha256 == hashlib.sha256(POLICY.encode()).hexdigest()
    assert rules.allowed == ()


def test_numbers_keep_their_text() -> None:
    text = POLICY + 'lot = 0.100\nmin_quantity = 5\n[allowed]\nlot = ["1.50", 2, 0.1]\nties = ["seeded"]\n'
    rules, found = policy.parse(text)
    assert not found
    assert rules is not None
    assert (rules.lot, rules.min_quantity) == (Decimal("0.1"), Decimal(5))
    assert rules.allowed == (("lot", ("1.5", "2", "0.1")), ("ties", ("seeded",)))


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        (POLICY.replace('ties = "account"\n', ""), "ties", "seeded"),
        (POLICY.replace('"account"', '"alphabet"'), "ties", "seeded"),
        (POLICY.replace('version = "7"\n', ""), "version", "add it"),
        (POLICY.replace("2026-01-01", '"2026-01-01"'), "effective_from", "without quotes"),
        (POLICY.replace("2026-01-01", "2026-01-01T00:00:00"), "effective_from", "without quotes"),
        (POLICY + 'lot = "0"\n', "lot", "plain number"),
        (POLICY + "lot = -1\n", "lot", "plain number"),
        (POLICY + "lot = 1e3\n", "lot", "plain number"),
        (POLICY + "lot = nan\n", "lot", "plain number"),
        (POLICY + "lot = true\n", "lot", "plain number"),
        (POLICY + 'method = "best"\n', "method", "pro-rata"),
        (POLICY + 'remainder = "house"\n', "remainder", "largest-shortfall"),
        (POLICY + 'remaindr = "x"\n', "remaindr", "did you mean remainder?"),
        (POLICY + "price_decimals = 12\n", "price_decimals", "0 to 9"),
        (POLICY + "require_memo = 1\n", "require_memo", "true or false"),
        (POLICY + '[deadlines]\nallocate = "7pm"\n', "deadlines.allocate", "HH:MM"),
        (POLICY + '[deadlines]\ntimezone = "NYC"\n', "deadlines.timezone", "America/New_York"),
        (POLICY + '[allowed]\nties = ["any"]\n', "allowed.ties", "list"),
        (POLICY + "[allowed]\nlot = [0]\n", "allowed.lot", "list"),
        (POLICY + "allowed = 3\n", "allowed", "[allowed]"),
    ],
)
def test_policy_problems(text: str, key: str, remedy: str) -> None:
    rules, found = policy.parse(text, "policy.toml")
    assert rules is None
    assert [problem.key for problem in found] == [key]
    assert remedy in found[0].remedy


def test_policy_lists_all_problems_and_load_raises(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("lot = -1\n")
    keys = {problem.key for problem in policy.read(file)[1]}
    assert keys == {"policy_id", "version", "approved_by", "effective_from", "ties", "lot"}
    with pytest.raises(ConfigError, match=r"p\.toml: ties: is missing"):
        policy.load(file)


HEAD = "account,name,class,fee,strategy,status"


def test_accounts_in_any_column_order() -> None:
    text = (
        "\ufeffstatus,account,name,class,fee,strategy,aggregation_permitted,fee_rate,disclosed_on\r\n"
        'active, A-1 ,"Smith, Ann",client,standard,growth,no,0.20,2026-01-31\r\n\r\n'
        "closed,B,B,proprietary,performance,,,,\r\n"
    )
    found = accounts.parse(text.removeprefix("\ufeff"))
    assert not found[1]
    first, second = found[0]
    assert (first.account, first.name, first.aggregation_permitted, first.fee_rate) == (
        "A-1",
        "Smith, Ann",
        False,
        "0.20",
    )
    assert (second.class_, second.fee, second.status, second.aggregation_permitted) == (
        "proprietary", "performance", "closed", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("", "line 1, account", "add the column"),
        (HEAD + ",colour\nA,A,client,standard,x,active,red\n", 'line 1, "colour"', "known columns"),
        (HEAD + ",owwner\nA,A,client,standard,x,active,me\n", 'line 1, "owwner"', "did you mean owner?"),
        (HEAD + ",fee\nA,A,client,standard,x,active,standard\n", "line 1, fee", "remove one"),
        (HEAD + "\nA,A,client,standard,x\n", "line 2", "one cell"),
        (HEAD + "\nA,A,client,standard,x,active,\n", "line 2", "one cell"),
        (HEAD + "\n,A,client,standard,x,active\n", "line 2, account", "fill it in"),
        (HEAD + "\nA,A,friend,standard,x,active\n", "line 2, class", "client"),
        (HEAD + "\nA,A,client,free,x,active\n", "line 2, fee", "performance"),
        (HEAD + "\nA,A,client,standard,x,open\n", "line 2, status", "active"),
        (HEAD + "\nA,A,client,standard,x,active\n\nA,B,client,standard,x,active\n", "line 4, account", "once"),
        (HEAD + "\nA\x01,A,client,standard,x,active\n", "line 2, account", "printable"),
        (HEAD + f"\nA,{'n' * 201},client,standard,x,active\n", "line 2, name", "200"),
        (HEAD + ",fee_rate\nA,A,client,standard,x,active,20%\n", "line 2, fee_rate", "0.20"),
        (HEAD + ",disclosed_on\nA,A,client,standard,x,active,1.1.26\n", "line 2, disclosed_on", "YYYY-MM-DD"),
        (HEAD + ",new_issue_restricted\nA,A,client,standard,x,active,so\n", "line 2, new_issue_restricted", "yes"),
        (HEAD + '\nA,"A,client,standard,x,active\n', "line 2", "quotes"),
        (HEAD + "\n", "", "every account"),
    ],
)  # fmt: skip
def test_account_problems(text: str, key: str, remedy: str) -> None:
    rows, found = accounts.parse(text)
    assert rows == ()
    assert key in [problem.key for problem in found]
    assert any(remedy in problem.remedy for problem in found if problem.key == key)


def test_account_problems_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(HEAD + "\nA,,friend,free,x,active\nB,B,client,standard,x,gone\n")
    assert {problem.key for problem in accounts.read(file)[1]} == {
        "line 2, name", "line 2, class", "line 2, fee", "line 3, status",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="line 3, status"):
        accounts.load(file)


@given(st.text(max_size=200) | st.text(alphabet='a,"\n\r=[]\x00 ', max_size=60))
def test_any_text_gives_problems_or_values_never_a_crash(text: str) -> None:
    rows, found = accounts.parse(text)
    assert bool(rows) != bool(found)
    rules, wrong = policy.parse(text)
    assert (rules is None) == bool(wrong)
