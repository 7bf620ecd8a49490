"""What must hold, whatever happens: DESIGN §2's rules as an onlooker sees them.

The judge shares no code with what it judges: it reads the durable bytes of the journal itself, and computes
allocations from what the brokers really hold.
"""

from __future__ import annotations

import json
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import google_crc32c
from brokers import Broker, Held
from disk import Disk
from line import Broken, Header, Msg, show
from omses import Intent, Oms

_FRAME, _BODY, _CHAIN = struct.Struct(">II"), struct.Struct(">QQB"), struct.Struct(">I")
CHAIN_AT, HEADER_BYTES, DECISION, EVENT = 24, 32, 6, 8
OUTPUT_OF = {
    "D": {"ForwardToBroker"}, "G": {"ForwardToBroker"}, "F": {"ForwardToBroker"}, "H": {"ForwardToBroker"},
    "8": {"PassToOms", "SendReport"}, "9": {"PassToOms", "SendCancelReject"},
    "P": {"PassToOms", "SendStatementAck"}, "J": {"SendAllocation", "SendAllocationReport"},
    "AS": {"SendAllocationReport"}, "j": {"SendBusinessReject"}, "Q": {"SendDontKnow"},
}  # fmt: skip
"""Which outputs of a decision may be sent as which MsgType(35)."""


class DurableJournal:
    """The decisions that would survive a power cut now, read from the bytes."""

    def __init__(self) -> None:
        self.decisions: dict[int, bytes] = {}
        self.registered: set[str] = set()
        self.resets: Counter[str] = Counter()
        self.last_seq = 0
        self._at: dict[int, tuple[int, int]] = {}

    def update(self, disk: Disk, directory: Path) -> None:
        """Read on from where the last look ended."""
        for inode, data in disk.durable(directory, ".fgj"):
            if len(data) < HEADER_BYTES:
                continue
            at, crc = self._at.get(inode, (HEADER_BYTES, _CHAIN.unpack_from(data, CHAIN_AT)[0]))
            while at + 8 + 18 <= len(data):
                length, told = _FRAME.unpack_from(data, at)
                end = at + 8 + length
                now = google_crc32c.extend(crc, bytes(data[at + 8 : end]))
                if length < 18 or end > len(data) or now != told:
                    break  # what a crash left of a record
                crc = now
                found, _, kind = _BODY.unpack_from(data, at + 8)
                name = data[at + 8 + 17]
                if found > self.last_seq and kind == EVENT and data[at + 26 + name : at + 31 + name] == b"reset":
                    self.resets[data[at + 26 : at + 26 + name].decode()] += 1
                if kind == DECISION:
                    self._decision(bytes(data[at + 8 + 18 + name : end]))
                at = end
                self.last_seq = max(self.last_seq, found)
            self._at[inode] = (at, crc)

    def _decision(self, payload: bytes) -> None:
        given = int(payload[6 : payload.index(b",")])
        before = self.decisions.setdefault(given, payload)
        if before != payload:
            raise Broken(f"the decision on record {given} was durable as {before!r} and is now {payload!r}")
        if b'"StatementRegistered"' in payload:
            for name, values in json.loads(payload)["out"]:
                if name == "StatementRegistered":
                    self.registered.add(values["statement"]["statement_id"])

    def output(self, given: int, index: int) -> str:
        """The name of an output of a durable decision, "" when there is none."""
        payload = self.decisions.get(given)
        outputs: list[Any] = json.loads(payload)["out"] if payload else []
        return str(outputs[index][0]) if 0 <= index < len(outputs) else ""


