"""Rows of the records in the words of the desk: states, tones, and the steps of a block's timeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fixgateway.core.people import Task
from fixgateway.web.identity import Identity
from fixgateway.web.pages_render import Zone, number, span
from fixgateway.web.port import Row

GOOD, WARN, BAD, PLAIN = "good", "warn", "bad", ""

_NS = 1_000_000_000
_NAMED = 40
"""Accounts named in a step of a timeline."""
_OF_REVIEWS = ("GW-919",)
"""Reasons of alerts that say what a forensic review found."""
_STATEMENT_TONES = {"active": GOOD, "cancelled": WARN}
_ALLOCATION_TONES = {
    "accepted": GOOD, "sent": PLAIN, "received": PLAIN, "rejected": BAD, "account-rejected": BAD, "incomplete": WARN,
    "query": WARN, "refused": BAD, "replaced": PLAIN, "cancelled": PLAIN,
}  # fmt: skip
_REQUEST_TONES = {"open": WARN, "approved": GOOD, "rejected": BAD, "withdrawn": PLAIN, "expired": WARN, "void": WARN}
_OPENED_TONES = {"open": BAD, "acknowledged": WARN, "noted": WARN, "resolved": GOOD}
_SEVERITY_TONES = {"critical": BAD, "error": BAD, "warning": WARN, "info": PLAIN}
_ORDER_STATES = {
    "0": ("new", GOOD), "1": ("partly filled", GOOD), "2": ("filled", PLAIN), "3": ("done for day", PLAIN),
    "4": ("cancelled", PLAIN), "5": ("replaced", GOOD), "6": ("cancel pending", WARN), "7": ("stopped", WARN),
    "8": ("rejected", BAD), "9": ("suspended", WARN), "A": ("pending", PLAIN), "B": ("calculated", PLAIN),
    "C": ("expired", PLAIN), "D": ("accepted for bidding", PLAIN), "E": ("replace pending", WARN),
}  # fmt: skip
_STANDING_OVER = ("replaced", "cancelled")
_STATEMENT_STATES = {"cut-off": "closed at the cut-off"}


def statement_row(row: Row) -> dict[str, Any]:
    """A statement for a table: words and tone of its state, what is done."""
    state = str(row["state"])
    return {
        **row,
        "side_word": side(row["side"]),
        "done": row["filled"] or "0",
        "avg_px": row["avg_px"] or "",
        "state": _STATEMENT_STATES.get(state, state),
        "tone": _STATEMENT_TONES.get(state, PLAIN),
        "active": state == "active",
    }


def with_filled(rows: Iterable[Row], filled: Mapping[str, str]) -> list[dict[str, Any]]:
    """Statements with what is filled by now, also while their orders work: the records divide it only at the end."""
    return [{**row, "done": filled.get(row["statement_id"], "0")} if row["filled"] is None else {**row} for row in rows]


def side(code: Any) -> str:
    """54 in a word."""
    return {"1": "buy", "2": "sell", "5": "sell short", "6": "sell short exempt"}.get(str(code), str(code))


def order_row(row: Row) -> dict[str, Any]:
    """An order for a table."""
    state, tone = _ORDER_STATES.get(str(row["status"]), (str(row["status"] or "sent"), PLAIN))
    if row["verdict"] == "blocked":
        state, tone = "blocked", BAD
    elif row["verdict"] == "undone":
        state, tone = "not sent", BAD
    elif row["in_doubt"]:
        state, tone = "in doubt", WARN
    return {**row, "side_word": side(row["side"]), "state": state, "tone": tone}


def allocation_tone(status: str) -> str:
    """The tone of an allocation's status."""
    return _ALLOCATION_TONES.get(status, PLAIN)


def stands(row: Row) -> bool:
    """Whether an allocation is in force: not replaced, not cancelled, not itself a cancellation."""
    return row["status"] not in _STANDING_OVER and row["trans_type"] != "2"


