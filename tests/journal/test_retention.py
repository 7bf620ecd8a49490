"""Removing records whose time is over: what is refused, what is kept, and that everything goes on behind it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec
import pytest
from journals import Scribe, parties

from fixgateway.cli.main import invoke
from fixgateway.core.inputs import Tick
from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import checkpoints, holds, keys, proofs, pruned, retention, snapshots
from fixgateway.journal.compress import compress
from fixgateway.journal.growth import Known
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import PrivateKey, bytes_of, new_private_key
from fixgateway.journal.pruned import Pruned
from fixgateway.journal.reader import KEPT, Finder, Follower, first_seq, read, verify
from fixgateway.journal.records import Kind
from fixgateway.journal.retention import Pruning
from fixgateway.journal.scan import list_segments
from fixgateway.journal.segments import Writer
from fixgateway.recovery import describe_parties
from fixgateway.snapshots import Source, load, open_journal, rest
from fixgateway.snapshotter import answer

DAY_NS = 86_400_000_000_000
NOW = datetime(2033, 6, 1, tzinfo=UTC)
"""The journal's days are 2026-11-23 to -30, so with six years all but its last segment may go."""

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_proof.py"


def usable(_: Path) -> str:
    return ""


def keep_checkpoint(data_dir: Path, head: Head, key: PrivateKey | None = None) -> Path:
    """A checkpoint as the notary keeps it."""
    journal = data_dir / "journal"
    text = checkpoints.checkpoint_text(checkpoints.origin_of(journal, "FIXGW"), head)
    note = (key.sign(text) if key else text).encode()
    return checkpoints.store(journal / checkpoints.DIRECTORY, checkpoints.parse(note))


def snapshot(data_dir: Path, key: PrivateKey | None = None, up_to: int = 0) -> None:
    assert answer(data_dir, key=key, up_to=up_to).error == ""


def written(data_dir: Path, days: int = 8, years: int | None = None, key: PrivateKey | None = None) -> Path:
    """A journal of a segment a day, each with a checkpoint, and a snapshot of all of it."""
    told = {"version": "1", "parties": describe_parties(parties()), "retention_years": years}
    scribe = Scribe(data_dir, told if years else None)
    for day in range(days):
        for _ in range(3 + day % 3):
            scribe.control(lambda seq, ts_ns: Tick(seq, ts_ns, date(2026, 11, 23), "10:00:00"))
            scribe.append(Kind.EVENT, b"a note", "OMS1")
        scribe.writer.sync()
        keep_checkpoint(data_dir, scribe.writer.head, key)
        scribe.ts_ns += DAY_NS
    scribe.close()
    snapshot(data_dir, key)
    return data_dir


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("original") / "var")


@pytest.fixture
def data_dir(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "var"))


def remove(data_dir: Path, now: datetime = NOW, **more: object) -> Pruning:
    return retention.prune(data_dir, "ann", now, more.pop("usable", usable), **more)  # type: ignore[arg-type]


def firsts(data_dir: Path) -> list[int]:
    return [segment.first_seq for segment in list_segments(data_dir / "journal")]


# ---------------------------------------------------------------- what goes


def test_old_segments_go_and_the_journal_still_verifies(data_dir: Path) -> None:
    before, whole = firsts(data_dir), verify(data_dir)
    assert len(before) == 8
    done = remove(data_dir)
    assert [item.first_seq for item in done.removed] == before[:-1]
    assert firsts(data_dir) == before[-1:]
    assert (done.kept_from, done.removed_records, done.retention_years) == (before[-1], before[-1] - 1, 6)
    assert "newest segment always stays" in done.refused
    found = verify(data_dir)
    assert (found.verified, found.first_seq, found.last_seq) == (True, before[-1], whole.last_seq)
    assert (found.root, found.segments, found.records) == (whole.root, 1, whole.last_seq - before[-1] + 1)
    gone = f"records 1 to {before[-1] - 1} were removed, lastly on 2033-06-01 by ann"
    assert found.removed == f"{gone}; 6 checkpoints of fewer records cannot be compared"
    kept = json.loads((data_dir / "journal" / pruned.FILE).read_text())
    assert [item["by"] for item in kept["removals"]] == ["ann"]
    assert kept["removals"][0]["newest"].startswith("2026-11-29T")


