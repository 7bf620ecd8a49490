"""From gateway.toml to what each room needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fixgateway.config.settings import Settings
from fixgateway.config.tables import Broker, Oms
from fixgateway.journal.timestamps import Stamping, load_roots
from fixgateway.sessions.settings import HostSpec, SessionSpec
from fixgateway.translate import Counterparty
from fixgateway.wire.versions import named


def parties(settings: Settings) -> dict[str, Counterparty]:
    """Every configured counterparty, for translating."""
    omses = {x.comp_id: Counterparty(x.comp_id, "oms", named(x.begin_string), x.match) for x in settings.oms}
    brokers = {
        x.comp_id: Counterparty(x.comp_id, "broker", named(x.begin_string), (), x.on_behalf_of)
        for x in settings.broker
    }
    return {**omses, **brokers}


def stamping(settings: Settings) -> Stamping | None:
    """The time-stamping authority of gateway.toml, None when there is none.

    Raises:
        UsageError: its certificates cannot be read.
    """
    if not settings.journal.timestamp_url:
        return None
    ca_file = settings.journal_timestamp_ca_file
    roots = load_roots(ca_file) if ca_file else ()
    return Stamping(settings.journal.timestamp_url, roots, settings.journal.timestamp_seconds)


def host_spec(settings: Settings, store_dir: Path, dictionary_dir: Path) -> HostSpec:
    """What the FIX engine needs of gateway.toml."""
    return HostSpec(
        listen_host=settings.listen.host,
        listen_port=settings.listen.port,
        store_dir=store_dir,
        dictionary_dir=dictionary_dir,
        oms=tuple(_session(settings, x, "oms") for x in settings.oms),
        brokers=tuple(_session(settings, x, "broker") for x in settings.broker),
    )


def _session(settings: Settings, party: Oms | Broker, role: Any) -> SessionSpec:
    common: dict[str, Any] = {
        "name": party.comp_id,
        "role": role,
        "begin_string": party.begin_string,
        "gateway_comp_id": settings.gateway.comp_id,
        "comp_id": party.comp_id,
        "heart_bt_int": party.heart_bt_int,
        "reset_on_logon": party.reset_on_logon,
    }
    if party.start_time:
        times = {"start_time": party.start_time, "end_time": party.end_time, "timezone": party.timezone}
        common |= times
    if isinstance(party, Oms):
        return SessionSpec(**common, allowed_addresses=party.allowed_addresses)
    return SessionSpec(**common, host=party.host, port=party.port, reconnect_seconds=party.reconnect_seconds)
