"""Training in one call."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

from banach.config.config import FIELDS, ConfigError
from banach.errors import DataError
from banach.generator import Generator
from banach.runs.folder import FolderError
from banach.session.fit import fit
from banach.spaces import Lp, Sobolev

POINTS = torch.randn(80, 3, generator=torch.Generator().manual_seed(0)) * 5 + 100
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 1, 6, 6), dtype=np.uint8)
SMALL = {"steps": 3, "width": 4, "z": 2, "batch": 8, "n_critic": 1}


def test_vectors_come_back_in_their_units() -> None:
    generator = fit(POINTS, Lp(2), **SMALL)
    assert generator.about.model == "mlp"
    samples = generator.sample(200, seed=1)
    assert samples.shape == (200, 3)
    assert 50 < float(samples.mean()) < 150


def test_images_are_uint8_and_arrays_of_numpy_are_taken() -> None:
    generator = fit(IMAGES, "Sobolev(s=-1)", axes="bchw", model="mlp", **SMALL)
    samples = generator.sample(4)
    assert (samples.dtype, samples.shape) == (torch.uint8, (4, 1, 6, 6))
    assert generator.about.space == "Sobolev(s=-1)"


def test_a_seed_settles_it_and_nothing_global_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one = fit(POINTS, **SMALL, seed=4)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.sample(5), fit(POINTS, **SMALL, seed=4).sample(5))
    assert not torch.equal(one.sample(5), fit(POINTS, **SMALL, seed=5).sample(5))
    assert list(tmp_path.iterdir()) == []


def test_with_a_folder_it_is_a_run_with_the_same_result(tmp_path: Path) -> None:
    inside = fit(POINTS, Lp(2), **SMALL, out=tmp_path / "run")
    assert torch.equal(inside.sample(5), fit(POINTS, Lp(2), **SMALL).sample(5))
    again = fit(POINTS, Lp(2), **SMALL, out=tmp_path / "run")
    assert torch.equal(inside.sample(5), again.sample(5))
    assert torch.equal(Generator.load(tmp_path / "run" / "generator.safetensors").sample(5), inside.sample(5))
    with pytest.raises(FolderError, match=r"lr was 0\.0002, now 0\.001"):
        fit(POINTS, Lp(2), **SMALL, lr=1e-3, out=tmp_path / "run")
    with pytest.raises(FolderError, match="data was array:"):
        fit(POINTS + 1, Lp(2), **SMALL, out=tmp_path / "run")


def test_save_and_load(tmp_path: Path) -> None:
    generator = fit(IMAGES, Sobolev(s=1), axes="bchw", model="mlp", **SMALL)
    path = generator.save(tmp_path / "g.safetensors")
    assert torch.equal(Generator.load(path).sample(6, seed=2), generator.sample(6, seed=2))


def test_errors_name_the_value() -> None:
    with pytest.raises(ConfigError, match="space: unknown space 'Sobolv'"):
        fit(POINTS, "Sobolv(1)", **SMALL)
    with pytest.raises(ConfigError, match="steps: 0 is too small"):
        fit(POINTS, **{**SMALL, "steps": 0})
    with pytest.raises(DataError):
        fit(torch.full((20, 2), torch.nan), **SMALL)
    with pytest.raises(ConfigError, match="unknown key 'stpes'; did you mean steps"):
        fit(POINTS, stpes=3)
    with pytest.raises(ConfigError, match="lr: 'fast' is not a finite number"):
        fit(POINTS, lr="fast", **SMALL)


def test_every_key_of_a_config_is_taken_or_refused_with_a_sentence(tmp_path: Path) -> None:
    """No key is passed over in silence: those of files never, those of runs with a folder only."""
    for key in ("data", "size", "fit", "classes", "cache"):
        with pytest.raises(ConfigError, match=f"{key}: the data are x"):
            fit(POINTS, **{key: FIELDS[key].default}, **SMALL)
    for key, value in {"save_every": 2, "init": "a", "compile": True, "max_minutes": 1, "log_every": 1}.items():
        with pytest.raises(ConfigError, match=f"{key.replace('_', '-')}: is of runs in a folder; give out="):
            fit(POINTS, **{key: value}, **SMALL)
    fit(POINTS, **SMALL, save_every=2, log_every=1, out=tmp_path / "run")
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_its_signature_names_the_keys_that_it_takes() -> None:
    """What help() and a notebook show is made from the keys themselves."""
    shown = inspect.signature(fit).parameters
    assert list(shown)[:6] == ["x", "space", "steps", "model", "out", "console"]
    assert shown.keys() - {"x", "console"} == (FIELDS.keys() | {"width"}) - {"data", "size", "fit", "classes", "cache"}
    assert (shown["steps"].default, shown["lr"].default) == (2000, FIELDS["lr"].default)
    assert all(one.kind is one.KEYWORD_ONLY for name, one in shown.items() if name not in ("x", "space"))


def test_keys_that_only_train_knew_have_their_effect() -> None:
    one, other = (fit(POINTS, **SMALL, beta1=beta).sample(4) for beta in (0.0, 0.9))
    assert not torch.equal(one, other)
