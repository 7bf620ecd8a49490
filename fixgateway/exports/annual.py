"""The annual review pack (17 CFR 275.206(4)-7): every register of a year, with the policy and a first page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import fixgateway
from fixgateway.errors import UsageError
from fixgateway.exports import catalogue, policy
from fixgateway.exports.pages import render
from fixgateway.records import queries
from fixgateway.records.database import Engine
from fixgateway.records.registers import Period

FORMAT = "fixgateway-annual-review-1"


def make(
    engine: Engine, year: str, target: Path, *, by: str = "", progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write the pack of a calendar year into ``target``, which must be empty or not exist.

    Raises:
        UsageError: ``year`` is none, or ``target`` is in use.
    """
    if not (year.isascii() and year.isdigit() and len(year) == 4):
        raise UsageError(f"year: {year!r} is none (write 2026)")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is in use: name a new directory for the pack")
    target.mkdir(parents=True, exist_ok=True)
    of_year = Period(date(int(year), 1, 1), date(int(year), 12, 31))
    listed = []
    for name, register in catalogue.REGISTERS.items():
        progress(name)
        rows = catalogue.write(engine, name, "csv", of_year, target / f"{name}.csv")
        listed.append({"name": name, "title": register.title, "basis": register.basis, "rows": rows})
    versions = list(dict.fromkeys(str(found["version"]) for found in queries.policies(engine)))
    for number, version in enumerate(versions, 1):
        policy.write(engine, version, "html", target / f"policy-{number}.html")
    page = _page(year, by, listed, versions)
    (target / "index.html").write_text(page, encoding="utf-8")
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(target.iterdir())}
    manifest = {"format": FORMAT, "year": year, "made_by": by, "made_at": _now(), "registers": listed, "files": files}
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return {"directory": str(target), "year": year, "registers": listed, "policies": versions}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _page(year: str, by: str, listed: list[dict[str, Any]], versions: list[str]) -> str:
    return render(
        "annual.html",
        year=year, by=by, made_at=_now(), registers=listed, versions=versions, version=fixgateway.__version__
    )
