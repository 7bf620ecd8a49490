"""What another policy would have allocated: the worked example and small cases with terms changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from journals import Scribe
from worlds import POLICY, SETUP, World, draft

from fixgateway.cli.main import invoke
from fixgateway.config.policy import load
from fixgateway.core.inputs import Configure, ExecKind
from fixgateway.core.model import BrokerSetup, Method, Policy, Remainder, Setup, Ties
from fixgateway.errors import UsageError
from fixgateway.journal.codec import decode_input
from fixgateway.journal.reader import read
from fixgateway.journal.records import Kind
from fixgateway.other_policy import TERMS, Comparison, compare, under
from fixgateway.replay import replay

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "policy.toml"
THIRDS = [("CLIENT-A", "100"), ("CLIENT-B", "100"), ("CLIENT-C", "100")]


class Trading:
    """Writes a journal by the words of :class:`worlds.World`."""

    def __init__(self, data_dir: Path, setup: Setup = SETUP) -> None:
        self._world = World(setup)
        self._scribe = Scribe(data_dir, setup=setup)
        self._given = len(self._world.inputs)

    def __getattr__(self, word: str) -> Callable[..., None]:
        def do(*arguments: Any, **more: Any) -> None:
            getattr(self._world, word)(*arguments, **more)
            for given in self._world.inputs[self._given :]:
                self._scribe.again(given)
            self._given = len(self._world.inputs)

        return do

    def close(self) -> Path:
        data_dir = self._scribe.close()
        assert replay(data_dir).agrees
        return data_dir


def worked_example(data_dir: Path, filled: str = "33333", price: str = "100", **more: Any) -> Path:
    day = Trading(data_dir, more.pop("setup", SETUP))
    day.submit(draft(**more))
    day.order()
    day.fill(filled, price)
    day.execution(ExecKind.CANCELLED)
    return day.close()


def changes(found: Comparison, broker: str = "") -> dict[str, tuple[int | None, int | None]]:
    """Account → (then, now) of the only differing statement."""
    (one,) = found.differing
    return {
        x.account: (None if x.then is None else int(x.then), None if x.now is None else int(x.now))
        for x in one.changes
        if x.broker == broker
    }


def policy(**terms: Any) -> Policy:
    return replace(POLICY, policy_id="OTHER", **terms)


def test_the_same_terms_differ_in_nothing(tmp_path: Path) -> None:
    found = compare(worked_example(tmp_path), policy())
    assert (found.differing, found.statements, found.judged, found.bugs) == ((), 1, (), ())


def test_another_lot(tmp_path: Path) -> None:
    """33,333 of the worked example in lots of 100, as the compliance page divides it."""
    found = compare(worked_example(tmp_path), policy(lot=Decimal(100)))
    assert changes(found) == {
        "CLIENT-A": (16666, 16633), "CLIENT-B": (6667, 6700), "CLIENT-C": (3333, 3300), "PROP": (6667, 6700),
    }  # fmt: skip
    assert sum(x.by for x in found.differing[0].changes) == 0
    assert (found.differing[0].filled_then, found.differing[0].filled_now) == (33333, 33333)


def test_another_minimum_and_another_remainder(tmp_path: Path) -> None:
    journal = worked_example(tmp_path, "3000")
    minimum = compare(journal, policy(min_quantity=Decimal(500), ties=Ties.ACCOUNT))
    assert changes(minimum) == {
        "CLIENT-A": (1500, 1667), "CLIENT-B": (600, 667), "CLIENT-C": (300, 0), "PROP": (600, 666),
    }  # fmt: skip
    odd = compare(journal, policy(lot=Decimal(1000), remainder=Remainder.SMALLEST_ACCOUNT))
    largest = compare(journal, policy(lot=Decimal(1000)))
    assert changes(odd) == changes(largest) == {
        "CLIENT-A": (1500, 1000), "CLIENT-B": (600, 1000), "CLIENT-C": (300, 0), "PROP": (600, 1000),
    }  # fmt: skip
    rest = worked_example(tmp_path / "rest", "3500")
    smallest = compare(rest, policy(lot=Decimal(1000), remainder=Remainder.SMALLEST_ACCOUNT))
    assert changes(smallest)["CLIENT-C"] == (350, 500)


@pytest.mark.parametrize(("ties", "first"), [(Ties.ACCOUNT, ""), (Ties.SEEDED, "CLIENT-C")])
def test_other_ties(tmp_path: Path, ties: Ties, first: str) -> None:
    """Of three equal accounts one gets 34 of 100: who comes first is the tie rule's.

    The seeded order is that of HMAC-SHA256(seed, "S-3|account"), as the compliance page derives it.
    """
    day = Trading(tmp_path, replace(SETUP, policy=replace(POLICY, ties=Ties.ACCOUNT)))
    day.submit(draft("S-3", THIRDS))
    day.order(qty="300", statement="S-3")
    day.fill("100", "10")
    day.execution(ExecKind.CANCELLED)
    found = compare(day.close(), policy(ties=ties))
    if first:
        assert changes(found) == {"CLIENT-A": (34, 33), first: (33, 34)}
    else:
        assert found.differing == ()


def test_other_decimals_change_the_price_only(tmp_path: Path) -> None:
    journal = worked_example(tmp_path, price="100.12345")
    (one,) = compare(journal, policy(price_decimals=2)).differing
    assert one.changes == ()
    assert [(x.broker, x.then, x.now) for x in one.prices] == [("BRK1", "100.1235", "100.12")]


def test_a_price_with_more_noughts_is_no_difference(tmp_path: Path) -> None:
    assert compare(worked_example(tmp_path), policy(price_decimals=6)).differing == ()


def test_a_brokers_own_decimals_are_not_the_policys(tmp_path: Path) -> None:
    setup = replace(SETUP, brokers=(BrokerSetup("BRK1", price_decimals=4), BrokerSetup("BRK2")))
    journal = worked_example(tmp_path, price="100.12345", setup=setup)
    assert compare(journal, policy(price_decimals=2)).differing == ()


def test_every_brokers_part_is_compared(tmp_path: Path) -> None:
    day = Trading(tmp_path, replace(SETUP, policy=replace(POLICY, ties=Ties.ACCOUNT)))
    day.submit(draft("S-2", [("CLIENT-A", "2"), ("CLIENT-B", "2")]))
    orders = {"C1": "BRK1", "C2": "BRK2"}
    for cl_ord_id, broker in orders.items():
        day.order(cl_ord_id, "2", "S-2", deliver_to=broker)
    for cl_ord_id, broker in orders.items():
        day.fill("1", "10", cl_ord_id, session=broker)
        day.execution(ExecKind.CANCELLED, cl_ord_id, session=broker)
    found = compare(day.close(), policy(ties=Ties.SEEDED))
    assert changes(found) == {}, "one each in all"
    assert changes(found, "BRK1") == {"CLIENT-A": (1, 0), "CLIENT-B": (0, 1)}
    assert changes(found, "BRK2") == {"CLIENT-A": (0, 1), "CLIENT-B": (1, 0)}


def test_the_latest_division_counts(tmp_path: Path) -> None:
    day = Trading(tmp_path)
    day.submit()
    day.order()
    day.fill("33333", "100", exec_id="E1")
    day.execution(ExecKind.CANCELLED)
    day.execution(ExecKind.BUST, exec_id="B1", exec_ref_id="E1")
    found = compare(day.close(), policy(lot=Decimal(100)))
    assert (found.statements, found.differing) == (1, ())


# ---------------------------------------------------------------- statements with terms of their own


def test_a_statement_refused_under_the_other_policy_is_reported_as_such(tmp_path: Path) -> None:
    allows = replace(SETUP, policy=replace(POLICY, allowed=(("lot", ("10",)),)))
    journal = worked_example(tmp_path, "30000", lot="10", setup=allows)
    found = compare(journal, policy(lot=Decimal(100)))
    (one,) = found.differing
    assert one.refused == "GW-608 lot 10 differs from policy P: 100"
    assert (one.filled_then, one.filled_now) == (30000, None)
    assert changes(found) == {
        "CLIENT-A": (15000, None), "CLIENT-B": (6000, None), "CLIENT-C": (3000, None), "PROP": (6000, None),
    }  # fmt: skip
    assert [(x.what, x.subject, x.then, x.now) for x in found.judged] == [
        ("statement", "S-1", "registered", "refused"), ("order", "C1", "forwarded", "refused"),
    ]  # fmt: skip
    assert found.judged[1].text.startswith("GW-101")


def test_a_statement_keeps_its_own_terms_where_they_are_allowed(tmp_path: Path) -> None:
    allowed = (("lot", ("10",)),)
    journal = worked_example(tmp_path, lot="10", setup=replace(SETUP, policy=replace(POLICY, allowed=allowed)))
    assert compare(journal, policy(lot=Decimal(100), allowed=allowed)).differing == ()


def test_a_statement_that_was_refused_and_would_not_be(tmp_path: Path) -> None:
    """Its order would have gone, but nobody knows what would have been filled: no allocation is invented."""
    day = Trading(tmp_path)
    day.submit(draft(lot="10"))
    day.order()
    day.tick(local_time="19:00:00")
    found = compare(day.close(), policy(allowed=(("lot", ("10",)),)))
    assert (found.differing, found.statements) == ((), 0)
    assert [(x.what, x.then, x.now) for x in found.judged] == [
        ("statement", "refused", "registered"), ("order", "refused", "forwarded"),
    ]  # fmt: skip


def test_a_replace_judged_otherwise(tmp_path: Path) -> None:
    """An order's own group within one lot of its exact share passes with lot 10, not with lot 1."""
    day = Trading(tmp_path, replace(SETUP, policy=replace(POLICY, lot=Decimal(10))))
    day.submit(draft(lines=[("CLIENT-A", "60"), ("PROP", "40")]))
    day.order("C1", "50")
    day.replace("G1", "C1", "40", alloc_lines=(("CLIENT-A", "30"), ("PROP", "10")))
    found = compare(day.close(), policy(lot=Decimal(1)))
    assert [(x.what, x.subject, x.then, x.now) for x in found.judged] == [
        ("replace", "G1", "forwarded", "refused")
    ]


