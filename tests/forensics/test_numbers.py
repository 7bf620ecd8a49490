"""Step-down, sign flips, rates, betting: against published cases, exact enumeration and scipy."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from scipy import stats

from fixgateway.forensics import betting, rates, stepdown
from fixgateway.forensics.signflip import day_sums, sign_flip, smallest_p


def test_magee_two_by_two() -> None:
    """SEC against Magee: 376 of 459 own trades profitable, 219 of 1,365 client trades."""
    found = rates.two_by_two(376, 459, 219, 1365)
    assert found.odds_ratio == pytest.approx(23.7, abs=0.05)
    assert found.p_greater == pytest.approx(8.9e-147, rel=0.01)
    assert found.difference == pytest.approx(0.819 - 0.160, abs=0.001)


@pytest.mark.parametrize(
    ("table", "p"), [((24, 25, 12, 25), 1.4e-4), ((18, 50, 12, 400), 1.0e-11)], ids=["lateness", "exceptions"]
)
def test_published_fisher_examples(table: tuple[int, int, int, int], p: float) -> None:
    assert rates.two_by_two(*table).p_greater == pytest.approx(p, rel=0.06)


def test_newcombe_published_interval() -> None:
    """Newcombe (1998), table II: 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    assert rates.newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_newcombe_without_hits() -> None:
    """Newcombe (1998), table II, method 10: 0/10 against 0/10 -0.2775 to 0.2775; 10/10 against 0/10 0.6075 to 1."""
    assert rates.newcombe(0, 10, 0, 10) == pytest.approx((-0.2775, 0.2775), abs=5e-5)
    assert rates.newcombe(10, 10, 0, 10) == pytest.approx((0.6075, 1.0), abs=5e-5)


def test_fisher_is_never_zero() -> None:
    assert rates.two_by_two(100_000, 100_000, 0, 100_000).p_greater > 0


def test_remainder_example() -> None:
    """40 extras in 100 blocks with a fraction of .2: z = 5.0, exact p = 4e-6."""
    below, above = rates.poisson_binomial(np.full(100, 0.2), 40)
    assert above == pytest.approx(float(stats.binom.sf(39, 100, 0.2)), rel=1e-9)
    assert above == pytest.approx(4e-6, rel=0.15)
    assert below == pytest.approx(1.0, abs=1e-5)


def test_poisson_binomial_of_unequal_chances_by_enumeration() -> None:
    chances = np.array([0.1, 0.5, 0.3, 0.9])
    weights = dict.fromkeys(range(5), 0.0)
    for outcome in product((0, 1), repeat=4):
        weights[sum(outcome)] += float(np.prod(np.where(np.array(outcome) == 1, chances, 1 - chances)))
    for k in range(5):
        below, above = rates.poisson_binomial(chances, k)
        assert below == pytest.approx(sum(weights[i] for i in range(k + 1)))
        assert above == pytest.approx(sum(weights[i] for i in range(k, 5)))


def test_large_poisson_binomial_agrees_with_the_binomial() -> None:
    chances = np.full(rates.CONVOLVED + 1, 0.1)
    for seen in (430, 500, 570):
        below, above = rates.poisson_binomial(chances, seen)
        assert below == pytest.approx(float(stats.binom.cdf(seen, len(chances), 0.1)), rel=0.02)
        assert above == pytest.approx(float(stats.binom.sf(seen - 1, len(chances), 0.1)), rel=0.02)


def test_rates_rank_and_shrink() -> None:
    """One heavy unit among many alike comes first; a tiny one with the same raw rate is pulled to the middle."""
    counted = {f"T{i:02d}": (4, 100) for i in range(20)} | {"BAD": (40, 100), "TINY": (1, 2)}
    found = {rate.name: rate for rate in rates.rates_against_rest(counted)}
    first = rates.rates_against_rest(counted)[0]
    assert first.name == "BAD"
    assert first.p < 1e-10
    assert first.low > 3
    assert found["TINY"].shrunken < 0.5 * (1 / found["TINY"].expected)
    assert sum(rate.expected for rate in found.values()) == pytest.approx(121)


def test_rates_that_differ_by_chance_only_shrink_away() -> None:
    rng = np.random.default_rng(5)
    counted = {f"T{i}": (int(rng.poisson(8)), 100) for i in range(60)}
    assert all(0.7 < rate.shrunken < 1.4 for rate in rates.rates_against_rest(counted))


