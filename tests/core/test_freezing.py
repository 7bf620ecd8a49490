"""What registration freezes: quantities from weights, minimums from values, tiers, receipt times, eligibility."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import ACCOUNTS, POLICY, SEED, SETUP, TODAY, World, draft, one, some

from fixgateway.core import freezing
from fixgateway.core.apportion import tie_key
from fixgateway.core.inputs import Configure
from fixgateway.core.model import (
    Account,
    Basis,
    Draft,
    DraftLine,
    InstrumentTerms,
    Line,
    Method,
    Policy,
    Remainder,
    Rounding,
    Statement,
    Ties,
)
from fixgateway.core.outputs import ForwardToBroker, SendReport, StatementRefused, StatementRegistered

EVERYTHING = (
    ("method", tuple(Method)),
    ("basis", tuple(Basis)),
    ("ties", tuple(Ties)),
    ("lot", ("100",)),
)
OPEN = replace(POLICY, allowed=EVERYTHING, tiers=(("client",), ("employee", "proprietary")))
"""A policy under which a statement may ask for anything."""
STAFF = Account("STAFF", "employee", "employee", "standard", "S", "active")


def world(policy: Policy = OPEN, **more: Any) -> World:
    return World(replace(SETUP, policy=policy, accounts=(*ACCOUNTS, STAFF), **more))


def weighed(weights: dict[str, str], total: str, basis: str = "percent", **more: Any) -> Draft:
    """A draft whose lines say weights."""
    rows = tuple(DraftLine(n, a, "", weight=w) for n, (a, w) in enumerate(weights.items(), 1))
    return replace(draft(total=total, basis=basis, **more), lines=rows)


def registered(written: Draft, on: World | None = None, **more: Any) -> Statement:
    statement: Statement = one((on or world()).submit(written, **more), StatementRegistered).statement
    return statement


def refused(written: Draft, on: World | None = None, **more: Any) -> list[tuple[str, int, str]]:
    problems = one((on or world()).submit(written, **more), StatementRefused).problems
    return [(x.reason, x.row, x.field) for x in problems]


def quantities(statement: Statement) -> dict[str, str]:
    return {line.account: str(line.quantity) for line in statement.lines}


# ---------------------------------------------------------------- weights


def test_the_worked_example_in_percent() -> None:
    weights = {"CLIENT-A": "50", "CLIENT-B": "20", "CLIENT-C": "10", "PROP": "20"}
    statement = registered(weighed(weights, "50000"))
    assert quantities(statement) == {
        "CLIENT-A": "25000", "CLIENT-B": "10000", "CLIENT-C": "5000", "PROP": "10000",
    }  # fmt: skip
    assert [line.weight for line in statement.lines] == [50, 20, 10, 20]
    assert (statement.basis, statement.total) == (Basis.PERCENT, 50000)
    assert all(line.weight == 0 for line in registered(draft()).lines)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [("account", "CLIENT-A"), ("smallest", "CLIENT-A"), ("largest", "CLIENT-A"), ("seeded", "")],
)
def test_equal_shares_of_what_does_not_divide(ties: str, expected: str) -> None:
    """100 among three: 34, 33, 33; who gets the one left over is the tie rule's."""
    accounts = ("CLIENT-C", "CLIENT-A", "CLIENT-B")
    statement = registered(weighed(dict.fromkeys(accounts, ""), "100", "equal", ties=ties))
    by_seed = min(accounts, key=lambda name: tie_key(bytes.fromhex(SEED), "S-1", name))
    lucky = [line.account for line in statement.lines if line.quantity == 34]
    assert lucky == [expected or by_seed]
    assert sorted(line.quantity for line in statement.lines) == [33, 33, 34]


