"""The book-keeper of the simulated week: what brokers executed against what they were told, to the unit and the cent.

It reads the brokers' trades and the FIX text of every J. Arithmetic is its own, in fractions; methods are written
here from their definitions (:mod:`apportioner`). Only residual and averaging cash, which no J says, and that a
statement is closed come from the gateway's facts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, gcd

from apportioner import quota_method
from week_broker import Desk, Trade, by_account
from week_fix import CENT, ZERO, Told, cents, fixed

ERROR_ACCOUNT = "ERR"
LOT = 10
NEVER_CASH = frozenset(("PROP", "EMP", ERROR_ACCOUNT))
Charge = tuple[str, str, Fraction]
"""MiscFeeType(139), "" for commission; of what; how much."""
CHARGES: Mapping[str, tuple[Charge, ...]] = {
    "BRK1": (("", "unit", Fraction("0.0125")), ("4", "gross", Fraction("0.000278")), ("1", "each", Fraction("0.35"))),
    "BRK2": (("", "gross", Fraction("0.0005")), ("7", "block", Fraction("4.21"))),
}
Key = tuple[str, str, str]
"""Broker, statement, trade date."""


@dataclass
class Plan:
    """A statement as its author wrote it down. ``lines`` are account, quantity, limit; ``turns`` the rotation's."""

    name: str
    kind: str
    symbol: str
    side: str
    day: str
    lines: list[tuple[str, int, Fraction]]
    turns: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def total(self) -> int:
        return sum(quantity for _, quantity, _ in self.lines)


@dataclass
class Cash:
    """What a J does not say: cents left by rounding, moved by a day average, and who bears the first."""

    residual: Fraction
    averaging: Fraction
    bearers: dict[str, Fraction]
    residual_to: str


def _one() -> int:
    return 1


