"""Small files of people, JSON or CSV: read whole, within a bound, as UTF-8."""

from __future__ import annotations

from pathlib import Path

from fixgateway.errors import StatementFileError

MAX_FILE_BYTES = 16_000_000
"""Largest file or HTTP body; a larger one is refused unread."""
SUFFIXES = (".json", ".csv")


def contents(path: Path | str) -> tuple[bytes, str]:
    """The bytes of a ``.json`` or ``.csv`` file, and its suffix in lower case.

    Raises:
        StatementFileError: another kind of file, too large, or not readable; names the file and the remedy.
    """
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES:
        raise StatementFileError(f"{file}: not a .json or .csv file (rename it or convert it)")
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise StatementFileError(f"{file}: larger than {MAX_FILE_BYTES} bytes (split it)")
        return file.read_bytes(), file.suffix.lower()
    except OSError as error:
        raise StatementFileError(f"{file}: {error.strerror} (correct the path or the permissions)") from None


def decoded(content: bytes, name: str) -> str:
    """The text of a file's bytes; ``name`` is the file's, for the message.

    Raises:
        StatementFileError: too large, or not UTF-8.
    """
    if len(content) > MAX_FILE_BYTES:
        raise StatementFileError(f"{name}: larger than {MAX_FILE_BYTES} bytes (split it)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StatementFileError(f"{name}: not UTF-8 at byte {error.start} (save it as UTF-8)") from None
