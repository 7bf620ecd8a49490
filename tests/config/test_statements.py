"""Statement files: JSON and CSV give the same draft; anything else gives StatementFileError and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.config import statements
from fixgateway.config.preview import preview
from fixgateway.core.model import MAX_LINES, Draft
from fixgateway.errors import StatementFileError, UsageError

SHIPPED = Path(__file__).parents[2] / "config" / "statements"
LINES = [{"account": "A", "quantity": "60"}, {"account": "B", "quantity": "40"}]
SMALL: dict[str, Any] = {
    "statement_id": "S-1", "trade_date": "2026-11-22", "symbol": "XYZ", "side": "buy", "lines": LINES,
}  # fmt: skip


def from_json(text: str) -> statements.Source:
    return statements.parse(text.encode(), ".json", "s.json")


def from_csv(text: str) -> statements.Source:
    return statements.parse(text.encode(), ".csv", "s.csv")


def content(draft: Draft) -> dict[str, Any]:
    return statements.to_object(statements.Source(draft, ""))


def test_the_shipped_examples_say_the_same() -> None:
    by_json = statements.load(SHIPPED / "worked-example.json")
    by_csv = statements.load(SHIPPED / "worked-example.csv")
    assert content(by_json) == content(by_csv) == json.loads((SHIPPED / "worked-example.json").read_text())


def test_columns_in_any_order_and_repeated_values_may_be_left_out() -> None:
    source = from_csv(
        "\ufeffquantity,side, account ,statement_id,brokers,cl_ord_ids,min_quantity\r\n"
        "60,buy,A,S-1,BRK1; BRK2,C1,5\r\n\r\n40,, B ,,,,\r\n"
    )
    draft = source.draft
    assert (draft.statement_id, draft.side, draft.brokers, draft.cl_ord_ids) == (
        "S-1",
        "buy",
        ("BRK1", "BRK2"),
        ("C1",),
    )
    assert [(x.row, x.account, x.quantity, x.min_quantity) for x in draft.lines] == [
        (2, "A", "60", "5"),
        (4, "B", "40", ""),
    ]
    assert draft.min_quantity == ""


def test_a_minimum_all_rows_agree_on_is_the_statements() -> None:
    draft = from_csv("account,quantity,min_quantity\nA,60,10\nB,40,10\n").draft
    assert draft.min_quantity == "10"
    assert [line.min_quantity for line in draft.lines] == ["", ""]


FULL: dict[str, Any] = {
    **SMALL, "basis": "percent", "reference_price": "10.5", "justification": "one\nprice", "new_issue": "yes",
    "lines": [{"account": "A", "weight": "60", "limit": "9.5", "received_at": "2026-11-22T14:30:00Z"},
              {"account": "B", "weight": "40", "limit": "9", "min_quantity": "5"}],
}  # fmt: skip


def test_every_field_by_json_and_csv() -> None:
    by_json = from_json(json.dumps(FULL)).draft
    csv_text = (
        "account,weight,limit,received_at,min_quantity,basis,reference_price,justification,new_issue,statement_id,"
        "trade_date,symbol,side\n"
        'A,60,9.5,2026-11-22T14:30:00Z,,percent,10.5,"one\nprice",yes,S-1,2026-11-22,XYZ,buy\n'
        "B,40,9,,5,,,,,,,,\n"
    )
    by_csv = from_csv(csv_text).draft
    assert content(by_json) == content(by_csv) == FULL
    assert (by_json.basis, by_json.reference_price, by_json.new_issue) == ("percent", "10.5", "yes")
    first, second = by_csv.lines
    assert (first.weight, first.limit, first.received_at) == ("60", "9.5", "2026-11-22T14:30:00Z")
    assert (second.quantity, second.min_quantity) == ("", "5")
    assert from_json(json.dumps({**SMALL, "new_issue": True})).draft.new_issue == "yes"


def test_equal_shares_need_no_column_but_the_account() -> None:
    draft = from_csv("account,basis,total\nA,equal,100\nB,,\n").draft
    assert (draft.basis, draft.total, [line.quantity for line in draft.lines]) == ("equal", "100", ["", ""])


def test_json_numbers_keep_their_digits() -> None:
    text = '{"statement_id": 7, "lines": [{"account": "A", "quantity": 123456789012345678901234567890}]}'
    draft = from_json(text).draft
    assert (draft.statement_id, draft.lines[0].quantity) == ("7", "123456789012345678901234567890")


@pytest.mark.parametrize("number", ["0.1", "1e3", "-0.0", "NaN", "Infinity", "-Infinity", "1E400"])
def test_json_floats_are_refused(number: str) -> None:
    with pytest.raises(StatementFileError, match=r"line 1: quantity: .* is a float \(write it as text"):
        from_json(f'{{"lines": [{{"account": "A", "quantity": {number}}}]}}')
    with pytest.raises(StatementFileError, match="float"):
        statements.draft_from_json({"lines": [{"account": "A", "quantity": 0.5}]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"line 1, column 1: not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "lines: not a list"),
        ('{"lines": {}}', "lines: not a list"),
        ('{"lines": [1]}', "line 1: not an object"),
        ('{"lines": [], "lines": []}', '"lines" is written twice'),
        ('{"lines": [], "symbl": "X"}', r'"symbl": unknown field \(did you mean symbol\?\)'),
        ('{"lines": [{"acount": "X"}]}', r"line 1: .* \(did you mean account\?\)"),
        ('{"lines": [{"account": "A", "weight": 0.5}]}', "weight: .* is a float"),
        ('{"lines": [], "symbol": ["X"]}', "symbol: not text"),
        ('{"lines": [], "symbol": true}', "symbol: not text"),
        ('{"lines": [], "symbol": "X\\u0001"}', "symbol: control characters"),
        ('{"lines": [], "symbol": "X\\ny"}', "symbol: control characters"),
        ('{"lines": [], "symbol": "\\ud800"}', "symbol: control characters"),
        ('{"lines": [], "brokers": "B"}', "brokers: not a list"),
        ('{"lines": [], "seed": "0g"}', "seed: .* is not hex"),
        ('{"lines": [], "seed": "abc"}', "seed: .* is not hex"),
        (json.dumps({"lines": [], "symbol": "x" * 5000}), "symbol: longer than 4096"),
        (json.dumps({"lines": [], "brokers": ["b"] * 1001}), "brokers: not a list of up to 1000"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_json_problems_name_line_and_field(text: str, words: str) -> None:
    with pytest.raises(StatementFileError, match=rf"^s\.json: .*{words}"):
        from_json(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, account: column is missing"),
        ("account\nA\n", "line 1, quantity: column is missing"),
        ("account,quantity,acount\nA,1,A\n", r"line 1: .*did you mean account\?"),
        ("account,quantity,quantity\nA,1,1\n", "line 1, quantity: column stands twice"),
        ("account,quantity\n", "no rows"),
        ("account,quantity\nA,1\nB\n", "line 3: 1 cells, the header has 2"),
        ("account,quantity,side\nA,1,buy\nB,1,sell\n", 'line 3, side: "sell" differs from "buy" on line 2'),
        ('account,quantity\n"A,1\n', "line 2: not CSV"),
        ("account,quantity\nA\x00,1\n", "line 2: account: control characters"),
        ("account,basis\nA,equal\nB,percent\n", 'line 3, basis: "percent" differs from "equal" on line 2'),
        ("account,quantity\n" + "A,1\n" * (MAX_LINES + 1), f"more than {MAX_LINES} lines"),
    ],
)
def test_csv_problems_name_line_and_field(text: str, words: str) -> None:
    with pytest.raises(StatementFileError, match=rf"^s\.csv: .*{words}"):
        from_csv(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StatementFileError, match="No such file"):
        statements.load(tmp_path / "missing.json")
    with pytest.raises(StatementFileError, match=r"not a \.json or \.csv"):
        statements.load(tmp_path / "s.xlsx")
    (tmp_path / "s.json").write_bytes(b"\xff")
    with pytest.raises(StatementFileError, match="not UTF-8 at byte 0"):
        statements.load(tmp_path / "s.json")
    (tmp_path / "s.csv").write_bytes(b" " * (statements.MAX_FILE_BYTES + 1))
    with pytest.raises(StatementFileError, match="larger than"):
        statements.load(tmp_path / "s.csv")


def test_a_seed_makes_a_submission_refused() -> None:
    source = from_json(json.dumps({**SMALL, "seed": "00ff"}))
    assert source.seed == "00ff"
    assert source.draft.defects == ()
    assert "seed" in source.for_submission().defects[0]
    assert statements.draft_from_json({**SMALL, "discretionary": True}).discretionary == "yes"


def test_an_object_survives_the_round_trip() -> None:
    source = from_json(json.dumps({**SMALL, "seed": "00ff", "brokers": ["B"], "discretionary": False}))
    assert from_json(json.dumps(statements.to_object(source))) == source


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*statements.STATEMENT_FIELDS, "lines", "account", "quantity"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(_json)
def test_any_json_gives_a_draft_or_a_statement_file_error(value: object) -> None:
    drafts: list[Draft] = []
    with suppress(StatementFileError):
        drafts.append(from_json(json.dumps(value)).draft)
    with suppress(StatementFileError):
        drafts.append(statements.draft_from_json(value))
    for draft in drafts:
        json.dumps(statements.to_object(statements.Source(draft, "")), ensure_ascii=False).encode()


_cells = st.sampled_from(
    [*statements.STATEMENT_FIELDS, "account", "quantity", ",", "\n", "\r\n", '"', " ", "1", "A"]
)


@settings(max_examples=200)
@given(st.binary(max_size=80) | st.lists(_cells, max_size=25).map(lambda cells: "".join(cells).encode()))
def test_any_bytes_give_a_draft_or_a_statement_file_error(data: bytes) -> None:
    for suffix in (".json", ".csv"):
        try:
            draft = statements.parse(data, suffix).draft
        except StatementFileError:
            continue
        assert len(draft.lines) <= len(data)


# ---------------------------------------------------------------- preview


def test_the_worked_example() -> None:
    document = preview(statements.read(SHIPPED / "worked-example.json"), "30000", "100").document()
    assert {line["account"]: line["quantity"] for line in document["lines"]} == {
        "CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000",
    }  # fmt: skip
    assert document["lines"][0]["exact"] == "15000/1"
    assert (document["filled"], document["unallocated"], document["price"]) == ("30000", "0", "100")


def test_amounts_are_exact() -> None:
    lines = [{"account": "A", "quantity": "123456789012345.123456789"}]
    source = from_json(json.dumps({**SMALL, "lines": lines}))
    document = preview(source, "123456789012345.123456789", "123456789012345.123456789").document()
    # 123456789012345123456789² as Python integers, with 18 decimals.
    digits = str(123456789012345123456789**2)
    assert document["lines"][0]["amount"] == f"{digits[:-18]}.{digits[-18:]}".rstrip("0")


def test_an_overfill_leaves_the_rest_unallocated() -> None:
    document = preview(from_json(json.dumps(SMALL)), "150").document()
    assert [line["quantity"] for line in document["lines"]] == ["60", "40"]
    assert document["unallocated"] == "50"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lines": []}, "lines: empty"),
        ({"lines": [{"account": "", "quantity": "1"}]}, "line 1, account: missing"),
        ({"lines": [{"account": "A", "quantity": "-1"}]}, 'line 1, quantity: "-1"'),
        ({"lines": [{"account": "A", "quantity": "0"}]}, "line 1, quantity: 0 is not positive"),
        ({"lines": [*LINES, LINES[0]]}, "A is named twice"),
        ({"total": "99"}, "add up to 100"),
        ({"ties": "alphabet"}, 'ties: "alphabet" is unknown'),
        ({"method": "best"}, 'method: "best" is unknown'),
        ({"lot": "0"}, "lot: 0 is not positive"),
        ({"min_quantity": "x"}, "min_quantity"),
    ],
)
def test_what_cannot_be_split(change: dict[str, Any], words: str) -> None:
    with pytest.raises(StatementFileError, match=words):
        preview(from_json(json.dumps({**SMALL, **change})), "10")


@pytest.mark.parametrize(("filled", "price"), [("", ""), ("-1", ""), ("1e3", ""), ("10", "1,5")])
def test_wrong_usage(filled: str, price: str) -> None:
    with pytest.raises(UsageError):
        preview(from_json(json.dumps(SMALL)), filled, price)
