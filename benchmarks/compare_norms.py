"""Real | L2 | Sobolev at equal minutes, as one picture: `python -m benchmarks.compare_norms --minutes 5`.

Both runs are the demo preset but for the norm. How many steps fit into the minutes is timed first, for each norm by
itself, so that each learning rate falls to zero just as its time is up. Runs that are there already are used as they
are. Writes docs/pictures/real-l2-sobolev.png and prints steps, minutes and FID of both.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from banach.config.config import Config
from banach.config.reading import read_config
from banach.data import load
from banach.generator import Generator
from banach.runs.records import read_scores
from banach.session.run import FINISHED, run
from banach.training.build import build, device_of, load_data
from banach.training.loop import train

PICTURE = Path("docs/pictures/real-l2-sobolev.png")
NORMS = {"L2": "Lp(2)", "Sobolev W^(-1,2)": "Sobolev(s=-1)"}
ROWS, COLUMNS, SCALE, GAP, TITLE = 7, 7, 2, 20, 30
PROBE_STEPS = 30


def config_for(norm: str, out: Path, preset: str, threads: int) -> Config:
    """The preset with another norm, scored once, at the end."""
    base = read_config(["--preset", preset, "--space", norm, "--out", str(out), "--threads", str(threads)])
    return dataclasses.replace(base, score_every=0, sample_every=10**6, save_every=10**6)


def steps_in(config: Config, minutes: float) -> int:
    """How many steps fit, by the time of a few; what is drawn, saved and scored is not counted."""
    built = build(config, load_data(config), device_of(config))
    train(built.state, built.game, built.data, 5)
    began = time.perf_counter()
    train(built.state, built.game, built.data, 5 + PROBE_STEPS)
    return max(10, int(60 * minutes * PROBE_STEPS / (time.perf_counter() - began)))


def trained(norm: str, out: Path, preset: str, minutes: float, threads: int) -> Path:
    """The folder of a finished run in this norm."""
    config = config_for(norm, out, preset, threads)
    stored = out / "config.yaml"
    steps = read_config(["--config", str(stored)]).steps if stored.exists() else steps_in(config, minutes)
    outcome = run(dataclasses.replace(config, steps=steps))
    if outcome.code != FINISHED:
        sys.exit(outcome.message)
    return out


def told(folder: Path) -> str:
    """Steps, minutes and FID of a run."""
    last = read_scores(folder / "scores.jsonl")[0][-1]
    fid, floor = last["value"]["fid"], last["floor"]["fid"]
    return f"{last['step']:,} steps, {last['minutes']:.1f} min, FID {fid:.1f} (floor {floor:.1f})"


def sheet(images: torch.Tensor) -> Image.Image:
    """ROWS x COLUMNS uint8 images (n, c, h, w) as one picture."""
    _, c, h, w = images.shape
    tiles = (
        images[: ROWS * COLUMNS]
        .reshape(ROWS, COLUMNS, c, h, w)
        .permute(0, 3, 1, 4, 2)
        .reshape(ROWS * h, COLUMNS * w, c)
    )
    picture = Image.fromarray(np.ascontiguousarray(tiles.expand(-1, -1, 3).numpy()))
    return picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)


def composed(panels: dict[str, Image.Image]) -> Image.Image:
    """The panels side by side under their titles."""
    width, height = next(iter(panels.values())).size
    whole = Image.new("RGB", (len(panels) * (width + GAP) - GAP, height + TITLE), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(20)
    for at, (title, picture) in enumerate(panels.items()):
        left = at * (width + GAP)
        draw.text((left + width / 2, 4), title, "black", font, anchor="ma")
        whole.paste(picture, (left, TITLE))
    return whole


def main(argv: list[str] | None = None) -> int:
    """Train both, compose, and print what is to be quoted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each norm (default 5)")
    parser.add_argument("--preset", default="demo", help="what both runs have in common (default demo)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--runs", type=Path, default=Path("runs/compare-norms"), help="where the runs go")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    panels = {"real": sheet(load("fashion").train)}
    for title, norm in NORMS.items():
        folder = options.runs / title.split()[0].lower()
        trained(norm, folder, options.preset, options.minutes, options.threads)
        panels[title] = sheet(Generator.load(folder / "generator.safetensors").draw(ROWS * COLUMNS, seed=0))
        print(f"{title}: {told(folder)}")
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    composed(panels).save(options.picture, optimize=True)
    print(f"written: {options.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
