"""Records as people read them: rows for ``journal show``. Pure but for :func:`boot_id`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from fixgateway.errors import JournalError
from fixgateway.journal.codec import decode_json
from fixgateway.journal.records import (
    Kind,
    Record,
    unpack_accepted,
    unpack_engine_refused,
    unpack_wire_out,
)

SUMMARY_CHARS_MAX = 400
HIDDEN_SEED = "(seed)"
"""Stands for a seed that no allocation has revealed yet."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NS = 1_000_000_000


def boot_id() -> str:
    """The kernel's id of this boot, "" where there is none.

    A different id in the next ``start`` record means that the machine, not only the gateway, went down.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def utc_text(ts_ns: int) -> str:
    """UTC nanoseconds as ISO 8601 with microseconds: ``2026-11-22T14:30:00.000001Z``."""
    seconds, rest_ns = divmod(ts_ns, _NS)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return f"{ts_ns} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def fix_text(raw: bytes) -> str:
    """FIX bytes for people: SOH as ``|``, other control characters and non-UTF-8 bytes as escapes."""
    text = raw.replace(b"\x01", b"|").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# ---------------------------------------------------------------- seeds


def revealed_seeds(records: Iterable[Record]) -> frozenset[str]:
    """The seeds that allocations in ``records`` revealed; others must not be shown (DESIGN rule 8)."""
    return frozenset(
        str(fields.get("seed", ""))
        for record in records
        if record.kind is Kind.DECISION and b'"StatementAllocated"' in record.payload
        for name, fields in decode_json(record.payload)["out"]
        if name == "StatementAllocated"
    )


def _shown_seed(seed: str, revealed: Collection[str]) -> str:
    return seed if not seed or seed in revealed else HIDDEN_SEED


def _hide_seeds(value: Any, revealed: Collection[str]) -> Any:
    """``value`` with every unrevealed ``seed`` field replaced, at any depth."""
    match value:
        case dict():
            return {
                key: _shown_seed(str(item), revealed) if key == "seed" else _hide_seeds(item, revealed)
                for key, item in value.items()
            }
        case list():
            return [_hide_seeds(item, revealed) for item in value]
    return value


def has_hidden_seed(record: Record, revealed: Collection[str] = ()) -> bool:
    """Whether a record's payload holds a seed that is not in ``revealed``."""
    match record.kind:
        case Kind.ACCEPTED:
            seed = unpack_accepted(record.payload).seed
            return _shown_seed(seed, revealed) != seed
        case Kind.CONTROL | Kind.DECISION:
            data = decode_json(record.payload)
            return bool(_hide_seeds(data, revealed) != data)
    return False


# ---------------------------------------------------------------- what a payload says: (data, summary)

_Shown = tuple[Any, str]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _fields_text(fields: dict[str, Any]) -> str:
    """``name=value`` for what is set; nested values as compact JSON."""
    return " ".join(
        f"{name}={item if isinstance(item, str) else _compact(item)}"
        for name, item in fields.items()
        if item not in ("", None, [], {})
    )


def _show_json(payload: bytes, revealed: Collection[str]) -> _Shown:
    data = _hide_seeds(decode_json(payload), revealed)
    return data, _fields_text(data) if isinstance(data, dict) else _compact(data)


def _show_control(payload: bytes, revealed: Collection[str]) -> _Shown:
    data = _hide_seeds(decode_json(payload), revealed)
    match data:
        case [str(name), dict(fields)]:
            return data, f"{name} {_fields_text(fields)}".rstrip()
    return data, _compact(data)


def _show_decision(payload: bytes, revealed: Collection[str]) -> _Shown:
    data = _hide_seeds(decode_json(payload), revealed)
    match data:
        case {"in": input_seq, "out": list(outputs)}:
            parts = [f"{name} {_fields_text(fields)}".rstrip() for name, fields in outputs]
            return data, f"for {input_seq}: " + "; ".join(parts)
    return data, _compact(data)


