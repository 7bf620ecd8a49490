"""The pages in a real browser against a real gateway where the worked example was traded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import POLICY, Live, order, shares, statement, until
from pages import CHROMIUM, CONFIRMS, INJECTION, PASSWORD, People, browser, traded

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium on this machine: the pages are not tried in a browser"
)

ROOT = Path(__file__).parents[2]
LATE = POLICY.replace('allocate = "off"', 'allocate = "23:59"').replace('affirm = "off"', 'affirm = "23:59"')
WHY = "The proprietary account gives up shares to the clients, as our policy for oversubscribed blocks says."


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    often = {"journal": {"checkpoint_seconds": 1}}
    with Live(tmp_path_factory.mktemp("pages"), brokers=CONFIRMS, policy=LATE, tables=often) as gateway:
        yield gateway.start()


@pytest.fixture(scope="module")
def ids(live: Live) -> dict[str, str]:
    return traded(live)


@pytest.fixture(scope="module")
def people(live: Live, ids: dict[str, str]) -> Iterator[People]:
    found = People(live).record()
    yield found
    found.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as running:
        yield running


class Tab:
    """A browser tab of somebody signed in; remembers what went wrong in it."""

    def __init__(self, chromium: Any, live: Live, person_id: str = "", **options: Any) -> None:
        self.base = str(live.http.base_url).rstrip("/")
        self.context = chromium.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", self._asked)
        if person_id:
            self.sign_in(person_id)
            self.page.wait_for_url(f"{self.base}/")

    def _heard(self, said: Any) -> None:
        if said.type == "error":
            self.faults.append(said.text)

    def _asked(self, dialog: Any) -> None:
        self.faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def sign_in(self, person_id: str, password: str = PASSWORD) -> None:
        self.go("/sign-in")
        self.page.fill("#person_id", person_id)
        self.page.fill("#password", password)
        self.press("Sign in")

    def go(self, path: str) -> Any:
        return self.page.goto(self.base + path)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def says(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.page.locator("main").get_by_text(text).first.wait_for()

    @property
    def text(self) -> str:
        return str(self.page.inner_text("main"))

    @property
    def title(self) -> str:
        return str(self.page.inner_text("h1"))

    def table(self, heading: str) -> list[list[str]]:
        """The cells of the table under a heading."""
        section = self.page.locator("section", has=self.page.get_by_role("heading", name=heading, exact=True))
        rows = section.locator("table").first.locator("tbody tr").all()
        return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def tab(chromium: Any, live: Live) -> Iterator[Any]:
    opened: list[Tab] = []

    def new(person_id: str = "", **options: Any) -> Tab:
        opened.append(Tab(chromium, live, person_id, **options))
        return opened[-1]

    yield new
    for one in opened:
        one.close()


# ---------------------------------------------------------------- before anybody is recorded


def test_set_up_says_that_anybody_may_act(live: Live, ids: dict[str, str], chromium: Any) -> None:
    """Comes first: from the fixture ``people`` on somebody is recorded."""
    tab = Tab(chromium, live)
    try:
        tab.go("/")
        assert "Nobody is recorded: anybody who reaches this address may act" in tab.page.inner_text("#notices")
        figures = tab.page.inner_text("dl.figures")
        for wanted in ("1 active", "2 closed today", "1 open", "1 blocked today"):
            assert wanted in figures
        assert [row[0:5] for row in tab.table("Blocks")] == [
            [ids["refused"], "buy", "XYZ", "7", "7"],
            [ids["working"], "buy", "XYZ", "1,000", "400"],
            [ids["worked"], "buy", "XYZ", "50,000", "30,000"],
        ]
        tab.go(f"/blocks/{ids['working']}")
        tab.page.fill("#actor", "ann")
        tab.page.fill("#reason", "drill")
        tab.press("Close and allocate")
        tab.says("Done.")
        assert tab.table("Who got what, and why") == [
            ["CLIENT-A", "client", "600", "60 %", "240", "240", "40 %", "exact 240; 240 whole"],
            ["PROP", "proprietary performance fee", "400", "40 %", "160", "160", "40 %", "exact 160; 160 whole"],
        ]
        tab.go("/exceptions/X-1-0")
        assert tab.title == "Not found"
    finally:
        tab.close()


# ---------------------------------------------------------------- every page


def every_page(ids: dict[str, str]) -> list[str]:
    return [
        "/", "/blocks", f"/blocks/{ids['worked']}", f"/blocks/{ids['refused']}", "/new-statement", "/exceptions",
        "/exceptions/new", f"/exceptions/new?statement={ids['worked']}", "/alerts", f"/search?q={ids['worked']}",
        "/journal", "/journal/1", "/journal/30", "/people", "/people/tim", "/people/cora",
    ]  # fmt: skip


AUDIT = """() => {
  const faults = [];
  for (const selector of ["h1", "main", "header", "footer", "nav"]) {
    const count = document.querySelectorAll(selector).length;
    if (count !== 1) faults.push(`${count} of ${selector}`);
  }
  if (!document.documentElement.lang) faults.push("no language");
  if (document.scripts.length !== 1) faults.push(`${document.scripts.length} scripts`);
  const ids = [...document.querySelectorAll("[id]")].map((x) => x.id);
  for (const id of new Set(ids)) if (ids.filter((x) => x === id).length > 1) faults.push(`id ${id} twice`);
  for (const box of document.querySelectorAll("input:not([type=hidden]):not([hidden]), select, textarea"))
    if (!box.labels?.length && !box.getAttribute("aria-label")) faults.push(`no label: ${box.outerHTML}`);
  for (const box of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const id of (box.getAttribute("aria-labelledby") || box.getAttribute("aria-describedby")).split(" "))
      if (!document.getElementById(id)) faults.push(`nothing is called ${id}`);
  for (const cell of document.querySelectorAll("thead th"))
    if (!cell.textContent.trim()) faults.push("a column without a name");
  for (const node of document.querySelectorAll("[style]")) faults.push(`style ${node.outerHTML}`);
  let before = 1;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) faults.push(`${heading.tagName} after h${before}`);
    before = level;
  }
  return faults;
}"""
"""What is wrong with a page for who uses a keyboard or a screen reader, as far as a script can tell."""

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                             return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const f = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
                                 return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (node) => { for (; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor); if (colour[3] === 255) return colour; }
    return [255, 255, 255, 255]; };
  const faults = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest(".unseen, .skip, script")) continue;
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const what = `${node.className || node.tagName} ${text.data.trim().slice(0, 30)}`;
    if (ratio < 4.5) faults.add(`${ratio.toFixed(2)}: ${what}`);
  }
  return [...faults];
}"""
"""Text with less contrast than WCAG 2.2 AA asks for (4.5 to 1)."""

WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_whole_legible_and_labelled(tab: Any, ids: dict[str, str], people: People, scheme: str) -> None:
    olga = tab("olga", color_scheme=scheme)
    for path in every_page(ids):
        assert olga.go(path).status == 200, path
        assert olga.page.evaluate(AUDIT) == [], path
        assert olga.page.evaluate(CONTRAST) == [], path
        assert olga.page.evaluate(WIDE) <= 0, path
    assert olga.faults == []


def test_every_page_fits_a_small_screen_and_paper(tab: Any, ids: dict[str, str], people: People) -> None:
    cora = tab("cora")
    for path in [*every_page(ids), "/reviews"]:
        cora.page.set_viewport_size({"width": 420, "height": 800})
        cora.go(path)
        assert cora.page.evaluate(WIDE) <= 0, path
        cora.page.set_viewport_size({"width": 720, "height": 1018})  # A4 at 96 dots an inch, without the margins
        cora.page.emulate_media(media="print")
        assert cora.page.evaluate(WIDE) <= 0, path
        assert not cora.page.locator("nav").is_visible()
        assert not [box for box in cora.page.locator("button").all() if box.is_visible()], path
        cora.page.emulate_media(media="screen")


def test_what_a_broker_writes_is_shown_and_nothing_else(tab: Any, ids: dict[str, str], people: People) -> None:
    olga = tab("olga")
    for path in ("/", "/exceptions", "/alerts", f"/blocks/{ids['refused']}"):
        olga.go(path)
        assert INJECTION in olga.text, path
        assert olga.page.locator("main script, main b").count() == 0, path
    assert olga.faults == []


