"""The HTTP room joined to the others: what it reads, who it lets in, what else is added to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from fixgateway.config.settings import Settings
from fixgateway.config.tables import is_loopback
from fixgateway.core.blotters import Compared, Row
from fixgateway.core.state import State
from fixgateway.desk_view import DeskView, bound_pages
from fixgateway.exporting import Exporter
from fixgateway.journal.keys import public_file
from fixgateway.records import desk_queries, explained, fairness, queries, reconciling
from fixgateway.records.affirmations import affirmations
from fixgateway.records.search import search
from fixgateway.web.credentials import Credentials, Terms
from fixgateway.web.door import Door, DoorPort, DoorTerms
from fixgateway.web.exports import add_exports
from fixgateway.web.foresight import add_foresight
from fixgateway.web.port import DeskQueries, GatewayPort, Queries
from fixgateway.web.reconciling import add_reconciling
from fixgateway.web.vault import FILE, Vault


def bound_queries(database: Any) -> Queries:
    """The reads of the HTTP room, bound to the database."""
    return Queries(
        statements=partial(queries.statements, database),
        statement=lambda statement_id: queries.statement(database, statement_id),
        orders=partial(queries.orders, database),
        allocations=partial(queries.allocations, database),
        allocation=lambda alloc_id: queries.allocation(database, alloc_id),
        trace=lambda wanted: queries.trace(database, wanted),
        affirmations=lambda day: affirmations(database, day),
        explain=lambda wanted: explained.explain(database, wanted),
        audit=lambda statement_id, proposed, filled: explained.audit(database, statement_id, proposed, filled),
        turns=lambda policy_id, limit: fairness.turns(database, policy_id=policy_id, limit=limit),
        fairness=lambda account, symbol, first, last: fairness.fairness(
            database, account=account, symbol=symbol, first=first, last=last
        ),
        desk=desk_reads(database),
    )


def desk_reads(database: Any) -> DeskQueries:
    """The reads of people's work, bound to the database."""
    return DeskQueries(
        exceptions=partial(desk_queries.exceptions, database),
        exception=partial(desk_queries.exception, database),
        opened=partial(desk_queries.opened, database),
        alerts=partial(desk_queries.alerts, database),
        alert=partial(desk_queries.alert, database),
        accesses=partial(desk_queries.accesses, database),
        refused_actions=partial(desk_queries.refused_actions, database),
        person=partial(desk_queries.person, database),
        marks=partial(desk_queries.marks, database),
        reconciliations=partial(desk_queries.reconciliations, database),
        reviews=partial(desk_queries.reviews, database),
        review=partial(desk_queries.review, database),
        search=partial(search, database),
        counts=partial(desk_queries.counts, database),
        cursor=desk_queries.cursor,
    )


MACHINE_TOKEN = "machine.token"
"""File in the data directory that only the gateway's user can read; new at every start."""


def http_door(settings: Settings, gateway: DoorPort) -> Door:
    """The door of the HTTP server: who comes in, by what they prove.

    Raises:
        ConfigError: the file of passwords and tokens cannot be used.
    """
    where, terms = door_terms(settings)
    credentials = Credentials(Vault(settings.data_dir / FILE), terms)
    for person in gateway.people().values():
        if not person.active:  # the gateway may have ended before it forgot them
            credentials.forget(person.person_id)
    return Door(gateway, credentials, where, _machine_token(settings.data_dir / MACHINE_TOKEN))


def _machine_token(path: Path) -> str:
    """A new token for whoever can read the file."""
    token = secrets.token_urlsafe(32)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token


def door_terms(settings: Settings) -> tuple[DoorTerms, Terms]:
    """Where the HTTP door stands, and how long a sign-in lasts."""
    http = settings.http
    terms = Terms(
        http.idle_minutes * 60, http.session_hours * 3_600, http.lockout_failures, http.lockout_minutes * 60
    )
    door = DoorTerms(
        reachable=http.behind_proxy or not is_loopback(http.host),
        secure=http.behind_proxy or bool(http.tls_certificate),
        proxies=http.proxy_addresses,
        user_header=http.proxy_user_header,
        hosts=settings.http_hosts,
    )
    return door, terms


def routes(
    settings: Settings, control: GatewayPort, state: Callable[[], State | None], database: Any, timezone: str
) -> list[Callable[[FastAPI], None]]:
    """The routes of rooms the HTTP room does not know."""
    return [
        bound_exports(settings),
        bound_pages(settings, control, state, database),
        bound_reconciling(control, database, timezone),
        bound_foresight(settings, control, state),
    ]


def bound_foresight(
    settings: Settings, gateway: GatewayPort, state: Callable[[], State | None]
) -> Callable[[FastAPI], None]:
    """What a request for an exception needs before it is filed."""
    view = DeskView(state, gateway.status, settings.data_dir, settings.journal_spare_dir)
    return lambda app: add_foresight(app, view)


def bound_reconciling(gateway: GatewayPort, database: Any, timezone: str) -> Callable[[FastAPI], None]:
    """The comparison of a day with a file, and what follows a refused allocation; ``timezone`` is the policy's."""

    def compare(day: date, rows: Sequence[Row], tolerance: Decimal) -> Compared:
        return reconciling.compare(database, day, rows, tolerance, timezone)

    return lambda app: add_reconciling(app, gateway, compare)


def bound_exports(settings: Settings) -> Callable[[FastAPI], None]:
    """The exports of the HTTP room, made by a child process from the gateway's own files."""
    key = settings.journal_key_file
    exporter = Exporter(settings.records.url, settings.data_dir, str(public_file(key)) if key else "")

    def catalogue() -> dict[str, dict[str, object]]:
        from fixgateway.exports.catalogue import described  # when asked: no start waits for it

        return described()

    return lambda app: add_exports(app, exporter, catalogue)
