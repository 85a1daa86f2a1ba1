"""One of the processes of test_loop's test of several: trains ten steps, and stores the weights it ended with."""

import sys
from pathlib import Path

import torch
import torch.distributed as td

from banach import distributed
from banach.data.load import load
from banach.data.sampler import Sampler
from banach.game import Game
from banach.models import build_critic, build_generator
from banach.penalties import penalty
from banach.spaces import Sobolev
from banach.training.loop import train
from banach.training.state import Recipe, new_state

IMAGES = torch.randint(0, 256, (40, 1, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    td.init_process_group("gloo")
    data = load(IMAGES, axes="bchw")
    rng = torch.Generator().manual_seed(0)
    generator = build_generator("mlp", data.shape, z=3, width=8, rng=rng).double()
    critic = build_critic("mlp", data.shape, width=8, rng=rng).double()
    recipe = Recipe(n_critic=2, batch=8, g_batch=8, lr=1e-3, g_lr=1e-3)
    state = new_state(generator, critic, Sampler(len(data.train), 8, 0), recipe)
    # A penalty at the reals draws nothing, so two processes see the very points that one sees.
    train(state, Game(Sobolev(s=-1), penalty=penalty("r1"), weight=2.0, gamma=3.0), _Double(data), 10)  # type: ignore
    means = state.critic.averages.means()
    found = {
        **state.generator.network.state_dict(),
        **{f"critic.{key}": one for key, one in state.critic.network.state_dict().items()},
    }
    found |= {f"mean.{key}": torch.tensor(one) for key, one in means.items()}
    torch.save(found, folder / f"{distributed.world()}-{distributed.rank()}.pt")
    td.destroy_process_group()


class _Double:
    def __init__(self, data):
        self.data = data

    def batch(self, rows):
        return self.data.batch(rows).double()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
