"""The comparison of whole runs reads what runs write, and tells noise from a difference."""

import json
from pathlib import Path

import pytest

from benchmarks import precision_runs, targets


def told(folder: Path, fid: float) -> Path:
    """A folder as a run leaves it, as far as the comparison reads it."""
    folder.mkdir(parents=True)
    lines = [{"step": step, "loss_critic": -1.0 / step, "gap": 1.0 / step} for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(one) for one in lines))
    (folder / "scores.jsonl").write_text(json.dumps({"step": 2, "value": {"fid": fid}}))
    return folder


@pytest.mark.parametrize(("half", "code"), [((10.2, 11.1, 9.9), 0), ((15.2, 16.1, 14.9), 1)])
def test_a_difference_beyond_the_noise_fails(
    half: tuple[float, ...], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fids = {"fp32": (10.0, 11.0, 10.1), "bf16": half}

    def trained(folder: Path, seed: int, steps: int) -> list[Path]:
        return [told(folder / f"{one}-{seed}-{steps}", fids[one][seed]) for one in precision_runs.PRECISIONS]

    monkeypatch.setattr(precision_runs, "trained", trained)
    monkeypatch.setattr(targets, "KEPT", tmp_path / "kept")
    page, picture = tmp_path / "page.md", tmp_path / "curves.png"
    page.write_text("<!-- precision-runs -->\n<!-- end of precision-runs -->\n")
    words = ["--runs", str(tmp_path / "runs"), "--page", str(page), "--picture", str(picture)]
    assert precision_runs.main(words) == code
    assert "10.00, 11.00, 10.10" in page.read_text()
    assert picture.stat().st_size > 1000


@pytest.mark.slow
def test_a_run_is_the_command(tmp_path: Path) -> None:
    folders = precision_runs.trained(tmp_path, 0, 2)
    assert [one.name for one in folders] == ["fp32-0", "bf16-0"]
    assert all(precision_runs.lines_of(one / "scores.jsonl")[-1]["step"] == 2 for one in folders)
