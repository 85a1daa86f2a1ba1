"""Normed spaces and their duals.

A `Space` says how long a vector is, `norm(x)`, and knows its dual. There is one pairing, `pair(u, x) = sum(u * x)`, so
the gradient that autograd returns *is* a covector, and its length is `space.dual.norm(gradient)`. A function f is
L-Lipschitz in the space if and only if `dual.norm(grad f) <= L` everywhere (Banach WGAN, Lemma 1).

| you care about            | space                    | so the norm weighs                                  |
|---------------------------|--------------------------|-----------------------------------------------------|
| nothing in particular     | `Lp(2)`                  | every pixel alike                                   |
| outliers                  | `Lp(4)`, …, `Lp(inf)`    | the largest differences most                        |
| sparse differences        | `Lp(1)`                  | all differences alike, however small                |
| global shape              | `Sobolev(s=-1)`          | low frequencies                                     |
| edges                     | `Sobolev(s=1)`           | high frequencies                                    |
| edges, by their slope     | `GradientForm(p)`        | values and slopes, each in L^p                      |
| shape or edges, in place  | `Besov(s=-1)`, `Besov(s=1)`| coarse or fine wavelet bands                      |
| textures, windows         | `Patches(size, …)`       | each patch by itself, whichever it is               |
| a channel, a region       | `Weighted(Scale(…), …)`  | entries by a weight or a mask                       |
| correlated coordinates    | `Weighted(Matrix(…), …)` | directions by a matrix (Mahalanobis)                |
| several parts             | `Product(p, (…), (…))`   | each part in its own norm                           |
| two things at once        | `Intersection(p, …, …)`  | both norms of the same data                         |
| flat regions with borders | `TotalVariation(…)`      | jumps by height and length, sharp or not            |

The last two have dual norms without a formula, and so have `GradientForm` for p other than 2 and `OverlappingPatches`:
these are computed, to a stated tolerance, between two proved bounds.
A space of your own is a frozen dataclass with `norm` and `dual`, or a `NormOnly` with `norm` alone, whose dual is
computed; registered with an example, the laws test it.
"""

from banach.norms.warm_starts import warm_starts as warm_starts
from banach.spaces.besov import Besov as Besov
from banach.spaces.computed import AccuracyWarning as AccuracyWarning
from banach.spaces.computed import ComputedNorm as ComputedNorm
from banach.spaces.computed import Dual as Dual
from banach.spaces.computed import NormOnly as NormOnly
from banach.spaces.discrete import Discrete as Discrete
from banach.spaces.gradient_form import GradientForm as GradientForm
from banach.spaces.gradient_form import GradientNorm as GradientNorm
from banach.spaces.intersection import InfConvolution as InfConvolution
from banach.spaces.intersection import Intersection as Intersection
from banach.spaces.intersection import TotalVariation as TotalVariation
from banach.spaces.lp import Lp as Lp
from banach.spaces.mean_free import MeanFree as MeanFree
from banach.spaces.mean_free import ModConstants as ModConstants
from banach.spaces.metric import SPACES as SPACES
from banach.spaces.metric import Metric as Metric
from banach.spaces.metric import Space as Space
from banach.spaces.metric import pair as pair
from banach.spaces.naming import INTENTS as INTENTS
from banach.spaces.naming import emphasises as emphasises
from banach.spaces.naming import files_of as files_of
from banach.spaces.naming import space as space
from banach.spaces.patches import OverlappingPatches as OverlappingPatches
from banach.spaces.patches import Patches as Patches
from banach.spaces.products import Product as Product
from banach.spaces.weighted import Sobolev as Sobolev
from banach.spaces.weighted import Weighted as Weighted
