"""What the gateway reads of an ExecutionReport beside the plain fill: days, restatements, first ExecIDs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from fixgateway.core import inputs
from fixgateway.core.inputs import ExecKind
from fixgateway.wire import inward
from fixgateway.wire.message import parse
from fixgateway.wire.versions import FIX42, FIX44, Version

Frame = Callable[..., str]
FILL = "37=O1|17=E1|11=C1|55=XYZ|54=1|39=1|38=100|32=5|31=10|14=5|151=95|6=10|"


def execution(text: str, version: Version = FIX44) -> inputs.Execution:
    found = inward.from_broker(parse(text), version, "BRK1", 7, 99, 2, lambda *_: None)
    assert isinstance(found, inputs.Execution)
    return found


def test_time_in_force_reaches_the_core(frame: Frame) -> None:
    text = frame("11=O-1|55=XYZ|54=1|60=20261122-14:30:00|38=5|40=1|59=6|432=20261231|70=S-1|")
    found = inward.from_oms(parse(text), FIX44, ("AllocID",), "OMS1", 7, 99, 2, "5eed")
    assert isinstance(found, inputs.NewOrder)
    assert found.time_in_force == "6"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("75=20261123|", date(2026, 11, 23)), ("75=20261131|", None), ("75=2026-11-23|", None), ("", None)],
)
def test_the_trade_date_of_a_fill(frame: Frame, text: str, expected: date | None) -> None:
    assert execution(frame(FILL + "150=F|" + text, "8")).trade_date == expected


def test_day_quantities_are_read_and_never_stop_a_fill(frame: Frame) -> None:
    assert execution(frame(FILL + "150=F|424=8000|425=1000|426=10|", "8")).day_cum_qty == Decimal(1000)
    odd = execution(frame(FILL + "150=F|425=many|", "8"))
    assert (odd.day_cum_qty, odd.kind, odd.last_qty, odd.defects) == (None, ExecKind.FILL, Decimal(5), ())


@pytest.mark.parametrize(("version", "kind"), [(FIX44, "150=H|"), (FIX44, "150=G|"), (FIX42, "20=2|150=2|")])
def test_the_first_exec_id_of_a_bust_or_correction(frame: Frame, version: Version, kind: str) -> None:
    text = frame(FILL + kind + "19=E1|16017=E0|", "8", version.begin_string)
    assert (execution(text, version).exec_ref_id, execution(text, version).orig_exec_id) == ("E1", "E0")


def test_why_an_order_was_restated_and_how_long_it_lives(frame: Frame) -> None:
    found = execution(frame(FILL + "150=D|378=0|59=1|", "8"))
    assert (found.kind, found.restatement_reason, found.time_in_force) == (ExecKind.RESTATED, "0", "1")


def test_they_are_read_from_no_other_kind(frame: Frame) -> None:
    found = execution(frame(FILL + "150=F|378=0|59=1|16017=E0|", "8"))
    assert (found.restatement_reason, found.time_in_force, found.orig_exec_id) == ("", "", "")
