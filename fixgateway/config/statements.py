"""Statement files (.json, .csv) and HTTP bodies → the core's Draft of plain text.

Only the form is checked here: known fields, text where text belongs, sizes. Whether the statement is right
(sum, accounts, terms, date) is decided by the core's registry, the same for every door.

JSON: one object with the statement's fields and ``lines``, a list of objects. Quantities are text; a whole
JSON number is taken digit by digit, a number with point or exponent is refused, because what a program
writes as a float is not always what it means.

CSV: one row a line, columns in any order, the statement's columns repeated on every row (empty or equal to
the first row's). ``cl_ord_ids`` and ``brokers`` hold several values separated by ``;``. ``min_quantity`` is
the statement's when all rows agree, else each line's own. Where lines say weights the column ``quantity`` may be
left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixgateway.config import files
from fixgateway.config.problems import nearest, shown
from fixgateway.core.model import MAX_LINES, Draft, DraftLine
from fixgateway.errors import StatementFileError

MAX_FILE_BYTES = files.MAX_FILE_BYTES
MAX_FIELD_CHARS = 4096
"""Longest text of one field."""
MAX_LIST_ITEMS = 1000
"""Most ClOrdIDs or brokers one statement may name."""

TEXT_FIELDS = (
    "statement_id", "trade_date", "symbol", "side", "total", "security_id", "id_source", "method", "lot",
    "min_quantity", "ties", "oms", "recommended_by", "placed_by", "discretionary", "rationale", "basis",
    "reference_price", "justification", "new_issue",
)  # fmt: skip
LIST_FIELDS = ("cl_ord_ids", "brokers")
LINE_FIELDS = ("account", "quantity", "min_quantity", "weight", "limit", "received_at")
"""In the order of :class:`DraftLine`, behind its row."""
STATEMENT_FIELDS = (*TEXT_FIELDS, *LIST_FIELDS, "seed")
_FREE_TEXT = ("rationale", "justification")
_YES_NO_FIELDS = ("discretionary", "new_issue")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_SEED = re.compile(r"(?:[0-9a-fA-F]{2}){1,64}")


@dataclass(frozen=True, slots=True)
class Source:
    """A statement as written: the draft, and the tie seed that only a preview may name."""

    draft: Draft
    seed: str

    def for_submission(self) -> Draft:
        """The draft to register; a named seed makes it refused, because nobody may choose a remainder."""
        if not self.seed:
            return self.draft
        text = "seed is for preview only; leave it out, the gateway draws its own"
        return replace(self.draft, defects=(*self.draft.defects, text))


def load(path: Path | str) -> Draft:
    """Read a statement file for registration.

    Raises:
        StatementFileError: when the file's form is wrong; names file, line and field.
    """
    return read(path).for_submission()


def read(path: Path | str) -> Source:
    """Read a statement file for registration or preview; raises like :func:`load`."""
    content, suffix = files.contents(path)
    return parse(content, suffix, str(path))


def parse(content: bytes, suffix: str, name: str = "statement") -> Source:
    """A statement from the bytes of a ``.json`` or ``.csv`` file; ``name`` is the file's for messages.

    Raises:
        StatementFileError: when the form is wrong; names line and field.
    """
    return _READERS[suffix](files.decoded(content, name), name)


def draft_from_json(obj: object, name: str = "statement") -> Draft:
    """A draft for registration from a parsed JSON object (see :func:`parse_json`).

    Raises:
        StatementFileError: when a field is unknown, no text, too long or holds control characters.
    """
    return _from_object(obj, name).for_submission()


def parse_json(text: str, name: str = "statement") -> object:
    """JSON with numbers kept as their text, doubled keys refused.

    Raises:
        StatementFileError: when it is no JSON.
    """
    try:
        return json.loads(
            text,
            parse_int=str,
            parse_float=_FloatText,
            parse_constant=_FloatText,
            object_pairs_hook=lambda pairs: _unique(pairs, name),
        )
    except json.JSONDecodeError as error:
        raise StatementFileError(
            f"{name}: line {error.lineno}, column {error.colno}: not JSON: {error.msg} (correct it)"
        ) from None
    except RecursionError:
        raise StatementFileError(f"{name}: nested too deeply (write one object with lines)") from None


class _FloatText(str):
    """The text of a JSON number with point or exponent, of NaN or Infinity; refused where text is wanted."""

    __slots__ = ()


def _unique(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    """An object's members; a key written twice is refused, since readers disagree about which one counts."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise StatementFileError(f"{name}: {shown(key)} is written twice in one object (keep one)")
        members[key] = value
    return members


