"""Two processes against one: means, maxima, and the gradient of a penalty on the largest slope."""

import pytest
import torch
import torch.distributed as td
import torch.multiprocessing as mp

from banach import Lp, distributed
from banach.penalties import Max, Mean, Penalty, TwoSided
from banach.slopes import Gradients

RANKS = 2
PENALTIES = {
    "max": Penalty(Gradients("reals"), TwoSided(), Max()),
    "mean": Penalty(Gradients("reals"), TwoSided(), Mean()),
}


def critic(x, w):
    return (torch.tanh(x @ w[:3]) * w[3]).sum(1)


def weights():
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()


def reals(tied=False):
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.cat([x[:4], x[:4]]) if tied else x  # the same halves: both ranks own the largest slope


def penalised(kind, x):
    """The penalty and its gradient, as an update would average it over the ranks."""
    w = weights()
    value = PENALTIES[kind](lambda y: critic(y, w), x, x, Lp(3))
    (slope,) = torch.autograd.grad(value, w)
    value = value.detach().clone()
    distributed.mean_([slope, value])
    return value, slope


def work(rank, folder):
    torch.set_num_threads(1)
    td.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    try:
        assert (distributed.rank(), distributed.world()) == (rank, RANKS)
        a, b, c = torch.full((2, 3), float(rank)), torch.tensor(10.0 * rank), torch.ones(3, 2).T[:, :2] * rank
        distributed.mean_([a, b, c])
        found = {
            "means": [a, b, c.contiguous()],
            "maximum": distributed.maximum(torch.tensor([rank, -rank])),
            "total": distributed.total(torch.tensor([1.0, rank])),
        }
        half = slice(4 * rank, 4 * rank + 4)
        for kind in PENALTIES:
            found[kind] = penalised(kind, reals()[half])
        found["tied"] = penalised("max", reals(tied=True)[half])
        distributed.barrier()
        torch.save(found, f"{folder}/{rank}.pt")
    finally:
        td.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.start_processes(work, args=(str(folder),), nprocs=RANKS, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


def test_means(found):
    for one in found:
        a, b, c = one["means"]
        assert torch.equal(a, torch.full((2, 3), 0.5))
        assert b == 5
        assert torch.equal(c, torch.full((2, 2), 0.5))


def test_maxima_and_totals(found):
    for one in found:
        assert one["maximum"].tolist() == [1, 0]
        assert one["total"].tolist() == [2, 1]


@pytest.mark.parametrize("kind", PENALTIES)
def test_the_penalty_of_two_processes_is_that_of_one(found, kind):
    """Also where the gradient is that of the rank with the largest slope: it counts as often as there are ranks."""
    value, slope = penalised(kind, reals())
    for one in found:
        torch.testing.assert_close(one[kind][0], value)
        torch.testing.assert_close(one[kind][1], slope)


def test_owners_of_the_same_maximum_share(found):
    value, slope = penalised("max", reals(tied=True))
    for one in found:
        torch.testing.assert_close(one["tied"][0], value)
        torch.testing.assert_close(one["tied"][1], slope)


def test_alone():
    assert (distributed.rank(), distributed.world()) == (0, 1)
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    distributed.mean_([x])
    distributed.mean_([])
    distributed.reduce_([x])
    distributed.barrier()
    assert x.tolist() == [1, 2]
    for reduced in (distributed.maximum(x), distributed.total(x)):
        assert reduced.tolist() == [1, 2]
        assert not reduced.requires_grad
        reduced.add_(1)
    assert x.tolist() == [1, 2]
