import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from banach.metrics.features import ScoreError
from banach.metrics.fields import evaluate_fields, moment_errors, w1
from banach.spaces import Discrete, Lp, Sobolev


def test_w1_of_a_shift_is_its_length(rng):
    x = torch.randn(60, 3, generator=rng)
    assert w1(x, x[torch.randperm(60, generator=rng)]) == pytest.approx(0, abs=1e-6)
    assert w1(x, x.flip(0) + torch.tensor([2.0, -1.0, 2.0])) == pytest.approx(3, rel=1e-5)
    assert w1(x, x + torch.tensor([2.0, -1.0, 2.0]), Lp(1)) == pytest.approx(5, rel=1e-5)


@pytest.mark.parametrize("space", [Lp(2), Lp(1), Sobolev(s=-1)])
def test_w1_is_the_best_assignment(space, rng):
    x, y = (torch.randn(40, 2, 6, generator=rng) * scale for scale in (1, 2))
    costs = np.stack([space.norm(a - y).numpy() for a in x])
    rows, columns = linear_sum_assignment(costs)
    assert w1(x, y, space) == pytest.approx(costs[rows, columns].mean(), rel=1e-5)


def test_w1_in_the_trivial_metric_is_total_variation():
    x, y = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([[0.0], [1.0], [2.0], [7.0]])
    assert w1(x, y, Discrete()) == pytest.approx(0.25)


@pytest.mark.usefixtures("shapes_unchecked")
def test_w1_refuses_other_shapes():
    with pytest.raises(ScoreError, match="two samples of one shape"):
        w1(torch.zeros(4, 2), torch.zeros(5, 2))


def test_moment_errors_by_channel(rng):
    y = torch.randn(50, 3, 4, 5, generator=rng) * torch.tensor([1.0, 10.0, 0.0]).view(3, 1, 1)
    x = y * torch.tensor([1.5, 1.0, 1.0]).view(3, 1, 1) + torch.tensor([0.0, 5.0, 0.25]).view(3, 1, 1)
    mean, std = moment_errors(x, y)
    width = y.double().transpose(0, 1).flatten(1).std(1, correction=0)
    centre = y.double()[:, 0].mean().abs()
    expected = torch.stack([0.5 * centre / width[0], 5 / width[1], torch.tensor(0.25)])  # the third is constant
    torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-7, check_dtype=False)
    torch.testing.assert_close(std, torch.tensor([0.5, 0.0, 0.0]), rtol=1e-5, atol=1e-6, check_dtype=False)


def test_scores_of_points_stand_beside_their_floor(rng):
    train, held_out, good = (torch.randn(n, 2, generator=rng) for n in (900, 100, 500))
    found = evaluate_fields(good + torch.tensor([1.0, 0.0]), train, held_out)
    fair = evaluate_fields(good, train, held_out)
    assert found.value["w1"] > 3 * found.floor["w1"]
    assert fair.value["w1"] < 2 * fair.floor["w1"]
    assert found.value["mean"] == pytest.approx(1, abs=0.15)
    assert found.protocol["w1_samples"] == found.protocol["held_out"] == 100
    assert found.matched["w1"] == found.value["w1"]  # W1 compares equal counts always
    assert "metric Lp(p=2)" in found.lines()[-1]
    assert evaluate_fields(good, train, held_out) == fair


def test_the_space_decides():
    rng = torch.Generator().manual_seed(0)
    train, held_out = (torch.randn(n, 1, 16, generator=rng) for n in (200, 50))
    ripple = 0.3 * (-1.0) ** torch.arange(16)
    rough, smooth = (evaluate_fields(train + ripple, train, held_out, metric=Sobolev(s=s)) for s in (2, -2))
    excess = [one.value["w1"] / one.floor["w1"] for one in (rough, smooth)]
    assert excess[0] > excess[1]


@pytest.mark.usefixtures("shapes_unchecked")
def test_no_floor_without_held_out_samples_and_refusals(rng):
    x = torch.randn(30, 2, generator=rng)
    assert evaluate_fields(x, x, x[:3]).floor == {}
    with pytest.raises(ScoreError, match="too few"):
        evaluate_fields(x[:5], x, x)
    with pytest.raises(ScoreError, match="different shapes"):
        evaluate_fields(x[:, :1], x, x)
    with pytest.raises(ScoreError, match="not finite"):
        evaluate_fields(x / 0, x, x)


def test_a_collapsed_generator_is_not_praised_for_its_low_w1(rng):
    """In high dimension samples that do not vary are nearer to all data than other data are."""
    train, held_out, good = (torch.randn(n, 200, generator=rng) for n in (300, 60, 60))
    collapsed = evaluate_fields(torch.zeros(60, 200), train, held_out)
    fair = evaluate_fields(good, train, held_out)
    assert collapsed.value["w1"] < collapsed.floor["w1"]
    (warning,) = collapsed.warnings()
    assert warning.startswith("W1[Lp(p=2)] is below its floor: the samples vary less than the data do; the excess, ")
    assert warning in collapsed.lines()
    assert fair.warnings() == []
    row = next(line for line in collapsed.lines() if line.startswith("W1[Lp(p=2)]"))
    assert row.endswith("best at its floor; too little variety lies below")
    assert "lower is better" not in row
    assert next(line for line in fair.lines() if line.startswith("excess W1[Lp(p=2)]")).endswith("0 is best")
