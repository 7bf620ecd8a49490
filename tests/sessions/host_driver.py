"""A process around one SessionHost with the simplest pump there is: OMS to broker, broker to OMS.

argv[1] is a JSON file; commands come as JSON lines on stdin, answers and the items seen go out on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import quickfix as fix

from fixgateway.errors import FixgatewayError
from fixgateway.sessions import callbacks, store, texts
from fixgateway.sessions.callbacks import Callbacks
from fixgateway.sessions.host import SessionHost
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.items import Accepted, Barrier, EngineRefused, Outgoing, Seen, SessionEvent
from fixgateway.sessions.settings import HostSpec, SessionSpec


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Driver:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        base = Path(config["dir"])
        made = {
            role: tuple(SessionSpec(role=role, gateway_comp_id="FIXGW", **s) for s in config.get(role, []))
            for role in ("oms", "broker")
        }
        self.spec = HostSpec(
            "127.0.0.1", 0, base / "store", base / "dictionaries", made["oms"], made["broker"]
        )
        self.inbox: Inbox[Any] = Inbox(config.get("inbox_limit", 10_000))
        self.bodies: dict[tuple[str, int], str] = {}
        for s in (*self.spec.oms, *self.spec.brokers):
            if "next_target" in config:
                store.prepare_target(self.spec.store_dir, s, config["next_target"])
            for number, text in store.sent_texts(self.spec.store_dir, s):
                self.bodies[s.name, number] = texts.body(text)
        self.host = SessionHost(self.spec, self.inbox, self.resend)
        self.pause = threading.Event()
        self.relayed = 0
        self.slow = config.get("slow_seconds", 0.0)
        self.verbose = config.get("verbose", True)
        self.relay = config.get("relay", True)
        self.forgetful = config.get("forgetful", False)
        """Never journals what it sent."""
        self.durable = threading.Event()
        """Whether the disk answers: while it does not, a barrier holds the pump up as a sync would."""
        self.durable.set()
        callbacks.RESET_SECONDS = config.get("reset_seconds", callbacks.RESET_SECONDS)

    def resend(self, session: str, number: int, msg_type: str) -> str | None:
        return self.bodies.get((session, number))

    def pump(self) -> None:
        omses = {s.name for s in self.spec.oms}
        to_broker = self.spec.brokers[0].name if self.spec.brokers else ""
        to_oms = self.spec.oms[0].name if self.spec.oms else ""
        seq = 0
        while True:
            for item in self.inbox.get_batch(512, 0.1):
                seq += 1
                if isinstance(item, Barrier):
                    say(item="Barrier", session=item.session)
                    self.durable.wait()
                    item.durable.set()
                    continue
                if isinstance(item, Accepted) and not item.admin and self.relay:
                    self.relayed += 1
                    target = to_broker if item.session in omses else to_oms
                    text = item.seen.text
                    if target:
                        self.host.send(target, texts.msg_type(text), texts.body(text), (), seq, 0)
                elif isinstance(item, Outgoing) and item.decision_seq and not self.forgetful:
                    item.seq = seq
                    self.bodies[item.session, texts.msg_seq_num(item.text)] = texts.body(item.text)
                if self.verbose:
                    self.tell(item)
                if self.slow:
                    time.sleep(self.slow)

    def tell(self, item: Any) -> None:
        what: dict[str, Any] = {"item": type(item).__name__, "session": item.session, "ts_ns": item.ts_ns}
        if isinstance(item, Seen | Outgoing | SessionEvent):
            what["text"] = item.text
        if isinstance(item, Outgoing):
            what |= {"decision_seq": item.decision_seq, "index": item.index}
        if isinstance(item, SessionEvent):
            what["kind"] = item.kind
        if isinstance(item, Accepted):
            what |= {"number": item.msg_seq_num, "admin": item.admin, "text": item.seen.text}
        if isinstance(item, EngineRefused):
            what |= {"why": item.why, "text": item.seen.text}
        say(**what)

    def run(self) -> None:
        self.host.start()
        threading.Thread(target=self.pump, daemon=True).start()
        say(port=self.host.listen_port)
        for line in sys.stdin:
            command = json.loads(line)
            name = command.pop("do")
            try:
                say(answer=self.do(name, command))
            except FixgatewayError as error:
                say(answer=f"{type(error).__name__}: {error}")
        os._exit(3)

    def do(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "stop":
            down = self.host.stop_omses(5) and self.host.stop_brokers(5)
            say(answer=down)
            os._exit(0)
        if name == "break":
            # A callback that fails: the first text of any session from now on.
            def fail(self: Callbacks, link: Any, text: str) -> None:
                raise ZeroDivisionError("made to fail")

            Callbacks.incoming = fail  # type: ignore[method-assign]
            return True
        if name == "forget":
            time.sleep(0.3)  # what was sent is journaled by then
            self.bodies.clear()
            return True
        if name == "disk":
            (self.durable.set if arguments["answers"] else self.durable.clear)()
            return True
        if name == "engine_send":  # what takes the engine's lock of the session
            return bool(self.host._links[arguments["session"]].session.send(fix.Message(arguments["text"], False)))
        if name == "failed":
            return self.host.failed
        if name == "counts":
            return [self.relayed, self.inbox.waits, self.inbox.qsize(), self.inbox.full]
        if name == "send":
            arguments["header"] = tuple((tag, value) for tag, value in arguments.get("header", []))
            return self.host.send(**{"decision_seq": 7, "index": 2, **arguments})
        return getattr(self.host, name)(**arguments)


if __name__ == "__main__":
    Driver(json.loads(Path(sys.argv[1]).read_text())).run()
