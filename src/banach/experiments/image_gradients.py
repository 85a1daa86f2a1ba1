"""Ten pictures against ten pictures of noise: the optimal critic's gradient at each fake points at a real picture."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from banach.data.dataset import Raw
from banach.data.load import read
from banach.data.named import data_root
from banach.data.units import Units
from banach.errors import BanachError
from banach.experiments.critic_fit import Draw, Fit, fit_, slopes_between
from banach.experiments.drawing import drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import all_of
from banach.experiments.seeded import mean, with_spread
from banach.game import Game
from banach.objectives import objective
from banach.penalties import penalty
from banach.slopes import gradient
from banach.spaces import Lp

COUNT = 10
PUBLISHED = (1400, 1621, 808, 809, 3687, 6815, 2100, 4037, 9154, 8532)
"""The ten pictures of CIFAR-10's training part that the published code takes."""

TOWARDS, ENOUGH = 0.95, 0.95
SIDE = 32
STEPS_ALONG = 9
"""Pictures in a row: f + (j/6) s g for j = 1 … 9; the real picture is at j = 6."""

IN_SPAN = (
    "The critic sees the coordinates of a picture in the affine span of all twenty, an isometry, in which an optimal"
    " critic lives: distances, slopes and directions are those of pixels. A network on pixels must also learn to be"
    " flat in all other directions, and takes far longer."
)


class DenselyConnected(nn.Module):
    """x to f(x) (b,): layers of ReLUs, each joined to its input, with weights of unit variance that are scaled as they
    are used, by sqrt(2 / fan in) (equalised learning rate), as in the published code."""

    def __init__(self, entries: int, layers: int, width: int, rng: torch.Generator):
        super().__init__()
        sizes = [entries + at * width for at in range(layers + 1)]
        outputs = [width] * layers + [1]
        self.weights = nn.ParameterList(
            torch.randn(out, size, generator=rng) for size, out in zip(sizes, outputs, strict=True)
        )
        self.biases = nn.ParameterList(torch.zeros(out) for out in outputs)

    def forward(self, x: Tensor) -> Tensor:
        x, last = x.flatten(1), len(self.weights) - 1
        for at, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = F.linear(x, weight * math.sqrt(2 / weight.shape[1]), bias)
            if at == last:
                return y[:, 0]
            x = torch.cat([x, F.relu(y)], 1)
        raise AssertionError


class InSpan(nn.Module):
    """A network on the coordinates of x in the affine span of some points, over their size; slopes are those in x."""

    frame: Tensor
    centre: Tensor
    size: Tensor

    def __init__(self, points: Tensor, make: Callable[[int], nn.Module]):
        super().__init__()
        flat = points.flatten(1).double()
        centre = flat.mean(0)
        _, sizes, axes = torch.linalg.svd(flat - centre, full_matrices=False)
        axes = axes[sizes > 1e-6 * sizes[0]]
        self.register_buffer("frame", axes.float())
        self.register_buffer("centre", centre.float())
        self.register_buffer("size", ((flat - centre) @ axes.T).std().float())
        self.inner = make(len(axes))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner((x.flatten(1) - self.centre) @ self.frame.T / self.size)


def real_pictures(source: str | None) -> tuple[Tensor, str]:
    """The ten real pictures in [-1, 1]: CIFAR-10's published ones if they are on this machine, else bundled ones, one
    of each class; of the user's data the first ten that differ."""
    if source is None and (data_root() / "cifar-10-batches-py").exists():
        values, _ = all_of("cifar10", SIDE)
        return Units("pixels").to_model(values[list(PUBLISHED)]), "CIFAR-10, the published ten"
    if source is None:
        raw = read("fashion")
        assert isinstance(raw, Raw)
        assert raw.labels is not None
        first = torch.tensor([int((raw.labels == at).nonzero()[0]) for at in range(COUNT)])
        values, name = raw.values[first], "fashion (bundled), the first of each class"
        return Units("pixels").to_model(values), name
    values, name = all_of(source, SIDE)
    chosen = torch.unique(values[: 100 * COUNT].flatten(1), dim=0)[:COUNT].unflatten(1, values.shape[1:])
    if len(chosen) < COUNT:
        raise BanachError(f"{name} holds {len(chosen)} different pictures; the experiment needs {COUNT}")
    return Units("pixels").to_model(chosen), name


