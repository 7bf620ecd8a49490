"""The simulated disk itself: what it may lose, what it must keep, and that a dead one stays dead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from disk import Crash, Disk, on_memory


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Where simulated days are played, one after another."""
    with on_memory() as made:
        yield made


@pytest.fixture
def root(place: Path, request: pytest.FixtureRequest) -> Path:
    made = place / f"disk-{abs(hash(request.node.name))}"
    made.mkdir()
    return made


def written(disk: Disk, name: str, *pieces: bytes, sync: int) -> int:
    """Append pieces to a file; the first ``sync`` of them and the name are durable."""
    fd = os.open(disk.root / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    directory = os.open(disk.root, os.O_RDONLY | os.O_DIRECTORY)
    for number, piece in enumerate(pieces, 1):
        os.write(fd, piece)
        if number == sync:
            os.fdatasync(fd)
            os.fsync(directory)
    return fd


def outcomes(root: Path, tries: int = 200) -> Iterator[Disk]:
    """A fresh disk under each of many seeds."""
    for seed in range(tries):
        for path in root.iterdir():
            path.unlink()
        disk = Disk(root, Random(seed))
        with disk.installed():
            yield disk


def test_a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest(root: Path) -> None:
    seen = set()
    for disk in outcomes(root):
        written(disk, "f", b"one", b"two", b"three", sync=2)
        disk.restart("power")
        seen.add((disk.root / "f").read_bytes())
    assert all(left.startswith(b"onetwo") for left in seen)
    assert {b"onetwo", b"onetwothree", b"onetwoth", b"onetwot\0\0\0\0"} <= seen


def test_a_kill_keeps_everything_written(root: Path) -> None:
    for disk in outcomes(root, 20):
        written(disk, "f", b"one", b"two", sync=0)
        disk.restart("kill")
        assert (disk.root / "f").read_bytes() == b"onetwo"


def test_a_name_that_was_not_synced_may_vanish(root: Path) -> None:
    seen = set()
    for disk in outcomes(root):
        written(disk, "f", b"one", sync=0)
        disk.restart("power")
        seen.add((disk.root / "f").exists())
    assert seen == {True, False}


def test_a_rename_over_a_file_leaves_the_old_or_the_new_one(root: Path) -> None:
    seen = set()
    for disk in outcomes(root):
        written(disk, "f", b"old", sync=1)
        fd = written(disk, "f.new", b"new", sync=1)
        os.rename(disk.root / "f.new", disk.root / "f")
        os.close(fd)
        disk.restart("power")
        seen.add(tuple((path.name, path.read_bytes()) for path in sorted(disk.root.iterdir())))
    assert seen == {(("f", b"old"), ("f.new", b"new")), (("f", b"new"),)}


def test_a_synced_rename_is_kept(root: Path) -> None:
    for disk in outcomes(root, 30):
        written(disk, "f", b"old", sync=1)
        written(disk, "f.new", b"new", sync=1)
        os.rename(disk.root / "f.new", disk.root / "f")
        directory = os.open(disk.root, os.O_RDONLY)
        os.fsync(directory)
        disk.restart("power")
        assert [(path.name, path.read_bytes()) for path in disk.root.iterdir()] == [("f", b"new")]


def test_what_was_synced_before_a_rewrite_may_come_back(root: Path) -> None:
    seen = set()
    for disk in outcomes(root):
        fd = written(disk, "f", b"durable", sync=1)
        os.ftruncate(fd, 3)
        disk.restart("power")
        seen.add((disk.root / "f").read_bytes())
    assert seen == {b"dur", b"durable"}


def test_a_crash_stops_in_the_named_call_and_everything_after_it(root: Path) -> None:
    taken = set()
    for disk in outcomes(root, 40):
        fd = written(disk, "f", b"one", sync=1)
        disk.crash_after(2)
        os.write(fd, b"two")
        with pytest.raises(Crash, match="sync f"):
            os.fdatasync(fd)
        with pytest.raises(Crash):
            os.write(fd, b"three")
        with pytest.raises(Crash):
            os.rename(disk.root / "f", disk.root / "g")
        taken.add(bytes(next(data for _, data in disk.durable(disk.root, "f"))))
        disk.restart("kill")
        assert (disk.root / "f").read_bytes() == b"onetwo"
    assert taken == {b"one", b"onetwo"}, "before or after the call took effect"


def test_files_elsewhere_are_left_alone(root: Path, tmp_path: Path) -> None:
    disk = Disk(root, Random(1))
    with disk.installed():
        disk.crash_after(1)
        with (tmp_path / "other").open("wb") as file:
            file.write(b"x")
            os.fsync(file.fileno())
        (tmp_path / "other").rename(tmp_path / "moved")
        assert disk.points == 0
    assert os.fsync.__module__ != disk.__module__, "the real calls are back"
