"""Train Wasserstein GANs, and measure Wasserstein distances, in any normed space.

Spaces, penalties and distances are there at once; what trains is loaded when it is first used (PEP 562).
"""

from banach import boot as boot  # first of all: it is for the time that the rest takes

# isort: split
import importlib
from typing import TYPE_CHECKING, Any

from banach.errors import BanachError as BanachError
from banach.objectives import Objective as Objective
from banach.objectives import conditions as conditions
from banach.objectives import objective as objective
from banach.operators import Bessel as Bessel
from banach.operators import Compose as Compose
from banach.operators import Matrix as Matrix
from banach.operators import Operator as Operator
from banach.operators import Scale as Scale
from banach.operators import Wavelet as Wavelet
from banach.penalties import Penalty as Penalty
from banach.penalties import gradient_penalty as gradient_penalty
from banach.penalties import penalty as penalty
from banach.scales import Scales as Scales
from banach.scales import scales as scales
from banach.spaces import Besov as Besov
from banach.spaces import Discrete as Discrete
from banach.spaces import GradientForm as GradientForm
from banach.spaces import InfConvolution as InfConvolution
from banach.spaces import Intersection as Intersection
from banach.spaces import Lp as Lp
from banach.spaces import Metric as Metric
from banach.spaces import NormOnly as NormOnly
from banach.spaces import OverlappingPatches as OverlappingPatches
from banach.spaces import Patches as Patches
from banach.spaces import Product as Product
from banach.spaces import Sobolev as Sobolev
from banach.spaces import Space as Space
from banach.spaces import TotalVariation as TotalVariation
from banach.spaces import Weighted as Weighted
from banach.spaces import emphasises as emphasises
from banach.spaces import pair as pair
from banach.spaces import space as space
from banach.specs import parse as parse
from banach.transport import Estimate as Estimate
from banach.transport import distance as distance

if TYPE_CHECKING:
    from banach.auditing import Audit as Audit
    from banach.auditing import audit as audit
    from banach.game import Game as Game
    from banach.generator import Generator as Generator
    from banach.session.fit import Interrupted as Interrupted
    from banach.session.fit import fit as fit

__version__ = "0.1.0"

_LATER = {
    "Audit": "banach.auditing",
    "audit": "banach.auditing",
    "fit": "banach.session.fit",
    "Interrupted": "banach.session.fit",
    "Generator": "banach.generator",
    "Game": "banach.game",
}
"""Names whose modules are imported when they are first asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'banach' has no attribute {name!r}")
    found = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
