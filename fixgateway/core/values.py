"""Frozen values that are made often: the same dataclass, made in a quarter of the time.

The ``__init__`` of a frozen dataclass goes through ``object.__setattr__`` for every field, which is most of what
an order costs to describe. :func:`quick` gives the class an ``__init__`` that fills the slots while the object
still is of an open class with the same slots, and makes it one of the frozen class as its last step. Nothing else
changes: the object is frozen as soon as anybody can see it.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar, cast

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Give a frozen dataclass with slots a quick ``__init__``; write it above ``@dataclass``.

    Raises:
        TypeError: the class has a field this is not made for (a default factory, keyword only, not in
            ``__init__``), a ``__post_init__`` or a base class with fields.
    """
    own = fields(cast(Any, cls))
    odd = [x.name for x in own if x.default_factory is not MISSING or x.kw_only or not x.init]
    names = tuple(x.name for x in own)
    if odd or hasattr(cls, "__post_init__") or tuple(cls.__dict__.get("__slots__", ())) != names:
        raise TypeError(f"{cls.__name__} cannot be made quickly: {', '.join(odd) or 'see quick()'}")
    defaults = {f"default_{x.name}": x.default for x in own if x.default is not MISSING}
    arguments = [f"{name}=default_{name}" if f"default_{name}" in defaults else name for name in names]
    source = "\n ".join(
        [
            f"def __init__(self, {', '.join(arguments)}):",
            "become(self, open_class)",
            *(f"self.{name} = {name}" for name in names),
            "self.__class__ = frozen_class",
        ]
    )
    scope: dict[str, Any] = {
        "become": object.__dict__["__class__"].__set__,
        "open_class": type(f"Open{cls.__name__}", (), {"__slots__": names}),
        "frozen_class": cls,
        **defaults,
    }
    exec(source, scope)  # as dataclasses makes its own __init__
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = cls.__init__.__annotations__
    setattr(cls, "__init__", made)  # noqa: B010
    return cls
