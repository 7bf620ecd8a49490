"""The disk watched: full with a margin, slow and quick again, FIX stores; what the log says of it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from fixgateway import disk
from fixgateway.disk import QUIET_SECONDS, SLOW_SYNCS, DiskWatch, Limits
from fixgateway.journal.records import Kind
from fixgateway.journal.segments import Writer

RESERVE = 8192
LIMIT = 1_000_000
NEARLY = f"the journal's disk is nearly full: fewer than {LIMIT} bytes are free"
IN_USE = "the journal's disk is full; its reserve is in use"
SLOW = "the journal's disk is slow: syncs take longer than 1.0 s"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    (tmp_path / "spare").mkdir()
    with Writer(tmp_path / "journal", reserve_bytes=RESERVE, spare=tmp_path / "spare") as made:
        yield made


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the disk says is free."""
    said = [100 * LIMIT]
    monkeypatch.setattr(disk, "free_bytes", lambda _: said[0])
    return said


def watch(writer: Writer) -> DiskWatch:
    return DiskWatch(writer, Limits(LIMIT, 1.0), structlog.get_logger())


def test_nearly_full_and_back_with_a_margin(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    assert (looking.causes, looking.free) == ({}, 100 * LIMIT)
    for bytes_free, why in (
        (LIMIT, ""), (LIMIT - 1, NEARLY), (LIMIT + RESERVE - 1, NEARLY), (LIMIT + RESERVE, ""),
    ):  # fmt: skip
        free[0] = bytes_free
        looking.look(0.0)
        assert looking.causes.get("full", "") == why, bytes_free
    assert writer.reserve.held


def test_the_reserve_is_freed_before_the_disk_is_full_and_made_anew(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    with capture_logs() as log:
        for bytes_free, held, why in (
            (LIMIT // 4, True, NEARLY), (LIMIT // 4 - 1, False, IN_USE), (LIMIT, False, IN_USE),
            (LIMIT + RESERVE, True, ""),
        ):  # fmt: skip
            free[0] = bytes_free
            looking.look(0.0)
            assert (writer.reserve.held, looking.causes.get("full", "")) == (held, why)
    assert [line["event"] for line in log] == ["orders.off", "journal.reserve_freed", "orders.cause_ended"]


def test_space_that_is_gone_again_when_the_reserve_is_made(
    writer: Writer, free: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = watch(writer)
    writer.reserve.give_back()

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        looking.look(0.0)
        assert looking.causes == {"full": IN_USE}
    looking.look(0.0)
    assert looking.causes == {}


def test_without_limits_nothing_is_full(tmp_path: Path, free: list[int]) -> None:
    free[0] = 0
    with Writer(tmp_path / "journal") as writer:
        assert DiskWatch(writer, Limits(), structlog.get_logger()).causes == {}


def test_a_disk_that_does_not_answer(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = watch(writer)

    def broken(_: Path) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "free_bytes", broken)
    looking.look(0.0)
    assert "Input/output error" in looking.causes["full"]


def synced(looking: DiskWatch, at: float, seconds: float) -> bool:
    looking.begin(at - seconds)
    changed = looking.end(at)
    looking.look(at)
    return changed


def test_several_slow_syncs_turn_orders_off_and_quiet_turns_them_on(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    at = 1000.0
    for number in range(1, SLOW_SYNCS + 1):
        assert synced(looking, at + number, 1.5)
        assert ("slow" in looking.causes) is (number == SLOW_SYNCS)
    at += SLOW_SYNCS
    assert looking.causes["slow"] == SLOW
    looking.look(at + QUIET_SECONDS + 1)
    assert "slow" in looking.causes, "no sync since: nothing is known"
    assert not synced(looking, at + QUIET_SECONDS - 1, 0.001)
    assert "slow" in looking.causes
    looking.look(at + QUIET_SECONDS + 1)
    assert looking.causes == {}


def test_slow_syncs_now_and_then_do_not(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    for number in range(10):
        synced(looking, 1000.0 + number * QUIET_SECONDS / 2, 1.5)
        assert looking.causes == {}


def test_one_very_slow_sync_is_enough(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    synced(looking, 1000.0, 5.0)
    assert looking.causes == {"slow": SLOW}


def test_a_sync_that_hangs(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    looking.begin(time.monotonic())
    assert looking.hanging() == ""
    looking.begin(time.monotonic() - 1.1)
    assert looking.hanging() == "a sync of the journal takes longer than 1.0 s; nothing passes until it ends"
    looking.end(time.monotonic())
    assert looking.hanging() == ""


def test_the_writer_that_helped_itself_is_noticed_at_once(
    writer: Writer, free: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = watch(writer)

    real, home = os.fdatasync, writer.directory

    def fail(fd: int) -> None:
        if writer.directory == home:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fail)
    writer.append(Kind.SEEN, "", 1, b"x")
    looking.begin(0.0)
    writer.sync()
    assert looking.end(0.0)
    with capture_logs() as log:
        looking.look(0.0)
    assert looking.why == "the journal's disk failed; it goes on in the spare directory"
    assert "Input/output error" in log[0]["error"]
    assert not synced(looking, 1.0, 0.001)


def test_fix_stores(writer: Writer, free: list[int]) -> None:
    looking = watch(writer)
    assert not looking.store_event("OMS1", "Received logon request", 0.0)
    assert looking.store_event("OMS1", "IO Error: Unable to flush file /x/FIX.4.4-FIXGW-OMS1.body", 0.0)
    looking.look(1.0)
    assert looking.causes == {"store": "the FIX store of OMS1 cannot be written"}
    looking.look(QUIET_SECONDS + 1)
    assert "store" in looking.causes, "it was not opened again yet"
    looking.broken_stores.discard("OMS1")
    looking.look(QUIET_SECONDS + 1)
    assert looking.causes == {}
