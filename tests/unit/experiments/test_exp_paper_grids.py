"""The sweeps and presets of the published runs: all are read, and networks of full width are built and trained."""

import dataclasses
import functools
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from banach.cli import reproduce as command
from banach.config.reading import presets
from banach.data.load import load
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.reproduce import Wanted, reproduce
from banach.sweeps.grid import read_grid
from banach.training.build import build, load_data
from banach.training.loop import train

GRIDS = [name for name, one in EXPERIMENTS.items() if one.grid is not None]
PAPERS = [name for name in presets() if name != "demo"]
"""Presets of a paper; the demo's is ours."""


@functools.cache
def configs(name, seeds=2, data=None):
    """The configs of a sweep, or of a preset's one run, from the file that a user would have."""
    with tempfile.TemporaryDirectory() as folder:
        if name in GRIDS:
            wanted = Wanted((name,), "paper", Path(folder), data=data, seeds=seeds)
            (ended,) = reproduce(wanted, EXPERIMENTS, lambda line: None)
            path = ended.grid
        else:
            path = Path(folder) / "grid.yaml"
            path.write_text(yaml.safe_dump({"preset": name, "seeds": [*range(seeds)]}), encoding="utf-8")
        return [one.config for one in read_grid(path).runs]


RUNS = {
    "norm-grid": 2 * 20,
    "frechet-derivatives": 5,
    "objective-table": 3 * 6 * 4,
    "heuristics": 4 * 5,
    "wgan-gp-family": 12,
}
"""How many runs the texts ask for, for each seed."""


@pytest.mark.parametrize("name", [*GRIDS, *PAPERS])
def test_every_run_is_read_and_none_is_twice(name):
    found = configs(name)
    assert len(found) == 2 * RUNS.get(name, 1)
    assert len({repr(dataclasses.astuple(one)) for one in found}) == len(found)


def test_every_sweep_is_known_here_and_reads_the_users_data(tmp_path):
    assert set(GRIDS) == set(RUNS), "a sweep is new: say above how many runs it has"
    for name in GRIDS:
        assert EXPERIMENTS[name].own_data
        for one in configs(name, 1, str(tmp_path)):  # a folder of pictures
            assert (one.data, one.size) == (str(tmp_path), 32)


def test_the_constants_are_the_published_ones():
    for one in configs("norm-grid"):
        assert (one.steps, one.n_critic, one.batch, one.lr) == (100_000, 5, 64, 2e-4)
        assert (one.model, one.g_width, one.d_width) == ("resnet", 128, 128)
        assert (one.beta1, one.beta2, one.penalty_weight, one.critic_scale) == (0, 0.9, "batch", "batch")
        assert one.size == (64 if one.data.startswith("celeba") else None)
    for one in configs("objective-table"):
        assert (one.steps, one.n_critic, one.lr, one.penalty, one.drift) == (200_000, 5, 2e-4, "maxgp", 0)
        assert one.size == (None if one.data == "cifar10" else 32)
        assert (one.batch, one.g_batch, one.beta1, one.beta2, one.decay, one.ema) == (64, 128, 0, 0.9, "linear", 0.99)
        assert (one.flip, one.dequantise, one.z, one.g_width, one.d_width) == (False, False, 128, 128, 128)
    assert {one.penalty_weight for one in configs("objective-table")} == {0.01, 0.1, 1, 10}


@pytest.mark.parametrize("name", ["norm-grid", "frechet-derivatives", "heuristics", "bwgan-cifar10", "bwgan-celeba"])
def test_the_constants_of_banach_wgan(name):
    for one in configs(name):
        assert (one.steps, one.n_critic, one.batch, one.g_batch, one.lr) == (100_000, 5, 64, 128, 2e-4)
        assert (one.model, one.z, one.g_width, one.d_width) == ("resnet", 128, 128, 128)
        assert (one.beta1, one.beta2, one.decay, one.ema) == (0, 0.9, "linear", 0.99)
        assert (one.penalty, one.objective, one.flip, one.dequantise) == ("wgan-gp", "wasserstein", True, True)
        assert one.data in ("cifar10:split=all", "celeba:split=all")  # all pictures, as the code
        assert one.drift == 1e-5 or name == "heuristics"


@pytest.mark.parametrize("name", ["wgan-gp-family", "wgan-gp-cifar10"])
def test_the_constants_of_wgan_gp(name):
    for one in configs(name):
        assert (one.steps, one.n_critic, one.batch, one.g_batch, one.lr) == (100_000, 5, 64, 128, 2e-4)
        assert (one.model, one.g_width, one.d_width) == ("resnet", 128, 128)
        assert (one.data, one.beta1, one.beta2, one.flip, one.ema) == ("cifar10", 0, 0.9, False, 0)
        assert one.decay == ("none" if name == "wgan-gp-family" else "linear")  # late collapse, at a constant rate
        assert one.penalty_weight == 10 or one.penalty != "wgan-gp"