class Judge:
    """Watches one day.

    Args:
        disk: the gateway's. journal: the journal's directory. omses, brokers: the truth.

    Attributes:
        engine: the gateway's. resets_before: of each session when the gateway started. lost_sight: the sessions
            whose numbers began at 1 again, all when the machine failed: there 97=Y of ours is right.
    """

    def __init__(self, disk: Disk, journal: Path, omses: Iterable[Oms], brokers: Iterable[Broker]) -> None:
        self.disk, self.directory = disk, journal
        self.omses, self.brokers = list(omses), list(brokers)
        self.journal = DurableJournal()
        self.engine: Any = None
        self.resets_before: Counter[str] = Counter()
        self.lost_sight: set[str] = set()
        self._shown: dict[tuple[str, int, int], Msg] = {}
        self._orders: dict[tuple[str, str, str], Msg] = {}

    # ------------------------------------------------------------ while it runs

    def asked_to_send(self, session: str, kind: str, body: str, header: Header, decision: int, index: int) -> None:
        """Write ahead: the decision a message is sent for is durable before the FIX engine gets it."""
        self.journal.update(self.disk, self.directory)
        found = self.journal.output(decision, index)
        if found not in OUTPUT_OF.get(kind, set()):
            raise Broken(
                f"{kind} for {session} is sent for output {index} of the decision on record {decision}; durable "
                f"there is {found or 'nothing'}: {show(body)}"
            )
        passed_on = found in ("PassToOms", "ForwardToBroker")
        if (97, "Y") in header and not passed_on and session not in self.lost_sight:
            raise Broken(f"{kind} for {session} is marked 97=Y after nothing worse than a kill: {show(body)}")

    def shown(self, session: str, msg: Msg, decision: int, index: int) -> None:
        """Something leaves the gateway: nothing twice as if it were new, no order again once in doubt."""
        again = msg.dup or msg.has(97, "Y")
        if decision:
            before = self._shown.setdefault((session, decision, index), msg)
            if before is not msg and (not again or msg.kind in "DG"):
                raise Broken(f"sent twice on {session}: {show(before.text)} and {show(msg.text)}")
        if msg.kind not in "DG":
            return
        name = msg.get(11)
        first = self._orders.setdefault((session, msg.kind, name), msg)
        if first is not msg and not again:
            raise Broken(f"{msg.kind} {name} left twice for {session} without 43 or 97")
        state = self.engine.state
        if msg.dup and msg.kind == "D" and any(o.in_doubt and name in o.names for o in state.orders.values()):
            raise Broken(f"order {name} is in doubt and was sent again to {session}")

    def answers_reset(self, session: str, count: int) -> None:
        """No reset is answered before the journal has it for good: ``count`` of them since the gateway started."""
        self.journal.update(self.disk, self.directory)
        kept = self.journal.resets[session] - self.resets_before[session]
        if kept < count:
            raise Broken(f"{session} reset its numbers {count} times and is answered; durable are {kept}")

    def covered(self, held: Held) -> None:
        """No uncovered order at a broker: what its orders may come to is within the statement."""
        name = held.statement_id
        intent = self._intent(name)
        self.journal.update(self.disk, self.directory)
        if intent is None or name not in self.journal.registered:
            raise Broken(f"order {held.name} reached a broker under statement {name}, which is not registered")
        if (held.side, held.symbol) != (intent.side, intent.symbol):
            raise Broken(f"order {held.name} is {held.side} {held.symbol}, statement {name} is not")
        exposed = sum(each.exposure for each in self._held_under(name))
        if exposed > intent.total and not any(name in broker.late for broker in self.brokers):
            raise Broken(f"brokers hold {exposed} under statement {name} of {intent.total}")

    def _intent(self, name: str) -> Intent | None:
        return next((oms.intents[name] for oms in self.omses if name in oms.intents), None)

    def _held_under(self, name: str) -> list[Held]:
        return [held for broker in self.brokers for held in broker.orders.values() if held.statement_id == name]

    # ------------------------------------------------------------ at the end of the day

    def close(self, state: Any) -> None:
        """Everything has come to rest: nobody waits, nothing is lost, the allocations are right."""
        by_name = {name: order for order in state.orders.values() for name in order.names}
        for oms in self.omses:
            self._answered(oms, state, by_name)
        for broker in self.brokers:
            for held in broker.orders.values():
                self._known(broker, held, by_name)
            self._told(broker)
        for oms in self.omses:
            for intent in oms.intents.values():
                if intent.statement_id in state.statements:
                    self._allocated(intent, state.statements[intent.statement_id])

    def _answered(self, oms: Oms, state: Any, by_name: dict[str, Any]) -> None:
        """Every request is answered or in doubt."""
        for request in oms.requests.values():
            if request.answers or request.given_up:
                continue
            order = by_name.get(request.name)
            doubtful = order is not None and (order.in_doubt or request.name in order.pending)
            if request.kind == "G" and order is not None and order.status in ("2", "4", "8", "C"):
                continue  # never sent again once it may be lost; the order's end answered it
            if not doubtful:
                raise Broken(f"{oms.name} was never answered: {request.kind} {request.name} {show(request.body)}")

    @staticmethod
    def _known(broker: Broker, held: Held, by_name: dict[str, Any]) -> None:
        """What the gateway believes of an order is what its broker holds."""
        order = by_name.get(held.name)
        if order is None or order.broker != broker.name:
            raise Broken(f"{broker.name} holds {held.name}, the gateway knows nothing of it")
        ours = {name: (int(fill.quantity), Fraction(fill.price)) for name, fill in order.fills.items()}
        if ours != held.fills:
            raise Broken(f"{broker.name} filled {held.name} with {held.fills}, the gateway has {ours}")
        ended = order.status in ("2", "3", "4", "8", "C")
        if ended == held.open and not order.in_doubt:
            raise Broken(f"{held.name} has OrdStatus {held.status} at {broker.name}, {order.status} with us")

    def _told(self, broker: Broker) -> None:
        """Every execution reached its OMS, and none twice as if it were new."""
        heard: dict[str, list[Msg]] = defaultdict(list)
        for oms in self.omses:
            for exec_id, msgs in oms.told.items():
                heard[exec_id] += msgs
        for exec_id, (kind, body) in broker.reports.items():
            if kind != "8" or "\x0139=8\x0111=" in body:
                continue
            copies = heard.get(exec_id, [])
            if not copies:
                raise Broken(f"the OMS never got execution {exec_id} of {broker.name}: {show(body)}")
            new = [msg for msg in copies if not msg.has(97, "Y")]
            if len(new) > 1:
                raise Broken(f"execution {exec_id} of {broker.name} reached the OMS {len(new)} times as new")

    def _allocated(self, intent: Intent, record: Any) -> None:
        """What the brokers were told last is the statement's division of what they really filled."""
        held = [each for each in self._held_under(intent.statement_id) if each.fills]
        filled = sum(each.cum for each in held)
        if record.status == "active":
            raise Broken(f"statement {intent.statement_id} is active after the cut-off")
        sums: dict[str, int] = defaultdict(int)
        for broker in self.brokers:
            own = [each for each in held if each.name in broker.orders]
            last = self._instruction(broker, intent)
            booked = sum(each.cum for each in own)
            if not booked and last is not None and last.get(70) in broker.refused:
                last = None
            if booked != (int(last.get(53)) if last else 0) and filled <= intent.total:
                raise Broken(f"{broker.name} filled {booked} under {intent.statement_id} and was told {last}")
            if last is not None:
                for account, quantity in shares(last):
                    sums[account] += quantity
                if filled <= intent.total:
                    self._priced(intent, own, last)
        expected = divide(dict(intent.lines), filled)
        if dict(sums) != {account: quantity for account, quantity in expected.items() if quantity}:
            name = f"{intent.statement_id} {intent.lines}"
            raise Broken(f"{name}: {filled} filled, told {dict(sums)}, right is {expected}")

    def _instruction(self, broker: Broker, intent: Intent) -> Msg | None:
        """What the broker was told last, or has, when it refused that; the chain of versions must be unbroken."""
        chain: list[Msg] = []
        own = [held for held in broker.orders.values() if held.statement_id == intent.statement_id]
        names = [name for held in own for name in held.names]
        for msg in broker.allocations:
            told = [value for tag, value in msg.fields() if tag == 11]
            if not any(name in names for name in told):
                continue
            if msg.get(72) not in _may_change(chain, broker.refused):
                raise Broken(f"{broker.name}: {show(msg.text)} does not follow {chain[-1:]}")
            if sum(quantity for _, quantity in shares(msg)) != int(msg.get(53)):
                raise Broken(f"shares do not add up: {show(msg.text)}")
            chain.append(msg)
        stand = [msg for msg in chain if msg.get(70) not in broker.refused]
        latest = [version[-1] for version in (chain, stand) if version and version[-1].get(71) != "2"]
        booked = [held for held in own if held.fills]
        right = [msg for msg in latest if self._fits(booked, msg)]
        return right[0] if right else latest[0] if latest and chain[-1] is latest[0] else None

    @staticmethod
    def _fits(booked: list[Held], msg: Msg) -> bool:
        """Whether an instruction says what the broker filled."""
        return int(msg.get(53)) == sum(held.cum for held in booked) and _average_right(booked, msg)

    @staticmethod
    def _priced(intent: Intent, own: list[Held], last: Msg) -> None:
        if not _average_right(own, last):
            raise Broken(f"{intent.statement_id}: the average of {own} was told as {last.get(6)}")


