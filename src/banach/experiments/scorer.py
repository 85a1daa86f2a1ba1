"""What experiments score generators of small pictures by, along a run and at its end."""

import math
from dataclasses import dataclass

from banach.data.dataset import Data
from banach.experiments.trained import samples
from banach.metrics.features import extractor_for
from banach.metrics.scores import fid
from banach.metrics.transported import transported
from banach.spaces import Metric
from banach.training.state import State


@dataclass(frozen=True)
class Scorer:
    """FID of n samples against as many held-out pictures, and the excess of W1 over them; seeds are fixed."""

    data: Data
    n: int

    def fid(self, state: State) -> float:
        """FID in the features of the extractor for such pictures; infinite where samples are not finite."""
        made = samples(state, self.count)
        if not made.isfinite().all():
            return math.inf
        return fid(self.data.units.to_data(made), self.data.held_out[: self.count], extractor_for(self.data.shape))

    def excess(self, state: State, metric: Metric, most: int = 500) -> float:
        """The excess of W1 in a norm, in [-1, 1]; infinite where samples are not finite."""
        made = samples(state, min(self.count, most))
        if not made.isfinite().all():
            return math.inf
        real = self.data.model_units(self.data.held_out[: self.count])
        found = transported(made, real, metric, samples=most).excess
        return math.nan if found is None else found.value

    @property
    def count(self) -> int:
        """n, or as many as are held out."""
        return min(self.n, len(self.data.held_out))

    def protocol(self) -> str:
        """For the settings."""
        extractor = extractor_for(self.data.shape)
        return f"FID of {self.count} samples against as many held out, features {extractor!r}"
