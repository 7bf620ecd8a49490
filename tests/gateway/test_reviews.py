"""Forensic reviews of a running gateway's records: its blotter, the review on record, its conclusion, who may look."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from live import WORKED_EXAMPLE, WORKED_SHARES, Live, until
from team import Member, assemble
from trading import Trade

from fixgateway.records.blotter import COLUMNS
from fixgateway.reviewing import monitored


@dataclass(slots=True)
class Firm:
    live: Live
    people: dict[str, Member]
    statement_id: str


@pytest.fixture(scope="module")
def firm(make_shared: Callable[..., Live]) -> Firm:
    """The worked example, filled, allocated and accepted; the close is marked above the average."""
    live = make_shared().start()
    trade = Trade(live, 50_000, lines=WORKED_EXAMPLE)
    people = assemble(live)
    trade.fill(30_000, "100")
    trade.cancelled()
    trade.acknowledge(trade.allocation())
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records", 30)
    mark = {"symbol": "XYZ", "price": "102", "source": "exchange close", "close": True}
    marked = people["olga"].post("/api/marks", mark)
    assert marked.status_code in (200, 201), marked.text
    until(lambda: live.rows("SELECT 1 FROM marks"), "the mark in the records", 30)
    return Firm(live, people, trade.statement_id)


def review(firm: Firm, person: str, url: str = "") -> subprocess.CompletedProcess[str]:
    """``forensics run --records`` as a person, of the gateway or of another URL."""
    environment = {**os.environ, "FIXGATEWAY_TOKEN": firm.people[person].token, "HOME": str(firm.live.directory)}
    command = [sys.executable, "-m", "fixgateway.cli.main", "forensics", "run", "--json"]
    return subprocess.run(
        [*command, "--records", url or str(firm.live.http.base_url)],
        capture_output=True, text=True, timeout=120, check=False, env=environment,
    )  # fmt: skip


def test_the_blotter_is_the_file_forensics_read(firm: Firm) -> None:
    text = firm.people["aude"].get("/api/exports/registers/blotter").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert {row["account"]: row["alloc_qty"] for row in rows} == WORKED_SHARES
    assert {row["account"]: row["intent_qty"] for row in rows} == {name: str(q) for name, q in WORKED_EXAMPLE}
    (own,) = [row for row in rows if row["account_class"] == "proprietary"]
    assert (own["account"], own["price"], own["close_price"], own["side"]) == ("PROP", "100", "102", "buy")
    assert own["captured_at"] < own["released_at"] < own["last_fill_at"] < own["allocated_at"]


def test_a_review_of_the_records_is_on_record_and_signed(firm: Firm) -> None:
    told = review(firm, "cora")
    assert told.returncode == 0, told.stdout + told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    by_id = {test["id"]: test for test in document["tests"]}
    assert by_id["b"]["verdict"] == "green"
    assert document["problems"] == []
    assert "journaled as review R" in told.stderr
    firm.live.wait_projected()
    (found,) = [row for row in firm.people["aude"].get("/api/reviews?kind=run").json()["rows"] if row["kind"] == "run"]
    assert (found["verdict"], found["actor"]) == (document["verdict"], "cora")
    assert (found["plan_sha256"], found["data_sha256"]) == (document["plan_sha256"], document["data_sha256"])
    signature = {"conclusion": "Nothing found; few blocks.", "follow_up": "Again next quarter."}
    path = f"/api/reviews/{found['review_id']}/signature"
    assert firm.people["aude"].post(path, signature).status_code == 403
    assert firm.people["cora"].post(path, signature).status_code in (200, 201)
    firm.live.wait_projected()
    shown = firm.people["cora"].get(f"/api/reviews/{found['review_id']}").json()
    assert shown["signatures"][0]["conclusion"] == signature["conclusion"]


@pytest.mark.parametrize("person", ["tom", "olga", "prim"])
def test_reviews_are_for_compliance_and_auditors_only(firm: Firm, person: str) -> None:
    assert firm.people[person].get("/api/reviews").status_code == 403
    assert firm.people[person].get("/api/exports/registers/reviews").status_code == 403
    if person != "tom":  # may export, but not put a review on record
        assert review(firm, person).returncode == 1
    else:
        assert "may not export" in review(firm, person).stderr


def test_the_same_of_the_database_is_not_journaled(firm: Firm) -> None:
    told = review(firm, "cora", f"sqlite:///{firm.live.data_dir}/records.db")
    assert told.returncode == 0, told.stderr
    assert "not journaled" in told.stderr


def test_the_daily_monitor_reads_the_same_records(firm: Firm) -> None:
    told = monitored(f"sqlite:///{firm.live.data_dir}/records.db", str(firm.live.data_dir), "")
    assert told["verdict"] == "green"  # one block, no deviation: nothing was won
    assert told["wealth"] <= 1
