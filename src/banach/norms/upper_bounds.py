"""Upper bounds of dual norms: a split of u into parts, each measured by the dual norm of one part of the norm."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from banach.norms.gram import diagonal
from banach.norms.structure import BoundLeaf, Leaf, Node, atoms, nested_dual


def split_bound(
    composition: Node,
    counts: list[int],
    nest_bounds: Sequence[BoundLeaf],
    z: list[Tensor],
    u: Float[Tensor, "b *event"],
) -> Float[Tensor, " b"]:
    """The upper bound from duals: what they leave of u goes to one of the parts, whichever makes the bound least.

    A space takes what is left as it is. A leaf takes it where a division solves K* y = rest.
    """
    members = list(atoms(composition))
    parts, at = [], 0
    for count in counts:
        parts.append(sum(nest_bounds[j].back(z[j]) for j in range(at, at + count)))
        at += count
    firsts = [sum(counts[:i]) for i in range(len(counts))]
    values = [
        nest_bounds[first].dual_measure(z[first]) if isinstance(atom, Leaf) else atom.dual.norm(part)
        for atom, part, first in zip(members, parts, firsts, strict=True)
    ]
    best = torch.full_like(u.flatten(1)[:, 0], math.inf)
    for i, (atom, first) in enumerate(zip(members, firsts, strict=True)):
        own = u - sum([*parts[:i], *parts[i + 1 :]])  # not parts[i] + rest: what cancels in that would round it
        if not isinstance(atom, Leaf):
            taken = atom.dual.norm(own)
        elif (gram := diagonal(atom, tuple(u.shape[1:]))) is not None:
            taken = _completed(nest_bounds[first], z[first], own, gram.to(u))
        else:
            continue
        best = torch.minimum(best, nested_dual(composition, iter([*values[:i], taken, *values[i + 1 :]])))
    return best


def _completed(
    one: BoundLeaf, z: Float[Tensor, "b m"], u: Float[Tensor, "b *event"], gram: Tensor
) -> Float[Tensor, " b"]:
    """The dual norm of z + y with K* (z + y) = u, where K* K is diagonal; and of what rounding still leaves of u.

    Duals of an iteration that went far may cancel under K*: once completed they are off by rounding of their size, and
    would be no bound. The second time what is left is of the size of the sum.
    """
    for _ in range(2):
        z = z + one.image((u - one.back(z)) / gram)
    return one.dual_measure(z) + one.dual_measure(one.image((u - one.back(z)) / gram))