def side_of(one):
    """The side of the pictures that a config asks for: CIFAR-10's, if it asks for none."""
    return one.size or 32


def kind_of(one):
    """A config as its code runs: numbers are made equal, but for those that decide which formula is used.

    Those are the sign of s and, where s = 0, whether p is below 2, 2, or above.
    """

    def exponent(found):
        p = float(found[1])
        return f"p={'2' if p == 2 else '<2' if p < 2 else '>2'}"

    space = re.sub(r"p=([\d.]+)|(?<=Lp\()([\d.]+)", lambda m: exponent([m[0], m[1] or m[2]]), one.space)
    space = re.sub(r"s=(-?)[\d.]+", lambda m: "s=0" if m[0] in ("s=0", "s=-0") else f"s={m[1]}n", space)
    space = re.sub(r"(s=-?n), p=.*", r"\1)", space)
    scales = [v if isinstance(v, str) else "number" for v in (one.penalty_weight, one.critic_scale, one.drift)]
    return (one.data == "8gaussians", side_of(one), one.model, one.z, one.g_width, one.d_width, space, one.objective,
            one.penalty, one.constraint, one.optimizer, one.critic_start, one.ema > 0, *scales)  # fmt: skip


@functools.cache
def kinds():
    """Each kind of run once, by the first sweep or preset that has it."""
    seen, found = set(), {}
    for name in [*GRIDS, *PAPERS]:
        new = {kind_of(one): one for one in reversed(configs(name, 1)) if kind_of(one) not in seen}
        seen |= set(new)
        found[name] = list(new.values())
    return found


def test_all_norms_objectives_and_methods_are_among_those_that_are_trained():
    of = kinds()
    assert len(of["norm-grid"]) == 2 * 5  # s below and above 0; s = 0 with p below 2, at 2, and above
    assert {(kind_of(one)[6], side_of(one)) for one in configs("norm-grid", 1)} == {
        (kind_of(one)[6], side_of(one)) for one in of["norm-grid"]
    }
    assert len({one.objective for one in of["objective-table"]}) == 6
    assert len(of["wgan-gp-family"]) == 12
    for name in PAPERS:  # each preset's kind was trained, by itself or by a sweep
        (mine,) = configs(name, 1)
        assert kind_of(mine) in {kind_of(one) for found in of.values() for one in found}


def data_for(one):
    """Random samples of the size and kind that a config's data have."""
    if one.data == "8gaussians":
        return load("8gaussians:n=100")
    side = side_of(one)
    images = torch.randint(0, 256, (20, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()
    return load(images, axes="bchw")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GRIDS, *PAPERS])
def test_networks_of_full_width_take_two_steps(name):
    for one in kinds()[name]:
        more = 4 if one.g_batch else 0  # a game of pairs has as many fakes as reals
        few = dataclasses.replace(one, batch=2, g_batch=more, n_critic=1, first_steps=0, device="cpu")
        built = build(few, data_for(one), torch.device("cpu"))
        train(built.state, built.game, built.data, 2)
        assert (built.state.step, built.state.critic_steps) == (2, 2)
        networks = built.state.networks()
        if one.model == "resnet" and side_of(one) == 32 and one.z == 128:  # as many as published
            assert sum(weights.numel() for weights in networks["generator"].parameters()) == 1_204_483
            if one.constraint != "spectral-norm":
                assert sum(weights.numel() for weights in networks["critic"].parameters()) == 1_053_825
        fakes = networks["average"](built.state.latents[:2])
        assert fakes.shape == (2, *built.data.shape)
        assert torch.isfinite(fakes).all()


def pictures(folder, sizes, name):
    for at, size in enumerate(sizes):
        path = folder / name.format(at)
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(at).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)


def test_objective_table_says_what_to_put_where_and_reads_it_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["objective-table", "--scale", "paper", "--out", "first"]) == 0
    said = capsys.readouterr().out
    assert "put these folders of pictures where the runs start, or change their paths there: " in said
    assert "tiny-imagenet-200/train, oxford102/jpg" in said

    pictures(tmp_path / "tiny-imagenet-200/train", [(64, 64)] * 12, "n0144353{0}/images/n0144353{0}_0.JPEG")
    (tmp_path / "tiny-imagenet-200/train/n01443530/n01443530_boxes.txt").write_text("n01443530_0.JPEG\t0\t10\t63\t58\n")
    pictures(tmp_path / "oxford102/jpg", [(50, 66), (70, 50)] * 6, "image_{0:05d}.jpg")
    assert command.main(["objective-table", "--scale", "paper", "--out", "second"]) == 0
    assert "put these folders" not in capsys.readouterr().out
    runs = {one.config.data: one.config for one in read_grid("second/objective-table/grid.yaml").runs}
    for path in ("tiny-imagenet-200/train", "oxford102/jpg"):
        data = load_data(runs[path])
        assert (data.shape, len(data.train) + len(data.held_out)) == ((3, 32, 32), 12)
