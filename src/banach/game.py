"""The game that critic and generator play: its terms are pure functions, which compute losses and step nothing.

The network D plays as f = D / gamma, so that objective, penalty and estimates all see a nominally 1-Lipschitz critic;
gamma is nothing but the scale of D's output (Banach WGAN, eq. 8).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.numerics import at_least_float32
from banach.objectives import WASSERSTEIN, Objective
from banach.penalties import Penalty, penalty
from banach.scales import Scales, scales
from banach.slopes import Critic, Gradients
from banach.spaces import Lp, Metric, Space
from banach.specs import SpecError

DRIFT = 1e-5


class GameError(ValueError):
    """Parts that do not go together; the message says why and what to change."""


@dataclass(frozen=True)
class Game:
    """Space, objective, penalty with its weight lambda, critic scale gamma, and drift weight.

    `weight` and `gamma` are numbers, or "batch": E norm(X) and E dual.norm(X) of each batch of reals, as the published
    code did. `drift` multiplies E D(real)^2 on the unscaled D (Banach WGAN: 1e-5).

    >>> from banach import Sobolev
    >>> Game(Sobolev(s=-1), weight=27.0, gamma=30.0).penalty.weight
    10.0
    """

    space: Metric = Lp(2)  # noqa: RUF009 - frozen, so one default for all is safe
    objective: Objective = WASSERSTEIN
    penalty: Penalty | None = penalty("wgan-gp")  # noqa: RUF009 - frozen
    weight: float | Literal["batch"] = 10.0
    gamma: float | Literal["batch"] = 1.0
    drift: float = DRIFT

    def __post_init__(self):
        for name, value, zero in (("weight", self.weight, True), ("gamma", self.gamma, False)):
            number = isinstance(value, int | float) and math.isfinite(value) and (value > 0 or (zero and value == 0))
            if not number and value != "batch":
                raise GameError(f"{name} = {value!r}; choose a positive number, or 'batch'")
        needs_dual = (self.penalty is not None and self.penalty.needs_dual) or "batch" in (self.weight, self.gamma)
        if needs_dual and not isinstance(self.space, Space):
            raise GameError(
                f"{self.space!r} is a metric without a dual norm, so it has no gradient penalty and no scales: "
                "choose a penalty on pairs (pagan, metric), numbers for its weight and the critic scale, or a norm"
            )

    def scales_for(self, real: Float[Tensor, "b *event"]) -> tuple[float | Tensor, float | Tensor]:
        """(lambda, gamma), from the batch of reals where the game says so."""
        weight, gamma = self.weight, self.gamma
        with torch.no_grad():
            if weight == "batch":
                weight = _normed(self.space).norm(real).mean()
            if gamma == "batch":
                gamma = _normed(self.space).dual.norm(real).mean()
        return weight, gamma


@dataclass(frozen=True)
class CriticTerms:
    """The critic's loss and its parts, 0-dimensional tensors; only `loss` and its summands carry gradients.

    `gap` is E f(real) - E f(fake), an estimate of W1 once divided by f's Lipschitz constant; `slope_mean` and
    `slope_max` are those the penalty saw. Neither gap nor gap / slope_max is a bound on W1.
    """

    loss: Tensor
    play: Tensor
    penalty: Tensor
    drift: Tensor
    gap: Tensor
    slope_mean: Tensor
    slope_max: Tensor


def critic_terms(
    game: Game,
    critic: Critic,
    real: Float[Tensor, "b *event"],
    fake: Float[Tensor, "b *event"],
    rng: torch.Generator | None = None,
) -> CriticTerms:
    """The critic's loss: E phi(f(fake)) + E varphi(f(real)) + lambda penalty + drift E D(real)^2, with f = D / gamma.

    `fake` is taken as data: no gradient reaches the generator. Double backward runs over the penalty's points only.
    """
    weight, gamma = game.scales_for(real)

    def f(x: Tensor) -> Tensor:
        return at_least_float32(critic(x)) / gamma

    scores_real, f_fake = at_least_float32(critic(real)), f(fake.detach())
    f_real = scores_real / gamma
    play = game.objective.phi(f_fake).mean() + game.objective.varphi(f_real).mean()
    drift = game.drift * scores_real.square().mean()
    zero = torch.zeros_like(play)
    slopes = zero[None] if game.penalty is None else game.penalty.slopes_of(f, real, fake, game.space, rng)
    cost = zero if game.penalty is None else weight * game.penalty.value(slopes)
    return CriticTerms(
        loss=play + cost + drift,
        play=play.detach(),
        penalty=cost.detach(),
        drift=drift.detach(),
        gap=(f_real.mean() - f_fake.mean()).detach(),
        slope_mean=slopes.detach().mean(),
        slope_max=slopes.detach().amax(),
    )


def generator_loss(
    game: Game, critic: Critic, fake: Float[Tensor, "b *event"], real: Float[Tensor, "n *event"]
) -> Float[Tensor, ""]:
    """The generator's loss, E psi(f(fake)), with f = D / gamma; `real` only where gamma is taken from each batch."""
    _, gamma = game.scales_for(real)
    return game.objective.psi(at_least_float32(critic(fake)) / gamma).mean()