def test_a_dry_run_says_the_same_and_does_nothing(data_dir: Path) -> None:
    before = firsts(data_dir)
    said = remove(data_dir, dry_run=True)
    assert firsts(data_dir) == before
    assert not (data_dir / "journal" / pruned.FILE).exists()
    done = remove(data_dir)
    assert said.dry_run
    assert (said.removed, said.root, said.kept_from) == (done.removed, done.root, done.kept_from)


def test_removing_again_goes_on_and_keeps_who_did_what(data_dir: Path) -> None:
    before, identity = firsts(data_dir), checkpoints.journal_id(data_dir / "journal")
    assert remove(data_dir, before=date(2026, 11, 25)).kept_from == before[2]
    assert remove(data_dir, before=date(2026, 11, 25)).removed == ()
    done = retention.prune(data_dir, "bob", NOW, usable)
    assert done.kept_from == before[-1]
    gone = pruned.load(data_dir / "journal")
    assert gone is not None
    assert [(item.first, item.last, item.by) for item in gone.removals] == [
        (1, before[2] - 1, "ann"), (before[2], before[-1] - 1, "bob")
    ]  # fmt: skip
    assert checkpoints.journal_id(data_dir / "journal") == identity
    assert verify(data_dir).verified


def test_compressed_segments_go_too(data_dir: Path) -> None:
    assert len(list(compress(data_dir))) == 7
    assert remove(data_dir).removed[0].file.endswith(".fgj.gz")
    assert verify(data_dir).verified


