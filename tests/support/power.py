"""A power failure: the process is dead, and of what was not synced a part is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from live import Live

from fixgateway.journal.records import Record
from fixgateway.journal.scan import Walk
from fixgateway.sessions import store
from fixgateway.sessions.settings import SessionSpec


def spec(name: str) -> SessionSpec:
    """A session of a test gateway, as far as its store's file names need it."""
    return SessionSpec(name, "oms" if name.startswith("OMS") else "broker", "FIX.4.4", "FIXGW", name)


def store_dir(live: Live) -> Path:
    """Where the FIX stores lie."""
    return live.data_dir / "fix-store"


def keep_store(live: Live) -> Path:
    """A copy of the FIX stores as they are now."""
    kept = live.directory / "kept-store"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(store_dir(live), kept)
    return kept


def put_back(live: Live, kept: Path, name: str = "") -> None:
    """The stores (of one session, when named) are as they were when they were kept."""
    for file in kept.iterdir():
        if not name or file.name.startswith(f"FIX.4.4-FIXGW-{name}."):
            shutil.copy(file, store_dir(live) / file.name)


def forget(live: Live, first: Callable[[Record], bool]) -> None:
    """The journal ends before the first record that ``first`` names."""
    wanted = next(record.seq for record in live.records() if first(record))
    walk = Walk(live.data_dir / "journal", wanted)
    mark = walk.mark
    for _ in walk.bodies():
        if walk.next_seq > wanted:
            break
        mark = walk.mark
    assert mark.next_seq == wanted
    with mark.segment.path.open("r+b") as file:
        file.truncate(mark.offset)


def numbers(live: Live, name: str) -> tuple[int, int]:
    """Next sender and target number of a session that is not running."""
    found = store.read_seqnums(store_dir(live), spec(name))
    assert found is not None
    return found
