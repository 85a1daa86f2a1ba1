"""How much of a critic in half precision a penalty in a norm can bear, so that its gradient is within 2e-2 of the true.

Rounding to bfloat16 turns one ReLU in a thousand to the other side. The penalty's gradient in the weights feels that
most where the dual norm weighs the rough part of a slope or its extremes, and then most of its error is this
(`python -m benchmarks.precision --everywhere`). Where a norm has an exponent below 1.5 in it, its dual has one above 3:
few entries of the slope rule it, and rounding makes them others.
"""

from banach.norms.structure import Leaf, leaves
from banach.operators import Bessel
from banach.slopes.slopes import Critic
from banach.spaces import Metric, Space

SHARP = 1.5
"""The exponent below which nothing of a penalty is taken in half precision."""


def for_penalty(f: Critic, space: Metric) -> Critic:
    """The critic as a penalty on its gradient sees it; one that is not in half precision is given back as it is.

    In L^2, and in Sobolev spaces W^(s,2) with |s| <= 1, that is f. In other norms it is what f's wrapper gives as
    `faithful`: activations open and close as in single precision, and the derivatives of this package's convolutions
    are computed in half (dense layers, and convolutions of torch, are in single precision there). In norms with an
    exponent below 1.5 it is `exact`: the network in single precision.
    """
    form = space.form() if isinstance(space, Space) else None
    parts = [] if form is None else list(leaves(form))
    if parts and all(_mild(leaf) for leaf in parts):
        return f
    sharp = any(leaf.p < SHARP for leaf in parts)
    return getattr(f, "exact" if sharp else "faithful", f)


def _mild(leaf: Leaf) -> bool:
    return leaf.p == 2 and all(isinstance(one, Bessel) and abs(one.s) <= 1 for one in leaf.maps)
