"""How a key of a TOML file is defined: default, meaning and accepted values in one place."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

REQUIRED = object()
"""Marks a key without a default."""


def setting(default: Any, meaning: str, values: str, **constraints: Any) -> Any:
    """A key: its default (REQUIRED for none), what it means, and what may be written, in words."""
    if default is not REQUIRED:
        constraints["default"] = default
    return Field(description=meaning, json_schema_extra={"accepts": values}, **constraints)


def accepts(field: FieldInfo) -> str:
    """What the key accepts, in words."""
    extra = field.json_schema_extra
    return str(extra["accepts"]) if isinstance(extra, Mapping) else "another value"


def known_timezone(name: str) -> str:
    """``name`` when it is an IANA time zone; ValueError when not."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(f"{name} is no IANA time zone") from None
    return name


Words = Annotated[tuple[str, ...], Field(strict=False)]
TimeZone = Annotated[str, AfterValidator(known_timezone)]


class Table(BaseModel):
    """Base of every table: frozen, no unknown keys, no conversions (a port is 9876, not "9876")."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a file; ``default`` is as written in TOML, "required" or "none"."""

    key: str
    default: str
    meaning: str
    values: str


def keys_of(tables: Mapping[str, type[Table]]) -> Iterator[Key]:
    """Every key of ``tables`` (table name → model; "" for keys above the first table)."""
    for name, model in tables.items():
        for attribute, field in model.model_fields.items():
            key = f"{name}.{attribute}" if name else attribute
            default = "required" if field.is_required() else toml_text(field.default)
            yield Key(key, default, str(field.description), accepts(field))


def toml_text(value: object) -> str:
    """A default as it would be written in the file."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple():
            return "[" + ", ".join(toml_text(item) for item in value) + "]"
    return str(value)
