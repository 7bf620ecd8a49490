"""The exam pack of one block: everything about it, from statement to affirmation, to be given away.

A directory that says what happened (``index.html``, ``data/``), shows the messages as they were on the wire
(``fix/``) and proves that all of it stood in the journal (``proofs/``, ``verify_pack.py``). It needs neither
fixgateway nor the journal to be checked: ``python3 verify_pack.py --public-key KEY.pub``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import fixgateway
from fixgateway.errors import JournalError, UsageError
from fixgateway.exports.forms import csv_cell
from fixgateway.exports.pages import render
from fixgateway.journal import proofs
from fixgateway.journal.records import Kind, decode, unpack_wire_out
from fixgateway.journal.show import fix_text, row
from fixgateway.records import desk_queries, explained, queries
from fixgateway.records.database import Engine
from fixgateway.records.queries import Record

FORMAT = "fixgateway-exam-pack-1"
TIMELINE_MAX = 100_000
"""Entries of a block's timeline; one with more is refused rather than cut."""
_DIRECTIONS = {Kind.SEEN: "in", Kind.WIRE_OUT: "out"}

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pack:
    """What was made: where, of what, and how much of it is proved."""

    directory: str
    statement_id: str
    files: int
    messages: int
    records: int
    withheld: int
    checkpoint_records: int
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class _Block:
    """What the records say of a block."""

    statement: Record
    timeline: Sequence[Record]
    explained: Record | None
    executions: Sequence[Record]
    allocations: Sequence[Record]
    policy: Record | None
    accounts: Sequence[Record]
    exceptions: Sequence[Record]


def make(
    engine: Engine,
    data_dir: Path,
    statement_id: str,
    target: Path,
    *,
    public_key: Path | None = None,
    by: str = "",
    progress: Progress = lambda _: None,
) -> Pack:
    """Write the exam pack of a statement into ``target``, which must be empty or not exist.

    Args:
        engine: the records database. data_dir: the gateway's. public_key: the checkpoints', copied into the pack.
        by: who asked for it, for the manifest. progress: told in words what is done.

    Raises:
        UsageError: no such statement, or ``target`` is in use.
        JournalError: the journal has no checkpoint that covers the block yet.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is in use: name a new directory for the pack")
    progress("reading the records")
    block = _block(engine, statement_id)
    told = [*block.timeline, *(entry for asked in block.exceptions for entry in (asked, *asked["decisions"]))]
    inputs = {entry["input_seq"] for entry in told if entry.get("input_seq")}
    progress("looking for the journal's records")
    evidence = proofs.input_records(data_dir, inputs, lambda count: progress(f"{count} journal records"))
    progress("proving them")
    checkpoint = proofs.newest_checkpoint(data_dir)
    proof = _proved(data_dir, evidence.records, checkpoint)
    writer = _Writer(target)
    messages = _write_messages(writer, proof)
    writer.json("proofs/records.json", proof)
    writer.text("proofs/checkpoint", checkpoint.data.decode())
    _write_data(writer, block)
    _write_verifier(writer, public_key)
    manifest = {
        "format": FORMAT,
        "statement_id": statement_id,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": by,
        "software": f"fixgateway {fixgateway.__version__}",
        "journal_origin": checkpoint.origin,
        "checkpoint_records": checkpoint.head.size,
        "records": list(evidence.records),
        "withheld": list(evidence.withheld),
    }
    writer.text("index.html", _page(block, manifest, messages))
    writer.text("README.txt", _README.format(statement_id=statement_id))
    sha256 = writer.text("manifest.json", _json({**manifest, "files": dict(sorted(writer.files.items()))}))
    return Pack(
        directory=str(target),
        statement_id=statement_id,
        files=len(writer.files),
        messages=len(messages),
        records=len(evidence.records),
        withheld=len(evidence.withheld),
        checkpoint_records=checkpoint.head.size,
        manifest_sha256=sha256,
    )


def _proved(data_dir: Path, records: Sequence[int], checkpoint: Any) -> dict[str, Any]:
    """The proof of all records; an unallocated block's last ones may be newer than the checkpoint."""
    newest = max(records, default=0)
    if newest > checkpoint.head.size:
        raise JournalError(
            f"the newest checkpoint covers {checkpoint.head.size} records and the block's last is {newest}: wait for "
            "the next one (journal.checkpoint_seconds) and ask again"
        )
    return proofs.prove_records(data_dir, records, checkpoint)


def _block(engine: Engine, statement_id: str) -> _Block:
    statement = queries.statement(engine, statement_id)
    traced = queries.trace(engine, statement_id, limit=TIMELINE_MAX)
    if traced["truncated"]:
        raise UsageError(f"statement {statement_id} has more than {TIMELINE_MAX} entries: too many for one pack")
    found = None
    with suppress(UsageError):  # nothing was divided yet
        found = explained.explain(engine, statement_id)
    allocations = [queries.allocation(engine, entry["alloc_id"]) for entry in statement["allocations"]]
    policies = [
        policy
        for policy in queries.policies(engine)
        if (policy["policy_id"], policy["version"]) == (statement["policy_id"], statement["policy_version"])
    ]
    named = {line["account"] for line in statement["lines"]}
    named |= {line["account"] for allocation in allocations for line in allocation["lines"]}
    in_force = queries.accounts(engine, at_seq=statement["journal_seq"])
    return _Block(
        statement=statement,
        timeline=traced["timeline"],
        explained=found,
        executions=queries.executions(engine, statement_id=statement_id, limit=TIMELINE_MAX),
        allocations=allocations,
        policy=policies[0] if policies else None,
        accounts=[account for account in in_force if account["account"] in named],
        exceptions=[
            desk_queries.exception(engine, asked["exception_id"])
            for asked in reversed(desk_queries.exceptions(engine, statement_id=statement_id))
        ],
    )


