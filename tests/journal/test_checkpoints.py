"""Checkpoints against tampering by somebody who can compute every checksum anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import checkpoints, verification
from fixgateway.journal.checkpoints import (
    Checkpoint,
    checkpoint_text,
    journal_id,
    known,
    latest,
    parse,
    store,
    stored,
)
from fixgateway.journal.growth import Known
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import PrivateKey, new_private_key
from fixgateway.journal.reader import read, verify
from fixgateway.journal.records import Kind, Record, encode
from fixgateway.journal.scan import build_header, segment_name
from fixgateway.journal.segments import Writer

KEY = new_private_key("gateway.example/journal")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_UNFINISHED_WAIT_SECONDS", 0)


def make(directory: Path, count: int = 12, every: int = 4, key: PrivateKey | None = KEY) -> list[Checkpoint]:
    """A journal of ``count`` records with its own checkpoint after every ``every``."""
    made = []
    with Writer(directory) as writer:
        for number in range(1, count + 1):
            writer.append(Kind.SEEN, "OMS1", number, b"text of %d" % number)
            writer.sync()
            if number % every == 0:
                made.append(note(directory, writer.head, key))
                store(directory / checkpoints.DIRECTORY, made[-1])
    return made


def note(directory: Path, head: Head, key: PrivateKey | None = KEY) -> Checkpoint:
    text = checkpoint_text(f"fixgateway/FIXGW/{journal_id(directory)}", head)
    return parse((key.sign(text) if key else text).encode())


def rewrite(directory: Path, records: Sequence[Record]) -> None:
    """What an administrator with time on his hands does: all numbers and checksums fit again."""
    crc = 0
    frames = []
    for seq, record in enumerate(records, 1):
        head, body, crc = encode(seq, record.ts_ns, record.kind, record.session, record.payload, crc)
        frames.append(head + body)
    for path in directory.glob("*.fgj*"):
        path.unlink()
    (directory / segment_name(1)).write_bytes(build_header(1, 0) + b"".join(frames))


Records = list[Record]
CHANGES: dict[str, tuple[Callable[[Records], Records], str]] = {
    "one bit of record 1": (lambda r: [r[0]._replace(payload=b"Text of 1"), *r[1:]], "records 1 to 4 are not"),
    "one replaced": (lambda r: [*r[:5], r[5]._replace(payload=b"picked"), *r[6:]], "records 5 to 8 are not"),
    "another time": (lambda r: [*r[:5], r[5]._replace(ts_ns=99), *r[6:]], "records 5 to 8 are not"),
    "another session": (lambda r: [*r[:5], r[5]._replace(session="OMS2"), *r[6:]], "records 5 to 8 are not"),
    "another kind": (lambda r: [*r[:5], r[5]._replace(kind=Kind.EVENT), *r[6:]], "records 5 to 8 are not"),
    "two swapped": (lambda r: [*r[:8], r[9], r[8], *r[10:]], "records 9 to 12 are not"),
    "one inserted": (lambda r: [*r[:6], r[0], *r[6:]], "records 5 to 8 are not"),
    "one removed": (lambda r: [*r[:6], *r[7:]], "records 5 to 8 are not"),
    "last removed": (lambda r: r[:-1], "records 12 to 12 are missing"),
    "cut to a checkpoint": (lambda r: r[:8], "records 9 to 12 are missing"),
    "all removed": (lambda r: [], "records 1 to 12 are missing"),
    "all replaced": (lambda r: [x._replace(payload=b"x") for x in r], "records 1 to 4 are not"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_rewritten_journal_is_found_and_located(tmp_path: Path, name: str) -> None:
    change, words = CHANGES[name]
    make(tmp_path)
    assert verify(tmp_path).verified
    rewrite(tmp_path, list(read(tmp_path)))
    assert verify(tmp_path).verified  # the same records: nothing was changed
    rewrite(tmp_path, change(list(read(tmp_path))))
    found = verify(tmp_path)
    assert not found.verified
    assert words in found.damage
    with pytest.raises(JournalDamaged, match=words):
        Writer(tmp_path, known=known(tmp_path, "FIXGW") + own(tmp_path))


def own(directory: Path) -> list[Known]:
    """All of the journal's checkpoints, not only the newest."""
    files = stored(directory / checkpoints.DIRECTORY)
    return [Known(parse(file.read_bytes()).head, f"checkpoint {file}") for file in files]


