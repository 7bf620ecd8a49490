"""A snapshot and the journal behind it come to the same as the journal; one that does not fit is left aside."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from journals import Scribe, rewritten
from worlds import TODAY, World, draft

import fixgateway
from fixgateway import snapshot_lines, snapshots
from fixgateway.core.inputs import ExecKind, NotSent
from fixgateway.errors import JournalDamaged, JournalError
from fixgateway.journal import checkpoints, keys
from fixgateway.journal.growth import Known, Start
from fixgateway.journal.index import Sent, WireIndex
from fixgateway.journal.merkle import Frontier, Head
from fixgateway.journal.notes import PublicKey
from fixgateway.journal.records import Kind, Record, pack_accepted, pack_wire_out
from fixgateway.journal.scan import Walk
from fixgateway.journal.segments import Writer
from fixgateway.journal.snapshots import file_name, stored
from fixgateway.journal.state import Builder, Line
from fixgateway.recovery import MAX_SEEN, RESET, Reader
from fixgateway.snapshot_lines import lines, restore
from fixgateway.snapshots import Base, Source

J = ((70, "S-1"), (71, 0), (626, 2), (857, 0), (54, 1), (55, "XYZ"), (53, 100), (6, 0), (75, "20261123"), (78, 2),
     (79, "CLIENT-A"), (80, 60), (79, "PROP"), (80, 40))  # fmt: skip
D = ((11, "C1"), (70, "S-1"), (55, "XYZ"), (54, 1), (60, "20261123-15:00:00"), (38, 100), (40, 1))


def report(
    exec_id: str, exec_type: str, status: str, cum: int, *more: tuple[int, object]
) -> list[tuple[int, object]]:
    head = [(37, "B1\udce9"), (17, exec_id), (150, exec_type), (39, status), (11, "C1"), (55, "XYZ"), (54, 1)]
    return [*head, (38, 100), (14, cum), (151, 0), (6, 0), *more]


class RawScribe(Scribe):
    """A scribe whose texts may hold bytes that are not UTF-8, as they come from the wire."""

    def odd(self, session: str, text: str) -> int:
        """A text that was read and that nothing became of (yet)."""
        return self.append(Kind.SEEN, text.encode("utf-8", "surrogateescape"), session)


def eventful(data_dir: Path) -> Scribe:
    """A short journal with everything in it that recovery remembers."""
    scribe = RawScribe(data_dir)
    scribe.receive("OMS1", "0", [])
    scribe.odd("OMS1", "8=FIX.4.4\x01never=accepted \udce9\x01")
    scribe.receive("OMS1", "D", [(11, "C0"), *D[1:]])
    scribe.receive("OMS1", "J", J)
    scribe.receive("OMS1", "D", D)
    scribe.receive("BRK1", "8", [(37, "B1"), *report("E0", "0", "0", 0)[1:]])
    scribe.receive("BRK1", "8", [(37, "B1"), *report("E1", "F", "1", 60, (32, 60), (31, "100.10"))[1:]])
    scribe.receive("BRK1", "8", [(37, "B1")], refused="no ExecID")
    scribe.append(Kind.EVENT, f"{RESET}: the peer sent 141=Y".encode(), "OMS2")
    scribe.receive("OMS2", "H", [(11, "C1"), (54, 1), (55, "XYZ")])
    scribe.control(lambda seq, ts_ns: NotSent(seq, ts_ns, "BRK1", 4, 0, "down"))
    scribe.append(Kind.STOP, b'{"why":"asked"}')
    scribe.append(Kind.START, b'{"version":"0.0.1","parties":{"OMS1":{"version":"FIX.4.2","on_behalf_of":true}}}')
    seen = scribe.odd("OMS1", _rejected_order())
    # Accepted, and the crash came before its decision and its answer were written.
    scribe.append(Kind.ACCEPTED, pack_accepted(seen, 9, 0, ""), "OMS1")
    scribe.append(Kind.WIRE_OUT, pack_wire_out(0, 0, b"8=FIX.4.4\x0135=0\x0134=900\x0110=000\x01"), "OMS1")
    return scribe


def _rejected_order() -> str:
    head = "8=FIX.4.4\x019=0\x0135=D\x0134=9\x0149=OMS1\x0156=FIXGW\x0152=20261123-15:00:00\x01"
    return f"{head}11=C9\x0170=NONE\x0155=X\udce9\x0154=1\x0160=20261123-15:00:00\x0138=1\x0140=1\x0110=000\x01"


def random_day(data_dir: Path, seed: int) -> Scribe:
    chance, world, scribe = random.Random(seed), World(), Scribe(data_dir)
    begin = len(world.inputs)
    for number in range(30):
        world.submit(draft(f"S{number}", [("CLIENT-A", str(chance.randint(1, 60))), ("PROP", "7")]))
        world.order(f"C{number}", str(chance.randint(1, 40)), f"S{chance.randint(0, number)}")
        world.fill(str(chance.randint(1, 30)), "10.03", f"C{chance.randint(0, number)}", exec_id=f"E{number}")
        world.execution(ExecKind.BUST, f"C{chance.randint(0, number)}", f"B{number}",
                        exec_ref_id=f"E{chance.randint(0, number)}")  # fmt: skip
    world.tick(TODAY, "19:00:00")
    for given in world.inputs[begin:]:
        scribe.again(given)
    return scribe


def unfit(path: Path, why: str) -> None:
    raise AssertionError(f"{path.name}: {why}")


def read_all(reader: Reader, base: Base, source: Source) -> list[Line]:
    for record in snapshots.rest(base, source):
        reader.take(record)
    return list(lines(reader))


def whole(source: Source) -> list[Line]:
    base = Base(source.new_reader())
    return read_all(base.reader, base, source)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    return eventful(tmp_path / "day").close()


def test_no_table_of_the_state_is_called_like_another_section() -> None:
    assert Builder.sections & snapshot_lines._TAKE.keys() == set()


def test_a_snapshot_after_any_record_and_the_rest_come_to_the_same(day: Path) -> None:
    source = Source(day / "journal")
    wanted = whole(source)
    sections = {section for section, _ in wanted}
    assert sections >= {"memory", "reader", "state", "orders", "unsent", "undecided", "seen", "recent"}
    records = Base(source.new_reader())
    count = sum(1 for _ in snapshots.rest(records, source))
    for number in range(1, count + 1):
        made = snapshots.make(day, [], unfit, up_to=number)
        assert (made.records, made.based_on) == (number, file_name(number - 1) if number > 1 else "")
        base = snapshots.load(Path(made.path), source)
        assert base.records == number
        assert read_all(base.reader, base, source) == wanted, f"from the snapshot of {number} records"
    assert len(stored(day / "snapshots")) == 3


def test_a_snapshot_made_behind_another_is_the_one_made_from_the_first_record(day: Path) -> None:
    snapshots.make(day, [], unfit, up_to=17)
    behind = snapshots.make(day, [], unfit)
    assert behind.based_on == file_name(17)
    data = Path(behind.path).read_bytes()
    for path in stored(day / "snapshots"):
        path.unlink()
    alone = snapshots.make(day, [], unfit)
    assert (alone.path, alone.based_on, alone.replayed) == (behind.path, "", alone.records)
    assert Path(alone.path).read_bytes() == data
    assert snapshots.make(day, [], unfit).replayed == 0, "nothing new: nothing is made"
    assert snapshots.check(Path(alone.path), day / "journal") == ""


@pytest.mark.parametrize("seed", range(3))
def test_random_days(tmp_path: Path, seed: int) -> None:
    data_dir = random_day(tmp_path, seed).close()
    source, chance = Source(data_dir / "journal"), random.Random(seed)
    wanted = whole(source)
    for number in sorted(chance.sample(range(1, 200), 5)):
        base = snapshots.load(Path(snapshots.make(data_dir, [], unfit, up_to=number).path), source)
        assert read_all(base.reader, base, source) == wanted


def test_nothing_a_reader_remembers_is_forgotten(day: Path) -> None:
    """A new attribute of Reader needs a place in snapshot_lines; a field of Memory is written by itself."""
    reader = Reader(WireIndex(lambda seq: pytest.fail(f"fetched {seq}")))
    known = {"memory", "version", "told", "seen", "index", "parties", "max_queue_seconds", "_translator"}
    assert set(vars(reader)) == known
    source = Source(day / "journal")
    base = Base(source.new_reader())
    written = read_all(base.reader, base, source)
    restore(iter(written), reader)
    assert reader.memory.engine.state == base.reader.memory.engine.state
    assert replace(reader.memory, engine=base.reader.memory.engine, pending={}) == replace(
        base.reader.memory, pending={}
    )
    assert reader.told == base.reader.told
    assert reader.parties == base.reader.parties
    assert reader.seen == base.reader.seen
    assert len(reader.seen) < MAX_SEEN
    assert [(k, v._replace(source=None)) for k, v in reader.memory.pending.items()] == [
        (k, v._replace(source=None)) for k, v in base.reader.memory.pending.items()
    ]


def test_what_was_sent_is_found_with_the_same_text(day: Path) -> None:
    source = Source(day / "journal")
    base = Base(source.new_reader())
    read_all(base.reader, base, source)
    loaded = snapshots.load(Path(snapshots.make(day, [], unfit).path), source)
    assert base.reader.index.sessions == ("BRK1", "OMS1", "OMS2")
    for session in base.reader.index.sessions:
        texts = dict(base.reader.index.texts(session))
        assert texts
        assert dict(loaded.reader.index.texts(session)) == texts
        for number in (*texts, 12345):
            assert loaded.reader.index.sent(session, number) == base.reader.index.sent(session, number)
            assert loaded.reader.index.decision(session, number) == base.reader.index.decision(session, number)


def test_an_index_of_what_was_sent_keeps_what_is_old_and_what_is_new() -> None:
    def fetch(seq: int) -> Sent:
        return Sent(seq - 100, 1, f"text {seq}", seq)

    first = WireIndex(fetch, texts_max=3, numbers_max=6)
    for number in range(1, 9):
        first.note("S", number, number, 1, f"text {number + 100}", number + 100)
    copy = WireIndex(fetch, texts_max=3, numbers_max=6)
    copy.restore("S", first.recent("S")[:2])
    copy.restore("S", first.recent("S")[2:])
    copy.restore("S", older=first.older("S"))
    assert (len(first.recent("S")), len(first.older("S"))) == (3, 3)
    for number in range(9, 12):
        for index in (first, copy):
            index.note("S", number, number, 1, f"text {number + 100}", number + 100)
    assert (copy.recent("S"), copy.older("S")) == (first.recent("S"), first.older("S"))
    assert list(copy.texts("S")) == list(first.texts("S")) == [(n, f"text {n + 100}") for n in range(6, 12)]
    assert [copy.decision("S", n) for n in range(13)] == [first.decision("S", n) for n in range(13)]
    copy.reset("S")
    assert copy.sessions == ()


# ---------------------------------------------------------------- snapshots that do not fit


class Aside:
    """Remembers what was left aside."""

    def __init__(self) -> None:
        self.why: list[str] = []

    def __call__(self, path: Path, why: str) -> None:
        self.why.append(f"{path.name}: {why}")


def opened(data_dir: Path, known: Sequence[Known] = (), key: PublicKey | None = None) -> tuple[Base, list[str]]:
    """How a gateway opens the journal."""
    aside = Aside()
    source = Source(data_dir / "journal", known, key)

    def open_writer(start: Start | None) -> Writer:
        return Writer(source.directory, known=known, start=start)

    writer, base = snapshots.open_journal(open_writer, data_dir / "snapshots", source, aside)
    with writer:
        tree = Frontier()
        tree.extend(list(Walk(source.directory).bodies()))
        assert writer.head == tree.head
        assert writer.next_seq == tree.size + 1
    assert read_all(base.reader, base, source) == whole(source)
    return base, aside.why


def test_a_writer_goes_on_behind_a_snapshot(day: Path) -> None:
    snapshots.make(day, [], unfit, up_to=20)
    base, why = opened(day)
    assert (base.records, why) == (20, [])
    with Writer(day / "journal", start=base.start) as writer:
        writer.append(Kind.EVENT, "", 1, b"more")
    assert opened(day)[0].records == 20


def change_json(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change a snapshot's first line, and its SHA-256 to fit: somebody who knows the format."""
    first, rest = path.read_bytes().split(b"\n", 1)
    body, _, _ = rest.rpartition(b"\nend ")
    header = json.loads(first)
    change(header)
    _sign(path, json.dumps(header).encode() + b"\n" + body + b"\n", int(str(header["records"])))


