"""Exports of a running gateway: the exam pack of a block and its stand-alone verifier, registers, the policy."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from live import POLICY, WORKED_EXAMPLE, WORKED_SHARES, Live, iso_today, order, until
from trading import Trade

from fixgateway.exports.catalogue import REGISTERS


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live], tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A gateway that signs its journal, after the worked example and an order without a statement."""
    gateway = make_shared(tables={"journal": {"key_file": "journal.key", "checkpoint_seconds": 1}})
    made = gateway.cli("keys", "new", str(gateway.directory / "journal.key"), "--name", "test")
    assert made.returncode == 0, made.stderr
    gateway.start()
    trade = Trade(gateway, 50_000, lines=WORKED_EXAMPLE)
    trade.oms.send("D", order("UNCOVERED", "NO-SUCH", 100))
    trade.oms.expect("8", ClOrdID="UNCOVERED")
    trade.fill(30_000, "100")
    trade.cancelled()
    trade.acknowledge(trade.allocation())
    until(lambda: gateway.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records", 30)
    gateway.directory.joinpath("statement").write_text(trade.statement_id)
    return gateway


def name(live: Live) -> str:
    return live.directory.joinpath("statement").read_text()


@pytest.fixture(scope="module")
def pack(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exam pack; a checkpoint that covers the block may still have to be made."""
    target = tmp_path_factory.mktemp("packs") / "pack"

    def made() -> bool:
        told = live.cli("export", "exam-pack", "--statement", name(live), "-o", str(target), "-c", str(live.config))
        assert told.returncode == 0 or "wait for the next one" in told.stderr, told.stderr
        return told.returncode == 0

    until(made, "a checkpoint that covers the block", 30)
    return target


def verify(pack: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The pack's own verifier, without our packages in sight."""
    return subprocess.run(
        [sys.executable, "-I", str(pack / "verify_pack.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=pack,
    )


def test_the_exam_pack_proves_itself_without_us(live: Live, pack: Path) -> None:
    told = verify(pack, "--public-key", str(live.directory / "journal.key.pub"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"PROVED: {len(json.loads((pack / 'manifest.json').read_text())['records'])} records" in told.stdout
    assert verify(pack).returncode == 2  # neither key nor checkpoint proves nothing


def test_the_exam_pack_tells_the_whole_block(live: Live, pack: Path) -> None:
    block = json.loads((pack / "data" / "block.json").read_text())
    shares = {line["account"]: line["quantity"] for line in block["allocations"][0]["lines"]}
    assert shares == WORKED_SHARES
    assert block["policy"]["text"] == POLICY
    kinds = {path.name.split("-")[-1].removesuffix(".fix") for path in (pack / "fix").iterdir()}
    assert {"J", "P", "D", "8"} <= kinds  # statement and its answer, order, fills, allocation and its answer
    page = (pack / "index.html").read_text()
    for text in (name(live), "CLIENT-A", "15000", "100.0000", "SHA-256"):
        assert text in page
    rows = list(csv.DictReader((pack / "data" / "allocation.csv").open()))
    assert {row["account"]: row["quantity"] for row in rows} == WORKED_SHARES


@pytest.mark.parametrize(
    ("what", "words"),
    [("message", "was changed"), ("added", "not of the pack"), ("removed", "missing"), ("manifest", "differ")],
)
def test_a_changed_pack_is_noticed(live: Live, pack: Path, tmp_path: Path, what: str, words: str) -> None:
    copy = tmp_path / "pack"
    shutil.copytree(pack, copy, ignore=shutil.ignore_patterns("__pycache__"))
    message = sorted((copy / "fix").iterdir())[0]
    manifest = json.loads((copy / "manifest.json").read_text())
    match what:
        case "message":
            message.write_bytes(message.read_bytes().replace(b"55=XYZ", b"55=XYA"))
        case "added":
            (copy / "fix" / "000000001-in-OMS1-D.fix").write_bytes(b"x")
        case "removed":
            message.unlink()
        case _:  # a message and its place in the manifest are left out together
            del manifest["files"][f"fix/{message.name}"]
            message.unlink()
            (copy / "manifest.json").write_text(json.dumps(manifest))
    told = verify(copy, "--public-key", str(live.directory / "journal.key.pub"))
    assert told.returncode == 1
    assert words in told.stderr


def test_a_pack_is_never_written_over_another(live: Live, pack: Path) -> None:
    told = live.cli("export", "exam-pack", "--statement", name(live), "-o", str(pack), "-c", str(live.config))
    assert told.returncode == 2
    assert "in use" in told.stderr


def test_an_unknown_statement_has_no_pack(live: Live, tmp_path: Path) -> None:
    target = tmp_path / "none"
    told = live.cli("export", "exam-pack", "--statement", "NOBODY", "-o", str(target), "-c", str(live.config))
    assert told.returncode == 2
    assert "NOBODY" in told.stderr
    assert not target.exists()


@pytest.mark.parametrize(("register", "form"), [("allocations", "csv"), ("blocked-orders", "json"), ("turns", "html")])
def test_a_register_in_every_form(live: Live, register: str, form: str) -> None:
    answer = live.http.get(f"/api/exports/registers/{register}", params={"form": form})
    assert answer.status_code == 200, answer.text
    columns = REGISTERS[register].columns
    match form:
        case "csv":
            assert next(csv.reader(io.StringIO(answer.text))) == list(columns)
        case "json":
            assert answer.json()["columns"] == list(columns)
        case _:
            assert answer.text.startswith("<!doctype html>")


def test_registers_say_what_happened(live: Live) -> None:
    def rows(register: str, **more: str) -> list[dict[str, str]]:
        params = {"form": "json", **more}
        found: list[dict[str, str]] = live.http.get(f"/api/exports/registers/{register}", params=params).json()["rows"]
        return found

    (blocked,) = rows("blocked-orders")
    assert (blocked["cl_ord_id"], blocked["reason"]) == ("UNCOVERED", "GW-101")
    assert {row["account"]: row["quantity"] for row in rows("allocations")} == WORKED_SHARES
    assert all(row["decided_at"] <= row["sent_at"] <= row["booked_at"] for row in rows("allocations"))
    classes = {row["account"]: row["class"] for row in rows("accounts")}
    assert (classes["PROP"], classes["CLIENT-A"]) == ("proprietary", "client")
    assert all(row["deviation_units"] == "0.000000" for row in rows("dispersion"))  # shares were whole
    today = iso_today()
    assert len(rows("allocations", first=today, last=today)) == len(WORKED_SHARES)
    assert rows("allocations", last="2020-01-01") == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("registers/nothing", "blocked-orders"),
        ("registers/allocations?first=yesterday", "no date"),
        ("registers/allocations?first=2026-02-01&last=2026-01-01", "before it begins"),
        ("annual-review/MMXXVI", "write 2026"),
        ("policy?version=77", "no policy version"),
    ],
)
def test_what_cannot_be_exported_is_said(live: Live, path: str, words: str) -> None:
    answer = live.http.get(f"/api/exports/{path}")
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_the_policy_prints_as_a_section_of_the_manual(live: Live) -> None:
    page = live.http.get("/api/exports/policy").text
    assert "version 1" in page
    assert "approved by chief compliance officer" in page.lower()
    assert live.http.get("/api/exports/policy", params={"form": "text"}).text == POLICY


def test_the_annual_review_has_every_register(live: Live, tmp_path: Path) -> None:
    target = tmp_path / "annual"
    year = iso_today()[:4]
    told = live.cli("export", "annual-review", "--year", year, "-o", str(target), "-c", str(live.config), "--json")
    assert told.returncode == 0, told.stderr
    for name, register in REGISTERS.items():
        assert next(csv.reader((target / f"{name}.csv").open())) == list(register.columns), name
    assert "index.html" in json.loads(told.stdout)["files"]


def test_registers_can_be_had_without_the_gateway(live: Live, tmp_path: Path) -> None:
    target = tmp_path / "blocked.csv"
    told = live.cli("export", "register", "blocked-orders", "-o", str(target), "--offline", "-c", str(live.config))
    assert told.returncode == 0, told.stderr
    assert "UNCOVERED" in target.read_text()
