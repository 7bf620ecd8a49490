"""One simulated day: the real pump, writer, sender and recovery between simulated lines, on a simulated disk.

What runs is the product: :class:`~fixgateway.gateway.Gateway`'s own start, :meth:`Pump.run` and everything they
use. In its place stand only the FIX engine (:mod:`line`), the clock, randomness and what makes files durable
(:mod:`disk`). There is one thread: whenever the pump asks its inbox for work, the world goes on a little.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from brokers import Broker
from disk import Crash, Disk, Kind
from engine_end import SimHost
from judge import Judge
from line import Broken, End, Msg, show
from omses import Oms
from setting import MILLISECOND, SECOND, Line, Troubles, in_place

from fixgateway import gateway, snapshots
from fixgateway.config.settings import Settings
from fixgateway.core.engine import Engine
from fixgateway.core.inputs import Input, Operator
from fixgateway.errors import FixgatewayError
from fixgateway.journal.codec import encode_json
from fixgateway.journal.growth import Comparison, Known
from fixgateway.journal.reader import verify
from fixgateway.journal.records import Kind as RecordKind
from fixgateway.journal.scan import Walk
from fixgateway.pump import Command
from fixgateway.replay import replay

START = datetime(2026, 11, 23, 15, tzinfo=UTC)
CUT_OFF = datetime(2026, 11, 24, 0, 1, tzinfo=UTC)
"""19:01 in New York."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROUNDS_MAX = 600
TRACE_LINES = int(os.environ.get("FIXGATEWAY_TRACE", "60"))


