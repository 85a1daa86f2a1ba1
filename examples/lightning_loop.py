"""Our penalty in Lightning (2.x): a module with two optimizers, stepped by hand. `pip install lightning` first.

python examples/lightning_loop.py
"""

import lightning as L
import torch
from plain_loop import SPACE, bumps
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from banach import gradient_penalty


class BanachGAN(L.LightningModule):
    """A critic step on every batch, and a generator step after every fifth."""

    def __init__(self, z: int = 8, n_critic: int = 5):
        super().__init__()
        self.automatic_optimization = False  # two optimizers in turns: Lightning leaves the steps to us
        self.z, self.n_critic = z, n_critic
        self.generator = nn.Sequential(
            nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, 256), nn.Sigmoid(), nn.Unflatten(1, (1, 16, 16))
        )
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 1))

    def fake(self, n: int) -> torch.Tensor:
        """n samples of the generator, on the module's device."""
        return self.generator(torch.randn(n, self.z, device=self.device))

    def training_step(self, batch, batch_idx: int) -> None:
        """The penalty needs the plain critic: autograd must see its input, which no wrapper may hide."""
        (real,) = batch
        g_optimizer, d_optimizer = self.optimizers()
        with self.toggled_optimizer(d_optimizer):
            fake = self.fake(len(real)).detach()
            gap = self.critic(real).mean() - self.critic(fake).mean()
            self.log("gap", gap.detach(), prog_bar=True)
            d_optimizer.zero_grad()
            self.manual_backward(-gap + 10 * gradient_penalty(self.critic, real, fake, SPACE))
            d_optimizer.step()
        if (batch_idx + 1) % self.n_critic == 0:
            with self.toggled_optimizer(g_optimizer):  # freezes the critic, so no gradients of it are wasted
                g_optimizer.zero_grad()
                self.manual_backward(-self.critic(self.fake(len(real))).mean())
                g_optimizer.step()

    def configure_optimizers(self):
        """Adam with the constants of WGAN-GP."""
        return [torch.optim.Adam(net.parameters(), 1e-3, betas=(0.0, 0.9)) for net in (self.generator, self.critic)]


if __name__ == "__main__":
    L.seed_everything(0)
    data = TensorDataset(bumps(6400, torch.Generator().manual_seed(0)))
    trainer = L.Trainer(max_epochs=1, accelerator="auto", logger=False, enable_checkpointing=False)
    trainer.fit(BanachGAN(), DataLoader(data, batch_size=64, shuffle=True))
    print(f"gap {trainer.callback_metrics['gap']:.3f}")
