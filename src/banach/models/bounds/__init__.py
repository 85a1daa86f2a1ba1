"""Lipschitz constants that are proven from a critic's weights, in any normed space."""

from banach.models.bounds.gate import weight_maps as weight_maps
from banach.models.bounds.proof import Certified as Certified
from banach.models.bounds.proof import certified as certified
from banach.models.bounds.proof import lipschitz_bound as lipschitz_bound
from banach.models.bounds.reach import Reach as Reach
from banach.models.bounds.reach import UnprovenError as UnprovenError
from banach.models.bounds.rules import through as through
