import math

import pytest
import torch
from torch import nn

from banach import Discrete, Lp, Sobolev, objective, penalty
from banach.game import (
    REASONS,
    Game,
    GameError,
    check_bounded,
    check_critic,
    check_space,
    critic_terms,
    generator_loss,
    heuristic,
    measured_scales,
)
from banach.penalties import PENALTIES, Consistency, Max, Mean, OneSided, Penalty, SoftConstraint, Sum, TwoSided
from banach.slopes import Gradients, Values


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(*shape, n=6, dtype=torch.float64):
    real, fake = torch.randn(2, n, *(shape or (3, 4, 4)), generator=rng(), dtype=dtype)
    return real, fake + 1


def net(n=48, *last, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(n, 8), nn.Tanh(), nn.Linear(8, 1), *last).to(dtype)


def number(critic):
    return lambda x: critic(x).squeeze(1)


@pytest.mark.parametrize("name", ["wasserstein", "exp", "logistic", "sqrt", "hinge", "least_squares"])
@pytest.mark.parametrize("kind", ["wgan-gp", "maxgp", "r1", "pagan", None])
def test_the_loss_by_hand(name, kind):
    """E phi(f(fake)) + E varphi(f(real)) + lambda penalty + 1e-5 E D(real)^2, with f = D / gamma."""
    real, fake = batch()
    critic, gamma = number(net()), 3.0
    game = Game(Sobolev(-1), objective(name), penalty(kind) if kind else None, 2.0, gamma)
    terms = critic_terms(game, critic, real, fake, rng(4))

    def f(x):
        return critic(x) / gamma

    of = game.objective
    play = sum(of.phi(f(fake)).tolist()) / 6 + sum(of.varphi(f(real)).tolist()) / 6
    cost = 2.0 * game.penalty(f, real, fake, game.space, rng(4)).item() if kind else 0.0
    drift = 1e-5 * sum(one**2 for one in critic(real).tolist()) / 6
    assert terms.play.item() == pytest.approx(play)
    assert terms.penalty.item() == pytest.approx(cost)
    assert terms.drift.item() == pytest.approx(drift)
    assert terms.loss.item() == pytest.approx(play + cost + drift)
    assert terms.gap.item() == pytest.approx((f(real).mean() - f(fake).mean()).item())
    slopes = game.penalty.slopes_of(f, real, fake, game.space, rng(4)) if kind else torch.zeros(1)
    assert terms.slope_mean.item() == pytest.approx(slopes.mean().item())
    assert terms.slope_max.item() == pytest.approx(slopes.max().item())
    assert [one.shape for one in terms.numbers().values()] == [()] * 8
    assert terms.loss.requires_grad
    assert not any(one.requires_grad for one in terms.numbers().values())


def test_the_loss_is_two_summands_of_which_the_second_waits_until_it_is_asked_for(monkeypatch):
    asked, cost = [], Penalty.cost

    def looking(*given):
        asked.append(True)
        return cost(*given)

    monkeypatch.setattr(Penalty, "cost", looking)
    critic, real, fake = net(), *batch()
    terms = critic_terms(Game(), number(critic), real, fake, rng())
    assert float(terms.gap) == pytest.approx(-float(terms.play))
    summands = terms.summands()
    scores = next(summands)
    assert asked == []
    with torch.no_grad():
        penalty = next(summands)
    assert penalty.requires_grad, "as when the terms were asked for"
    assert next(summands, None) is None
    assert float(terms.loss.detach()) == float((scores + penalty).detach())
    assert float(terms.numbers()["penalty"]) == float(penalty.detach())
    assert terms.slope_mean <= terms.slope_max
    assert asked == [True], "it is measured once"


def test_no_gradient_reaches_the_generator():
    real, fake = batch()
    generated = (fake * torch.ones((), requires_grad=True, dtype=torch.float64)).requires_grad_()
    generated.retain_grad()
    critic_terms(Game(), number(net()), real, generated, rng()).loss.backward()
    assert generated.grad is None


