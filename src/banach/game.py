"""The game that critic and generator play: its terms are pure functions, which compute losses and step nothing.

The network D plays as f = D / gamma, so that objective, penalty and estimates all see a nominally 1-Lipschitz critic;
gamma is nothing but the scale of D's output (Banach WGAN, eq. 8).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach import distributed
from banach.errors import BanachError
from banach.numerics import at_least_float32
from banach.objectives import WASSERSTEIN, Objective, bounded_below
from banach.penalties import Constant, Cost, Penalty, Schedule, SoftConstraint, TwoSided, penalty
from banach.scales import DRIFT, Scales, as_covectors, scales
from banach.slopes import Critic, Evaluation, Gradients, critic_for_penalty, evaluation_of
from banach.slopes.slopes import Memory, Noise, prefixed, unprefixed
from banach.spaces import Lp, Metric, Space, warm_starts
from banach.specs import SpecError

REASONS = {
    "unbounded": "phi or varphi is unbounded below and nothing bounds the critic: it can lower its loss without limit",
    "no dual norm": "a metric without a dual norm measures no gradient, so it has no gradient penalty and no scales",
    "no sample's own slope": "batch statistics couple the samples, so that a sample has no gradient of its own",
    "bounded values": "a final sigmoid bounds the critic and flattens its slopes, where the penalty asks for slope 1",
    "no pairs": "each fake is compared with the real of its index, so there must be as many of each",
}
"""The mathematical reasons for which a game is refused."""


class GameError(BanachError):
    """Parts that do not go together; the message says why and what to change.

    `reason` is a key of `REASONS` where mathematics is in the way, "" where a value is.
    """

    def __init__(self, message: str, reason: str = ""):
        super().__init__(message)
        if reason and reason not in REASONS:
            raise KeyError(reason)
        self.reason = reason


@dataclass(frozen=True)
class Game:
    """Space, objective, penalty with its weight lambda and schedule, critic scale gamma, and drift weight.

    `weight` and `gamma` are numbers, or "batch": E norm(X) and E dual.norm(X) of each batch of reals, as the published
    code did. `drift` multiplies E D(real)^2 on the unscaled D (Banach WGAN: 1e-5).

    >>> from banach import Sobolev
    >>> Game(Sobolev(s=-1), weight=27.0, gamma=30.0).penalty.weight
    10.0
    """

    space: Metric = Lp(2)  # noqa: RUF009 - frozen, so one default for all is safe
    objective: Objective = WASSERSTEIN
    penalty: SoftConstraint | None = penalty("wgan-gp")  # noqa: RUF009 - frozen
    weight: float | Literal["batch"] = 10.0
    gamma: float | Literal["batch"] = 1.0
    drift: float = DRIFT
    schedule: Schedule = Constant()  # noqa: RUF009 - frozen

    def __post_init__(self):
        for name, value, zero in (("weight", self.weight, True), ("gamma", self.gamma, False)):
            number = isinstance(value, int | float) and math.isfinite(value) and (value > 0 or (zero and value == 0))
            if not number and value != "batch":
                raise GameError(f"{name} = {value!r}; choose a positive number, or 'batch'")
        costs = [one for one in (self.penalty, self.own) if one is not None]
        needs_dual = any(one.needs_dual for one in costs) or "batch" in (self.weight, self.gamma)
        if needs_dual and not isinstance(self.space, Space):
            raise GameError(
                f"{self.space!r} is a metric without a dual norm, so it has no gradient penalty and no scales: "
                "choose a penalty on pairs (pagan, metric), numbers for its weight and the critic scale, or a norm",
                "no dual norm",
            )

    @property
    def own(self) -> SoftConstraint | None:
        """The soft constraint that belongs to the objective itself (Fisher GAN, Sobolev GAN)."""
        return penalty(self.objective.own) if self.objective.own else None

    def scales_for(self, real: Float[Tensor, "b *event"]) -> tuple[float | Tensor, float | Tensor]:
        """(lambda, gamma), from the batch of reals where the game says so."""
        weight, gamma = self.weight, self.gamma
        with torch.no_grad():
            if weight == "batch":
                weight = _normed(self.space).norm(real).mean()
            if gamma == "batch":
                gamma = as_covectors(_normed(self.space), real).mean()
        return weight, gamma


@dataclass(frozen=True)
class Penalised:
    """The second summand of the critic's loss: lambda penalty, with gradients, and what was measured for it."""

    value: Tensor
    slopes: Tensor
    dropped: Tensor
    memory: Memory


