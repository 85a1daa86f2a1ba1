"""Besov norms: wavelet bands, each with a weight."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Form, Image, Leaf, Node
from banach.numerics import Exponent, p_norm
from banach.operators.operator import Event, Rounding
from banach.operators.wavelet import Name, Wavelet, band_map
from banach.spaces.metric import SPACES, Space
from banach.specs import Source, SpecError, spell_call


@dataclass(frozen=True)
class Band(Image):
    """One band of a wavelet transform: level 1 has the finest details, 0 the averages; a level there is not is a 0."""

    wavelet: Wavelet
    level: int

    def _where(self, event: Event) -> Tensor:
        return (band_map(self.wavelet, event[1:]) == self.level).flatten().nonzero()[:, 0]

    def __call__(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, "b m"]:
        where = self._where(tuple(x.shape[1:])).to(x.device)
        return x.flatten(2)[:, :, where].flatten(1) if len(where) else x.new_zeros(len(x), 1)

    def transposed(self, z: Float[Tensor, "b m"], event: Event) -> Float[Tensor, "b *event"]:
        where, whole = self._where(event).to(z.device), z.new_zeros(len(z), *event)
        if len(where):
            whole.flatten(2)[:, :, where] = z.view(len(z), event[0], -1)
        return whole

    def rounding(self, event: Event) -> Rounding:
        return Rounding(1.0)


@SPACES.register(
    examples=[
        "Besov(s=-1, p=2)",
        "Besov(s=0.5, p=1.5, q=inf)",
        "Besov(s=-0.5, p=1, q=1, levels=2)",
        "Besov(s=1, p=3, q=2, wavelet='db2')",
    ],
    source=Source(
        "Cohen 2003 (Numerical Analysis of Wavelet Methods)",
        "section 3.6",
        unverified="from memory, as commonly written",
    ),
)
@dataclass(frozen=True, repr=False)
class Besov(Space):
    """The Besov norm of wavelet bands: (|averages|_p^q + sum_j (2^(j s') |details_j|_p)^q)^(1/q), s' = s + d/2 - d/p.

    The orthonormal wavelet transform is taken of each channel of (b, channels, *spatial) over its d = 1, 2 or 3 spatial
    axes; j = 0 is the coarsest band of details. Negative s weighs coarse bands (global shape), positive s fine ones
    (edges); q, which is 2 by default, says how bands are joined, p how the coefficients of one are: unlike a Fourier
    coefficient, each sits in one place. The dual is the same with -s and the conjugate exponents, exactly. With p = q =
    2 the norm is that of L^2 for s = 0, and near that of Sobolev(s) for others; with a wavelet as smooth as |s| asks
    ("haar" for |s| < 1/2, "db2" for |s| < 1, "db3" for |s| < 1.4) the two are equivalent at all resolutions.

    `wavelet` "haar" takes every size. "db2" and "db3" halve even sizes only. At most `levels` times, less often where
    the size does not allow it: a 28x28 picture has 5 levels of "haar" (14, 7, 4, 2, 1), 2 of "db2" (14, 7). BanachError
    where "db2" or "db3" meet an odd size at once.

    >>> Besov(s=-1).dual, Besov(s=0).norm(torch.tensor([[[3.0, 4.0]]])).round(decimals=4)
    (Besov(s=1), tensor([5.]))
    """

    s: float
    p: float = 2.0
    q: float = 2.0
    wavelet: Name = "haar"
    levels: int = 5

    def __post_init__(self):
        for name in ("p", "q"):
            value = getattr(self, name)
            object.__setattr__(self, name, Exponent(value, f"Besov({name}={value})"))
        try:
            Wavelet(self.s, self.p, self.wavelet, self.levels)
        except SpecError as error:
            raise SpecError(str(error).replace("Wavelet:", "Besov:", 1)) from None

    def __repr__(self) -> str:
        fields = {"s": self.s, "p": self.p, "q": self.q, "wavelet": self.wavelet, "levels": self.levels}
        defaults = {"p": 2.0, "q": 2.0, "wavelet": "haar", "levels": 5}
        shown = {key: value for key, value in fields.items() if key not in defaults or value != defaults[key]}
        return spell_call(type(self).__name__, (), shown)

    @property
    def transform(self) -> Wavelet:
        """The weighted wavelet transform, whose bands are measured."""
        return Wavelet(self.s, self.p, self.wavelet, self.levels)

    def norm(self, x: Float[Tensor, "b c *spatial"]) -> Float[Tensor, " b"]:
        A = self.transform
        y = A(x)
        if self.p == self.q:
            return p_norm(y, self.p)
        count = A.steps(tuple(x.shape[1:])) + 1
        return p_norm(torch.stack([p_norm(Band(A, level)(y), self.p) for level in range(count)], 1), self.q)

    @property
    def dual(self) -> "Besov":
        return Besov(-self.s, Exponent(self.p).dual, Exponent(self.q).dual, self.wavelet, self.levels)

    @property
    def emphasis(self) -> str:
        which = "all wavelet bands" if self.s == 0 else "coarse wavelet bands" if self.s < 0 else "fine wavelet bands"
        what = {-1: ": global shape", 0: "", 1: ": edges and texture"}[(self.s > 0) - (self.s < 0)]
        within = "" if self.p == 2 else "; in each, " + ("few large" if self.p > 2 else "many small") + " coefficients"
        return which + what + within

    def form(self) -> Form:
        A = self.transform
        if self.p == self.q:
            return Leaf(self.p, (A,))
        return Node(self.q, tuple(Leaf(self.p, (A, Band(A, level))) for level in range(A.bands())))
