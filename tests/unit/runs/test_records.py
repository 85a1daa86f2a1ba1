"""The run's records."""

import json
from pathlib import Path

import pytest

from banach.files import DiskFull
from banach.runs.records import KEYS, TIMES, Board, JsonLines, LogFile


def test_lines_are_appended_and_read(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "m.jsonl")
    assert lines.records() == []
    lines.append({"step": 1, "gap": 0.1})
    lines.append({"step": 2, "gap": None})
    lines.sync()
    assert lines.records() == [{"step": 1, "gap": 0.1}, {"step": 2, "gap": None}]


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        ("", [1, 2, 3]),
        ('{"step": 4}\n{"step": 5}\n', [1, 2, 3]),
        ('{"step": 4, "ga', [1, 2, 3]),
        ('{"step": 3}', [1, 2, 3]),
        ("\0\0\0\0", [1, 2, 3]),
        ("nonsense\n", [1, 2, 3]),
        ("[]\n", [1, 2, 3]),
    ],
)
def test_a_resumed_run_drops_what_it_will_write_again_and_what_was_cut(
    tmp_path: Path, tail: str, kept: list[int]
) -> None:
    path = tmp_path / "m.jsonl"
    whole = '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    path.write_text(whole + tail)
    lines = JsonLines(path)
    lines.truncate(3)
    assert [one["step"] for one in lines.records()] == kept
    assert path.read_text() == whole
    lines.truncate(1)
    assert path.read_text() == '{"step": 1}\n'
    assert [one.name for one in tmp_path.iterdir()] == ["m.jsonl"]


def test_a_file_that_is_right_is_not_written_again(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "m.jsonl")
    lines.truncate(10)
    assert not lines.path.exists()
    lines.append({"step": 1})
    before = lines.path.stat()
    lines.truncate(1)
    assert (lines.path.stat().st_ino, lines.path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_no_room_is_told_with_the_files_name(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    for write in (lambda: JsonLines(full).append({"step": 1}), lambda: LogFile(full).write("x")):
        with pytest.raises(DiskFull, match="no space left to write /dev/full"):
            write()


def test_log_lines_carry_the_time(tmp_path: Path) -> None:
    LogFile(tmp_path / "log.txt").write("one\ntwo")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[19:] for line in lines] == ["  one", "  two"]
    assert lines[0][4] == lines[0][7] == "-"


def test_every_key_is_explained() -> None:
    assert all(len(meaning) > 10 for meaning in KEYS.values())
    assert set(KEYS) > TIMES


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {tag: [(one.step, one.value) for one in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def test_tensorboard_reads_the_events_and_purges_those_after_the_resumed_step(tmp_path: Path) -> None:
    first = Board(tmp_path / "t", 0)
    for step in (10, 20, 30):
        first.metrics({**dict.fromkeys(KEYS), "step": step, "gap": step / 10, "slope_max": 1.5, "minutes": 3.0})
    first.scores(30, {"fid": 99.0})
    first.close()
    second = Board(tmp_path / "t", 20)
    second.metrics({"step": 30, "gap": 3.5})
    second.scores(30, {"fid": 98.0})
    second.close()
    found = events(tmp_path / "t")
    assert found["Wasserstein/gap"] == [(10, 1.0), (20, 2.0), (30, 3.5)]
    assert found["Slope/max"] == [(10, 1.5), (20, 1.5)]
    assert found["Metrics/fid"] == [(30, 98.0)]
    assert set(found) == {"Wasserstein/gap", "Slope/max", "Metrics/fid"}
    assert len(json.dumps(found)) > 0
