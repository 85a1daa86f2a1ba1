"""Small training loops of one's own, one of them sound and each other with one fault of the field."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

import banach

CHANNELS, SIDE, LATENT = 2, 6, 5


class Critic(nn.Module):
    """A small convolutional critic."""

    def __init__(self, norm=None, last=None):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(CHANNELS, 4, 3, padding=1), *norm or (), nn.LeakyReLU(0.2), nn.Flatten()
        )
        self.score = nn.Linear(4 * SIDE * SIDE, 1)
        self.last = last

    def forward(self, x):
        score = self.score(self.features(x))
        return score if self.last is None else self.last(score)


def generator():
    return nn.Sequential(
        nn.Linear(LATENT, CHANNELS * SIDE * SIDE), nn.BatchNorm1d(CHANNELS * SIDE * SIDE), nn.Tanh(),
        nn.Unflatten(1, (CHANNELS, SIDE, SIDE)),
    )  # fmt: skip


def scores(critic, real, fake):
    return critic(fake).mean() - critic(real).mean()


def between(real, fake):
    t = torch.rand(len(real), 1, 1, 1)
    return t * real + (1 - t) * fake


def slope(critic, x, create_graph=True):
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(critic(x).sum(), x, create_graph=create_graph)
    return found


def two_sided(gradient, target=1.0):
    return (gradient.flatten(1).norm(dim=1) - target).square().mean()


def wgan_gp(critic, real, fake):
    return scores(critic, real, fake) + 10 * two_sided(slope(critic, between(real, fake)))


def generator_loss(critic, real, fake):
    return -critic(fake).mean()


def penalised(penalty):
    """The critic's loss with another penalty."""
    return lambda critic, real, fake: scores(critic, real, fake) + 10 * penalty(critic, real, fake)


def at(points):
    """The two-sided penalty at other points."""
    return penalised(lambda critic, real, fake: two_sided(slope(critic, points(real, fake))))


def of(size):
    """Another penalty of the gradient at interpolates."""
    return penalised(lambda critic, real, fake: size(slope(critic, between(real, fake))))


def mixed(t):
    return lambda real, fake: t * real + (1 - t) * fake


@dataclass(frozen=True)
class Own:
    """A loop: what `banach.audit` is given."""

    critic: Any
    generator: Any
    real: Any
    loss: Any
    penalty: Any = None
    generator_loss: Any = generator_loss
    latent: Any = LATENT
    logged: Any = None
    space: Any = None

    def audit(self):
        given = {
            name: value for name, value in vars(self).items() if name not in ("critic", "generator", "real", "loss")
        }
        return banach.audit(self.critic, self.generator, self.real, self.loss, **given)

    def but(self, **changed):
        return replace(self, **changed)


def sound(**changed):
    """WGAN-GP as it should be."""
    torch.manual_seed(3)
    real = 0.3 * torch.randn(16, CHANNELS, SIDE, SIDE)
    return Own(Critic(), generator(), real, wgan_gp).but(**changed)


FAULTS: dict[str, tuple[str, Any]] = {}
"""Loops by their names: the question that finds the fault, and how to make the loop."""


def fault(check):
    def wrap(make):
        FAULTS[make.__name__] = (check, make)
        return make

    return wrap


# No gradient to the generator


@fault("generator")
def score_detached_and_regression_left():
    return sound(generator_loss=lambda D, x, y: -D(y).detach().mean() + (y - x).square().mean())


@fault("generator")
def samples_detached():
    return sound(generator_loss=lambda D, x, y: -D(y.detach()).mean())


@fault("generator")
def generator_without_graph():
    own = generator()

    def act(z):
        with torch.no_grad():
            return own(z)

    return sound(generator=act)


@fault("generator")
def loss_taken_out_of_the_graph():
    return sound(generator_loss=lambda D, x, y: torch.tensor(-D(y).mean().item(), requires_grad=True))


# The critic


@fault("critic")
def reals_scored_without_graph():
    def loss(D, x, y):
        return D(y).mean() - D(x).detach().mean() + 10 * two_sided(slope(D, between(x, y)))

    return sound(loss=loss)


@fault("critic")
def critic_frozen():
    own = sound()
    own.critic.requires_grad_(False)
    return own


@fault("signs")
def generator_helps_the_critic():
    return sound(generator_loss=lambda D, x, y: D(y).mean())


@fault("signs")
def critic_tells_nothing_apart():
    return sound(loss=lambda D, x, y: D(y).mean() + D(x).mean() + 10 * two_sided(slope(D, between(x, y))),
                 generator_loss=lambda D, x, y: -D(y).mean())  # fmt: skip


# What is penalised


