"""What is carried from step to step: multipliers, the steepest points, schedules; and that runs resume with it."""

import copy
import itertools

import pytest
import torch
from torch import nn

from banach import Lp, Sobolev, objective, penalty
from banach.data import load
from banach.data.sampler import Sampler
from banach.game import Game, critic_terms
from banach.models import build_critic, build_generator
from banach.penalties import (
    AugmentedLagrangian,
    Deviation,
    Growing,
    Lazy,
    Mean,
    Sum,
    schedule,
)
from banach.slopes import Gradients
from banach.specs import SpecError
from banach.training.loop import train
from banach.training.state import Recipe, new_state


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs(n=8, d=3):
    real, fake = torch.randn(2, n, d, generator=rng(), dtype=torch.float64)
    return real, fake + 1


def linear(steepness, d=3):
    """A critic of slope `steepness` in L2, everywhere."""
    return lambda x: steepness * x[:, 0]


def network(d=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(d, 6), nn.Softplus(), nn.Linear(6, 1), nn.Flatten(0)).double()


def test_a_multiplier_by_hand():
    """MaxAL: w (t - 1)^2 + l (t - 1), then l += 1e-3 (t - 1), with t the largest slope."""
    game = Game(Lp(2), penalty=penalty("maxal"), weight=1.0, drift=0.0)
    real, fake = pairs()
    memory, multiplier = {}, 0.0
    for step, slope in enumerate((3.0, 2.0, 0.5)):
        terms = critic_terms(game, linear(slope), real, fake, rng(step), memory, step)
        assert terms.penalty.item() == pytest.approx((slope - 1) ** 2 + multiplier * (slope - 1), rel=1e-12)
        multiplier += 1e-3 * (slope - 1)
        memory = terms.memory
        assert memory["penalty.multiplier"].item() == pytest.approx(multiplier, rel=1e-12)


def test_a_multiplier_of_an_inequality_is_not_negative():
    game = Game(Lp(2), penalty=penalty("maxal-inequality"), weight=1.0)
    terms = critic_terms(game, linear(0.2), *pairs(), rng())
    assert terms.memory["penalty.multiplier"] == 0
    terms = critic_terms(game, linear(1.5), *pairs(), rng(), terms.memory)
    assert terms.memory["penalty.multiplier"].item() == pytest.approx(5e-4)


@pytest.mark.parametrize("name", ["fisher", "sobolev"])
def test_second_moments_by_hand(name):
    """- L c + rho/2 c^2 with c = 1 - (E_P s^2 + E_Q s^2)/2, then L <- L - rho c (Fisher and Sobolev GAN)."""
    rho = {"fisher": 1e-6, "sobolev": 2e-8}[name]
    own = AugmentedLagrangian(*(getattr(penalty(f"{name}-moment"), part) for part in ("slopes", "shape", "reduction")))
    assert own.weight == penalty(f"{name}-moment").weight == 1
    real, fake = pairs()
    critic, multiplier, memory = network(), 0.0, {}
    for _ in range(3):
        cost = penalty(f"{name}-moment").cost(critic, real, fake, Lp(2), (), memory)
        if name == "fisher":
            squares = [critic(x).square().mean().item() for x in (real, fake)]
        else:
            squares = []
            for x in (real, fake):
                x = x.clone().requires_grad_()
                (u,) = torch.autograd.grad(critic(x).sum(), x)
                squares.append(u.square().sum(1).mean().item())
        c = 1 - sum(squares) / 2
        assert cost.value.item() == pytest.approx(-multiplier * c + rho / 2 * c**2, rel=1e-9)
        multiplier -= rho * c
        memory = cost.memory
        assert memory["multiplier"].item() == pytest.approx(multiplier, rel=1e-9)


def test_the_gradient_of_a_multiplier_is_that_of_the_formula():
    own = AugmentedLagrangian(Gradients("reals"), Deviation(), Mean(), quadratic=3.0, rate=0.5)
    w = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    real, fake = pairs()
    cost = own.cost(lambda x: w * x[:, 0], real, fake, Lp(2), (), {"multiplier": torch.tensor(0.25).double()})
    (slope,) = torch.autograd.grad(cost.value, w)
    assert slope.item() == pytest.approx(0.25 + 2 * 3 * (2 - 1), rel=1e-12)