def _show_accepted(payload: bytes, revealed: Collection[str]) -> _Shown:
    ref = unpack_accepted(payload)
    data = {"seen": ref.seen_seq, "msg_seq_num": ref.msg_seq_num, "epoch": ref.epoch}
    text = f"MsgSeqNum {ref.msg_seq_num} of record {ref.seen_seq}, epoch {ref.epoch}"
    if not ref.seed:
        return data, text
    seed = _shown_seed(ref.seed, revealed)
    return data | {"seed": seed}, f"{text}, seed {seed}"


def _show_engine_refused(payload: bytes, _: Collection[str]) -> _Shown:
    ref = unpack_engine_refused(payload)
    why = ref.why.encode("utf-8", "surrogateescape")
    return {"seen": ref.seen_seq, "why": fix_text(why)}, f"record {ref.seen_seq}: {fix_text(why)}"


def _show_wire_out(payload: bytes, _: Collection[str]) -> _Shown:
    out = unpack_wire_out(payload)
    text = fix_text(out.raw)
    data = {"decision": out.decision_seq, "index": out.index, "text": text}
    return data, f"for {out.decision_seq}.{out.index}: {text}" if out.decision_seq else text


def _show_text(payload: bytes, _: Collection[str]) -> _Shown:
    text = fix_text(payload)
    return text, text


_SHOW: dict[Kind, Callable[[bytes, Collection[str]], _Shown]] = {
    Kind.START: _show_json,
    Kind.CONTROL: _show_control,
    Kind.SEEN: _show_text,
    Kind.ACCEPTED: _show_accepted,
    Kind.ENGINE_REFUSED: _show_engine_refused,
    Kind.DECISION: _show_decision,
    Kind.WIRE_OUT: _show_wire_out,
    Kind.EVENT: _show_text,
    Kind.STOP: _show_json,
}


def row(record: Record, revealed: Collection[str] = ()) -> dict[str, Any]:
    """One record as a row: ``seq``, ``time``, ``kind``, ``session``, ``summary`` and ``data``.

    Args:
        record: what to show.
        revealed: seeds that may be shown, from :func:`revealed_seeds`; others appear as ``(seed)``.

    ``summary`` is one line of at most :data:`SUMMARY_CHARS_MAX` characters and a count of what was left
    out; ``data`` is the whole payload as plain values for ``--json``.
    """
    try:
        data, summary = _SHOW[record.kind](record.payload, revealed)
    except (JournalError, ValueError, TypeError, AttributeError):
        # The payload is not what its kind says: show the bytes, do not fail.
        data, summary = _show_text(record.payload, revealed)
    if not summary.isprintable():
        summary = fix_text(summary.encode("utf-8", "surrogatepass"))
    if len(summary) > SUMMARY_CHARS_MAX:
        left_out = len(summary) - SUMMARY_CHARS_MAX
        summary = f"{summary[:SUMMARY_CHARS_MAX]}… (+{left_out} characters)"
    return {
        "seq": record.seq,
        "time": utc_text(record.ts_ns),
        "kind": record.kind.label,
        "session": record.session,
        "summary": summary,
        "data": data,
    }


def line(shown: dict[str, Any]) -> str:
    """A row as one line of text."""
    session = shown["session"] or "-"
    return f"{shown['seq']:>8} {shown['time']} {shown['kind']:<14} {session:<10} {shown['summary']}"


def select(
    records: Iterable[Record],
    kinds: Collection[Kind] = (),
    session: str = "",
    text: str = "",
    limit: int | None = None,
) -> Iterator[Record]:
    """The records of these kinds and session (empty: any) whose payload holds ``text``, at most ``limit``.

    ``|`` in ``text`` also matches the SOH between FIX fields, as records are shown.
    """
    wanted = text.encode("utf-8", "surrogateescape")
    as_fix = wanted.replace(b"|", b"\x01")
    chosen = (
        record
        for record in records
        if (not kinds or record.kind in kinds)
        and (not session or record.session == session)
        and (wanted in record.payload or as_fix in record.payload)
    )
    return islice(chosen, limit)
