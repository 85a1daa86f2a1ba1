"""The benchmark of one generator at three resolutions: its fields have their spectrum, its error sees another one."""

import json

import pytest
import torch

from benchmarks import resolution


@pytest.mark.parametrize("size", resolution.SIZES)
def test_fields_have_the_variance_1_and_an_error_near_0(size):
    x = resolution.fields(300, size, seed=0)
    assert x.shape == (300, 1, size, size)
    assert float(x.square().mean()) == pytest.approx(1, rel=0.1)
    found, beyond = resolution.error(x)
    assert found < 0.05
    assert beyond < 1e-9


def test_another_spectrum_has_an_error():
    x = resolution.fields(300, 32, seed=0)
    found, _ = resolution.error(2 * x)
    assert found == pytest.approx(2 * torch.tensor(2.0).log().item(), rel=0.05)
    rough = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    found, beyond = resolution.error(rough)
    assert found > 0.1
    assert beyond == pytest.approx(0.2 * (1 - 317 / 1024), rel=0.1)


@pytest.mark.slow
def test_it_runs_and_writes_what_it_found(tmp_path, monkeypatch):
    monkeypatch.setattr(resolution, "SAMPLES", 50)
    code = resolution.main(["--steps", "2", "--fields", "64", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "resolution.json").read_text())
    assert code == (0 if max(one["ratio"] for one in found["sizes"].values()) <= resolution.ALLOWED else 1)
    assert set(found["sizes"]) == {"32", "64", "128"}
    assert (tmp_path / "generator.safetensors").is_file()