def drawn_from(real: Tensor, fake: Tensor) -> Draw:
    """Batches drawn with replacement from each set."""

    def draw(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(real), (2, n), generator=rng)
        return real[rows[0]], fake[rows[1]]

    return draw


def directions(slopes: Tensor, real: Tensor, fake: Tensor) -> dict[str, list[float]]:
    """Of gradients (n, *event) at the fakes: the largest cosine to a real minus the fake, which, and to their mean."""
    flat, towards = slopes.flatten(1), real.flatten(1)[None] - fake.flatten(1)[:, None]
    cosines = F.cosine_similarity(flat[:, None], towards, dim=2)
    best = cosines.max(1)
    middle = F.cosine_similarity(flat, real.mean(0).flatten()[None] - fake.flatten(1), dim=1)
    return {"cosine": best.values.tolist(), "real": best.indices.tolist(), "to their mean": middle.tolist()}


def solved(real: Tensor, layers: tuple[int, int], how: Fit, raw: bool, seed: int) -> dict[str, Any]:
    """A critic of one seed: the noise is drawn, the critic trained, and its gradients at the noise are measured."""
    rng = torch.Generator().manual_seed(seed)
    fake = 2 * torch.rand(real.shape, generator=rng) - 1
    depth, width = layers
    if raw:
        critic: nn.Module = DenselyConnected(real[0].numel(), depth, width, rng)
    else:
        make = functools.partial(DenselyConnected, layers=depth, width=width, rng=rng)
        critic = InSpan(torch.cat([real, fake]), make)
    game = Game(Lp(2), objective("sqrt"), penalty("maxgp-buffer"), weight=1.0, drift=0.0)
    fit_(critic, game, drawn_from(real, fake), how, rng)
    slopes = gradient(critic, fake).detach()
    places = drawn_from(real, fake)(1024, rng)
    steepest = float(torch.cat([slopes_between(critic, *places, Lp(2), rng), Lp(2).norm(slopes)]).max())
    with torch.no_grad():
        rise = critic(real)[None] - critic(fake)[:, None]
    bounded = (rise / (steepest * Lp(2).pairwise(fake, real))).max(1).values
    return {**directions(slopes, real, fake), "bounded": bounded.tolist(), "k": steepest,
            "slope at the fakes": Lp(2).norm(slopes).tolist(),
            "gradients": [[float(f"{one:.4g}") for one in row] for row in slopes.flatten(1).tolist()]}  # fmt: skip


def run(setting: Setting) -> Outcome:
    """A critic for each seed; the picture is the first seed's."""
    raw = setting.published or setting.scale == "paper"
    layers = (8, 256) if raw else setting.pick((2, 16), (3, 64), (8, 256))
    steps = setting.pick(40, 300 if raw else 12_000, 100_000)
    how = Fit(steps, 1e-4 if raw else 2e-3, betas=(0.0, 0.9), last=0.1 ** (steps / 100_000) if raw else 0.0)
    real, name = real_pictures(setting.data)
    key = f"{layers[0]}x{layers[1]} {'pixels' if raw else 'span'} steps={steps} {tuple(real.shape)}"
    found = [setting.part(f"{key} seed={seed}", functools.partial(solved, real, layers, how, raw, seed))
             for seed in setting.seeds]  # fmt: skip
    figure = _draw(setting, real, found[0], "published" if setting.published else "rows")
    numbers = {"seeds": [{key: value for key, value in one.items() if key != "gradients"} for one in found]}
    settings = {"reals": name, "fakes": "uniform noise", "objective": "sqrt", "penalty": "MaxGP, weight 1, buffer 8",
                "network": f"densely connected, {layers[0]} x {layers[1]}, on " + ("pixels" if raw else "the span"),
                "steps": steps, "rate": f"Adam {how.rate:g}, falling to {how.last:.3g} of it", "batch": 64}  # fmt: skip
    remarks = () if raw else (IN_SPAN,)
    return Outcome(settings, numbers, _checks(found), (_table(found),), (figure,), remarks)


