"""The registered families: residual, DCGAN and fully connected networks, and critics Lipschitz by construction."""

import functools
from collections.abc import Callable

import torch
from torch import nn

from banach.models.build import MODELS, Family
from banach.models.dcgan import DCGANCritic, DCGANGenerator
from banach.models.lipschitz import ConeCritic, HardConeCritic, OrthogonalCritic, SortCritic
from banach.models.mlp import MLPCritic, MLPGenerator
from banach.models.resnet import ResNetCritic, ResNetGenerator
from banach.models.sizes import even_halvings
from banach.models.spectral import SpectralGenerator
from banach.spaces import Lp
from banach.specs import Source


def fitting_generator(
    shape: tuple[int, ...], z: int, width: int, output: str, rng: torch.Generator | None
) -> nn.Module:
    """The residual generator where the sizes allow one, else the fully connected one."""
    residual = len(shape) > 1 and even_halvings(shape[1:]) is not None
    return (ResNetGenerator if residual else MLPGenerator)(shape, z, width, output, rng)


def _lipschitz(name: str, critic_in: Callable[..., nn.Module], doc: str) -> Family:
    return Family(name, fitting_generator, functools.partial(critic_in, space=Lp(2)), doc, 128, critic_in)


FAMILIES = (
    Family(
        "resnet",
        ResNetGenerator,
        ResNetCritic,
        "Residual networks of the WGAN-GP and Banach WGAN codes; sizes 3..7 times a power of two, 1 to 3 axes.",
    ),
    Family(
        "dcgan",
        DCGANGenerator,
        DCGANCritic,
        "DCGAN with 5x5 kernels as in the WGAN-GP code, no normalisation in the critic; sizes as resnet, from 6 on.",
    ),
    Family(
        "dcgan4",
        functools.partial(DCGANGenerator, kernel=4),
        functools.partial(DCGANCritic, kernel=4),
        "DCGAN with 4x4 kernels: the cheapest networks for pictures here.",
        width=64,
    ),
    Family(
        "spectral",
        SpectralGenerator,
        ResNetCritic,
        "A generator of functions, which draws at any size: few waves, pointwise maps; the critic is resnet's.",
        width=32,
    ),
    Family(
        "mlp",
        MLPGenerator,
        MLPCritic,
        "Three hidden layers with ReLU for points, vectors, or any shape flattened.",
        width=512,
    ),
    _lipschitz(
        "lipschitz-sort",
        SortCritic,
        "Critic 1-Lipschitz in any normed space: rows of dual norm 1, then sorting; flat along most of a cone.",
    ),
    _lipschitz(
        "lipschitz-cones",
        ConeCritic,
        "Critic 1-Lipschitz in any metric: soft minima and maxima of distances from `width` trained points each.",
    ),
    _lipschitz(
        "lipschitz-cones-hard",
        HardConeCritic,
        "The same with hard minima and maxima.",
    ),
    _lipschitz(
        "lipschitz-orthogonal",
        OrthogonalCritic,
        "Critic 1-Lipschitz in L2, Sobolev with p = 2, weighted L2: orthogonal layers and sorting.",
    ),
)

_SOURCES = {
    "resnet": Source(
        "Gulrajani et al. 2017 (WGAN-GP); Adler and Lunz 2018 (Banach WGAN)",
        "appendix; appendix B",
        "width 128, z 128; last convolution 3x3, batch norm before ReLU (the text says 1x1 and after)",
        "igul222/improved_wgan_training fa66c57 gan_cifar_resnet.py; adler-j/bwgan f75e987 cifar10_sobolev.py",
        "the section of the former",
    ),
    "dcgan": Source(
        "Radford et al. 2016 (DCGAN); Gulrajani et al. 2017 (WGAN-GP)",
        "",
        "width 128, 5x5 kernels, no normalisation in the critic",
        "igul222/improved_wgan_training fa66c57 gan_cifar.py",
        "the papers' own figures",
    ),
    "dcgan4": Source(
        "Radford et al. 2016 (DCGAN); Arjovsky et al. 2017 (WGAN)",
        "",
        "width 64, 4x4 kernels; batch norm in the critic, which is left out here",
        "martinarjovsky/WassersteinGAN f7a01e8 models/dcgan.py",
        "the papers' own figures",
    ),
    "spectral": Source(
        "Li et al. 2021 (Fourier neural operator); Rahman, Florez, Anandkumar, Ross and Azizzadenesheli 2022 "
        "(generative adversarial neural operators)",
        "a matrix of the channels for each mode; an inner grid, noise of few modes from a latent vector: ours",
        "width 32, up to 32, 15 and 6 waves along an axis in 1, 2 and 3 dimensions, two blocks",
        "none was read",
    ),
    "mlp": Source(
        "Gulrajani et al. 2017 (WGAN-GP)",
        "toy data",
        "3 hidden layers of width 512, ReLU, He's uniform initialisation",
        "igul222/improved_wgan_training fa66c57 gan_toy.py",
        "the section of the paper",
    ),
    "lipschitz-sort": Source(
        "Anil et al. 2019",
        "GroupSort, maps from L-inf to L-inf, there for L-inf on the data; rows of dual norm 1 in any space: ours",
        "full sorting; AggMo 0.01",
        "cemanil/LNets 285fdd1 lnets/models/layers/dense/l_inf_projected.py (projects the rows; here they are divided)",
        "the numbers of the sections",
    ),
    "lipschitz-cones": Source(
        "this package",
        "least and greatest cones; a minimum of them in L2 is the MinFunnel potential of Korotin et al. 2022",
        "",
        "justkolesov/Wasserstein1Benchmark 0af1e05 src/models.py",
    ),
    "lipschitz-cones-hard": Source(
        "this package",
        "as lipschitz-cones, without a temperature",
        "",
        "justkolesov/Wasserstein1Benchmark 0af1e05 src/models.py",
    ),
    "lipschitz-orthogonal": Source(
        "Anil et al. 2019; Trockman and Kolter 2021",
        "orthonormal layers with GroupSort; Cayley's map; after a space's coordinates: ours",
        "Bjorck's iteration in place of Cayley's map; AggMo 0.01",
        "cemanil/LNets 285fdd1 lnets/models/layers/dense/bjorck_linear.py; locuslab/orthogonal-convolutions 71dadb6 "
        "layers.py",
        "the numbers of the sections",
    ),
}

for family in FAMILIES:
    MODELS.add(family.name, family, summary=family.doc, source=_SOURCES[family.name])
