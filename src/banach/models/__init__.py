"""Generators and critics by name, of any shape (d,), (c, n), (c, h, w) or (c, d, h, w)."""

from banach.errors import ModelError
from banach.models.activations import LeakyReLU, ReLU
from banach.models.bounds import lipschitz_bound
from banach.models.build import MODELS, Family, build_critic, build_generator, last_layer, scoring_layer
from banach.models.families import FAMILIES
from banach.models.in_coordinates import InCoordinates
from banach.models.lipschitz import LipschitzCritic, start_at_

__all__ = [
    "FAMILIES",
    "MODELS",
    "Family",
    "InCoordinates",
    "LeakyReLU",
    "LipschitzCritic",
    "ModelError",
    "ReLU",
    "build_critic",
    "build_generator",
    "last_layer",
    "lipschitz_bound",
    "scoring_layer",
    "start_at_",
]
