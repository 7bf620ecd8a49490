"""The pages joined to the running gateway: what of it no query gives, and the reads bound to the database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from fixgateway.config.settings import Settings
from fixgateway.core import calendar
from fixgateway.core.codes import MIN_TEXT, explanation_problem
from fixgateway.core.foreseen import foreseen
from fixgateway.core.model import Setup, plain_text
from fixgateway.core.reasons import Refusal
from fixgateway.core.state import State
from fixgateway.errors import FixgatewayError, JournalError
from fixgateway.journal import checkpoints, proofs, show
from fixgateway.journal.reader import Finder
from fixgateway.journal.records import Record
from fixgateway.journal.scan import locate
from fixgateway.records import desk_queries, explained, queries, today
from fixgateway.records.affirmations import affirmations
from fixgateway.records.search import search
from fixgateway.web.pages_all import add_pages
from fixgateway.web.pages_port import Reads
from fixgateway.web.port import GatewayPort, Row

_NS = 1_000_000_000
_PARTS_MAX, _ITEMS_MAX = 100, 200
_TEXT_MAX = 200_000
"""Characters of a record shown on its page."""
_KINDS = {
    "control": "What somebody or something told the gateway",
    "decision": "What the gateway decided",
    "accepted": "A message was accepted",
    "seen": "A message as it was read",
    "wire-out": "A message as it was sent",
    "engine-refused": "A message the FIX engine refused",
    "event": "An event of the FIX engine",
    "start": "The gateway started",
    "stop": "The gateway stopped",
}
_LOOKS = 5
"""How often a preview looks at a state that changes meanwhile."""
_REVIEWS = ("RecordReview", "ReviewRecorded", "SignReview", "ReviewSigned")


class DeskView:
    """Implements :class:`fixgateway.web.pages_port.DeskPort`.

    Args:
        state: the engine's memory, None before the configuration. status: the gateway at a glance.
        data_dir: holds the journal. spare: where the journal goes on when its disk fails.
    """

    def __init__(
        self, state: Callable[[], State | None], status: Callable[[], Row], data_dir: Path, spare: Path | None
    ) -> None:
        self._state = state
        self._status = status
        self._data_dir = data_dir
        self._spare = spare
        self._finder: Finder | None = None

    def _now(self) -> State:
        state = self._state()
        if state is None:
            raise FixgatewayError("the gateway is starting")
        return state

    def now_ns(self) -> int:
        """The time."""
        return time.time_ns()

    def trade_date(self) -> date:
        """The gateway's trade date."""
        return self._now().trade_date

    def setup(self) -> Setup:
        """The configuration in force."""
        return self._now().setup

    def instant(self, day: date, local_time: str) -> int:
        """UTC nanoseconds of a local time of the policy's zone."""
        at = datetime.strptime(local_time[:5], "%H:%M").time()
        moment = datetime.combine(day, at, ZoneInfo(self.setup().policy.timezone))
        seconds = int(local_time[6:8]) if len(local_time) >= 8 else 0
        return (int(moment.astimezone(UTC).timestamp()) + seconds) * _NS

    def deadlines(self) -> list[Row]:
        """When the trade date's fills are allocated and affirmed at the latest."""
        state = self._now()
        day = state.trade_date
        if not calendar.is_trade_date(state.setup, day):
            return []
        both = (("Allocate by", calendar.cut_off(state, day)), ("Affirm by", calendar.affirm_by(state, day)))
        return [
            {"label": label, "at": at, "at_ns": self.instant(day, at), "more": ""}
            for label, at in both
            if at != calendar.OFF
        ]

    # ------------------------------------------------------------ exceptions

    def codes(self) -> Row:
        """The pre-approved list in force."""
        rules = self.setup().exceptions
        if rules is None:
            return {"version": "", "min_text": MIN_TEXT, "codes": []}
        return {"version": rules.version, "min_text": rules.min_text, "codes": [asdict(code) for code in rules.codes]}

    def explanation(self, text: str) -> str:
        """What is wrong with an explanation."""
        rules = self.setup().exceptions
        return explanation_problem(text, rules) if rules is not None else ""

    def foresee(self, actor: str, kind: str, statement_id: str, code: str, lines: Sequence[tuple[str, str]]) -> Row:
        """What a request would say, before it is filed."""
        for _ in range(_LOOKS):
            try:
                return _foreseen(self._now(), kind, statement_id, lines, self.now_ns())
            except RuntimeError:  # the pump changed what we were walking through: look again
                continue
        raise FixgatewayError("the block changes too fast to be previewed; try again")

    # ------------------------------------------------------------ the journal

    def proved(self) -> int:
        """How many records the journal's own newest checkpoint covers."""
        places = self._status().get("checkpoints") or [{"records": 0}]
        return int(places[0]["records"])

    def checkpoint(self) -> str:
        """The newest checkpoint as signed."""
        found = checkpoints.latest(locate(self._data_dir) / checkpoints.DIRECTORY)
        return found[1].data.decode("utf-8", "replace") if found else ""

    def record(self, sequence: int) -> Row:
        """One durable record for people."""
        record = self._record(sequence)
        shown = show.row(record, show.revealed_seeds([record]))
        data = shown["data"]
        text = data if isinstance(data, str) else json.dumps(data, indent=1, ensure_ascii=False)
        if len(text) > _TEXT_MAX:
            text = f"{text[:_TEXT_MAX]}… (+{len(text) - _TEXT_MAX} characters)"
        kind = shown["kind"]
        return {
            "sequence": sequence,
            "ts_ns": record.ts_ns,
            "kind": kind,
            "session": shown["session"],
            "what": _KINDS.get(kind, kind),
            "text": text.replace("|", "|\u200b") if kind in ("seen", "wire-out") else text,
            "refers": _refers(kind, data),
            "parts": _parts(kind, data),
            "review": any(f'"{name}"' in text for name in _REVIEWS),
        }

    def _record(self, sequence: int) -> Record:
        durable = int(self._status()["journal_records"])
        if sequence > durable:
            raise JournalError(f"no record {sequence}: the journal has {durable}")
        if self._finder is None:
            self._finder = Finder(self._data_dir, self._spare)
        return self._finder.read(sequence)

    def proof(self, sequence: int) -> Row:
        """The inclusion proof of a record."""
        return proofs.prove_records(self._data_dir, [sequence], proofs.newest_checkpoint(self._data_dir))