# ---------------------------------------------------------------- a block


def test_the_worked_example_from_statement_to_answer_with_proof(
    live: Live, tab: Any, ids: dict[str, str], people: People, tmp_path: Path
) -> None:
    olga = tab("olga")
    olga.go(f"/blocks/{ids['worked']}")
    assert olga.title.startswith("Buy 50,000 XYZ")
    got = {row[0]: row[5] for row in olga.table("Who got what, and why")}
    assert got == {"CLIENT-A": "15,000", "CLIENT-B": "6,000", "CLIENT-C": "3,000", "PROP": "6,000"}
    assert "every exact share, quantity and rule is the same" in olga.text
    steps = olga.page.locator(".timeline strong").all_inner_texts()
    told = [step for step in steps if not step.startswith(("Alert", "Acknowledged"))]
    assert told == [
        "Statement registered", "Order forwarded", "Fill", "Fill", "Fill", "Order cancelled", "Statement closed:",
        "Divided", "Allocation sent", "BRK1 says accepted", "Told to the OMS", "BRK1 confirms", "Confirmation received",
        "Affirmed",
    ]  # fmt: skip
    brokers = {row[0]: row[-1] for row in olga.table("What the brokers were told")}
    assert brokers == {"CLIENT-A": "affirmed", "CLIENT-B": "–", "CLIENT-C": "–", "PROP": "–"}

    newest = Path(live.data_dir, "journal", "checkpoints")
    proofs = olga.page.locator(".timeline .proof a[href$='/proof']")
    until(lambda: olga.page.reload() and proofs.count() == len(steps), "every step is covered by a checkpoint")
    for number in (0, len(steps) - 1):
        with olga.page.expect_download() as loading:
            proofs.nth(number).click()
        file = tmp_path / "proof.json"
        loading.value.save_as(file)
        size = json.loads(file.read_text())["checkpoint"].split("\n")[1]
        (checkpoint,) = newest.rglob(f"{int(size):020d}.checkpoint")
        check = [
            sys.executable,
            "-I",
            str(ROOT / "scripts" / "verify_proof.py"),
            str(file),
            "--checkpoint",
            str(checkpoint),
        ]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert olga.faults == []


def test_a_record_is_shown_without_a_seed_that_is_still_secret(live: Live, tab: Any, people: People) -> None:
    oms = live.oms()
    oms.send("J", statement("SECRET-1", (("CLIENT-A", 10), ("CLIENT-B", 11))))
    assert oms.expect("P", AllocID="SECRET-1").get(87) == "0"
    live.wait_projected()
    ((seq,),) = live.rows("SELECT journal_seq FROM statements WHERE statement_id = 'SECRET-1'")
    audra = tab("audra")
    audra.go(f"/journal/{seq}")
    assert "(seed)" in audra.text
    until(lambda: audra.page.reload() and audra.page.get_by_text("Inclusion proof").count(), "a checkpoint covers it")
    with audra.page.expect_response("**/proof") as answered:
        audra.page.get_by_text("Inclusion proof").click()
    assert answered.value.status == 503  # the proof would give the seed away


# ---------------------------------------------------------------- statement entry

LINES = (("CLIENT-A", "25,000"), ("CLIENT-B", "10000"), ("CLIENT-C", "5000"), ("PROP", "10000"))


