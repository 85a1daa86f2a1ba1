"""Scores over the order s and the exponent p of the Sobolev norm W^(s,p), with seeds."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from banach.experiments.correlation import Interval, correlated, means
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import keys_of
from banach.experiments.published import CIFAR10
from banach.experiments.short_runs import ONE_SPLIT, SHORT, TINY, Size, keys
from banach.experiments.swept import Scored, by_data, by_score, draw_samples, swept, together, with_value
from banach.specs import slug

Point = tuple[float, float]
"""(s, p)."""

Runs = dict[Point, list[Scored]]
"""The runs of each point, one a seed."""

ByPoint = dict[Point, list[float]]
"""A score of these runs."""


@dataclass(frozen=True)
class Points:
    """The values of s at p = 2, those of p at s = 0, and both axes of the plane."""

    s: tuple[float, ...]
    p: tuple[float, ...]
    plane: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def along_s(self) -> list[Point]:
        """The line over s."""
        return [(s, 2) for s in self.s]

    @property
    def along_p(self) -> list[Point]:
        """The line over p."""
        return [(0, p) for p in self.p]

    @property
    def all(self) -> list[Point]:
        """Each point once, line by line."""
        return list(dict.fromkeys([*self.along_s, *self.along_p, *itertools.product(*self.plane)]))


_PLANE = (-1.0, 0.0, 1.0), (1.5, 2.0, 4.0)
FEW = Points((-1.0, 0.0, 1.0), (1.5, 2.0, 4.0), ((0.0,), (2.0,)))
SOME = Points((-2.0, -1.0, 0.0, 1.0, 2.0), (1.1, 1.5, 2.0, 4.0, 10.0), _PLANE)
PUBLISHED = Points((-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0), (1.1, 1.3, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0), _PLANE)
"""The paper's own values survive in its plots alone; these are from memory of them, and unverified."""

SMALL = Size(steps=1000)


def spec(point: Point) -> str:
    """The space of a point."""
    return f"Sobolev(s={point[0]:g}, p={point[1]:g})"


def run(setting: Setting) -> Outcome:
    """Every point with every seed, on each data set."""
    points = setting.pick(FEW, SOME, PUBLISHED)
    found = by_data(swept(setting, grid(setting)))
    return together({data: _judged(setting, points, data, of) for data, of in found.items()})


def _judged(setting: Setting, points: Points, data: str, found: Sequence[Scored]) -> Outcome:
    runs: Runs = {point: with_value(found, "space", spec(point)) for point in points.all}
    scores = by_score(runs)
    lines = {"s": (points.s, points.along_s), "p": (points.p, points.along_p)}
    ranks = {
        axis: {name: correlated(values, _along(table, line)) for name, table in scores.items()}
        for axis, (values, line) in lines.items()
    }
    first = next(iter(scores))
    decides = [name for name in scores if name.endswith(first.split(maxsplit=1)[1])]
    checks = tuple(_check(axis, name, ranks[axis][name]) for axis, name in itertools.product(ranks, decides))
    faults = _faults(runs)
    at = f"-{slug(data)}" if data else ""
    names = {f"s {s:g}, p {p:g}": runs[s, p][0] for s, p in sorted(points.all)}
    figures = (_draw_scores(setting, f"norm-grid{at}", points, scores[first]),
               draw_samples(setting, f"norm-grid-samples{at}", names))  # fmt: skip
    remarks = (*(_said(axis, of) for axis, of in ranks.items()), *_counted(faults))
    tables = (*_tables(points, scores, decides, ranks), CIFAR10)
    return Outcome(_settings(setting, points), _numbers(scores, ranks, faults), checks, tables, figures,
                   remarks if setting.scale == "paper" else (*remarks, SHORT))  # fmt: skip


def _settings(setting: Setting, points: Points) -> dict[str, Any]:
    grid_ = grid(setting)
    own = {key: grid_[key] for key in ("preset", "base", "cases") if key in grid_}
    return {**own, "s at p = 2": points.s, "p at s = 0": points.p, "plane": points.plane}


def _faults(runs: Runs) -> list[str]:
    return [f"{spec(point)}: {one.fault}" for point, of in runs.items() for one in of if one.fault]


def _numbers(
    scores: Mapping[str, ByPoint], found: Mapping[str, Mapping[str, Interval]], faults: list[str]
) -> dict[str, Any]:
    return {
        "scores": {name: {spec(point): of for point, of in table.items()} for name, table in scores.items()},
        "rank correlation": {axis: {name: vars(one) for name, one in of.items()} for axis, of in found.items()},
        "faults": faults,
    }


def _along(table: ByPoint, line: Sequence[Point]) -> list[list[float]]:
    return [table[point] for point in line]


def better_up(axis: str, name: str) -> bool:
    """Whether the claim has this score rise along the axis: less s and more p are better, and so is less FID, more IS.

    >>> better_up("s", "fid (fashion)"), better_up("p", "fid (fashion)"), better_up("p", "is (fashion)")
    (True, False, True)
    """
    return (axis == "s") == name.startswith("fid")


def _check(axis: str, name: str, found: Interval) -> Check:
    what = f"rank correlation of {name} with {axis}, {'lower' if better_up(axis, name) else 'upper'} end"
    return Check(what, found.low if better_up(axis, name) else found.high, 0.0, better_up(axis, name))


