"""Pictures for experiments: the bundled clothes or the user's own, small, and what generators of them are scored by."""

import functools
import math
from dataclasses import dataclass

from banach.data.dataset import Data
from banach.data.load import load
from banach.errors import BanachError
from banach.experiments.experiment import Setting
from banach.experiments.trained import samples
from banach.foreign import typed
from banach.metrics.features import extractor_for
from banach.metrics.scores import fid
from banach.metrics.transported import transported
from banach.spaces import Metric
from banach.training.state import State

BUNDLED = "fashion"


def pictures(setting: Setting, side: int | None) -> Data:
    """The user's pictures, or the bundled ones, at side x side, a fifth held out; BanachError for other data."""
    source = setting.data or BUNDLED
    data = read(source, side, 0.2)
    if data.kind != "image":
        raise BanachError(f"{typed(source)} holds no pictures; give a folder of pictures, or leave out --data")
    return data


@functools.cache
def read(source: str, side: int | None, holdout: float) -> Data:
    """A data set at side x side, read once for all runs of an experiment."""
    return load(source, size=side, holdout=holdout, seed=0)


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
