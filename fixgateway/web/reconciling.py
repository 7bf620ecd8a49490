"""By HTTP: a day compared with a custodian's or broker's file, and a refused allocation sent again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response

from fixgateway.config import blotters
from fixgateway.core.blotters import Compared, Row
from fixgateway.core.desk_inputs import RecordReconciliation, SendAgain
from fixgateway.core.model import plain_decimal
from fixgateway.core.people import Task
from fixgateway.core.reconciling import MAX_DISCREPANCIES
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.web.forms import PRINTABLE, Action, acted
from fixgateway.web.identity import Identity, Viewer, require
from fixgateway.web.port import GatewayPort

Compare = Callable[[date, Sequence[Row], Decimal], Compared]
"""Compares a file's rows of a day with the records; the last is how far prices may be apart in any case."""
RECORDS_SECONDS = 10.0
"""How long the records may take to have all that is in the journal."""
MAX_TOLD = 10_000
"""Differences journaled of one file; what is beyond them is counted by the last."""
Reconciler = Annotated[Identity, Depends(require(Task.RECONCILE))]
Source = Annotated[str, Query(min_length=1, max_length=200, pattern=PRINTABLE, description="The file's name.")]
Tolerance = Annotated[str, Query(max_length=30, description="How far prices may be apart in any case.")]


async def _body(request: Request) -> bytes:
    return await request.body()


def add_reconciling(app: FastAPI, gateway: GatewayPort, compare: Compare) -> None:
    """Add the routes."""

    @app.post("/api/reconciliations")
    def reconcile(
        content: Annotated[bytes, Depends(_body)], by: Reconciler, source: Source, trade_date: date | None = None,
        tolerance: Tolerance = "0",
    ) -> Response:  # fmt: skip
        """Compare a file (the body, text/csv) with the records of its day; each difference opens an exception."""
        apart = plain_decimal(tolerance)
        if apart is None:
            raise UsageError(f"tolerance: {tolerance!r} is no plain number (write digits with at most one point)")
        day, rows = blotters.parse(content, source, trade_date)
        wait_for_records(gateway)
        compared = compare(day, rows, apart)
        digest = sha256(content).hexdigest()
        told = compared.discrepancies[:MAX_TOLD]
        outcome = gateway.act(
            lambda seq, ts_ns: RecordReconciliation(
                seq, ts_ns, by.person_id, day, source, digest, len(rows), compared.matched, told
            )
        )
        shown = [asdict(found) for found in told[:MAX_DISCREPANCIES]]
        more: dict[str, Any] = {"trade_date": day.isoformat(), "source": source, "sha256": digest, "rows": len(rows)}
        more |= {"matched": compared.matched, "differences": len(compared.discrepancies), "discrepancies": shown}
        return acted(outcome, HTTPStatus.CREATED, **more)

    @app.post("/api/allocations/{alloc_id}/send-again")
    def send_again(alloc_id: str, by: Action, viewer: Viewer) -> Response:
        """Send an allocation the broker refused as a whole once more, unchanged in its shares, with the reason."""
        actor = viewer.actor(by.actor)
        return acted(gateway.act(lambda seq, ts_ns: SendAgain(seq, ts_ns, actor, alloc_id, by.reason)))


def wait_for_records(gateway: GatewayPort) -> None:
    """Return when the records have all that is in the journal now.

    Raises:
        FixgatewayError: they do not in :data:`RECORDS_SECONDS`.
    """
    wanted = int(gateway.status().get("journal_records", 0))
    deadline = time.monotonic() + RECORDS_SECONDS
    while (there := int(gateway.status().get("records_watermark", wanted))) < wanted:
        if time.monotonic() > deadline:
            raise FixgatewayError(f"the records are {wanted - there} behind the journal; try again in a moment")
        time.sleep(0.05)
