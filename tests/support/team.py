"""The people of a firm on a running gateway, recorded and signed in by the command line as an operator would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from live import Live

ROLES: Mapping[str, tuple[str, ...]] = {
    "cora": ("compliance",), "prim": ("principal",), "olga": ("operations",), "tom": ("trader",), "aude": ("auditor",),
}  # fmt: skip
"""Person → roles; the first is recorded on the machine, the others by her."""
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Member:
    """One person: acts over HTTP and by the command line with a token of their own."""

    person_id: str
    token: str
    live: Live

    def get(self, path: str) -> httpx.Response:
        """A GET as this person."""
        return self.live.http.get(path, headers=self._headers)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """A POST as this person."""
        return self.live.http.post(path, json=body or {}, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line as this person, against their gateway."""
        return run(self.live, *arguments, token=self.token)


def run(live: Live, *arguments: str, token: str = "", given: str = "") -> subprocess.CompletedProcess[str]:
    """A command against a gateway; ``given`` on standard input."""
    environment = {**os.environ, "HOME": str(live.directory)}
    environment.pop("FIXGATEWAY_TOKEN", None)
    if token:
        environment["FIXGATEWAY_TOKEN"] = token
    return subprocess.run(
        [sys.executable, "-m", "fixgateway.cli.main", *arguments, "-c", str(live.config)],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def assemble(live: Live, roles: Mapping[str, tuple[str, ...]] = ROLES) -> dict[str, Member]:
    """Record everybody and sign them in; the gateway runs. ``live`` itself looks as the last of them from here on."""
    members: dict[str, Member] = {}
    for person_id, own in roles.items():
        first = next(iter(members.values()), None)
        named = [part for role in own for part in ("--role", role)]
        added = run(live, "people", "add", person_id, "--name", person_id.title(), *named, "--json",
                    token=first.token if first else "")  # fmt: skip
        assert added.returncode == 0, added.stderr
        once = json.loads(added.stdout)["one_time_password"]
        signed_in = run(live, "login", person_id, "--password-stdin", "--print",
                        given=f"{once}\n{PASSWORD}\n")  # fmt: skip
        assert signed_in.returncode == 0, signed_in.stderr
        members[person_id] = Member(person_id, signed_in.stdout.strip(), live)
        live.http.headers["Authorization"] = f"Bearer {members[person_id].token}"
    return members
