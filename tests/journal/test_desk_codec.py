"""What people do at the desk, through the journal's text and back."""

from __future__ import annotations

import pytest
from desks import CHANGED, FAIR, Desk, asked, end, open_example

from fixgateway.core.desk_inputs import DecideException, RecordPerson, RequestException
from fixgateway.core.inputs import Configure
from fixgateway.journal.codec import decode_input, decode_outputs, encode_input, encode_outputs


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A day with a statement change, a deviation and a refusal."""
    world = open_example()
    world.mark()
    world.decide(asked(world.ask(CHANGED, kind="statement-change")).exception_id)
    end(world)
    world.ask(FAIR, actor="aud")
    world.decide(asked(world.ask({"CLIENT-A": 17000, "CLIENT-B": 4000, "CLIENT-C": 3000, "PROP": 6000})).exception_id)
    return world


def test_every_input_of_the_day_comes_back(desk: Desk) -> None:
    kinds = {type(given) for given in desk.inputs}
    assert {Configure, RecordPerson, RequestException, DecideException} <= kinds
    for given in desk.inputs:
        assert decode_input(encode_input(given), given.seq, given.ts_ns) == given


def test_every_output_of_the_day_comes_back(desk: Desk) -> None:
    assert decode_outputs(encode_outputs(7, tuple(desk.outputs))) == (7, tuple(desk.outputs))
