"""The import rules of ARCHITECTURE.md, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "fixgateway"

MAY_IMPORT = {
    "core": {"core"},
    "wire": {"wire", "core", "errors"},
    "journal": {"journal", "core", "errors"},
    "sessions": {"sessions", "errors"},
    "records": {"records", "core", "journal", "errors"},
    "monitor": {"monitor", "core", "errors"},
    "config": {"config", "core", "errors", ""},
    "sim": {"sim", "errors"},
    "forensics": {"forensics", "core", "errors"},
    "exports": {"exports", "records", "journal", "core", "errors", ""},
    "web": {"web", "core", "config", "records", "monitor", "errors", ""},
}
"""Rooms of ours each room may import; "" is the package itself (its version)."""

PURE = {
    "__future__", "abc", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "hashlib", "heapq", "hmac", "itertools", "math", "operator", "re", "typing",
    "unicodedata",
}  # fmt: skip
"""Standard library modules without I/O, clock, threads or randomness (datetime's clock is refused below)."""

ONLY_IN = {
    "quickfix": "sessions", "sqlalchemy": "records", "cryptography": "journal", "rfc3161_client": "journal",
    "polars": "forensics", "numpy": "forensics", "scipy": "forensics", "matplotlib": "forensics",
}  # fmt: skip


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module == "fixgateway":
                yield from (f"fixgateway.{alias.name}" for alias in node.names)


def sources(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"room {room} is empty"
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_the_map_allows(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(room)
        for name in imports(path)
        if name.split(".")[0] == "fixgateway" and name != "fixgateway"
        if name.split(".")[1] not in MAY_IMPORT[room] and not _is_version(name)
    ]
    assert not wrong


def _is_version(name: str) -> bool:
    return name == "fixgateway.__version__"


def test_core_imports_only_pure_parts_of_the_standard_library() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("core")
        for name in imports(path)
        if name.split(".")[0] not in PURE | {"fixgateway"}
    ]
    assert not wrong


def test_core_reads_no_clock_and_no_float() -> None:
    wrong = []
    for path in sources("core"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "urandom"):
                wrong.append(f"{path.name}:{node.lineno} .{node.attr}")
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in ("float", "print", "open", "input"):
                wrong.append(f"{path.name}:{called.lineno} {called.id}()")
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                wrong.append(f"{path.name}:{node.lineno} {node.value}")
    assert not wrong


STAND_ALONE = {"exports/verify_proof.py", "exports/verify_pack.py"}
"""Programs that are given away and run without us."""


@pytest.mark.parametrize("package", ONLY_IN)
def test_engine_and_database_stay_in_their_rooms(package: str) -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != ONLY_IN[package] and str(path.relative_to(ROOT)) not in STAND_ALONE
        if any(name.split(".")[0] == package for name in imports(path))
    ]
    assert not wrong


def test_nobody_but_the_command_line_imports_the_command_line() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "cli"
        if any(name.startswith("fixgateway.cli") for name in imports(path))
    ]
    assert not wrong


def test_modules_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long, "what is each really two of?"