def answer(axis: str, name: str, found: Interval) -> str:
    """What an interval says about the claim: yes, no (the opposite), or not shown.

    >>> answer("s", "fid", Interval(0.9, 0.5, 1.0)), answer("p", "fid", Interval(0.9, 0.5, 1.0))
    ('yes', 'no, the opposite')
    >>> answer("s", "fid", Interval(0.3, -0.2, 0.8))
    'not shown: the interval holds 0'
    """
    if found.low <= 0 <= found.high:
        return "not shown: the interval holds 0"
    if not found.low <= found.high:
        return "not measured: an interval needs two seeds"
    return "yes" if (found.low > 0) == better_up(axis, name) else "no, the opposite"


def _said(axis: str, found: Mapping[str, Interval]) -> str:
    claim = {"s": "Lower s is better", "p": "Higher p is better"}[axis]
    return f"{claim}? " + "; ".join(f"by {name}: {answer(axis, name, one)}, {one}" for name, one in found.items()) + "."


def _counted(faults: Sequence[str]) -> tuple[str, ...]:
    return (f"{len(faults)} runs ended in a number that was not finite: {'; '.join(faults)}.",) if faults else ()


def _tables(
    points: Points,
    scores: Mapping[str, ByPoint],
    decides: Sequence[str],
    found: Mapping[str, Mapping[str, Interval]],
) -> tuple[Table, ...]:
    rows = tuple(
        (f"{s:g}", f"{p:g}", *(_shown(table[s, p]) for table in scores.values())) for s, p in sorted(points.all)
    )
    correlations = tuple((axis, name, str(one)) for axis, of in found.items() for name, one in of.items())
    return (
        Table("Mean, and (least to greatest) over the seeds", ("s", "p", *scores), rows),
        Table("Spearman's rank correlation, with its 95% bootstrap interval; the first decide: " + ", ".join(decides),
              ("along", "score", "correlation"), correlations),
    )  # fmt: skip


def _shown(values: Sequence[float]) -> str:
    return f"{float(means(np.array([values]))[0]):.4g} ({min(values):.4g} to {max(values):.4g})"


def _draw_scores(setting: Setting, name: str, points: Points, table: ByPoint) -> Figure:
    caption = "FID over s at p = 2, over p at s = 0 (a dot a run, the line their mean), and its mean in the plane."
    with drawn(setting.folder, name, caption, (10, 3)) as (figure, told):
        for at, (axis, line) in enumerate((("s", points.along_s), ("p", points.along_p))):
            axes, values = figure.add_subplot(1, 3, at + 1), [point[at] for point in line]
            for value, point in zip(values, line, strict=True):
                axes.plot([value] * len(table[point]), table[point], "o", color=COLOURS[at], alpha=0.5, markersize=4)
            axes.plot(values, means(np.array(_along(table, line))), color=COLOURS[at])
            axes.set(xlabel=f"{axis} at {'p = 2' if axis == 's' else 's = 0'}", ylabel="FID")
            if axis == "p":
                axes.set_xscale("log")
                axes.set_xticks(values, [f"{value:g}" for value in values])
                axes.minorticks_off()
        axes = figure.add_subplot(1, 3, 3)
        s, p = points.plane
        plane = means(np.array([table[point] for point in itertools.product(s, p)])).reshape(len(s), len(p))
        image = axes.imshow(np.where(np.isfinite(plane), plane, np.nan), cmap="viridis_r")
        for i, j in itertools.product(range(len(s)), range(len(p))):
            colour = "black" if plane[i, j] < np.nanmean(plane) else "white"
            axes.text(j, i, f"{plane[i, j]:.3g}", ha="center", va="center", color=colour)
        axes.set(xlabel="p", ylabel="s")
        axes.set_xticks(range(len(p)), [f"{one:g}" for one in p])
        axes.set_yticks(range(len(s)), [f"{one:g}" for one in s])
        figure.colorbar(image, ax=axes, shrink=0.8)
    return told


def grid(setting: Setting) -> dict[str, Any]:
    """The runs as a sweep: at the paper's scale all points on CIFAR-10 and CelebA, or on the user's data."""
    points = setting.pick(FEW, SOME, PUBLISHED)
    shared = {"grid": {"space": [spec(point) for point in points.all]}, "seeds": list(setting.seeds)}
    if setting.scale == "paper":
        both = [{"data": "cifar10:split=all"}, {"data": "celeba:split=all", "size": 64}]
        cases = both if setting.data is None else [keys_of(setting)]
        return {"preset": "bwgan-cifar10", "base": {"score-samples": 50_000}, "cases": cases, **shared}
    size = setting.pick(TINY, SMALL, SMALL)
    base = keys(size, **keys_of(setting), **ONE_SPLIT, penalty_weight="auto", critic_scale="auto", critic_start="slope",
                score_samples=size.samples)  # fmt: skip
    return {"base": base, **shared}


EXPERIMENT = Experiment(
    name="norm-grid",
    title="Scores over the order s and the exponent p of the norm",
    source="Banach Wasserstein GAN, section 4 and its figures of scores over s and p",
    claim="On CIFAR-10 both FID and inception scores indicate that negative s and large values of p lead to better"
    " image quality: the scores over s at p = 2 and over p at s = 0, one run a point.",
    rule="In the features of the bundled classifier (pictures in colour: pixels, FID alone), means over the seeds at"
    " each point: Spearman's rank correlation of FID with s at p = 2 is above 0 and with p at s = 0 below 0, of the"
    " inception score the other way round, and the 95% bootstrap interval of each (seeds drawn anew at each point) does"
    " not cross 0. A run that ends in a number that is not finite counts as the worst of all.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 55},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    own_data=True,
    grid=grid,
    judges_sweep=True,
)
