"""The families that are there: residual, DCGAN and fully connected networks."""

import functools

from banach.models.build import MODELS, Family
from banach.models.dcgan import DCGANCritic, DCGANGenerator
from banach.models.mlp import MLPCritic, MLPGenerator
from banach.models.resnet import ResNetCritic, ResNetGenerator

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

for family in FAMILIES:
    MODELS.add(family.name, family, summary=family.doc)
