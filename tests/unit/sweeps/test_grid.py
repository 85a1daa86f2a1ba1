"""grid.yaml: which runs it stands for, their names, and what is refused before anything runs."""

import numpy as np
import pytest

from banach.config import plugins
from banach.config.config import Config
from banach.errors import BanachError
from banach.sweeps.grid import MOST, Grid, SweepError, read_grid

TINY = "base: {model: mlp, steps: 10}\n"


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def act(text: str, *plugin: str) -> Grid:
        (tmp_path / "grid.yaml").write_text(text)
        return read_grid("grid.yaml", plugin)

    return act


def test_every_combination_is_a_run_with_the_seeds_fastest(read):
    found = read(TINY + "grid: {space: [l2, Sobolev(s=-1)], lr: [1e-3, 2e-4]}\nseeds: [3, 5]\n")
    assert [(one.config.space, one.config.lr, one.config.seed) for one in found.runs] == [
        (space, lr, seed) for space in ("l2", "Sobolev(s=-1)") for lr in (1e-3, 2e-4) for seed in (3, 5)
    ]
    assert found.runs[5].name == "space-sobolev-s-1_lr-1e-3_seed-5"
    assert found.runs[5].values == {"space": "Sobolev(s=-1)", "lr": "1e-3", "seed": 5}  # as the user wrote them
    assert found.sizes == {"space": 2, "lr": 2, "seed": 2}
    assert found.base == {"model": "mlp", "steps": 10}
    assert {one.config.model for one in found.runs} == {"mlp"}


def test_cases_go_together_and_may_depart_from_the_base(read):
    found = read(
        "base: {model: mlp, steps: 10, lr: 1e-3}\n"
        "cases:\n- {objective: wasserstein, penalty: wgan-gp}\n- {objective: least-squares, penalty: maxgp, lr: 2e-4}\n"
        "seeds: [0, 1]\n"
    )
    assert [(one.config.objective, one.config.penalty, one.config.lr) for one in found.runs[::2]] == [
        ("wasserstein", "wgan-gp", 1e-3),
        ("least-squares", "maxgp", 2e-4),
    ]
    assert found.runs[3].name == "objective-least-squares_penalty-maxgp_lr-2e-4_seed-1"


def test_each_entry_is_one_value_also_of_a_key_that_is_a_list(read):
    found = read(TINY + "grid: {classes: [[0], [1, 7]], size: [16, [16, 32]], flip: [true, false]}\n")
    assert [one.config.classes for one in found.runs[::4]] == [(0,), (1, 7)]
    assert [one.config.size for one in found.runs[:4:2]] == [16, (16, 32)]
    assert found.runs[-1].name == "classes-1-7_size-16-32_flip-false"
    with pytest.raises(SweepError, match=r"grid: classes: each value is a list itself, and 0 is none"):
        read(TINY + "grid: {classes: [0, 1]}\n")


def test_preset_and_config_come_before_base(read, tmp_path):
    (tmp_path / "mine.yaml").write_text("lr: 5e-4\nbatch: 8\nout: runs/other\nminutes: 3\n")
    found = read("preset: toy\nconfig: mine.yaml\nbase: {batch: 16}\ngrid: {space: [l2]}\n")
    one = found.runs[0].config
    assert (one.lr, one.batch, one.out) == (5e-4, 16, "")
    assert one.steps != Config().steps  # the preset's
    assert "out" not in found.base


def test_a_key_with_another_spelling_is_the_same_key(read):
    found = read(TINY + "grid: {g_width: [8, 16], Batch: [4]}\n")
    assert [(one.config.g_width, one.config.batch) for one in found.runs] == [(8, 4), (16, 4)]
    assert found.runs[0].name == "g-width-8_batch-4"
    assert [(one.config.g_width, one.config.d_width) for one in read(TINY + "grid: {width: [8]}").runs] == [(8, 8)]


