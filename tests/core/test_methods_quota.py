"""The quick quota method against Balinski and Young's own, step by step."""

from __future__ import annotations

import random
from typing import Any

import pytest
from apportioner import quota_method
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core import quota as module
from fixgateway.core.quota import STEPS_MAX, quota, steps


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=7).filter(any), st.randoms(use_true_random=False))
def test_every_state_is_that_of_the_steps(weights: list[int], shuffler: random.Random) -> None:
    rank = list(range(len(weights)))
    shuffler.shuffle(rank)
    for units, state in enumerate(quota_method(min(sum(weights) + 9, 120), weights, rank)):
        assert quota(units, weights, rank) == state


@pytest.mark.parametrize("seed", range(6))
def test_leaps_over_steps_miss_none(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small accounts beside large ones, with samples and chunks so small that leaps are taken."""
    leaps = []
    leap = module._Round._leap
    monkeypatch.setattr(module, "_CHUNK", 16)
    monkeypatch.setattr(module, "_CHUNK_MAX", 64)
    monkeypatch.setattr(module, "_SAMPLE", 2)

    def counted(*args: Any) -> int:
        leaps.append(leap(*args))
        return leaps[-1]

    monkeypatch.setattr(module._Round, "_leap", counted)
    draw = random.Random(seed)
    weights = [1] * 40 + [draw.randint(20, 60) for _ in range(40)]
    rank = list(range(len(weights)))
    draw.shuffle(rank)
    wanted = sorted(draw.sample(range(1, 700), 12))
    for units, state in enumerate(quota_method(wanted[-1], weights, rank)):
        if units in wanted:
            assert quota(units, weights, rank) == state
    assert any(leaps)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(40))
def test_long_runs(seed: int) -> None:
    draw = random.Random(seed)
    weights = [int(draw.choice([10, 1000, 100_000]) ** draw.random()) + 1 for _ in range(draw.randint(2, 60))]
    rank = list(range(len(weights)))
    draw.shuffle(rank)
    for units, state in enumerate(quota_method(min(sum(weights), 1500), weights, rank)):
        assert quota(units, weights, rank) == state


def test_a_million_shares_do_not_take_a_million_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    count = module._Round._count

    def counting(self: object, first: int, last: int, *more: object) -> None:
        counted.append(last - first + 1)
        count(self, first, last, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(module._Round, "_count", counting)
    weights = [25_000_001, 10_000_007, 5_000_003, 10_000_009]
    shares = quota(30_000_013, weights, range(4))
    assert sum(shares) == 30_000_013
    assert all(abs(x * sum(weights) - 30_000_013 * w) < sum(weights) for x, w in zip(shares, weights, strict=True))
    assert sum(counted) <= 2 * steps(weights)


def test_what_would_take_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps say so beforehand; whoever asks all the same is stopped."""
    assert steps([333_333_333] * 3 + [1] * 3) > STEPS_MAX > steps([25_000, 10_000, 5_000, 10_000])
    monkeypatch.setattr(module, "STEPS_MAX", 100)
    monkeypatch.setattr(module, "_CHUNK", 16)
    weights = [1] * 40 + [41, 43, 47, 53, 59] * 8
    with pytest.raises(ValueError, match="smallest weight 1 is too small for the sum 1984"):
        quota(1500, weights, range(80))


def test_no_weight_no_share() -> None:
    assert quota(7, [0, 3, 0, 4], range(4)) == [0, 3, 0, 4]
    with pytest.raises(ValueError, match="cannot be divided"):
        quota(1, [0, 0], range(2))
