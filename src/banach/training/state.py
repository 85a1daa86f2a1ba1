"""The state of a run: everything that training changes, in one place with one `state_dict`.

Going on from a saved state is bit-exact on a CPU, given the same versions, kind of processor and number of threads;
torch's CPU kernels need no deterministic mode for it. A plugin's network may draw from torch's global generator (as
dropout does): that is saved too, Python's and numpy's generators are not. On a GPU some kernels add in any order.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from banach.constraints import Constraint, Free
from banach.data.sampler import Sampler
from banach.errors import DataError
from banach.models.described import Latent
from banach.runs.checkpoint import CheckpointError
from banach.streams import LATENT, Streams, stream
from banach.training.averages import Averages
from banach.training.finite import FiniteGuard
from banach.training.player import Player, forward_of

_PARTS = (
    "generator", "critic", "average", "generator_optimizer", "critic_optimizer", "sampler", "streams",
    "critic_averages", "generator_averages", "facts",
)  # fmt: skip

PICTURED = 64
"""Latents that are fixed at the start, whose samples are drawn again and again."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The constants of the training itself; the defaults are those of WGAN-GP and Banach WGAN (CIFAR-10).

    `first_steps`: critic steps for each of the first 25 generator steps and every 500th (WGAN: 100); 0 is off.
    `decay_over`: generator steps over which both learning rates fall linearly to 0; 0 keeps them.
    `restart_every`: generator steps over which both fall to 0 along half a cosine, before they begin anew (SGDR,
    Loshchilov and Hutter 2017, eq. 5 with periods of one length); 0 is off.
    `optimizer`: "adam", or "rmsprop" (decay of its mean square 0.99), which does without the betas.
    `ema`: decay of the generator's moving average; 0 makes the average the generator itself.
    """

    n_critic: int = 5
    first_steps: int = 0
    batch: int = 64
    g_batch: int = 64
    lr: float = 2e-4
    g_lr: float = 2e-4
    optimizer: str = "adam"
    beta1: float = 0.0
    beta2: float = 0.9
    decay_over: int = 0
    restart_every: int = 0
    ema: float = 0.999
    flip: bool = False
    dequantise: bool = False
    precision: str = "fp32"
    constraint: Constraint = Free()  # noqa: RUF009 - frozen

    def critic_steps(self, step: int) -> int:
        """How many critic steps go before generator step `step`."""
        many = self.first_steps and (step < 25 or step % 500 == 0)
        return self.first_steps if many else self.n_critic

    def critic_steps_before(self, step: int) -> int:
        """How many critic steps go before the end of generator step `step` - 1."""
        many = min(step, 25) + max(0, step - 1) // 500 if self.first_steps else 0
        return step * self.n_critic + many * (self.first_steps - self.n_critic)

    def rate(self, step: int) -> float:
        """The factor on both learning rates at generator step `step`.

        >>> [round(Recipe(restart_every=4).rate(step), 3) for step in range(6)]
        [1.0, 0.854, 0.5, 0.146, 1.0, 0.854]
        """
        if self.restart_every:
            return 0.5 + 0.5 * math.cos(math.pi * (step % self.restart_every) / self.restart_every)
        return max(0.0, 1.0 - step / self.decay_over) if self.decay_over else 1.0

    def ema_decay(self, step: int) -> float:
        """The decay of the average at `step`: `ema`, but less at first, or the initial noise would stay in it."""
        return min(self.ema, (1 + step) / (10 + step))


@dataclass
class State:
    """The two players, random streams, sampler position and counters of one run.

    `average` is the moving average of the generator, which is what is sampled, scored and saved.
    """

    recipe: Recipe
    generator: Player
    critic: Player
    average: nn.Module
    sampler: Sampler
    streams: Streams
    latents: Tensor
    watch: FiniteGuard
    device: torch.device
    scaler: torch.amp.GradScaler
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    critic_steps: int = 0
    memory: dict[str, Tensor] = field(default_factory=dict)
    """What the game carries from one critic step to the next: multipliers, buffers, averages (`CriticTerms.memory`)."""
    facts: dict[str, float | str] = field(default_factory=dict)
    """Numbers and strings computed once from the data (gamma, lambda, their errors, the data's fingerprint)."""

    def networks(self) -> dict[str, nn.Module]:
        """All three networks by their names in a checkpoint."""
        return {"generator": self.generator.network, "critic": self.critic.network, "average": self.average}

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors, numbers and strings in dicts and lists; loads with `weights_only=True`."""
        return {
            "step": self.step,
            "images": self.images,
            "seconds": self.seconds,
            "best": self.best,
            "facts": dict(self.facts),
            "critic_steps": self.critic_steps,
            "memory": dict(self.memory),
            **self.generator.state_dict(),
            **self.critic.state_dict(),
            "average": dict(self.average.state_dict()),
            "sampler": self.sampler.state_dict(),
            "streams": self.streams.state_dict(),
            "latents": self.latents,
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> bool:
        """Go to a saved state; raises `CheckpointError` where it does not fit.

        False where the random streams could not be continued, because another kind of device saved them.
        """
        try:
            if wrong := [name for name in _PARTS if not isinstance(saved.get(name), dict)]:
                raise KeyError(f"no {', '.join(wrong)}")
            self.generator.load_state_dict(saved)
            self.critic.load_state_dict(saved)
            self.average.load_state_dict(saved["average"])
            continued = self.streams.load_state_dict(saved["streams"], saved["step"])
            self._load_rest(saved)
        except (CheckpointError, DataError):
            raise
        except Exception as error:  # what is missing or of another type fails in its own way
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise CheckpointError(
                f"the checkpoint does not fit this model: {said}\nuse the model and the plugin files it was made with"
            ) from error
        return continued

    def _load_rest(self, saved: dict[str, Any]) -> None:
        self.sampler.load_state_dict(saved["sampler"])
        if saved.get("scaler"):  # {} where the precision needs none
            self.scaler.load_state_dict(saved["scaler"])
        self.latents = saved["latents"].to(self.device)
        memory = saved.get("memory", {})  # checkpoints of format 1 have neither of the two
        self.memory = {name: value.to(self.device, copy=True) for name, value in memory.items()}
        self.critic_steps = int(saved.get("critic_steps", self.recipe.critic_steps_before(saved["step"])))
        self.facts = dict(saved["facts"])
        self.step, self.images = int(saved["step"]), int(saved["images"])
        self.seconds, self.best = float(saved["seconds"]), float(saved["best"])


def new_state(
    generator: nn.Module,
    critic: nn.Module,
    sampler: Sampler,
    recipe: Recipe = Recipe(),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> State:
    """The state before the first step. `generator` needs an attribute `z`, the dimension of its latents."""
    device = torch.device(device)
    recipe.constraint.prepare(critic)
    generator, critic = generator.to(device).train(), critic.to(device).train()
    streams = Streams(seed, device)
    dtype = next(generator.parameters()).dtype
    shape = PICTURED, _latent_dimension(generator)
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
    latents = torch.randn(shape, generator=stream("cpu", seed, LATENT, "pictures"), dtype=dtype)
    return State(
        recipe=recipe,
        generator=Player(
            "generator",
            generator,
            _optimizer(generator, recipe.g_lr, recipe, device),
            Averages(device),
            forward_of(generator, recipe.precision),
        ),
        critic=Player(
            "critic",
            critic,
            _optimizer(critic, recipe.lr, recipe, device),
            Averages(device),
            forward_of(critic, recipe.precision, scaler),
        ),
        average=deepcopy(generator).eval().requires_grad_(False),
        sampler=sampler,
        streams=streams,
        latents=latents.to(device),
        watch=FiniteGuard(device, scaler),
        device=device,
        scaler=scaler,
    )


def _optimizer(network: nn.Module, lr: float, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr, alpha=0.99)
    # Fused is the fastest of torch's three on a CPU too (measured: 1/3 to 1/14 of the time), and exact across a resume.
    fused = device.type in ("cpu", "cuda")
    return torch.optim.Adam(network.parameters(), lr, betas=(recipe.beta1, recipe.beta2), fused=fused)


def _latent_dimension(generator: nn.Module) -> int:
    if isinstance(generator, Latent) and isinstance(generator.z, int):
        return generator.z
    raise TypeError(
        f"{type(generator).__name__}: a generator says the dimension of its latents as `.z`, a whole number"
    )
