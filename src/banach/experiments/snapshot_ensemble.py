"""Five generators of one run with warm restarts: mean and deviation of their scores, and samples of all of them."""

import functools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.config.config import Config
from banach.data.dataset import Data
from banach.errors import BanachError
from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.pictures import BUNDLED, split
from banach.experiments.seeded import with_spread
from banach.generator import Ensemble, Generator
from banach.metrics.features import extractor, extractor_for
from banach.metrics.scores import score
from banach.runs.folder import RunFolder
from banach.runs.records import JsonLines
from banach.session.console import Quiet
from banach.session.run import FINISHED, RESUMABLE
from banach.session.run import run as run_training

GENERATORS = 5
_VARIATION = 0.2


@dataclass(frozen=True)
class Sizes:
    """How long and how large the runs of a scale are; `period` is steps from restart to restart."""

    side: int
    width: int
    batch: int
    period: int
    scored: int

    @property
    def steps(self) -> int:
        return GENERATORS * self.period


def config_of(data: str, decay: str, seed: int, sizes: Sizes, out: Path) -> Config:
    """A run of five periods: with restarts, or with the rate falling to 0 once over the same steps."""
    return Config(
        data=data, size=sizes.side, holdout=0.2, model="dcgan4", z=64, g_width=sizes.width, d_width=sizes.width,
        batch=sizes.batch, n_critic=2, lr=1e-3, ema=0.9, steps=sizes.steps, decay=decay,
        restart_every=sizes.period if decay == "restarts" else 0, penalty="wgan-gp", seed=seed, out=str(out),
        log_every=max(1, sizes.period // 20), sample_every=sizes.steps, save_every=max(1, sizes.period // 2),
        score_every=0, score_samples=64,
    )  # fmt: skip


def finished(config: Config) -> RunFolder:
    """The folder of the run, which is begun, gone on with, or there already; BanachError where it cannot be run."""
    outcome = run_training(config, console=Quiet(), argv=["banach", "reproduce", "snapshot-ensemble"])
    if outcome.code == RESUMABLE:
        raise KeyboardInterrupt  # it was asked to stop, and so is the experiment
    if outcome.code != FINISHED:
        raise BanachError(outcome.message)
    return RunFolder(Path(config.out))


def scores_of(made: Tensor, data: Data, n: int) -> dict[str, float]:
    """FID against held-out pictures, and the inception score where the extractor has classes."""
    name = extractor_for(data.shape)
    names = ("fid", "is") if extractor(name).classes else ("fid",)
    return score(made, data.held_out[:n], extractor=name, names=names)


def one_seed(setting: Setting, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Both runs, and the scores of each snapshot, of the ensemble, and of the single generator."""
    data, source = split(setting.data, sizes.side), setting.data or BUNDLED
    n = min(sizes.scored, len(data.held_out))
    place = setting.at_home / "runs"
    restarts = finished(config_of(source, "restarts", seed, sizes, place / f"restarts-{seed}"))
    single = finished(config_of(source, "linear", seed, sizes, place / f"linear-{seed}"))
    files = restarts.snapshot_files
    return {
        "members": [scores_of(Generator.load(one).draw(n), data, n) for one in files],
        "ensemble": scores_of(Ensemble.load(files).draw(n), data, n),
        "single": scores_of(Generator.load(single.generator).draw(n), data, n),
        "rates": [[line["step"], line["lr"]] for line in JsonLines(restarts.metrics).records()],
        "samples": [Generator.load(one).draw(10).tolist() for one in files] if seed == setting.seeds[0] else [],
    }


def run(setting: Setting) -> Outcome:
    """Every seed."""
    sizes = setting.pick(Sizes(8, 8, 8, 2, 32), Sizes(16, 16, 32, 200, 1000), Sizes(28, 64, 64, 50_000, 2000))
    runs = [setting.part(f"seed={seed} {sizes}", functools.partial(one_seed, setting, seed, sizes))
            for seed in setting.seeds]  # fmt: skip
    variations = [variation([one["fid"] for one in of["members"]]) for of in runs]
    gains = [of["ensemble"]["fid"] / statistics.fmean(one["fid"] for one in of["members"]) for of in runs]
    checks = (
        Check("generators kept of each run, fewest", float(min(len(of["members"]) for of in runs)), GENERATORS),
        Check("deviation of FID over the five generators, over their mean; mean over seeds",
              statistics.fmean(variations), _VARIATION, False),
        Check("FID of the ensemble over the mean of its members', mean over seeds", statistics.fmean(gains), 1.0,
              False),
    )  # fmt: skip
    data = split(setting.data, sizes.side)
    settings = {
        "data": data.name, "size": sizes.side, "network": f"dcgan4, width {sizes.width}", "batch": sizes.batch,
        "steps from restart to restart": sizes.period, "restarts": GENERATORS, "critic steps each": 2,
        "rate": "Adam (0, 0.9) 1e-3, half a cosine to 0; the single run linear to 0 over the same steps",
        "scores": f"{min(sizes.scored, len(data.held_out))} samples, features {extractor_for(data.shape)!r}",
    }  # fmt: skip
    numbers = [{key: of[key] for key in ("members", "ensemble", "single")} for of in runs]
    remark = (
        "The paper's ensemble has 5 generators by warm restarts on CIFAR-10; its steps for each are not in the text."
    )
    return Outcome(settings, {"by seed": numbers}, checks, _tables(setting, runs), (_draw(setting, runs),), (remark,))


def _tables(setting: Setting, runs: list[dict[str, Any]]) -> tuple[Table, ...]:
    names = tuple(runs[0]["ensemble"])
    rows = tuple(
        (title, *(with_spread([of_run(of)[name] for of in runs]) for name in names))
        for title, of_run in _rows().items()
    )
    over_seeds = Table("Mean and deviation over seeds", ("", *names), rows)
    within = tuple(
        (str(seed), *(with_spread([one[name] for one in of["members"]]) for name in names),
         ", ".join(f"{one['fid']:.3g}" for one in of["members"]))
        for seed, of in zip(setting.seeds, runs, strict=True)
    )  # fmt: skip
    by_run = Table(
        "Mean and deviation over the five generators of a run", ("seed", *names, "FID in their order"), within
    )
    return over_seeds, by_run


def _rows() -> Mapping[str, Any]:
    return {
        "mean of the members": lambda of: {
            name: statistics.fmean(one[name] for one in of["members"]) for name in of["ensemble"]
        },
        "last member": lambda of: of["members"][-1],
        "ensemble": lambda of: of["ensemble"],
        "single run, linear": lambda of: of["single"],
    }


def variation(values: list[float]) -> float:
    """The standard deviation of a sample over its mean.

    >>> variation([9.0, 11.0])  # doctest: +ELLIPSIS
    0.1414...
    """
    return statistics.stdev(values) / statistics.fmean(values)


def _draw(setting: Setting, runs: list[dict[str, Any]]) -> Figure:
    caption = (
        "Above: the learning rate of the first run, and the FID of each snapshot by seed. Below: samples of the five"
        " snapshots from the same latents, a row for each; first seed."
    )
    with drawn(setting.folder, "snapshots", caption, (9, 5.5)) as (figure, told):
        places = figure.add_gridspec(2, 2, height_ratios=(1, 1.3))
        axes = figure.add_subplot(places[0, 0])
        axes.plot(*np.asarray(runs[0]["rates"]).T, color=COLOURS[0])
        axes.set(title="learning rate", xlabel="generator step")
        axes = figure.add_subplot(places[0, 1])
        for at, of in enumerate(runs):
            axes.plot(range(1, len(of["members"]) + 1), [one["fid"] for one in of["members"]], "o-",
                      color=COLOURS[at % len(COLOURS)])  # fmt: skip
            axes.axhline(of["ensemble"]["fid"], color=COLOURS[at % len(COLOURS)], linestyle="--", linewidth=0.8)
        axes.set(title="FID of each snapshot; dashed: of the ensemble", xlabel="snapshot",
                 xticks=range(1, GENERATORS + 1))  # fmt: skip
        axes = figure.add_subplot(places[1, :])
        rows = [torch.cat(list(torch.tensor(one).permute(0, 2, 3, 1)), 1) for one in runs[0]["samples"]]
        axes.imshow(torch.cat(rows, 0).squeeze(-1).byte().numpy(), cmap="gray")
        axes.set(xticks=(), yticks=())
    return told


EXPERIMENT = Experiment(
    name="snapshot-ensemble",
    title="Five generators by warm restarts",
    source="Banach Wasserstein GAN, section 4; Loshchilov and Hutter 2017 (SGDR)",
    claim="In order to evaluate the reproducibility of the results, an ensemble of 5 generators is trained using SGD"
    " with warm restarts; scores are given with their mean and deviation over it.",
    rule="A run with --decay restarts keeps five generators; the standard deviation of their FID is at most 0.2 of its"
    " mean, so that the score of one of them stands for the run; and samples of the ensemble have an FID not above the"
    " mean of the members'. Means over seeds.",
    run=run,
    cpu_minutes={"tiny": 0.1, "small": 6, "paper": 6000.0},
    seeds={"tiny": 1, "small": 3, "paper": 3},
    own_data=True,
)
