"""Signing in and out, people, and one's own password."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from fixgateway.core.desk_inputs import RecordPerson
from fixgateway.core.people import MAY, Person, Role, Task
from fixgateway.web import pages_words as words
from fixgateway.web.credentials import SignedIn
from fixgateway.web.door import Denied, Door
from fixgateway.web.identity import Identity, viewer
from fixgateway.web.pages import Form, Pages, Posted, Said, allow, own_path, see

_LATELY = 30
_ROLES = tuple(str(role) for role in Role)
_MATRIX = tuple((task.value, tuple(str(role) for role in MAY[task])) for task in Task)


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""
    _add_signing(router, pages)

    @router.get("/people")
    def people(request: Request) -> Response:
        """Everybody recorded, and who may do what."""
        allow(request, Task.READ)
        return _people(pages, request)

    @router.post("/people")
    def added(request: Request, form: Posted) -> Response:
        """Add a person."""
        who = allow(request, Task.PEOPLE)
        return _record(pages, request, who, form, None)

    @router.get("/people/{person_id}")
    def person(request: Request, person_id: str) -> Response:
        """One person."""
        allow(request, Task.READ)
        return _person(pages, request, person_id)

    @router.post("/people/{person_id}")
    def change(request: Request, person_id: str, form: Posted) -> Response:
        """Change a person, give a one-time password, or change one's own."""
        who = allow(request, Task.READ)
        match form["action"]:
            case "password" if who.person_id == person_id:
                return _own_password(pages, request, person_id, form)
            case "unlock" if who.person_id != person_id:
                return _unlock(pages, request, person_id)
            case "new-password" if who.person_id != person_id:
                return _one_time(pages, request, person_id)
            case "change":
                who = allow(request, Task.PEOPLE)
                return _record(pages, request, who, form, _found(pages, person_id))
        raise HTTPException(HTTPStatus.FORBIDDEN, "that is not yours to do")


# ---------------------------------------------------------------- signing in and out


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


def _add_signing(router: APIRouter, pages: Pages) -> None:
    @router.get("/sign-in")
    def sign_in_form(request: Request, next: str = "/") -> Response:
        """The form."""
        return pages.show(request, "sign_in.html", next=own_path(next), must_change=False)

    @router.post("/sign-in")
    def sign_in(request: Request, form: Posted) -> Response:
        """Open a session, after choosing a password of one's own where the one given was for one time."""
        door, address = _door(request), viewer(request).address
        person_id, choosing = form["person_id"][:64], bool(form["new"])
        result: SignedIn | Denied
        if choosing and form["new"] != form["again"]:
            said = Said(words.BAD, "Not signed in.", "The two new passwords are not the same.")
            return _again(pages, request, form, said, HTTPStatus.UNPROCESSABLE_ENTITY, must_change=True)
        if choosing:
            result = door.change_password(person_id, form["password"], form["new"], address)
        else:
            result = door.sign_in(person_id, form["password"], address)
        if isinstance(result, SignedIn):
            answer = see(own_path(form["next"]))
            door.give_cookie(answer, result)
            return answer
        if result.must_change and not choosing:
            said = Said(words.WARN, "This is a one-time password.", "Choose one of your own to go on.")
            return _again(pages, request, form, said, HTTPStatus.FORBIDDEN, must_change=True)
        said = Said(words.BAD, "Not signed in.", f"{str(result)[:1].upper()}{str(result)[1:]}.")
        status = HTTPStatus.TOO_MANY_REQUESTS if result.locked else HTTPStatus.UNAUTHORIZED
        return _again(pages, request, form, said, status, must_change=choosing)

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        """End the session."""
        _door(request).sign_out(viewer(request), request)
        answer = see("/sign-in")
        _door(request).take_cookie(answer)
        return answer


def _again(
    pages: Pages, request: Request, form: Form, said: Said, status: HTTPStatus, *, must_change: bool
) -> Response:
    return pages.show(request, "sign_in.html", status=status, said=said, form={"person_id": form["person_id"][:64]},
                      next=own_path(form["next"]), must_change=must_change)  # fmt: skip


# ---------------------------------------------------------------- people


def _people(
    pages: Pages, request: Request, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None,
    form: Form | None = None,
) -> Response:  # fmt: skip
    who = viewer(request)
    rows = [person for _, person in sorted(pages.gateway.people().items())]
    chosen = form.all("roles") if form else []
    return pages.show(request, "people.html", status=status, said=said, form=form, people=rows, roles=_ROLES,
                      matrix=_MATRIX, chosen=chosen, may=_may(who))  # fmt: skip


