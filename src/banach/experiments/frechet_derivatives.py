"""Samples and the critic's derivative for each norm, and how much of the derivative is at high frequencies."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from banach.experiments.correlation import mean_interval
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import keys_of, small
from banach.experiments.short_runs import SHORT, SHOWN, TINY, Size, config, tiles
from banach.experiments.trained import samples, trained_as

ORDERS = {"W^(-1,2)": "Sobolev(s=-1, p=2)", "L^2": "Sobolev(s=0, p=2)", "W^(1,2)": "Sobolev(s=1, p=2)"}
"""The norms that the rule compares: one exponent, rising order."""

EXPONENTS = {"L^1.1": "Sobolev(s=0, p=1.1)", "L^10": "Sobolev(s=0, p=10)"}
"""Norms to look at beside them."""

SMALL = Size(steps=300)
POINTS = 256
"""Samples at which derivatives are taken."""


def derivatives(critic: nn.Module, x: Tensor) -> Tensor:
    """The derivative of a critic at each sample: the covector g with D(x + h) = D(x) + sum(g h) + o(h); x's shape."""
    x = x.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(critic(x).sum(), x)
    return found.detach()


def frequencies(height: int, width: int) -> np.ndarray:
    """|k| of each Fourier coefficient of a picture, in cycles a picture: k = min(j, n - j) on both axes.

    >>> frequencies(4, 4)[0].tolist()
    [0.0, 1.0, 2.0, 1.0]
    """
    along = [np.minimum(np.arange(n), n - np.arange(n)) for n in (height, width)]
    return np.hypot(along[0][:, None], along[1][None, :])


def power(images: Tensor) -> np.ndarray:
    """The mean over samples and channels of |FFT|^2 (h, w), divided by its sum."""
    found = np.abs(np.fft.fft2(images.double().numpy())) ** 2
    mean = found.mean(axis=(0, 1))
    return mean / mean.sum()


def centroid(images: Tensor) -> float:
    """The mean frequency of the samples' power, in cycles a picture."""
    return float((power(images) * frequencies(*images.shape[2:])).sum())


