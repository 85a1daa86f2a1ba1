"""Properties of a norm, from its form alone: Euclidean or not, coordinates, stretch, negative type, radius, length.

`Metric.form()` says a norm as nested p-norms of linear images. Whoever tells it, by a class of this package or of their
own, gets the same answers here; where it is not told, the answer is the one that holds for every norm.
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.structure import Block, Form, Image, Leaf, MeanRemoval, Node, bind, leaves
from banach.numerics import p_norm, unit_vectors
from banach.operators import Bessel, Compose, Matrix, Operator, Scale, Wavelet
from banach.operators.operator import Event
from banach.spaces.computed import AccuracyWarning
from banach.spaces.metric import Metric, Space

Map = Callable[[Tensor], Tensor]


def untold(space: Metric) -> str:
    """A hint for messages where `form()` is not given; "" where it is."""
    return " (it defines no form(), which would tell)" if space.form() is None else ""


def is_euclidean(space: Metric) -> bool:
    """Whether the norm is known to be |E x|_2 in its coordinates: no exponent in its form is other than 2.

    >>> from banach.spaces import Lp, Product
    >>> is_euclidean(Lp(2)), is_euclidean(Product(3, (Lp(2), Lp(2)), (1, 1)))
    (True, False)
    """
    return _all_of((2.0,), space.form())


def _all_of(exponents: tuple[float, ...], form: Form | None) -> bool:
    if form is None or form.p not in exponents:
        return False
    return isinstance(form, Leaf) or all(_all_of(exponents, part) for part in form.parts)


def coordinates(space: Metric) -> Map | None:
    """The linear map x (b, *event) to E x (b, n), the images of all leaves side by side; None without a form.

    >>> from banach import Lp, Scale, Weighted
    >>> E = coordinates(Weighted(Scale((1, 2)), Lp(3)))
    >>> E(torch.ones(1, 2)) if E else None
    tensor([[1., 2.]])
    """
    form = space.form()
    if form is None:
        return None
    parts = [functools.partial(_image, leaf.maps) for leaf in leaves(form)]
    return parts[0] if len(parts) == 1 else lambda x: torch.cat([part(x) for part in parts], 1)


def map_of_events(space: Metric) -> Map | None:
    """The map E (b, *event) to (b, *event) of a norm |E x|_p; None for other norms, and where E is the identity.

    >>> from banach import Lp, Scale, Weighted
    >>> E = map_of_events(Weighted(Scale((1, 2)), Lp(3)))
    >>> E(torch.ones(1, 2, 1)).shape if E else None, map_of_events(Lp(2))
    (torch.Size([1, 2, 1]), None)
    """
    form = space.form()
    if not isinstance(form, Leaf) or not form.maps or not all(isinstance(one, Operator) for one in form.maps):
        return None
    maps = form.maps
    return lambda x: functools.reduce(lambda h, one: one(h), maps, x)


def _image(maps: tuple[Operator | Image, ...], x: Tensor) -> Tensor:
    for one in maps:
        x = one(x)
    return x.flatten(1)


def stretch(space: Metric, event: Event) -> float | None:
    """The least C with |E x|_2 <= C norm(x) that is proven for events of this shape; None without coordinates.

    A leaf of n numbers: 1 for p <= 2, else n^(1/2 - 1/p) (Hölder). A node of m parts: m^max(0, 1/2 - 1/p) times the
    largest of the parts'. BanachError where the space refuses the shape.
    """
    form = space.form()
    return None if form is None else _stretch(form, iter([one.size for one in bind(form, event)]))


def _stretch(form: Form, sizes: Iterator[int]) -> float:
    if isinstance(form, Leaf):
        return next(sizes) ** _excess(form.p)
    return max([_stretch(part, sizes) for part in form.parts]) * len(form.parts) ** _excess(form.p)


def _excess(p: float) -> float:
    return max(0.0, 0.5 - 1 / p)


def dual_coordinates(space: Metric, event: Event) -> Map | None:
    """The linear map u to E* u with pair(u, x) = E* u . E x for all x in the norm's domain; None where none is known.

    It is the inverse adjoint of E: of a leaf behind invertible maps, and of parts that measure blocks of their own.
    """
    form = space.form()
    return None if form is None else _dual_map(form, event)


def _dual_map(form: Form, event: Event) -> Map | None:
    if isinstance(form, Leaf):
        inverses = [_inverse_adjoint(one) for one in form.maps]
        known = [one for one in inverses if one is not None]
        return functools.partial(_image, tuple(known)) if len(known) == len(inverses) else None
    blocks = blocks_of(form, event)
    if blocks is None:
        return None
    maps = [(block, _dual_map(part, _event_of(block, event))) for block, part in blocks]
    known = [(block, one) for block, one in maps if one is not None]
    if len(known) < len(maps):
        return None
    return lambda u: torch.cat([one(block(u)) for block, one in known], 1)


def _inverse_adjoint(map_: Operator | Image) -> Operator | Image | None:
    if isinstance(map_, Operator):
        return map_.inverse.adjoint
    return map_ if isinstance(map_, MeanRemoval) else None  # a projection, on the data that the norm sees


def blocks_of(node: Node, event: Event) -> list[tuple[Block, Form]] | None:
    """The parts of a node, each with the block that it alone measures; None unless the blocks share all entries out.

    The form of a part is that of the norm on its block.
    """
    found, at = [], 0
    for part in node.parts:
        first = {leaf.maps[0] if leaf.maps else None for leaf in leaves(part)}
        block = first.pop()
        if first or not isinstance(block, Block) or block.start != at:
            return None
        found.append((block, _less_first(part)))
        at += block.count
    return found if at == event[0] else None


def _less_first(form: Form) -> Form:
    if isinstance(form, Leaf):
        return Leaf(form.p, form.maps[1:])
    return Node(form.p, tuple(_less_first(part) for part in form.parts))


def _event_of(block: Block, event: Event) -> Event:
    return (block.count, *event[1:]) if block.shape is None else block.shape


def euclidean_length(space: Metric, event: Event) -> float | None:
    """The least known C with |x|_2 <= C norm(x) for events of this shape; None if none is known.

    Of a leaf, Hölder's constant times the l^2 norm of the inverse of its maps; of parts with blocks of their own, the
    largest of theirs (times m^max(0, 1/2 - 1/p)); of parts that all measure x, the least.
    """
    form = space.form()
    return None if form is None else _length(form, event)


def _length(form: Form, event: Event) -> float | None:
    if isinstance(form, Leaf):
        inverse = _inverse_norm(form.maps, event)
        return None if inverse is None else inverse * math.prod(event) ** _excess(form.p)
    blocks = blocks_of(form, event)
    if blocks is None:
        each = [one for part in form.parts if (one := _length(part, event)) is not None]
        return min(each, default=None)
    parts = [_length(part, _event_of(block, event)) for block, part in blocks]
    known = [one for one in parts if one is not None]
    return max(known) * len(parts) ** _excess(form.p) if len(known) == len(parts) else None


def _inverse_norm(maps: tuple[Operator | Image, ...], event: Event) -> float | None:
    """The l^2 norm of the inverse of maps, or a bound of it; None for maps of a kind unknown here."""
    x = torch.zeros(1, *event, dtype=torch.float64)
    norms = [_inverse_l2_norm(one, x) if isinstance(one, Operator) else None for one in maps]
    known = [one for one in norms if one is not None]
    return math.prod(known) if len(known) == len(norms) else None


def _inverse_l2_norm(A: Operator, x: Tensor) -> float | None:
    match A:
        case Compose(maps=maps):
            return _inverse_norm(maps, tuple(x.shape[1:]))
        case Scale():
            return float(A.inverse(torch.ones_like(x)).abs().max())
        case Matrix():
            found = torch.linalg.matrix_norm(A.inverse(torch.eye(len(A.values.values), dtype=x.dtype)), ord=2)
            off = A.inverse.rounding(tuple(x.shape[1:]))
            return float(found) * (1 + off.relative) + off.absolute
        case Bessel(homogeneous=False):
            return A.inverse.largest(tuple(x.shape[1:]))
        case Wavelet():
            return A.inverse.largest(tuple(x.shape[1:]))
    return None


def box_radius(space: Space, event: Event) -> float:
    """An upper bound of norm(z) over all z with entries in [-1, 1].

    Of a leaf |K z|_p: |sum_i |K e_i||_p over the unit vectors e_i, which is attained for masks and for p = inf; or, for
    p = 2 behind one filter, its largest multiplier times sqrt(n). Nodes: the p-norm of the parts'. Without a form: the
    sum of the norms of the unit vectors, by the triangle inequality (loose).
    """
    form = space.form()
    if form is None:
        return float(sum(space.norm(units).sum() for units in unit_vectors(event)))
    space.norm(torch.zeros(1, *event, dtype=torch.float64))  # refuses an event that it does not fit
    radii = iter([_radius(leaf, event) for leaf in leaves(form)])
    return _nested(form, radii)


def _nested(form: Form, values: Iterator[float]) -> float:
    if isinstance(form, Leaf):
        return next(values)
    parts = torch.tensor([[_nested(part, values) for part in form.parts]], dtype=torch.float64)
    return float(p_norm(parts, form.p))


def _radius(leaf: Leaf, event: Event) -> float:
    n = math.prod(event)
    if not leaf.maps:
        return n ** (1 / leaf.p)
    if all(isinstance(one, Scale | Block) for one in leaf.maps):  # each entry of the image is a multiple of one of z
        return float(p_norm(_image(leaf.maps, torch.ones(1, *event, dtype=torch.float64)).abs(), leaf.p))
    sizes = sum(_image(leaf.maps, units).abs().sum(0) for units in unit_vectors(event))
    assert isinstance(sizes, Tensor), "there is a unit vector at least"
    found = float(p_norm(sizes[None], leaf.p))
    match leaf:
        case Leaf(p=2.0, maps=(Bessel(homogeneous=False) as A,)):
            return min(found, A.largest(event) * n**0.5)
    return found


def cell_volume(space: Metric, event: Event) -> float:
    """The volume of a cell where the norm is one of functions of physical extent (`length=`), the same in all parts.

    There an array u stands for the functional x -> sum(u * x), and one that is a function for x -> volume * sum(u * x),
    the integral of the product. 1 for all other norms.

    >>> from banach import Lp, Sobolev
    >>> cell_volume(Sobolev(s=-1, length=2), (1, 4, 8)), cell_volume(Sobolev(s=-1), (1, 4, 8)), cell_volume(Lp(2), (3,))
    (0.125, 1.0, 1.0)
    """
    form = space.form()
    if form is None or any(isinstance(one, Block) for leaf in leaves(form) for one in leaf.maps):
        return 1.0
    volumes = {_volume(leaf, event[1:]) for leaf in leaves(form)}
    return volumes.pop() if len(volumes) == 1 else 1.0


def _volume(leaf: Leaf, spatial: Event) -> float:
    for one in leaf.maps:
        if isinstance(one, Bessel) and one.length is not None and one.cell == (1 / leaf.p if leaf.p < math.inf else 0):
            lengths = one.length if isinstance(one.length, tuple) else (one.length,) * len(spatial)
            return math.prod(length / n for length, n in zip(lengths, spatial, strict=True))
    return 1.0


def negative_type(space: Metric, largest: float = 2.0, least: float = 1.0) -> bool:
    """Whether the norm is known to be of negative type: it embeds into L^1.

    L^q embeds into L^p for 1 <= p <= q <= 2, so p-norms with p up to 2 of such parts with exponents from p to 2 do.
    """
    form = space.form()
    return form is not None and _embeds(form, largest, least)


def _embeds(form: Form, largest: float, least: float) -> bool:
    if not least <= form.p <= largest:
        return False
    return isinstance(form, Leaf) or all(_embeds(part, largest, form.p) for part in form.parts)


def blind_spot(space: Metric) -> str:
    """What an energy distance of 0 leaves open in a norm of negative type, in words; "" where it means equality.

    >>> from banach import Lp
    >>> blind_spot(Lp(1.5)), blind_spot(Lp(1))
    ('', 'sees each part of a sample by itself, not how the parts go together')
    """
    if negative_type(space) and not negative_type(space, least=math.nextafter(1, 2)):
        return "sees each part of a sample by itself, not how the parts go together"
    return ""


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