def test_terms_step_nothing():
    real, fake = batch()
    critic = net()
    before = [one.clone() for one in critic.parameters()]
    state = torch.random.get_rng_state()
    critic_terms(Game(), number(critic), real, fake, rng())
    assert all(torch.equal(a, b) for a, b in zip(before, critic.parameters(), strict=True))
    assert all(one.grad is None for one in critic.parameters())
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("gamma", [1.0, 5.0, "batch"])
def test_generator_loss(gamma):
    real, fake = batch()
    fake.requires_grad_()
    critic = number(net())
    game = Game(Lp(4), objective("logistic"), gamma=gamma)
    found = generator_loss(game, critic, fake, real[:3])
    size = Lp(4).dual.norm(real[:3]).mean().item() if gamma == "batch" else gamma
    assert found.item() == pytest.approx((-critic(fake).mean() / size).item())
    found.backward()
    assert fake.grad is not None
    assert fake.grad.any()


def test_scales_from_each_batch():
    """As the published code did, once a batch; no gradient reaches the data or the critic through them."""
    real, fake = batch()
    real.requires_grad_()
    space = Sobolev(-1, 4)
    weight, gamma = Game(space, weight="batch", gamma="batch").scales_for(real)
    assert weight.item() == pytest.approx(space.norm(real).mean().item())
    assert gamma.item() == pytest.approx(space.dual.norm(real).mean().item())
    assert not weight.requires_grad
    assert not gamma.requires_grad
    critic = number(net())
    from_batch = critic_terms(Game(space, weight="batch", gamma="batch"), critic, real, fake, rng(1))
    from_numbers = critic_terms(Game(space, weight=weight.item(), gamma=gamma.item()), critic, real, fake, rng(1))
    assert from_batch.loss.item() == pytest.approx(from_numbers.loss.item())
    assert Game(space, weight=7.0, gamma="batch").scales_for(real)[0] == 7


def test_half_precision_scores_become_float32():
    real, fake = batch(dtype=torch.bfloat16)
    terms = critic_terms(Game(), number(net(dtype=torch.bfloat16)), real, fake, rng())
    assert terms.loss.dtype == torch.float32


@pytest.mark.parametrize("name", ["weight", "gamma"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "auto", None])
def test_numbers_are_refused_by_name(name, value):
    with pytest.raises(GameError, match=f"{name} = {value!r}; choose a positive number, or 'batch'"):
        Game(**{name: value})


def test_zero_is_a_weight_but_no_scale():
    assert Game(weight=0.0).weight == 0
    with pytest.raises(GameError, match=r"gamma = 0\.0"):
        Game(gamma=0.0)


@pytest.mark.parametrize("name", ["wgan-gp", "wgan-lp", "r1", "maxgp", "dragan"])
def test_a_metric_without_dual_has_no_gradient_penalty(name):
    with pytest.raises(GameError, match=r"Discrete\(\) is a metric without a dual norm.*choose a penalty on pairs"):
        Game(Discrete(), penalty=penalty(name))


def test_what_a_metric_without_dual_can_do():
    for kind in (penalty("pagan"), penalty("metric"), None):
        assert Game(Discrete(), penalty=kind).space == Discrete()
        for name in ("weight", "gamma"):
            with pytest.raises(GameError, match="no scales"):
                Game(Discrete(), penalty=kind, **{name: "batch"})
    with pytest.raises(GameError, match="has no dual norm: give numbers"):
        measured_scales(Discrete(), torch.ones(4, 2))
    assert measured_scales(Lp(2), torch.ones(8, 4)).gamma == 2


@pytest.mark.parametrize(
    ("space", "name", "kind", "expected"),
    [
        (Lp(2), "wasserstein", penalty("wgan-gp"), True),
        (Sobolev(-1), "wasserstein", penalty("wgan-gp"), True),
        (Lp(2), "wasserstein", Penalty(Gradients(), TwoSided(), Max()), True),
        (Lp(2), "wasserstein", penalty("wgan-lp"), False),
        (Lp(2), "wasserstein", penalty("r1"), False),
        (Lp(2), "wasserstein", penalty("metric"), False),
        (Lp(2), "wasserstein", Penalty(Gradients(), OneSided(), Mean()), False),
        (Lp(2), "wasserstein", None, False),
        (Lp(2), "hinge", penalty("wgan-gp"), False),
        (Discrete(), "wasserstein", penalty("metric"), False),
    ],
)
def test_where_the_heuristic_is_meant(space, name, kind, expected):
    assert heuristic(space, objective(name), kind) == expected


