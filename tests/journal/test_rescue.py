"""What the writer does when its disk is full or fails: the reserve, the spare directory, and the way back."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import FixgatewayError, JournalDamaged, JournalError, UsageError
from fixgateway.journal import reserve, spare
from fixgateway.journal.durable import SyncFailed
from fixgateway.journal.reader import Finder, read, verify
from fixgateway.journal.records import Kind
from fixgateway.journal.reserve import Reserve
from fixgateway.journal.scan import HEADER_SIZE, list_segments
from fixgateway.journal.segments import Writer

RESERVE_BYTES = 65_536
ERRORS = {errno.EIO: "Input/output error", errno.EROFS: "Read-only", errno.ENOSPC: "No space left"}


class Faults:
    """The operating system's answers, wrong on demand: ``fail("write", errno.EIO)``, for the files of one disk."""

    def __init__(self, patch: pytest.MonkeyPatch, disk: Path) -> None:
        self.calls: list[str] = []
        self._disk = str(disk.resolve())
        self._half = False
        self._left: dict[str, list[int]] = {}
        for name in ("write", "fdatasync", "fsync", "ftruncate", "rename", "open", "unlink"):
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def fail(self, name: str, number: int, times: int = 1_000_000) -> None:
        self._left[name] = [number] * min(times, 1000)

    def mend(self) -> None:
        self._left.clear()

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *more: Any, **named: Any) -> Any:
            try:
                path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            except OSError:
                path = ""
            if not path.startswith(self._disk):
                return real(first, *more, **named)
            self.calls.append(name)
            left = self._left.get(name)
            if left:
                self._half = name == "write" and not self._half
                if self._half:
                    return real(first, bytes(more[0])[:20])  # some of it gets there, the rest does not
                number = left.pop()
                raise OSError(number, os.strerror(number))
            return real(first, *more, **named)

        return call


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Faults of everything in ``tmp_path/home``."""
    return Faults(monkeypatch, tmp_path / "home")


def add(writer: Writer, *payloads: bytes) -> int:
    for payload in payloads:
        writer.append(Kind.SEEN, "OMS1", 1_000, payload)
    return writer.sync()


def payloads(directory: Path) -> list[bytes]:
    return [record.payload for record in read(directory)]


@contextmanager
def opened(tmp_path: Path, **more: Any) -> Iterator[Writer]:
    (tmp_path / "spare").mkdir(exist_ok=True)
    with Writer(tmp_path / "home", spare=tmp_path / "spare", **more) as writer:
        yield writer


# ---------------------------------------------------------------- the reserve


def test_the_reserve_is_really_allocated_and_made_once(tmp_path: Path) -> None:
    kept = Reserve(tmp_path, RESERVE_BYTES)
    kept.make()
    found = os.stat(tmp_path / "reserve")
    assert (found.st_size, kept.held, kept.missing) == (RESERVE_BYTES, True, False)
    assert found.st_blocks * 512 >= RESERVE_BYTES
    again = Reserve(tmp_path, RESERVE_BYTES)
    again.make()
    assert os.stat(tmp_path / "reserve").st_ino == found.st_ino
    smaller = Reserve(tmp_path, 4096)
    smaller.make()
    assert os.stat(tmp_path / "reserve").st_size == 4096
    assert smaller.give_back()
    assert (smaller.give_back(), smaller.missing, list(tmp_path.iterdir())) == (False, True, [])


def test_a_reserve_without_its_blocks_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "reserve").touch()
    os.truncate(tmp_path / "reserve", RESERVE_BYTES)  # as a copying tool leaves it
    Reserve(tmp_path, RESERVE_BYTES).make()
    assert os.stat(tmp_path / "reserve").st_blocks * 512 >= RESERVE_BYTES


def test_no_reserve_when_none_is_wanted(tmp_path: Path) -> None:
    Reserve(tmp_path, RESERVE_BYTES).make()
    none = Reserve(tmp_path, 0)
    none.make()
    assert (none.held, none.missing, list(tmp_path.iterdir())) == (False, False, [])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_costs_the_reserve_and_nothing_else(tmp_path: Path, disk: Faults, number: int) -> None:
    with Writer(tmp_path / "home", reserve_bytes=RESERVE_BYTES) as writer:
        add(writer, b"before")
        disk.fail("write", number, 1)
        disk.calls.clear()
        assert add(writer, b"one" * 50, b"two" * 50) == 3
        assert disk.calls == ["write", "write", "ftruncate", "unlink", "open", "fsync", "write", "fdatasync"]
        assert (writer.reserve.held, writer.troubles, writer.in_spare) == (False, 1, "")
        assert add(writer, b"after") == 4
    assert verify(tmp_path / "home").verified
    assert payloads(tmp_path / "home") == [b"before", b"one" * 50, b"two" * 50, b"after"]


def test_without_a_reserve_a_full_disk_ends_the_writer(tmp_path: Path, disk: Faults) -> None:
    writer = Writer(tmp_path / "home")
    add(writer, b"before")
    disk.fail("write", errno.ENOSPC)
    with pytest.raises(JournalError, match="No space left"):
        add(writer, b"lost")
    disk.mend()
    writer.close()
    assert payloads(tmp_path / "home") == [b"before"]


def test_the_write_is_tried_again_once_only(tmp_path: Path, disk: Faults) -> None:
    writer = Writer(tmp_path / "home", reserve_bytes=RESERVE_BYTES)
    disk.fail("write", errno.ENOSPC)
    disk.calls.clear()
    with pytest.raises(JournalError, match="No space left"):
        add(writer, b"x")
    assert (disk.calls.count("write"), disk.calls.count("fdatasync")) == (4, 0)  # each half a write and the error
    disk.mend()
    writer.close()
    assert verify(tmp_path / "home").verified


def test_a_sync_that_says_full_is_not_tried_again(tmp_path: Path, disk: Faults) -> None:
    writer = Writer(tmp_path / "home", reserve_bytes=RESERVE_BYTES)
    disk.fail("fdatasync", errno.ENOSPC)
    disk.calls.clear()
    with pytest.raises(JournalError, match="No space left"):
        add(writer, b"x")
    assert (disk.calls.count("fdatasync"), writer.reserve.held) == (1, True)
    writer.close()


def test_a_full_disk_at_the_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with Writer(tmp_path / "home", reserve_bytes=RESERVE_BYTES) as writer:
        assert writer.reserve.missing
        assert add(writer, b"x") == 1
    assert not list((tmp_path / "home").glob("reserve*"))


@pytest.mark.parametrize("name", ["open", "write", "rename"])
def test_a_full_disk_when_a_new_segment_begins(tmp_path: Path, disk: Faults, name: str) -> None:
    with Writer(tmp_path / "home", segment_bytes=HEADER_SIZE + 1, reserve_bytes=RESERVE_BYTES) as writer:
        add(writer, b"one")
        disk.fail(name, errno.ENOSPC, 1)
        assert add(writer, b"two") == 2
        assert writer.reserve.missing
    assert verify(tmp_path / "home").verified
    assert len(list_segments(tmp_path / "home")) == 2


# ---------------------------------------------------------------- the spare directory


@pytest.mark.parametrize(("name", "number"), [
    ("write", errno.EIO), ("write", errno.EROFS), ("write", errno.ENOSPC), ("fdatasync", errno.EIO),
    ("fdatasync", errno.ENOSPC),
])  # fmt: skip
@pytest.mark.parametrize("can_cut", [True, False])
def test_the_journal_goes_on_in_the_spare_directory_and_comes_back(
    tmp_path: Path, disk: Faults, name: str, number: int, can_cut: bool
) -> None:
    with opened(tmp_path) as writer:
        add(writer, b"one", b"two")
        before = writer.head
        disk.fail(name, number)
        if not can_cut:
            disk.fail("ftruncate", number)
        disk.calls.clear()
        assert add(writer, b"three" * 9, b"four" * 9) == 4
        assert ERRORS[number] in writer.in_spare
        assert (writer.troubles, writer.directory) == (1, tmp_path / "spare")
        assert disk.calls.count("fdatasync") <= 1
        assert add(writer, b"five") == 5
        assert (writer.head.size, before.size) == (5, 2)
        root = writer.head
        for seq, payload in enumerate([b"one", b"two", b"three" * 9, b"four" * 9, b"five"], 1):
            assert Finder(tmp_path / "home", tmp_path / "spare").read(seq).payload == payload
        half = verify(tmp_path / "home")
        assert not half.verified
        assert half.damage.startswith(f"records from 3 on are not here but in {tmp_path / 'spare'}: ")
    disk.mend()
    with opened(tmp_path) as writer:
        assert (writer.brought_back, writer.head, writer.in_spare) == (3, root, "")
        assert list((tmp_path / "spare").iterdir()) == []
        assert add(writer, b"six") == 6
    assert verify(tmp_path / "home").verified
    assert payloads(tmp_path / "home") == [b"one", b"two", b"three" * 9, b"four" * 9, b"five", b"six"]
    assert bool(list((tmp_path / "home").glob("*.torn"))) is not can_cut


def test_nothing_of_the_first_batch_was_durable(tmp_path: Path, disk: Faults) -> None:
    with opened(tmp_path) as writer:
        disk.fail("fdatasync", errno.EIO)
        disk.fail("ftruncate", errno.EIO)
        add(writer, b"one")
    disk.mend()
    with opened(tmp_path) as writer:
        assert writer.brought_back == 1
        add(writer, b"two")
    assert payloads(tmp_path / "home") == [b"one", b"two"]
    assert verify(tmp_path / "home").verified


@pytest.mark.parametrize("name", ["fdatasync", "open", "write", "fsync", "rename"])
@pytest.mark.parametrize("times", [1, 1000])
def test_the_disk_fails_when_a_new_segment_begins(tmp_path: Path, disk: Faults, name: str, times: int) -> None:
    with opened(tmp_path, segment_bytes=HEADER_SIZE + 1) as writer:
        add(writer, b"one")
        disk.fail(name, errno.EIO, times)
        add(writer, b"two")
        assert writer.in_spare
        add(writer, b"three")
    assert len(list_segments(tmp_path / "spare")) == 2
    disk.mend()
    with opened(tmp_path) as writer:
        assert writer.brought_back == 2
        add(writer, b"four")
    assert payloads(tmp_path / "home") == [b"one", b"two", b"three", b"four"]
    assert verify(tmp_path / "home").verified


def test_the_second_sync_of_a_new_segment_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segment has its name, perhaps: it must not hide the one in the spare directory."""
    with opened(tmp_path, segment_bytes=HEADER_SIZE + 1) as writer:
        add(writer, b"one")
        real, count = os.fsync, [0]

        def second(fd: int) -> None:
            count[0] += 1
            if count[0] == 2:
                raise OSError(errno.EIO, "Input/output error")
            real(fd)

        monkeypatch.setattr(os, "fsync", second)
        add(writer, b"two")
        monkeypatch.undo()
        assert writer.in_spare
    assert [x.first_seq for x in list_segments(tmp_path / "home")] == [1, 2]
    with opened(tmp_path) as writer:
        assert writer.brought_back == 1
    assert payloads(tmp_path / "home") == [b"one", b"two"]


