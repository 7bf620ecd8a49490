"""Replay: agreeing journals agree, and whatever does not is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from journals import ORDER, STATEMENT, Scribe, random_day, report, rewritten, worked_example
from worlds import SETUP, TODAY, World, draft

import fixgateway
from fixgateway.cli.main import invoke
from fixgateway.core.inputs import JournalState, SubmitStatement, Tick
from fixgateway.core.outputs import ForwardToBroker, SendAllocation, StatementRegistered
from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal.codec import encode_json
from fixgateway.journal.reader import read
from fixgateway.journal.records import Kind, Record, pack_accepted
from fixgateway.journal.segments import Writer
from fixgateway.replay import Replayed, replay

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return worked_example(tmp_path / "example").close()


def test_the_worked_example_agrees(example: Path) -> None:
    result = replay(example)
    kinds = [record.kind for record in read(example)]
    inputs = sum(kind in (Kind.CONTROL, Kind.ACCEPTED, Kind.ENGINE_REFUSED) for kind in kinds)
    assert result == Replayed(
        records=len(kinds), inputs=inputs, decisions=kinds.count(Kind.DECISION), differences=0, undecided=0,
        bugs=0, bug_texts=(), versions=(fixgateway.__version__,), first=None,
    )  # fmt: skip
    assert result.decisions >= 10


@pytest.mark.parametrize("seed", range(6))
def test_random_days_agree(tmp_path: Path, seed: int) -> None:
    scribe = random_day(tmp_path, seed)
    result = replay(scribe.close())
    assert result.agrees, result.first
    assert result.inputs > 300
    assert result.decisions == sum(1 for outputs in scribe.decided.values() if outputs)


# ---------------------------------------------------------------- differences


def forge(example: Path, change: Callable[[Record], Sequence[Record]]) -> Path:
    return rewritten(example, example.parent / "forged", change)


def swapping(kind: Kind, old: bytes, new: bytes) -> Callable[[Record], Sequence[Record]]:
    """Replace bytes in every record of a kind; the records stay as many."""
    return lambda x: [x._replace(payload=x.payload.replace(old, new)) if x.kind is kind else x]


def without(seq: int) -> Callable[[Record], Sequence[Record]]:
    """Put an event in the place of a record, so that the others keep their numbers."""
    return lambda x: [x._replace(kind=Kind.EVENT, payload=b"event: x") if x.seq == seq else x]


def decision_of(data_dir: Path, output: type) -> Record:
    """The first decision with an output of this type."""
    name = f'"{output.__name__}"'.encode()
    return next(x for x in read(data_dir) if x.kind is Kind.DECISION and name in x.payload)


def test_a_tampered_decision_is_named_field_by_field(example: Path, capsys: Captured) -> None:
    """The cherry-picker's journal: the proprietary account gets what the client should have."""
    decision = decision_of(example, SendAllocation)
    picked = decision.payload.replace(
        b'{"account":"CLIENT-A","quantity":"15000"', b'{"account":"CLIENT-A","quantity":"12000"'
    ).replace(b'{"account":"PROP","quantity":"6000"', b'{"account":"PROP","quantity":"9000"')
    assert picked != decision.payload
    forged = forge(example, swapping(Kind.DECISION, decision.payload, picked))
    result = replay(forged)
    assert (result.agrees, result.differences) == (False, 1)
    first = result.first
    assert first is not None
    assert first.decision_seq == decision.seq
    shares = [x for x in first.fields if ".shares" in x.field]
    assert [(x.field.split(".", 1)[1], x.journaled, x.now) for x in shares] == [
        ("allocation.shares[1].quantity", "12000", "15000"),
        ("allocation.shares[4].quantity", "9000", "6000"),
    ]
    assert "35=8|" in first.given
    assert "17=E4|" in first.given

    assert invoke(["replay", str(forged)]) == 1
    out, err = capsys.readouterr()
    assert "DIFFERS" in out
    assert "allocation.shares[4].quantity" in out
    assert f"record {first.input_seq}, decided in record {decision.seq}" in err
    assert invoke(["replay", str(forged), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["agrees"], document["differences"]) == (False, 1)
    assert document["first_difference"]["input_seq"] == first.input_seq
    assert document["first_difference"]["fields"][0].keys() == {"field", "journaled", "now"}


def test_the_first_of_several_differences_is_named(example: Path) -> None:
    seqs = [record.seq for record in read(example) if record.kind is Kind.DECISION and b'"XYZ"' in record.payload]
    result = replay(forge(example, swapping(Kind.DECISION, b'"XYZ"', b'"ABC"')))
    assert result.differences == len(seqs) > 2
    assert result.first is not None
    assert result.first.decision_seq == seqs[0]


def test_an_input_changed_afterwards_changes_the_decisions(example: Path) -> None:
    head = b"11=C1\x0170=S-1\x0155=XYZ\x0154=1\x0160=20261123-15:00:00\x0138="
    first = replay(forge(example, swapping(Kind.SEEN, head + b"50000", head + b"49999"))).first
    assert first is not None
    assert ("50000", "49999") in [(x.journaled, x.now) for x in first.fields if x.field.endswith("quantity")]


def test_a_decision_taken_out_is_missed(example: Path) -> None:
    gone = decision_of(example, ForwardToBroker)
    result = replay(forge(example, without(gone.seq)))
    assert result.first is not None
    assert result.first.decision_seq == 0
    assert [(x.field, x.journaled) for x in result.first.fields] == [("output 1 ForwardToBroker", "(nothing)")]
    assert '"msg_type":"D"' in result.first.fields[0].now


def test_a_decision_put_in_is_noticed(example: Path) -> None:
    twice = decision_of(example, ForwardToBroker)
    wire_out = twice.seq + 1
    result = replay(forge(example, lambda x: [twice._replace(seq=x.seq) if x.seq == wire_out else x]))
    assert result.differences == 1
    assert result.first is not None
    assert result.first.fields[0].now == "(nothing)"


def test_values_written_otherwise_differ_under_the_same_version_only(example: Path) -> None:
    """``"100.0000"`` and ``"1E+2"`` are equal numbers; this version writes only one of them."""
    longer = swapping(Kind.DECISION, b'"quantity":"15000"', b'"quantity":"15000.0"')
    result = replay(forge(example, longer))
    assert result.first is not None
    assert (result.first.fields[0].journaled, result.first.fields[0].now) == ("15000.0", "15000")

    def older(record: Record) -> Sequence[Record]:
        if record.kind is Kind.START:
            told = json.loads(record.payload) | {"version": "0.0.9"}
            return [record._replace(payload=encode_json(told))]
        return longer(record)

    result = replay(rewritten(example, example.parent / "older", older))
    assert (result.agrees, result.versions) == (True, ("0.0.9",))


def test_the_same_values_in_other_bytes_are_shown_as_bytes(example: Path) -> None:
    result = replay(forge(example, swapping(Kind.DECISION, b'"out":[', b'"out": [')))
    assert result.first is not None
    assert result.first.fields[0].field == "the bytes"


def test_an_unrevealed_seed_is_not_shown(example: Path) -> None:
    registered = decision_of(example, StatementRegistered)
    forged = registered.payload.replace(b"11" * 32, b"22" * 32)
    result = replay(forge(example, swapping(Kind.DECISION, registered.payload, forged)))
    assert result.first is not None
    (seed,) = [x for x in result.first.fields if x.field.endswith(".seed")]
    assert seed.journaled.startswith("(seed with commitment ")
    assert seed.journaled != seed.now
    taken_out = replay(rewritten(example, example.parent / "cut", without(registered.seq)))
    assert taken_out.differences == 1
    assert "11" * 32 not in repr((result, taken_out))


# ---------------------------------------------------------------- crashes, bugs, damage


def test_a_decision_the_crash_kept_back_is_no_difference(tmp_path: Path) -> None:
    scribe = worked_example(tmp_path / "whole")
    records = list(read(scribe.close()))
    last = max(x.seq for x in records if x.kind is Kind.DECISION)

    def cut(record: Record) -> Sequence[Record]:
        return [record] if record.seq < last else []

    crashed = rewritten(tmp_path / "whole", tmp_path / "crashed", cut)
    result = replay(crashed)
    assert (result.agrees, result.undecided) == (True, 1)

    # The next start writes it, after its start record; then it is a decision like any other.
    def restarted(record: Record) -> Sequence[Record]:
        start = Record(0, record.ts_ns, Kind.START, "", encode_json({"version": fixgateway.__version__}))
        return [start, record] if record.seq == last else [record]

    result = replay(rewritten(tmp_path / "whole", tmp_path / "restarted", restarted))
    assert (result.agrees, result.undecided) == (True, 0)


def test_nothing_but_a_start_may_follow_an_input_without_decision(example: Path) -> None:
    last = max(x.seq for x in read(example) if x.kind is Kind.DECISION)

    def stopped(record: Record) -> Sequence[Record]:
        if record.seq == last:
            return [record._replace(kind=Kind.STOP, payload=encode_json({"why": "asked"}))]
        return [record] if record.seq < last else []

    assert replay(forge(example, stopped)).differences == 1


def test_what_the_gateway_could_not_process_is_reported_and_agrees(tmp_path: Path, capsys: Captured) -> None:
    scribe = worked_example(tmp_path / "var")
    text = b"8=FIX.4.4\x019=5\x0135=D\x0110=000\x01"
    seen = scribe.append(Kind.SEEN, text, "STRANGER")  # a session of no counterparty: a KeyError, then and now
    seq = scribe.append(Kind.ACCEPTED, pack_accepted(seen, 1, 0, ""), "STRANGER")
    words = f"record {seq} could not be processed: KeyError: 'STRANGER'"
    scribe.append(Kind.EVENT, f"bug: {words}".encode(), "STRANGER")
    scribe.receive("OMS1", "0", [])
    result = replay(scribe.close())
    assert (result.agrees, result.bugs) == (True, 1)
    assert result.bug_texts == (words,)
    assert invoke(["replay", str(tmp_path / "var")]) == 0
    assert f"could not be processed when it came: record {seq}" in capsys.readouterr().out


def test_a_bug_of_today_differs(tmp_path: Path) -> None:
    """What cannot be processed now and was decided, or passed without a bug, then."""
    scribe = worked_example(tmp_path / "var")
    seen = scribe.append(Kind.SEEN, b"8=FIX.4.4\x019=5\x0135=D\x0110=000\x01", "STRANGER")
    seq = scribe.append(Kind.ACCEPTED, pack_accepted(seen, 1, 0, ""), "STRANGER")
    scribe.writer.sync()
    at_the_end = replay(scribe.data_dir)
    assert (at_the_end.agrees, at_the_end.undecided) == (True, 1), "a crash may have kept the bug's event back"
    scribe.receive("OMS1", "0", [])
    first = replay(scribe.close()).first
    assert first is not None
    assert (first.input_seq, first.fields[0].field) == (seq, "the input")
    assert "KeyError" in first.fields[0].now
    assert "KeyError" in first.text


def test_a_bug_that_is_mended_differs(example: Path) -> None:
    """Then no decision and a bug, now a decision: it is told that the gateway could not process it."""
    gone = decision_of(example, ForwardToBroker)
    seq = int(gone.payload[6 : gone.payload.index(b",")])
    bug = gone._replace(kind=Kind.EVENT, payload=f"bug: record {seq} could not be processed: Oops: x".encode())
    result = replay(forge(example, lambda x: [bug if x.seq == gone.seq else x]))
    assert (result.bugs, result.differences) == (1, 1)
    assert result.first is not None
    assert "Oops: x" in result.first.fields[0].journaled


def test_a_damaged_journal_is_named_and_fails(example: Path, capsys: Captured) -> None:
    segment = next((example / "journal").glob("*.fgj"))
    segment.write_bytes(segment.read_bytes().replace(b"\x0111=C1\x01", b"\x0111=C9\x01", 1))
    with pytest.raises(JournalDamaged):
        replay(example)
    assert invoke(["replay", str(example)]) == 1
    assert "record " in capsys.readouterr().err
    assert invoke(["replay", str(example), "--policy", str(example / "none.toml")]) == 2


@pytest.mark.parametrize(
    ("kind", "payload"), [(Kind.DECISION, b"{}"), (Kind.DECISION, b'{"in":x,'), (Kind.START, b"[]")]
)
def test_records_that_are_none_are_named(tmp_path: Path, kind: Kind, payload: bytes) -> None:
    with Writer(tmp_path / "journal", "never") as writer:
        writer.append(kind, "", 1, payload)
    with pytest.raises(JournalError, match="record 1 "):
        replay(tmp_path)


def test_a_directory_without_a_journal_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal"):
        replay(tmp_path)


def test_progress_counts_records(example: Path) -> None:
    counted: list[int] = []
    assert replay(example, counted.append).records == counted[-1]


# ---------------------------------------------------------------- counterparties come from the journal


def bust_42(data_dir: Path, start: dict[str, object] | None) -> Path:
    """A broker speaking FIX 4.2, where 20=1 with 150=4 is a bust; FIX 4.4 would read a cancel."""
    scribe = Scribe(data_dir, start, versions={"OMS1": "FIX.4.2", "BRK1": "FIX.4.2"})
    scribe.again(SubmitStatement(0, 0, "http", "a", "", draft(oms="OMS1"), "11" * 32))
    scribe.receive("OMS1", "D", [*ORDER, (21, 1)])
    scribe.receive("BRK1", "8", [(20, 0), *report("E1", "1", "1", 10, (32, 10), (31, 9))])
    scribe.receive("BRK1", "8", [(20, 1), (19, "E1"), *report("E2", "4", "0", 0)])
    return scribe.close()


def test_versions_come_from_the_start_record(tmp_path: Path) -> None:
    assert replay(bust_42(tmp_path / "told", None)).agrees
    untold = replay(bust_42(tmp_path / "untold", {"version": fixgateway.__version__}))
    assert untold.first is not None, "without versions in the start record FIX 4.4 is assumed"
    assert any((x.journaled, x.now) == ("bust", "cancelled") for x in untold.first.fields)


def test_a_version_this_gateway_does_not_speak_is_named(tmp_path: Path) -> None:
    told = {"version": "9.9", "parties": {"OMS1": {"version": "FIX.9", "on_behalf_of": False}}}
    data_dir = Scribe(tmp_path, told).close()
    with pytest.raises(JournalError, match=r"record 1: .*FIX\.9.* fixgateway 9\.9"):
        replay(data_dir)


def test_match_keys_and_waiting_time_come_from_the_configuration(tmp_path: Path) -> None:
    omses = (replace(SETUP.omses[0], match=("ClOrdID",)), SETUP.omses[1])
    setup = replace(SETUP, omses=omses, limits=replace(SETUP.limits, max_queue_seconds=0))
    scribe = Scribe(tmp_path, setup=setup)
    scribe.again(SubmitStatement(0, 0, "http", "a", "", draft(oms="OMS1", cl_ord_ids=("C1",)), "11" * 32))
    blocked = scribe.receive("OMS1", "D", ORDER)
    assert "GW-310" in repr(blocked), "one millisecond is more than no second"
    assert replay(scribe.close()).agrees


def test_what_the_fix_engine_refused_is_decided_again(tmp_path: Path) -> None:
    scribe = worked_example(tmp_path)
    fields = report("E9", "F", "1", 31000, (32, 1000), (31, "101"))
    assert scribe.receive("BRK1", "8", fields, refused="Required tag missing")
    assert replay(scribe.close()).agrees


def test_a_refusal_by_number_finds_its_order(tmp_path: Path) -> None:
    scribe = Scribe(tmp_path)
    scribe.receive("OMS1", "J", STATEMENT)
    scribe.receive("OMS1", "D", ORDER)
    ended = scribe.receive("BRK1", "3", [(45, 1), (372, "D"), (58, "no")])
    assert "GW-810" in repr(ended)
    assert "C1" in repr(ended)
    assert replay(scribe.close()).agrees


def test_a_later_configuration_counts_from_there_on(tmp_path: Path) -> None:
    scribe = worked_example(tmp_path)
    scribe.append(Kind.START, encode_json({"version": fixgateway.__version__}))
    world = World(replace(SETUP, omses=(replace(SETUP.omses[0], match=("ClOrdID",)), SETUP.omses[1])))
    scribe.again(world.inputs[0])
    scribe.again(JournalState(0, 0, True, "test"))
    scribe.again(Tick(0, 0, TODAY, "12:00:00"))
    assert replay(scribe.close()).agrees


# ---------------------------------------------------------------- the command


def test_the_command_says_that_all_agrees(example: Path, capsys: Captured) -> None:
    assert invoke(["replay", str(example)]) == 0
    assert "every decision agrees" in capsys.readouterr().out
    assert invoke(["replay", str(example), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["agrees"] is True
    assert (document["differences"], document["first_difference"]) == (0, None)


def test_nothing_is_written(example: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in example.rglob("*")}
    replay(example)
    assert {path: path.stat().st_mtime_ns for path in example.rglob("*")} == before
