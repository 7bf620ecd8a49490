"""The drop folder: statement files put there are registered, and say what became of them.

A file is taken when its size has not changed between two looks. Registered ones move to ``registered/``,
refused ones to ``refused/`` beside a ``.txt`` that names every problem by line and field.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from fixgateway.config import statements
from fixgateway.core.model import Draft
from fixgateway.errors import FixgatewayError, StatementFileError
from fixgateway.web.port import Outcome

LOOK_SECONDS = 1.0
MAX_FILES = 100
"""Files taken in one look; the rest waits for the next."""
_SUFFIXES = (".csv", ".json")


class DropFolder:
    """Watches one directory.

    Args:
        directory: where files are put.
        submit: (draft, door, actor) → outcome; blocks until durable.
        log: where takings and refusals are written.
    """

    def __init__(
        self,
        directory: Path,
        submit: Callable[[Draft, str, str], Outcome],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._directory = directory
        self._submit = submit
        self._sizes: dict[Path, int] = {}
        self._log = log

    def run(self, stop: threading.Event) -> None:
        """Look about once a second until ``stop`` is set."""
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except OSError as error:
                self._log.error("drop.unreadable", directory=str(self._directory), error=str(error))

    def look(self) -> None:
        """Take every file that has come to rest."""
        files = sorted(p for p in self._directory.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
        sizes = {path: path.stat().st_size for path in files[:MAX_FILES]}
        resting = [path for path, size in sizes.items() if self._sizes.get(path) == size]
        self._sizes = sizes
        for path in resting:
            self._take(path)

    def _take(self, path: Path) -> None:
        try:
            outcome = self._submit(statements.read(path).for_submission(), "drop", path.name)
        except StatementFileError as error:
            self._refuse(path, [str(error)])
            return
        except FixgatewayError as error:
            self._log.error("drop.later", file=path.name, error=str(error))
            return  # it stays and is tried again at the next look
        if outcome.registered:
            self._move(path, "registered")
            self._log.info("drop.registered", file=path.name, statement_id=outcome.statement_id)
        else:
            lines = [
                f"{f'line {p.row}: ' if p.row else ''}{p.field + ': ' if p.field else ''}{p.reason} {p.text}"
                for p in outcome.problems
            ]
            self._refuse(path, lines)

    def _refuse(self, path: Path, lines: list[str]) -> None:
        moved = self._move(path, "refused")
        moved.with_name(moved.name + ".txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._log.warning("drop.refused", file=path.name, problems=len(lines), first=lines[0])

    def _move(self, path: Path, to: str) -> Path:
        """Move a file aside without overwriting an earlier one of the same name."""
        folder = self._directory / to
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        number = 1
        while target.exists():
            target = folder / f"{path.stem}.{number}{path.suffix}"
            number += 1
        path.rename(target)
        self._sizes.pop(path, None)
        return target
