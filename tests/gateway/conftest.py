"""Gateways for the tests here: started on demand, shown when a test fails, gone at the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from live import Live


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """``make(**arguments of Live)`` → a gateway that is not started yet."""
    numbers = itertools.count(1)
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(Live(tmp_path / f"gateway{next(numbers)}", **given))


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Live]]:
    """The same for gateways that the tests of a module share."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(Live(tmp_path_factory.mktemp("shared") / "gateway", **given))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Add the end of each running gateway's log to a failure."""
    report = yield
    if report.failed:
        for live in Live.running:
            report.sections.append((f"log of {live.directory}", live.tail()))
    return report
