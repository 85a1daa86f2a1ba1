"""Weighted and product norms: training that looks at one channel or at the centre, and pictures with their vectors."""

import functools
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from banach.config.config import Config
from banach.data.dataset import Data
from banach.data.load import load
from banach.experiments.drawing import drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import split
from banach.experiments.seeded import with_spread
from banach.experiments.trained import samples, trained_as
from banach.metrics.features import extractor
from banach.metrics.transported import transported
from banach.spaces import Lp, Space, space
from banach.spaces.metric import pair
from banach.testing.ascent import steepest
from banach.training.state import State

HIGH, LOW = 2.0, 0.5
"""The weights of what is in focus and of the rest."""

SIDE, CLASSES = 16, 10
_FOCUS, _AGREE = 0.9, 0.5
_TRANSPORTED = 400


def mask(side: int) -> tuple[tuple[float, ...], ...]:
    """`HIGH` on the central half of the rows and columns, `LOW` outside."""
    quarter = side // 4
    inside = range(quarter, side - quarter)
    return tuple(tuple(HIGH if i in inside and j in inside else LOW for j in range(side)) for i in range(side))


def spaces(side: int) -> dict[str, str]:
    """The norms of the focus: without one, on the red channel, on the centre."""
    return {
        "L2": "Lp(2)",
        "red": f"Weighted(Scale(({HIGH}, {LOW}, {LOW})), Lp(2))",
        "centre": f"Weighted(Scale({mask(side)}), Lp(2))",
    }


def product(side: int) -> str:
    """The norm of a picture with its vector."""
    return f"Product(2, (Lp(2), Lp(1)), ((1, {side}, {side}), ({CLASSES},)))"


def red(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The red channel (n, 1, h, w), and the two others."""
    return x[:, :1], [x[:, 1:2], x[:, 2:]]


def centre(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The entries (n, d) in the central half of rows and columns, and those outside."""
    inside = torch.tensor(mask(x.shape[-1])) == HIGH
    return x[..., inside].flatten(1), [x[..., ~inside].flatten(1)]


PARTS: dict[str, Callable[[Tensor], tuple[Tensor, list[Tensor]]]] = {"red": red, "centre": centre}
"""What each focus looks at, and the rest."""


@dataclass(frozen=True)
class Sizes:
    """How long and how large the runs of a scale are; `steps` of the focus and of the pictures with vectors."""

    side: int
    width: int
    steps: tuple[int, int]
    data: int


def coloured(n: int, side: int, seed: int) -> Tensor:
    """n pictures (n, 3, side, side) in [0, 255] whose channels are three grey ones, drawn independently."""
    grey = split(None, side, 0.0).train[:]
    rows = torch.randint(len(grey), (n, 3), generator=torch.Generator().manual_seed(seed))
    return grey[:, 0][rows]


def with_vectors(n: int, side: int, seed: int) -> Tensor:
    """n rows of a grey picture in [-1, 1], flat, and the vector of its class, 1 at its place and -1 elsewhere."""
    data = split(None, side, 0.0)
    rows = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))[:n]
    if data.labels is None:
        raise AssertionError("the bundled pictures have labels")
    return torch.cat([data.batch(rows).flatten(1), 2.0 * one_hot(data.labels[rows], CLASSES) - 1], 1)


def agreement(rows: Tensor, side: int) -> tuple[float, float]:
    """The share of rows whose vector is largest at the class of their picture, by the shipped classifier; and that
    with each vector given to the next picture."""
    shape = (1, side, side)
    pictures, vectors = rows[:, : math.prod(shape)].reshape(-1, *shape), rows[:, math.prod(shape) :]
    grey = ((pictures + 1) * 127.5).round().clamp(0, 255).byte()
    seen, told = extractor("fashion").logits(grey).argmax(1), vectors.argmax(1)
    return float((seen == told).double().mean()), float((seen == told.roll(1)).double().mean())


def attained(spec: str, event: tuple[int, ...], seed: int) -> list[float]:
    """The least and the largest of sup pair(u, x)/|x|, found by ascent, over the dual norm of random u; 1 if right.

    The direction that the dual norm's own gradient gives is among the starts.
    """
    norm = space(spec)
    if not isinstance(norm, Space):
        raise TypeError(f"{spec} is no norm")
    rng = torch.Generator().manual_seed(seed)
    u = torch.randn(6, *event, generator=rng, dtype=torch.float64).requires_grad_()
    told = norm.dual.norm(u)
    (direction,) = torch.autograd.grad(told.sum(), u)
    u, told = u.detach(), told.detach()
    found = steepest(norm, u, rng, (direction,)) / told
    reached = pair(u, direction) / norm.norm(direction) / told
    return [float(torch.maximum(found, reached).min()), float(found.max())]


