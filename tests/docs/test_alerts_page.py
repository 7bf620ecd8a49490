"""docs/alerts.md: the receiver's check works on what the gateway posts; rules, columns and reasons are the code's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from fixgateway.config import blotters
from fixgateway.config.alerts import Alerts
from fixgateway.core.reconciling import FOUND, REASONS
from fixgateway.monitor.channels import signature

TEXT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_receivers_check_takes_what_the_gateway_posts_and_nothing_else() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/alerts.md", "exec"), names)
    genuine = names["genuine"]
    header = signature("a secret", 1_000, b"{}")
    assert genuine("a secret", header, b"{}", 1_299)
    assert not genuine("a secret", header, b"{ }", 1_299)
    assert not genuine("another", header, b"{}", 1_299)
    assert not genuine("a secret", header, b"{}", 1_300)
    assert not genuine("a secret", header.replace("t=1000", "t=1200"), b"{}", 1_299)


def test_the_example_is_a_configuration() -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert Alerts.model_validate(tomllib.loads(example)["alerts"]).escalate_minutes == 60


def test_every_column_and_reason_of_a_reconciliation_is_explained() -> None:
    section = TEXT[TEXT.index("## Reconciliation") :]
    assert [name for name in blotters.COLUMNS if f"`{name}`" not in section] == []
    assert [code for code in (FOUND, *REASONS.values()) if f"`{code}`" not in section] == []


def test_every_rule_has_an_answer() -> None:
    section = TEXT[TEXT.index("### Which alert answers") : TEXT.index("## Delivery")]
    assert [n for n in range(1, 11) if not re.search(rf"^\| A{n}\b", section, re.MULTILINE)] == []
