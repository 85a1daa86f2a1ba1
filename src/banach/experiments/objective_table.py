"""Six objectives on one data set, all else equal: FID and inception scores with seeds and intervals."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from banach.experiments.correlation import Interval, mean_interval
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import keys_of
from banach.experiments.published import CIFAR10, TABLE_2
from banach.experiments.short_runs import ONE_SPLIT, SHORT, TINY, Size, keys
from banach.experiments.swept import Scored, by_data, by_score, draw_samples, swept, together, with_value
from banach.specs import slug

OBJECTIVES = {"x": "wasserstein", "exp(x)": "exp", "-log sigmoid(-x)": "logistic", "x + sqrt(x^2+1)": "sqrt",
              "max(0, x+1)": "hinge", "(x+1)^2": "least_squares:a=-1,b=1"}  # fmt: skip
"""phi of Table 2, and how this package spells the objective; psi is -x in all of them, by default."""

PLAIN = "x"
STRICT = ("exp(x)", "-log sigmoid(-x)", "x + sqrt(x^2+1)")
"""Those that meet the conditions of Lipschitz GANs and have a unique optimal critic."""

BEST = ("exp(x)", "x + sqrt(x^2+1)")
ALIKE = 0.10
"""The published FIDs of the three differ by 5%: twice that is allowed."""

WEIGHTS = (0.01, 0.1, 1.0, 10.0)
"""Those of MaxGP that the text searches, for each objective and data set."""

WEIGHT = 1.0
"""The one of short runs: that of the authors' later code."""

SMALL = Size(steps=450)


def run(setting: Setting) -> Outcome:
    """Every objective with every seed, on each data set."""
    found = by_data(swept(setting, grid(setting)))
    return together({data: _judged(setting, data, of) for data, of in found.items()})


def _judged(setting: Setting, data: str, found: Sequence[Scored]) -> Outcome:
    runs = {name: best_weight(with_value(found, "objective", spec))
            for name, spec in OBJECTIVES.items()}  # fmt: skip
    scores = by_score(runs)
    decides = next(iter(scores))
    rows = tuple(
        (name, *(str(mean_interval(table[name])) for table in scores.values()), f"{sum(bool(r.fault) for r in of)}",
         f"{of[0].values.get('penalty-weight', WEIGHT):g}")
        for name, of in runs.items()
    )  # fmt: skip
    heads = ("phi", *scores, "runs not finite", "weight")
    table = Table("Mean over the seeds, with Student's 95% interval", heads, rows)
    numbers = {"scores": scores, "faults": {name: [one.fault for one in of] for name, of in runs.items()}}
    settings = {key: value for key, value in grid(setting).items() if key != "seeds"}
    at = f"-{slug(data)}" if data else ""
    figures = (_draw_scores(setting, f"objective-table{at}", scores[decides]),
               draw_samples(setting, f"objective-samples{at}", {name: of[0] for name, of in runs.items()}))  # fmt: skip
    remarks = () if setting.scale == "paper" else (SHORT,)
    return Outcome(settings, numbers, checks_of(scores[decides]), (table, TABLE_2, CIFAR10), figures, remarks)


def best_weight(runs: Sequence[Scored]) -> list[Scored]:
    """The runs, one a seed, with the penalty's weight of least mean FID, as the text chooses it for each objective."""
    weights = dict.fromkeys(one.values.get("penalty-weight") for one in runs)
    by_weight = {weight: [one for one in runs if one.values.get("penalty-weight") == weight] for weight in weights}
    fid = next(iter(by_score(by_weight).values()))
    return by_weight[min(by_weight, key=lambda weight: statistics.fmean(fid[weight]))]


def checks_of(fid: Mapping[str, Sequence[float]]) -> tuple[Check, ...]:
    """The rule on FIDs by objective, one a seed."""
    means = {name: mean_interval(of).value for name, of in fid.items()}
    others = [value for name, value in means.items() if name not in BEST]
    strict, best = [means[name] for name in STRICT], min(means[name] for name in BEST)
    return (
        Check("FID of exp, logistic and sqrt beyond that of x, upper end", beyond(fid).high, 0.0, False),
        Check("FID of the better of exp and sqrt less the best other", best - min(others), 0.0, False),
        Check("(greatest - least) / least FID of exp, logistic, sqrt", (max(strict) - min(strict)) / min(strict), ALIKE,
              False),
    )  # fmt: skip


def beyond(fid: Mapping[str, Sequence[float]]) -> Interval:
    """The mean FID of the three strictly convex objectives less that of x, by seed, with its interval."""
    pairs = zip(*(fid[name] for name in STRICT), fid[PLAIN], strict=True)
    return mean_interval([sum(strict) / len(STRICT) - plain for *strict, plain in pairs])


def _draw_scores(setting: Setting, name: str, fid: Mapping[str, Sequence[float]]) -> Figure:
    caption = "FID by objective, a dot a run."
    with drawn(setting.folder, name, caption, (6, 2.6)) as (figure, told):
        axes = figure.add_subplot()
        for at, (values, colour) in enumerate(zip(fid.values(), COLOURS, strict=True)):
            axes.plot(values, [at] * len(values), "o", color=colour)
        axes.set(xlabel="FID")
        axes.set_yticks(range(len(fid)), list(fid))
        axes.invert_yaxis()
    return told


def grid(setting: Setting) -> dict[str, Any]:
    """The runs as a sweep: at the paper's scale on CIFAR-10, and on Tiny ImageNet and Oxford 102 from their folders, at
    32x32, or on the user's data."""
    objectives, seeds = {"objective": list(OBJECTIVES.values())}, list(setting.seeds)
    if setting.scale == "paper":
        folders = ({"data": "tiny-imagenet-200/train", "size": 32}, {"data": "oxford102/jpg", "size": 32})
        cases = [{"data": "cifar10"}, *folders] if setting.data is None else [keys_of(setting)]
        weights = {"penalty-weight": list(WEIGHTS)}
        return {"preset": "lgan-cifar10", "cases": cases, "grid": {**objectives, **weights}, "seeds": seeds}
    size = setting.pick(TINY, SMALL, SMALL)
    base = keys(size, **keys_of(setting), **ONE_SPLIT, space="l2", penalty="maxgp", penalty_weight=WEIGHT,
                critic_scale=1, score_samples=size.samples)  # fmt: skip
    return {"base": {**base, "drift": 0.0}, "grid": objectives, "seeds": seeds}


EXPERIMENT = Experiment(
    name="objective-table",
    title="Six objectives, one data set",
    source="Lipschitz GANs, section 5.5 and Table 2",
    claim="Lipschitz GANs generally work better than WGAN; different ones have relatively similar results, and"
    " exp(x) and x + sqrt(x^2 + 1) achieve the best. The hinge and least squares work well too. All with MaxGP.",
    rule="FID in the features of the bundled classifier (pictures in colour: pixels): the mean of exp, logistic and"
    " sqrt is below that of x, with the whole of Student's 95% interval of the difference over the seeds; the better of"
    " exp and sqrt is at most the best of the others; the three differ by at most 10% (published: 5%). A run that ends"
    " in a number that is not finite has FID infinity.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 12},
    seeds={"tiny": 1, "small": 3, "paper": 4},
    own_data=True,
    grid=grid,
    judges_sweep=True,
)
