"""Journals as a gateway writes them, without one: real records, the real engine, no sessions and no clock.

:class:`Scribe` does with inputs what the pump does: record, decide, decision record, wire-out records.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from worlds import SEED, SETUP, TODAY, World, draft

import fixgateway
from fixgateway.core.engine import Engine
from fixgateway.core.inputs import Configure, ExecKind, Input, SessionUp, Tick
from fixgateway.core.model import Setup
from fixgateway.core.outputs import ForwardToBroker, Output, PassToOms
from fixgateway.journal.codec import encode_input, encode_json, encode_outputs
from fixgateway.journal.index import WireIndex
from fixgateway.journal.reader import read
from fixgateway.journal.records import Kind, Record, pack_accepted, pack_engine_refused, pack_wire_out
from fixgateway.journal.segments import Writer
from fixgateway.recovery import concerns_core, describe_parties
from fixgateway.sessions.texts import to_bytes
from fixgateway.translate import Counterparty, Translator, destination, is_message
from fixgateway.wire.message import Message
from fixgateway.wire.versions import named

STARTED_NS = 1_795_449_600_000_000_000
Field = tuple[int, object]


def parties(setup: Setup = SETUP, versions: Mapping[str, str] | None = None) -> dict[str, Counterparty]:
    """The setup's counterparties; FIX.4.4 unless ``versions`` says otherwise."""
    said = versions or {}

    def party(name: str, role: str, match: tuple[str, ...] = ()) -> Counterparty:
        return Counterparty(name, role, named(said.get(name, "FIX.4.4")), match)

    omses = {oms.name: party(oms.name, "oms", oms.match) for oms in setup.omses}
    return omses | {broker.name: party(broker.name, "broker") for broker in setup.brokers}


def message(sender: str, number: int, msg_type: str, body: str, target: str = "FIXGW",
            begin_string: str = "FIX.4.4") -> str:  # fmt: skip
    """A whole FIX message around a body."""
    head = f"35={msg_type}\x0134={number}\x0149={sender}\x0156={target}\x0152=20261123-15:00:00.000\x01"
    inner = f"{head}{body}"
    text = f"8={begin_string}\x019={len(inner)}\x01{inner}"
    return f"{text}10={sum(to_bytes(text)) % 256:03d}\x01"


