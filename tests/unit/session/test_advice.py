"""Lines on what of the machine makes a run slow, by given figures."""

import os
from pathlib import Path

import pytest
import torch
from small_run import DATA

from banach.config.config import Config
from banach.session import advice, run
from banach.session.advice import advice_on_precision, advice_on_threads
from banach.session.console import Quiet
from banach.training import timing
from banach.training.timing import threads

CPU = torch.device("cpu")


def loaded(monkeypatch: pytest.MonkeyPatch, busy: float, cores: int = 2) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(advice, "busy_cores", lambda: busy)


def test_a_busy_machine_is_told_of_and_an_idle_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with threads(2):
        loaded(monkeypatch, 3.2)
        (line,) = advice_on_threads(CPU)
        assert "other work keeps 2.0 of 2 cores busy" in line
        assert "--threads 1 is likely faster now" in line
        loaded(monkeypatch, 0.3)
        assert list(advice_on_threads(CPU)) == []
        loaded(monkeypatch, 3.2, cores=16)
        assert list(advice_on_threads(CPU)) == []
        assert list(advice_on_threads(torch.device("meta"))) == []
    with threads(1):
        loaded(monkeypatch, 3.2)
        assert list(advice_on_threads(CPU)) == []
    with threads(4):
        loaded(monkeypatch, 1.4, cores=4)
        assert "--threads 2 is likely" in next(advice_on_threads(CPU))


def test_half_precision_that_is_slower_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "peak", lambda device, precision, **rest: {"fp32": 170.0, "bf16": 100.0}[precision])
    (line,) = advice_on_precision(Config(precision="bf16"), CPU)
    assert "bf16 takes 1.7 times as long as in fp32" in line
    assert list(advice_on_precision(Config(), CPU)) == []
    monkeypatch.setattr(advice, "peak", lambda device, precision, **rest: {"fp32": 100.0, "bf16": 200.0}[precision])
    assert list(advice_on_precision(Config(precision="bf16"), CPU)) == []


def test_the_lines_are_in_the_log_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "advice_on_threads", lambda device: iter(["          one thread would do"]))
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    config = Config(
        data="small", model="mlp", z=3, g_width=4, d_width=4, batch=8, n_critic=1, steps=1, score_every=0,
        score_samples=16, extractor="pixels", out=str(tmp_path / "run"),
    )  # fmt: skip
    assert run.run(config, data=DATA, console=Quiet(), argv=["test"]).code == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "one thread would do" in log
    assert "quality   " in log


def test_a_system_without_a_load_is_taken_for_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise OSError

    monkeypatch.setattr(os, "getloadavg", none)
    assert timing.busy_cores() == 0.0
    monkeypatch.delattr(os, "getloadavg")
    assert timing.busy_cores() == 0.0


@pytest.mark.parametrize(("load", "now", "busy"), [(0.4, 2.0, 0.4), (2.7, 0.1, 0.1), (1.5, 3.0, 1.5), (2.0, None, 2.0)])
def test_work_that_has_ended_keeps_no_core_busy(
    load: float, now: float | None, busy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter((100.0, 100.0 + (now or 0) * timing._MOMENT))

    def worked() -> float:
        if now is None:
            raise FileNotFoundError("no /proc")
        return next(seconds)

    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(timing, "_worked", worked)
    assert timing.busy_cores() == pytest.approx(busy)
