"""Who a request is from, and what they may: the dependencies handlers use.

The door (:mod:`.door`) finds out before any handler runs and leaves an :class:`Identity` with the request; nothing
here looks at passwords, cookies or tokens. While nobody is recorded the gateway is being set up: the identity is
then nobody's, ``set_up`` is true, and handlers take the name people give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from fixgateway.core.people import Person, Task, permitted

MACHINE = "machine:"
"""Begins the actor of whoever holds the machine itself."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request is from.

    Attributes:
        person_id: the signed-in person's id, "" for nobody (set-up, or a page that needs no sign-in).
        name: the person's name.
        roles: values of :class:`fixgateway.core.people.Role`.
        csrf: what forms carry in their hidden field ``csrf``; "" for programs that sent a token.
        set_up: nobody is recorded yet.
        means: ``session``, ``token``, ``proxy``, ``machine`` or "".
        address: where the request comes from.
    """

    person_id: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()
    csrf: str = ""
    set_up: bool = False
    means: str = ""
    address: str = ""

    @property
    def known(self) -> bool:
        """Whether this is a recorded person."""
        return bool(self.person_id) and not self.person_id.startswith(MACHINE)

    @property
    def person(self) -> Person | None:
        """The recorded person, None for nobody."""
        return Person(self.person_id, self.name, self.roles) if self.known else None

    def may(self, task: Task) -> bool:
        """Whether this person may do a task; during set-up everybody may what needs no recorded person."""
        return (self.set_up and task not in NEEDS_A_PERSON) or permitted(self.person, task)

    def actor(self, given: str = "") -> str:
        """Who the journal shall say acted: the signed-in person, during set-up the name given.

        Raises:
            HTTPException: 422 during set-up without a name.
        """
        if self.person_id:
            return self.person_id
        if not given:
            detail = "actor: missing (nobody is recorded yet, so say who acts)"
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        return given


NEEDS_A_PERSON = frozenset(
    (Task.REQUEST, Task.APPROVE, Task.APPROVE_DESIGNATION, Task.MARK, Task.REVIEW, Task.ATTEND, Task.RECONCILE)
)
"""Tasks that need a recorded person always: there is no second person, and no responsibility, without a first."""


def viewer(request: Request) -> Identity:
    """The dependency: who the request is from, as the door found out; nobody when no door stands before the app."""
    found = request.scope.get("state", {}).get("identity")
    return found if isinstance(found, Identity) else Identity(set_up=True)


Viewer = Annotated[Identity, Depends(viewer)]
"""A handler's parameter: who the request is from."""


def require(task: Task) -> Callable[[Request], Identity]:
    """The dependency for what only some roles may read or do: ``by: Annotated[Identity, Depends(require(Task.READ))]``.

    Raises:
        HTTPException: 403 from the dependency for everybody else, in words.
    """

    def check(request: Request) -> Identity:
        identity = viewer(request)
        if identity.may(task):
            return identity
        if identity.set_up:
            detail = f"to {task.value} needs a person, and nobody is recorded yet (fixgateway people add)"
        else:
            roles = ", ".join(identity.roles) or "none"
            detail = f"{identity.person_id or 'nobody'} may not {task.value} (roles: {roles})"
        raise HTTPException(HTTPStatus.FORBIDDEN, detail)

    return check
