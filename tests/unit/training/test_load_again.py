"""Runs that began read their data as they did then, where a new run is asked how to."""

import numpy as np
import pytest
from PIL import Image

from banach.config.config import Config
from banach.data import DataError, load
from banach.data.how import Ambiguous
from banach.training.build import load_again, load_data

RNG = np.random.default_rng(0)


def test_what_a_new_run_is_asked_is_not_asked_again(tmp_path):
    for at, part in enumerate(("train", "train", "test")):
        (tmp_path / part).mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / part / f"{at}.png")
    config = Config(data=str(tmp_path))
    with pytest.raises(Ambiguous, match="--merge-folders"):
        load_data(config)
    before = load(str(tmp_path), ask=False)
    assert load_again(config).fingerprint == load_again(config, before.fingerprint).fingerprint == before.fingerprint


def test_the_fingerprint_decides_between_two_readings(tmp_path):
    for at in range(4):
        first, *rest = (Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(3))
        first.save(tmp_path / f"{at}.tif", save_all=True, append_images=rest)
    config = Config(data=str(tmp_path), pages="all")
    now = load_data(config)
    assert load_again(config, now.fingerprint).fingerprint == now.fingerprint
    assert load_again(config, "of other data").fingerprint == now.fingerprint, "who asked says that they have changed"


def test_data_that_are_gone_are_refused_as_ever(tmp_path):
    with pytest.raises(DataError, match="no file or folder"):
        load_again(Config(data=str(tmp_path / "gone")))


def test_a_run_on_pictures_that_are_all_the_same_goes_on(tmp_path):
    for at in range(3):
        Image.fromarray(np.full((8, 8), 7, dtype=np.uint8)).save(tmp_path / f"{at}.png")
    config = Config(data=str(tmp_path))
    with pytest.raises(DataError, match="are the same"):
        load_data(config)
    assert len(load_again(config).train) == 2
