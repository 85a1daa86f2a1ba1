"""What convolutions see beyond the border of a field: zeros, the other end of the axis, or a mirror image."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError

PADDINGS = ("zero", "periodic", "reflect")

Padding = tuple[str, ...]
"""One word for each spatial axis; () is zeros on all of them."""


class Padded(nn.Module):
    """A layer, or a network, whose result depends on what lies beyond the border of a field."""

    padding: Padding = ()


def padded(x: Float[Tensor, "b c *n"], padding: Padding, width: int) -> Float[Tensor, "b c *m"]:
    """x with `width` more places at both ends of each spatial axis.

    "periodic" takes them from the other end, "reflect" mirrors x at the border, its first and last place repeated, as
    the even boundary of Sobolev norms does. Linear in x. ModelError where an axis is shorter than `width`.

    >>> x = torch.tensor([[[1.0, 2, 3]]])
    >>> padded(x, ("periodic",), 2), padded(x, ("reflect",), 2)
    (tensor([[[2., 3., 1., 2., 3., 1., 2.]]]), tensor([[[2., 1., 1., 2., 3., 3., 2.]]]))
    """
    if not width:
        return x
    for axis, word in enumerate(padding, 2):
        n = x.shape[axis]
        if n < width:
            raise ModelError(f"padding: {word} takes {width} places from an axis of {n}; take --padding zero")
        first, last = x.narrow(axis, 0, width), x.narrow(axis, n - width, width)
        if word == "zero":
            before = after = torch.zeros_like(first)
        else:
            before, after = (last, first) if word == "periodic" else (first.flip(axis), last.flip(axis))
        x = torch.cat([before, x, after], axis)
    return x


def checked(padding: str | Sequence[str], axes: int) -> Padding:
    """One word for each of so many axes, () if all are zero; one word stands for all axes. ModelError if it cannot be.

    >>> checked("periodic", 2), checked(("periodic", "reflect"), 2), checked("zero", 3)
    (('periodic', 'periodic'), ('periodic', 'reflect'), ())
    """
    words = (padding,) if isinstance(padding, str) else tuple(padding)
    if unknown := [one for one in words if one not in PADDINGS]:
        raise ModelError(f"padding: {unknown[0]!r} is none of {', '.join(PADDINGS)}")
    if not {*words} - {"zero"}:
        return ()
    if len(words) == 1:
        words *= axes
    if len(words) != axes:
        shown = ",".join(words)
        raise ModelError(f"padding: {len(words)} words, {shown}, for {axes} axes in space or time; give one, or {axes}")
    return words


def set_padding_(network: nn.Module, padding: str | Sequence[str], axes: int) -> bool:
    """Let all convolutions of a network see this beyond the border; False if it has none that can."""
    words = checked(padding, axes)
    found = [one for one in network.modules() if isinstance(one, Padded)]
    for one in found:
        one.padding = words
    return bool(found)
