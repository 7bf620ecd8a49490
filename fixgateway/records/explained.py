"""How an allocation came about: everything stored with it, put together so that a person can follow it.

Nothing here is believed because it is stored: the seed is hashed again and compared with the commitment of the
registration, and the division is done again from the registered lines by the core's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, Engine, or_

from fixgateway.core import audit as core_audit
from fixgateway.core.apportion import seed_commitment, tie_rank
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import EXACT, ZERO, Line, Method, Remainder, Rounding, Side, Ties, exact_sum, plain_text
from fixgateway.core.outputs import TraceLine
from fixgateway.core.words import TIES, number, sentence
from fixgateway.errors import UsageError
from fixgateway.records.queries import (
    _TABLES,
    Record,
    _add_lines,
    _by_statement,
    _equal,
    _find,
    _unknown,
    allocation,
)

_WAIVED = "the minimum was waived"
_NO_LINE = frozenset(("overfill", "forced"))
"""Rules of accounts that stand in a division and not in the statement."""
_POLICY = ("policy_id", "version", "text_sha256", "approved_by", "effective_from", "effective_at")


def explain(engine: Engine, wanted: str) -> Record:
    """Everything about how an allocation, or a statement's newest division, came about.

    Args:
        wanted: an AllocID, else a statement id.

    Returns:
        For an allocation what :func:`queries.allocation` gives, for a statement its head; and ``statement``,
        ``policy``, ``ties`` (rule, seed, commitment, whether they match, order of the accounts), ``division`` with a
        sentence (``why``) for each line, ``recomputed``, ``brokers`` (each one's column: exact, difference, money)
        and, for a statement that was booked in parts, ``bookings``.

    Raises:
        UsageError: neither an allocation nor a statement.
    """
    with engine.connect() as connection:
        known = _find(connection, "allocations", *_equal(_TABLES["allocations"], alloc_id=wanted), limit=1)
    if known:
        told = {"id": wanted, "what": "allocation", **allocation(engine, wanted)}
        with engine.connect() as connection:
            head = _statement(connection, told["statement_id"], told["journal_seq"])
            return told | _explained(connection, head, told["division"], told["journal_seq"])
    with engine.connect() as connection:
        head = _statement(connection, wanted)
        divisions = _divisions(connection, head)
        found = _explained(connection, head, divisions[-1] if divisions else None, None)
        bare = {name: value for name, value in head.items() if name != "lines"}
        for division in divisions[:-1]:
            _say_why(head, division)
        more = {"bookings": divisions} if len(divisions) > 1 else {}
        return {"id": wanted, "what": "statement", **bare, **found, **more}


def audit(engine: Engine, statement_id: str, proposed: Mapping[str, Decimal], filled: Decimal | None = None) -> Record:
    """Compare a proposed allocation with what the registered statement gives.

    Args:
        proposed: quantity by account. filled: None for what the records say was filled.

    Returns:
        ``{"statement_id", "filled", "breaches"}``, each breach with account, rule, by and text.

    Raises:
        UsageError: no such statement, or its division cannot be computed yet.
    """
    with engine.connect() as connection:
        head = _statement(connection, statement_id)
        divisions = _divisions(connection, head)
    if filled is None:
        filled = Decimal(head["filled"] or 0)
    if _seeded(head) and not head["seed"]:
        raise UsageError(
            f"statement {statement_id}: its seed is revealed when it is allocated (audit then, or audit its file)"
        )
    lines = lines_of(head, divisions[-1]["lines"] if divisions else ())
    waived = bool(divisions) and _WAIVED in divisions[-1]["notes"]
    terms = replace(terms_of(head), ignore_minimum=waived)
    found = core_audit.breaches(lines, filled, terms, proposed)
    rows = [{"account": x.account, "rule": x.rule, "by": plain_text(x.by), "text": x.text} for x in found]
    return {"statement_id": statement_id, "filled": plain_text(filled), "breaches": rows}


# ---------------------------------------------------------------- what is stored


def _statement(connection: Connection, statement_id: str, upto: int | None = None) -> Record:
    """The newest statement of an id, or the newest registered before a record, with its lines."""
    table = _TABLES["statements"]
    conditions = _by_statement("statements", statement_id)
    if upto is not None:
        conditions.append(table.c.journal_seq <= upto)
    found = _find(connection, "statements", *conditions, limit=1)
    if not found:
        raise UsageError(_unknown("allocation or statement", statement_id, connection))
    _add_lines(connection, "statement_lines", found)
    return found[0]


def _divisions(connection: Connection, head: Record) -> list[Record]:
    """The newest division of each booking of a statement, in the order of the bookings, with lines."""
    after = _TABLES["divisions"].c.journal_seq >= head["journal_seq"]
    found = _find(connection, "divisions", *_by_statement("divisions", head["statement_id"]), after)
    newest: dict[int, Record] = {}
    for row in found:
        newest.setdefault(row["number"], row)
    rows = [newest[n] for n in sorted(newest)]
    _add_lines(connection, "division_lines", rows)
    return rows


def _policy(connection: Connection, head: Record) -> Record:
    table = _TABLES["policies"]
    wanted = _equal(table, policy_id=head["policy_id"], version=head["policy_version"])
    rows = _find(connection, "policies", *wanted, table.c.journal_seq <= head["journal_seq"], limit=1)
    return {name: rows[0][name] for name in _POLICY} if rows else {}


def _standing(connection: Connection, division: Record, upto: int | None) -> list[Record]:
    """What each broker was last told of a division's fills, with lines; withdrawn ones left out."""
    table = _TABLES["allocations"]
    conditions = [*_by_statement("allocations", division["statement_id"])]
    if division["number"]:
        conditions.append(table.c.booking == division["number"])
    if upto is not None:
        conditions.append(or_(table.c.journal_seq <= upto, table.c.journal_seq == division["journal_seq"]))
    newest: dict[tuple[str, int], Record] = {}
    for row in _find(connection, "allocations", *conditions):
        newest.setdefault((row["broker"], row["booking"]), row)
    rows = [row for row in newest.values() if row["trans_type"] != "2"][::-1]
    _add_lines(connection, "allocation_lines", rows)
    return rows


# ---------------------------------------------------------------- what is made of it


def _explained(connection: Connection, head: Record, division: Record | None, upto: int | None) -> Record:
    told: Record = {
        "statement": {name: value for name, value in head.items() if name not in ("lines", "seed")},
        "policy": _policy(connection, head),
        "ties": _ties(head),
        "division": division,
        "recomputed": None,
        "brokers": [],
    }
    if division is not None:
        _say_why(head, division)
        told["recomputed"] = _recomputed(head, division)
        told["brokers"] = _columns(division, _standing(connection, division, upto))
    return told


def _say_why(head: Record, division: Record) -> None:
    """A sentence for each line of a division."""
    lot = Decimal(head["lot"])
    for line in division["lines"]:
        line["why"] = sentence(_trace(line), lot)


def _seeded(head: Record) -> bool:
    return bool(head["ties"] == Ties.SEEDED or head["rounding"] == Rounding.CUMULATIVE)


def _ties(head: Record) -> Record:
    """The tie rule, the order it gives, and whether the revealed seed is the one that was committed to."""
    told = {"rule": head["ties"], "seed": head["seed"] or "", "seed_commitment": head["seed_commitment"]}
    if not _seeded(head):
        return {**told, "words": TIES.get(head["ties"], head["ties"]), "matches": None, "order": _order(head)}
    if not head["seed"]:
        return {**told, "words": "the seed is revealed when the statement is allocated", "matches": None, "order": []}
    matches = seed_commitment(head["seed"]) == head["seed_commitment"]
    words = "the SHA-256 of the seed is the commitment of the registration"
    if not matches:
        words = "the SHA-256 of the seed is NOT the commitment of the registration"
    return {**told, "words": words, "matches": matches, "order": _order(head)}


def _order(head: Record) -> list[str]:
    """The accounts in the tie order, derived again."""
    lines = lines_of(head)
    rank = tie_rank(lines, Ties(head["ties"]), head["seed"] or "", head["statement_id"])
    return [line.account for _, line in sorted(zip(rank, lines, strict=True), key=lambda pair: pair[0])]


def lines_of(head: Record, divided: Sequence[Record] = ()) -> list[Line]:
    """A statement's lines as the core has them; caps as the division had them, where it is given."""
    caps = {line["account"]: line["cap"] for line in divided}
    return [
        Line(
            account=row["account"],
            quantity=Decimal(row["quantity"]),
            min_quantity=Decimal(row["min_quantity"]),
            weight=Decimal(row["weight"]),
            limit=_maybe(row["price_limit"]),
            received_ns=row["received_ns"],
            tier=row["tier"],
            turn=row["turn"],
            cap=_maybe(caps.get(row["account"], row["cap"])),
            residual=row["residual"],
        )
        for row in head["lines"]
    ]


def terms_of(head: Record) -> Terms:
    """What decides a statement's shares besides its lines."""
    return Terms(
        statement_id=head["statement_id"],
        lot=Decimal(head["lot"]),
        min_quantity=Decimal(head["min_quantity"]),
        ties=Ties(head["ties"]),
        remainder=Remainder(head["remainder"]),
        seed=head["seed"] or "",
        method=Method(head["method"]),
        rounding=Rounding(head["rounding"]),
        side=Side(head["side"]),
        proportional=bool(head["justification"]),
    )


def _trace(row: Record) -> TraceLine:
    values: dict[str, Any] = {name: row[name] for name in ("account", "exact", "rule", "place", "credit")}
    values |= {name: Decimal(row[name]) for name in ("intent", "floor", "award", "quantity", "before")}
    return TraceLine(**values, cap=_maybe(row["cap"]))


def _maybe(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# ---------------------------------------------------------------- done again


def _recomputed(head: Record, division: Record) -> Record:
    """The division done again from the registered lines: ``agrees`` is None where that is no plain division."""
    why = _not_plain(head, division)
    if why:
        return {"agrees": None, "text": f"not done again: {why}"}
    rows = [row for row in division["lines"] if row["rule"] not in _NO_LINE]
    lines = lines_of(head, division["lines"])
    credits = {row["account"]: Fraction(row["credit"]) for row in rows if row["credit"]}
    waived = _WAIVED in division["notes"]
    total = exact_sum(_total(row) for row in division["lines"])
    total = EXACT.add(total, Decimal(division["unallocated"]))
    again = allocate(lines, total, replace(terms_of(head), credits=credits, ignore_minimum=waived))
    differ = [
        line.account
        for row, line in zip(rows, again.lines, strict=True)
        if (row["exact"], _total(row), row["rule"]) != (line.exact, line.quantity, line.rule)
    ]
    if differ:
        named = ", ".join(differ[:10]) + (f" and {len(differ) - 10} more" if len(differ) > 10 else "")
        return {"agrees": False, "text": f"done again from the registered lines it differs for {named}"}
    text = f"done again from the registered lines for {number(total)}: every exact share, quantity and rule is the same"
    return {"agrees": True, "text": text}


def _total(row: Record) -> Decimal:
    return EXACT.add(Decimal(row["before"]), Decimal(row["quantity"]))


def _not_plain(head: Record, division: Record) -> str:
    """Why a division cannot be done again from the statement alone, "" when it can."""
    rows = {row["account"]: row for row in division["lines"]}
    if head["method"] == Method.RELEASE_ROTATION:
        return "every account has what its own orders filled"
    if any(row["rule"] == "exception" for row in rows.values()):
        return "an approved exception says otherwise"
    if any(row["rule"] == "forced" for row in rows.values()):
        return "shares were moved by what a broker accepted and keeps"
    if any(rows[line["account"]]["intent"] != line["quantity"] for line in head["lines"] if line["account"] in rows):
        return "a stock split restated the statement"
    if _seeded(head) and not head["seed"]:
        return "the seed is not revealed"
    return ""


# ---------------------------------------------------------------- brokers


def _columns(division: Record, standing: Sequence[Record]) -> list[Record]:
    """What each broker was told, beside the exact part of each account's share that its fills are."""
    shares = {row["account"]: Fraction(Decimal(row["quantity"])) for row in division["lines"]}
    total = sum(shares.values())
    told = []
    for row in standing:
        quantity = Fraction(Decimal(row["quantity"]))
        exact = {account: quantity * share / total if total else Fraction(0) for account, share in shares.items()}
        merged: dict[str, Decimal] = {}
        for line in row["lines"]:
            merged[line["account"]] = EXACT.add(merged.get(line["account"], ZERO), Decimal(line["quantity"]))
        for line in row["lines"]:
            part = exact.get(line["account"], Fraction(0))
            line["exact"] = f"{part.numerator}/{part.denominator}"
            off = Fraction(merged[line["account"]]) - part
            line["difference"] = f"{off.numerator}/{off.denominator}"
        told.append(row)
    return told