@fault("slope")
def trained_through_tanh():
    def loss(D, x, y):
        return torch.tanh(0.3 * D(y)).mean() - torch.tanh(0.3 * D(x)).mean() + 10 * two_sided(slope(D, between(x, y)))

    return sound(loss=loss)


@fault("slope")
def penalty_on_a_sigmoid_of_the_score():
    return sound(loss=penalised(lambda D, x, y: two_sided(slope(lambda z: torch.sigmoid(D(z)), between(x, y)))))


@fault("slope")
def penalty_on_features():
    return sound(loss=penalised(lambda D, x, y: two_sided(slope(D.features, between(x, y)))))


@fault("weights")
def no_create_graph():
    return sound(loss=penalised(lambda D, x, y: two_sided(slope(D, between(x, y), create_graph=False))))


@fault("weights")
def norm_detached():
    return sound(loss=of(lambda g: two_sided(g.detach())))


@fault("weights")
def penalty_of_a_copy():
    return sound(loss=penalised(lambda D, x, y: two_sided(slope(copy.deepcopy(D), between(x, y)))))


# Where


@fault("points")
def weights_from_a_normal_law():
    return sound(loss=at(lambda x, y: mixed(torch.randn(len(x), 1, 1, 1))(x, y)))


@fault("points")
def a_weight_for_each_pixel():
    return sound(loss=at(lambda x, y: mixed(torch.rand_like(x))(x, y)))


@fault("points")
def a_weight_for_each_channel():
    return sound(loss=at(lambda x, y: mixed(torch.rand(len(x), CHANNELS, 1, 1))(x, y)))


@fault("points")
def penalty_on_fakes_only():
    return sound(loss=at(lambda x, y: y))


@fault("points")
def penalty_on_reals_only():
    return sound(loss=at(lambda x, y: x))


# In which norm


@fault("norm")
def norm_over_channels_alone():
    return sound(loss=of(lambda g: (g.norm(2, dim=1) - 1).square().mean()))


@fault("norm")
def norm_over_the_last_axis():
    return sound(loss=of(lambda g: (g.norm(2, dim=-1) - 1).square().mean()))


@fault("norm")
def no_norm_at_all():
    return sound(loss=of(lambda g: (g.abs() - 1).square().mean()))


@fault("norm")
def another_norm_than_said():
    return sound(space="Sobolev(s=-1)")


@fault("samples")
def norm_of_the_whole_batch():
    return sound(loss=of(lambda g: (g.norm(2) - 1).square()))


@fault("samples")
def mean_before_the_square():
    return sound(loss=of(lambda g: (g.flatten(1).norm(dim=1).mean() - 1).square()))


@fault("samples")
def gradient_of_the_mean_score():
    def penalty(D, x, y):
        z = between(x, y).detach().requires_grad_()
        (g,) = torch.autograd.grad(D(z).mean(), z, create_graph=True)
        return two_sided(g)

    return sound(loss=penalised(penalty))


@fault("target")
def target_of_one_over_the_entries():
    return sound(loss=of(lambda g: two_sided(g, 1 / g[0].numel())))


@fault("target")
def mean_of_squares_under_the_root():
    return sound(loss=of(lambda g: two_sided(g / g[0].numel() ** 0.5)))


@fault("flat")
def root_of_a_sum():
    return sound(loss=of(lambda g: (g.square().sum((1, 2, 3)).sqrt() - 1).square().mean()))


# Scores


@fault("batch")
def batch_norm_in_the_critic():
    return sound(critic=Critic(norm=[nn.BatchNorm2d(4)]))


class Deviation(nn.Module):
    """The minibatch's deviation, added to every sample."""

    def forward(self, x):
        return x + x.std(0, keepdim=True).mean()


@fault("batch")
def minibatch_deviation_in_the_critic():
    return sound(critic=Critic(norm=[Deviation()]))


@fault("range")
def sigmoid_at_the_end():
    return sound(critic=Critic(last=nn.Sigmoid()))


@fault("range")
def tanh_at_the_end():
    return sound(critic=Critic(last=torch.tanh))


@fault("logged")
def gap_logged():
    return sound(logged=lambda D, x, y: (D(x).mean() - D(y).mean()).item())


@fault("logged")
def loss_logged():
    return sound(logged=lambda D, x, y: -wgan_gp(D, x, y))


@fault("logged")
def score_of_reals_logged():
    return sound(logged=lambda D, x, y: D(x).mean())


@fault("logged")
def a_negative_number_logged():
    return sound(logged=-1.25)


@fault("logged")
def distance_of_shifted_means_logged():
    return sound(logged=lambda D, x, y: 1 + (x.mean(0) - y.mean(0)).norm())
