"""The named random streams of a run: a further draw from one does not change the others."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from banach import distributed

LATENT, PENALTY, AUGMENT = "latent", "penalty", "augment"
_GLOBAL = "global"


def seed_of(*parts: object) -> int:
    """A seed that belongs to these parts (a run's seed, a purpose, a step) and to no others."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(device: torch.device | str, *parts: object) -> torch.Generator:
    """A generator on `device`, seeded by `parts`."""
    return torch.Generator(device=device).manual_seed(seed_of(*parts))


class Streams:
    """The random streams of one run: latents, penalty points, augmentation, and what layers such as dropout draw.

    The last comes from torch's global generator; `borrowed` lends it the run's own state and gives the caller's back.
    All but the last are drawn by all processes alike, for the joined batch, of which each uses its share: one state is
    that of any number of processes. What layers draw is each process's own, anew in each step.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self.seed = seed
        self.device = torch.device(device)
        self._named = {name: stream(self.device, seed, name) for name in (LATENT, PENALTY, AUGMENT)}
        self._global = stream("cpu", seed, _GLOBAL).get_state()

    def __getitem__(self, name: str) -> torch.Generator:
        return self._named[name]

    @contextmanager
    def borrowed(self, step: int = 0) -> Iterator[None]:
        """Inside, torch's global CPU generator is this run's; the caller's state comes back afterwards.

        The first process goes on in its stream from step to step, and a checkpoint holds its position. The others begin
        a stream of their own at every step: so a resumed run needs to know nothing of theirs.
        """
        outside = torch.get_rng_state()
        if distributed.rank():
            torch.default_generator.manual_seed(seed_of(self.seed, _GLOBAL, step, distributed.rank()))
        else:
            torch.set_rng_state(self._global)
        try:
            yield
        finally:
            if not distributed.rank():
                self._global = torch.get_rng_state()
            torch.set_rng_state(outside)

    def state_dict(self) -> dict[str, object]:
        """The position of every stream."""
        named = {name: one.get_state() for name, one in self._named.items()}
        return {"device": self.device.type, "seed": self.seed, **named, _GLOBAL: self._global}

    def load_state_dict(self, saved: dict[str, object], step: int) -> bool:
        """Go to the saved positions; False, with fresh streams, where another kind of device saved them."""
        same = saved["device"] == self.device.type
        for name, one in self._named.items():
            if same:
                one.set_state(_tensor(saved[name]))
            else:
                one.manual_seed(seed_of(self.seed, name, step))
        self._global = _tensor(saved[_GLOBAL])
        return same


def _tensor(value: object) -> Tensor:
    assert isinstance(value, Tensor)
    return value
