"""Exports asked of the running gateway: made by a child process, one at a time, into a directory that is cleared.

A year of rows, or the journal read twice for an exam pack, would cost the gateway's interpreter tens of seconds.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.exports.request import Request

TIMEOUT_SECONDS = 900.0
"""Longest one export may take; then its process is killed."""
WAIT_SECONDS = 20.0
"""How long an export waits for the one before it; then the asker is told to come again."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made: the file to hand out, and the directory to remove afterwards (:meth:`clear`)."""

    file: Path
    media_type: str
    made: dict[str, Any]
    directory: Path

    def clear(self) -> None:
        """Remove everything that was made."""
        shutil.rmtree(self.directory, ignore_errors=True)


class Exporter:
    """Makes exports of one gateway's records.

    Args:
        records_url, data_dir: of the gateway. public_key: the checkpoints', "" where there is none.
    """

    def __init__(self, records_url: str, data_dir: Path, public_key: str = "") -> None:
        self._common = {"records_url": records_url, "data_dir": str(data_dir), "public_key": public_key}
        self._busy = threading.Lock()

    def export(self, kind: str, name: str, form: str, first: str, last: str, by: str) -> Exported:
        """Make an export; see :class:`fixgateway.exports.request.Request`.

        Raises:
            UsageError: there is nothing of that name.
            FixgatewayError: another one is being made, or this one failed.
        """
        if not self._busy.acquire(timeout=WAIT_SECONDS):
            raise FixgatewayError("another export is being made; try again in a minute")
        directory = Path(tempfile.mkdtemp(prefix="fixgateway-export-"))
        try:
            packed = kind in ("exam-pack", "annual-review")
            target = directory / (_file_name(kind, name) + ("" if packed else f".{_SUFFIXES.get(form, form)}"))
            request = Request(kind=kind, name=name, target=str(target), form=form, first=first, last=last, by=by,
                              archive=packed, **self._common)  # fmt: skip
            made = _child(request)
            file = Path(made["archive"]) if packed else target
            return Exported(file, "application/zip" if packed else made["media_type"], made, directory)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            self._busy.release()


_SUFFIXES = {"text": "toml"}


def _file_name(kind: str, name: str) -> str:
    """A name for the file that says what it is, whatever characters an id has."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in name)[:80]
    return (plain if kind == "register" else f"{kind}-{plain}").strip("-.") or kind


def _child(request: Request) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fixgateway.exports.process"],
            input=json.dumps(asdict(request)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,  # a Ctrl-C is for the gateway
        )
    except subprocess.TimeoutExpired:
        raise FixgatewayError(f"the export took longer than {TIMEOUT_SECONDS:.0f} seconds and was ended") from None
    except OSError as error:
        raise FixgatewayError(f"the export's process cannot be started: {error}") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise FixgatewayError(f"the export's process ended with {done.returncode}: {words[-1] if words else ''}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise (UsageError if answer["usage"] else FixgatewayError)(answer["error"])
    return answer