def test_when_the_spare_disk_fails_too_the_writer_ends_and_nothing_durable_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as writer:
        add(writer, b"one")
        both = Faults(monkeypatch, tmp_path)
        both.fail("fdatasync", errno.EIO, 1)
        add(writer, b"two")
        both.fail("fdatasync", errno.EIO)
        with pytest.raises(JournalError, match="Input/output error"):
            add(writer, b"never acted on")
        with pytest.raises(JournalError, match="durable up to record 2"):
            writer.sync()
        both.mend()
    with opened(tmp_path) as writer:
        assert writer.head.size == 2
    assert payloads(tmp_path / "home") == [b"one", b"two"]


def test_the_spare_directory_vanished(tmp_path: Path, disk: Faults) -> None:
    with opened(tmp_path) as writer:
        add(writer, b"one")
        shutil.rmtree(tmp_path / "spare")
        disk.fail("write", errno.EIO)
        with pytest.raises(JournalError, match="No such file"):
            add(writer, b"two")
        disk.mend()
    with opened(tmp_path) as writer:
        assert writer.head.size == 1


@pytest.mark.parametrize("sync", ["always", "never"])
def test_the_other_sync_modes_go_on_in_the_spare_directory_too(tmp_path: Path, disk: Faults, sync: Any) -> None:
    with opened(tmp_path, sync=sync) as writer:
        add(writer, b"one")
        disk.fail("write", errno.EIO)
        assert add(writer, b"two", b"three") == 3
    disk.mend()
    with opened(tmp_path):
        assert payloads(tmp_path / "home") == [b"one", b"two", b"three"]


