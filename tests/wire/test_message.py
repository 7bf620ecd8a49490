"""Lossless parsing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import WireError
from fixgateway.wire.message import HEADER_TAGS, TRAILER_TAGS, every_field, intact, join, parse

Frame = Callable[..., str]
ORDER = "11=O-1|21=1|55=XYZ|54=1|60=20261122-14:30:00|38=50000|40=2|44=100.25|70=S-1|9001=x=y|"


def test_header_body_and_trailer_are_told_apart(frame: Frame) -> None:
    text = frame(ORDER, header="50=trader|")
    message = parse(text)
    assert message.msg_type == "D"
    assert message.header == {
        "8": "FIX.4.4", "9": message.header["9"], "35": "D", "34": "2", "49": "OMS1", "50": "trader",
        "52": "20261122-14:30:00.123", "56": "FIXGW",
    }  # fmt: skip
    assert message.body == ORDER.replace("|", "\x01")
    assert message.get("9001") == "x=y"
    assert message.get("999", "-") == "-"
    assert join(message.pairs) == message.body


def test_the_first_of_repeated_tags_wins(frame: Frame) -> None:
    message = parse(frame("11=A|38=1|38=999|11=B|", header="97=N|97=Y|"))
    assert (message.get("11"), message.get("38"), message.header["97"]) == ("A", "1", "N")
    assert [tag for tag, _ in message.pairs] == ["11", "38", "38", "11"]


@pytest.mark.parametrize("text", [
    "", "8=", "hello", "8=FIX.4.4\x019=5\x0135=0\x01", "8=FIX.4.4\x019=5\x0135=0\x0110=000",
    "8=FIX.4.4\x019=5\x0111=A\x0110=000\x01", "8=FIX.4.4\x019=5\x0135=\x0110=000\x01",
    "9=5\x018=FIX.4.4\x0135=0\x0110=000\x01", "8=FIX.4.4\x019=5\x0135=0\x0110=000\x0158=x\x01",
])  # fmt: skip
def test_text_without_a_frame_is_a_wire_error(text: str) -> None:
    with pytest.raises(WireError):
        parse(text)


def test_a_message_without_body(frame: Frame) -> None:
    message = parse(frame("", msg_type="0"))
    assert (message.body, message.pairs, message.fields) == ("", [], {})


def test_data_is_cut_by_its_length_in_bytes(frame: Frame) -> None:
    # "é" is two bytes: 95 counts bytes, the text counts characters
    message = parse(frame("11=A|95=8|96=é|38=9||58=end|"))
    assert message.get("96") == "é\x0138=9\x01"
    assert message.get("38") == ""
    assert message.get("58") == "end"
    assert join(message.pairs) == message.body


def test_data_in_the_header_and_a_signature(frame: Frame) -> None:
    text = frame("11=A|93=4|89=a|10|", header="212=5|213=<|a>=|")
    message = parse(text)
    assert message.header["213"] == "<\x01a>="
    assert message.body == "11=A\x01"
    assert message.header["52"] == "20261122-14:30:00.123"


@pytest.mark.parametrize("length", ["0", "3", "99999999", "-1", "x", "", "9" * 5000, "¹"])
def test_a_wrong_length_is_not_believed(frame: Frame, length: str) -> None:
    message = parse(frame(f"11=A|95={length}|96=ab|38=9|"))
    assert (message.get("96"), message.get("38")) == ("ab", "9")
    assert join(message.pairs) == message.body


def test_a_length_that_ends_inside_a_character_is_not_believed(frame: Frame) -> None:
    message = parse(frame("11=A|354=1|355=é|38=9|"))
    assert (message.get("355"), message.get("38")) == ("é", "9")


def test_pieces_without_equals_stay_with_the_value_before(frame: Frame) -> None:
    message = parse(frame("58=one|two|three|11=A|", msg_type="8"))
    assert message.pairs == [("58", "one\x01two\x01three"), ("11", "A")]
    assert join(message.pairs) == message.body
    assert not message.cut_at_soh


def test_a_piece_between_header_and_body_belongs_to_neither(frame: Frame) -> None:
    message = parse(frame("junk|11=A|"))
    assert message.header["56"] == "FIXGW"
    assert message.body == "11=A\x01"


def test_header_tags_in_the_body_stay_there(frame: Frame) -> None:
    message = parse(frame("11=A|97=Y|10=000|38=5|"))
    assert "97" not in message.header
    assert [tag for tag, _ in message.pairs] == ["11", "97", "10", "38"]


def test_non_utf8_bytes_survive(frame: Frame) -> None:
    raw = b"58=caf\xe9\x01"
    message = parse(frame(raw.decode("utf-8", "surrogateescape"), msg_type="8"))
    assert message.body.encode("utf-8", "surrogateescape") == raw


def test_intact_checks_length_and_sum(frame: Frame) -> None:
    text = frame(ORDER)
    assert intact(text)
    assert not intact(text.replace("38=50000", "38=50001"))
    assert not intact(text.replace("\x0138=50000", ""))
    assert not intact("8=FIX.4.4\x0110=000\x01")
    assert not intact("\ud800")


def test_many_lying_lengths_and_pieces_take_linear_time(frame: Frame) -> None:
    lying = frame("95=99999999|96=é|" * 60_000)
    pieces = frame("58=a|" + "b|" * 200_000)
    assert len(parse(lying).pairs) == 120_000  # seconds, not hours, or the test's time limit ends it
    assert len(parse(pieces).pairs) == 1


TAGS = st.one_of(
    st.integers(1, 1200).map(str).filter(lambda tag: tag not in HEADER_TAGS | TRAILER_TAGS),
    st.sampled_from(["95", "96", "354", "355", "078", "", "+1", "x"]),
)
VALUES = st.text(st.characters(exclude_characters="\x01|", codec="utf-8"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TAGS, VALUES), max_size=12))
def test_every_body_comes_back_as_it_was(frame: Frame, pairs: list[tuple[str, str]]) -> None:
    body = join(pairs)
    message = parse(frame(body, msg_type="8"))
    assert message.body == body
    assert join(message.pairs) == body


SOUP = st.lists(
    st.one_of(
        st.sampled_from(["8=FIX.4.4", "9=5", "35=D", "35=8", "95=3", "96=a", "93=2", "89=x", "10=000", "90=1",
                         "91=x", "78=2", "79=A", "=", "==", "", "213=q", "212=1"]),
        st.text(max_size=6),
    ),
    max_size=14,
).map("\x01".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(SOUP, SOUP.map(lambda soup: f"8=FIX.4.4\x0135=8\x01{soup}\x0110=1\x01"), st.text()))
def test_arbitrary_text_never_raises_anything_else(text: str) -> None:
    every_field(text)
    intact(text)
    with contextlib.suppress(WireError):
        message = parse(text)
        assert message.body in text
        assert join(message.pairs) == message.body
        assert dict(reversed(message.pairs)) == message.fields