def _sign(path: Path, data: bytes, records: int) -> None:
    from hashlib import sha256

    note = f"fixgateway-snapshot/1\nsha256 {sha256(data).hexdigest()}\n{records} records\n"
    path.write_bytes(data + b"end " + json.dumps({"note": note}).encode() + b"\n")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda x: x.update(made_by="fixgateway 9.9.9 abc"), "it was made by fixgateway 9.9.9 abc, this is "),
        (lambda x: x.update(format=2), "it has format 2"),
        (lambda x: x["position"].update(segment=7), "record 20 is not where the snapshot has it"),
        (lambda x: x["position"].update(crc=1), "record 20 is not where the snapshot has it"),
        (lambda x: x["position"].update(offset=10**9), "record 20 is not where the snapshot has it"),
        (lambda x: x["position"].update(segment=-5), "record 20 is not where the snapshot has it"),
        (lambda x: x["peaks"].pop(), "its first line cannot be read"),
        (lambda x: x.pop("peaks"), "its first line cannot be read"),
        (lambda x: x.update(more=1), "its first line cannot be read"),
    ],
)  # fmt: skip
def test_one_that_does_not_fit_is_left_aside_and_the_next_is_taken(
    day: Path, change: Callable[[dict[str, object]], None], why: str
) -> None:
    snapshots.make(day, [], unfit, up_to=12)
    made = snapshots.make(day, [], unfit, up_to=20)
    change_json(Path(made.path), change)
    base, said = opened(day)
    assert base.records == 12
    (words,) = said
    assert words.startswith(f"{file_name(20)}: ")
    assert why in words
    aside = Aside()
    again = snapshots.make(day, [], aside, up_to=20)
    assert (again.based_on, len(aside.why)) == (file_name(12), 1), "the unfit one is replaced"
    assert opened(day)[1] == []


