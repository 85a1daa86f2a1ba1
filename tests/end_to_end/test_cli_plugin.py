"""A user's own space, objective, penalty and networks in one file: they train, are listed, and pass `banach laws`."""

import json
from pathlib import Path

import pytest
import yaml

from banach.cli.__main__ import main
from banach.generator import Generator

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin.py"
NAMES = ["Channels(p=1)", "Channels(p=4)", "logcosh", "cubic", "smooth"]

WRONG = '''
from dataclasses import dataclass

import torch

from banach.objectives import OBJECTIVES, Objective
from banach.spaces import SPACES, Space


@SPACES.register(examples=["HalfWrong(p=3)"])
@dataclass(frozen=True)
class HalfWrong(Space):
    """A norm that gives itself for its dual."""

    p: float = 3.0

    def norm(self, x):
        return torch.linalg.vector_norm(x.flatten(1), self.p, 1)

    @property
    def dual(self):
        return self


OBJECTIVES.add("backwards", Objective(torch.neg, torch.positive, torch.positive, "backwards"))
'''


def test_the_file_has_forty_lines():
    lines = [line for line in PLUGIN.read_text().splitlines() if line.strip()]
    assert len(lines) <= 40


def test_it_trains_and_the_run_remembers_its_plugin(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(PLUGIN.parents[1])
    out = tmp_path / "run"
    argv = (
        "train --plugin examples/plugin.py --space Channels:p=1 --objective logcosh --penalty cubic --model smooth "
        "--data fashion --classes 1,7 --width 8 --z 4 --batch 8 --n-critic 1 --steps 4 --log-every 1 --score-every 0 "
        f"--score-samples 50 --threads 1 --out {out}"
    )
    assert main(argv.split()) == 0
    said = capsys.readouterr().out
    assert "space     Channels(p=1" in said
    assert "lambda 30" in said  # the penalty's own weight: the heuristic is for the two-sided Wasserstein loss
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["loss_critic"] == line["loss_critic"] for line in lines)
    assert yaml.safe_load((out / "config.yaml").read_text())["plugin"] == ["examples/plugin.py"]
    assert main(["train", "--out", str(out), "--steps", "5", "--extend"]) == 0
    assert main(["sample", str(out), "--n", "4"]) == 0
    assert Generator.load(out / "generator.safetensors").about.model == "smooth"


@pytest.mark.parametrize(
    "argv",
    [
        ["Channels(p=1)", "--shape", "2x5"],
        ["Channels(p=4)", "--shape", "3x6x4"],
        ["logcosh"],
        ["cubic"],  # the penalty, not its shape Cubic
        ["smooth", "--shape", "1x28x28"],
    ],
)
def test_each_of_its_names_passes_the_laws(argv, capsys):
    assert main(["laws", *argv, "--plugin", str(PLUGIN)]) == 0
    said = capsys.readouterr().out
    assert "laws hold" in said
    assert "BROKEN" not in said


@pytest.mark.slow
def test_all_its_names_pass_the_laws_on_all_shapes(capsys):
    assert main(["laws", "--plugin", str(PLUGIN), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == NAMES


def test_one_shape_can_be_asked_for(capsys):
    assert main(["laws", "Channels:p=1", "--plugin", str(PLUGIN), "--shape", "2x5", "--json"]) == 0
    ((spec, results),) = json.loads(capsys.readouterr().out).items()
    assert spec == "Channels:p=1"
    assert all("(2, 5)" in one["detail"] for one in results if one["name"] in ("homogeneous", "maximiser attains"))
    assert main(["laws", "shape", "--shape", "1x6x6"]) == 0
    assert main(["laws", "smooth", "--plugin", str(PLUGIN), "--shape", "7"]) == 0


def test_what_is_wrong_is_found(tmp_path, capsys):
    file = tmp_path / "wrong_plugin.py"
    file.write_text(WRONG)
    assert main(["laws", "HalfWrong(p=3)", "--plugin", str(file), "--shape", "5"]) == 1
    said = capsys.readouterr().out
    assert "BROKEN" in said
    assert "laws broken" in said
    assert main(["laws", "backwards", "--plugin", str(file), "--json"]) == 1
    (results,) = json.loads(capsys.readouterr().out).values()
    broken = {one["name"] for one in results if not one["ok"]}
    assert broken >= {"the critic scores reals higher", "the generator raises f"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["laws"], "spec is missing"),
        (["laws", "Lpp"], "did you mean Lp"),
        (["laws", "Lp(0.5)"], "from 1 to inf"),
        (["laws", "hinge", "--kind", "space"], "unknown space 'hinge'"),
        (["laws", "hinge", "--kind", "spcae"], "none of space, operator"),
        (["laws", "hinge", "--shape", "3x4"], "--shape is for space, operator, model"),
        (["laws", "Lp(2)", "--shape", "axb"], "write for example 3x28x28"),
        (["laws", "--plugin", "nowhere.py"], "no such file"),
        (["laws", "Lp(2)", "Lp(3)"], "unexpected 'Lp(3)'"),
    ],
)
def test_what_cannot_be_tested(argv, said, capsys):
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
