"""Benchmark pairs whose Wasserstein-1 distance is exactly known in any norm, to test estimates and critics on.

Each pair knows an optimal coupling, from which it draws, and a potential that proves it optimal: f is 1-Lipschitz in
the norm and f(x) - f(y) = |x - y| for every coupled x and y. So E|x - y| is W1 of the distributions, and the mean of
|x_i - y_i| is W1 of every drawn pair of samples too.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from banach.spaces import Space
from banach.specs import Registry, SpecError, spelled
from banach.transport.estimate import TransportError

PAIRS = Registry("benchmark pair", bare="build")

_DRAWS = 2**14
_MOST = 2**24
CLOSE = 1e-3
"""The relative standard error of a truth that is a mean over draws is below this."""


@dataclass(frozen=True)
class Truth:
    """W1 of the two distributions, with its standard error (0 where it has a closed form)."""

    value: float
    error: float = 0.0


@dataclass(frozen=True)
class Pair(ABC):
    """Two distributions on vectors or arrays of one shape, with an optimal coupling."""

    @abstractmethod
    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        """n coupled draws x_i, y_i. The rows of a sample are independent; shuffle one of them to hide the coupling."""

    @abstractmethod
    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        """f(z_i), 1-Lipschitz, with f(x) - f(y) = |x - y| for coupled x and y: a best critic of the pair."""

    def truth(self, space: Space) -> Truth:
        """W1 of the distributions: a mean over so many coupled draws (seed 0) that its standard error is below 0.1%."""
        rng = torch.Generator().manual_seed(0)
        count, total, squares, mean, error = 0, 0.0, 0.0, 0.0, math.inf
        while count < _MOST:
            lengths = space.distance(*self.draw(_DRAWS, space, rng))
            count, total = count + _DRAWS, total + float(lengths.sum())
            squares += float(lengths.square().sum())
            mean = total / count
            error = math.sqrt(max(0.0, squares / count - mean * mean) / (count - 1))
            if error < CLOSE * mean:
                return Truth(mean, error)
        raise TransportError(f"{self!r} in {space!r}: {_MOST:,} draws leave an error of {error / mean:.2%}")


@dataclass(frozen=True, repr=False)
class Shaped(Pair, ABC):
    """A pair on samples of a shape that can be chosen: a number of entries, or a tuple such as (1, 8, 8)."""

    shape: int | tuple[int, ...] = 2

    def __post_init__(self):
        sides = self.event
        if not isinstance(sides, tuple) or not sides or any(type(one) is not int or one < 1 for one in sides):
            raise SpecError(
                f"{type(self).__name__}: shape {self.shape!r}; give the shape of a sample, such as 16 or (1, 8, 8)"
            )

    __repr__ = spelled

    @property
    def event(self) -> tuple[int, ...]:
        """The shape of a sample as a tuple."""
        return (self.shape,) if isinstance(self.shape, int) else self.shape


def _fixed(shape: tuple[int, ...], seed: int, count: int = 1) -> Float64[Tensor, "n *event"]:
    """Random numbers that define the distributions: equal for every draw of samples."""
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _normal(n: int, shape: tuple[int, ...], rng: torch.Generator) -> Float64[Tensor, "n *event"]:
    return torch.randn(n, *shape, generator=rng, dtype=torch.float64)


def _uniform(n: int, shape: tuple[int, ...], rng: torch.Generator) -> Float64[Tensor, "n *event"]:
    return torch.rand(n, *shape, generator=rng, dtype=torch.float64)


def _along(space: Space, e: Float64[Tensor, "1 *event"], z: Float64[Tensor, "n *event"]) -> Float64[Tensor, " n"]:
    """<w, z>, w being the gradient of the norm at e: of dual norm 1, and <w, e> = |e|."""
    e = e.clone().requires_grad_(True)
    with torch.enable_grad():
        (w,) = torch.autograd.grad(space.norm(e).sum(), e)
    return (z * w).flatten(1).sum(1)


@PAIRS.register(examples=["Translation(16)", "Translation((1, 8, 8), theta=2)"])
@dataclass(frozen=True, repr=False)
class Translation(Shaped):
    """any distribution and the same moved by theta e; W1 = theta |e|, here of two bumps and a random e"""

    theta: float = 1.0
    seed: int = 0

    def _step(self) -> Float64[Tensor, "n *event"]:
        return self.theta * _fixed(self.event, self.seed)

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        side = torch.where(torch.rand(n, generator=rng) < 0.3, -2.0, 1.0).double()
        x = _normal(n, self.event, rng) + side.view(-1, *[1] * len(self.event))
        return x, x + self._step()

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        return -_along(space, self._step(), z)

    def truth(self, space: Space) -> Truth:
        return Truth(float(space.norm(self._step())))


@PAIRS.register(examples=["Lines()", "Lines(theta=0.5)"])
@dataclass(frozen=True)
class Lines(Pair):
    """uniform on two parallel segments at distance theta (Example 1 of Wasserstein GAN); W1 = |theta| |(1, 0)|"""

    theta: float = 1.0

    __repr__ = spelled

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        x = torch.cat([torch.zeros(n, 1, dtype=torch.float64), _uniform(n, (1,), rng)], 1)
        return x, x + self._step()

    def _step(self) -> Float64[Tensor, "n *event"]:
        return torch.tensor([[self.theta, 0.0]], dtype=torch.float64)

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        return -_along(space, self._step(), z)

    def truth(self, space: Space) -> Truth:
        return Truth(float(space.norm(self._step())))


@PAIRS.register(examples=["Cone(16)", "Cone((2, 5))"])
@dataclass(frozen=True, repr=False)
class Cone(Shaped):
    """a distribution (here a normal one) and a point, the origin; W1 = E|X|, attained by the norm itself, a cone"""

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        x = _normal(n, self.event, rng)
        return x, torch.zeros_like(x)

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        return space.norm(z)


@PAIRS.register(examples=["Shrink(16)", "Shrink((1, 8, 8))"])
@dataclass(frozen=True, repr=False)
class Shrink(Shaped):
    """a distribution (here a normal one) and the same drawn towards the origin by random factors; W1 = E|X - Y|"""

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        x = _normal(n, self.event, rng)
        return x, x * _uniform(n, (1,) * len(self.event), rng)

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        return space.norm(z)


@PAIRS.register(examples=["Atoms(3, p=0.7, q=0.2)", "Atoms((1, 4, 4), p=0.1, q=0.6)"])
@dataclass(frozen=True, repr=False)
class Atoms(Shaped):
    """p and 1 - p against q and 1 - q on two points; W1 = |p - q| times their distance"""

    p: float = 0.7
    q: float = 0.2
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        if not (0 <= self.p <= 1 and 0 <= self.q <= 1):
            raise SpecError(f"Atoms: p = {self.p!r}, q = {self.q!r}; give probabilities from 0 to 1")

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        a, b = _fixed(self.event, self.seed, 2)
        u = _uniform(n, (1,) * len(self.event), rng)
        return torch.where(u < self.p, a, b), torch.where(u < self.q, a, b)

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        """The distance from b where a loses mass; from a where it gains."""
        a, b = _fixed(self.event, self.seed, 2)
        return space.norm(z - (b if self.p > self.q else a))

    def truth(self, space: Space) -> Truth:
        a, b = _fixed(self.event, self.seed, 2)
        return Truth(abs(self.p - self.q) * float(space.norm((a - b)[None])))


@PAIRS.register(examples=["Normals(mu=1, sigma=2)", "Normals(mu=-0.3, sigma=0.5)"])
@dataclass(frozen=True)
class Normals(Pair):
    """N(0, 1) and N(mu, sigma^2) on the line; W1 = the integral of |F - G| times |1| = E|mu + (sigma - 1) Z| |1|"""

    mu: float = 1.0
    sigma: float = 2.0

    def __post_init__(self):
        if not 0 <= self.sigma < math.inf:
            raise SpecError(f"Normals: sigma = {self.sigma!r}; give a standard deviation from 0 up")

    __repr__ = spelled

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        x = _normal(n, (1,), rng)
        return x, self.mu + self.sigma * x

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        """The distance from the point that the increasing map leaves where it is; falling along the moves."""
        slope = self.sigma - 1
        if slope == 0:
            return -math.copysign(1.0, self.mu) * z[:, 0] * float(space.norm(torch.ones(1, 1, dtype=z.dtype)))
        return -math.copysign(1.0, slope) * space.norm(z + self.mu / slope)

    def truth(self, space: Space) -> Truth:
        s = abs(self.sigma - 1)
        folded = abs(self.mu)
        if s > 0:
            ratio = self.mu / s
            folded = s * math.sqrt(2 / math.pi) * math.exp(-(ratio**2) / 2) + self.mu * math.erf(ratio / math.sqrt(2))
        return Truth(folded * float(space.norm(torch.ones(1, 1, dtype=torch.float64))))


@PAIRS.register(examples=["Sums(5)", "Sums((3, 2, 2))"])
@dataclass(frozen=True, repr=False)
class Sums(Shaped):
    """independent normal coordinates of other deviations, in a sum norm: W1 = sqrt(2/pi) sum w_i |s_i - t_i|"""

    seed: int = 0

    def _weights(self, space: Space) -> Float64[Tensor, "n *event"]:
        """w_i = |e_i|; TransportError where the norm is not the sum of w_i |x_i|."""
        size = math.prod(self.event)
        w = space.norm(torch.eye(size, dtype=torch.float64).view(size, *self.event)).view(self.event)
        x = _fixed(self.event, 1, 16)
        if not torch.allclose(space.norm(x), (w * x.abs()).flatten(1).sum(1), rtol=1e-9):
            raise TransportError(f"{self!r}: {space!r} is no weighted sum of |x_i|; take Lp(1), say")
        return w

    def _deviations(self) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        s, t = _fixed(self.event, self.seed, 2).abs() + 0.1
        return s, t

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        self._weights(space)
        (s, t), z = self._deviations(), _normal(n, self.event, rng)
        return s * z, t * z

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        s, t = self._deviations()
        return (self._weights(space) * (s - t).sign() * z.abs()).flatten(1).sum(1)

    def truth(self, space: Space) -> Truth:
        s, t = self._deviations()
        return Truth(math.sqrt(2 / math.pi) * float((self._weights(space) * (s - t).abs()).sum()))


@PAIRS.register(examples=["MinFunnel(16, funnels=32)", "MinFunnel((1, 8, 8), funnels=8)", "MinFunnel(2, funnels=64)"])
@dataclass(frozen=True, repr=False)
class MinFunnel(Shaped):
    """uniform on a cube, and each point moved towards the centre whose funnel min_k(|x - a_k| + b_k) it lies in

    The construction of Korotin, Kolesov, Burnaev (2022, arXiv 2206.07767), for the Euclidean norm there; it works in
    every norm. A move straight towards the centre whose funnel is lowest keeps that funnel lowest, by the triangle
    inequality, and lowers u = min_k(|x - a_k| + b_k), a 1-Lipschitz function, by exactly the distance moved. Here u
    falls from x, uniform on the cube of half side 2.5, to y = a + r (x - a), with r uniform on [0, 1].
    """

    funnels: int = 16
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        if type(self.funnels) is not int or self.funnels < 1:
            raise SpecError(f"MinFunnel: funnels = {self.funnels!r}; give a number from 1 up")

    def _centres(self, space: Space) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, " k"]]:
        rng = torch.Generator().manual_seed(self.seed)
        centres = 5 * _uniform(self.funnels, self.event, rng) - 2.5
        offsets = torch.randn(self.funnels, generator=rng, dtype=torch.float64)
        # A tenth of a side's length in the norm: more, and few funnels reach anywhere.
        return centres, 0.1 * offsets * float(space.norm(torch.ones_like(centres[:1])))

    def _lowest(
        self, z: Float64[Tensor, "n *event"], space: Space
    ) -> tuple[Float64[Tensor, " n"], Float64[Tensor, "n *event"]]:
        centres, offsets = self._centres(space)
        low, which = (space.pairwise(z, centres) + offsets).min(1)
        return low, centres[which]

    def draw(
        self, n: int, space: Space, rng: torch.Generator
    ) -> tuple[Float64[Tensor, "n *event"], Float64[Tensor, "n *event"]]:
        x = 5 * _uniform(n, self.event, rng) - 2.5
        _, a = self._lowest(x, space)
        return x, a + _uniform(n, (1,) * len(self.event), rng) * (x - a)

    def potential(self, z: Float64[Tensor, "n *event"], space: Space) -> Float64[Tensor, " n"]:
        return self._lowest(z, space)[0]
