"""A journal read by a process of its own: the same is found, and what happens to that process is told."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from journals import ORDER, STATEMENT, Scribe, parties, random_day, report, rewritten, worked_example
from worlds import SETUP

import fixgateway
from fixgateway import replay_apart, replay_reading
from fixgateway.cli.main import invoke
from fixgateway.core.inputs import Configure, Execution, Input, NewOrder
from fixgateway.errors import FixgatewayError, JournalDamaged, JournalError, RecordRemoved, UsageError
from fixgateway.journal import pruned
from fixgateway.journal.codec import encode_json
from fixgateway.journal.pruned import Pruned, Removal
from fixgateway.journal.reader import read
from fixgateway.journal.records import Kind, Record, pack_accepted
from fixgateway.recovery import describe_parties
from fixgateway.replay import replay
from fixgateway.replay_apart import pays, tell_from_apart
from fixgateway.replay_reading import tell
from fixgateway.translate import Translator

Captured = pytest.CaptureFixture[str]
Change = Callable[[Record], Sequence[Record]]
ENDS_SECONDS = 20.0


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


@pytest.fixture(params=["never", "as it comes", "always"])
def texts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often the child leaves texts to the parent; parts of a few records, as the child inherits all this."""
    enough = {"never": 0, "as it comes": replay_apart._ENOUGH_BYTES, "always": 1 << 30}[request.param]
    monkeypatch.setattr(replay_apart, "_ENOUGH_BYTES", enough)
    monkeypatch.setattr(replay_reading, "PART_BYTES", 500)


def everything(data_dir: Path) -> Scribe:
    """Messages of all sorts: refused, rejected by number, not UTF-8, for nobody, of no session, on both sides."""
    scribe = worked_example(data_dir)
    scribe.receive("BRK1", "8", report("E9", "F", "1", 31000, (32, 1000), (31, "101")), refused="tag missing")
    scribe.receive("OMS1", "J", [(70, "S-2"), *STATEMENT[1:]])
    scribe.receive("OMS1", "D", [(11, "C2"), (70, "S-2"), *ORDER[2:]])
    (sent,) = [seq for seq, outputs in scribe.decided.items() if "cl_ord_id='C2'" in repr(outputs)]
    number = next(n for n in range(1, 9) if scribe.index.decision("BRK1", n) == sent)
    scribe.receive("BRK1", "3", [(45, number), (372, "D"), (58, "no")])
    scribe.receive("BRK1", "9", [(11, "C7"), (41, "C1"), (39, "1"), (434, "1"), (102, "0")])
    scribe.receive("BRK1", "8", [(58, "caf\udce9"), *report("E8", "0", "0", 0)])
    for kind in ("F", "G", "H", "s"):
        scribe.receive("OMS1", kind, [(11, f"{kind}1"), (41, "C1"), (55, "XYZ"), (54, 1), (38, 60000)])
    text = b"8=FIX.4.4\x019=5\x0135=D\x0110=000\x01"
    for _ in range(2):  # a session of no counterparty cannot be processed; of the second it was not told then
        seen = scribe.append(Kind.SEEN, text, "STRANGER")
        seq = scribe.append(Kind.ACCEPTED, pack_accepted(seen, 1, 0, ""), "STRANGER")
    bug = f"bug: record {seq} could not be processed: KeyError: 'STRANGER'"
    scribe.append(Kind.EVENT, bug.encode(), "STRANGER")
    scribe.append(Kind.EVENT, b"reset", "OMS1")
    scribe.receive("OMS1", "0", [])
    return scribe


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return everything(tmp_path_factory.mktemp("everything") / "var").close()


def decisions(journal: Path) -> list[Record]:
    return [record for record in read(journal) if record.kind is Kind.DECISION]


# ---------------------------------------------------------------- the same is found


