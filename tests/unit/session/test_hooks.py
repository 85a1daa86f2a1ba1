"""What a run writes while it trains, and that writing it changes nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_run import DATA, GAME, IMAGES, new

from banach.config.config import Config
from banach.data.load import load
from banach.runs.records import KEYS, SCORES
from banach.session.console import Quiet
from banach.session.hooks import held_out_gap
from banach.session.pictures import derivative
from banach.session.run import Outcome, run
from banach.training.loop import train
from banach.training.state import Recipe

SMALL: dict[str, Any] = {
    "data": "small", "model": "resnet", "z": 3, "g_width": 4, "d_width": 4, "batch": 8, "n_critic": 1, "steps": 4,
    "log_every": 2, "sample_every": 2, "save_every": 2, "score_every": 2, "score_samples": 16, "extractor": "pixels",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))


def go(out: Path, data: Any = DATA, **changes: Any) -> Outcome:
    outcome = run(Config(**{**SMALL, "out": str(out), **changes}), data=data, console=Quiet(), argv=["test"])
    assert outcome.code == 0, outcome.message
    return outcome


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    return saved["generator"] | {f"c.{name}": value for name, value in saved["critic"].items()}


def test_observing_changes_nothing(tmp_path: Path) -> None:
    """Every hook at every step, or none but the last: the same weights, running statistics included."""
    go(tmp_path / "busy", log_every=1, sample_every=1, score_every=1, save_every=1)
    go(tmp_path / "calm", log_every=100, sample_every=100, score_every=0, save_every=100)
    one, other = final_weights(tmp_path / "busy"), final_weights(tmp_path / "calm")
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_folder_is_as_documented(tmp_path: Path) -> None:
    go(tmp_path / "run")
    found = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()}
    events = {name for name in found if name.startswith("tensorboard/events")}
    steps = (0, 2, 4)
    pictures = {f"samples/{kind}-{step:09d}.png" for kind in ("fakes", "derivative") for step in steps}
    checkpoints = {f"checkpoints/{name}.pt" for name in ("last", "last.previous", "step-000000002", "step-000000004")}
    assert len(events) == 1
    assert found - events == {
        "config.yaml", "environment.json", "facts.json", "metrics.jsonl", "scores.jsonl", "log.txt",
        "generator.safetensors", "best.safetensors", "samples/reals.png", *pictures, *checkpoints,
    }  # fmt: skip


def test_lines_have_the_documented_keys_and_sane_values(tmp_path: Path) -> None:
    go(tmp_path / "run", space="Sobolev(s=-1)", lr=1e-3, g_lr=1e-4)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    for line in lines:
        assert list(line) == list(KEYS)
        assert line["images"] == 8 * line["step"]
        assert line["slope_max"] >= line["slope_mean"] > 0
        assert line["gap_per_slope"] == pytest.approx(line["gap"] / line["slope_max"])
        assert line["loss_critic"] == pytest.approx(line["play"] + line["penalty"] + line["drift"], rel=1e-5)
        assert line["play"] == pytest.approx(-line["gap"], rel=1e-5)
        assert line["minutes"] > 0
    assert [line["lr"] for line in lines] == pytest.approx([1e-3 * 0.75, 1e-3 * 0.25])
    assert [line["g_lr"] for line in lines] == pytest.approx([1e-4 * 0.75, 1e-4 * 0.25])


def test_scores_stand_beside_floors_and_protocol_and_the_best_is_kept(tmp_path: Path) -> None:
    go(tmp_path / "run", steps=6)
    lines = [json.loads(line) for line in (tmp_path / "run" / "scores.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert all(list(line) == list(SCORES) for line in lines)
    assert lines[0]["protocol"]["extractor"] == "pixels"
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["best"] == min(line["value"]["fid"] for line in lines)


def test_too_little_data_to_score_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    go(tmp_path / "run", data=load(IMAGES[:9], axes="bchw"), batch=4)
    assert "no scores at step 2" in (tmp_path / "run" / "log.txt").read_text()
    assert not (tmp_path / "run" / "scores.jsonl").exists()


@pytest.mark.parametrize(
    ("shape", "derivatives"), [((2,), False), ((5,), False), ((2, 16), True), ((3, 8, 8), True), ((1, 4, 8, 8), True)]
)
def test_arrays_of_every_kind_are_drawn_and_scored(tmp_path: Path, shape: tuple[int, ...], derivatives: bool) -> None:
    x = torch.randn(60, *shape, generator=torch.Generator().manual_seed(0))
    axes = {2: "bd", 3: "bcl", 4: "bchw", 5: "bcdhw"}[x.ndim]
    go(tmp_path / "run", data=load(x, axes=axes), model="mlp", steps=2)
    names = {path.name for path in (tmp_path / "run" / "samples").iterdir()}
    assert {"reals.png", "fakes-000000000.png", "fakes-000000002.png"} <= names
    assert ("derivative-000000002.png" in names) == derivatives
    line = json.loads((tmp_path / "run" / "scores.jsonl").read_text())
    assert {"w1", "mean", "std"} <= set(line["value"])
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_pictures_come_from_the_fixed_latents(tmp_path: Path) -> None:
    go(tmp_path / "run", model="mlp", lr=1e-12)
    first, last = (
        np.asarray(Image.open(tmp_path / "run" / "samples" / f"fakes-00000000{step}.png")) for step in (0, 4)
    )
    assert np.abs(first.astype(int) - last.astype(int)).mean() < 0.01
    assert first.std() > 1


def test_the_held_out_gap_is_that_of_f_on_held_out_reals() -> None:
    state = new(Recipe(n_critic=1, batch=8, g_batch=8))
    train(state, GAME, DATA, 3)
    before = state.streams.state_dict()
    found = held_out_gap(state, GAME, DATA)
    assert found == held_out_gap(state, GAME, DATA)
    assert torch.equal(before["latent"], state.streams.state_dict()["latent"])  # pyright: ignore
    shifted = held_out_gap(state, GAME, load(IMAGES.flip(0), axes="bchw", holdout=0.2, seed=9))
    assert found is not None
    assert shifted != found
    with torch.no_grad():
        f_real = state.critic.forward(DATA.model_units(DATA.held_out)).mean() / 3.0
        assert abs(found - float(f_real)) < 1  # the rest is E f(fake)
    assert held_out_gap(state, GAME, load(IMAGES, axes="bchw", holdout=0)) is None


def test_the_derivative_is_the_gradient_of_f() -> None:
    state = new(Recipe(n_critic=1, batch=8, g_batch=8))
    x = DATA.batch(torch.arange(3))
    u = derivative(state, GAME, x)
    step = torch.zeros_like(x)
    step[:, 0, 2, 3] = 1e-2
    with torch.no_grad():
        slope = (state.critic.forward(x + step) - state.critic.forward(x - step)) / (2e-2 * 3.0)
    torch.testing.assert_close(u[:, 0, 2, 3], slope, rtol=1e-2, atol=1e-4)
    assert not u.requires_grad
