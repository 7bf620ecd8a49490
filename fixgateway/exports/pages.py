"""Pages made from templates: everything that comes from outside is escaped, a missing value is an error."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import jinja2

from fixgateway.exports.forms import cell


def render(template: str, **values: Any) -> str:
    """A page from ``exports/templates``."""
    return _environment().get_template(template).render(**values)


def moment(text: str) -> str:
    """A time to the microsecond with a blank before the time of day, as people read it."""
    return text.replace("T", " ").removesuffix("Z")[:26] + " UTC" if text else ""


def share(text: str) -> str:
    """An exact share ``50000/3`` as ``16666 2/3``."""
    whole, rest = divmod(Fraction(text).numerator, Fraction(text).denominator)
    return f"{whole} {rest}/{Fraction(text).denominator}" if rest else str(whole)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fixgateway.exports"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"cell": cell, "moment": moment, "share": share}
    return environment
