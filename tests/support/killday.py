"""A trading day of two OMSs and two brokers during which the gateway is killed again and again."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import httpx
from forks import ForkServer
from killday_broker import Broker
from killday_check import Day, complaints, unanswered
from killday_oms import Oms
from killday_tape import Tape
from live import HOST, Live

from fixgateway.errors import CounterpartyError
from fixgateway.records import queries
from fixgateway.records.database import connect
from fixgateway.sim.peer import Peer

OMSES, BROKERS = ("OMS1", "OMS2"), ("BRK1", "BRK2")
PAUSE_SECONDS = 0.01
"""Longest pause between two things one counterparty does."""
DOWN_PAUSE_SECONDS = 0.2
"""The same while it is not logged on: what it does then waits for the gateway."""
KILL_SECONDS = 0.1
"""Longest time between the message that a kill waits for and the kill."""
START_SECONDS = 0.8
"""Longest life of a gateway that is killed while it starts."""
LIFE_SECONDS = 30.0
"""How long a gateway may take to let a kill's message through."""
QUIET_SECONDS = 0.5
"""How long nobody says anything when a day is over."""
EXPECTED = ("GW-802", "GW-806", "GW-809", "GW-810", "GW-813", "GW-851", "GW-871")
"""Exceptions such a day brings: overfills by late fills, allocations and orders refused, doubts, late changes, cents
that nobody may bear, changes of allocations refused."""
SETTLE_SECONDS = 40.0
"""How long the end of the day may take until everything is answered."""


@dataclass
class Result:
    """What a day was; ``wrong`` is empty when it was good."""

    seed: int
    kills: int = 0
    killed_starting: int = 0
    orders: int = 0
    requests: int = 0
    at_brokers: int = 0
    executions: int = 0
    allocations: int = 0
    records: int = 0
    reported_in_doubt: int = 0
    left_in_doubt: int = 0
    stores_cut: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"seed {self.seed}: {self.kills} kills ({self.killed_starting} while starting), {self.orders} orders "
            f"({self.at_brokers} at brokers), {self.requests} changes and cancels, {self.executions} executions, "
            f"{self.allocations} allocations, {self.reported_in_doubt} reported in doubt ({self.left_in_doubt} "
            f"never answered), {self.stores_cut} times killed while a message was stored, {self.records} records, "
            f"{self.seconds:.1f} s"
        )


