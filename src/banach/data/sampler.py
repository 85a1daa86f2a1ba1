"""Which rows make the next batch, exactly resumable; and the two augmentations of the source papers."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from banach import distributed
from banach.errors import DataError


class Sampler:
    """Batches of row numbers: each epoch is one permutation of 0..n-1, cut into batches without a gap.

    A batch that reaches past an epoch's end goes on in the next permutation, so every row is drawn exactly once an
    epoch for any n and batch, a batch larger than n included. The order depends on the seed alone (an own
    generator, never the global one), and `state_dict`, taken at any moment, continues it bit by bit.

    >>> sampler = Sampler(n=5, batch=3, seed=0)
    >>> sorted(torch.cat([sampler.next() for _ in range(5)]).tolist()) == sorted(3 * list(range(5)))
    True
    """

    def __init__(self, n: int, batch: int, seed: int = 0):
        if n < 1 or batch < 1:
            raise DataError(f"batches of {batch} from {n} rows cannot be drawn; both must be at least 1")
        self.n, self.batch = n, batch
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch = -1
        self._shuffle()

    def _shuffle(self) -> None:
        self._before = self._generator.get_state()  # from here the running permutation can be drawn again
        self._order = torch.randperm(self.n, generator=self._generator)
        self._epoch, self._position = self._epoch + 1, 0

    @property
    def epoch(self) -> int:
        """How many permutations have been used up."""
        return self._epoch + (self._position == self.n)

    def next(self) -> Int64[Tensor, "batch"]:
        """The rows of the next batch."""
        parts, missing = [], self.batch
        while missing:
            if self._position == self.n:
                self._shuffle()
            part = self._order[self._position : self._position + missing]
            parts.append(part)
            self._position += len(part)
            missing -= len(part)
        return torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """Numbers and one small tensor: where the order stands."""
        return {
            "n": self.n,
            "batch": self.batch,
            "epoch": self._epoch,
            "position": self._position,
            "generator": self._before.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken; DataError if it belongs to other data or another batch size."""
        if (state["n"], state["batch"]) != (self.n, self.batch):
            raise DataError(
                f"the saved order is for batches of {state['batch']} from {state['n']:,} rows, not of {self.batch} "
                f"from {self.n:,}; continue with the same data and --batch"
            )
        if not (0 <= state["position"] <= self.n and state["epoch"] >= 0):
            raise DataError(f"the saved order goes on at row {state['position']}, and there are {self.n:,}")
        self._generator.set_state(state["generator"].cpu())
        self._epoch = state["epoch"] - 1
        self._shuffle()
        self._position = state["position"]


def augment(
    x: Float[Tensor, "b *event"], rng: torch.Generator, *, flip: bool = False, dequantise: bool = False
) -> Float[Tensor, "b *event"]:
    """Images (b, c, h, w) in model units, mirrored with probability 1/2, and with the gaps of grey levels filled.

    Dequantisation is adler-j/tensordata's, written for [-1, 1]: a pixel of value k becomes 2 (k + U)/256 - 1, U uniform
    on [0, 1) for each entry, so floor(128 (x + 1)) gives k back (but for float32). Draws come from `rng` alone, for the
    joined batch of all ranks, of which each takes its rows.
    """
    if (flip or dequantise) and x.ndim != 4:
        raise DataError(f"--flip and --dequantise need images (b, c, h, w), and these data are {tuple(x.shape)}")
    if flip:
        chosen = _uniform(rng, len(x)).to(x.device) < 0.5
        x = torch.where(chosen.reshape(-1, 1, 1, 1), x.flip(-1), x)
    if dequantise:
        noise = _uniform(rng, *x.shape).to(x)
        x = (((x + 1) * 127.5).round() + noise) / 128 - 1
    return x


def _uniform(rng: torch.Generator, n: int, *event: int) -> Tensor:
    """This rank's n rows of the U(0, 1) numbers of the joined batch."""
    return distributed.share(
        torch.rand(n * distributed.world(), *event, generator=rng, device=rng.device, dtype=torch.float32)
    )
