"""Run folders that a training run wrote, as they are or with longer records in place of its own."""

import atexit
import dataclasses
import functools
import json
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from banach.config.config import Config, dump
from banach.runs import facts
from banach.session.console import Quiet
from banach.session.run import run

SMALL = Config(
    data="fashion", space="Sobolev(s=-1)", model="mlp", z=8, g_width=4, d_width=4, batch=8, n_critic=1, steps=4,
    log_every=2, sample_every=2, save_every=4, score_every=2, score_samples=64, extractor="pixels", threads=1,
)  # fmt: skip


@functools.cache
def real_run() -> Path:
    """The folder of a run that was trained, for four steps."""
    folder = Path(tempfile.mkdtemp(prefix="banach-report-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BANACH_CACHE", str(folder / "cache"))
        config = dataclasses.replace(SMALL, out=str(folder / "run"))
        outcome = run(config, console=Quiet(), argv=["banach", "train", "--out", "runs/demo"])
    assert outcome.code == 0, outcome.message
    return folder / "run"


def write_grid(path: Path, rng: np.random.Generator, softness: float = 0.0) -> None:
    """An 8 x 8 grid of 28 x 28 grey blobs under so much noise."""
    at = np.linspace(-1, 1, 28)
    shape = np.exp(-2 * (at[:, None] ** 2 + at[None] ** 2))
    tiles = [(1 - softness) * np.roll(shape, rng.integers(-8, 8)) + softness * rng.random((28, 28)) for _ in range(64)]
    sheet = np.block([[tiles[8 * row + column] for column in range(8)] for row in range(8)])
    Image.fromarray((255 * np.clip(sheet, 0, 1)).astype(np.uint8)).save(path)


def metrics_line(step: int, steps: int) -> dict[str, float]:
    """One logged step of a plausible run."""
    gap = 14 * math.exp(-3 * step / steps) + 3 + 0.4 * math.sin(step / 37)
    slope = 1.5 + 0.1 * math.sin(step / 91)
    highest = slope + 0.4 + 9 * math.exp(-40 * step / steps)
    return {
        "step": step,
        "images": 320 * step,
        "minutes": step / 900,
        "loss_critic": -gap + 5,
        "loss_generator": 2 - gap / 3,
        "play": -gap,
        "penalty": 400 * math.exp(-20 * step / steps) + 0.2,
        "drift": 1e-4 * (1 + step / steps),
        "gap": gap,
        "gap_per_slope": gap / highest,
        "gap_held_out": gap - 0.6 * step / steps,
        "slope_mean": slope,
        "slope_max": highest,
        "lr": 2e-4 * (1 - step / steps),
        "g_lr": 2e-4 * (1 - step / steps),
        "images_per_second": 4700 + 300 * math.sin(step / 11),
    }


def write_run(folder: Path, steps: int = 4000, done: int = 4000, every: int = 10) -> Path:
    """The folder of `real_run` as if it were `done` of `steps` steps in: with more and larger curves and pictures."""
    rng = np.random.default_rng(0)
    shutil.copytree(real_run(), folder)
    (folder / "config.yaml").write_text(dump(dataclasses.replace(SMALL, steps=steps, out="runs/demo")))
    facts.write(folder / "facts.json", dataclasses.replace(facts.read(folder / "facts.json"), steps=steps))
    for path in (*folder.glob("samples/*"), *folder.glob("checkpoints/*")):
        path.unlink()
    lines = [json.dumps(metrics_line(step, steps)) for step in range(every, done + 1, every)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    write_grid(folder / "samples" / "reals.png", rng)
    scores = []
    for step in range(done // 8, done + 1, done // 8):
        write_grid(folder / "samples" / f"fakes-{step:09d}.png", rng, 1 - step / (1.1 * steps))
        fid = 10 + 200 * math.exp(-5 * step / steps)
        scores.append(
            {
                "step": step,
                "scores": {
                    "fid": fid,
                    "kid": fid / 900,
                    "is": 8 - fid / 40,
                    "precision": 0.8 - fid / 400,
                    "recall": 0.4,
                },
                "matched": {"fid": fid + 1, "kid": fid / 900, "is": 7.5, "precision": 0.7, "recall": 0.4},
                "floors": {"fid": 2.13, "kid": 0.0004, "is": 8.91, "precision": 0.83, "recall": 0.81},
                "protocol": {"extractor": "fashion", "hash": "1a2b3c", "samples": 10_000, "split": "train / held out"},
            }
        )
    write_grid(folder / "samples" / f"derivative-{done:09d}.png", rng, 0.9)
    (folder / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    shutil.copy(folder / "generator.safetensors", folder / "best.safetensors")
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A copy of a folder as a run of four steps left it."""
    return shutil.copytree(real_run(), tmp_path / "trained")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run."""
    return write_run(tmp_path / "demo")


@pytest.fixture
def lean_run(tmp_path: Path) -> Path:
    """A finished run with two logged quantities and one scoring: a page of it is made fast."""
    folder = write_run(tmp_path / "lean", every=100)
    lines = [{"step": step, "gap": 5.0 - step / 1000, "slope_mean": 1.1} for step in range(100, 4001, 100)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "scores.jsonl").write_text('{"step": 4000, "scores": {"fid": 9.5}, "floors": {"fid": 2.1}}\n')
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run("name", done=…)` writes a run folder in the state asked for."""
    return lambda name, steps=4000, done=4000, every=10: write_run(tmp_path / name, steps, done, every)
