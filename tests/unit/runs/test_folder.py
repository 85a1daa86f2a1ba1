"""What tells a run's folder from any other."""

from pathlib import Path

import pytest

from banach.runs.folder import RunFolder


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        ((), False),
        (("config.yaml",), False),
        (("config.yaml", "log.txt", "samples/fakes-000000001.png"), False),
        (("generator.safetensors", "metrics.jsonl"), False),
        (("config.yaml", "environment.json"), True),
        (("config.yaml", "checkpoints/last.pt"), True),
        (("config.yaml", "generator.safetensors"), True),
        (("checkpoints/last.pt", "metrics.jsonl"), True),
        (("run.lock",), False),
        (("run.lock", "checkpoints/x"), True),
    ],
)
def test_a_run_is_told_by_what_it_wrote(tmp_path: Path, files: tuple[str, ...], holds: bool) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert RunFolder(tmp_path).holds_run is holds
