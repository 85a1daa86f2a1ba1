"""An audit finds each fault of a loop of one's own, and none in a sound one; it says what it cannot tell."""

import pytest
import torch
import torch.nn.functional as F
from own_loops import (
    CHANNELS,
    FAULTS,
    LATENT,
    SIDE,
    Critic,
    Own,
    at,
    between,
    mixed,
    of,
    penalised,
    scores,
    slope,
    sound,
    two_sided,
)
from torch import nn

import banach
from banach.auditing import QUESTIONS


def test_a_sound_loop_has_no_fault():
    found = sound().audit()
    assert (found.faults, found.warnings, found.unknown) == ((), (), ("logged",)), str(found)
    assert found["target"].numbers["target"] == pytest.approx(1, rel=1e-3)
    assert found["norm"].numbers["weight"] == pytest.approx(10, rel=1e-3)
    assert 0 <= found["points"].numbers["lowest"] < 0.1 < 0.9 < found["points"].numbers["highest"] <= 1


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_no_other(name):
    check, make = FAULTS[name]
    found = make().audit()
    assert (found.faults, found.warnings) == ((check,), ()), str(found)
    assert found[check].remedy


def test_every_question_can_fail():
    assert {check for check, _ in FAULTS.values()} == {*QUESTIONS}


def known(found):
    """The names of the questions that have an answer."""
    return {*QUESTIONS} - {*found.unknown}


# Sound loops of other kinds


def hinge(D, x, y):
    return F.relu(1 - D(x)).mean() + F.relu(1 + D(y)).mean()


def logistic(D, x, y):
    return F.softplus(-D(x)).mean() + F.softplus(D(y)).mean()


def r1(D, x, y):
    return 5 * slope(D, x).square().flatten(1).sum(1).mean()


def entropy(D, x, y):
    return -D(x).log().mean() - (1 - D(y)).log().mean()


def squares(D, x, y):
    return (D(x) - 1).square().mean() + D(y).square().mean()


def joined(D, x, y):
    """Both batches in one pass, as many loops have it."""
    of_x, of_y = D(torch.cat([x, y])).chunk(2)
    return of_y.mean() - of_x.mean() + 10 * two_sided(slope(D, between(x, y)))


class Method:
    """A loop whose losses are methods that use the object's networks, not their arguments."""

    def __init__(self):
        self.critic, self.generator = Critic(), sound().generator

    def critic_loss(self, _, real, fake):
        return joined(self.critic, real, fake)

    def generator_loss(self, _, real, fake):
        return -self.critic(fake).mean()


def of_methods():
    own = Method()
    return sound(critic=own.critic, generator=own.generator, loss=own.critic_loss, generator_loss=own.generator_loss)


def patches():
    critic = nn.Sequential(nn.Conv2d(CHANNELS, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 1, 3))

    def loss(D, x, y):
        z = between(x, y).requires_grad_()
        (g,) = torch.autograd.grad(D(z), z, torch.ones_like(D(z)), create_graph=True)
        return scores(D, x, y) + 10 * two_sided(g)

    return sound(critic=critic, loss=loss)


def mean_square():
    """Function space: slope 1 in the mean-square norm is 1/sqrt(n) in l^2."""
    return sound(loss=of(lambda g: 100 * two_sided(g, g[0].numel() ** -0.5)))


def doubles():
    own = sound()
    return own.but(critic=own.critic.double(), generator=own.generator.double(), real=own.real.double())


def vectors():
    critic, generator = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0)), nn.Linear(3, 7)

    def loss(D, x, y):
        t = torch.rand(len(x), 1)
        return scores(D, x, y) + 0.1 * F.relu(slope(D, t * x + (1 - t) * y).norm(dim=1) - 1).square().mean()

    return Own(critic, generator, torch.randn(9, 7), loss, latent=lambda n: torch.randn(n, 3))


def with_batch(size, **changed):
    return sound(
        real=0.3 * torch.randn(size, CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), **changed
    )


def ours(kind="wgan-gp", space="Lp(2)", said=None):
    """The package's own penalty, given apart from the scores."""

    def penalty(D, x, y):
        return 10 * banach.gradient_penalty(D, x, y, banach.space(space), kind=kind)

    return sound(loss=scores, penalty=penalty, space=said)


