"""Where a step's time goes (`banach train --profile`): seconds by part, arithmetic by count, and the machine's peak."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from rich.console import Console as RichConsole
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from banach.game import Game
from banach.penalties import Cost, SoftConstraint
from banach.slopes import Critic
from banach.slopes.slopes import Memory, Noise
from banach.spaces import Metric
from banach.training.build import Built
from banach.training.loop import train
from banach.training.player import HALF
from banach.training.state import State
from banach.training.steps import EAGER, Steps

P = ParamSpec("P")
T = TypeVar("T")

DATA, FAKES, SCORES, PENALTY = "data", "generator forward", "critic forward", "penalty forward"
CRITIC, GENERATOR = "critic backward", "generator's step backward"
UPDATE, AVERAGE = "optimizer, checks and means", "moving average"
PARTS = (DATA, FAKES, SCORES, PENALTY, CRITIC, GENERATOR, UPDATE, AVERAGE)
"""The parts of a generator step with its critic steps, in the order in which they come."""


@dataclass(frozen=True)
class Profile:
    """Seconds of a generator step with its critic steps, as a whole and by part; arithmetic in sums and products.

    `peak` is the best rate of a 3x3 convolution of 128 channels on this device, in the run's precision and threads.
    """

    seconds: float
    parts: dict[str, float]
    operations: float
    peak: float

    @property
    def rate(self) -> float:
        """Operations a second that the step achieves."""
        return self.operations / self.seconds

    def as_json(self) -> dict[str, Any]:
        """All figures by name."""
        return {**asdict(self), "rate": self.rate, "share_of_peak": self.rate / self.peak}

    def show(self) -> str:
        """A table for people."""
        table = Table(title=f"a generator step with its critic steps: {1e3 * self.seconds:,.1f} ms")
        table.add_column("part")
        for name in ("ms", "share"):
            table.add_column(name, justify="right")
        for name, seconds in self.parts.items():
            table.add_row(name, f"{1e3 * seconds:,.2f}", f"{seconds / self.seconds:.1%}")
        console = RichConsole(width=80, no_color=True)
        with console.capture() as text:
            console.print(table)
        achieved = f"{self.operations / 1e9:,.2f} GFLOP a step, {self.rate / 1e9:,.1f} GFLOP/s"
        best = f"{self.peak / 1e9:,.0f} GFLOP/s, the best rate of a 3x3 convolution here"
        return f"{text.get()}{achieved}: {self.rate / self.peak:.0%} of {best}"


class Clock:
    """Seconds by part. A part within another counts for itself alone, but within the penalty all is the penalty's."""

    def __init__(self, device: torch.device):
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._device = device
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The time inside belongs to `name`."""
        if PENALTY in self._open:
            yield
            return
        self._book()
        self._open.append(name)
        try:
            yield
        finally:
            self._book()
            self._open.pop()

    def around(self, name: str, work: Callable[P, T]) -> Callable[P, T]:
        """The same work, whose time belongs to `name`."""

        def timed(*given: P.args, **named: P.kwargs) -> T:
            with self.part(name):
                return work(*given, **named)

        return timed

    def _book(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


class Operations(TorchDispatchMode):
    """Counts the arithmetic inside by PyTorch's formulas; its own `FlopCounterMode` does not bear an inner gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=found)
        return found


@dataclass(frozen=True)
class Timed(SoftConstraint):
    """A soft constraint whose costs are timed."""

    inner: SoftConstraint
    clock: Clock

    @property
    def weight(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inner.weight

    @property
    def needs_dual(self) -> bool:
        return self.inner.needs_dual

    @property
    def bounds_slopes(self) -> bool:
        return self.inner.bounds_slopes

    def draw(self, real: Tensor, rng: torch.Generator | None) -> Noise:
        return self.inner.draw(real, rng)

    def cost(self, f: Critic, real: Tensor, fake: Tensor, space: Metric, noise: Noise, memory: Memory) -> Cost:
        with self.clock.part(PENALTY):
            return self.inner.cost(f, real, fake, space, noise, memory)


def profile(built: Built, warm_up: int = 2, steps: int = 5, batch: int = 64) -> Profile:
    """Train some steps, time the parts of more, and count one step's arithmetic; the state is not to be used after it.

    The figures are those of the step that took the median time; `batch` is that of the convolutions of the peak.
    """
    state, clock = built.state, Clock(built.state.device)
    game, parts = timed(state, built.game, clock)

    def step() -> tuple[float, dict[str, float]]:
        clock.seconds = dict.fromkeys(PARTS, 0.0)
        began = time.perf_counter()
        train(state, game, built.data, state.step + 1, steps=parts)
        return time.perf_counter() - began, clock.seconds

    for _ in range(warm_up):
        step()
    seconds, spent = sorted((step() for _ in range(steps)), key=lambda one: one[0])[steps // 2]
    with Operations() as counted:
        step()
    return Profile(seconds, spent, counted.total, peak(state.device, state.recipe.precision, batch))


def timed(state: State, game: Game, clock: Clock) -> tuple[Game, Steps]:
    """The game and the parts of a step with the clock around them, which goes around the players' passes too."""
    for player, name in ((state.generator, FAKES), (state.critic, SCORES)):
        player.forward = replace(player.forward, function=clock.around(name, player.forward.function))
    parts = replace(
        EAGER,
        reals=clock.around(DATA, EAGER.reals),
        critic=clock.around(CRITIC, EAGER.critic),
        generator=clock.around(GENERATOR, EAGER.generator),
        update=clock.around(UPDATE, EAGER.update),
        average=clock.around(AVERAGE, EAGER.average),
    )
    return game if game.penalty is None else replace(game, penalty=Timed(game.penalty, clock)), parts


def peak(
    device: torch.device, precision: str, batch: int = 64, repeats: int = 5, sides: Sequence[int] = (16, 32)
) -> float:
    """Operations a second of conv2d, 128 to 128 channels, 3x3: the best of these sides in both memory layouts."""
    best = 0.0
    dtype = HALF.get(precision, torch.float32)
    for side in sides:
        x, w = torch.randn(batch, 128, side, side), torch.randn(128, 128, 3, 3)
        operations = 2 * batch * 128 * 128 * 9 * side**2
        for layout in (torch.contiguous_format, torch.channels_last):
            moved = [one.to(device, dtype).contiguous(memory_format=layout) for one in (x, w)]
            best = max(best, operations / _quickest(device, moved[0], moved[1], repeats))
    return best


@torch.no_grad()
def _quickest(device: torch.device, x: Tensor, w: Tensor, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        F.conv2d(x, w, padding=1)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])
