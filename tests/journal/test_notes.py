"""Signed notes and keys: the specification's examples, what is refused, and files others can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import UsageError
from fixgateway.journal import keys
from fixgateway.journal.checkpoints import checkpoint_text, parse
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import (
    NOTE_BYTES_MAX,
    Note,
    NoteError,
    PublicKey,
    new_private_key,
    parse_note,
    parse_private_key,
    parse_public_key,
)

# Signature and key of the example in the documentation of golang.org/x/mod/sumdb/note.
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

# The example of c2sp.org/tlog-checkpoint.
C2SP_CHECKPOINT = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_the_published_note_verifies_with_the_published_key() -> None:
    key = parse_public_key(GO_KEY)
    assert (key.name, key.key_id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", GO_KEY)
    note = parse_note(GO_NOTE.encode())
    assert key.signed(note)
    with pytest.raises(NoteError, match="the signature of PeterNeumann is wrong"):
        key.signed(Note(note.text.replace("answer", "problem"), note.signatures))


def test_the_published_checkpoint_is_read() -> None:
    checkpoint = parse(C2SP_CHECKPOINT.encode())
    assert (checkpoint.origin, checkpoint.head.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.head.root.hex().startswith("0ac5186a91863e8e")
    (signature,) = checkpoint.note.signatures
    assert (signature.name, signature.key_id.hex(), len(signature.value)) == (checkpoint.origin, "033de0ae", 64)


def test_signing_and_reading_back() -> None:
    key = new_private_key("gateway.example/journal")
    text = checkpoint_text("fixgateway/FIXGW/0123456789abcdef", Head(7, b"r" * 32))
    note = parse_note(key.sign(text).encode())
    assert note.text == text
    assert key.public.signed(note)
    assert parse_public_key(str(key.public)) == key.public
    again = parse_private_key(key.secret_line())
    assert again.sign(text) == key.sign(text)
    # A key knows its own signatures only: another key, also of the same name, says no instead of yes or an error.
    assert not new_private_key("gateway.example/journal").public.signed(note)
    assert not PublicKey("other", key.public.key).signed(note)
    assert not key.public.signed(parse_note(text.encode()))
    assert key.secret_line().split("+", 4)[-1] not in repr(key)  # the base64 may itself have a plus


def test_a_note_may_have_several_signatures() -> None:
    text = "text\n"
    first, second = new_private_key("one"), new_private_key("two")
    both = first.sign(text) + second.sign(text).rpartition("\n\n")[2]
    note = parse_note(both.encode())
    assert first.public.signed(note)
    assert second.public.signed(note)
    assert not new_private_key("three").public.signed(note)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no newline", "cut"),
        (b"", "cut"),
        (b"text\n\n", "no signatures"),
        (b"text\n\nsigned by me\n", "no signature"),
        ("text\n\n— name \n".encode(), "too short"),
        ("text\n\n— name AAAA\n".encode(), "too short"),
        ("text\n\n— na+me AAAAAAAA\n".encode(), "no signature"),
        ("text\n\n—  AAAAAAAA\n".encode(), "no signature"),
        ("text\n\n— name AAAAAAA\n".encode(), "base64"),
        ("text\n\n— name AAAAAAB=\n".encode(), "base64"),  # another spelling of the same bytes
        (b"te\x07xt\n", "control"),
        (b"te\rxt\n", "control"),
        (b"\xff\n", "UTF-8"),
        (b"x" * NOTE_BYTES_MAX + b"\n", "at most"),
    ],
)
def test_what_is_no_note(data: bytes, words: str) -> None:
    with pytest.raises(NoteError, match=words):
        parse_note(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("origin\n1\n", "lines"),
        ("\n1\nAAAA\n", "lines"),
        ("origin\n01\n" + "A" * 43 + "=\n", "no number"),
        ("origin\n-1\n" + "A" * 43 + "=\n", "no number"),
        ("origin\n١\n" + "A" * 43 + "=\n", "no number"),
        ("origin\n1\nAAAA\n", "wrong length"),
        ("origin\n1\n%%\n", "base64"),
    ],
)
def test_what_is_no_checkpoint(text: str, words: str) -> None:
    with pytest.raises(NoteError, match=words):
        parse(text.encode())


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_any_changed_byte_of_a_signed_checkpoint_is_noticed(at: int, byte: int) -> None:
    key = parse_private_key(SOME_KEY)
    data = key.sign(checkpoint_text("fixgateway/FIXGW/0123456789abcdef", Head(70, b"r" * 32))).encode()
    at %= len(data)
    changed = data[:at] + bytes((byte,)) + data[at + 1 :]
    if changed == data:
        return
    try:
        assert not key.public.signed(parse(changed).note)
    except NoteError:
        pass


SOME_KEY = new_private_key("some").secret_line()


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (parse_note, parse, lambda x: parse_public_key(x.decode("utf-8", "replace"))):
        try:
            read(data)
        except NoteError:
            pass


# ---------------------------------------------------------------- key files


def test_a_new_key_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "journal.key"
    old = os.umask(0)
    try:
        public = keys.create(file, "gateway.example/journal")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.public_file(file).stat().st_mode) == 0o644
    assert keys.load_public(tmp_path / "journal.key.pub") == public
    assert keys.load_private(file).public == public
    assert file.read_text().startswith("PRIVATE+KEY+gateway.example/journal+")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o660, 0o777])
def test_a_key_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "journal.key"
    keys.create(file, "name")
    file.chmod(mode)
    with pytest.raises(UsageError, match=f"its mode is {mode:04o}.*chmod 0600"):
        keys.load_private(file)
    file.chmod(0o400)
    assert keys.load_private(file).public.name == "name"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "journal.key"
    keys.create(file, "name")
    os.chown(file, 12345, -1)
    with pytest.raises(UsageError, match="belongs to user 12345"):
        keys.load_private(file)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "journal.key"
    keys.create(file, "name")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="exists: keys are not overwritten"):
        keys.create(file, "name")
    keys.public_file(file).unlink()
    with pytest.raises(UsageError, match="exists: keys are not overwritten"):
        keys.create(file, "name")
    assert file.read_bytes() == before
    (tmp_path / "other.key.pub").write_text("something")
    with pytest.raises(UsageError, match="exists"):
        keys.create(tmp_path / "other.key", "name")
    assert not (tmp_path / "other.key").exists()


@pytest.mark.parametrize("name", ["", "with space", "plus+", "tab\t", "x" * 201, "no\u00a0break", "new\nline"])
def test_names_a_key_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="choose another --name"):
        keys.create(tmp_path / "k", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no signing key"),
        (b"\xff\xfe", "no text"),
        (b"name+00000000+AAAA\n", "no signing key"),
        (b"PRIVATE+KEY+name+00000000+AAAA\n", "no Ed25519 key"),
        (b"PRIVATE+KEY+name+00000000+" + b"AQ" + b"A" * 42 + b"\n", "id does not fit"),
    ],
)
def test_what_is_no_signing_key(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "journal.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UsageError, match=words):
        keys.load_private(file)


def test_key_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fixgateway keys new"):
        keys.load_private(tmp_path / "missing")
    with pytest.raises(UsageError, match="missing"):
        keys.load_public(tmp_path / "missing")
    with pytest.raises(UsageError, match="directory"):
        keys.load_private(tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        keys.create(tmp_path / "missing" / "key", "name")
    file = tmp_path / "journal.key"
    keys.create(file, "name")
    with pytest.raises(UsageError, match=r"name the \.pub file"):
        keys.load_public(file)  # the private one in its place