# ---------------------------------------------------------------- JSON


def _from_json_text(text: str, name: str) -> Source:
    return _from_object(parse_json(text, name), name)


def _from_object(obj: object, name: str) -> Source:
    """The statement in a JSON object."""
    if not isinstance(obj, Mapping):
        raise StatementFileError(f'{name}: not a JSON object (write {{"statement_id": …, "lines": […]}})')
    _check_names(obj, (*STATEMENT_FIELDS, "lines"), name)
    lines = obj.get("lines")
    if not isinstance(lines, list | tuple):
        raise StatementFileError(f"{name}: lines: not a list (write one object for every account)")
    if len(lines) > MAX_LINES:
        raise StatementFileError(f"{name}: lines: more than {MAX_LINES} (split the statement)")
    texts = {field: _text(obj.get(field), field, name) for field in (*TEXT_FIELDS, "seed")}
    lists = {field: _texts(obj.get(field), field, name) for field in LIST_FIELDS}
    return _source(texts, lists, (_line(row, item, name) for row, item in enumerate(lines, 1)), name)


def _line(row: int, item: object, name: str) -> DraftLine:
    """One member of ``lines``; ``row`` counts them from 1."""
    where = f"{name}: line {row}"
    if not isinstance(item, Mapping):
        raise StatementFileError(f'{where}: not an object (write {{"account": …, "quantity": …}})')
    _check_names(item, LINE_FIELDS, where)
    return DraftLine(row, *(_text(item.get(field), field, where) for field in LINE_FIELDS))


def _check_names(obj: Mapping[Any, object], known: Collection[str], where: str) -> None:
    """Refuse fields nobody reads: a misspelt one would silently not count."""
    for key in obj:
        if key not in known:
            near = nearest(str(key), known)
            remedy = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            raise StatementFileError(f"{where}: {shown(str(key))}: unknown field ({remedy})")


def _text(value: object, field: str, where: str) -> str:
    """A member's text; null counts as absent."""
    if value is None:
        return ""
    if isinstance(value, bool) and field in _YES_NO_FIELDS:
        return "yes" if value else "no"
    if isinstance(value, _FloatText | float):
        raise StatementFileError(f'{where}: {field}: {shown(str(value))} is a float (write it as text, "{value}")')
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str):
        raise StatementFileError(f"{where}: {field}: not text (write it in quotes)")
    return _clean(value, field, where)


def _clean(value: str, field: str, where: str) -> str:
    """Text of bounded length without control characters (they could forge FIX fields)."""
    if len(value) > MAX_FIELD_CHARS:
        raise StatementFileError(f"{where}: {field}: longer than {MAX_FIELD_CHARS} characters (shorten it)")
    if _CONTROL.search(value) or (field not in _FREE_TEXT and ("\n" in value or "\t" in value)):
        raise StatementFileError(f"{where}: {field}: control characters in {shown(value)} (remove them)")
    return value


