import math

import numpy as np
import pytest
import torch

from banach import Lp, Sobolev, scales
from banach.scales import DRIFT, DRIFT_SHARE, drift_for


def data(n=500, *shape):
    return torch.randn(n, *(shape or (3, 6)), generator=torch.Generator().manual_seed(0), dtype=torch.float64).exp()


@pytest.mark.parametrize("space", [Lp(2), Lp(4), Sobolev(-1, 3)], ids=repr)
@pytest.mark.parametrize("batch", [64, 1024, 7])
def test_against_a_direct_computation(space, batch):
    x = data()
    found = scales(space, x, batch)
    primal, dual = space.norm(x).numpy(), space.dual.norm(x).numpy()
    assert found.lam == pytest.approx(primal.mean())
    assert found.gamma == pytest.approx(dual.mean())
    assert found.lam_error == pytest.approx(primal.std(ddof=1) / math.sqrt(500))
    assert found.gamma_error == pytest.approx(dual.std(ddof=1) / math.sqrt(500))
    assert found.n == 500


def test_from_batches_and_in_float32():
    x = data()
    once = scales(Lp(3), x)
    assert scales(Lp(3), iter(x.split(90))).lam == pytest.approx(once.lam)
    assert scales(Lp(3), x.float()).gamma == pytest.approx(once.gamma, rel=1e-6)
    assert not x.requires_grad


def test_the_error_is_the_spread_of_the_mean():
    """Means of many samples of 500 scatter by about the standard error that one of them reports."""
    rng = torch.Generator().manual_seed(1)
    samples = torch.rand(200, 500, 4, generator=rng, dtype=torch.float64)
    found = [scales(Lp(2), one) for one in samples]
    scatter = np.std([one.lam for one in found])
    assert np.mean([one.lam_error for one in found]) == pytest.approx(scatter, rel=0.15)


def test_in_words():
    assert str(scales(Lp(2), torch.ones(1024, 4))) == "lambda 2 +- 0, gamma 2 +- 0 (1,024 samples)"
    assert scales(Lp(2), torch.ones(1, 4)).lam_error == 0


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_data_without_a_scale(bad):
    x = torch.full((3, 2), bad)
    with pytest.raises(ValueError, match=r"scales in Lp\(p=2\): lambda = .* all zero, or not finite"):
        scales(Lp(2), x)
    with pytest.raises(ValueError, match=r"no data|no entries"):
        scales(Lp(2), torch.zeros(0, 2))


def test_a_drift_for_a_norm_of_unequal_weights():
    assert drift_for(25.8, 21.7) == DRIFT
    for gamma, lam in ((1e3, 1.0), (45_390.0, 0.423)):
        assert drift_for(gamma, lam) * gamma**2 * lam == pytest.approx(DRIFT_SHARE)