@pytest.mark.parametrize(
    ("space", "shape", "said"),
    [
        (Sobolev(-1), (7,), "1, 2 or 3 spatial axes"),
        (Sobolev(-1, length=(1, 2)), (1, 7), "2 lengths"),
    ],
)
def test_a_space_that_does_not_fit_the_data(space, shape, said):
    with pytest.raises(GameError, match=said):
        check_space(space, shape)
    check_space(space, (1, 7, 8))


class Coupled(nn.Module):
    """A user's own layer that subtracts the mean of the batch: no batch norm by name."""

    def __init__(self):
        super().__init__()
        self.body = net(dtype=torch.float32)

    def forward(self, x):
        return self.body(x - x.mean(0, keepdim=True)).flatten()


class MinibatchDeviation(nn.Module):
    """The last column is a statistic of the batch, as in Progressive GAN."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(49, 1)

    def forward(self, x):
        x = x.flatten(1)
        return self.body(torch.cat([x, x.std(0).mean().expand(len(x), 1)], 1)).flatten()


def conv(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *layers, nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))


@pytest.mark.parametrize(
    "critic",
    [
        conv(nn.BatchNorm2d(4), nn.ReLU()),
        conv(nn.ReLU(), nn.BatchNorm2d(4, track_running_stats=False)),
        conv(nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4)),
        Coupled(),
        MinibatchDeviation(),
    ],
    ids=["batch norm", "without statistics kept", "two", "own layer", "minibatch deviation"],
)
def test_coupled_samples_are_refused(critic):
    with pytest.raises(GameError, match=r"couples the samples .*use no normalisation there, or LayerNorm") as caught:
        check_critic(Game(), critic, (3, 4, 4))
    assert len(str(caught.value).splitlines()) == 1
    check_critic(Game(penalty=None), critic, (3, 4, 4))
    check_critic(Game(penalty=penalty("pagan")), critic, (3, 4, 4))


class Squashed(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.body = net(dtype=torch.float32)
        self.function = function

    def forward(self, x):
        return self.function(self.body(x))


@pytest.mark.parametrize(
    "critic",
    [
        net(48, nn.Sigmoid(), dtype=torch.float32),
        net(48, nn.Sigmoid(), nn.Flatten(0), dtype=torch.float32),
        net(48, nn.Tanh(), dtype=torch.float32),
        Squashed(torch.sigmoid),
        Squashed(lambda f: torch.sigmoid(f).squeeze(1)),
        Squashed(lambda f: torch.tanh(f).view(-1)),
        Squashed(lambda f: torch.sigmoid(f)[:, 0]),
        Squashed(lambda f: torch.sigmoid(f).reshape(-1).clone().double()),
        Squashed(nn.functional.sigmoid),
    ],
)
def test_a_final_sigmoid_is_refused(critic):
    with pytest.raises(GameError, match=r"ends in a sigmoid.*return the number before the sigmoid"):
        check_critic(Game(), critic, (3, 4, 4))
    check_critic(Game(penalty=None), critic, (3, 4, 4))


@pytest.mark.parametrize("last", [nn.Flatten(), nn.Identity()])
def test_several_numbers_for_a_sample_are_refused(last):
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 2), last)
    with pytest.raises(GameError, match=r"returns shape \(4, 2\) for 4 samples; it must return one number each"):
        check_critic(Game(), critic, (3, 4, 4))
    with pytest.raises(GameError, match="one number each"):
        check_critic(Game(), nn.Conv2d(3, 1, 3), (3, 4, 4))


def spectral(norm):
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), norm(nn.Linear(48, 8)), nn.ReLU(), norm(nn.Linear(8, 1)), nn.Flatten(0))


GOOD = {
    "plain": lambda: net(dtype=torch.float32),
    "double": lambda: net(),
    "tanh inside": lambda: net(48, nn.Flatten(0), dtype=torch.float32),
    "layer norm": lambda: conv(nn.LayerNorm([4, 4, 4]), nn.ReLU()),
    "group norm": lambda: conv(nn.GroupNorm(2, 4), nn.LeakyReLU()),
    "instance norm": lambda: conv(nn.InstanceNorm2d(4), nn.LeakyReLU()),
    "dropout": lambda: conv(nn.Dropout(0.5), nn.ReLU()),
    "spectral norm": lambda: spectral(nn.utils.parametrizations.spectral_norm),
    "old spectral norm": lambda: spectral(nn.utils.spectral_norm),
    "scaled sigmoid inside": lambda: nn.Sequential(nn.Flatten(), nn.Linear(48, 3), nn.Sigmoid(), nn.Linear(3, 1)),
}


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("kind", ["wgan-gp", "r1", "maxgp"])
def test_critics_that_are_fine(name, kind):
    check_critic(Game(penalty=penalty(kind)), GOOD[name](), (3, 4, 4))


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("name", ["dropout", "spectral norm", "old spectral norm", "batch norm"])
def test_the_check_leaves_everything_as_it_was(name):
    critic = conv(nn.BatchNorm2d(4), nn.Dropout(0.1)) if name == "batch norm" else GOOD[name]()
    before = {key: value.clone() for key, value in critic.state_dict().items()}
    identities = [id(one) for one in critic.parameters()]
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    draws = rng(3)
    if name == "batch norm":
        with pytest.raises(GameError):
            check_critic(Game(), critic, (3, 4, 4))
    else:
        check_critic(Game(), critic, (3, 4, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert critic.training
    assert all(torch.equal(value, before[key]) for key, value in critic.state_dict().items())
    assert [id(one) for one in critic.parameters()] == identities
    assert all(one.grad is None for one in critic.parameters())
    assert torch.equal(draws.get_state(), rng(3).get_state())


@pytest.mark.parametrize("kind", ["wgan-gp", "maxgp"])
def test_a_few_steps_lower_the_loss(kind):
    real, fake = batch(2, n=64)
    critic = net(2)
    game = Game(Lp(3), penalty=penalty(kind), weight=10.0 if kind == "wgan-gp" else 0.1)
    optimizer = torch.optim.Adam(critic.parameters(), 0.01)
    draws, losses = rng(), []
    for _ in range(100):
        terms = critic_terms(game, number(critic), real, fake, draws)
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        losses.append(terms.loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert terms.gap.item() > 0  # reals score higher


@pytest.mark.parametrize(
    "game",
    [
        Game(penalty=None),
        Game(weight=0.0),
        Game(penalty=Consistency()),
        Game(penalty=Sum((Consistency(), Consistency(margin=0.1)))),
        Game(objective=objective("relativistic(wasserstein)"), penalty=None),
        Game(objective=objective("Rescaled(wasserstein, inner=3)"), penalty=None),
    ],
    ids=lambda game: f"{game.objective!r}, {game.weight} {game.penalty!r}",
)
def test_a_critic_that_nothing_bounds_is_refused(game):
    with pytest.raises(GameError, match="it can lower its loss without limit: choose a penalty") as refused:
        check_bounded(game)
    assert refused.value.reason == "unbounded"
    assert repr(game.objective) in str(refused.value)


def test_what_bounds_a_critic():
    """A penalty on slopes or on values, an objective's own, or a loss with a lower bound."""
    for kind in (one.value for one in PENALTIES.entries() if isinstance(one.value, SoftConstraint)):
        check_bounded(Game(penalty=kind))
    check_bounded(Game(penalty=Penalty(Values(), TwoSided(), Mean())))
    check_bounded(Game(weight="batch"))
    for name in ("fisher", "sobolev", "logistic", "hinge"):
        check_bounded(Game(objective=objective(name), penalty=None))


def test_reasons_are_listed():
    with pytest.raises(KeyError, match="no such reason"):
        GameError("said", "no such reason")
    assert GameError("said").reason == ""
    assert all(len(sentence.split()) > 8 for sentence in REASONS.values())
    for build, reason in (
        (lambda: Game(Discrete()), "no dual norm"),
        (lambda: measured_scales(Discrete(), torch.ones(2, 3)), "no dual norm"),
        (
            lambda: check_critic(Game(), nn.Sequential(net(2), nn.BatchNorm1d(1)).double(), (2,)),
            "no sample's own slope",
        ),
        (lambda: check_critic(Game(), net(2, nn.Sigmoid()), (2,)), "bounded values"),
    ):
        with pytest.raises(GameError) as refused:
            build()
        assert refused.value.reason == reason
