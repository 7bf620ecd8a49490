"""The report's pictures as SVG text, drawn from the numbers of ``figures.py`` and of the findings alone.

No pyplot, no window, no state: every picture is a function from its numbers to text, and the same numbers give the same
text. Colours are told apart by people who see few of them, and say nothing about right or wrong.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

Numbers = Mapping[str, Any]

INK, MUTED, FAINT, PALE = "#1c2733", "#5b6876", "#c9d1d9", "#eef1f4"
GROUP, OTHERS, NEITHER = "#b45309", "#1f4e79", "#8a949e"
KIND_COLOURS = {
    "Proprietary": GROUP,
    "Employee": "#6b4c9a",
    "Client, performance fee": "#0f766e",
    "Client": OTHERS,
    "Error account": NEITHER,
}
_WIDE = 7.4
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_BROWSER_FONT = "-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
SHORTEST_MINUTES = 0.5
"""Quicker allocations are drawn as so quick: the scale is logarithmic."""
_HOUR, _DAY = 60, 1_440
_LATE_TICKS = {1: "1 min", 10: "10 min", _HOUR: "1 h", 4 * _HOUR: "4 h", _DAY: "1 day", 7 * _DAY: "1 week"}
_CELLS_WITH_NUMBERS = 14
_PERIOD_NAMES = 8
_NAMED_POINTS = 5
_LONGEST_NAME = 24


def group_name(group: str) -> str:
    """The group in words."""
    known = {
        "union": "Proprietary, employee and performance-fee accounts",
        "own": "Proprietary and employee accounts",
        "fee": "Performance-fee accounts",
    }
    return known.get(group, f"Accounts of {group}" if group else "All accounts")


def _drawn(name: str, words: str, height: float, draw: Callable[[Figure], None]) -> str:
    """An SVG element: ``words`` describe it to who cannot see it; ids carry ``name``, as many share one page."""
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDE, height), layout="constrained")
        draw(figure)
        stream = io.StringIO()
        with warnings.catch_warnings():
            # Names in scripts that the measuring font lacks: the browser has its own fonts.
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = stream.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace("'DejaVu Sans', sans-serif", _BROWSER_FONT).replace("DejaVu Sans", _BROWSER_FONT)
    label = words.replace("&", "and").replace('"', "'").replace("<", "")
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"|height="[\d.]+pt" width="[\d.]+pt"', "", text).replace(
        "<svg", f'<svg role="img" aria-label="{label}"', 1
    )


def _money(value: float, _: object = None) -> str:
    size = abs(value)
    for unit, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:,.4g} {letter}".replace("-", "\N{MINUS SIGN}")
    return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")


def _short(name: str) -> str:
    """A name that leaves room for the picture."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _zero(axes: Axes, vertical: bool = False) -> None:
    (axes.axvline if vertical else axes.axhline)(0, color=MUTED, linewidth=0.8, zorder=1)


# ---------------------------------------------------------------- one function a picture


def benefit(numbers: Numbers) -> str:
    """Money over time, one line for each kind of account, its name at its end."""
    days = [date.fromisoformat(day) for day in numbers["dates"]]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = []
        for kind, values in numbers["series"].items():
            colour = KIND_COLOURS.get(kind, NEITHER)
            axes.step(days, values, where="post", color=colour, linewidth=1.8)  # type: ignore[arg-type]
            ends.append((values[-1], f"{kind}  {_money(values[-1])}", colour))
        if not any(value for values in numbers["series"].values() for value in values):
            axes.set_ylim(-1, 1)
            axes.set_yticks([0])
        _labels_at_the_end(axes, days[-1], ends)
        _zero(axes)
        locator = AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.yaxis.set_major_formatter(FuncFormatter(_money))
        axes.set_ylabel(numbers["currency"] or "money")
        axes.grid(axis="y", color=PALE)

    return _drawn("benefit", "Cumulative first-day money by kind of account over time", 2.9, draw)


