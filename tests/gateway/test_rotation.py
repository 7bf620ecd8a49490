"""Turns and holdings in a running gateway: release rotation over FIX, passing a turn, a cut, a restart, the reports."""

from __future__ import annotations

import ast
import csv
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from live import ACCOUNTS as FOUR
from live import POLICY, Live, iso_today, order, report, shares, statement

ACCOUNTS = FOUR + "CLIENT-E,Client E,client,standard,large-cap,active\n"
RELEASE = POLICY.replace('"pro-rata"', '"release-rotation"').replace('"account"', '"rotation"').replace(
    "[deadlines]", "sellable = true\n\n[deadlines]"
)  # fmt: skip
SELLERS = (("CLIENT-A", 500), ("CLIENT-B", 300), ("CLIENT-C", 200))


def test_a_release_rotation_of_sells(make: Callable[..., Live]) -> None:
    live = make(policy=RELEASE, tables={"policy": {"holdings": "holdings.csv"}})
    rows = "".join(f"{account},XYZ,{quantity},{iso_today()}\n" for account, quantity in SELLERS)
    (live.directory / "holdings.csv").write_text("account,symbol,quantity,as_of\n" + rows)
    live.start()
    oms = live.oms()

    def sell(cl_ord_id: str, account: str, quantity: int) -> None:
        oms.send("D", order(cl_ord_id, "S-1", quantity, (1, account), side="2"))

    def filled(cl_ord_id: str, quantity: int, price: str) -> None:
        said = report(
            cl_ord_id, f"E-{cl_ord_id}", "F", "2", quantity=quantity, cum=quantity, last=quantity, price=price, side="2"
        )
        live.broker.send("8", said)
        oms.expect("8", ClOrdID=cl_ord_id, ExecType="F")

    oms.send("J", statement("S-0", (("CLIENT-A", 501), ("CLIENT-B", 300)), side="2"))
    assert "GW-634 line 1: CLIENT-A may sell 500 XYZ, not 501" in oms.expect("P", AllocID="S-0").get(58)
    oms.send("J", statement("S-1", SELLERS, side="2"))
    registered = oms.expect("P", AllocID="S-1")
    assert (registered.get(87), registered.get(58)[-36:]) == ("0", "; turns CLIENT-A, CLIENT-B, CLIENT-C")

    sell("N-1", "CLIENT-B", 300)
    refused = oms.expect("8", ClOrdID="N-1")
    assert (refused.get(150), refused.get(103)) == ("8", "99")
    assert refused.get(58).startswith("GW-632 turn 1 of statement S-1 is CLIENT-A's: 500 not released yet")
    sell("C-A", "CLIENT-A", 500)
    live.broker.expect("D", ClOrdID="C-A")
    filled("C-A", 500, "10")

    live.kill()  # turns, releases and holdings are the journal's
    live.restart()
    assert live.command("statement", "pass", "S-1", "CLIENT-B", "--reason", "client asked to wait")["done"]
    cut = live.command("holding", "set", "CLIENT-C", "XYZ", "150", "--reason", "lent out")
    assert cut["text"] == "CLIENT-C may sell 150 XYZ; changed in open statements S-1"
    sell("N-2", "CLIENT-C", 200)
    assert "exceeds the 150 left of CLIENT-C" in oms.expect("8", ClOrdID="N-2").get(58)
    sell("C-C", "CLIENT-C", 150)
    live.broker.expect("D", ClOrdID="C-C")
    filled("C-C", 150, "12")
    sent = live.broker.expect("J")
    entries = [(x.get(79), x.get(80), x.get(153)) for x in sent.group(78, (79, 80, 153))]
    assert entries == [("CLIENT-A", "500", "10.0000"), ("CLIENT-C", "150", "12.0000")]
    assert (sent.get(53), sent.get(6)) == ("650", "10.4615")  # 6,800 / 650

    live.wait_projected()
    found = live.command("rotation", "--policy", "PRO-RATA")
    assert [row["account"] for row in found["queue"]] == ["CLIENT-B", "CLIENT-A", "CLIENT-C"]
    told = [(t["account"], t["outcome"], t["queue_position"], t["reason"]) for t in found["turns"]]
    assert told[::-1] == [
        ("CLIENT-B", "passed", 2, "client asked to wait"), ("CLIENT-A", "served", 2, ""),
        ("CLIENT-C", "served", 3, ""),
    ]  # fmt: skip
    exported = list(csv.DictReader(io.StringIO(live.cli("rotation", "--csv", "-c", str(live.config)).stdout)))
    assert [row["account"] for row in exported] == ["CLIENT-B", "CLIENT-A", "CLIENT-C"]
    rows_ = live.command("fairness", "--symbol", "XYZ", "--from", iso_today())["rows"]
    assert [(row["account"], row["lots"]) for row in rows_] == [
        ("CLIENT-A", "0/1"), ("CLIENT-B", "0/1"), ("CLIENT-C", "0/1")
    ]  # fmt: skip
    live.end_well()
    done = live.cli("replay", str(live.data_dir))
    assert done.returncode == 0, done.stdout + done.stderr


def test_anyone_can_check_the_revealed_seed_with_the_documented_recipe(make: Callable[..., Live]) -> None:
    """The commitment is the P's, the seed what statement show reveals; the recipe of docs/compliance.md says who came
    first. Five equal accounts share seven of ten: two get a second unit, the first two of the order."""
    live = make(policy=POLICY.replace('"account"', '"seeded"'), accounts=ACCOUNTS).start()
    oms = live.oms()
    names = ["CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "CLIENT-E"]
    oms.send("J", statement("S-1", [(name, 2) for name in names]))
    commitment = oms.expect("P", AllocID="S-1").get(58).removeprefix("registered; seed commitment ")
    live.wait_projected()
    assert live.command("statement", "show", "S-1")["seed"] is None
    oms.send("D", order("C-1", "S-1", 10))
    live.broker.expect("D", ClOrdID="C-1")
    live.broker.send("8", report("C-1", "E-1", "F", "1", quantity=10, cum=7, leaves=3, last=7))
    live.broker.send("8", report("C-1", "E-2", "4", "4", quantity=10, cum=7))
    given = shares(live.broker.expect("J"))
    live.wait_projected()
    seed = live.command("statement", "show", "S-1")["seed"]

    page = (Path(__file__).parents[2] / "docs" / "compliance.md").read_text()
    (recipe,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "hmac" in block]
    recipe = recipe.replace('"00" * 32', repr(seed)).replace('["CLIENT-A", "CLIENT-B", "CLIENT-C"]', repr(names))
    done = subprocess.run([sys.executable, "-c", recipe], capture_output=True, text=True, check=True)
    said, first = done.stdout.splitlines()
    assert said == commitment
    assert [name for name in ast.literal_eval(first) if given[name] == "2"] == ast.literal_eval(first)[:2]
    assert sorted(given.values()) == ["1", "1", "1", "2", "2"]
    live.end_well()
