"""Scores of a generator, during and after a run."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from banach.config.config import Config, ConfigError
from banach.data.load import load
from banach.errors import DataError
from banach.generator import Generator, GeneratorError
from banach.metrics.features import ScoreError
from banach.session.console import Quiet
from banach.session.fit import fit
from banach.session.run import run
from banach.session.scoring import check_scoring, score, score_file, score_w1
from banach.spaces import space
from banach.specs import SpecError

SMALL: dict[str, Any] = {"model": "mlp", "z": 2, "g_width": 4, "d_width": 4, "batch": 8, "n_critic": 1, "steps": 3}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    data = tmp_path / "x.npy"
    np.save(data, np.random.default_rng(0).integers(0, 256, (60, 1, 6, 6), dtype=np.uint8))
    config = Config(**SMALL, data=str(data), out=str(tmp_path / "run"), extractor="pixels", score_samples=30)
    assert run(config, console=Quiet(), argv=["test"]).code == 0
    return tmp_path / "run"


def test_a_file_is_scored_on_its_own_data_as_the_run_scored_itself(trained: Path) -> None:
    line = json.loads((trained / "scores.jsonl").read_text())
    found = score_file(trained / "generator.safetensors", n=30, extractor="pixels")
    assert found.value == pytest.approx(line["value"])
    assert found.floor == pytest.approx(line["floor"])
    assert found.protocol == line["protocol"]
    assert score_file(trained / "best.safetensors", n=30, seed=1, extractor="pixels").value != found.value


def test_data_that_are_gone_are_told(trained: Path) -> None:
    (trained.parent / "x.npy").unlink()
    with pytest.raises(DataError, match=r"x\.npy"):
        score_file(trained / "generator.safetensors")


def test_a_generator_that_knows_no_data_is_told(tmp_path: Path) -> None:
    generator = fit(torch.randn(30, 2), steps=1, width=4, z=2, batch=8, n_critic=1)
    with pytest.raises(DataError, match="array:"):
        score_file(generator.save(tmp_path / "g.safetensors"))
    silent = Generator(generator.network, generator.units, dataclasses.replace(generator.about, config=""))
    with pytest.raises(GeneratorError, match="does not say on which data it was trained"):
        score_file(silent.save(tmp_path / "g.safetensors"))


def test_an_extractor_that_is_not_there_is_told_before_training(trained: Path) -> None:
    data = load(trained.parent / "x.npy")
    with pytest.raises((ScoreError, SpecError), match="fashoin"):
        check_scoring(Config(**SMALL, extractor="fashoin"), data)
    check_scoring(Config(**SMALL, extractor="fashoin"), load(torch.randn(30, 2)))
    check_scoring(Config(**SMALL), data)


def test_arrays_are_scored_by_w1_and_moments() -> None:
    data = load(torch.randn(60, 2, generator=torch.Generator().manual_seed(0)))
    generator = fit(torch.randn(60, 2), steps=1, width=4, z=2, batch=8, n_critic=1)
    assert set(score(generator, data, 40).value) == {"excess", "w1", "mean", "std"}


def test_a_run_logs_the_excess_on_held_out_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(80, 1, 8)))
    config = Config(**SMALL, data=str(tmp_path / "x.npy"), out=str(tmp_path / "run"), score_w1="shape", holdout=0.3)
    assert run(config, console=Quiet(), argv=["test"]).code == 0
    line = json.loads((tmp_path / "run" / "scores.jsonl").read_text())["transport"]
    generator, data = Generator.load(tmp_path / "run" / "generator.safetensors"), load(tmp_path / "x.npy", holdout=0.3)
    found = score_w1(generator, data, space("shape"))
    assert line == json.loads(json.dumps(found.as_dict()))
    assert line["protocol"]["reference"] == "held out"
    assert line["protocol"]["samples_in_each_half"] == 12
    assert "excess W1[Sobolev(s=-1)] " in (tmp_path / "run" / "log.txt").read_text()


def test_pictures_are_transported_in_the_critics_units(trained: Path) -> None:
    generator = Generator.load(trained / "generator.safetensors")
    data = load(trained.parent / "x.npy", holdout=0.5)
    found = score_w1(generator, data, space("Lp(inf)"))
    assert 0 < found.excess.across <= 2  # entries are in [-1, 1]
    few = score_w1(generator, load(trained.parent / "x.npy", holdout=0.0), space("l2"))
    assert "training part" in few.protocol["reference"]


def test_a_norm_that_does_not_fit_is_told_before_training() -> None:
    data = load(torch.randn(60, 2), holdout=0.2)
    with pytest.raises(ScoreError, match="0 samples are held out"):
        check_scoring(Config(**SMALL, score_w1="l2"), load(torch.randn(60, 2), holdout=0.0))
    with pytest.raises(ValueError, match="spatial"):
        check_scoring(Config(**SMALL, score_w1="shape"), data)
    with pytest.raises(ScoreError, match="is itself computed"):
        check_scoring(Config(**SMALL, score_w1="InfConvolution(2, Lp(1), Lp(2))"), data)
    with pytest.raises(ConfigError, match="score-w1"):
        Config(**SMALL, score_w1="shpe")
    check_scoring(Config(**SMALL, score_w1="outliers", holdout=0.2), data)