@dataclass(frozen=True)
class CriticTerms:
    """The critic's loss and its parts, 0-dimensional tensors, of which `loss` and `summands()` carry gradients.

    The loss is a sum of two: `scores`, which is play + drift, and lambda penalty, which is computed when it, or a term
    that belongs to it, is first asked for. Who runs the first one backward before that holds one graph at a time.

    `gap` is E f(real) - E f(fake), an estimate of W1 once divided by f's Lipschitz constant; `slope_mean` and
    `slope_max` are those the penalty saw (in its last step, where a lazy one rests). Neither gap nor gap / slope_max is
    a bound on W1. `dropped` counts the pairs that were too close to have a quotient. `memory` is what the penalty and
    its schedule carry to the next step.
    """

    scores: Tensor
    play: Tensor
    drift: Tensor
    gap: Tensor
    penalise: Callable[[], Penalised]

    @cached_property
    def penalised(self) -> Penalised:
        """The second summand."""
        return self.penalise()

    def summands(self) -> Iterator[Tensor]:
        """Both summands of the loss in turn; the second is computed when it is asked for."""
        yield self.scores
        yield self.penalised.value

    @property
    def loss(self) -> Tensor:
        """The whole loss, with both graphs at once."""
        return self.scores + self.penalised.value

    @property
    def penalty(self) -> Tensor:
        return self.penalised.value.detach()

    @property
    def slope_mean(self) -> Tensor:
        return self.penalised.slopes.mean()

    @property
    def slope_max(self) -> Tensor:
        return self.penalised.slopes.amax()

    @property
    def dropped(self) -> Tensor:
        return self.penalised.dropped

    @property
    def memory(self) -> Memory:
        return self.penalised.memory

    def numbers(self) -> dict[str, Tensor]:
        """The terms by name, without gradients and without the memory."""
        return {
            "loss": self.loss.detach(),
            "play": self.play,
            "penalty": self.penalty,
            "drift": self.drift,
            "gap": self.gap,
            "slope_mean": self.slope_mean,
            "slope_max": self.slope_max,
            "dropped": self.dropped,
        }


class Draws(NamedTuple):
    """The random parts of a critic step, one row a sample: those of the penalty and of the objective's own one."""

    penalty: Noise
    own: Noise


def draw(game: Game, real: Float[Tensor, "b *event"], rng: torch.Generator | None = None, step: int = 0) -> Draws:
    """The random draws of the critic's terms in step `step`; none for a penalty that the schedule skips."""
    rests = game.penalty is None or game.schedule.skips(step)
    noise = () if game.penalty is None or rests else game.penalty.draw(real, rng)
    return Draws(noise, game.own.draw(real, rng) if game.own else ())


def critic_terms(
    game: Game,
    critic: Critic,
    real: Float[Tensor, "b *event"],
    fake: Float[Tensor, "b *event"],
    rng: torch.Generator | None = None,
    memory: Memory | None = None,
    step: int = 0,
) -> CriticTerms:
    """The critic's loss: objective + lambda penalty + drift E D(real)^2, with f = D / gamma.

    For most objectives the first term is E phi(f(fake)) + E varphi(f(real)). `fake` is taken as data: no gradient
    reaches the generator. Double backward runs over the penalty's points only. `memory` is that of the terms of the
    critic's step before, empty at first; `step` counts the critic's steps, for a lazy penalty. The penalty is computed
    when the terms are first asked for it.
    """
    draws = draw(game, real, rng, step)
    return terms_of(game, critic, real, fake, draws, {} if memory is None else memory, step)


