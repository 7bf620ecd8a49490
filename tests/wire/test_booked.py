"""P, AS and AK read; AT, AU and BH written: fields, groups, what is unreadable."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from fixgateway.core import inputs
from fixgateway.core.outputs import SendConfirmationAck, SendConfirmationRequest, SendReportAck
from fixgateway.wire import dictionary, inward
from fixgateway.wire.message import parse
from fixgateway.wire.outward import Buildable, build
from fixgateway.wire.versions import FIX42, FIX44, FIX50SP2, Version

Frame = Callable[..., str]
NOW_NS = 1_795_449_600_123_000_000

AS = (
    "755=R-1|70=A-1|71=0|794=3|87=0|857=1|73=2|11=O-1|37=B-1|38=50|11=O-2|54=1|55=XYZ|53=100|6=10.005|75=20261123|"
    "60=20261123-21:00:00|381=1000.5|118=1001.5|78=2|79=ACC-1|467=x|80=60|153=10.005|154=600.3|79=ACC-2|80=40|"
)
AK = (
    "664=K-1|772=K-0|666=1|773=2|797=N|665=4|70=A-1|73=1|11=O-1|60=20261123-21:00:00|75=20261123|55=XYZ|80=60|54=2|"
    "862=1|528=A|863=60|79=ACC-1|6=10.005|381=600.3|118=599.3|12=1|13=3|"
)


def taken(frame: Frame, msg_type: str, body: str, version: Version = FIX44) -> inputs.Input:
    return inward.from_broker(
        parse(frame(body, msg_type=msg_type)), version, "BRK1", 7, 99, 2, lambda *_: None
    )


def test_a_report_is_read_with_its_groups(frame: Frame) -> None:
    assert taken(frame, "AS", AS) == inputs.ReportedAllocation(
        seq=7, ts_ns=99, session="BRK1", msg_seq_num=2, report_id="R-1", ref_report_id="", alloc_id="A-1",
        trans_type="0", report_type="3", status="accepted", cl_ord_ids=("O-1", "O-2"), symbol="XYZ", side="buy",
        trade_date="2026-11-23", quantity=Decimal(100), avg_px=Decimal("10.005"), gross=Decimal("1000.5"),
        net=Decimal("1001.5"), text="",
        lines=(
            inputs.ReportedLine("ACC-1", Decimal(60), Decimal("10.005"), Decimal("600.3")),
            inputs.ReportedLine("ACC-2", Decimal(40)),
        ),
    )  # fmt: skip


def test_a_confirmation_is_read(frame: Frame) -> None:
    assert taken(frame, "AK", AK) == inputs.Confirmation(
        seq=7, ts_ns=99, session="BRK1", msg_seq_num=2, confirm_id="K-1", ref_confirm_id="K-0", trans_type="1",
        confirm_type="2", status="4", copy=False, request_id="", alloc_id="A-1", cl_ord_ids=("O-1",),
        account="ACC-1", symbol="XYZ", side="sell", trade_date="2026-11-23", quantity=Decimal(60),
        avg_px=Decimal("10.005"), gross=Decimal("600.3"), net=Decimal("599.3"), commission=Decimal(1), text="",
    )  # fmt: skip


@pytest.mark.parametrize(("body", "defect"), [
    (AS.replace("78=2", "78=3"), "78=3 but 2 entries follow"),
    (AS.replace("73=2", "73=1"), "73=1 but 2 entries follow"),
    (AS.replace("80=60", "80=1e2"), "AllocQty(80) '1e2' is not a number"),
    (AS.replace("6=10.005|75", "6=NaN|75"), "AvgPx(6) 'NaN' is not a number"),
])  # fmt: skip
def test_what_is_unreadable_is_told(frame: Frame, body: str, defect: str) -> None:
    found = taken(frame, "AS", body)
    assert isinstance(found, inputs.ReportedAllocation)
    assert found.defects == (defect,)


@pytest.mark.parametrize("comm_type", ["13=1|", "13=2|", ""])
def test_only_a_commission_that_is_a_sum_is_compared(frame: Frame, comm_type: str) -> None:
    found = taken(frame, "AK", AK.replace("13=3|", comm_type))
    assert isinstance(found, inputs.Confirmation)
    assert found.commission is None


@pytest.mark.parametrize("msg_type", ["AS", "AK"])
def test_fix42_has_neither(frame: Frame, msg_type: str) -> None:
    assert isinstance(taken(frame, msg_type, AK, FIX42), inputs.Unsupported)


def test_an_ack_keeps_what_it_says_of_accounts(frame: Frame) -> None:
    body = "70=A-1|60=20261123-21:00:00|87=2|78=3|79=ACC-1|776=0|161=no|79=ACC-2|79=ACC-3|161=late|"
    found = taken(frame, "P", body)
    assert isinstance(found, inputs.AllocationAck)
    assert found.accounts == (
        inputs.AccountAnswer("ACC-1", "0", "no"), inputs.AccountAnswer("ACC-3", "", "late"),
    )  # fmt: skip


# AllocStatus(87), FIX 5.0 SP2 EP288 code set; FIX 4.2 errata 20010501 knows 0 to 3 only.
@pytest.mark.parametrize(("version", "code", "status"), [
    (FIX42, "3", "received"), (FIX42, "4", "other"), (FIX44, "4", "incomplete"), (FIX44, "5", "rejected"),
    (FIX44, "6", "other"), (FIX50SP2, "6", "pending"), (FIX50SP2, "7", "reversed"), (FIX50SP2, "8", "rejected"),
    (FIX50SP2, "9", "pending"), (FIX50SP2, "10", "rejected"), (FIX50SP2, "12", "reversed"),
    (FIX50SP2, "14", "pending"), (FIX50SP2, "15", "other"),
])  # fmt: skip
def test_allocation_status_by_version(frame: Frame, version: Version, code: str, status: str) -> None:
    found = taken(frame, "P", f"70=A-1|87={code}|", version)
    assert isinstance(found, inputs.AllocationAck)
    assert found.status == status


RECEIVED = SendReportAck("BRK1", "R-1", "A-1", "2026-11-23", "3", "", "", "")
REJECTED = SendReportAck("BRK1", "R-1", "A-1", "2026-11-23", "1", "8", "GW-873", "GW-873 no")
AFFIRMED = SendConfirmationAck("BRK1", "K-1", "2026-11-23", "3", "", "", "", "A-1", "S-1", "ACC-1")
DENIED = SendConfirmationAck("BRK1", "K-1", "", "2", "99", "GW-875", "GW-875 no", "A-1", "S-1", "ACC-1")
ASKED = SendConfirmationRequest("BRK1", "Q-1", "A-1", "S-1", "ACC-1")


@pytest.mark.parametrize(("output", "msg_type", "body"), [
    (RECEIVED, "AT", "755=R-1|70=A-1|75=20261123|60=20261123-16:00:00.123|87=3|"),
    (REJECTED, "AT", "755=R-1|70=A-1|75=20261123|60=20261123-16:00:00.123|87=1|88=8|573=1|58=GW-873 no|"),
    (AFFIRMED, "AU", "664=K-1|75=20261123|60=20261123-16:00:00.123|940=3|573=0|"),
    (DENIED, "AU", "664=K-1|75=20261123|60=20261123-16:00:00.123|940=2|774=99|573=1|58=GW-875 no|"),
    (ASKED, "BH", "859=Q-1|773=2|70=A-1|60=20261123-16:00:00.123|79=ACC-1|"),
])  # fmt: skip
def test_answers_field_by_field(output: Buildable, msg_type: str, body: str) -> None:
    built = build(output, FIX44, NOW_NS, None)
    assert (built.msg_type, built.body.replace("\x01", "|")) == (msg_type, body)


@pytest.mark.parametrize("version", [FIX44, FIX50SP2], ids=lambda version: version.name)
@pytest.mark.parametrize("output", [RECEIVED, REJECTED, AFFIRMED, DENIED, ASKED])
def test_answers_have_what_the_dictionary_requires_and_nothing_it_does_not_know(
    output: Buildable, version: Version
) -> None:
    built = build(output, version, NOW_NS, None)
    known = dictionary.load(version.begin_string).message(built.msg_type)
    tags = [field.partition("=")[0] for field in built.body.split("\x01") if field]
    assert set(known.required) <= set(tags)
    assert set(tags) <= known.tags
