"""The engine's files, read and written without the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixgateway.sessions import store
from fixgateway.sessions.settings import SessionSpec

SPEC = SessionSpec("OMS1", "oms", "FIX.4.4", "FIXGW", "OMS1")


def test_there_is_nothing_to_read_at_first(tmp_path: Path) -> None:
    assert store.read_seqnums(tmp_path, SPEC) is None
    assert store.sent_numbers(tmp_path, SPEC) == []
    assert list(store.sent_texts(tmp_path, SPEC)) == []
    assert store.prepare_target(tmp_path, SPEC, 17) == 1


@pytest.mark.parametrize(("stored", "wanted", "result"), [(10, 7, 7), (10, 10, 10), (10, 12, 10), (10, 0, 1)])
def test_the_target_is_lowered_never_raised(tmp_path: Path, stored: int, wanted: int, result: int) -> None:
    store.write_seqnums(tmp_path, SPEC, 20, stored)
    assert store.prepare_target(tmp_path, SPEC, wanted) == result
    assert store.read_seqnums(tmp_path, SPEC) == (20, result)


@pytest.mark.parametrize(("stored", "wanted", "result"), [(10, 7, 10), (10, 1010, 1010)])
def test_the_sender_is_raised_never_lowered(tmp_path: Path, stored: int, wanted: int, result: int) -> None:
    store.write_seqnums(tmp_path, SPEC, stored, 3)
    assert store.prepare_sender(tmp_path, SPEC, wanted) == result
    assert store.read_seqnums(tmp_path, SPEC) == (result, 3)


def test_file_format_is_the_engines(tmp_path: Path) -> None:
    store.rebuild(tmp_path, SPEC, [(2, "8=a\x01"), (3, "8=ü\x01")], 4, 9)
    name = "FIX.4.4-FIXGW-OMS1."
    assert (tmp_path / (name + "header")).read_bytes() == b"2,0,4 3,4,5 "
    assert (tmp_path / (name + "seqnums")).read_bytes() == b"00000000000000000004 : 00000000000000000009"
    assert len((tmp_path / (name + "session")).read_text()) == len("20261122-10:00:00")
    assert list(store.sent_texts(tmp_path, SPEC)) == [(2, "8=a\x01"), (3, "8=ü\x01")]
    assert list(store.sent_texts(tmp_path, SPEC, first=3)) == [(3, "8=ü\x01")]


def test_a_torn_entry_is_ignored_and_a_missing_text_repaired(tmp_path: Path) -> None:
    store.rebuild(tmp_path, SPEC, [(1, "one"), (2, "two"), (3, "three")], 4, 1)
    body = store.store_path(tmp_path, SPEC, "body")
    header = store.store_path(tmp_path, SPEC, "header")
    body.write_bytes(body.read_bytes()[:-2])
    header.write_bytes(header.read_bytes() + b"4,11")
    assert store.sent_numbers(tmp_path, SPEC) == [1, 2, 3]
    assert list(store.sent_texts(tmp_path, SPEC)) == [(1, "one"), (2, "two")]
    assert store.repair(tmp_path, SPEC) == [3]
    assert store.sent_numbers(tmp_path, SPEC) == [1, 2]
    assert store.repair(tmp_path, SPEC) == []


def test_a_damaged_number_file_is_no_number(tmp_path: Path) -> None:
    store.store_path(tmp_path, SPEC, "seqnums").write_bytes(b"\x00" * 43)
    assert store.read_seqnums(tmp_path, SPEC) is None