def test_a_journal_without_its_checkpoints_is_found_by_one_that_was_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    journal = tmp_path / "journal"
    first, _, last = make(journal)
    kept.write_bytes(last.data)
    shutil.rmtree(journal / checkpoints.DIRECTORY)
    assert verify(journal, checkpoints=[kept], keys=[KEY.public]).signed_records == 12
    rewrite(journal, list(read(journal))[:-1])
    assert verify(journal).verified  # nothing left to compare it with
    found = verify(journal, checkpoints=[kept])
    assert f"records 12 to 12 are missing: checkpoint {kept} has seen them" in found.damage
    kept.write_bytes(first.data)
    assert verify(journal, checkpoints=[kept]).verified  # it only speaks of the first four


def test_a_journal_replaced_from_its_first_record_is_another_journal(tmp_path: Path) -> None:
    made = make(tmp_path / "journal")
    kept = tmp_path / "kept"
    kept.write_bytes(made[0].data)
    with Writer(tmp_path / "other") as writer:
        for number in range(12):
            writer.append(Kind.SEEN, "OMS1", number, b"invented")
    found = verify(tmp_path / "other", checkpoints=[kept])
    assert not found.verified
    assert "records 1 to 4 are not the ones of" in found.damage
    # The very same tree under another name: only the origin tells.
    text = checkpoint_text("fixgateway/FIXGW/0000000000000000", made[0].head)
    kept.write_bytes(KEY.sign(text).encode())
    found = verify(tmp_path / "journal", checkpoints=[kept])
    assert "is another one, or was replaced from its first record on" in found.damage


def test_what_is_said_of_signatures(tmp_path: Path) -> None:
    def said(directory: Path, *keys: PrivateKey) -> tuple[bool, str, int]:
        found = verify(directory, keys=[key.public for key in keys])
        return found.verified, found.signatures, found.signed_records

    other = new_private_key("other")
    make(tmp_path / "signed")
    assert said(tmp_path / "signed") == (True, "not checked (no public key given)", 0)
    assert said(tmp_path / "signed", KEY) == (True, "by gateway.example/journal, up to record 12", 12)
    assert said(tmp_path / "signed", other, KEY)[0]
    assert said(tmp_path / "signed", other) == (False, "none by other", 0)
    make(tmp_path / "unsigned", key=None)
    assert said(tmp_path / "unsigned") == (True, "not signed", 0)
    assert said(tmp_path / "unsigned", KEY)[0] is False
    make(tmp_path / "young", count=3)
    assert said(tmp_path / "young") == (True, "no checkpoints", 0)
    assert "no checkpoint is signed by gateway.example" in verify(tmp_path / "young", keys=[KEY.public]).damage
    counted = verify(tmp_path / "signed")
    assert (counted.checkpoints, counted.checkpoint_records) == (3, 12)


def test_a_checkpoint_of_a_thief_without_the_key_is_found(tmp_path: Path) -> None:
    """Journal and checkpoints rewritten together: only the signature tells."""
    make(tmp_path)
    rewrite(tmp_path, [record._replace(payload=b"x") for record in read(tmp_path)])
    shutil.rmtree(tmp_path / checkpoints.DIRECTORY)
    thief = new_private_key(KEY.public.name)  # the same name, another key
    with Writer(tmp_path) as writer:
        forged = note(tmp_path, writer.head, thief)
    store(tmp_path / checkpoints.DIRECTORY, forged)
    assert verify(tmp_path).verified
    assert "no checkpoint is signed by" in verify(tmp_path, keys=[KEY.public]).damage
    # With the true key's id on it the signature is not good.
    mine = KEY.sign("x\n").rpartition("\n\n")[2]
    (file,) = stored(tmp_path / checkpoints.DIRECTORY)
    file.chmod(0o600)
    file.write_text(f"{forged.note.text}\n{mine}")
    assert "the signature of gateway.example/journal is wrong" in verify(tmp_path, keys=[KEY.public]).damage
    with pytest.raises(JournalError, match=r"the signature of gateway\.example/journal is wrong"):
        known(tmp_path, "FIXGW", key=KEY.public)


