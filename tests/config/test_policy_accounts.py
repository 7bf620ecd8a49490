"""policy.toml and accounts.csv."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.config import accounts, policy
from fixgateway.config.policy_checks import account_problems, version_problem
from fixgateway.core.model import (
    Averaging,
    Basis,
    Completion,
    InstrumentTerms,
    Method,
    Overfill,
    Policy,
    PriceRounding,
    Remainder,
    ResidualCash,
    Ties,
)
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
        (POLICY.replace("2026-01-01", "2026-01-01T00:00:00Z"), "effective_from", "local date-time"),
        (POLICY.replace("2026-01-01", "2026-01-01T00:00:00.5"), "effective_from", "local date-time"),
        (POLICY.replace("2026-01-01", "09:30:00"), "effective_from", "local date-time"),
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
        (POLICY + 'basis = "nav"\n', "basis", '"percent"'),
        (POLICY + 'rounding = "up"\n', "rounding", '"quota"'),
        (POLICY + 'price_rounding = "up"\n', "price_rounding", '"half-even"'),
        (POLICY + 'residual_cash = "house"\n', "residual_cash", '"error-account"'),
        (POLICY + 'overfill = "largest"\n', "overfill", '"unallocated"'),
        (POLICY + 'averaging = "week"\n', "averaging", '"day"'),
        (POLICY + 'interim = "always"\n', "interim", '"on-request"'),
        (POLICY + "min_value = -5\n", "min_value", "plain number"),
        (POLICY + "money_decimals = 7\n", "money_decimals", "0 to 6"),
        (POLICY + "reregistrations = -1\n", "reregistrations", "0 to 1000"),
        (POLICY + 'tiers = [["client"], ["error"]]\n', "tiers", "list of lists"),
        (POLICY + 'tiers = [["client"], []]\n', "tiers", "list of lists"),
        (POLICY + '[allowed]\nmethod = ["best"]\n', "allowed.method", "list"),
        (POLICY + '[allowed]\nbasis = ["nav"]\n', "allowed.basis", "list"),
        (POLICY + '[allowed]\nrounding = ["quota"]\n', "allowed.rounding", "known here"),
        (POLICY + '[instrument]\nsymbol = "X"\n', "instrument", "[[instrument]]"),
        (POLICY + '[[instrument]]\nlot = "5"\n', "instrument[#1].symbol", "add it"),
        (POLICY + '[[instrument]]\nsymbol = "X"\nlot = 0\n', "instrument[X].lot", "plain number"),
        (POLICY + '[[instrument]]\nsymbol = "X"\n', "instrument[X]", "add lot"),
        (POLICY + 2 * '[[instrument]]\nsymbol = "X"\nlot = "5"\n', "instrument[X]", "one [[instrument]]"),
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


def terms(text: str) -> Policy:
    """The policy of the test with more keys."""
    rules, found = policy.parse(POLICY + text)
    assert rules is not None, found
    return rules


def test_every_term_of_a_policy() -> None:
    text = """
