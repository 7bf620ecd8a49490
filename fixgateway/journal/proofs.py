"""Proofs: that a record is in the journal of a checkpoint, and that one checkpoint grew out of another.

A proof is a JSON document that is checked without fixgateway and without the journal (``scripts/verify_proof.py``
or any implementation of RFC 9162)::

    {"format": "fixgateway-proof-1", "kind": "inclusion", "checkpoint": "<note>",
     "records": [{"sequence": 12, "leaf": "<base64>", "path": ["<base64>", …]}]}
    {"format": "fixgateway-proof-1", "kind": "consistency", "from": "<note>", "to": "<note>",
     "path": ["<base64>", …]}

``leaf`` is the body of the record's frame: what the record says. ``sequence`` counts from 1, leaves from 0.
Whoever gets an inclusion proof sees these records and nothing of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixgateway.errors import JournalDamaged, JournalError, UsageError
from fixgateway.journal import pruned
from fixgateway.journal.checkpoints import DIRECTORY, Checkpoint, latest
from fixgateway.journal.codec import decode_json
from fixgateway.journal.growth import beginning
from fixgateway.journal.merkle import (
    Range,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    range_roots,
    verify_consistency,
    verify_inclusion,
)
from fixgateway.journal.notes import base64_text
from fixgateway.journal.reader import first_seq, read
from fixgateway.journal.records import (
    Kind,
    Record,
    decode,
    unpack_accepted,
    unpack_engine_refused,
    unpack_wire_out,
)
from fixgateway.journal.scan import KEPT, Walk, locate
from fixgateway.journal.show import has_hidden_seed, revealed_seeds

FORMAT = "fixgateway-proof-1"
RECORDS_MAX = 10_000
"""Most records in one proof."""


def newest_checkpoint(directory: Path) -> Checkpoint:
    """The journal's newest checkpoint.

    Raises:
        JournalError: it has none, or it cannot be read.
    """
    found = latest(locate(directory) / DIRECTORY)
    if found is None:
        raise JournalError(
            f"the journal in {directory} has no checkpoint: the gateway makes one every "
            "journal.checkpoint_seconds and when it stops"
        )
    return found[1]


def prove_records(directory: Path, sequences: Collection[int], checkpoint: Checkpoint) -> dict[str, Any]:
    """The proof that records are in the journal of a checkpoint.

    Raises:
        UsageError: there is no journal, or too many records are asked for.
        JournalError: the checkpoint does not cover a record, a record was removed, or holds a seed not revealed
            yet.
        JournalDamaged: the journal is not the checkpoint's.
    """
    size, first = checkpoint.head.size, first_seq(directory)
    wanted = sorted(set(sequences))
    if len(wanted) > RECORDS_MAX:
        raise UsageError(f"{len(wanted)} records, a proof holds at most {RECORDS_MAX}: ask for fewer")
    for sequence in wanted:
        if not 1 <= sequence <= size:
            raise JournalError(
                f"record {sequence} is not covered by the checkpoint, which is of {size} records; wait for the "
                "next one (journal.checkpoint_seconds), or name a later one"
            )
        if sequence < first:
            raise JournalError(_removed(directory, f"record {sequence} cannot be proved"))
    paths = {sequence: inclusion_ranges(sequence - 1, size) for sequence in wanted}
    leaves = _Leaves(directory, wanted)
    # The record itself is a range too, so that the pass does not end before it.
    ranges = {part for path in paths.values() for part in path} | {(seq - 1, seq) for seq in wanted}
    roots = _range_roots(ranges, leaves, checkpoint)
    _refuse_hidden_seeds(directory, leaves.bodies)
    records = []
    for sequence, parts in paths.items():
        body, path = leaves.bodies[sequence], [roots[part] for part in parts]
        if not verify_inclusion(sequence - 1, leaf_hash(body), path, checkpoint.head):
            raise _not_its_journal(directory, checkpoint)
        records.append({"sequence": sequence, "leaf": base64_text(body), "path": [base64_text(x) for x in path]})
    return {"format": FORMAT, "kind": "inclusion", "checkpoint": checkpoint.data.decode(), "records": records}


def prove_consistency(directory: Path, first: Checkpoint, second: Checkpoint) -> dict[str, Any]:
    """The proof that nothing the first checkpoint covers was changed until the second.

    Raises:
        UsageError: there is no journal, or the checkpoints cannot follow each other.
        JournalError: records the first one covers were removed.
        JournalDamaged: the journal is not theirs.
    """
    if first.origin != second.origin:
        raise UsageError(f"the checkpoints are of two journals, {first.origin} and {second.origin}")
    try:
        parts = consistency_ranges(first.head.size, second.head.size)
    except ValueError as error:
        raise UsageError(f"--from and --to: {error}") from None
    if first.head.size < first_seq(directory) - 1:
        raise JournalError(
            _removed(directory, f"nothing can be proved of the checkpoint of {first.head.size} records")
        )
    roots = _range_roots(parts, _Leaves(directory, ()), second)
    path = [roots[part] for part in parts]
    if not verify_consistency(first.head, second.head, path):
        raise _not_its_journal(directory, second)
    return {
        "format": FORMAT,
        "kind": "consistency",
        "from": first.data.decode(),
        "to": second.data.decode(),
        "path": [base64_text(root) for root in path],
    }


class _Leaves:
    """The leaf hashes of a journal in order; keeps the bodies of the wanted records on the way."""

    def __init__(self, directory: Path, wanted: Sequence[int]) -> None:
        self.bodies: dict[int, bytes] = {}
        self.directory = directory
        self._wanted = frozenset(wanted)

    def __iter__(self) -> Iterator[bytes]:
        walk = Walk(locate(self.directory), KEPT)
        for body in walk.bodies():
            if walk.next_seq - 1 in self._wanted:
                self.bodies[walk.next_seq - 1] = body
            yield leaf_hash(body)


def _range_roots(ranges: Collection[Range], leaves: _Leaves, checkpoint: Checkpoint) -> dict[Range, bytes]:
    try:
        return range_roots(ranges, leaves, beginning(locate(leaves.directory)))
    except ValueError:
        raise _not_its_journal(leaves.directory, checkpoint) from None


def _removed(directory: Path, what: str) -> str:
    gone = pruned.load(locate(directory))
    return f"{what}: {gone.text if gone else 'records were removed'}"


def _not_its_journal(directory: Path, checkpoint: Checkpoint) -> JournalDamaged:
    return JournalDamaged(
        1,
        f"the journal in {directory} is not that of the checkpoint of {checkpoint.head.size} records: it was cut "
        f"or changed, or is another one; 'fixgateway journal verify {directory}' says where",
    )


def _refuse_hidden_seeds(directory: Path, bodies: Mapping[int, bytes]) -> None:
    """A proof is made to be given away: not with the seed of a statement that is still to be allocated."""
    holders = [record for record in map(decode, bodies.values()) if has_hidden_seed(record)]
    revealed = revealed_seeds(read(directory, KEPT)) if holders else ()
    for record in holders:
        if has_hidden_seed(record, revealed):
            raise JournalError(
                f"record {record.seq} holds the seed of a statement that is not allocated yet, and a proof would "
                "give it away: make it after the allocation"
            )


# ---------------------------------------------------------------- the records of an order

_FIX_KINDS = {Kind.SEEN, Kind.WIRE_OUT}


def order_records(directory: Path, cl_ord_id: str) -> list[int]:
    """The numbers of an order's records: every message with its ClOrdID(11) or OrigClOrdID(41), and what was made
    of them: their acceptance or refusal by the FIX engine, and the decisions.

    Raises:
        UsageError: there is no journal, or no such order in it.
    """
    marks = [b"\x01%d=%s\x01" % (tag, cl_ord_id.encode("utf-8", "surrogateescape")) for tag in (11, 41)]
    seen: set[int] = set()
    inputs: set[int] = set()
    found: list[int] = []
    for record in read(directory, KEPT):
        match record.kind:
            case Kind.SEEN if any(mark in record.payload for mark in marks):
                seen.add(record.seq)
            case Kind.ACCEPTED if unpack_accepted(record.payload).seen_seq in seen:
                inputs.add(record.seq)
            case Kind.ENGINE_REFUSED if unpack_engine_refused(record.payload).seen_seq in seen:
                inputs.add(record.seq)
            case Kind.DECISION if decode_json(record.payload)["in"] in inputs:
                pass
            case Kind.WIRE_OUT if any(mark in unpack_wire_out(record.payload).raw for mark in marks):
                pass
            case _:
                continue
        found.append(record.seq)
    if not found:
        raise UsageError(f"the journal in {directory} has no order {cl_ord_id}")
    return found


# ---------------------------------------------------------------- the records of inputs


@dataclass(frozen=True, slots=True)
class Evidence:
    """Journal records behind some inputs: ``records`` can be given away, ``withheld`` hold a seed not revealed yet."""

    records: tuple[int, ...]
    withheld: tuple[int, ...]


def input_records(
    directory: Path, inputs: Collection[int], progress: Callable[[int], None] | None = None
) -> Evidence:
    """The records of inputs: the text read, its acceptance or refusal, what was decided, and what was sent for it.

    Args:
        directory: the gateway's data directory or the journal's own.
        inputs: sequences of input records (``control``, ``accepted``, ``engine-refused``).
        progress: told, now and then, how many records were looked at.

    Raises:
        UsageError: there is no journal.
    """
    wanted = frozenset(inputs)
    found: list[int] = []
    seeds: list[Record] = []
    revealed: set[str] = set()
    for record in read(directory, KEPT):
        if progress and not record.seq % _TOLD_EVERY:
            progress(record.seq)
        source = _belongs(record, wanted)
        if record.kind is Kind.DECISION and b'"StatementAllocated"' in record.payload:
            revealed |= revealed_seeds((record,))
        if not source:
            continue
        found += source
        if has_hidden_seed(record):
            seeds.append(record)
    hidden = {record.seq for record in seeds if has_hidden_seed(record, revealed)}
    return Evidence(tuple(sorted({*found} - hidden)), tuple(sorted(hidden)))


_TOLD_EVERY = 50_000


def _belongs(record: Record, wanted: Collection[int]) -> tuple[int, ...]:
    """The numbers a record adds: its own, and that of the text it accepts or refuses; () when it is none of ours."""
    match record.kind:
        case Kind.ACCEPTED if record.seq in wanted:
            return record.seq, unpack_accepted(record.payload).seen_seq
        case Kind.ENGINE_REFUSED if record.seq in wanted:
            return record.seq, unpack_engine_refused(record.payload).seen_seq
        case Kind.CONTROL if record.seq in wanted:
            return (record.seq,)
        case Kind.DECISION if decode_json(record.payload)["in"] in wanted:
            return (record.seq,)
        case Kind.WIRE_OUT if unpack_wire_out(record.payload).decision_seq in wanted:
            return (record.seq,)
    return ()
