"""Registering statements: every problem named by line and field; changes; the commitment of the seed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import EXAMPLE, POLICY, SEED, SETUP, TODAY, World, draft, one, some

from fixgateway.core.inputs import JournalState
from fixgateway.core.model import RULES, Draft, DraftLine
from fixgateway.core.outputs import (
    Alert,
    ForwardToBroker,
    SendStatementAck,
    StatementClosed,
    StatementRefused,
    StatementRegistered,
)

YESTERDAY = (TODAY - timedelta(days=1)).isoformat()

BAD: list[tuple[str, int, str, Draft]] = [
    ("GW-601", 0, "statement_id", draft("")),
    ("GW-602", 0, "statement_id", draft("two words")),
    ("GW-602", 0, "statement_id", draft("x" * 65)),
    ("GW-601", 0, "symbol", draft(symbol="")),
    ("GW-602", 0, "symbol", draft(symbol="X\x01Y")),
    ("GW-601", 0, "side", draft(side="")),
    ("GW-602", 0, "side", draft(side="long")),
    ("GW-601", 0, "trade_date", draft(trade_date="")),
    ("GW-602", 0, "trade_date", draft(trade_date="22.11.2026")),
    ("GW-602", 0, "trade_date", draft(trade_date="2026-02-30")),
    ("GW-609", 0, "trade_date", draft(trade_date=YESTERDAY)),
    ("GW-601", 0, "lines", draft(lines=())),
    ("GW-601", 2, "account", draft(lines=(("CLIENT-A", "1"), ("", "1")))),
    ("GW-605", 2, "account", draft(lines=(("CLIENT-A", "1"), ("CLIENT-A", "1")))),
    ("GW-606", 1, "account", draft(lines=(("NOBODY", "1"),))),
    ("GW-606", 1, "account", draft(lines=(("SHUT", "1"),))),
    ("GW-606", 1, "account", draft(lines=(("ERR", "1"),))),
    ("GW-606", 1, "account", draft(lines=(("ALONE", "1"), ("CLIENT-A", "1")))),
    ("GW-607", 1, "quantity", draft(lines=(("CLIENT-A", "0"),), total="")),
    ("GW-607", 1, "quantity", draft(lines=(("CLIENT-A", "-1"),), total="")),
    ("GW-607", 1, "quantity", draft(lines=(("CLIENT-A", "1e5"),), total="")),
    ("GW-607", 1, "quantity", draft(lines=(("CLIENT-A", "NaN"),), total="")),
    ("GW-607", 1, "quantity", draft(lines=(("CLIENT-A", "9" * 30),), total="")),
    ("GW-607", 0, "total", draft(total="0")),
    ("GW-604", 0, "total", draft(total="49999")),
    ("GW-608", 0, "method", draft(method="rotation")),
    ("GW-608", 0, "ties", draft(ties="account")),
    ("GW-608", 0, "lot", draft(lot="100")),
    ("GW-608", 0, "min_quantity", draft(min_quantity="5")),
    ("GW-610", 0, "brokers", draft(brokers=("BRK9",))),
    ("GW-602", 0, "discretionary", draft(discretionary="perhaps")),
    ("GW-614", 0, "", draft(defects=("NoAllocs says 5, 4 entries follow",))),
]


@pytest.mark.parametrize(("code", "row", "field", "written"), BAD)
def test_refused(code: str, row: int, field: str, written: Draft) -> None:
    outputs = World().submit(written)
    problems = one(outputs, StatementRefused).problems
    assert (code, row, field) in [(p.reason, p.row, p.field) for p in problems], problems
    ack = one(outputs, SendStatementAck)
    assert ack.alloc_status == "1"
    assert ack.text.startswith(problems[0].reason)
    assert not some(outputs, StatementRegistered)


def test_every_problem_is_listed_at_once() -> None:
    outputs = World().submit(draft("", side="up", lines=(("NOBODY", "x"), ("NOBODY", "1"))))
    reasons = [p.reason for p in one(outputs, StatementRefused).problems]
    assert {"GW-601", "GW-602", "GW-605", "GW-606", "GW-607"} <= set(reasons)
    assert "more)" in one(outputs, SendStatementAck).text


def test_registered_with_a_commitment_to_the_seed() -> None:
    outputs = World().submit()
    statement = one(outputs, StatementRegistered).statement
    commitment = hashlib.sha256(bytes.fromhex(SEED)).hexdigest()
    assert (statement.seed_commitment, statement.oms, statement.version) == (commitment, "OMS1", 1)
    ack = one(outputs, SendStatementAck)
    assert (ack.alloc_status, ack.alloc_id) == ("0", "S-1")
    assert commitment in ack.text
    assert SEED not in ack.text


def test_allowed_terms_may_be_asked_for() -> None:
    policy = replace(POLICY, allowed=(("ties", ("account",)), ("lot", ("100",))))
    world = World(replace(SETUP, policy=policy))
    statement = one(world.submit(draft(ties="account", lot="100.0")), StatementRegistered).statement
    assert (statement.ties, statement.lot) == ("account", 100)


def test_a_line_names_only_minimums_that_the_policy_knows() -> None:
    """A minimum of the trader's own making would decide who drops out of a partial fill."""
    policy = replace(POLICY, allowed=(("min_quantity", ("500",)),))
    asked = draft(lines=EXAMPLE[:2])

    def problems(minimum: str, rules: int = RULES) -> list[tuple[str, int, str]]:
        world = World(replace(SETUP, policy=policy, rules=rules))
        lines = (asked.lines[0], replace(asked.lines[1], min_quantity=minimum))
        outputs = world.submit(replace(asked, lines=lines))
        return [(p.reason, p.row, p.field) for x in some(outputs, StatementRefused) for p in x.problems]

    assert problems("500.0") == problems("0") == problems("") == []
    assert problems("501") == [("GW-608", 2, "min_quantity")]
    assert problems("-1") == [("GW-607", 2, "min_quantity")]
    assert problems("501", rules=1) == []  # as in journals from before anybody asked