class KillDay:
    """One seeded day.

    Args:
        directory: for the gateway's files; the caller keeps or removes it.
        seed: of everything that is random but the machine's timing.
        kills: how often the gateway is killed.
    """

    def __init__(self, directory: Path, seed: int, kills: int) -> None:
        self.tape = Tape()
        self.result = Result(seed)
        self._kills = kills
        self._chance = random.Random(f"{seed}/kills")
        self._going = threading.Event()
        self._open = threading.Event()
        self._threads: list[threading.Thread] = []
        self._to_cut: Oms | None = None
        self.omses = {name: Oms(name, BROKERS, f"{seed}/{name}") for name in OMSES}
        self.brokers = {name: Broker(name, f"{seed}/{name}") for name in BROKERS}
        names: dict[str, dict[str, object]] = {name: {} for name in OMSES}
        self.live = Live(directory, omses=names, brokers={name: {} for name in BROKERS}, down=BROKERS)
        self._forks = ForkServer()

    # ------------------------------------------------------------ the day

    def run(self) -> Result:
        """The whole day; raises when it cannot go on, else says what is wrong in the result."""
        before = time.monotonic()
        with self._forks, self.live:
            try:
                self._begin()
                while self.result.kills < self._kills:
                    self._one_life()
                self._end_of_trading()
            finally:
                self._going.clear()
                for thread in self._threads:
                    thread.join(20)
            self.result.wrong += self.judge()
            self.result.wrong += self._after_the_stop()
        self.result.seconds = time.monotonic() - before
        return self.result

    def _begin(self) -> None:
        """Everybody comes, logs on and begins to trade."""
        for name, broker in self.brokers.items():
            on_wire = self.tape.recorder(name)
            port = self.live.ports[name]
            peer = Peer.listen(HOST, port, name, "FIXGW", on_message=broker.on_message, on_wire=on_wire)
            self.live.brokers[name] = broker.peer = peer
        self._launch()
        for name, oms in self.omses.items():
            oms.peer = self.live.oms(
                name,
                timeout_seconds=LIFE_SECONDS,
                keep_when_down=True,
                on_message=oms.on_message,
                on_wire=self.tape.recorder(name),
            )
        self._going.set()
        self._open.set()
        for actor in self._actors():
            self._thread(actor.name, partial(self._trade, actor))
        for oms in self.omses.values():
            self._thread(f"{oms.name}-line", partial(self._stay_connected, oms))
        self._thread("operator", self._operate)

    def _actors(self) -> list[Oms | Broker]:
        return [*self.omses.values(), *self.brokers.values()]

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _launch(self) -> None:
        arguments = ["run", "-c", str(self.live.config)]
        self.live.process = cast("subprocess.Popen[bytes]", self._forks.run(arguments, self.live.log))

    # ------------------------------------------------------------ threads

    def _trade(self, actor: Oms | Broker) -> None:
        chance = random.Random(f"{self.result.seed}/{actor.name}/pace")
        while self._going.is_set():
            peer = actor.peer
            if self._open.is_set():
                actor.step()
            up = peer is not None and peer.logged_on
            time.sleep(chance.uniform(0, PAUSE_SECONDS if up else DOWN_PAUSE_SECONDS))

    def _stay_connected(self, oms: Oms) -> None:
        """An OMS comes back by itself, as every initiator does; its line breaks when the day says so."""
        chance = random.Random(f"{self.result.seed}/{oms.name}/line")
        while self._going.is_set():
            if oms.peer is None:
                return
            if self._to_cut is oms:
                self._to_cut = None
                oms.peer.drop(reset=chance.random() < 0.5)
            if not oms.peer.logged_on:
                with suppress(CounterpartyError):
                    oms.peer.reconnect(3)
            time.sleep(0.02)

    def _operate(self) -> None:
        """Somebody closes a statement now and then."""
        chance = random.Random(f"{self.result.seed}/operator")
        while self._going.is_set():
            time.sleep(chance.uniform(0, 0.4))
            known = chance.choice(list(self.omses.values())).statements()
            if self._open.is_set() and known:
                self._close(chance.choice(known))

    def _close(self, statement_id: str) -> bool:
        """Ask the gateway to close a statement; whether it answered."""
        url = f"http://{HOST}:{self.live.http_port}/api/statements/{statement_id}/close"
        try:
            httpx.post(url, json={"actor": "desk", "reason": "done"}, timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        return True

    # ------------------------------------------------------------ lives and deaths

    def _one_life(self) -> None:
        """One process is killed: as it starts, or some time after some message; then the next one is started."""
        chance = self._chance
        if self.result.kills and chance.random() < 0.25:
            time.sleep(chance.uniform(0, START_SECONDS))
            self.result.killed_starting += 1
        else:
            few = chance.random() < 0.4
            self._wait_messages(chance.randint(1, 12) if few else chance.randint(12, 400))
            if chance.random() < 0.15:
                self._cut()
                self._wait_messages(chance.randint(1, 100))
            if chance.random() < 0.7:
                time.sleep(chance.uniform(0, KILL_SECONDS))
        self._still_there()
        self.live.kill()
        self.result.kills += 1
        if chance.random() < 0.1:
            time.sleep(chance.uniform(0, 0.5))
        self._launch()

    def _wait_messages(self, count: int) -> None:
        """Until so many more frames were heard by anybody."""
        wanted = len(self.tape) + count
        deadline = time.monotonic() + LIFE_SECONDS
        while len(self.tape) < wanted:
            self._still_there()
            assert time.monotonic() < deadline, f"nothing moves for {LIFE_SECONDS} s:\n{self.live.tail()}"
            time.sleep(0.001)

    def _still_there(self) -> None:
        process = self.live.process
        assert process is not None
        status = process.poll()
        assert status is None, f"the gateway ended by itself with {status}:\n{self.live.tail()}"

    def _cut(self) -> None:
        """A counterparty's line breaks."""
        actor = self._chance.choice(self._actors())
        if isinstance(actor, Oms):
            self._to_cut = actor  # by the thread that connects it, and never while it connects
        elif actor.peer is not None:
            actor.peer.drop(reset=self._chance.random() < 0.5)

    # ------------------------------------------------------------ the end

    def _end_of_trading(self) -> None:
        """No new orders; all sessions up; open orders end; every statement is closed; all is answered."""
        self._open.clear()
        deadline = time.monotonic() + SETTLE_SECONDS
        self._wait_ready()
        while not (self._finished() and self._quiet()):
            self._still_there()
            assert time.monotonic() < deadline, f"no quiet: {self._states()}"
        for oms in self.omses.values():
            for statement_id in oms.statements():
                assert self._close(statement_id), f"{statement_id} cannot be closed:\n{self.live.tail()}"
        deadline = time.monotonic() + SETTLE_SECONDS  # anew: a thousand statements take a while to close
        while not self._quiet() or (self.judge() and time.monotonic() < deadline):
            self._still_there()
            assert time.monotonic() < deadline + QUIET_SECONDS, f"no quiet: {self._states()}"

    def _finished(self) -> bool:
        """End what is open at the brokers; whether nothing was."""
        open_before = [broker.finish() for broker in self.brokers.values()]
        return all(open_before)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + LIFE_SECONDS
        while True:
            self._still_there()
            with suppress(httpx.TransportError):
                peers = [actor.peer for actor in self.omses.values()]
                up = all(peer is not None and peer.logged_on for peer in peers)
                if self.live.http.get("/readyz").status_code == 200 and up:
                    return
            assert time.monotonic() < deadline, (
                f"not ready in {LIFE_SECONDS} s: {self._states()}\n{self.live.tail()}"
            )
            time.sleep(0.05)

    def _quiet(self) -> bool:
        """Whether nothing is heard for a while."""
        before = len(self.tape)
        time.sleep(QUIET_SECONDS)
        return len(self.tape) == before

    def _states(self) -> dict[str, str]:
        return {
            name: f"logged on {peer.logged_on} {peer.inbox.last_words()}"
            for name, peer in {**self.live.omses, **self.live.brokers}.items()
        }

    def judge(self) -> list[str]:
        """What the tape says against the gateway; counts what there was."""
        doubtful = self._doubtful()
        day = Day(list(self.tape.entries), OMSES, BROKERS)
        result = self.result
        result.orders = sum(1 for _ in day.oms_sent("D"))
        result.requests = sum(1 for _ in day.oms_sent("G", "F"))
        result.at_brokers = sum(1 for _ in day.broker_got("D"))
        result.executions = sum(1 for _ in day.broker_sent("8"))
        result.allocations = sum(1 for _ in day.broker_got("J"))
        result.reported_in_doubt = len(doubtful)
        result.stores_cut = self.live.log.read_bytes().count(b"store.torn_end_cut")
        result.left_in_doubt = sum(1 for _, name, _ in unanswered(day) if name in doubtful)
        return complaints(day, doubtful)

    def _doubtful(self) -> set[str]:
        """Orders the gateway reports as in doubt, by the documented way: exceptions GW-809."""
        return {subject for (subject,) in self.live.rows("SELECT subject FROM exceptions WHERE reason = 'GW-809'")}

    def _after_the_stop(self) -> list[str]:
        """Stop; then the journal verifies, replay agrees, a rebuilt database is the same, nothing odd is in it."""
        live, wrong = self.live, []
        marks = ", ".join("?" * len(EXPECTED))
        odd = live.rows(f"SELECT reason, subject, text FROM exceptions WHERE reason NOT IN ({marks})", *EXPECTED)
        wrong += [f"exception {row}" for row in odd]
        self.result.records = live.get("/api/status")["journal_records"]
        status = live.stop()
        wrong += [f"the stop ended with {status}"] if status else []
        wrong += [f"bug event {r.payload!r}" for r in live.records() if r.payload.startswith(b"bug: ")]
        data_dir = str(live.data_dir)
        before = self._dump()
        for command in (
            ["journal", "verify", data_dir],
            ["replay", data_dir],
            ["records", "rebuild", "-c", str(live.config)],
        ):
            log = live.directory / f"{command[0]}.log"
            status = self._forks.run(command, log).wait(120)
            wrong += [f"{command}: exit {status}: {log.read_text()}"] if status else []
        wrong += [] if self._dump() == before else ["the database differs from one rebuilt from the journal"]
        return wrong

    def _dump(self) -> str:
        """Every row of the database of the gateway, which is not running."""
        database = connect(f"sqlite:///{self.live.data_dir}/records.db", self.live.data_dir)
        try:
            return queries.dump(database)
        finally:
            database.dispose()
