"""A preview is what the gateway would do: every method, weights, holdings, minimums, overfills, executed prices."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from worlds import ACCOUNTS, SETUP, World, one

from fixgateway.config import policy as policy_file
from fixgateway.config import statements
from fixgateway.config.preview import UNNAMED, breaches, preview
from fixgateway.core.model import Holding, Method, Overfill, Policy, Rounding, Ties
from fixgateway.core.outputs import SendAllocation, StatementAllocated
from fixgateway.errors import StatementFileError, UsageError

WORKED = [
    {"account": "CLIENT-A", "quantity": "25000"}, {"account": "CLIENT-B", "quantity": "10000"},
    {"account": "CLIENT-C", "quantity": "5000"}, {"account": "PROP", "quantity": "10000"},
]  # fmt: skip


def source(lines: list[dict[str, str]] | None = None, **more: Any) -> statements.Source:
    body = {"statement_id": "S-1", "symbol": "XYZ", "side": "buy", "lines": WORKED if lines is None else lines, **more}
    return statements.parse(json.dumps(body).encode(), ".json")


def quantities(document: dict[str, Any]) -> dict[str, str]:
    return {line["account"]: line["quantity"] for line in document["lines"]}


# ---------------------------------------------------------------- the engine's own arithmetic


@pytest.mark.parametrize("method", ["pro-rata", "rotation", "price-time", "client-priority"])
@pytest.mark.parametrize("ties", ["account", "smallest", "largest", "seeded"])
def test_it_says_what_the_engine_then_does(method: str, ties: str) -> None:
    """The same statement registered, ordered and filled: the same trace, the same money, account by account."""
    rules = replace(SETUP.policy, method=Method(method), ties=Ties(ties), tiers=(("client",), ("proprietary",)))
    setup = replace(SETUP, policy=rules, money=True)
    limits = [{**line, "limit": str(100 + n % 2)} if method == "price-time" else line for n, line in enumerate(WORKED)]
    asked = source(limits, seed="11" * 32, trade_date="2026-11-23")
    world = World(setup)
    world.submit(replace(asked.draft, total="50000"), seed="11" * 32)
    world.order("C1", "50000")
    world.fill("20001", "100.005")
    world.fill("13332", "101")
    outputs = world.operate("close", "S-1")
    decided, sent = one(outputs, StatementAllocated), one(outputs, SendAllocation).allocation
    said = preview(asked, "", fills=("20001@100.005", "13332@101"), setup=setup)
    assert said.target.lines == decided.lines
    assert said.allocation is not None
    assert said.allocation.shares == sent.shares
    assert (said.allocation.residual_cash, said.allocation.avg_px) == (sent.residual_cash, sent.avg_px)


def test_statements_by_weights() -> None:
    lines = [{"account": "A", "weight": "33.4"}, {"account": "B", "weight": "33.3"}, {"account": "C", "weight": "33.3"}]
    document = preview(source(lines, basis="percent", total="1000", ties="account"), "500").document()
    assert [(line["intent"], line["weight"]) for line in document["lines"]] == [
        ("334", "33.4"), ("333", "33.3"), ("333", "33.3"),
    ]  # fmt: skip
    # 167, 166 1/2, 166 1/2: the odd unit by account.
    assert quantities(document) == {"A": "167", "B": "167", "C": "166"}
    equal = preview(source([{"account": "A"}, {"account": "B"}], basis="equal", total="11", ties="account"), "11")
    assert quantities(equal.document()) == {"A": "6", "B": "5"}


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ([{"account": "A", "weight": "50"}], {"basis": "percent"}, "total: basis percent divides a total"),
        ([{"account": "A", "weight": "50"}], {"basis": "percent", "total": "10"}, "add up to 50, not to 100"),
        ([{"account": "A"}], {"basis": "cash", "total": "10"}, "line 1, weight: basis cash"),
        ([{"account": "A", "quantity": "1", "limit": "9"}], {}, "line 1, limit: method pro-rata reads no limit"),
        (None, {"method": "client-priority"}, "accounts' classes"),
        (None, {"side": "up"}, 'side: "up" is unknown'),
    ],
)
def test_what_cannot_be_divided_is_told(lines: Any, more: dict[str, str], words: str) -> None:
    with pytest.raises(StatementFileError, match=words):
        preview(source(lines, **more), "10")


# ---------------------------------------------------------------- executed prices


def test_high_low_hands_out_the_fills_themselves() -> None:
    """docs/allocation.md, NFA Interpretive Notice 9029: the highest prices to the highest account numbers."""
    lines = [{"account": "8", "quantity": "5"}, {"account": "9", "quantity": "3"}, {"account": "10", "quantity": "2"}]
    document = preview(source(lines, method="high-low"), "", fills=("4@102", "3@101", "3@100")).document()
    pieces = {line["account"]: [(p["quantity"], p["price"]) for p in line["pieces"]] for line in document["lines"]}
    assert pieces == {"10": [("2", "102")], "9": [("2", "102"), ("1", "101")], "8": [("2", "101"), ("3", "100")]}
    assert (document["filled"], document["gross"], document["residual_cash"]) == ("10", "1011", "0")


def test_min_dispersion_gives_both_one_of_each() -> None:
    lines = [{"account": "A", "quantity": "2"}, {"account": "B", "quantity": "2"}]
    document = preview(source(lines, method="min-dispersion"), "4", fills=("2@101", "2@99")).document()
    assert [line["pieces"] for line in document["lines"]] == [
        [{"quantity": "1", "price": "101"}, {"quantity": "1", "price": "99"}]
    ] * 2


@pytest.mark.parametrize(
    ("filled", "price", "fills", "words"),
    [
        ("", "", ("4",), "not QTY@PRICE"),
        ("", "", ("4@1e2",), "not a plain number"),
        ("", "", ("0@1",), "fills nothing"),
        ("5", "", ("4@1",), "the fills add up to 4"),
        ("4", "1", ("4@1",), "fills name their own prices"),
    ],
)
def test_fills_that_do_not_agree(filled: str, price: str, fills: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        preview(source(), filled, price, fills=fills)


# ---------------------------------------------------------------- money, minimums, bounds


def test_the_specification_s_average_and_its_cents() -> None:
    """FIX 4.2 Errata 20010501: 100.1389; three accounts of 3,000 cost 901,250.00 and 10 cents less than written."""
    lines = [{"account": name, "quantity": "3000"} for name in "ABC"]
    fills = ("3000@100", "1000@100.25", "3000@100", "2000@100.50")
    document = preview(source(lines, ties="account"), "", fills=fills).document()
    assert (document["avg_px"], document["gross"], document["fills_money"], document["residual_cash"]) == (
        "100.1389", "901250.1", "901250", "-0.1",
    )  # fmt: skip
    assert sorted(line["residual"] for line in document["lines"]) == ["-0.03", "-0.03", "-0.04"]


def test_proprietary_accounts_bear_no_cents() -> None:
    document = preview(source(), "30000", "100.00005", setup=SETUP).document()
    (own,) = (line for line in document["lines"] if line["account"] == "PROP")
    assert (own["residual"], document["residual_to"]) == ("0", "accounts")
    assert document["residual_cash"] != "0"


def test_where_everybody_is_below_the_minimum_it_shows_the_cut_off_s_division() -> None:
    lines = [{"account": "A", "quantity": "60"}, {"account": "B", "quantity": "40"}]
    document = preview(source(lines, min_quantity="50", ties="account"), "10").document()
    assert quantities(document) == {"A": "6", "B": "4"}
    assert any("waits for more fills" in note for note in document["notes"])
    kept = preview(source(lines, min_quantity="20", ties="account"), "49").document()
    assert quantities(kept) == {"A": "49", "B": "0"}
    assert kept["lines"][1]["why"].startswith("left out: its exact share 19 3/5 was below its minimum")


def test_an_overfill_goes_where_the_policy_says() -> None:
    rules = replace(UNNAMED, overfill=Overfill.ERROR_ACCOUNT, error_account="ERR")
    document = preview(source(), "50007", "", rules).document()
    assert (quantities(document)["ERR"], document["unallocated"]) == ("7", "0")
    assert document["lines"][-1]["why"] == "the error account takes 7, filled above what the accounts may have"


def test_sells_are_capped_by_the_holdings_file() -> None:
    rules = replace(SETUP.policy, sellable=True, ties=Ties.ACCOUNT)
    held = tuple(Holding(a.account, "XYZ", Decimal(30_000), date(2026, 11, 23)) for a in ACCOUNTS)
    setup = replace(SETUP, policy=rules, holdings=held)
    document = preview(source(side="sell"), "30000", setup=setup).document()
    assert [line["cap"] for line in document["lines"]] == ["30000"] * 4
    short = replace(setup, holdings=tuple(replace(row, quantity=Decimal(20_000)) for row in held))
    with pytest.raises(StatementFileError, match="CLIENT-A may sell 20000 XYZ"):
        preview(source(side="sell"), "30000", setup=short)


def test_roundings_are_the_policy_s() -> None:
    """Balinski and Young: 26 units of 1500/1500/900/500/500/200 (docs/allocation.md)."""
    weights = (1500, 1500, 900, 500, 500, 200)
    lines = [{"account": f"A{n}", "quantity": str(weight)} for n, weight in enumerate(weights)]

    def split(rounding: Rounding, filled: str) -> list[str]:
        rules = replace(UNNAMED, rounding=rounding, ties=Ties.ACCOUNT)
        return list(quantities(preview(source(lines), filled, "", rules).document()).values())

    assert split(Rounding.LARGEST_REMAINDER, "25") == ["7", "7", "4", "3", "3", "1"]
    assert split(Rounding.LARGEST_REMAINDER, "26") == ["8", "8", "5", "2", "2", "1"]
    before, after = split(Rounding.QUOTA, "25"), split(Rounding.QUOTA, "26")
    assert all(int(b) >= int(a) for a, b in zip(before, after, strict=True))


def test_accounts_the_file_does_not_know_are_noted() -> None:
    document = preview(source([{"account": "NEW", "quantity": "1"}]), "1", setup=SETUP).document()
    assert "NEW is not in the account file: registration refuses it" in document["notes"]


def test_the_shipped_policy_gives_what_no_policy_gives() -> None:
    """But for the error account, which only a policy can name."""
    rules = policy_file.load(Path(__file__).parents[2] / "config" / "policy.toml")

    def terms(document: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in document.items() if name != "notes"}

    asked = source(seed="ab" * 16)
    assert terms(preview(asked, "33333", "9.99999").document()) == terms(
        preview(asked, "33333", "9.99999", rules).document()
    )


def test_terms_the_policy_does_not_permit_are_noted() -> None:
    notes = preview(source(lot="100", method="client-priority"), "1", setup=SETUP).document()["notes"]
    assert "lot 100 differs from policy P: 1: registration refuses it" in notes
    assert any("names no tiers" in note for note in notes)
    assert not any("refuses" in note for note in preview(source(), "1", setup=SETUP).document()["notes"])


# ---------------------------------------------------------------- a proposed allocation


def cherry(rules: Policy | None = None) -> list[tuple[str, str]]:
    proposed = {"PROP": Decimal(15_000), "CLIENT-A": Decimal(15_000)}
    found = breaches(source(), proposed, "30000", rules, None)["breaches"]
    return [(row["rule"], row["text"]) for row in found]


def test_cherry_picking_is_named() -> None:
    """The worked example: proprietary 15,000 and CLIENT-A 15,000 of 30,000."""
    assert cherry() == [
        ("short-of-computed", "CLIENT-B is short of its computed 6,000 by 6,000"),
        ("short-of-computed", "CLIENT-C is short of its computed 3,000 by 3,000"),
        ("above-intent", "PROP exceeds intent by 5,000"),
        ("above-computed", "PROP is above its computed 6,000 by 9,000"),
    ]


def test_the_right_allocation_has_no_breach() -> None:
    right = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
    document = breaches(source(), {a: Decimal(q) for a, q in right.items()}, "30000", None, None)
    assert document["breaches"] == []


