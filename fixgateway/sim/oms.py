"""A scriptable OMS: registers statements by J, sends D, G and F, and waits for what comes back.

A scenario file is TOML or JSON: a list ``step`` of tables, run in order. ``do`` names the step; every value is
text unless shown otherwise::

    [[step]]
    do = "statement"             # send J for a statement file (.json or .csv, relative to this file)
    file = "S-1.json"
    status = "0"                 # wait for P with this AllocStatus; "" does not wait

    [[step]]
    do = "order"                 # NewOrderSingle; symbol and side default to the last statement's
    cl_ord_id = "O-1"
    quantity = "50000"
    alloc_id = "S-1"             # "" leaves AllocID out
    symbol = "XYZ"
    side = "buy"
    price = "100.5"              # a limit order; "" a market order
    more = "59=0|100=XNYS"       # further fields, as they are

    [[step]]
    do = "replace"               # OrderCancelReplaceRequest
    cl_ord_id = "O-2"
    of = "O-1"
    quantity = "40000"

    [[step]]
    do = "cancel"                # OrderCancelRequest
    cl_ord_id = "C-1"
    of = "O-2"

    [[step]]
    do = "expect"                # wait for a message; match by FIX name or t<number>
    msg_type = "8"
    match = {ExecType = "F"}
    count = 3                    # a number
    timeout_seconds = 10         # a number

    [[step]]
    do = "wait"
    seconds = 0.5                # a number

    [[step]]
    do = "send"                  # anything, as it is
    msg_type = "H"
    body = "11=O-1|55=XYZ|54=1"

    [[step]]
    do = "disconnect"            # also: reconnect, logout; they take nothing

The statement's form is taken as written and not checked: a wrong statement is for the gateway to refuse.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fixgateway.errors import ConfigError, CounterpartyError, StatementFileError
from fixgateway.sim.fields import Fields, Pair, body_text, utc_timestamp
from fixgateway.sim.peer import Peer

SIDES = {"buy": "1", "sell": "2", "short": "5", "short-exempt": "6"}
_ENDED = frozenset("2348C")


def plain_decimal(text: str) -> Decimal:
    """The number written, 0 for what is none; the text itself goes on the wire."""
    return Decimal(text) if re.fullmatch(r"[0-9]{1,30}(\.[0-9]{1,15})?", text) else Decimal(0)


def today(timezone: str = "America/New_York") -> str:
    """The trade date now, ``YYYY-MM-DD``."""
    return datetime.now(ZoneInfo(timezone)).date().isoformat()


@dataclass(frozen=True, slots=True)
class SimStatement:
    """A statement as the OMS sends it; ``lines`` are (account, quantity), ``total`` their sum unless given."""

    statement_id: str
    symbol: str
    side: str
    lines: tuple[tuple[str, str], ...]
    trade_date: str = ""
    total: str = ""

    def fields(self, begin_string: str) -> list[Pair]:
        """The body of J (FIX 4.4 AllocationInstruction; 4.2 Allocation has 71=3 and neither 626 nor 857)."""
        old = begin_string in ("FIX.4.0", "FIX.4.1", "FIX.4.2")
        kind = [(71, "3")] if old else [(71, "0"), (626, "2"), (857, "0")]
        lines = [pair for account, quantity in self.lines for pair in ((79, account), (80, quantity))]
        return [
            (70, self.statement_id), *kind, (54, SIDES.get(self.side, self.side)), (55, self.symbol),
            (53, self.total or self.sum_of_lines()), (75, (self.trade_date or today()).replace("-", "")),
            (60, utc_timestamp()), (78, str(len(self.lines))), *lines,
        ]  # fmt: skip

    def sum_of_lines(self) -> str:
        """The lines' quantities added up."""
        return format(sum((plain_decimal(quantity) for _, quantity in self.lines), Decimal(0)), "f")


