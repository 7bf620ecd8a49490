"""What pages make of numbers, times and texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from jinja2 import UndefinedError

from fixgateway.web.pages import own_path
from fixgateway.web.pages_render import Renderer, Zone, away, exact, number, percent, ratio, signed, span

NS = 10**9


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("15000", "15,000"), ("0", "0"), ("1234567.8900", "1,234,567.8900"), ("-1000.5", "-1,000.5"), ("", "–"),
        (None, "–"), ("no number", "no number"),
        ("123456789012345678901234567890.5", "123,456,789,012,345,678,901,234,567,890.5"),
    ],
)  # fmt: skip
def test_numbers_keep_every_digit(given: object, shown: str) -> None:
    assert number(given) == shown


def test_signs() -> None:
    assert [signed(x) for x in ("500", "-500", "0", "0.00", None)] == ["+500", "-500", "0", "0.00", "–"]


def test_parts_of_a_whole_are_exact_and_rounded_half_up() -> None:
    assert percent("1", "3") == "33.33 %"
    assert percent("10000", "50000") == "20 %"
    assert percent("1", "8") == "12.5 %"
    assert percent("12345", "1000000") == "1.23 %"
    assert percent("12350", "1000000") == "1.24 %"
    assert percent("1", "0") == "–"
    assert [ratio("1", "2"), ratio("3", "2"), ratio("-1", "2"), ratio("", "2")] == [44, 88, 0, 0]


def test_exact_shares_are_whole_number_and_fraction() -> None:
    assert str(exact("50000/3")) == '16,666<span class="soft"> 2/3</span>'
    assert str(exact("15000/1")) == "15,000"
    assert str(exact("30000/2")) == "15,000"
    assert str(exact("<b>")) == "&lt;b&gt;"


def test_spans() -> None:
    assert [span(x) for x in (0, 59, 60, 3_599, 3_600, 90_000)] == [
        "0 min", "0 min", "1 min", "59 min", "1 h 0 min", "1 d 1 h",
    ]  # fmt: skip
    assert away(3 * 3_600 * NS, 0) == "in 3 h 0 min"
    assert away(0, 61 * NS) == "1 min ago"


def test_times_are_the_policys_also_when_the_clocks_change() -> None:
    zone = Zone("America/New_York")
    known = {"2026-11-01T05:59:59": "01:59", "2026-11-01T06:00:01": "01:00", "2026-07-01T00:00:00": "20:00"}
    for utc, local in known.items():
        ts_ns = int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()) * NS
        assert f"{zone.local(ts_ns):%H:%M}" == local


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/blocks/S-1?x=1", "/blocks/S-1?x=1"), ("//evil.example/x", "/"), ("https://evil.example/", "/"), ("", "/"),
        ("/\\evil.example", "/"), ("javascript:alert(1)", "/"), ("/a\r\nSet-Cookie: x=1", "/"), ("/sign-out", "/"),
        ("blocks", "/"), ("/\t/evil.example", "/"),
    ],
)  # fmt: skip
def test_after_signing_in_it_goes_to_a_page_of_ours_only(given: str, kept: str) -> None:
    assert own_path(given) == kept


def test_a_hole_in_a_page_is_a_bug_and_everything_is_escaped() -> None:
    renderer = Renderer("UTC")
    with pytest.raises(UndefinedError):
        renderer.page("error.html", {})
    template = renderer._environment.from_string("{{ text }} {{ number|number }} {{ id|path }}")
    text = template.render(text="<script>", number="<b>", id="a/b?c")
    assert text == "&lt;script&gt; &lt;b&gt; a%2Fb%3Fc"
