"""Generators and critics by name, of any shape (d,), (c, n), (c, h, w) or (c, d, h, w)."""

from banach.models.build import MODELS, Family, build_critic, build_generator, last_layer
from banach.models.errors import ModelError
from banach.models.families import FAMILIES

__all__ = ["FAMILIES", "MODELS", "Family", "ModelError", "build_critic", "build_generator", "last_layer"]
