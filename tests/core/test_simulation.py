"""Random days against the rules, judged by a ledger of its own that shares no code with the engine.

Days differ by their seed in what the policy says (interim booking by quota, error account, day average, a minimum)
and in whether a broker keeps what it accepted. Every day is made from a seed. A failing one prints the seed and
the command that repeats it.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from worlds import POLICY, SETUP, TODAY, World, draft

from fixgateway.core.engine import Engine
from fixgateway.core.inputs import CancelReject, ExecKind
from fixgateway.core.model import Averaging, Interim, Overfill, Rounding, Setup, Ties
from fixgateway.core.outputs import (
    Allocation,
    ExceptionOpened,
    ForwardToBroker,
    Output,
    SendAllocation,
    SendReport,
    StatementAllocated,
    StatementClosed,
    StatementRegistered,
)
from fixgateway.core.state import State
from fixgateway.journal.codec import decode_outputs, encode_outputs
from fixgateway.journal.state import Builder, lines_of

ONE_SEED = os.environ.get("FIXGATEWAY_SEED")
FAST, FULL = 400, 10_000

_QUOTA = {"rounding": Rounding.QUOTA, "ties": Ties.ACCOUNT}
_ERROR_ACCOUNT = {"overfill": Overfill.ERROR_ACCOUNT, "error_account": "ERR"}
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    _ERROR_ACCOUNT,
    {"interim": Interim.ON_REQUEST, **_QUOTA},
    {"interim": Interim.ON_REQUEST, **_QUOTA, **_ERROR_ACCOUNT},
    {"averaging": Averaging.DAY},
    {"min_quantity": Decimal(5)},
)
KEEPS = "BRK2"
"""The broker that on some days keeps what it accepted."""


def setup_of(seed: int) -> Setup:
    """The day's configuration."""
    brokers = tuple(
        replace(broker, fills_from_cum=True, replace_accepted=not (seed % 4 == 3 and broker.name == KEEPS))
        for broker in SETUP.brokers
    )
    return replace(SETUP, policy=replace(POLICY, **POLICIES[seed % len(POLICIES)]), brokers=brokers)


@dataclass
class Leg:
    """What a broker could still execute of one order: the most it was ever asked for and not told to drop."""

    statement: str
    broker: str
    side: str
    symbol: str
    asked: dict[str, Decimal]
    filled: Decimal = Decimal(0)
    ended: bool = False
    fills: dict[str, Decimal] = field(default_factory=dict)
    hidden: Decimal = Decimal(0)

    def exposure(self) -> Decimal:
        return self.filled if self.ended else max(self.filled, *self.asked.values())


