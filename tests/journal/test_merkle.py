"""The tree of RFC 9162: published vectors, a naive implementation of the RFC's text, and proofs that break."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    Head,
    consistency_ranges,
    grow,
    inclusion_ranges,
    leaf_hash,
    range_roots,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots of the Certificate Transparency reference tests.
INPUTS = [
    *(bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {  # (leaf, size) → path
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCY = {  # (first, second) → path
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def head_of(data: Sequence[bytes]) -> Head:
    tree = Frontier()
    tree.extend(data)
    return tree.head


def inclusion(data: Sequence[bytes], index: int) -> list[bytes]:
    parts = inclusion_ranges(index, len(data))
    roots = range_roots(parts, map(leaf_hash, data))
    return [roots[part] for part in parts]


def consistency(data: Sequence[bytes], first: int) -> list[bytes]:
    parts = consistency_ranges(first, len(data))
    roots = range_roots(parts, map(leaf_hash, data))
    return [roots[part] for part in parts]


# ---------------------------------------------------------------- published vectors


def test_published_roots() -> None:
    assert EMPTY_ROOT.hex() == ROOTS[0]
    for size, root in enumerate(ROOTS):
        assert head_of(INPUTS[:size]) == Head(size, bytes.fromhex(root))


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    path = [bytes.fromhex(text) for text in INCLUSION[index, size]]
    assert inclusion(INPUTS[:size], index) == path
    assert verify_inclusion(index, leaf_hash(INPUTS[index]), path, Head(size, bytes.fromhex(ROOTS[size])))


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_published_consistency_proofs(first: int, second: int) -> None:
    path = [bytes.fromhex(text) for text in CONSISTENCY[first, second]]
    assert consistency(INPUTS[:second], first) == path
    old, new = Head(first, bytes.fromhex(ROOTS[first])), Head(second, bytes.fromhex(ROOTS[second]))
    assert verify_consistency(old, new, path)


# ---------------------------------------------------------------- the RFC's own recursive definitions, literally

Leaves = tuple[bytes, ...]


def k_of(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@cache
def mth(data: Leaves) -> bytes:
    """RFC 9162 2.1.1."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\0" + data[0]).digest()
    k = k_of(len(data))
    return sha256(b"\1" + mth(data[:k]) + mth(data[k:])).digest()


