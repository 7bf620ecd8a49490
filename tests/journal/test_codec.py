"""Every input and output class survives the journal, whatever its fields hold."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.inputs import Input, Operator, SessionUp, SubmitStatement, Tick
from fixgateway.core.model import Draft
from fixgateway.core.outputs import Flagged, ForwardToBroker, Output, ResendForbidden
from fixgateway.errors import JournalError
from fixgateway.journal.codec import (
    decode_input,
    decode_json,
    decode_outputs,
    encode_input,
    encode_json,
    encode_outputs,
)

# Text as it comes from the wire: any characters, and bytes that were not UTF-8 as lone surrogates.
WIRE_TEXT = st.text(max_size=8) | st.binary(max_size=6).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: WIRE_TEXT,
    int: st.integers(0, 2**63 - 1),
    bool: st.booleans(),
    date: st.dates(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type the core uses."""
    if hint in LEAVES:
        return LEAVES[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: values_of(hints[field.name]) for field in fields(hint)})
    if get_origin(hint) is UnionType:
        return st.one_of([values_of(part) for part in get_args(hint)])
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        if parts[1:] == (...,):
            return st.lists(values_of(parts[0]), max_size=2).map(tuple)
        return st.tuples(*(values_of(part) for part in parts))
    raise AssertionError(f"no strategy for {hint}")


def same(one: object, other: object) -> bool:
    """Equal, and written the same: 100 and 100.00 are equal Decimals but not the same text."""
    return one == other and repr(one) == repr(other)


@pytest.mark.parametrize("cls", get_args(Input), ids=lambda cls: cls.__name__)
def test_every_input_comes_back(cls: type[Input]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(values_of(cls))
    def comes_back(value: Input) -> None:
        payload = encode_input(value)
        assert same(decode_input(payload, value.seq, value.ts_ns), value)
        document = json.loads(payload)
        assert document[0] == cls.__name__
        assert not {"seq", "ts_ns"} & document[1].keys()

    comes_back()


@pytest.mark.parametrize("cls", get_args(Output), ids=lambda cls: cls.__name__)
def test_every_output_comes_back(cls: type[Output]) -> None:
    @settings(max_examples=25, deadline=None)
    @given(LEAVES[int], st.lists(values_of(cls), max_size=3).map(tuple))
    def comes_back(input_seq: int, outputs: tuple[Output, ...]) -> None:
        assert same(decode_outputs(encode_outputs(input_seq, outputs)), (input_seq, outputs))

    comes_back()


def test_the_form_of_a_decision() -> None:
    forward = ForwardToBroker("BRK1", "OMS1", "D", 5, "S-1", "C-1", "", "XYZ", "1", Decimal("100.00"))
    assert encode_outputs(7, (forward, ResendForbidden(5, 6))) == (
        b'{"in":7,"out":[["ForwardToBroker",{"broker":"BRK1","oms":"OMS1","msg_type":"D","order":5,'
        b'"statement_id":"S-1","cl_ord_id":"C-1","orig_cl_ord_id":"","symbol":"XYZ","side":"1",'
        b'"quantity":"100.00"}],["ResendForbidden",{"order":5,"decision_seq":6}]]}'
    )


def test_the_form_of_an_input() -> None:
    assert encode_input(Operator(3, 4, "ann", "halt", "all", "drill")) == (
        b'["Operator",{"actor":"ann","action":"halt","target":"all","reason":"drill"}]'
    )
    assert encode_input(Tick(3, 4, date(2026, 11, 22), "19:00:00")) == (
        b'["Tick",{"trade_date":"2026-11-22","local_time":"19:00:00"}]'
    )
    assert encode_input(SessionUp(3, 4, "OMS1")) == b'["SessionUp",{"session":"OMS1"}]'


def test_bytes_that_were_not_utf_8_come_back_and_are_ascii_on_disk() -> None:
    flagged = Flagged("GW-811", b"caf\xe9".decode("utf-8", "surrogateescape"))
    payload = encode_outputs(1, (flagged,))
    assert payload.isascii()
    assert decode_outputs(payload) == (1, (flagged,))


def test_a_field_that_has_a_default_may_be_missing_in_an_older_journal() -> None:
    draft = {"statement_id": "S-1", "trade_date": "", "symbol": "", "side": "", "lines": []}
    old = {"door": "http", "actor": "ann", "session": "", "draft": draft, "seed": "00"}
    value = decode_input(encode_json(["SubmitStatement", old]), 1, 2)
    assert value == SubmitStatement(1, 2, "http", "ann", "", Draft("S-1", "", "", "", ()), "00", "0", "")


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        (b'["Nonsense",{}]', "'Nonsense'"),
        (b'["Tick",{"trade_date":"2026-11-22","local_time":"","colour":"red"}]', "colour"),
        (b'["Tick",{"trade_date":"yesterday","local_time":""}]', "trade_date"),
        (b'["Tick",{"trade_date":"2026-11-22"}]', "local_time"),
        (b'["Alert",{"reason":"","severity":"","subject":"","text":""}]', "'Alert'"),
        (b'{"in":1}', "TypeName"),
        (b"[]", "TypeName"),
        (b"8=FIX.4.4", "not JSON"),
        (b"\xff", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_a_wrong_input_is_refused_by_name(payload: bytes, names: str) -> None:
    with pytest.raises(JournalError, match=names):
        decode_input(payload, 1, 2)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"in":1,"out":[["Nonsense",{}]]}',
        b'{"in":"1","out":[]}',
        b'{"out":[]}',
        b"[]",
        b'{"in":1,"out":[1]}',
        b"x",
    ],
)
def test_a_wrong_decision_is_refused(payload: bytes) -> None:
    with pytest.raises(JournalError):
        decode_outputs(payload)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for decode in (decode_outputs, decode_json, lambda raw: decode_input(raw, 1, 2)):
        try:
            decode(payload)
        except JournalError:
            pass