class Ledger:
    """The independent judge."""

    def __init__(self) -> None:
        self.registered: dict[str, StatementRegistered] = {}
        self.closed: set[str] = set()
        self.legs: dict[tuple[str, str], Leg] = {}
        self.chain: dict[tuple[str, str], tuple[str, str]] = {}
        self.last_sent: dict[tuple[str, str, int], Allocation] = {}
        self.divisions: dict[str, dict[int, StatementAllocated]] = defaultdict(dict)
        self.told: set[str] = set()

    def take(self, outputs: tuple[Output, ...]) -> None:
        for output in outputs:
            match output:
                case StatementRegistered():
                    self.registered[output.statement.statement_id] = output
                case StatementClosed():
                    self.closed.add(output.statement_id)
                case ForwardToBroker():
                    self._forwarded(output)
                case SendReport() if output.order and output.exec_type == "8" and output.reason != "GW-301":
                    for leg_key, leg in self.legs.items():
                        if leg_key[1] == output.cl_ord_id or output.cl_ord_id in leg.asked:
                            leg.ended = True
                case SendAllocation():
                    self._allocated(output.allocation)
                case StatementAllocated():
                    self._divided(output)
                case ExceptionOpened() if output.reason == "GW-842":
                    words = output.text.replace(",", " ").replace(":", " ").split()
                    self.told |= {word for word in words if word in self.registered}
                case _:
                    pass

    def _forwarded(self, out: ForwardToBroker) -> None:
        if out.msg_type == "D":
            statement = self.registered[out.statement_id].statement
            assert out.statement_id not in self.closed, "a D under a closed statement"
            assert (out.symbol, out.side, out.oms) == (statement.symbol, statement.side, statement.oms)
            key = (out.broker, out.cl_ord_id)
            if key in self.legs:
                # Another OMS may use the ClOrdID of an order that has ended.
                old = self.legs[key]
                assert old.ended or old.filled == max(old.asked.values()), "the same ClOrdID live twice"
                old.ended = True
                self.legs[out.broker, f"{out.cl_ord_id}#{len(self.legs)}"] = self.legs.pop(key)
            self.legs[key] = Leg(out.statement_id, out.broker, out.side, out.symbol, {out.cl_ord_id: out.quantity})
            self.chain[key] = key
        elif out.msg_type == "G":
            leg = self.leg(out.broker, out.orig_cl_ord_id)
            if out.quantity > max(leg.asked.values()):
                assert leg.statement not in self.closed, "a raise under a closed statement"
            leg.asked[out.cl_ord_id] = out.quantity
            self.chain[out.broker, out.cl_ord_id] = self.chain[out.broker, out.orig_cl_ord_id]
        self.check_cover(out.statement_id)

    def leg(self, broker: str, cl_ord_id: str) -> Leg:
        return self.legs[self.chain[broker, cl_ord_id]]

    def check_cover(self, statement_id: str) -> None:
        total = self.registered[statement_id].statement.total
        exposed = sum(leg.exposure() for leg in self.legs.values() if leg.statement == statement_id)
        assert exposed <= total, f"{exposed} exposed under {statement_id} of {total}"

    def _allocated(self, allocation: Allocation) -> None:
        assert sum(s.quantity for s in allocation.shares) == allocation.quantity
        statement = self.registered[allocation.statement_id].statement
        intents = {line.account: line.quantity for line in statement.lines}
        assert all(s.quantity <= intents[s.account] for s in allocation.shares if s.account != "ERR")
        key = (allocation.statement_id, allocation.broker, allocation.booking)
        if allocation.trans_type == "0":
            assert key not in self.last_sent
        else:
            assert allocation.ref_alloc_id == self.last_sent[key].alloc_id
        if allocation.trans_type == "2":
            del self.last_sent[key]
        else:
            self.last_sent[key] = allocation

    def _divided(self, division: StatementAllocated) -> None:
        assert sum(line.quantity for line in division.lines) + division.unallocated == division.filled
        assert division.statement_id in self.closed or division.kind == "interim"
        self.divisions[division.statement_id][division.number] = division
        if not division.number:
            filled = sum(leg.filled for leg in self.legs.values() if leg.statement == division.statement_id)
            assert division.filled == filled

    def settle(self) -> None:
        """At the end: every closed statement's fills are allocated, to the unit and per broker."""
        for statement_id in self.closed:
            by_broker: dict[str, Decimal] = defaultdict(Decimal)
            for leg in self.legs.values():
                if leg.statement == statement_id:
                    by_broker[leg.broker] += leg.filled
            sent = [x for key, x in self.last_sent.items() if key[0] == statement_id]
            if statement_id in self.told:
                continue  # a broker keeps what is not right any more: nothing is silent about that
            for broker, filled in by_broker.items():
                assert sum(x.quantity for x in sent if x.broker == broker) == filled
            told: dict[str, Decimal] = defaultdict(Decimal)
            for share in (share for x in sent for share in x.shares):
                told[share.account] += share.quantity
            divided: dict[str, Decimal] = defaultdict(Decimal)
            for line in (line for x in self.divisions[statement_id].values() for line in x.lines):
                divided[line.account] += line.quantity
            assert {k: q for k, q in told.items() if q} == {k: q for k, q in divided.items() if q}