def test_smallest_and_largest_mean_the_weight() -> None:
    """12 by 1 : 1 : 3 are 2.4, 2.4, 7.2, a tie between equals; 6 by 1 : 3 are 1.5, 4.5, one between unequals."""
    cash = {"X2": "1", "X1": "1", "CLIENT-A": "3"}
    assert quantities(registered(weighed(cash, "12", "cash", ties="largest"))) == {
        "X2": "2", "X1": "3", "CLIENT-A": "7",
    }  # fmt: skip
    tied = {"X1": "500.5", "X2": "1501.5"}
    assert quantities(registered(weighed(tied, "6", "cash", ties="smallest"))) == {"X1": "2", "X2": "4"}
    assert quantities(registered(weighed(tied, "6", "cash", ties="largest"))) == {"X1": "1", "X2": "5"}


def test_weights_give_whole_lots() -> None:
    statement = registered(weighed({"X1": "33.3", "X2": "66.7"}, "1000", lot="100"))
    assert quantities(statement) == {"X1": "300", "X2": "700"}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (weighed({"X1": "50", "X2": "49.999"}, "100"), ("GW-621", 0, "weight")),
        (weighed({"X1": "50", "X2": "50.001"}, "100"), ("GW-621", 0, "weight")),
        (weighed({"X1": "50", "X2": ""}, "100"), ("GW-620", 2, "weight")),
        (weighed({"X1": "50", "X2": "-50"}, "100"), ("GW-620", 2, "weight")),
        (weighed({"X1": "5e1", "X2": "50"}, "100", "cash"), ("GW-620", 1, "weight")),
        (weighed({"X1": "0", "X2": "50"}, "100", "cash"), ("GW-620", 1, "weight")),
        (weighed({"X1": "1", "X2": ""}, "100", "equal"), ("GW-620", 1, "weight")),
        (weighed({"X1": "", "X2": ""}, "", "equal"), ("GW-601", 0, "total")),
        (weighed({"X1": "", "X2": ""}, "250", "equal", lot="100"), ("GW-622", 0, "total")),
        (weighed({"X1": "", "X2": ""}, "0.5", "equal"), ("GW-622", 0, "total")),
        (weighed({"X1": "0.1", "X2": "99.9"}, "100"), ("GW-623", 1, "weight")),
        (draft(basis="equal"), ("GW-620", 1, "quantity")),
        (draft(basis="nav"), ("GW-608", 0, "basis")),
        (weighed({"X1": "100"}, "100", ""), ("GW-620", 1, "weight")),
        (weighed({"X1": "100"}, "100", ""), ("GW-607", 1, "quantity")),
    ],
)
def test_weights_that_cannot_be_quantities(written: Draft, problem: tuple[str, int, str]) -> None:
    assert problem in refused(written)


def test_a_zero_quantity_beside_a_weight_is_none() -> None:
    """FIX OMSs that must fill AllocQty(80) send 0."""
    written = weighed({"X1": "50", "X2": "50"}, "100")
    zeros = tuple(replace(line, quantity="0") for line in written.lines)
    assert quantities(registered(replace(written, lines=zeros))) == {"X1": "50", "X2": "50"}


def test_a_basis_only_where_the_policy_allows_it() -> None:
    assert refused(weighed({"X1": "100"}, "100"), world(POLICY)) == [("GW-608", 0, "basis")]
    percents = replace(POLICY, basis=Basis.PERCENT)
    assert quantities(registered(weighed({"X1": "100"}, "7", ""), world(percents))) == {"X1": "7"}


def test_the_same_weights_again_are_the_same_statement_whatever_the_seed() -> None:
    on = world()
    written = weighed(dict.fromkeys(("CLIENT-A", "CLIENT-B", "CLIENT-C", "X1", "X2"), ""), "103", "equal")
    first = registered(written, on)
    for number in range(8):  # other seeds give other quantities
        assert not some(on.submit(written, seed=f"{number:02d}" * 32), StatementRefused)
    assert on.engine.state is not None
    assert on.engine.state.statements["S-1"].statement == first
    assert refused(replace(written, total="104"), on) == [("GW-603", 0, "statement_id")]


WEIGHTS = st.lists(st.decimals(Decimal("0.001"), 10**6, places=3), min_size=1, max_size=30)