def test_a_given_checkpoint_must_be_signed(tmp_path: Path) -> None:
    make(tmp_path / "journal")
    kept = tmp_path / "kept"
    with Writer(tmp_path / "journal") as writer:
        kept.write_bytes(note(tmp_path / "journal", writer.head, None).data)
    assert verify(tmp_path / "journal", checkpoints=[kept]).verified
    found = verify(tmp_path / "journal", checkpoints=[kept], keys=[KEY.public])
    assert found.damage == f"checkpoint {kept} is not signed by gateway.example/journal"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_checkpoint_file_with_a_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("tampered")
    make(directory, count=4)
    (file,) = stored(directory / checkpoints.DIRECTORY)
    good = file.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    file.chmod(0o600)
    file.write_bytes(good[:at] + bytes((good[at] ^ data.draw(st.integers(1, 255)),)) + good[at + 1 :])
    assert not verify(directory, keys=[KEY.public]).verified


def test_damage_of_records_is_told_before_damage_of_checkpoints(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / checkpoints.DIRECTORY / ("0" * 15) / f"{3:020d}.checkpoint").write_bytes(b"nonsense")
    assert "was changed or cannot be read" in verify(tmp_path).damage
    (segment,) = tmp_path.glob("*.fgj")
    segment.write_bytes(segment.read_bytes().replace(b"text of 7", b"text of 8"))
    found = verify(tmp_path)
    assert found.damage.startswith("record 7 ")
    assert (found.records, found.root) == (6, "")


def test_two_checkpoints_that_contradict_each_other(tmp_path: Path) -> None:
    make(tmp_path / "journal")
    kept = tmp_path / "kept"
    kept.write_bytes(note(tmp_path / "journal", Head(8, b"x" * 32)).data)
    assert f"records 5 to 8 are not the ones of checkpoint {kept}" in verify(
        tmp_path / "journal", checkpoints=[kept]
    ).damage


def test_a_torn_record_that_a_checkpoint_covers_was_no_crash(tmp_path: Path) -> None:
    make(tmp_path)
    (segment,) = tmp_path.glob("*.fgj")
    data = segment.read_bytes()
    segment.write_bytes(data[:-3])
    found = verify(tmp_path)
    assert (found.torn_tail, found.records) == (False, 11)
    assert "records 12 to 12 are missing" in found.damage
    with pytest.raises(JournalDamaged, match="records 12 to 12 are missing"):
        Writer(tmp_path, known=known(tmp_path, "FIXGW"))
    assert segment.read_bytes() == data[:-3]
    with Writer(tmp_path) as writer:  # without a checkpoint it would have been taken for a crash
        assert writer.torn is not None


def test_what_is_no_checkpoint_file(tmp_path: Path) -> None:
    make(tmp_path / "journal")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(UsageError, match=r"checkpoint .*text: no checkpoint"):
        verify(tmp_path / "journal", checkpoints=[tmp_path / "text"])
    with pytest.raises(UsageError, match="No such file"):
        verify(tmp_path / "journal", checkpoints=[tmp_path / "missing"])


# ---------------------------------------------------------------- the tree a writer keeps


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.tuples(st.lists(st.binary(max_size=50), max_size=12), st.booleans()), max_size=8),
    segment_bytes=st.sampled_from([100, 10**6]),
)
def test_the_writers_tree_is_that_of_what_is_durable(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[list[bytes], bool]], segment_bytes: int
) -> None:
    directory = tmp_path_factory.mktemp("tree")
    writer = Writer(directory, segment_bytes=segment_bytes)
    seals: list[Head] = []
    writer.on_seal.append(seals.append)
    heads = []
    for payloads, restart in batches:
        before = writer.head
        for payload in payloads:
            writer.append(Kind.SEEN, "", 1, payload)
        assert writer.head == before  # nothing is durable yet
        writer.sync()
        assert writer.head.size == writer.synced_seq
        heads.append(writer.head)
        if restart:
            writer.close()
            writer = Writer(directory, segment_bytes=segment_bytes, known=[Known(writer.head, "before")])
            writer.on_seal.append(seals.append)
            assert writer.head == heads[-1]
    writer.close()
    # Everything the writer ever said of its tree is what a reader finds, by the other code path.
    said = [note(directory, head, None) for head in (*heads, *seals) if head.size]
    for number, checkpoint in enumerate(said):
        (directory / f"{number}").write_bytes(checkpoint.data)
    found = verify(directory, checkpoints=[directory / f"{number}" for number in range(len(said))])
    assert (found.verified, found.checkpoints) == (True, len(said))


