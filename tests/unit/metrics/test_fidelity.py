"""torch-fidelity's numbers against formulas written out here, and in cases with a known answer."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from banach.metrics import fidelity
from banach.metrics.features import extractor
from banach.training.timing import threads


def gaussian(n, d, seed, scale=1.0, shift=0.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def frechet(x, y):
    """By the symmetric root: tr (C C')^(1/2) = sum of the singular values of C^(1/2) C'^(1/2)."""
    x, y = x.double().numpy(), y.double().numpy()

    def root(a):
        values, vectors = np.linalg.eigh(np.cov(a.T))
        return vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T

    trace = np.linalg.svd(root(x) @ root(y), compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * trace


def test_fid_is_the_frechet_distance():
    x = gaussian(300, 6, 0) @ gaussian(6, 6, 1) + 1
    y = gaussian(200, 6, 2) @ gaussian(6, 6, 3)
    assert fidelity.fid(x, y) == pytest.approx(frechet(x, y), rel=1e-9)
    assert fidelity.fid(x.float(), y.float()) == pytest.approx(frechet(x.float(), y.float()), rel=1e-9)


def test_fid_of_samples_tends_to_that_of_the_gaussians():
    """N(0, 1) against N(3, 4) in each of 2 coordinates: 2 (9 + (2 - 1)^2) = 20."""
    assert fidelity.fid(gaussian(100_000, 2, 0), gaussian(100_000, 2, 1, 2.0, 3.0)) == pytest.approx(20, rel=0.02)


def test_fid_of_a_set_and_itself_is_zero_in_any_order(rng):
    x = gaussian(500, 20, 0)
    assert fidelity.fid(x, x[torch.randperm(500, generator=rng)]) == pytest.approx(0, abs=1e-9)
    assert fidelity.fid(x, x) >= 0


def test_fid_takes_as_many_blas_threads_as_torch(monkeypatch, rng):
    module, seen = fidelity.torch_fidelity().metric_fid, []
    eigenvalues = module.fid_statistics_to_metric

    def watched(*args, **settings):
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
        return eigenvalues(*args, **settings)

    monkeypatch.setattr(module, "fid_statistics_to_metric", watched)
    with threadpool_limits(2, user_api="blas"), threads(1):
        fidelity.fid(torch.randn(20, 3, generator=rng), torch.randn(20, 3, generator=rng))
    assert seen
    assert set(seen) == {1}


def test_fid_with_fewer_samples_than_features_is_finite():
    x, y = gaussian(20, 64, 0), gaussian(30, 64, 1)
    assert fidelity.fid(x, y) == pytest.approx(frechet(x, y), rel=1e-4)


def mmd(x, y):
    """The unbiased estimate, sums written out."""
    d = x.shape[1]
    k = [[[(float(a @ b) / d + 1) ** 3 for b in two] for a in one] for one, two in ((x, x), (y, y), (x, y))]
    n = len(x)
    within = sum(k[which][i][j] for which in (0, 1) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within - 2 * sum(map(sum, k[2])) / n**2


def test_kid_is_the_unbiased_squared_mmd():
    x, y = gaussian(25, 5, 0), gaussian(25, 5, 1, 1.5, 0.3)
    assert fidelity.kid(x, y, 3, 25, 0) == pytest.approx(mmd(x.numpy(), y.numpy()), rel=1e-10)


def test_kid_is_unbiased_and_follows_its_seed():
    x, y = gaussian(4000, 8, 0), gaussian(4000, 8, 1)
    found = fidelity.kid(x, y, 40, 200, 0)
    assert abs(found) < 0.02
    assert found == fidelity.kid(x, y, 40, 200, 0)
    assert found != fidelity.kid(x, y, 40, 200, 1)


def test_inception_score_at_its_ends():
    sure = 100.0 * torch.eye(10).repeat(20, 1)
    assert fidelity.inception_score(sure, 1, 0) == pytest.approx(10)
    assert fidelity.inception_score(torch.zeros(200, 10), 1, 0) == pytest.approx(1)
    assert fidelity.inception_score(sure[::10], 1, 0) == pytest.approx(1)  # sure, but of one class


def test_inception_score_is_its_formula_and_splits_follow_the_seed():
    logits = gaussian(400, 10, 0, 2.0)
    p = logits.softmax(1).numpy()
    by_hand = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())
    assert fidelity.inception_score(logits, 1, 0) == pytest.approx(by_hand, rel=1e-10)
    assert fidelity.inception_score(logits, 1, 5) == pytest.approx(by_hand, rel=1e-10)
    assert fidelity.inception_score(logits, 10, 0) == fidelity.inception_score(logits, 10, 0)
    assert fidelity.inception_score(logits, 10, 0) != fidelity.inception_score(logits, 10, 1)


def covered(points, balls, neighbours):
    points, balls = points.numpy(), balls.numpy()
    radii = [sorted(np.linalg.norm(balls - one, axis=1))[neighbours] for one in balls]
    return np.mean([any(np.linalg.norm(balls - one, axis=1) <= radii) for one in points])


def test_precision_and_recall_are_shares_inside_neighbour_balls():
    fakes, reals = gaussian(90, 3, 0, 0.7, 0.5), gaussian(110, 3, 1)
    precision, recall = fidelity.precision_recall(fakes, reals, 3)
    assert precision == pytest.approx(covered(fakes.float(), reals.float(), 3), abs=1e-6)
    assert recall == pytest.approx(covered(reals.float(), fakes.float(), 3), abs=1e-6)


def test_a_collapsed_generator_has_precision_without_recall():
    reals = gaussian(1000, 4, 0)
    precision, recall = fidelity.precision_recall(gaussian(1000, 4, 1, 0.05), reals, 3)
    assert precision > 0.95
    assert recall < 0.05


def test_precision_and_recall_in_blocks_are_the_same(monkeypatch):
    fakes, reals = gaussian(301, 8, 0, 0.9), gaussian(200, 8, 1)
    whole = fidelity.precision_recall(fakes, reals, 3)
    monkeypatch.setattr(fidelity, "PAIRS", 301 * 7)
    assert fidelity.precision_recall(fakes, reals, 3) == pytest.approx(whole, abs=1e-6)


def test_registered_with_torch_fidelity_its_own_pipeline_gives_the_same(clothes, capfd):
    """calculate_metrics over data sets of images, against our functions over features; and in silence."""
    import torch_fidelity

    images = clothes[0]
    noisy = (images[:150].int() + torch.randint(0, 60, (150, 1, 28, 28))).clamp(0, 255).byte()
    of = extractor("fashion")
    found = torch_fidelity.calculate_metrics(
        input1=Stack(noisy), input2=Stack(images[150:350]), feature_extractor=fidelity.registered(of), fid=True,
        kid=True, isc=True, prc=True, kid_subsets=4, kid_subset_size=100, isc_splits=2, rng_seed=3, cuda=False,
        cache=False, save_cpu_ram=True, verbose=False, batch_size=40,
    )  # fmt: skip
    fake, logits = of.activations(noisy)
    real = of.features(images[150:350])
    assert fidelity.registered(of) == f"banach-fashion-{of.hash}"
    assert fidelity.fid(fake, real) == pytest.approx(found["frechet_inception_distance"], rel=1e-4)
    assert fidelity.kid(fake, real, 4, 100, 3) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-4)
    assert fidelity.inception_score(logits, 2, 3) == pytest.approx(found["inception_score_mean"], rel=1e-4)
    assert fidelity.precision_recall(fake, real, 3) == pytest.approx((found["precision"], found["recall"]), abs=0.02)
    assert capfd.readouterr() == ("", "")


class Stack(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row]
