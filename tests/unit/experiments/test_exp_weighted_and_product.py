"""Weighted and product norms: dual norms against numpy, wrong duals that fail, and what the focus and pairs are."""

import numpy as np
import pytest
import torch

from banach.experiments import weighted_and_product as of
from banach.spaces import Lp, space
from banach.testing.ascent import steepest

SIZES = of.Sizes(8, 8, (2, 2), 100)


def test_dual_norms_are_those_of_appendix_a():
    u = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    specs = of.spaces(8)
    weights = np.array([of.HIGH, of.LOW, of.LOW])[:, None, None]
    expected = np.sqrt(((u.numpy() / weights) ** 2).sum((1, 2, 3)))
    assert space(specs["red"]).dual.norm(u).numpy() == pytest.approx(expected)
    expected = np.sqrt(((u.numpy() / np.array(of.mask(8))) ** 2).sum((1, 2, 3)))
    assert space(specs["centre"]).dual.norm(u).numpy() == pytest.approx(expected)
    flat = torch.randn(3, 74, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    picture, vector = flat.numpy()[:, :64], flat.numpy()[:, 64:]
    expected = np.sqrt((picture**2).sum(1) + np.abs(vector).max(1) ** 2)
    assert space(of.product(8)).dual.norm(flat).numpy() == pytest.approx(expected)


def test_the_check_of_duals_holds_and_would_see_a_wrong_one():
    least, most = of.attained(of.spaces(8)["red"], (3, 8, 8), 0)
    assert 0.999 <= least <= most <= 1.000001
    u = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    norm = space(of.spaces(8)["red"])
    found = steepest(norm, u, torch.Generator().manual_seed(3))
    forgotten = found / Lp(2).norm(u)  # the dual of the norm without its weights
    assert not ((forgotten > 0.999) & (forgotten < 1.000001)).any()


def test_the_parts_of_a_picture():
    x = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    inside, (outside,) = of.centre(x)
    assert inside.shape == (2, 3 * 16)
    assert torch.equal(inside[0, :4], x[0, 0, 2, 2:6])
    assert inside.shape[1] + outside.shape[1] == 192
    channel, others = of.red(x)
    assert torch.equal(channel, x[:, :1])
    assert len(others) == 2


def test_focus_is_a_ratio_of_ratios():
    weighted = [{"excess": {"red": [1.0, 4.0]}}]
    plain = [{"excess": {"red": [2.0, 2.0]}}]
    assert of.focused(weighted, plain, "red") == [0.25]


def test_real_pictures_agree_with_their_vectors_and_shuffled_ones_do_not():
    rows = of.with_vectors(600, 16, 0)
    assert rows.shape == (600, 256 + 10)
    own, shuffled = of.agreement(rows, 16)
    assert own > 0.5
    assert shuffled < 0.25
    channels = of.coloured(50, 8, 0)
    assert (channels.shape, channels.dtype) == ((50, 3, 8, 8), torch.uint8)


def test_a_generator_that_is_the_data_has_no_excess_in_any_part():
    data = of.load(of.coloured(900, 8, 0), axes="bchw", holdout=0.5, seed=0)
    made, real = (data.model_units(one[:400]) for one in (data.train, data.held_out))
    for part in of.PARTS.values():
        (fake, _), (true, _) = part(made), part(real)
        assert abs(of._excess(fake, true)) < 0.25 < of._excess(fake * 0, true)