method = "client-priority"
basis = "percent"
rounding = "largest-remainder"
remainder = "rotation"
min_value = 1000.50
averaging = "day"
price_rounding = "half-even"
money_decimals = 0
residual_cash = "error-account"
error_account = "ERR"
tiers = [["client"], ["employee", "proprietary"]]
sellable = true
reregistrations = 7
[allowed]
method = ["pro-rata", "price-time"]
basis = ["cash"]
[[instrument]]
symbol = "US912828XX00"
lot = 1000
min_quantity = "100000"
[[instrument]]
symbol = "XYZ"
remainder = "smallest-account"
"""
    rules = terms(text)
    assert (rules.method, rules.basis) == (Method.CLIENT_PRIORITY, Basis.PERCENT)
    assert rules.remainder is Remainder.ROTATION
    assert (rules.min_value, rules.averaging, rules.price_rounding, rules.money_decimals) == (
        Decimal("1000.5"), Averaging.DAY, PriceRounding.HALF_EVEN, 0,
    )  # fmt: skip
    assert (rules.residual_cash, rules.error_account) == (ResidualCash.ERROR_ACCOUNT, "ERR")
    assert rules.overfill is Overfill.ERROR_ACCOUNT  # because an error account is named
    assert (rules.tiers, rules.sellable, rules.reregistrations) == (
        (("client",), ("employee", "proprietary")), True, 7,
    )  # fmt: skip
    assert dict(rules.allowed) == {"method": ("pro-rata", "price-time"), "basis": ("cash",)}
    assert rules.instruments == (
        InstrumentTerms("US912828XX00", Decimal(1000), Decimal(100000)),
        InstrumentTerms("XYZ", remainder=Remainder.SMALLEST_ACCOUNT),
    )
    assert rules.text == POLICY + text


def test_an_overfill_goes_where_the_policy_says() -> None:
    assert terms("").overfill is Overfill.UNALLOCATED
    assert terms('error_account = "E"\n').overfill is Overfill.ERROR_ACCOUNT
    assert terms('error_account = "E"\noverfill = "unallocated"\n').overfill is Overfill.UNALLOCATED


@pytest.mark.parametrize(
    ("written", "day", "at"),
    [
        ("2026-01-01", "2026-01-01", "00:00:00"),
        ("2026-01-01T09:30:00", "2026-01-01", "09:30:00"),
        ("2026-01-01 00:00:00", "2026-01-01", "00:00:00"),
    ],
)
def test_a_policy_is_effective_from_a_date_or_a_local_time(written: str, day: str, at: str) -> None:
    rules, _ = policy.parse(POLICY.replace("2026-01-01", written))
    assert rules is not None
    assert (rules.effective_from.isoformat(), rules.effective_at) == (day, at)


INTERIM = 'interim = "daily"\nrounding = "quota"\n'
HIGH_LOW = 'method = "high-low"\n'
ROTATION = POLICY.replace('"account"', '"rotation"') + 'method = "rotation"\n'
PRIORITY = 'method = "client-priority"\n'


@pytest.mark.parametrize(
    "text",
    [
        POLICY + INTERIM,
        POLICY + INTERIM.replace("daily", "on-request"),
        POLICY + INTERIM + 'averaging = "day"\n',
        POLICY + 'rounding = "carry-forward"\n',
        POLICY.replace('"account"', '"seeded"') + 'rounding = "cumulative-rounding"\n',
        POLICY + HIGH_LOW,
        ROTATION,
        ROTATION.replace('method = "r', 'method = "release-r'),
        POLICY + PRIORITY + 'tiers = [["client"], ["employee"], ["proprietary"]]\n',
        POLICY + PRIORITY + 'tiers = [["client", "employee"], ["proprietary"]]\n',
        POLICY + 'residual_cash = "error-account"\nerror_account = "E"\n',
    ],
)
def test_terms_that_go_together(text: str) -> None:
    assert policy.parse(text)[1] == []


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (POLICY + 'interim = "daily"\n', "rounding", "quota"),
        (POLICY + 'interim = "on-request"\nrounding = "carry-forward"\n', "rounding", "take a share back"),
        (POLICY + INTERIM + "min_quantity = 1\n", "min_quantity", "minimum"),
        (POLICY + INTERIM + "min_value = 1\n", "min_quantity", "minimum"),
        (POLICY + INTERIM + "[allowed]\nmin_quantity = [0, 5]\n", "min_quantity", "minimum"),
        (POLICY + INTERIM + '[[instrument]]\nsymbol = "X"\nmin_quantity = 5\n', "min_quantity", "minimum"),
        (POLICY.replace('"account"', '"seeded"') + INTERIM, "ties", "seed"),
        (POLICY + INTERIM + '[allowed]\nties = ["seeded"]\n', "ties", "seed"),
        (POLICY + INTERIM + HIGH_LOW, "method", "whole fills"),
        (POLICY + INTERIM + '[allowed]\nmethod = ["min-dispersion"]\n', "method", "whole fills"),
        (POLICY + INTERIM.replace("daily", "on-request") + 'averaging = "day"\n', "interim", "day's average"),
        (POLICY + INTERIM + '[deadlines]\nallocate = "off"\n', "deadlines.allocate", "cut-off"),
        (POLICY + HIGH_LOW + 'averaging = "day"\n', "averaging", "own prices"),
        (POLICY + HIGH_LOW + 'rounding = "carry-forward"\n', "rounding", "pro-rata"),
        (POLICY + 'rounding = "cumulative-rounding"\n', "ties", "seed"),
        (POLICY + 'method = "rotation"\n', "ties", "turn"),
        (ROTATION + "min_quantity = 5\n", "min_quantity", "drops nobody"),
        (ROTATION.replace('method = "r', 'method = "release-r') + 'basis = "equal"\n', "basis", "own"),
        (ROTATION.replace('method = "r', 'method = "release-r') + 'averaging = "day"\n', "averaging", "their own"),
        (POLICY + PRIORITY, "tiers", "missing"),
        (POLICY + '[allowed]\nmethod = ["client-priority"]\n', "tiers", "missing"),
        (POLICY + 'tiers = [["client"], ["proprietary"]]\n', "tiers", "not at all"),
        (POLICY + 'tiers = [["client"], ["client", "employee"], ["proprietary"]]\n', "tiers", "twice"),
        (POLICY + 'tiers = [["proprietary"], ["employee"], ["client"]]\n', "tiers", "clients first"),
        (POLICY + 'tiers = [["client", "proprietary", "employee"]]\n', "tiers", "own accounts last"),
        (POLICY + 'overfill = "error-account"\n', "error_account", "overfill"),
        (POLICY + 'residual_cash = "error-account"\n', "error_account", "residual cash"),
    ],
)
def test_terms_that_do_not_go_together(text: str, key: str, words: str) -> None:
    rules, found = policy.parse(text)
    assert rules is None
    assert [problem.key for problem in found] == [key]
    assert words in found[0].text
    assert found[0].remedy


def test_the_error_account_is_one_of_class_error() -> None:
    rules = terms('error_account = "E"\n')

    def problems(row: str) -> list[str]:
        rows, _ = accounts.parse(f"{HEAD}\nA,A,client,standard,x,active\n{row}")
        return [str(x) for x in account_problems(rules, {a.account: a for a in rows}, "p.toml")]

    assert problems("E,E,error,standard,x,active\n") == []
    assert "is not in the account file" in problems("F,F,error,standard,x,active\n")[0]
    assert "of class client" in problems("E,E,client,standard,x,active\n")[0]
    assert "is closed" in problems("E,E,error,standard,x,closed\n")[0]


def test_a_changed_text_needs_a_new_version() -> None:
    was = terms("")
    assert list(version_problem(was, None, "p.toml")) == []
    assert list(version_problem(was, was, "p.toml")) == []
    (found,) = version_problem(terms("# a comment\n"), was, "p.toml")
    assert (found.key, "new version" in found.remedy) == ("version", True)
    assert was.text_sha256[:16] in found.text


def test_the_shipped_policy_names_its_terms_and_an_error_account() -> None:
    folder = Path(__file__).parents[2] / "config"
    rules, rows = policy.load(folder / "policy.toml"), accounts.load(folder / "accounts.csv")
    assert list(account_problems(rules, {row.account: row for row in rows}, "")) == []
    written = set(re.findall(r"^(\w+) = ", rules.text, re.MULTILINE))
    not_needed = {"min_value", "tiers", "approved_on", "disclosed_on", "exceptions_wait"}
    assert set(policy.Terms.model_fields) - written == not_needed
    assert (rules.overfill, rules.error_account) == (Overfill.ERROR_ACCOUNT, "ERROR")


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
        (HEAD + ",represented_on\nA,A,client,standard,x,active,1.1.26\n", "line 2, represented_on", "YYYY-MM-DD"),
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