@given(
    WEIGHTS, st.integers(1, 10**6), st.sampled_from(["1", "100", "0.01"]), st.sampled_from(list(Ties)), st.data()
)
def test_weights_are_divided_by_largest_remainder(
    weights: list[Decimal], lots: int, lot: str, ties: Ties, data: st.DataObject
) -> None:
    """Conserved, in whole lots, within a lot of exact, never against the weights' order, blind to the list's."""
    terms = replace(freezing.agreed(POLICY, draft()), lot=Decimal(lot), ties=ties)
    lines = [Line(f"A{n}", Decimal(0), weight=weight, turn=n + 1) for n, weight in enumerate(weights)]
    total = lots * Decimal(lot)
    found = freezing.weighed(lines, total, terms, SEED)
    assert sum(line.quantity for line in found) == total
    whole = sum(map(Fraction, weights))
    for line in found:
        units = Fraction(line.quantity) / Fraction(lot)
        assert units.denominator == 1
        assert abs(units - lots * Fraction(line.weight) / whole) < 1
    by_weight = sorted(found, key=lambda line: line.weight)
    for low, high in pairwise(by_weight):
        assert low.weight == high.weight or low.quantity <= high.quantity
    shuffled = data.draw(st.permutations(lines))
    assert set(freezing.weighed(shuffled, total, terms, SEED)) == set(found)


def test_the_quota_method_is_not_asked_for_more_than_it_can_count() -> None:
    quota = replace(OPEN, rounding=Rounding.QUOTA, ties=Ties.ACCOUNT)
    assert registered(draft(lines=(("X1", "1"), ("X2", "9999998"))), world(quota)).rounding is Rounding.QUOTA
    assert refused(draft(lines=(("X2", "9999999"), ("X1", "1"))), world(quota)) == [("GW-629", 2, "quantity")]
    assert registered(draft(lines=(("X1", "1"), ("X2", "9999999"))), world())


# ---------------------------------------------------------------- instruments and minimums

BOND = InstrumentTerms("BOND", Decimal(1000), Decimal(100000), Remainder.SMALLEST_ACCOUNT)


def test_an_instruments_own_terms() -> None:
    on = world(replace(POLICY, instruments=(BOND, InstrumentTerms("US1", lot=Decimal(5)))))
    statement = registered(draft(symbol="BOND"), on)
    assert (statement.lot, statement.min_quantity, statement.remainder) == (1000, 100000, "smallest-account")
    plain = registered(draft("S-2"), on)
    assert (plain.lot, plain.min_quantity, plain.remainder) == (1, 0, "largest-shortfall")
    assert registered(draft("S-3", symbol="[N/A]", security_id="US1"), on).lot == 5
    assert registered(draft("S-4", symbol="BOND", lot="1000.0"), on).lot == 1000
    # the policy's own lot is not the bond's
    assert refused(draft("S-5", symbol="BOND", lot="1"), on) == [("GW-608", 0, "lot")]


@pytest.mark.parametrize(
    ("value", "price", "lot", "quantity"),
    [("1000", "10", "1", "100"), ("1000", "9.99", "1", "101"), ("1000", "10.01", "1", "100"),
     ("1000", "3", "100", "400"), ("0.01", "1000000", "1", "1"), ("1000", "10", "0.5", "100.0")],
)  # fmt: skip
def test_a_minimum_value_is_the_least_quantity_worth_it(value: str, price: str, lot: str, quantity: str) -> None:
    found = freezing.quantity_of(Decimal(value), Decimal(price), Decimal(lot))
    assert found == Decimal(quantity)
    assert found * Decimal(price) >= Decimal(value) > (found - Decimal(lot)) * Decimal(price)


def test_a_minimum_value_is_frozen_on_every_line() -> None:
    on = world(replace(POLICY, min_value=Decimal(1000), min_quantity=Decimal(5)))
    assert refused(draft(), on) == [("GW-624", 0, "reference_price")]
    assert ("GW-607", 0, "reference_price") in refused(draft(reference_price="-3"), on)
    statement = registered(draft(reference_price="9.99"), on)
    assert {line.min_quantity for line in statement.lines} == {101}
    assert statement.reference_price == Decimal("9.99")
    dear = registered(draft("S-2", reference_price="5000"), on)
    assert {line.min_quantity for line in dear.lines} == {5}  # the policy's quantity is more
    assert {line.min_quantity for line in registered(draft("S-3"), world()).lines} == {0}


