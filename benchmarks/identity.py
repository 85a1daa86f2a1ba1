"""Whether a change of code leaves results as they are, bit for bit: `python -m benchmarks.identity`.

Prints hashes for each of: twenty steps of some games, a run that was stopped and resumed, a scored demo of 200 steps,
and distances on five cases. They are of this machine and these versions: run it before a change and after it, and
compare the lines. Everything goes through the command line and `banach.distance`, so that it runs on any version.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file

from banach import distance

TINY = "--steps 20 --threads 1 --score-samples 64 --g-width 16 --d-width 16 --batch 8 --n-critic 2 --log-every 5"
PICTURES = f"--data fashion --classes 1,7 {TINY}"
GAMES = {
    "dcgan4, Sobolev, wgan-gp": f"{PICTURES} --model dcgan4 --space shape",
    "dcgan, Lp(4), wgan-lp, lazy": f"{PICTURES} --model dcgan --space Lp(4) --penalty wgan-lp"
    " --penalty-schedule lazy(every=4)",
    "dcgan4, clipping, rmsprop": f"{PICTURES} --model dcgan4 --constraint clip --penalty none --optimizer rmsprop",
    "resnet, edges, maxgp-buffer": f"{PICTURES} --model resnet --space edges --penalty maxgp-buffer --penalty-weight 1",
    "mlp, hinge, spectral": f"{PICTURES} --model mlp --objective hinge --constraint spectral-norm --penalty none",
    "mlp, ct-gan": f"{PICTURES} --model mlp --penalty ct-gan --penalty-weight 1",
    "mlp, swgan-al": f"{PICTURES} --model mlp --penalty swgan-al --penalty-weight 1",
    "mlp, points, compact-dual": f"--data 8gaussians {TINY} --model mlp --penalty compact-dual --penalty-weight 10",
    "mlp, compiled": f"{PICTURES} --model mlp --compile",
    "resnet, bf16": f"{PICTURES} --model resnet --precision bf16",
}
"""Flags of `banach train` by what they try."""

TIMES = {"minutes", "eta", "time", "memory", "memory_mb", "peak_mb", "wall"}
CASES = ("Lp(1)", "Lp(2)", "Sobolev(s=-1)", "Weighted(Matrix(((2, 1), (0, 1))), Lp(3))", "Discrete()")


def train(flags: str, out: Path) -> None:
    """Run `banach train`."""
    command = [sys.executable, "-m", "banach.cli", "train", *flags.split(), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 75):
        raise SystemExit(f"{flags}:\n{done.stderr[-500:]}")


def weights(file: Path) -> Iterator[bytes]:
    """The tensors of a generator file or of a checkpoint."""
    tensors = load_file(file) if file.suffix == ".safetensors" else _flat(torch.load(file, weights_only=True))
    for name in sorted(tensors):
        yield name.encode()
        yield tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _flat(saved: dict) -> dict[str, torch.Tensor]:
    parts = {part: saved[part] for part in ("generator", "critic", "average")}
    return {f"{part}.{name}": one for part, state in parts.items() for name, one in state.items()}


def records(file: Path) -> bytes:
    """The lines of a log of records, without what is measured by the clock."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [{key: one for key, one in line.items() if key not in TIMES and "second" not in key} for line in lines]
    return json.dumps(kept, sort_keys=True).encode()


def of_run(out: Path) -> str:
    """Two hashes of what a run made: of its weights, and of its records, whose keys may be renamed."""
    made, said = hashlib.sha256(), hashlib.sha256()
    for file in (out / "generator.safetensors", out / "checkpoints" / "last.pt"):
        for one in weights(file):
            made.update(one)
    for name in ("metrics.jsonl", "scores.jsonl"):
        if (out / name).exists():
            said.update(records(out / name))
    return f"weights {made.hexdigest()[:16]}, records {said.hexdigest()[:16]}"


def of_distance(spec: str) -> str:
    """The hash of an interval."""
    rng = torch.Generator().manual_seed(0)
    shape = (2,) if "Matrix" in spec else (1, 8, 8)
    x, y = (torch.randn(120, *shape, generator=rng, dtype=torch.float64) for _ in range(2))
    found = distance(x, 1.2 * y + 0.1, spec, rel_gap=1e-6)
    return hashlib.sha256(repr((found.lower, found.upper)).encode()).hexdigest()[:16]


def main(argv: list[str] | None = None) -> int:
    """Print the hashes."""
    argparse.ArgumentParser("benchmarks.identity", description=__doc__).parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for place, (name, flags) in enumerate(GAMES.items()):
            train(flags, out := Path(folder) / f"game{place}")
            print(f"{name:<40}{of_run(out)}", flush=True)
        out = Path(folder) / "resumed"
        train(f"{next(iter(GAMES.values()))} --steps 10", out)
        train(f"{next(iter(GAMES.values()))} --extend", out)
        print(f"{'stopped at 10 of 20, resumed':<40}{of_run(out)}", flush=True)
        train("--preset demo --steps 200 --score-every 100 --threads 2", out := Path(folder) / "demo")
        print(f"{'demo, 200 steps, scored':<40}{of_run(out)}", flush=True)
    for spec in CASES:
        print(f"{'distance, ' + spec:<60}{of_distance(spec)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
