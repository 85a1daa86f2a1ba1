"""Pictures: which colour stands where, that limits are fixed, and that files are whole."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from banach.data import DataError, pictures
from banach.data.pictures import GAP, derivative, draw, fields, grid, limits_of, lines, scatter


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_each_image_unchanged_in_its_place(tmp_path, channels):
    images = torch.randint(0, 256, (5, channels, 6, 4), dtype=torch.uint8)
    found = read(grid(images, tmp_path / "a.png", columns=3, scale=2))
    assert found.shape == (2 * (12 + GAP) + GAP, 3 * (8 + GAP) + GAP, 3)
    for at, image in enumerate(images):
        top, left = GAP + at // 3 * (12 + GAP), GAP + at % 3 * (8 + GAP)
        tile = found[top : top + 12, left : left + 8]
        assert np.array_equal(tile[::2, ::2], image.expand(3, -1, -1).permute(1, 2, 0))
        assert np.array_equal(tile[1::2, 1::2], tile[::2, ::2])
    assert (found[:GAP] == 255).all()


def test_a_dark_batch_stays_dark(tmp_path):
    found = read(grid(torch.full((2, 1, 64, 64), 9, dtype=torch.uint8), tmp_path / "a.png"))
    assert set(np.unique(found)) == {9, 255}


def test_small_images_are_enlarged_by_default(tmp_path):
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    assert read(grid(image, tmp_path / "a.png")).shape[0] == 56 + 2 * GAP
    assert read(grid(torch.zeros(1, 1, 64, 64, dtype=torch.uint8), tmp_path / "a.png")).shape[0] == 64 + 2 * GAP


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 1, 4, 4), torch.zeros(2, 2, 4, 4).byte(), torch.zeros(2, 4).byte(), torch.zeros(0, 1, 4, 4).byte()],
)
def test_a_grid_takes_pixels_only(tmp_path, images):
    with pytest.raises(
        DataError, match=r"a grid takes uint8 images .*; bring model units to pixels with Units.to_data"
    ):
        grid(images, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_signs_of_a_derivative_are_told_apart_and_zero_is_white(tmp_path):
    u = torch.zeros(1, 1, 4, 4)
    u[0, 0, 0, 0], u[0, 0, 0, 1], u[0, 0, 0, 2] = 1, -1, 0.5
    found = read(derivative(u, tmp_path / "a.png", scale=1, limit=1))[GAP : GAP + 4, GAP : GAP + 4].astype(int)
    assert found[1:].min() == 255
    red, blue, half = found[0, 0], found[0, 1], found[0, 2]
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert red.sum() < half.sum() < 765
    flipped = read(derivative(-u, tmp_path / "b.png", scale=1, limit=1))[GAP, GAP : GAP + 2]
    assert np.array_equal(flipped, [blue, red])


def test_one_limit_holds_for_all_samples_of_a_derivative(tmp_path):
    u = torch.ones(2, 1, 32, 32)
    u[1] *= 0.1
    found = read(derivative(u, tmp_path / "a.png", scale=1)).astype(int)
    strong, weak = found[GAP + 5, GAP + 5], found[GAP + 5, 2 * GAP + 32 + 5]
    assert strong.sum() < weak.sum() - 150
    assert (
        read(derivative(torch.zeros(1, 1, 8, 8), tmp_path / "b.png", scale=1))[GAP : GAP + 8, GAP : GAP + 8].min()
        == 255
    )


def test_fields_keep_their_limits_from_picture_to_picture(tmp_path):
    reference = torch.linspace(-3, 5, 1000).reshape(10, 1, 10, 10)
    limits = limits_of(reference)
    assert limits[0].item() == pytest.approx(-2.96, abs=0.01)
    assert limits[1].item() == pytest.approx(4.96, abs=0.01)

    def colour(value):
        path = fields(torch.full((1, 1, 8, 8), value), tmp_path / "a.png", limits, scale=1)
        return read(path)[GAP + 4, GAP + 4].astype(int)

    shades = [colour(value).sum() for value in (-3.0, -1.0, 1.0, 3.0, 5.0)]
    assert shades == sorted(shades)
    assert len(set(shades)) == 5
    assert np.array_equal(colour(99.0), colour(5.0))
    assert colour(float("nan")).tolist() == [128] * 3


def test_channels_have_their_own_limits(tmp_path):
    x = torch.randn(6, 2, 8, 8)
    x[:, 1] = 1000 * x[:, 0]
    found = read(fields(x, tmp_path / "a.png", scale=1, columns=1))
    gap = 3 * GAP
    assert np.array_equal(found[gap : gap + 8, gap : gap + 8], found[gap + 9 : gap + 17, gap : gap + 8])


def near(found, colour, tolerance=60):
    return (np.abs(found.astype(int) - colour).max(-1) < tolerance).sum()


def test_points_are_drawn_where_they_are(tmp_path):
    found = read(scatter(torch.tensor([[0.9, 0.9]]), tmp_path / "a.png", limits=(-1, 1, -1, 1)))
    found = found[30:500]  # without the labels
    ys, xs = np.nonzero(np.abs(found.astype(int) - pictures.FAKE).max(-1) < 60)
    assert xs.mean() > 0.9 * found.shape[1] - 30, "x runs to the right"
    assert ys.mean() < 0.2 * found.shape[0], "y runs upwards"


def test_real_points_stand_beside_the_generated(tmp_path):
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(500, 2, generator=rng), torch.randn(500, 2, generator=rng)
    found = read(scatter(fake, tmp_path / "a.png", reference=real))
    left, right = np.split(found[30:500], 2, axis=1)
    assert near(left, pictures.REAL) > 1000 > near(right, pictures.REAL, 40)
    assert near(right, pictures.FAKE) > 1000
    assert near(left, pictures.FAKE) == 0


def test_the_frame_is_the_references(tmp_path):
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(500, 2, generator=rng)
    one = read(scatter(real * 0.1, tmp_path / "a.png", reference=real))
    two = read(scatter(torch.tensor([[1e9, 0.0], [float("nan"), 0.0]]), tmp_path / "b.png", reference=real))
    half = one.shape[1] // 2
    assert np.array_equal(one[30:, :half], two[30:, :half])


def test_a_scatter_takes_points_only(tmp_path):
    with pytest.raises(DataError, match=r"a scatter takes points \(n, 2\), not \(5, 3\)"):
        scatter(torch.zeros(5, 3), tmp_path / "a.png")


def test_series_keep_their_scale(tmp_path):
    x = torch.sin(torch.linspace(0, 6, 50)).expand(3, 1, 50).clone()
    x[1] *= 0.1
    found = read(lines(x, tmp_path / "a.png", columns=3, width=100, height=60))
    tiles = [found[GAP : GAP + 60, GAP + at * (100 + GAP) :][:, :100] for at in range(3)]
    span = [np.ptp(np.nonzero((tile != 255).any(-1))[0]) for tile in tiles]
    assert span[0] == span[2] > 40
    assert span[1] < 12
    x[0, 0, 10] = float("nan")
    lines(x, tmp_path / "b.png", limits=limits_of(x[1:]))
    with pytest.raises(DataError, match="lines take series"):
        lines(torch.zeros(3, 4), tmp_path / "a.png")


@pytest.mark.parametrize(
    "shape", [(70, 2), (70, 5), (70, 1), (70, 2, 30), (70, 1, 8, 8), (70, 6, 8, 8), (70, 2, 4, 8, 8), (3, 1, 1, 1)]
)
def test_every_kind_of_sample_has_a_picture(tmp_path, shape):
    rng = torch.Generator().manual_seed(0)
    x, reference = torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)
    for path in (draw(x, tmp_path / "a.png"), draw(x, tmp_path / "b.png", reference)):
        assert read(path).std() > 0


def test_images_are_drawn_as_a_grid(tmp_path):
    x = torch.randint(0, 256, (80, 1, 8, 8), dtype=torch.uint8)
    assert np.array_equal(read(draw(x, tmp_path / "a.png")), read(grid(x[:64], tmp_path / "b.png")))


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.png"
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    assert grid(image, path) == path
    assert list(path.parent.iterdir()) == [path]
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left to write"):
        grid(image + 9, path)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before