def _labels_at_the_end(axes: Axes, day: date, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names beside the last points, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    apart = (high - low) * 0.075
    place = low - apart
    for value, words, colour in sorted(ends):
        place = max(value, place + apart)
        axes.annotate(
            words, (day, place), xytext=(6, 0), textcoords="offset points", color=colour, va="center",
            annotation_clip=False,
        )  # fmt: skip


def returns(numbers: Numbers) -> str:
    """First-day returns by what each group was allocated; beside it, of the blocks by how the group fared."""
    edges = np.array(numbers["edges_bps"])
    names = {"favoured": "the group", "others": "other accounts", "all": "all accounts"}
    colours = {"favoured": GROUP, "others": OTHERS, "all": OTHERS, "more": GROUP, "less": OTHERS}
    panels = [("Amounts allocated, %", numbers["weighted"], names)]
    if "blocks" in numbers:
        words = {"more": "more", "as expected": "as expected", "less": "less"}
        panels.append(("Blocks, by what the group received, %", numbers["blocks"], words))

    def draw(figure: Figure) -> None:
        all_axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
        for axes, (title, groups, words) in zip(all_axes, panels, strict=True):
            for name, group in groups.items():
                colour = colours.get(name, NEITHER)
                axes.stairs(group["percent"], edges, color=colour, linewidth=1.4)
                axes.stairs(group["percent"], edges, color=colour, fill=True, alpha=0.18)
                axes.axvline(group["mean_bps"], color=colour, linewidth=1, linestyle=(0, (3, 2)))
                axes.plot([], [], color=colour, linewidth=4, label=_distribution_words(words[name], group))
            _zero(axes, vertical=True)
            axes.set_title(title)
            axes.set_xlabel("first-day return, basis points (dashed: mean)")
            axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.24), handlelength=1, borderpad=0)
            axes.grid(axis="y", color=PALE)

    return _drawn("returns", "Distributions of first-day returns", 3.3, draw)


def _distribution_words(name: str, group: Numbers) -> str:
    # Adding 0.0 turns a rounded −0.0 into 0.0.
    mean = f"{round(group['mean_bps'], 1) + 0.0:+,.1f}".replace("-", "\N{MINUS SIGN}")
    return f"{name}: mean {mean} bp, {group['winning_percent']:.0f} % above zero"


def lateness(numbers: Numbers) -> str:
    """Minutes from completion to allocation against the block's return."""
    minutes = np.clip(np.array(numbers["minutes"], float), SHORTEST_MINUTES, None)
    moved, direction = np.array(numbers["return_bps"], float), np.array(numbers["direction"])
    limit = numbers.get("limit_minutes")

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for sign, words, colour, marker in (
            (0, "as expected", NEITHER, "o"),
            (-1, "group received less", OTHERS, "v"),
            (1, "group received more", GROUP, "^"),
        ):
            here = direction == sign
            if here.any():
                axes.scatter(
                    minutes[here], moved[here], s=16, marker=marker, color=colour, alpha=0.7, linewidths=0,
                    label=f"{words} ({int(here.sum()):,})",
                )  # fmt: skip
        axes.set_xscale("log")
        low, high = float(min(minutes.min(), limit or 240)) / 1.4, float(max(minutes.max(), limit or 1)) * 1.4
        axes.set_xlim(low, high)
        ticks = [tick for tick in _LATE_TICKS if low <= tick <= high]
        axes.set_xticks(ticks, [_LATE_TICKS[tick] for tick in ticks])
        axes.set_xticks([], minor=True)
        if limit:
            axes.axvline(limit, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
            left = limit * limit > low * high
            axes.annotate(
                f"limit {limit:g} min", (limit, 0.97), xycoords=axes.get_xaxis_transform(), color=MUTED, va="top",
                xytext=(-5 if left else 5, 0), textcoords="offset points", ha="right" if left else "left",
            )  # fmt: skip
        _zero(axes)
        axes.set_xlabel("time from completion to allocation (logarithmic)")
        axes.set_ylabel("first-day return, bp")
        axes.grid(color=PALE)
        axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=3, handletextpad=0.1, borderpad=0)

    return _drawn("lateness", "Time to allocation against first-day return, one mark a block", 3.0, draw)


def funnel(numbers: Numbers) -> str:
    """Rates of exceptions by unit against what chance alone would spread around the common rate."""
    panels = [
        (title, numbers[name], colour)
        for name, title, colour in (
            ("traders", "Traders: blocks with an exception", OTHERS),
            ("accounts", "Accounts: blocks with a deviating quantity", GROUP),
        )
        if name in numbers
    ]

    def draw(figure: Figure) -> None:
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, panel, colour) in zip(all_axes, panels, strict=True):
            _funnel_panel(axes, panel, colour)
            axes.set_title(title)

    return _drawn("funnel", "Exception rates by trader and by account with 95 and 99.8 percent limits", 2.9, draw)


