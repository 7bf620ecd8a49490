"""People against a real gateway: the command line from the first person on, and hostile text against the database."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from live import Live, iso_today, until

from fixgateway.journal.records import Kind

HOSTILE = ("' OR '1'='1", "'; DROP TABLE accesses; --", "%", "_", "\\", "\" --", "S-1') UNION SELECT 1 --", "<b>x</b>")


class Person:
    """Somebody at a terminal of their own."""

    def __init__(self, gateway: Live, home: Path) -> None:
        self.gateway = gateway
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(home)}

    def run(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """A command; it may fail."""
        command = [sys.executable, "-m", "fixgateway.cli.main", *arguments, "-c", str(self.gateway.config)]
        return subprocess.run(
            command, input=said, capture_output=True, text=True, timeout=60, check=False, env=self.environment
        )

    def good(self, *arguments: str, said: str = "") -> str:
        """A command that must succeed; what it printed."""
        done = self.run(*arguments, said=said)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *arguments: str, words: str) -> None:
        """A command that must be refused, in these words."""
        done = self.run(*arguments)
        assert done.returncode == 1, f"{arguments}: {done.stdout}{done.stderr}"
        assert words in done.stderr


def login(who: Person, name: str, one_time: str) -> None:
    who.good("login", name, "--password-stdin", said=f"{one_time}\nthe password of {name[::-1]}\n")


def test_the_command_line_from_the_first_person_on(make: Callable[..., Live], tmp_path: Path) -> None:
    gateway = make().start()
    cco, tom, nobody = (Person(gateway, tmp_path / name) for name in ("cco", "tom", "nobody"))
    assert "nobody is recorded" in nobody.good("people", "list")
    assert json.loads(nobody.good("statement", "list", "--json")) == []
    made = json.loads(cco.good("people", "add", "cco", "--name", "Carla", "--role", "compliance", "--json"))
    nobody.refused("statement", "list", words="sign in first")
    login(cco, "cco", made["one_time_password"])
    made = json.loads(cco.good("people", "add", "tom", "--name", "Tom", "--role", "trader", "--json"))
    login(tom, "tom", made["one_time_password"])
    assert stat.S_IMODE((tmp_path / "tom/fixgateway/tokens.json").stat().st_mode) == 0o600

    tom.refused("orders", "halt", "--reason", "drill", words="tom (trader) may not halt")
    tom.refused("mark", "add", "XYZ", "10", "--source", "me", words="may not record marks")
    tom.refused("people", "add", "eve", "--name", "Eve", "--role", "principal", words="may not administer people")
    tom.refused("exception", "approve", "GWE20260101-1", "--text", "fine", words="does not exist")
    tom.refused("alert", "ack", "A-1-0", "--text", "seen", words="may not attend")
    nobody.refused("people", "add", "eve", "--name", "Eve", "--role", "principal", words="not recorded")
    assert "GW-915" in cco.good("alert", "list")
    alert = json.loads(cco.good("alert", "list", "--state", "open", "--json"))[0]["alert_id"]
    assert "acknowledged" in cco.good("alert", "ack", alert, "--text", "that is me")
    assert "no exceptions" in tom.good("exception", "list")
    assert len(json.loads(tom.good("exception", "codes", "--json"))["codes"]) > 3
    tom.refused("exception", "preview", "S-9", "--line", "PROP=1", words="S-9")
    assert json.loads(tom.good("mark", "list", "--json")) == []
    assert json.loads(tom.good("people", "show", "tom", "--json"))["roles"] == ["trader"]
    cco.good("people", "change", "tom", "--role", "trader", "--role", "operations")
    assert "marked XYZ 10" in tom.good("mark", "add", "XYZ", "10", "--source", "the screen")

    gateway.kill()  # nothing about people is lost with the process
    gateway.start()
    assert json.loads(tom.good("people", "show", "tom", "--json"))["roles"] == ["trader", "operations"]
    token = json.loads(cco.good("people", "tokens", "tom", "--json"))[0]["token_id"]
    cco.good("people", "revoke", token)
    tom.refused("statement", "list", words="revoked")
    cco.good("people", "deactivate", "tom")
    assert tom.run("login", "tom", "--password-stdin", said="the password of mot\n").returncode == 1
    one_time = json.loads(nobody.good("people", "password", "cco", "--json"))["one_time_password"]
    assert one_time, "who holds the machine can always let the CCO in"

    (token,) = json.loads((tmp_path / "cco/fixgateway/tokens.json").read_text()).values()
    gateway.http.headers["Authorization"] = f"Bearer {token}"
    until(lambda: gateway.get("/api/accesses?what=password")["rows"], "the notes are in the database")
    noted = {(row["actor"], row["subject"]) for row in gateway.get("/api/accesses?what=password")["rows"]}
    assert ("cco", "tom (one-time password)") in noted
    assert any(actor.startswith("machine:") and "cco" in subject for actor, subject in noted)
    refusals = gateway.get("/api/refusals?actor=tom&limit=2")
    assert len(refusals["rows"]) == 2
    assert gateway.get(f"/api/refusals?actor=tom&limit=1000&before={refusals['next']}")["rows"]
    for secret in (one_time, "the password of occ", "fxg_"):
        assert not gateway.journal_has(secret, *Kind), "no secret is in the journal"
    assert {stat.S_IMODE(path.stat().st_mode) for path in gateway.data_dir.glob("credentials.db*")} == {0o600}
    gateway.end_well()
    assert gateway.cli("replay", str(gateway.data_dir)).returncode == 0


@pytest.fixture(scope="module")
def shared(make_shared: Callable[..., Live]) -> Live:
    gateway = make_shared().start()
    gateway.wait_projected()
    return gateway


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_finds_nothing_in_the_database_and_harms_nothing(shared: Live, text: str) -> None:
    get = shared.http.get
    for path, name in (
        ("/api/search", "q"), ("/api/exceptions", "statement_id"), ("/api/exceptions/opened", "subject"),
        ("/api/alerts", "reason"), ("/api/marks", "symbol"), ("/api/fairness", "account"), ("/api/rotation", "policy"),
    ):  # fmt: skip
        answer = get(path, params={name: text})
        assert answer.status_code == 200, answer.text
        rows = answer.json().get("rows", answer.json().get("turns"))
        assert rows == [], (path, rows)
    for path in ("statements", "allocations", "trace", "exceptions", "alerts", "people"):
        answer = get(f"/api/{path}/" + httpx.URL("http://x/").copy_with(path=f"/{text}").raw_path[1:].decode())
        assert answer.status_code in (404, 405, 422), (path, answer.text)
    assert get("/api/accesses").status_code == 200


def test_statements_page_by_page(shared: Live) -> None:
    lines = [{"account": "CLIENT-A", "quantity": "10"}]
    base = {"trade_date": iso_today(), "symbol": "XYZ", "side": "buy", "lines": lines}
    for number in range(5):
        answer = shared.http.post("/api/statements", json={**base, "statement_id": f"P-{number}"})
        assert answer.status_code == 201, answer.text
    shared.wait_projected()
    everything = [row["statement_id"] for row in shared.get("/api/statements")]
    found, path = [], "/api/statements?limit=2"
    while path:
        answer = shared.http.get(path)
        found += [row["statement_id"] for row in answer.json()]
        path = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert found == everything
    assert shared.http.get("/api/orders?before=x").status_code == 422


def test_a_set_up_gateway_says_so(shared: Live) -> None:
    assert shared.get("/api/me")["set_up"] is True
    assert "anybody" in shared.get("/api/status")["people"]
    assert shared.http.get("/readyz").headers["X-People"] == shared.get("/api/status")["people"]
