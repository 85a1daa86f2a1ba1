"""Hard Lipschitz constraints on a critic's weights, and the Lipschitz bound that they prove in a space.

- `none` does nothing;
- `clip` holds every weight in [-c, c]: the proven bound is small or large with c, and far above the true slope;
- `spectral-norm` divides each layer by a running estimate of its norm: only about 1-Lipschitz, and by L^2's measure;
- `orthogonal` keeps rows or columns orthonormal, with GroupSort between: dense critics are 1-Lipschitz in L^2.

What `bound` proves is computed in float64 from the weights as they are, by one rule for all (`banach.models.bounds`).
Critics that are 1-Lipschitz by construction, in any space, are models: `banach.models.lipschitz`.
"""

from banach.constraints.constraint import CONSTRAINTS as CONSTRAINTS
from banach.constraints.constraint import Clip as Clip
from banach.constraints.constraint import Constraint as Constraint
from banach.constraints.constraint import Free as Free
from banach.constraints.constraint import constraint as constraint
from banach.constraints.layers import Orthogonal as Orthogonal
from banach.constraints.layers import SpectralNorm as SpectralNorm