# ---------------------------------------------------------------- classes

MIXED = (("PROP", "10"), ("CLIENT-A", "10"), ("STAFF", "10"))


def test_the_tier_is_frozen_from_the_class() -> None:
    on = world(replace(OPEN, method=Method.CLIENT_PRIORITY))
    statement = registered(draft(lines=MIXED), on)
    assert {line.account: line.tier for line in statement.lines} == {"CLIENT-A": 0, "STAFF": 1, "PROP": 1}
    # the account file changes its mind: the statement does not
    turned = tuple(replace(x, class_="client") for x in (*ACCOUNTS, STAFF))
    on.give(Configure, setup=replace(SETUP, policy=replace(OPEN, method=Method.CLIENT_PRIORITY), accounts=turned))
    assert on.engine.state is not None
    assert on.engine.state.statements["S-1"].statement == statement
    # and the same statement sent again is still the same
    assert not some(on.submit(draft(lines=MIXED)), StatementRefused)
    assert {line.tier for line in registered(draft("S-2", lines=MIXED), on).lines} == {0}


def test_no_tier_but_for_client_priority() -> None:
    assert {line.tier for line in registered(draft(lines=MIXED)).lines} == {0}


def test_proportional_beside_clients_needs_a_justification() -> None:
    first = replace(OPEN, method=Method.CLIENT_PRIORITY)
    alike = draft(lines=MIXED, method="pro-rata")
    assert refused(alike, world(first)) == [("GW-627", 0, "justification")]
    assert refused(replace(alike, justification=" \n"), world(first)) == [("GW-627", 0, "justification")]
    reason = "the broker quotes one price for 1,000 and more"
    assert registered(replace(alike, justification=reason), world(first)).justification == reason
    # clients among themselves, or own accounts among themselves, need none
    assert registered(draft(lines=(("CLIENT-A", "1"), ("X1", "1")), method="pro-rata"), world(first))
    assert registered(draft(lines=(("PROP", "1"), ("STAFF", "1")), method="pro-rata"), world(first))
    # a justified client-priority statement is divided in proportion: only where the policy permits that
    strict = replace(first, allowed=())
    assert refused(draft(lines=MIXED, justification=reason), world(strict)) == [("GW-608", 0, "justification")]
    assert registered(draft(lines=MIXED, justification=reason), world(first))
    assert refused(draft(justification="x\x00"), world(first)) == [("GW-602", 0, "justification")]


def test_own_accounts_never_bear_residual_cash() -> None:
    statement = registered(draft(lines=MIXED), world(money=True))
    assert {line.account: line.residual for line in statement.lines} == {
        "CLIENT-A": True, "STAFF": False, "PROP": False,
    }  # fmt: skip
    # journals from before amounts of money were computed are decided again as they were
    assert {line.residual for line in registered(draft(lines=MIXED)).lines} == {True}


# ---------------------------------------------------------------- price-time


def queued(*rows: tuple[str, str, str, str], **more: Any) -> Draft:
    """A price-time draft of (account, quantity, limit, received_at)."""
    lines = tuple(DraftLine(n, a, q, limit=p, received_at=at) for n, (a, q, p, at) in enumerate(rows, 1))
    fields = {"total": str(sum(int(row[1]) for row in rows)), "method": "price-time", **more}
    return replace(draft(**fields), lines=lines)


# The test's clock begins at 1970-01-01T00:16:40Z.
EARLY, EARLIER = "1970-01-01T00:16:39.5Z", "1970-01-01T02:10:00.000000001+02:00"


