"""docs/configuration.md says what the code accepts."""

from __future__ import annotations

from pathlib import Path

from fixgateway.config import accounts, policy, statements, tables
from fixgateway.config.keys_doc import markdown

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_key_tables_are_the_definitions() -> None:
    # To mend: paste what "python -m fixgateway.config.keys_doc" prints.
    assert markdown(tables.KEYS) in TEXT
    assert markdown(policy.KEYS) in TEXT


def test_every_column_and_field_is_explained() -> None:
    missing = [
        name
        for name in (*accounts.COLUMNS, *statements.STATEMENT_FIELDS, *statements.LINE_FIELDS)
        if f"`{name}`" not in TEXT
    ]
    assert missing == []
