"""A surrogate for simulated series, from an array to samples in the array's own units.

python examples/fit_arrays.py
"""

import numpy as np
import torch

import banach


def series(n: int, seed: int) -> np.ndarray:
    """n damped oscillations in millivolts, (n, 1, 32): random frequency and phase, one sensor."""
    rng = np.random.default_rng(seed)
    frequency, phase = rng.uniform(2, 4, (n, 1, 1)), rng.uniform(0, 2 * np.pi, (n, 1, 1))
    time = np.linspace(0, 1, 32)
    return (120 * np.exp(-2 * time) * np.sin(2 * np.pi * frequency * time + phase)).astype(np.float32)


def main(steps: int = 60) -> torch.Tensor:
    """Fit, sample, save and load again; returns the samples."""
    x = series(2000, seed=0)
    # W^(-1,2) weighs the slow part of a series; length=1 makes frequencies physical (the series lasts one second)
    generator = banach.fit(x, space="Sobolev(s=-1, length=1)", model="mlp", steps=steps, seed=0)
    samples = generator.sample(500, seed=1)
    generator.save("oscillations.safetensors")
    again = banach.Generator.load("oscillations.safetensors").sample(500, seed=1)
    assert torch.equal(samples, again)
    print(f"data    mean {x.mean():7.2f} mV, deviation {x.std():6.2f} mV")
    print(f"samples mean {samples.mean():7.2f} mV, deviation {samples.std():6.2f} mV")
    return samples


if __name__ == "__main__":
    main()