def no_latent():
    own = sound()
    return own.but(generator=lambda n: own.generator(torch.randn(n, LATENT)), latent=None)


SOUND = {
    "apart": ours,
    "one-sided": lambda: ours("wgan-lp"),
    "linear": lambda: ours("one-sided-linear"),
    "asymmetric": lambda: ours("asymmetric"),
    "largest": lambda: ours("maxgp"),
    "zero-centred": lambda: ours("0-gp"),
    "power": lambda: ours("wgan-div"),
    "sobolev": lambda: ours(space="Sobolev(s=-1)", said="Sobolev(s=-1)"),
    "l-inf": lambda: ours(space="Lp(inf)"),
    "l1": lambda: ours(space="Lp(1)"),
    "hinge": lambda: sound(loss=hinge, penalty=r1),
    "logistic": lambda: sound(loss=logistic, penalty=r1, generator_loss=lambda D, x, y: F.softplus(-D(y)).mean()),
    "entropy": lambda: sound(loss=entropy, critic=Critic(last=torch.sigmoid), penalty=r1,
                             generator_loss=lambda D, x, y: -D(y).log().mean()),
    "squares": lambda: sound(loss=squares, penalty=r1, generator_loss=lambda D, x, y: (D(y) - 1).square().mean()),
    "joined": lambda: sound(loss=joined),
    "methods": of_methods,
    "patches": patches,
    "mean square": mean_square,
    "doubles": doubles,
    "vectors": vectors,
    "smallest batch": lambda: with_batch(4),
    "odd batch": lambda: with_batch(33),
    "pairs of another order": lambda: sound(loss=at(lambda x, y: between(x, y.flip(0)))),
    "root with an epsilon": lambda: sound(
        loss=of(lambda g: ((g.square().sum((1, 2, 3)) + 1e-12).sqrt() - 1).square().mean())
    ),
    "latent batch": lambda: sound(latent=torch.randn(40, LATENT)),
    "no latent": no_latent,
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_sound_loops_of_other_kinds_have_no_fault(name):
    found = SOUND[name]().audit()
    assert (found.faults, found.warnings) == ((), ()), str(found)


@pytest.mark.parametrize(
    ("name", "space"), [("apart", "Lp(p=2)"), ("l-inf", "Lp(p=inf)"), ("l1", "Lp(p=1)"), ("sobolev", "Sobolev(s=-1")]
)
def test_the_norm_is_found(name, space):
    found = SOUND[name]().audit()
    assert f"distances are those in {space}" in found["norm"].measured
    assert found["target"].numbers["target"] == pytest.approx(1, rel=0.01)


def test_a_norm_that_was_not_tried_is_not_guessed():
    found = ours(space="Sobolev(s=-1)").audit()
    assert found["norm"].verdict == found["target"].verdict == "could not tell"
    assert "space=" in found["norm"].measured


SELDOM = [
    pytest.param(kind, marks=pytest.mark.slow) for kind in ("r2", "r1-r2", "ct-gan", "alp", "pagan", "wgan-div-code")
]


@pytest.mark.parametrize("kind", ["r1", "dragan", "swgan", *SELDOM])
def test_the_papers_penalties_are_not_called_faults(kind):
    found = ours(kind).audit()
    assert (found.faults, found.warnings) == ((), ()), str(found)


# What works and does less than it seems to


@pytest.mark.parametrize(
    ("check", "loss"),
    [
        ("points", at(lambda x, y: mixed(torch.rand(1))(x, y))),
        ("points", at(mixed(0.5))),
        ("points", at(lambda x, y: mixed(0.3 * torch.rand(len(x), 1, 1, 1))(x, y))),
        ("samples", of(lambda g: (g.flatten(1).norm(dim=1) - 1).square().sum())),
        ("target", of(lambda g: two_sided(g, 3.0))),
    ],
)
def test_warnings(check, loss):
    found = sound(loss=loss).audit()
    assert (found.faults, found.warnings) == ((), (check,)), str(found)


def test_the_target_is_measured():
    assert sound(loss=of(lambda g: two_sided(g, 3.0))).audit()["target"].numbers["target"] == pytest.approx(3, rel=1e-3)


def test_batch_norm_without_a_penalty_is_a_warning():
    found = sound(critic=Critic(norm=[nn.BatchNorm2d(4)]), loss=hinge).audit()
    assert (found.faults, found.warnings) == ((), ("batch",))


def test_batch_norm_is_found_in_a_critic_that_is_set_to_evaluate():
    critic = Critic(norm=[nn.BatchNorm2d(4)]).eval()
    found = sound(critic=critic).audit()
    assert found.faults == ("batch",)
    assert "In training mode" in found["batch"].measured
    assert not critic.training


def test_dropout_is_no_batch_statistic():
    found = sound(critic=Critic(norm=[nn.Dropout(0.3)])).audit()
    assert found["batch"].verdict == "ok"


# What cannot be told


def test_a_loop_without_a_gradient_penalty():
    found = sound(loss=scores).audit()
    assert found.faults == found.warnings == ()
    assert {"slope", "points", "norm", "target", "samples", "weights", "flat"} <= {*found.unknown}
    assert "Clipping" in found["slope"].measured


def test_features_that_are_only_compared_are_no_fault():
    def matched(D, x, y):
        return scores(D, x, y) + (D.features(x).mean(0) - D.features(y).mean(0)).square().sum()

    assert sound(loss=matched).audit().faults == ()


def test_a_loss_that_counts_its_calls():
    calls = []

    def lazy(D, x, y):
        calls.append(1)
        return scores(D, x, y) + (10 * two_sided(slope(D, between(x, y))) if len(calls) % 3 == 0 else 0)

    found = sound(loss=lazy).audit()
    assert "slope" in found.unknown
    assert not {"points", "norm", "samples", "target", "weights"} & {*found.faults}


def test_a_critic_that_is_not_called():
    own = Critic()
    found = sound(critic=lambda x: own(x), loss=lambda _, x, y: joined(own, x, y)).audit()
    assert found.faults == ()
    assert {"slope", "signs", "critic"} <= {*found.unknown}
    assert "does not call the critic" in found["slope"].measured


def test_without_the_generators_loss_the_networks_are_looked_at():
    found = sound(generator_loss=None).audit()
    assert {"generator", "signs"} <= {*found.unknown}
    assert "generator_loss was not given" in found["generator"].measured

    class Cut(Critic):
        def forward(self, x):
            return super().forward(x.detach())

    assert sound(critic=Cut(), loss=scores, generator_loss=None).audit().faults == ("generator",)


def test_a_transform_of_torch_func_hides_the_points():
    def penalty(D, x, y):
        g = torch.func.vmap(torch.func.grad(lambda one: D(one[None]).sum()))(between(x, y))
        return two_sided(g)

    found = sound(loss=penalised(penalty)).audit()
    assert found.faults == found.warnings == ()
    assert found["points"].verdict == "could not tell"
    assert {"slope", "weights"} <= known(found)


# What is logged


@pytest.mark.parametrize(
    ("logged", "verdict"),
    [
        (lambda D, x, y: banach.distance(x, y).value, "ok"),
        (lambda D, x, y: (D(x).mean() - D(y).mean()) / slope(D, between(x, y)).flatten(1).norm(dim=1).max(), "ok"),
        (lambda D, x, y: 3 * banach.distance(x, y).value, "warning"),
        (lambda D, x, y: (x.mean(0) - y.mean(0)).norm(), "warning"),
        (lambda D, x, y: -banach.distance(x, y).value, "fault"),
        (float("nan"), "fault"),
        (4.25, "could not tell"),
        (None, "could not tell"),
    ],
)
def test_what_is_logged(logged, verdict):
    assert sound(logged=logged).audit()["logged"].verdict == verdict


def test_the_gap_of_this_batch_is_known_as_a_number():
    own = sound(generator=lambda n: torch.zeros(n, CHANNELS, SIDE, SIDE), latent=None)
    with torch.no_grad():
        gap = abs((own.critic(own.real).mean() - own.critic(torch.zeros_like(own.real)).mean()).item())
    found = own.but(logged=gap).audit()["logged"]
    assert (found.verdict, found.numbers["logged"]) == ("fault", pytest.approx(gap))