def _parts(kind: str, data: Any) -> list[dict[str, Any]]:
    """A record of values in parts: what each is called, and its fields that say something."""
    match kind, data:
        case "decision", {"out": [*outputs]}:
            pairs = outputs
        case "control", [str(), dict()]:
            pairs = [data]
        case (("start" | "stop"), dict()):
            pairs = [["", data]]
        case _:
            return []
    parts = pairs[:_PARTS_MAX]
    return [
        {"title": title, "fields": list(_fields("", fields))} for title, fields in parts if isinstance(fields, dict)
    ]


def _fields(before: str, fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values, those of a value inside with its name before them; lists one item a line."""
    for name, value in fields.items():
        if value in (None, "", [], {}):
            continue
        match value:
            case dict():
                yield from _fields(f"{before}{name}.", value)
            case list():
                yield before + name, "\n".join(_flat(item) for item in value[:_ITEMS_MAX])
            case _:
                yield before + name, _flat(value)


def _flat(value: Any) -> str:
    """One value in one line."""
    if isinstance(value, dict):
        return "  ".join(
            f"{name} {_flat(item)}" for name, item in value.items() if item not in (None, "", [], {}, 0, "0")
        )
    if isinstance(value, list):
        return " ".join(_flat(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _refers(kind: str, data: Any) -> list[tuple[int, str]]:
    """The records a record names, with words before them."""
    if not isinstance(data, dict):
        return []
    names = {"decision": (("in", "Decided for"),), "accepted": (("seen", "As read:"),),
             "engine-refused": (("seen", "As read:"),), "wire-out": (("decision", "Sent for"),)}  # fmt: skip
    return [(data[key], text) for key, text in names.get(kind, ()) if isinstance(data.get(key), int) and data[key]]


def _foreseen(state: State, kind: str, statement_id: str, lines: Sequence[tuple[str, str]], ts_ns: int) -> Row:
    """The core's own preview as plain values."""
    found = foreseen(state, kind, statement_id, lines, ts_ns)
    if isinstance(found, Refusal):
        return {"lines": [], "problem": found.text}
    return {
        "lines": [{name: _plain(value) for name, value in asdict(line).items()} for line in found.lines],
        "avg_px": found.avg_px,
        "mark": found.mark,
        "mark_source": found.mark_source,
        "mark_ns": found.mark_ns,
        "problem": "",
    }


def _plain(value: Any) -> Any:
    return plain_text(value) if isinstance(value, Decimal) else value


# ---------------------------------------------------------------- binding


def bound_reads(database: Any) -> Reads:
    """The reads of the pages, bound to the database."""
    return Reads(
        statements=partial(queries.statements, database),
        statement=partial(queries.statement, database),
        orders=partial(queries.orders, database),
        explain=partial(explained.explain, database),
        allocation=partial(queries.allocation, database),
        trace=partial(queries.trace, database),
        affirmations=partial(affirmations, database),
        accounts=partial(queries.accounts, database),
        figures=partial(today.figures, database),
        filled=partial(today.filled, database),
        counts=partial(desk_queries.counts, database),
        exceptions=partial(desk_queries.exceptions, database),
        exception=partial(desk_queries.exception, database),
        opened=partial(desk_queries.opened, database),
        alerts=partial(desk_queries.alerts, database),
        people=partial(desk_queries.people, database),
        accesses=partial(desk_queries.accesses, database),
        reconciliations=partial(desk_queries.reconciliations, database),
        reviews=partial(desk_queries.reviews, database),
        search=partial(search, database),
    )


def bound_pages(
    settings: Settings, gateway: GatewayPort, state: Callable[[], State | None], database: Any
) -> Callable[[FastAPI], None]:
    """What adds the pages to the HTTP room's app."""
    view = DeskView(state, gateway.status, settings.data_dir, settings.journal_spare_dir)

    def add(app: FastAPI) -> None:
        zone = view.setup().policy.timezone
        add_pages(app, gateway, bound_reads(database), view, zone, settings.gateway.comp_id)

    return add
