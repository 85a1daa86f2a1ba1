"""The images that ship with the package are Fashion-MNIST's test part, unchanged."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from banach.data import load, make_bundled, read
from banach.data.bundled import ASSET, FASHION_CLASSES
from banach.data.named import DEBIAN_FASHION


def test_the_default_set_is_there_and_small():
    raw = read("fashion")
    assert raw.values.shape == (10_000, 1, 28, 28)
    assert torch.bincount(raw.labels).tolist() == [1000] * 10
    assert len(raw.class_names) == 10
    assert sum(path.stat().st_size for path in ASSET.parent.iterdir()) < 5_000_000
    assert "MIT License" in (ASSET.parent / "LICENSE.fashion-mnist").read_text()
    # the bytes after the header of t10k-images-idx3-ubyte
    assert hashlib.sha256(raw.values.numpy().tobytes()).hexdigest() == (
        "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"
    )


def test_class_names_fit_the_pictures():
    raw = read("fashion")
    mean = {name: raw.values[raw.labels == at].float().mean(0)[0] for at, name in enumerate(FASHION_CLASSES)}
    assert mean["Trouser"][24, 13:15].mean() < 0.5 * mean["Trouser"][24, 9:12].mean(), "trousers have two legs"
    wide = {name: (image.amax(0) > 60).sum().item() for name, image in mean.items()}
    assert set(sorted(wide, key=wide.__getitem__)[:2]) == {"Trouser", "Dress"}, "the narrowest clothes"
    tall = {name: (image.amax(1) > 60).sum().item() for name, image in mean.items()}
    assert set(sorted(tall, key=tall.__getitem__)[:2]) == {"Sandal", "Sneaker"}, "the flattest"


def test_it_is_read_by_the_plain_name():
    data = load("fashion")
    assert (data.kind, data.shape, len(data.train), len(data.held_out)) == ("image", (1, 28, 28), 9000, 1000)
    assert data.class_names[1] == "Trouser"
    assert load("fashion", classes=("Coat", 1)).labels.unique().tolist() == [1, 4]


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN_FASHION.is_dir(), reason="the original files are not on this machine")
def test_the_script_makes_the_same_arrays_again(tmp_path: Path):
    make_bundled.main(DEBIAN_FASHION, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as again, np.load(ASSET) as shipped:
        assert again.files == shipped.files == ["images", "labels"]
        assert all(np.array_equal(again[key], shipped[key]) for key in again.files)
