"""A run on mapped data is, bit for bit, the run on the same data in memory; either goes on where the other stopped."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from banach.config.config import FIELDS, Config
from banach.data.rows import Rows
from banach.runs.folder import RunFolder
from banach.session.run import FINISHED, run
from banach.training.build import build, load_data
from banach.training.loop import train

CPU = torch.device("cpu")


@pytest.fixture(params=["pictures", "array"])
def config(request, tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    source = tmp_path / request.param
    if request.param == "array":
        source = source.with_suffix(".npy")
        np.save(source, rng.normal(2, 3, (60, 2, 6, 6)))
    else:
        source.mkdir()
        for at in range(60):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(source / f"{at}.png")
    return Config(
        data=str(source), size=6 if request.param == "pictures" else None, space="shape", model="mlp", z=4, g_width=8,
        d_width=8, n_critic=2, batch=16, steps=6, flip=request.param == "pictures",
        out=str(tmp_path / "run"), score_samples=20,
        holdout=0.2, threads=1, sample_every=3, score_every=3, score_w1=None, extractor="pixels",
    )  # fmt: skip


def trained(config, until, before=None):
    built = build(config, load_data(config), CPU, before["facts"] if before else None)
    if before is not None:
        built.state.load_state_dict(before)
    assert isinstance(built.data.train, Rows) == (config.cache == "always")
    train(built.state, built.game, built.data, until)
    return built.state.state_dict()


def assert_same(a, b, where=""):
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            if key != "seconds":
                assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for at, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{where}.{at}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


def test_training_does_not_depend_on_where_the_data_lie(config):
    assert FIELDS["cache"].may_change
    plain, mapped = replace(config, cache="never"), replace(config, cache="always")
    whole = trained(plain, 6)
    assert_same(trained(mapped, 6), whole)
    assert_same(trained(mapped, 6, trained(plain, 3)), whole)
    assert_same(trained(plain, 6, trained(mapped, 3)), whole)


def test_whole_runs_agree_and_the_flag_may_change_when_a_run_goes_on(config, tmp_path):
    folders = {}
    for cache in ("never", "always"):
        one = replace(config, cache=cache, out=str(tmp_path / cache))
        assert run(one).code == FINISHED
        folders[cache] = RunFolder(tmp_path / cache)
    scores = [folders[cache].scores.read_text().splitlines() for cache in folders]
    for one, other in zip(*scores, strict=True):
        one, other = ({**json.loads(line), "minutes": 0} for line in (one, other))
        assert one == other
    other_way = replace(config, cache="always", out=str(tmp_path / "never"), steps=8)
    outcome = run(other_way, extend=True)
    assert outcome.code == FINISHED, outcome.message
    assert "8 steps" in outcome.message
