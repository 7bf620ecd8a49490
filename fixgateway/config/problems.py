"""One way to say what is wrong in a configuration file: file, key, what is wrong, what to do.

Readers collect every problem they find before anything is refused, so that a person corrects a file once.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fixgateway.config.keys import accepts
from fixgateway.errors import ConfigError

MAX_TOML_BYTES = 1_000_000
"""Largest TOML file read; a larger one is refused unread."""

_SHOWN_CHARS = 60

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where (``file``, ``key``), what (``text``) and what to do (``remedy``)."""

    file: str
    key: str
    text: str
    remedy: str

    def __str__(self) -> str:
        """``file: key: text (remedy)``, one line."""
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: {self.text} ({self.remedy})"


def refuse(problems: Iterable[Problem]) -> None:
    """Raise ConfigError naming every problem, one a line; return when there is none."""
    lines = [str(problem) for problem in problems]
    if lines:
        raise ConfigError("\n".join(lines))


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like ``word``, or "" when none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def shown(value: object) -> str:
    """``value`` as a person may have written it, short enough for one line of a message."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if value is None else str(value)
    text = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
    return "".join(char if char.isprintable() else "?" for char in text)


def read_text(path: Path, max_bytes: int, problems: list[Problem]) -> str | None:
    """The file's text (UTF-8, byte order mark dropped), or None with the problem added to ``problems``."""
    try:
        if path.stat().st_size > max_bytes:
            problems.append(Problem(str(path), "", f"is larger than {max_bytes} bytes", "make it smaller"))
            return None
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.append(Problem(str(path), "", "does not exist", "create it or correct the path"))
    except OSError as error:
        problems.append(Problem(str(path), "", f"cannot be read: {error.strerror}", "make it a readable file"))
    except UnicodeDecodeError as error:
        problems.append(
            Problem(str(path), "", f"is not UTF-8 at byte {error.start}", "save the file with encoding UTF-8")
        )
    return None


def parse_toml(
    file: str, text: str, problems: list[Problem], parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """The TOML tables of ``text``; an empty dict with the problem added when it is no TOML."""
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(file, "", f"is not TOML: {error}", "correct the line named"))
    except RecursionError:
        problems.append(Problem(file, "", "is nested too deeply", "use the tables the documentation shows"))
    return {}


def unknown_key(file: str, where: str, name: str, known: Iterable[str]) -> Problem:
    """The problem of a key nobody reads, with the nearest known key as remedy."""
    names = sorted(known)
    near = nearest(name, names)
    remedy = f"did you mean {near}?" if near else f"remove it; known here: {', '.join(names)}"
    return Problem(file, f"{where}.{name}" if where else name, "unknown key", remedy)


def read_model(model: type[Model], raw: object, file: str, where: str, problems: list[Problem]) -> Model | None:
    """``raw`` as ``model``, or None with one problem per key added; ``where`` is the table's name."""
    if not isinstance(raw, dict):
        problems.append(Problem(file, where, "is not a table", f"write it as [{where}] with keys below"))
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        seen: set[str] = set()
        for item in error.errors(include_url=False, include_context=False):
            name = str(item["loc"][0]) if item["loc"] else ""
            if name not in seen:  # one problem a key is enough
                seen.add(name)
                problems.append(_problem(model, raw, file, where, name, item["type"]))
        return None


def _problem(
    model: type[BaseModel], raw: dict[str, object], file: str, where: str, name: str, kind: str
) -> Problem:
    """The problem of key ``name``, from the kind of error pydantic gives it."""
    by_key = {field.alias or attribute: field for attribute, field in model.model_fields.items()}
    if kind == "extra_forbidden":
        return unknown_key(file, where, name, by_key)
    key = f"{where}.{name}" if where else name
    remedy = accepts(by_key[name])
    if kind == "missing":
        return Problem(file, key, "is missing", f"add it: {remedy}")
    return Problem(file, key, f"{shown(raw[name])} is not accepted", f"write {remedy}")