class Books:
    """See the module."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self.desks = desks
        self.plans: dict[str, Plan] = {}
        self.in_force: dict[str, Told] = {}
        self.cash: dict[str, Cash] = {}
        self.used: set[str] = set()
        self.factor: dict[str, int] = defaultdict(_one)
        self.forced: set[str] = set()
        self.queue: list[str] = []
        self.divisions: dict[tuple[str, int], tuple[int, dict[str, Fraction]]] = {}
        self.count: dict[str, int] = defaultdict(int)

    # ------------------------------------------------------------ what happens

    def register(self, plan: Plan) -> None:
        self.plans[plan.name] = plan
        if plan.kind == "rotation":
            names = sorted(account for account, _, _ in plan.lines)
            self.queue += [name for name in names if name not in self.queue]
            plan.turns = sorted(names, key=self.queue.index)

    def close(self, name: str) -> None:
        """The statement is divided: who was served goes to the back of the queue."""
        plan = self.plans[name]
        plan.closed = True
        if plan.kind == "rotation":
            given = in_sequence(plan, plan.turns, self.executed(name))
            served = [account for account in plan.turns if given[account]]
            self.queue = [account for account in self.queue if account not in served] + served

    def take(self, told: Told) -> None:
        """A J has come."""
        owners = {self.desks[told.broker].names[name].statement for name, _ in told.orders}
        assert len(owners) == 1, f"{told.alloc_id} is about the orders of {owners}"
        told.statement = owners.pop()
        told.factor = self.factor[told.statement]
        plan = self.plans[told.statement]
        assert (told.symbol, told.side) == (plan.symbol, plan.side)
        assert told.alloc_id not in self.used, f"{told.alloc_id} was used before"
        self.used.add(told.alloc_id)
        self.count[f"71={told.trans_type}"] += 1
        if told.trans_type != "2":
            check_text(told)
        if told.trans_type == "0":
            assert not told.ref
        else:
            old = self.in_force.pop(told.ref, None)
            assert old is not None, f"{told.alloc_id} changes {told.ref}, which is not in force"
            assert (old.broker, old.statement, old.day) == (told.broker, told.statement, told.day)
            assert told.trans_type == "2" or self._changes(old, told), f"{told.alloc_id} says what {told.ref} said"
            told.before = old
        if told.trans_type != "2":
            self.in_force[told.alloc_id] = told

    def _changes(self, old: Told, new: Told) -> bool:
        """Whether a replacement says something new; a split alone is nothing new."""
        ratio = new.factor // old.factor
        if ratio == 1:
            return old.content != new.content
        step = Fraction(1, 10**new.places)
        before = {account: [x.quantity * ratio for x in own] for account, own in by_account(old).items()}
        after = {account: [x.quantity for x in own] for account, own in by_account(new).items()}
        named = [name for name, _ in old.orders] != [name for name, _ in new.orders]
        return before != after or named or abs(old.price / ratio - new.price) >= step / 2

    def divided(self, statement: str, booking: int, lines: Mapping[str, Fraction]) -> None:
        """What the gateway's records say of a booking, kept for whoever asks why."""
        self.divisions[statement, booking] = (self.factor[statement], {a: q for a, q in lines.items() if q})

    def refuse(self, told: Told) -> None:
        """The broker took a J back out: what was before stands."""
        self.in_force.pop(told.alloc_id, None)
        if told.before is not None:
            self.in_force[told.before.alloc_id] = told.before

    # ------------------------------------------------------------ what must hold

    def executed(self, statement: str) -> int:
        """Units brokers executed under a statement, in its units of today."""
        return sum(t.quantity for desk in self.desks.values() for o, t in desk.trades() if o.statement == statement)

    def audit(self) -> None:
        """Everything, every J looked at again by itself."""
        for told in self.in_force.values():
            check_text(told)
            self._check_cash(told)
        self.reconcile(lambda plan: True)

    def reconcile(self, due: Callable[[Plan], bool]) -> None:
        """Every statement that is due, every broker, every trade date."""
        trades: dict[Key, list[Trade]] = defaultdict(list)
        for desk in self.desks.values():
            for order, trade in desk.trades():
                if trade.quantity and due(self.plans[order.statement]):
                    trades[desk.name, order.statement, trade.day].append(trade)
        told: dict[Key, list[Told]] = defaultdict(list)
        for one in self.in_force.values():
            if due(self.plans[one.statement]):
                told[one.broker, one.statement, one.day].append(one)
        for key in {*trades, *told}:
            self._check_day(key, trades[key], told[key])
        for plan in self.plans.values():
            if due(plan):
                self._check_shares(plan, [x for key, found in told.items() if key[1] == plan.name for x in found])
        self.count["reconciled"] += 1

    def _now(self, told: Told) -> int:
        """How many units of today one unit of a J is."""
        return self.factor[told.statement] // told.factor

    def _check_day(self, key: Key, trades: list[Trade], told: list[Told]) -> None:
        """A broker's trades of a day under a statement, and what it was told of them."""
        booked = sum((one.quantity * self._now(one) for one in told), ZERO)
        executed = sum(trade.quantity for trade in trades)
        assert booked == executed, f"{key}: {executed} executed, {booked} allocated"
        cost = sum((trade.money for trade in trades), ZERO)
        paid = ZERO
        for one in told:
            cash = self.cash[one.alloc_id]
            paid += sum((entry.gross for entry in one.entries), ZERO) + cash.residual + cash.averaging
        assert abs(paid - cost) <= CENT / 2 * len(told), f"{key}: cost {cost}, allocated {paid}"
        if len(told) != 1:
            assert all(self._between(one, trades) for one in told), key
            return
        assert paid == cents(cost), f"{key}: cost {cost}, allocated {paid}"
        self._check_price(told[0], trades)
        self._check_orders(told[0])

    def _check_orders(self, told: Told) -> None:
        """Each order that traded is named once, with what was executed of it."""
        desk = self.desks[told.broker]
        named = [(desk.names[name].order_id, quantity) for name, quantity in told.orders]
        traded = {
            order.order_id: Fraction(order.on(told.day), self._now(told))
            for order in desk.orders.values()
            if order.statement == told.statement and order.on(told.day)
        }
        assert sorted(name for name, _ in named) == sorted(traded), f"{told.alloc_id}: {named}, traded {traded}"
        assert all(quantity in (None, traded[name]) for name, quantity in named), f"{told.alloc_id}: {named}"

    def _between(self, told: Told, trades: list[Trade]) -> bool:
        """Whether a price lies between the prices of the day."""
        price = told.price / self._now(told)
        step = Fraction(1, 10**told.places)
        return min(t.price for t in trades) - step <= price <= max(t.price for t in trades) + step

    def _check_price(self, told: Told, trades: list[Trade]) -> None:
        plan, now = self.plans[told.statement], self._now(told)
        if plan.kind == "day":
            trades = [
                trade
                for desk in self.desks.values()
                for order, trade in desk.trades()
                if (order.symbol, order.side, trade.day) == (told.symbol, told.side, told.day)
            ]
        quantity = sum(trade.quantity for trade in trades)
        exact = sum((trade.money for trade in trades), ZERO) / quantity * now
        step = Fraction(1, 10**told.places)
        if now == 1:
            assert fixed(exact, told.places) == fixed(told.price, told.places), f"{told.alloc_id}: exact {exact}"
        assert abs(exact - told.price) <= step / 2, f"{told.alloc_id}: exact {exact}, told {told.price}"
        if plan.kind != "high-low":
            assert {entry.price for entry in told.entries} == {told.price}
            return
        by_price: dict[Fraction, Fraction] = defaultdict(Fraction)
        for trade in trades:
            by_price[trade.price] += trade.quantity
        for entry in told.entries:
            assert entry.executed
            by_price[entry.price] -= entry.quantity
        assert not any(by_price.values()), f"{told.alloc_id}: {by_price} units at a price too many or too few"
        prices = [(a, [x.price for x in own]) for a, own in sorted(by_account(told).items())]
        for (_, low), (_, high) in pairwise(prices):
            assert max(low) <= min(high), f"{told.alloc_id}: the dearest units go to the highest account number"

    def _check_cash(self, told: Told) -> None:
        """Residual cash: small, whole, and nobody's who may not have it."""
        cash = self.cash[told.alloc_id]
        step = Fraction(1, 10**told.places)
        assert abs(cash.residual) <= told.quantity * step / 2 + CENT / 2 * (len(told.entries) + 1), told.alloc_id
        assert not any(cash.bearers.get(account) for account in NEVER_CASH), f"{told.alloc_id}: {cash.bearers}"
        borne = sum(cash.bearers.values(), ZERO)
        if cash.residual_to == "accounts":
            assert borne == cash.residual, f"{told.alloc_id}: residual {cash.residual}, borne {borne}"
        else:
            assert (borne, cash.residual_to) == (ZERO, ERROR_ACCOUNT)
            assert {entry.account for entry in told.entries} <= NEVER_CASH, f"{told.alloc_id}: somebody could bear it"
        if self.plans[told.statement].kind != "day":
            assert not cash.averaging

    def _check_shares(self, plan: Plan, told: list[Told]) -> None:
        """What everybody has of a statement over all brokers and days, and how brokers share it."""
        factor = self.factor[plan.name]
        has: dict[str, Fraction] = defaultdict(Fraction)
        for one in told:
            for entry in one.entries:
                has[entry.account] += entry.quantity * self._now(one)
        executed = self.executed(plan.name)
        excess = max(executed - plan.total * factor, 0)
        assert has.pop(ERROR_ACCOUNT, 0) == excess, f"{plan.name}: {excess} above the total"
        intents = {account: quantity * factor for account, quantity, _ in plan.lines}
        assert set(has) <= set(intents), f"{plan.name}: {set(has) - set(intents)} are not in the statement"
        given = {account: has.get(account, ZERO) for account in intents}
        for account, quantity in given.items():
            assert 0 <= quantity <= intents[account], f"{plan.name}: {account} has {quantity} of {intents[account]}"
        if executed:
            self._check_method(plan, executed - excess, given, intents)
        self._check_columns(plan, told)

    def _check_method(self, plan: Plan, units: int, given: Mapping[str, Fraction], intents: Mapping[str, int]) -> None:
        names, weights = list(intents), list(intents.values())
        total = sum(weights)
        exact = {name: Fraction(units * weight, total) for name, weight in intents.items()}
        words = f"{plan.name} ({plan.kind}): {units} of {total}: {dict(given)}"
        match plan.kind:
            case "quota" if plan.name in self.forced:  # a split left more booked than x(Q) of today's units
                assert all(abs(given[name] - exact[name]) < 3 for name in names), words
            case "quota":
                wanted = self._quota(plan, units, names, weights)
                assert list(given.values()) in wanted, f"{words}, x(Q) is {wanted}"
            case "seeded":
                short = [exact[n] - floor(exact[n]) for n in names if given[n] == floor(exact[n])]
                more = [exact[n] - floor(exact[n]) for n in names if given[n] > floor(exact[n])]
                assert all(floor(exact[n]) <= given[n] <= ceil(exact[n]) for n in names), words
                assert max(short, default=ZERO) <= min(more, default=Fraction(1)), words
            case "lots":
                assert all(abs(given[n] - exact[n]) < LOT for n in names), words
            case "priority":
                wanted_ = in_tiers(plan, units)
                assert given == wanted_, f"{words}, not {wanted_}"
            case "price-time":
                limits = {account: limit for account, _, limit in plan.lines}
                sign = -1 if plan.side == "1" else 1
                order = sorted(names, key=lambda name: (sign * limits[name], names.index(name)))
                assert given == in_sequence(plan, order, units), words
            case "rotation":
                assert given == in_sequence(plan, plan.turns, units), f"{words}, turns {plan.turns}"
            case _:
                assert given == hamilton(intents, units), f"{words}, not {hamilton(intents, units)}"

    def _quota(self, plan: Plan, units: int, names: list[str], weights: list[int]) -> list[list[int]]:
        """x(Q); as long as no quantity changed since a split, the double of the x(Q) before it stands, too."""
        rank = tuple(sorted(names).index(name) for name in names)
        factor = self.factor[plan.name]
        found = [by_quota(units, tuple(weights), rank)]
        if factor > 1 and units % factor == 0:
            before = by_quota(units // factor, tuple(weight // factor for weight in weights), rank)
            found.append([factor * share for share in before])
        return found

    def _check_columns(self, plan: Plan, told: list[Told]) -> None:
        """What divisions say is what J's say; brokers' parts of it are as near to exact as whole units can be.

        With two brokers the nearest rounds up those with the largest fractions.
        """
        together: dict[int, list[Told]] = defaultdict(list)
        for one in told:
            together[one.booking].append(one)
        for found in together.values():
            assert len({one.broker for one in found}) == len(found)
            factor, lines = self.divisions[plan.name, found[0].booking]
            shares: dict[str, Fraction] = defaultdict(Fraction)
            for one in found:
                for entry in one.entries:
                    shares[entry.account] += entry.quantity * self._now(one)
            now = self.factor[plan.name] // factor
            assert shares == {a: q * now for a, q in lines.items()}, f"{plan.name}: {shares}, the records say {lines}"
            if len({one.factor for one in found}) > 1:
                continue
            rows: dict[str, Fraction] = defaultdict(Fraction)
            for one in found:
                for entry in one.entries:
                    rows[entry.account] += entry.quantity
            total = sum(rows.values(), ZERO)
            unit = 1
            if plan.kind == "lots":  # whole lots where all totals are, else their largest common unit
                unit = gcd(LOT, *map(int, rows.values()), *(int(one.quantity) for one in found))
            for one in found:
                own = {a: sum((x.quantity for x in entries), ZERO) for a, entries in by_account(one).items()}
                short, more = [ZERO], [Fraction(1)]
                for account, row in rows.items():
                    exact = row * one.quantity / total / unit
                    quantity = own.get(account, ZERO) / unit
                    where = f"{one.alloc_id} {plan.kind} {account}: {quantity} of {exact}"
                    assert floor(exact) <= quantity <= ceil(exact), where
                    (more if quantity > floor(exact) else short).append(exact - floor(exact))
                assert max(short) <= min(more), f"{one.alloc_id}: some other matrix is nearer to exact"


# ---------------------------------------------------------------- a J by itself


def check_text(told: Told) -> None:
    """Sums, gross, commission, fees and net money of one J."""
    where = f"{told.broker} {told.alloc_id}"
    assert told.quantity == sum((entry.quantity for entry in told.entries), ZERO) > 0, where
    booked = [quantity for _, quantity in told.orders if quantity is not None]
    assert not booked or sum(booked, ZERO) == told.quantity, where
    gross = sum((entry.gross for entry in told.entries), ZERO)
    assert gross == told.gross, f"{where}: gross is {gross}"
    sign = 1 if told.side == "1" else -1
    for entry in told.entries:
        charged = (entry.commission or ZERO) + sum(entry.fees.values(), ZERO)
        assert entry.net == entry.gross + sign * charged, f"{where}: net of {entry.account}"
    assert told.net == sum((entry.net or ZERO for entry in told.entries), ZERO), where
    for type_, of, amount in CHARGES[told.broker]:
        parts = [entry.fees.get(type_, ZERO) if type_ else entry.commission or ZERO for entry in told.entries]
        _check_charge(told, of, amount, parts, gross, f"{where}: charge {type_ or 'commission'} {parts}")


def _check_charge(told: Told, of: str, amount: Fraction, parts: list[Fraction], gross: Fraction, where: str) -> None:
    if of == "each":
        for own in by_account(told).values():
            at = [told.entries.index(entry) for entry in own]
            assert sum((parts[i] for i in at), ZERO) == amount, where
        return
    block = {"unit": amount * told.quantity, "gross": amount * gross, "block": amount}[of]
    assert sum(parts, ZERO) == cents(block), where
    weights = [entry.quantity * (entry.price if of == "gross" else 1) for entry in told.entries]
    for part, weight in zip(parts, weights, strict=True):
        exact = cents(block) * weight / sum(weights, ZERO) / CENT
        assert floor(exact) <= part / CENT <= ceil(exact), where


# ---------------------------------------------------------------- methods, from their definitions


def hamilton(weights: Mapping[str, int], units: int) -> dict[str, Fraction]:
    """Floors, and the rest one each by size of the fraction, ties by account id."""
    total = sum(weights.values())
    exact = {name: Fraction(units * weight, total) for name, weight in weights.items()}
    given = {name: Fraction(floor(share)) for name, share in exact.items()}
    order = sorted(exact, key=lambda name: (given[name] - exact[name], name))
    for name in order[: units - int(sum(given.values(), ZERO))]:
        given[name] += 1
    return given


@lru_cache(maxsize=4096)
def by_quota(units: int, weights: tuple[int, ...], rank: tuple[int, ...]) -> list[int]:
    """Balinski and Young's quota method, unit by unit."""
    *_, given = quota_method(units, weights, rank)
    return given


def in_sequence(plan: Plan, order: Iterable[str], units: int) -> dict[str, Fraction]:
    """Everybody's whole intent, one after the other, while it lasts."""
    intents = {account: quantity for account, quantity, _ in plan.lines}
    given = dict.fromkeys(intents, ZERO)
    for name in order:
        given[name] = Fraction(min(units, intents[name]))
        units -= int(given[name])
    return given


def in_tiers(plan: Plan, units: int) -> dict[str, Fraction]:
    """Clients first, then the house."""
    given: dict[str, Fraction] = {}
    for house in (False, True):
        tier = {account: quantity for account, quantity, _ in plan.lines if (account in NEVER_CASH) is house}
        part = min(units, sum(tier.values()))
        given |= hamilton(tier, part) if tier else {}
        units -= part
    return {account: given[account] for account, _, _ in plan.lines}
