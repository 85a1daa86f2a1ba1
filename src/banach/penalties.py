"""Soft Lipschitz constraints. A `Penalty` is a product: slopes (how steep) x shape (what it costs) x reduction.

Every method of the field is one line below, under its paper's name; a new one is another line.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from banach import dist
from banach.slopes import Critic, Gradients, Quotients, Slopes
from banach.spaces import Lp, Metric
from banach.specs import Registry, SpecError, spelled

SHAPES = Registry("shape", bare="build")
REDUCTIONS = Registry("reduction", bare="build")
PENALTIES = Registry("penalty", bare="build")


class Shape(ABC):
    """What a slope costs, elementwise."""

    @abstractmethod
    def __call__(self, slope: Tensor) -> Tensor: ...


@SHAPES.register(examples=["TwoSided()", "TwoSided(target=0.5)"])
@dataclass(frozen=True, repr=False)
class TwoSided(Shape):
    """(slope - target)^2 (WGAN-GP)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return (slope - self.target).square()


@SHAPES.register(examples=["OneSided()"])
@dataclass(frozen=True, repr=False)
class OneSided(Shape):
    """max(0, slope - target)^2: only what is too steep costs (WGAN-LP)."""

    target: float = 1.0
    __repr__ = spelled

    def __call__(self, slope: Tensor) -> Tensor:
        return F.relu(slope - self.target).square()


@SHAPES.register(examples=["Power(2)", "Power(6)"])
@dataclass(frozen=True, repr=False)
class Power(Shape):
    """slope^exponent: centred at zero; exponent 2 is the zero-centred penalty (R1, R2, 0-GP, Lipschitz GANs)."""

    exponent: float = 2.0
    __repr__ = spelled

    def __post_init__(self):
        if not self.exponent >= 1:
            raise SpecError(f"Power: exponent = {self.exponent!r}; choose at least 1")

    def __call__(self, slope: Tensor) -> Tensor:
        return slope.pow(self.exponent)


class Reduction(ABC):
    """From slopes to one number, over the samples of all ranks."""

    @abstractmethod
    def __call__(self, shape: Shape, slopes: Float[Tensor, " n"]) -> Float[Tensor, ""]: ...


