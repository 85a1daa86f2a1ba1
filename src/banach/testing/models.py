"""The laws of networks: shapes, independent samples, explicit randomness, and gradients that a penalty can use."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from banach.models import MODELS, Family, LipschitzCritic, lipschitz_bound
from banach.models.bounds import certified
from banach.penalties import gradient_penalty
from banach.slopes import gradient
from banach.spaces import Lp, Metric, space
from banach.specs import SpecError
from banach.testing.constraints import Claim, check_claim, train_critic
from banach.testing.laws import LawResult, Ledger
from banach.testing.refute import refute

LIPSCHITZ_IN = (
    ("Lp(1)", (5,)),
    ("Lp(1.5)", (2, 3)),
    ("Lp(2)", (5,)),
    ("Lp(inf)", (5,)),
    ("Sobolev(s=-1, p=2)", (2, 4, 5)),
    ("Sobolev(s=1, p=4)", (1, 6)),
    ("Sobolev(s=-1, p=2, homogeneous=True)", (2, 4, 5)),
    ("Weighted(Matrix(((2, 1, 0), (0, 1, 0), (0.5, 0, 1))), Lp(2))", (3,)),
    ("Product(2, (Lp(1), Sobolev(s=-1, p=4)), (1, 2))", (3, 4, 5)),
)
SHAPES = ((2,), (3, 16), (1, 16, 16), (3, 28, 28), (1, 8, 8, 8))
BATCH = 4


def check_model(
    of: Family | str, shapes: Sequence[tuple[int, ...]] = SHAPES, width: int = 8, z: int = 5, seed: int = 0
) -> list[LawResult]:
    """The laws of a family of networks, over those of `shapes` that it accepts (it refuses others by a ValueError).

    A generator maps (b, z) to (b, *shape), a critic (b, *shape) to (b,), each critic sample by itself. Weights come
    from the given `torch.Generator` alone, and forward draws nothing. The critic's input gradient is finite and not
    zero, and so are the parameter gradients of its gradient penalty. A family with `critic_in` is held to its word in
    several spaces: started from data and trained, its bound there is 1, and the refuter finds no pair steeper than it;
    float32 is within 1e-5 of float64, and the certified copy is 1-Lipschitz to 1e-9.
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
    if family.critic_in is not None:
        _check_lipschitz(family, width, seed, ledger)
    if not accepted:
        ledger.refuse("accepts shapes", f"all of {tuple(shapes)} are refused; say which shapes it is for")
    return ledger.results()


def _check_lipschitz(family: Family, width: int, seed: int, ledger: Ledger) -> None:
    made = 0
    for spec, shape in LIPSCHITZ_IN:
        metric = space(spec)
        rng = torch.Generator().manual_seed(seed)
        try:
            critic = build_critic_in(family, shape, width, rng, metric)
        except ValueError:
            continue
        made += 1
        where = f"{metric!r}, {shape}"
        ledger.attempt("Lipschitz", lambda c=critic, m=metric, r=rng, w=where: check_lipschitz(c, m, r, w, ledger))
    if not made:
        ledger.refuse("accepts spaces", f"critics in all of {LIPSCHITZ_IN} are refused")


def build_critic_in(
    family: Family, shape: tuple[int, ...], width: int, rng: torch.Generator, metric: Metric
) -> LipschitzCritic:
    """The family's critic in a space; TypeError where it is no `LipschitzCritic`."""
    critic = family.critic_in and family.critic_in(shape, width, rng, metric)
    if not isinstance(critic, LipschitzCritic):
        raise TypeError(f"{family.name}: critic_in gives {type(critic).__name__}, which is no LipschitzCritic")
    return critic


def check_lipschitz(critic: LipschitzCritic, metric: Metric, rng: torch.Generator, where: str, ledger: Ledger) -> None:
    """The laws of a critic that is 1-Lipschitz in a space by construction, started from data and trained a little."""
    shape = critic.shape
    real, fake = torch.randn(2, 2 * BATCH, *shape, generator=rng)
    real = 0.3 * real + 2
    critic.start_at_(real, fake, rng)
    train_critic(critic, real, fake)
    claimed = lipschitz_bound(critic, metric)
    ledger.note("bound is 1", abs((claimed or 0.0) - 1), 1e-5, where)
    samples = torch.cat([real, fake])
    claim = Claim(critic, metric, shape, claimed)
    check_claim(claim, rng, where, ledger, samples)
    check_claim(claim, rng, where, ledger)
    exact = copy.deepcopy(critic).double()
    size = metric.distance(real, fake).mean()
    ledger.note("critic: float32", (exact(samples.double()) - critic(samples)).abs() / size, 1e-5, where)
    twin = certified(critic, metric)
    found = refute(twin, metric, shape, rng, samples, pairs=8, steps=6).slope
    ledger.note("certified copy is 1-Lipschitz", max(0.0, found - 1), 1e-9, where)


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
    ledger.note("weights come from the given generator", float(not torch.equal(first, again)), 0.0, where)
    said = where if untouched else f"{where}: torch's global random state was touched; draw from rng alone"
    ledger.note("building leaves torch's global random state untouched", float(not untouched), 0.0, said)
    ledger.note("weights differ with the seed", float(torch.equal(first, other)), 0.0, where)
