"""The engine's own training, step by step on request: the other side of `mimicry.py`, with the same words on stdin."""

import argparse
import dataclasses
import json
import sys
import time

import numpy as np
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from banach.config.config import Config
from banach.data import load
from banach.data.dataset import Data
from banach.session.memory import freed_memory
from banach.training.build import Built, build
from banach.training.loop import train
from banach.training.player import Player
from banach.training.state import State
from banach.training.steps import EAGER
from benchmarks.peers.peak import peak_megabytes

CALIBRATION = 20
"""Steps by which the number of steps is estimated that fit into the minutes, over which the learning rates fall."""


class Stopwatch:
    """Seconds of each critic step and of the generator's: an update ends a step of its player."""

    def __init__(self):
        self.steps = dataclasses.replace(EAGER, update=self.update)
        self.began, self.spent = 0.0, {"critic": [], "generator": []}

    def update(self, state: State, player: Player, terms: dict[str, torch.Tensor]) -> None:
        """The update, whose end is the end of a step of this player."""
        EAGER.update(state, player, terms)
        now = time.perf_counter()
        self.spent[player.name].append(now - self.began)
        self.began = now

    def step(self, built: Built) -> dict:
        """One step of the training: seconds of each critic step, and of the generator's with the moving average."""
        self.spent = {"critic": [], "generator": []}
        began = self.began = time.perf_counter()
        train(built.state, built.game, built.data, built.state.step + 1, steps=self.steps)
        (generator,) = self.spent["generator"]
        after = time.perf_counter() - began - sum(self.spent["critic"]) - generator
        return {"critic": self.spent["critic"], "generator": generator + after}


class Counter(TorchDispatchMode):
    """Floating-point operations of convolutions and matrix products, in both backwards too.

    FlopCounterMode itself follows modules by hooks that `autograd.grad` does not allow; its formulas need none.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def arithmetic(built: Built) -> dict[str, int]:
    """Floating-point operations of one critic step and of one generator step, as they are really done."""
    recipe, found = built.state.recipe, []
    for n_critic in (1, 2):
        built.state.recipe = dataclasses.replace(recipe, n_critic=n_critic)
        with Counter() as counter:
            train(built.state, built.game, built.data, built.state.step + 1)
        found.append(counter.total)
    built.state.recipe = recipe
    return {"critic": found[1] - found[0], "generator": 2 * found[0] - found[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="uint8 pictures (n, c, 32, 32) as .npy")
    parser.add_argument("--config", help="keys of a config, as YAML")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--minutes", type=float, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    before = peak_megabytes()
    config = Config(**yaml.safe_load(options.config))
    data = load(torch.from_numpy(np.load(options.data)), holdout=0)
    with freed_memory(config.keep_memory):
        answer(build(config, data, torch.device("cpu")), data, before, options.minutes)


def answer(built: Built, data: Data, before: float, minutes: float) -> None:
    """Do what the lines on stdin ask for; `before` is the memory of the imports."""
    watch, state, spent = Stopwatch(), built.state, 0.0
    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            return
        if words[0] == "arithmetic":
            print(json.dumps(arithmetic(built)), flush=True)
            continue
        if words[0] == "sample":
            z = torch.randn(int(words[2]), state.latents.shape[1], generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                made = torch.cat([data.units.to_data(state.average(one)) for one in z.split(100)])
            np.save(words[1], made.numpy())
            print("{}", flush=True)
            continue
        found = watch.step(built)
        spent += sum(found["critic"]) + found["generator"]
        if minutes and state.step == CALIBRATION:
            steps = round(minutes * 60 * CALIBRATION / spent)
            state.recipe = dataclasses.replace(state.recipe, decay_over=steps)
        peak = peak_megabytes() - before
        print(json.dumps({**found, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main()
