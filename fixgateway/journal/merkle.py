"""The Merkle tree of RFC 9162 section 2.1 (the tree of RFC 6962), with SHA-256. Pure.

A leaf's hash is SHA-256(0x00 ‖ data), a node's SHA-256(0x01 ‖ left ‖ right); a tree of n leaves is split at the
largest power of two below n. The journal's leaves are its records: ``data`` is the body of a record's frame,
the bytes its checksum covers (:mod:`fixgateway.journal.records`). Record N is leaf N - 1.

A tree is never kept whole. :class:`Frontier` holds the roots of its complete subtrees, one for each bit of its
size: enough to add leaves and to know the root. A proof consists of roots of ranges of leaves
(:func:`inclusion_ranges`, :func:`consistency_ranges`), and :func:`range_roots` computes those in one pass over
the leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

HASH_BYTES = 32
LEAF = b"\x00"
NODE = b"\x01"

_BATCH_MIN = 8
"""Fewer leaves than this are added one by one, which is faster than level by level."""

_CHUNK = 256
"""Leaves :func:`grow` adds at a time."""

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

Range = tuple[int, int]
"""The leaves from the first index up to, not including, the second."""


@dataclass(frozen=True, slots=True)
class Head:
    """A tree by its number of leaves and its root."""

    size: int
    root: bytes


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf (RFC 9162 2.1.1)."""
    return sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over two subtrees (RFC 9162 2.1.1)."""
    return sha256(NODE + left + right).digest()


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root over the roots of complete subtrees, largest first; of none: :data:`EMPTY_ROOT`."""
    if not peaks:
        return EMPTY_ROOT
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root


class Frontier:
    """The right edge of a growing tree.

    Args:
        size: leaves it has already.
        peaks: the roots of its complete subtrees, largest first: as many as ``size`` has one bits.

    Attributes:
        size: the number of leaves.

    Raises:
        ValueError: ``peaks`` cannot belong to a tree of that size.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in peaks):
            raise ValueError(f"{len(peaks)} peaks are not the frontier of a tree of {size} leaves")
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, largest first."""
        return tuple(self._peaks)

    @property
    def head(self) -> Head:
        """Size and root of the tree."""
        return Head(self.size, fold(self._peaks))

    def append(self, leaf: bytes) -> None:
        """Add one leaf by its hash."""
        peaks, rest = self._peaks, self.size
        while rest & 1:
            leaf = node_hash(peaks.pop(), leaf)
            rest >>= 1
        peaks.append(leaf)
        self.size += 1

    def extend(self, data: Sequence[bytes]) -> None:
        """Add leaves by their data; a batch goes level by level, which is faster than leaf by leaf."""
        if len(data) < _BATCH_MIN:
            for item in data:
                self.append(leaf_hash(item))
            return
        nodes = [sha256(LEAF + item).digest() for item in data]
        rest = self.size
        self.size += len(nodes)
        smallest_first: list[bytes] = []
        while nodes:
            if rest & 1:
                nodes.insert(0, self._peaks.pop())
            if len(nodes) & 1:
                smallest_first.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(NODE + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            rest >>= 1
        self._peaks += reversed(smallest_first)


def grow(tree: Frontier, data: Iterable[bytes], stops: Iterable[int] = ()) -> Iterator[list[bytes]]:
    """Add leaves by their data, a chunk at a time; gives each chunk when it was added.

    A chunk ends at every size in ``stops``, so that the tree can be looked at there.
    """
    source = iter(data)
    for stop in (*sorted(stops), sys.maxsize):
        while tree.size < stop:
            chunk = list(islice(source, min(_CHUNK, stop - tree.size)))
            if not chunk:
                return
            tree.extend(chunk)
            yield chunk


# ---------------------------------------------------------------- what a proof consists of


def _split(size: int) -> int:
    """The largest power of two below ``size``, which is 2 or more."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose roots prove leaf ``index`` in a tree of ``size`` leaves, in the proof's order.

    RFC 9162 2.1.3.1.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The ranges whose roots prove that a tree of ``first`` leaves is the beginning of one of ``second``.

    RFC 9162 2.1.4.1; empty when both are the same.

    Raises:
        ValueError: not 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"from {first} to {second} leaves: the first tree must be the smaller, not empty")
    ranges = []
    start, end = 0, second
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start > 0:  # the first tree is not itself a subtree of the second: its last part stands in the proof
        ranges.append((start, end))
    return ranges[::-1]


def _complete(part: Range) -> Iterator[tuple[int, int]]:
    """The complete subtrees a range of a proof consists of, largest first: (level, index in the level).

    Such a range starts at a multiple of the power of two it fits in, so its parts are aligned.
    """
    start, end = part
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def range_roots(
    ranges: Iterable[Range], leaves: Iterable[bytes], before: Frontier | None = None
) -> dict[Range, bytes]:
    """The roots of ranges that proofs consist of, in one pass over the leaf hashes, from the first on.

    Keeps no more hashes than the ranges need; leaves behind the last range are not asked for.

    Args:
        ranges: of proofs about leaves that are in ``leaves``.
        leaves: leaf hashes in order. before: the tree over the leaves that came before them.

    Raises:
        ValueError: the leaves end before the last range does, or a range is of leaves before them that cannot
            be told from their tree alone.
    """
    parts = {part: list(_complete(part)) for part in ranges}
    wanted: dict[tuple[int, int], bytes] = {node: b"" for nodes in parts.values() for node in nodes}
    end = max((end for _, end in parts), default=0)
    tree = before or Frontier()
    peaks = list(tree.peaks)
    size = tree.size
    for (level, index), peak in zip(_complete((0, size)), peaks, strict=True):
        if (level, index) in wanted:
            wanted[level, index] = peak
    for leaf in leaves if end > size else ():
        level, node = 0, leaf
        if (0, size) in wanted:
            wanted[0, size] = node
        while size >> level & 1:
            node = node_hash(peaks.pop(), node)
            level += 1
            if (level, size >> level) in wanted:
                wanted[level, size >> level] = node
        peaks.append(node)
        size += 1
        if size == end:
            break
    if size < end:
        raise ValueError(f"{size} leaves, {end} are needed")
    if not all(wanted.values()):
        raise ValueError(f"a range lies before the leaves, which begin with leaf {tree.size}")
    return {part: fold([wanted[node] for node in nodes]) for part, nodes in parts.items()}


# ---------------------------------------------------------------- verifying


def verify_inclusion(index: int, leaf: bytes, path: Sequence[bytes], head: Head) -> bool:
    """Whether ``path`` proves that the leaf with hash ``leaf`` is leaf ``index`` of the tree ``head``.

    RFC 9162 2.1.3.2.
    """
    if not 0 <= index < head.size:
        return False
    at, last, found = index, head.size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == head.root


def verify_consistency(first: Head, second: Head, path: Sequence[bytes]) -> bool:
    """Whether ``path`` proves that the tree ``first`` is the beginning of the tree ``second``.

    RFC 9162 2.1.4.2. Never true of an empty ``first``: it is the beginning of everything and proves nothing.
    """
    if first.size == second.size:
        return first.size > 0 and not path and first.root == second.root
    if not 0 < first.size < second.size or not path:
        return False
    nodes = list(path)
    if first.size.bit_count() == 1:  # the first tree is a subtree of the second: the proof leaves its root out
        nodes.insert(0, first.root)
    at, last = first.size - 1, second.size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, node)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first.root and new == second.root
