"""Lipschitz constants that are proven from a critic's weights, in any normed space."""

from banach.models.bounds.reach import Reach as Reach
from banach.models.bounds.reach import UnprovenError as UnprovenError
from banach.models.bounds.rules import Certified as Certified
from banach.models.bounds.rules import certified as certified
from banach.models.bounds.rules import lipschitz_bound as lipschitz_bound
from banach.models.bounds.rules import through as through