def test_an_interrupted_removal_is_a_removal(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, whole = firsts(data_dir), verify(data_dir)
    unlink, left = Path.unlink, 2

    def fails(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        left -= path.suffix == ".fgj"
        if left < 0:
            raise OSError("power cut")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", fails)
    with pytest.raises(JournalError, match=r"cannot be removed: power cut; its records count as removed"):
        remove(data_dir)
    monkeypatch.undo()
    assert firsts(data_dir) == before[2:]
    found = verify(data_dir)
    assert (found.verified, found.first_seq, found.segments, found.root) == (True, before[-1], 1, whole.root)
    with Writer(data_dir / "journal", "never", known=checkpoints.known(data_dir / "journal", "")) as writer:
        assert writer.next_seq == whole.last_seq + 1
    remove(data_dir)
    assert firsts(data_dir) == before[-1:]


def test_before_pruned_json_is_there_nothing_goes(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = firsts(data_dir)

    def fails(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(JournalError, match="nothing was removed"):
        remove(data_dir)
    monkeypatch.undo()
    assert firsts(data_dir) == before
    assert verify(data_dir).removed == ""


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("now", "gone"), [("2032-11-23", 0), ("2032-11-24", 1), ("2032-11-27", 4)])
def test_nothing_younger_than_its_years_goes(data_dir: Path, now: str, gone: int) -> None:
    before = firsts(data_dir)
    done = remove(data_dir, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert len(done.removed) == gone
    assert done.refused.startswith(f"records {before[gone]} to ")
    assert "6 years (journal.retention_years)" in done.refused


def test_the_journal_says_how_many_years(tmp_path: Path) -> None:
    data_dir = written(tmp_path / "var", days=3, years=8)
    assert retention.retention_years(data_dir / "journal") == 8
    assert remove(data_dir).removed == ()
    assert len(remove(data_dir, NOW + timedelta(days=2 * 365)).removed) == 2


def test_a_leap_day_is_kept_to_the_first_of_march() -> None:
    assert retention._years_later(date(2028, 2, 29), 6) == date(2034, 3, 1)
    assert retention._years_later(date(2028, 2, 29), 8) == date(2036, 2, 29)


def test_nothing_under_a_hold_goes_until_it_is_released(data_dir: Path) -> None:
    before = firsts(data_dir)
    holds.add(data_dir, "SEC-1", "subpoena", "eve", NOW, (date(2026, 11, 25), date(2026, 11, 25)))
    done = remove(data_dir)
    assert done.kept_from == before[2]
    assert "legal hold SEC-1, set by eve on 2033-06-01: subpoena" in done.refused
    holds.release(data_dir, "SEC-1", "closed", "eve", NOW)
    assert remove(data_dir).kept_from == before[-1]


def test_with_damaged_holds_nothing_goes(data_dir: Path) -> None:
    holds.add(data_dir, "SEC-1", "subpoena", "eve", NOW, (None, None))
    file = data_dir / holds.DIRECTORY / "000001.json"
    file.rename(file.with_name("000002.json"))
    with pytest.raises(JournalError, match="nothing may be removed"):
        remove(data_dir)


def test_before_a_date_all_goes_or_nothing(data_dir: Path) -> None:
    before = firsts(data_dir)
    holds.add(data_dir, "SEC-1", "subpoena", "eve", NOW, (date(2026, 11, 25), date(2026, 11, 25)))
    done = remove(data_dir, before=date(2026, 11, 27))
    assert (done.removed, firsts(data_dir)) == ((), before)
    assert "legal hold SEC-1" in done.refused
    done = remove(data_dir, before=date(2026, 11, 25))
    assert (len(done.removed), done.refused) == (2, "")


def test_what_a_start_needs_stays(data_dir: Path) -> None:
    before = firsts(data_dir)
    done = remove(data_dir, usable=lambda _: "it is of another version")
    assert done.removed == ()
    assert "is of no use: it is of another version" in done.refused
    for file in snapshots.stored(data_dir / snapshots.DIRECTORY):
        file.unlink()
    assert "there is no snapshot" in remove(data_dir).refused
    snapshot(data_dir, up_to=before[3] + 1)
    done = remove(data_dir)
    assert done.kept_from == before[3]
    assert "a start from snapshot" in done.refused


def test_what_no_checkpoint_covers_stays(data_dir: Path) -> None:
    before = firsts(data_dir)
    for file in list(checkpoints.stored(data_dir / "journal" / checkpoints.DIRECTORY))[3:]:
        file.unlink()
    done = remove(data_dir)
    assert done.kept_from == before[3]
    assert "no checkpoint covers them" in done.refused


def test_from_a_damaged_journal_nothing_goes(data_dir: Path) -> None:
    segment = list_segments(data_dir / "journal")[5].path
    segment.chmod(0o640)
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalError, match=r"nothing was removed, the journal in .* is not verified"):
        remove(data_dir)
    assert len(firsts(data_dir)) == 8


def test_a_signed_journal_wants_the_key(tmp_path: Path) -> None:
    key = new_private_key("gateway.example/journal")
    data_dir = written(tmp_path / "var", days=3, key=key)
    with pytest.raises(UsageError, match=r"signed by gateway.example/journal: name the public key"):
        remove(data_dir)
    with pytest.raises(JournalError, match="not verified"):
        remove(data_dir, keys=[new_private_key("another").public])
    assert len(remove(data_dir, keys=[key.public]).removed) == 2
    assert verify(data_dir, keys=[key.public]).verified


# ---------------------------------------------------------------- going on behind it


def test_the_writer_goes_on(data_dir: Path) -> None:
    whole = verify(data_dir)
    remove(data_dir)
    known = checkpoints.known(data_dir / "journal", "FIXGW")
    with Writer(data_dir / "journal", "never", 1, known) as writer:
        assert writer.head == Head(whole.last_seq, bytes_of(whole.root))
        for number in range(20):
            writer.append(Kind.EVENT, "", NOW.timestamp().__trunc__() * 10**9 + number, b"later")
            writer.sync()
        head = writer.head
    keep_checkpoint(data_dir, head)
    found = verify(data_dir)
    assert (found.verified, found.last_seq, found.checkpoint_records) == (True, head.size, head.size)


def test_a_start_reads_on_from_its_snapshot(data_dir: Path) -> None:
    journal = data_dir / "journal"
    source = Source(journal, checkpoints.known(journal, ""))
    writer, base = open_journal(lambda start: Writer(journal, start=start), None, source, lambda *_: None)
    writer.close()
    for record in rest(base, source):
        base.reader.take(record)
    whole = base.reader.memory
    remove(data_dir)
    aside: list[str] = []
    writer, base = open_journal(
        lambda start: Writer(journal, start=start, known=source.known), data_dir / snapshots.DIRECTORY, source,
        lambda _, why: aside.append(why),
    )  # fmt: skip
    writer.close()
    assert aside == []
    assert list(rest(base, source)) == []
    assert (base.reader.memory.records, base.reader.memory.highest) == (whole.records, whole.highest)


def test_a_start_without_a_snapshot_says_what_is_missing(data_dir: Path) -> None:
    remove(data_dir)
    shutil.rmtree(data_dir / snapshots.DIRECTORY)
    journal = data_dir / "journal"
    source = Source(journal)
    writer, base = open_journal(
        lambda start: Writer(journal, start=start), data_dir / snapshots.DIRECTORY, source, lambda *_: None
    )
    with writer, pytest.raises(JournalError, match=r"record 1 is not in .*: records 1 to \d+ were removed"):
        list(rest(base, source))


def test_every_kept_record_can_be_proved(data_dir: Path, tmp_path: Path) -> None:
    remove(data_dir, before=date(2026, 11, 26))
    files = list(checkpoints.stored(data_dir / "journal" / checkpoints.DIRECTORY))
    stored = [checkpoints.load(file) for file in files]
    cut = first_seq(data_dir) - 1
    kept = [checkpoint for checkpoint in stored if checkpoint.head.size >= cut]
    assert len(kept) == 6
    assert kept[0].head.size == cut
    for checkpoint in kept[1:]:
        sequences = range(cut + 1, checkpoint.head.size + 1)
        assert len(proofs.prove_records(data_dir, sequences, checkpoint)["records"]) == len(sequences)
        proofs.prove_consistency(data_dir, kept[0], checkpoint)
    document = proofs.prove_records(data_dir, [cut + 1, cut + 5], kept[-1])
    growth = proofs.prove_consistency(data_dir, kept[0], kept[-1])
    for made, by in ((document, files[-1]), (growth, files[-6])):
        (tmp_path / "proof").write_text(json.dumps(made))
        command = [sys.executable, str(SCRIPT), str(tmp_path / "proof"), "--checkpoint", str(by)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "PROVED" in done.stdout, done.stderr
    with pytest.raises(JournalError, match=f"record {cut} cannot be proved: records 1 to {cut} were removed"):
        proofs.prove_records(data_dir, [cut], kept[-1])
    with pytest.raises(JournalError, match="nothing can be proved of the checkpoint"):
        proofs.prove_consistency(data_dir, stored[0], kept[-1])


def test_what_needs_every_record_says_so(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remove(data_dir)
    first = first_seq(data_dir)
    words = f"records 1 to {first - 1} were removed, lastly on 2033-06-01 by ann"
    for call in (
        lambda: list(read(data_dir)),
        lambda: Finder(data_dir).read(first - 1),
        lambda: Follower(data_dir).poll(),
        lambda: Follower(data_dir, first - 2).poll(),
    ):
        with pytest.raises(JournalError, match=words) as error:
            call()
        assert not isinstance(error.value, JournalDamaged)
    assert invoke(["replay", str(data_dir)]) == 1
    assert words in capsys.readouterr().err
    assert Finder(data_dir).read(first).seq == first
    assert [record.seq for record in Follower(data_dir, first - 1).poll(2)] == [first, first + 1]
    assert next(iter(read(data_dir, KEPT))).seq == first
    assert invoke(["journal", "show", str(data_dir), "--limit", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["sequence" if "sequence" in json.loads(out)[0] else "seq"] == first
    assert f"records 1 to {first - 1} were removed" in err


def test_segments_put_back_make_it_whole_again(data_dir: Path, original: Path) -> None:
    remove(data_dir)
    for file in (original / "journal").glob("*.fgj"):
        if not (data_dir / "journal" / file.name).exists():
            shutil.copy(file, data_dir / "journal")
    (data_dir / "journal" / pruned.FILE).unlink()
    assert verify(data_dir) == verify(original)


# ---------------------------------------------------------------- forging pruned.json


def forge(data_dir: Path, change: Callable[[dict[str, object]], object], seal: bool = True) -> None:
    file = data_dir / "journal" / pruned.FILE
    document = json.loads(file.read_text())
    change(document)
    changed = msgspec.convert(document, Pruned)
    file.chmod(0o640)
    file.write_bytes(pruned.encode(pruned.sealed(changed) if seal else changed))


FORGERIES: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "another peak": (
        lambda d: d.update(peaks=["00" * 32, *d["peaks"][1:]]),  # type: ignore[index]
        "pruned.json is not of the records of checkpoint",
    ),
    "another crc": (lambda d: d.update(crc=1), "it was not written behind the removed records"),
    "another journal": (lambda d: d.update(journal="0" * 16), "is of journal"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_beginning_is_found(data_dir: Path, name: str) -> None:
    change, words = FORGERIES[name]
    remove(data_dir)
    forge(data_dir, change)
    found = verify(data_dir)
    assert not found.verified
    assert words in found.damage


def test_a_forged_peak_is_found_by_a_later_checkpoint_alone(data_dir: Path) -> None:
    remove(data_dir)
    cut = first_seq(data_dir) - 1
    for file in checkpoints.stored(data_dir / "journal" / checkpoints.DIRECTORY):
        if checkpoints.load(file).head.size == cut:
            file.unlink()
    assert verify(data_dir).verified
    forge(data_dir, FORGERIES["another peak"][0])
    assert "are not the ones of checkpoint" in verify(data_dir).damage
    known = checkpoints.known(data_dir / "journal", "")
    with pytest.raises(JournalDamaged):
        Writer(data_dir / "journal", "never", known=known)


def test_a_changed_or_missing_beginning_stops_everything(data_dir: Path) -> None:
    remove(data_dir)
    forge(data_dir, lambda d: d.update(crc=1), seal=False)
    assert "pruned.json: it was changed" in verify(data_dir).damage
    with pytest.raises(JournalError, match="it was changed"):
        Writer(data_dir / "journal", "never")
    (data_dir / "journal" / pruned.FILE).unlink()
    assert "are missing" in verify(data_dir).damage


def test_without_a_checkpoint_nobody_vouches_for_the_beginning(data_dir: Path) -> None:
    remove(data_dir)
    away = data_dir.parent / "away"
    shutil.move(data_dir / "journal" / checkpoints.DIRECTORY, away)
    assert "no checkpoint vouches for pruned.json" in verify(data_dir).damage
    assert verify(data_dir, checkpoints=[away]).verified


def test_missing_segments_behind_the_beginning_are_noticed(data_dir: Path) -> None:
    remove(data_dir, before=date(2026, 11, 26))
    cut = first_seq(data_dir) - 1
    list_segments(data_dir / "journal")[0].path.unlink()
    found = verify(data_dir)
    assert f"records {cut + 1} to " in found.damage
    assert "are missing" in found.damage
    for segment in list_segments(data_dir / "journal"):
        segment.path.unlink()
    with pytest.raises(JournalError, match=f"those from {cut + 1} on are missing"):
        Writer(data_dir / "journal", "never")


def test_random_cuts_and_sizes_verify(tmp_path: Path) -> None:
    """Segments of few records each, so that the cut falls on odd sizes: every root as without the cut."""
    chance = random.Random(3161)
    whole = tmp_path / "whole"
    ts_ns = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    with Writer(whole / "journal", "never", 200) as writer:
        for number in range(90):
            writer.append(Kind.EVENT, "", ts_ns + number, bytes(chance.randrange(150)))
            if chance.random() < 0.6:
                writer.sync()
                keep_checkpoint(whole, writer.head)
        writer.sync()
        head = writer.head
    keep_checkpoint(whole, head)
    starts = [segment.first_seq for segment in list_segments(whole / "journal")]
    assert len(starts) > 10
    for at in chance.sample(range(1, len(starts)), 8):
        copy = Path(shutil.copytree(whole, tmp_path / f"cut{at}"))
        sealed = list(retention._sealed(copy / "journal"))[:at]
        gone = retention._after(copy / "journal", sealed, "ann", NOW, 6)
        assert gone is not None
        retention._write(copy / "journal", gone)
        retention._remove_leftovers(copy / "journal")
        found = verify(copy)
        assert (found.verified, found.first_seq, found.last_seq) == (True, starts[at], head.size)
        newest = proofs.newest_checkpoint(copy)
        proofs.prove_records(copy, range(starts[at], head.size + 1), newest)
        known = [Known(newest.head, "the newest")]
        with Writer(copy / "journal", "never", known=known) as writer:
            assert writer.head == head


# ---------------------------------------------------------------- the commands


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "journal.key"
    public = keys.create(key, "gateway.example/journal")
    assert public
    data_dir = written(tmp_path / "var", days=4, key=keys.load_private(key))
    data, signed = str(data_dir), ["--public-key", f"{key}.pub"]
    assert invoke(["journal", "prune", data]) == 2
    assert "--public-key" in capsys.readouterr().err
    assert invoke(["journal", "prune", data, *signed, "--json"]) == 0  # too young by this machine's clock
    document = json.loads(capsys.readouterr().out)
    assert (document["removed"], document["kept_from"]) == ([], 1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return cls(2033, 6, 1, tzinfo=tz)

    monkeypatch.setattr("fixgateway.cli.retention.datetime", Later)
    hold = ["journal", "hold"]
    why = ["--reason", "subpoena", "--from", "2026-11-24", "--actor", "eve"]
    assert invoke([*hold, "add", data, "SEC-1", *why]) == 0
    assert "hold SEC-1 (2026-11-24 to the last): stands" in capsys.readouterr().out
    assert invoke([*hold, "list", data]) == 0
    assert "subpoena" in capsys.readouterr().out
    assert invoke(["journal", "prune", data, *signed, "--before", "2026-11-26"]) == 1
    assert "error: nothing was removed: records" in capsys.readouterr().err
    assert invoke(["journal", "prune", data, *signed, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "would remove" in out
    assert "legal hold SEC-1" in out
    assert invoke([*hold, "release", data, "SEC-1", "--reason", "closed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stands"] is False
    assert invoke([*hold, "list", data, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["released_reason"] == "closed"
    assert invoke(["journal", "prune", data, *signed, "--actor", "ann", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["removed"]) == 3
    assert invoke(["journal", "verify", data, *signed]) == 0
    assert "by ann" in capsys.readouterr().out
    assert load(snapshots.stored(data_dir / snapshots.DIRECTORY)[0], Source(data_dir / "journal")).records
    assert invoke([*hold, "add", data, "X", "--reason", "r", "--from", "yesterday"]) == 2


def test_an_unusable_snapshot_stops_the_command(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgateway.snapshots.made_by", lambda: "fixgateway 99")
    from fixgateway.cli.retention import _usable

    (file, *_) = snapshots.stored(data_dir / snapshots.DIRECTORY)
    assert "this is fixgateway 99" in _usable(data_dir, [])(file)
