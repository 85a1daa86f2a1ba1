"""Where a run was computed."""

import json
from pathlib import Path

import torch

from banach.runs.environment import environment, record


def test_it_names_what_a_repetition_needs() -> None:
    found = environment(7, torch.device("cpu"), ["banach", "train"])
    assert found["seed"] == 7
    assert found["command"] == ["banach", "train"]
    assert found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["processor"]
    assert found["python"].startswith("3.")
    assert json.loads(json.dumps(found)) == found


def test_earlier_sessions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    for session in range(3):
        record(path, {"session": session})
    assert json.loads(path.read_text()) == {"session": 2, "earlier": [{"session": 0}, {"session": 1}]}
    path.write_text("{")
    record(path, {"session": 3})
    assert json.loads(path.read_text()) == {"session": 3, "earlier": []}
