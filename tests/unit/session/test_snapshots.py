"""A run with warm restarts: its snapshots, their survival of a stop, and samples of the ensemble."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_run import DATA

from banach.cli.__main__ import main
from banach.config.config import Config
from banach.generator import Ensemble, Generator, GeneratorError
from banach.runs.folder import RunFolder
from banach.session.console import Quiet
from banach.session.run import run

SMALL: dict[str, Any] = {
    "data": "small", "space": "Sobolev(s=-1)", "model": "mlp", "z": 3, "g_width": 4, "d_width": 4, "batch": 8,
    "n_critic": 1, "log_every": 1, "sample_every": 100, "save_every": 3, "score_every": 0, "score_samples": 16,
    "extractor": "pixels", "decay": "restarts", "restart_every": 2, "ema": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of 7 steps at once, and the same in two goes of 4 and 7."""
    base = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("BANACH_CACHE", str(base / "cache"))
    for name, goes in (("whole", (7,)), ("parts", (4, 7))):
        for steps in goes:
            config = Config(**{**SMALL, "steps": steps, "out": str(base / name)})
            assert run(config, data=DATA, console=Quiet(), argv=["test"], extend=True).code == 0
    patch.undo()
    return base / "whole", base / "parts"


def test_the_generator_at_the_end_of_each_period_is_kept(folders):
    files = RunFolder(folders[0]).snapshot_files
    assert [one.name for one in files] == [f"generator-{step:09d}.safetensors" for step in (2, 4, 6)]
    assert [Generator.load(one).about.step for one in files] == [2, 4, 6]
    rates = [json.loads(line)["lr"] for line in (folders[0] / "metrics.jsonl").read_text().splitlines()]
    assert rates == pytest.approx([2e-4, 1e-4] * 3 + [2e-4])


def test_a_run_in_two_goes_keeps_the_same_ones(folders):
    whole, parts = (RunFolder(one) for one in folders)
    assert len(whole.snapshot_files) == len(parts.snapshot_files) == 3
    for one, other in zip(
        (*whole.snapshot_files, whole.generator), (*parts.snapshot_files, parts.generator), strict=True
    ):
        first, second = load_file(one), load_file(other)
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_samples_of_the_ensemble_come_from_all_members_in_turn(folders):
    files = RunFolder(folders[0]).snapshot_files
    ensemble = Ensemble.load(files)
    made = ensemble.sample(8, seed=5)
    assert torch.equal(made, ensemble.sample(20, seed=5)[:8])
    assert not torch.equal(made, ensemble.sample(8, seed=6))
    assert torch.equal(made[0::3], Generator.load(files[0]).sample(3, seed=5))
    alone = Generator.load(files[1])
    assert torch.equal(Ensemble((alone,)).sample(5, seed=2), alone.sample(5, seed=2))
    same = Ensemble((alone, alone)).sample(2, seed=0)  # each member has latents of its own
    assert not torch.equal(same[0], same[1])
    assert ensemble.sample(2).shape == (2, 1, 6, 6)


def test_an_ensemble_is_of_one_kind(folders):
    with pytest.raises(GeneratorError, match="at least one"):
        Ensemble(())
    one = Generator.load(RunFolder(folders[0]).generator)
    other = Generator(one.network, one.units, type(one.about)(**{**vars(one.about), "shape": (1, 8, 8)}))
    with pytest.raises(GeneratorError, match="samples of one kind"):
        Ensemble((one, other))


def test_the_command(folders, tmp_path, capsys):
    out = tmp_path / "ensemble.npz"
    assert main(["sample", str(folders[0]), "--snapshots", "--n", "4", "--out", str(out)]) == 0
    assert "3 generators in " in capsys.readouterr().out
    assert out.is_file()
    assert main(["sample", str(folders[0]), "--snapshots", "--best"]) == 2
    for one in RunFolder(folders[1]).snapshot_files:
        one.unlink()
    assert main(["sample", str(folders[1]), "--snapshots"]) == 2
    assert "--decay restarts" in capsys.readouterr().err