@REDUCTIONS.register(examples=["Mean()"])
@dataclass(frozen=True, repr=False)
class Mean(Reduction):
    """The mean of shape(slopes)."""

    __repr__ = spelled

    def __call__(self, shape: Shape, slopes: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        return shape(slopes).mean()


@REDUCTIONS.register(examples=["Max()"])
@dataclass(frozen=True, repr=False)
class Max(Reduction):
    """The shape of the largest slope over all ranks: (max s - 1)^2, not max (s - 1)^2 (MaxGP).

    Gradients are averaged over the ranks afterwards, so the rank that owns the maximum counts as often as there are
    ranks, and the others count nothing: on the average the value and the gradient are those of one process.
    """

    __repr__ = spelled

    def __call__(self, shape: Shape, slopes: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        largest = slopes.amax()
        if dist.world() == 1:
            return shape(largest)
        owns = (largest.detach() >= dist.maximum(largest)).to(slopes.dtype)
        return shape(largest) * owns * dist.world() / dist.total(owns)


@dataclass(frozen=True, repr=False)
class Penalty:
    """A soft Lipschitz constraint: reduction(shape(slopes)), and the weight its paper gives it.

    >>> Penalty(Gradients(), OneSided(), Mean(), weight=10)
    Penalty(slopes=Gradients(), shape=OneSided(), reduction=Mean())
    """

    slopes: Slopes
    shape: Shape
    reduction: Reduction
    weight: float = 10.0
    __repr__ = spelled

    def __post_init__(self):
        for part, kind in ((self.slopes, Slopes), (self.shape, Shape), (self.reduction, Reduction)):
            if not isinstance(part, kind):
                raise SpecError(
                    f"Penalty: {part!r} is no {kind.__name__}; as in Penalty(Gradients(), OneSided(), Mean())"
                )

    @property
    def needs_dual(self) -> bool:
        """Whether the space must have a dual norm: gradients need one, quotients over pairs do not."""
        return self.slopes.needs_dual

    def slopes_of(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None = None
    ) -> Float[Tensor, " n"]:
        """How steep f is at the points (or over the pairs) that this penalty looks at."""
        return self.slopes(f, real, fake, space, rng)

    def value(self, slopes: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """reduction(shape(slopes)), unweighted."""
        return self.reduction(self.shape, slopes)

    def __call__(
        self, f: Critic, real: Tensor, fake: Tensor, space: Metric, rng: torch.Generator | None = None
    ) -> Float[Tensor, ""]:
        """The unweighted penalty of f on a batch of reals and fakes."""
        return self.value(self.slopes_of(f, real, fake, space, rng))


PENALTIES.add(
    "Penalty", Penalty, ["Penalty(Gradients(), OneSided(), Mean(), weight=10)"], "any product of your own choice"
)

_NAMED: dict[str, tuple[Penalty, str]] = {
    "wgan-gp": (Penalty(Gradients(), TwoSided(), Mean(), 10.0), "two-sided, at interpolates (Gulrajani et al. 2017)"),
    "wgan-lp": (Penalty(Gradients(), OneSided(), Mean(), 10.0), "one-sided, at interpolates (Petzka et al. 2018)"),
    "0-gp": (Penalty(Gradients(), Power(2), Mean(), 10.0), "zero-centred, at interpolates (Thanh-Tung et al. 2019)"),
    "r1": (Penalty(Gradients("reals"), Power(2), Mean(), 5.0), "zero-centred, at reals (Mescheder et al. 2018)"),
    "r2": (Penalty(Gradients("fakes"), Power(2), Mean(), 5.0), "zero-centred, at fakes (Mescheder et al. 2018)"),
    "maxgp": (Penalty(Gradients(), Power(2), Max(), 1.0), "the largest slope squared (Lipschitz GANs, eq. 12)"),
    "dragan": (Penalty(Gradients("near"), TwoSided(), Mean(), 10.0), "two-sided, near the reals (Kodali et al. 2017)"),
    "pagan": (Penalty(Quotients(), OneSided(), Mean(), 10.0), "one-sided quotients of pairs (Petzka et al. 2018)"),
    "metric": (Penalty(Quotients(), TwoSided(), Mean(), 10.0), "two-sided quotients of pairs (Banach WGAN, eq. 12)"),
}
for _name, (_penalty, _summary) in _NAMED.items():
    PENALTIES.add(_name, _penalty, summary=_summary)


def penalty(spec: "str | Penalty") -> Penalty:
    """The penalty that a spec, a paper's name, or a penalty itself stands for.

    >>> penalty("wgan-lp").shape
    OneSided()
    """
    found = PENALTIES.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, Penalty):
        raise SpecError(f"{spec!r} is no penalty; for example wgan-gp")
    return found


def gradient_penalty(
    critic: Critic,
    real: Float[Tensor, "b *event"],
    fake: Float[Tensor, "b *event"],
    space: Metric | None = None,
    rng: torch.Generator | None = None,
    kind: "str | Penalty" = "wgan-gp",
) -> Float[Tensor, ""]:
    """The penalty alone, for a training loop of your own: E (|grad critic|_{B*} - 1)^2 at interpolates, unweighted.

    `space` is the norm on the data, L^2 if none is given; the gradient is measured in its dual (Banach WGAN, eq. 8).
    `rng` draws the interpolates. Differentiable in the critic's parameters; finite where the gradient is zero. The
    critic must not couple the samples of a batch (no batch statistics).

    >>> import banach
    >>> x = torch.randn(8, 1, 6, 6)
    >>> banach.gradient_penalty(lambda x: x.flatten(1).sum(1) / 6, x, x + 1, banach.Lp(2)).round(decimals=5)
    tensor(0.)
    """
    return penalty(kind)(critic, real, fake, Lp(2) if space is None else space, rng)
