"""Short runs of pictures: the user's own data, the scores, runs that end in a fault."""

import numpy as np
import pytest
import torch
from PIL import Image

from banach.errors import BanachError
from banach.experiments.short_runs import TINY, Size, config, figure_of, pictures, sampled, scored_run, tiles, trained
from banach.metrics.scores import fid

SMALLEST = Size(steps=1, batch=4, g_width=1, d_width=1, samples=20, reals=40)


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


def test_pictures_of_any_size_become_such_as_small_networks_make(photos, tmp_path):
    assert pictures(str(photos), TINY).shape == (3, 32, 32)
    assert pictures(None, TINY).shape == (1, 28, 28)
    assert len(pictures(None, TINY).train) == TINY.reals
    np.save(
        tmp_path / "odd.npy", np.zeros((12, 1, 50, 50), np.uint8) + np.arange(12, dtype=np.uint8)[:, None, None, None]
    )
    assert pictures(str(tmp_path / "odd.npy"), TINY).shape == (1, 32, 32)


def test_what_is_no_picture_is_refused():
    with pytest.raises(BanachError, match="8gaussians holds numbers of shape 2"):
        pictures("8gaussians", TINY)


def test_a_run_is_scored_repeats_and_leaves_torchs_own_stream_alone():
    data, before = pictures(None, SMALLEST), torch.get_rng_state()
    asked = config(SMALLEST, space="Sobolev(s=-1)", seed=3)
    one, again = (scored_run(asked, data, SMALLEST) for _ in range(2))
    assert one == again
    assert torch.equal(torch.get_rng_state(), before)
    built, fault = trained(asked, data)
    fakes = data.units.to_data(sampled(built, SMALLEST.samples, 3))
    assert fault == ""
    assert one["scores"]["fashion"]["fid"] == pytest.approx(fid(fakes, data.train), rel=1e-9)
    assert one["shown"] == fakes[:8].tolist()
    assert scored_run(config(SMALLEST, space="Sobolev(s=-1)", seed=4), data, SMALLEST) != one


def test_a_run_that_is_not_finite_ends_in_a_fault_and_is_the_worst():
    data = pictures(None, SMALLEST)
    found = scored_run(config(Size(6, 4, 1, 1), lr=1e30, objective="exp", penalty="maxgp"), data, SMALLEST)
    assert found["fault"].startswith("not finite")
    assert (figure_of(found, "fashion", "fid"), figure_of(found, "fashion", "is")) == (float("inf"), float("-inf"))


def test_tiles_lie_in_rows():
    images = torch.arange(3)[:, None, None, None].expand(3, 1, 2, 2)
    whole = tiles(images, 2)
    assert whole.shape == (4, 4, 1)
    assert whole[:, :, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]
