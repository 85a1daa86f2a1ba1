"""A run small enough for tests: 40 images of 4x4, a Sobolev space, networks of a few hundred weights."""

import torch

from banach.data.load import load
from banach.data.sampler import Sampler
from banach.game import Game
from banach.models import build_critic, build_generator
from banach.penalties import penalty
from banach.spaces import Sobolev
from banach.training.state import Recipe, State, new_state

IMAGES = torch.randint(0, 256, (40, 1, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
DATA = load(IMAGES, axes="bchw", holdout=0.2)
GAME = Game(Sobolev(s=-1), penalty=penalty("wgan-gp"), weight=2.0, gamma=3.0)
SMALL = Recipe(n_critic=5, batch=8, g_batch=8)


def new(recipe: Recipe = SMALL, model: str = "mlp", width: int = 8, seed: int = 0) -> State:
    """The state before its first step."""
    rng = torch.Generator().manual_seed(seed)
    generator = build_generator(model, DATA.shape, z=3, width=width, rng=rng)
    critic = build_critic(model, DATA.shape, width=width, rng=rng)
    return new_state(generator, critic, Sampler(len(DATA.train), recipe.batch, seed), recipe, seed)
