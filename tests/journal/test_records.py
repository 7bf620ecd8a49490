"""Frames and payloads: what is packed comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.errors import JournalError
from fixgateway.journal import records
from fixgateway.journal.records import (
    FRAME,
    KIND_BY_LABEL,
    PAYLOAD_BYTES_MAX,
    AcceptedRef,
    Kind,
    Record,
    RefusedRef,
    WireOut,
    decode,
    encode,
    extend_crc,
)

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
WIRE_TEXT = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def test_kinds_have_the_numbers_and_labels_that_are_on_disk() -> None:
    assert {label: int(kind) for label, kind in KIND_BY_LABEL.items()} == {
        "start": 1,
        "control": 2,
        "seen": 3,
        "accepted": 4,
        "engine-refused": 5,
        "decision": 6,
        "wire-out": 7,
        "event": 8,
        "stop": 9,
    }


def test_the_layout_on_disk_is_what_the_documentation_says() -> None:
    head, body, crc = encode(7, 9, Kind.SEEN, "OMS1", b"8=FIX", 0)
    assert body == (7).to_bytes(8, "big") + (9).to_bytes(8, "big") + b"\x03\x04OMS1" + b"8=FIX"
    assert head == len(body).to_bytes(4, "big") + crc.to_bytes(4, "big")


def test_the_checksum_is_crc32c() -> None:
    assert extend_crc(0, b"123456789") == 0xE3069283  # the published check value of CRC-32C


@given(seq=U64, ts_ns=U64, kind=st.sampled_from(Kind), session=WIRE_TEXT, payload=st.binary(), crc=U32)
def test_a_record_comes_back(seq: int, ts_ns: int, kind: Kind, session: str, payload: bytes, crc: int) -> None:
    head, body, new_crc = encode(seq, ts_ns, kind, session, payload, crc)
    assert decode(body) == Record(seq, ts_ns, kind, session, payload)
    assert FRAME.unpack(head) == (len(body), new_crc)
    assert new_crc == extend_crc(crc, body)


@pytest.mark.parametrize(
    ("session", "ts_ns", "payload"),
    [
        ("", 0, b"x" * (PAYLOAD_BYTES_MAX + 1)),
        ("s" * 256, 0, b""),
        ("", -1, b""),
        ("", 2**64, b""),
    ],
)
def test_what_does_not_fit_is_refused(session: str, ts_ns: int, payload: bytes) -> None:
    with pytest.raises(JournalError):
        encode(1, ts_ns, Kind.SEEN, session, payload, 0)


def test_the_largest_payload_fits() -> None:
    _, body, _ = encode(1, 0, Kind.SEEN, "s" * 255, bytes(PAYLOAD_BYTES_MAX), 0)
    assert len(body) == records.BODY_BYTES_MAX
    assert len(decode(body).payload) == PAYLOAD_BYTES_MAX


def test_an_unknown_kind_names_the_record_and_the_remedy() -> None:
    _, body, _ = encode(41, 0, 200, "", b"", 0)
    with pytest.raises(JournalError, match=r"record 41.*version that wrote it"):
        decode(body)


@given(seen_seq=U64, number=U64, epoch=U32, seed=st.sampled_from(["", "00ff" * 16]))
def test_accepted_comes_back(seen_seq: int, number: int, epoch: int, seed: str) -> None:
    packed = records.pack_accepted(seen_seq, number, epoch, seed)
    assert records.unpack_accepted(packed) == AcceptedRef(seen_seq, number, epoch, seed)


@given(decision_seq=U64, index=U32, raw=st.binary())
def test_wire_out_comes_back(decision_seq: int, index: int, raw: bytes) -> None:
    packed = records.pack_wire_out(decision_seq, index, raw)
    assert records.unpack_wire_out(packed) == WireOut(decision_seq, index, raw)


@given(seen_seq=U64, why=WIRE_TEXT)
def test_engine_refused_comes_back(seen_seq: int, why: str) -> None:
    packed = records.pack_engine_refused(seen_seq, why)
    assert records.unpack_engine_refused(packed) == RefusedRef(seen_seq, why)


def test_a_payload_of_another_kind_is_refused() -> None:
    for unpack in (records.unpack_accepted, records.unpack_wire_out, records.unpack_engine_refused):
        with pytest.raises(JournalError, match="payload of 3 bytes"):
            unpack(b"abc")