def test_limit_and_receipt_time_are_frozen() -> None:
    statement = registered(queued(("X1", "10", "99.5", EARLY), ("X2", "10", "99", EARLIER)))
    assert [(x.limit, x.received_ns) for x in statement.lines] == [
        (Decimal("99.5"), 999_500_000_000), (Decimal(99), 600_000_000_001),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("X1", "10", "", EARLY), ("GW-625", 1, "limit")),
        (("X1", "10", "-1", EARLY), ("GW-625", 1, "limit")),
        (("X1", "10", "99", "1970-01-01T00:17:00Z"), ("GW-626", 1, "received_at")),  # not yet
        (("X1", "10", "99", "1970-01-01T00:16:00"), ("GW-602", 1, "received_at")),  # whose time?
        (("X1", "10", "99", "yesterday"), ("GW-602", 1, "received_at")),
        (("X1", "10", "99", "1970-02-30T00:16:00Z"), ("GW-602", 1, "received_at")),
    ],
)
def test_a_place_in_the_queue_must_be_clear(row: tuple[str, str, str, str], problem: tuple[str, int, str]) -> None:
    assert problem in refused(queued(row))


def test_other_methods_read_neither_limit_nor_time() -> None:
    written = queued(("X1", "10", "99", EARLY), method="pro-rata")
    assert refused(written) == [("GW-625", 1, "limit"), ("GW-625", 1, "received_at")]


@pytest.mark.parametrize("door", ["cli", "drop"])
def test_nobody_types_in_a_receipt_time(door: str) -> None:
    typed = queued(("X1", "10", "99", EARLY), oms="OMS1")
    assert refused(typed, session="", door=door) == [("GW-626", 1, "received_at")]
    assert registered(typed, session="", door="http").lines[0].received_ns == 999_500_000_000
    untyped = queued(("X1", "10", "99", ""), oms="OMS1")
    on = world()
    assert registered(untyped, on, session="", door=door).lines[0].received_ns == on.ts_ns


def test_a_line_keeps_its_place_until_it_asks_for_more_or_another_price() -> None:
    on = world()
    first = registered(queued(("X1", "10", "99", ""), ("X2", "10", "99", ""), ("CLIENT-A", "10", "99", "")), on)
    then = first.lines[0].received_ns
    # the same message again is the same statement
    assert not some(on.submit(queued(*((a, "10", "99", "") for a in ("X1", "X2", "CLIENT-A")))), StatementRefused)
    fresh = queued(
        ("X1", "9", "99", ""), ("X2", "11", "99", ""), ("CLIENT-A", "10", "99.01", ""), ("PROP", "1", "99", "")
    )
    second = registered(fresh, on, alloc_trans_type="1", ref_statement_id="S-1")
    now = on.ts_ns
    assert [line.received_ns for line in second.lines] == [then, now, now, now]


# ---------------------------------------------------------------- new issues

PERSONS = (
    replace(STAFF, account="OK", class_="client", represented_on="2026-01-15"),
    replace(STAFF, account="OLD", class_="client", represented_on="2025-11-22"),
    replace(STAFF, account="JUST", class_="client", represented_on="2025-11-23"),
    replace(STAFF, account="LATER", class_="client", represented_on="2026-11-24"),
    replace(STAFF, account="NEVER", class_="client"),
    replace(STAFF, account="NO", class_="client", represented_on="2026-01-15", new_issue_restricted=True),
)


@pytest.mark.parametrize(("account", "words"), [
    ("OK", ""), ("JUST", ""), ("OLD", "older than 12 months"), ("LATER", "after the trade date"),
    ("NEVER", "no represented_on"), ("NO", "restricted"),
])  # fmt: skip
def test_a_new_issue_goes_to_nobody_who_may_not_have_it(account: str, words: str) -> None:
    assert TODAY.isoformat() == "2026-11-23"
    on = World(replace(SETUP, accounts=(*ACCOUNTS, *PERSONS)))
    written = draft(lines=(("OK", "10"), (account, "10")) if account != "OK" else (("OK", "10"),), new_issue="yes")
    if not words:
        assert registered(written, on).new_issue
        return
    (problem,) = one(on.submit(written), StatementRefused).problems
    assert (problem.reason, problem.row, problem.field) == ("GW-628", 2, "account")
    assert words in problem.text
    # the flag decides, not the account
    assert not registered(replace(written, new_issue="no"), on).new_issue


