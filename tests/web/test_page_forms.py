"""Bad input and misuse of the pages: wrong role, no or foreign form, stale form, injection, odd addresses."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from live import Live, report, statement_file
from pages import CONFIRMS, INJECTION, PEOPLE, People, traded

TEXT = {"Accept": "text/html"}
WHY = "The proprietary account gives up shares to the clients, as our policy for oversubscribed blocks says."


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("forms"), brokers=CONFIRMS) as gateway:
        yield gateway.start()


@pytest.fixture(scope="module")
def ids(live: Live) -> dict[str, str]:
    return traded(live)


@pytest.fixture(scope="module")
def people(live: Live, ids: dict[str, str]) -> Iterator[People]:
    found = People(live).record()
    for client in found.clients.values():
        del client.headers["X-CSRF-Token"]  # pages carry it in the form
    yield found
    found.close()


def hidden(text: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', text)
    return html.unescape(found[1]) if found else ""


def get(client: httpx.Client, path: str) -> httpx.Response:
    return client.get(path, headers=TEXT)


def csrf(client: httpx.Client) -> str:
    return hidden(get(client, "/").text, "csrf")


def post(client: httpx.Client, path: str, headers: Any = None, **fields: Any) -> httpx.Response:
    """A form sent as a browser does, with what its page hides in it unless given."""
    return client.post(path, data={"csrf": csrf(client), **fields}, headers={**TEXT, **(headers or {})})


def journaled(live: Live) -> list[tuple[Any, ...]]:
    """How much there is of what people can change."""
    names = ("statements", "people", "exception_requests", "exception_decisions", "exception_attentions",
             "alert_acknowledgements", "reviews", "review_signatures", "allocations")  # fmt: skip
    return live.rows(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in names))


def assert_page(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text[:2000]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


# ---------------------------------------------------------------- who may


def forms(live: Live, ids: dict[str, str]) -> dict[str, tuple[str, dict[str, Any], set[str]]]:
    """Every form: its address, fields, and who may send it."""
    alert = live.get("/api/alerts?state=open")["rows"][0]["alert_id"]
    opened = live.get("/api/exceptions/opened?state=unresolved")["rows"][0]["exception_id"]
    attending = {"olga", "cora", "pete"}
    lines = {"account": ["CLIENT-A", "NOBODY"], "quantity": ["1", "2"]}
    entry = {"action": "register", "statement_id": "ROLE-1", "trade_date": "2026-11-22", "side": "buy", "symbol": "X"}
    return {
        "register": ("/new-statement", {**entry, **lines}, {"tim", "olga"}),
        "close": (f"/blocks/{ids['working']}", {"action": "close", "reason": "x", "seen": "old"}, {"olga"}),
        "send again": (f"/blocks/{ids['refused']}", {"action": "send-again", "alloc_id": "A", "reason": "x"}, {"olga"}),
        "request": ("/exceptions/new", {"action": "request", "statement": ids["worked"], "kind": "deviation",
                    "code": "CLIENT-FIRST", "text": WHY, "seen": "old", **lines}, {"tim", "olga"}),
        "attend": (f"/exceptions/{opened}", {"action": "note", "text": "x", "seen": "open:0"}, attending),
        "acknowledge": ("/alerts", {"alert_id": alert, "text": ""}, attending),
        "add a person": ("/people", {"person_id": "", "name": "x"}, {"cora", "pete"}),
        "sign": ("/reviews", {"review_id": "none", "conclusion": "x"}, {"cora"}),
    }  # fmt: skip


def test_who_may_send_which_form(live: Live, ids: dict[str, str], people: People) -> None:
    for name, (path, fields, allowed) in forms(live, ids).items():
        for person_id in PEOPLE:
            if person_id in allowed and name == "attend":
                continue  # would change it; tried in the browser
            before = journaled(live)
            answer = post(people.clients[person_id], path, **fields)
            if person_id in allowed:
                assert answer.status_code in (409, 422), f"{name} by {person_id}: {answer.status_code}"
            else:
                assert answer.status_code in (403, 409), f"{name} by {person_id}: {answer.status_code}"
                assert "may not" in answer.text or answer.status_code == 409, name
            assert journaled(live) == before, f"{name} by {person_id}"


def test_reviews_are_for_compliance_and_auditors_everywhere(live: Live, people: People) -> None:
    body = {"review_id": "R-1", "kind": "run", "plan_sha256": "a" * 64, "data_sha256": "b" * 64, "seed": "00",
            "verdict": "green", "summary": f"Nothing found. {INJECTION}"}  # fmt: skip
    answer = people.clients["cora"].post(
        "/api/reviews", json=body, headers={"X-CSRF-Token": csrf(people.clients["cora"])}
    )
    assert answer.status_code == 201, answer.text
    ((seq,),) = live.rows("SELECT journal_seq FROM reviews")
    for person_id in PEOPLE:
        wanted = 200 if person_id in ("cora", "audra") else 403
        for path in ("/reviews", f"/journal/{seq}", f"/journal/{seq - 1}"):
            assert get(people.clients[person_id], path).status_code == wanted, f"{person_id} {path}"
        assert (get(people.clients[person_id], f"/journal/{seq}/proof").status_code == 403) == (wanted == 403)
        assert ('href="/reviews"' in get(people.clients[person_id], "/").text) == (wanted == 200)
    page = get(people.clients["cora"], "/reviews").text
    assert html.escape(INJECTION).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    signed = post(people.clients["cora"], "/reviews", review_id="R-1", conclusion="Nothing to do.")
    assert signed.status_code == 303
    assert "Nothing to do." in get(people.clients["audra"], signed.headers["location"]).text


# ---------------------------------------------------------------- forged, stale, odd


def test_a_form_without_its_own_value_does_nothing(live: Live, ids: dict[str, str], people: People) -> None:
    tim, before = people.clients["tim"], journaled(live)
    fields = {"action": "register", "statement_id": "FORGED-1", "trade_date": "2026-11-22", "side": "buy",
              "symbol": "X", "account": "CLIENT-A", "quantity": "1"}  # fmt: skip
    assert_page(tim.post("/new-statement", data=fields, headers=TEXT), 403)
    assert_page(tim.post("/new-statement", data={**fields, "csrf": "x" * 32}, headers=TEXT), 403)
    other = csrf(people.clients["olga"])
    assert_page(tim.post("/new-statement", data={**fields, "csrf": other}, headers=TEXT), 403)
    assert_page(post(tim, "/new-statement", {"Origin": "https://evil.example"}, **fields), 403)
    assert_page(post(tim, "/new-statement", {"Sec-Fetch-Site": "cross-site"}, **fields), 403)
    nobody = people.client()
    assert nobody.post("/new-statement", data=fields, headers=TEXT).status_code in (401, 403)
    assert nobody.get("/blocks", headers=TEXT).headers["location"] == "/sign-in?next=%2Fblocks"
    nobody.close()
    assert journaled(live) == before


def test_a_stale_form_changes_nothing_and_shows_what_is(live: Live, ids: dict[str, str], people: People) -> None:
    olga, cora = people.clients["olga"], people.clients["cora"]
    path = f"/blocks/{ids['working']}"
    seen = hidden(get(olga, path).text, "seen")
    ((working,),) = live.rows("SELECT cl_ord_id FROM orders WHERE statement_id = ?", ids["working"])
    fill = report(working, "EX-STALE", "F", "1", quantity=1000, cum=500, leaves=500, last=100, price="50.25")
    live.broker.send("8", fill)
    live.oms().expect("8", ExecID="EX-STALE")
    before = journaled(live)
    page = assert_page(post(olga, path, action="close", reason="enough", seen=seen), 409)
    assert "the block changed while you looked at it" in page
    assert journaled(live) == before

    seen = hidden(get(cora, "/people/tim").text, "seen")
    change = {"action": "change", "name": "Tim T.", "roles": ["trader"], "active": "yes", "seen": seen}
    assert post(cora, "/people/tim", **change).status_code == 303
    page = assert_page(post(cora, "/people/tim", **{**change, "name": "Tim the Second"}), 409)
    assert "the person was changed meanwhile" in page
    assert "Tim T." in page


def test_nobody_changes_themselves_or_takes_over_a_name(live: Live, people: People) -> None:
    cora, before = people.clients["cora"], journaled(live)
    seen = hidden(get(cora, "/people/tim").text, "seen")
    own = {"action": "change", "name": "Cora", "roles": ["compliance", "operations"], "active": "yes"}
    assert_page(post(cora, "/people/cora", seen="|".join(("Cora Chief", "", "compliance", "True")), **own), 409)
    page = assert_page(post(cora, "/people", person_id="tim", name="Tim II", roles="trader"), 409)
    assert "recorded already" in page
    assert_page(post(people.clients["tim"], "/people/olga", action="new-password"), 403)
    assert_page(post(people.clients["tim"], "/people/olga", action="password", old="x", new="y", again="y"), 403)
    assert journaled(live) == before
    assert seen


def test_a_name_that_failures_have_locked_is_unlocked_by_who_may(people: People) -> None:
    cora, pete = people.clients["cora"], people.clients["pete"]
    stranger = people.client()
    given = {"csrf": hidden(get(stranger, "/sign-in").text, "csrf"), "person_id": "tim", "password": "wrong-password-1"}
    said = [stranger.post("/sign-in", data=given, headers=TEXT).status_code for _ in range(6)]
    stranger.close()
    assert said == [401] * 5 + [429]
    assert "Locked after too many failures." in get(cora, "/people/tim").text
    assert_page(post(people.clients["olga"], "/people/tim", action="unlock"), 403)
    assert post(pete, "/people/tim", action="unlock").status_code == 303
    assert "Locked after too many failures." not in get(cora, "/people/tim").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"action": "register", "statement_id": "A\x00B"}, 422),
        ({"action": "register", "statement_id": "x" * 5_000}, 422),
        ({"action": "register"}, 422),
        ({"action": "register", "account": ["CLIENT-A"] * 600, "quantity": ["1"] * 600}, 422),
        ({"account": ["CLIENT-A"] * 6_000}, 400),
        ({"action": "preview", "account": "CLIENT-A", "quantity": "1e400"}, 200),
        ({"action": "preview", "account": "CLIENT-A", "quantity": "-1", "filled": "NaN"}, 200),
        ({"action": "no such thing", "account": INJECTION, "quantity": INJECTION, "filled": INJECTION}, 200),
    ],
)  # fmt: skip
def test_odd_statements(live: Live, people: People, fields: dict[str, Any], status: int) -> None:
    tim, before = people.clients["tim"], journaled(live)
    page = assert_page(post(tim, "/new-statement", trade_date="2026-11-22", side="buy", symbol="X", **fields), status)
    assert "<script>alert" not in page
    assert journaled(live) == before


@pytest.mark.parametrize("rest", [b"&statement_id=%ff", b"&statement_id=%ED%A0%80", b"&\xff=1", b"&" * 10_000])
def test_a_form_that_is_no_text_is_refused(live: Live, people: People, rest: bytes) -> None:
    tim = people.clients["tim"]
    body = b"action=register&csrf=" + csrf(tim).encode() + rest
    headers = {**TEXT, "Content-Type": "application/x-www-form-urlencoded"}
    assert tim.post("/new-statement", content=body, headers=headers).status_code in (400, 403, 422)


def test_a_large_form_is_refused(live: Live, people: People) -> None:
    answer = post(people.clients["tim"], "/alerts", text="x" * 2_000_000)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/blocks/NO-SUCH", 404), ("/blocks/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 404), ("/trace/NO-SUCH", 404),
        ("/exceptions/GWE20200101-1", 404), ("/exceptions/X-1-999", 404), ("/exceptions/%2e%2e", 404),
        ("/exceptions/new?statement=NO-SUCH", 404), ("/journal/0", 404), ("/journal/-1", 404), ("/journal/1e3", 404),
        ("/journal/99999999999999999999", 404), ("/journal/999999999", 503), ("/journal/999999999/proof", 503),
        ("/people/nobody", 404), ("/static/..%2Fpages.py", 404), ("/static/base.html", 404), ("/nothing/here", 404),
        ("/blocks?day=yesterday", 422), ("/blocks?state=%27%20OR%201=1", 200), ("/search?q=%27%20OR%201=1--", 200),
        ("/search?q=%25%25%25", 200), ("/?at=99999999999", 200), ("/?at=x&done=%3Cscript%3E", 200),
        ("/sign-in?next=//evil.example", 200),
    ],
)  # fmt: skip
def test_odd_addresses_get_a_page_that_says_so(people: People, path: str, status: int) -> None:
    answer = get(people.clients["audra"], path)
    page = assert_page(answer, status)
    assert "<script>alert" not in page
    assert "evil.example" not in page
    assert "Traceback" not in page


def test_every_answer_has_the_headers_that_keep_others_out(people: People) -> None:
    audra = people.clients["audra"]
    for path in ("/", "/blocks", "/nothing", "/sign-in", "/static/desk.js", "/journal/1/proof"):
        headers = get(audra, path).headers
        csp = headers["content-security-policy"]
        assert "default-src 'none'" in csp, path
        assert "unsafe" not in csp, path
        assert "frame-ancestors 'none'" in csp, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert path.startswith("/static/") or headers["cache-control"] == "no-store", path
    page = get(audra, "/").text
    assert not re.findall(r"\son[a-z]+=|style=|javascript:", page)
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page) == []


def test_an_id_of_markup_is_text_on_every_page_and_a_working_link(live: Live, people: People) -> None:
    tim = people.clients["tim"]
    name = "<b>S</b>/1?a=\"'&#"
    body = statement_file(name, (("CLIENT-A", 5), ("CLIENT-B", 6)), rationale=INJECTION, placed_by=INJECTION)
    answer = tim.post("/api/statements", json=body, headers={"X-CSRF-Token": csrf(tim)})
    assert answer.status_code == 201, answer.text
    live.wait_projected()
    link = f"/blocks/{quote(name, safe='')}"
    for path in ("/", "/blocks", link, f"/exceptions/new?statement={quote(name, safe='')}"):
        page = assert_page(get(tim, path), 200)
        assert "<b>" not in page, path
        assert "<script>alert" not in page, path
    assert f'href="{link}"' in get(tim, "/blocks").text
    assert "Buy 11 XYZ" in get(tim, link).text


def test_signing_in_goes_on_to_a_page_of_ours_only(people: People) -> None:
    for wanted, goes in (("/blocks", "/blocks"), ("//evil.example", "/"), ("https://evil.example", "/")):
        client = people.client()
        page = get(client, f"/sign-in?next={quote(wanted, safe='')}").text
        fields = {
            "csrf": hidden(page, "csrf"),
            "next": wanted,
            "person_id": "audra",
            "password": "correct-horse-7-battery",
        }
        answer = client.post("/sign-in", data=fields, headers=TEXT)
        assert (answer.status_code, answer.headers["location"]) == (303, goes)
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert get(client, "/").status_code == 200
        client.close()
