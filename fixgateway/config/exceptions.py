"""exceptions.toml: the versioned list of pre-approved codes, and what an explanation must be at least.

Without a file of one's own the list beside this module is in force; ``config/exceptions.toml`` is a copy of it to
begin with.
"""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fixgateway.config.keys import REQUIRED, Table, Words, setting
from fixgateway.config.problems import (
    MAX_TOML_BYTES,
    Problem,
    nearest,
    parse_toml,
    read_model,
    read_text,
    unknown_key,
)
from fixgateway.core.codes import KINDS, MIN_TEXT, ExceptionCode, ExceptionRules, plain_words
from fixgateway.core.conditions import CONDITIONS

SHIPPED = Path(__file__).with_name("exceptions.toml")
"""The list in force without a file of one's own."""
MAX_CODES = 1_000
MAX_PHRASES = 1_000

_PLAIN = r"^[^\x00-\x1f\x7f]{1,200}$"
_CODE = r"^[A-Z0-9][A-Z0-9-]{0,39}$"


class Head(Table):
    """The keys above the first table."""

    version: str = setting(REQUIRED, "version of the list", "1 to 200 printable characters", pattern=_PLAIN)
    approved_by: str = setting(
        REQUIRED, "who approved this version", "1 to 200 printable characters", pattern=_PLAIN
    )
    approved_on: date = setting(
        REQUIRED, "when this version was approved", "a date without quotes, for example 2026-01-02"
    )
    min_text: int = setting(
        MIN_TEXT,
        "characters an explanation has at least, without marks and repeated blanks",
        "a number from 20 to 1000",
        ge=20,
        le=1000,
    )
    empty_phrases: Words = setting((), "phrases that explain nothing", "a list of texts")


class Code(Table):
    """``[[code]]``: one pre-approved reason."""

    code: str = setting(REQUIRED, "its name", "1 to 40 capital letters, digits or -", pattern=_CODE)
    kinds: Annotated[Words, Field(min_length=1)] = setting(
        REQUIRED, "what it may be used for", f"a list of {', '.join(KINDS)}"
    )
    criterion: str = setting(
        REQUIRED, "when it fits, in words", "20 to 2000 characters", min_length=20, max_length=2000
    )
    condition: str = setting("", "what is tested besides", 'a name of docs/exceptions.md, or ""')


def read(path: Path | None) -> tuple[ExceptionRules | None, list[Problem]]:
    """The list of a file, the shipped one without; None and every problem when it cannot be used."""
    file, found = path or SHIPPED, list[Problem]()
    text = read_text(file, MAX_TOML_BYTES, found)
    return (None, found) if text is None else parse(text, str(file))


def parse(text: str, file: str = "exceptions.toml") -> tuple[ExceptionRules | None, list[Problem]]:
    """The list written in ``text``, or None and every problem; ``file`` is its name for messages."""
    found: list[Problem] = []
    raw = parse_toml(file, text, found)
    if found:
        return None, found
    known = {*Head.model_fields, "code"}
    found += [unknown_key(file, "", key, known) for key in raw if key not in known]
    head = read_model(Head, {key: x for key, x in raw.items() if key in Head.model_fields}, file, "", found)
    tables = _tables(raw.get("code", []), file, found)
    if head is not None:
        found += _phrase_problems(head, file)
    if found or head is None:
        return None, found
    rules = ExceptionRules(
        version=head.version,
        approved_by=head.approved_by,
        approved_on=head.approved_on,
        codes=tuple(ExceptionCode(x.code, x.kinds, x.criterion, x.condition) for x in tables),
        min_text=head.min_text,
        empty_phrases=head.empty_phrases,
        text=text,
        text_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    return rules, []


def _tables(raw: object, file: str, found: list[Problem]) -> list[Code]:
    """The ``[[code]]`` tables that could be read."""
    if not isinstance(raw, list):
        found.append(Problem(file, "code", "is written once", "write [[code]] with two brackets"))
        return []
    if not 0 < len(raw) <= MAX_CODES:
        text = f"has {len(raw)} codes"
        found.append(Problem(file, "code", text, f"write 1 to {MAX_CODES} [[code]] tables"))
        return []
    read_ones = [read_model(Code, item, file, f"code[{number}]", found) for number, item in enumerate(raw, 1)]
    tables = [table for table in read_ones if table is not None]
    seen: set[str] = set()
    for table in tables:
        where = f"code[{table.code}]"
        if table.code in seen:
            found.append(Problem(file, where, "stands twice", "write each code once"))
        seen.add(table.code)
        for kind in table.kinds:
            if kind not in KINDS:
                found.append(Problem(file, f"{where}.kinds", f'"{kind}" is no kind', f"use {', '.join(KINDS)}"))
        if table.condition and table.condition not in CONDITIONS:
            near = nearest(table.condition, CONDITIONS) or ", ".join(CONDITIONS)
            text = f'"{table.condition}" is no condition'
            found.append(Problem(file, f"{where}.condition", text, f"did you mean {near}?"))
    return tables


def _phrase_problems(head: Head, file: str) -> list[Problem]:
    """Phrases too many, or without a letter."""
    if len(head.empty_phrases) > MAX_PHRASES:
        return [Problem(file, "empty_phrases", f"has more than {MAX_PHRASES}", "leave some out")]
    return [
        Problem(file, "empty_phrases", f'"{phrase[:40]}" has no letter or digit', "leave it out")
        for phrase in head.empty_phrases
        if not plain_words(phrase)
    ]
