"""Turns, holdings and the deviations of remainders, as rows and as answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text
from worlds import SETUP, TODAY, draft

from fixgateway.core.inputs import ExecKind, SetHolding
from fixgateway.core.model import Holding, Ties
from fixgateway.records.fairness import fairness, turns

THIRDS = (("CLIENT-A", "10"), ("CLIENT-B", "10"), ("CLIENT-C", "10"))
POLICY = replace(SETUP.policy, ties=Ties.ROTATION, lot=Decimal(1))


def trade(world: Any, name: str, filled: str, total: str = "30", **more: str) -> None:
    world.submit(draft(name, THIRDS, **more))
    symbol = more.get("symbol", "XYZ")
    world.order(f"C-{name}", total, name, symbol=symbol)
    world.fill(filled, "10", f"C-{name}", exec_id=f"E-{name}")
    world.execution(ExecKind.CANCELLED, f"C-{name}", ord_status="4")


def test_turns_and_deviations(new_world: Any, projected: Callable[[Any], Engine]) -> None:
    world = new_world(replace(SETUP, policy=POLICY))
    trade(world, "S-1", "10")  # A 4, B 3, C 3 of 10/3 each
    trade(world, "S-2", "10")  # then B has the odd one
    trade(world, "S-3", "11")  # C and A have one each of 11/3
    trade(world, "S-4", "20", symbol="ABC")  # B and C have one each of 20/3
    world.execution(ExecKind.BUST, "C-S-2", exec_ref_id="E-S-2", last_qty=Decimal(10))  # counts no more
    world.submit(draft("S-5", THIRDS))
    world.operate("cancel", "S-5")
    engine = projected(world)
    found = [
        (t["statement_id"], t["account"], t["turn"], t["outcome"], t["queue_position"]) for t in turns(engine)
    ]
    assert found[::-1] == [
        ("S-1", "CLIENT-A", 1, "served", 3), ("S-2", "CLIENT-B", 1, "served", 3),
        ("S-3", "CLIENT-C", 1, "served", 2), ("S-3", "CLIENT-A", 2, "served", 3),
        ("S-4", "CLIENT-B", 1, "served", 2), ("S-4", "CLIENT-C", 2, "served", 3),
        ("S-5", "CLIENT-A", 1, "unfilled", 1),
    ]  # fmt: skip
    assert turns(engine, policy_id="Q") == []

    answer = fairness(engine)
    assert (answer["statements"], answer["truncated"], "No bound is promised" in answer["words"]) == (
        4,
        False,
        True,
    )
    rows = {(r["account"], r["symbol"]): (r["blocks"], r["above"], r["below"], r["lots"]) for r in answer["rows"]}
    assert rows == {
        ("CLIENT-A", "ABC"): (1, 0, 1, "-2/3"), ("CLIENT-B", "ABC"): (1, 1, 0, "1/3"),
        ("CLIENT-C", "ABC"): (1, 1, 0, "1/3"),
        ("CLIENT-A", "XYZ"): (3, 2, 0, "1/1"),  # 2/3 + 0 + 1/3
        ("CLIENT-B", "XYZ"): (3, 0, 2, "-1/1"), ("CLIENT-C", "XYZ"): (3, 1, 1, "0/1"),
    }  # fmt: skip
    (row,) = fairness(engine, account="CLIENT-A", symbol="XYZ")["rows"]
    assert (row["deviation"], row["mean"], row["largest"]) == ("1.000000", "0.333333", "0.666667")
    assert fairness(engine, first=TODAY + timedelta(days=1))["rows"] == []
    assert len(fairness(engine, first=TODAY, last=TODAY)["rows"]) == 6


def test_a_holding_that_was_set(new_world: Any, projected: Callable[[Any], Engine]) -> None:
    held = (Holding("CLIENT-A", "XYZ", Decimal(50), TODAY),)
    world = new_world(replace(SETUP, policy=replace(POLICY, sellable=True), holdings=held))
    world.submit(draft("S-1", (("CLIENT-A", "50"),), side="sell"))
    world.give(SetHolding, actor="ops", account="CLIENT-A", symbol="XYZ", quantity="20", reason="lent")
    engine = projected(world)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT account, symbol, actor, reason, statements FROM holding_changes"))
        assert [tuple(row) for row in rows] == [("CLIENT-A", "XYZ", "ops", "lent", '["S-1"]')]
