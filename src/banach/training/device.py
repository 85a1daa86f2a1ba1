"""The self-test of a GPU in one report to send: `python -m banach.training.device` (`make test-gpu`).

What the package promises of a device is held against the same on the CPU in float64: losses and gradients in each
precision, the forms of the convolutions, a resumed run, a compiled step; on a CUDA device also that no step waits for
the host. Exit code 0: all holds; 1: something does not; 2: there is no CUDA device.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from banach.data.dataset import Data
from banach.data.load import load
from banach.data.sampler import Sampler
from banach.game import Game, draw, terms_of
from banach.models import build_critic, build_generator
from banach.models.blocks import Forms, set_forms_
from banach.runs.environment import environment
from banach.spaces import space
from banach.training.compiled import Compiled
from banach.training.layouts import forms_for
from banach.training.loop import train
from banach.training.state import Recipe, State, new_state
from banach.training.steps import EAGER, generator_gradients

LIMITS = {"fp32": 1e-3, "bf16": 1e-1, "fp16": 3e-2}
"""The largest relative errors that pass, of terms and of gradients: GPUs may compute float32 products in TF32."""

GAMES = ("Lp(2)", "Lp(1)", "Sobolev(s=-1)", "Sobolev(s=1, p=4)")


@dataclass(frozen=True)
class Check:
    """One line of the report: what was found, and how large it may be."""

    name: str
    found: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether it holds; not a number never does."""
        return self.found <= self.limit

    def __str__(self) -> str:
        return f"{'ok  ' if self.passed else 'FAIL'}  {self.name:<46}{self.found:9.1e}  at most {self.limit:.0e}"


def pictures(side: int, n: int = 64) -> Data:
    """Random pictures, 3 channels."""
    rng = torch.Generator().manual_seed(0)
    return load(torch.randint(256, (n, 3, side, side), generator=rng, dtype=torch.uint8))


def start(
    data: Data, device: torch.device, precision: str, width: int, double: bool = False, model: str = "resnet"
) -> State:
    """A small GAN before its first step."""
    rng = torch.Generator().manual_seed(0)
    generator = build_generator(model, data.shape, z=16, width=width, rng=rng)
    critic = build_critic(model, data.shape, width=width, rng=rng)
    if double:
        generator, critic = generator.double(), critic.double()
    recipe = Recipe(n_critic=2, batch=16, g_batch=16, precision=precision)
    return new_state(generator, critic, Sampler(len(data.train), recipe.batch, 0), recipe, 0, device)


def game(spec: str) -> Game:
    """WGAN-GP in a norm, at the scale of the data."""
    return Game(space(spec), weight=10.0, gamma=3.0)


def gradients(network: nn.Module, scale: float = 1.0) -> Tensor:
    """All gradients as one vector in float64 on the CPU."""
    found = [one.grad for one in network.parameters() if one.grad is not None]
    return torch.cat([one.flatten().double().cpu() for one in found]) / scale


def difference(one: Tensor, other: Tensor) -> float:
    """|one - other| / |other|."""
    return float((one.double().cpu() - other.double().cpu()).norm() / other.double().cpu().norm())


def precisions(device: torch.device, kinds: tuple[str, ...], width: int = 16) -> Iterator[Check]:
    """Terms and gradients of both players on the device, against float64 on the CPU."""
    data = pictures(16)
    real, z = data.batch(torch.arange(16)), torch.randn(16, 16, generator=torch.Generator().manual_seed(1))
    fake = real.flip(0) * 0.5
    for spec in GAMES:
        exact = start(data, torch.device("cpu"), "fp32", width, double=True)
        expected = _both(exact, game(spec), real.double(), fake.double(), z.double())
        for kind in kinds:
            state = start(data, device, kind, width)
            found = _both(state, game(spec), real.to(device), fake.to(device), z.to(device))
            for name, one in expected.items():
                yield Check(f"{kind} {name}, {spec}", difference(found[name], one), LIMITS[kind])


def _both(state: State, play: Game, real: Tensor, fake: Tensor, z: Tensor) -> dict[str, Tensor]:
    """Both players' losses and gradients; the penalty's points are drawn on the CPU in float32, for all alike."""
    drawn = draw(play, real.cpu().float(), torch.Generator().manual_seed(2))
    draws = tree_map_only(Tensor, lambda one: one.to(real), drawn)
    terms = terms_of(play, state.critic.forward, real, fake, draws, {}, 0)
    scale = float(state.scaler.get_scale()) if state.scaler.is_enabled() else 1.0
    (scale * terms.loss).backward()
    critic = gradients(state.critic.network, scale)
    loss, _ = generator_gradients(state, play, z, real)
    return {
        "critic's loss": terms.loss.detach(),
        "critic's gradient": critic,
        "generator's loss": loss,
        "generator's gradient": gradients(state.generator.network, scale),
    }


