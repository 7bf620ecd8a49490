"""``fixgateway demo``: the worked example against a real gateway process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fixgateway import demo
from fixgateway.cli.main import invoke
from fixgateway.errors import GatewayUnavailable
from fixgateway.journal.reader import Verification
from fixgateway.sim.fields import Fields
from fixgateway.sim.process import GatewayProcess, write_files

ALLOCATION = [("CLIENT-A", "15000"), ("CLIENT-B", "6000"), ("CLIENT-C", "3000"), ("PROP", "6000")]


def test_the_document_is_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    records = document["journal"].pop("records")
    assert records > 20
    assert document == {
        "statement": "S-1",
        "blocked": {"cl_ord_id": "O-9", "text": "GW-101 no allocation statement for AllocID S-9"},
        "filled": "30000",
        "avg_px": "100",
        "allocation": [{"account": account, "quantity": quantity} for account, quantity in ALLOCATION],
        "alloc_status": "accepted",
        "journal": {"verified": True},
    }


def test_a_person_reads_the_story_and_may_keep_the_journal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert demo.run_demo(json_output=False, keep=tmp_path) == 0
    out = capsys.readouterr().out
    for words in (
        "An order without an allocation statement is blocked",
        "Text=GW-101 no allocation statement for AllocID S-9",
        "CLIENT-A:15000 CLIENT-B:6000 CLIENT-C:3000 PROP:6000",
        "30,000 of 50,000 XYZ filled at an average of 100",
        "cherry-picked",
        "every message and decision; verified.",
        f"fixgateway journal show {tmp_path / 'var'}",
    ):
        assert words in out
    assert invoke(["journal", "verify", str(tmp_path / "var")]) == 0


def good_outcome() -> demo.Outcome:
    lines = [pair for account, quantity in ALLOCATION for pair in ((79, account), (80, quantity))]
    return demo.Outcome(
        registered=Fields([(70, "S-1")]),
        blocked=Fields([(11, "O-9"), (58, "GW-101 …")]),
        end=Fields([(14, "30000")]),
        allocation=Fields([(6, "100.0000"), (78, "4"), *lines]),
        report=Fields([(87, "0")]),
        journal=Verification(40, 1, 40, 1, 9000, False, "", True),
        exit_code=0,
    )


def test_what_differs_from_the_statement_is_named() -> None:
    good = good_outcome()
    assert good.problems() == []
    picked = Fields([(78, "2"), (79, "CLIENT-A"), (80, "15000"), (79, "PROP"), (80, "15000")])
    damaged = Verification(40, 1, 40, 1, 9000, False, "record 7 is wrong", False)
    for bad, words in (
        (replace(good, allocation=picked), "told CLIENT-A 15000, PROP 15000; the statement says"),
        (replace(good, report=Fields([(87, "1")])), "not accepted"),
        (replace(good, journal=damaged), "record 7 is wrong"),
        (replace(good, exit_code=3), "exited with 3"),
        (replace(good, end=Fields([(14, "0")])), "nothing was filled"),
    ):
        assert words in "; ".join(bad.problems())


def test_a_gateway_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    files = write_files(tmp_path, broker_port=1)
    files.config.write_text("[gateway]\ncolour = 'red'\n")
    with GatewayProcess(files) as gateway, pytest.raises(GatewayUnavailable, match=r"ended with 2:\n[^$]*colour"):
        gateway.wait_ready()
