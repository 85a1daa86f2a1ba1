"""The self-test of a GPU: its parts on the CPU, where they must hold, and fail where something is wrong."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from banach.training import device
from banach.training.device import Check, compiling, forms, precisions, report, resuming, timings, waiting

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "GAMES", ("Lp(2)", "Sobolev(s=-1)"))


def test_precisions_hold_on_a_cpu() -> None:
    found = list(precisions(CPU, ("fp32", "bf16"), width=8))
    assert len(found) == 2 * 2 * 4
    assert [str(one) for one in found if not one.passed] == []
    assert max(one.found for one in found if one.name.startswith("fp32")) < 1e-4
    assert max(one.found for one in found if one.name.startswith("bf16")) > 1e-4


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: torch.nn.Module, scale: float = 1.0) -> Tensor:
        found = right(network, scale)
        return found * 1.01 if next(network.parameters()).dtype == torch.float32 else found

    right = device.gradients
    monkeypatch.setattr(device, "gradients", wrong)
    found = list(precisions(CPU, ("fp32",), width=4))
    assert {one.name.split(",")[0] for one in found if not one.passed} == {
        "fp32 critic's gradient",
        "fp32 generator's gradient",
    }


def test_forms_and_resume_hold_on_a_cpu() -> None:
    found = [*forms(CPU, width=8), *resuming(CPU, width=4), *waiting(CPU)]
    assert len(found) == 4
    assert all(one.passed for one in found)


def test_timings_name_precision_and_forms() -> None:
    (line,) = timings(CPU, ("bf16",), side=16, width=4, steps=1)
    assert line.startswith("bf16: ")
    assert "resampling" in line


def test_a_part_that_cannot_run_is_a_line_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> list[Check]:
        raise RuntimeError("no such kernel")

    for name in ("forms", "resuming", "waiting", "compiling"):
        monkeypatch.setattr(device, name, broken if name == "resuming" else lambda device: [])
    monkeypatch.setattr(device, "precisions", lambda device, kinds: [Check("a", 0.0, 1.0)])
    monkeypatch.setattr(device, "timings", lambda device, kinds: ["fp32: 1 ms"])
    lines: list[str] = []
    assert report(CPU, ("fp32",), lines.append) is False
    assert lines[1] == "FAIL  resume did not run: RuntimeError: no such kernel"
    monkeypatch.setattr(device, "resuming", lambda device: [])
    assert report(CPU, ("fp32",), lines.append) is True
    assert not Check("nan", float("nan"), 1.0).passed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler
def test_compiled_steps_hold_on_a_cpu() -> None:
    (found,) = compiling(CPU, width=4)
    assert found.passed, str(found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_one_line_says_so() -> None:
    done = subprocess.run([sys.executable, "-m", "banach.training.device"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "there is no CUDA device here: nothing was tested\n")


@pytest.mark.gpu
def test_the_report_holds_on_a_gpu() -> None:
    lines: list[str] = []
    assert report(torch.device("cuda"), ("fp32", "bf16", "fp16"), lines.append), "\n".join(lines)
