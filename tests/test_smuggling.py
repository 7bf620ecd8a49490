"""What the gate judged is what a broker reads: orders written in every odd way, through text, gate and back.

A forwarded order goes byte for byte. Two readers that disagree about its fields (which of two quantities
counts, where a data field ends) would make the gate judge one order and the broker trade another, so the body
of every forwarded order is read here by the plainest reader there is and compared with what was judged.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, draft

from fixgateway.core.inputs import NewOrder
from fixgateway.core.outputs import ForwardToBroker
from fixgateway.translate import Counterparty, Translator
from fixgateway.wire.message import Message
from fixgateway.wire.versions import named

SOH = "\x01"
HONEST = ["11=C1", "55=XYZ", "54=1", "38=100", "40=2", "44=10", "60=20261123-15:00:00", "70=S-1"]
ODD = st.sampled_from([
    "38=900000", "54=2", "55=ABC", "11=C2", "70=S-2", "152=5", "43=Y", "97=Y", "115=X", "34=1", "10=000", "9=5",
    "0=x", "-1=x", "038=5", "+38=5", " 38=5", "58=", "58=a\x00b", "58=caf\udce9", "hello", "=5", "95=3", "96=abc",
    "95=9", "354=2", "355=ab", "355=a\x0138=7", "95=7\x0196=a\x0138=7", "78=1", "78=2", "79=CLIENT-A", "80=50",
    "80=100", "453=1", "448=x", "447=D", "452=1", "5001=x", "5001=y", "1=ACC", "167=CS", "386=1", "336=1",
])  # fmt: skip


def the_plainest_reader(body: str) -> list[tuple[str, str]]:
    return [tuple(piece.split("=", 1)) for piece in body.split(SOH)[:-1]]  # type: ignore[misc]


@settings(max_examples=2500, deadline=None)
@given(st.lists(ODD, max_size=4), st.permutations(HONEST), st.lists(st.integers(0, 11), min_size=4, max_size=4))
def test_a_forwarded_order_reads_the_same_to_everybody(
    extra: list[str], honest: list[str], places: list[int]
) -> None:
    fields = list(honest)
    for odd, place in zip(extra, places, strict=False):
        fields.insert(place, odd)
    header = ["8=FIX.4.4", "9=100", "35=D", "34=2", "49=OMS1", "52=20261123-15:00:00", "56=FIXGW"]
    text = SOH.join([*header, *fields, "10=000"]) + SOH
    world = World()
    world.submit(draft(lines=(("CLIENT-A", "50"), ("PROP", "50"))))
    world.submit(draft("S-2", lines=(("CLIENT-A", "1000000"),)))
    party = Counterparty("OMS1", "oms", named("FIX.4.4"), ("AllocID", "ClOrdID"))
    broker = Counterparty("BRK1", "broker", named("FIX.4.4"))
    translator = Translator({"OMS1": party, "BRK1": broker}, lambda _session, _number: None, 10)
    given_, source = translator.accepted("OMS1", text, 99, world.ts_ns, world.ts_ns, 2, "")
    assert isinstance(given_, NewOrder)
    sent = [out for out in world.engine.apply(given_) if isinstance(out, ForwardToBroker)]
    for out in sent:
        assert isinstance(source, Message)
        built = translator.build(out, world.ts_ns, source)
        read = the_plainest_reader(built.body)
        header_tags = {"8", "9", "34", "35", "43", "49", "52", "56", "97", "115", "10"}
        assert not header_tags & {tag for tag, _ in read}
        for tag, judged in (("11", out.cl_ord_id), ("55", out.symbol), ("54", "1"), ("70", out.statement_id)):
            assert [value for found, value in read if found == tag] == [judged]
        assert [Decimal(value) for found, value in read if found == "38"] == [out.quantity]
        assert all(found.isdigit() and not found.startswith("0") for found, _ in read)
        assert built.body in text
    if not extra:
        assert sent, "the honest order goes"