# ---------------------------------------------------------------- the way back


def two_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uncut: bool = True) -> None:
    """A journal of which records 3 to 6 are in the spare directory, in two segments."""
    with monkeypatch.context() as patch, opened(tmp_path, segment_bytes=250) as writer:
        faults = Faults(patch, tmp_path / "home")
        add(writer, b"one", b"two")
        faults.fail("fdatasync", errno.EIO)
        if uncut:
            faults.fail("ftruncate", errno.EIO)
        add(writer, b"three" * 9, b"four" * 30)
        add(writer, b"five", b"six")


WHOLE = [b"one", b"two", b"three" * 9, b"four" * 30, b"five", b"six"]


@pytest.mark.parametrize("uncut", [True, False])
def test_the_way_back_may_be_interrupted_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uncut: bool
) -> None:
    """Each call that changes something is the last one of an attempt, once before and once after it happened."""
    template = tmp_path / "template"
    template.mkdir()
    two_halves(template, monkeypatch, uncut)

    class Power(BaseException):
        """It failed."""

    def attempt(where: Path, last: int, done: bool) -> bool:
        """Open once; whether it went through before the power failed."""
        count = [0]

        def limited(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                count[0] += 1
                if count[0] != last:
                    return real(*arguments, **named)
                if done:
                    real(*arguments, **named)
                raise Power

            return call

        with monkeypatch.context() as patch:
            for name in ("fsync", "rename", "unlink", "ftruncate", "write"):
                patch.setattr(os, name, limited(getattr(os, name)))
            for name in ("rename", "unlink", "chmod"):
                patch.setattr(Path, name, limited(getattr(Path, name)))
            locks = [os.open(where / name, os.O_RDONLY) for name in ("home", "spare")]
            try:
                spare.bring_back(where / "home", where / "spare")
            except Power:
                return False
            finally:
                for fd in locks:
                    os.close(fd)
        return True

    for done in (False, True):
        for last in range(1, 200):
            where = tmp_path / f"{last}-{done}"
            shutil.copytree(template, where)
            (where / "home" / "spare").write_text(f"{where / 'spare'}\n")
            finished = attempt(where, last, done)
            with opened(where):
                pass
            assert payloads(where / "home") == WHOLE, (last, done)
            assert verify(where / "home").verified
            assert list((where / "spare").iterdir()) == []
            shutil.rmtree(where)
            if finished:
                break
        assert last > 15


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_spare_was_cut_by_a_power_failure(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What the spare lost it lost behind its last sync: it is brought back up to there."""
    tmp_path = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        two_halves(tmp_path, patch, uncut=False)
    last = list_segments(tmp_path / "spare")[-1].path
    os.truncate(last, data.draw(st.integers(HEADER_SIZE, last.stat().st_size)))
    with opened(tmp_path) as writer:
        size = writer.head.size
        assert 4 <= size <= 6
        add(writer, b"more")
    assert payloads(tmp_path / "home") == [*WHOLE[:size], b"more"]
    assert verify(tmp_path / "home").verified


def test_a_damaged_spare_stops_the_start_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_halves(tmp_path, monkeypatch)
    first = list_segments(tmp_path / "spare")[0].path
    data = bytearray(first.read_bytes())
    data[HEADER_SIZE + 30] ^= 1
    first.chmod(0o640)
    first.write_bytes(data)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.fgj")}
    with pytest.raises(JournalDamaged), opened(tmp_path):
        pass
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.fgj")} == before


def test_the_spare_of_another_journal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_halves(tmp_path, monkeypatch)
    shutil.rmtree(tmp_path / "home")
    with Writer(tmp_path / "home") as writer:
        add(writer, b"ein", b"zwei", b"drei")
    with pytest.raises(JournalDamaged, match="were not written behind this journal"), opened(tmp_path):
        pass
    shutil.rmtree(tmp_path / "home")
    Writer(tmp_path / "home").close()
    with pytest.raises(JournalDamaged, match="records 1 to 2 are missing"), opened(tmp_path):
        pass
    assert len(list_segments(tmp_path / "spare")) == 2


def test_a_stale_spare_never_cuts_a_journal_that_went_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_halves(tmp_path, monkeypatch)
    shutil.copytree(tmp_path / "spare", tmp_path / "copy")
    with opened(tmp_path) as writer:
        add(writer, b"seven")
    for path in (tmp_path / "copy").iterdir():
        shutil.move(path, tmp_path / "spare")  # somebody puts the old segments there again
    with pytest.raises(JournalError, match="goes on to record 7: it was used since"), opened(tmp_path):
        pass
    assert payloads(tmp_path / "home") == [*WHOLE, b"seven"]


# ---------------------------------------------------------------- half a journal is not started


def test_a_start_without_the_spare_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_halves(tmp_path, monkeypatch)
    home, place = tmp_path / "home", tmp_path / "spare"
    with pytest.raises(UsageError, match=f'set journal.spare_dir = "{place}"'):
        Writer(home)
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="goes on in"):
        Writer(home, spare=tmp_path / "other")
    place.rename(tmp_path / "unmounted")
    for given_spare in (None, tmp_path / "other"):
        with pytest.raises(UsageError, match="which is not there: mount it"):
            Writer(home, spare=given_spare)
    with pytest.raises(UsageError, match="create or mount it"):
        Writer(home, spare=place)
    assert spare.pending_text(home) == ""  # nothing can be said of it from here
    (tmp_path / "unmounted").rename(place)
    with opened(tmp_path) as writer:
        assert writer.brought_back == 4
    Writer(home).close()  # nothing is there any more: the directory may be taken out of the configuration
    assert not (home / "spare").exists()


def test_two_gateways_do_not_share_a_spare_directory(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(UsageError, match="in use by another gateway"):
        Writer(tmp_path / "second", spare=tmp_path / "spare")


def test_a_note_that_cannot_be_read(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    (tmp_path / "home" / "spare").unlink()
    (tmp_path / "home" / "spare").mkdir()
    with pytest.raises(FixgatewayError, match="cannot read"):
        Writer(tmp_path / "home")


def test_errors_are_told_apart() -> None:
    assert reserve.is_full(OSError(errno.ENOSPC, ""))
    assert not reserve.is_full(OSError(errno.EIO, ""))
    assert not reserve.is_full(SyncFailed(errno.ENOSPC, ""))
