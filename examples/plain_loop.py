"""Our penalty in a plain PyTorch loop: bumps at random places on a 16 x 16 grid, compared in the Sobolev norm W^(-1,2).

python examples/plain_loop.py
"""

import torch
from torch import nn

from banach import Sobolev, gradient_penalty

SPACE = Sobolev(s=-1)  # weighs low frequencies: where a bump lies counts, its exact edge does not


def bumps(n: int, rng: torch.Generator) -> torch.Tensor:
    """The data: n images (n, 1, 16, 16), a Gaussian bump each."""
    at = torch.linspace(-1, 1, 16)
    x, y = (1.2 * torch.rand(2, n, 1, 1, generator=rng) - 0.6).unbind()
    return torch.exp(-8 * ((at.view(1, 1, 16) - x) ** 2 + (at.view(1, 16, 1) - y) ** 2)).unsqueeze(1)


def train(steps: int = 100, n_critic: int = 5, batch: int = 64, seed: int = 0) -> list[float]:
    """Returns the critic's gap E f(real) - E f(fake) after each generator step."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    generator = nn.Sequential(
        nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16))
    )
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
    )
    g_optimizer = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.0, 0.9))
    d_optimizer = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.0, 0.9))
    gaps = []
    for _ in range(steps):
        for _ in range(n_critic):
            real, fake = bumps(batch, rng), generator(torch.randn(batch, 8, generator=rng)).detach()
            gap = critic(real).mean() - critic(fake).mean()
            loss = -gap + 10 * gradient_penalty(critic, real, fake, SPACE, rng)
            d_optimizer.zero_grad()
            loss.backward()
            d_optimizer.step()
        g_loss = -critic(generator(torch.randn(batch, 8, generator=rng))).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        gaps.append(gap.item())
    return gaps


if __name__ == "__main__":
    torch.set_num_threads(1)  # such small networks are fastest on one core
    for step, gap in enumerate(train(), 1):
        if step % 20 == 0:
            print(f"step {step:4d}  gap {gap:.3f}")
