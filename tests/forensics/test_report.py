"""The report is one file that shows what the document says, on screen and on paper, and accuses nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fixgateway.forensics import blotter, figures, plan, report
from fixgateway.forensics.generate import rows, write_csv
from fixgateway.forensics.prepare import prepare
from fixgateway.forensics.report_words import money_text, p_text

CHROMIUM = Path("/usr/bin/chromium")

ACCUSING = re.compile(
    r"\b(fraud\w*|cherry\w*|guilt\w*|suspicious|suspect\w*|misconduct|manipulat\w*|steal\w*|theft|crim\w+|wrongdo\w*|scheme)\b",
    re.IGNORECASE,
)


def finding(identity: str, verdict: str, **more: Any) -> dict[str, Any]:
    """A test of the document with everything else empty."""
    return {
        "id": identity, "title": f"Title of {identity}", "verdict": verdict, "summary": "", "p": None, "p_adj": None,
        "p_floor": None, "n_blocks": 50, "benefit": None, "benefit_bps": None, "currency": "", "benefits": {},
        "groups": {}, "n_permutations": 0, "exact": False, "seed": "", "strata": {}, "limits": [], "details": {},
        "figures": {}, "power": None, "primary": False, "counts": True,
    } | more  # fmt: skip


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("report") / "blotter.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(rows("alpha-growth"), file)
    shapes = {"edges": [-1000.0, 0.0, 1000.0], "counts": [60, 40], "observed": 900.0}
    return {
        "verdict": "red",
        "plan_sha256": plan.default().sha256,
        "seed": "12" * 32,
        "plan": plan.default().document(),
        "period": ["2024-01-09", "2024-12-17"],
        "blocks": 50,
        "accounts": 4,
        "rows": 200,
        "data_sha256": "cd" * 32,
        "limits": ["A pattern is not a reason."],
        "notes": ["column owner is missing: nothing by owner"],
        "problems": [{"line": 17, "block_id": "AG-0004", "reason": "alloc_qty: abc is no number"}],
        "figures": figures.figures(prepare(blotter.read(path), plan.default())),
        "tests": [
            finding("a1", "red", primary=True, summary="The group gained 310,500.00 USD.", p=1e-5, p_adj=2e-5,
                    p_floor=1e-5, benefit="310500.00", benefit_bps=75.27, currency="USD", n_permutations=99_999,
                    groups={"union": ["PROP"]}, strata={"count": 12, "sizes": [4, 5]}, limits=["One outcome of many."],
                    power={"text": "Would have seen 120,000 USD."}, figures={"permutation": shapes},
                    details={"accounts": [{"account": f"A{n}", "benefit": "1234.50", "p": 0.5} for n in range(40)]}),
            finding("b", "green", primary=True, benefits={"EUR": "-1.00", "USD": "2.00"}),
            finding("d", "insufficient", p=1.0, p_floor=1.0),
            finding("f", "amber"),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return report.html(document)


@pytest.fixture(scope="module")
def plain(document: dict[str, Any]) -> dict[str, Any]:
    """The document without pictures, which take their time."""
    return document | {"figures": {}, "tests": [test | {"figures": {}} for test in document["tests"]]}


def text_of(page: str) -> str:
    """What a reader sees, without pictures, styles and the JSON."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_it_is_one_file_that_asks_for_nothing(page: str) -> None:
    assert not re.findall(r'(?:src|href)\s*=\s*"(?!#|data:image/png)[^"]*"', page)
    assert not re.findall(r"url\((?!#)", page)
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_every_number_is_inside_as_json(document: dict[str, Any], page: str) -> None:
    (inside,) = re.findall(r'<script type="application/json" id="document">(.*?)</script>', page, re.DOTALL)
    assert json.loads(inside) == json.loads(json.dumps(document))


def test_every_id_is_there_once(page: str) -> None:
    """Pictures share the page; a clip path of one must not cut another."""
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)


def test_the_verdicts_words_and_numbers_are_shown(page: str) -> None:
    seen = text_of(page)
    for words in (
        "2024-01-09 to 2024-12-17", "50 blocks", "200 rows", "310,500.00 USD", "75.3 bp", "2.0 × 10 −5",
        "smallest possible",
        "−1.00 EUR; 2.00 USD", "Would have seen 120,000 USD.", "One outcome of many.", "12, of 4 to 5 blocks", "99,999",
        "Line", "17", "AG-0004", "abc is no number", "nothing by owner", plan.default().sha256, "12" * 32, "1,234.50",
        "28 more rows", "cd" * 32, "A pattern is not a reason.",
    ):  # fmt: skip
        assert words in seen, words


@pytest.mark.parametrize("verdict", ["green", "amber", "red", "insufficient"])
def test_no_verdict_accuses_anybody(plain: dict[str, Any], page: str, verdict: str) -> None:
    assert not ACCUSING.findall(text_of(report.html(plain | {"verdict": verdict})))
    assert not ACCUSING.findall(text_of(page))
    assert not ACCUSING.findall(" ".join(re.findall(r"<text[^>]*>([^<]*)", page)))


def test_post_hoc_stands_at_the_top(plain: dict[str, Any]) -> None:
    edited = plain["plan"] | {"status": "post hoc", "status_text": "the plan was edited after it was fixed"}
    seen = text_of(report.html(plain | {"plan": edited}))
    assert "Post hoc. The plan was edited after it was fixed." in seen
    assert seen.index("Post hoc.") < seen.index("Summary of tests")
    assert "Post hoc." not in text_of(report.html(plain))


def test_names_from_the_blotter_cannot_become_markup(plain: dict[str, Any]) -> None:
    bad = "</script><script>alert(1)</script>"
    page = report.html(
        plain
        | {"notes": [bad], "problems": [{"line": 1, "block_id": bad, "reason": bad}]}
        | {"tests": [finding(bad, "red", title=bad, summary=bad, limits=[bad], details={bad: [{bad: bad}]})]}
    )
    assert page.count("<script") == 1
    assert "alert(1)" in page


def test_a_document_with_nothing_in_it_is_a_page() -> None:
    page = report.html({"verdict": "insufficient", "tests": [], "plan_sha256": "", "seed": ""})
    assert "No blocks" in text_of(page)
    assert "<figure" not in page


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (None, ""),
        (1.0, "1.000"),
        (0.0314, "0.031"),
        (0.00099, "9.9 × 10<sup>−4</sup>"),
        (8.9e-147, "8.9 × 10<sup>−147</sup>"),
    ],
)
def test_p_values_as_people_read_them(p: float | None, words: str) -> None:
    assert str(p_text(p)) == words


def test_money_is_never_rounded_through_a_float() -> None:
    assert money_text("-12345678901234567.89", "USD") == "−12,345,678,901,234,567.89 USD"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium")
def test_a_browser_shows_it_on_screen_telephone_and_paper(page: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.goto(path.as_uri())
        for width in (1_200, 390):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        pictures = tab.locator("figure svg")
        assert pictures.count() == 6
        assert all(pictures.nth(n).bounding_box()["height"] > 50 for n in range(6))  # type: ignore[index]
        paper = tab.pdf(prefer_css_page_size=True, print_background=True)
        browser.close()
    assert asked == [path.as_uri()]
    assert not said
    pages = len(re.findall(rb"/Type\s*/Page\b", paper))
    assert 4 <= pages <= 9