def age(row: Row, now_ns: int) -> str:
    """How old a row is."""
    return span(max(now_ns - int(row["ts_ns"]), 0) // _NS)


def severity_tone(severity: str) -> str:
    """The tone of an alert."""
    return _SEVERITY_TONES.get(severity, PLAIN)


def opened_tone(state: str) -> str:
    """The tone of an exception the gateway opened."""
    return _OPENED_TONES.get(state, PLAIN)


def request_tone(state: str) -> str:
    """The tone of a request."""
    return _REQUEST_TONES.get(state, PLAIN)


def seen(head: Row) -> str:
    """What somebody who acts on a block must have seen: changes with its state, orders, divisions and allocations."""
    orders = "|".join(f"{row['order_key']}={row['status']}={row['cum_qty']}" for row in head["orders"])
    told = "|".join(f"{row['alloc_id']}={row['status']}" for row in head["allocations"])
    text = f"{head['version']};{head['state']};{head['filled']};{orders};{told};{len(head['divisions'])}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# ---------------------------------------------------------------- the timeline

_Say = tuple[str, str, str, str]
"""Tone, title, text, and more in small letters."""

_EXEC = {
    "new": "Acknowledged", "cancelled": "Order cancelled", "canceled": "Order cancelled", "replaced": "Order replaced",
    "rejected": "Order rejected", "expired": "Order expired", "done": "Done for day", "pending": "Pending",
}  # fmt: skip
_EFFECTS = {"bust": "Fill busted", "correct": "Fill corrected", "fill": "Fill"}
_TRANS = {"0": "Allocation sent", "1": "Allocation replaced", "2": "Allocation cancelled"}
_AFFIRM = {"1": ("Confirmation received", PLAIN), "2": ("Confirmation rejected", BAD), "3": ("Affirmed", GOOD)}
_ACK = {"accepted": GOOD, "received": PLAIN}


def _by(row: Row) -> str:
    return f"by {row['actor']}" if row.get("actor") else ""


def _lines(row: Row, key: str = "quantity") -> str:
    lines = list(row.get("lines", ()))
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return ", ".join(f"{line['account']} {number(line[key])}" for line in lines[:_NAMED]) + more


def _registered(row: Row) -> _Say:
    what = f"{side(row['side'])} {number(row['total'])} {row['symbol']} by {row['method']}"
    by = f" by {row['actor']}" if row["actor"] else f" by {row['oms']}" if row["oms"] else ""
    return GOOD, "Statement registered", f"{what},{by} ({row['door']})", _lines(row)


def _statement_refused(row: Row) -> _Say:
    problems = row.get("lines") or row.get("problems") or ()
    text = "; ".join(f"{item['reason']} {item['text']}" for item in list(problems)[:10])
    return BAD, "Statement refused", text, _by(row)


def _divided(row: Row) -> _Say:
    kind = "Booked so far" if row["kind"] == "interim" else "Divided"
    text = f"{number(row['filled'])} at {number(row['avg_px'])}"
    return GOOD, kind, text, _lines(row)


def _allocation(row: Row) -> _Say:
    ref = f", replaces {row['ref_alloc_id']}" if row["ref_alloc_id"] else ""
    text = f"to {row['broker']}: {number(row['quantity'])} at {number(row['avg_px'])} as {row['alloc_id']}{ref}"
    return GOOD, _TRANS.get(row["trans_type"], "Allocation sent"), text, _lines(row)


def _answered(row: Row) -> _Say:
    title = f"{row['broker']} says {row['status']}"
    words = f"{row['alloc_id']} {row['text']}".strip()
    return _ACK.get(row["status"], BAD), title, words, ""


def _reported(row: Row) -> _Say:
    return PLAIN, "Told to the OMS", f"{row['alloc_id']} as {row['form']} to {row['session']}", ""


def _broker_report(row: Row) -> _Say:
    tone = GOOD if row["verdict"] in ("agrees", "accepted") else WARN
    return tone, f"{row['broker']} reports", f"{row['report_id']}: {row['verdict']} {row['text']}".strip(), ""


def _confirmation(row: Row) -> _Say:
    tone = BAD if row["text"] and row["verdict"] in ("rejected", "differs") else GOOD
    text = f"{row['account']}: {number(row['quantity'])} at {number(row['avg_px'])}, {row['verdict']} {row['text']}"
    return tone, f"{row['broker']} confirms", text.strip(), row["confirm_id"]


def _affirmation(row: Row) -> _Say:
    title, tone = _AFFIRM.get(str(row["affirm_status"]), ("Confirmation answered", PLAIN))
    return tone, title, f"{row['account']} at {row['broker']} {row['text']}".strip(), row["confirm_id"]


def _asked(row: Row) -> _Say:
    return WARN, "Confirmation asked for", f"{row['account'] or 'all accounts'} at {row['broker']}", ""


def _turn(row: Row) -> _Say:
    known = {key: value for key, value in row.items() if isinstance(value, str) and key in ("account", "reason", "why")}
    return PLAIN, "Turn", " ".join(known.values()), ""


def _order(row: Row) -> _Say:
    what = f"{row['cl_ord_id']}: {side(row['side'])} {number(row['order_qty'])} {row['symbol']}"
    if row["verdict"] == "blocked":
        return BAD, "Order blocked", f"{what}. {row['text']}", ""
    return GOOD, "Order forwarded", f"{what} to {row['broker']}", ""


def _request(row: Row) -> _Say:
    names = {"G": "Replace", "F": "Cancel", "D": "Order", "8": "Status"}
    what = names.get(row["msg_type"], row["msg_type"])
    quantity = f" to {number(row['quantity'])}" if row["quantity"] else ""
    tone = BAD if row["verdict"] in ("refused", "undone") else PLAIN
    return tone, f"{what} {row['verdict']}", f"{row['cl_ord_id']}{quantity} {row['text']}".strip(), ""


def _execution(row: Row) -> _Say:
    title = _EFFECTS.get(row["effect"]) or _EXEC.get(row["kind"]) or f"Report: {row['kind']}"
    text = f"{number(row['last_qty'])} at {number(row['last_px'])}" if row["last_qty"] not in (None, "0") else ""
    tone = WARN if row["effect"] in ("bust", "correct", "ignored", "unknown") else PLAIN
    return tone, title, f"{text} from {row['broker']}".strip(), f"ExecID {row['exec_id']}"


def _opened(row: Row) -> _Say:
    return BAD, f"Exception {row['reason']}", row["text"], ""


def _alert(row: Row) -> _Say:
    tone = severity_tone(row["severity"])
    return tone, f"Alert {row['reason']}", row["text"], ""


def _asked_exception(row: Row) -> _Say:
    changed = [line for line in row.get("lines", ()) if line["before"] != line["after"]]
    moves = [f"{line['account']} {number(line['before'])} → {number(line['after'])}" for line in changed[:_NAMED]]
    moves += [f"{len(changed) - _NAMED} more"] if len(changed) > _NAMED else []
    return WARN, f"{row['kind'].capitalize()} asked for", f"by {row['requested_by']} ({row['code']})", ", ".join(moves)


def _decided(row: Row) -> _Say:
    late = ", late" if row["late"] else ""
    text = f"by {row['actor'] or 'the gateway'}{late}: {row['text']}"
    return request_tone(row["decision"]), f"Exception {row['decision']}", text, ""


_SAY: dict[str, Callable[[Row], _Say]] = {
    "statement registered": _registered,
    "statement refused": _statement_refused,
    "statement allocated": _divided,
    "allocation sent": _allocation,
    "allocation answered": _answered,
    "allocation reported": _reported,
    "broker's report": _broker_report,
    "confirmation": _confirmation,
    "confirmation answered": _affirmation,
    "confirmation asked for": _asked,
    "turn": _turn,
    "order forwarded": _order,
    "order blocked": _order,
    "exception": _opened,
    "alert": _alert,
    "exception asked for": _asked_exception,
}
_IN_WORDS = ("actor", "text", "reason", "decision", "action", "symbol", "account", "quantity")


def _say(row: Row) -> _Say:
    what = str(row["what"])
    if what in _SAY:
        return _SAY[what](row)
    if what.startswith("execution"):
        return _execution(row)
    if "decision" in row:
        return _decided(row)
    if what == "exception overdue":
        return BAD, "Decision overdue", f"it was due {row['due_date']} {row['due_time']}", ""
    if what.startswith("statement closed"):
        by = f"by {row['actor']}" if row.get("actor") else ""
        return PLAIN, "Statement closed:", f"{what.partition(': ')[2]} {by}".strip(), ""
    if "msg_type" in row and "verdict" in row:
        return _request(row)
    words = " ".join(str(row[name]) for name in _IN_WORDS if row.get(name))
    return PLAIN, what.capitalize(), words, ""


def _page_of(row: Row) -> tuple[str, str]:
    """Where more about a step stands."""
    exception_id = str(row.get("exception_id", ""))
    if exception_id:
        return f"/exceptions/{exception_id}", exception_id
    if row["what"] == "exception" and "input_seq" in row:
        name = f"X-{row['input_seq']}-{row['position']}"
        return f"/exceptions/{name}", name
    return "", ""


def steps(timeline: Sequence[Row], zone: Zone) -> list[dict[str, Any]]:
    """A block's timeline, step by step, with the day where it changes."""
    found, day = [], None
    for row in timeline:
        tone, title, text, more = _say(row)
        path, path_text = _page_of(row)
        today = zone.local(int(row["ts_ns"])).date()
        found.append(
            {
                "tone": tone,
                "title": title,
                "text": text,
                "more": more,
                "ts_ns": row["ts_ns"],
                "journal_seq": row["journal_seq"],
                "new_day": today if today != day else None,
                "path": path,
                "path_text": path_text,
            }
        )
        day = today
    return found


# ---------------------------------------------------------------- what waits for a person


def todo(
    requests: Iterable[Row],
    opened: Iterable[Row],
    alerts: Iterable[Row],
    due_ns: Callable[[Row], int | None],
    now_ns: int,
) -> list[dict[str, Any]]:
    """Requests first, the most urgent first; then exceptions and alerts, the newest first."""
    asked: list[dict[str, Any]] = []
    for row in requests:
        due = due_ns(row)
        tone = BAD if due is not None and due < now_ns else WARN
        asked.append(
            {"kind": "request", "tone": tone, "path": f"/exceptions/{row['exception_id']}", "due_ns": due,
             "title": f"{row['kind'].capitalize()} of block {row['statement_id']}", "ts_ns": row["ts_ns"],
             "text": f"{row['code']}, asked by {row['requested_by']}; {row['role']} decides"}
        )  # fmt: skip
    asked.sort(key=lambda item: item["due_ns"] or item["ts_ns"])
    rest = [
        {"kind": "exception", "tone": opened_tone(row["state"]), "path": f"/exceptions/{row['exception_id']}",
         "due_ns": None, "title": row["text"], "ts_ns": row["ts_ns"], "text": _about(row)}
        for row in opened
    ]  # fmt: skip
    rest += [
        {"kind": row["severity"], "tone": severity_tone(row["severity"]), "path": f"/alerts#{row['alert_id']}",
         "due_ns": None, "title": row["text"], "ts_ns": row["ts_ns"], "text": _about(row)}
        for row in alerts
    ]  # fmt: skip
    rest.sort(key=lambda item: (item["tone"] != BAD, -int(item["ts_ns"])))
    return asked + rest


def _about(row: Row) -> str:
    return f"{row['reason']} about {row['subject']}" if row["subject"] else str(row["reason"])


def readable(alerts: Iterable[Row], who: Identity) -> list[Row]:
    """The alerts somebody may read: what a forensic review found is for compliance and auditors."""
    secret = () if who.may(Task.READ_REVIEWS) else _OF_REVIEWS
    return [row for row in alerts if row["reason"] not in secret]


def class_of(accounts: Iterable[Row]) -> Mapping[str, Row]:
    """Accounts by id."""
    return {str(row["account"]): row for row in accounts}