def _average_right(own: list[Held], told: Msg) -> bool:
    value = sum((q * p for held in own for q, p in held.fills.values()), Fraction(0))
    exact = value / sum(held.cum for held in own)
    return Fraction(told.get(6)) == Fraction(int(exact * 10_000 + Fraction(1, 2)), 10_000)


def _may_change(chain: list[Msg], refused: dict[str, str]) -> set[str]:
    """What RefAllocID(72) of the next instruction may be, "" for a new one (71=0).

    The last version; and where the broker refused it, of which the gateway may know already, the ones before it up
    to one that was not refused. Nothing comes before a first version or after a cancel.
    """
    found: set[str] = set()
    for msg in reversed(chain):
        name, cancel = msg.get(70), msg.get(71) == "2"
        found.add("" if cancel else name)
        if name not in refused:
            return found
    return found | {""}


def shares(msg: Msg) -> list[tuple[str, int]]:
    """NoAllocs(78) of an instruction."""
    found: list[tuple[str, int]] = []
    account = ""
    for tag, value in msg.fields():
        if tag == 79:
            account = value
        elif tag == 80:
            found.append((account, int(value)))
    return found


def divide(lines: dict[str, int], filled: int) -> dict[str, int]:
    """Pro rata by largest remainder, equal remainders by account name; an overfill gives the intents."""
    total = sum(lines.values())
    if filled >= total:
        return lines
    exact = {account: Fraction(filled * quantity, total) for account, quantity in lines.items()}
    given = {account: int(share) for account, share in exact.items()}
    order = sorted(lines, key=lambda account: (given[account] - exact[account], account))
    for account in order[: filled - sum(given.values())]:
        given[account] += 1
    return given