def test_a_failed_writer_keeps_the_tree_of_what_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    writer = Writer(tmp_path)
    writer.append(Kind.SEEN, "", 1, b"durable")
    writer.sync()
    before = writer.head
    monkeypatch.setattr("os.fdatasync", fail)
    writer.append(Kind.SEEN, "", 1, b"perhaps")
    with pytest.raises(JournalError):
        writer.sync()
    monkeypatch.undo()
    assert writer.head == before
    writer.close()
    with Writer(tmp_path) as again:
        assert again.head == before


# ---------------------------------------------------------------- files


def test_a_checkpoint_is_written_once_whole_and_read_only(tmp_path: Path) -> None:
    made = make(tmp_path / "journal")
    root = tmp_path / "anchor"
    file = store(root, made[0])
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (made[0].data, 0o440)
    assert file == root / "000000000000000" / "00000000000000000004.checkpoint"
    file.with_suffix(".new").write_bytes(b"left by a crash")
    store(root, made[1])
    (root / "000000000000000" / "00000000000000000012.new").write_bytes(b"left by a crash")
    store(root, made[2])
    assert [path.name for path in stored(root)] == [f"{size:020d}.checkpoint" for size in (4, 8, 12)]
    assert store(root, made[0]) == file  # the same again is no contradiction
    with pytest.raises(JournalError, match="is another checkpoint of 4 records"):
        store(root, parse(new_private_key("other").sign(made[0].note.text).encode()))
    assert file.read_bytes() == made[0].data


def test_the_newest_is_the_one_of_most_records(tmp_path: Path) -> None:
    assert latest(tmp_path / "missing") is None
    assert latest(tmp_path) is None
    made = make(tmp_path / "journal", count=4)[0]
    for size in (99_999, 4, 100_000, 1_234_567):
        store(tmp_path / "anchor", replace(made, head=Head(size, made.head.root)))
    (tmp_path / "anchor" / "notes.txt").write_text("somebody's")
    (tmp_path / "anchor" / ("0" * 15) / "notes.txt").write_text("somebody's")
    found = latest(tmp_path / "anchor")
    assert found is not None
    assert found[0].name == "00000000000001234567.checkpoint"
    assert found[0].parent.name == "000000000000012"
    assert len(list(stored(tmp_path / "anchor"))) == 4


def test_an_anchor_that_knows_more_stops_the_start(tmp_path: Path) -> None:
    """The journal was restored from a copy some hours old: its own checkpoints are as old as it is."""
    journal, anchor = tmp_path / "journal", tmp_path / "anchor"
    make(journal, count=4)
    shutil.copytree(journal, tmp_path / "copy")
    with Writer(journal) as writer:
        writer.append(Kind.SEEN, "", 1, b"later")
        writer.sync()
        newer = note(journal, writer.head)
    store(checkpoints.anchor_directory(anchor, newer.origin), newer)
    shutil.rmtree(journal)
    (tmp_path / "copy").rename(journal)
    assert len(known(journal, "FIXGW", [anchor, tmp_path / "not mounted"])) == 2
    with pytest.raises(JournalDamaged, match=r"records 5 to 5 are missing: checkpoint .*older copy"):
        Writer(journal, known=known(journal, "FIXGW", [anchor]))
    assert known(tmp_path / "new" / "journal", "FIXGW", [anchor]) == []  # a new journal is not an old one


def test_the_newest_checkpoint_must_be_readable_at_the_start(tmp_path: Path) -> None:
    make(tmp_path)
    *_, file = stored(tmp_path / checkpoints.DIRECTORY)
    file.chmod(0o600)
    file.write_bytes(b"")
    with pytest.raises(JournalError, match="writes these files whole and never changes them"):
        known(tmp_path, "FIXGW")
