"""The loader's benchmark: what its figures mean, on a case of milliseconds."""

import dataclasses

import numpy as np
import pytest
import torch

from banach.data import load
from banach.data.rows import Rows
from benchmarks import loader
from benchmarks.loader import CASES, Case, Found


def test_the_ratio_is_the_time_of_a_step_over_the_time_of_its_batches():
    assert Found(load=1e-3, step=0.3, batches=5, batch=64).ratio == pytest.approx(60)


def test_every_case_is_a_config_and_reads_its_own_array():
    for case in CASES.values():
        loader.config_of(case)
        assert len(case.axes) == case.samples().ndim


def test_a_case_is_measured_in_memory_and_mapped(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path))
    tiny = {"model": "mlp", "g_width": 8, "d_width": 8, "z": 2, "batch": 8, "n_critic": 2}
    case = Case(lambda: np.random.default_rng(0).normal(0, 1, (100, 3)), tiny, "bd", 3, 20)
    monkeypatch.setattr(loader, "CASES", {"tiny": case, "other": dataclasses.replace(case, axes="?")})
    before = torch.get_num_threads()
    code = loader.main(["--cases", "tiny", "--threads", str(before)])
    said = capsys.readouterr().out
    assert code in (0, 1)
    assert [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| `")] == [
        "`tiny, in memory`",
        "`tiny, mapped`",
    ]
    np.save(tmp_path / "x.npy", case.samples())
    mapped = load(tmp_path / "x.npy", axes="bd", cache="always")
    assert isinstance(mapped.train, Rows)
    found = loader.measure(case, mapped)
    assert 0 < found.load < found.step
    assert (found.batches, found.batch) == (2, 8)
