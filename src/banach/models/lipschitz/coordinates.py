"""Coordinates in which a norm is, or is bounded by, the Euclidean one; with the constant, which is proven here.

For every norm of this package that is an L^p norm (or a product of such) behind an invertible linear map E, the
Euclidean length of E x and the norm of x bound each other. Coordinates of the dual space are those of the inverse
adjoint: pair(u, x) = coordinates(dual, u) . coordinates(space, x).
"""

import math
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from banach.spaces import AccuracyWarning, Lp, MeanFree, Metric, ModConstants, Product, Space, Weighted

Map = Callable[[Tensor], Tensor]


def coordinates(space: Metric) -> Map | None:
    """The linear map x (b, *event) to E x (b, n), None where no such map is known.

    L^p norms: x itself, flat. `Weighted(A, B)`: E_B A x. Products: the parts' coordinates one after the other. Norms of
    mean-free data: x less its mean in each channel.

    >>> from banach import Scale
    >>> E = coordinates(Weighted(Scale((1, 2)), Lp(3)))
    >>> E(torch.ones(1, 2)) if E else None
    tensor([[1., 2.]])
    """
    match space:
        case Metric(remeasured=True):
            return None
        case Lp():
            return _flat
        case MeanFree() | ModConstants():
            return lambda x: _flat(space.domain(x))
        case Weighted(A=A, B=B):
            inner = coordinates(B)
            return None if inner is None else lambda x: inner(A(x))
        case Product():
            return _side_by_side(space)
    return None


def _flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def _side_by_side(space: Product) -> Map | None:
    maps = [one for part in space.parts if (one := coordinates(part)) is not None]
    if len(maps) < len(space.parts):
        return None
    return lambda x: torch.cat([one(block) for one, block in zip(maps, space.split(x), strict=True)], 1)


def stretch(space: Metric, shape: tuple[int, ...]) -> float | None:
    """The least C with |E x|_2 <= C norm(x) that is proven for events of this shape; None without coordinates.

    L^p on n entries: 1 for p <= 2, else n^(1/2 - 1/p) (Hölder). `Weighted(A, B)`: that of B, for E_B A x is measured in
    both. Products of m parts: m^max(0, 1/2 - 1/p) times the largest of the parts'. BanachError where the space refuses
    the shape.
    """
    return _stretch(space, torch.zeros(1, *shape, dtype=torch.float64))


def _stretch(space: Metric, x: Tensor) -> float | None:
    match space:
        case Metric(remeasured=True):
            return None
        case Lp(p=p) | MeanFree(p=p) | ModConstants(p=p):
            return x[0].numel() ** _excess(p)
        case Weighted(A=A, B=B):
            return _stretch(B, A(x))
        case Product(p=p):
            parts = [_stretch(part, block) for part, block in zip(space.parts, space.split(x), strict=True)]
            known = [one for one in parts if one is not None]
            return max(known) * len(parts) ** _excess(p) if len(known) == len(parts) else None
    return None


def _excess(p: float) -> float:
    return max(0.0, 0.5 - (0.0 if p == math.inf else 1 / p))


def is_euclidean(space: Metric) -> bool:
    """Whether norm(x) = |E x|_2: L^2, Sobolev with p = 2, weighted L^2, and their products with p = 2.

    >>> from banach import Sobolev
    >>> is_euclidean(Sobolev(s=-1)), is_euclidean(Sobolev(s=-1, p=4))
    (True, False)
    """
    match space:
        case Metric(remeasured=True):
            return False
        case Lp(p=p) | MeanFree(p=p) | ModConstants(p=p):
            return p == 2
        case Weighted(B=B):
            return is_euclidean(B)
        case Product(p=p, parts=parts):
            return p == 2 and all(is_euclidean(part) for part in parts)
    return False


def steepness(space: Space, rows: Float[Tensor, "k *event"]) -> Float[Tensor, " k"]:
    """dual.norm of each row; infinite for a row that sees what the norm does not (a mean, for mean-free data).

    An upper bound of it: with what float64 loses in the maps of the dual norm, much where these are ill-conditioned.
    Of a dual norm that is computed, its upper bound; infinite where that is not as near as the space promises.
    """
    dual, event = space.dual, tuple(rows.shape[1:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AccuracyWarning)
            lengths = dual.norm(rows) / (1 - dual.tolerance(rows.dtype)) * (1 + dual.roundoff(event))
    except AccuracyWarning:
        lengths = rows.new_full((len(rows),), math.inf)
    unseen = (rows - dual.domain(rows)).flatten(1).abs().amax(1)
    rounding = 1e3 * torch.finfo(rows.dtype).eps * rows.flatten(1).abs().amax(1)
    return torch.where(unseen > rounding, math.inf, lengths + dual.rounding(rows.double()).to(lengths))
