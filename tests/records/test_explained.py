"""What the records say of how an allocation came about, and that nothing stored is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from worlds import SEED

from fixgateway.core.model import Rounding
from fixgateway.errors import UsageError
from fixgateway.journal.records import Record
from fixgateway.records import explained, queries
from fixgateway.records.projector import Projector


@pytest.fixture
def engine(day: list[Record], new_engine: Callable[[], Engine]) -> Engine:
    engine = new_engine()
    Projector(engine).apply(day)
    return engine


def change(engine: Engine, sql: str) -> None:
    """What somebody with the database's password could do."""
    with engine.begin() as connection:
        connection.execute(text(sql))


def test_an_allocation_is_explained_with_the_division_of_its_own_time(engine: Engine) -> None:
    (first,) = queries.allocations(engine, status="accepted")
    told = explained.explain(engine, first["alloc_id"])
    assert (told["what"], told["division"]["version"], told["quantity"]) == ("allocation", 1, "30000")
    assert [line["why"] for line in told["division"]["lines"]] == [
        "exact 15,000; 15,000 whole", "exact 6,000; 6,000 whole", "exact 3,000; 3,000 whole",
        "exact 6,000; 6,000 whole",
    ]  # fmt: skip
    assert told["recomputed"]["agrees"] is True
    assert [one["alloc_id"] for one in told["brokers"]] == [first["alloc_id"]]
    now = explained.explain(engine, "S-1")
    assert (now["what"], now["division"]["version"], now["division"]["filled"]) == ("statement", 2, "20000")
    assert now["recomputed"]["agrees"] is True
    assert [(one["trans_type"], one["quantity"]) for one in now["brokers"]] == [("1", "20000")]


def test_the_seed_is_hashed_again(engine: Engine) -> None:
    ties = explained.explain(engine, "S-1")["ties"]
    assert (ties["rule"], ties["seed"], ties["matches"]) == ("seeded", SEED, True)
    assert ties["seed_commitment"] == hashlib.sha256(bytes.fromhex(SEED)).hexdigest()
    assert sorted(ties["order"]) == ["CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP"]
    change(engine, f"UPDATE statements SET seed = '{'22' * 32}' WHERE statement_id = 'S-1'")
    swapped = explained.explain(engine, "S-1")["ties"]
    assert (swapped["matches"], "is NOT the commitment" in swapped["words"]) == (False, True)


def test_a_seed_not_revealed_stays_out(engine: Engine) -> None:
    told = explained.explain(engine, "S-3")
    ties = told["ties"]
    assert (told["division"], ties["seed"], ties["matches"], ties["order"]) == (None, "", None, [])
    assert SEED not in str(told)


def test_a_stored_quantity_that_does_not_follow_is_seen(engine: Engine) -> None:
    change(engine, "UPDATE division_lines SET quantity = '5000' WHERE account = 'PROP' AND quantity = '4000'")
    again = explained.explain(engine, "S-1")["recomputed"]
    assert again["agrees"] is False
    # The total changed with it, so every share comes out otherwise.
    assert "PROP" in again["text"]


def test_it_names_policy_and_memorandum(engine: Engine) -> None:
    told = explained.explain(engine, "S-1")
    assert told["policy"].keys() == {
        "policy_id", "version", "text_sha256", "approved_by", "effective_from", "effective_at",
    }  # fmt: skip
    assert told["policy"]["approved_by"] == "CCO"
    assert told["statement"]["rounding"] == Rounding.LARGEST_REMAINDER
    assert "seed" not in told["statement"]


def test_an_unknown_id(engine: Engine) -> None:
    with pytest.raises(UsageError, match="no allocation or statement 'X'"):
        explained.explain(engine, "X")
    with pytest.raises(UsageError, match="no allocation or statement 'X'"):
        explained.audit(engine, "X", {"A": Decimal(1)})


def test_cherry_picking_is_named_against_the_records(engine: Engine) -> None:
    proposed = {"PROP": Decimal(15_000), "CLIENT-A": Decimal(15_000)}
    found = explained.audit(engine, "S-1", proposed, Decimal(30_000))
    assert "PROP exceeds intent by 5,000" in [row["text"] for row in found["breaches"]]
    now = explained.audit(engine, "S-1", proposed)
    assert now["filled"] == "20000"
    right = {"CLIENT-A": 10_000, "CLIENT-B": 4_000, "CLIENT-C": 2_000, "PROP": 4_000}
    assert explained.audit(engine, "S-1", {a: Decimal(q) for a, q in right.items()})["breaches"] == []


def test_an_audit_waits_for_the_seed(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its seed is revealed when it is allocated"):
        explained.audit(engine, "S-3", {"A": Decimal(1)})