def read_statement(path: Path) -> SimStatement:
    """Read a statement file, JSON or CSV.

    Raises:
        StatementFileError: the file cannot be read at all; names it and the field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            table: dict[str, Any] = {**rows[0], "lines": rows}
        else:
            table = json.loads(text, parse_float=str, parse_int=str)
        lines = tuple((str(line["account"]), str(line["quantity"])) for line in table["lines"])
        return SimStatement(
            str(table["statement_id"]), str(table["symbol"]), str(table["side"]), lines,
            str(table.get("trade_date") or ""), str(table.get("total") or ""),
        )  # fmt: skip
    except (OSError, ValueError, IndexError, TypeError, KeyError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise StatementFileError(f"{path}: {what}; see config/statements/ for a statement file") from error


@dataclass(slots=True)
class _Order:
    """What a cancel or replace must repeat of the order."""

    symbol: str
    side: str
    quantity: str
    price: str


@dataclass(slots=True)
class Oms:
    """An OMS on a logged-on session."""

    peer: Peer
    statement: SimStatement | None = None
    _orders: dict[str, _Order] = field(default_factory=dict)

    def register(self, statement: SimStatement, status: str = "0", timeout_seconds: float = 10.0) -> Fields | None:
        """Send J and wait for P with AllocStatus ``status``; "" does not wait.

        Raises:
            CounterpartyError: no such answer in time.
        """
        self.peer.send("J", statement.fields(self.peer.settings.begin_string))
        self.statement = statement
        if not status:
            return None
        return self.peer.expect("P", timeout_seconds, AllocID=statement.statement_id, AllocStatus=status)

    def order(
        self, cl_ord_id: str, quantity: str, alloc_id: str = "", symbol: str = "", side: str = "",
        price: str = "", more: str = "",
    ) -> None:  # fmt: skip
        """Send D; ``symbol`` and ``side`` default to the last statement's."""
        known = self.statement or SimStatement("", "XYZ", "buy", ())
        order = _Order(symbol or known.symbol, side or known.side, quantity, price)
        self._orders[cl_ord_id] = order
        alloc = [(70, alloc_id)] if alloc_id else []
        head = [(11, cl_ord_id), *alloc, (21, "1")]
        self.peer.send("D", body_text([*head, *_terms(order)]) + body_text(more))

    def replace(self, cl_ord_id: str, of: str, quantity: str, price: str = "") -> None:
        """Send G for the order ``of``."""
        old = self._known(of)
        order = _Order(old.symbol, old.side, quantity, price or old.price)
        self._orders[cl_ord_id] = order
        self.peer.send("G", [(41, of), (11, cl_ord_id), (21, "1"), *_terms(order)])

    def cancel(self, cl_ord_id: str, of: str) -> None:
        """Send F for the order ``of``."""
        order = self._known(of)
        self._orders[cl_ord_id] = order
        self.peer.send("F", [
            (41, of), (11, cl_ord_id), (55, order.symbol), (54, SIDES.get(order.side, order.side)),
            (38, order.quantity), (60, utc_timestamp()),
        ])  # fmt: skip

    def expect(self, msg_type: str, match: Mapping[str, str] | None = None, count: int = 1,
               timeout_seconds: float = 10.0) -> list[Fields]:  # fmt: skip
        """Wait for ``count`` matching messages."""
        return [self.peer.expect(msg_type, timeout_seconds, **(match or {})) for _ in range(count)]

    def wait_end(self, timeout_seconds: float = 60.0) -> Fields:
        """Wait for an ExecutionReport that ends an order (filled, done, cancelled, rejected, expired)."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            report = self.peer.expect("8", max(0.01, deadline - time.monotonic()))
            if report.get(39) in _ENDED:
                return report

    def _known(self, cl_ord_id: str) -> _Order:
        return self._orders.get(cl_ord_id) or _Order("XYZ", "buy", "0", "")


def _terms(order: _Order) -> list[Pair]:
    kind = [(40, "2"), (44, order.price)] if order.price else [(40, "1")]
    side = SIDES.get(order.side, order.side)
    return [(55, order.symbol), (54, side), (60, utc_timestamp()), (38, order.quantity), *kind]


# ---------------------------------------------------------------- scenario files

_TEXT = (str,)
_NUMBER = (int, float)
_STEPS: dict[str, dict[str, tuple[tuple[type, ...], bool]]] = {
    "statement": {"file": (_TEXT, True), "status": (_TEXT, False)},
    "order": {
        "cl_ord_id": (_TEXT, True), "quantity": (_TEXT, True), "alloc_id": (_TEXT, False),
        "symbol": (_TEXT, False), "side": (_TEXT, False), "price": (_TEXT, False), "more": (_TEXT, False),
    },
    "replace": {
        "cl_ord_id": (_TEXT, True), "of": (_TEXT, True), "quantity": (_TEXT, True), "price": (_TEXT, False)
    },
    "cancel": {"cl_ord_id": (_TEXT, True), "of": (_TEXT, True)},
    "expect": {
        "msg_type": (_TEXT, True), "match": ((dict,), False), "count": ((int,), False),
        "timeout_seconds": (_NUMBER, False),
    },
    "wait": {"seconds": (_NUMBER, True)},
    "send": {"msg_type": (_TEXT, True), "body": (_TEXT, True)},
    "disconnect": {}, "reconnect": {}, "logout": {},
}  # fmt: skip
"""Step → its keys: allowed types, and whether the key must be there."""


@dataclass(frozen=True, slots=True)
class OmsStep:
    """One checked step of a scenario; ``number`` counts from 1."""

    number: int
    do: str
    keys: dict[str, Any]


def load_oms_scenario(path: Path) -> list[OmsStep]:
    """Read a scenario file.

    Raises:
        ConfigError: it cannot be read, or a step is wrong; names file, step and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    steps = document.get("step", []) if isinstance(document, dict) else document
    return [_checked_step(path, number, step) for number, step in enumerate(steps, 1)]


