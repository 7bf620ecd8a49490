"""Composition: the rooms are built, joined by the pump, started and stopped in the right order.

Start: lock the data directory; open the journal (a torn tail is cut); apply it to an empty engine; adopt what
the FIX store sent and the journal misses; set each session's next inbound number from the journal; give the
engine its configuration and the time; then open the FIX sessions, the HTTP door and the drop folder.

Stop (SIGTERM, SIGINT): refuse new orders; log the OMS sessions out and wait; empty the inbox; log the broker
sessions out while late fills are still journaled; last sync; leave with ``os._exit``, because the FIX engine's
own stop crashes now and then and nothing of value is lost without it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import fixgateway
from fixgateway import alerting, calendar_watch, reviewing
from fixgateway.clock import Clock, local
from fixgateway.config import setup as core_setup
from fixgateway.config.settings import Settings
from fixgateway.config.settings import warnings as setting_warnings
from fixgateway.control import Control
from fixgateway.core.inputs import Configure, Operator, Tick
from fixgateway.core.model import Setup
from fixgateway.core.state import State
from fixgateway.disk import DiskWatch, Limits
from fixgateway.doors import bound_queries, http_door, routes
from fixgateway.drop import DropFolder
from fixgateway.errors import FixgatewayError, JournalError, UsageError
from fixgateway.journal import checkpoints, keys, snapshots
from fixgateway.journal.codec import encode_json
from fixgateway.journal.growth import Start
from fixgateway.journal.notary import Notary
from fixgateway.journal.records import Kind, pack_wire_out
from fixgateway.journal.segments import Writer
from fixgateway.journal.show import boot_id
from fixgateway.monitor.health import Health
from fixgateway.monitor.logs import DecisionLog, configure
from fixgateway.monitor.metrics import Metrics
from fixgateway.pump import Command, Item, Pump
from fixgateway.reconcile import Reconciler
from fixgateway.records.database import connect
from fixgateway.records.process import ProjectorProcess
from fixgateway.recovery import (
    RECEIPTS,
    Memory,
    describe_parties,
    ended,
    note_start,
    recover,
    started,
)
from fixgateway.sessions.host import SessionHost
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.texts import to_bytes
from fixgateway.snapshots import Base, Source, open_journal, rest
from fixgateway.snapshotter import Snapshotter
from fixgateway.translate import Translator
from fixgateway.web.app import create_app
from fixgateway.web.server import Server, serve
from fixgateway.wiring import host_spec, parties, stamping

LOGOUT_SECONDS = 5.0
"""How long a stop waits for counterparties to answer Logout."""
DRAIN_SECONDS = 10.0
"""How long a stop waits for the inbox to be empty."""
EXIT_FAILED = 70
"""Exit status after a failure that ended the process at once."""


def run(settings: Settings, announce: Callable[[str], None] | None = None) -> int:
    """Run the gateway until SIGTERM or SIGINT; does not return after a start that succeeded.

    Args:
        settings: gateway.toml, read and checked.
        announce: told one line when the gateway is up.

    Raises:
        ConfigError, UsageError, JournalError: the start failed; nothing was sent.
    """
    gateway = Gateway(settings)
    try:
        gateway.start()
    except BaseException:
        gateway.abandon()
        raise
    if announce:
        announce(gateway.where())
    gateway.wait()
    gateway.stop()


@dataclass(frozen=True, slots=True)
class _Paths:
    """Where things lie in the data directory."""

    data_dir: Path

    @property
    def journal(self) -> Path:
        return self.data_dir / "journal"

    @property
    def snapshots(self) -> Path:
        return self.data_dir / snapshots.DIRECTORY

    @property
    def store(self) -> Path:
        return self.data_dir / "fix-store"

    @property
    def dictionaries(self) -> Path:
        return self.data_dir / "dictionaries"


class Gateway:
    """One gateway process; see the module's docstring for what happens when."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.setup: Setup = core_setup.load(settings)
        self._paths = _Paths(settings.data_dir)
        self._asked_to_stop = threading.Event()
        self._stop_threads = threading.Event()
        self._projector = ProjectorProcess(settings.data_dir, settings.records.url, self._busy)
        self._started_ns = time.time_ns()
        self._lock_fd = -1
        self._log = configure(settings.log.level)
        names = [party.comp_id for party in (*settings.oms, *settings.broker)]
        self._decision_log = DecisionLog(self._log, settings.log.level)
        self._metrics = Metrics(fixgateway.__version__, names)
        self._health = Health(["journal", *(f"broker {x.comp_id}" for x in settings.broker)])

    # ------------------------------------------------------------ start

    def start(self) -> None:
        """Everything up to open doors. Raises what :func:`run` says."""
        self._lock()
        self._recover(self._open_journal())
        self._first_records()
        self._connect_rooms()
        self._open_doors()

    def _lock(self) -> None:
        """One process per data directory."""
        try:
            self._paths.data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock_fd = os.open(self._paths.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise JournalError(f"cannot write the data directory: {error}; mend the disk or its rights") from None
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another gateway runs on {self._paths.data_dir}; stop it or give this one its own data_dir"
            ) from None
        with contextlib.suppress(OSError):  # the number is for people; the disk may be full
            os.ftruncate(self._lock_fd, 0)
            os.write(self._lock_fd, f"{os.getpid()}\n".encode())

    def _open_journal(self) -> Base:
        """The journal's writer and those who look after it; what a snapshot knows of the records."""
        settings, place = self.settings, self._paths.journal
        name, anchors = settings.gateway.comp_id, settings.journal_anchor_dirs
        key = keys.load_private(settings.journal_key_file) if settings.journal_key_file else None
        public = key.public if key else None
        self._source = Source(
            place, checkpoints.known(place, name, anchors, public), public, settings.journal_spare_dir
        )

        def open_writer(start: Start | None) -> Writer:
            return Writer(
                place,
                settings.journal.sync,
                settings.journal.segment_bytes,
                self._source.known,
                start,
                reserve_bytes=settings.journal.reserve_bytes,
                spare=settings.journal_spare_dir,
            )

        self._snapshotter = Snapshotter(
            self._paths.data_dir, name, anchors, settings.journal_key_file, self._log
        )
        used = self._paths.snapshots if settings.journal.snapshots else None
        self._writer, base = open_journal(open_writer, used, self._source, self._snapshotter.left_aside)
        self._writer.on_seal.append(self._snapshotter.on_seal)
        self._health.ask("journal records", lambda: self._snapshotter.damage)
        self._notary = Notary(
            self._writer,
            place,
            name,
            key=key,
            anchor_dirs=anchors,
            anchor_url=settings.journal.anchor_url,
            interval_seconds=settings.journal.checkpoint_seconds,
            stamping=stamping(settings),
            report=self._checkpoints_at,
        )
        if self._writer.torn:
            self._log.warning("journal.torn_tail_cut", text=self._writer.torn.text)
        if self._writer.brought_back:
            self._log.warning("journal.brought_back", records=self._writer.brought_back)
        for problem in setting_warnings(settings):
            self._log.warning("configuration.warning", text=str(problem))
        limits = Limits(settings.journal.min_free_bytes, settings.journal.slow_sync_seconds)
        self._watch = DiskWatch(self._writer, limits, self._log, lambda: self._snapshotter.damage)
        self._health.ask("journal sync", self._watch.hanging)
        return base

    def _checkpoints_at(self, place: str, error: str) -> None:
        """A place stopped taking checkpoints, or takes them again."""
        alerting.checkpoints_at(self._pump, self._log, place, error)

    def _recover(self, base: Base) -> None:
        """The engine's state from a snapshot and the journal behind it, the FIX store reconciled with it."""
        self._index = base.reader.index
        self._unread = base.start.tree.head if base.start else None
        self._parties = parties(self.settings)
        self._translator = Translator(self._parties, self._index.decision, self.settings.limits.max_queue_seconds)
        before = time.monotonic()
        self._memory: Memory = recover(rest(base, self._source), base.reader)
        self._refuse_changed_policy()
        self._clock = Clock(self._memory.last_ns)
        self._zone = ZoneInfo(self.setup.policy.timezone)
        self._spec = host_spec(self.settings, self._paths.store, self._paths.dictionaries)
        self._boot_id = boot_id()
        self._ended = ended(self._memory, self._boot_id)
        if self._memory.records and base.reader.version != fixgateway.__version__:
            self._log.warning(
                "journal.other_version", journal=base.reader.version, this=fixgateway.__version__
            )
        self._reconcile()
        self._log.info(
            "journal.recovered",
            ended=self._ended,
            records=self._memory.records,
            replayed=self._memory.records - base.records,
            snapshot=base.path.name if base.path else "",
            seconds=round(time.monotonic() - before, 3),
            pending=len(self._memory.pending),
            bugs=self._memory.bugs[:5],
        )

    def _refuse_changed_policy(self) -> None:
        """Before anything is written: a policy's text may not change under its version."""
        state, policy = self._memory.engine.state, self.setup.policy
        known = state.policies.get((policy.policy_id, policy.version)) if state else None
        core_setup.refuse_changed_text(self.settings, policy, known)

    def _reconcile(self) -> None:
        """The FIX stores and the journal made to agree."""
        reconciler = Reconciler(
            directory=self._paths.store,
            memory=self._memory,
            index=self._index,
            translator=self._translator,
            wire_out=self._adopted,
            event=self._event,
            ended=self._ended,
            log=self._log,
        )
        for session in (*self._spec.oms, *self._spec.brokers):
            reconciler.session(session)

    def _adopted(self, session: str, decision: int, output: int, text: str) -> int:
        """A message found in the FIX store becomes a wire-out record."""
        payload = pack_wire_out(decision, output, to_bytes(text))
        return self._writer.append(Kind.WIRE_OUT, session, self._clock.now_ns(), payload)

    def _event(self, session: str, text: str) -> None:
        self._writer.append(Kind.EVENT, session, self._clock.now_ns(), text.encode())

    def _first_records(self) -> None:
        """Start record, the pump, and the engine's first inputs: started, configuration, time."""
        facts = {
            "version": fixgateway.__version__,
            "boot_id": self._boot_id,
            "pid": os.getpid(),
            "parties": describe_parties(self._parties),
            "retention_years": self.settings.journal.retention_years,
            RECEIPTS: True,
        }
        self._writer.append(Kind.START, "", self._clock.now_ns(), encode_json(facts))
        note_start(self._memory, self._boot_id, True)
        self._inbox: Inbox[Item] = Inbox(self.settings.limits.inbox_messages)
        self._host = SessionHost(self._spec, self._inbox, self._resend)
        self._pump = Pump(
            inbox=self._inbox,
            writer=self._writer,
            memory=self._memory,
            index=self._index,
            translator=self._translator,
            line=self._host,
            clock=self._clock,
            zone=self._zone,
            metrics=self._metrics,
            health=self._health,
            log=self._log,
            decision_log=self._decision_log,
            synced=self._synced,
            fail=self._fail,
            batch_messages=self.settings.limits.batch_messages,
            watch=self._watch,
        )
        day, local_time = local(self._clock.now_ns(), self._zone)
        self._health.set("journal", True, "")
        first: list[Item] = [
            Command(lambda seq, ts_ns: Configure(seq, ts_ns, self.setup)),
            Command(started(self._ended)),
            Command(lambda seq, ts_ns: Tick(seq, ts_ns, day, local_time)),
        ]
        self._pump.finish_recovery(first, self._ended)
        if self._memory.engine.state is not None:
            for target in self._memory.engine.state.halted:
                self._metrics.orders_halted(target, True)
        self._writer.sync()  # so that a journal's first checkpoint is made at once, not after an interval

    def _resend(self, session: str, msg_seq_num: int, kind: str) -> str | None:
        return self._pump.resend(session, msg_seq_num, kind)

    def _busy(self) -> bool:
        """Whether more waits for the pump than it takes at once."""
        return self._inbox.qsize() > self.settings.limits.batch_messages

    def _synced(self, seq: int) -> None:
        self._projector.synced(seq)

    def _connect_rooms(self) -> None:
        """Database, projector, pump: everything behind the doors."""
        self._database = connect(self.settings.records.url, self._paths.data_dir)
        self._projector.start()
        self._notary.start()
        if self.settings.journal.snapshots:
            self._snapshotter.start(self._unread)
        self._thread("records-lag", self._watch_records)
        self._pump_thread = self._thread("pump", self._pump.run)

    def _watch_records(self) -> None:
        """Once a second: the projector's lag as a metric (the database is not part of readiness), and what a pump
        that hangs in a sync cannot say."""
        said, skipped, hanging = "", 0, ""
        while not self._stop_threads.wait(1.0):
            before, hanging = hanging, self._watch.hanging()
            if hanging and not before:
                self._log.error("journal.sync_hangs", why=hanging)
            if hanging:
                self._metrics.ready(False)
            self._metrics.records(self._projector.lag, self._projector.skipped - skipped)
            skipped = self._projector.skipped
            if self._projector.error != said:
                said = self._projector.error
                self._log.warning("records.behind" if said else "records.recovered", error=said)

    def _open_doors(self) -> None:
        """HTTP, FIX sessions, drop folder, signals."""
        self.control = Control(self._pump, self._host, self._describe)
        app = create_app(
            self.control,
            self._health,
            self._metrics.text,
            bound_queries(self._database),
            self.setup.policy,
            self.settings.http_hosts,
            more=routes(self.settings, self.control, self._state, self._database, self._zone.key),
            door=http_door(self.settings, self.control),
        )
        self._http: Server = serve(app, self.settings.http.host, self.settings.http.port, self.settings.tls_files)
        for number in (signal.SIGTERM, signal.SIGINT):  # after quickfix was imported: it takes SIGINT
            signal.signal(number, lambda *_: self._asked_to_stop.set())
        self._host.start()
        synced = lambda: self._writer.synced_seq  # noqa: E731
        alerting.start(self.settings, self._pump, synced, self._metrics, self._log, self._stop_threads)
        reviewing.start(self.settings, self._pump, self._database, self._log, self._stop_threads)
        if self.setup.calendar is not None:
            calendar_watch.start(self._pump, self.setup.policy, self._zone, self._log, self._stop_threads)
        if self.settings.drop_directory:
            folder = DropFolder(self.settings.drop_directory, self.control.submit_statement, self._log)
            self._thread("drop-folder", lambda: folder.run(self._stop_threads))
        self._log.info("gateway.up", listen_port=self._host.listen_port, http_port=self._http.port)

    def _state(self) -> State | None:
        return self._memory.engine.state

    def where(self) -> str:
        """One line for the person who started it."""
        fix, http = self.settings.listen.host, self.settings.http.host
        return (
            f"fixgateway {fixgateway.__version__} is up: FIX on {fix}:{self._host.listen_port}, "
            f"HTTP on {http}:{self._http.port}, data in {self._paths.data_dir}"
        )

    def _describe(self) -> dict[str, Any]:
        return {
            "version": fixgateway.__version__,
            "started_ns": self._started_ns,
            "journal_records": self._writer.synced_seq,
            "records_watermark": self._projector.watermark,
            "records_error": self._projector.error,
            "ready": self._health.ready()[1],
            "checkpoints": [asdict(status) for status in self._notary.status],
        }

    @staticmethod
    def _thread(name: str, body: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=body, name=name, daemon=True)
        thread.start()
        return thread

    # ------------------------------------------------------------ stop

    def wait(self) -> None:
        """Until a signal, or until the FIX engine fails."""
        while not self._asked_to_stop.wait(0.5):
            if self._host.failed:
                self._log.critical("sessions.failed", error=self._host.failed)
                return

    def stop(self) -> NoReturn:
        """The ordered stop; leaves the process."""
        self._log.info("gateway.stopping")
        failed = bool(self._host.failed)
        self._ask_stop()
        if self.settings.journal.snapshots:
            self._snapshotter.prepare()
        self._host.stop_omses(LOGOUT_SECONDS)
        self._drain()
        self._host.stop_brokers(LOGOUT_SECONDS)
        self._drain()
        self._pump.stop()
        self._pump_thread.join(DRAIN_SECONDS)
        try:
            self._writer.append(Kind.STOP, "", self._clock.now_ns(), encode_json({"why": "asked"}))
            self._writer.sync()
        except JournalError as error:
            self._fail(str(error))
        self._projector.synced(self._writer.synced_seq)
        self._stop_threads.set()
        if not self._notary.stop(LOGOUT_SECONDS):
            self._log.error("checkpoint.not_kept", places=[x.place for x in self._notary.status if x.error])
        self._projector.stop(0.0 if self._writer.in_spare else LOGOUT_SECONDS)  # what is there it does not see
        self._http.stop()
        self._snapshotter.finish(self._writer.synced_seq)
        self._decision_log.flush()
        self._log.info("gateway.stopped", journal_records=self._writer.synced_seq)
        _leave(EXIT_FAILED if failed else 0)

    def _ask_stop(self) -> None:
        try:
            self._pump.ask(lambda seq, ts_ns: Operator(seq, ts_ns, "gateway", "stop", "all", "stopping"))
        except FixgatewayError as error:
            self._log.error("gateway.stop_not_journaled", error=str(error))

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self._pump.idle and time.monotonic() < deadline:
            time.sleep(0.01)

    def _fail(self, why: str) -> None:
        """Called by the pump when it cannot go on: nothing may leave unjournaled, so nothing leaves."""
        self._log.critical("gateway.failed", error=why)
        _leave(EXIT_FAILED)

    def abandon(self) -> None:
        """Let go of the lock after a start that failed."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _leave(status: int) -> NoReturn:
    """End the process without running the FIX engine's destructors."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