class Day:
    """One day made from a seed.

    Args:
        seed: decides everything. directory: gets ``var``, the data directory; emptied first.
        given: from :func:`configured`. troubles: how bad a day.

    Attributes:
        trace: the last things that happened, for a failure's message. tally: how often what happened.
    """

    def __init__(self, seed: int, directory: Path, given: Settings, troubles: Troubles | None = None) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.troubles = troubles or Troubles()
        self.settings = given
        self.var = directory / "var"
        shutil.rmtree(self.var, ignore_errors=True)
        self.var.mkdir(parents=True)
        self.disk = Disk(self.var, self.chance)
        self.disk.on_sync = lambda: self.interfere(0.2)
        self.now_ns = (START - EPOCH) // timedelta(microseconds=1) * 1000
        self.skew_ns = 0
        self.boot = 1
        self.trace: deque[str] = deque(maxlen=TRACE_LINES)
        self.tally: Counter[str] = Counter()
        self.bug = ""
        today = f"{START:%Y%m%d}"
        brokers = ("BRK1", "BRK2")
        self.omses = [Oms(End(name, "FIXGW", self.utc), self.chance, today, brokers) for name in ("OMS1", "OMS2")]
        self.brokers = [Broker(End(name, "FIXGW", self.utc), self.chance) for name in brokers]
        actors: list[Oms | Broker] = [*self.omses, *self.brokers]
        self.lines = {actor.name: Line(actor, actor.end) for actor in actors}
        for oms in self.omses:
            oms.end.initiator = True
        self.judge = Judge(self.disk, self.var / "journal", self.omses, self.brokers)
        self.host: SimHost | None = None
        self.gateway: Any = None
        self.inputs: list[Input] = []
        self.shadow = Engine()
        self.known: list[Known] = []
        self.messages = 0
        self.crashes_left = self.chance.randint(0, self.troubles.crashes)
        self.steps = self.chance.randint(100, 320)
        self.stop_at = self.chance.choice((0, 0, self.chance.randint(1, self.steps)))
        self.phase, self.rounds, self.quiet = "trade", 0, 0
        self.running = False

    # ------------------------------------------------------------ running

    def run(self) -> Day:
        """The whole day; raises :class:`Broken`."""
        with in_place(self), self.disk.installed():
            while True:
                try:
                    self._plan_crash()
                    self._start()
                    self.gateway._pump.run()
                    if self._over:
                        break
                    self._stop()
                except Crash as crash:
                    self._crashed(str(crash))
                except FixgatewayError as error:
                    raise Broken(f"the gateway did not start: {type(error).__name__}: {error}") from error
                if self.bug:
                    raise Broken(self.bug)
            self._judge_all()
        return self

    @property
    def _over(self) -> bool:
        return self.phase == "over"

    def _plan_crash(self) -> None:
        if self.crashes_left and self.phase == "trade":
            # Now and then so soon that the start itself is hit.
            self.disk.crash_after(self.chance.choice((self.chance.randint(1, 60), self.chance.randint(1, 700))))

    def _start(self) -> None:
        self.host = None
        if self.judge.journal.last_seq and self.chance.random() < 0.4:
            snapshots.make(self.var, (), lambda path, why: self.say(f"snapshot {path.name}: {why}"))
            self.tally["snapshots"] += 1
        made: Any = gateway.Gateway(self.settings)
        self.gateway = made
        made._lock()
        base = made._open_journal()
        last_seq = made._writer.next_seq - 1
        self.tally["starts from a snapshot"] += base.records > 0
        made._recover(base)
        self._compare(made._memory.engine, last_seq)
        made._first_records()
        for name, line in self.lines.items():
            line.engine = made._host.ends[name]
        self.judge.journal.update(self.disk, self.var / "journal")
        self.judge.resets_before = Counter(self.judge.journal.resets)
        self.running = True
        self.say(f"started, {last_seq} records found")

    def _compare(self, engine: Engine, last_seq: int) -> None:
        """The state recovered is the state before the crash, as far as it was kept."""
        for given in self.inputs:
            if given.seq <= last_seq:
                self.shadow.apply(given)
        self.inputs.clear()
        if engine.state != self.shadow.state:
            raise Broken(f"the state recovered from {last_seq} records is not the one before the crash")
        apply = engine.apply

        def remembering(given: Input) -> Any:
            self.inputs.append(given)
            return apply(given)

        engine.apply = remembering  # type: ignore[method-assign]
        self.judge.engine = engine

    def _crashed(self, where: str) -> None:
        kind: Kind = "power" if self.chance.random() < self.troubles.power else "kill"
        self.say(f"{kind} at: {where}")
        self.running = False
        self.tally[kind] += 1
        if kind == "power":
            self.judge.lost_sight.update(self.lines)
        self.crashes_left -= 1
        for line in self.lines.values():
            self._cut(line)
        self.judge.journal.update(self.disk, self.var / "journal")
        self.disk.restart(kind)
        if self.host is not None:
            for end in self.host.ends.values():
                end.leave(kind, self.chance)
        self.disk.restart("kill")
        self.boot += kind == "power"
        self.now_ns += self.chance.randint(1, 40) * SECOND
        if any(self.var.glob("journal/*.fgj")):
            found = verify(self.var)
            self.tally["torn"] += bool(found.torn_tail)
            if not found.verified and not found.torn_tail:
                raise Broken(f"after the crash the journal does not verify: {found.damage}")

    def _stop(self) -> None:
        """An orderly stop, as :meth:`Gateway.stop` does it, and a start after it."""
        made = self.gateway
        made._writer.append(RecordKind.STOP, "", made._clock.now_ns(), encode_json({"why": "asked"}))
        made._writer.sync()
        self.running = False
        for line in self.lines.values():
            self._cut(line)
        made._writer.close()
        self.disk.restart("kill")
        assert self.host is not None
        for end in self.host.ends.values():
            end.leave("kill", self.chance)
        self.disk.restart("kill")
        self.phase = "trade"
        self.tally["stop"] += 1
        self.say("stopped")

    def utc(self) -> str:
        """The time as FIX writes it."""
        return f"{EPOCH + timedelta(microseconds=self.now_ns // 1000):%Y%m%d-%H:%M:%S.%f}"[:-3]

    def say(self, what: str) -> None:
        """Remember what happened."""
        self.trace.append(f"{self.utc()[9:]} {what}")

    # ------------------------------------------------------------ what happens meanwhile

    def go_on(self, max_items: int) -> int:
        """The pump looks for work: let time pass; how many items it may take now."""
        self.disk.point("the pump looks for work")
        if self.chance.random() < 0.1:
            self.known.append(Known(self.gateway._writer.head, "the simulation"))
        if self.phase == "trade":
            for _ in range(self.chance.randint(1, 6)):
                self._step()
            if self.stop_at and self.steps < self.stop_at:
                self.stop_at, self.phase, self.rounds, self.quiet = 0, "stopping", 0, 0
                self.disk.crash_after(0)
                self._operate("stop", "all")
            elif self.steps <= 0:
                self.phase, self.rounds, self.quiet = "settle", 0, 0
                self.disk.crash_after(0)
            return self.chance.choice((1, 3, max_items, max_items))
        if self.phase == "stopping":
            self._stopping()
        else:
            self._round()
        if self.phase in ("over", "stopped"):
            self.gateway._pump.stop()
        return max_items

    def _stopping(self) -> None:
        """The order of :meth:`Gateway.stop`: orders off, OMSs out, then brokers, the inbox empty each time."""
        self.rounds += 1
        self.now_ns += 100 * MILLISECOND
        if self.rounds == 3:
            for oms in self.omses:
                self._cut(self.lines[oms.name])
        elif self.rounds == 6:
            for broker in self.brokers:
                self._cut(self.lines[broker.name])
        elif self.rounds == 9:
            self.phase = "stopped"
        elif self.rounds < 6:
            self._network()

    def interfere(self, chance: float) -> None:
        """The FIX engine's threads go on while the pump is at work."""
        if self.running and self.chance.random() < chance:
            for _ in range(self.chance.randint(1, 3)):
                self._network()

    def _step(self) -> None:
        self.steps -= 1
        self.now_ns += self.chance.choice((1, 5, 20, 200, 700)) * MILLISECOND
        kind = self.chance.random()
        if kind < 0.55:
            self._network()
        elif kind < 0.72:
            oms = self.chance.choice(self.omses)
            if not self.lines[oms.name].reset_done:
                oms.act()
        elif kind < 0.90:
            self._broker_acts(self.chance.choice(self.brokers))
        else:
            self._connect_one()
        self._trouble()

    def _broker_acts(self, broker: Broker) -> None:
        if self.lines[broker.name].reset_done:
            return  # after a reset it first says again what it said, in its order
        broker.act()
        self._check_cover(broker)

    def _check_cover(self, broker: Broker) -> None:
        for held in broker.orders.values():
            self.judge.covered(held)

    def _connect_one(self) -> None:
        down = [line for line in self.lines.values() if self._can_connect(line)]
        if down:
            self._connect(self.chance.choice(down), self.chance.random() < self.troubles.reset)

    def _can_connect(self, line: Line) -> bool:
        """Whether it is not connected, and an engine's thread is there to notice."""
        assert self.host is not None
        return not line.end.connected and not self.host.blocked(line.end.name)

    def _connect(self, line: Line, reset: bool) -> None:
        engine = line.engine
        assert engine is not None
        reset = reset or line.reset_done  # the last attempt broke off
        line.end.resets_at_logon = reset
        for end in (engine, line.end):
            end.connect()
        self.tally["141=Y"] += reset
        self.say(f"{line.end.name} connects{' with 141=Y' if reset else ''}")

    def _network(self) -> None:
        """One message arrives."""
        ways = self._ways()
        if ways:
            self._deliver(*self.chance.choice(ways))

    def _ways(self) -> list[tuple[Line, int]]:
        """Where a message can arrive: at the gateway's end not while the engine's thread waits."""
        assert self.host is not None
        self.host.wake()
        return [
            (line, to)
            for line in self.lines.values()
            for to in (0, 1)
            if self._queue(line, to) and not (to and self.host.blocked(line.end.name))
        ]

    @staticmethod
    def _queue(line: Line, to_gateway: int) -> deque[Msg] | None:
        if to_gateway:
            return line.end.wire
        return line.engine.wire if line.engine is not None else None

    def _deliver(self, line: Line, to_gateway: int) -> None:
        queue = self._queue(line, to_gateway)
        assert queue is not None
        msg = queue.popleft()
        if msg.kind not in "01":
            self.messages += 1
            self.tally[msg.kind] += 1
            self.tally["43=Y"] += msg.dup
            self.tally["97=Y"] += msg.has(97, "Y")
            self.say(f"{'>' if to_gateway else '<'} {line.end.name} {show(msg.text[msg.text.index('35=') :])}")
        if to_gateway:
            assert line.engine is not None
            line.engine.receive(msg)
        else:
            line.end.receive(msg)
            if msg.kind in "DG" and isinstance(line.actor, Broker):
                self._check_cover(line.actor)
        if line.reset_done and line.end.up:
            line.reset_done = False
            line.actor.after_reset()

    def _cut(self, line: Line) -> None:
        """The connection breaks: of what was on its way some still arrives at the counterparty."""
        engine = line.engine
        if line.end.connected and engine is not None:
            for _ in range(self.chance.randint(0, len(engine.wire))):
                self._deliver(line, 0)
        line.end.drop()
        if self.running and engine is not None:
            engine.drop()
        if not self.running:
            line.engine = None

    def _trouble(self) -> None:
        t = self.troubles
        for line in self.lines.values():
            if line.engine is not None and line.engine.closing and self.chance.random() < 0.5:
                self._cut(line)
        if self.chance.random() < t.drop:
            line = self.chance.choice(list(self.lines.values()))
            if line.end.connected:
                self.tally["drops"] += 1
                self.say(f"{line.end.name} drops")
                self._cut(line)
        if self.chance.random() < t.lose:
            self._lose()
        if self.chance.random() < t.repeat:
            self._repeat()
        if self.chance.random() < t.clock:
            self.skew_ns = self.chance.choice((0, 3 * SECOND, 10 * SECOND))
        if self.chance.random() < 0.005:
            self._operate(self.chance.choice(("halt", "resume")), self.chance.choice(("all", "BRK1", "OMS2")))
            self._operate("resume", "all")
        if self.chance.random() < 0.005:
            names = [name for oms in self.omses for name in oms.intents]
            if names:
                self._operate("close", self.chance.choice(names))

    def _operate(self, action: str, target: str) -> None:
        assert self.host is not None
        self.say(f"operator {action} {target}")
        self.host.inbox.put(Command(lambda seq, ts: Operator(seq, ts, "desk", action, target, "simulated")))

    def _lose(self) -> None:
        """A message vanishes from the line; the next one shows the gap."""
        found = [
            (queue, at)
            for line in self.lines.values()
            for to in (0, 1)
            if (queue := self._queue(line, to)) is not None
            for at, msg in enumerate(queue)
            if msg.kind not in "012345A" and not msg.dup
        ]
        if found:
            queue, at = self.chance.choice(found)
            self.say(f"lost: {show(queue[at].text)}")
            del queue[at]

    def _repeat(self) -> None:
        """A counterparty sends an old message again, marked as one."""
        line = self.chance.choice(list(self.lines.values()))
        if line.end.up and line.end.sent:
            line.end._resend(self.chance.choice(list(line.end.sent)))

    # ------------------------------------------------------------ coming to rest

    def _round(self) -> None:
        """Everything that can move, moves; quiet for long enough: the next part of the day."""
        self.rounds += 1
        if self.rounds > ROUNDS_MAX:
            raise Broken(f"the day does not come to rest in {self.phase}")
        before = self.messages
        self.now_ns += 3 * SECOND
        self.skew_ns = 0
        for line in self.lines.values():
            if line.engine is not None and line.engine.closing:
                self._cut(line)
            if self._can_connect(line):
                self._connect(line, False)
            if self.rounds % 2 and line.end.up and line.engine is not None and line.engine.up:
                line.end.send("0", "")
                line.engine.send("0", "")
        for _ in range(10_000):
            ways = self._ways()
            if not ways:
                break
            self._deliver(*self.chance.choice(ways))
        for broker in self.brokers:
            if self.lines[broker.name].reset_done:
                continue  # as in _broker_acts
            while broker.busy:
                broker.answer()
            if self.phase == "settle":
                broker.finish()
        self.quiet = self.quiet + 1 if self.messages == before else 0
        if self.quiet > 6:
            self._next_phase()

    def _next_phase(self) -> None:
        self.rounds = self.quiet = 0
        self.say(f"{self.phase} is over")
        if self.phase == "settle":
            self.phase = "cut-off"
            self.now_ns = max(self.now_ns, (CUT_OFF - EPOCH) // timedelta(microseconds=1) * 1000)
        elif self.phase == "cut-off":
            self.phase = "late"
            for broker in self.brokers:
                found = [held for held in broker.orders.values() if held.fills]
                if found and self.chance.random() < 0.5:
                    broker.amend(self.chance.choice(found))
        else:
            self.phase = "over"

    # ------------------------------------------------------------ the verdict

    def _judge_all(self) -> None:
        made = self.gateway
        self.tally["messages"] = self.messages
        said = [body for broker in self.brokers for _, body in broker.reports.values()]
        self.tally["busts"] = sum("150=H" in body for body in said)
        self.tally["allocations"] = sum(len(broker.alloc_ids) for broker in self.brokers)
        made._writer.sync()
        state = made._memory.engine.state
        self.judge.close(state)
        last_seq = made._writer.next_seq - 1
        made._writer.close()
        made.abandon()
        self.disk.restart("power")  # everything was synced: nothing may be missing
        found = verify(self.var)
        if not found.verified or found.records != last_seq:
            raise Broken(f"{found.records} of {last_seq} records verify: {found.damage}")
        comparison = Comparison(self.var / "journal", self.known)
        for _ in comparison.feed(Walk(self.var / "journal").bodies()):
            pass
        comparison.finish()
        told = replay(self.var)
        if not told.agrees or told.bugs or told.undecided:
            raise Broken(f"replay differs: {told.first.text if told.first else told}")
        for given in self.inputs:
            self.shadow.apply(given)
        if self.shadow.state != state:
            raise Broken("the inputs decided again give another state")
