"""Stops a run before a loss or a gradient that is not finite reaches the weights."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from banach.training.player import Player

LEAST_SCALE = 2.0**-10
"""The scale of float16 losses starts at 2^16, and each overflow halves it: below this, all updates have failed."""


class NotFinite(ArithmeticError):
    """A loss or gradient became NaN or infinite; `step` and `term` say where. The weights are those before it."""

    def __init__(self, step: int, term: str):
        super().__init__(f"not finite: {term} at step {step:,}")
        self.step = step
        self.term = term


class FiniteGuard:
    """Looks at every loss and gradient before the optimizer does.

    On the CPU it raises at once. On a CUDA device, where asking would make every step wait for the host, it makes the
    optimizer skip this update and all later ones (the fused optimizers' `found_inf`), and `check`, called at log lines
    and before every checkpoint, raises.

    With an enabled scaler (float16) gradients may overflow now and then: the scaler skips such an update and takes a
    smaller scale, so only losses are looked at, and whether the scale has become hopeless.
    """

    def __init__(self, device: torch.device | str, scaler: torch.amp.GradScaler | None = None):
        self.deferred = torch.device(device).type == "cuda"
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._step = 0
        self._fault = torch.zeros((), dtype=torch.int64, device=device)  # 0, or 1 + 2 step + (0 critic | 1 generator)

    def before_update(self, player: Player, terms: Mapping[str, Tensor], step: int) -> None:
        """Raise `NotFinite`, or (on CUDA) mask the update to come, if a term or a gradient of `player` is not finite.

        `terms`: the loss and its parts, 0-dimensional; the parts are there to be named.
        """
        self._step = step
        gradients = [one.grad for one in player.network.parameters() if one.grad is not None and self._scaler is None]
        if self.deferred:
            code = 1 + 2 * step + (player.name == "generator")
            self._mask(player.optimizer, _all_finite([*terms.values(), *gradients]), code)
        elif not _all_finite([*terms.values(), *gradients]):
            raise NotFinite(step, _blame(player.name, player.network, terms))

    def _mask(self, optimizer: torch.optim.Optimizer, finite: Tensor, code: int) -> None:
        first = (self._fault == 0) & ~finite
        self._fault = torch.where(first, code, self._fault)
        optimizer.found_inf = (self._fault != 0).float()  # pyright: ignore[reportAttributeAccessIssue]

    def check(self) -> None:
        """Raise `NotFinite` if an update had to be masked; this waits for the device."""
        if self.deferred and (fault := int(self._fault.item())):
            step, generator = divmod(fault - 1, 2)
            raise NotFinite(step, f"the {'generator' if generator else 'critic'}'s loss or gradient")
        if self._scaler is not None and self._scaler.get_scale() < LEAST_SCALE:
            raise NotFinite(self._step, f"the gradients in float16 at every scale down to {LEAST_SCALE:g}")


def _all_finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether all entries are finite: by one norm, which is finite only then (and, below 1e19, always then)."""
    tensors = list(tensors)
    finite = torch.isfinite(get_total_norm(tensors, norm_type=2.0))
    if finite.device.type == "cpu" and not finite:
        return torch.stack([torch.isfinite(one).all() for one in tensors]).all()  # was it the norm that overflowed?
    return finite


def _blame(player: str, network: nn.Module, terms: Mapping[str, Tensor]) -> str:
    for name, value in terms.items():
        if name != "loss" and not torch.isfinite(value).all():
            return f"the {player}'s {name.replace('_', ' ')}"
    for name, one in network.named_parameters():
        if one.grad is not None and not torch.isfinite(one.grad).all():
            return f"the gradient of the {player}'s {name}"
    return f"the {player}'s loss"
