"""Critics of two distributions in the plane, trained near their optimum: eq. 10 of Lipschitz GANs itself, and MaxGP."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from banach.experiments.plane_pairs import Draw
from banach.experiments.stacked import StackedMLP, stacked_maxgp
from banach.game import Game, critic_terms
from banach.models import build_critic, start_at_
from banach.objectives import Objective
from banach.slopes import gradient, interpolate
from banach.spaces import Lp
from banach.streams import stream
from banach.transport import distance

Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Effort:
    """How a critic is trained: steps on `batch` reals and fakes, the rate falling to 0 in a straight line or not."""

    steps: int
    batch: int
    width: int
    lr: float
    beta1: float
    beta2: float
    decays: bool = True
    adam: bool = True
    """Or else plain SGD."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class ScaledCritic(nn.Module):
    """f = k g, g 1-Lipschitz by construction: k is a proven Lipschitz constant of f on the whole plane."""

    def __init__(self, width: int, rng: torch.Generator):
        super().__init__()
        self.g = build_critic("lipschitz-orthogonal", (2,), width, rng=rng)
        self.factor = nn.Parameter(torch.ones(()))

    @property
    def k(self) -> Tensor:
        return self.factor.abs()

    def forward(self, x: Tensor) -> Tensor:
        return self.k * self.g(x)


def scaled_critic(
    of: Objective, samples: tuple[Tensor, Tensor], weight: float, effort: Effort, seed: int, starts: int = 1
) -> tuple[ScaledCritic, float]:
    """A critic that minimises E phi(f(fake)) + E varphi(f(real)) + weight k^2 (eq. 10), k the constant itself; and k.

    `samples` are reals and fakes, all of them in each step: the noise of batches would blur f where its gradient turns.
    Of several `starts` the critic is the one whose minimum is the least: eq. 10 is about that alone, and a narrow
    network may stop at another.
    """
    made = [_scaled_critic(of, samples, weight, effort, (seed, *(() if at == 0 else (at,)))) for at in range(starts)]
    critic = min(made, key=lambda one: one[1])[0]
    return critic, float(critic.k.detach())


def _scaled_critic(
    of: Objective, samples: tuple[Tensor, Tensor], weight: float, effort: Effort, seeds: tuple[int, ...]
) -> tuple[ScaledCritic, float]:
    """A critic from one start, and what it came to."""
    rng = stream("cpu", "scaled critic", *seeds)
    critic = ScaledCritic(effort.width, rng)
    start_at_(critic.g, *samples, rng)
    # k has a way to go of its own size, where the weights of g turn by angles.
    groups = [{"params": list(critic.g.parameters())}, {"params": [critic.factor], "lr": 5 * effort.lr}]

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        return of.critic_loss(critic(real), critic(fake)) + weight * critic.k.square()

    train(groups, loss, lambda: samples, effort)
    with torch.no_grad():
        return critic.eval(), float(loss(*samples))


def maxgp_critic(of: Objective, draw: Draw, weight: float, effort: Effort, seed: int) -> tuple[StackedMLP, float]:
    """Four hidden layers with ReLU under MaxGP (eq. 12), as published; and its largest slope at fresh interpolates.

    It is trained on a GPU where there is one.
    """
    rng = stream("cpu", "maxgp critic", seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    critic = StackedMLP((2, *[effort.width] * 4, 1), torch.relu, [rng]).to(device)
    game = Game(objective=of, penalty=stacked_maxgp(1), weight=weight, drift=0.0)

    def loss(real: Tensor, fake: Tensor) -> Tensor:
        return critic_terms(game, critic, real.to(device), fake.to(device), rng).loss

    train([{"params": list(critic.parameters())}], loss, lambda: draw(effort.batch, rng), effort)
    return critic.cpu(), largest_slope(critic, *draw(8192, rng), rng)


def train(
    groups: list[dict[str, Any]],
    loss: Callable[[Tensor, Tensor], Tensor],
    draw: Callable[[], tuple[Tensor, Tensor]],
    effort: Effort,
) -> None:
    """Steps on `loss` of the reals and fakes that `draw` gives."""
    optimizer = (
        torch.optim.Adam(groups, lr=effort.lr, betas=(effort.beta1, effort.beta2))
        if effort.adam
        else torch.optim.SGD(groups, lr=effort.lr)
    )
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / effort.steps if effort.decays else 1.0
    )
    for _ in range(effort.steps):
        optimizer.zero_grad()
        loss(*draw()).backward()
        optimizer.step()
        falling.step()


def largest_slope(f: Critic, real: Tensor, fake: Tensor, rng: torch.Generator) -> float:
    """The largest |grad f| at random points between reals and fakes, and at both."""
    points = torch.cat([interpolate(real, fake, rng), real, fake])
    return float(gradient(f, points).norm(dim=1).max())


def planned(real: Tensor, fake: Tensor) -> Tensor:
    """For each fake the real that gets most of its mass under an optimal plan, (n, 2)."""
    plan = distance(fake, real, Lp(2), rel_gap=1e-7).certificate
    assert plan is not None, "an empirical distance has a certificate"
    order = plan.mass.argsort(kind="stable")
    best = torch.zeros(len(fake), dtype=torch.long)
    best[torch.from_numpy(plan.i[order])] = torch.from_numpy(plan.j[order])
    return real[best]


def directions(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (n, m) and unit vectors (n, m, 2) from each point of a to each of b; 0 between equal points."""
    off = b[None] - a[:, None]
    d = off.norm(dim=2)
    return d, off / torch.where(d > 0, d, 1.0)[..., None]


def unit(u: Tensor) -> Tensor:
    """u (n, d), each row divided by its length; rows of zeros stay."""
    size = u.norm(dim=1, keepdim=True)
    return u / torch.where(size > 0, size, 1.0)
