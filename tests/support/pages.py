"""A gateway with the worked example traded, people to sign in, and a real browser, for tests of the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from live import WORKED_EXAMPLE, Live, order, utc
from trading import Trade, fresh

from fixgateway.sim.fields import Fields, Pair

CHROMIUM = os.environ.get("FIXGATEWAY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

CONFIRMS = {"BRK1": {"confirmations": True, "price_tolerance": "0.001", "money_tolerance": "0.01"}}
"""The broker of :func:`traded`: it confirms."""

PEOPLE = {
    "cora": ("Cora Chief", "compliance"),
    "tim": ("Tim Trader", "trader"),
    "olga": ("Olga Operations", "operations"),
    "pete": ("Pete Principal", "principal"),
    "audra": ("Audra Auditor", "auditor"),
}
PASSWORD = "correct-horse-7-battery"
INJECTION = "<script>alert(1)</script><b>\"'&"
"""What must be shown as it is, wherever people or counterparties can write."""


def traded(live: Live) -> dict[str, str]:
    """The worked example and some others, traded; returns statement ids by what happened to them."""
    oms = live.oms()
    oms.send("D", order("BLK-0", "NONE", 50000))
    oms.expect("8", ClOrdID="BLK-0")
    worked = Trade(live, 50000, lines=WORKED_EXAMPLE)
    for price in ("99.90", "100.00", "100.10"):
        worked.fill(10000, price)
    worked.cancelled()
    allocation = worked.allocation()
    worked.acknowledge(allocation)
    confirm(worked, allocation, "CLIENT-A", 15000)
    working = Trade(live, 1000, lines=(("CLIENT-A", 600), ("PROP", 400)))
    working.fill(400, "50.25")
    refused = Trade(live, 7, lines=(("CLIENT-A", 3), ("CLIENT-B", 4)))
    refused.fill(7, "12.5")
    refused.acknowledge(refused.allocation(), "1", (88, "99"), (58, INJECTION))
    live.wait_projected()
    return {"worked": worked.statement_id, "working": working.statement_id, "refused": refused.statement_id}


def confirm(trade: Trade, allocation: Fields, account: str, quantity: int) -> None:
    """The broker confirms an account at 100, and the gateway affirms it."""
    gross = str(quantity * 100)
    confirm_id = fresh("K")
    body: list[Pair] = [
        (664, confirm_id), (666, "0"), (773, "2"), (665, "4"), (70, allocation.get(70)), (60, utc()),
        (75, allocation.get(75)), (55, "XYZ"), (80, str(quantity)), (54, "1"), (862, "1"), (528, "A"),
        (863, str(quantity)), (79, account), (6, "100"), (381, gross), (118, gross),
    ]  # fmt: skip
    trade.broker.send("AK", body)
    trade.broker.expect("AU", ConfirmID=confirm_id, AffirmStatus="3")


@dataclass
class People:
    """The people of a gateway, recorded through the public door, each with a password of their own."""

    live: Live
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def record(self) -> People:
        """Record everybody: the first on the machine, the others by the first."""
        first, *others = PEOPLE
        self._add(self.live.http, first)
        for person_id in others:
            self._add(self.clients[first], person_id)
        self.live.http.cookies.update(self.clients["audra"].cookies)  # who waits for the records reads as the auditor
        return self

    def _add(self, by: httpx.Client, person_id: str) -> None:
        name, role = PEOPLE[person_id]
        body = {"person_id": person_id, "name": name, "roles": [role]}
        answer = by.post("/api/people", json=body)
        assert answer.status_code == 201, answer.text
        client = self.clients[person_id] = self.client()
        change = {"person_id": person_id, "password": answer.json()["one_time_password"], "new_password": PASSWORD}
        answer = client.post("/api/password", json=change)
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def client(self) -> httpx.Client:
        """A client of nobody yet."""
        return httpx.Client(base_url=self.live.http.base_url, trust_env=False, timeout=30)

    def act(self, person_id: str, path: str, **body: Any) -> dict[str, Any]:
        """Something done through the API that must be done."""
        answer = self.clients[person_id].post(path, json=body)
        assert answer.status_code in (200, 201), f"{path}: {answer.status_code} {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    def close(self) -> None:
        """Close all clients."""
        for client in self.clients.values():
            client.close()


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium, the machine's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield running
        finally:
            running.close()