def _may(who: Identity) -> dict[str, bool]:
    return {"people": who.known and who.may(Task.PEOPLE)}


def _found(pages: Pages, person_id: str) -> Person:
    found = pages.gateway.people().get(person_id)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"nobody is recorded as {person_id!r}")
    return found


def _person(
    pages: Pages, request: Request, person_id: str, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None,
    form: Form | None = None, secret: str = "",
) -> Response:  # fmt: skip
    who, person = viewer(request), _found(pages, person_id)
    own = who.person_id == person_id
    shown = own or who.may(Task.PEOPLE) or Role.AUDITOR in who.roles
    accesses = pages.reads.accesses(actor=person_id, limit=_LATELY) if shown else []
    return pages.show(
        request, "person.html", status=status, said=said, form=form, person=person, own=own, roles=_ROLES,
        may=_may(who), seen=_seen(person), accesses=accesses, secret=secret, shown=shown,
        can_change_password=who.means != "proxy", signs_in=_door(request).credentials.state(person_id),
    )  # fmt: skip


def _seen(person: Person) -> str:
    return "|".join((person.name, person.email, ",".join(person.roles), str(person.active)))


def _record(pages: Pages, request: Request, who: Identity, form: Form, before: Person | None) -> Response:
    """Add or change a person as the form says."""
    if not who.known:
        raise HTTPException(HTTPStatus.FORBIDDEN, "the first person is recorded on the machine: fixgateway people add")
    if before is not None and form["seen"] != _seen(before):
        said = Said(words.WARN, "Not saved: the person was changed meanwhile.", "This is how they stand now.")
        return _person(pages, request, before.person_id, HTTPStatus.CONFLICT, said)
    person_id = before.person_id if before else form.line("person_id", 64)
    active = bool(form["active"]) if before else True
    if before is None and person_id in pages.gateway.people():
        said = Said(words.BAD, "Not added.", f"{person_id} is recorded already.")
        return _people(pages, request, HTTPStatus.CONFLICT, said, form)
    roles = tuple(role for role in _ROLES if role in form.all("roles"))
    person = Person(person_id, form.line("name", 128), roles, active, form.line("email", 200))
    outcome = pages.gateway.act(lambda seq, ts_ns: RecordPerson(seq, ts_ns, who.person_id, person))
    if not outcome.done:
        said = Said(words.BAD, "Not saved.", f"{outcome.reason} {outcome.text}".strip())
        if before is None:
            return _people(pages, request, HTTPStatus.CONFLICT, said, form)
        return _person(pages, request, person_id, HTTPStatus.CONFLICT, said, form)
    if not active:
        _door(request).credentials.forget(person_id)
    if active and (before is None or not before.active):
        return _one_time(pages, request, person_id)
    return pages.done(f"/people/{quote(person_id, safe='')}", "person")


def _one_time(pages: Pages, request: Request, person_id: str) -> Response:
    """A one-time password, journaled before it is good for anything, and shown once."""
    who = allow(request, Task.PEOPLE)
    door = _door(request)
    if not who.known or door.person(person_id) is None:
        raise HTTPException(HTTPStatus.CONFLICT, f"{person_id} is not an active person")
    door.record(who.person_id, "password", f"{person_id} (one-time password)", who.address)
    secret = door.credentials.one_time_password(person_id)
    return _person(pages, request, person_id, secret=secret)


def _unlock(pages: Pages, request: Request, person_id: str) -> Response:
    """Let a name that failures have locked sign in again."""
    who, door = allow(request, Task.PEOPLE), _door(request)
    _found(pages, person_id)
    door.record(who.person_id, "password", f"{person_id} (unlocked)", who.address)
    door.credentials.unlock(person_id)
    return pages.done(f"/people/{quote(person_id, safe='')}", "person")


def _own_password(pages: Pages, request: Request, person_id: str, form: Form) -> Response:
    door = _door(request)

    def no(text: str) -> Response:
        said = Said(words.BAD, "Not changed.", text)
        return _person(pages, request, person_id, HTTPStatus.UNPROCESSABLE_ENTITY, said)

    if form["new"] != form["again"]:
        return no("The two new passwords are not the same.")
    result: Any = door.change_password(person_id, form["old"], form["new"], viewer(request).address)
    if not isinstance(result, SignedIn):
        return no(f"{str(result)[:1].upper()}{str(result)[1:]}.")
    answer = pages.done(f"/people/{quote(person_id, safe='')}", "password")
    door.give_cookie(answer, result)
    return answer