# ---------------------------------------------------------------- what is taken of the other policy


def test_only_the_terms_of_division_are_replaced(tmp_path: Path) -> None:
    """A draft that is in force from next year, with another cut-off, still answers the question."""
    other = policy(
        lot=Decimal(100), allowed=(("ties", ("account",)),), version="2", allocate_at="08:00",
        effective_from=POLICY.effective_from.replace(year=2030), require_memo=True, timezone="UTC",
    )  # fmt: skip
    record = next(x for x in read(worked_example(tmp_path)) if b'["Configure"' in x.payload)
    changed = decode_input(under(record, other).payload, record.seq, record.ts_ns)
    assert isinstance(changed, Configure)
    taken = {name: getattr(other, name) for name in TERMS}
    assert changed.setup == replace(SETUP, policy=replace(POLICY, **taken))
    assert {"method": Method.PRO_RATA, "lot": Decimal(100)}.items() <= taken.items()
    assert len(compare(tmp_path, other).differing) == 1


def test_every_configuration_gets_the_terms(tmp_path: Path) -> None:
    day = Trading(tmp_path)
    day.give(Configure, setup=replace(SETUP, policy=replace(POLICY, version="2", lot=Decimal(10))))
    day.submit()
    day.order()
    day.fill("33333", "100")
    day.execution(ExecKind.CANCELLED)
    found = compare(day.close(), policy(lot=Decimal(100)))
    assert changes(found)["CLIENT-B"] == (6670, 6700)


