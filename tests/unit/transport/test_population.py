"""The population's interval: valid on benchmark pairs, close to the truth, and independent of what was chosen."""

import math

import pytest
import torch

from banach import Lp, Sobolev, parse
from banach.models import build_critic, start_at_
from banach.transport import Budget, TransportError, population, population_distance
from banach.transport.pairs import PAIRS
from banach.transport.population import (
    Clamp,
    Trained,
    certified,
    choose_clamp,
    lower_bound,
    parts,
    train,
    upper_from_diameter,
    upper_from_pairs,
    values,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(pair, n, space, seed=0):
    """Independent samples of both distributions: two draws, one side of each."""
    x, _ = pair.draw(n, space, rng(seed))
    _, y = pair.draw(n, space, rng(seed + 10_000))
    return x, y


def test_parts_are_disjoint_and_all():
    x = torch.arange(100.0)[:, None]
    three = parts(x, rng())
    assert [len(three.train), len(three.select), len(three.held_out)] == [50, 20, 30]
    together = torch.cat([three.train, three.select, three.held_out]).flatten().tolist()
    assert sorted(together) == list(range(100))
    assert together != list(range(100))
    with pytest.raises(TransportError, match="5 samples are too few for three parts"):
        parts(x[:5], rng())


def test_the_lower_bound_by_hand():
    f_x, f_y = torch.tensor([0.0, 1.0, 2.0, 9.0]), torch.tensor([0.0, 0.5, -4.0, 1.0])
    clamp = Clamp(-1.0, 2.0)
    a, b = torch.tensor([0.0, 1, 2, 2]), torch.tensor([0.0, 0.5, -1, 1])
    log = math.log(4 / 0.1)
    slack = sum(math.sqrt(2 * one.var().item() * log / 4) + 7 * 3 * log / (3 * 3) for one in (a, b))
    assert lower_bound(f_x, f_y, clamp, 0.01, 0.1) == max(0, (a.mean() - b.mean()).item() - slack) / 0.01
    many = [one.repeat(100_000) for one in (f_x, f_y)]
    assert lower_bound(*many, clamp, 2.0, 0.1) == pytest.approx((1.25 - 0.125) / 2, rel=0.02)


def test_the_clamp_cuts_rare_values():
    """Of 10,000 values one is 1,000: the range that it costs outweighs the gap that it brings."""
    f_x, f_y = torch.rand(10_000, generator=rng()) + 1, torch.rand(10_000, generator=rng(1))
    f_x[0] = 1000
    clamp, promise = choose_clamp(f_x, f_y, 1.0, 0.05, (10_000, 10_000))
    assert clamp.high < 10
    assert 0.9 < promise < 1.1


@pytest.mark.parametrize(
    ("space", "pair"),
    [
        (Lp(1), "MinFunnel(2, funnels=4)"),
        (Lp(2), "MinFunnel(16, funnels=4)"),
        (Lp(math.inf), "Translation(8)"),
        (Sobolev(s=-1), "MinFunnel((1, 4, 4), funnels=4)"),
    ],
    ids=lambda one: one if isinstance(one, str) else repr(one),
)
def test_one_critic_holds_on_fresh_draws_and_comes_close(space, pair):
    known = PAIRS.parse(pair)
    truth = known.truth(space)
    x, y = samples(known, 3000, space)
    draws = rng(1)
    of_x, of_y = parts(x.float(), draws), parts(y.float(), draws)
    critic = build_critic("lipschitz-cones", tuple(x.shape[1:]), width=64, rng=draws, space=space)
    start_at_(critic, of_x.train, of_y.train, draws)
    trained = train(critic, space, (of_x, of_y), draws, Budget(steps=150, batch=256))
    assert trained.lipschitz == pytest.approx(1, abs=1e-6)
    lowers = []
    for seed in range(100, 112):
        fresh = samples(known, 3000, space, seed)
        lowers.append(certified(trained, *fresh, space).lower)
    wrong = sum(one > truth.value + 3 * truth.error for one in lowers)
    assert wrong == 0, "one in twenty may be, by chance; none is with these seeds"
    assert sum(lowers) / 12 > 0.6 * truth.value
    with torch.no_grad():
        f_x, f_y = (values(trained.critic, one.float()) for one in samples(known, 20_000, space, 7))
    assert (f_x.mean() - f_y.mean()).item() / trained.lipschitz <= truth.value * 1.03


def test_the_constant_is_that_of_the_critic_that_is_read():
    """In float64: rows normalised in float32 have other lengths, and what was claimed of them is not asked."""
    critic = build_critic("lipschitz-sort", (3,), width=8, rng=rng(), space=Lp(2))
    x, y = torch.randn(2, 500, 3, generator=rng()) + torch.tensor([[[5.0]], [[0.0]]])
    found = [certified(Trained(critic, claimed, Clamp(-9, 9)), x, y, Lp(2)) for claimed in (0.5, 1.0)]
    assert found[0].lower == found[1].lower
    assert "Lipschitz constant 1 by" in found[0].reasons[0]


def test_the_whole_interval():
    x = torch.rand(2000, 3, generator=rng(), dtype=torch.float64)
    y = torch.rand(2000, 3, generator=rng(1), dtype=torch.float64) + torch.tensor([0.5, 0, 0])
    found = population_distance(x, y, Lp(2), within="box:0,1.5", width=32, budget=Budget(steps=80))
    assert found.target == "population"
    assert 0.2 < found.lower < 0.5 < found.upper < 1.1
    assert found.lower <= found.value <= found.upper
    assert "held-out" in found.reasons[0]
    assert "the diameter of the box" in found.reasons[1]
    paired = population_distance(
        x, x + torch.tensor([0.5, 0, 0]), Lp(2), within="box:0,1.5", paired=True, width=32, budget=Budget(steps=80)
    )
    assert 0.5 <= paired.upper < found.upper
    assert "given pairs" in paired.reasons[1]


def test_minutes_bound_both_ends(monkeypatch):
    """The upper end has a third, and as long again for what it proves then; the critic trains for the rest."""
    solve, clock, had = population.distance, [100.0], []

    def distance(x, y, metric, max_minutes):
        had.append(max_minutes)
        clock[0] += 9.0  # seconds
        return solve(x, y, metric, max_minutes=max_minutes)

    def judged(*args):
        clock[0] += 1.0
        return 0.0, Clamp(0.0, 1.0), 1.0, 0.0

    monkeypatch.setattr(population, "distance", distance)
    monkeypatch.setattr(population, "_judged", judged)
    monkeypatch.setattr(population.time, "perf_counter", lambda: clock[0])
    x, y = (torch.rand(50, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for budget in (Budget(checks=10_000), Budget(steps=10_000, checks=10_000)):
        clock[0] = 100.0
        found = population_distance(x, y, within="box:0,1", width=8, budget=budget, max_minutes=0.5)
        assert had.pop() == pytest.approx(0.5 / 3)
        assert found.upper < math.inf
        assert clock[0] == pytest.approx(130.0, abs=1.5)
    population_distance(x, y, within="box:0,1", width=8, budget=Budget(steps=2))
    assert had.pop() is None
    for wrong in (0, math.inf):
        with pytest.raises(TransportError, match=f"max_minutes = {wrong}; give a positive"):
            population_distance(x, y, max_minutes=wrong)


def test_a_critic_without_a_constant_is_refused_before_the_upper_end_is_solved(monkeypatch):
    monkeypatch.setattr(population, "distance", lambda *_, **__: pytest.fail("solved"))
    monkeypatch.setattr(population, "lipschitz_bound", lambda *_: None)
    with pytest.raises(TransportError, match="no Lipschitz constant"):
        population_distance(torch.rand(50, 2), torch.rand(50, 2), within="box:0,1", width=8)


def test_the_same_distribution_has_no_lower_bound():
    x, y = torch.randn(2, 2000, 4, generator=rng())
    found = population_distance(x, y, width=32, budget=Budget(steps=40))
    assert found.lower == 0
    assert found.upper == math.inf
    assert "no bound on the support" in found.reasons[1]


def test_upper_bounds_by_hand():
    assert upper_from_diameter(1.0, 100, 400, 2.0, 0.1) == pytest.approx(
        1 + 2 * math.sqrt(math.log(10) / 2 * (1 / 100 + 1 / 400))
    )
    d = torch.full((101,), 0.25, dtype=torch.float64)
    assert upper_from_pairs(d, 1.0, 0.1) == pytest.approx(0.25 + 7 * math.log(20) / 300)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"confidence": 1.5}, "choose a number between 0 and 1"),
        ({"within": "ball:3"}, "cannot be read; write for example box:0,1"),
        ({"within": "box:0,0.1"}, "but the samples have entries from"),
        ({"diameter": -1.0}, "give a positive number"),
        ({"model": "mlp", "metric": "Discrete()"}, "no Lipschitz constant of MLPCritic is proven"),
        ({"paired": True}, "cannot be paired row by row"),
    ],
)
def test_what_is_refused(options, said):
    x, y = torch.randn(60, 4, generator=rng()), torch.randn(50, 4, generator=rng(1))
    metric = options.pop("metric", "Lp(2)")
    with pytest.raises(TransportError, match=said):
        population_distance(x, y, parse(metric, "space"), width=8, budget=Budget(steps=2), **options)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_not_finite_are_refused_before_training(bad):
    x, y = torch.zeros(40, 2), torch.ones(40, 2)
    x[3, 1] = bad
    told = []
    with pytest.raises(TransportError, match="finite"):
        population_distance(x, y, budget=Budget(steps=100), report=lambda *one: told.append(one))
    assert not told


def test_samples_outside_of_the_support_are_refused_before_training():
    told = []
    with pytest.raises(TransportError):
        population_distance(
            torch.zeros(40, 2), 2 * torch.ones(40, 2), within="box:0,1", budget=Budget(steps=100),
            report=lambda *one: told.append(one),
        )  # fmt: skip
    assert not told
