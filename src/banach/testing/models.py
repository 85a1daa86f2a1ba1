"""The laws of networks: shapes, independent samples, explicit randomness, and gradients that a penalty can use."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from banach.models import MODELS, Family
from banach.penalties import gradient_penalty
from banach.slopes import gradient
from banach.spaces import Lp
from banach.specs import SpecError
from banach.testing.laws import LawResult, Ledger

SHAPES = ((2,), (3, 16), (1, 16, 16), (3, 28, 28), (1, 8, 8, 8))
BATCH = 4


def check_model(
    of: Family | str, shapes: Sequence[tuple[int, ...]] = SHAPES, width: int = 8, z: int = 5, seed: int = 0
) -> list[LawResult]:
    """The laws of a family of networks, over those of `shapes` that it accepts (it refuses others by a ValueError).

    A generator maps (b, z) to (b, *shape), a critic (b, *shape) to (b,), each critic sample by itself. Weights come
    from the given `torch.Generator` alone, and forward draws nothing. The critic's input gradient is finite and not
    zero, and so are the parameter gradients of its gradient penalty.
    """
    family = MODELS.parse(of) if isinstance(of, str) else of
    if not isinstance(family, Family):
        raise SpecError(f"{of!r} is no family of networks; for example {next(iter(MODELS))}")
    ledger = Ledger()
    accepted = 0
    rng = torch.Generator().manual_seed(seed + 1)
    for shape in shapes:
        try:
            critic = family.critic(shape, width, torch.Generator().manual_seed(seed))
            generator = family.generator(shape, z, width, "tanh", torch.Generator().manual_seed(seed))
        except ValueError:
            continue
        accepted += 1
        ledger.attempt("critic", lambda m=critic, s=shape: _check_critic(m, s, rng, ledger))
        ledger.attempt("generator", lambda m=generator, s=shape: _check_generator(m, s, z, rng, ledger))
        ledger.attempt("weights", lambda s=shape: _check_weights(family, s, width, z, ledger))
    if not accepted:
        ledger.refuse("accepts shapes", f"all of {tuple(shapes)} are refused; say which shapes it is for")
    return ledger.results()


def check_critic_network(critic: nn.Module, shape: tuple[int, ...], seed: int = 0) -> list[LawResult]:
    """The laws of one critic, on data of one event shape: those of `check_model` that concern it."""
    ledger = Ledger()
    rng = torch.Generator().manual_seed(seed)
    ledger.attempt("critic", lambda: _check_critic(critic, shape, rng, ledger))
    return ledger.results()


def _check_critic(critic: nn.Module, shape: tuple[int, ...], rng: torch.Generator, ledger: Ledger) -> None:
    critic = critic.double()
    x = torch.randn(BATCH, *shape, generator=rng, dtype=torch.float64)
    y = torch.randn(BATCH, *shape, generator=rng, dtype=torch.float64)
    where = f"shape {shape}"
    output = critic(x)
    if output.shape != (BATCH,):
        raise TypeError(f"the critic returns shape {tuple(output.shape)} for {BATCH} samples of {shape}")
    ledger.note("critic is finite", (~output.isfinite()).double(), 0.0, where)
    size = 1e-6 + output.detach().abs().amax()
    _check_draws("critic", lambda: critic(x), where, ledger)
    others = critic(torch.cat([x[:2], 3 * y[2:] + 1]))
    ledger.note("critic: each sample by itself", (others - output)[:2].abs() / size, 1e-9, where)
    slope = gradient(critic, x)
    ledger.note("critic: input gradient is finite", (~slope.isfinite()).double(), 0.0, where)
    ledger.note("critic: input gradient is not zero", (slope.flatten(1).abs().amax(1) == 0).double(), 0.0, where)
    weights = [one for one in critic.parameters() if one.requires_grad]
    cost = gradient_penalty(critic, x, y, Lp(2), rng)
    slopes = torch.autograd.grad(cost, weights, allow_unused=True)
    flat = torch.cat([one.flatten() for one in slopes if one is not None])
    ledger.note("critic: gradient penalty trains it", float(not (flat.isfinite().all() and flat.any())), 0.0, where)


def _check_generator(generator: nn.Module, shape: tuple[int, ...], z: int, rng: torch.Generator, ledger: Ledger):
    where = f"shape {shape}"
    latent = torch.randn(BATCH, z, generator=rng, requires_grad=True)
    output = generator(latent)
    if output.shape != (BATCH, *shape):
        raise TypeError(f"the generator returns shape {tuple(output.shape)} for {BATCH} samples of {shape}")
    ledger.note("generator is finite", (~output.isfinite()).double(), 0.0, where)
    ledger.note("generator with tanh stays in [-1, 1]", (output.detach().abs() - 1).clamp_min(0), 1e-6, where)
    (slope,) = torch.autograd.grad(output.square().sum(), latent)
    ledger.note("generator depends on z", float(not (slope.isfinite().all() and slope.any())), 0.0, where)
    _check_draws("generator", lambda: generator(latent), where, ledger)


def _check_draws(name: str, forward: Callable[[], Tensor], where: str, ledger: Ledger) -> None:
    before = torch.random.get_rng_state()
    forward()
    drawn = not torch.equal(before, torch.random.get_rng_state())
    ledger.note(f"{name}: forward draws nothing", float(drawn), 0.0, where)


def _check_weights(family: Family, shape: tuple[int, ...], width: int, z: int, ledger: Ledger) -> None:
    def weights(seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        networks = (family.critic(shape, width, rng), family.generator(shape, z, width, "linear", rng))
        return torch.cat([one.detach().flatten() for network in networks for one in network.parameters()])

    before = torch.random.get_rng_state()
    first, again, other = weights(1), weights(1), weights(2)
    untouched = torch.equal(before, torch.random.get_rng_state())
    where = f"shape {shape}"
    ledger.note(
        "weights come from the given generator", float(not (untouched and torch.equal(first, again))), 0.0, where
    )
    ledger.note("weights differ with the seed", float(torch.equal(first, other)), 0.0, where)
