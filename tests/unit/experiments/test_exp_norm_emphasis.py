"""What norms emphasise: versions equally far in L2, distances by a transform of their own, and a wrong sign of s."""

import numpy as np
import pytest
import torch
from PIL import Image

from banach.errors import BanachError
from banach.experiments import norm_emphasis as emphasis
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.pictures import all_of, some_of
from banach.experiments.reproduce import Wanted, reproduce


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(n: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    x = some_of(all_of(None, 32)[0], n, rng()).double()
    return x, emphasis.versions(x, rng())


def test_versions_are_equally_far_in_l2():
    x, changed = some(5)
    sizes = (changed - x).flatten(2).norm(dim=2)
    assert torch.allclose(sizes, sizes[:1].expand_as(sizes))
    assert float(sizes.min()) > 0
    tint = (changed[3] - x).flatten(1)
    assert float((tint - tint[:, :1]).abs().max()) < 1e-9


def test_distances_are_those_of_a_transform_by_numpy():
    x, changed = some(3)
    n = x.shape[-1]
    xi = np.minimum(np.arange(n), n - np.arange(n)) / (n // 2)
    weight = (1 + 5 * (xi[:, None] ** 2 + xi[None] ** 2)) ** (-1.5 / 2)
    off = np.abs(np.fft.ifft2(weight * np.fft.fft2((changed - x).numpy())).real)
    found = (off**4).sum((2, 3, 4)) ** 0.25
    found /= np.exp(np.log(found).mean(0))
    assert emphasis.distances(x, changed, -1.5, 4.0).numpy() == pytest.approx(found, rel=1e-9)


def test_the_statements_hold_and_fail_for_a_wrong_sign():
    x, changed = some()
    by_s = torch.stack([emphasis.distances(x, changed, s, 2.0) for s in emphasis.ORDERS])
    by_p = torch.stack([emphasis.distances(x, changed, 0.0, p) for p in emphasis.EXPONENTS])
    wrong = emphasis.shares(by_s.flip(0), by_p.flip(0))
    assert all(share < emphasis.ENOUGH for share in wrong.values())
    right = emphasis.shares(by_s, by_p)
    assert right["recolouring is the farthest at the lowest s"] == 1
    assert right["edges against recolouring weigh more with each s"] == 1


def test_own_pictures_go_through(tmp_path):
    for at in range(6):
        pixels = np.random.default_rng(at).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(tmp_path / f"{at}.png")
    wanted = Wanted(("norm-emphasis",), "tiny", tmp_path / "out", str(tmp_path))
    (ended,) = reproduce(wanted, EXPERIMENTS, lambda line: None)
    assert ended.result is not None
    assert ended.result.found["settings"]["pictures"] == 6


def test_what_are_no_pictures_is_refused(tmp_path):
    np.save(tmp_path / "points.npy", np.random.default_rng(0).normal(size=(50, 3)).astype("float32"))
    with pytest.raises(BanachError, match="holds no pictures"):
        all_of(str(tmp_path / "points.npy"), 32)
