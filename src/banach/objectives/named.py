"""The objectives of the field under their usual names, each with its source."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from banach.objectives.objective import OBJECTIVES, Objective, Scalar, chosen_psi
from banach.specs import Source, SpecError, spell_call

_LGAN = "Zhou et al. 2019 (Lipschitz GANs)"
_LGAN_CODE = "ZhimingZhou/LGANs-for-reproduce 16b86dc code/sobolev_cifar10.py"


def _spelling(name: str, psi: str, usual: str = "neg", **named: float) -> str:
    """`name(number=…, psi=…)`: numbers always, psi only where it is not the usual one."""
    shown = {**named, **({} if psi == usual else {"psi": psi})}
    return spell_call(name, (), shown) if shown else name


WASSERSTEIN = Objective(torch.positive, torch.neg, torch.neg, "wasserstein")


@OBJECTIVES.register(
    examples=["wasserstein"],
    source=Source(
        "Arjovsky et al. 2017 (WGAN)",
        "Kantorovich-Rubinstein dual, eq. 3 of Lipschitz GANs",
        "5 critic steps (100 in the first 25 and every 500th), RMSProp 5e-5, weights clipped at 0.01",
        "martinarjovsky/WassersteinGAN 2cf43ba main.py (there the critic is low on reals)",
    ),
)
def wasserstein(psi: str = "neg") -> Objective:
    """phi = f, varphi = -f: the gap of f between reals and fakes (WGAN); psi = -f either way."""
    chosen_psi(psi, torch.neg)
    return WASSERSTEIN


def _exp_neg(f: Tensor) -> Tensor:
    return torch.exp(-f)


@OBJECTIVES.register(
    examples=["exp", "exp(psi='varphi')"],
    source=Source(_LGAN, "eq. 10, Table 2", "psi = -f; MaxGP, weight from 0.01 to 10", _LGAN_CODE),
)
def exp(psi: str = "neg") -> Objective:
    """phi = e^f, varphi = e^-f (Lipschitz GANs)."""
    return Objective(torch.exp, _exp_neg, chosen_psi(psi, _exp_neg), _spelling("exp", psi))


def _softplus(f: Tensor) -> Tensor:
    # By the side where e^f is small: beyond 37 the plain form is linear to rounding, and no longer strictly convex.
    tail = F.softplus(torch.where(f > 0, -f, f))
    return torch.where(f > 0, f + tail, tail)


def _softplus_neg(f: Tensor) -> Tensor:
    return _softplus(-f)


def _neg_softplus(f: Tensor) -> Tensor:
    return -_softplus(f)


def _logistic(psi: Scalar, spelling: str) -> Objective:
    return Objective(_softplus, _softplus_neg, psi, spelling)


@OBJECTIVES.register(
    examples=["logistic", "logistic(psi='varphi')"],
    source=Source(_LGAN, "eq. 10, Table 2", "psi = -f; MaxGP, weight from 0.01 to 10", _LGAN_CODE),
)
def logistic(psi: str = "neg") -> Objective:
    """phi = log(1 + e^f), varphi = log(1 + e^-f) (Lipschitz GANs): vanilla's critic, with -f for the generator."""
    return _logistic(chosen_psi(psi, _softplus_neg), _spelling("logistic", psi))


@OBJECTIVES.register(
    examples=["vanilla", "vanilla(psi='neg')"],
    source=Source(
        "Goodfellow et al. 2014 (GAN)",
        "eq. 1, section 3",
        "psi = varphi",
        "goodfeli/adversarial 600ee5c __init__.py; pfnet-research/sngan_projection ab97f6b updater.py",
        "the numbers of equation and section",
    ),
)
def vanilla(psi: str = "varphi") -> Objective:
    """-log(1 - D) on fakes, -log D on reals and for the generator, D = sigmoid(f): GAN, non-saturating.

    The sigmoid is in here: the critic returns the number before it.

    >>> vanilla() == logistic(psi="varphi")
    True
    """
    return _logistic(chosen_psi(psi, _softplus_neg), _spelling("vanilla", psi, usual="varphi"))


OBJECTIVES.add(
    "vanilla_saturating",
    _logistic(_neg_softplus, "vanilla_saturating"),
    summary="as vanilla, but psi = log(1 - D), D = sigmoid(f): GAN's zero-sum game, whose generator's gradients vanish",
    source=Source(
        "Goodfellow et al. 2014 (GAN)",
        "eq. 1",
        "psi = -phi",
        "goodfeli/adversarial 600ee5c __init__.py (minimax_coeff)",
        "the number of the equation",
    ),
)


def _sqrt_plus(f: Tensor) -> Tensor:
    # sqrt(f^2 + 1) + f without cancellation for large negative f, where the sum is 1 / (sqrt(f^2 + 1) - f).
    size = torch.sqrt(f.square() + 1)
    # Not f.clamp_max(0), whose derivative at 0 is 0.
    return torch.where(f > 0, size + f, 1 / (size - torch.where(f > 0, 0.0, f)))


