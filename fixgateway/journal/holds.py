"""Legal holds: while one stands, no record it covers is removed, however old.

Each act, setting a hold or releasing one, is a JSON file of its own in ``holds/`` of the data directory, numbered
from 1, and never changed or removed. Every file but the first names the SHA-256 of the one before it, so a file
that was changed or taken out of the middle is noticed; then nothing may be removed at all. Copy the directory
elsewhere to notice a missing last file too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from fixgateway.errors import JournalError, UsageError
from fixgateway.journal.durable import sync_directory, write_file

DIRECTORY = "holds"
"""Where a data directory keeps them."""

FORMAT = "fixgateway-hold-1"
ACTS_MAX = 100_000
_FILE = re.compile(r"([0-9]{6})\.json")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REASON_CHARS_MAX = 2000
_MODE = 0o440
_DIRECTORY_MODE = 0o750


@dataclass(frozen=True, slots=True)
class _Act:
    """One file."""

    format: str
    number: int
    act: Literal["add", "release"]
    name: str
    reason: str
    by: str
    at: str
    from_day: str
    to_day: str
    before: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold: the records of the UTC days ``from_day`` to ``to_day``, "" for no bound; set and perhaps released.

    ``at`` and ``released_at`` are UTC; ``released_at`` is "" while the hold stands.
    """

    name: str
    reason: str
    by: str
    at: str
    from_day: str
    to_day: str
    released_reason: str = ""
    released_by: str = ""
    released_at: str = ""

    @property
    def stands(self) -> bool:
        """Whether it was not released."""
        return not self.released_at

    def covers(self, first_ns: int, last_ns: int) -> bool:
        """Whether any of the records between two times (UTC nanoseconds) may fall under it."""
        after = bool(self.from_day) and last_ns < _start_ns(date.fromisoformat(self.from_day))
        before = bool(self.to_day) and first_ns >= _start_ns(date.fromisoformat(self.to_day) + timedelta(days=1))
        return not (after or before)


def _start_ns(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000_000


# ---------------------------------------------------------------- reading


def all_holds(data_dir: Path) -> list[Hold]:
    """Every hold there ever was, oldest first.

    Raises:
        JournalError: a file cannot be read, is missing or was changed.
    """
    holds: dict[str, Hold] = {}
    for act in _acts(data_dir / DIRECTORY)[0]:
        if act.act == "add":
            holds[act.name] = Hold(act.name, act.reason, act.by, act.at, act.from_day, act.to_day)
            continue
        held = holds.get(act.name)
        if held is None:
            raise JournalError(f"{data_dir / DIRECTORY}: {_file_name(act.number)} releases what was never set")
        kept = (held.name, held.reason, held.by, held.at, held.from_day, held.to_day)
        holds[act.name] = Hold(*kept, act.reason, act.by, act.at)
    return list(holds.values())


def _acts(directory: Path) -> tuple[list[_Act], str]:
    """The acts in order, and the SHA-256 of the last one's file."""
    acts: list[_Act] = []
    digest = ""
    try:
        names = sorted(path.name for path in directory.iterdir() if path.suffix == ".json")
        for number, name in enumerate(names, 1):
            data = (directory / name).read_bytes()
            act = msgspec.json.decode(data, type=_Act)
            if (name, act.format, act.number, act.before) != (_file_name(number), FORMAT, number, digest):
                raise JournalError(
                    f"{directory / name} does not follow the file before it: one was changed, added or removed; "
                    "restore the directory. Until then nothing may be removed"
                )
            acts.append(act)
            digest = sha256(data).hexdigest()
    except FileNotFoundError:
        return [], ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError(f"legal holds in {directory}: {error}; until mended nothing may be removed") from None
    return acts, digest


def _file_name(number: int) -> str:
    return f"{number:06d}.json"


# ---------------------------------------------------------------- acting


def add(
    data_dir: Path, name: str, reason: str, by: str, at: datetime, days: tuple[date | None, date | None]
) -> Hold:
    """Set a hold; durable when it returns.

    Args:
        data_dir: the gateway's. name: of the hold, never used before. reason: why. by: who. at: when.
        days: first and last UTC day of the records it covers, None for no bound.

    Raises:
        UsageError: the name was used, or is none; no reason; the days are in the wrong order.
        JournalError: it cannot be written, or another one is being written or records removed now.
    """
    first, last = days
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a hold: up to 64 letters, digits, '.', '_' and '-'")
    if first and last and last < first:
        raise UsageError(f"--to {last} is before --from {first}")
    with only_one(data_dir):
        if any(hold.name == name for hold in all_holds(data_dir)):
            raise UsageError(f"there is, or was, a hold {name}; choose another name")
        _write(data_dir / DIRECTORY, "add", name, reason, by, at, (str(first or ""), str(last or "")))
        return all_holds(data_dir)[-1]


def release(data_dir: Path, name: str, reason: str, by: str, at: datetime) -> Hold:
    """Release a hold; it stays on record. Raises as :func:`add` does, and UsageError when none of it stands."""
    with only_one(data_dir):
        held = {hold.name: hold for hold in all_holds(data_dir)}
        if name not in held or not held[name].stands:
            standing = ", ".join(hold.name for hold in held.values() if hold.stands) or "none"
            raise UsageError(f"no hold {name} stands (standing: {standing})")
        _write(data_dir / DIRECTORY, "release", name, reason, by, at, ("", ""))
        return next(hold for hold in all_holds(data_dir) if hold.name == name)


def _write(
    directory: Path, act: Literal["add", "release"], name: str, reason: str, by: str, at: datetime,
    days: tuple[str, str],
) -> None:  # fmt: skip
    """Add a file behind the last one."""
    if not reason.strip() or len(reason) > _REASON_CHARS_MAX:
        raise UsageError(f"--reason: say why, in at most {_REASON_CHARS_MAX} characters")
    acts, before = _acts(directory)
    if len(acts) >= ACTS_MAX:
        raise JournalError(f"{directory} has {ACTS_MAX} files, as many as there may be")
    number = len(acts) + 1
    made = _Act(FORMAT, number, act, name, reason, by, at.astimezone(UTC).isoformat(), *days, before)
    file = directory / _file_name(number)
    text = json.dumps(asdict(made), indent=2, ensure_ascii=False) + "\n"
    try:
        write_file(file, text.encode(), _MODE)
    except OSError as error:
        raise JournalError(f"{file} cannot be written: {error}; no hold was set or released") from None


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Be the only one who sets holds or removes records.

    Raises:
        UsageError: there is no such data directory. JournalError: another process is at it.
    """
    if not data_dir.is_dir():
        raise UsageError(f"{data_dir} is no directory; name a gateway's data directory")
    directory = data_dir / DIRECTORY
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise JournalError(f"cannot open {directory}: {error}") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                f"another process sets a hold or removes records in {data_dir}: try again when it has ended"
            ) from None
        sync_directory(data_dir)
        yield
    finally:
        os.close(fd)
