"""Small builders for core tests: an engine with the worked example's world."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from fixgateway.core.engine import Engine
from fixgateway.core.inputs import (
    AllocationAck,
    CancelOrder,
    CancelReject,
    Configure,
    ExecKind,
    Execution,
    Input,
    MessageReject,
    NewOrder,
    NotSent,
    Operator,
    ReplaceOrder,
    SessionDown,
    SessionUp,
    StatusRequest,
    SubmitStatement,
    Tick,
    Unsupported,
)
from fixgateway.core.model import (
    RULES,
    Account,
    BrokerSetup,
    Completion,
    Draft,
    DraftLine,
    Method,
    OmsSetup,
    Policy,
    Remainder,
    Setup,
    Ties,
)
from fixgateway.core.outputs import Output

TODAY = date(2026, 11, 23)
SEED = "11" * 32
EXAMPLE = (("CLIENT-A", "25000"), ("CLIENT-B", "10000"), ("CLIENT-C", "5000"), ("PROP", "10000"))

POLICY = Policy(
    policy_id="P",
    version="1",
    approved_by="CCO",
    effective_from=date(2026, 1, 1),
    method=Method.PRO_RATA,
    ties=Ties.SEEDED,
    remainder=Remainder.LARGEST_SHORTFALL,
    lot=Decimal(1),
    min_quantity=Decimal(0),
    completion=Completion.ORDERS,
    price_decimals=4,
    require_memo=False,
    timezone="America/New_York",
    allocate_at="19:00",
    affirm_at="21:00",
    text_sha256="",
)
ACCOUNTS = (
    *(
        Account(name, name, "proprietary" if name == "PROP" else "client", "standard", "S", "active")
        for name in ("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "X1", "X2")
    ),
    Account("SHUT", "shut", "client", "standard", "S", "closed"),
    Account("ERR", "errors", "error", "standard", "S", "active"),
    Account("ALONE", "alone", "client", "standard", "S", "active", aggregation_permitted=False),
)
SETUP = Setup(
    engine_version="test",
    policy=POLICY,
    accounts=ACCOUNTS,
    omses=(OmsSetup("OMS1", ("BRK1", "BRK2")), OmsSetup("OMS2", ("BRK1",), allocation_report="none")),
    brokers=(BrokerSetup("BRK1"), BrokerSetup("BRK2")),
    rules=RULES,
)


def draft(statement_id: str = "S-1", lines: Any = EXAMPLE, **more: Any) -> Draft:
    """A draft of the worked example unless told otherwise."""
    rows = tuple(DraftLine(n, account, quantity) for n, (account, quantity) in enumerate(lines, 1))
    fields: dict[str, Any] = {
        "statement_id": statement_id,
        "trade_date": TODAY.isoformat(),
        "symbol": "XYZ",
        "side": "buy",
        "total": str(sum(int(q) for _, q in lines if q.isdigit())),
        "recommended_by": "pm",
        "placed_by": "trader",
        "discretionary": "yes",
    }
    return Draft(lines=rows, **{**fields, **more})


class World:
    """An engine and a clock; every method gives the engine one input and returns its outputs."""

    def __init__(self, setup: Setup = SETUP) -> None:
        self.engine = Engine()
        self.seq = 0
        self.ts_ns = 1_000_000_000_000
        self.outputs: list[Output] = []
        self.inputs: list[Input] = []
        self.give(Configure, setup=setup)
        self.tick()
        for broker in setup.brokers:
            self.give(SessionUp, session=broker.name)

    def give(self, kind: type, **fields: Any) -> tuple[Output, ...]:
        self.seq += 1
        self.ts_ns += 1_000_000
        given: Input = kind(seq=self.seq, ts_ns=self.ts_ns, **fields)
        self.inputs.append(given)
        outputs = self.engine.apply(given)
        self.outputs += outputs
        return outputs

    def tick(self, day: date = TODAY, local_time: str = "10:00:00", seconds: int = 0) -> tuple[Output, ...]:
        self.ts_ns += seconds * 1_000_000_000
        return self.give(Tick, trade_date=day, local_time=local_time)

    def submit(self, written: Draft | None = None, session: str = "OMS1", **more: Any) -> tuple[Output, ...]:
        fields: dict[str, Any] = {"door": "fix" if session else "http", "actor": "a", "seed": SEED, **more}
        return self.give(SubmitStatement, session=session, draft=written or draft(), **fields)

    def order(
        self, cl_ord_id: str = "C1", qty: str = "50000", statement: str = "S-1", **more: Any
    ) -> tuple[Output, ...]:
        keys = (("AllocID", statement),) if statement else (("ClOrdID", cl_ord_id),)
        given = NewOrder(
            seq=0,
            ts_ns=0,
            session="OMS1",
            msg_seq_num=1,
            defect="",
            cl_ord_id=cl_ord_id,
            keys=keys,
            symbol="XYZ",
            security_id="",
            id_source="",
            side="buy",
            order_qty=qty,
            ord_type="2",
            account="",
            alloc_lines=None,
            deliver_to="",
            ex_destination="",
            poss_resend=False,
            poss_dup=False,
            sent_ns=0,
            placed_by="",
        )
        return self._again(replace(given, **more))

    def replace(self, cl_ord_id: str, orig: str, qty: str, **more: Any) -> tuple[Output, ...]:
        given = ReplaceOrder(
            seq=0,
            ts_ns=0,
            session="OMS1",
            msg_seq_num=1,
            defect="",
            cl_ord_id=cl_ord_id,
            orig_cl_ord_id=orig,
            symbol="XYZ",
            security_id="",
            side="buy",
            order_qty=qty,
            account="",
            alloc_lines=None,
            poss_resend=False,
            poss_dup=False,
        )
        return self._again(replace(given, **more))

    def cancel(self, cl_ord_id: str, orig: str, session: str = "OMS1") -> tuple[Output, ...]:
        return self.give(
            CancelOrder, session=session, msg_seq_num=1, defect="", cl_ord_id=cl_ord_id, orig_cl_ord_id=orig
        )

    def execution(
        self, kind: ExecKind, cl_ord_id: str = "C1", exec_id: str = "", **more: Any
    ) -> tuple[Output, ...]:
        given = Execution(
            seq=0,
            ts_ns=0,
            session="BRK1",
            msg_seq_num=1,
            kind=kind,
            ord_status="",
            order_id="",
            exec_id=exec_id or f"E{self.seq}",
            exec_ref_id="",
            cl_ord_id=cl_ord_id,
            orig_cl_ord_id="",
            symbol="XYZ",
            side="buy",
            order_qty=None,
            last_qty=None,
            last_px=None,
            cum_qty=None,
            leaves_qty=None,
            avg_px=None,
            copy=False,
            poss_resend=False,
            deliver_to="",
            text="",
        )
        return self._again(replace(given, **more))

    def fill(self, qty: str, px: str, cl_ord_id: str = "C1", **more: Any) -> tuple[Output, ...]:
        return self.execution(ExecKind.FILL, cl_ord_id, last_qty=Decimal(qty), last_px=Decimal(px), **more)

    def ack(self, alloc_id: str, status: str = "accepted", session: str = "BRK1") -> tuple[Output, ...]:
        return self.give(
            AllocationAck,
            session=session,
            msg_seq_num=1,
            alloc_id=alloc_id,
            status=status,
            reject_code="",
            text="",
        )

    def operate(self, action: str, target: str = "all", reason: str = "test") -> tuple[Output, ...]:
        return self.give(Operator, actor="ops", action=action, target=target, reason=reason)

    def down(self, session: str = "BRK1") -> tuple[Output, ...]:
        return self.give(SessionDown, session=session)

    def up(self, session: str = "BRK1") -> tuple[Output, ...]:
        return self.give(SessionUp, session=session)

    def not_sent(self, decision_seq: int) -> tuple[Output, ...]:
        return self.give(NotSent, session="BRK1", decision_seq=decision_seq, index=0, why="BRK1 went down")

    def refused_by_broker(self, decision: int, msg_type: str = "3", ref_msg_type: str = "D") -> tuple[Output, ...]:
        return self.give(
            MessageReject,
            session="BRK1",
            msg_seq_num=1,
            msg_type=msg_type,
            ref_seq_num=2,
            ref_msg_type=ref_msg_type,
            ref_decision=decision,
            ref_id="",
            reason="1",
            text="no such tag",
        )

    def cancel_reject(self, cl_ord_id: str, orig: str) -> tuple[Output, ...]:
        return self.give(
            CancelReject,
            session="BRK1",
            msg_seq_num=1,
            cl_ord_id=cl_ord_id,
            orig_cl_ord_id=orig,
            ord_status="0",
            response_to="2",
            reason="0",
            text="too late",
        )

    def status(self, cl_ord_id: str) -> tuple[Output, ...]:
        return self.give(StatusRequest, session="OMS1", msg_seq_num=1, cl_ord_id=cl_ord_id)

    def unsupported(self, msg_type: str) -> tuple[Output, ...]:
        return self.give(Unsupported, session="OMS1", msg_seq_num=7, msg_type=msg_type)

    def _again(self, given: Any) -> tuple[Output, ...]:
        """Give a prepared input with the next sequence and clock reading."""
        self.seq += 1
        self.ts_ns += 1_000_000
        stamped = replace(given, seq=self.seq, ts_ns=self.ts_ns)
        self.inputs.append(stamped)
        outputs = self.engine.apply(stamped)
        self.outputs += outputs
        return outputs


def one(outputs: tuple[Output, ...] | list[Output], kind: type) -> Any:
    """The only output of a kind."""
    found = [output for output in outputs if isinstance(output, kind)]
    assert len(found) == 1, f"expected one {kind.__name__}, got {outputs}"
    return found[0]


def some(outputs: tuple[Output, ...] | list[Output], kind: type) -> list[Any]:
    """All outputs of a kind."""
    return [output for output in outputs if isinstance(output, kind)]
