"""The forensics bench measures everything it names; its words say whether the aim is met."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from fixgateway.forensics import bench


@pytest.mark.full
def test_every_size_is_measured_and_told() -> None:
    sizes = bench.Sizes(blocks=(200, 400), permutations=(500, 1_000), rows=(600, 1_200), accounts=6)
    document = bench.measure(sizes)
    orders, rows = document["permutations"], document["rows"]
    assert set(orders["seconds"]) == {"200 x 500", "200 x 1000", "400 x 500", "400 x 1000"}
    assert orders["plain_loop_takes_times"] > 0
    assert set(orders["ratios"]) == {"permutation", "block"}
    assert set(rows["us_per_row"]) == set(rows["peak_mb"]) == set(rows["seconds"]) == {"600", "1200"}
    assert set(rows["ratios"]) == {"1200"}
    ratios = [*orders["ratios"].values(), *rows["ratios"].values()]
    assert document["aim"]["met"] == (max(ratios) <= bench.AIM_RATIO)
    assert bench.table(document).row_count == 4 + 3 + 2 + 1


def test_growth_is_told_as_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of the larger blotter takes three times as long: the aim is missed and the ratio says so."""
    taken = iter([(6.0, 100), (36.0, 200)])

    def apart(path: Path) -> dict[str, float]:
        seconds, peak = next(taken)
        return {"seconds": seconds, "cpu_seconds": seconds, "read_seconds": 1.0, "peak_mb": peak}

    monkeypatch.setattr(bench, "_apart", apart)
    document = bench.measure(bench.Sizes(blocks=(60, 120), permutations=(100, 200), rows=(600, 1_200), accounts=6))
    assert document["rows"]["us_per_row"] == {"600": 10_000.0, "1200": 30_000.0}
    assert document["rows"]["ratios"] == {"1200": 3.0}
    assert not document["aim"]["met"]


@pytest.mark.full
def test_a_review_that_fails_is_said(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="cannot be measured"):
        bench._apart(tmp_path / "missing.csv")


def test_the_made_year_has_whole_days_to_exchange() -> None:
    w, r, stratum, day = bench.year(2_000)
    assert len(set(stratum.tolist())) > 50
    assert len(day) > len(set(zip(stratum.tolist(), day.tolist(), strict=True)))
    assert w.any()
    assert r.any()