def _sqrt_minus(f: Tensor) -> Tensor:
    return _sqrt_plus(-f)


@OBJECTIVES.register(
    examples=["sqrt", "sqrt(psi='varphi')"],
    source=Source(_LGAN, "eq. 10, Table 2", "psi = -f; MaxGP, weight from 0.01 to 10", _LGAN_CODE),
)
def sqrt(psi: str = "neg") -> Objective:
    """phi = sqrt(f^2 + 1) + f, varphi = sqrt(f^2 + 1) - f (Lipschitz GANs)."""
    return Objective(_sqrt_plus, _sqrt_minus, chosen_psi(psi, _sqrt_minus), _spelling("sqrt", psi))


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


@OBJECTIVES.register(
    examples=["hinge", "hinge(alpha=0.5)", "hinge(alpha=1, psi='varphi')"],
    source=Source(
        "Lim and Ye 2017; Miyato et al. 2018 (SNGAN)",
        "eq. 16, 17",
        "alpha = 1, psi = -f; 5 critic steps, Adam 2e-4 (0, 0.9), spectral normalisation",
        f"pfnet-research/sngan_projection ab97f6b updater.py; {_LGAN_CODE}",
        "the numbers of the equations",
    ),
)
def hinge(alpha: float = 1.0, psi: str = "neg") -> Objective:
    """phi = max(0, alpha + f), varphi = max(0, alpha - f) (SNGAN; Lipschitz GANs, section 5)."""
    if not 0 < alpha < math.inf:
        raise SpecError(f"hinge: alpha = {alpha!r}; choose a positive number")
    varphi = _Hinge(alpha, -1.0)
    return Objective(_Hinge(alpha), varphi, chosen_psi(psi, varphi), _spelling("hinge", psi, alpha=alpha))


@OBJECTIVES.register(
    examples=["least_squares", "least_squares(a=0, b=1)", "least_squares(a=0, b=1, psi='varphi')"],
    source=Source(
        "Mao et al. 2017 (LSGAN); Zhou et al. 2019 (Lipschitz GANs)",
        "eq. 2; Table 2",
        "LSGAN: a = 0, b = 1, psi = varphi, all halved; Lipschitz GANs: a = -1, b = 1, psi = -f",
        f"xudonmao/LSGAN 89c9cd5 stability_comparison/mixture_gaussian/ls.py; {_LGAN_CODE}",
        "the number of LSGAN's equation",
    ),
)
def least_squares(a: float = -1.0, b: float = 1.0, psi: str = "neg") -> Objective:
    """phi = (f - a)^2, varphi = (f - b)^2, a < b: fakes are drawn to a, reals to b.

    LSGAN is `least_squares(a=0, b=1, psi='varphi')` (its factor 1/2 aside). Lipschitz GANs print a = -1, b = 1 with
    psi = -f, the default here; their released code has (f - b)^2 for the generator whatever its flag says, which is
    `least_squares(psi='varphi')`.
    """
    if not -math.inf < a < b < math.inf:
        raise SpecError(f"least_squares: a = {a!r}, b = {b!r}; reals are to score higher: choose a < b")
    varphi = _SquaredDistance(b)
    spelling = _spelling("least_squares", psi, a=a, b=b)
    return Objective(_SquaredDistance(a), varphi, chosen_psi(psi, varphi), spelling)


@OBJECTIVES.register(
    examples=["fisher"],
    source=Source(
        "Mroueh and Sercu 2017 (Fisher GAN)",
        "eq. 9",
        "rho = 1e-6; Adam 2e-4 (0.5, 0.999), 2 critic steps",
        "tomsercu/FisherGAN bf1c7d8 main.py",
    ),
)
def fisher(psi: str = "neg") -> Objective:
    """The gap of f, subject to (E f(real)^2 + E f(fake)^2) / 2 = 1: an augmented Lagrangian, `fisher-moment`."""
    chosen_psi(psi, torch.neg)
    return Objective(torch.positive, torch.neg, torch.neg, "fisher", own="fisher-moment")


@OBJECTIVES.register(
    examples=["sobolev"],
    source=Source(
        "Mroueh et al. 2018 (Sobolev GAN)",
        "Sobolev IPM, mu = (P_r + P_g) / 2",
        "rho = 2e-8; Adam 2e-4 (0.5, 0.999), 1 critic step (semi-supervised code)",
        "tomsercu/SobolevGAN-SSL a414cee main.py",
        "the equation's number, and the defaults of the paper's own unsupervised runs",
    ),
)
def sobolev(psi: str = "neg") -> Objective:
    """The gap of f, subject to mean |grad f|^2 = 1 over reals and fakes: an augmented Lagrangian, `sobolev-moment`."""
    chosen_psi(psi, torch.neg)
    return Objective(torch.positive, torch.neg, torch.neg, "sobolev", own="sobolev-moment")