def fill_in(tab: Tab, statement_id: str, **more: str) -> None:
    for name, value in {"statement_id": statement_id, "symbol": "XYZ", **more}.items():
        tab.page.fill(f"#{name}", value)
    for number, (account, quantity) in enumerate(LINES):
        tab.page.locator("input[name=account]").nth(number).fill(account)
        tab.page.locator("input[name=quantity]").nth(number).fill(quantity)


def test_a_statement_is_previewed_while_it_is_typed_and_registered(live: Live, tab: Any, people: People) -> None:
    tim = tab("tim")
    tim.go("/new-statement")
    fill_in(tim, "TYPED-1", filled="30000", price="100", rationale=INJECTION, recommended_by="pat", placed_by="tim")
    tim.page.select_option("#discretionary", "yes")
    tim.page.locator("#preview").get_by_text("1,500,000").wait_for()
    got = [(row[0], row[3], row[4]) for row in tim.table("What a fill would give")]
    assert got == [("CLIENT-A", "15,000", "1,500,000"), ("CLIENT-B", "6,000", "600,000"),
                   ("CLIENT-C", "3,000", "300,000"), ("PROP", "6,000", "600,000")]  # fmt: skip
    tim.press("Register")
    tim.page.get_by_text("Registered.").wait_for()
    assert INJECTION in tim.text
    assert "by tim (http)" in tim.text
    assert tim.faults == []


def test_everything_works_without_script_and_by_keyboard_alone(live: Live, tab: Any, people: People) -> None:
    tim = tab(java_script_enabled=False)
    tim.go("/new-statement")  # not signed in: on to the form, and back behind it
    keys = tim.page.keyboard
    keys.press("Tab")
    assert tim.page.evaluate("document.activeElement.textContent") == "To the content"
    for word in ("", "tim", PASSWORD):
        keys.press("Tab")
        keys.type(word)
    keys.press("Enter")
    tim.page.wait_for_url("**/new-statement")
    fill_in(tim, "PLAIN-1", filled="7")
    tim.page.focus("#price")
    keys.press("Tab")
    assert tim.page.evaluate("document.activeElement.textContent") == "Preview"
    keys.press("Enter")
    tim.says("Of 50,000, 7 filled")
    shares_now = [row[3] for row in tim.table("What a fill would give")]
    assert shares_now == ["4", "1", "1", "1"]  # 3.5, 1.4, 0.7, 1.4
    assert tim.page.input_value("#statement_id") == "PLAIN-1"
    tim.press("Register")
    tim.page.wait_for_url("**/blocks/PLAIN-1**")
    assert tim.title.startswith("Buy 50,000 XYZ")


def test_a_refused_statement_says_where_it_is_wrong_and_keeps_what_was_typed(
    live: Live, tab: Any, people: People
) -> None:
    tim = tab("tim")
    tim.go("/new-statement")
    fill_in(tim, "WRONG-1", total="1", rationale=INJECTION)
    tim.page.locator("input[name=account]").nth(1).fill(INJECTION[:40])
    tim.press("Register")
    tim.page.get_by_text("Not registered.").wait_for()
    assert "line 2: GW-606" in tim.text
    assert tim.page.locator("#rows [aria-invalid=true]").count() == 2
    assert tim.page.input_value("#rationale") == INJECTION
    assert tim.page.locator("input[name=account]").nth(1).input_value() == INJECTION[:40]
    assert tim.page.locator("main script, main b").count() == 0
    assert live.http.get("/api/statements/WRONG-1").status_code == 404


# ---------------------------------------------------------------- exceptions


def ask(tab: Tab, statement_id: str, wanted: dict[str, str], text: str = WHY) -> None:
    """Fill in a request and preview it."""
    tab.go(f"/exceptions/new?statement={statement_id}")
    tab.page.select_option("#code", "CLIENT-FIRST")
    tab.page.fill("#text", text)
    for account, quantity in wanted.items():
        tab.page.get_by_label(f"What {account} shall have").fill(quantity)