def forms(device: torch.device, width: int = 16) -> Iterator[Check]:
    """Every form of the convolutions on the device, against the plain one."""
    data = pictures(16)
    state = start(data, device, "fp32", width)
    x = data.batch(torch.arange(16)).to(device)
    z = torch.randn(16, 16, generator=torch.Generator().manual_seed(1)).to(device)

    def outputs(forms: Forms) -> Tensor:
        copies = deepcopy(state.critic.network), deepcopy(state.generator.network)
        for one in copies:
            set_forms_(one, forms)
        with torch.no_grad():
            return torch.cat([copies[0](x).flatten(), copies[1](z).flatten()])

    plain = outputs(Forms(False, False))
    for one in (Forms(True, False), Forms(False, True), Forms(True, True)):
        yield Check(str(one), difference(outputs(one), plain), LIMITS["fp32"])


def resuming(device: torch.device, width: int = 8) -> Iterator[Check]:
    """A run of four steps against one that is saved after two and goes on."""
    data = pictures(16)
    whole, first, second = (start(data, device, "fp32", width) for _ in range(3))
    train(whole, game("Lp(2)"), data, 4)
    train(first, game("Lp(2)"), data, 2)
    second.load_state_dict(first.state_dict())
    train(second, game("Lp(2)"), data, 4)
    yield Check("resumed run", _apart_states(second, whole), 0.0 if device.type == "cpu" else LIMITS["fp32"])


def compiling(device: torch.device, width: int = 8) -> Iterator[Check]:
    """Two compiled steps against two plain ones."""
    data = pictures(16)
    plain, other = (start(data, device, "fp32", width, model="mlp") for _ in range(2))
    train(plain, game("Lp(2)"), data, 2)
    train(other, game("Lp(2)"), data, 2, steps=Compiled(other, game("Lp(2)")).as_steps())
    yield Check("compiled steps", _apart_states(other, plain), 10 * LIMITS["fp32"])


def _apart_states(one: State, other: State) -> float:
    pairs = ((one.critic.network, other.critic.network), (one.average, other.average))
    flat = [
        torch.cat([p.detach().flatten() for net in nets for p in net.parameters()]) for nets in zip(*pairs, strict=True)
    ]
    return difference(flat[0], flat[1])


def waiting(device: torch.device, width: int = 8) -> Iterator[Check]:
    """Steps of which none waits for the host: PyTorch raises at the first that does; nothing to test on a CPU."""
    if device.type != "cuda":
        return
    data = pictures(16).to(device)
    state = start(data, device, "fp32", width)
    train(state, game("Sobolev(s=-1)"), data, 1)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        train(state, game("Sobolev(s=-1)"), data, 3)
        waited = ""
    except RuntimeError as error:
        waited = f": {str(error).splitlines()[0][:60]}"
    finally:
        torch.cuda.set_sync_debug_mode(before)
    yield Check(f"steps that wait for the host{waited}", float(bool(waited)), 0.0)


def timings(device: torch.device, kinds: tuple[str, ...], side: int = 32, width: int = 64, steps: int = 5) -> list[str]:
    """Milliseconds of a generator step with two critic steps, and the forms of the convolutions."""
    lines = []
    for kind in kinds:
        data = pictures(side)
        state = start(data, device, kind, width)
        found = forms_for(state)
        times = []
        for _ in range(steps + 1):
            began = time.perf_counter()
            train(state, game("Lp(2)"), data, state.step + 1, steps=EAGER)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        lines.append(f"{kind}: {1e3 * statistics.median(times[1:]):.1f} ms a step, {found['forms']}")
    return lines


def report(device: torch.device, kinds: tuple[str, ...], say: Callable[[str], None]) -> bool:
    """Say all lines; whether everything holds. A part that fails to run is a line, and does not hold."""
    parts: dict[str, Callable[[], Iterator[Check]]] = {
        "precisions": lambda: precisions(device, kinds),
        "forms": lambda: forms(device),
        "resume": lambda: resuming(device),
        "host": lambda: waiting(device),
        "compiled": lambda: compiling(device),
    }
    good = True
    for name, part in parts.items():
        try:
            for check in part():
                say(str(check))
                good = good and check.passed
        except Exception as error:
            say(f"FAIL  {name} did not run: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            good = False
    for line in timings(device, kinds):
        say(line)
    return good


def print_line(line: str) -> None:
    """A line on stdout, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """The report for the first CUDA device."""
    if not torch.cuda.is_available():
        sys.stdout.write("there is no CUDA device here: nothing was tested\n")
        return 2
    device = torch.device("cuda")
    about = environment(0, device, [])
    for key in ("gpu", "system", "python", "packages", "commit"):
        sys.stdout.write(f"{key}: {about[key]}\n")
    sys.stdout.write(f"cuda: {torch.version.cuda}, cudnn: {torch.backends.cudnn.version()}\n")
    good = report(device, ("fp32", "bf16", "fp16"), print_line)
    sys.stdout.write("all holds\n" if good else "NOT ALL HOLDS: please send this report\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