def config_of(spec: str, steps: int, seed: int, sizes: Sizes) -> Config:
    """Fully connected networks, lambda and gamma from the data."""
    return Config(
        space=spec, model="mlp", z=64, g_width=sizes.width, d_width=sizes.width, batch=64, n_critic=2, lr=5e-4,
        decay="linear", ema=0.9, penalty="wgan-gp", steps=steps, seed=seed,
    )  # fmt: skip


def focus_run(arm: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Train on the coloured pictures; the excess of W1 of each part over that of the rest."""
    data = load(coloured(sizes.data, sizes.side, seed), axes="bchw", holdout=0.2, seed=seed)
    config = config_of(spaces(sizes.side)[arm], sizes.steps[0], seed, sizes)
    found = trained_as(config, data, 0, lambda state: parts(state, data))
    return {"excess": found.seen[-1][1], "at the start": found.seen[0][1], "ended": found.ended,
            "samples": samples(found.state, 8).nan_to_num(0.0).clamp(-1, 1).tolist()}  # fmt: skip


def parts(state: State, data: Data) -> dict[str, list[float]]:
    """[excess of what is in focus, mean excess of the rest], by focus; W1 in L2, against held-out pictures."""
    made, real = samples(state, _TRANSPORTED), data.model_units(data.held_out[:_TRANSPORTED])
    if not made.isfinite().all():
        return {name: [math.inf, math.inf] for name in PARTS}
    found = {}
    for name, of in PARTS.items():
        (fake_in, fake_out), (real_in, real_out) = of(made), of(real)
        rest = [_excess(fake, one) for fake, one in zip(fake_out, real_out, strict=True)]
        found[name] = [_excess(fake_in, real_in), statistics.fmean(rest)]
    return found


def _excess(fakes: Tensor, reals: Tensor) -> float:
    found = transported(fakes, reals, Lp(2), samples=_TRANSPORTED).excess
    return math.nan if found is None else found.value


def joint_run(seed: int, sizes: Sizes) -> dict[str, Any]:
    """Train on pictures with their vectors; the share of samples in which both agree."""
    rows = with_vectors(sizes.data, sizes.side, seed)
    data = load(rows, normalise="none", holdout=0.2, seed=seed)
    found = trained_as(config_of(product(sizes.side), sizes.steps[1], seed, sizes), data, 0,
                       lambda state: agreement(samples(state, 1000).nan_to_num(0.0), sizes.side))  # fmt: skip
    real = agreement(data.held_out[:], sizes.side)
    return {"agree": found.seen[-1][1], "at the start": found.seen[0][1], "real": real,
            "ended": found.ended, "samples": samples(found.state, 10).nan_to_num(0.0).tolist()}  # fmt: skip


def run(setting: Setting) -> Outcome:
    """The dual norms, the three focuses, and the pictures with vectors, with every seed."""
    sizes = setting.pick(Sizes(8, 16, (3, 3), 400), Sizes(SIDE, 256, (800, 2000), 5000),
                         Sizes(28, 512, (20_000, 40_000), 10_000))  # fmt: skip
    events = {**dict.fromkeys(spaces(sizes.side), (3, sizes.side, sizes.side)),
              "product": (sizes.side**2 + CLASSES,)}  # fmt: skip
    specs = {**spaces(sizes.side), "product": product(sizes.side)}
    duals = {
        name: setting.part(f"dual {name} side={sizes.side}", functools.partial(attained, specs[name], event, 0))
        for name, event in events.items()
    }
    runs = {arm: [setting.part(f"focus {arm} seed={seed} {sizes}", functools.partial(focus_run, arm, seed, sizes))
                  for seed in setting.seeds] for arm in spaces(sizes.side)}  # fmt: skip
    joint = [setting.part(f"joint seed={seed} {sizes}", functools.partial(joint_run, seed, sizes))
             for seed in setting.seeds]  # fmt: skip
    shift = {name: focused(runs[name], runs["L2"], name) for name in PARTS}
    shares = [one["agree"][0] / one["real"][0] for one in joint]
    checks = (
        *(Check(f"{name}: sup of <u, x>/|x| over the dual norm, least of 6", least, 0.999)
          for name, (least, _) in duals.items()),
        *(Check(f"{name}: sup of <u, x>/|x| over the dual norm, largest of 6", most, 1.000001, False)
          for name, (_, most) in duals.items()),
        *(Check(f"{name} in focus: excess in it over that of the rest, against the same in L2, mean over seeds",
                statistics.fmean(values), _FOCUS, False) for name, values in shift.items()),
        Check("picture and vector agree, share of that of real pairs, mean over seeds", statistics.fmean(shares),
              _AGREE),
    )  # fmt: skip
    settings = {
        "focus": f"three grey pictures as channels, {sizes.side} x {sizes.side}; weights {HIGH} and {LOW}",
        "product": product(sizes.side), "network": f"mlp, width {sizes.width}", "batch": 64, "critic steps each": 2,
        "steps": f"{sizes.steps[0]} of the focus, {sizes.steps[1]} of pictures with vectors", "data": sizes.data,
        "rate": "Adam (0, 0.9) 5e-4, linear to 0", "lambda and gamma": "from the data", "W1": f"{_TRANSPORTED} of each",
    }  # fmt: skip
    found = {
        "duals": duals,
        "focus": {arm: [{key: one[key] for key in one if key != "samples"} for one in of] for arm, of in runs.items()},
        "focus against L2": shift,
        "joint": [{key: one[key] for key in one if key != "samples"} for one in joint],
    }
    figures = (_draw_focus(setting, runs), _draw_joint(setting, joint, sizes.side))
    return Outcome(settings, found, checks, _tables(runs, joint), figures)  # fmt: skip


def focused(weighted: list[dict[str, Any]], plain: list[dict[str, Any]], name: str) -> list[float]:
    """By seed, (excess in focus / excess of the rest) under the weighted norm, over the same under L2."""
    ratios = [[float(one["excess"][name][0]) / float(one["excess"][name][1]) for one in of] for of in (weighted, plain)]
    return [with_focus / without for with_focus, without in zip(*ratios, strict=True)]


def _tables(runs: Mapping[str, list[dict[str, Any]]], joint: list[dict[str, Any]]) -> tuple[Table, ...]:
    heads = ("norm", *(f"{name}{what}" for name in PARTS for what in ("", ": the rest")))
    rows = tuple(
        (arm, *(with_spread([float(one["excess"][name][at]) for one in of]) for name in PARTS for at in (0, 1)))
        for arm, of in runs.items()
    )
    pairs = tuple(
        (title, *(with_spread([one[key][at] for one in joint]) for at in (0, 1)))
        for title, key in (("generated", "agree"), ("untrained", "at the start"), ("real", "real"))
    )
    return (
        Table("Excess of W1 in L2 by part of the picture", heads, rows),
        Table("Share of pictures whose class, by a classifier, is the one of their vector",
              ("pictures and vectors", "their own", "the one before"), pairs),
    )  # fmt: skip


def _draw_focus(setting: Setting, runs: Mapping[str, list[dict[str, Any]]]) -> Figure:
    caption = "Samples under each norm, first seed: all channels above, the red channel alone below."
    with drawn(setting.folder, "focus", caption, (9, 7)) as (figure, told):
        for row, (arm, of) in enumerate(runs.items()):
            x = (torch.tensor(of[0]["samples"]) + 1) / 2
            for place, picture in enumerate((x.permute(0, 2, 3, 1), x[:, 0])):
                axes = figure.add_subplot(6, 1, 2 * row + place + 1)
                line = torch.cat(list(picture), 1).numpy()
                axes.imshow(line, vmin=0, vmax=1, cmap="gray")
                axes.set(xticks=(), yticks=(), ylabel=arm if place == 0 else f"{arm},\nred alone")
    return told


def _draw_joint(setting: Setting, joint: list[dict[str, Any]], side: int) -> Figure:
    caption = "Ten generated pictures, each with the vector that was generated beside it (classes 0 to 9); first seed."
    with drawn(setting.folder, "joint", caption, (9, 2.4)) as (figure, told):
        for at, row in enumerate(joint[0]["samples"]):
            axes = figure.add_subplot(2, 10, at + 1)
            axes.imshow(torch.tensor(row[: side**2]).reshape(side, side).numpy(), cmap="gray", vmin=-1, vmax=1)
            axes.set(xticks=(), yticks=())
            axes = figure.add_subplot(2, 10, at + 11)
            axes.bar(range(CLASSES), row[side**2 :], width=1.0)
            axes.set(xticks=(0, 9), yticks=(), ylim=(-1.5, 1.5))
    return told


EXPERIMENT = Experiment(
    name="weighted-and-product",
    title="A norm for one channel, for the centre, and for pictures with vectors",
    source="Banach Wasserstein GAN, appendix A",
    claim="|x| = |A x|_B for a linear bijection A has the dual norm |(A^-1)* x*|_B*, and the product space with the"
    " p-norm of norms has the q-norm of the dual norms. Weighted spaces could be used to focus on the red colour"
    " channel or on the centre of the image; product spaces to model multi-modal data, such as a generator outputting"
    " both an image and a caption.",
    rule="For each norm the supremum of <u, x>/|x|, sought by ascent, is from 0.999 to 1.000001 times the dual norm of"
    " u. With weights 2 on the focus and 0.5 elsewhere, the excess of W1 in the focus over that of the rest is at most"
    " 0.9 times the same ratio under L2. With a product norm, in generated pairs the picture's class (by a classifier)"
    " is that of its vector at least half as often as in real pairs. Means over seeds.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 10, "paper": 240.0},
    seeds={"tiny": 1, "small": 3, "paper": 5},
)