def terms_of(
    game: Game,
    critic: Critic,
    real: Float[Tensor, "b *event"],
    fake: Float[Tensor, "b *event"],
    draws: Draws,
    memory: Memory,
    step: int,
) -> CriticTerms:
    """`critic_terms` with given draws: a pure function."""
    weight, gamma = _joint_scales(game, real)
    real, fake = real.detach(), fake.detach()
    f = evaluation_of(critic).scaled(gamma)
    scores_real, f_fake = at_least_float32(critic(real)), f(fake)
    f_real = scores_real / gamma
    play = game.objective.critic_loss(f_real, f_fake)
    drift = game.drift * scores_real.square().mean()
    gap = (f_real.mean() - f_fake.mean()).detach()

    def cost(of: SoftConstraint, name: str, noise: Noise) -> Cost:
        return of.cost(measured(f, of, game.space), real, fake, game.space, noise, unprefixed(memory, name))

    graphs = torch.is_grad_enabled()

    def penalise() -> Penalised:
        # `norms` are starts of the solvers behind dual norms without a closed form.
        with torch.set_grad_enabled(graphs), warm_starts(unprefixed(memory, "norms")) as norms:
            costs, after = _penalised(game, partial(cost, name="penalty", noise=draws.penalty), gap, memory, step)
            total = weight * costs.value
            if game.own is not None:
                own = cost(game.own, "own", draws.own)
                total = total + game.own.weight * own.value
                after |= prefixed(own.memory, "own")
                costs = own if game.penalty is None and len(own.slopes) else costs
        if distributed.world() == 1:  # they are those of a rank's own samples, and a checkpoint holds one rank's
            after |= prefixed(norms, "norms")
        slopes = costs.slopes if len(costs.slopes) else torch.zeros_like(gap)[None]
        return Penalised(total, slopes, costs.dropped, after)

    return CriticTerms(play + drift, play.detach(), drift.detach(), gap, penalise)


def measured(f: Evaluation, of: SoftConstraint, space: Metric) -> Critic:
    """The critic as a penalty sees it: `f`, or with less half precision in norms that feel it."""
    return critic_for_penalty(f, space) if of.needs_dual else f


def _penalised(
    game: Game, cost: Callable[[SoftConstraint], Cost], gap: Tensor, before: Memory, step: int
) -> tuple[Cost, Memory]:
    """The penalty's cost with the schedule's factor in it, and what penalty and schedule remember.

    In a step that a lazy schedule leaves out nothing is measured: multipliers and buffers stay, and so do the slopes.
    """
    nothing = Cost(torch.zeros_like(gap), gap.new_zeros(0), torch.zeros_like(gap), {})
    if game.penalty is None:
        return nothing, {}
    if game.schedule.skips(step):
        return nothing._replace(slopes=before.get("slopes", nothing.slopes)), dict(before)
    found = cost(game.penalty)
    factor, kept = game.schedule.factor(gap, unprefixed(before, "schedule"))
    after = {**prefixed(found.memory, "penalty"), **prefixed(kept, "schedule")}
    if game.schedule.skips(step + 1):
        after["slopes"] = distributed.gather(found.slopes)
    return found._replace(value=factor * found.value), after


def generator_loss(
    game: Game, critic: Critic, fake: Float[Tensor, "b *event"], real: Float[Tensor, "n *event"]
) -> Float[Tensor, ""]:
    """The generator's loss, E psi(f(fake)) for most objectives, with f = D / gamma.

    `real` is used only where gamma is taken from each batch, and by objectives that compare each fake with a real.
    """
    _, gamma = _joint_scales(game, real)
    f = evaluation_of(critic).scaled(gamma)
    if not game.objective.paired:
        return game.objective.generator_loss(f(fake))
    with torch.no_grad():
        f_real = f(real)
    return game.objective.generator_loss(f(fake), f_real)


