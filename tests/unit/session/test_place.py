"""Which folder a command means, and when it may go on there."""

from pathlib import Path

import pytest

from banach.config.config import Config
from banach.runs.folder import FolderError, RunFolder
from banach.session.place import check_continues, default_name, folder_of


def test_the_default_folder_is_named_after_data_space_and_model() -> None:
    assert folder_of(Config()).path == Path("runs/fashion-l2-resnet")
    assert (
        default_name(Config(data="~/my photos/", space="sobolev:s=-1", model="dcgan")) == "my-photos-sobolev-s-1-dcgan"
    )
    assert default_name(Config(data="fields.npz", space="Lp(4)")) == "fields-lp-4-resnet"
    assert default_name(Config(data="/写真/", model="mlp")) == "data-l2-mlp"
    assert default_name(Config(data="8gaussians:n=50", model="mlp")) == "8gaussians-n50-l2-mlp"


def test_out_is_taken_as_it_is(tmp_path: Path) -> None:
    assert folder_of(Config(out=str(tmp_path / "x"))).path == tmp_path / "x"
    assert folder_of(Config(out="~/x")).path == Path.home() / "x"


def test_fresh_takes_the_next_free_number(tmp_path: Path) -> None:
    config = Config(out=str(tmp_path / "run"))
    assert folder_of(config, fresh=True).path == tmp_path / "run"
    for name in ("run", "run-2", "run-4"):
        (tmp_path / name).mkdir()
    assert folder_of(config).path == tmp_path / "run"
    assert folder_of(config, fresh=True).path == tmp_path / "run-3"


def test_pictures_are_named_by_step() -> None:
    assert RunFolder(Path("r")).picture("fakes", 12_400) == Path("r/samples/fakes-000012400.png")


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(FolderError, match=r"cannot make .*choose another --out"):
        RunFolder(tmp_path / "x" / "y").make()


@pytest.mark.parametrize("data", [".", "./", "..", "../photos", "photos/."])
def test_data_given_by_where_one_stands_have_the_name_of_their_folder(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos" / "photos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "photos" / ("photos" if data.startswith("..") else ""))
    assert default_name(Config(data=data)) == "photos-l2-resnet"


@pytest.mark.parametrize(
    ("changes", "extend"),
    [
        ({}, False),
        ({"threads": 7, "save_every": 3, "max_minutes": 2, "out": "x"}, False),
        ({"log_every": 7, "score_samples": 10, "data": "elsewhere", "plugin": ()}, False),
        ({"steps": 200}, True),
    ],
)
def test_what_may_change(changes: dict[str, object], extend: bool) -> None:
    check_continues(Config(steps=100), Config(**{"steps": 100, **changes}), Path("r"), extend)


@pytest.mark.parametrize(
    ("changes", "extend", "told"),
    [
        ({"lr": 1e-3}, True, "lr was 0.0002, now 0.001"),
        ({"g_width": 8, "z": 4}, False, "z was 128, now 4, g-width was 64, now 8"),
        ({"steps": 200}, False, "steps was 100, now 200\nadd --extend"),
        ({"steps": 200, "lr": 1e-3}, True, "lr was 0.0002, now 0.001\nkeep"),
        ({"steps": 50}, True, "steps was 100, now 50\nkeep"),
        ({"extractor": "pixels"}, False, "extractor was auto, now pixels"),
    ],
)
def test_what_may_not(changes: dict[str, object], extend: bool, told: str) -> None:
    with pytest.raises(FolderError) as caught:
        check_continues(Config(steps=100), Config(**{"steps": 100, **changes}), Path("r"), extend)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2
