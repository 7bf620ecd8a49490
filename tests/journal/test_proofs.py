"""Proofs, checked by the stand-alone verifier in a process of its own, without fixgateway."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fixgateway.core.outputs import StatementAllocated
from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import proofs
from fixgateway.journal.checkpoints import DIRECTORY, Checkpoint, checkpoint_text, journal_id, parse, store
from fixgateway.journal.codec import encode_json
from fixgateway.journal.merkle import Head
from fixgateway.journal.notes import new_private_key
from fixgateway.journal.proofs import newest_checkpoint, order_records, prove_consistency, prove_records
from fixgateway.journal.records import Kind, decode, pack_accepted, pack_engine_refused, pack_wire_out
from fixgateway.journal.segments import Writer

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_proof.py"
KEY = new_private_key("gateway.example/journal")
Document = dict[str, Any]


def make(directory: Path, count: int, segment_bytes: int = 500) -> Checkpoint:
    """``count`` more records and their signed checkpoint."""
    with Writer(directory, segment_bytes=segment_bytes) as writer:
        for _ in range(count):
            number = writer.next_seq
            text = b"8=FIX.4.4\x0158=%d\x01" % number
            writer.append(Kind.SEEN, "OMS1", 1_700_000_000_000_000_000 + number, text)
            writer.sync()
        return sign(directory, writer.head)


def sign(directory: Path, head: Head) -> Checkpoint:
    text = checkpoint_text(f"fixgateway/FIXGW/{journal_id(directory)}", head)
    made = parse(KEY.sign(text).encode())
    store(directory / DIRECTORY, made)
    return made


class Outsider:
    """Somebody with the script, a proof and a public key or a checkpoint, and nothing else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        (directory / "key.pub").write_text(f"{KEY.public}\n")

    def check(self, proof: object, *arguments: str) -> tuple[int, str]:
        text = proof if isinstance(proof, str) else json.dumps(proof)
        (self.directory / "proof.json").write_text(text)
        ran = subprocess.run(
            # -I: neither this directory nor the environment's packages of ours can be imported
            [sys.executable, "-I", str(SCRIPT), "proof.json", *(arguments or ("--public-key", "key.pub"))],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def outsider(tmp_path: Path) -> Outsider:
    return Outsider(tmp_path / "outside")


def test_the_script_does_not_need_fixgateway() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert "import fixgateway" not in text
    assert "from fixgateway" not in text


def test_one_record_is_proved_to_an_outsider(tmp_path: Path, outsider: Outsider) -> None:
    make(tmp_path / "journal", 11)
    checkpoint = make(tmp_path / "journal", 12)
    proof = prove_records(tmp_path, [7], newest_checkpoint(tmp_path))
    code, text = outsider.check(proof)
    assert code == 0, text
    assert "record 7  2023-11-14T22:13:20.000000Z  seen  OMS1  8=FIX.4.4|58=7|" in text
    assert f"PROVED: 1 record is in the journal {checkpoint.origin} of 23 records" in text
    (outsider.directory / "mine").write_bytes(checkpoint.data)
    assert outsider.check(proof, "--checkpoint", "mine", "--public-key", "key.pub")[0] == 0
    assert outsider.check(proof, "--checkpoint", "mine")[0] == 0


def test_consistency_is_proved_to_an_outsider(tmp_path: Path, outsider: Outsider) -> None:
    first = make(tmp_path / "journal", 11)
    second = make(tmp_path / "journal", 12)
    proof = prove_consistency(tmp_path, first, second)
    code, text = outsider.check(proof)
    assert (code, "PROVED: the first 11 records" in text) == (0, True), text
    (outsider.directory / "mine").write_bytes(first.data)
    assert outsider.check(proof, "--checkpoint", "mine")[0] == 0
    (outsider.directory / "mine").write_bytes(second.data)
    assert "is not the checkpoint you gave" in outsider.check(proof, "--checkpoint", "mine")[1]


Spoil = Callable[[Document], object]


def spoil_leaf(proof: Document) -> None:
    record = proof["records"][0]
    body = base64.b64decode(record["leaf"]).replace(b"58=7", b"58=8")
    record["leaf"] = base64.b64encode(body).decode()


def renumber(proof: Document) -> None:
    proof["records"][0]["sequence"] = 8


def spoil_node(proof: Document) -> None:
    path = proof.get("path") or proof["records"][0]["path"]
    path[1] = base64.b64encode(b"x" * 32).decode()


def shorten(proof: Document) -> None:
    (proof.get("path") or proof["records"][0]["path"]).pop()


def lengthen(proof: Document) -> None:
    path = proof.get("path") or proof["records"][0]["path"]
    path.append(path[0])


def edit_note(proof: Document) -> None:
    key = "checkpoint" if "checkpoint" in proof else "to"
    proof[key] = proof[key].replace("\n23\n", "\n24\n")


def drop_signature(proof: Document) -> None:
    key = "checkpoint" if "checkpoint" in proof else "from"
    proof[key] = proof[key].partition("\n\n")[0] + "\n"


INCLUSION_SPOILT: dict[str, tuple[Spoil, str]] = {
    "leaf": (spoil_leaf, "record 7 is not in the journal"),
    "number": (renumber, "record 8 is not in the journal"),
    "node": (spoil_node, "record 7 is not in the journal"),
    "shorter": (shorten, "record 7 is not in the journal"),
    "longer": (lengthen, "record 7 is not in the journal"),
    "checkpoint": (edit_note, "the signature of gateway.example/journal is wrong"),
    "unsigned": (drop_signature, "is not signed by gateway.example/journal"),
    "none": (lambda p: p["records"].clear(), "no records in it"),
    "missing part": (lambda p: p["records"][0].pop("path"), "incomplete"),
    "not base64": (lambda p: p["records"][0].update(leaf="%%"), "not base64"),
    "wrong type": (lambda p: p.update(records=7), "incomplete"),
    "no number": (lambda p: p["records"][0].update(sequence="7"), "incomplete"),
    "beyond": (lambda p: p["records"][0].update(sequence=24), "the checkpoint is of 23 records"),
    "format": (lambda p: p.update(format="fixgateway-proof-2"), "no proof in the form fixgateway-proof-1"),
    "kind": (lambda p: p.update(kind="?"), "neither an inclusion nor a consistency proof"),
}
CONSISTENCY_SPOILT: dict[str, tuple[Spoil, str]] = {
    "node": (spoil_node, "did not grow out of the first"),
    "shorter": (shorten, "did not grow out of the first"),
    "longer": (lengthen, "did not grow out of the first"),
    "checkpoint": (edit_note, "the signature of gateway.example/journal is wrong"),
    "unsigned": (drop_signature, "is not signed by gateway.example/journal"),
    "turned": (lambda p: p.update({"from": p["to"], "to": p["from"]}), "did not grow out of the first"),
    "missing part": (lambda p: p.pop("from"), "incomplete"),
}


def test_spoilt_inclusion_proofs_are_refused(tmp_path: Path, outsider: Outsider) -> None:
    make(tmp_path / "journal", 23)
    good = prove_records(tmp_path, [7], newest_checkpoint(tmp_path))
    for name, (spoil, words) in INCLUSION_SPOILT.items():
        spoil(proof := deepcopy(good))
        code, text = outsider.check(proof)
        assert (code, words in text) == (1, True), (name, text)
        assert "\nPROVED" not in f"\n{text}"


def test_spoilt_consistency_proofs_are_refused(tmp_path: Path, outsider: Outsider) -> None:
    good = prove_consistency(tmp_path, make(tmp_path / "journal", 11), make(tmp_path / "journal", 12))
    for name, (spoil, words) in CONSISTENCY_SPOILT.items():
        spoil(proof := deepcopy(good))
        code, text = outsider.check(proof)
        assert (code, words in text) == (1, True), (name, text)


def test_what_the_script_needs(tmp_path: Path, outsider: Outsider) -> None:
    make(tmp_path / "journal", 3)
    proof = prove_records(tmp_path, [1, 3], newest_checkpoint(tmp_path))
    (outsider.directory / "other.pub").write_text(f"{new_private_key('gateway.example/journal').public}\n")
    (outsider.directory / "bad.pub").write_text(str(KEY.public).replace("gateway", "getaway"))
    assert outsider.check(proof, "--public-key", "other.pub")[0] == 1
    assert outsider.check(proof, "--public-key", "bad.pub")[0] == 2
    assert outsider.check(proof, "--public-key", "missing.pub")[0] == 2
    assert outsider.check("no json")[0] == 2
    assert outsider.check("[]")[0] == 1
    assert outsider.check("null")[0] == 1
    assert outsider.check(proof, "--checkpoint", "key.pub")[0] == 2
    code, text = outsider.check(proof, "--")  # neither a key nor a checkpoint
    assert (code, "proves nothing" in text) == (2, True)


def test_a_terminal_is_not_told_what_to_do(tmp_path: Path, outsider: Outsider) -> None:
    journal = tmp_path / "journal"
    with Writer(journal) as writer:
        writer.append(Kind.EVENT, "", 1, b"\x1b[2J" + b"long" * 1000)
        writer.sync()
        sign(journal, writer.head)
    code, text = outsider.check(prove_records(tmp_path, [1], newest_checkpoint(tmp_path)))
    assert code == 0
    assert "\x1b" not in text
    assert "(+2004 bytes)" in text


# ---------------------------------------------------------------- making them


def test_every_record_and_every_pair_of_checkpoints(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    made = [make(journal, count) for count in (1, 1, 3, 4, 7)]
    for checkpoint in made:
        size = checkpoint.head.size
        document = prove_records(journal, range(1, size + 1), checkpoint)
        assert [record["sequence"] for record in document["records"]] == list(range(1, size + 1))
        leaves = [base64.b64decode(record["leaf"]) for record in document["records"]]
        assert [decode(leaf).seq for leaf in leaves] == list(range(1, size + 1))
    for number, first in enumerate(made):
        for second in made[number:]:
            assert prove_consistency(journal, first, second)["kind"] == "consistency"


def test_what_cannot_be_proved(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = make(journal, 5)
    with Writer(journal) as writer:
        writer.append(Kind.SEEN, "", 1, b"")
    with pytest.raises(JournalError, match="record 6 is not covered by the checkpoint, which is of 5 records"):
        prove_records(journal, [6], first)
    second = make(journal, 5)
    with pytest.raises(UsageError, match="the first tree must be the smaller"):
        prove_consistency(journal, second, first)
    with Writer(tmp_path / "other") as writer:
        writer.append(Kind.SEEN, "", 1, b"another beginning")
    with pytest.raises(UsageError, match="two journals"):
        prove_consistency(journal, first, make(tmp_path / "other", 20))
    with pytest.raises(UsageError, match="at most 10000"):
        prove_records(journal, range(proofs.RECORDS_MAX + 1), second)
    with Writer(tmp_path / "young" / "journal"), pytest.raises(JournalError, match="has no checkpoint"):
        newest_checkpoint(tmp_path / "young")


def test_a_journal_that_is_not_the_checkpoints_proves_nothing(tmp_path: Path) -> None:
    checkpoint = make(tmp_path / "journal", 9)
    changed = checkpoint_text(checkpoint.origin, Head(9, b"x" * 32))
    longer = checkpoint_text(checkpoint.origin, Head(90, checkpoint.head.root))
    for text in (changed, longer):
        with pytest.raises(JournalDamaged, match="is not that of the checkpoint of"):
            prove_records(tmp_path, [3], parse(KEY.sign(text).encode()))
        with pytest.raises(JournalDamaged, match="is not that of the checkpoint of"):
            prove_consistency(tmp_path, make_smaller(checkpoint), parse(KEY.sign(text).encode()))


def make_smaller(checkpoint: Checkpoint) -> Checkpoint:
    return parse(checkpoint_text(checkpoint.origin, Head(4, b"y" * 32)).encode())


SEED = "ab" * 32


def trade(directory: Path) -> None:
    """A statement whose seed is secret, two orders, and what became of them."""
    allocated = StatementAllocated.__name__
    fix = "8=FIX.4.4|35={}|11={}|".replace("|", "\x01")
    entries = [
        (Kind.SEEN, fix.format("J", "none").encode()),  # 1
        (Kind.ACCEPTED, pack_accepted(1, 2, 0, SEED)),  # 2
        (Kind.DECISION, encode_json({"in": 2, "out": []})),  # 3
        (Kind.SEEN, fix.format("D", "O-1").encode()),  # 4
        (Kind.SEEN, fix.format("D", "O-11").encode()),  # 5
        (Kind.ACCEPTED, pack_accepted(4, 3, 0, "")),  # 6
        (Kind.DECISION, encode_json({"in": 6, "out": []})),  # 7
        (Kind.ACCEPTED, pack_accepted(5, 4, 0, "")),  # 8
        (Kind.DECISION, encode_json({"in": 8, "out": []})),  # 9
        (Kind.WIRE_OUT, pack_wire_out(6, 0, fix.format("D", "O-1").encode())),  # 10
        (Kind.SEEN, fix.format("F", "O-2").replace("11=", "41=O-1\x0111=").encode()),  # 11
        (Kind.ENGINE_REFUSED, pack_engine_refused(11, "why")),  # 12
        (Kind.CONTROL, encode_json(["RegisterStatement", {"statement": "S-2", "seed": "cd" * 32}])),  # 13
    ]
    with Writer(directory) as writer:
        for kind, payload in entries:
            writer.append(kind, "OMS1", 1, payload)
        writer.sync()
        sign(directory, writer.head)
        writer.append(Kind.DECISION, "", 1, encode_json({"in": 9, "out": [[allocated, {"seed": SEED}]]}))  # 14


def test_all_records_of_an_order(tmp_path: Path, outsider: Outsider) -> None:
    trade(tmp_path / "journal")
    assert order_records(tmp_path, "O-1") == [4, 6, 7, 10, 11, 12]
    assert order_records(tmp_path, "O-11") == [5, 8, 9]
    assert order_records(tmp_path, "O-2") == [11, 12]
    with pytest.raises(UsageError, match="has no order O-3"):
        order_records(tmp_path, "O-3")
    document = prove_records(tmp_path, order_records(tmp_path, "O-1"), newest_checkpoint(tmp_path))
    code, text = outsider.check(document)
    assert (code, "PROVED: 6 records are in the journal" in text) == (0, True), text


def test_a_proof_never_gives_a_secret_seed_away(tmp_path: Path) -> None:
    trade(tmp_path / "journal")
    checkpoint = newest_checkpoint(tmp_path)
    # The seed of record 2 was revealed by an allocation, that of record 13 was not.
    assert len(prove_records(tmp_path, [1, 2, 3], checkpoint)["records"]) == 3
    with pytest.raises(JournalError, match="record 13 holds the seed of a statement that is not allocated yet"):
        prove_records(tmp_path, [1, 13], checkpoint)