def spectrum(images: Tensor) -> list[float]:
    """The mean power of a coefficient in each ring of frequencies, by |k| rounded, from 0 to half the side."""
    height, width = images.shape[2:]
    ring = np.rint(frequencies(height, width)).astype(int)
    found = power(images)
    return [float(found[ring == k].mean()) for k in range(min(height, width) // 2 + 1)]


def concentration(images: Tensor, share: float = 0.01) -> float:
    """The share of all squares that the largest `share` of entries of each sample holds, the mean over samples."""
    squares = images.double().flatten(1).square().sort(dim=1, descending=True).values
    most = max(1, round(share * squares.shape[1]))
    return float((squares[:, :most].sum(1) / squares.sum(1)).nanmean())


def _measured(setting: Setting, size: Size, data: Any, space: str, seed: int) -> dict[str, Any]:
    """One run: samples, derivatives at them, and the numbers of both."""
    asked = config(size, space=space, penalty_weight="auto", critic_scale="auto", critic_start="slope", seed=seed)
    found = trained_as(asked, data, 0, lambda state: None)
    x = samples(found.state, setting.pick(16, POINTS, POINTS), seed)
    g = derivatives(found.state.critic.network, x)
    largest = g[:SHOWN].abs().flatten(1).amax(1).clamp(min=1e-30)[:, None, None, None]
    return {
        "fault": "" if found.ended is None else f"not finite at step {found.ended}",
        "centroid": centroid(g),
        "concentration": concentration(g),
        "centroid of samples": centroid(x),
        "spectrum": spectrum(g),
        "spectrum of samples": spectrum(x),
        "samples": data.units.to_data(x[:SHOWN]).tolist(),
        "derivatives": (127.5 * (g[:SHOWN] / largest + 1)).round().to(torch.uint8).tolist(),
    }


def run(setting: Setting) -> Outcome:
    """Every norm with every seed."""
    size = setting.pick(TINY, SMALL, SMALL)
    norms = ORDERS if setting.scale == "tiny" else {**ORDERS, **EXPONENTS}
    data = small(setting.data)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in norms}
    for seed, (name, space) in itertools.product(setting.seeds, norms.items()):
        part = f"{space} seed={seed} {size}"
        runs[name].append(setting.part(part, lambda *of, s=space, k=seed: _measured(setting, size, data, s, k)))
    table = {name: [one["centroid"] for one in of] for name, of in runs.items()}
    checks = tuple(
        Check(f"centroid in {above} beyond that in {below}, least over seeds",
              min(b - a for a, b in zip(table[below], table[above], strict=True)), 0.0)
        for below, above in itertools.pairwise(ORDERS)
    )  # fmt: skip
    keys = ("centroid", "concentration", "centroid of samples")
    rows = tuple((name, *(str(mean_interval([one[key] for one in of])) for key in keys)) for name, of in runs.items())
    heads = (
        "norm",
        "mean frequency of the derivative",
        "share of squares in its largest 1%",
        "mean frequency of samples",
    )
    kept = (*keys, "spectrum", "spectrum of samples", "fault")
    numbers = {name: {key: [one[key] for one in of] for key in kept} for name, of in runs.items()}
    reals = data.units.to_model(data.train[:1000])
    settings = {"data": setting.data or "fashion", **vars(size), "norms": norms, "points": "generated samples",
                "lambda, gamma": "E norm(X), E dual norm(X)"}  # fmt: skip
    return Outcome(
        settings,
        {**numbers, "centroid of reals": centroid(reals)},
        checks,
        (Table("Mean over the seeds, with Student's 95% interval; frequencies in cycles a picture", heads, rows),),
        (_draw_pictures(setting, runs), _draw_spectra(setting, runs, spectrum(reals))),
        (f"Mean frequency of the data themselves: {centroid(reals):.3g} cycles a picture.", SHORT),
    )


def _draw_pictures(setting: Setting, runs: Mapping[str, list[dict[str, Any]]]) -> Figure:
    caption = "Samples of the first seed (left) and the critic's derivative at them (right; grey is 0), by norm."
    with drawn(setting.folder, "frechet-derivatives", caption, (9, 0.65 * len(runs))) as (figure, told):
        for at, (name, of) in enumerate(runs.items()):
            for side, key in enumerate(("samples", "derivatives")):
                axes = figure.add_subplot(len(runs), 2, 2 * at + side + 1)
                picture = tiles(torch.tensor(of[0][key]), SHOWN).numpy()
                axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set(xticks=(), yticks=())
                if side == 0:
                    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    return told


def _draw_spectra(setting: Setting, runs: Mapping[str, list[dict[str, Any]]], reals: list[float]) -> Figure:
    caption = (
        "Power of a coefficient over its frequency, as a share of the whole: of the derivative, and of the samples."
    )
    with drawn(setting.folder, "frechet-spectra", caption, (9, 3.2)) as (figure, told):
        for at, key in enumerate(("spectrum", "spectrum of samples")):
            axes = figure.add_subplot(1, 2, at + 1)
            for colour, (name, of) in zip(COLOURS, runs.items(), strict=False):
                axes.semilogy(np.mean([one[key] for one in of], axis=0), color=colour, label=name)
            axes.set(title=("derivative", "samples")[at], xlabel="cycles a picture")
        figure.axes[1].semilogy(reals, "k--", linewidth=1, label="data")
        figure.axes[1].legend(frameon=False)
        figure.axes[0].set_ylabel("share of the power")
    return told


def grid(setting: Setting) -> dict[str, Any]:
    """The published runs in these norms, as a sweep."""
    return {
        "preset": "bwgan-cifar10",
        "base": keys_of(setting),
        "grid": {"space": [*ORDERS.values(), *EXPONENTS.values()]},
        "seeds": list(setting.seeds),
    }


EXPERIMENT = Experiment(
    name="frechet-derivatives",
    title="What the critic's derivative looks like in each norm",
    source="Banach Wasserstein GAN, figures of section 4 and appendix C; its poster",
    claim="Higher s means higher gradients in the critic's Fréchet derivative and thus a focus on higher frequencies:"
    " negative s amplifies low frequencies, prioritising the global structure of the image.",
    rule="With every seed the mean frequency of the power spectrum of the critic's derivative, at generated samples,"
    " rises from W^(-1,2) to L^2 and from L^2 to W^(1,2).",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 4},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    own_data=True,
    grid=grid,
)
