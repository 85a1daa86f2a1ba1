"""What a plan is made from: how long a step takes here and now, and how busy the machine is."""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from banach import distributed
from banach.config.config import Config
from banach.data.dataset import Data
from banach.training.build import Built, build
from banach.training.loop import train
from banach.training.plan import Look, Trial
from banach.training.steps import (
    critic_step,
    generator_step,
    local,
    next_fakes,
    next_latents,
    next_reals,
    set_rates,
)

_MOST = 10  # steps
_PART = 16  # rows from which long steps are estimated
_LONG = 2  # times the limit: steps that are estimated so
_IDLE = 0.5  # a load below which the machine is idle
_MOMENT = 0.3  # seconds
_PATIENCE = 5  # times the limit, for a second step: the first one of a process makes ready what the others find


def look_at(data: Data, device: torch.device) -> Look:
    """What a plan depends on of these data and of this machine as it is now."""
    return Look(
        data.kind,
        data.shape,
        len(data.train),
        threads=torch.get_num_threads(),
        cores=os.cpu_count() or 1,
        busy=busy_cores(),
        cpu=device.type == "cpu",
    )


def busy_cores() -> float:
    """How many cores other processes keep busy, by the system's load of the last minute; 0 where it tells none.

    This process is not yet in it when it has just begun. Where the load says that some are, Linux is asked for those of
    this moment: work that has ended is in the load for a minute.
    """
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has no such call
        return 0.0
    return load if load < _IDLE else min(load, _busy_now())


def _busy_now() -> float:
    """The cores that worked while this process slept for a moment; inf where the system does not tell."""
    try:
        before = _worked()
        time.sleep(_MOMENT)
        return (_worked() - before) / _MOMENT
    except (OSError, ValueError, AttributeError):
        return math.inf


def _worked() -> float:
    """Seconds that all cores have worked since the system began, idle time and waiting for disks left out (proc(5))."""
    with Path("/proc/stat").open(encoding="ascii") as file:
        user, nice, system, _, _, interrupts, soft, stolen = map(int, file.readline().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Inside, torch uses `n` CPU threads (0: as many as before)."""
    before = torch.get_num_threads()
    if n:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds_of(trial: Trial, config: Config, data: Data, device: torch.device, limit: float) -> float:
    """Seconds of a generator step with its critic steps, from steps of a game that is thrown away.

    All processes take part. Raises what `build` raises.
    """
    scales = {key: 1.0 for key in ("penalty_weight", "critic_scale") if getattr(config, key) == "auto"}  # not measured
    of_trial = {**asdict(trial.networks), **scales, "precision": trial.precision}
    tried = replace(config, **of_trial, critic_start="plain", first_steps=0)
    with threads(trial.threads if device.type == "cpu" else 0):
        return step_seconds(build(tried, data, device), limit)


def step_seconds(built: Built, limit: float) -> float:
    """The mean seconds of a generator step, without the first where it can be spared, in `limit` seconds or so.

    Steps that take far longer are estimated from a part of their rows. The state is not to be used after it. Steps are
    the same in all processes, and so is what is found: the first one's.
    """
    roughly = _by_part(built)
    if roughly > _LONG * limit:
        return roughly
    times: list[float] = []
    while not times or (sum(times) < (limit if len(times) > 1 else _PATIENCE * limit) and len(times) <= _MOST):
        times.append(_timed(built, lambda: train(built.state, built.game, built.data, built.state.step + 1)))
    counted = times[1:] or times
    return sum(counted) / len(counted)


def _by_part(built: Built) -> float:
    """Seconds of a generator step, from those of `_PART` rows: the time of many is nearly proportional to them."""
    state, game = built.state, built.game
    recipe, rows = state.recipe, min(_PART, local(min(state.recipe.batch, state.recipe.g_batch)))
    real = next_reals(state, built.data)[:rows]

    def critic() -> None:
        critic_step(state, game, real, next_fakes(state, next_latents(state, rows)))

    def generator() -> None:
        generator_step(state, game, real)

    state.recipe = replace(recipe, g_batch=rows * distributed.world())
    try:
        with state.streams.borrowed(state.step):
            set_rates(state)
            each = [(_timed(built, critic), _timed(built, generator)) for _ in range(2)][-1]
    finally:
        state.recipe = recipe
    return recipe.n_critic * each[0] * local(recipe.batch) / rows + each[1] * local(recipe.g_batch) / rows


def _timed(built: Built, work: Callable[[], None]) -> float:
    """The seconds that some work takes in the first process."""
    began = time.perf_counter()
    work()
    if built.state.device.type == "cuda":
        torch.cuda.synchronize(built.state.device)
    return distributed.from_first(lambda: time.perf_counter() - began)
