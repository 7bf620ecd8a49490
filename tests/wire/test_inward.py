"""FIX messages as core inputs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core import inputs
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import DraftLine
from fixgateway.errors import ConfigError, WireError
from fixgateway.wire import inward
from fixgateway.wire.message import join, parse
from fixgateway.wire.values import fix_date, iso_date, iso_time, lenient_decimal, utc_ns, utc_text
from fixgateway.wire.versions import FIX42, FIX44, FIX50SP2, Version

Frame = Callable[..., str]
ORDER = "11=O-1|1=FUND|21=1|55=XYZ|48=US0|22=4|54=1|60=20261122-14:30:00.5|38=50000|40=1|70=S-1|100=BRK2|"
NS_1430 = 1_795_357_800_000_000_000  # 2026-11-22T14:30:00Z


def oms(text: str, version: Version = FIX44, keys: tuple[str, ...] = ("AllocID", "ClOrdID")) -> inputs.Input:
    return inward.from_oms(parse(text), version, keys, "OMS1", 7, 99, 2, "5eed")


def order(text: str, version: Version = FIX44, keys: tuple[str, ...] = ("AllocID", "ClOrdID")) -> inputs.NewOrder:
    given_input = oms(text, version, keys)
    assert isinstance(given_input, inputs.NewOrder)
    return given_input


def statement(text: str, version: Version = FIX44) -> inputs.SubmitStatement:
    given_input = oms(text, version)
    assert isinstance(given_input, inputs.SubmitStatement)
    return given_input


def broker(text: str, version: Version = FIX44, known: dict[int, int] | None = None) -> inputs.Input:
    found = known or {}
    return inward.from_broker(parse(text), version, "BRK1", 7, 99, 2, lambda session, number: found.get(number))


def execution(text: str, version: Version = FIX44) -> inputs.Execution:
    given_input = broker(text, version)
    assert isinstance(given_input, inputs.Execution)
    return given_input


def test_new_order(frame: Frame) -> None:
    assert order(frame(ORDER, header="50=anna|128=BRK1|")) == inputs.NewOrder(
        seq=7, ts_ns=99, session="OMS1", msg_seq_num=2, defect="", cl_ord_id="O-1",
        keys=(("AllocID", "S-1"), ("ClOrdID", "O-1")), symbol="XYZ", security_id="US0", id_source="4", side="buy",
        order_qty="50000", ord_type="1", account="FUND", alloc_lines=None, deliver_to="BRK1",
        ex_destination="BRK2", poss_resend=False, poss_dup=False, sent_ns=NS_1430 + 500_000_000, placed_by="anna",
        cash_order_qty="",
    )  # fmt: skip


def test_new_order_with_groups_and_flags(frame: Frame) -> None:
    body = ORDER + "453=2|448=sam|447=D|452=12|448=eve|447=D|452=11|78=2|79=A|80=30000|79=B|80=20000|"
    found = order(frame(body, header="43=Y|97=Y|50=anna|"))
    assert found.alloc_lines == (("A", "30000"), ("B", "20000"))
    assert (found.placed_by, found.poss_dup, found.poss_resend, found.defect) == ("eve", True, True, "")


def test_match_keys(frame: Frame) -> None:
    text = frame(ORDER + "583=L-1|9001=T-1|")
    assert order(text, keys=("tag:9001", "ClOrdLinkID", "ListID")).keys == (
        ("tag:9001", "T-1"), ("ClOrdLinkID", "L-1"),
    )  # fmt: skip
    behind_a_group = frame(ORDER + "78=1|79=A|80=1|9001=T-1|")
    assert order(behind_a_group, keys=("tag:9001",)).keys == (("tag:9001", "T-1"),)
    in_each_entry = frame(ORDER + "78=2|79=A|80=1|9001=T-1|79=B|80=1|9001=T-2|")
    assert order(in_each_entry, keys=("tag:9001",)).keys == ()
    with pytest.raises(ConfigError, match="tag:NUMBER"):
        order(text, keys=("Nonsense",))
    assert order(frame(ORDER, begin="FIX.4.2"), FIX42).keys[0] == ("AllocID", "S-1")


@pytest.mark.parametrize(("sixty", "header", "expected"), [
    ("60=20261122-14:30:00|", "122=20261122-14:00:00|", NS_1430),
    ("", "122=20261122-14:29:59.000|", NS_1430 - 1_000_000_000),
    ("60=yesterday|", "", NS_1430 + 123_000_000),
    ("60=20261122-25:30:00|", "122=x|", NS_1430 + 123_000_000),
])  # fmt: skip
def test_sent_time_is_the_first_readable(frame: Frame, sixty: str, header: str, expected: int) -> None:
    assert order(frame(f"11=A|{sixty}", header=header)).sent_ns == expected


def test_a_defective_order_is_still_told(frame: Frame) -> None:
    found = order(frame(ORDER + "97=Y|58=caf\udce9|"))
    assert found.defect.startswith("GW-304")
    assert (found.cl_ord_id, found.poss_resend) == ("O-1", False)
    assert order(frame("11=caf\udce9|38=1|")).cl_ord_id == "caf?"


def test_replace_cancel_and_status(frame: Frame) -> None:
    replace = oms(frame("11=O-2|41=O-1|55=XYZ|54=5|38=60000|152=1|", msg_type="G"))
    assert isinstance(replace, inputs.ReplaceOrder)
    got = (replace.cl_ord_id, replace.orig_cl_ord_id, replace.side, replace.order_qty, replace.cash_order_qty)
    assert got == (
        "O-2", "O-1", "short", "60000", "1",
    )  # fmt: skip
    assert oms(frame("11=O-2|41=O-1|", msg_type="F")) == inputs.CancelOrder(7, 99, "OMS1", 2, "", "O-2", "O-1")
    assert oms(frame("11=O-1|54=1|", msg_type="H")) == inputs.StatusRequest(7, 99, "OMS1", 2, "O-1")


@pytest.mark.parametrize("msg_type", ["AT", "AU", "P", "j", "3", "0", "A"])
def test_answers_are_absorbed_so_that_nothing_goes_round(frame: Frame, msg_type: str) -> None:
    assert oms(frame("58=x|", msg_type=msg_type)) == inputs.Absorbed(7, 99, "OMS1", 2, msg_type)


@pytest.mark.parametrize("msg_type", ["E", "AB", "s", "Q", "U1", "BH"])
def test_everything_else_is_unsupported(frame: Frame, msg_type: str) -> None:
    assert oms(frame("58=x|", msg_type=msg_type)) == inputs.Unsupported(7, 99, "OMS1", 2, msg_type)


STATEMENT = (
    "70=S-1|71=0|626=2|857=0|54=1|55=XYZ|53=50000|75=20261122|58=model change|"
    "78=4|79=CLIENT-A|80=25000|79=CLIENT-B|80=10000|79=CLIENT-C|80=5000|79=PROP|80=10000|"
)


def test_the_worked_statement(frame: Frame) -> None:
    given_input = statement(frame(STATEMENT, msg_type="J", header="50=anna|57=pm|"))
    draft = given_input.draft
    assert (given_input.door, given_input.actor, given_input.seed) == ("fix", "OMS1/anna", "5eed")
    assert (given_input.alloc_trans_type, given_input.ref_statement_id) == ("0", "")
    assert (draft.statement_id, draft.trade_date, draft.symbol, draft.side) == ("S-1", "2026-11-22", "XYZ", "buy")
    assert (draft.total, draft.oms, draft.rationale) == ("50000", "OMS1", "model change")
    assert (draft.placed_by, draft.recommended_by) == ("anna", "pm")
    assert draft.lines == (
        DraftLine(1, "CLIENT-A", "25000"), DraftLine(2, "CLIENT-B", "10000"), DraftLine(3, "CLIENT-C", "5000"),
        DraftLine(4, "PROP", "10000"),
    )  # fmt: skip
    assert draft.defects == ()


def test_statement_parties_orders_and_reference(frame: Frame) -> None:
    body = STATEMENT.replace("71=0", "71=1|72=S-0").replace("54=1", "73=2|11=O-1|11=O-2|54=1")
    body += "453=2|448=eve|452=11|448=pat|452=9|"
    given_input = statement(frame(body, msg_type="J"))
    assert (given_input.alloc_trans_type, given_input.ref_statement_id) == ("1", "S-0")
    assert given_input.draft.cl_ord_ids == ("O-1", "O-2")
    assert (given_input.draft.placed_by, given_input.draft.recommended_by) == ("eve", "pat")
    assert given_input.actor == "OMS1"


TERMS = (
    "9801=price-time|9802=percent|9803=account|9804=100|9805=5|9806=10.5|9807=one price|9808=Y|9809=N|"
)


@pytest.mark.parametrize("where", ["before the group", "behind it"])
def test_terms_that_fix_has_no_field_for(frame: Frame, where: str) -> None:
    lines = (
        "78=2|79=A|80=0|9811=60|9812=7|9813=9.5|9814=20261122-14:30:00.123456789|79=B|80=0|9811=40|9813=9|"
    )
    head = "70=S-1|71=0|626=2|54=1|55=XYZ|53=50000|75=20261122|"
    body = head + (TERMS + lines if where == "before the group" else lines + TERMS)
    draft = statement(frame(body, msg_type="J")).draft
    assert draft.defects == ()
    assert (draft.method, draft.basis, draft.ties, draft.lot, draft.min_quantity) == (
        "price-time", "percent", "account", "100", "5",
    )  # fmt: skip
    assert (draft.reference_price, draft.justification, draft.new_issue, draft.discretionary) == (
        "10.5", "one price", "Y", "N",
    )  # fmt: skip
    assert draft.lines == (
        DraftLine(1, "A", "0", "7", "60", "9.5", "2026-11-22T14:30:00.123456789Z"),
        DraftLine(2, "B", "0", "", "40", "9", ""),
    )


def test_a_term_in_every_entry_is_no_term(frame: Frame) -> None:
    body = STATEMENT.replace("|80=", "|9801=price-time|80=")
    (defect,) = statement(frame(body, msg_type="J")).draft.defects
    assert "tag 9801 stands in several places" in defect


@pytest.mark.parametrize(("text", "iso"), [
    ("20261122-14:30:00", "2026-11-22T14:30:00Z"),
    ("20261122-14:30:00.123", "2026-11-22T14:30:00.123Z"),
    ("20261122-14:30:00.1234567891", "2026-11-22T14:30:00.123456789Z"),
    ("20261122", "20261122"), ("14:30", "14:30"), ("20261122-14:30:00Z", "20261122-14:30:00Z"),
])  # fmt: skip
def test_a_timestamp_as_iso(text: str, iso: str) -> None:
    assert iso_time(text) == iso


@pytest.mark.parametrize(("old", "new", "words"), [
    ("626=2", "626=1", "AllocType(626) is 1"),
    ("626=2|", "", "AllocType(626) is missing"),
    ("71=0", "71=6", "AllocTransType(71) is 6"),
    ("78=4", "78=5", "78=5 but 4 entries follow"),
    ("75=2", "97=Y|75=2", "tag 97"),
])  # fmt: skip
def test_a_j_that_registers_nothing_says_why(frame: Frame, old: str, new: str, words: str) -> None:
    draft = statement(frame(STATEMENT.replace(old, new), msg_type="J")).draft
    assert any(words in text for text in draft.defects)
    assert len(draft.lines) == 4


def test_statement_of_4_2(frame: Frame) -> None:
    body = STATEMENT.replace("71=0|626=2|857=0", "71=3")
    given_input = statement(frame(body, msg_type="J", begin="FIX.4.2"), FIX42)
    assert (given_input.alloc_trans_type, given_input.draft.defects, len(given_input.draft.lines)) == ("0", (), 4)
    calculated = statement(frame(body.replace("71=3", "71=0"), msg_type="J", begin="FIX.4.2"), FIX42)
    assert "AllocTransType(71) is 0" in calculated.draft.defects[0]


FILL = "37=B1|17=E1|150=F|39=1|11=O-1|55=XYZ|54=1|38=50000|32=1000|31=100.2500|14=1000|151=49000|6=100.25|58=hi|"


def test_fill(frame: Frame) -> None:
    found = execution(frame(FILL, msg_type="8", header="97=Y|128=OMS1|"))
    assert found == inputs.Execution(
        seq=7, ts_ns=99, session="BRK1", msg_seq_num=2, kind=ExecKind.FILL, ord_status="1", order_id="B1",
        exec_id="E1", exec_ref_id="", cl_ord_id="O-1", orig_cl_ord_id="", symbol="XYZ", side="buy",
        order_qty=Decimal(50000), last_qty=Decimal(1000), last_px=Decimal("100.25"), cum_qty=Decimal(1000),
        leaves_qty=Decimal(49000), avg_px=Decimal("100.25"), copy=False, poss_resend=True, deliver_to="OMS1",
        text="hi",
    )  # fmt: skip


def test_unreadable_fields_are_listed_not_raised(frame: Frame) -> None:
    body = FILL.replace("32=1000", "32=1,5").replace("31=100.2500", "31=-0.50").replace("14=1000", "14=-5")
    found = execution(frame(body.replace("58=hi", "58=caf\udce9\t"), msg_type="8"))
    assert (found.last_qty, found.last_px, found.cum_qty, found.text) == (None, Decimal("-0.5"), None, "caf??")
    assert len(found.defects) == 3
    assert any("LastQty(32)" in text for text in found.defects)


def test_a_lying_data_length_is_listed(frame: Frame) -> None:
    found = execution(frame(FILL + "95=9|96=ab|", msg_type="8"))
    assert found.defects == ("data 96 is not 9 bytes long",)
    assert execution(frame(FILL + "95=2|96=ab|", msg_type="8")).defects == ()


@pytest.mark.parametrize(("version", "codes", "kind"), [
    (FIX44, "150=0|39=0|", ExecKind.NEW), (FIX44, "150=F|39=2|", ExecKind.FILL),
    (FIX44, "150=2|39=2|", ExecKind.FILL), (FIX44, "150=G|39=1|", ExecKind.CORRECT),
    (FIX44, "150=H|39=1|", ExecKind.BUST), (FIX44, "150=F|20=1|39=1|", ExecKind.BUST),
    (FIX44, "150=4|20=1|39=4|", ExecKind.CANCELLED), (FIX44, "150=I|39=1|", ExecKind.STATUS),
    (FIX44, "150=3|39=3|", ExecKind.DONE_FOR_DAY), (FIX44, "150=C|39=C|", ExecKind.EXPIRED),
    (FIX44, "150=A|39=A|", ExecKind.PENDING_NEW), (FIX44, "150=E|39=E|", ExecKind.PENDING_REPLACE),
    (FIX44, "150=6|39=6|", ExecKind.PENDING_CANCEL), (FIX44, "150=5|39=1|", ExecKind.REPLACED),
    (FIX44, "150=8|39=8|", ExecKind.REJECTED), (FIX44, "150=D|39=1|", ExecKind.RESTATED),
    (FIX44, "150=Z|39=1|", ExecKind.OTHER), (FIX44, "", ExecKind.OTHER),
    (FIX42, "20=0|150=1|39=1|", ExecKind.FILL), (FIX42, "20=1|150=1|39=1|", ExecKind.BUST),
    (FIX42, "20=2|150=2|39=2|", ExecKind.CORRECT), (FIX42, "20=3|150=1|39=1|", ExecKind.STATUS),
    (FIX42, "20=0|150=4|39=4|", ExecKind.CANCELLED), (FIX50SP2, "150=F|39=2|", ExecKind.FILL),
])  # fmt: skip
def test_execution_kinds(frame: Frame, version: Version, codes: str, kind: ExecKind) -> None:
    assert execution(frame(codes + "37=B|", msg_type="8"), version).kind is kind


def test_drop_copy_is_marked(frame: Frame) -> None:
    assert execution(frame(FILL + "797=Y|", msg_type="8")).copy


def test_brokers_refusals(frame: Frame) -> None:
    found = broker(frame("45=41|372=D|373=5|371=38|58=bad|", msg_type="3"), known={41: 900})
    assert isinstance(found, inputs.MessageReject)
    got = (found.msg_type, found.ref_seq_num, found.ref_msg_type, found.ref_decision, found.reason, found.text)
    assert got == (
        "3", 41, "D", 900, "5", "bad",
    )  # fmt: skip
    business = broker(frame("45=¹|372=J|379=AL-1|380=3|", msg_type="j"), known={1: 900})
    assert isinstance(business, inputs.MessageReject)
    assert (business.ref_decision, business.ref_seq_num, business.ref_id, business.reason) == (
        None,
        0,
        "AL-1",
        "3",
    )
    cancel = broker(frame("37=B|11=O-2|41=O-1|39=2|434=1|102=0|58=late|", msg_type="9"))
    assert cancel == inputs.CancelReject(7, 99, "BRK1", 2, "O-2", "O-1", "2", "1", "0", "late")


@pytest.mark.parametrize(("version", "code", "status"), [
    (FIX44, "0", "accepted"), (FIX44, "1", "rejected"), (FIX44, "2", "account-rejected"),
    (FIX44, "3", "received"), (FIX44, "4", "incomplete"), (FIX44, "5", "rejected"), (FIX44, "9", "other"),
    (FIX42, "2", "account-rejected"), (FIX42, "4", "other"), (FIX50SP2, "10", "rejected"),
])  # fmt: skip
def test_allocation_ack(frame: Frame, version: Version, code: str, status: str) -> None:
    found = broker(frame(f"70=AL-1|60=20261122-20:00:00|87={code}|88=7|58=why|", msg_type="P"), version)
    assert found == inputs.AllocationAck(7, 99, "BRK1", 2, "AL-1", status, "7", "why", status == "rejected")


@pytest.mark.parametrize(("version", "status", "code", "text", "maybe"), [
    (FIX44, "1", "7", "no", True), (FIX44, "1", "", "no", True), (FIX44, "1", "0", "no such account", False),
    (FIX44, "1", "11", "Duplicate AllocID", True), (FIX44, "0", "7", "duplicate", False),
    (FIX42, "1", "7", "no", True), (FIX42, "1", "5", "no", False),
    (FIX50SP2, "1", "16", "no", True), (FIX50SP2, "1", "99", "no", True), (FIX50SP2, "1", "12", "no", False),
])  # fmt: skip
def test_which_refusals_of_an_allocation_may_mean_a_duplicate(
    frame: Frame, version: Version, status: str, code: str, text: str, maybe: bool
) -> None:
    found = broker(frame(f"70=AL-1|87={status}|88={code}|58={text}|", msg_type="P"), version)
    assert isinstance(found, inputs.AllocationAck)
    assert found.duplicate is maybe


@pytest.mark.parametrize(("msg_type", "body", "maybe"), [
    ("j", "45=2|372=J|380=0|58=no|", True), ("j", "45=2|372=J|380=3|58=no|", False),
    ("j", "45=2|372=J|380=5|58=duplicate AllocID|", True), ("3", "45=2|372=J|373=0|58=no|", False),
    ("3", "45=2|372=J|373=99|58=no|", True),
])  # fmt: skip
def test_which_rejects_may_mean_a_duplicate(frame: Frame, msg_type: str, body: str, maybe: bool) -> None:
    found = broker(frame(body, msg_type=msg_type))
    assert isinstance(found, inputs.MessageReject)
    assert found.duplicate is maybe


@pytest.mark.parametrize("msg_type", ["AT", "AU", "N", "Q"])
def test_other_broker_messages(frame: Frame, msg_type: str) -> None:
    assert broker(frame("58=x|", msg_type=msg_type)) == inputs.Unsupported(7, 99, "BRK1", 2, msg_type)


def test_what_the_engine_refused(frame: Frame) -> None:
    text = frame(FILL + "40=Q|", msg_type="8")
    found = inward.from_refused(parse(text), FIX44, "BRK1", 7, 99, "373=5")
    assert isinstance(found, inputs.Execution)
    assert (found.refused, found.last_qty, found.msg_seq_num) == ("373=5", Decimal(1000), 2)
    garbled = text.replace("32=1000", "32=9000")
    assert isinstance(inward.from_refused(parse(garbled), FIX44, "BRK1", 7, 99, "x"), inputs.Unsupported)
    other = inward.from_refused(parse(frame("58=x|", msg_type="B")), FIX44, "BRK1", 7, 99, "x")
    assert other == inputs.Unsupported(7, 99, "BRK1", 2, "B")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["D", "G", "F", "H", "J", "8", "9", "3", "j", "P"]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "11",
                    "70",
                    "55",
                    "54",
                    "38",
                    "60",
                    "78",
                    "79",
                    "80",
                    "453",
                    "448",
                    "452",
                    "150",
                    "17",
                    "32",
                    "58",
                    "9001",
                    "x",
                ]
            ),
            st.one_of(st.sampled_from(["1", "2", "11", "\udcff", "a\x01b"]), st.text(max_size=5)),
        ),
        max_size=12,
    ).map(join),
)
def test_no_text_makes_it_raise(msg_type: str, soup: str) -> None:
    with contextlib.suppress(WireError):
        header = f"8=FIX.4.4\x019=1\x0135={msg_type}\x0150=\udcff\x0157=\udcfe\x01128=\udcfd\x01"
        text = f"{header}{soup}\x0110=000\x01"
        for given_input in (oms(text), broker(text), inward.from_refused(parse(text), FIX44, "B", 1, 2, "x")):
            # what the journal writes as JSON must be encodable: no surrogate may get through
            json.dumps(asdict(given_input), ensure_ascii=False, default=str).encode("utf-8")


@pytest.mark.parametrize(("text", "value"), [
    ("100.2500", "100.25"), ("00023.23", "23.23"), ("23.", "23"), (".5", "0.5"), ("-0.25", "-0.25"), ("0", "0"),
])  # fmt: skip
def test_numbers_of_brokers(text: str, value: str) -> None:
    assert lenient_decimal(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "-", ".", "1E5", "+1", " 1", "1,5", "NaN", "0x1", "١", "1" * 19, "1\n"])
def test_what_is_no_number(text: str) -> None:
    assert lenient_decimal(text) is None


@pytest.mark.parametrize(("text", "ns"), [
    ("19710101-00:00:00", 31_536_000_000_000_000), ("20261122-14:30:00.123456789", NS_1430 + 123_456_789),
    ("20261122-14:30:00.1234567891", NS_1430 + 123_456_789), ("20261122-14:29:60", NS_1430), ("", 0),
    ("20261122", 0), ("20260230-00:00:00", 0), ("20261122-24:00:00", 0), ("20261122-14:30:00.", 0),
    ("20261122-14:30:00Z", 0), ("20261122T14:30:00", 0), ("20261122-14:30:00.x", 0),
])  # fmt: skip
def test_timestamps(text: str, ns: int) -> None:
    assert utc_ns(text) == ns


@settings(max_examples=50)
@given(st.integers(31_536_000_000_000_000, 4_102_444_800_000_000_000))
def test_timestamps_round_trip_to_the_millisecond(ts_ns: int) -> None:
    assert utc_ns(utc_text(ts_ns)) == ts_ns - ts_ns % 1_000_000


def test_dates() -> None:
    assert (iso_date("20261122"), iso_date("soon"), fix_date("2026-11-22")) == ("2026-11-22", "soon", "20261122")
    assert [fix_date(text) for text in ("20261122", "2026-02-30", "2026-W01-1", "", "20261322")] == [
        "20261122", "", "", "", "",
    ]  # fmt: skip