def _checks(found: list[dict[str, Any]]) -> tuple[Check, ...]:
    cosines = [one for run in found for one in run["cosine"]]
    above = [best > middle for run in found for best, middle in zip(run["cosine"], run["to their mean"], strict=True)]
    return (
        Check("share of gradients with a cosine of 0.95 to a real picture minus the fake",
              mean([float(one >= TOWARDS) for one in cosines]), ENOUGH),
        Check("share whose cosine to that is above the one to the mean of the reals",
              mean([float(one) for one in above]), ENOUGH),
    )  # fmt: skip


def _table(found: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (str(at), f"{min(one['cosine']):.3f}", with_spread(one["cosine"]), with_spread(one["to their mean"]),
         str(len(set(one["real"]))), with_spread(one["bounded"]), f"{one['k']:.3g}",
         with_spread(one["slope at the fakes"]))
        for at, one in enumerate(found)
    )  # fmt: skip
    heads = ("seed", "least cosine", "cosine to the best real", "to the mean real", "reals pointed at",
             "largest rise over k distance", "k", "slope at the fakes")  # fmt: skip
    return Table("Gradients at the ten fakes of each seed, mean and deviation over fakes", heads, rows)


def row_of(fake: Tensor, slope: Tensor, real: Tensor) -> Tensor:
    """A row of the figure (12, c, h, w): the fake, its gradient, nine steps along it, and the real picture.

    The unit of the steps is the median over pixels of (real - fake)/gradient, as in the published code.
    """
    ratio = ((real - fake) / slope)[slope != 0]
    unit = ratio.median() if len(ratio) else torch.tensor(0.0)
    along = [fake + j / 6 * unit * slope for j in range(1, STEPS_ALONG + 1)]
    return torch.stack([fake, slope / slope.abs().max().clamp_min(1e-12), *along, real])


def _draw(setting: Setting, real: Tensor, one: dict[str, Any], name: str) -> Figure:
    caption = (
        "In each row a fake of the first seed, the critic's gradient there, steps along it (the sixth as far as the"
        " real picture), and at the end the real picture at which it points."
    )
    fake = 2 * torch.rand(real.shape, generator=torch.Generator().manual_seed(setting.seeds[0])) - 1
    slopes = torch.tensor(one["gradients"]).view_as(fake)
    rows = [row_of(fake[at], slopes[at], real[one["real"][at]]) for at in range(len(fake))]
    tiles = F.pad((torch.stack(rows).clamp(-1, 1) + 1) / 2, (1, 1, 1, 1), value=1.0)
    n, across, channels, high, wide = tiles.shape
    sheet = tiles.permute(0, 3, 1, 4, 2).reshape(n * high, across * wide, channels)
    with drawn(setting.folder, name, caption, (9, 9 * n * high / (across * wide))) as (figure, told):
        axes = figure.add_subplot()
        axes.imshow(sheet.squeeze(-1), cmap="gray", vmin=0, vmax=1, aspect="auto")
        axes.set_axis_off()
    return told


EXPERIMENT = Experiment(
    name="image-gradients",
    title="Gradients that point at real pictures",
    source="Lipschitz GANs, figure 3 and section 5.2",
    claim="Ten CIFAR-10 images as the real distribution, ten fixed noise images as the fake one, and the optimal critic"
    " under MaxGP: the gradient of each generated sample is towards a real sample.",
    rule="Of the gradients at the fakes of all seeds, at least 95% have a cosine of at least 0.95 with y - x for some"
    " real y, x being the fake, and at least 95% have a larger cosine with that than with the mean of the reals minus"
    " x.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 10, "paper": 3000},
    seeds={"tiny": 1, "small": 5, "paper": 5},
    own_data=True,
    constants_differ=True,
)
