"""Records as people see them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.core.inputs import SubmitStatement
from fixgateway.core.model import Draft, DraftLine, Method, Remainder, Side, Statement, Ties
from fixgateway.core.outputs import Flagged, StatementAllocated, StatementRegistered
from fixgateway.journal import show
from fixgateway.journal.codec import encode_input, encode_json, encode_outputs
from fixgateway.journal.records import Kind, Record, pack_accepted, pack_engine_refused, pack_wire_out
from fixgateway.journal.show import boot_id, line, revealed_seeds, row, select, utc_text

SEED = "5eed" * 16
TIME_NS = 1_795_357_800_000_001_234

STATEMENT = Statement(
    "S-1", 1, "OMS1", date(2026, 11, 22), "XYZ", "", "", Side.BUY, Decimal(100), (), Method.PRO_RATA, Decimal(1),
    Decimal(0), Ties.SEEDED, Remainder.LARGEST_SHORTFALL, "P", "1", (), (), "", "", "", "", True, "http", "ann",
    2, TIME_NS, SEED, "commitment",
)  # fmt: skip
DRAFT = Draft("S-1", "2026-11-22", "XYZ", "buy", (DraftLine(1, "CLIENT-A", "100"),))
SUBMIT = encode_input(SubmitStatement(2, TIME_NS, "http", "ann", "", DRAFT, SEED))
REGISTERED = encode_outputs(2, (StatementRegistered(STATEMENT),))
ALLOCATED = encode_outputs(9, (StatementAllocated("S-1", 1, Decimal(100), Decimal(0), "10", SEED, ()),))


def record(kind: Kind, payload: bytes, seq: int = 7, session: str = "OMS1") -> Record:
    return Record(seq, TIME_NS, kind, session, payload)


def test_a_row_and_its_line() -> None:
    shown = row(record(Kind.SEEN, b"8=FIX.4.4\x0135=D\x0158=caf\xe9\x0110=000\x01"))
    assert shown == {
        "seq": 7,
        "time": "2026-11-22T14:30:00.000001Z",
        "kind": "seen",
        "session": "OMS1",
        "summary": "8=FIX.4.4|35=D|58=caf\\xe9|10=000|",
        "data": "8=FIX.4.4|35=D|58=caf\\xe9|10=000|",
    }
    assert line(shown) == (
        "       7 2026-11-22T14:30:00.000001Z seen           OMS1       8=FIX.4.4|35=D|58=caf\\xe9|10=000|"
    )


@pytest.mark.parametrize(
    ("kind", "payload", "summary"),
    [
        (Kind.START, encode_json({"version": "0.1.0", "boot_id": "b", "pid": 5}), "version=0.1.0 boot_id=b pid=5"),
        (Kind.STOP, encode_json({"why": "signal 15"}), "why=signal 15"),
        (Kind.CONTROL, b'["SessionUp",{"session":"BRK1"}]', "SessionUp session=BRK1"),
        (Kind.ACCEPTED, pack_accepted(3, 12, 1, ""), "MsgSeqNum 12 of record 3, epoch 1"),
        (Kind.ACCEPTED, pack_accepted(3, 12, 1, SEED), "MsgSeqNum 12 of record 3, epoch 1, seed (seed)"),
        (Kind.ENGINE_REFUSED, pack_engine_refused(3, "bad\x01"), "record 3: bad|"),
        (Kind.DECISION, encode_outputs(5, (Flagged("GW-811", "odd"),)), "for 5: Flagged reason=GW-811 text=odd"),
        (Kind.DECISION, encode_outputs(5, ()), "for 5: "),
        (Kind.WIRE_OUT, pack_wire_out(5, 1, b"35=8\x01"), "for 5.1: 35=8|"),
        (Kind.WIRE_OUT, pack_wire_out(0, 0, b"35=0\x01"), "35=0|"),
        (Kind.EVENT, b"Created session\n", "Created session\\n"),
    ],
)
def test_the_summary_of_each_kind(kind: Kind, payload: bytes, summary: str) -> None:
    shown = row(record(kind, payload))
    assert shown["summary"] == summary
    assert shown["kind"] == kind.label


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(Kind.CONTROL, SUBMIT), (Kind.DECISION, REGISTERED), (Kind.ACCEPTED, pack_accepted(1, 2, 1, SEED)),
     (Kind.DECISION, ALLOCATED)],
)  # fmt: skip
def test_a_seed_is_hidden_until_an_allocation_revealed_it(kind: Kind, payload: bytes) -> None:
    hidden = row(record(kind, payload))
    assert SEED not in json.dumps(hidden)
    assert "(seed)" in json.dumps(hidden)
    assert "(seed)" in json.dumps(row(record(kind, payload), {"another"}))
    assert SEED in json.dumps(row(record(kind, payload), {SEED}))


def test_allocations_reveal_seeds_and_nothing_else_does() -> None:
    before = [record(Kind.CONTROL, SUBMIT), record(Kind.DECISION, REGISTERED), record(Kind.SEEN, ALLOCATED)]
    assert revealed_seeds(before) == frozenset()
    assert revealed_seeds([*before, record(Kind.DECISION, ALLOCATED)]) == {SEED}


def test_a_long_summary_is_cut_and_says_so() -> None:
    shown = row(record(Kind.SEEN, b"x" * 1000))
    assert shown["summary"] == "x" * 400 + "… (+600 characters)"
    assert shown["data"] == "x" * 1000


@given(st.sampled_from(Kind), st.binary(max_size=40) | st.sampled_from([SUBMIT, REGISTERED, b"{}", b"[]", b"5"]))
def test_any_payload_can_be_shown_on_one_line(kind: Kind, payload: bytes) -> None:
    shown = row(record(kind, payload))
    assert line(shown).isprintable()
    json.dumps(shown)


def test_surrogates_and_control_characters_in_json_are_shown_as_escapes() -> None:
    payload = encode_outputs(1, (Flagged("GW-811", b"caf\xe9\n".decode("utf-8", "surrogateescape")),))
    shown = row(record(Kind.DECISION, payload))
    assert shown["summary"].isprintable()
    shown["summary"].encode("utf-8")


def test_times_outside_the_calendar_are_shown_as_numbers() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00.000000Z"
    assert utc_text(2**64 - 1) == "2554-07-21T23:34:33.709551Z"


def test_selecting_records() -> None:
    records = [
        record(Kind.SEEN, b"35=D\x0111=C-1\x01", 1),
        record(Kind.WIRE_OUT, pack_wire_out(5, 0, b"35=D\x0111=C-1\x01"), 2, "BRK1"),
        record(Kind.EVENT, b"35=D|11=C-1| as text", 3),
        record(Kind.SEEN, b"35=F\x0111=C-10\x01", 4),
    ]

    def seqs(
        kinds: tuple[Kind, ...] = (), session: str = "", text: str = "", limit: int | None = None
    ) -> list[int]:
        return [found.seq for found in select(records, kinds, session, text, limit)]

    assert seqs() == [1, 2, 3, 4]
    assert seqs(kinds=(Kind.SEEN, Kind.EVENT)) == [1, 3, 4]
    assert seqs(session="BRK1") == [2]
    assert seqs(text="11=C-1|") == [1, 2, 3]
    assert seqs(text="C-1") == [1, 2, 3, 4]
    assert seqs(limit=2) == [1, 2]
    assert seqs(kinds=(Kind.SEEN,), text="35=F", limit=5) == [4]


def test_the_boot_id_is_the_kernels_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boot_id").write_text("0b1ec7ed-0000-4000-8000-000000000000\n")
    monkeypatch.setattr(show, "_BOOT_ID", tmp_path / "boot_id")
    assert boot_id() == "0b1ec7ed-0000-4000-8000-000000000000"
    monkeypatch.setattr(show, "_BOOT_ID", tmp_path / "none")
    assert boot_id() == ""
