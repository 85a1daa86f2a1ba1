"""What critic and generator play for: an `Objective` is three scalar functions, not a class of its own.

The critic f is *large on real data*. It minimises E phi(f(fake)) + E varphi(f(real)); the generator minimises
E psi(f(fake)). (Lipschitz GANs, eq. 10.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from banach.specs import Registry, SpecError, spell_call

OBJECTIVES = Registry("objective", bare="build")

Scalar = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """phi (on fakes) and varphi (on reals) for the critic, psi (on fakes) for the generator; elementwise functions.

    `paired`: the critic sees only differences of a real and a fake of the same batch index (relativistic pairing): it
    minimises E varphi(f(real_i) - f(fake_i)), the generator E psi(f(fake_i) - f(real_i)); phi(u) stands for varphi(-u).
    `own`: the spec of a penalty that is part of the objective itself (Fisher GAN's constraint), "" if there is none.

    >>> mine = Objective(phi=torch.exp, varphi=lambda f: torch.exp(-f))
    >>> mine.critic_loss(torch.ones(4), torch.zeros(4)), mine.generator_loss(torch.ones(4))
    (tensor(1.3679), tensor(-1.))
    """

    phi: Scalar
    varphi: Scalar
    psi: Scalar = torch.neg
    spelling: str = field(default="", compare=False)
    paired: bool = False
    own: str = ""

    def __repr__(self) -> str:
        return self.spelling or f"Objective({self.phi}, {self.varphi}, {self.psi})"

    def critic_loss(self, f_real: Float[Tensor, " n"], f_fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        """What the critic minimises, from its values: E phi(f(fake)) + E varphi(f(real)) (Lipschitz GANs, eq. 10).

        Paired: E varphi(f(real_i) - f(fake_i)); ValueError unless there are as many reals as fakes.
        """
        if self.paired:
            return self.varphi(self._differences(f_real, f_fake)).mean()
        return self.phi(f_fake).mean() + self.varphi(f_real).mean()

    def generator_loss(
        self, f_fake: Float[Tensor, " m"], f_real: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """What the generator minimises: E psi(f(fake)) (Lipschitz GANs, eq. 10), for which no reals are needed.

        Paired: E psi(f(fake_i) - f(real_i)); ValueError without reals, or unless there are as many of them as fakes.
        """
        if not self.paired:
            return self.psi(f_fake).mean()
        if f_real is None:
            raise ValueError(f"{self!r} compares each fake with a real: give the critic's values on reals too")
        return self.psi(-self._differences(f_real, f_fake)).mean()

    def _differences(self, f_real: Tensor, f_fake: Tensor) -> Tensor:
        if f_real.shape != f_fake.shape:
            raise ValueError(
                f"{self!r} compares each fake with the real of its index: "
                f"got {len(f_real)} reals and {len(f_fake)} fakes; take as many of each"
            )
        return f_real - f_fake


WASSERSTEIN = OBJECTIVES.add(
    "wasserstein",
    Objective(torch.positive, torch.neg, torch.neg, "wasserstein"),
    summary="phi = f, varphi = -f: the gap of f between reals and fakes (WGAN)",
)


def _exp_neg(f: Tensor) -> Tensor:
    return torch.exp(-f)


OBJECTIVES.add(
    "exp", Objective(torch.exp, _exp_neg, torch.neg, "exp"), summary="phi = exp(f), varphi = exp(-f) (Lipschitz GANs)"
)


def _softplus(f: Tensor) -> Tensor:
    # The default threshold of 20 would make it linear, and not convex, beyond.
    return F.softplus(f, threshold=80)


def _softplus_neg(f: Tensor) -> Tensor:
    return _softplus(-f)


OBJECTIVES.add(
    "logistic",
    Objective(_softplus, _softplus_neg, torch.neg, "logistic"),
    summary="phi = log(1 + e^f), varphi = log(1 + e^-f) (Lipschitz GANs)",
)


def _sqrt_plus(f: Tensor) -> Tensor:
    # sqrt(f^2 + 1) + f without cancellation for large negative f, where the sum is 1 / (sqrt(f^2 + 1) - f).
    size = torch.sqrt(f.square() + 1)
    # Not f.clamp_max(0), whose derivative at 0 is 0.
    return torch.where(f > 0, size + f, 1 / (size - torch.where(f > 0, 0.0, f)))


def _sqrt_minus(f: Tensor) -> Tensor:
    return _sqrt_plus(-f)


OBJECTIVES.add(
    "sqrt",
    Objective(_sqrt_plus, _sqrt_minus, torch.neg, "sqrt"),
    summary="phi = sqrt(f^2 + 1) + f, varphi = sqrt(f^2 + 1) - f (Lipschitz GANs)",
)


@dataclass(frozen=True)
class _Hinge:
    """max(0, alpha + sign f); compared by its numbers, as a lambda could not be."""

    alpha: float
    sign: float = 1.0

    def __call__(self, f: Tensor) -> Tensor:
        return F.relu(self.alpha + self.sign * f)


@dataclass(frozen=True)
class _SquaredDistance:
    """(f - target)^2."""

    target: float

    def __call__(self, f: Tensor) -> Tensor:
        return (f - self.target).square()


@OBJECTIVES.register(examples=["hinge", "hinge(alpha=0.5)"])
def hinge(alpha: float = 1.0) -> Objective:
    """phi = max(0, alpha + f), varphi = max(0, alpha - f) (Lipschitz GANs, section 5)."""
    if not 0 < alpha < math.inf:
        raise SpecError(f"hinge: alpha = {alpha!r}; choose a positive number")
    return Objective(_Hinge(alpha), _Hinge(alpha, -1.0), torch.neg, spell_call("hinge", (), {"alpha": alpha}))


@OBJECTIVES.register(examples=["least_squares", "least_squares(a=0, b=1)"])
def least_squares(a: float = -1.0, b: float = 1.0) -> Objective:
    """phi = (f - a)^2, varphi = (f - b)^2, a < b: fakes are drawn to a, reals to b (Lipschitz GANs: a = -1, b = 1)."""
    if not -math.inf < a < b < math.inf:
        raise SpecError(f"least_squares: a = {a!r}, b = {b!r}; reals are to score higher: choose a < b")
    spelling = spell_call("least_squares", (), {"a": a, "b": b})
    return Objective(_SquaredDistance(a), _SquaredDistance(b), torch.neg, spelling)


def objective(spec: str | Objective) -> Objective:
    """The objective that a spec, or an objective itself, stands for.

    >>> objective("hinge")
    hinge(alpha=1)
    """
    found = OBJECTIVES.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, Objective):
        raise SpecError(f"{spec!r} is no objective; for example wasserstein")
    return found


def conditions(of: Objective, reach: float = 20.0, points: int = 4001) -> dict[str, bool]:
    """Which conditions of Lipschitz GANs, eq. 11, an objective meets on [-reach, reach], by float64 differentiation.

    phi' > 0, varphi' < 0, phi'' >= 0, varphi'' >= 0, and some a with phi'(a) + varphi'(a) = 0 ("balance"); with
    "strict" (phi or varphi strictly convex everywhere) the optimal critic is unique.

    >>> conditions(objective("logistic"))["all"], conditions(objective("hinge"))["phi_increasing"]
    (True, False)
    """
    f = torch.linspace(-reach, reach, points, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (phi1, phi2), (varphi1, varphi2) = _derivatives(of.phi, f), _derivatives(of.varphi, f)
    balance = phi1 + varphi1
    met = {
        "phi_increasing": bool((phi1 > 0).all()),
        "varphi_decreasing": bool((varphi1 < 0).all()),
        "phi_convex": bool((phi2 >= -1e-12).all()),
        "varphi_convex": bool((varphi2 >= -1e-12).all()),
        "balance": bool((balance.min() <= 1e-12) & (balance.max() >= -1e-12)),
    }
    met["all"] = all(met.values())
    met["strict"] = bool((phi2 > 0).all() or (varphi2 > 0).all())
    return met


def _derivatives(function: Scalar, f: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative at each point; zero where autograd finds none."""
    first = _derivative(function(f).sum(), f, create_graph=True)
    second = _derivative(first.sum(), f, create_graph=False)
    return first.detach(), second


def _derivative(total: Tensor, f: Tensor, create_graph: bool) -> Tensor:
    if not total.requires_grad:
        return torch.zeros_like(f)
    (found,) = torch.autograd.grad(total, f, create_graph=create_graph, allow_unused=True)
    return torch.zeros_like(f) if found is None else found
