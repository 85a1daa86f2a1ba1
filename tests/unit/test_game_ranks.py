"""Two processes against one, for every penalty, schedule and kind of objective: terms, gradients and memory agree."""

import pytest
import torch
import torch.distributed as td
import torch.multiprocessing as mp
from torch import nn

from banach import Lp, Sobolev, distributed, objective, penalty, space
from banach.game import Game, critic_terms, generator_loss
from banach.objectives import OBJECTIVES
from banach.penalties import PENALTIES, schedule

RANKS, BATCH, STEPS = 2, 16, 3
SHAPE = (2, 3, 4)
NAMED = [name for name in PENALTIES if not isinstance(PENALTIES[name], type)]
GAMES = {name: Game(Sobolev(s=-1, p=3), penalty=penalty(name), weight=2.0, gamma=1.5) for name in NAMED}
GAMES |= {
    f"objective {name}": Game(Lp(1.5), objective(name), penalty("wgan-gp"), 2.0) for name in OBJECTIVES.examples()
}
GAMES |= {
    f"schedule {spec}": Game(Lp(2), penalty=penalty("maxal"), schedule=schedule(spec))
    for spec in ("lazy(every=2)", "growing(within=0.9)")
}
GAMES |= {  # dual norms that are computed: each sample's own solve, whatever else is in the batch
    f"in {spec}": Game(space(spec), penalty=penalty("wgan-gp"), weight=2.0, gamma=1.5)
    for spec in ("TotalVariation(weight=0.1)", "Intersection(2, Lp(1), Lp(2))")
}
GAMES["scales of each batch"] = Game(Sobolev(s=-1, p=3), weight="batch", gamma="batch")
GAMES["nothing"] = Game(Lp(2), penalty=None)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0)).double()


def batches(step):
    rng = torch.Generator().manual_seed(step)
    real, fake = torch.randn(2, BATCH, *SHAPE, generator=rng, dtype=torch.float64)
    fake[3] = real[3]  # a pair without a quotient, on one rank only
    return distributed.share(real), distributed.share(fake + 0.3 * (fake != real))


def played(name):
    """Three critic steps of plain descent and the generator's loss: all that two processes could differ in."""
    game, critic, rng = GAMES[name], network(), torch.Generator().manual_seed(7)
    memory, seen = {}, []
    for step in range(STEPS):
        real, fake = batches(step)
        terms = critic_terms(game, critic, real, fake, rng, memory, step)
        # Warm starts, which one process has and several have not, change a norm within its tolerance.
        memory = {key: one for key, one in terms.memory.items() if not key.startswith("norms")}
        found = {key: terms.numbers()[key] for key in ("loss", "play", "penalty", "gap")}
        slopes = torch.autograd.grad(terms.loss, list(critic.parameters()), allow_unused=True)
        moved = [(w, g) for w, g in zip(critic.parameters(), slopes, strict=True) if g is not None]
        values = [one.detach().clone() for one in found.values()]
        distributed.mean_([*values, *(g for _, g in moved)])
        largest = distributed.maximum(terms.slope_max)
        dropped = distributed.total(terms.dropped)
        with torch.no_grad():
            for w, g in moved:
                w -= 0.05 * g
        seen += [*values, largest, dropped]
    loss = generator_loss(game, critic, fake, real).detach().clone()
    distributed.mean_([loss])
    # Rows that belong to a rank's own samples (a lazy penalty's last slopes) are no common memory.
    kept = [one for key, one in sorted(memory.items()) if key != "slopes"]
    return [*seen, loss, *kept, *(one.detach() for one in critic.parameters())]


def work(rank, folder):
    torch.set_num_threads(1)
    td.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    try:
        torch.save({name: played(name) for name in GAMES}, f"{folder}/{rank}.pt")
    finally:
        td.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.start_processes(work, args=(str(folder),), nprocs=RANKS, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_are_one_on_the_joined_batch(found, name):
    alone = played(name)
    for rank in found:
        assert len(rank[name]) == len(alone)
        for mine, one in zip(rank[name], alone, strict=True):
            torch.testing.assert_close(mine, one, rtol=1e-10, atol=1e-10)