def test_the_buffer_holds_the_steepest_points_and_measures_them_again():
    space, kind = Sobolev(s=-1), penalty("maxgp-buffer")
    real, fake = torch.randn(2, 16, 1, 4, 4, generator=rng(), dtype=torch.float64)

    def cubic(x):
        return x.flatten(1).pow(3).sum(1) / 3  # the gradient is x^2: slopes differ from point to point

    noise = kind.draw(real, rng(1))
    first = kind.cost(cubic, real, fake, space, noise, {})
    x = torch.lerp(fake, real, noise[0].view(-1, 1, 1, 1))
    slopes = space.dual.norm(x.square())
    torch.testing.assert_close(first.slopes, slopes)
    best = slopes.topk(2).indices  # an eighth of the batch
    torch.testing.assert_close(first.memory["steepest"], x[best])
    second = kind.cost(cubic, 0 * real, 0 * fake, space, kind.draw(real, rng(2)), first.memory)
    assert len(second.slopes) == 18
    torch.testing.assert_close(second.value, slopes.amax().square())


def test_the_buffer_starts_anew_with_data_of_another_shape():
    kind = penalty("maxgp-buffer")
    kept = kind.cost(linear(1), *pairs(), Lp(2), kind.draw(pairs()[0], rng()), {}).memory
    other = torch.randn(4, 5, dtype=torch.float64, generator=rng())
    found = kind.cost(linear(1), other, other, Lp(2), kind.draw(other, rng()), kept)
    assert len(found.slopes) == 4


def test_a_lazy_penalty_is_rare_and_heavy():
    game = Game(Lp(2), penalty=penalty("wgan-gp"), weight=10.0, schedule=Lazy(4))
    memory, seen, draws = {}, [], rng()
    for step in range(9):
        before = draws.get_state()
        terms = critic_terms(game, linear(1.0 + step), *pairs(), draws, memory, step)
        memory = terms.memory
        seen.append((terms.penalty.item(), terms.slope_max.item()))
        assert torch.equal(before, draws.get_state()) == (step % 4 != 0), "a step without penalty draws nothing"
    assert [cost for cost, _ in seen] == pytest.approx([0, 0, 0, 0, 4 * 10 * 16, 0, 0, 0, 4 * 10 * 64])
    assert [slope for _, slope in seen] == pytest.approx([1, 1, 1, 1, 5, 5, 5, 5, 9])


def test_a_lazy_penalty_keeps_its_multiplier_while_it_rests():
    game = Game(Lp(2), penalty=penalty("maxal"), weight=1.0, schedule=Lazy(2))
    first = critic_terms(game, linear(3.0), *pairs(), rng(), {}, 0)
    second = critic_terms(game, linear(3.0), *pairs(), rng(), first.memory, 1)
    third = critic_terms(game, linear(3.0), *pairs(), rng(), second.memory, 2)
    assert first.memory["penalty.multiplier"] == second.memory["penalty.multiplier"]
    assert third.memory["penalty.multiplier"].item() == pytest.approx(2e-3 * 2)


def test_a_growing_weight_grows_only_while_the_gap_rests():
    paced = Growing(most=1.05, rate=0.01, within=0.1)
    memory, factors = {}, []
    gaps = [2.0 ** min(i / 20, 6) for i in range(500)]
    for gap in gaps:
        factor, memory = paced.factor(torch.tensor(gap, dtype=torch.float64), memory)
        factors.append(float(factor))
    assert factors[:100] == [1.0] * 100, "the critic still learns, or nobody can tell"
    assert factors == sorted(factors)
    assert factors[-1] == 1.05, "and not beyond"
    rising = [i for i, (a, b) in enumerate(itertools.pairwise(factors)) if b > a]
    assert rising == list(range(rising[0], len(factors) - 1))[: len(rising)]
    assert rising[0] > 150, "the slow average needs its time"


