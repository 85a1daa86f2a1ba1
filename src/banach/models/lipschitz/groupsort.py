"""GroupSort, an activation that preserves gradient norms (Anil, Lucas and Grosse 2019, section 4.1)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banach.errors import ModelError


class GroupSort(nn.Module):
    """Sorts neighbouring features (axis 1) in groups; 1-Lipschitz in every l^p norm, and its gradient loses no length.

    `group` features at a time (2: MaxMin), or all of them for 0; what is left at the end of an axis that `group` does
    not divide stays as it is. Sorting moves entries and changes none, so all l^p norms of a difference can but shrink.

    >>> GroupSort(2)(torch.tensor([[3.0, 1.0, 2.0, 5.0, 4.0]]))
    tensor([[1., 3., 2., 5., 4.]])
    """

    def __init__(self, group: int = 2):
        super().__init__()
        if group < 0:
            raise ModelError(f"GroupSort of {group} features: choose 2 or more, or 0 for all of them")
        self.group = group

    def forward(self, h: Float[Tensor, "b c *n"]) -> Float[Tensor, "b c *n"]:
        group = self.group or h.shape[1]
        whole = h.shape[1] // group * group
        sorted_part = _sorted(h[:, :whole].unflatten(1, (-1, group)), group) if whole else h[:, :0]
        return sorted_part if whole == h.shape[1] else torch.cat([sorted_part, h[:, whole:]], 1)

    def extra_repr(self) -> str:
        return str(self.group or "all")


def _sorted(h: Tensor, group: int) -> Tensor:
    """h (b, groups, group, *n) with each group in increasing order, and the groups joined again."""
    if group == 2:
        a, b = h.unbind(2)
        return torch.stack([torch.minimum(a, b), torch.maximum(a, b)], 2).flatten(1, 2)
    return h.sort(2).values.flatten(1, 2)
