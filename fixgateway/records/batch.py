"""Rows of a batch of decisions, gathered and then written with one statement per table.

Rows are inserted first and changes of earlier rows applied after, in the order they were decided. Because a
change always comes after its row in the journal, the outcome does not depend on where batches begin and end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, Update, bindparam, insert, update

from fixgateway.core.outputs import Output
from fixgateway.records.tables import Base, OrderRow

Row = dict[str, Any]

_ORDERS: Table = Base.metadata.tables["orders"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an output stands in the journal, and what was decided with it."""

    journal_seq: int
    position: int
    input_seq: int
    ts_ns: int
    decided: tuple[Output, ...] = ()

    def columns(self) -> Row:
        """The columns of :class:`tables.Happened`."""
        return {
            "journal_seq": self.journal_seq,
            "position": self.position,
            "input_seq": self.input_seq,
            "ts_ns": self.ts_ns,
        }

    def line(self, number: int) -> Row:
        """The columns of :class:`tables.Part`."""
        return {"journal_seq": self.journal_seq, "position": self.position, "line": number}


class Batch:
    """What a transaction is about to write.

    Args:
        connection: inside the transaction the batch belongs to.

    Attributes:
        size: rows and changes waiting; the projector calls :meth:`flush` when there are too many.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.size = 0
        self._rows: dict[str, list[Row]] = {}
        self._new_orders: dict[int, Row] = {}
        self._order_changes: dict[int, Row] = {}
        self._changes: list[tuple[Update, Row]] = []

    def insert(self, table: type[Base], row: Row) -> None:
        """Add a row to ``table``; every row of a table has the same columns."""
        self._rows.setdefault(table.__tablename__, []).append(row)
        self.size += 1
        if table is OrderRow:
            self._new_orders[row["order_key"]] = row

    def change_order(self, order_key: int, values: Row) -> None:
        """Overwrite columns of one order; several changes of an order in a batch become one."""
        new = self._new_orders.get(order_key)
        if new is not None:
            new.update(values)
            return
        self._order_changes.setdefault(order_key, {}).update(values)
        self.size += 1

    def change(self, statement: Update, parameters: Row) -> None:
        """Run ``statement`` after the rows gathered so far are in."""
        self._changes.append((statement, parameters))
        self.size += 1

    def flush(self) -> None:
        """Write everything gathered."""
        for table in Base.metadata.sorted_tables:
            if rows := self._rows.get(table.name):
                self.connection.execute(insert(table), rows)
        for statement, parameters in self._changes:
            self.connection.execute(statement, parameters)
        self._write_order_changes()
        self._rows, self._new_orders = {}, {}
        self._order_changes, self._changes = {}, []
        self.size = 0

    def _write_order_changes(self) -> None:
        """One executemany per set of columns; there are only a handful of sets."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for order_key, values in self._order_changes.items():
            parameters = {f"new_{name}": value for name, value in values.items()}
            groups.setdefault(tuple(sorted(values)), []).append({"which": order_key, **parameters})
        for names, parameters_list in groups.items():
            statement = (
                update(_ORDERS)
                .where(_ORDERS.c.order_key == bindparam("which"))
                .values({name: bindparam(f"new_{name}") for name in names})
            )
            self.connection.execute(statement, parameters_list)