def _checked_step(path: Path, number: int, step: Any) -> OmsStep:
    where = f"{path}: step {number}"
    do = step.get("do") if isinstance(step, dict) else None
    if do not in _STEPS:
        raise ConfigError(f"{where}: do = {do!r}; write one of {', '.join(_STEPS)}")
    keys = {key: value for key, value in step.items() if key != "do"}
    known = _STEPS[do]
    for key, value in keys.items():
        if key not in known:
            raise ConfigError(f"{where}: {key} is not a key of {do}; known are {', '.join(known) or 'none'}")
        if not isinstance(value, known[key][0]) or isinstance(value, bool):
            wanted = " or ".join(kind.__name__ for kind in known[key][0])
            raise ConfigError(f"{where}: {key} = {value!r}; write a value of type {wanted}")
    for key, (_, required) in known.items():
        if required and key not in keys:
            raise ConfigError(f"{where}: {key} is missing")
    if do == "statement":
        keys["file"] = str(path.parent / keys["file"])
    return OmsStep(number, do, keys)


def run_scenario(oms: Oms, steps: list[OmsStep]) -> None:
    """Run the steps one after another.

    Raises:
        CounterpartyError: something expected did not come; names the step.
    """
    actions: dict[str, Callable[..., object]] = {
        "statement": lambda file, status="0": oms.register(read_statement(Path(file)), status),
        "order": oms.order,
        "replace": oms.replace,
        "cancel": oms.cancel,
        "expect": oms.expect,
        "wait": lambda seconds: time.sleep(seconds),
        "send": lambda msg_type, body: oms.peer.send(msg_type, body),
        "disconnect": oms.peer.drop,
        "reconnect": oms.peer.reconnect,
        "logout": oms.peer.logout,
    }
    for step in steps:
        try:
            actions[step.do](**step.keys)
        except (CounterpartyError, ValueError) as error:
            raise CounterpartyError(f"step {step.number} ({step.do}): {error}") from error
