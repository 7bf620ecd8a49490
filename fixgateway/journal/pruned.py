"""What is left of records that were removed because their time was over: ``pruned.json`` in the journal.

It says how many records are gone, and holds what the rest needs: the crc of the last one, which the next segment
continues; the peaks of the tree over them, with which every later root, inclusion proof and consistency proof
comes out as before; and which journal it is, which its first record said. Who removed what and when is kept for
every removal.

That the peaks are the right ones is shown by any checkpoint of as many or more records: its root depends on them.

The peaks suffice for every proof about what was kept. A proof needs roots of complete subtrees. One that lies
wholly among the removed leaves, left of a kept one and beside the way from that to the root, ends where the
way's ancestor begins; the cut is between, so it is the subtree of one bit of the cut's size: a peak. One that
the cut goes through is made of the last peaks and kept leaves.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from fixgateway.errors import JournalError
from fixgateway.journal.merkle import Frontier, Head

FILE = "pruned.json"
FORMAT = "fixgateway-pruned-1"


class Removal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One removal: records ``first`` to ``last``, the newest of them of ``newest``; when (UTC) and by whom.

    ``retention_years`` was in force.
    """

    first: int
    last: int
    newest: str
    at: str
    by: str
    retention_years: int
    segments: list[str]
    bytes: int


class Pruned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The beginning of a journal that lacks its first ``records`` records; see the module.

    ``peaks`` are in hex. ``sha256`` is of the file's own content without it, against accidents.
    """

    format: str
    journal: str
    records: int
    crc: int
    peaks: list[str]
    removals: list[Removal]
    sha256: str = ""

    @property
    def tree(self) -> Frontier:
        """The tree over the removed records."""
        return Frontier(self.records, [bytes.fromhex(peak) for peak in self.peaks])

    @property
    def head(self) -> Head:
        """Its size and root."""
        return self.tree.head

    @property
    def text(self) -> str:
        """What people are told."""
        last = self.removals[-1]
        return f"records 1 to {self.records} were removed, lastly on {last.at[:10]} by {last.by}"


def sealed(pruned: Pruned) -> Pruned:
    """The same with its digest."""
    bare = msgspec.structs.replace(pruned, sha256="")
    return msgspec.structs.replace(pruned, sha256=sha256(msgspec.json.encode(bare)).hexdigest())


def encode(pruned: Pruned) -> bytes:
    """The file's content."""
    return msgspec.json.format(msgspec.json.encode(pruned), indent=2) + b"\n"


def load(directory: Path) -> Pruned | None:
    """What a journal's directory says of removed records; None when none were removed.

    Raises:
        JournalError: the file cannot be read or was changed.
    """
    file = directory / FILE
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Pruned)
        whole = found.format == FORMAT and found == sealed(found) and bool(found.removals) and found.records > 0
        if not whole or found.tree.size != found.removals[-1].last:
            raise ValueError("it was changed")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise JournalError(f"{file}: {error}; restore it from a copy, the journal begins with it") from None
    return found
