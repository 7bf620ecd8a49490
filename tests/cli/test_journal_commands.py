"""``journal`` and ``records`` against a real journal on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fixgateway.cli.main import invoke
from fixgateway.journal.codec import encode_json
from fixgateway.journal.records import Kind
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


def test_rebuild(place: Path, capsys: Captured) -> None:
    config = str(place / "gateway.toml")
    assert invoke(["records", "rebuild", "-c", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"records": 3}
    assert (place / "var" / "records.db").is_file()