# ---------------------------------------------------------------- files


class _Writer:
    """Writes files below a directory and remembers their SHA-256."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.files: dict[str, str] = {}

    def text(self, name: str, text: str) -> str:
        """Write a text file; returns its SHA-256 in hex."""
        return self.data(name, text.encode("utf-8", "surrogateescape"))

    def json(self, name: str, document: Any) -> None:
        """Write a JSON document."""
        self.text(name, _json(document))

    def data(self, name: str, data: bytes) -> str:
        """Write bytes."""
        path = self._target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.files[name] = digest
        return digest

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows as CSV; the columns are all that any row has and that are no tables themselves."""
        columns = list(dict.fromkeys(key for entry in rows for key, value in entry.items() if not _nested(value)))
        lines = [columns, *([csv_cell(entry.get(column)) for column in columns] for entry in rows)]
        self.text(name, "".join(",".join(map(_quoted, line)) + "\r\n" for line in lines))


def _quoted(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(char in text for char in ',"\r\n') else text


def _nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _write_messages(writer: _Writer, proof: Mapping[str, Any]) -> list[Record]:
    """Every FIX message of the proof as it was on the wire; returns what is listed of them."""
    listed = []
    for entry in proof["records"]:
        record = decode(base64.b64decode(entry["leaf"]))
        way = _DIRECTIONS.get(record.kind)
        if way is None:
            continue
        raw = unpack_wire_out(record.payload).raw if record.kind is Kind.WIRE_OUT else record.payload
        msg_type = raw.partition(b"\x0135=")[2].partition(b"\x01")[0].decode("ascii", "replace") or "unknown"
        name = f"fix/{record.seq:09d}-{way}-{_safe(record.session)}-{_safe(msg_type)}.fix"
        writer.data(name, raw)
        listed.append({**row(record), "way": way, "msg_type": msg_type, "file": name, "text": fix_text(raw)})
    return listed


def _safe(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(char if char.isalnum() or char in "-_" else "_" for char in text)[:40]


def _write_data(writer: _Writer, block: _Block) -> None:
    writer.json("data/block.json", {
        "statement": block.statement, "timeline": block.timeline, "explained": block.explained,
        "executions": block.executions, "allocations": block.allocations, "policy": block.policy,
        "accounts": block.accounts, "exceptions": block.exceptions,
    })  # fmt: skip
    writer.table("data/timeline.csv", block.timeline)
    writer.table("data/statement-lines.csv", block.statement["lines"])
    writer.table("data/orders.csv", block.statement["orders"])
    writer.table("data/executions.csv", block.executions)
    writer.table("data/allocation.csv", _lines(block.allocations, "lines"))
    writer.table("data/divisions.csv", _lines(block.statement["divisions"], "lines"))
    writer.table("data/accounts.csv", block.accounts)
    writer.table("data/exceptions.csv", _lines(block.exceptions, "lines"))
    for name in ("acks", "confirmations", "affirmations"):
        writer.table(f"data/{name}.csv", [item for allocation in block.allocations for item in allocation[name]])
    if block.policy and block.policy["text"]:
        writer.text("data/policy.toml", block.policy["text"])


def _lines(heads: Iterable[Mapping[str, Any]], key: str) -> list[Record]:
    """Lines with their head's own columns before them."""
    return [
        {**{name: value for name, value in head.items() if not _nested(value)}, **line}
        for head in heads
        for line in head[key]
    ]


def _write_verifier(writer: _Writer, public_key: Path | None) -> None:
    for name in ("verify_proof.py", "verify_pack.py"):
        writer.text(name, resources.files("fixgateway.exports").joinpath(name).read_text("utf-8"))
    if public_key is not None and public_key.exists():
        writer.data("proofs/journal.pub", public_key.read_bytes())


# ---------------------------------------------------------------- the page


def _page(block: _Block, manifest: Mapping[str, Any], messages: Sequence[Record]) -> str:
    latest = [division for division in block.statement["divisions"] if division["lines"]]
    proved = frozenset(manifest["records"])
    return render(
        "exam_pack.html",
        block=block, manifest=manifest, messages=messages, division=latest[-1] if latest else None, proved=proved,
        nested=_nested,
    )  # fmt: skip


_README = """Exam pack of allocation statement {statement_id}

index.html       the block on one page, from statement to affirmation
data/            the same as tables (CSV) and as one document (block.json); the policy it was allocated by
fix/             every FIX message as it was on the wire: record number, direction, session, type
proofs/          records.json: proof that every record stood in the journal of the checkpoint beside it
manifest.json    what is in the pack, with the SHA-256 of every file

To check it, with Python 3.9 or later and the package "cryptography":

    python3 verify_pack.py --public-key journal.pub

What makes the proof worth anything comes from elsewhere: take the public key from the firm's own publication, or a
checkpoint you have kept (--checkpoint FILE), not from this pack. proofs/journal.pub is a copy for convenience.
"""
