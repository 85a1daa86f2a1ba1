"""Our penalty with Accelerate (1.x), on one device or many. `pip install accelerate` first.

accelerate launch examples/accelerate_loop.py
"""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from plain_loop import SPACE, bumps
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from banach import gradient_penalty


def main(z: int = 8, n_critic: int = 5) -> float:
    """One pass over 6,400 bumps; returns the last gap E f(real) - E f(fake)."""
    accelerator = Accelerator()
    set_seed(0)
    generator = nn.Sequential(
        nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16))
    )
    critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 1))
    g_optimizer, d_optimizer = (
        torch.optim.Adam(net.parameters(), 1e-3, betas=(0.0, 0.9)) for net in (generator, critic)
    )
    data = DataLoader(TensorDataset(bumps(6400, torch.Generator().manual_seed(0))), batch_size=64, shuffle=True)
    # The networks go to the device themselves and stay unwrapped: a gradient of a gradient and the hooks of a
    # data-parallel wrapper do not mix. Their gradients are averaged by hand instead, which `average_` does.
    generator, critic = generator.to(accelerator.device), critic.to(accelerator.device)
    g_optimizer, d_optimizer, data = accelerator.prepare(g_optimizer, d_optimizer, data)
    set_seed(1, device_specific=True)  # the same weights everywhere, but own latents on each process

    def average_(network: nn.Module) -> None:
        for one in network.parameters():
            one.grad = accelerator.reduce(one.grad, reduction="mean")

    for at, (real,) in enumerate(data, 1):
        fake = generator(torch.randn(len(real), z, device=accelerator.device)).detach()
        gap = critic(real).mean() - critic(fake).mean()
        d_optimizer.zero_grad()
        accelerator.backward(-gap + 10 * gradient_penalty(critic, real, fake, SPACE))
        average_(critic)
        d_optimizer.step()
        if at % n_critic == 0:
            g_optimizer.zero_grad()
            accelerator.backward(-critic(generator(torch.randn(len(real), z, device=accelerator.device))).mean())
            average_(generator)
            g_optimizer.step()
    accelerator.print(f"gap {gap.item():.3f}")
    return gap.item()


if __name__ == "__main__":
    main()
