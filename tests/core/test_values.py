"""Frozen values made quickly are what the plain dataclass would be."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

import pytest

from fixgateway.core import fills, gate, inputs, orders, outputs
from fixgateway.core.values import quick
from fixgateway.journal import index
from fixgateway.wire import outward

QUICK: tuple[type[Any], ...] = (
    inputs.NewOrder,
    inputs.Execution,
    outputs.ForwardToBroker,
    outputs.PassToOms,
    outputs.ExecutionApplied,
    outputs.OrderChanged,
    gate.Cover,
    orders.Effect,
    fills.Fill,
    index.Sent,
    outward.Built,
)


@pytest.mark.parametrize("cls", QUICK)
def test_a_quick_value_has_its_fields_and_is_frozen(cls: type[Any]) -> None:
    names = [each.name for each in fields(cls)]
    given = {name: f"value of {name}" for name in names}
    value = cls(**given)
    assert type(value) is cls
    assert {name: getattr(value, name) for name in names} == given
    assert value == cls(*given.values())
    assert hash(value) == hash(cls(*given.values()))
    for name in (*names, "another", "__class__"):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(value, name, "changed")
    with pytest.raises(FrozenInstanceError):
        delattr(value, names[0])
    assert {name: getattr(value, name) for name in names} == given


@pytest.mark.parametrize("cls", QUICK)
def test_a_quick_value_can_be_copied_replaced_and_pickled(cls: type[Any]) -> None:
    names = [each.name for each in fields(cls)]
    value = cls(**{name: name for name in names})
    assert copy.deepcopy(value) == copy.copy(value) == pickle.loads(pickle.dumps(value)) == value
    changed = replace(value, **{names[-1]: "changed"})
    assert getattr(changed, names[-1]) == "changed"
    assert getattr(value, names[-1]) == names[-1]


def test_defaults_and_missing_arguments_are_those_of_the_dataclass() -> None:
    assert orders.Effect("fill") == orders.Effect(name="fill", reason="", text="")
    make: Callable[..., Any] = fills.Fill
    with pytest.raises(TypeError, match="price"):
        make(Decimal(1))
    with pytest.raises(TypeError, match="other"):
        make(Decimal(1), Decimal(2), other=3)


def test_what_cannot_be_made_quickly_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class WithFactory:
        items: list[int] = field(default_factory=list)

    @dataclass(frozen=True)
    class WithoutSlots:
        number: int

    @dataclass(frozen=True, slots=True)
    class Checked:
        number: int

        def __post_init__(self) -> None:
            raise AssertionError

    @dataclass(frozen=True, slots=True)
    class Below(fills.Fill):
        number: int = 0

    for cls in (WithFactory, WithoutSlots, Checked, Below):
        with pytest.raises(TypeError, match=cls.__name__):
            quick(cls)