def _funnel_panel(axes: Axes, panel: Numbers, colour: str) -> None:
    limits = panel["limits"]
    x = [limit["exposure"] for limit in limits]
    for low, high, tone in (("low_998", "high_998", PALE), ("low_95", "high_95", FAINT)):
        lows, highs = ([100 * limit[name] for limit in limits] for name in (low, high))
        axes.fill_between(x, lows, highs, color=tone, linewidth=0)
    axes.axhline(100 * panel["rate"], color=MUTED, linewidth=0.9)
    at: dict[tuple[int, float], list[str]] = {}
    for point in panel["points"]:
        at.setdefault((point["exposure"], 100 * point["events"] / point["exposure"]), []).append(point["name"])
    exposures, rates = [x for x, _ in at], [y for _, y in at]
    axes.scatter(exposures, rates, s=22, color=colour, alpha=0.85, linewidths=0, zorder=3)
    for place, names in list(at.items())[:_NAMED_POINTS]:
        words = ", ".join(map(_short, names[:2])) + (f" + {len(names) - 2}" if len(names) > 2 else "")
        axes.annotate(words, place, xytext=(-6, 0), textcoords="offset points", fontsize=7.5, ha="right", va="center")
    axes.set_xlabel("blocks")
    axes.set_ylabel("%")
    axes.set_xlim(0, max(exposures) * 1.1)
    axes.set_ylim(0, min(106.0, max([*rates, 200 * panel["rate"], 5.0]) * 1.2))


def heat(numbers: Numbers) -> str:
    """Accounts by months; orange above, violet below what was expected."""
    rows, periods = numbers["accounts"], numbers["periods"]
    cells = np.array([[np.nan if cell is None else cell for cell in line] for line in numbers["values"]], float)
    finite = np.abs(cells[np.isfinite(cells)])
    reach = max(float(np.quantile(finite, 0.98)) if finite.size else 0.0, 1.0)
    unit = "% above or below the expected amount" if numbers["unit"] == "percent" else "first-day return, bp"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_facecolor(PALE)
        image = axes.pcolormesh(
            np.ma.masked_invalid(cells), cmap="PuOr_r", norm=TwoSlopeNorm(0, -reach, reach), edgecolors="white",
            linewidth=0.8,
        )  # fmt: skip
        axes.invert_yaxis()
        axes.set_yticks(np.arange(len(rows)) + 0.5, _account_labels(numbers))
        step = 1 if len(periods) <= _CELLS_WITH_NUMBERS else -(-len(periods) // _PERIOD_NAMES)
        axes.set_xticks(np.arange(0, len(periods), step) + 0.5, periods[::step])
        axes.set_title(unit)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if len(periods) <= _CELLS_WITH_NUMBERS:
            _write_numbers(axes, cells, reach)
        bar = figure.colorbar(image, ax=axes, shrink=0.95, pad=0.015, aspect=22, extend="both")
        bar.outline.set_visible(False)

    return _drawn("heat", "Deviation by account and period", 0.9 + 0.25 * max(len(rows), 4), draw)


def _account_labels(numbers: Numbers) -> list[str]:
    return [
        f"{_short(name)} \N{BLACK DIAMOND SUIT}" if favoured else _short(name)
        for name, favoured in zip(numbers["accounts"], numbers["favoured"], strict=True)
    ]


def _write_numbers(axes: Axes, cells: np.ndarray, reach: float) -> None:
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.7 * reach else INK
            text = f"{value:+.0f}" if round(value) else "0"
            axes.text(
                column + 0.5,
                row + 0.5,
                text.replace("-", "\N{MINUS SIGN}"),
                ha="center",
                va="center",
                fontsize=7,
                color=colour,
            )


def permutation(numbers: Numbers) -> str:
    """What chance alone gives, and where the observed value lies."""
    edges, counts = np.array(numbers["edges"], float), np.array(numbers["counts"], float)
    observed = float(numbers["observed"])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.stairs(counts, edges, fill=True, color=OTHERS, alpha=0.35)
        axes.stairs(counts, edges, color=OTHERS, linewidth=0.8)
        axes.axvline(observed, color=GROUP, linewidth=2)
        axes.set_ylim(0, float(counts.max(initial=1)) * 1.2)
        left = observed > (edges[0] + edges[-1]) / 2
        axes.annotate(
            f"observed {_money(observed)}", (observed, 0.94), xycoords=axes.get_xaxis_transform(), color=GROUP,
            xytext=(-6 if left else 6, 0), textcoords="offset points", ha="right" if left else "left", weight="bold",
        )  # fmt: skip
        _zero(axes, vertical=True)
        axes.xaxis.set_major_formatter(FuncFormatter(_money))
        axes.yaxis.set_major_formatter(FuncFormatter(_money))
        axes.set_xlabel(f"benefit of the group, {numbers.get('currency') or 'money'}")
        axes.set_ylabel("rearrangements")

    return _drawn("permutation", "Benefit under rearrangement of returns, with the observed benefit", 2.6, draw)


PICTURES: Mapping[str, Callable[[Numbers], str]] = {
    "benefit": benefit,
    "permutation": permutation,
    "returns": returns,
    "lateness": lateness,
    "heat": heat,
    "funnel": funnel,
}
"""Every picture by the name of its numbers in the document's ``figures``, in the order of the report."""
