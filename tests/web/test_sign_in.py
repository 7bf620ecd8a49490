"""Signing in through real HTTP: passwords, sessions, tokens, lock-out, set-up, the proxy."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest
from webdesk import PASSWORD, SECOND, WebDesk, desk

from fixgateway.core.desk_facts import ActionRefused, PersonRecorded
from fixgateway.errors import ConfigError, GatewayUnavailable
from fixgateway.web.credentials import FAILURES_OF_AN_ADDRESS, Credentials, Terms, Verdict, weakness
from fixgateway.web.door import DoorTerms
from fixgateway.web.vault import Vault


@pytest.fixture
def firm() -> Iterator[WebDesk]:
    with desk() as made:
        yield made


def sign_in(client: httpx.Client, person_id: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/api/sign-in", json={"person_id": person_id, "password": password})


def assert_problem(answer: httpx.Response, status: int, words: str = "") -> Any:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]
    return answer.json()


# ---------------------------------------------------------------- set-up


def test_while_nobody_is_recorded_no_sign_in_is_asked_for_and_the_first_person_ends_that() -> None:
    with desk({}) as firm:
        anybody = firm.client()
        assert anybody.get("/api/statements").status_code == 200
        assert anybody.get("/api/me").json()["set_up"] is True
        trader = {"person_id": "tom", "name": "Tom", "roles": ["trader"], "actor": "root"}
        assert_problem(anybody.post("/api/people", json=trader), 422, "compliance or principal")
        assert anybody.get("/api/statements").status_code == 200
        first = {"person_id": "cco", "name": "Carla", "roles": ["compliance"], "actor": "root"}
        answer = anybody.post("/api/people", json=first)
        assert answer.status_code == 201
        (recorded,) = firm.outputs(PersonRecorded)
        assert (recorded.actor, recorded.person.person_id) == ("machine:root", "cco")

        assert_problem(anybody.get("/api/statements"), 401, "sign in")
        assert_problem(anybody.post("/api/people", json={**first, "person_id": "eve"}), 401)
        secret = answer.json()["one_time_password"]
        assert assert_problem(sign_in(anybody, "cco", secret), 403, "one-time")["must_change"] is True
        change = {"person_id": "cco", "password": secret, "new_password": PASSWORD}
        assert anybody.post("/api/password", json=change).status_code == 200
        assert anybody.get("/api/me").json()["person_id"] == "cco"
        assert_problem(sign_in(firm.client(), "cco", secret), 401)


def test_set_up_needs_no_actor_where_it_is_known_and_asks_for_it_where_not() -> None:
    with desk({}) as firm:
        anybody = firm.client()
        assert_problem(anybody.post("/api/statements/S-1/cancel", json={}), 422, "actor")
        assert anybody.post("/api/statements/S-1/cancel", json={"actor": "ann"}).status_code == 200


def test_exceptions_and_marks_need_a_recorded_person_even_during_set_up() -> None:
    with desk({}) as firm:
        mark = {"symbol": "XYZ", "price": "10", "source": "me"}
        assert_problem(firm.client().post("/api/marks", json=mark), 403, "not recorded")


def test_set_up_is_this_machines_alone_where_others_can_reach_it() -> None:
    with desk({}, terms=DoorTerms(reachable=True)) as firm:
        assert firm.client().get("/api/statements").status_code == 200
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            assert_problem(firm.client(**{header: "10.0.0.9"}).get("/api/statements"), 403, "this machine")


def test_whoever_holds_the_machine_gives_passwords_and_nothing_else(firm: WebDesk) -> None:
    machine = firm.client(Authorization="Bearer the machine's own token", **{"X-Actor": "root"})
    secret = machine.post("/api/people/cco/password", json={}).json()["one_time_password"]
    assert firm.noted("password")[-1] == ("machine:root", "password", "cco (one-time password)")
    assert_problem(sign_in(firm.client(), "cco", secret), 403, "one-time")
    assert machine.get("/api/people").status_code == 200
    assert_problem(machine.get("/api/statements"), 403, "nothing else")
    again = {"person_id": "eve", "name": "Eve", "roles": ["compliance"]}
    assert_problem(machine.post("/api/people", json=again), 403, "machine:root")
    assert_problem(machine.post("/api/people/nobody/password", json={}), 404)


# ---------------------------------------------------------------- sessions


def test_a_session_acts_as_its_person_whatever_the_request_says(firm: WebDesk) -> None:
    olga = firm.browser("olga")
    done = olga.post("/api/orders/halt", json={"actor": "cco", "target": "all", "reason": "drill"})
    assert done.status_code == 200
    assert firm.pump.decided[-1][0].actor == "olga"  # type: ignore[union-attr]
    cookie = next(iter(olga.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert str(cookie.get_nonstandard_attr("SameSite")).lower() == "lax"
    assert not cookie.secure


def test_the_cookie_travels_by_tls_only_where_people_reach_it_by_tls() -> None:
    with desk(terms=DoorTerms(reachable=True, secure=True)) as firm:
        sent = sign_in(firm.client(), "cco").headers["set-cookie"]
        assert sent.startswith("__Host-fixgateway=")
        assert "Secure" in sent


def test_a_session_ends_when_idle_and_at_its_age_and_at_sign_out() -> None:
    with desk(sign_in=Terms(idle_seconds=600, session_seconds=3_600)) as firm:
        tom, idle = firm.browser("tom"), firm.browser("tom")
        for _ in range(6):
            firm.now_ns += 590 * SECOND
            assert tom.get("/api/me").status_code == 200
        assert_problem(idle.get("/api/me"), 401)
        firm.now_ns += 61 * SECOND
        assert_problem(tom.get("/api/me"), 401)

        tom = firm.browser("tom")
        stolen = firm.client(Cookie=f"fixgateway={tom.cookies['fixgateway']}")
        assert stolen.get("/api/me").status_code == 200
        assert tom.post("/api/sign-out", json={}).status_code == 200
        assert_problem(tom.get("/api/me"), 401)
        assert_problem(stolen.get("/api/me"), 401)
        assert ("tom", "signed-out", "session") in firm.noted()


def test_a_new_password_ends_the_sessions_there_are(firm: WebDesk) -> None:
    before = firm.browser("tom")
    change = {"person_id": "tom", "password": PASSWORD, "new_password": "another long enough one"}
    assert firm.client().post("/api/password", json=change).status_code == 200
    assert_problem(before.get("/api/me"), 401)
    assert_problem(sign_in(firm.client(), "tom"), 401)
    firm.browser("tom", "another long enough one")


def test_who_is_not_active_any_more_is_out_at_once(firm: WebDesk) -> None:
    cco, tom, program = firm.browser("cco"), firm.browser("tom"), firm.program("tom")
    person = cco.get("/api/people/tom").json()
    assert cco.post("/api/people", json={**person, "active": False}).status_code == 200
    assert_problem(tom.get("/api/me"), 401)
    assert_problem(program.get("/api/me"), 401)
    assert_problem(sign_in(firm.client(), "tom"), 401, "unknown name or wrong password")
    answer = cco.post("/api/people", json={**person, "active": True})
    assert answer.json()["one_time_password"]
    assert_problem(tom.get("/api/me"), 401)
    assert_problem(program.get("/api/me"), 401)


def test_roles_count_as_they_are_now(firm: WebDesk) -> None:
    cco, tom = firm.browser("cco"), firm.browser("tom")
    switch = {"target": "all", "reason": "drill"}
    assert_problem(tom.post("/api/orders/halt", json=switch), 403, "tom (trader)")
    person = cco.get("/api/people/tom").json()
    cco.post("/api/people", json={**person, "roles": ["trader", "operations"]})
    assert tom.post("/api/orders/halt", json=switch).status_code == 200


# ---------------------------------------------------------------- tokens


def test_a_token_acts_as_its_person_until_it_is_revoked_or_over(firm: WebDesk) -> None:
    tom = firm.browser("tom")
    made = tom.post("/api/tokens", json={"label": "nightly", "days": 2}).json()
    program = firm.client(Authorization=f"Bearer {made['token']}")
    assert program.get("/api/me").json()["person_id"] == "tom"
    assert_problem(program.post("/api/tokens", json={"label": "more"}), 403, "token cannot")
    assert [row["label"] for row in tom.get("/api/tokens").json()["rows"]] == ["nightly"]
    assert made["token"] not in tom.get("/api/tokens").text

    assert_problem(firm.browser("olga").post(f"/api/tokens/{made['token_id']}/revoke", json={}), 404)
    assert program.get("/api/me").status_code == 200
    assert firm.browser("cco").post(f"/api/tokens/{made['token_id']}/revoke", json={}).status_code == 200
    assert_problem(program.get("/api/me"), 401, "revoked")

    short = firm.program("tom")
    firm.now_ns += 86_401 * SECOND
    assert_problem(short.get("/api/me"), 401, "expired")


@pytest.mark.parametrize("value", ["Bearer", "Bearer fxg_none", "Basic dG9tOnBhc3M=", "Bearer \xff", "x" * 5000])
def test_a_wrong_authorization_is_refused_never_ignored(firm: WebDesk, value: str) -> None:
    tom = firm.browser("tom")
    answer = tom.get("/api/me", headers=[(b"Authorization", value.encode("latin-1"))])
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


# ---------------------------------------------------------------- failures


def test_failures_lock_a_name_known_or_not_in_the_same_words() -> None:
    with desk(sign_in=Terms(failures=3, lock_seconds=600)) as firm:
        said = {}
        for name in ("tom", "nobody"):
            client = firm.client()
            said[name] = [
                (answer.status_code, answer.json()["detail"])
                for answer in (sign_in(client, name, "wrong password") for _ in range(4))
            ]
        assert said["tom"] == said["nobody"]
        assert [status for status, _ in said["tom"]] == [401, 401, 401, 429]
        assert_problem(sign_in(firm.client(), "tom"), 429, "locked")
        assert sign_in(firm.client(), "TOM").status_code == 429
        assert firm.program("tom").get("/api/me").status_code == 200
        assert ("", "locked", "tom") in firm.noted("locked")

        assert firm.browser("cco").post("/api/people/tom/unlock", json={}).status_code == 200
        firm.browser("tom")
        firm.now_ns += 601 * SECOND
        assert sign_in(firm.client(), "nobody").status_code == 401


def never_right(credentials: Credentials) -> list[str]:
    """No password is right from here on; the hashes they are compared with."""
    compared: list[str] = []

    def verify(stored: str, password: str) -> bool:
        compared.append(stored)
        return False

    credentials._verify = verify  # type: ignore[method-assign]
    return compared


def test_an_attempt_counts_before_it_is_judged() -> None:
    now = [10**18]
    credentials = Credentials(Vault(), Terms(failures=2), lambda: now[0])
    asked = never_right(credentials)
    for _ in range(5):
        credentials.check("tom", "x", known=True)
    assert len(asked) == 2, "guesses at the same time are no more guesses"


def test_an_unknown_name_costs_the_work_of_a_known_one() -> None:
    credentials = Credentials(Vault())
    credentials.set_password("tom", PASSWORD)
    compared = never_right(credentials)
    for name, known in (("tom", True), ("gone", False), ("new", True)):
        assert credentials.check(name, PASSWORD, known) is Verdict.WRONG
    assert len(compared) == 3
    assert {stored.rpartition("$")[0].rpartition("$")[0] for stored in compared} == {
        compared[0].rpartition("$")[0].rpartition("$")[0]
    }, "the same parameters"
    assert all(stored.startswith("$argon2id$") for stored in compared)


@pytest.mark.parametrize(
    ("password", "words"),
    [("short", "shorter"), ("x" * 300, "longer"), ("abababababab", "repeats"), ("fixgateway-2026!", "name"),
     ("my-tomtommy-pass", "name"), (PASSWORD, "")],
)  # fmt: skip
def test_weak_passwords(password: str, words: str) -> None:
    said = weakness(password, "tomtommy")
    assert bool(said) == bool(words)
    assert words in said


def test_the_same_password_from_another_keyboard() -> None:
    credentials = Credentials(Vault())
    credentials.set_password("tom", "Z\u00fcrich \ufb01ne 12345")
    assert credentials.check("tom", "Zu\u0308rich fine 12345", known=True) is Verdict.GOOD


def test_one_time_passwords_end() -> None:
    now = [10**18]
    credentials = Credentials(Vault(), now_ns=lambda: now[0])
    secret = credentials.one_time_password("tom")
    assert credentials.check("tom", secret, known=True) is Verdict.ONE_TIME
    now[0] += 73 * 3_600 * SECOND
    assert credentials.check("tom", secret, known=True) is Verdict.WRONG


# ---------------------------------------------------------------- the file


def test_the_file_is_the_users_own_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "credentials.db"
    with desk(path=path) as firm:
        tom = firm.browser("tom")
        token = tom.post("/api/tokens", json={"label": "t"}).json()["token"]
        raw = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        for secret in (PASSWORD, token, tom.cookies["fixgateway"]):
            assert secret.encode() not in raw
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "credentials.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigError, match="fixgateway people password"):
        Vault(path)


def test_sessions_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials.db"
    with desk(path=path) as firm:
        cookie = firm.browser("tom").cookies["fixgateway"]
        token = firm.credentials.make_token("tom", "t", 1)[1]
    again = Credentials(Vault(path), now_ns=lambda: firm.now_ns)
    assert again.session(cookie) is not None
    assert again.token(token) == "tom"


# ---------------------------------------------------------------- the proxy


def test_a_name_given_by_a_proxy_counts_only_from_its_address() -> None:
    behind = DoorTerms(reachable=True, secure=True, proxies=("127.0.0.1",), user_header="X-Forwarded-User")
    with desk(terms=behind) as firm:
        tom = firm.client(**{"X-Forwarded-User": "tom", "X-Forwarded-For": "203.0.113.9, 10.1.2.3"})
        assert tom.get("/api/me").json()["person_id"] == "tom"
        assert firm.pump.decided[-1][0].address == "10.1.2.3"  # type: ignore[union-attr]
        assert_problem(firm.client(**{"X-Forwarded-User": "eve"}).get("/api/me"), 401, "no active person")
    with desk(terms=DoorTerms(reachable=True, proxies=("10.0.0.7",), user_header="X-Forwarded-User")) as firm:
        assert_problem(firm.client(**{"X-Forwarded-User": "tom"}).get("/api/me"), 401, "sign in")
    with desk() as firm:
        assert_problem(firm.client(**{"X-Forwarded-User": "tom"}).get("/api/me"), 401, "sign in")


# ---------------------------------------------------------------- the journal


def test_what_people_do_with_credentials_is_in_the_journal(firm: WebDesk) -> None:
    cco = firm.browser("cco")
    sign_in(firm.client(), "tom", "wrong")
    cco.post("/api/people/tom/password", json={})
    cco.post("/api/tokens", json={"label": "audit", "days": 1})
    assert_problem(firm.browser("olga").post("/api/people/tom/password", json={}), 403)
    noted = firm.noted()
    assert ("cco", "signed-in", "password") in noted
    assert ("", "refused", "sign-in 'tom'") in noted
    assert ("cco", "password", "tom (one-time password)") in noted
    assert ("cco", "token", "made for 1 days: audit") in noted
    assert all(PASSWORD not in str(note) for note in noted)
    assert firm.outputs(ActionRefused) == []


def test_reads_are_noted_once_a_minute_and_refused_ones_too(firm: WebDesk) -> None:
    tom = firm.browser("tom")
    for _ in range(5):
        tom.get("/api/statements?x=1")
        firm.client().get("/api/statements")
    assert firm.noted("read") == [("tom", "read", "/api/statements?x=1")]
    assert firm.noted("refused") == [("", "refused", "GET /api/statements")]


def test_strangers_cannot_fill_the_journal(firm: WebDesk) -> None:
    client = firm.client()
    for number in range(100):
        client.get(f"/api/statements/{number}")
    assert len(firm.noted("refused")) <= 60


def test_an_address_that_guesses_names_is_locked_and_this_machine_is_not() -> None:
    credentials = Credentials(Vault(), Terms(failures=2), lambda: 10**18)
    credentials._verify = lambda stored, password: password == PASSWORD  # type: ignore[method-assign]
    credentials.set_password("tom", PASSWORD)
    for _ in range(200):
        assert credentials.check("tom", PASSWORD, known=True, address="203.0.113.5") is Verdict.GOOD
    for number in range(FAILURES_OF_AN_ADDRESS):
        assert credentials.check(f"name{number}", "x", known=False, address="203.0.113.5") is Verdict.WRONG
        assert credentials.check(f"other{number}", "x", known=False, address="127.0.0.1") is Verdict.WRONG
    assert credentials.check("tom", PASSWORD, known=True, address="203.0.113.5") is Verdict.LOCKED
    assert credentials.check("tom", PASSWORD, known=True, address="203.0.113.6") is Verdict.GOOD
    assert credentials.check("tom", PASSWORD, known=True, address="127.0.0.1") is Verdict.GOOD


def test_many_sign_ins_at_once_do_not_hold_up_everybody_else() -> None:
    credentials = Credentials(Vault(), Terms(failures=100))
    go, begun = threading.Event(), threading.Event()

    class Slow:
        def verify(self, stored: str, password: bytes) -> bool:
            begun.set()
            return go.wait(20)

        def hash(self, password: str) -> str:
            return ""

    credentials._hasher = Slow()  # type: ignore[assignment]
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(credentials.check, "a", "x", False)
        assert begun.wait(20)
        others = [pool.submit(credentials.check, f"b{number}", "x", False) for number in range(11)]
        refused, _ = wait(others, 20, FIRST_COMPLETED)
        go.set()
        assert first.result(20) is Verdict.WRONG
    assert refused, "who finds eight waiting does not wait"
    assert all(isinstance(answer.exception(), GatewayUnavailable) for answer in refused)
