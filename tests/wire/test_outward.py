"""What the gateway sends: golden wires written from the specification, and checks against the dictionary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.model import Side
from fixgateway.core.outputs import (
    Allocation,
    Charge,
    ForwardToBroker,
    OrderRef,
    PassToOms,
    SendAllocation,
    SendAllocationReport,
    SendBusinessReject,
    SendCancelReject,
    SendDontKnow,
    SendReport,
    SendStatementAck,
    Share,
)
from fixgateway.errors import ConfigError, WireError
from fixgateway.wire.check import defect
from fixgateway.wire.dictionary import load
from fixgateway.wire.groups import layout
from fixgateway.wire.message import Message, parse
from fixgateway.wire.outward import Buildable, Built, build
from fixgateway.wire.routing import to_broker, to_oms
from fixgateway.wire.show import show, title
from fixgateway.wire.versions import FIX42, FIX44, FIX50SP2, Version, named

Frame = Callable[..., str]
NOW = 1_795_357_800_123_999_999  # 2026-11-22T14:30:00.123999999Z
STAMP = "20261122-14:30:00.123"

REPORT = SendReport(
    session="OMS1", exec_type="8", ord_status="8", cl_ord_id="O-1", order_id="", exec_id="GW-7", symbol="XYZ",
    side="buy", order_qty="50000", cum_qty=Decimal(0), leaves_qty=Decimal(0), avg_px="0", ord_rej_reason="99",
    reason="GW-101", text="GW-101 no allocation statement for AllocID S-9", order=0, statement_id="", broker="",
)  # fmt: skip
CANCEL_REJECT = SendCancelReject(
    session="OMS1", cl_ord_id="O-2", orig_cl_ord_id="O-1", order_id="B1", ord_status="0", response_to="2",
    cxl_rej_reason="99", reason="GW-203", text="GW-203 too much", order=5,
)  # fmt: skip
BUSINESS = SendBusinessReject("OMS1", 9, "E", "L-1", "3", "GW-404", "GW-404 not supported")
ACK = SendStatementAck("OMS1", "S-1", "2026-11-22", "0", "", "", "registered; seed sha256 ab")
DONT_KNOW = SendDontKnow("BRK1", "B9", "E9", "XYZ", "buy", "D", "GW-801 no such order")
# The worked example: 50,000 intended, 30,000 filled at 100.
BOOKED = Allocation(
    alloc_id="GW-A-20", trans_type="0", ref_alloc_id="", replace_reason="", alloc_type="1", statement_id="S-1",
    broker="BRK1", oms="OMS1", trade_date=date(2026, 11, 22), symbol="XYZ", security_id="", id_source="",
    side=Side.BUY, quantity=Decimal(30000), avg_px="100", price_decimals=4,
    orders=(OrderRef("O-1", "B1", Decimal(50000), "100", Decimal(30000)),),
    shares=(
        Share("CLIENT-A", Decimal("15000"), "100"), Share("CLIENT-B", Decimal("6000"), "100"),
        Share("CLIENT-C", Decimal("3000"), "100"), Share("PROP", Decimal("6000.00"), "100"),
    ),
)  # fmt: skip
# The specification's HNS.L example with commission at 20 basis points, a fee of 0.5 % and one of 0.25 each.
CHARGED = replace(
    BOOKED, quantity=Decimal(125000), avg_px="3.9809", gross=Decimal("497612.50"), net=Decimal("501096.2875"),
    shares=(
        Share("F1", Decimal(42200), "3.9809", gross=Decimal("167993.98"), commission=Decimal("335.988"),
              fees=(Charge("5", Decimal("839.9699")), Charge("6", Decimal("0.25"))), net=Decimal("169170.1879")),
        Share("F2", Decimal(82800), "3.9809", gross=Decimal("329618.52"), commission=Decimal("659.237"),
              fees=(Charge("5", Decimal("1648.0926")), Charge("6", Decimal("0.25"))), net=Decimal("331926.0996")),
    ),
)  # fmt: skip
EXECUTED = replace(
    BOOKED, quantity=Decimal(3000), avg_px="100.0833",
    shares=(Share("F1", Decimal(2000), "100.0833", "100"), Share("F1", Decimal(1000), "100.0833", "100.25")),
)  # fmt: skip
EVERYTHING: tuple[Buildable, ...] = (
    REPORT, replace(REPORT, exec_type="I", ord_status="1", order_id="B1", reason="", ord_rej_reason=""),
    replace(REPORT, side="", symbol="", cl_ord_id="O-1"), CANCEL_REJECT, replace(CANCEL_REJECT, orig_cl_ord_id=""),
    BUSINESS, ACK, replace(ACK, alloc_id="", trade_date="soon", alloc_status="1", alloc_rej_code="8"), DONT_KNOW,
    SendAllocation(BOOKED), SendAllocationReport("OMS1", "AS", "GW-R-21", BOOKED),
    SendAllocationReport("OMS1", "J", "GW-R-21", BOOKED),
    SendAllocation(CHARGED), SendAllocationReport("OMS1", "AS", "GW-R-21", CHARGED), SendAllocation(EXECUTED),
    SendAllocation(replace(BOOKED, trans_type="1", ref_alloc_id="GW-A-20", replace_reason="2",
                           alloc_id="GW-A-30")),
    SendAllocation(replace(BOOKED, trans_type="2", ref_alloc_id="GW-A-20", replace_reason="2", orders=(),
                           shares=(), quantity=Decimal(0), avg_px="")),
)  # fmt: skip


def body(output: Buildable, version: Version = FIX44, source: Message | None = None) -> str:
    return build(output, version, NOW, source).body.replace("\x01", "|")


def test_blocked_order(frame: Frame) -> None:
    source = parse(frame("11=O-1|1=FUND|55=XYZ|48=US0|22=4|54=1|38=50000|40=2|44=100.25|70=S-9|"))
    assert build(REPORT, FIX44, NOW, source) == Built("8", (
        f"37=NONE|11=O-1|17=GW-7|150=8|39=8|103=99|1=FUND|55=XYZ|48=US0|22=4|54=1|38=50000|40=2|44=100.25|151=0|"
        f"14=0|6=0|60={STAMP}|58=GW-101 no allocation statement for AllocID S-9|"
    ).replace("|", "\x01"))  # fmt: skip


def test_blocked_order_in_4_2(frame: Frame) -> None:
    source = parse(frame("11=O-1|55=XYZ|54=1|38=50000|40=1|", begin="FIX.4.2"))
    assert body(replace(REPORT, ord_rej_reason="13"), FIX42, source) == (
        f"37=NONE|11=O-1|17=GW-7|20=0|150=8|39=8|103=3|55=XYZ|54=1|38=50000|40=1|151=0|14=0|6=0|60={STAMP}|"
        "58=GW-101 no allocation statement for AllocID S-9|"
    )
    assert "|103=0|" in body(REPORT, FIX42, source)


def test_unreadable_numbers_of_the_order_are_not_echoed(frame: Frame) -> None:
    source = parse(frame("11=O-1|40=2|44=cheap|38=many|"))
    text = body(replace(REPORT, order_qty="many"), FIX44, source)
    assert "44=" not in text
    assert "|38=" not in text


def test_status_report() -> None:
    status = replace(REPORT, exec_type="I", ord_status="1", order_id="B1", cum_qty=Decimal("30000"),
                     leaves_qty=Decimal("20000"), avg_px="100.5", ord_rej_reason="", text="")  # fmt: skip
    assert body(status) == (
        f"37=B1|11=O-1|17=GW-7|150=I|39=1|55=XYZ|54=1|38=50000|151=20000|14=30000|6=100.5|60={STAMP}|"
    )
    assert "|20=3|150=1|39=1|" in body(status, FIX42)


def test_other_answers() -> None:
    assert body(CANCEL_REJECT) == f"37=B1|11=O-2|41=O-1|39=0|60={STAMP}|434=2|102=99|58=GW-203 too much|"
    assert "|102=2|" in body(CANCEL_REJECT, FIX42)
    assert body(BUSINESS) == "45=9|372=E|379=L-1|380=3|58=GW-404 not supported|"
    assert body(ACK) == f"70=S-1|75=20261122|60={STAMP}|87=0|58=registered; seed sha256 ab|"
    assert "|87=1|88=8|" in body(replace(ACK, alloc_status="1", alloc_rej_code="8"))
    assert "|87=1|88=1|" in body(replace(ACK, alloc_status="1", alloc_rej_code="8"), FIX42)
    assert body(DONT_KNOW) == "37=B9|17=E9|127=D|55=XYZ|54=1|58=GW-801 no such order|"


ORDERS_AND_SHARES = (
    "73=1|11=O-1|37=B1|38=50000|799=100|800=30000|54=1|55=XYZ|53=30000|6=100|74=4|75=20261122|"
    f"60={STAMP}|78=4|79=CLIENT-A|80=15000|153=100|79=CLIENT-B|80=6000|153=100|79=CLIENT-C|80=3000|153=100|"
    "79=PROP|80=6000|153=100|"
)


def test_allocation_of_the_worked_example() -> None:
    assert body(SendAllocation(BOOKED)) == "70=GW-A-20|71=0|626=1|857=1|" + ORDERS_AND_SHARES
    assert body(SendAllocation(BOOKED), FIX42) == (
        "70=GW-A-20|71=0|73=1|11=O-1|37=B1|54=1|55=XYZ|53=30000|6=100|74=4|75=20261122|"
        f"60={STAMP}|78=4|79=CLIENT-A|80=15000|153=100|79=CLIENT-B|80=6000|153=100|79=CLIENT-C|80=3000|153=100|"
        "79=PROP|80=6000|153=100|"
    )
    preliminary = SendAllocation(replace(BOOKED, alloc_type="2"))
    assert body(preliminary, FIX42).startswith("70=GW-A-20|71=3|73=")
    assert body(preliminary).startswith("70=GW-A-20|71=0|626=2|")


CHARGES = (
    f"60={STAMP}|381=497612.5|118=501096.2875|78=2|"
    "79=F1|80=42200|12=335.988|13=3|153=3.9809|154=169170.1879|136=2|137=839.9699|139=5|137=0.25|139=6|"
    "79=F2|80=82800|12=659.237|13=3|153=3.9809|154=331926.0996|136=2|137=1648.0926|139=5|137=0.25|139=6|"
)


@pytest.mark.parametrize("version", [FIX42, FIX44, FIX50SP2], ids=lambda version: version.name)
def test_a_calculated_allocation_says_commission_fees_and_net_money(version: Version) -> None:
    assert body(SendAllocation(CHARGED), version).endswith(CHARGES)
    assert body(SendAllocationReport("OMS1", "AS", "GW-R-21", CHARGED), version).endswith(CHARGES)


@pytest.mark.parametrize("alloc_type", ["2", "5"])
def test_a_preliminary_allocation_says_no_money(alloc_type: str) -> None:
    """FIX 4.4 vol. 5: 626=2 is without MiscFees and NetMoney."""
    text = body(SendAllocation(replace(CHARGED, alloc_type=alloc_type)))
    assert text.endswith("|78=2|79=F1|80=42200|153=3.9809|79=F2|80=82800|153=3.9809|")
    assert "|381=" not in text


def test_a_fee_of_nothing_and_no_commission_leave_no_field() -> None:
    shares = tuple(
        replace(share, commission=None, fees=(Charge("5", Decimal("0.00")),)) for share in CHARGED.shares
    )
    text = body(SendAllocation(replace(CHARGED, shares=shares)))
    assert text.endswith("|79=F2|80=82800|153=3.9809|154=331926.0996|")


def test_an_allocation_at_executed_prices_has_an_entry_for_each_price() -> None:
    """FIX 4.2 Errata 20010501, executed price example: 79 and 366 are the key of an entry."""
    assert body(SendAllocation(EXECUTED)).endswith("|78=2|79=F1|366=100|80=2000|79=F1|366=100.25|80=1000|")


def test_allocation_report_to_the_oms() -> None:
    report = SendAllocationReport("OMS1", "AS", "GW-R-21", BOOKED)
    assert body(report) == "755=GW-R-21|70=GW-A-20|71=0|793=S-1|794=3|87=0|857=1|" + ORDERS_AND_SHARES
    assert build(report, FIX44, NOW, None).msg_type == "AS"
    copy = build(replace(report, form="J"), FIX44, NOW, None)
    assert copy.msg_type == "J"
    assert copy.body.startswith("70=GW-R-21\x0171=0\x01793=S-1\x01626=1\x01")
    assert build(report, FIX42, NOW, None).msg_type == "J"  # 4.2 has no AS


def test_replacing_allocation() -> None:
    changed = replace(BOOKED, trans_type="1", ref_alloc_id="GW-A-20", replace_reason="2", alloc_id="GW-A-30")
    assert body(SendAllocation(changed)).startswith("70=GW-A-30|71=1|626=1|72=GW-A-20|796=2|857=1|73=1|")
    assert "796" not in body(SendAllocation(changed), FIX42)


@pytest.mark.parametrize("version", [FIX42, FIX44, FIX50SP2], ids=lambda version: version.name)
@pytest.mark.parametrize("output", EVERYTHING, ids=lambda output: type(output).__name__)
def test_every_message_has_its_required_fields(frame: Frame, version: Version, output: Buildable) -> None:
    built = build(output, version, NOW, None)
    dictionary = load(version.begin_string)
    kind = dictionary.message(built.msg_type)
    message = parse(frame(built.body, msg_type=built.msg_type, begin=version.begin_string))
    found = layout(message.pairs, kind.groups)
    assert message.body == built.body
    assert set(kind.required) - set(found.fields) == set()
    assert set(found.fields) <= kind.tags  # nothing that the version does not have
    for block in found.all_blocks():
        assert block.problem == ""
        for entry in block.entries:
            assert set(entry.fields) <= block.group.tags
            order = [block.group.members.index(tag) for tag, _ in entry.pairs]
            assert order == sorted(order)
    assert defect(message, dictionary) == ""


def test_our_texts_cannot_inject_fields() -> None:
    text = body(replace(REPORT, text="caf\u00e9\x0138=1\n" + "x" * 600, cl_ord_id="O\x011=2", reason=""))
    assert "|58=caf??38=1?xxx" in text
    assert "|11=O?1=2|" in text
    assert len(text.split("|58=")[1]) == 512 + 1


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=8))
def test_whatever_a_peer_wrote_the_answer_parses(frame: Frame, cl_ord_id: str, words: str, side: str) -> None:
    output = replace(REPORT, cl_ord_id=cl_ord_id, text=words, side=side, symbol=words)
    message = parse(frame(build(output, FIX44, NOW, None).body.replace("|", "!"), msg_type="8"))
    assert defect(message, load("FIX.4.4")) == ""


def test_a_large_allocation_is_quick() -> None:
    shares = tuple(Share(f"ACCT-{number:05}", Decimal(7), "100.1389") for number in range(5000))
    start = time.perf_counter()
    built = build(SendAllocation(replace(BOOKED, shares=shares, quantity=Decimal(35000))), FIX44, NOW, None)
    message = parse(f"8=FIX.4.4\x019=1\x0135=J\x01{built.body}10=000\x01")
    assert defect(message, load("FIX.4.4")) == ""
    assert time.perf_counter() - start < 5
    block = layout(message.pairs, load("FIX.4.4").message("J").groups).blocks["78"]
    assert len(block.entries) == 5000


FORWARD = ForwardToBroker("BRK1", "OMS1", "D", 7, "S-1", "O-1", "", "XYZ", "buy", Decimal(1))


def test_forwarded_bodies_are_byte_exact(frame: Frame) -> None:
    source = parse(frame("11=O-1|9001=x|78=2|79=A|5751=q|80=1|79=B|80=2|38=1|", header="50=anna|97=Y|"))
    built = build(FORWARD, FIX44, NOW, source)
    assert built == Built("D", source.body, ((50, "anna"), (97, "Y")))
    with pytest.raises(WireError):
        build(FORWARD, FIX44, NOW, None)


def test_fills_pass_with_question_marks_for_what_cannot_be_sent(frame: Frame) -> None:
    passed = PassToOms("OMS1", "BRK1", "8", 7)
    source = parse(frame("37=B|58=caf\udce9\x00 ünd\t|95=3|96=a|b|", msg_type="8"))
    assert build(passed, FIX44, NOW, source).body == "37=B\x0158=caf?? ünd\t\x0195=3\x0196=a\x01b\x01"
    odd_first = parse(frame("x=1|037=B|37=B|32=5|", msg_type="8"))
    assert build(passed, FIX44, NOW, odd_first).body == "37=B\x01x=1\x01037=B\x0132=5\x01"
    assert build(passed, FIX44, NOW, parse(frame("", msg_type="8"))).body.startswith("58=")


@pytest.mark.parametrize(("sent", "passed"), [
    ("37=B|95=9|96=ab|32=5|", "37=B|95=2|96=ab|32=5|"), ("37=B|95=x|96=a|b|", "37=B|95=3|96=a|b|"),
    ("37=B|96=ü|32=5|", "37=B|95=2|96=ü|32=5|"), ("37=B|95=002|96=ab|", "37=B|95=002|96=ab|"),
    ("95=2|96=ab|37=B|", "95=2|96=ab|37=B|"), ("96=ab|37=B|", "37=B|95=2|96=ab|"),
    ("37=B|354=4|355=caf\udce9|", "37=B|354=4|355=caf?|"), ("37=B|58=a|b||32=5|", "37=B|58=a?b?|32=5|"),
])  # fmt: skip
def test_a_fill_with_a_lying_length_passes_with_the_true_one(frame: Frame, sent: str, passed: str) -> None:
    built = build(PassToOms("OMS1", "BRK1", "8", 7), FIX44, NOW, parse(frame(sent, msg_type="8")))
    assert built.body.replace("\x01", "|") == passed


def test_routing_between_the_legs() -> None:
    inbound = {"50": "anna", "57": "GWDESK", "128": "BRK1", "129": "desk", "97": "Y", "115": "X", "34": "9"}
    assert to_broker(inbound, "OMS1") == ((50, "anna"), (57, "desk"), (97, "Y"))
    assert to_broker(inbound, "OMS1", True) == ((115, "OMS1"), (116, "anna"), (57, "desk"), (97, "Y"))
    assert to_oms({"50": "desk", "57": "anna"}, "BRK1") == ((50, "desk"), (57, "anna"))
    assert to_oms({"50": "desk", "57": "GW", "128": "OMS1", "129": "anna"}, "BRK1", True) == (
        (115, "BRK1"), (116, "desk"), (57, "anna"),
    )  # fmt: skip
    assert to_broker({"50": "a\x0138=1\udcff"}, "OMS1") == ((50, "a?38=1?"),)
    assert build(SendAllocation(BOOKED), FIX44, NOW, None, on_behalf_of=True).header == ((115, "OMS1"),)


def test_versions_by_name() -> None:
    assert (named("FIX.4.2"), named("FIX.4.4"), named("FIXT.1.1")) == (FIX42, FIX44, FIX50SP2)
    with pytest.raises(ConfigError, match="speaks"):
        named("FIX.3.9")
    assert [FIX42.ord_rej.of(code) for code in ("13", "14", "15", "99", "6")] == ["3", "0", "0", "0", "6"]
    assert [FIX44.ord_rej.of(code) for code in ("13", "14", "15", "99", "6")] == ["13", "14", "15", "99", "6"]


def test_show(frame: Frame) -> None:
    text = frame("11=O-1|9001=x|58=a\tb\udce9|554=secret|")
    shown = show(text)
    assert shown.startswith("8 BeginString=FIX.4.4|9 BodyLength=")
    assert "|11 ClOrdID=O-1|9001=x|58 Text=a\\x09b\\xe9|554 Password=***|10 CheckSum=" in shown
    assert show(text, names=False).startswith("8=FIX.4.4|")
    assert "secret" not in show(text, names=False)
    assert "secret" not in show(frame("95=9|96=my|secret|", msg_type="A"))
    assert title(text) == "NewOrderSingle (D)"
    assert title(frame("1=x|", msg_type="ZZ")) == "? (ZZ)"
    assert title("hello") == ""


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_show_never_raises(text: str) -> None:
    for sample in (text, f"8=FIX.4.4\x01{text}\x01"):
        assert "\x01" not in show(sample)
        assert show(sample).encode("utf-8") is not None
        assert title(sample) == ""