def _texts(value: object, field: str, where: str) -> tuple[str, ...]:
    """A member that is a list of texts; null counts as absent."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > MAX_LIST_ITEMS:
        raise StatementFileError(f"{where}: {field}: not a list of up to {MAX_LIST_ITEMS} (write a list of texts)")
    return tuple(_text(item, field, where) for item in value)


# ---------------------------------------------------------------- CSV


def _from_csv(text: str, name: str) -> Source:
    """The statement in a CSV text."""
    header, rows = _csv_rows(text, name)
    first = rows[0][1]
    for line, row in rows:
        for field in header:
            if field not in LINE_FIELDS and row[field] not in ("", first[field]):
                raise StatementFileError(
                    f"{name}: line {line}, {field}: {shown(row[field])} differs from {shown(first[field])} on"
                    f" line {rows[0][0]} (one file holds one statement)"
                )
    minimums = {row.get("min_quantity", "") for _, row in rows}
    shared = minimums.pop() if len(minimums) == 1 else ""
    texts = {field: first.get(field, "") for field in (*TEXT_FIELDS, "seed")} | {"min_quantity": shared}
    lists = {field: _split(first.get(field, ""), field, name) for field in LIST_FIELDS}
    own = {"min_quantity": ""} if shared else {}
    lines = (DraftLine(line, *((row | own).get(field, "") for field in LINE_FIELDS)) for line, row in rows)
    return _source(texts, lists, lines, name)


def _csv_rows(text: str, name: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The header, and every row that is not blank with its line number in the file."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, name)
        for cells in reader:
            where = f"{name}: line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise StatementFileError(
                    f"{where}: {len(cells)} cells, the header has {len(header)} (write one for each column)"
                )
            if len(rows) == MAX_LINES:
                raise StatementFileError(f"{where}: more than {MAX_LINES} lines (split the statement)")
            row = {field: _clean(cell.strip(), field, where) for field, cell in zip(header, cells, strict=True)}
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise StatementFileError(
            f"{name}: line {reader.line_num}: not CSV: {error} (correct quotes and commas)"
        ) from None
    if not rows:
        raise StatementFileError(f"{name}: no rows (write one for every account)")
    return header, rows


def _check_header(header: list[str], name: str) -> None:
    """Known columns, each once, with account among them and quantity unless lines say weights."""
    known = dict.fromkeys((*STATEMENT_FIELDS, *LINE_FIELDS))
    _check_names(dict.fromkeys(header), known, f"{name}: line 1")
    for field in header:
        if header.count(field) > 1:
            raise StatementFileError(f"{name}: line 1, {field}: column stands twice (remove one)")
    weighed = "weight" in header or "basis" in header
    for field in ("account",) if weighed else ("account", "quantity"):
        if field not in header:
            raise StatementFileError(f"{name}: line 1, {field}: column is missing (add it)")


def _split(cell: str, field: str, name: str) -> tuple[str, ...]:
    """The values of a cell that holds several."""
    values = tuple(value for part in cell.split(";") if (value := part.strip()))
    if len(values) > MAX_LIST_ITEMS:
        raise StatementFileError(f"{name}: {field}: more than {MAX_LIST_ITEMS} values (name fewer)")
    return values


# ---------------------------------------------------------------- both


def _source(
    texts: dict[str, str], lists: dict[str, tuple[str, ...]], lines: Iterable[DraftLine], name: str
) -> Source:
    """The draft, and the seed set apart."""
    seed = texts.pop("seed")
    if seed and not _SEED.fullmatch(seed):
        raise StatementFileError(
            f"{name}: seed: {shown(seed)} is not hex (write 2 to 128 hex digits, an even number)"
        )
    members: dict[str, Any] = {**texts, **lists}
    return Source(Draft(lines=tuple(lines), **members), seed)


_READERS = {".json": _from_json_text, ".csv": _from_csv}


def to_object(source: Source) -> dict[str, Any]:
    """``source`` as the JSON object it could have been written as; fields without text are left out."""
    draft = source.draft
    texts = {field: getattr(draft, field) for field in TEXT_FIELDS} | {"seed": source.seed}
    lists = {field: list(getattr(draft, field)) for field in LIST_FIELDS}
    lines = [{field: text for field in LINE_FIELDS if (text := getattr(line, field))} for line in draft.lines]
    return {field: value for field, value in {**texts, **lists}.items() if value} | {"lines": lines}