def test_growing_multiplies_the_penalty():
    game = Game(Lp(2), penalty=penalty("wgan-gp"), weight=10.0, schedule=Growing(rate=0.5, most=4, within=0.9))
    memory, seen = {}, []
    for step in range(105):
        terms = critic_terms(game, linear(2.0), *pairs(), rng(), memory, step)
        memory = terms.memory
        seen.append(terms.penalty.item())
    assert seen[98:] == pytest.approx([10, 10, 15, 22.5, 33.75, 40, 40])


def test_together_adds_with_weights_and_keeps_memories_apart():
    both = Sum((penalty("maxal"), penalty("maxal-inequality")), weights=(1.0, 0.5))
    real, fake = pairs()
    first = both.cost(linear(3.0), real, fake, Lp(2), both.draw(real, rng()), {})
    assert first.value.item() == pytest.approx(4 + 0.5 * 4)
    assert set(first.memory) == {"0.multiplier", "1.multiplier"}
    second = both.cost(linear(3.0), real, fake, Lp(2), both.draw(real, rng()), first.memory)
    assert second.value.item() == pytest.approx((4 + 2 * 2e-3) * 1.5)
    assert len(second.slopes) == 16


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("lazy(every=0)", r"every = 0; choose a whole number"),
        ("growing(most=0.5)", r"most=0.5.*choose most >= 1"),
        ("hourly", r"unknown schedule 'hourly'"),
    ],
)
def test_schedules_are_refused_with_the_remedy(spec, said):
    with pytest.raises(SpecError, match=said):
        schedule(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "AugmentedLagrangian(Gradients(), Deviation(), Max(), rate=0)",
        "AugmentedLagrangian(Gradients(), Deviation(), Max(), least=1)",
        "AugmentedLagrangian(Gradients(), 3, Max())",
        "Sum(())",
        "Sum((wgan_gp, 3))",
        "Sum((wgan_gp, r1), weights=(1,))",
        "Consistency(keep=(0,))",
        "Penalty(Buffered(share=0), OneSided(), Mean())",
        "Penalty(Along(points=0), OneSided(), Mean())",
        "Penalty(Adversarial(least=2, most=1), OneSided(), Mean())",
        "Penalty(Gradients(), Asymmetric(lower=2, upper=1), Mean())",
    ],
)
def test_wrong_numbers_are_refused(spec):
    with pytest.raises(SpecError):
        penalty(spec)


@pytest.mark.parametrize(
    ("kind", "paced", "aims"),
    [
        ("maxgp-buffer", "constant", "sqrt"),
        ("maxal", "growing(within=0.9)", "wasserstein"),
        ("ct-gan", "lazy(every=2)", "logistic"),
        ("swgan-al", "constant", "wasserstein"),
    ],
)
def test_a_run_resumes_exactly_with_what_it_carried(kind, paced, aims):
    images = torch.randint(0, 256, (40, 1, 6, 6), generator=rng(), dtype=torch.uint8)
    data = load(images, axes="bchw")
    game = Game(Lp(2), objective(aims), penalty(kind), weight=1.0, schedule=schedule(paced))

    def new():
        generator = build_generator("mlp", data.shape, z=3, width=8, rng=rng())
        critic = build_critic("mlp", data.shape, width=8, rng=rng())
        return new_state(generator, critic, Sampler(len(data.train), 8, 0), Recipe(n_critic=3, batch=8, g_batch=8))

    whole, part, resumed = new(), new(), new()
    train(whole, game, data, 5)
    train(part, game, data, 2)
    resumed.load_state_dict(copy.deepcopy(part.state_dict()))
    assert resumed.critic_steps == 6
    train(resumed, game, data, 5)
    assert whole.memory.keys() == resumed.memory.keys()
    assert all(torch.equal(one, resumed.memory[key]) for key, one in whole.memory.items())
    pairs = zip(whole.critic.network.parameters(), resumed.critic.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
