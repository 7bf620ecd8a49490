"""docs/people.md has the role matrix of the code, docs/api.md every address of the API."""

from __future__ import annotations

import re
from pathlib import Path

from webdesk import desk

from fixgateway.core.people import MAY, Role, Task

ROOT = Path(__file__).parents[2]
PEOPLE = (ROOT / "docs" / "people.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
ROWS = {
    "read blocks": (Task.READ,),
    "read forensic": (Task.READ_REVIEWS,),
    "register": (Task.REGISTER,),
    "close, book": (Task.OPERATE,),
    "halt": (Task.SWITCH,),
    "administer sessions": (Task.SESSION, Task.HOLDING, Task.MARK, Task.SEND_AGAIN),
    "ask": (Task.REQUEST,),
    "decide deviations": (Task.APPROVE,),
    "decide re-designations": (Task.APPROVE_DESIGNATION,),
    "attend": (Task.ATTEND,),
    "reconcile": (Task.RECONCILE,),
    "run and sign": (Task.REVIEW,),
    "place legal": (Task.HOLD,),
    "export": (Task.EXPORT,),
    "administer people": (Task.PEOPLE,),
}
"""How a row of the table begins, and the tasks it speaks of."""


def test_the_table_of_roles_is_the_codes() -> None:
    head = next(line for line in PEOPLE.splitlines() if line.startswith("| task |"))
    assert [cell.strip() for cell in head.strip("|").split("|")[1:]] == [role.value for role in Role]
    written: dict[Task, set[Role]] = {}
    for line in PEOPLE[PEOPLE.index(head) :].split("\n\n")[0].splitlines()[2:]:
        words, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        (begin,) = (begin for begin in ROWS if words.startswith(begin))
        may = {role for role, cell in zip(Role, cells, strict=True) if cell == "yes"}
        written |= dict.fromkeys(ROWS[begin], may)
    assert written == {task: set(roles) for task, roles in MAY.items()}


def test_every_address_of_the_api_is_named() -> None:
    with desk({}, records=True) as firm:
        paths = firm.client().get("/api/openapi.json").json()["paths"]
    missing = []
    for path in paths:
        *_, last = (part for part in path.split("/") if not part.startswith("{"))
        if not re.search(rf"[/`\s]{re.escape(last)}[`/\[?\s,]", API):
            missing.append(path)
    assert missing == []
