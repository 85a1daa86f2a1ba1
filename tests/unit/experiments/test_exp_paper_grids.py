"""The sweeps of the published runs: every config is read, and networks of full width are built and trained."""

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
import yaml

from banach.config.reading import build as config_of
from banach.config.reading import checked, preset_values
from banach.data.load import load
from banach.experiments import frechet_derivatives, norm_grid, objective_table
from banach.experiments.experiment import Setting
from banach.training.build import build
from banach.training.loop import train

GRIDS = {one.EXPERIMENT.name: one.grid for one in (frechet_derivatives, norm_grid, objective_table)}


def configs(name):
    """The configs of a sweep: preset < base < case < grid, with each seed; read from YAML, as a sweep is."""
    given = GRIDS[name](Setting("paper", Path("out"), (0, 1)))
    grid = yaml.safe_load(yaml.safe_dump(given, sort_keys=False))
    shared = {**preset_values(grid["preset"]), **checked(grid.get("base") or {}, "base")}
    axes = [[checked(case, "case") for case in grid.get("cases", [{}])]]
    axes += [[checked({key: value}, "grid") for value in values] for key, values in grid["grid"].items()]
    axes += [[{"seed": seed} for seed in grid["seeds"]]]
    return [config_of({**shared, **{k: v for one in of for k, v in one.items()}}) for of in itertools.product(*axes)]


@pytest.mark.parametrize(("name", "runs"), [("norm-grid", 2 * 20 * 2), ("frechet-derivatives", 5 * 2),
                                            ("objective-table", 3 * 6 * 4 * 2)])  # fmt: skip
def test_every_run_is_read_and_none_is_twice(name, runs):
    found = configs(name)
    assert len(found) == runs
    assert len({repr(dataclasses.astuple(one)) for one in found}) == runs


def test_the_constants_are_the_published_ones():
    for one in configs("norm-grid"):
        assert (one.steps, one.n_critic, one.batch, one.lr) == (100_000, 5, 64, 2e-4)
        assert (one.model, one.g_width, one.d_width) == ("resnet", 128, 128)
        assert (one.beta1, one.beta2, one.penalty_weight, one.critic_scale) == (0, 0.9, "batch", "batch")
        assert one.size == (64 if one.data.startswith("celeba") else None)
    for one in configs("objective-table"):
        assert (one.steps, one.n_critic, one.lr, one.penalty, one.drift) == (200_000, 5, 2e-4, "maxgp", 0)
        assert one.size == (None if one.data == "cifar10" else 32)


SPACES = ("Sobolev(s=-2, p=2)", "Sobolev(s=0, p=10)", "Sobolev(s=1, p=2)", "l2")
"""Norms whose runs are begun: the others run the same code with other numbers."""


def some(name):
    """One config of each picture size, norm and objective."""
    found = [one for one in configs(name) if one.space in SPACES]
    return list({(one.size == 64, one.space, one.objective): one for one in found}.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
def test_networks_of_full_width_take_two_steps(name):
    assert some(name)
    for one in some(name):
        side = 64 if one.size == 64 else 32
        images = torch.randint(0, 256, (20, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()
        few = dataclasses.replace(one, batch=2, g_batch=4, n_critic=1, device="cpu")
        built = build(few, load(images, axes="bchw"), torch.device("cpu"))
        train(built.state, built.game, built.data, 2)
        assert (built.state.step, built.state.critic_steps) == (2, 2)
        networks = built.state.networks()
        if side == 32:  # as many as published
            assert sum(weights.numel() for weights in networks["critic"].parameters()) == 1_053_825
            assert sum(weights.numel() for weights in networks["generator"].parameters()) == 1_204_483
        fakes = networks["average"](built.state.latents[:2])
        assert fakes.shape == (2, 3, side, side)
        assert torch.isfinite(fakes).all()
