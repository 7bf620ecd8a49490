"""Version 3: people's work, messages as they came, accounts over two times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from fixgateway.records.migrations.compact import column, create, ids, index
from fixgateway.records.migrations.versions import v0002

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES: Final[Mapping[str, str]] = {
    "accesses": "happened actor:cid what:words subject:cid address:words | actor subject",
    "alert_acknowledgements": "happened alert_id:cid actor:cid text:words | alert_id",
    "alert_deliveries": "happened alert_id:cid channel:words delivered:bool text:words | alert_id",
    "arrivals": "*journal_seq:seq ts_ns:seq input_seq:seq? session:cid msg_type:words raw:bytes | input_seq",
    "exception_attentions": "happened exception_id:cid actor:cid action:words text:words | exception_id",
    "exception_decisions": (
        "happened exception_id:cid statement_id:cid decision:words actor:cid text:words late:bool alloc_ids:words | "
        "exception_id statement_id"
    ),
    "exception_overdues": (
        "happened exception_id:cid statement_id:cid due_date:date due_time:words | exception_id statement_id"
    ),
    "exception_requests": (
        "happened exception_id:cid kind:words statement_id:cid statement_version:int code:cid codes_version:words "
        "text:words requested_by:cid role:words due_date:date due_time:words avg_px:words mark:words "
        "mark_source:words mark_ns:seq alloc_ids:words state:cid decided_seq:seq? decided_ns:seq? decided_by:words? "
        "late:bool? overdue_ns:seq? | exception_id state statement_id ts_ns"
    ),
    "marks": "happened symbol:cid price:amount source:words as_of_ns:seq close:bool actor:cid | symbol+as_of_ns",
    "order_changes": "happened order_key:seq what:words | order_key",
    "people": (
        "happened person_id:cid name:words roles:words active:bool email:words actor:cid until_seq:seq? | person_id "
        "until_seq"
    ),
    "reconciliations": (
        "happened trade_date:date source:words sha256:words rows:int matched:int discrepancies:int actor:cid | "
        "trade_date"
    ),
    "refused_actions": "happened actor:cid action:words subject:cid reason:words text:words | actor subject",
    "review_signatures": "happened review_id:cid conclusion:words follow_up:words actor:cid | review_id",
    "reviews": (
        "happened review_id:cid kind:words plan_sha256:words data_sha256:words seed:words verdict:words summary:words "
        "first:words last:words result:words actor:cid | review_id"
    ),
    "exception_lines": (
        "part account:cid class:words intent:amount before:amount after:amount benefit:amount? | account > "
        "exception_requests"
    ),
}
"""What is new; heads before their lines."""

_COLUMNS: Final = (
    ("alerts", "acknowledged_ns:seq?"),
    ("alerts", "acknowledged_by:words?"),
    ("policies", "approved_on:date?"),
    ("policies", "disclosed_on:date?"),
    ("policies", "until_ns:seq?"),
    ("accounts", "valid_from:date?"),
    ("accounts", "until_ns:seq?"),
    ("deliveries", "raw:bytes?"),
)
_INDEXES: Final = (
    ("exceptions", "state"), ("exceptions", "input_seq"), ("alerts", "acknowledged_ns"), ("alerts", "input_seq"),
    ("statements", "symbol"), ("orders", "latest_cl_ord_id"), ("orders", "order_id"), ("orders", "ts_ns"),
    ("flags", "subject"), ("requests", "statement_id"), ("allocations", "trade_date"),
    ("allocation_reports", "statement_id"),
)  # fmt: skip
_NOW_IDS: Final = (("statements", "symbol"), ("orders", "symbol"))


def upgrade() -> None:
    """New tables, columns and indexes; ids ordered alike on every database; what the rows can tell themselves."""
    create(TABLES)
    for table, text in _COLUMNS:
        op.add_column(table, column(text))
    # Nobody could attend to an exception before.
    op.add_column("exceptions", sa.Column("state", sa.String(), nullable=False, server_default="open"))
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("exceptions", "state", server_default=None)
        for table, name in (*ids(v0002.TABLES), *_NOW_IDS, ("exceptions", "state")):
            op.execute(f'ALTER TABLE {table} ALTER COLUMN {name} TYPE VARCHAR COLLATE "C"')
    for table, name in _INDEXES:
        index(table, name)
    _fill(op.get_bind())
    op.execute("UPDATE projection SET schema_version = 3")


def _fill(connection: sa.Connection) -> None:
    """``until_ns`` and ``valid_from`` of accounts and policies, from the times of other rows."""
    policies, accounts = (
        sa.table(name, *(sa.column(x) for x in ("journal_seq", "ts_ns", "until_seq", "until_ns", *more)))
        for name, more in (("policies", ("timezone",)), ("accounts", ("valid_from",)))
    )
    zones = connection.execute(sa.select(policies.c.journal_seq, policies.c.timezone).order_by("journal_seq")).all()
    times: dict[int, int] = {}
    for table in (policies, accounts):
        times |= {row[0]: row[1] for row in connection.execute(sa.select(table.c.journal_seq, table.c.ts_ns))}
    for seq, ts_ns in times.items():
        for table in (policies, accounts):
            connection.execute(sa.update(table).where(table.c.until_seq == seq).values(until_ns=ts_ns))
        zone = next((row.timezone for row in reversed(zones) if row.journal_seq <= seq), "UTC")
        day: Any = datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).astimezone(ZoneInfo(zone)).date()
        valid_from = sa.bindparam("day", day, sa.Date())
        connection.execute(sa.update(accounts).where(accounts.c.journal_seq == seq).values(valid_from=valid_from))
