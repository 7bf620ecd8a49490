"""A core world with people, for tests of alerts, digests and reconciliations."""

from __future__ import annotations

from dataclasses import replace

from worlds import SETUP, World, one, some

from fixgateway.core import outbox
from fixgateway.core.desk_facts import ActionRefused, AlertAcknowledged
from fixgateway.core.desk_inputs import AcknowledgeAlert, RecordPerson
from fixgateway.core.model import Setup
from fixgateway.core.people import Person, Role

DESK = replace(SETUP, desk=True, life_cycle=True, money=True)
PEOPLE = (
    Person("cco", "The CCO", (Role.COMPLIANCE,)),
    Person("ops", "Operations", (Role.OPERATIONS,)),
    Person("tina", "A trader", (Role.TRADER,)),
)


def desk(setup: Setup = DESK) -> World:
    """A world with three people; the first is recorded by whoever holds the machine."""
    world = World(setup)
    for person in PEOPLE:
        actor = "cco" if world.engine.state and world.engine.state.people else "machine:root"
        assert not some(world.give(RecordPerson, actor=actor, person=person), ActionRefused)
    for alert_id in list(kept(world)):
        assert one(world.give(AcknowledgeAlert, actor="cco", alert_id=alert_id, text="known"), AlertAcknowledged)
    return world


def kept(world: World) -> dict[str, outbox.AlertRecord]:
    """The unacknowledged alerts."""
    assert world.engine.state is not None
    return world.engine.state.alerts
