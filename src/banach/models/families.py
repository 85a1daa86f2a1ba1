"""The families that are there: residual, DCGAN and fully connected networks."""

import functools

from banach.models.build import MODELS, Family
from banach.models.dcgan import DCGANCritic, DCGANGenerator
from banach.models.mlp import MLPCritic, MLPGenerator
from banach.models.resnet import ResNetCritic, ResNetGenerator
from banach.specs import Source

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
        "mlp",
        MLPGenerator,
        MLPCritic,
        "Three hidden layers with ReLU for points, vectors, or any shape flattened.",
        width=512,
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
    "mlp": Source(
        "Gulrajani et al. 2017 (WGAN-GP)",
        "toy data",
        "3 hidden layers of width 512, ReLU, He's uniform law",
        "igul222/improved_wgan_training fa66c57 gan_toy.py",
        "the section of the paper",
    ),
}

for family in FAMILIES:
    MODELS.add(family.name, family, summary=family.doc, source=_SOURCES[family.name])
