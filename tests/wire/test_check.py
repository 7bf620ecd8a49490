"""The text check finds every planted fault and lets good orders through."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.reasons import CATALOGUE
from fixgateway.errors import WireError
from fixgateway.wire.check import defect
from fixgateway.wire.dictionary import load
from fixgateway.wire.message import parse

Frame = Callable[..., str]
FIX44 = load("FIX.4.4")
ORDER = "11=O-1|21=1|55=XYZ|54=1|60=20261122-14:30:00|38=50000|40=1|70=S-1|"


@pytest.mark.parametrize("body", [
    ORDER,
    ORDER + "9001=anything|20000=x=y|58=Zürich ☃|",
    ORDER + "78=2|79=A|80=30000|79=B|80=20000|",
    ORDER + "78=2|79=A|5751=x|80=30000|79=B|5751=y|80=20000|9001=last|",
    ORDER + "453=2|448=P|447=D|452=11|802=1|523=s|803=2|448=Q|447=D|452=1|",
    ORDER + "354=6|355=Zürch|",
    ORDER + "336=1|",  # a group member without its count, as many an OMS sends it; it covers nothing
])  # fmt: skip
def test_good_orders_have_no_defect(frame: Frame, body: str) -> None:
    assert defect(parse(frame(body)), FIX44) == ""


@pytest.mark.parametrize(("fault", "code"), [
    ("97=Y|", "GW-304"), ("43=Y|", "GW-304"), ("115=X|", "GW-304"), ("10=000|", "GW-304"),
    ("34=9|", "GW-304"), ("93=1|58=x|", "GW-304"), ("1128=9|", "GW-304"),
    ("0=x|", "GW-305"), ("-38=1|", "GW-305"), ("038=1|", "GW-305"), ("+38=1|", "GW-305"), (" 38=1|", "GW-305"),
    ("=1|", "GW-305"), ("³8=1|", "GW-305"), ("1e2=1|", "GW-305"),
    ("38=999999|", "GW-306"), ("9001=a|9001=b|", "GW-306"),
    ("78=1|79=A|80=1|80=9|", "GW-306"), ("9001=a|78=1|79=A|9001=b|80=1|", "GW-306"),
    ("78=1|79=A|80=1|58=x|78=1|79=B|80=1|", "GW-306"),
    ("78=3|79=A|80=1|79=B|80=2|", "GW-307"), ("78=1|80=1|79=A|", "GW-307"), ("78=-1|79=A|80=1|", "GW-307"),
    ("79=A|80=1|", "GW-307"), ("78=0|80=1|", "GW-307"), ("78=1|79=A|539=2|524=P|80=1|", "GW-307"),
    ("95=5|96=ab|", "GW-308"), ("96=ab|", "GW-308"), ("95=2|58=x|", "GW-308"), ("95=2|", "GW-308"),
    ("354=4|355=é|", "GW-308"), ("95=02|96=ab|", "GW-308"),
    ("58=|", "GW-309"), ("58=a\tb|", "GW-309"), ("58=a\x7fb|", "GW-309"), ("58=a\x00b|", "GW-309"),
    ("58=\udcff|", "GW-309"), ("58=x|more|", "GW-309"), ("96=|", "GW-309"),
    ("95=10|96=x|38=90000|", "GW-309"),  # a true length that hides a quantity from one of two readers
])  # fmt: skip
def test_planted_faults_are_found(frame: Frame, fault: str, code: str) -> None:
    found = defect(parse(frame(ORDER + fault)), FIX44)
    assert found[:6] == code
    assert found[6] == " "
    assert found.isascii()
    assert found.isprintable()
    assert code in CATALOGUE


def test_peer_text_is_not_repeated_unprintably(frame: Frame) -> None:
    found = defect(parse(frame(ORDER + "\udcff\x02=1|")), FIX44)
    assert found == "GW-305 an unprintable text is not a tag"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(10_000, 10_030), unique=True, max_size=8),
    st.sampled_from(["97=Y", "043=1", "38=1", "58=", "78=2|79=A|80=1", "96=x", "11=\x02"]),
    st.integers(0, 12),
)
def test_a_fault_is_found_wherever_it_stands(frame: Frame, extra: list[int], fault: str, at: int) -> None:
    fields = [*ORDER.rstrip("|").split("|"), *(f"{tag}=v" for tag in extra)]
    assert defect(parse(frame("|".join(fields) + "|")), FIX44) == ""
    fields.insert(1 + at % len(fields), fault)
    assert defect(parse(frame("|".join(fields) + "|")), FIX44) != ""


@settings(max_examples=200, deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from("\x01=|0178569")), max_size=60))
def test_the_check_never_raises(soup: str) -> None:
    with contextlib.suppress(WireError):
        message = parse(f"8=FIX.4.4\x019=1\x0135=D\x01{soup}\x0110=000\x01")
        assert isinstance(defect(message, FIX44), str)
