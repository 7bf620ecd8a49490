"""The worked example, through the engine's one door."""

from decimal import Decimal

from worlds import World, one, some

from fixgateway.core.inputs import ExecKind
from fixgateway.core.outputs import (
    ForwardToBroker,
    SendAllocation,
    SendAllocationReport,
    SendReport,
    SendStatementAck,
    StatementAllocated,
    StatementClosed,
)


def test_30000_of_50000_gives_15000_6000_3000_6000() -> None:
    world = World()
    blocked = one(world.order("C0", statement="S-9"), SendReport)
    assert blocked.text == "GW-101 no allocation statement for AllocID S-9"
    assert (blocked.exec_type, blocked.ord_status, blocked.ord_rej_reason) == ("8", "8", "99")

    assert one(world.submit(), SendStatementAck).alloc_status == "0"
    assert one(world.order(), ForwardToBroker).quantity == 50000
    world.execution(ExecKind.NEW)
    for px in ("99.90", "100", "100.10"):
        assert not some(world.fill("10000", px), SendAllocation)
    done = world.execution(ExecKind.CANCELLED)

    assert one(done, StatementClosed).why == "complete"
    allocation = one(done, SendAllocation).allocation
    assert [(s.account, s.quantity) for s in allocation.shares] == [
        ("CLIENT-A", 15000),
        ("CLIENT-B", 6000),
        ("CLIENT-C", 3000),
        ("PROP", 6000),
    ]
    assert allocation.quantity == 30000
    assert allocation.avg_px == "100.0000"
    assert [(o.cl_ord_id, o.booked_qty) for o in allocation.orders] == [("C1", 30000)]
    assert one(done, StatementAllocated).unallocated == Decimal(0)
    report = one(world.ack(allocation.alloc_id), SendAllocationReport)
    assert (report.session, report.form, report.allocation) == ("OMS1", "AS", allocation)
