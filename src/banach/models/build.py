"""Networks by name: a family is a pair of builders, one for the generator and one for the critic."""

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.utils import parametrize

from banach.errors import ModelError
from banach.models.described import describe_
from banach.models.lipschitz import LipschitzCritic
from banach.models.padding import checked, set_padding_
from banach.spaces import Lp, Metric
from banach.specs import Registry

Shape = tuple[int, ...]
Rng = torch.Generator | None

MODELS = Registry("model")


@dataclasses.dataclass(frozen=True)
class Family:
    """A generator and a critic that go together.

    `generator(shape, z, width, output, rng)` maps (b, z) to (b, *shape), and `critic(shape, width, rng)` maps (b,
    *shape) to (b,); both return a Module whose first weights are drawn from `rng` and whose forward draws nothing. A
    critic has no final sigmoid and no batch statistics. `width` is what the paper behind the family uses, when nobody
    says otherwise. A family whose critics are made for a normed space has `critic_in(shape, width, rng, space)`; its
    `critic` is then the one in L^2.

    An own critic beside a known generator, as a plugin file would register it:

    >>> def flat(shape, width, rng):
    ...     return nn.Sequential(nn.Linear(shape[0], width), nn.Softplus(), nn.Linear(width, 1), nn.Flatten(0))
    >>> mine = Family("mine", MODELS["mlp"].generator, flat, "A softplus critic for vectors.")
    >>> mine.critic((3,), 8, None)(torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    name: str
    generator: Callable[[Shape, int, int, str, Rng], nn.Module]
    critic: Callable[[Shape, int, Rng], nn.Module]
    doc: str
    width: int = 128
    critic_in: Callable[[Shape, int, Rng, Metric], nn.Module] | None = None


def build_generator(
    name: str,
    shape: Shape,
    z: int = 128,
    width: int | None = None,
    output: str = "tanh",
    *,
    rng: Rng = None,
    padding: str | Sequence[str] = "zero",
) -> nn.Module:
    """The generator of the family `name`: a Module (b, z) to (b, *shape) with attributes `z` and `shape`.

    `shape` is (d,), (c, n), (c, h, w) or (c, d, h, w); `output` is "tanh" (numbers in [-1, 1]) or "linear"; `width`
    None takes the family's own. The first weights are drawn from `rng` (None: PyTorch's global generator). `padding` is
    what convolutions see beyond the border: "zero", "periodic" or "reflect", or one for each axis. SpecError on an
    unknown name, ModelError on a shape, width, output or padding that cannot be.

    >>> rng = torch.Generator().manual_seed(0)
    >>> build_generator("resnet", (1, 28, 28), z=16, width=8, rng=rng)(torch.randn(2, 16)).shape
    torch.Size([2, 1, 28, 28])
    """
    family, width = _checked(name, shape, width)
    if z < 1:
        raise ModelError(f"a generator needs at least one latent number, not z={z}; the papers use 128")
    network = family.generator(tuple(shape), z, width, output, rng)
    _pad_(network, name, padding, shape)
    return describe_(network, shape=tuple(shape), z=z)


def build_critic(
    name: str,
    shape: Shape,
    width: int | None = None,
    *,
    rng: Rng = None,
    space: Metric | None = None,
    padding: str | Sequence[str] = "zero",
) -> nn.Module:
    """The critic of the family `name`: a Module (b, *shape) to (b,) with the attribute `shape`, no final sigmoid.

    `space` is the norm it is for, L^2 if none is given: the lipschitz families are made for it, others do not mind.
    Otherwise arguments and errors as in `build_generator`; ModelError too where a family has no critic for the space.

    >>> rng = torch.Generator().manual_seed(0)
    >>> build_critic("dcgan", (1, 28, 28), width=8, rng=rng)(torch.randn(2, 1, 28, 28)).shape
    torch.Size([2])
    """
    family, width = _checked(name, shape, width)
    if family.critic_in is None:
        network = family.critic(tuple(shape), width, rng)
    else:
        network = family.critic_in(tuple(shape), width, rng, Lp(2) if space is None else space)
    if not isinstance(network, LipschitzCritic):  # which sees a sample as a whole, without convolutions
        _pad_(network, name, padding, shape)
    return describe_(network, shape=tuple(shape))


def _pad_(network: nn.Module, name: str, padding: str | Sequence[str], shape: Shape) -> None:
    """Let the network see this beyond the border; ModelError where it has no convolutions that can."""
    if not set_padding_(network, padding, len(shape) - 1) and checked(padding, len(shape) - 1):
        raise ModelError(f"padding: {name} has no convolutions that see beyond a border here; take --padding zero")


def last_layer(critic: nn.Module) -> nn.Linear:
    """The dense layer to one number that ends a critic: the last `nn.Linear` in it, free to be rescaled.

    ModelError if it has none, or if its weights are constrained: scaling them would break, or not reach, the bound.

    >>> last_layer(build_critic("mlp", (2,), width=32))
    Linear(in_features=32, out_features=1, bias=True)
    """
    if isinstance(critic, LipschitzCritic) or parametrize.is_parametrized(last := scoring_layer(critic)):
        raise ModelError("the critic's last layer is constrained, and cannot be rescaled; take --critic-start plain")
    return last


def scoring_layer(critic: nn.Module) -> nn.Linear:
    """The last `nn.Linear` with one output in a critic, whether constrained or not; ModelError if it has none."""
    layers = [one for one in critic.modules() if isinstance(one, nn.Linear) and one.out_features == 1]
    if not layers:
        raise ModelError(f"{type(critic).__name__} has no nn.Linear with one output to end it; end the critic in one")
    return layers[-1]


def _checked(name: str, shape: Shape, width: int | None) -> tuple[Family, int]:
    family: Family = MODELS[name]
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise ModelError(
            f"a sample cannot have the shape {tuple(shape)}; (d,), (c, n), (c, h, w) or (c, d, h, w), all at least 1"
        )
    width = family.width if width is None else width
    if width < 1:
        raise ModelError(f"a network needs at least width 1, not {width}; {family.name}'s own is {family.width}")
    return family, width
