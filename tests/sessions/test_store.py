"""The engine's files, read and written without the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixgateway.sessions import store
from fixgateway.sessions.settings import SessionSpec

SPEC = SessionSpec("OMS1", "oms", "FIX.4.4", "FIXGW", "OMS1")


def test_there_is_nothing_to_read_at_first(tmp_path: Path) -> None:
    assert store.read_seqnums(tmp_path, SPEC) is None
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


def message(number: int, text: str) -> str:
    """A whole message as the engine stores it."""
    inner = f"35=8\x0134={number}\x0149=FIXGW\x0152=20261122-10:00:00.000\x0156=OMS1\x0158={text}\x01"
    whole = f"8=FIX.4.4\x019={len(inner.encode())}\x01{inner}"
    return f"{whole}10={sum(whole.encode()) % 256:03d}\x01"


MESSAGES = [(number, message(number, f"text ü {number}")) for number in (1, 2, 3, 4, 5)]


def path(store_dir: Path, suffix: str) -> Path:
    return store.store_path(store_dir, SPEC, suffix)


def rebuilt(store_dir: Path) -> store.Held:
    """A store as it should be."""
    store.rebuild(store_dir, SPEC, MESSAGES, 6, 9)
    return store.look(store_dir, SPEC)


def test_file_format_is_the_engines(tmp_path: Path) -> None:
    held = rebuilt(tmp_path)
    size = len(MESSAGES[0][1].encode())
    assert path(tmp_path, "header").read_bytes().startswith(b"1,0,%d 2,%d,%d 3," % (size, size, size))
    assert path(tmp_path, "seqnums").read_bytes() == b"00000000000000000006 : 00000000000000000009"
    assert len(path(tmp_path, "session").read_text()) == len("20261122-10:00:00")
    assert list(store.sent_texts(tmp_path, SPEC)) == MESSAGES
    assert list(store.sent_texts(tmp_path, SPEC, first=4)) == MESSAGES[3:]
    assert held == store.Held((6, 9), (1, 2, 3, 4, 5), whole=True)


def test_nothing_is_held_where_nothing_was(tmp_path: Path) -> None:
    assert store.look(tmp_path, SPEC) == store.Held(None, (), whole=False, files=False)


def cut(suffix: str, to: int | None = None, by: int = 0) -> Callable[[Path], None]:
    def damage(store_dir: Path) -> None:
        file = path(store_dir, suffix)
        content = file.read_bytes()
        file.write_bytes(content[: len(content) - by if to is None else to])

    return damage


def write(suffix: str, content: bytes, at: int | None = None) -> Callable[[Path], None]:
    def damage(store_dir: Path) -> None:
        file = path(store_dir, suffix)
        old = file.read_bytes()
        at_byte = len(old) if at is None else at
        file.write_bytes(old[:at_byte] + content + old[at_byte + len(content) :])

    return damage


def remove(suffix: str) -> Callable[[Path], None]:
    return lambda store_dir: path(store_dir, suffix).unlink()


ALL = (1, 2, 3, 4, 5)
DAMAGES = {
    "body cut": (cut("body", by=2), ALL[:4]),
    "body empty": (cut("body", to=0), ()),
    "body missing": (remove("body"), ()),
    "a letter changed": (write("body", b"#", at=30), ALL[1:]),
    "body of zeros": (lambda d: path(d, "body").write_bytes(bytes(path(d, "body").stat().st_size)), ()),
    "header cut in an entry": (cut("header", by=3), None),
    "header with a torn tail": (write("header", b"6,11"), ALL),
    "header garbled in the middle": (write("header", b"?", at=3), None),
    "header empty": (cut("header", to=0), ()),
    "header missing": (remove("header"), ()),
    "an entry of another message": (write("header", b"7", at=0), ALL[1:]),
    "session missing": (remove("session"), ALL),
    "session empty": (cut("session", to=0), ALL),
    "session garbled": (write("session", b"x", at=0), ALL),
    "seqnums empty": (cut("seqnums", to=0), ALL),
    "seqnums cut": (cut("seqnums", by=4), ALL),
    "seqnums missing": (remove("seqnums"), ALL),
    "seqnums zero": (write("seqnums", b"0" * 20, at=0), ALL),
    "seqnums absurd": (write("seqnums", b"9" * 20, at=0), ALL),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_seen_and_what_is_sound_is_kept(tmp_path: Path, name: str) -> None:
    damage, sound = DAMAGES[name]
    rebuilt(tmp_path)
    damage(tmp_path)
    held = store.look(tmp_path, SPEC)
    assert not held.whole
    assert held.files
    assert (held.numbers is None) == name.startswith("seqnums")
    if sound is not None:
        assert held.sound == sound
    assert dict(store.sent_texts(tmp_path, SPEC)).items() <= dict(MESSAGES).items()


def test_a_damaged_number_file_is_no_number(tmp_path: Path) -> None:
    store.store_path(tmp_path, SPEC, "seqnums").write_bytes(b"\x00" * 43)
    assert store.read_seqnums(tmp_path, SPEC) is None


def test_a_store_is_writable_when_every_file_is(tmp_path: Path) -> None:
    assert not store.is_writable(tmp_path, SPEC)
    store.rebuild(tmp_path, SPEC, [(1, "one")], 2, 1)
    assert store.is_writable(tmp_path, SPEC)
    session = store.store_path(tmp_path, SPEC, "session")
    session.unlink()
    session.mkdir()
    assert not store.is_writable(tmp_path, SPEC)
