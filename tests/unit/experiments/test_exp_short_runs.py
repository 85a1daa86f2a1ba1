"""Pictures of experiments: the user's own at a size that small networks make; rows of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from banach.config.config import Config
from banach.errors import BanachError
from banach.experiments.experiment import Setting
from banach.experiments.pictures import all_of, keys_of, small, split
from banach.experiments.short_runs import TINY, config, keys, tiles


@pytest.fixture
def photos(tmp_path):
    """A folder of 30 pictures in colour, of different sizes."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for at in range(30):
        size = (36 + at % 3, 40, 3)
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(folder / f"{at:02}.png")
    return folder


@pytest.fixture
def odd(tmp_path):
    """An array of pictures that the small networks cannot make."""
    values = np.zeros((12, 1, 50, 50), np.uint8) + np.arange(12, dtype=np.uint8)[:, None, None, None]
    np.save(tmp_path / "odd.npy", values)
    return tmp_path / "odd.npy"


def test_pictures_of_any_size_become_such_as_small_networks_make(photos, odd):
    assert small(str(photos)).shape == (3, 32, 32)
    assert small(None).shape == (1, 28, 28)
    assert small(str(odd)).shape == (1, 32, 32)


@pytest.mark.parametrize("read", [small, lambda name: split(name, 8), lambda name: all_of(name, 8)])
def test_what_is_no_picture_is_refused(read):
    with pytest.raises(BanachError, match="8gaussians:n=100 holds no pictures"):
        read("8gaussians:n=100")


def test_a_config_reads_the_pictures_as_they_are_read_here(photos, odd, tmp_path):
    def of(data, scale="small"):
        return keys_of(Setting(scale, tmp_path, data=None if data is None else str(data)))

    assert of(None) == {"data": "fashion"}
    assert of(None, "paper") == {}  # the preset's
    assert of(photos) == of(photos, "paper") == {"data": str(photos), "size": 32}
    assert of(odd) == {"data": str(odd), "size": 32}
    assert of(odd, "paper") == {"data": str(odd)}


def test_a_config_is_made_of_its_keys():
    assert config(TINY, seed=3) == Config(**keys(TINY, seed=3))
    assert keys(TINY, n_critic=5)["n_critic"] == 5


def test_tiles_lie_in_rows():
    images = torch.arange(3)[:, None, None, None].expand(3, 1, 2, 2)
    whole = tiles(images, 2)
    assert whole.shape == (4, 4, 1)
    assert whole[:, :, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]
