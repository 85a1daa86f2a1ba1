"""The penalties of the field under their papers' names, with the weights and constants of the papers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.penalties.combined import Sum
from banach.penalties.consistency import Consistency
from banach.penalties.lagrange import AugmentedLagrangian
from banach.penalties.penalty import PENALTIES, Penalty, SoftConstraint
from banach.penalties.reductions import Max, Mean, SquaredMean
from banach.penalties.shapes import (
    Asymmetric,
    Deviation,
    Excess,
    OneSided,
    Power,
    SquaredExcess,
    SquareGap,
    TwoSided,
)
from banach.slopes import Adversarial, Along, Buffered, Critic, Gradients, Midway, Quotients, Rises, Values
from banach.spaces import Lp, Metric
from banach.specs import Source, SpecError

WGAN_GP = Penalty(Gradients(), TwoSided(), Mean(), 10.0)

_IGUL = "igul222/improved_wgan_training fa66c57 gan_cifar_resnet.py, gan_toy.py"
_PETZKA = "lukovnikov/improved_wgan_training a11a49c gan_toy.py, gan_cifar_resnet.py"
_MESCHEDER = "LMescheder/GAN_stability c1f64c9 gan_training/train.py"
_LGANS = "ZhimingZhou/LGANs-for-reproduce d9b6b1d code/sobolev_cifar10.py"
_MAXAL = "ZhimingZhou/MaxGP-MaxAL-for-reproduce 5dd95fe"
_TVMISC = "t-vi/pytorch-tvmisc 1807838 Semi-Improved_Training_of_Wasserstein_GAN.ipynb"
_SWGAN = "MinkaiXu/SobolevWassersteinGAN 480ff0b gan_cifar_resnet.py, gan_toy.py"


@dataclass(frozen=True)
class _Named:
    penalty: SoftConstraint
    summary: str
    source: Source


_NAMED: dict[str, _Named] = {
    "wgan-gp": _Named(
        WGAN_GP,
        "two-sided, at interpolates",
        Source(
            "Gulrajani et al. 2017; Banach WGAN", "eq. 4 and 8 of the latter", "weight 10; toys 0.1; target 1", _IGUL
        ),
    ),
    "wgan-lp": _Named(
        Penalty(Gradients(), OneSided(), Mean(), 10.0),
        "one-sided, at interpolates",
        Source("Petzka et al. 2018", "", "weight 10 (CIFAR-10), 0.1 (toys)", _PETZKA, "the equation's number"),
    ),
    "one-sided-linear": _Named(
        Penalty(Gradients(), Excess(), Mean(), 10.0),
        "max(0, slope - 1), not squared, at interpolates",
        Source("Viehmann 2017, Geometric Intuition on Improved Wasserstein GANs", "Things to try", "none is given"),
    ),
    "asymmetric": _Named(
        Penalty(Gradients(), Asymmetric(), Mean(), 1.0),
        "two-sided with the upper side ten times as heavy, at interpolates",
        Source("Viehmann 2017, Geometric Intuition on Improved Wasserstein GANs", "Things to try", "no weights given"),
    ),
    "0-gp": _Named(
        Penalty(Gradients(), Power(2), Mean(), 10.0),
        "zero-centred, at interpolates",
        Source(
            "Thanh-Tung et al. 2019",
            "",
            "weight 10, centre 0",
            "htt210/GeneralizationAndStabilityInGANs ed969b4 GradientPenaltiesGAN.py",
            "the equation's number",
        ),
    ),
    "r1": _Named(
        Penalty(Gradients("reals"), Power(2), Mean(), 5.0),
        "zero-centred, at reals: gamma/2 E slope^2",
        Source("Mescheder et al. 2018", "", "weight gamma/2 = 5; the code has 10 without the half", _MESCHEDER,
               "the paper's gamma = 10 and the equation's number"),
    ),
    "r2": _Named(
        Penalty(Gradients("fakes"), Power(2), Mean(), 5.0),
        "zero-centred, at fakes: gamma/2 E slope^2",
        Source("Mescheder et al. 2018", "", "weight gamma/2 = 5; the code has 10 without the half", _MESCHEDER,
               "the paper's gamma = 10 and the equation's number"),
    ),
    "r1-r2": _Named(
        Penalty(Gradients("both"), Power(2), Mean(), 0.05),
        "zero-centred, at reals and fakes: gamma/2 (R1 + R2)",
        Source("Huang et al. 2024 (R3GAN)", "", "gamma .05, falling to .005 (CIFAR-10)",
               "brownvc/R3GAN 19a7ddf R3GAN/Trainer.py, train.py", "the equation's number"),
    ),
    "maxgp": _Named(
        Penalty(Gradients(), Power(2), Max(), 1.0),
        "the largest slope squared",
        Source("Zhou et al. 2019, Lipschitz GANs", "eq. 12 and 27", "weight searched in .01, .1, 1, 10", _LGANS),
    ),
    "maxgp-buffer": _Named(
        Penalty(Buffered(), Power(2), Max(), 1.0),
        "the largest slope squared, the steepest points kept for the next step (S_max)",
        Source("Zhou et al. 2019, Lipschitz GANs", "appendix C.2", "an eighth of the batch is kept (toys)", _LGANS),
    ),
    "maxal": _Named(
        AugmentedLagrangian(Gradients(), Deviation(), Max(), quadratic=1.0, rate=1e-3),
        "the largest slope is 1, kept by a multiplier",
        Source("Zhou et al., MaxGP-MaxAL code", "", "rate 1e-3, multiplier from 0", _MAXAL,
               "the quadratic weight 1, and any paper's equation"),
    ),
    "maxal-inequality": _Named(
        AugmentedLagrangian(Gradients(), Deviation(), Max(), quadratic=1.0, rate=1e-3, least=0.0),
        "the same with a multiplier that is not negative",
        Source("Zhou et al., MaxGP-MaxAL code", "", "rate 1e-3, multiplier from 0", _MAXAL,
               "the quadratic weight 1, and any paper's equation"),
    ),
    "wgan-div": _Named(
        Penalty(Gradients("both"), Power(6), Mean(), 2.0),
        "slope^6 at reals and fakes: k/2 E (real^6 + fake^6)",
        Source("Wu et al. 2018", "", "k = 2, p = 6", "eriklindernoren/PyTorch-GAN implementations/wgan_div/wgan_div.py",
               "the equation's number"),
    ),
    "wgan-div-code": _Named(
        Penalty(Gradients(), Power(6), Mean(), 10.0),
        "slope^6 at interpolates, as the paper's own code has it",
        Source("Wu et al. 2018", "", "k = 10, p = 6, 4 critic steps", "musikisomorphie/wgan-div be1086f wgan_div.py",
               "the equation's number"),
    ),
    "dragan": _Named(
        Penalty(Gradients("near"), TwoSided(), Mean(), 10.0),
        "two-sided, near the reals",
        Source("Kodali et al. 2017", "", "weight 10, noise 0.5 std(reals) U(0, 1)",
               "t-vi/pytorch-tvmisc 1807838 Improved_Training_of_Wasserstein_GAN.ipynb", "the equation's number"),
    ),
    "ct-gan": _Named(
        Sum((WGAN_GP, Consistency())),
        "wgan-gp, and consistency of two passes with dropped units at the reals",
        Source("Wei et al. 2018 (CT-GAN)", "eq. 5, 7", "weights 10 and 2, margin 0, features .1, kept .8, .5, .5",
               "biuyq/CT-GAN 5ebc7e1 CT_gan_cifar_resnet.py", "the numbers of the equations"),
    ),
    "alp": _Named(
        Penalty(Adversarial(), OneSided(), Mean(), 10.0),
        "one-sided quotients along the space's steepest ascent",
        Source("Terjek 2020, Adversarial Lipschitz regularisation", "", "weight 10, eps U(.1, 10), xi 10, 1 power step",
               "dterjek/adversarial_lipschitz_regularization 625c45e wgan_alp.py", "the equation's number"),
    ),
    "swgan": _Named(
        Penalty(Along(8), SquaredExcess(), SquaredMean(), 10.0),
        "(mean over pairs of max(0, mean squared slope at 8 points - 1)^2)^2",
        Source("Xu et al. 2021 (SWGAN)", "", "weight 10 (CIFAR-10), .1 (toys), 8 points a pair", _SWGAN,
               "the equation's number"),
    ),
    "swgan-al": _Named(
        AugmentedLagrangian(Along(8), SquaredExcess(), Mean(), quadratic=5e-6, rate=1e-5, least=0.0),
        "that mean, kept at 0 by a multiplier",
        Source("Xu et al. 2021 (SWGAN)", "", "rho 1e-5 (CIFAR-10), 1e-4 (toys)", _SWGAN, "the equation's number"),
    ),
    "pagan": _Named(
        Penalty(Quotients(), OneSided(), Mean(), 10.0),
        "one-sided quotients of real-fake pairs",
        Source("Petzka et al. 2018", "", "weight 10, distances from 1e-6", _PETZKA, "the equation's number"),
    ),
    "metric": _Named(
        Penalty(Quotients(), TwoSided(), Mean(), 10.0),
        "two-sided quotients of real-fake pairs, in any metric",
        Source("Adler and Lunz 2018, Banach WGAN", "eq. 12", "no weight is given; that of wgan-gp"),
    ),
    "semi-improved-1": _Named(
        Penalty(Quotients(), TwoSided(), Mean(), 0.1),
        "two-sided quotients of real-fake pairs (variant 1)",
        Source("Viehmann 2017, Semi-Improved Training of Wasserstein GANs", "variant 1", "weight .1", _TVMISC),
    ),
    "semi-improved-2": _Named(
        Penalty(Midway(), TwoSided(), Mean(), 0.1),
        "two-sided quotients to a random point between (variant 2)",
        Source("Viehmann 2017, Semi-Improved Training of Wasserstein GANs", "variant 2", "weight .1", _TVMISC),
    ),
    "compact-dual": _Named(
        Penalty(Rises(), OneSided(), Mean(), 10.0),
        "only f(real) - f(fake) <= distance",
        Source("Zhou et al. 2019, Lipschitz GANs", "eq. 4", "the paper penalises nothing so; weight 10 of wgan-lp"),
    ),
    "fisher-moment": _Named(
        AugmentedLagrangian(Values(), SquareGap(), Mean(), quadratic=5e-7, rate=1e-6),
        "(E_P f^2 + E_Q f^2)/2 = 1, kept by a multiplier: part of the objective fisher",
        Source("Mroueh and Sercu 2017 (Fisher GAN)", "eq. 9", "rho 1e-6", "tomsercu/FisherGAN 4123951 main.py"),
    ),
    "sobolev-moment": _Named(
        AugmentedLagrangian(Gradients("both"), SquareGap(), Mean(), quadratic=1e-8, rate=2e-8),
        "(E_P slope^2 + E_Q slope^2)/2 = 1, kept by a multiplier: part of the objective sobolev",
        Source("Mroueh et al. 2018 (Sobolev GAN)", "", "rho 2e-8", "tomsercu/SobolevGAN-SSL a414cee main.py",
               "the equation's number"),
    ),
}  # fmt: skip
for _name, _entry in _NAMED.items():
    PENALTIES.add(_name, _entry.penalty, summary=_entry.summary, source=_entry.source)


def penalty(spec: "str | SoftConstraint") -> SoftConstraint:
    """The penalty that a spec, a paper's name, or a penalty itself stands for.

    >>> penalty("wgan-lp").shape
    OneSided()
    """
    found = PENALTIES.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, SoftConstraint):
        raise SpecError(f"{spec!r} is no penalty; for example wgan-gp")
    return found


def gradient_penalty(
    critic: Critic,
    real: Float[Tensor, "b *event"],
    fake: Float[Tensor, "b *event"],
    space: Metric | None = None,
    rng: torch.Generator | None = None,
    kind: "str | SoftConstraint" = "wgan-gp",
) -> Float[Tensor, ""]:
    """The penalty alone, for a training loop of your own: E (|grad critic|_{B*} - 1)^2 at interpolates, unweighted.

    `space` is the norm on the data, L^2 if none is given; the gradient is measured in its dual (Banach WGAN, eq. 8).
    `rng` draws the interpolates. Differentiable in the critic's parameters; finite where the gradient is zero. The
    critic must not couple the samples of a batch (no batch statistics). A penalty that keeps a multiplier or a buffer
    is taken as in its first step.

    >>> import banach
    >>> x = torch.randn(8, 1, 6, 6)
    >>> banach.gradient_penalty(lambda x: x.flatten(1).sum(1) / 6, x, x + 1, banach.Lp(2)).round(decimals=5)
    tensor(0.)
    """
    return penalty(kind)(critic, real, fake, Lp(2) if space is None else space, rng)