class Scribe:
    """Writes the journal of a data directory.

    Args:
        data_dir: gets ``journal/``.
        start: what the start record says; by default version and counterparties. None: no start record.
        setup: the configuration; given to the engine at once, with the time and every broker's session up.
        versions: FIX versions of the counterparties, FIX.4.4 where not named.
    """

    def __init__(self, data_dir: Path, start: dict[str, Any] | None = None, setup: Setup = SETUP,
                 versions: Mapping[str, str] | None = None) -> None:  # fmt: skip
        self.data_dir = data_dir
        self.writer = Writer(data_dir / "journal", "never")
        self.engine = Engine()
        self.index = WireIndex(lambda seq: (_ for _ in ()).throw(LookupError(seq)))
        self.parties = parties(setup, versions)
        self.translator = Translator(self.parties, self.index.decision, setup.limits.max_queue_seconds)
        self.ts_ns = STARTED_NS
        self.decided: dict[int, tuple[Output, ...]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        told = {"version": fixgateway.__version__, "parties": describe_parties(self.parties)}
        self.append(Kind.START, encode_json(told if start is None else start))
        self.control(lambda seq, ts_ns: Configure(seq, ts_ns, setup))
        self.control(lambda seq, ts_ns: Tick(seq, ts_ns, TODAY, "10:00:00"))
        for broker in setup.brokers:
            name = broker.name
            self.control(lambda seq, ts_ns, name=name: SessionUp(seq, ts_ns, name))

    def append(self, kind: Kind, payload: bytes, session: str = "") -> int:
        """One record, a millisecond after the last."""
        self.ts_ns += 1_000_000
        return self.writer.append(kind, session, self.ts_ns, payload)

    def control(self, make: Callable[..., Input]) -> tuple[Output, ...]:
        """An input of the gateway's own."""
        given = make(self.writer.next_seq, self.ts_ns + 1_000_000)
        self.append(Kind.CONTROL, encode_input(given))
        return self._decide(given, None)

    def again(self, given: Input) -> tuple[Output, ...]:
        """An input that was made elsewhere, with this journal's number and time."""
        return self.control(lambda seq, ts_ns: replace(given, seq=seq, ts_ns=ts_ns))

    def receive(
        self, session: str, msg_type: str, fields: Iterable[Field], refused: str = ""
    ) -> tuple[Output, ...]:
        """A FIX message of a counterparty; ``refused``: why the FIX engine refuses it."""
        number = self._next(session, "in")
        body = "".join(f"{tag}={value}\x01" for tag, value in fields)
        text = message(session, number, msg_type, body, begin_string=self.parties[session].version.begin_string)
        seen = self.append(Kind.SEEN, to_bytes(text), session)
        seen_ns = self.ts_ns
        if refused:
            seq = self.append(Kind.ENGINE_REFUSED, pack_engine_refused(seen, refused), session)
            what, source = self.translator.refused(session, text, seq, self.ts_ns, refused)
            return self._decide(what, source) if what is not None else ()
        seed = SEED if msg_type == "J" and self.parties[session].role == "oms" else ""
        seq = self.append(Kind.ACCEPTED, pack_accepted(seen, number, 0, seed), session)
        if not concerns_core(msg_type):
            return ()
        given, source = self.translator.accepted(session, text, seq, self.ts_ns, seen_ns, number, seed)
        return self._decide(given, source)

    def _decide(self, given: Input, source: Message | None) -> tuple[Output, ...]:
        outputs = self.decided[given.seq] = self.engine.apply(given)
        if outputs:
            self.append(Kind.DECISION, encode_outputs(given.seq, outputs))
        for number, output in enumerate(outputs):
            # An order given as a control input has no text that could be forwarded.
            if is_message(output) and (source or not isinstance(output, ForwardToBroker | PassToOms)):
                session = destination(output)
                built = self.translator.build(output, given.ts_ns, source)
                sent = self._next(session, "out")
                text = message("FIXGW", sent, built.msg_type, built.body, session)
                seq = self.append(Kind.WIRE_OUT, pack_wire_out(given.seq, number, text.encode()), session)
                self.index.note(session, sent, given.seq, number, text, seq)
        return outputs

    def _next(self, session: str, way: str) -> int:
        number = self._numbers[session, way] = self._numbers.get((session, way), 0) + 1
        return number

    def close(self) -> Path:
        """Write what is pending; returns the data directory."""
        self.writer.close()
        return self.data_dir


def rewritten(data_dir: Path, to: Path, change: Callable[[Record], Sequence[Record]]) -> Path:
    """A journal as somebody with the means would forge it: records changed, all checksums right.

    Args:
        data_dir: the original. to: the data directory of the forgery.
        change: the records to write in the place of one; their ``seq`` is what the writer gives them.
    """
    with Writer(to / "journal", "never") as writer:
        for record in read(data_dir):
            for new in change(record):
                writer.append(new.kind, new.session, new.ts_ns, new.payload)
    return to


# ---------------------------------------------------------------- journals to read

LINES = ((79, "CLIENT-A"), (80, 25000), (79, "CLIENT-B"), (80, 10000), (79, "CLIENT-C"), (80, 5000),
         (79, "PROP"), (80, 10000))  # fmt: skip
STATEMENT = ((70, "S-1"), (71, 0), (626, 2), (857, 0), (54, 1), (55, "XYZ"), (53, 50000), (6, 0), (75, "20261123"),
             (78, 4), *LINES)  # fmt: skip
ORDER = ((11, "C1"), (70, "S-1"), (55, "XYZ"), (54, 1), (60, "20261123-15:00:00"), (38, 50000), (40, 1))


def report(exec_id: str, exec_type: str, status: str, cum: int, *more: Field) -> list[Field]:
    """Body of a broker's report of order C1."""
    head = [(37, "B1"), (17, exec_id), (150, exec_type), (39, status), (11, "C1"), (55, "XYZ"), (54, 1)]
    return [*head, (38, 50000), (14, cum), (151, 0), (6, 0), *more]


def worked_example(data_dir: Path) -> Scribe:
    """The worked example as FIX messages, from the blocked order to the broker's P."""
    scribe = Scribe(data_dir)
    scribe.receive("OMS1", "0", [])
    scribe.receive("OMS1", "D", [(11, "C0"), *ORDER[1:]])
    scribe.receive("OMS1", "J", STATEMENT)
    scribe.receive("OMS1", "D", ORDER)
    scribe.receive("BRK1", "8", report("E0", "0", "0", 0))
    for number in (1, 2, 3):
        scribe.receive("BRK1", "8", report(f"E{number}", "F", "1", number * 10000, (32, 10000), (31, "100")))
    scribe.receive("BRK1", "8", report("E4", "4", "4", 30000))
    assert scribe.engine.state is not None
    (sent,) = scribe.engine.state.allocations
    scribe.receive("BRK1", "P", [(70, sent), (60, "20261123-15:00:00"), (87, 0)])
    return scribe


def random_day(data_dir: Path, seed: int) -> Scribe:
    """A random day of statements, orders, fills, busts and halts as control inputs."""
    chance, world, scribe = random.Random(seed), World(), Scribe(data_dir)
    begin = len(world.inputs)
    for number in range(60):
        lines = [(name, str(chance.randint(1, 60))) for name in chance.sample(("CLIENT-A", "PROP", "X1", "X2"), 3)]
        world.submit(draft(f"S{number}", lines))
        world.order(f"C{number}", str(chance.randint(1, 100)), f"S{chance.randint(0, number)}")
        world.fill(str(chance.randint(1, 30)), "10.03", f"C{chance.randint(0, number)}", exec_id=f"E{number}")
        world.execution(ExecKind.CANCELLED, f"C{chance.randint(0, number)}", f"X{number}")
        world.execution(ExecKind.BUST, f"C{chance.randint(0, number)}", f"B{number}",
                        exec_ref_id=f"E{chance.randint(0, number)}")  # fmt: skip
        world.operate(chance.choice(("halt", "resume")), chance.choice(("all", "BRK1")))
    world.tick(TODAY, "19:00:00")
    for given in world.inputs[begin:]:
        scribe.again(given)
    return scribe