def test_records_that_are_no_configuration_stay_as_they_are(tmp_path: Path) -> None:
    for record in read(worked_example(tmp_path)):
        if record.kind is not Kind.CONTROL or b"Configure" not in record.payload:
            assert under(record, policy(lot=Decimal(7))) is record


# ---------------------------------------------------------------- the command


@pytest.fixture
def shipped(tmp_path: Path) -> tuple[Path, Path]:
    """The worked example under the shipped policy, and a copy of that policy to change."""
    journal = worked_example(tmp_path / "var", setup=replace(SETUP, policy=load(SHIPPED)))
    file = tmp_path / "other.toml"
    file.write_text(SHIPPED.read_text(encoding="utf-8").replace('lot = "1"', 'lot = "100"'), encoding="utf-8")
    return journal, file


def test_the_command_shows_a_table_and_exits_with_0(shipped: tuple[Path, Path], capsys: Captured) -> None:
    journal, file = shipped
    assert invoke(["replay", str(journal), "--policy", str(file)]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 allocated statements differ" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["S-1", "(all)", "CLIENT-A", "16666", "16633", "-33"] in rows
    assert ["S-1", "(all)", "PROP", "6667", "6700", "+33"] in rows


def test_the_command_prints_one_document(shipped: tuple[Path, Path], capsys: Captured) -> None:
    journal, file = shipped
    assert invoke(["replay", str(journal), "--policy", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["policy"]["terms"]["lot"] == "100"
    assert (document["statements"], document["differing"], document["judged_otherwise"]) == (1, 1, 0)
    (one,) = document["differences"]
    assert one["filled"] == {"then": "33333", "now": "33333"}
    assert one["quantities"][0] == {
        "broker": "", "account": "CLIENT-A", "then": "16666", "now": "16633", "change": "-33",
    }  # fmt: skip


def test_the_command_says_what_is_refused(tmp_path: Path, capsys: Captured) -> None:
    allows = replace(SETUP, policy=replace(POLICY, allowed=(("ties", ("largest",)),)))
    journal = worked_example(tmp_path / "var", ties="largest", setup=allows)
    file = tmp_path / "other.toml"
    file.write_text(SHIPPED.read_text(encoding="utf-8").partition("[allowed]")[0], encoding="utf-8")
    assert invoke(["replay", str(journal), "--policy", str(file)]) == 0
    out = capsys.readouterr().out
    assert "S-1: refused under this policy: GW-608 ties largest differs" in out
    assert "judged otherwise" in out
    assert ["S-1", "(all)", "PROP", "6667", "-", "-6667"] in [line.split() for line in out.splitlines()]


def test_a_policy_that_is_none_is_wrong_usage(shipped: tuple[Path, Path], capsys: Captured) -> None:
    journal, file = shipped
    file.write_text('lot = "x"', encoding="utf-8")
    assert invoke(["replay", str(journal), "--policy", str(file)]) == 2
    assert "lot" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no journal"):
        compare(journal / "nowhere", policy())