def test_funnel_holds_what_it_says() -> None:
    (limits,) = rates.funnel(0.05, [200, 200])
    rng = np.random.default_rng(6)
    drawn = rng.poisson(10, 20_000) / 200
    inside = np.mean((drawn >= limits["low_95"]) & (drawn <= limits["high_95"]))
    assert 0.95 <= inside <= 0.98  # discrete: at least 95%


def test_step_down_by_hand() -> None:
    """Two statistics, four equally likely arrangements, the first observed: counted by hand."""
    chunk = np.array([[3.0, 1.0], [1.0, 3.0], [0.0, 0.5], [2.0, 2.0]])
    found = stepdown.step_down(chunk[0], [chunk], exact=True)
    # column 0: max >= 3 in rows 0 and 1 -> 2/4; column 1 alone: >= 1 in rows 0, 1 and 3 -> 3/4
    assert found.p.tolist() == [0.5, 0.75]
    assert found.p_single.tolist() == [0.25, 0.75]
    assert found.floor == 0.25


def test_step_down_is_monotone_and_never_zero() -> None:
    rng = np.random.default_rng(1)
    chunks = [rng.standard_normal((500, 4)) for _ in range(3)]
    found = stepdown.step_down(np.array([9.0, 0.1, 2.0, 8.0]), chunks)
    assert found.p[0] == 1 / 1501
    assert found.p[0] <= found.p[3] <= found.p[2] <= found.p[1]
    assert (found.p >= found.p_single).all()


@pytest.mark.parametrize("bits", [20, 53])
def test_quantised_sums_are_exact(bits: int) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_t(2, 1000) * 1e9
    whole, quantum = stepdown.quantised(values, bits)
    assert int(np.abs(whole).sum()) < 2**bits
    assert np.abs(whole * quantum - values).max() <= quantum / 2
    exact = [Fraction(1, 3), Fraction(-2, 3), Fraction(0)]
    whole, quantum = stepdown.quantised(exact, bits)
    assert whole[2] == 0
    assert abs(whole).sum() < 2**bits
    assert float(whole[0]) * quantum == pytest.approx(1 / 3, abs=quantum)


def test_sign_flip_enumerated() -> None:
    """All ten days the same way: 2 of 1,024 sign vectors are as extreme."""
    found = sign_flip(np.ones((10, 1)), np.random.default_rng(), 99)
    assert found.exact
    assert found.p[0] == 2 / 1024 == smallest_p(10)


def test_sign_flip_agrees_with_the_binomial() -> None:
    """Deviations of equal size: the sum is a binomial count; 17 of 19 up."""
    found = sign_flip(np.array([[1.0]] * 17 + [[-1.0]] * 2), np.random.default_rng(), 99)
    assert found.p[0] == pytest.approx(2 * sum(comb(19, k) for k in range(3)) / 2**19)


def test_sign_flip_drawn_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((60, 1)) + 0.25
    ours = sign_flip(values, np.random.default_rng(4), 100_000)
    theirs = stats.permutation_test(
        (values[:, 0],), lambda x, axis: np.abs(x.sum(axis=axis)), permutation_type="samples", n_resamples=100_000,
        vectorized=True, rng=np.random.default_rng(5), alternative="greater",
    )  # fmt: skip
    assert not ours.exact
    assert ours.p[0] == pytest.approx(theirs.pvalue, abs=4 * (2 * theirs.pvalue / 100_000) ** 0.5)


def test_days_are_flipped_whole() -> None:
    values = np.array([[1.0, 0.0], [1.0, 0.0], [-2.0, 0.0], [0.5, -0.5]])
    assert day_sums(values, np.array([7, 7, 7, 9])).tolist() == [[0.5, -0.5]]


def _wealth(rng: np.random.Generator, blocks: int, tampered: float | None, name: str) -> list[betting.Step]:
    """A history as in the published table: t4 returns; deviations follow them in tampered blocks, or are random."""
    returns = rng.standard_t(4, blocks)
    touched = np.ones(blocks, bool) if tampered is None else rng.random(blocks) < tampered
    way = rng.choice([-1.0, 1.0], blocks) if tampered is None else np.sign(returns)
    deviations = np.where(touched, way, 0.0)
    seen = (
        betting.Observation(f"{b:05d}", "growth/buy", f"{name}-{b}", float(deviations[b]), float(returns[b]))
        for b in range(blocks)
    )
    return list(betting.follow(seen, "seed"))