def path_of(m: int, data: Leaves) -> list[bytes]:
    """PATH(m, D_n), RFC 9162 2.1.3.1."""
    if len(data) == 1:
        return []
    k = k_of(len(data))
    if m < k:
        return [*path_of(m, data[:k]), mth(data[k:])]
    return [*path_of(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: Leaves, complete: bool) -> list[bytes]:
    """SUBPROOF(m, D_n, b), RFC 9162 2.1.4.1."""
    if m == len(data):
        return [] if complete else [mth(data)]
    k = k_of(len(data))
    if m <= k:
        return [*subproof(m, data[:k], complete), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


@pytest.mark.parametrize("size", [*range(34), 63, 64, 65, 100])
def test_every_proof_of_every_size_is_the_rfcs_and_verifies(size: int) -> None:
    data = tuple(b"leaf %d" % number for number in range(size))
    head = head_of(data)
    assert head == Head(size, mth(data))
    for index in range(size):
        path = inclusion(data, index)
        assert path == path_of(index, data)
        assert verify_inclusion(index, leaf_hash(data[index]), path, head)
    for first in range(1, size + 1):
        path = consistency(data, first)
        assert path == subproof(first, data, True)
        assert verify_consistency(Head(first, mth(data[:first])), head, path)


@settings(max_examples=100, deadline=None)
@given(
    batches=st.lists(st.lists(st.binary(max_size=40), max_size=40), max_size=8),
    start=st.lists(st.binary(max_size=3), max_size=20),
)
def test_however_leaves_are_added_the_tree_is_the_same(batches: list[list[bytes]], start: list[bytes]) -> None:
    tree = Frontier()
    for item in start:
        tree.append(leaf_hash(item))
    for batch in batches:
        tree = Frontier(tree.size, tree.peaks)  # as after a restart
        tree.extend(batch)
    everything = (*start, *(item for batch in batches for item in batch))
    assert tree.head == Head(len(everything), mth(everything))
    assert len(tree.peaks) == tree.size.bit_count()


def test_growing_stops_where_asked() -> None:
    data = [b"%d" % number for number in range(1000)]
    tree = Frontier()
    sizes = []
    chunks = []
    for chunk in grow(tree, iter(data), {700, 3, 1, 5000}):
        sizes.append(tree.size)
        chunks += chunk
    assert (chunks, tree.head) == (data, head_of(data))
    assert {1, 3, 700, 1000} <= set(sizes)


# ---------------------------------------------------------------- what must not verify


def flipped(data: bytes, bit: int) -> bytes:
    at = bit % (len(data) * 8)
    return data[: at // 8] + bytes((data[at // 8] ^ (1 << at % 8),)) + data[at // 8 + 1 :]


@settings(max_examples=300, deadline=None)
@given(data=st.data(), size=st.integers(1, 40), bit=st.integers(0, 255))
def test_an_inclusion_proof_breaks_under_any_change(data: st.DataObject, size: int, bit: int) -> None:
    leaves = [b"leaf %d" % number for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    head, path, leaf = head_of(leaves), inclusion(leaves, index), leaf_hash(leaves[index])
    at = data.draw(st.integers(0, max(0, len(path) - 1)))
    wrong = {
        "leaf": (index, flipped(leaf, bit), path, head),
        "root": (index, leaf, path, Head(size, flipped(head.root, bit))),
        "longer": (index, leaf, [*path, leaf], head),
        "inserted": (index, leaf, [*path[:at], leaf, *path[at:]], head),
        "other leaf": ((index + 1) % size if size > 1 else 1, leaf, path, head),
        "negative": (index - size, leaf, path, head),
        "behind the end": (size, leaf, path, head),
        "empty tree": (index, leaf, path, Head(0, head.root)),
    }
    if path:
        wrong["node"] = (index, leaf, [*path[:at], flipped(path[at], bit), *path[at + 1 :]], head)
        wrong["shorter"] = (index, leaf, [*path[:at], *path[at + 1 :]], head)
    assert verify_inclusion(index, leaf, path, head)
    assert [name for name, arguments in wrong.items() if verify_inclusion(*arguments)] == []


@settings(max_examples=300, deadline=None)
@given(data=st.data(), second=st.integers(2, 40), bit=st.integers(0, 255))
def test_a_consistency_proof_breaks_under_any_change(data: st.DataObject, second: int, bit: int) -> None:
    leaves = [b"leaf %d" % number for number in range(second)]
    first = data.draw(st.integers(1, second - 1))
    old, new, path = head_of(leaves[:first]), head_of(leaves), consistency(leaves, first)
    at = data.draw(st.integers(0, len(path) - 1))
    wrong = {
        "old root": (Head(first, flipped(old.root, bit)), new, path),
        "new root": (old, Head(second, flipped(new.root, bit)), path),
        "node": (old, new, [*path[:at], flipped(path[at], bit), *path[at + 1 :]]),
        "shorter": (old, new, [*path[:at], *path[at + 1 :]]),
        "longer": (old, new, [*path, new.root]),
        "empty": (old, new, []),
        "the other way": (new, old, path),
        "from nothing": (Head(0, EMPTY_ROOT), new, path),
        "same size": (Head(second, old.root), new, []),
    }
    assert verify_consistency(old, new, path)
    assert [name for name, arguments in wrong.items() if verify_consistency(*arguments)] == []


@settings(max_examples=100, deadline=None)
@given(data=st.data(), second=st.integers(2, 40))
def test_a_changed_leaf_of_the_first_tree_has_no_consistency_proof(data: st.DataObject, second: int) -> None:
    leaves = [b"leaf %d" % number for number in range(second)]
    first = data.draw(st.integers(1, second - 1))
    old = head_of(leaves[:first])
    leaves[data.draw(st.integers(0, first - 1))] = b"another"
    assert not verify_consistency(old, head_of(leaves), consistency(leaves, first))


def test_what_cannot_be_asked() -> None:
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(ValueError, match="has no leaf"):
            inclusion_ranges(index, size)
    for first, second in ((0, 5), (6, 5), (0, 0), (-1, 3)):
        with pytest.raises(ValueError, match="must be the smaller"):
            consistency_ranges(first, second)
    with pytest.raises(ValueError, match="3 leaves, 4 are needed"):
        range_roots([(0, 4)], [EMPTY_ROOT] * 3)
    for size, peaks in ((3, [EMPTY_ROOT]), (1, []), (1, [b"short"]), (-1, [])):
        with pytest.raises(ValueError, match="not the frontier"):
            Frontier(size, peaks)
    assert range_roots([], [EMPTY_ROOT]) == {}


def test_a_pass_reads_no_further_than_it_must() -> None:
    def leaves(count: int) -> list[bytes]:
        return [leaf_hash(b"%d" % number) for number in range(count)]

    source = iter(leaves(10))
    range_roots([(0, 2), (4, 5)], source)
    assert next(source) == leaves(10)[5]


def test_a_tree_of_removed_leaves_is_enough_to_prove_those_behind_it() -> None:
    size = 33
    leaves = [leaf_hash(bytes([number])) for number in range(size)]

    def tree(count: int) -> Frontier:
        found = Frontier()
        for leaf in leaves[:count]:
            found.append(leaf)
        return found

    for cut in range(size):
        before, kept = tree(cut), leaves[cut:]
        for index in range(cut, size):
            parts = inclusion_ranges(index, size)
            roots = range_roots(parts, kept, before)
            assert verify_inclusion(index, leaves[index], [roots[part] for part in parts], tree(size).head)
        for first in range(max(cut, 1), size):
            parts = consistency_ranges(first, size)
            roots = range_roots(parts, kept, before)
            assert verify_consistency(tree(first).head, tree(size).head, [roots[part] for part in parts])
    with pytest.raises(ValueError, match="begin with leaf 8"):
        range_roots(inclusion_ranges(3, size), leaves[8:], tree(8))