def test_a_new_issue_is_said_in_words() -> None:
    assert refused(draft(new_issue="perhaps")) == [("GW-602", 0, "new_issue")]


# ---------------------------------------------------------------- versions


def test_a_statement_keeps_the_version_in_force_when_it_was_registered() -> None:
    on = world()
    old = registered(weighed({"X1": "50", "X2": "50"}, "10"), on)
    later = replace(POLICY, version="2", lot=Decimal(5), ties=Ties.ACCOUNT)
    on.give(Configure, setup=replace(SETUP, policy=later))
    fresh = registered(draft("S-2"), on)
    assert (old.policy_version, old.lot, old.ties) == ("1", 1, "seeded")
    assert (fresh.policy_version, fresh.lot, fresh.ties) == ("2", 5, "account")
    assert on.engine.state is not None
    assert {key[1] for key in on.engine.state.policies} == {"1", "2"}
    assert one(on.order("C1", "10", "S-1"), ForwardToBroker)


def test_a_policy_comes_into_force_at_its_time() -> None:
    policy = replace(POLICY, effective_from=TODAY, effective_at="10:30:00")
    on = world(policy)
    assert on.engine.state is not None
    problem = one(on.submit(draft()), StatementRefused).problems[0]
    assert (problem.reason, "effective from 2026-11-23 10:30:00" in problem.text) == ("GW-608", True)
    assert not on.engine.due(on.ts_ns, TODAY, "10:29:59")
    assert on.engine.due(on.ts_ns, TODAY, "10:30:00")
    on.tick(TODAY, "10:30:00")
    assert not on.engine.due(on.ts_ns, TODAY, "10:30:01")
    assert registered(draft(), on)


def test_an_order_under_a_policy_of_this_afternoon_waits_for_it() -> None:
    """Registered yesterday for today; the policy is effective from noon."""
    on = world(replace(POLICY, effective_from=TODAY, effective_at="12:00:00"))
    on.tick(TODAY.replace(day=22), "15:00:00")
    registered(draft(), on)
    on.tick(TODAY, "09:00:00")
    assert one(on.order(), SendReport).reason == "GW-107"
    on.tick(TODAY, "12:00:00")
    assert one(on.order("C2"), ForwardToBroker)


@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = freezing.received_ns(text)
    assert found is None or found > 0


ODD = st.text(max_size=6) | st.sampled_from(
    [
        "",
        "0",
        "1",
        "100",
        "1.0",
        "0.1",
        "-1",
        "1e3",
        "yes",
        "no",
        "2026-11-23",
        "1970-01-01T00:00:01Z",
        *Method,
        *Basis,
        *Ties,
    ]
)
ODD_LINE = st.builds(
    lambda account, texts: DraftLine(1, account, *texts),
    st.sampled_from([account.account for account in ACCOUNTS]),
    st.tuples(ODD, ODD, ODD, ODD, ODD),
)
TERMS = (
    "basis",
    "method",
    "ties",
    "lot",
    "min_quantity",
    "total",
    "reference_price",
    "justification",
    "new_issue",
)


@settings(max_examples=300)
@given(
    st.lists(ODD_LINE, max_size=4), st.fixed_dictionaries({}, optional=dict.fromkeys(TERMS, ODD)), st.booleans()
)
def test_any_draft_is_registered_whole_or_refused(
    lines: list[DraftLine], terms: dict[str, str], fix: bool
) -> None:
    """Nothing raises; what is registered adds up to its total, in lines above zero."""
    on = world(replace(OPEN, min_value=Decimal(10)), money=True)
    written = replace(draft(**terms), lines=tuple(lines), oms="OMS1")
    outputs = on.submit(written, session="OMS1" if fix else "")
    made = some(outputs, StatementRegistered)
    assert len(made) + len(some(outputs, StatementRefused)) == 1
    for statement in (output.statement for output in made):
        assert sum(line.quantity for line in statement.lines) == statement.total
        assert all(line.quantity > 0 for line in statement.lines)
