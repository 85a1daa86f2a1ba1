"""Margins of means of bounded numbers, by simulation; and diameters of boxes, against the farthest corners."""

import itertools
import math

import pytest
import torch

from banach import Discrete, Lp, Sobolev, parse
from banach.errors import BanachError
from banach.transport.confidence import EACH, Grouping, box_diameter, check_confidence, margin, support
from banach.transport.estimate import TransportError


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_margin_is_maurer_and_pontil_s():
    x = torch.rand(50, generator=rng(), dtype=torch.float64)
    log = math.log(2 / 0.1)
    expected = math.sqrt(2 * x.var().item() * log / 50) + 7 * 3.0 * log / (3 * 49)
    assert margin(x, 3.0, 0.1) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(TransportError, match="from 1 held-out samples"):
        margin(x[:1], 1.0, 0.1)


def rare(n, count, seed=0):
    """Numbers in [0, 1] that are 1 with probability 0.4%, else 0: what is rare is often not seen at all."""
    return (torch.rand(count, n, generator=rng(seed)) < 0.004).double()


def test_the_margin_holds_on_rare_atoms_and_the_sample_s_own_range_does_not():
    """Expectation 0.004; 200 draws often hold no 1, and their own range is then 0."""
    draws = rare(200, 2000)
    missed = sum(one.mean() + margin(one, 1.0, 0.05) < 0.004 for one in draws)
    wrong = sum(one.mean() + margin(one, float(one.max() - one.min()), 0.05) < 0.004 for one in draws)
    assert missed / 2000 <= 0.05
    assert wrong / 2000 > 0.3


@pytest.mark.parametrize("n", [5, 50, 500])
def test_the_margin_holds_for_uniform_numbers(n):
    draws = torch.rand(2000, n, generator=rng(1), dtype=torch.float64)
    assert sum(one.mean() - margin(one, 1.0, 0.05) > 0.5 for one in draws) / 2000 <= 0.05


EXACT = ["Lp(1)", "Lp(1.5)", "Lp(2)", "Lp(inf)", "Weighted(Scale((1, 2, 0.5)), Lp(3))"]
LOOSE = [
    "Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))",
    "Sobolev(s=-1)",
    "Sobolev(s=1)",
    "Sobolev(s=1, boundary='even')",
    "Sobolev(s=1, p=3)",
    "Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(3))",
]


@pytest.mark.parametrize("spec", EXACT + LOOSE)
def test_no_two_corners_of_a_box_are_farther_apart(spec):
    """A norm is convex, so its largest value over a box is that at a corner."""
    space, shape = parse(spec), (3, 4)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12)), dtype=torch.float64).view(-1, *shape)
    farthest = 3.0 * space.norm(signs).max().item()
    bound = box_diameter(space, shape, -1, 2)
    assert bound >= farthest * (1 - 1e-12)
    if spec in EXACT:
        assert bound == pytest.approx(farthest)
    else:
        assert bound < 6 * farthest


@pytest.mark.parametrize("spec", ["Product(1, (Lp(2), Lp(4)), (2, 1))", "Product(2, (Lp(1), Sobolev(s=-1)), (1, 2))"])
def test_samples_that_the_norm_does_not_measure_have_no_box(spec):
    for event in ((8,), (1, 16)):
        with pytest.raises(BanachError, match="needs 3 channels"):
            box_diameter(parse(spec), event, 0, 1)


def test_other_supports():
    assert box_diameter(Discrete(), (3,), 0, 1) == 1
    assert support(None, None, Lp(2), (4,)) is None
    assert support("box:0,1", None, Lp(2), (4,)).diameter == 2
    assert support("box:0,1", 7, Lp(2), (4,)).diameter == 7
    x = torch.rand(5, 4, generator=rng())
    support("box:0,1", None, Lp(2), (4,)).check(Lp(2), x, x.flip(0))
    with pytest.raises(TransportError, match=r"box:0,1, but the samples have entries from -?0.* to 1\.\d"):
        support("box:0,1", None, Lp(2), (4,)).check(Lp(2), x, x + 1)
    with pytest.raises(TransportError, match=r"the stated diameter is 0\.5, but two samples are 2 apart"):
        support(None, 0.5, Lp(2), (4,)).check(Lp(2), x, x + 1)


@pytest.mark.parametrize("said", ["box", "box:1,0", "box:a,b", "ball:1", "box:0,1,2", "box:0,inf"])
def test_supports_that_cannot_be_read(said):
    with pytest.raises(TransportError):
        support(said, None, Lp(2), (4,))


@pytest.mark.parametrize("wrong", [0, 1, -1, math.nan, True, "0.9"])
def test_confidence(wrong):
    with pytest.raises(TransportError, match="choose a number between 0 and 1"):
        check_confidence(wrong)
    assert check_confidence(0.95) == 0.95
    assert Sobolev(s=-1) is not None


def test_means_by_groups():
    groups = Grouping(torch.tensor([0, 1, 0, 2]), torch.tensor([False, True, False]))
    values = torch.tensor([1.0, 5.0, 3.0, 4.0], dtype=torch.float64)
    assert groups.means(values).tolist() == [2, 5, 4]
    assert groups.count(values) == 3
    mean, slack = groups.mean(values, 6.0, 0.1, -1.0)
    assert mean == (2 - 1 + 4) / 3
    assert slack == max(margin(groups.means(values), 6.0, 0.1), margin(torch.tensor([2.0, 4]), 6.0, 0.1))
    assert EACH.means(values) is not None
    assert EACH.count(values) == 4


def test_margins_of_groups_hold_where_rows_of_a_group_are_alike():
    """30 draws, each there 1 to 60 times: by rows the bound fails in many repeats, by groups in at most 5%."""
    by_groups, by_rows, sizes = 0, 0, torch.arange(1, 61, 2)
    group = torch.arange(30).repeat_interleave(sizes)
    for seed in range(400):
        values = torch.rand(30, generator=rng(seed), dtype=torch.float64).square()[group]
        for grouping in (Grouping(group), EACH):
            mean, slack = grouping.mean(values, 1.0, 0.05, 0.0)
            if mean - slack > 1 / 3:
                by_groups, by_rows = by_groups + (grouping is not EACH), by_rows + (grouping is EACH)
    assert by_groups <= 20
    assert by_rows > 60


def test_doubtful_rows_hold_either_way():
    """Whether equal rows are draws or copies, what is proved is at most what each reading alone proves."""
    values = torch.rand(500, generator=rng(), dtype=torch.float64)
    doubtful = torch.zeros(500, dtype=torch.bool)
    doubtful[:5] = True
    doubt = Grouping(torch.arange(500), doubtful)
    mean, slack = doubt.mean(values, 1.0, 0.05, 0.0)
    for other in (values, values[5:]):
        found, theirs = EACH.mean(other, 1.0, 0.05, 0.0)
        assert mean - slack <= found - theirs
    mean, slack = doubt.mean(values, 1.0, 0.05, 1.0)
    for other in (values, values[5:]):
        found, theirs = EACH.mean(other, 1.0, 0.05, 1.0)
        assert mean + slack >= found + theirs


def test_a_box_holds_the_numbers_of_a_type():
    exact, single = (support("box:0,0.1", None, Lp(2), (1,), dtype) for dtype in (torch.float64, torch.float32))
    x = torch.full((3, 1), 0.1)
    single.check(Lp(2), x, x)
    assert single.diameter > exact.diameter
    with pytest.raises(TransportError, match=r"but the samples have entries from 0\.10000000\d to 0\.10000000"):
        exact.check(Lp(2), x, x)