def heuristic(game_space: Metric, objective: Objective, kind: Penalty | None) -> bool:
    """Whether lambda and gamma from data are meant for this game: they are derived for the two-sided Wasserstein loss.

    Anything else keeps gamma = 1 and the weight of its penalty's paper.
    """
    two_sided = kind is not None and kind.slopes == Gradients() and type(kind.shape).__name__ == "TwoSided"
    return isinstance(game_space, Space) and objective == WASSERSTEIN and two_sided


def measured_scales(game_space: Metric, batches: Tensor) -> Scales:
    """`scales`, refused with a sentence where the space has no dual."""
    return scales(_normed(game_space), batches)


def _normed(metric: Metric) -> Space:
    if not isinstance(metric, Space):
        raise GameError(f"{metric!r} has no dual norm: give numbers for the penalty weight and the critic scale")
    return metric


def check_space(space: Metric, shape: tuple[int, ...]) -> None:
    """GameError if the space cannot measure data of this shape (without the batch axis)."""
    probe = torch.zeros(1, *shape)
    try:
        space.distance(probe, probe)
    except (ValueError, SpecError, RuntimeError) as error:
        raise GameError(str(error).split("\n")[0]) from None


def check_critic(game: Game, critic: nn.Module, shape: tuple[int, ...], rng: torch.Generator | None = None) -> None:
    """GameError if a gradient penalty would not mean what it says for this critic.

    Batch statistics couple the samples, so a sample's own gradient is not defined; a final sigmoid has bounded output
    and vanishing slopes, where the penalty asks for slope 1. Both are found by what the critic does, not by its class.
    """
    if game.penalty is None or not game.penalty.needs_dual:
        return
    rng = rng or torch.Generator().manual_seed(0)
    where = next(critic.parameters(), torch.zeros(1))
    x = torch.randn(4, *shape, generator=rng).to(where.device, where.dtype)
    other = torch.cat([x[:1], 3 * x[1:] + 1])
    state = {name: value.clone() for name, value in critic.state_dict().items()}
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        outputs = []
        for points in (x, other):
            torch.manual_seed(0)
            outputs.append(critic(points))
            critic.load_state_dict(state)  # each time: the power iteration of a spectral norm moves on with every call
    first, second = outputs
    if first.numel() != 4:
        raise GameError(f"the critic returns shape {tuple(first.shape)} for 4 samples; it must return one number each")
    if not torch.allclose(first.flatten()[0], second.flatten()[0], rtol=1e-4, atol=1e-6):
        raise GameError(
            "the critic couples the samples of a batch (batch statistics, as in BatchNorm), so a gradient penalty has "
            "no per-sample gradient to measure: use no normalisation there, or LayerNorm, or GroupNorm"
        )
    if _ends_in_sigmoid(first):
        raise GameError(
            "the critic ends in a sigmoid: its slopes vanish where the gradient penalty asks for slope 1; "
            "return the number before the sigmoid (the logistic objective contains it)"
        )


def _ends_in_sigmoid(output: Tensor) -> bool:
    """Whether the last operation but for changes of shape and type is a sigmoid or a tanh."""
    node = output.grad_fn
    passing = ("View", "Squeeze", "Unsqueeze", "Reshape", "Select", "Slice", "Copy", "Clone", "Alias", "Expand")
    while node is not None and node.name().startswith((*passing, "ToCopy")):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith(("Sigmoid", "Tanh", "Softmax"))
