"""Every register of a day says the same, byte for byte, from SQLite and from PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fixgateway.exports import catalogue
from fixgateway.journal.records import Record
from fixgateway.records.database import connect, create_schema
from fixgateway.records.projector import Projector
from fixgateway.records.registers import Period


def exported(url: str, records: list[Record], directory: Path) -> dict[str, str]:
    """Every register as CSV, of a database filled from these records."""
    engine = connect(url, directory)
    create_schema(engine)
    Projector(engine).apply(records)
    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in catalogue.REGISTERS:
        catalogue.write(engine, name, "csv", Period(), directory / name)
        found[name] = (directory / name).read_text(encoding="utf-8")
    engine.dispose()
    return found


def test_both_databases_give_identical_exports(
    new_sqlite: Callable[[], str], new_postgresql: Callable[[], str], day: list[Record], tmp_path: Path
) -> None:
    ours = exported(new_sqlite(), day, tmp_path / "sqlite")
    theirs = exported(new_postgresql(), day, tmp_path / "postgresql")
    assert ours == theirs
    filled = {name for name, text in ours.items() if text.count("\n") > 1}
    assert {"allocations", "blocked-orders", "order-memoranda", "accounts", "policies", "blotter"} <= filled
