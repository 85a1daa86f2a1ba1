"""torch-mimicry's WGAN-GP, step by step on request: run by the Python of its own environment, without banach.

`torch_mimicry/__init__.py` imports its metrics, which want TensorFlow, and old names of torch (`torch._six`). Neither
is needed to train, so the packages that import them are registered here as bare ones, and only
`torch_mimicry.nets.wgan_gp` is really imported.

Reads lines from stdin: "step" answers with one JSON line, the seconds of five critic steps and of one of the generator,
and the MB by which memory has risen above the imports; "sample FILE N" writes N samples as .npy; "quit" ends.
"""

import argparse
import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
from peak import peak_megabytes

CRITIC_STEPS = 5


class Log:
    """What `train_step` reports to: it reads the value, as the package's own log does."""

    def add_metric(self, name, value, group=None, precision=4):
        self.last = value.item() if isinstance(value, torch.Tensor) else value


def networks(width_g, width_d):
    """Generator and critic for 32x32 pictures in colour; the package's penalty knows no other."""
    spec = importlib.util.find_spec("torch_mimicry")
    for name in ("torch_mimicry", "torch_mimicry.nets"):
        bare = types.ModuleType(name)
        bare.__path__ = [str(Path(spec.origin).parent.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = bare
    from torch_mimicry.nets.wgan_gp import wgan_gp_32 as nets

    generator, critic = nets.WGANGPGenerator32(ngf=width_g), nets.WGANGPDiscriminator32(ndf=width_d)
    return generator, critic


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="uint8 pictures (n, 3, 32, 32) as .npy")
    parser.add_argument("--width-g", type=int)
    parser.add_argument("--width-d", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument(
        "--minutes", type=float, default=0, help="learning rates fall linearly to 0 over so many minutes"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    before = peak_megabytes()
    data = torch.from_numpy(np.load(options.data))
    generator, critic = networks(options.width_g, options.width_d)
    optimizers = [torch.optim.Adam(one.parameters(), 2e-4, betas=(0.0, 0.9)) for one in (generator, critic)]
    log, spent, steps = Log(), 0.0, 0

    def batch():
        rows = torch.randint(len(data), (options.batch,))
        return data[rows].float() / 127.5 - 1, torch.zeros(options.batch)

    def step():
        seconds = []
        for _ in range(CRITIC_STEPS):
            began = time.perf_counter()
            critic.train_step(real_batch=batch(), netG=generator, optD=optimizers[1], log_data=log,
                              device="cpu", global_step=steps)  # fmt: skip
            seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        generator.train_step(real_batch=batch(), netD=critic, optG=optimizers[0], log_data=log,
                             device="cpu", global_step=steps)  # fmt: skip
        return seconds, time.perf_counter() - began

    for line in sys.stdin:
        words = line.split()
        if words[0] == "quit":
            return
        if words[0] == "sample":
            torch.manual_seed(0)
            with torch.no_grad():  # in training mode: the package samples with the statistics of the batch
                made = [generator.generate_images(100, device="cpu") for _ in range(int(words[2]) // 100)]
            np.save(words[1], ((torch.cat(made).clamp(-1, 1) + 1) * 127.5).round().byte().numpy())
            print("{}", flush=True)
            continue
        if options.minutes:
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = 2e-4 * max(0.0, 1 - spent / (60 * options.minutes))
        critics, last = step()
        steps, spent = steps + 1, spent + sum(critics) + last
        peak = peak_megabytes() - before
        print(json.dumps({"critic": critics, "generator": last, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main()
