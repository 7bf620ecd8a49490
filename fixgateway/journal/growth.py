"""Reading a journal into its tree, and comparing the tree with what it was at earlier sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fixgateway.errors import JournalDamaged
from fixgateway.journal import pruned
from fixgateway.journal.merkle import Frontier, Head, grow
from fixgateway.journal.scan import Mark


@dataclass(frozen=True, slots=True)
class Known:
    """What the tree was at some size, and who says so (the name of a checkpoint), for messages."""

    head: Head
    source: str


@dataclass(frozen=True, slots=True)
class Start:
    """A place in a journal from which it is read on: the mark, and the peaks of the tree over all before it."""

    mark: Mark
    peaks: tuple[bytes, ...]

    @property
    def records(self) -> int:
        """How many records lie before it."""
        return self.mark.next_seq - 1

    @property
    def tree(self) -> Frontier:
        """The tree over those records."""
        return Frontier(self.records, self.peaks)


def beginning(directory: Path) -> Frontier:
    """The tree before the first record a journal has: empty, or that of the records that were removed."""
    gone = pruned.load(directory)
    return gone.tree if gone else Frontier()


class Comparison:
    """A tree that grows with a journal's records and must be everything that is known of it.

    Args:
        directory: the journal's own directory, for messages. known: what the tree was at some sizes.
        start: where the records begin that are fed; None is the first one that was not removed. What is known of
            smaller trees cannot be compared then.

    Attributes:
        tree: the tree over the records read. good: the largest size at which it was compared and found the same.
    """

    def __init__(self, directory: Path, known: Iterable[Known] = (), start: Start | None = None) -> None:
        self.tree = start.tree if start else beginning(directory)
        self.good = self.tree.size
        self._directory = directory
        self._known: dict[int, list[Known]] = {}
        for item in known:
            self._known.setdefault(item.head.size, []).append(item)

    def feed(self, bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Add records by their frames' bodies; gives every chunk of them when it was added and compared.

        Raises:
            JournalDamaged: the tree is not what it was; names the records among which one was changed.
        """
        for chunk in grow(self.tree, bodies, self._known):
            size = self.tree.size
            for item in self._known.get(size, ()):
                if item.head != self.tree.head:
                    raise JournalDamaged(
                        self.good + 1,
                        f"records {self.good + 1} to {size} are not the ones of {item.source}: at least one was "
                        "replaced, with new checksums for all that follow",
                    )
                self.good = size
            yield chunk

    def finish(self) -> None:
        """After the last record: whether any are missing.

        Raises:
            JournalDamaged: somebody saw more records than there are.
        """
        longest = max((item for items in self._known.values() for item in items), key=_size, default=None)
        if longest is not None and longest.head.size > self.tree.size:
            missing = self.tree.size + 1
            raise JournalDamaged(
                missing,
                f"records {missing} to {longest.head.size} are missing: {longest.source} has seen them, but the "
                f"journal in {self._directory} ends before; it was cut, or is an older copy",
            )


def _size(item: Known) -> int:
    return item.head.size
