"""``journal``, ``keys`` and ``records`` against a real journal on disk."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixgateway.cli.main import invoke
from fixgateway.journal import checkpoints, keys
from fixgateway.journal.codec import encode_json
from fixgateway.journal.notary import Notary
from fixgateway.journal.records import Kind, pack_accepted
from fixgateway.journal.segments import Writer

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A configuration whose data directory holds a journal of three records."""
    for name in ("policy.toml", "accounts.csv", "gateway.toml"):
        shutil.copy(ROOT / "config" / name, tmp_path)
    writer = Writer(tmp_path / "var" / "journal", "group", 1 << 20)
    writer.append(Kind.START, "", 1_000, encode_json({"version": "0"}))
    writer.append(Kind.SEEN, "OMS1", 2_000, b"8=FIX.4.4\x0135=D\x0111=O-1\x01")
    writer.append(Kind.STOP, "", 3_000, encode_json({"why": "asked"}))
    writer.sync()
    writer.close()
    return tmp_path


def test_verify(place: Path, capsys: Captured) -> None:
    data = str(place / "var")
    assert invoke(["journal", "verify", data]) == 0
    assert "verified" in capsys.readouterr().out
    assert invoke(["journal", "verify", data, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["records"], document["verified"]) == (3, True)

    segment = next((place / "var" / "journal").glob("*.fgj"))
    damaged = segment.read_bytes().replace(b"O-1", b"O-2")
    segment.write_bytes(damaged)
    assert invoke(["journal", "verify", data, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["verified"] is False
    assert err.startswith("error: ")
    assert "record 2" in err


def checkpoint(place: Path, key_file: Path) -> Path:
    """A checkpoint of what the journal holds now, kept outside of it and in it."""
    journal = place / "var" / "journal"
    with Writer(journal, segment_bytes=1) as writer:
        notary = Notary(writer, journal, "FIXGW", key=keys.load_private(key_file))
        notary.start()
        writer.append(Kind.EVENT, "", 4_000, b"event")
        writer.sync()
        assert notary.stop()
    found = checkpoints.latest(journal / checkpoints.DIRECTORY)
    assert found is not None
    return Path(shutil.copy(found[0], place / f"{found[1].head.size}.checkpoint"))


def test_keys_checkpoints_and_proofs(place: Path, capsys: Captured) -> None:
    key, data = place / "journal.key", str(place / "var")
    assert invoke(["keys", "new", str(key), "--name", "gateway.example/journal", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["public_key"].startswith("gateway.example/journal+")
    public = document["public_key_file"]
    assert Path(public).read_text().strip() == document["public_key"]
    assert invoke(["keys", "new", str(key)]) == 2
    assert "keys are not overwritten" in capsys.readouterr().err

    first, second = checkpoint(place, key), checkpoint(place, key)
    assert invoke(["journal", "verify", data, "--public-key", public, "--checkpoint", str(first), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["signatures"], document["signed_records"]) == (
        f"by gateway.example/journal, up to record {document['records']}", document["records"],
    )  # fmt: skip

    for arguments in (
        ["2"],
        ["--order", "O-1"],
        ["2", "--checkpoint", str(first)],
        ["--from", str(first)],
        ["--from", str(first), "--to", str(second)],
    ):
        proof = place / "proof.json"
        assert invoke(["journal", "prove", data, *arguments, "-o", str(proof)]) == 0
        assert str(proof) in capsys.readouterr().out
        script = [sys.executable, str(ROOT / "scripts" / "verify_proof.py"), str(proof), "--public-key", public]
        done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, "PROVED: " in done.stdout) == (0, True), done.stderr
    assert invoke(["journal", "prove", data, "2"]) == 0
    assert json.loads(capsys.readouterr().out)["records"][0]["sequence"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "say what to prove"),
        (["2", "--order", "O-1"], 2, "say what to prove"),
        (["2", "--from", "x"], 2, "say what to prove"),
        (["2", "--to", "x"], 2, "--to goes with --from"),
        (["--from", "x", "--checkpoint", "y"], 2, "--to goes with --from"),
        (["2"], 1, "has no checkpoint"),
        (["2", "--checkpoint", "missing"], 2, "checkpoint missing: No such file"),
        (["0"], 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_proved(
    place: Path, capsys: Captured, arguments: list[str], code: int, words: str
) -> None:
    assert invoke(["journal", "prove", str(place / "var"), *arguments]) == code
    assert words in capsys.readouterr().err


def test_a_key_can_be_named_after_its_file(tmp_path: Path, capsys: Captured) -> None:
    assert invoke(["keys", "new", str(tmp_path / "desk-1.key")]) == 0
    assert "\ndesk-1+" in capsys.readouterr().out


def test_compress(place: Path, capsys: Captured) -> None:
    data = str(place / "var")
    assert invoke(["journal", "compress", data]) == 0
    assert "nothing to compress" in capsys.readouterr().out
    key = place / "journal.key"
    keys.create(key, "name")
    checkpoint(place, key)
    assert invoke(["journal", "compress", data, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["file"].endswith(".fgj.gz")
    assert invoke(["journal", "verify", data]) == 0
    checkpoint(place, key)
    assert invoke(["journal", "compress", data]) == 0
    assert ".fgj.gz: " in capsys.readouterr().out


def test_show(place: Path, capsys: Captured) -> None:
    data = str(place / "var")
    assert invoke(["journal", "show", data]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "35=D|11=O-1|" in lines[1]
    for arguments, expected in (
        (["--kind", "seen"], [2]),
        (["--kind", "start", "--kind", "stop"], [1, 3]),
        (["--session", "OMS1"], [2]),
        (["--contains", "35=D|11=O-1"], [2]),
        (["--from", "2", "--limit", "1"], [2]),
        (["--from", "9"], []),
    ):
        assert invoke(["journal", "show", data, "--json", *arguments]) == 0
        assert [row["seq"] for row in json.loads(capsys.readouterr().out)] == expected, arguments


def test_export(place: Path, capsys: Captured) -> None:
    data, file = str(place / "var"), place / "journal.jsonl"
    with Writer(place / "var" / "journal") as writer:
        writer.append(Kind.ACCEPTED, "OMS1", 4_000, pack_accepted(2, 1, 0, "5eed" * 16))
    assert invoke(["journal", "export", data]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["data"] == "8=FIX.4.4|35=D|11=O-1|"
    assert "payload" not in rows[1]
    assert invoke(["journal", "export", data, "-o", str(file), "--from", "2", "--to", "4", "--raw"]) == 0
    text = file.read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["seq"] for row in rows] == [2, 3, 4]
    assert base64.b64decode(rows[0]["payload"]) == b"8=FIX.4.4\x0135=D\x0111=O-1\x01"
    assert "payload" not in rows[2]  # it holds a seed that nobody may know yet
    assert "5eed" not in text
    assert invoke(["journal", "export", data, "-o", str(place / "missing" / "x")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_rebuild(place: Path, capsys: Captured) -> None:
    config = str(place / "gateway.toml")
    assert invoke(["records", "rebuild", "-c", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"records": 3}
    assert (place / "var" / "records.db").is_file()
