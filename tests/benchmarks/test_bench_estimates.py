"""What a critic says of W1: estimates, their samples, a short training, and pictures."""

import math
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from banach.data import load
from banach.metrics.fields import w1
from benchmarks import estimates
from benchmarks.estimates import Estimate
from benchmarks.field import read_table
from benchmarks.surfaces import draw, surface

ROOT = Path(__file__).parents[2]
HEADS, ROWS = read_table((ROOT / estimates.PAGE).read_text(encoding="utf-8"))


def test_the_page_has_every_constraint_that_bounds_a_critic():
    assert estimates.heads() == HEADS
    assert list(ROWS) == [one.name for one in estimates.bounding()], (
        "run: python -m benchmarks.estimates --constraints …"
    )


@pytest.mark.parametrize("name", ROWS)
def test_figures_are_in_their_order_and_bounds_are_kept(name):
    for head, cell in zip(HEADS, ROWS[name], strict=True):
        numbers = [float(one) for one in re.findall(r"[-\d][\d.e-]*", cell)]
        if not numbers:
            assert head.endswith("bound")
            continue
        if head.endswith("gap"):
            assert len(numbers) == 1
            continue
        mean, least, largest = numbers
        assert least <= mean <= largest
        assert 0 < largest <= 1, "a slope measured at many points, or a proved one, was too small"


@pytest.mark.parametrize("of", estimates.SETS)
def test_pictures_are_there_and_small(of):
    path = ROOT / estimates.PICTURES / f"surfaces-{of}.png"
    assert path.stat().st_size < 200_000
    with Image.open(path) as picture:
        assert min(picture.size) >= 400


def test_estimates_are_in_units_of_w1():
    one = Estimate(gap=0.6, slope=1.5, bound=2.0, w1=0.5)
    assert one.per_slope == pytest.approx(0.8)
    assert one.per_bound == pytest.approx(0.6)
    assert Estimate(0.6, 1.5, None, 0.5).per_bound is None
    assert math.isnan(Estimate(0.0, 0.0, None, 0.5).per_slope)
    assert estimates.spread([0.5, None, 0.7]) == "0.60 (0.50 .. 0.70)"
    assert estimates.spread([0.0123, 0.0041]) == "0.0082 (0.0041 .. 0.012)"
    assert estimates.spread([None]) == ""


def test_the_samples_are_fresh_and_their_w1_exact():
    data = load("8gaussians:n=50000")
    first, second = (estimates.samples(data, seed) for seed in (0, 1))
    trained_on = {tuple(one) for one in data.train.tolist()}
    for one in (first, second):
        assert not trained_on & {tuple(point) for point in one.real.tolist()}
        assert one.w1 == w1(one.real, one.fake)
        assert (one.fake - one.real).std() > 1  # the fakes come from other reals
    assert not torch.equal(first.real, second.real)


def test_a_short_training_is_measured(monkeypatch, tmp_path, capsys):
    """150 steps of two constraints: estimates between 0 and W1, written into the rows of the page."""
    monkeypatch.setattr(estimates, "STEPS", 150)
    monkeypatch.setitem(estimates.SIZES, "steps", 150)
    monkeypatch.setattr(estimates, "SETS", ("8gaussians:n=20000",))
    monkeypatch.setattr(estimates, "POINTS", 500)
    monkeypatch.setattr(estimates, "DRAWN", ("wgan-lp", "clip"))
    page = tmp_path / "estimates.md"
    page.write_text("<!-- estimates -->\n<!-- end of estimates -->\n")
    command = ["--constraints", "wgan-lp", "clip", "--seeds", "1", "--page", str(page), "--pictures", str(tmp_path)]
    assert estimates.main(command) == 0
    heads, rows = read_table(page.read_text())
    assert heads == [f"8gaussians:n=20000: {what}" for what in ("gap", "per slope", "per bound")]
    assert list(rows) == ["wgan-lp", "clip"]
    assert 0.2 < float(rows["wgan-lp"][1].split()[0]) <= 1
    assert (tmp_path / "surfaces-8gaussians:n=20000.png").stat().st_size > 10_000
    assert estimates.main([*command[:1], "clip", *command[3:]]) == 0
    assert list(read_table(page.read_text())[1]) == ["wgan-lp", "clip"]
    assert "no proved bound is broken" in capsys.readouterr().out


def test_surfaces_have_x_along_and_y_up(tmp_path):
    heights = surface(lambda x: x[:, 0] + 10 * x[:, 1])
    assert heights.shape == (128, 128)
    assert heights[0, -1] == pytest.approx(3 - 30)
    assert heights[-1, 0] == pytest.approx(-3 + 30)
    draw(tmp_path / "one.png", {"plane": lambda x: x.sum(1)}, torch.randn(50, 2), torch.randn(50, 2))
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size[0] > 600
