"""Dictionaries with overlays, and groups read by them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import ConfigError
from fixgateway.wire.dictionary import dictionary_file, load
from fixgateway.wire.groups import entries, layout

FIX44 = load("FIX.4.4")


def pairs(text: str) -> list[tuple[str, str]]:
    return [(tag, value) for tag, _, value in (piece.partition("=") for piece in text.split("|") if piece)]


def test_required_fields_are_those_of_the_specification() -> None:
    assert set(FIX44.message("J").required) == {"70", "71", "626", "857", "54", "53", "6", "75"}
    assert set(FIX44.message("P").required) == {"70", "60", "87"}
    assert set(load("FIX.4.2").message("8").required) == {
        "37",
        "17",
        "20",
        "150",
        "39",
        "55",
        "54",
        "151",
        "14",
        "6",
    }
    assert set(load("FIXT.1.1").message("AS").required) == {"755", "71", "794", "87", "54", "53", "6", "75"}


def test_group_structure() -> None:
    alloc = FIX44.message("J").groups["78"]
    assert alloc.delimiter == "79"
    assert alloc.groups["539"].groups["804"].delimiter == "545"
    assert FIX44.message("D").groups["78"].members == ("79", "661", "736", "467", "539", "80")
    assert FIX44.message("J").groups["73"].members[:2] == ("11", "37")
    assert load("FIX.4.2").message("J").groups["78"].members[:4] == ("79", "366", "80", "81")


def test_header_trailer_data_and_names() -> None:
    assert {"8", "97", "115", "628", "1128"} <= FIX44.header
    assert FIX44.trailer == {"93", "89", "10"}
    assert FIX44.data_of["354"] == "355"
    assert load("FIXT.1.1").data_of["1525"] == "1527"  # not neighbours, so only the names tell
    assert (FIX44.name("11"), FIX44.name("9999")) == ("ClOrdID", "")
    assert FIX44.message("D").name == "NewOrderSingle"
    assert FIX44.message("zz").groups == {}


def test_unknown_version_and_missing_file_name_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"FIX\.9\.9.*FIX\.4\.4"):
        load("FIX.9.9")
    with pytest.raises(ConfigError, match=r"NOPE\.xml.*install it again"):
        dictionary_file("NOPE")


def test_overlay_adds_fields_data_members_and_groups(tmp_path: Path) -> None:
    file = tmp_path / "vendor.toml"
    file.write_text(
        '[fields]\n9001 = "StatementRef"\n[data]\n9010 = 9011\n[messages.D]\nfields = [9001]\n'
        "[messages.J.groups.78]\nmembers = [5751]\n[messages.J.groups.9100]\nmembers = [9101, 9102]\n"
        "[messages.J.groups.78.groups.9200]\nmembers = [9201]\n"
    )
    overlaid = load("FIX.4.4", (file,))
    assert overlaid.name("9001") == "StatementRef"
    assert overlaid.data_of["9010"] == "9011"
    assert "9001" in overlaid.message("D").tags
    alloc = overlaid.message("J").groups["78"]
    assert {"5751", "9200", "79"} <= alloc.tags
    assert alloc.groups["9200"].delimiter == "9201"
    assert overlaid.message("J").groups["9100"].delimiter == "9101"
    assert "9001" not in FIX44.message("D").tags


@pytest.mark.parametrize(("text", "names"), [
    ("[extra]\n", "extra"),
    ("[fields]\nx = 'A'\n", "fields.x"),
    ("[fields]\n9001 = 5\n", "fields.9001"),
    ("[data]\n9010 = 'x'\n", "data.9010"),
    ("[messages.D]\nfields = ['x']\n", "messages.D.fields"),
    ("[messages.D]\ntags = [1]\n", "messages.D"),
    ("[messages.D.groups.78]\nmembers = []\n", "messages.D.groups.78.members"),
    ("[messages.D.groups.x]\nmembers = [1]\n", "messages.D.groups.x"),
    ("not toml", "cannot be read"),
])  # fmt: skip
def test_a_wrong_overlay_is_explained(tmp_path: Path, text: str, names: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=names) as raised:
        load("FIX.4.4", (file,))
    assert str(file) in str(raised.value)


def test_unknown_tags_stay_with_their_entry() -> None:
    # as one vendor sends tax lots: the same account twice, user tags between and behind the members
    body = pairs("70=A|78=2|79=X|5751=L1|80=10|5752=d1|79=X|5751=L2|80=20|5752=d2|58=end|")
    found = layout(body, FIX44.message("J").groups)
    first, second = found.blocks["78"].entries
    assert first.pairs == pairs("79=X|5751=L1|80=10|5752=d1|")
    assert (second.get("80"), second.get("5752"), second.get("1", "-")) == ("20", "d2", "-")
    assert found.fields == {"70": "A", "78": "2", "58": "end"}
    assert found.blocks["78"].problem == ""


def test_groups_inside_groups() -> None:
    body = pairs("78=2|79=A|539=2|524=P|525=D|538=1|804=1|545=S|805=2|524=Q|80=5|79=B|80=6|153=1|54=1|")
    block = layout(body, FIX44.message("J").groups).blocks["78"]
    assert [entry.get("80") for entry in block.entries] == ["5", "6"]
    parties = block.entries[0].blocks["539"]
    assert [party.get("524") for party in parties.entries] == ["P", "Q"]
    assert parties.entries[0].blocks["804"].entries[0].get("805") == "2"
    assert block.problem == parties.problem == ""


@pytest.mark.parametrize(("text", "problem"), [
    ("78=3|79=A|80=1|79=B|80=2|", "78=3 but 2 entries follow"),
    ("78=1|79=A|80=1|79=B|80=2|", "78=1 but 2 entries follow"),
    ("78=0|79=A|80=1|", "78=0 but 1 entries follow"),
    ("78=1|54=1|", "78=1 but 0 entries follow"),
    ("78=1|80=5|79=A|", "do not start with 79"),
    ("78=x|79=A|80=1|", "not a plain number"),
    ("78=01|79=A|80=1|", "not a plain number"),
    ("78=|79=A|80=1|", "not a plain number"),
    ("78=1|79=A|539=2|524=P|80=1|", "539=2 but 1 entries follow"),
])  # fmt: skip
def test_a_count_that_lies_is_told(text: str, problem: str) -> None:
    found = layout(pairs(text), FIX44.message("D").groups)
    assert problem in " ".join(block.problem for block in found.all_blocks())


def test_entries_of_one_group() -> None:
    group = FIX44.message("D").groups["78"]
    body = pairs("78=2|79=A|80=1|79=B|80=2|")
    assert [entry.get("79") for entry in entries(body, "78", group)] == ["A", "B"]
    assert entries(pairs("11=A|"), "78", group) == []


ANY_TAG = st.sampled_from(
    [
        "11",
        "37",
        "38",
        "54",
        "70",
        "73",
        "78",
        "79",
        "80",
        "539",
        "524",
        "804",
        "545",
        "9001",
        "136",
        "137",
        "453",
        "448",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ANY_TAG, st.sampled_from(["0", "1", "2", "x", "A"])), max_size=25))
def test_layout_loses_and_doubles_nothing(body: list[tuple[str, str]]) -> None:
    found = layout(body, FIX44.message("J").groups)
    parts = list(found.top)
    for block in found.all_blocks():
        parts += [pair for entry in block.entries for pair in entry.pairs]
    assert sorted(parts) == sorted(body)
