"""Excess W1 as a score of generated samples: it ranks blur, a mean image and memorised images below real ones."""

import json

import pytest
import torch

from banach.cli.scored import table
from banach.metrics.features import ScoreError
from banach.metrics.transported import Transported, transported
from banach.spaces import Lp, Sobolev, space
from banach.transport import Excess, PermutationTest
from benchmarks import scores as benchmark


@pytest.mark.parametrize("spec", ["Lp(2)", "Sobolev(s=-1)"])
def test_real_before_blurred_before_mean_and_before_memorised(spec, clothes):
    images = torch.nn.functional.avg_pool2d(clothes[0].float(), 2)
    sets = benchmark.sets(images, 200, seed=0)
    found = {name: transported(images, sets.reference, space(spec)).excess for name, images in sets.candidates.items()}
    assert benchmark.ordered({name: one.value for name, one in found.items()})
    assert found["blur 1"].across < found["real"].across  # and why W1 itself is no score
    assert found["blur 1"].value > 0.1
    assert found["real"].low < 0 < found["real"].high


@pytest.mark.slow
def test_the_order_in_every_space(clothes):
    rows = benchmark.ranking(clothes[0], 2000, (0,))
    assert {row.space for row in rows} == set(benchmark.SPACES)
    for spec in benchmark.SPACES:
        assert benchmark.ordered({row.name: row.excess for row in rows if row.space == spec}), spec


def test_the_order_is_one_that_can_fail():
    good = {"real": 0.0, "blur 0.5": 1.0, "blur 1": 2.0, "mean image": 3.0, "100 memorised": 0.5}
    assert benchmark.ordered(good)
    assert not benchmark.ordered(good | {"100 memorised": -1.0})
    assert not benchmark.ordered(good | {"blur 0.5": -1.0})
    assert not benchmark.ordered(good | {"mean image": 1.5})


def test_what_is_told(rng):
    _, x, y = (torch.randn(120, 2, generator=rng) for _ in range(3))
    same, moved = transported(x, y, Lp(2), permutations=39), transported(x + 1, y, Lp(1), permutations=39)
    assert "no evidence" in same.sentence
    assert same.test.p_value > 0.05
    assert moved.test.p_value == 1 / 40
    assert moved.protocol["energy_distance"].startswith("sees each part")
    assert "energy_distance" not in same.protocol
    facts = json.loads(json.dumps(same.as_dict()))
    of = facts["excess"]
    assert of["value"] == pytest.approx(of["across"] - (of["floor_a"] + of["floor_b"]) / 2)
    assert facts["protocol"]["samples_in_each_half"] == 60
    assert (facts["permutations"], facts["samples_tested"]) == (39, facts["protocol"]["samples_tested"])
    lines = list(table(same))
    assert [line.split()[0] for line in lines[:5]] == ["W1[Lp(p=2)]", "floor", "spread", "excess", "energy"]
    assert lines[-2].startswith("No evidence")
    assert "metric Lp(p=2)" in lines[-1]


@pytest.mark.parametrize(
    ("low", "p", "said"),
    [
        (-1.0, 0.4, "no evidence that the distributions differ"),
        (0.1, 0.01, "the two differ by more"),
        (-1.0, 0.01, "the distributions differ by a permutation test (p = 0.01), though"),
        (
            0.1,
            0.4,
            "the two differ by more than samples of one distribution do (at 95% confidence); a permutation test of 50",
        ),
    ],
)
def test_the_sentence_does_not_contradict_its_own_test(low, p, said):
    of = Excess(0.5, low, 1.0, 1.5, 1.0, 1.0, 25, 0.95)
    assert said in Transported(of, None, PermutationTest(p, 99, 99, 50)).sentence


def test_norms_without_an_energy_distance_say_so(rng):
    x, y = (torch.randn(20, 2, generator=rng) for _ in range(2))
    found = transported(x, y, Lp(4))
    assert found.energy is None
    assert found.test is None
    assert any("not of negative type" in line for line in table(found))
    assert not {"energy_distance", "p_value"} & set(found.as_dict())


def test_equal_counts_by_seed(rng):
    x, y = torch.randn(90, 1, 8, generator=rng), torch.randn(70, 1, 8, generator=rng)
    found = transported(x, y, Sobolev(s=-1), samples=40)
    assert found.excess.n == 20
    assert found == transported(x, y, Sobolev(s=-1), samples=40)
    assert found != transported(x, y, Sobolev(s=-1), samples=40, seed=1)


@pytest.mark.usefixtures("shapes_unchecked")
def test_refusals(rng):
    x = torch.randn(20, 2, generator=rng)
    with pytest.raises(ScoreError, match="too few"):
        transported(x[:7], x, Lp(2))
    with pytest.raises(ScoreError, match="different shapes"):
        transported(x, x[:, :1], Lp(2))