def _joint_scales(game: Game, real: Tensor) -> tuple[float | Tensor, float | Tensor]:
    """(lambda, gamma) of the joined batch of all ranks."""
    weight, gamma = game.scales_for(real)
    return tuple(distributed.mean(one) if isinstance(one, Tensor) else one for one in (weight, gamma))  # pyright: ignore


def heuristic(game_space: Metric, objective: Objective, kind: SoftConstraint | None) -> bool:
    """Whether lambda and gamma from data are meant for this game: they are derived for the two-sided Wasserstein loss.

    Anything else keeps gamma = 1 and the weight of its penalty's paper.
    """
    two_sided = isinstance(kind, Penalty) and kind.slopes == Gradients() and isinstance(kind.shape, TwoSided)
    return isinstance(game_space, Space) and objective == WASSERSTEIN and two_sided


def measured_scales(game_space: Metric, batches: Tensor) -> Scales:
    """`scales`; GameError where the space has no dual norm."""
    return scales(_normed(game_space), batches)


def _normed(metric: Metric) -> Space:
    if not isinstance(metric, Space):
        said = f"{metric!r} has no dual norm: give numbers for the penalty weight and the critic scale"
        raise GameError(said, "no dual norm")
    return metric


def check_space(space: Metric, shape: tuple[int, ...]) -> None:
    """Raise GameError if the space cannot measure data of this shape (without the batch axis)."""
    probe = torch.zeros(1, *shape)
    try:
        space.distance(probe, probe)
    except (ValueError, SpecError, RuntimeError) as error:
        raise GameError(str(error).split("\n")[0]) from None


def check_bounded(game: Game) -> None:
    """Raise GameError if nothing in the game keeps the critic from lowering its loss without limit.

    So it is with objectives that are not bounded below (Wasserstein), without a penalty on slopes or values.
    """
    costs = (game.penalty if game.weight != 0 else None, game.own)
    if not any(one is not None and one.bounds_critic for one in costs) and not bounded_below(game.objective):
        raise GameError(
            f"nothing bounds the critic, and with the objective {game.objective!r} it can lower its loss without limit:"
            " choose a penalty (wgan-gp), a constraint on its weights (clip), or an objective such as logistic",
            "unbounded",
        )


def check_critic(game: Game, critic: nn.Module, shape: tuple[int, ...], rng: torch.Generator | None = None) -> None:
    """Raise GameError if a gradient penalty is not meaningful for this critic.

    Batch statistics couple the samples, so a sample's own gradient is not defined; a final sigmoid has bounded output
    and vanishing slopes, where the penalty asks for slope 1. Both are found by what the critic does, not by its class.
    """
    if not any(one is not None and one.bounds_slopes and one.needs_dual for one in (game.penalty, game.own)):
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
            "no per-sample gradient to measure: use no normalisation there, or LayerNorm, or GroupNorm",
            "no sample's own slope",
        )
    if _ends_in_sigmoid(first):
        raise GameError(
            "the critic ends in a sigmoid: its slopes vanish where the gradient penalty asks for slope 1; "
            "return the number before the sigmoid (the logistic objective contains it)",
            "bounded values",
        )


def _ends_in_sigmoid(output: Tensor) -> bool:
    """Whether the last operation but for changes of shape and type is a sigmoid or a tanh."""
    node = output.grad_fn
    passing = ("View", "Squeeze", "Unsqueeze", "Reshape", "Select", "Slice", "Copy", "Clone", "Alias", "Expand")
    while node is not None and node.name().startswith((*passing, "ToCopy")):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith(("Sigmoid", "Tanh", "Softmax"))
