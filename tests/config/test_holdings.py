"""The holdings file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from fixgateway.config import holdings, settings, setup
from fixgateway.core.model import Holding

HEAD = "account,symbol,quantity,as_of\n"
SHIPPED = Path(__file__).parents[2] / "config"


def test_rows_in_any_order_of_columns() -> None:
    found, problems = holdings.parse("as_of, symbol,quantity,account\n2026-11-23,XYZ,10.50,CLIENT-A\n\n")
    assert (found, problems) == ((Holding("CLIENT-A", "XYZ", Decimal("10.50"), date(2026, 11, 23)),), [])


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("account,symbol,quantity\n", "line 1", "has the columns"),
        ("", "line 1", "(none)"),
        (HEAD + "A,XYZ,10\n", "line 2", "one cell for each column"),
        (HEAD + "A,XYZ,10,2026-11-23,more\n", "line 2", "one cell for each column"),
        (HEAD + "A,XYZ,-1,2026-11-23\n", "line 2, quantity", "no plain number"),
        (HEAD + "A,XYZ,1,23.11.2026\n", "line 2, as_of", "no date"),
        (HEAD + "A,,1,2026-11-23\n", "line 2, symbol", "is empty"),
        (HEAD + "B,XYZ,1,2026-11-23\n", "line 2, account", "not in the account file"),
        (HEAD + "A,XYZ,1,2026-11-23\nA,XYZ,2,2026-11-23\n", "line 3", "are on line 2 too"),
        (HEAD + 'A,"X"YZ,1,2026-11-23\n', "line 2", "is no CSV"),
    ],
)
def test_every_problem_names_its_line(text: str, where: str, words: str) -> None:
    found, problems = holdings.parse(text, "h.csv", frozenset(("A",)))
    assert found == ()
    assert (problems[0].file, problems[0].key) == ("h.csv", where)
    assert words in problems[0].text


def test_the_file_is_read_with_the_accounts(tmp_path: Path) -> None:
    for name in ("gateway.toml", "policy.toml", "accounts.csv"):
        (tmp_path / name).write_text((SHIPPED / name).read_text())
    gateway, policy = tmp_path / "gateway.toml", tmp_path / "policy.toml"
    policy.write_text(policy.read_text().replace("sellable = false", "sellable = true"))
    (problem,) = setup.problems(str(gateway))
    assert (problem.key, "every sell would be refused" in problem.text) == ("policy.holdings", True)
    gateway.write_text(gateway.read_text().replace("[policy]", '[policy]\nholdings = "h.csv"'))
    (problem,) = setup.problems(str(gateway))
    assert problem.key == "policy.holdings"
    (tmp_path / "h.csv").write_text(HEAD + "CLIENT-A,XYZ,5,2026-11-23\nNOBODY,XYZ,5,2026-11-23\n")
    (problem,) = setup.problems(str(gateway))
    assert problem.key == "line 3, account"
    (tmp_path / "h.csv").write_text(HEAD + "CLIENT-A,XYZ,5,2026-11-23\n")
    assert setup.problems(str(gateway)) == []
    held = setup.load(settings.load(gateway)).holdings
    assert held == (Holding("CLIENT-A", "XYZ", Decimal(5), date(2026, 11, 23)),)