@pytest.mark.parametrize(
    ("tampered", "blocks", "amber", "median", "red"),
    [(1.0, 50, 1.0, 17, 1.0), (0.5, 50, 0.971, 29, 0.814), (0.3, 50, 0.615, 46, 0.143), (0.2, 250, 1.0, 68, 1.0)],
)
def test_monitor_reproduces_the_published_table(
    tampered: float, blocks: int, amber: float, median: int, red: float
) -> None:
    """P(E >= 20), the median block of it over all runs, P(E >= 100); 300 runs of ours."""
    rng = np.random.default_rng(10)
    runs = [_wealth(rng, blocks, tampered, str(k)) for k in range(300)]
    firsts = [next((i + 1 for i, step in enumerate(run) if step.highest >= betting.AMBER), 10**6) for run in runs]
    assert np.mean([run[-1].highest >= betting.AMBER for run in runs]) == pytest.approx(amber, abs=0.09)
    assert np.mean([run[-1].highest >= betting.RED for run in runs]) == pytest.approx(red, abs=0.09)
    assert np.median(firsts) == pytest.approx(median, abs=6)


def test_monitor_says_nothing_new_of_old_days() -> None:
    """Days added later never change what earlier days said, whatever order the blocks are given in."""
    rng = np.random.default_rng(11)
    blocks = [
        betting.Observation(f"{b // 3:03d}", "xy"[b % 2], f"B{b}", float(rng.normal()), float(rng.normal()))
        for b in range(90)
    ]
    whole = list(betting.follow(blocks, "s"))
    assert list(betting.follow(reversed(blocks[:60]), "s")) == whole[:20]


def test_monitor_bets_once_a_day_and_stratum() -> None:
    """Thirty blocks of one day move the wealth at most by one stake."""
    day = [betting.Observation("1", "x", f"B{i}", 1.0, 1.0) for i in range(30)]
    (step,) = betting.follow(day, "s")
    assert step.bets == 1
    assert step.wealth <= betting.BETWEEN * 1.5


def test_monitor_picks_the_days_block_without_its_return() -> None:
    blocks = [betting.Observation("1", "x", "B1", -5.0, 9.0), betting.Observation("1", "x", "B2", 4.0, 0.0)]
    assert betting.picked(blocks).block_id == "B1"


def test_no_deviation_keeps_the_wealth() -> None:
    blocks = [betting.Observation(f"{i // 2:03d}", "x", f"B{i}", 0.0, i * 0.1) for i in range(100)]
    assert {step.wealth for step in betting.follow(blocks, "s")} == {betting.BETWEEN}


@pytest.mark.parametrize("loser", [-0.5, 0.0])
def test_monitor_sees_a_scheme_inside_the_day(loser: float) -> None:
    """Two blocks a day, a winner first; it is raised, the other lowered or left: the picks are all winners."""
    rng = np.random.default_rng(12)
    blocks = []
    for day in range(60):
        high, low = sorted(rng.standard_t(4, 2))[::-1]
        blocks += [
            betting.Observation(f"{day:03d}", "x", f"A{day}", 1.0, high + 5),
            betting.Observation(f"{day:03d}", "x", f"B{day}", loser, low - 5),
        ]
    highest = [step.highest for step in betting.follow(blocks, "s")]
    assert highest[-1] >= betting.RED
    assert next(day for day, wealth in enumerate(highest) if wealth >= betting.AMBER) <= 15


def test_order_edge_is_fair_and_bounded() -> None:
    """Over all orders of four returns its mean is 0, its extremes are -1 and 1."""
    deviations, edges = (5.0, 1.0, -2.0, 0.5), []
    for outcomes in permutations((1.0, 2.0, 3.0, 4.0)):
        day = [betting.Observation("1", "x", f"B{i}", deviations[i], outcomes[i]) for i in range(4)]
        edge = betting.order_edge(day, "s")
        assert edge is not None
        edges.append(edge)
    assert sum(edges) == pytest.approx(0, abs=1e-12)
    assert (max(edges), min(edges)) == (pytest.approx(1), pytest.approx(-1))
    assert betting.order_edge([betting.Observation("1", "x", "B", 5.0, 1.0)], "s") is None
