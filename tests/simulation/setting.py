"""What a simulated day is played with: configuration, troubles, and what stands in for log and inbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from brokers import Broker
from engine_end import EngineEnd, SimHost
from line import Broken, End
from live import POLICY as LIVE_POLICY
from omses import Oms

from fixgateway import clock, gateway, pump
from fixgateway import disk as watch
from fixgateway.config import settings
from fixgateway.config.settings import Settings
from fixgateway.sessions.inbox import Inbox
from fixgateway.sim.process import ACCOUNTS

MILLISECOND, SECOND = 1_000_000, 1_000_000_000

POLICY = LIVE_POLICY.replace('allocate = "off"', 'allocate = "19:00"')
CONFIG = """\
[gateway]
comp_id = "FIXGW"
data_dir = "var"
[journal]
segment_bytes = 65536
reserve_bytes = 0
min_free_bytes = 0
[[oms]]
comp_id = "OMS1"
brokers = ["BRK1", "BRK2"]
[[oms]]
comp_id = "OMS2"
brokers = ["BRK1", "BRK2"]
[[broker]]
comp_id = "BRK1"
host = "127.0.0.1"
port = 1
max_unacked_seconds = 10
[[broker]]
comp_id = "BRK2"
host = "127.0.0.1"
port = 2
max_unacked_seconds = 10
"""


def configured(directory: Path) -> Settings:
    """The configuration of every simulated gateway, in ``directory``."""
    for name, text in (("policy.toml", POLICY), ("accounts.csv", ACCOUNTS), ("gateway.toml", CONFIG)):
        (directory / name).write_text(text)
    given, problems = settings.read(str(directory / "gateway.toml"))
    assert given is not None, problems
    return given


@dataclass(frozen=True, slots=True)
class Troubles:
    """How often things go wrong; a day without any must pass too.

    ``crashes`` is the most in a day; the rest are chances in each step.
    """

    crashes: int = 4
    power: float = 0.5
    drop: float = 0.02
    lose: float = 0.02
    repeat: float = 0.01
    reset: float = 0.15
    clock: float = 0.002


class Line:
    """A counterparty's end, who acts behind it, and the gateway's end while there is a gateway."""

    def __init__(self, actor: Oms | Broker, end: End) -> None:
        self.actor, self.end = actor, end
        self.engine: EngineEnd | None = None
        self.reset_done = False
        end.reset_told = self._on_reset

    def _on_reset(self) -> None:
        self.reset_done = True


class Log:
    """In the place of the structured log: the last lines, and a bug of the gateway's is the end."""

    def __init__(self, day: Any) -> None:
        self._day = day

    def _line(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if event in ("gateway.bug", "pump.failed"):
            self._day.bug = f"{event}: {fields.get('error')}"
            raise Broken(self._day.bug)
        if level in ("warning", "error", "critical"):
            self._day.say(f"log {event} {fields}")

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self._line(level, event, fields)

    def log(self, _level: int, event: str, **fields: Any) -> None:
        """A line of a decision."""


class SimInbox(Inbox[Any]):
    """The inbox, in which the world goes on whenever the pump looks for work."""

    day: Any = None

    def get_batch(self, max_items: int, _timeout_seconds: float) -> list[Any]:
        """See :class:`Inbox`."""
        wanted = self.day.go_on(max_items)
        return super().get_batch(wanted, 0) if wanted else []


@contextmanager
def in_place(day: Any) -> Iterator[None]:
    """Put the simulated parts in the places of session host, inbox, log, clocks, randomness and boot id."""

    def leave(status: int) -> NoReturn:
        raise Broken(f"the gateway left with {status}")

    times = SimpleNamespace(
        time_ns=lambda: day.now_ns - day.skew_ns,
        monotonic=lambda: day.now_ns / SECOND,
        monotonic_ns=lambda: day.now_ns,
        perf_counter=lambda: day.now_ns / SECOND,
    )
    secrets = SimpleNamespace(token_hex=lambda size: f"{day.chance.getrandbits(size * 8):0{size * 2}x}")
    SimHost.world = SimInbox.day = day
    places: list[tuple[Any, str, Any]] = [
        (gateway, "SessionHost", SimHost),
        (gateway, "Inbox", SimInbox),
        (gateway, "configure", lambda _level: Log(day)),
        (gateway, "boot_id", lambda: f"boot-{day.boot}"),
        (gateway, "_leave", leave),
        (gateway, "time", times),
        (clock, "time", times),
        (pump, "time", times),
        (watch, "time", times),
        (pump, "tidy", lambda: None),
        (pump, "secrets", secrets),
        (os, "getpid", lambda: 4242),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, stand_in in places:
            setattr(module, name, stand_in)
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
