"""A whole run, from a config to an outcome; what goes wrong with folders is in end_to_end/test_bad_endings.py."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import DATA

from banach.config.config import Config
from banach.config.reading import read_file
from banach.data.load import load
from banach.runs.lock import Lock
from banach.session.console import Machine, Plain, Quiet
from banach.session.run import Outcome, preview, run

SMALL: dict[str, Any] = {
    "data": "small", "space": "Sobolev(s=-1)", "model": "mlp", "z": 3, "g_width": 4, "d_width": 4, "batch": 8,
    "n_critic": 1, "steps": 4, "log_every": 2, "sample_every": 4, "save_every": 2, "score_every": 0,
    "score_samples": 16, "extractor": "pixels",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))


def config(out: Path, **changes: Any) -> Config:
    return Config(**{**SMALL, "out": str(out), **changes})


def go(out: Path, **changes: Any) -> Outcome:
    return run(config(out, **changes), data=DATA, console=Quiet(), argv=["test"])


def test_the_first_lines_tell_what_a_user_must_know(tmp_path: Path) -> None:
    stream = io.StringIO()
    outcome = run(config(tmp_path / "run"), data=DATA, console=Plain(stream), argv=["test"])
    text = stream.getvalue()
    for told in (
        "32 to train on, 8 held out, shape (1, 6, 6)", "held out 8 of 40, by seed 0", "Sobolev(s=-1): low frequencies",
        "lambda ", " +- ", "(from the data), gamma", "generator 236 parameters, critic 193", "cpu, 1 threads, fp32",
        "4 of the generator, 1 of the critic for each, batch 8", f"folder    {tmp_path / 'run'}", "4/4  gap ",
    ):  # fmt: skip
        assert told in text, told
    assert outcome.message.startswith("finished: 4 steps, ")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "low frequencies" in log
    assert outcome.message in log


def test_machine_output_is_json_from_start_to_end(tmp_path: Path) -> None:
    stream = io.StringIO()
    run(config(tmp_path / "run"), data=DATA, console=Machine(stream), argv=["test"])
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    names = [one["event"] for one in events]
    assert (names[0], names[-1]) == ("start", "end")
    assert names.count("metrics") == names.count("progress") == 2
    assert names.count("scores") == 1
    assert events[0]["steps"] == 4
    assert events[0]["config"]["space"] == "Sobolev(s=-1)"
    assert events[-1] == {
        "event": "end", "code": 0, "folder": str(tmp_path / "run"), "message": events[-1]["message"],
    }  # fmt: skip


def test_the_config_is_stored_resolved_and_reads_back(tmp_path: Path) -> None:
    go(tmp_path / "run")
    assert read_file(tmp_path / "run" / "config.yaml") == config(tmp_path / "run")


def test_every_session_is_recorded(tmp_path: Path) -> None:
    go(tmp_path / "run")
    run(config(tmp_path / "run", steps=6), data=DATA, console=Quiet(), argv=["again"], extend=True)
    found = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert found["command"] == ["again"]
    assert [one["command"] for one in found["earlier"]] == [["test"]]


def test_scales_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(tmp_path / "run")
    first = (tmp_path / "run" / "log.txt").read_text()

    def again(*args: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("banach.training.build.scales", again)
    run(config(tmp_path / "run", steps=6), data=DATA, console=Quiet(), argv=["again"], extend=True)
    lines = [line[20:] for line in (tmp_path / "run" / "log.txt").read_text().splitlines() if "lambda" in line]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert lines[0] in first


def test_another_number_of_threads_is_told(tmp_path: Path) -> None:
    go(tmp_path / "run")
    run(config(tmp_path / "run", steps=6, threads=2), data=DATA, console=Quiet(), argv=["test"], extend=True)
    assert (
        "2 threads, and 1 before: this run goes on, but not bit for bit" in (tmp_path / "run" / "log.txt").read_text()
    )
    assert torch.get_num_threads() == 1


def test_init_starts_from_weights_and_counts_from_0(tmp_path: Path) -> None:
    go(tmp_path / "first")
    assert go(tmp_path / "second", init=str(tmp_path / "first"), lr=1e-9).code == 0
    log = (tmp_path / "second" / "log.txt").read_text()
    assert f"generator and critic start from {tmp_path / 'first'} (step 4)" in log
    first, second = (
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True) for name in ("first", "second")
    )
    assert second["step"] == 4
    for name, value in first["critic"].items():
        torch.testing.assert_close(second["critic"][name], value, atol=1e-7, rtol=0)
    assert go(tmp_path / "second", init=str(tmp_path / "first"), lr=1e-9).message.count("is finished") == 1


def test_a_dry_run_checks_and_tells_and_writes_nothing(tmp_path: Path) -> None:
    stream = io.StringIO()
    outcome = preview(config(tmp_path / "run"), DATA, Plain(stream))
    assert (outcome.code, outcome.folder) == (0, None)
    assert "generator 236 parameters" in stream.getvalue()
    assert list(tmp_path.iterdir()) == []
    assert preview(config(tmp_path / "run", data="nowhere.npy"), None, Quiet()).code == 2


def test_a_dry_run_on_a_run_checks_whether_it_can_go_on(tmp_path: Path) -> None:
    go(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / ".last.pt.1.tmp").write_text("left behind")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    longer = config(tmp_path / "run", steps=6, decay="linear")
    stream = io.StringIO()
    assert preview(longer, DATA, Plain(stream), extend=True).code == 0
    assert "going on from step 4" in stream.getvalue()
    assert "add --extend" in preview(longer, DATA, Quiet()).message
    assert "lr was" in preview(config(tmp_path / "run", lr=1.0), DATA, Quiet()).message
    assert "is finished: 4 steps" in preview(config(tmp_path / "run"), DATA, Quiet()).message
    other = load(torch.randint(0, 256, (30, 1, 6, 6), dtype=torch.uint8), axes="bchw")
    assert "has changed since the run began" in preview(longer, other, Quiet(), extend=True).message
    assert preview(config(tmp_path / "run", lr=1.0), DATA, Quiet(), fresh=True).code == 0
    with Lock(tmp_path / "run" / "run.lock"):
        assert "is being written by process" in preview(longer, DATA, Quiet(), extend=True).message
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


class Hearing(io.StringIO):
    """A console whose reader goes away after some letters."""

    def __init__(self, letters: int):
        super().__init__()
        self.letters = letters

    def write(self, text: str) -> int:
        if self.tell() + len(text) > self.letters:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        return super().write(text)


@pytest.mark.parametrize("kind", [Plain, Machine])
@pytest.mark.parametrize("letters", [0, 400])
def test_a_lost_console_ends_nothing_and_is_noted(tmp_path: Path, kind: type[Plain] | type[Machine], letters: int):
    outcome = run(config(tmp_path / "run"), data=DATA, console=kind(Hearing(letters)), argv=["test"])
    assert outcome.code == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.count("the console is lost (Broken pipe): the run goes on") == 1
    assert "finished: 4 steps" in log
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) > 0


def test_scores_of_another_number_of_samples_are_not_compared_with_those_before(tmp_path: Path) -> None:
    go(tmp_path / "run", decay="none")
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    torch.save(torch.load(last, weights_only=True) | {"best": 0.0}, last)
    changes = {"steps": 6, "decay": "none", "score_samples": 20, "log_every": 1}
    outcome = run(config(tmp_path / "run", **changes), data=DATA, extend=True, console=Quiet(), argv=["test"])
    assert outcome.code == 0
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "scores are of 20 samples from here on, and the best one is sought anew" in log
    assert torch.load(last, weights_only=True)["best"] > 0


def test_a_line_says_whether_steps_are_compiled_and_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banach.training.compiled.compiled", lambda function, arguments: function)
    assert go(tmp_path / "run", compile=True).code == 0
    assert "compile   both steps, as one program each" in (tmp_path / "run" / "log.txt").read_text()
    assert go(tmp_path / "clipped", compile=True, constraint="clip", penalty="none").code == 0
    told = "compile   off: the constraint changes the critic between its steps"
    assert told in (tmp_path / "clipped" / "log.txt").read_text()


def test_faults_of_the_program_are_raised_and_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("banach.training.steps.generator_loss", broken)
    with pytest.raises(ZeroDivisionError):
        go(tmp_path / "run")
    assert "a fault" in (tmp_path / "run" / "log.txt").read_text().splitlines()[-1]
    assert not (tmp_path / "run" / "run.lock").exists()
    monkeypatch.undo()
    monkeypatch.setenv("BANACH_CACHE", str(tmp_path / "cache"))
    assert go(tmp_path / "run").code == 0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError) -> None:
    def full(*args: Any) -> None:
        raise error

    monkeypatch.setattr("banach.training.steps.generator_loss", full)
    outcome = go(tmp_path / "run")
    assert (outcome.code, "smaller --batch" in outcome.message) == (2, True)


def test_ctrl_c_while_the_data_are_read_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("banach.session.begin.load_data", interrupted)
    outcome = run(config(tmp_path / "run"), console=Quiet(), argv=["test"])
    assert (outcome.code, outcome.folder) == (75, None)
    assert outcome.message.startswith("stopped before the run began: nothing was written")  # and no run to go on with
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("killed_after", ["config.yaml", "nothing"])
def test_killed_before_the_first_checkpoint(tmp_path: Path, killed_after: str) -> None:
    go(tmp_path / "whole")
    go(tmp_path / "run")
    for path in sorted((tmp_path / "run").rglob("*"), reverse=True):
        if path.is_file() and path.name != killed_after:
            path.unlink()
    assert go(tmp_path / "run").code == 0
    left, right = (
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)["critic"]
        for name in ("whole", "run")
    )
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def test_checkpoints_without_a_config_are_not_overwritten(tmp_path: Path) -> None:
    go(tmp_path / "run")
    (tmp_path / "run" / "config.yaml").unlink()
    outcome = go(tmp_path / "run")
    assert (outcome.code, "no config.yaml" in outcome.message) == (2, True)


def test_a_config_that_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    go(tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text("steps: [")
    outcome = go(tmp_path / "run")
    assert (outcome.code, str(tmp_path / "run" / "config.yaml") in outcome.message) == (2, True)
