"""Composition of the couriers: from gateway.toml and the running gateway to threads that deliver alerts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from fixgateway.config import alerts as keys
from fixgateway.config.settings import Settings
from fixgateway.core.desk_inputs import NoteDelivery, ReportAlert
from fixgateway.core.outbox import AlertRecord
from fixgateway.core.people import Person
from fixgateway.core.state import State
from fixgateway.monitor.channels import Hook, MailServer
from fixgateway.monitor.clocksync import CHECK_SECONDS, ClockWatch
from fixgateway.monitor.delivery import Courier, Ports, Terms, channels
from fixgateway.monitor.metrics import Metrics
from fixgateway.pump import Pump


def terms(settings: Settings) -> Terms:
    """What ``[alerts]`` says, with its secrets."""
    alerts, base = settings.alerts, settings.file.parent
    server = hook = None
    if alerts.smtp_host:
        password = keys.secret(base, alerts.smtp_password_file, keys.SMTP_PASSWORD)
        login = (alerts.smtp_user, password if alerts.smtp_user else "")
        server = MailServer(alerts.smtp_host, alerts.smtp_port, alerts.smtp_tls, *login, alerts.mail_from)
    if alerts.webhook_url:
        hook = Hook(alerts.webhook_url, keys.secret(base, alerts.webhook_secret_file, keys.WEBHOOK_SECRET))
    return Terms(
        name=settings.gateway.comp_id,
        server=server,
        hook=hook,
        mail_to=alerts.mail_to,
        escalate_to=alerts.escalate_to,
        escalate_minutes=alerts.escalate_minutes,
        least=alerts.least,
    )


def start(
    settings: Settings,
    pump: Pump,
    synced: Callable[[], int],
    metrics: Metrics,
    log: structlog.stdlib.BoundLogger,
    stop: threading.Event,
) -> None:
    """Start a courier for each channel of gateway.toml, and the look at the clock; what the journal says is undelivered
    is sent by them.

    Args:
        pump: whose engine has the alerts, and which journals the outcomes. synced: the newest durable record.
        stop: ends the threads.
    """
    given = terms(settings)
    ports = Ports(
        alerts=lambda: _alerts(pump.memory.engine.state),
        people=lambda: _people(pump.memory.engine.state),
        synced=synced,
        note=_note(pump),
        now_ns=time.time_ns,
        monotonic=time.monotonic,
        count=metrics.alerts_undelivered,
    )
    for channel in channels(given):
        courier = Courier(channel, given, ports, log, stop)
        threading.Thread(target=courier.run, name=f"alerts-{channel}", daemon=True).start()
    limit_ms = settings.alerts.clock_limit_ms
    if limit_ms:
        watch = ClockWatch(limit_ms, lambda words: report(pump, "GW-946", "critical", "clock", words))
        threading.Thread(target=_watch_clock, args=(watch, stop), name="clock", daemon=True).start()
    if not channels(given):
        log.warning("alerts.nobody_is_told", text="[alerts] names neither smtp_host nor webhook_url")


def _watch_clock(watch: ClockWatch, stop: threading.Event) -> None:
    """Look at the clock at once and then every minute."""
    watch.look()
    while not stop.wait(CHECK_SECONDS):
        watch.look()


def _alerts(state: State | None) -> Mapping[str, AlertRecord]:
    return state.alerts if state is not None else {}


def _people(state: State | None) -> Mapping[str, Person]:
    return dict(state.people) if state is not None else {}


def _note(pump: Pump) -> Callable[[str, str, bool, str], None]:
    def note(alert_id: str, channel: str, delivered: bool, text: str) -> None:
        pump.ask(lambda seq, ts_ns: NoteDelivery(seq, ts_ns, alert_id, channel, delivered, text))

    return note


def report(pump: Pump, reason: str, severity: str, subject: str, text: str) -> None:
    """Tell people something that a part of the gateway beside the engine has found; returns at once."""
    pump.tell(lambda seq, ts_ns: ReportAlert(seq, ts_ns, reason, severity, subject, text))


def checkpoints_at(pump: Pump, log: structlog.stdlib.BoundLogger, place: str, error: str) -> None:
    """A place outside the data directory stopped taking checkpoints (rule A8), or takes them again."""
    if not error:
        log.info("checkpoint.kept_again", place=place)
        return
    log.error("checkpoint.not_kept", place=place, error=error)
    report(pump, "GW-939", "critical", place, f"{place} does not keep the journal's checkpoints: {error}")
