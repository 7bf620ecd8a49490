"""From gateway.toml to what each room needs, and from the FIX store to whether it fits the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fixgateway.config.settings import Settings
from fixgateway.config.tables import Broker, Oms
from fixgateway.errors import UsageError
from fixgateway.records import queries
from fixgateway.recovery import Memory
from fixgateway.sessions import store
from fixgateway.sessions.settings import HostSpec, SessionSpec
from fixgateway.translate import Counterparty
from fixgateway.web.port import Queries
from fixgateway.wire.versions import named

ENGINE_SENDS = frozenset({"0", "1", "2", "3", "4", "5", "A", "j"})
"""MsgTypes the FIX engine sends of its own accord; every other message in its store was decided by us."""


def parties(settings: Settings) -> dict[str, Counterparty]:
    """Every configured counterparty, for translating."""
    omses = {x.comp_id: Counterparty(x.comp_id, "oms", named(x.begin_string), x.match) for x in settings.oms}
    brokers = {
        x.comp_id: Counterparty(x.comp_id, "broker", named(x.begin_string), (), x.on_behalf_of)
        for x in settings.broker
    }
    return {**omses, **brokers}


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


def check_age(store_dir: Path, session: SessionSpec, memory: Memory) -> None:
    """Refuse to start when the FIX store knows a session that the journal does not.

    A journal restored from an old backup, or an emptied journal directory beside a living store, would make
    the gateway forget orders it sent. A decision is durable before its message leaves, so the store may hold
    messages whose wire-out record a crash kept from the journal, but none that was never decided.

    Raises:
        UsageError: naming the session and the two ways out.
    """
    numbers = store.read_seqnums(store_dir, session)
    if numbers is None or max(numbers) <= 1 or session.name in memory.highest or session.name in memory.sent:
        return
    raise UsageError(older(store_dir, session, f"{numbers[0] - 1} messages sent and {numbers[1] - 1} received"))


def older(store_dir: Path, session: SessionSpec, what: str) -> str:
    """The words for a journal that is older than a session's store."""
    name = session.name
    return (
        f"the FIX store of session {name} has {what}; the journal does not: it is older than the session. Restore "
        f"the newest journal, or agree a sequence reset with {name} and remove its files in {store_dir}"
    )


def bound_queries(database: Any) -> Queries:
    """The reads of the HTTP room, bound to the database."""
    return Queries(
        statements=lambda: queries.statements(database),
        statement=lambda statement_id: queries.statement(database, statement_id),
        orders=lambda: queries.orders(database),
        allocations=lambda: queries.allocations(database),
        allocation=lambda alloc_id: queries.allocation(database, alloc_id),
        trace=lambda wanted: queries.trace(database, wanted),
    )
