"""Sub-folders: merged with a line, or asked about where their names say that they are parts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from banach.data import load, read
from banach.data.folders import check_parts, is_part, merged
from banach.data.how import Ambiguous

ROOT = Path("photos")


def paths(*names):
    return [ROOT / name for name in names]


@pytest.mark.parametrize("names", [
    ("train/a.png", "test/b.png"),
    ("Train/cats/a.png", "VAL/cats/b.png"),
    ("cats/train/a.png", "cats/test/b.png"),
    ("trainA/a.png", "testB/b.png"),
    ("train2017/a.png", "val2017/b.png"),
    ("images/a.png", "masks/a.png"),
    ("images/a.png", "image_masks/a.png"),
    ("a.png", "labels/a.png"),
    ("a.png", "thumbs/a.png"),
    ("train/images/a.png", "train/masks/a.png"),
])  # fmt: skip
def test_parts_of_a_set_are_asked_about(names):
    with pytest.raises(Ambiguous, match=r"by their names parts of a set; take one, such as --data photos/.*, or all"):
        check_parts(ROOT, paths(*names))


@pytest.mark.parametrize("names", [
    ("a.png", "b.png"),
    ("cats/a.png", "dogs/b.png"),
    ("normal/a.png", "pneumonia/b.png"),
    ("train/a.png", "train/deep/b.png"),
    ("car/a.png", "train/b.png", "bus/c.png"),
    ("boxer/a.png", "contest/b.png", "unmasked/c.png"),
])  # fmt: skip
def test_other_folders_are_not(names):
    check_parts(ROOT, paths(*names))


def test_the_pictures_are_offered_not_their_masks():
    with pytest.raises(Ambiguous, match="--data photos/images,"):
        check_parts(ROOT, paths("images/a.png", "masks/a.png"))


def test_of_several_parts_the_one_to_train_on_is_offered():
    with pytest.raises(Ambiguous, match="--data photos/train,"):
        check_parts(ROOT, paths("test/a.png", "train/b.png"))


def test_names_are_parts_by_whole_words():
    assert all(map(is_part, ("test", "Testing", "test-set", "gt", "GT_masks", "seg", "heatmaps", "depthmap")))
    assert not any(map(is_part, ("latest", "trainer", "cats", "segway", "depths2", "")[:4]))


def test_merged_folders_are_told():
    (line,) = merged(ROOT, paths("cats/a.png", "cats/b.png", "dogs/c.png", "d.png"))
    assert line == "from 3 folders taken together: cats/ 2, dogs/ 1, the rest 1"
    assert not list(merged(ROOT, paths("cats/a.png", "cats/b.png")))


def test_a_folder_with_parts_is_refused_unless_they_are_merged(tmp_path):
    for at, name in enumerate(("train", "train", "test")):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 100 * at, np.uint8)).save(tmp_path / name / f"{at}.png")
    with pytest.raises(Ambiguous, match=r"holds 1 in test/, 2 in train/"):
        load(str(tmp_path))
    data = load(str(tmp_path), merge_folders=True)
    assert "from 2 folders taken together: train/ 2, test/ 1" in data.notes
    assert load(str(tmp_path), ask=False).fingerprint == data.fingerprint
    assert len(read(str(tmp_path / "train")).values) == 2
