"""The tree against ``pymerkle``, an implementation that shares no code with ours.

Its hashing is the RFC's (prefixes 0x00 and 0x01, SHA-256, the empty tree is the hash of nothing), and every root
must be the same. Its proofs say the same in another form, which the tests translate:

- leaves are counted from 1, ours from 0;
- the path of an inclusion proof begins with the leaf's own hash, which RFC 9162 leaves to the verifier;
- a consistency proof is not RFC 9162's list. Where the first tree ends between two subtrees theirs goes on into
  the right one, down to a leaf; the RFC stops there. So theirs has other, often more, hashes; and when both trees
  are equal it has their root where the RFC has nothing.

So consistency is verified across: their verifier is given a proof whose hashes we computed, ours one whose hashes
they computed, each against the other's roots.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

import pytest
from pymerkle import (
    ConsistencyProof,
    InclusionProof,
    InmemoryTree,
    InvalidProof,
    verify_consistency,
    verify_inclusion,
)
from pymerkle.core import _consistency_path_layout

from fixgateway.journal import merkle
from fixgateway.journal.merkle import Frontier, Head, Range, leaf_hash, range_roots

SIZES = 300
ALGORITHM = "sha256"
DATA = [sha256(f"leaf {number}".encode()).digest() * (number % 4) for number in range(6000)]
"""Leaves of 0, 32, 64 and 96 bytes."""

LEAVES = [leaf_hash(item) for item in DATA]
BIG = sorted([*random.Random(9162).sample(range(SIZES, len(DATA)), 12), 512, 1024, 4095, 4096, 4097])


@pytest.fixture(scope="module")
def theirs() -> InmemoryTree:
    tree = InmemoryTree(algorithm=ALGORITHM)
    tree.append_entries(DATA)
    return tree


def their_root(part: Range) -> bytes:
    """What they say is the root of a range of leaves, as a tree of its own."""
    tree = InmemoryTree(algorithm=ALGORITHM)
    tree.append_entries(DATA[slice(*part)])
    root: bytes = tree.get_root()
    return root


def our_head(size: int) -> Head:
    tree = Frontier()
    tree.extend(DATA[:size])
    return tree.head


def our_roots(parts: Sequence[Range], size: int) -> list[bytes]:
    roots = range_roots(parts, LEAVES[:size])
    return [roots[part] for part in parts]


def pairs(count: int, seed: int) -> list[tuple[int, int]]:
    """(smaller, larger) sizes from 1 on, equal ones and powers of two among them."""
    chance = random.Random(seed)
    drawn = [sorted((chance.randint(1, SIZES), chance.randint(1, SIZES))) for _ in range(count)]
    big = [(chance.randint(1, size), size) for size in BIG]
    return [(first, second) for first, second in drawn] + big


def test_every_root_is_theirs(theirs: InmemoryTree) -> None:
    one_by_one = Frontier()
    for size in range(SIZES + 1):
        assert one_by_one.head == our_head(size) == Head(size, theirs.get_root(size))
        one_by_one.append(LEAVES[size])
    for size in BIG:
        assert our_head(size).root == theirs.get_root(size)


def test_every_leaf_is_theirs(theirs: InmemoryTree) -> None:
    assert [theirs.get_leaf(number) for number in range(1, len(DATA) + 1)] == LEAVES


def inclusion_cases() -> list[tuple[int, int]]:
    """(leaf from 0, size): every one of the small trees, some of the others."""
    small = [(index, size) for size in range(1, 36) for index in range(size)]
    return small + [(number - 1, size) for number, size in pairs(300, 1)]


def test_inclusion_proofs_are_theirs_in_both_directions(theirs: InmemoryTree) -> None:
    for index, size in inclusion_cases():
        head = our_head(size)
        path = our_roots(merkle.inclusion_ranges(index, size), size)
        proof = theirs.prove_inclusion(index + 1, size)
        assert proof.path == [LEAVES[index], *path]
        assert merkle.verify_inclusion(index, LEAVES[index], proof.path[1:], head)
        ours = InclusionProof(ALGORITHM, True, size, index + 1, proof.rule, [LEAVES[index], *path])
        verify_inclusion(LEAVES[index], head.root, ours, index=index + 1, size=size, algorithm=ALGORITHM)


@pytest.mark.parametrize("small", [True, False])
def test_consistency_proofs_are_good_in_both_directions(theirs: InmemoryTree, small: bool) -> None:
    every = [(first, second) for second in range(1, 26) for first in range(1, second + 1)]
    for first, second in every if small else pairs(120, 2):
        heads = our_head(first), our_head(second)
        states = theirs.get_root(first), theirs.get_root(second)

        by_them = [their_root(part) for part in merkle.consistency_ranges(first, second)]
        theirs_as_heads = Head(first, states[0]), Head(second, states[1])
        assert merkle.verify_consistency(*theirs_as_heads, by_them)

        rule, subset, ranges = _consistency_path_layout(first, second)
        proof = ConsistencyProof(ALGORITHM, True, second, first, rule, subset, our_roots(ranges, second))
        assert proof.path == theirs.prove_consistency(first, second).path
        verify_consistency(
            heads[0].root, heads[1].root, proof, prior_size=first, later_size=second, algorithm=ALGORITHM
        )


def test_both_refuse_what_is_no_proof(theirs: InmemoryTree) -> None:
    """Else the tests above could not fail: a path with one bit changed convinces neither."""
    for index, size in pairs(60, 3):
        index -= 1
        head = our_head(size)
        proof = theirs.prove_inclusion(index + 1, size)
        for place in range(len(proof.path)):
            path = list(proof.path)
            path[place] = bytes([path[place][0] ^ 1]) + path[place][1:]
            assert not merkle.verify_inclusion(index, path[0], path[1:], head)
            changed = InclusionProof(ALGORITHM, True, size, index + 1, proof.rule, path)
            with pytest.raises(InvalidProof):
                verify_inclusion(path[0], head.root, changed)
    assert not merkle.verify_consistency(Head(3, theirs.get_root(4)), our_head(9), [])