def test_cherry_picking_cannot_be_asked_for(tab: Any, ids: dict[str, str], people: People) -> None:
    tim = tab("tim")
    ask(tim, ids["worked"], {"CLIENT-A": "15000", "CLIENT-B": "0", "CLIENT-C": "0", "PROP": "15000"})
    tim.page.locator("#preview").get_by_text("GW-911").wait_for()
    tim.press("Request")
    tim.page.get_by_text("Not requested.").wait_for()
    assert "PROP (proprietary) would have 15000, and its computed share is 6000" in tim.text
    tim.go("/exceptions")
    assert "No request waits for a decision." in tim.text


def test_an_empty_phrase_is_no_explanation(tab: Any, ids: dict[str, str], people: People) -> None:
    tim = tab("tim")
    ask(
        tim,
        ids["worked"],
        {"CLIENT-A": "16000", "PROP": "5000"},
        "market conditions, market conditions, market conditions",
    )
    tim.press("Request")
    tim.page.get_by_text("Not requested.").wait_for()
    tim.says("says nothing of this case")


def test_a_deviation_for_clients_through_the_whole_path(
    live: Live, tab: Any, ids: dict[str, str], people: People
) -> None:
    people.act("olga", "/api/marks", symbol="XYZ", price="101.25", source="closing price")
    tim, cora = tab("tim"), tab("cora")
    ask(tim, ids["worked"], {"CLIENT-A": "16000", "PROP": "5000"}, f"{WHY} {INJECTION}")
    tim.page.locator("#preview").get_by_text("Gains in money: CLIENT-A (client). Gives up: PROP.").wait_for()
    assert [(row[0], row[5], row[6]) for row in tim.table("Before, after, and who gains")] == [
        ("CLIENT-A", "+1,000", "+1,250"), ("CLIENT-B", "0", "0"), ("CLIENT-C", "0", "0"), ("PROP", "-1,000", "-1,250"),
    ]  # fmt: skip
    tim.press("Request")
    tim.page.wait_for_url("**/exceptions/GWE*")
    path = tim.page.url.removeprefix(tim.base).partition("?")[0]
    assert tim.page.get_by_role("button", name="Approve").count() == 0
    assert "You asked for this, so somebody else decides." in tim.text
    assert INJECTION in tim.text

    stale = tab("cora")
    stale.go(path)
    cora.go("/")
    cora.page.get_by_role("link", name=f"Deviation of block {ids['worked']}").click()
    assert cora.page.locator("main script, main b").count() == 0
    cora.page.fill("#text", "Agreed: the firm stands back behind its clients.")
    cora.press("Approve")
    cora.page.get_by_text("Decided.").wait_for()
    replaced = live.broker.expect("J", 5, AllocTransType="1")
    assert shares(replaced) == {"CLIENT-A": "16000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "5000"}

    stale.page.fill("#text", "Not agreed, for a reason of its own.")
    stale.press("Reject")
    stale.says("it changed while you looked at it")
    assert "approved" in stale.page.inner_text(".lead")

    cora.go(f"/blocks/{ids['worked']}")
    got = {row[0]: row[5] for row in cora.table("Who got what, and why")}
    assert got == {"CLIENT-A": "16,000", "CLIENT-B": "6,000", "CLIENT-C": "3,000", "PROP": "5,000"}
    assert "Exception approved by cora" in cora.text
    assert tim.faults == cora.faults == []


def test_alerts_and_exceptions_are_attended_with_words(
    live: Live, tab: Any, ids: dict[str, str], people: People
) -> None:
    olga = tab("olga")
    olga.go(f"/blocks/{ids['refused']}")
    olga.page.locator("#open a").first.click()
    olga.says("The broker rejected the allocation")
    olga.page.fill("#text", f"Rang the broker. {INJECTION}")
    olga.press("Resolve")
    olga.page.get_by_text("Noted.").wait_for()
    assert f"Rang the broker. {INJECTION}" in olga.text
    assert "It is resolved." in olga.text

    olga.go("/alerts")
    before = olga.page.locator("section").first.locator("li").count()
    olga.page.locator("input[name=text]").first.fill(f"Seen. {INJECTION}")
    olga.page.get_by_role("button", name="Acknowledge").first.click()
    olga.page.get_by_text("Acknowledged.").wait_for()
    assert olga.page.locator("section").first.locator("li").count() == before - 1
    assert ["olga", f"Seen. {INJECTION}"] in [row[-2:] for row in olga.table("Acknowledged")]
    assert olga.faults == []


# ---------------------------------------------------------------- today


def test_today_counts_down_and_stays_fresh(live: Live, tab: Any, people: People) -> None:
    olga = tab("olga")
    olga.page.clock.install()
    olga.go("/")
    assert olga.page.locator("[data-until-ms]").first.inner_text().startswith("in ")
    first = olga.page.locator("[data-until-ms]").first.inner_text()
    olga.page.clock.fast_forward("01:01:00")
    assert olga.page.locator("[data-until-ms]").first.inner_text() != first

    again = tab("olga")
    again.page.clock.install()
    again.go("/")
    assert "LATER-1" not in again.text
    live.oms().send("D", order("LATER-1", "NOTHING", 5))
    live.oms().expect("8", ClOrdID="LATER-1")
    live.wait_projected()
    again.page.clock.fast_forward(15_000)
    again.page.get_by_text("LATER-1", exact=True).wait_for()
    assert again.faults == []


def test_search_finds_by_id_account_and_symbol(live: Live, tab: Any, ids: dict[str, str], people: People) -> None:
    audra = tab("audra")
    for query, wanted in ((ids["worked"], ids["worked"]), ("BLK-", "BLK-0"), ("CLIENT-A", "CLIENT-A"), ("XYZ", "XYZ")):
        audra.page.fill("#find", query)
        audra.page.keyboard.press("Enter")
        audra.page.wait_for_url(f"**/search?q={query}")
        audra.says(wanted)
    audra.page.fill("#find", f"{INJECTION} nowhere")
    audra.page.keyboard.press("Enter")
    audra.page.get_by_text("Nothing is known of").wait_for()
    assert f"{INJECTION} nowhere" in audra.text
    assert audra.faults == []


# ---------------------------------------------------------------- people


def test_a_new_person_gets_a_one_time_password_and_replaces_it(live: Live, tab: Any, people: People) -> None:
    cora = tab("cora")
    cora.go("/people")
    cora.page.fill("#person_id", "newby")
    cora.page.fill("#name", INJECTION)
    cora.page.get_by_role("checkbox", name="trader").check()
    cora.press("Add")
    cora.says("One-time password of newby")
    secret = cora.page.locator(".say code").inner_text()
    assert cora.page.locator("main script, main b").count() == 0

    newby = tab()
    newby.sign_in("newby", secret)
    newby.says("This is a one-time password.")
    newby.page.fill("#password", secret)
    newby.page.fill("#new", "short")
    newby.page.fill("#again", "short")
    newby.press("Sign in")
    newby.says("shorter than 12 characters")
    own = "a-long-word-of-its-own"
    for name, value in (("#password", secret), ("#new", own), ("#again", own)):
        newby.page.fill(name, value)
    newby.press("Sign in")
    newby.page.wait_for_url(f"{newby.base}/")
    assert INJECTION in newby.page.inner_text("header")
    newby.press("Sign out")
    newby.page.wait_for_url("**/sign-in")
    newby.go("/blocks")
    assert "/sign-in?next=" in newby.page.url
    assert [fault for fault in newby.faults if "status of 4" not in fault] == []


def test_a_wrong_password_says_nothing_of_who_exists(tab: Any, people: People) -> None:
    said = []
    for name in ("audra", "nobody-at-all"):
        one = tab()
        one.sign_in(name, "wrong-password-1")
        one.says("Not signed in.")
        said.append(one.page.inner_text("[role=alert]"))
    assert said[0] == said[1] == "Not signed in. Unknown name or wrong password."
