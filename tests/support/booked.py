"""What follows a J in core tests: the worked example up to its J, a broker's P, AS and AK for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from worlds import SETUP, World, one, some

from fixgateway.core.inputs import Confirmation, ExecKind, ReportedAllocation, ReportedLine
from fixgateway.core.model import BrokerSetup
from fixgateway.core.outputs import ExceptionOpened, Output, SendAllocation

WATCHED = replace(
    SETUP,
    life_cycle=True,
    brokers=(
        BrokerSetup("BRK1", final_timeout_seconds=60, price_tolerance=Decimal("0.0001"),
                    money_tolerance=Decimal("0.01")),
        BrokerSetup("BRK2"),
    ),
)  # fmt: skip
SHARES = {"CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000"}


def sent(world: World, quantity: str = "30000", price: str = "100") -> str:
    """The worked example up to its J; returns the AllocID."""
    world.submit()
    world.order()
    world.fill(quantity, price, exec_id="F1")
    outputs = world.execution(ExecKind.CANCELLED, ord_status="4")
    return str(one(outputs, SendAllocation).allocation.alloc_id)


def busted(world: World, last: str = "20000") -> Any:
    """The fill is corrected: a replace of the J."""
    outputs = world.execution(
        ExecKind.CORRECT, exec_id=f"F2-{last}", exec_ref_id="F1", last_qty=Decimal(last), last_px=Decimal(100)
    )
    return one(outputs, SendAllocation).allocation


def opened(outputs: tuple[Output, ...] | list[Output]) -> list[str]:
    return [x.reason for x in some(outputs, ExceptionOpened)]


def report(world: World, alloc_id: str, **more: Any) -> tuple[Output, ...]:
    """A broker's report of the worked example, right unless told otherwise."""
    given = ReportedAllocation(
        seq=0, ts_ns=0, session="BRK1", msg_seq_num=5, report_id="R1", ref_report_id="", alloc_id=alloc_id,
        trans_type="0", report_type="3", status="accepted", cl_ord_ids=(), symbol="XYZ", side="buy",
        trade_date="2026-11-23", quantity=Decimal(30000), avg_px=Decimal(100), gross=Decimal(3000000), net=None,
        lines=tuple(ReportedLine(account, Decimal(shares)) for account, shares in SHARES.items()), text="",
    )  # fmt: skip
    return world._again(replace(given, **more))


CONFIRMING = replace(
    WATCHED,
    brokers=(
        BrokerSetup(
            "BRK1", confirmations=True, price_tolerance=Decimal("0.0001"), money_tolerance=Decimal("0.01")
        ),
        BrokerSetup("BRK2"),
    ),
)


def confirm(world: World, alloc_id: str, account: str = "CLIENT-A", **more: Any) -> tuple[Output, ...]:
    """A broker's confirmation of the worked example, right unless told otherwise."""
    quantity = Decimal(SHARES.get(account, "1"))
    given = Confirmation(
        seq=0, ts_ns=0, session="BRK1", msg_seq_num=5, confirm_id=f"K-{account}", ref_confirm_id="",
        trans_type="0", confirm_type="2", status="4", copy=False, request_id="", alloc_id=alloc_id, cl_ord_ids=(),
        account=account,
        symbol="XYZ", side="buy", trade_date="2026-11-23", quantity=quantity, avg_px=Decimal(100),
        gross=quantity * 100, net=None, commission=None, text="",
    )  # fmt: skip
    return world._again(replace(given, **more))