def test_the_same_is_found(journal: Path, texts: None) -> None:
    here, apart = replay(journal, apart=False), replay(journal, apart=True)
    assert apart == here
    assert (here.differences, here.bugs) == (1, 1), "one of the two that could not be processed was not told then"
    assert here.first is not None
    assert "KeyError: 'STRANGER'" in here.first.fields[0].now


def test_random_days_agree(tmp_path: Path, texts: None) -> None:
    data_dir = random_day(tmp_path, 7).close()
    assert replay(data_dir, apart=True) == replay(data_dir, apart=False)
    assert replay(data_dir, apart=True).agrees


def changed(of: Record, **to: Any) -> Change:
    return lambda x: [x._replace(**to) if x.seq == of.seq else x]


@pytest.mark.parametrize("part", ["first", "middle", "last"])
@pytest.mark.parametrize("what", ["changed", "taken out", "put in"])
def test_a_difference_in_any_part_is_named_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, part: str
) -> None:
    monkeypatch.setattr(replay_reading, "PART_BYTES", 2000)
    sound = worked_example(tmp_path / "sound").close()
    sent = {x.seq for x in read(sound) if x.kind is Kind.WIRE_OUT}
    found = [x for x in decisions(sound) if b'"XYZ"' in x.payload and x.seq + 1 in sent]
    victim = found[{"first": 0, "middle": len(found) // 2, "last": -1}[part]]
    change: Change = {
        "changed": changed(victim, payload=victim.payload.replace(b'"XYZ"', b'"ABC"')),
        "taken out": changed(victim, kind=Kind.EVENT, payload=b"event: x"),
        "put in": lambda x: [victim] if x.seq == victim.seq + 1 else [x],
    }[what]
    forged = rewritten(sound, tmp_path / "forged", change)
    here, apart = replay(forged, apart=False), replay(forged, apart=True)
    assert apart == here
    assert apart.first is not None
    assert apart.first.input_seq == int(victim.payload[6 : victim.payload.index(b",")])


def test_an_order_changed_afterwards_differs(tmp_path: Path, texts: None) -> None:
    sound = worked_example(tmp_path / "sound").close()
    head = b"11=C1\x0170=S-1\x0155=XYZ\x0154=1\x0160=20261123-15:00:00\x0138="

    def change(x: Record) -> Sequence[Record]:
        return [x._replace(payload=x.payload.replace(head + b"50000", head + b"49999"))]

    first = replay(rewritten(sound, tmp_path / "forged", change), apart=True).first
    assert first is not None
    assert ("50000", "49999") in [(x.journaled, x.now) for x in first.fields if x.field.endswith("quantity")]


def test_a_journal_of_another_version_is_compared_by_values(tmp_path: Path) -> None:
    sound = worked_example(tmp_path / "sound").close()

    def older(x: Record) -> Sequence[Record]:
        if x.kind is Kind.START:
            return [x._replace(payload=encode_json(json.loads(x.payload) | {"version": "0.0.9"}))]
        return [x._replace(payload=x.payload.replace(b'"quantity":"15000"', b'"quantity":"15000.0"'))]

    found = replay(rewritten(sound, tmp_path / "older", older), apart=True)
    assert (found.agrees, found.versions) == (True, ("0.0.9",))


def test_a_later_configuration_counts_for_texts_too(tmp_path: Path, texts: None) -> None:
    """150=4 with 20=1 is a bust in FIX 4.2 and a cancel in FIX 4.4."""
    scribe = Scribe(tmp_path, versions={"OMS1": "FIX.4.2", "BRK1": "FIX.4.2"})
    bust = [(20, 1), (19, "E1"), *report("E2", "4", "0", 0)]
    assert "bust" in repr(scribe.receive("BRK1", "8", bust))
    scribe.parties = parties()
    scribe.translator = Translator(scribe.parties, scribe.index.decision, SETUP.limits.max_queue_seconds)
    told = {"version": fixgateway.__version__, "parties": describe_parties(scribe.parties)}
    scribe.append(Kind.START, encode_json(told))
    scribe.again(Configure(0, 0, SETUP))
    assert "cancelled" in repr(scribe.receive("BRK1", "8", bust))
    assert replay(scribe.close(), apart=True).agrees


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.records = 0

    def on_input(self, seq: int, given: Input) -> None:
        assert seq == given.seq
        self.inputs.append(given)

    def on_end(self, records: int, inputs: int) -> None:
        self.records = records

    def __getattr__(self, name: str) -> Callable[..., None]:
        assert name in ("on_run", "on_bug", "on_failure", "on_decision", "on_part")
        return lambda *_: None


def test_inputs_arrive_as_they_are(journal: Path, texts: None) -> None:
    here, apart = Told(), Told()
    tell(journal, here)
    tell_from_apart(journal, apart)
    assert apart.inputs == here.inputs
    assert apart.records == here.records
    assert len({type(given) for given in here.inputs}) > 10


def test_every_sort_of_input_can_be_sent() -> None:
    assert set(replay_apart._VALUES) == set(get_args(Input))


def test_only_orders_and_reports_are_left_to_the_parent(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another type means may depend on what was sent before, which the parent does not know."""
    kinds: list[type] = []
    monkeypatch.setattr(replay_apart, "_ENOUGH_BYTES", 1 << 30)
    accepted = Translator.accepted

    def noted(self: Any, *of: Any) -> Any:
        given = accepted(self, *of)
        kinds.append(type(given[0]))
        return given

    monkeypatch.setattr(Translator, "accepted", noted)  # in the child too, whose list is its own
    replay(journal, apart=True)
    assert set(kinds) == {NewOrder, Execution}


def test_progress_is_told_and_ends_with_all_records(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_reading, "PART_BYTES", 500)
    counted: list[int] = []
    assert replay(journal, counted.append, apart=True).records == counted[-1]
    assert counted == sorted(counted)
    assert len(counted) > 10


# ---------------------------------------------------------------- what cannot be read


def error_of(directory: Path, *, apart: bool) -> FixgatewayError:
    with pytest.raises(FixgatewayError) as caught:
        replay(directory, apart=apart)
    return caught.value


def both_errors(directory: Path) -> FixgatewayError:
    here, apart = (error_of(directory, apart=is_apart) for is_apart in (False, True))
    assert (type(apart), str(apart)) == (type(here), str(here))
    return apart


def test_damage_is_named_with_its_record(tmp_path: Path) -> None:
    data_dir = worked_example(tmp_path).close()
    segment = next((data_dir / "journal").glob("*.fgj"))
    segment.write_bytes(segment.read_bytes().replace(b"\x0111=C1\x01", b"\x0111=C9\x01", 1))
    error = both_errors(data_dir)
    assert isinstance(error, JournalDamaged)
    again = read(worked_example(tmp_path / "again").close())
    assert error.sequence == next(record.seq for record in again if b"11=C1" in record.payload)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(Kind.DECISION, b"{}"), (Kind.START, b"[]"), (Kind.WIRE_OUT, b"x"), (Kind.ACCEPTED, b"x" * 20)],
)
def test_records_that_are_none_are_named(tmp_path: Path, kind: Kind, payload: bytes) -> None:
    scribe = worked_example(tmp_path)
    scribe.append(kind, payload, "OMS1")
    assert isinstance(both_errors(scribe.close()), JournalError)


def test_no_journal_and_removed_records(tmp_path: Path) -> None:
    assert isinstance(both_errors(tmp_path / "nothing"), UsageError)
    data_dir = worked_example(tmp_path).close()
    removal = Removal(1, 1, "2020-01-01", "2026-01-01T00:00:00Z", "test", 6, ["x"], 1)
    gone = pruned.sealed(Pruned(pruned.FORMAT, "x", 1, 0, ["00" * 32], [removal]))
    (data_dir / "journal" / pruned.FILE).write_bytes(pruned.encode(gone))
    assert isinstance(both_errors(data_dir), RecordRemoved)


def test_errors_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(JournalDamaged(7, "record 7 is wrong")))
    assert (type(error), error.sequence, str(error)) == (JournalDamaged, 7, "record 7 is wrong")
    assert str(pickle.loads(pickle.dumps(RecordRemoved("gone")))) == "gone"


# ---------------------------------------------------------------- what can happen to the process


def in_the_child(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> None:
    """Have the child do something before it takes its ``at``-th text."""
    take, count = replay_apart._Sharing._take_text, iter(range(1, 1 << 30))

    def take_text(self: Any, kind: str, given: Any) -> None:
        if next(count) == at:
            act()
        take(self, kind, given)

    monkeypatch.setattr(replay_apart._Sharing, "_take_text", take_text)
    monkeypatch.setattr(replay_reading, "PART_BYTES", 500)


@pytest.mark.parametrize("at", [1, 5, 11])
def test_a_killed_process_is_an_error(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, at: int
) -> None:
    in_the_child(monkeypatch, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(FixgatewayError, match=r"ended early \(signal 9\)"):
        replay(journal, apart=True)
    monkeypatch.setattr("fixgateway.replay.pays", lambda _: True)
    assert invoke(["replay", str(journal), "--json"]) == 1
    out, err = capsys.readouterr()
    assert "agrees" not in out
    assert "ended early" in err


def test_a_process_killed_while_it_sends_is_an_error(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(self: Any, _end: object = None) -> None:
        os.write(self._outgoing.fileno(), struct.pack("!i", 1000) + b"the rest never comes")
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(replay_apart._Sender, "send", half)
    with pytest.raises(FixgatewayError, match="ended early"):
        replay(journal, apart=True)


def test_a_process_that_just_ends_is_an_error(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, 5, lambda: os._exit(0))
    with pytest.raises(FixgatewayError, match=r"ended early \(exit code 0\)"):
        replay(journal, apart=True)


def test_a_bug_there_is_a_bug_here(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, 5, lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        replay(journal, apart=True)


def test_ctrl_c_is_the_parents_to_answer(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_child(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert replay(journal, apart=True) == replay(journal, apart=False)

    def interrupt(_records: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(journal, interrupt, apart=True)


def test_without_a_second_process_this_one_reads(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    expected = replay(journal, apart=False)
    monkeypatch.setattr(os, "fork", no_more)
    assert replay(journal, apart=True) == expected


def test_the_child_ends_with_its_parent(journal: Path) -> None:
    """It waits for room in the pipe when the parent is killed."""
    script = """
        import multiprocessing, os, signal, sys
        from pathlib import Path
        from fixgateway import replay_apart, replay_reading
        from fixgateway.replay import replay
        replay_reading.PART_BYTES, replay_apart._PIPE_BYTES = 500, 4096
        def killed(_records):
            (child,) = multiprocessing.active_children()
            print(child.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        replay(Path(sys.argv[1]), killed, apart=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(journal)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    child = Path("/proc", done.stdout.strip(), "stat")
    deadline = time.monotonic() + ENDS_SECONDS
    while child.exists() and child.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.01)


# ---------------------------------------------------------------- when it pays


def test_a_second_process_pays_for_much_with_two_cores(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("threading.active_count", lambda: 1)
    assert not pays(journal), "a small journal"
    monkeypatch.setattr(replay_apart, "APART_BYTES", 1000)
    assert pays(journal)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not pays(journal), "one core"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert not pays(journal), "threads whose locks the child would inherit"


def test_a_large_journal_is_read_apart(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr(replay_apart, "APART_BYTES", 1000)
    forks, fork = [], os.fork

    def counted() -> int:
        forks.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    assert replay(journal).decisions == len(decisions(journal))
    assert forks == [1]
