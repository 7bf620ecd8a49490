"""Repeating groups read from a body's fields in order, by the dictionary's group structure.

An unknown tag inside an entry stays with that entry, groups inside groups are read the same way, and what is
wrong with a group is told, never raised: a broker's fill with a strange group is still a fill.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fixgateway.wire.dictionary import Group
from fixgateway.wire.message import Pair

_COUNT = re.compile("0|[1-9][0-9]{0,6}")


@dataclass(slots=True)
class Entry:
    """One entry of a group.

    ``pairs`` are its own fields in order, nested count tags included and nested entries left out; ``fields``
    the first occurrence of each; ``blocks`` the groups inside it by count tag.
    """

    pairs: list[Pair]
    fields: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)

    def get(self, tag: str, default: str = "") -> str:
        """The value of the entry's first ``tag``, or ``default``."""
        return self.fields.get(tag, default)


@dataclass(slots=True)
class Block:
    """A group as found: what its count tag says and the entries that are there.

    ``problem`` is "" or words saying how the count or the first tag is wrong.
    """

    group: Group
    declared: str
    entries: list[Entry]
    problem: str = ""


@dataclass(slots=True)
class Layout:
    """A body cut into its own fields and its groups.

    ``top`` are the fields outside groups, count tags included; ``fields`` the first occurrence of each;
    ``blocks`` the groups by count tag, the first where a count tag comes twice.
    """

    top: list[Pair]
    fields: dict[str, str]
    blocks: dict[str, Block]

    def all_blocks(self) -> Iterator[Block]:
        """Every group, those inside groups included."""
        waiting = list(self.blocks.values())
        while waiting:
            block = waiting.pop()
            yield block
            waiting += [inner for entry in block.entries for inner in entry.blocks.values()]


def layout(pairs: Sequence[Pair], groups: Mapping[str, Group]) -> Layout:
    """Cut a body's ``pairs`` by the message type's ``groups``; never raises, takes linear time."""
    top: list[Pair] = []
    fields: dict[str, str] = {}
    blocks: dict[str, Block] = {}
    at = 0
    while at < len(pairs):
        tag, value = pairs[at]
        top.append((tag, value))
        fields.setdefault(tag, value)
        at += 1
        group = groups.get(tag)
        if group is not None and tag not in blocks:
            blocks[tag], at = _block(pairs, at, group, value)
    return Layout(top, fields, blocks)


def entries(pairs: Sequence[Pair], count_tag: str, group: Group) -> list[Entry]:
    """The entries of the first group ``count_tag`` in ``pairs``, whatever the count says; [] without one.

    Use :func:`layout` to learn whether the count is true.
    """
    block = layout(pairs, {count_tag: group}).blocks.get(count_tag)
    return block.entries if block else []


def _block(pairs: Sequence[Pair], at: int, group: Group, declared: str) -> tuple[Block, int]:
    """Read the entries that begin at ``at``; the second value is where the group has ended."""
    found: list[Entry] = []
    while at < len(pairs):
        tag, value = pairs[at]
        if tag == group.delimiter:
            found.append(Entry([]))
        elif not found or (tag not in group.tags and tag in group.outer):
            break
        entry = found[-1]
        entry.pairs.append((tag, value))
        entry.fields.setdefault(tag, value)
        at += 1
        nested = group.groups.get(tag)
        if nested is not None and tag not in entry.blocks:
            entry.blocks[tag], at = _block(pairs, at, nested, value)
    return Block(group, declared, found, _problem(group, declared, found, pairs[at : at + 1])), at


def _problem(group: Group, declared: str, found: Sequence[Entry], following: Sequence[Pair]) -> str:
    if not _COUNT.fullmatch(declared):
        return f"count {group.count_tag} is not a plain number"
    if not found and following and following[0][0] in group.tags:
        return f"the entries of {group.count_tag} do not start with {group.delimiter}"
    if int(declared) != len(found):
        return f"{group.count_tag}={declared} but {len(found)} entries follow"
    return ""
