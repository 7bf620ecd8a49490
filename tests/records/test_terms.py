"""What a policy says and what registration froze, as rows; the same on every database."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine
from worlds import ACCOUNTS, POLICY, SETUP, World, draft

from fixgateway.core.model import DraftLine, InstrumentTerms, Method, Remainder
from fixgateway.core.outputs import Output
from fixgateway.journal.codec import encode_outputs
from fixgateway.journal.records import Kind, Record
from fixgateway.records import queries
from fixgateway.records.projector import Projector

TERMS = replace(
    POLICY,
    text='policy_id = "P"\nversion = "1"\n',
    effective_at="09:30:00",
    method=Method.CLIENT_PRIORITY,
    min_value=Decimal("1000.50"),
    tiers=(("client",), ("employee", "proprietary")),
    instruments=(InstrumentTerms("BOND", Decimal(1000), Decimal("100000.0")),
                 InstrumentTerms("XYZ", remainder=Remainder.SMALLEST_ACCOUNT)),
    allowed=(("method", ("price-time", "pro-rata")), ("basis", ("percent",))),
)  # fmt: skip
PEOPLE = tuple(replace(account, represented_on="2026-05-01") for account in ACCOUNTS)


class Kept(World):
    """A world that keeps the decision records of its inputs."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        super().__init__(replace(SETUP, policy=TERMS, accounts=PEOPLE, money=True))

    def give(self, kind: type, **fields: Any) -> tuple[Output, ...]:
        decided = super().give(kind, **fields)
        given = self.inputs[-1]
        payload = encode_outputs(given.seq, decided)
        self.records.append(Record(len(self.records) + 1, given.ts_ns, Kind.DECISION, "", payload))
        return decided


def test_policies_statements_lines_and_accounts(new_engine: Callable[[], Engine]) -> None:
    world = Kept()
    world.tick(local_time="10:00:00")
    weighed = tuple(
        DraftLine(n, a, "", weight=w) for n, (a, w) in enumerate((("CLIENT-A", "60"), ("PROP", "40")), 1)
    )
    world.submit(
        replace(draft(basis="percent", total="1000", reference_price="9.5", new_issue="yes"), lines=weighed)
    )
    queued = (DraftLine(1, "CLIENT-A", "10", limit="9.25", received_at="1970-01-01T00:16:39Z"),)
    world.submit(
        replace(
            draft("S-2", total="10", method="price-time", reference_price="1", justification="one order"),
            lines=queued,
        )
    )
    engine = new_engine()
    assert Projector(engine).apply(world.records) == len(world.records)

    (policy,) = queries.policies(engine)
    assert (policy["effective_at"], policy["text"], policy["min_value"]) == ("09:30:00", TERMS.text, "1000.5")
    assert json.loads(policy["tiers"]) == [["client"], ["employee", "proprietary"]]
    assert json.loads(policy["instruments"]) == [
        {"symbol": "BOND", "lot": "1000", "min_quantity": "100000"},
        {"symbol": "XYZ", "remainder": "smallest-account"},
    ]
    assert json.loads(policy["allowed"])["basis"] == ["percent"]
    assert {row["represented_on"] for row in queries.accounts(engine)} == {"2026-05-01"}

    first = queries.statement(engine, "S-1")
    assert (first["basis"], first["new_issue"], first["reference_price"]) == ("percent", True, "9.5")
    assert (first["remainder"], first["rounding"]) == ("smallest-account", "largest-remainder")
    assert [(x["account"], x["quantity"], x["weight"], x["tier"], x["residual"]) for x in first["lines"]] == [
        ("CLIENT-A", "600", "60", 0, True), ("PROP", "400", "40", 1, False),
    ]  # fmt: skip
    assert {x["min_quantity"] for x in first["lines"]} == {"106"}  # 1,000.50 at 9.50, rounded up
    second = queries.statement(engine, "S-2")
    assert second["justification"] == "one order"
    (line,) = second["lines"]
    assert (line["price_limit"], line["received_ns"], line["cap"]) == ("9.25", 999_000_000_000, None)
