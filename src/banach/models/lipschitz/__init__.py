"""Critics that are exactly 1-Lipschitz in a chosen normed space by construction, whatever their weights are.

- `lipschitz-sort`, in every space with a dual: rows of dual norm 1, then sorting and rows of l^1 norm 1. It cannot
  follow a cone in many dimensions;
- `lipschitz-cones`, in every metric: least and greatest distances from trained points, soft or hard. It knows nothing
  between its points but distances;
- `lipschitz-orthogonal`, where norm(x) = |E x|_2: orthogonal layers and sorting. It is blind to what a narrow layer
  drops.
"""

from banach.models.lipschitz.critic import LipschitzCritic as LipschitzCritic
from banach.models.lipschitz.critic import start_at_ as start_at_
from banach.models.lipschitz.distance_critics import ConeCritic as ConeCritic
from banach.models.lipschitz.distance_critics import HardConeCritic as HardConeCritic
from banach.models.lipschitz.groupsort import GroupSort as GroupSort
from banach.models.lipschitz.orthogonal import OrthogonalCritic as OrthogonalCritic
from banach.models.lipschitz.pairwise import distances as distances
from banach.models.lipschitz.sorting import SortCritic as SortCritic