class Day:
    """One random day: what the OMS, the brokers and operations might do, in any order."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(setup_of(seed))
        self.ledger = Ledger()
        self.n = 0
        self.late: list[tuple[str, str, str, Decimal]] = []
        self.amended: dict[str, tuple[Leg, tuple[str, Decimal] | None]] = {}

    def run(self, steps: int = 120) -> None:
        actions = [self.submit, *[self.order] * 3, self.replace, self.cancel, *[self.fill] * 3, self.end,
                   self.amend, self.answer_replace, self.odds, self.session, self.overtaken, self.decline,
                   self.hide, self.show, *[self.book] * 3, self.ack]  # fmt: skip
        for _ in range(steps):
            self.ledger.take(self.random.choice(actions)())
        self.ledger.take(self.world.tick(TODAY, "19:00:00"))
        self.ledger.settle()

    def name(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}{self.n}"

    def any_leg(self) -> tuple[tuple[str, str], Leg] | None:
        return self.random.choice(list(self.ledger.legs.items())) if self.ledger.legs else None

    def some_statement(self) -> str:
        return self.random.choice([*self.ledger.registered, "S-unknown"])

    def submit(self) -> tuple[Output, ...]:
        rows = [(a, str(self.random.randint(1, 60))) for a in ("CLIENT-A", "CLIENT-B", "PROP", "X1")]
        chosen = self.random.sample(rows, self.random.randint(1, 4))
        side = self.random.choice(["buy", "sell"])
        written = draft(self.name("S"), chosen, side=side)
        return self.world.submit(written, session=self.random.choice(["OMS1", "OMS1", "OMS2"]))

    def order(self) -> tuple[Output, ...]:
        used = [key[1] for key in self.ledger.legs]
        repeat = bool(used) and self.random.random() < 0.1
        return self.world.order(
            self.random.choice(used) if repeat else self.name("C"),
            str(self.random.choice([1, 5, 20, 60, 200])),
            self.some_statement(),
            session=self.random.choice(["OMS1", "OMS1", "OMS2"]),
            side=self.random.choice(["buy", "sell"]),
            deliver_to=self.random.choice(["", "BRK1", "BRK2"]),
            symbol=self.random.choice(["XYZ", "XYZ", "XYZ", "ABC"]),
            poss_resend=self.random.random() < 0.1,
        )

    def replace(self) -> tuple[Output, ...]:
        found = self.any_leg()
        if not found:
            return ()
        _, leg = found
        orig = self.random.choice(list(leg.asked))
        qty = str(self.random.choice([1, 10, 40, 100]))
        oms = self.ledger.registered[leg.statement].statement.oms
        return self.world.replace(self.name("G"), orig, qty, side=leg.side, session=oms)

    def cancel(self) -> tuple[Output, ...]:
        found = self.any_leg()
        if not found:
            return ()
        return self.world.cancel(self.name("F"), self.random.choice(list(found[1].asked)))

    def fill(self) -> tuple[Output, ...]:
        found = self.any_leg()
        if not found or found[1].ended:
            return ()
        (broker, cl_ord_id), leg = found
        # A broker fills at most what it was last asked for and confirmed: the first request of the chain.
        room = next(iter(leg.asked.values())) - leg.filled - self.waiting(broker, cl_ord_id)
        if room <= 0:
            return ()
        quantity = Decimal(self.random.randint(1, int(room)))
        exec_id = self.name("E")
        leg.fills[exec_id] = quantity
        leg.filled += quantity
        return self.world.fill(str(quantity), "10", cl_ord_id, exec_id=exec_id, session=broker)

    def end(self) -> tuple[Output, ...]:
        found = self.any_leg()
        if not found or found[1].ended:
            return ()
        (broker, cl_ord_id), leg = found
        leg.ended = True
        kind = self.random.choice([ExecKind.CANCELLED, ExecKind.EXPIRED, ExecKind.REJECTED])
        return self.world.execution(kind, cl_ord_id, exec_id=self.name("E"), session=broker)

    def answer_replace(self) -> tuple[Output, ...]:
        """The broker takes or refuses a pending replace that would not go below what is filled."""
        found = self.any_leg()
        if not found or found[1].ended or len(found[1].asked) < 2:
            return ()
        (broker, first), leg = found
        newest = list(leg.asked)[-1]
        asked = leg.asked[newest]
        if self.random.random() < 0.5 and asked >= leg.filled + self.waiting(broker, first):
            leg.asked = dict.fromkeys(leg.asked, asked)
            return self.world.execution(
                ExecKind.REPLACED,
                newest,
                exec_id=self.name("E"),
                orig_cl_ord_id=first,
                order_qty=asked,
                session=broker,
            )
        leg.asked.pop(newest)
        return self.world.give(
            CancelReject, session=broker, msg_seq_num=1, cl_ord_id=newest,
            orig_cl_ord_id=first, ord_status="0", response_to="2", reason="0", text="no",
        )  # fmt: skip

    def amend(self) -> tuple[Output, ...]:
        found = self.any_leg()
        if not found or not found[1].fills or "#" in found[0][1]:
            return ()
        (broker, cl_ord_id), leg = found
        ref = self.random.choice(list(leg.fills))
        old = leg.fills.pop(ref)
        exec_id = self.name("E")
        if self.random.random() < 0.5:
            leg.filled -= old
            return self.world.execution(ExecKind.BUST, cl_ord_id, exec_id, exec_ref_id=ref, session=broker)
        new = Decimal(self.random.randint(1, int(old)))
        leg.fills[exec_id] = new
        leg.filled += new - old
        return self.world.execution(
            ExecKind.CORRECT,
            cl_ord_id,
            exec_id,
            exec_ref_id=ref,
            last_qty=new,
            last_px=Decimal(11),
            session=broker,
        )

    def waiting(self, broker: str, cl_ord_id: str) -> Decimal:
        """What the broker filled of an order and has not reported, though it busted or corrected it."""
        return sum((q for b, c, _, q in self.late if (b, c) == (broker, cl_ord_id)), Decimal(0))

    def overtaken(self) -> tuple[Output, ...]:
        """A fill whose bust or correction is here first; the fill itself comes right after, or much later."""
        found = self.any_leg()
        if self.late and self.random.random() < 0.7:
            broker, cl_ord_id, exec_id, quantity = self.late.pop(self.random.randrange(len(self.late)))
            leg, amended = self.amended.pop(exec_id)
            if self.ledger.legs[broker, cl_ord_id] is not leg:
                return ()  # the ClOrdID is another order's by now, and a report here names nothing else
            if amended is not None:
                leg.fills[amended[0]] = amended[1]
                leg.filled += amended[1]
            return self.world.fill(str(quantity), "10", cl_ord_id, exec_id=exec_id, session=broker)
        if not found or found[1].ended or "#" in found[0][1] or found[1].hidden:
            return ()
        (broker, cl_ord_id), leg = found
        room = int(next(iter(leg.asked.values())) - leg.filled - self.waiting(broker, cl_ord_id))
        if room <= 0:
            return ()
        exec_id, quantity, other = self.name("E"), Decimal(self.random.randint(1, room)), self.name("E")
        self.late.append((broker, cl_ord_id, exec_id, quantity))
        if self.random.random() < 0.5:
            self.amended[exec_id] = leg, None
            return self.world.execution(ExecKind.BUST, cl_ord_id, other, exec_ref_id=exec_id, session=broker)
        new = Decimal(self.random.randint(1, int(quantity)))
        self.amended[exec_id] = leg, (other, new)
        return self.world.execution(
            ExecKind.CORRECT,
            cl_ord_id,
            other,
            exec_ref_id=exec_id,
            last_qty=new,
            last_px=Decimal(11),
            session=broker,
        )

    def decline(self) -> tuple[Output, ...]:
        """The broker takes part of an order back."""
        found = self.any_leg()
        if not found or found[1].ended or len(found[1].asked) > 1 or found[1].filled < 1:
            return ()
        (broker, cl_ord_id), leg = found
        if "#" in cl_ord_id or self.waiting(broker, cl_ord_id):
            return ()
        kept = min(leg.filled + self.random.randint(0, 3), *leg.asked.values())
        leg.asked = dict.fromkeys(leg.asked, kept)
        return self.world.execution(
            ExecKind.RESTATED, cl_ord_id, exec_id=self.name("E"), order_qty=kept, restatement_reason="5",
            ord_status="1", session=broker,
        )  # fmt: skip

    def hide(self) -> tuple[Output, ...]:
        """The broker fills something without a word, and the order is over: only CumQty and AvgPx show it."""
        found = self.any_leg()
        if not found or found[1].ended or "#" in found[0][1]:
            return ()
        (broker, cl_ord_id), leg = found
        if self.waiting(broker, cl_ord_id):
            return ()
        room = int(next(iter(leg.asked.values())) - leg.filled)
        leg.hidden = Decimal(self.random.randint(0, max(room, 0)))
        leg.filled += leg.hidden
        leg.ended = True
        kind = self.random.choice([ExecKind.CANCELLED, ExecKind.EXPIRED, ExecKind.REJECTED])
        return self.world.execution(
            kind, cl_ord_id, exec_id=self.name("E"), session=broker, cum_qty=leg.filled, avg_px=Decimal(10)
        )

    def show(self) -> tuple[Output, ...]:
        """A part of what was hidden is reported after all: nothing more is filled than before."""
        hiding = [(key, leg) for key, leg in self.ledger.legs.items() if leg.hidden and "#" not in key[1]]
        if not hiding:
            return ()
        (broker, cl_ord_id), leg = self.random.choice(hiding)
        quantity = Decimal(self.random.randint(1, int(leg.hidden)))
        cum_qty = leg.filled - leg.hidden + quantity
        leg.hidden -= quantity
        exec_id = self.name("E")
        leg.fills[exec_id] = quantity
        return self.world.fill(str(quantity), "10", cl_ord_id, exec_id=exec_id, session=broker, cum_qty=cum_qty)

    def odds(self) -> tuple[Output, ...]:
        choice = self.random.randrange(4)
        if choice == 0:
            return self.world.operate("close", self.some_statement())
        if choice == 1:
            return self.world.operate(self.random.choice(["halt", "resume"]), self.random.choice(["all", "BRK1"]))
        if choice == 2:
            return self.world.tick(seconds=self.random.randint(0, 20), local_time="12:00:00")
        return self.world.fill("5", "1", self.name("unknown"), exec_id=self.name("E"))

    def book(self) -> tuple[Output, ...]:
        """Operations ask for an interim booking: it only ever adds."""
        filled = [leg.statement for leg in self.ledger.legs.values() if leg.filled]
        outputs = self.world.operate("book", self.random.choice(filled) if filled else self.some_statement())
        sent = [x.allocation for x in outputs if isinstance(x, SendAllocation)]
        assert all(x.trans_type == "0" for x in sent)
        return outputs

    def ack(self) -> tuple[Output, ...]:
        """A broker accepts what it has."""
        standing = list(self.ledger.last_sent.values())
        if not standing:
            return ()
        chosen = self.random.choice(standing)
        return self.world.ack(chosen.alloc_id, session=chosen.broker)

    def session(self) -> tuple[Output, ...]:
        broker = self.random.choice(["BRK1", "BRK2"])
        return self.world.down(broker) if self.random.random() < 0.3 else self.world.up(broker)


def run_seed(seed: int) -> Day:
    day = Day(seed)
    try:
        day.run()
    except Exception as error:
        command = f"FIXGATEWAY_SEED={seed} scripts/test tests/core/test_simulation.py"
        raise AssertionError(f"seed {seed}: {error!r}; repeat with: {command}") from error
    return day


def seeds(count: int) -> list[int]:
    return [int(ONE_SEED)] if ONE_SEED else list(range(count))


def test_no_sequence_gets_an_uncovered_order_to_a_broker() -> None:
    allocated = 0
    for seed in seeds(FAST):
        allocated += len(run_seed(seed).ledger.last_sent)
    assert allocated > 0 or ONE_SEED


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_ten_thousand_days() -> None:
    for seed in seeds(FULL):
        run_seed(seed)


def test_the_same_inputs_give_the_same_outputs_and_survive_the_journal() -> None:
    for seed in seeds(40):
        day = run_seed(seed)
        engine = Engine()
        again: list[Output] = []
        for given in day.world.inputs:
            outputs = engine.apply(given)
            assert decode_outputs(encode_outputs(given.seq, outputs)) == (given.seq, outputs)
            again += outputs
        assert again == day.world.outputs


def copied(state: State | None) -> State | None:
    """A state written to bytes and read from them."""
    builder = Builder()
    for section, payload in lines_of(state):
        builder.take(section, payload)
    return builder.state()


def test_a_state_read_from_its_snapshot_behaves_and_is_written_the_same() -> None:
    for seed in seeds(60):
        inputs = run_seed(seed).world.inputs
        engine, other = Engine(), Engine()
        until = random.Random(seed).randrange(len(inputs))
        for given in inputs[:until]:
            engine.apply(given)
        written = list(lines_of(engine.state))
        other.state = copied(engine.state)
        assert other.state == engine.state
        assert list(lines_of(other.state)) == written
        for given in inputs[until:]:
            assert other.apply(given) == engine.apply(given), f"seed {seed}, {until} inputs before the snapshot"
        assert list(lines_of(other.state)) == list(lines_of(engine.state))
