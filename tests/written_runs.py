"""Run folders as training leaves them, written file by file: for comparisons of many runs, without training any."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from banach.config.config import Config, dump
from banach.runs import facts

BASE = Config(data="fashion", model="dcgan", z=8, g_width=8, d_width=8, batch=16, steps=1000, threads=1)
PROTOCOL = {"extractor": "fashion", "weights": "1a2b3c", "fakes": 1000, "reals": 9000, "split": "training part",
            "held_out": 1000, "seed": 0}  # fmt: skip
NORM = {"metric": "Sobolev(s=-1)", "event": "1x28x28", "reference": "held out", "samples_in_each_half": 500, "seed": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """What a run is to look like."""

    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fid: float | None = 20.0
    """The last FID; None for a run without scores."""
    done: int = 1000
    minutes: float = 5.0
    """Of the whole run."""
    every: int = 250
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=lambda: dict(PROTOCOL))
    fingerprint: str = "one split"
    not_finite: str = ""
    log: str = "finished: 1,000 steps"
    pictures: bool = False


def write(folder: Path, told: Told | None = None) -> Path:
    """The folder of such a run."""
    told = told or Told()
    config = dataclasses.replace(BASE, **told.config)
    (folder / "samples").mkdir(parents=True)
    (folder / "config.yaml").write_text(dump(config))
    about = facts.Facts(
        data=config.data, data_notes=(), fingerprint=told.fingerprint, train=9000, held_out=1000, shape=(1, 28, 28),
        space=config.space, emphasises="", lam=10.0, lam_error=None, gamma=1.0, gamma_error=None, model=config.model,
        generator_parameters=1, critic_parameters=1, device="cpu", precision="fp32", threads=1, processes=1, forms="",
        step=0, steps=config.steps, not_finite=told.not_finite,
    )  # fmt: skip
    facts.write(folder / "facts.json", about)
    machine = {"device": "cpu", "processor": "a processor", "threads": 1, "host": "here"}
    (folder / "environment.json").write_text(json.dumps(machine))
    (folder / "log.txt").write_text(f"2026-11-30 12:00:00  {told.log}\n")
    per_step = told.minutes / config.steps
    lines(folder / "metrics.jsonl", [logged(step, config, per_step) for step in range(20, told.done + 1, 20)])
    lines(folder / "scores.jsonl", scored(told, per_step))
    if told.pictures:
        draw(folder, told)
    return folder


def logged(step: int, config: Config, per_step: float) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    gap = (8 + config.seed) * math.exp(-3 * step / config.steps) + 2 + 0.3 * math.sin(step / 37 + config.seed)
    return {"step": step, "minutes": step * per_step, "gap": gap, "gap_held_out": gap - 0.2, "gap_per_slope": gap / 1.6,
            "slope_mean": 1.1, "slope_max": 1.6, "penalty": 0.4}  # fmt: skip


def scored(told: Told, per_step: float) -> list[dict[str, Any]]:
    """The lines of scores.jsonl."""
    if told.fid is None:
        return []
    found = []
    for step in range(told.every, told.done + 1, told.every):
        fid = told.fid * (1 + 4 * math.exp(-4 * step / told.done) - 4 * math.exp(-4))
        beyond = {"excess": {"value": fid / 100, "low": 0.0, "high": 1.0}, "protocol": NORM}
        found.append({"step": step, "minutes": step * per_step, "value": {"fid": fid, "is": 9 - fid / 20},
                      "matched": {}, "floor": {"fid": 2.1, "is": 8.9}, "protocol": told.protocol,
                      "transport": beyond})  # fmt: skip
    return found


def lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def draw(folder: Path, told: Told) -> None:
    """Grids of 8 x 8 blobs under noise, and bands of red and blue."""
    rng = np.random.default_rng(int(told.config.get("seed", 0)))
    at = np.linspace(-1, 1, 28)
    shape = np.exp(-3 * (at[:, None] ** 2 + at[None] ** 2))
    soft = min(0.7, (told.fid or 60) / 100)
    for name, noise in (("reals", 0.02), (f"fakes-{told.done:09d}", soft)):
        tiles = [[(1 - noise) * np.roll(shape, rng.integers(-7, 8, 2), (0, 1)) + noise * rng.random((28, 28))
                  for _ in range(8)] for _ in range(8)]  # fmt: skip
        Image.fromarray((255 * np.clip(np.block(tiles), 0, 1)).astype(np.uint8)).save(
            folder / "samples" / f"{name}.png"
        )
    waves = np.sin(at * (4 + 20 * soft))[None] * np.cos(at * 5)[:, None]
    band = np.tile(waves, (2, 8))
    red, blue = 1 - np.clip(-band, 0, 1), 1 - np.clip(band, 0, 1)
    picture = np.stack([red, np.minimum(red, blue), blue], -1)
    Image.fromarray((255 * picture).astype(np.uint8)).save(folder / "samples" / f"derivative-{told.done:09d}.png")


def sweep(folder: Path, pictures: bool = False) -> Path:
    """Three norms over three seeds, one of whose runs was not finite, one stopped, one begun twice."""
    shift = {"Lp(p=2)": 24.0, "Sobolev(s=-1)": 19.0, "Lp(p=10)": 21.5}
    noise = ((0.3, -0.5, 0.4), (0.1, -0.6, 0.5), (2.8, -2.1, 0.3))
    for (space, fid), rough in zip(shift.items(), noise, strict=True):
        for seed in range(3):
            config = {"space": space, "seed": seed, "split_seed": 0, "penalty_weight": 10.0}
            name = space.lower().replace("(", "-").replace(")", "").replace("=", "")
            told = Told(config=config, fid=fid + rough[seed], minutes=5 + 0.4 * seed, pictures=pictures)
            if (space, seed) == ("Lp(p=10)", 2):
                told = dataclasses.replace(told, fid=40.0, done=500, log="step 512: not finite",
                                           not_finite="step 512: the penalty is not finite (inf)")  # fmt: skip
            write(folder / f"{name}-seed{seed}", told)
    stopped = Told(config={"space": "Sobolev(s=-1)", "seed": 3, "split_seed": 0, "penalty_weight": 10.0}, done=400,
                   fid=60.0, log="stopped by SIGTERM: saved at step 400 of 1,000", pictures=pictures)  # fmt: skip
    write(folder / "sobolev-s-1-seed3", stopped)
    again = {"space": "Lp(p=2)", "seed": 0, "split_seed": 0, "penalty_weight": 10.0}
    write(folder / "lp-p2-seed0-again", Told(config=again, fid=25.0, pictures=pictures))
    return folder