def test_names_are_short_and_differ(read):
    found = read(TINY + f"grid: {{data: ['{'a' * 120}.npy', '{'a' * 120}.npz', 'ä/ä.npy', 'ö/ö.npy']}}\n")
    names = [one.name for one in found.runs]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 105
    assert names[2:] == ["data--.npy_2", "data--.npy_3"]
    assert read(TINY).runs[0].name == "run"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: 10\n", "grid.yaml: steps stands alone; put it under base"),
        ("gird: {lr: [1]}\n", "grid.yaml: unknown part 'gird'; did you mean grid"),
        ("what: 1\n", "grid.yaml: unknown part 'what'; "),
        (TINY + "grid: {spcae: [l2]}\n", "grid.yaml: grid: unknown key 'spcae'; did you mean space"),
        ("base: {stpes: 10}\n", "grid.yaml: base: unknown key 'stpes'; did you mean steps"),
        (TINY + "grid: {lr: [0.1, -1]}\n", "grid.yaml: grid: lr: -1 is out of range; it must be more than 0"),
        (TINY + "grid: {space: [l2, Sobolef(s=1)]}\n", "run 1 (space-sobolef-s1): space: "),
        (TINY + "grid: {space: l2}\n", "grid: space: 'l2' is no list of values; write space: [value, value]"),
        (TINY + "grid: {space: []}\n", "grid: space: [] is no list of values"),
        (TINY + "grid: [space]\n", "grid: ['space'] is no set of keys"),
        (TINY + "seeds: 3\n", "seeds: seed: 3 is no list of values; write seeds: [0, 1, 2]"),
        (TINY + "seeds: [0, -1]\n", "seeds: seed: -1 is too small"),
        (TINY + "seeds: [0]\ngrid: {seed: [1]}\n", "seed is given in two places; keep one"),
        (TINY + "grid: {steps: [1, 2]}\n", "steps is given in two places"),
        (TINY + "grid: {width: [8], g-width: [8]}\n", "g-width is given in two places"),
        (TINY + "cases: [{lr: 1e-3}]\ngrid: {lr: [1e-3]}\n", "lr is given in two places"),
        (TINY + "cases: {lr: 1}\n", "cases: a list of sets of keys is needed"),
        (TINY + "cases: [3]\n", "cases, number 0: 3 is no set of keys"),
        (TINY + "grid: {out: [a, b]}\n", "grid: out: the sweep gives each run its folder"),
        ("base: {minutes: 5}\n", "base: minutes: the runs of a sweep are not planned; give steps"),
        ("base: {model: mlp}\n", "steps are missing (a sweep plans nothing)"),
        (TINY + "grid: {space: [l2, Lp(2)]}\n", "runs 0 (space-l2) and 1 (space-lp-2) are the same; leave one out"),
        (TINY + "seeds: [1, 1]\n", "runs 0 (seed-1_0) and 1 (seed-1_1) are the same"),
        (TINY + f"seeds: {list(range(101))}\ngrid: {{batch: {list(range(2, 102))}}}\n", f"the most are {MOST:,}"),
        ("preset: tyo\n", "unknown preset 'tyo'; did you mean toy"),
        ("preset: [toy]\n", "preset: ['toy'] is no name; give a preset"),
        ("config: none.yaml\n", "'none.yaml': no such file"),
        ("- a\n", "grid.yaml: a list, not keys and values"),
        ("base: {a: 1\n", "not YAML"),
        (TINY + "grid: {data: [2020-01-01]}\nseeds: [2020-01-01]\n", "seeds: seed: "),
        (TINY + "grid: {plugin: [[a.py], [b.py]]}\n", "plugin: code is not varied"),
        ("base: {steps: 10, plugin: [mine.py]}\n", "if you trust it, say so: --plugin mine.py"),
    ],
)
def test_what_is_refused(read, text, said):
    with pytest.raises(BanachError) as refused:
        read(text)
    assert said in str(refused.value)
    assert len(str(refused.value).split("\n")) <= 2


def test_a_grid_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BanachError, match="no such file; check the path"):
        read_grid(tmp_path / "no.yaml")


def test_code_runs_only_if_the_user_names_it_too(read, tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_LOADED", {})
    (tmp_path / "mine.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    text = "base: {steps: 10, plugin: [mine.py]}\n"
    with pytest.raises(BanachError, match="not asked which code to run"):
        read(text)
    assert not (tmp_path / "ran").exists()
    assert read(text, "mine.py").runs[0].config.plugin == ("mine.py",)
    assert (tmp_path / "ran").exists()


def test_files_in_specs_are_read_when_the_grid_is(read, tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((4, 4)))
    found = read(TINY + "grid: {space: [l2, \"Weighted(Scale('mask.npy'), Lp(2))\"]}\n")
    assert found.runs[1].name == "space-weighted-scale-mask.npy-lp-2"
