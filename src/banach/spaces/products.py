"""Norms of data that consist of parts: the p-norm of the parts' norms."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.norms.structure import Block, Node, behind
from banach.numerics import Exponent, p_norm
from banach.operators.operator import Event
from banach.spaces.metric import SPACES, Space
from banach.specs import Source, SpecError, spell_call


@SPACES.register(
    examples=[
        "Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))",
        "Product(1, (Lp(2), Lp(4)), (2, 1))",
        "Product(inf, (Sobolev(s=1), Lp(1)), (1, 2))",
        "Product(1.5, (Sobolev(s=-1), Lp(1)), ((1, 4, 4), (10,)))",
    ],
    source=Source("Adler and Lunz 2018 (Banach WGAN)", "appendix A"),
)
@dataclass(frozen=True, repr=False)
class Product(Space):
    """The p-norm of the parts' norms (Banach WGAN, appendix A); the dual has q and the parts' duals.

    `sizes` says where the parts are. Channel counts, such as (1, 2): the parts are groups of channels on a common grid,
    data (b, 3, *spatial). Event shapes, such as ((1, 28, 28), (10,)): data are flat, (b, 794), and each block is
    reshaped for its own norm, so that an image and a vector can be one sample.
    """

    p: float
    parts: tuple[Space, ...]
    sizes: tuple[int, ...] | tuple[tuple[int, ...], ...]

    def __post_init__(self):
        object.__setattr__(self, "p", Exponent(self.p, f"Product({self.p}, …)"))
        good = isinstance(self.parts, tuple) and isinstance(self.sizes, tuple) and self.parts
        if not good or len(self.parts) != len(self.sizes) or not all(isinstance(one, Space) for one in self.parts):
            raise SpecError(
                f"Product: parts {self.parts!r} and sizes {self.sizes!r} do not match; "
                "give as many of each, as in Product(2, (Lp(1), Lp(2)), (1, 2))"
            )
        kinds = {type(one) for one in self.sizes}
        counts = [count for one in self.sizes for count in (one if isinstance(one, tuple) else (one,))]
        if kinds not in ({int}, {tuple}) or any(type(count) is not int or count < 1 for count in counts):
            raise SpecError(
                f"Product: sizes {self.sizes!r}; give channel counts (1, 2), or shapes ((1, 28, 28), (10,))"
            )

    def __repr__(self) -> str:
        return spell_call("Product", (self.p, self.parts, self.sizes))

    @property
    def emphasis(self) -> str:
        return "each part in its own norm: " + "; ".join(part.emphasis for part in self.parts)

    def split(self, x: Float[Tensor, "b *event"]) -> list[Tensor]:
        """The blocks of x, one for each part and in its shape; BanachError where the sizes do not fit."""
        counts = [one if isinstance(one, int) else math.prod(one) for one in self.sizes]
        if sum(counts) != x.shape[1] or (isinstance(self.sizes[0], tuple) and x.ndim != 2):
            what = "channels" if isinstance(self.sizes[0], int) else "entries, flat as (b, n)"
            raise BanachError(f"{self!r} needs {sum(counts)} {what}; the data are {tuple(x.shape)}")
        blocks = zip(x.split(counts, 1), self.sizes, strict=True)
        return [block if isinstance(size, int) else block.reshape(-1, *size) for block, size in blocks]

    def norm(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, " b"]:
        norms = [part.norm(block) for part, block in zip(self.parts, self.split(x), strict=True)]
        return p_norm(torch.stack(norms, 1), self.p)

    @property
    def dual(self) -> "Product":
        return Product(Exponent(self.p).dual, tuple(part.dual for part in self.parts), self.sizes)

    def tolerance(self, dtype: torch.dtype) -> float:
        return max(part.tolerance(dtype) for part in self.parts)

    def form(self) -> Node | None:
        counts = [one if isinstance(one, int) else math.prod(one) for one in self.sizes]
        parts, at = [], 0
        for part, size, count in zip(self.parts, self.sizes, counts, strict=True):
            block = Block(at, count, None if isinstance(size, int) else size)
            at += count
            if (inner := part.form()) is None:
                return None
            parts.append(behind(inner, block))
        return Node(self.p, tuple(parts))

    @property
    def mapped(self) -> bool:
        return any(part.mapped for part in self.parts)

    def rounding(self, x: Float[Tensor, "b *event"], off: Float[Tensor, " b"] | None = None) -> Float[Tensor, " b"]:
        parts = [part.rounding(block, off) for part, block in zip(self.parts, self.split(x), strict=True)]
        return p_norm(torch.stack(parts, 1), self.p)

    def roundoff(self, event: Event) -> float:
        if self.form() is not None:
            return super().roundoff(event)
        blocks = self.split(torch.zeros(1, *event))
        return sum(part.roundoff(tuple(one.shape[1:])) for part, one in zip(self.parts, blocks, strict=True))

    def domain(self, x: Float[Tensor, "b *event"]) -> Float[Tensor, "b *event"]:
        blocks = [part.domain(block) for part, block in zip(self.parts, self.split(x), strict=True)]
        return torch.cat([block.reshape(len(x), -1) for block in blocks], 1).view_as(x)
