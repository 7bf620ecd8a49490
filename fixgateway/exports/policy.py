"""The allocation policy as a section of the firm's manual: terms in words, text, hash, who approved it, since when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fixgateway.errors import UsageError
from fixgateway.exports.pages import render
from fixgateway.records import queries
from fixgateway.records.database import Engine
from fixgateway.records.queries import Record

_TERMS = (
    ("method", "How fills are divided"),
    ("rounding", "How whole lots come of exact shares"),
    ("ties", "Who comes first when remainders are equal"),
    ("remainder", "Who receives the rest below a lot"),
    ("lot", "Lot"),
    ("min_quantity", "Least an account receives of a partial fill"),
    ("completion", "When a statement is complete"),
    ("averaging", "Which fills share a price"),
    ("price_decimals", "Decimals of the average price"),
    ("residual_cash", "Who bears the cents of rounding"),
    ("overfill", "Where a fill above the statement goes"),
    ("error_account", "Error account"),
    ("interim", "Booking before a statement is complete"),
    ("allocate_at", "Allocated by"),
    ("affirm_at", "Affirmed by"),
    ("timezone", "Time zone of these times"),
    ("require_memo", "An order memorandum must be complete"),
)
"""Terms of a policy in the order of the printed section, and what they are called there."""


def write(engine: Engine, version: str, form: str, target: Path) -> dict[str, Any]:
    """Write a policy version, "" for the one in force, as ``html``, ``json`` or its own text (``csv`` is not offered).

    Raises:
        UsageError: no policy of that version was in force, or another form is asked for.
    """
    found = _found(engine, version)
    match form:
        case "html":
            text = _page(found)
        case "json":
            text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
        case "text":
            text = found["text"]
        case _:
            raise UsageError(f"a policy is written as html, json or text, not {form}")
    target.write_text(text, encoding="utf-8")
    media = {"html": "text/html; charset=utf-8", "json": "application/json", "text": "text/plain; charset=utf-8"}
    return {"policy": found["policy_id"], "version": found["version"], "file": str(target), "media_type": media[form]}


def _found(engine: Engine, version: str) -> Record:
    policies = queries.policies(engine)
    for policy in policies:
        if policy["version"] == version if version else policy["until_seq"] is None:
            return policy
    known = ", ".join(dict.fromkeys(str(policy["version"]) for policy in policies))
    raise UsageError(f"no policy version {version!r} in the records; there are {known or 'none'}")


def _page(policy: Record) -> str:
    terms = [(words, policy[name]) for name, words in _TERMS if policy.get(name) not in (None, "")]
    return render("policy.html", policy=policy, terms=terms)