def test_a_bit_of_it_flipped_or_its_end_cut(day: Path) -> None:
    path = Path(snapshots.make(day, [], unfit, up_to=20).path)
    good = path.read_bytes()
    chance = random.Random(1)
    for at in [0, *chance.sample(range(len(good) - 1), 60), len(good) - 2]:
        bad = bytearray(good)
        bad[at] ^= 1 << chance.randrange(7)
        path.write_bytes(bad)
        aside = Aside()
        assert list(snapshots.bases(day / "snapshots", Source(day / "journal"), aside)) == []
        assert len(aside.why) == 1, at
    for size in (0, 1, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        assert opened(day)[1] != []
    path.write_bytes(good)
    assert opened(day)[1] == []
    path.unlink()
    path.mkdir()
    assert opened(day)[1] == [f"{file_name(20)}: it cannot be read: Is a directory"]


def test_lines_that_are_wrong_although_the_hash_is_right(day: Path) -> None:
    path = Path(snapshots.make(day, [], unfit, up_to=20).path)
    body = path.read_bytes().rpartition(b"\nend ")[0] + b"\n"
    for old, new, why in (
        (b"\nreader {", b"\nposix.system {", "unknown section"),
        (b"\nmemory {", b'\nmemory {"__class__":"os",', "cannot be read"),
        (b'"running":true', b'"running":7', "cannot be read"),
        (b'"FIX.4.4"', b'"FIX.9"', "FIX.9"),
        (b"\nstate {", b"\nseen {", "cannot be read"),
        (b'"records":20,"bugs"', b'"records":19,"bugs"', "knows 19 records and says 20"),
    ):
        assert old in body, old
        _sign(path, body.replace(old, new, 1), 20)
        base, (words,) = opened(day)
        assert base.records == 0
        assert why in words, words


def test_an_older_copy_of_the_journal_or_another_one(day: Path, tmp_path: Path) -> None:
    made = snapshots.make(day, [], unfit)
    other = rewritten(day, tmp_path / "other", lambda x: [x._replace(ts_ns=x.ts_ns + 1)])
    older = rewritten(day, tmp_path / "older", lambda x: [x] if x.seq < made.records else [])
    for data_dir in (other, older):
        (data_dir / "snapshots").mkdir()
        (data_dir / "snapshots" / Path(made.path).name).write_bytes(Path(made.path).read_bytes())
        base, why = opened(data_dir)
        assert (base.records, len(why)) == (0, 1)


def test_a_record_changed_with_all_checksums_behind_it(day: Path, tmp_path: Path) -> None:
    """The snapshot does not fit, everything is read, and the checkpoint tells."""
    made = snapshots.make(day, [], unfit)
    tree = Frontier()
    tree.extend(list(Walk(day / "journal").bodies()))
    known = [Known(tree.head, "checkpoint X")]
    assert opened(day, known)[0].records == made.records

    def change(record: Record) -> list[Record]:
        return [record._replace(payload=record.payload.replace(b"C1", b"C2"))]

    forged = rewritten(day, tmp_path / "forged", change)
    (forged / "snapshots").mkdir()
    (forged / "snapshots" / Path(made.path).name).write_bytes(Path(made.path).read_bytes())
    with pytest.raises(JournalDamaged, match=r"are not the ones of checkpoint X"):
        opened(forged, known)


def test_checkpoints_before_at_and_behind_a_snapshot(day: Path) -> None:
    heads: list[Head] = []
    tree = Frontier()
    for body in Walk(day / "journal").bodies():
        tree.extend([body])
        heads.append(tree.head)
    before, at, behind = (Known(heads[size - 1], f"checkpoint {size}") for size in (10, 20, 25))
    snapshots.make(day, [before], unfit, up_to=20)
    for known in ([], [before], [before, at], [before, behind], [before, at, behind]):
        base, why = opened(day, known)
        assert (base.records, why) == (20, []), known
    unseen = Known(heads[14], "checkpoint 15")
    base, why = opened(day, [unseen])
    assert (base.records, why) == (0, [f"{file_name(20)}: it was not compared with checkpoint 15 of 15 records"])
    for size in (10, 20):
        with pytest.raises(JournalDamaged):
            opened(day, [Known(Head(size, bytes(32)), "a forged checkpoint")])
    with pytest.raises(JournalDamaged, match="records 21 to 25 are not the ones of X"):
        opened_from_snapshot_only(day, [Known(Head(25, bytes(32)), "X")])
    with pytest.raises(JournalDamaged):
        opened(day, [Known(Head(25, bytes(32)), "X")])
    with pytest.raises(JournalDamaged, match="are missing"):
        opened(day, [Known(Head(1000, bytes(32)), "X")])


def opened_from_snapshot_only(data_dir: Path, known: Sequence[Known]) -> None:
    base = next(snapshots.bases(data_dir / "snapshots", Source(data_dir / "journal", known), unfit))
    Writer(data_dir / "journal", known=known, start=base.start).close()


def test_with_a_key_only_a_signed_one_is_used(day: Path, tmp_path: Path) -> None:
    keys.create(tmp_path / "key", "gateway.example.com/journal")
    keys.create(tmp_path / "other", "gateway.example.com/other")
    key, other = keys.load_private(tmp_path / "key"), keys.load_private(tmp_path / "other")
    snapshots.make(day, [], unfit, up_to=20)
    assert opened(day, key=key.public)[1] == [f"{file_name(20)}: it is not signed by {key.public.name}"]
    aside = Aside()
    made = snapshots.make(day, [], aside, key, up_to=20)
    assert (made.based_on, len(aside.why)) == ("", 1)
    assert opened(day, key=key.public)[1] == []
    assert opened(day)[1] == [], "without a key nobody asks"
    assert opened(day, key=other.public)[1] == [f"{file_name(20)}: it is not signed by {other.public.name}"]
    path = Path(made.path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"running":true', b'"running":false'))
    assert "its SHA-256 is wrong" in opened(day, key=key.public)[1][0]
    whole_body = data.rpartition(b"\nend ")[0] + b"\n"
    _sign(path, whole_body.replace(b'"running":true', b'"running":false'), 20)
    assert "is not signed by" in opened(day, key=key.public)[1][0]


def test_a_forged_snapshot_is_found_by_comparing_it_with_the_journal(day: Path) -> None:
    path = Path(snapshots.make(day, [], unfit).path)
    assert snapshots.check(path, day / "journal") == ""
    body = path.read_bytes().rpartition(b"\nend ")[0] + b"\n"
    forged = body.replace(b'"account":"PROP","quantity":"40"', b'"account":"PROP","quantity":"99"')
    assert forged != body
    _sign(path, forged, int(path.stem))
    assert snapshots.check(path, day / "journal") == "its statements is not what the journal says"
    assert fixgateway.__version__ in body.decode("utf-8", "replace").split("\n")[0]


# ---------------------------------------------------------------- making them


def test_only_one_makes_a_snapshot_at_a_time(day: Path) -> None:
    from fixgateway.journal.snapshots import only_one

    with only_one(day / "snapshots"), pytest.raises(JournalError, match="another process makes a snapshot"):
        snapshots.make(day, [], unfit)
    (day / "snapshots" / f"{file_name(5)}.new").write_bytes(b"left by a crash")
    snapshots.make(day, [], unfit)
    assert [path.suffix for path in (day / "snapshots").iterdir()] == [".fgs"]
    assert [oct(path.stat().st_mode & 0o777) for path in (day / "snapshots").iterdir()] == ["0o640"]


def test_a_journal_that_ends_before_has_no_such_snapshot(day: Path) -> None:
    with pytest.raises(JournalError, match="ends with record"):
        snapshots.make(day, [], unfit, up_to=10_000)
    assert stored(day / "snapshots") == []


def test_a_damaged_journal_makes_none(day: Path) -> None:
    (segment,) = (day / "journal").glob("*.fgj")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    with pytest.raises(JournalDamaged):
        snapshots.make(day, [], unfit)
    assert stored(day / "snapshots") == []


def test_several_segments_also_compressed(tmp_path: Path) -> None:
    from fixgateway.journal.compress import compress

    data_dir = random_day(tmp_path / "whole", 7).close()
    parts = tmp_path / "parts"
    seals: list[Head] = []
    with Writer(parts / "journal", "never", segment_bytes=65_536) as writer:
        writer.on_seal.append(seals.append)
        for record in snapshots.rest(
            Base(Source(data_dir / "journal").new_reader()), Source(data_dir / "journal")
        ):
            writer.append(record.kind, record.session, record.ts_ns, record.payload)
            writer.sync()
    assert len(seals) >= 2
    for head in seals:
        assert snapshots.make(parts, [Known(head, "seal")], unfit, up_to=head.size).records == head.size
    assert opened(parts)[0].records == seals[-1].size
    assert list(compress(parts))
    base, why = opened(parts, [Known(seals[-1], "seal")])
    assert (base.records, why) == (seals[-1].size, [])
    snapshots.make(parts, [], unfit)
    assert checkpoints.journal_id(parts / "journal") == checkpoints.journal_id(data_dir / "journal")
    assert opened(parts)[1] == []
