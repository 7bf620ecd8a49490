"""Rows of turns and holdings; see :mod:`.writers`, whose table names these functions."""

from __future__ import annotations

import json

from fixgateway.core import outputs
from fixgateway.records import rotation_tables as tables
from fixgateway.records.batch import Batch, Origin

_TURN = ("policy_id", "statement_id", "account", "turn", "outcome", "quantity", "actor", "reason")
_HOLDING = ("account", "symbol", "quantity", "before", "actor", "reason")


def turn(batch: Batch, origin: Origin, out: outputs.RotationTurn) -> None:
    """A turn and where its account stands now."""
    row = {name: getattr(out, name) for name in _TURN}
    batch.insert(tables.RotationTurnRow, {**origin.columns(), **row, "queue_position": out.position})


def holding_set(batch: Batch, origin: Origin, out: outputs.HoldingSet) -> None:
    """A holding set by a person."""
    row = {name: getattr(out, name) for name in _HOLDING}
    batch.insert(
        tables.HoldingChangeRow, {**origin.columns(), **row, "statements": json.dumps(list(out.statements))}
    )