def test_same_content_again_is_the_same_statement() -> None:
    world = World()
    world.submit()
    again = world.submit(seed="22" * 32)
    assert one(again, SendStatementAck).alloc_status == "0"
    assert hashlib.sha256(bytes.fromhex(SEED)).hexdigest() in one(again, SendStatementAck).text
    assert not some(again, StatementRegistered)


def test_same_id_with_other_content() -> None:
    world = World()
    world.submit()
    other = world.submit(draft(lines=(("CLIENT-A", "50000"),)))
    assert one(other, StatementRefused).problems[0].reason == "GW-603"


def test_memo_required_or_listed() -> None:
    bare = draft(recommended_by="", placed_by="", discretionary="")
    assert one(World().submit(bare), Alert).reason == "GW-815"
    strict = World(replace(SETUP, policy=replace(POLICY, require_memo=True)))
    problems = one(strict.submit(bare), StatementRefused).problems
    assert [p.field for p in problems if p.reason == "GW-611"] == ["recommended_by", "placed_by", "discretionary"]


def test_without_session_the_oms_must_be_clear() -> None:
    world = World()
    refused = world.submit(session="")
    assert one(refused, StatementRefused).problems[0].reason == "GW-610"
    assert not some(refused, SendStatementAck)
    assert one(world.submit(draft(oms="OMS2"), session=""), StatementRegistered).statement.oms == "OMS2"


def test_replace_before_the_first_order_only() -> None:
    world = World()
    world.submit()
    fresh = draft("S-1b", lines=(("CLIENT-A", "100"),))
    outputs = world.submit(fresh, alloc_trans_type="1", ref_statement_id="S-1")
    assert one(outputs, StatementClosed).why == "replaced"
    assert one(outputs, StatementRegistered).statement.version == 2
    assert one(world.order("C1", "100", "S-1b"), ForwardToBroker)
    refused = world.submit(draft("S-1c"), alloc_trans_type="1", ref_statement_id="S-1b")
    assert one(refused, StatementRefused).problems[0].reason == "GW-612"
    unknown = world.submit(draft("S-1d"), alloc_trans_type="1", ref_statement_id="S-99")
    assert one(unknown, StatementRefused).problems[0].reason == "GW-613"


def test_cancel_by_message_and_by_person() -> None:
    world = World()
    world.submit()
    outputs = world.submit(draft("S-1x"), alloc_trans_type="2", ref_statement_id="S-1")
    assert one(outputs, StatementClosed).why == "cancelled"
    assert one(outputs, SendStatementAck).alloc_status == "0"
    world.submit(draft("S-2"))
    world.order("C1", "10", "S-2")
    assert one(world.operate("cancel", "S-2"), StatementRefused).problems[0].reason == "GW-612"
    assert one(world.operate("cancel", "S-7"), StatementRefused).problems[0].reason == "GW-613"


def test_a_withdrawn_statement_is_not_acknowledged_again() -> None:
    """A late repeat of its J would else be told that it is registered, and its orders that it is not."""
    world = World()
    world.submit(draft("S-7"))
    assert one(world.submit(draft("S-7")), SendStatementAck).alloc_status == "0"
    world.submit(draft("S-7x"), alloc_trans_type="2", ref_statement_id="S-7")
    assert one(world.submit(draft("S-7")), SendStatementAck).text.startswith("GW-603 ")


def test_another_oms_may_not_change_it() -> None:
    world = World()
    world.submit()
    refused = world.submit(draft("S-1x"), session="OMS2", alloc_trans_type="2", ref_statement_id="S-1")
    assert one(refused, StatementRefused).problems[0].reason == "GW-613"


def test_not_while_the_journal_is_degraded_nor_after_the_cut_off() -> None:
    world = World()
    world.give(JournalState, degraded=True, why="disk full")
    assert one(world.submit(), StatementRefused).problems[0].reason == "GW-615"
    late = World()
    late.tick(local_time="19:00:01")
    assert one(late.submit(), StatementRefused).problems[0].reason == "GW-609"


printable = st.text(max_size=12)


@given(
    st.lists(st.tuples(printable, printable), max_size=5),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("trade_date", "symbol", "side", "total", "lot", "oms"), printable)
    ),
)
def test_any_draft_gets_an_answer(lines: list[tuple[str, str]], fields: dict[str, Any]) -> None:
    rows = tuple(DraftLine(n, a, q) for n, (a, q) in enumerate(lines, 1))
    written = replace(draft(), lines=rows, **fields)
    outputs = World().submit(written)
    assert len(some(outputs, StatementRefused)) + len(some(outputs, StatementRegistered)) == 1
