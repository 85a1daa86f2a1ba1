"""Training in one call."""

import inspect
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from banach.config.config import FIELDS, ConfigError
from banach.errors import DataError
from banach.generator import Generator
from banach.runs.folder import FolderError
from banach.session import watching
from banach.session.console import Progress, Quiet
from banach.session.fit import Interrupted, fit
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
    assert list(shown)[:6] == ["x", "space", "steps", "minutes", "model", "out"]
    of_files = {"data", "size", "fit", "classes", "cache", "pages", "background", "merge_folders"}
    assert shown.keys() - {"x", "console", "progress"} == (FIELDS.keys() | {"width"}) - of_files
    assert (shown["steps"].default, shown["lr"].default) == (None, FIELDS["lr"].default)
    assert all(one.kind is one.KEYWORD_ONLY for name, one in shown.items() if name not in ("x", "space"))


def test_keys_that_only_train_knew_have_their_effect() -> None:
    one, other = (fit(POINTS, **SMALL, beta1=beta).sample(4) for beta in (0.0, 0.9))
    assert not torch.equal(one, other)


class Interrupting(Quiet):
    """A console at whose nth figures the user presses Ctrl-C."""

    def __init__(self, at: int = 1):
        self.at = at
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, standing: Progress) -> None:
        self.lines.append(str(standing))
        self.at -= 1
        if self.at == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training is told of from its first step."""
    monkeypatch.setattr(watching, "AFTER", 0.0)
    monkeypatch.setattr(watching, "PACE", 0.0)


@pytest.mark.usefixtures("at_once")
def test_an_interrupt_keeps_the_generator_so_far(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="stopped at step 2 of 9; the generator so far") as caught:
        fit(POINTS, **{**SMALL, "steps": 9}, console=Interrupting(2))
    stopped = caught.value
    assert isinstance(stopped, Interrupted)
    assert stopped.folder is None
    assert stopped.generator.about.step == 2
    assert stopped.generator.sample(5).shape == (5, 3)
    assert Generator.load(stopped.generator.save(tmp_path / "g.safetensors")).about.step == 2


@pytest.mark.usefixtures("at_once")
def test_an_interrupted_run_names_its_folder_and_goes_on(tmp_path: Path) -> None:
    whole = fit(POINTS, **SMALL, out=tmp_path / "whole", log_every=1)
    with pytest.raises(
        Interrupted, match=r"Ctrl-C: saved at step 1 of 3; the same call goes on with .*run\n"
    ) as caught:
        fit(POINTS, **SMALL, out=tmp_path / "run", log_every=1, console=Interrupting())
    assert caught.value.folder == tmp_path / "run"
    assert caught.value.generator.about.step == 1
    assert "banach train" not in str(caught.value)  # which could not go on with an array
    assert torch.equal(fit(POINTS, **SMALL, out=tmp_path / "run", log_every=1).sample(4), whole.sample(4))


@pytest.mark.usefixtures("at_once")
def test_it_says_what_it_does_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    fit(POINTS, **SMALL)
    out, err = capsys.readouterr()
    assert out == ""  # it is the caller's own
    lines = err.splitlines()
    assert lines[0].startswith("data      array: 72 to train on")
    assert lines[-1].startswith("3/3  gap ")
    one, other = fit(POINTS, **SMALL, progress=False).sample(4), fit(POINTS, **SMALL).sample(4)
    assert torch.equal(one, other)
    capsys.readouterr()
    fit(POINTS, **SMALL, progress=False)
    assert capsys.readouterr() == ("", "")


def test_what_is_over_at_once_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AFTER", 1e9)
    fit(POINTS, **SMALL)
    assert capsys.readouterr() == ("", "")


def test_the_result_is_one_line_with_folder_and_score(tmp_path: Path) -> None:
    assert repr(fit(POINTS, **SMALL)) == "Generator(mlp, samples 3, step 3, in Lp(p=2))"
    told = repr(fit(POINTS, **SMALL, out=tmp_path / "run", score_samples=20))
    assert told.startswith("Generator(mlp, samples 3, step 3, in Lp(p=2), excess W1[Lp(p=2)] ")
    assert told.endswith(f", {tmp_path / 'run'})")


def test_lists_and_data_sets_are_no_file_names() -> None:
    expected = fit(POINTS, **SMALL).sample(4)
    for source in (
        POINTS.tolist(),
        list(POINTS),
        TensorDataset(POINTS),
        DataLoader(TensorDataset(POINTS), shuffle=True),
    ):
        assert torch.equal(fit(source, **SMALL).sample(4), expected)
    with pytest.raises(DataError, match="data of type NoneType are not read"):
        fit(None, **SMALL)
