"""Reading a blotter: every cell exact, every bad row listed with its line, none dropped silently."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from blotters import COLUMNS, Row, block

from fixgateway.errors import UsageError
from fixgateway.forensics import blotter
from fixgateway.forensics.blotter import Blotter

INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
HONEST = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
DAY = "2025-03-03"


def write(path: Path, made: Sequence[Row], columns: Sequence[str] = ()) -> Path:
    extra = dict.fromkeys(name for row in made for name in row if name not in COLUMNS)
    with path.open("w", encoding="utf-8", newline="") as stream:
        names = list(columns) or [*COLUMNS, *extra]
        writer = csv.DictWriter(stream, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)
    return path


def read(tmp_path: Path, made: Sequence[Row], columns: Sequence[str] = ()) -> Blotter:
    return blotter.read(write(tmp_path / "b.csv", made, columns))


def two() -> list[Row]:
    return [*block(1, HONEST, INTENTS, close="101", day=DAY), *block(2, HONEST, INTENTS, close="99.5", day=DAY)]


def listed(found: Blotter) -> dict[int, str]:
    return {problem.line: problem.reason for problem in found.problems}


def test_rows_and_blocks_are_counted_exactly(tmp_path: Path) -> None:
    made = two()
    made[0]["alloc_qty"] = "15000.25"
    found = read(tmp_path, made)
    assert (found.quantity_scale, found.price_scale) == (100, 10)
    assert found.rows["alloc"].to_list()[:4] == [1500025, 600000, 300000, 600000]
    assert found.blocks["close"].to_list() == [1010, 995]
    assert found.problems == ()


def test_columns_and_rows_stand_in_any_order(tmp_path: Path) -> None:
    made = two()
    mixed = random.Random(1).sample(made, len(made))
    columns = random.Random(2).sample(list(COLUMNS), len(COLUMNS))
    one, other = read(tmp_path, made), read(tmp_path, mixed, columns)
    assert one.rows.drop("line").equals(other.rows.drop("line"))
    assert one.blocks.drop("line").equals(other.blocks.drop("line"))


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        read(tmp_path, two(), [name for name in COLUMNS if name != missing])


@pytest.mark.parametrize(
    ("column", "text", "word"),
    [
        ("trade_date", "03/03/2025", "date"), ("side", "long", "side"), ("account_class", "fund", "account_class"),
        ("fee", "gold", "fee"), ("alloc_qty", "many", "alloc_qty"), ("alloc_qty", "", "alloc_qty"),
        ("alloc_qty", "-5", "alloc_qty"), ("alloc_qty", "1e5", "alloc_qty"), ("alloc_qty", "1,000", "alloc_qty"),
        ("intent_qty", "x", "intent_qty"), ("price", "0", "price"), ("price", "", "price"),
        ("close_price", "n/a", "close_price"), ("close_price", "-1", "close_price"),
        ("captured_at", "2025-03-03T09:30:00", "offset"), ("released_at", "yesterday", "released_at"),
        ("account", "", "account"),
    ],
)  # fmt: skip
def test_a_bad_cell_is_listed_with_line_and_reason(tmp_path: Path, column: str, text: str, word: str) -> None:
    made = two()
    for row in made[4:] if column in ("trade_date", "side", "close_price", "captured_at", "released_at") else made[5:6]:
        row[column] = text
    found = read(tmp_path, made)
    lines = listed(found)
    assert set(lines) == {6, 7, 8, 9}, "every row of the block is accounted for"
    assert any(word in reason for reason in lines.values())
    assert found.set_aside == 1
    assert found.blocks["block_id"].to_list() == ["B00001"]
    assert len(found.rows) + len(lines) == len(made)


def test_rows_of_a_block_that_disagree_are_listed(tmp_path: Path) -> None:
    made = two()
    made[2]["close_price"] = "102"
    found = read(tmp_path, made)
    assert "close_price: not what line 2" in listed(found)[4]
    assert found.blocks["block_id"].to_list() == ["B00002"]


def test_a_second_row_of_an_account_in_a_block_is_listed(tmp_path: Path) -> None:
    made = two()
    found = read(tmp_path, [*made, dict(made[0])])
    assert "second row" in listed(found)[10]


def test_a_record_with_a_cell_too_many_is_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "b.csv", two())
    lines = path.read_text().splitlines()
    lines[2] += ",more"
    path.write_text("\n".join(lines))
    found = blotter.read(path)
    assert "20 cells, the header has 19" in listed(found)[3]
    assert set(listed(found)) == {2, 3, 4, 5}


def test_quoted_cells_may_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    made = two()
    for row in made:
        row["exception_text"] = ""
    made[1]["exception_text"] = 'a "quote",\nand a line'
    made[6]["alloc_qty"] = "x"
    found = read(tmp_path, made)
    assert found.rows["exception_text"].to_list()[1] == 'a "quote",\nand a line'
    assert min(listed(found)) == 7, "lines are the file's own: one record takes two"
    assert "alloc_qty" in listed(found)[9]


def test_a_quote_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "b.csv", two())
    path.write_text(path.read_text() + '"B-3,2025')
    with pytest.raises(UsageError, match=r"line 10.*quote"):
        blotter.read(path)


@pytest.mark.parametrize(
    "text",
    ["2025-03-03T14:30:00Z", "2025-03-03T14:30:00.000000000+00:00", "2025-03-03 09:30:00-05:00", "20250303T093000-0500",
     "2025-03-03T09:30-05:00"],
)  # fmt: skip
def test_times_are_iso_8601_with_any_offset(tmp_path: Path, text: str) -> None:
    made = two()
    for row in made:
        row["captured_at"] = text
    assert set(read(tmp_path, made).blocks["captured_ns"]) == {1741012200 * 10**9}


def test_windows_files_read_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "b.csv", two())
    one = blotter.read(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert blotter.read(path).rows.equals(one.rows)


def test_pieces_of_any_size_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [row for i in range(200) for row in block(i, HONEST, INTENTS, close="101" if i % 3 else "99.125", day=DAY)]
    made[17]["alloc_qty"], made[401]["price"] = "6000.5", "oops"
    made[30]["trader"] = 'a "b", c'
    path = write(tmp_path / "b.csv", made)
    whole = blotter.read(path)
    monkeypatch.setattr(blotter, "PIECE_BYTES", 4096)
    pieces = blotter.read(path)
    assert pieces.rows.cast({pl.Categorical: pl.String}).equals(whole.rows.cast({pl.Categorical: pl.String}))
    assert pieces.blocks.equals(whole.blocks)
    assert pieces.problems == whole.problems
    assert len(whole.problems) == 4


def test_an_empty_blotter_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "b.csv", [], list(COLUMNS))
    found = blotter.read(path)
    assert (len(found.rows), len(found.blocks)) == (0, 0)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--blotter"):
        blotter.read(tmp_path / "none.csv")
