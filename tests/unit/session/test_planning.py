"""A plan is made once: it is in the run's config, and a run that goes on times nothing."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import DATA

from banach.config.config import Config, ConfigError
from banach.config.reading import read_file
from banach.generator import Generator
from banach.runs.folder import RunFolder
from banach.session import planning
from banach.session.console import Plain, Quiet
from banach.session.fit import fit
from banach.session.planning import planned, recalled
from banach.session.run import preview, run
from banach.training.plan import Look, Trial, candidates
from banach.training.timing import seconds_of, threads

GIVEN: dict[str, Any] = {
    "data": "small", "space": "Sobolev(s=-1)", "minutes": 0.05, "g_width": 4, "d_width": 4, "z": 3, "threads": 1,
    "batch": 8, "score_every": 0, "score_samples": 16, "extractor": "pixels", "sample_every": 100,
}  # fmt: skip


@pytest.fixture(autouse=True)
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """A step takes a tenth of a second, whatever is timed; the trials."""
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    log: list[Trial] = []

    def found(trial: Trial, *rest: Any) -> float:
        log.append(trial)
        return 0.1

    monkeypatch.setattr(planning, "seconds_of", found)
    return log


def go(out: Path | str, given: dict[str, Any] = GIVEN, **more: Any):
    stream = io.StringIO()
    config = Config(**{**given, "out": str(out), **more})
    stated = frozenset({*given, *more} | ({"out"} if out else set()))
    return run(config, data=DATA, console=Plain(stream), argv=["test"], stated=stated), stream.getvalue()


def test_the_plan_is_written_into_the_config_and_told(tmp_path: Path, timed: list[Trial]) -> None:
    outcome, said = go(tmp_path / "run")
    stored = read_file(tmp_path / "run" / "config.yaml")
    assert outcome.code == 0
    assert timed
    assert (stored.minutes, stored.g_width, stored.batch) == (0.05, 4, 8)
    assert stored.model == "dcgan4"
    assert 10 <= stored.steps <= 25  # 0.85 of three seconds, at a tenth of a second
    assert stored.lr == 5e-3
    assert "plan      for 0.05 minutes: --minutes changes the time" in said
    assert "plan      for 0.05 minutes" in (tmp_path / "run" / "log.txt").read_text()


def test_a_run_goes_on_without_timing_anything_and_bit_for_bit(tmp_path: Path, timed: list[Trial]) -> None:
    assert go(tmp_path / "straight")[0].code == 0
    stored = read_file(tmp_path / "straight" / "config.yaml")
    shorter = dataclasses.replace(stored, out=str(tmp_path / "cut"), max_minutes=1e-9)
    stopped = run(shorter, data=DATA, console=Quiet(), argv=["test"])
    assert stopped.code == 75
    timed.clear()
    again, said = go(tmp_path / "cut", max_minutes=0.0)  # the command as it was typed, the plan left out
    assert (again.code, timed) == (0, [])
    assert "plan  " not in said
    one, other = (Generator.load(tmp_path / name / "generator.safetensors").sample(5) for name in ("straight", "cut"))
    assert torch.equal(one, other)


def test_the_same_command_on_a_finished_run_says_so(tmp_path: Path, timed: list[Trial]) -> None:
    go(tmp_path / "run")
    timed.clear()
    outcome, _ = go(tmp_path / "run")
    assert (outcome.code, timed) == (0, [])
    assert "is finished" in outcome.message


def test_another_time_on_the_same_folder_is_refused_with_both(tmp_path: Path) -> None:
    go(tmp_path / "run")
    outcome, _ = go(tmp_path / "run", minutes=0.1)
    assert outcome.code == 2
    assert "minutes was 0.05, now 0.1" in outcome.message
    assert "--fresh" in outcome.message


def test_without_out_the_folder_is_named_after_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timed: list[Trial]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert go("")[0].folder == Path("runs/small-sobolev-s-1-0.05min")
    timed.clear()
    assert "is finished" in go("")[0].message
    assert timed == []


def test_a_run_that_was_not_planned_is_recalled_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("steps: 7\nlr: 0.5\nmodel: mlp\n")
    config, stated = recalled(Config(seed=3), RunFolder(tmp_path), {"seed"})
    assert (config.steps, config.lr, config.model, config.seed, stated) == (7, 0.5, "mlp", 3, None)
    assert recalled(Config(seed=3), RunFolder(tmp_path / "no"), {"seed"}) == (Config(seed=3), {"seed"})


def test_nothing_is_written_by_a_preview_and_the_time_is_told(tmp_path: Path) -> None:
    stream = io.StringIO()
    config = Config(**{**GIVEN, "out": str(tmp_path / "run")})
    assert preview(config, DATA, Plain(stream), stated=frozenset(GIVEN)).code == 0
    assert "plan      for 0.05 minutes" in stream.getvalue()
    assert "time      about " in stream.getvalue()
    assert not (tmp_path / "run").exists()
    stream = io.StringIO()
    preview(Config(**{**GIVEN, "minutes": None, "model": "mlp", "steps": 123}), DATA, Plain(stream))
    assert ": 123 steps of " in stream.getvalue()


def test_weights_to_start_from_bring_their_networks(tmp_path: Path, timed: list[Trial]) -> None:
    go(tmp_path / "first", model="mlp", g_width=5, d_width=6)
    given = {key: value for key, value in GIVEN.items() if key not in ("g_width", "d_width", "z")}
    outcome, _ = go(tmp_path / "second", given, init=str(tmp_path / "first"))
    stored = read_file(tmp_path / "second" / "config.yaml")
    assert (outcome.code, stored.model, stored.g_width, stored.d_width, stored.z) == (0, "mlp", 5, 6, 3)
    file = tmp_path / "first" / "generator.safetensors"
    assert go(tmp_path / "third", given, init=str(file))[0].code == 0
    assert read_file(tmp_path / "third" / "config.yaml").g_width == 5


def test_fit_is_planned_where_no_steps_are_given(tmp_path: Path, timed: list[Trial]) -> None:
    points = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    small: dict[str, Any] = {"width": 4, "z": 2, "batch": 8, "threads": 1}
    generator = fit(points, minutes=0.05, **small)
    assert timed
    assert generator.about.model == "mlp"
    assert "minutes: 0.05" in generator.about.config
    timed.clear()
    fit(points, steps=2, **small)
    assert timed == []
    with pytest.raises(ConfigError, match="minutes: steps=2 fixes the length already"):
        fit(points, steps=2, minutes=1, **small)
    fit(points, minutes=0.05, out=tmp_path / "run", **small)
    assert fit(points, minutes=0.05, out=tmp_path / "run", **small).sample(2).shape == (2, 3)


def test_a_trial_is_timed_on_its_threads_and_leaves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(**GIVEN, model="mlp")
    before = torch.get_num_threads()
    with threads(2):
        assert torch.get_num_threads() == 2
    seen = []
    monkeypatch.setattr("banach.training.timing.train", lambda *rest: seen.append(torch.get_num_threads()))
    networks = candidates(Look("image", DATA.shape, 32), config, frozenset(GIVEN))[0][1]
    assert seconds_of(Trial(networks, 2, "fp32"), config, DATA, torch.device("cpu"), 1e6) >= 0
    assert set(seen) == {2}
    assert torch.get_num_threads() == before


def test_what_is_planned_is_a_config_with_its_data() -> None:
    config, data, lines = planned(Config(**GIVEN), frozenset(GIVEN), DATA, torch.device("cpu"), Quiet())
    assert data is DATA
    assert config.steps > 0
    assert lines
