"""Power: the published table reproduced, formula against simulation, the sentence beside a green checked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fixgateway.errors import UsageError
from fixgateway.forensics.power import Scheme, by_formula, favouritism, permuted_p, simulated
from fixgateway.forensics.stepdown import generator

TABLE = {0.1: (0.44, 0.16, 0.04), 0.2: (0.75, 0.45, 0.15), 0.3: (0.93, 0.73, 0.33), 0.5: (1.0, 0.96, 0.81),
         1.0: (1.0, 1.0, 1.0)}  # fmt: skip
"""Published: 50 blocks, winners .50 and losers .05 of the block against .20, t4 returns; 400 runs."""
BENEFITS = {0.1: 49_333, 0.2: 94_859, 0.3: 140_475, 0.5: 237_277, 1.0: 469_666}
ALPHAS = (0.05, 0.01, 0.001)


def compare(tampered: float, runs: int, permutations: int, confidence: float) -> None:
    """Two binomial counts, the published one of 400 runs; its two decimals add half a percent."""
    found = simulated(Scheme(), tampered, ALPHAS, runs, permutations, "table")
    z = float(stats.norm.isf((1 - confidence) / 2))
    for alpha, published in zip(ALPHAS, TABLE[tampered], strict=True):
        pooled = (400 * published + runs * found.rejected[alpha]) / (400 + runs)
        spread = (max(pooled * (1 - pooled), 0.002) * (1 / 400 + 1 / runs)) ** 0.5
        assert found.rejected[alpha] == pytest.approx(published, abs=z * spread + 0.005), (tampered, alpha)
    assert found.benefit == pytest.approx(BENEFITS[tampered], rel=0.1)


@pytest.mark.parametrize("tampered", [0.2, 0.5])
def test_published_power_few_runs(tampered: float) -> None:
    compare(tampered, 120, 1_999, 0.9999)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tampered", TABLE)
def test_published_power(tampered: float) -> None:
    compare(tampered, 1_000, 9_999, 0.999)


def test_nothing_tampered_is_never_found() -> None:
    found = simulated(Scheme(), 0.0, ALPHAS, 20, 999, "none")
    assert set(found.rejected.values()) == {0.0}
    assert found.benefit == 0


@pytest.mark.parametrize("tampered", [0.1, 0.2, 0.3])
def test_formula_is_near_the_published_power(tampered: float) -> None:
    for alpha, published in zip(ALPHAS, TABLE[tampered], strict=True):
        assert by_formula(Scheme(), tampered, alpha) == pytest.approx(published, abs=0.12)


def test_more_blocks_more_power() -> None:
    powers = [by_formula(Scheme(blocks=n), 0.1, 0.01) for n in (50, 100, 250, 1_000)]
    assert powers == sorted(powers)
    assert powers[-1] > 0.999


@pytest.mark.parametrize(
    ("scheme", "alphas", "permutations", "words"),
    [
        (Scheme(), (0.001,), 99, "give at least 999"),
        (Scheme(blocks=100_000), (0.05,), 10_000_000, "fewer runs or permutations"),
        (Scheme(), (0.0,), 999, "above 0"),
        (Scheme(blocks=1), (0.05,), 999, "at least 2 blocks"),
    ],
)
def test_what_cannot_be_done_is_refused(
    scheme: Scheme, alphas: tuple[float, ...], permutations: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        simulated(scheme, 0.1, alphas, 400, permutations, "x")


def test_permuted_p_by_hand() -> None:
    """One tampered block, the best of 20: chance 1/20 that it gets the best return."""
    deviation, returns = np.zeros(20), np.arange(20.0)
    deviation[-1] = 1.0
    p = permuted_p(deviation, returns, generator("x"), 20_000)
    assert p == pytest.approx(0.05, abs=4 * (0.05 / 20_000) ** 0.5)


Array = np.ndarray


def year(blocks: int, seed: int) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, blocks) * 0.014
    return np.full(blocks, 3e6), returns, np.full(blocks, 0.2), np.zeros(blocks, np.int64)


def test_sentence_beside_green_is_true() -> None:
    """Tampered as much as the sentence says, real permutations speak in about 80% of the cases."""
    notional, returns, due, strata = year(100, 5)
    said = favouritism(notional, returns, due, strata, 0.01, "s", "USD")
    tampered = float(str(said["tampered"]))
    assert "80% power" in str(said["text"])
    rng = np.random.default_rng(6)
    spoke, benefits = 0, []
    for _ in range(150):
        touched = rng.random(100) < tampered
        deviation = np.where(touched, np.where(returns > 0, 0.3, -0.15), 0.0) * notional
        spoke += permuted_p(deviation, returns, rng, 999) <= 0.01
        benefits.append(deviation @ returns)
    assert spoke / 150 == pytest.approx(0.8, abs=0.17)
    assert float(np.mean(benefits)) == pytest.approx(float(str(said["benefit"])), rel=0.1)


def test_many_blocks_see_smaller_shares() -> None:
    shares = [float(str(favouritism(*year(n, 5), 0.01, "s")["tampered"])) for n in (50, 200, 1_000)]
    assert shares[0] > shares[1] > shares[2]


def test_large_reviews_take_the_short_way_to_the_same_answer() -> None:
    """Beyond the simulated size the moments are computed; both ways agree where both can be taken."""
    from fixgateway.forensics import power

    made = year(4_000, 5)
    simulated_ = float(str(favouritism(*made, 0.01, "s")["tampered"]))
    before = power.SIMULATED_BLOCKS
    try:
        power.SIMULATED_BLOCKS = 100
        assert float(str(favouritism(*made, 0.01, "s")["tampered"])) == pytest.approx(simulated_, rel=0.1)
    finally:
        power.SIMULATED_BLOCKS = before


def test_too_few_blocks_say_so() -> None:
    notional, returns, due, strata = year(3, 5)
    assert "too few blocks" in str(favouritism(notional, returns, due, strata, 0.001, "s")["text"])
    assert "too few blocks" in str(favouritism(*year(1, 5), 0.01, "s")["text"])
