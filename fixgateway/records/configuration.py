"""Policy and accounts as versions: which configuration was in force at any journal record."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, select, update

from fixgateway.core import outputs
from fixgateway.core.model import InstrumentTerms, plain_text
from fixgateway.records import configuration_tables as tables
from fixgateway.records.batch import Batch, Origin, Row
from fixgateway.records.columns import bounded_id, safe_text
from fixgateway.records.tables import Base


def configured(batch: Batch, origin: Origin, out: outputs.Configured) -> None:
    """Keep policy and accounts as versions: only what differs from the rows in force gets a new row.

    Configurations are rare (a start, a reload), so the rows in force are read back instead of remembered.
    """
    batch.flush()
    _policy(batch, origin, out)
    _accounts(batch, origin, out)
    batch.flush()


def _policy(batch: Batch, origin: Origin, out: outputs.Configured) -> None:
    policy = out.setup.policy
    row = {
        "policy_id": policy.policy_id,
        "version": policy.version,
        "approved_by": policy.approved_by,
        "effective_from": policy.effective_from,
        "method": str(policy.method),
        "ties": str(policy.ties),
        "remainder": str(policy.remainder),
        "lot": policy.lot,
        "min_quantity": policy.min_quantity,
        "completion": str(policy.completion),
        "price_decimals": policy.price_decimals,
        "require_memo": policy.require_memo,
        "timezone": policy.timezone,
        "allocate_at": policy.allocate_at,
        "affirm_at": policy.affirm_at,
        "text_sha256": policy.text_sha256,
        "allowed": json.dumps({term: list(values) for term, values in policy.allowed}),
        "effective_at": policy.effective_at,
        "basis": str(policy.basis),
        "rounding": str(policy.rounding),
        "min_value": policy.min_value,
        "price_rounding": str(policy.price_rounding),
        "money_decimals": policy.money_decimals,
        "residual_cash": str(policy.residual_cash),
        "overfill": str(policy.overfill),
        "error_account": policy.error_account,
        "averaging": str(policy.averaging),
        "interim": str(policy.interim),
        "tiers": json.dumps(policy.tiers),
        "sellable": policy.sellable,
        "reregistrations": policy.reregistrations,
        "instruments": json.dumps([_instrument(terms) for terms in policy.instruments]),
        "text": policy.text,
        "engine_version": out.setup.engine_version,
        "approved_on": policy.approved_on,
        "disclosed_on": policy.disclosed_on,
    }
    table = Base.metadata.tables["policies"]
    current = batch.connection.execute(select(table).where(table.c.until_seq.is_(None))).mappings().all()
    if current and all(_stored(row[name]) == current[-1][name] for name in row):
        return
    until = {"until_seq": origin.journal_seq, "until_ns": origin.ts_ns}
    batch.change(update(table).where(table.c.until_seq.is_(None)), until)
    batch.flush()
    batch.insert(tables.PolicyRow, {**origin.columns(), **row, "until_seq": None, "until_ns": None})


def _instrument(terms: InstrumentTerms) -> dict[str, str]:
    """An instrument's own terms by name; numbers as plain text."""
    own = {
        "lot": plain_text(terms.lot) if terms.lot is not None else "",
        "min_quantity": plain_text(terms.min_quantity) if terms.min_quantity is not None else "",
        "remainder": str(terms.remainder or ""),
    }
    return {"symbol": terms.symbol} | {name: value for name, value in own.items() if value}


def _accounts(batch: Batch, origin: Origin, out: outputs.Configured) -> None:
    table = Base.metadata.tables["accounts"]
    current = {
        row["account"]: row
        for row in batch.connection.execute(select(table).where(table.c.until_seq.is_(None))).mappings()
    }
    end = (
        update(table)
        .where(table.c.account == bindparam("which"), table.c.until_seq.is_(None))
        .values(until_seq=bindparam("new_until_seq"), until_ns=bindparam("new_until_ns"))
    )
    until = {"new_until_seq": origin.journal_seq, "new_until_ns": origin.ts_ns}
    today = _day(origin.ts_ns, out.setup.policy.timezone)
    fresh: list[Row] = []
    ended: list[Row] = []
    for number, account in enumerate(out.setup.accounts):
        was = current.pop(bounded_id(account.account), None)
        row = asdict(account)
        said = row["valid_from"]
        row["valid_from"] = date.fromisoformat(said) if said else today
        told = row.keys() - {"account"} - (set() if said else {"valid_from"})
        if was is not None and all(_stored(row[name]) == was[name] for name in told):
            continue
        if was is not None:
            ended.append({"which": account.account, **until})
        fresh.append({**origin.line(number), "ts_ns": origin.ts_ns, **row, "until_seq": None, "until_ns": None})
    ended += [{"which": name, **until} for name in current]
    if ended:
        batch.connection.execute(end, ended)
    for row in fresh:
        batch.insert(tables.AccountRow, row)


def _day(ts_ns: int, timezone: str) -> date:
    """The day of a moment in the policy's time zone."""
    return datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).astimezone(ZoneInfo(timezone)).date()


def _stored(value: Any) -> Any:
    """A value as it reads after it was stored."""
    return safe_text(value) if isinstance(value, str) else value
