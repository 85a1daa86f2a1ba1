"""CT-GAN's consistency: two passes of the critic over the same reals, with different units dropped, should agree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from banach.models import scoring_layer
from banach.numerics import at_least_float32
from banach.penalties.penalty import PENALTIES, Cost, SoftConstraint
from banach.slopes import Critic, evaluation_of, uniform
from banach.slopes.slopes import Memory, Noise
from banach.spaces import Metric
from banach.specs import Source, SpecError, spelled

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Tanh)


@PENALTIES.register(
    examples=["Consistency()", "Consistency(keep=(0.9,), margin=0.1)"],
    summary="two passes with dropped units agree at the reals (CT-GAN's second term)",
    source=Source(
        "Wei et al. 2018 (CT-GAN)",
        "eq. 5, 7",
        "weight 2, margin 0, features .1, kept .8, .5, .5 after the last three blocks",
        "biuyq/CT-GAN 5ebc7e1 CT_gan_cifar_resnet.py",
        "the numbers of the equations",
    ),
)
@dataclass(frozen=True, repr=False)
class Consistency(SoftConstraint):
    """E max(0, (f(x') - f(x''))^2 + features mean (h(x') - h(x''))^2 - margin), x', x'' two passes of the same real x.

    In each pass units are dropped after the critic's last blocks, kept with the probabilities `keep` (the last of them
    belongs to the last block); h is what enters the critic's last layer. Each sample draws its own masks, so that they
    belong to the sample and not to the batch. (CT-GAN, Wei et al. 2018, eq. 5 and 7. The published code drops units in
    all passes of the critic; here only these two have any, and the rest of the game sees the critic itself. Its margin
    M stands outside of the weight, max(0, 2 (...) - M): `margin` is M / 2.)
    """

    features: float = 0.1
    margin: float = 0.0
    keep: tuple[float, ...] = (0.8, 0.5, 0.5)
    weight: float = 2.0
    __repr__ = spelled

    def __post_init__(self):
        good = isinstance(self.keep, tuple) and self.keep and all(0 < one <= 1 for one in self.keep)
        if not good or not self.features >= 0 or not self.margin >= 0:
            raise SpecError(f"{spelled(self)}: choose features >= 0, margin >= 0 and keep within (0, 1], as (0.8, 0.5)")

    @property
    def needs_dual(self) -> bool:
        return False

    @property
    def bounds_slopes(self) -> bool:
        return False

    def draw(self, real: Float[Tensor, "b *event"], rng: torch.Generator | None) -> Noise:
        return (uniform(real, rng, 2),)

    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        del fake, space, memory
        network = evaluation_of(f).network
        if network is None:
            raise SpecError("Consistency drops units of the critic's network: the critic must be an nn.Module")
        (seeds,) = noise
        passes = [self._pass(f, network, real, one) for one in seeds.unbind(1)]
        (first, first_features), (second, second_features) = passes
        apart = (first - second).square()
        apart = apart + self.features * (first_features - second_features).square().mean(1)
        value = F.relu(apart - self.margin).mean()
        return Cost(value, value.detach().new_zeros(0), torch.zeros_like(value).detach(), {})

    def _pass(self, f: Critic, network: nn.Module, x: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        last = scoring_layer(network)
        hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            with _dropped(network, self.keep, seeds):
                value = at_least_float32(f(x)).reshape(len(x))
        finally:
            hook.remove()
        return value, at_least_float32(seen[0]).flatten(1)


@contextmanager
def _dropped(network: nn.Module, keep: Sequence[float], seeds: Tensor) -> Iterator[None]:
    """Inside, units are dropped after the last blocks of `network`, in each sample by its own seed."""
    sites = blocks_of(network)[-len(keep) :]
    hooks = []
    for number, (site, kept) in enumerate(zip(reversed(sites), reversed(list(keep)), strict=False)):

        def drop(_: nn.Module, __: tuple[Tensor, ...], h: Tensor, number: int = number, kept: float = kept) -> Tensor:
            return h * _masks(h, seeds, number, kept)

        hooks.append(site.register_forward_hook(drop))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _masks(h: Tensor, seeds: Tensor, number: int, kept: float) -> Tensor:
    """1/kept with probability `kept`, else 0, for each entry; drawn on the CPU from each sample's seed."""
    masks = []
    for seed in (seeds.double().cpu() * 2**24).long().tolist():
        rng = torch.Generator().manual_seed(seed * 64 + number)
        masks.append(torch.rand(h.shape[1:], generator=rng) < kept)
    return torch.stack(masks).to(h.device, h.dtype) / kept


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Where units are dropped: after each activation that is a module, or each block of the longest chain of them.

    One activation may stand for many, called after every block: where they are fewer than the gaps between the blocks
    (members of a chain with a weight matrix), the blocks are taken.
    """
    activations: list[nn.Module] = [one for one in network.modules() if isinstance(one, _ACTIVATIONS)]
    chains = [list(one.children()) for one in network.modules() if isinstance(one, nn.Sequential | nn.ModuleList)]
    weighted = ([one for one in chain if any(p.ndim > 1 for p in one.parameters())] for chain in chains)
    blocks = max(weighted, key=len, default=[])
    if activations and len(activations) >= len(blocks) - 1:
        return activations
    if not blocks:
        raise SpecError(f"Consistency finds no blocks in {type(network).__name__}: build it of activations or blocks")
    return blocks
