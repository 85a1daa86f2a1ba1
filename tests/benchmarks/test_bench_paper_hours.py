"""Counted operations against those counted by hand, and what is made of them."""

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.nn.functional import conv2d

from banach.config.config import Config
from banach.convolution import Shape, convolve
from banach.slopes import gradient
from benchmarks import paper_hours
from benchmarks.paper_hours import Line, Operations, Row, Work, counted_at

TINY = Config(model="mlp", z=2, g_width=8, d_width=16, penalty="wgan-gp", penalty_weight=1.0, critic_scale=1.0,
              space="l2", n_critic=5, batch=64, g_batch=128, steps=10, decay="none")  # fmt: skip

CRITIC = [2 * 16, 16 * 16, 16 * 16, 16]
GENERATOR = [2 * 8, 8 * 8, 8 * 8, 8 * 2]
"""Products of each layer for one sample."""


def by_hand() -> tuple[int, int]:
    """Operations a sample of a critic step with WGAN-GP and of a generator step.

    An affine layer costs as much forward, backward in its input and backward in its weights.
    """
    d, g = 2 * sum(CRITIC), 2 * sum(GENERATOR)
    fakes = g
    scores = 2 * (3 * d - 2 * CRITIC[0])  # reals and fakes; no gradient in the samples
    slopes = 2 * d  # forward, and the gradient in the points
    double = 2 * d - 2 * CRITIC[-1]  # the last layer's gradient in its input hangs on its weights alone
    return fakes + scores + slopes + double, g + 2 * d + 2 * g - 2 * GENERATOR[0]


@pytest.mark.parametrize("n", [2, 3])
def test_a_step_of_a_tiny_network_is_counted_as_by_hand(n):
    critic, generator = by_hand()
    assert counted_at(TINY, n) == (n * critic, n * generator, n * 2 * sum(GENERATOR))


def test_a_run_has_its_critic_steps_and_both_batches():
    critic, generator = by_hand()
    assert paper_hours.work(TINY).steps(TINY) == 10 * (5 * 64 * critic + 128 * generator)
    first = dataclasses.replace(TINY, first_steps=100)  # in the first 25 steps
    assert paper_hours.work(TINY).steps(first) == 10 * (100 * 64 * critic + 128 * generator)


@pytest.mark.parametrize("convolution", [lambda x, w: convolve(x, w, None, Shape(1, 1)),
                                         lambda x, w: conv2d(x, w, padding=1)], ids=["ours", "torch"])  # fmt: skip
def test_the_double_backward_of_convolutions_is_counted(convolution):
    n, x = 5, torch.randn(5, 3, 6, 6)
    first, last = torch.randn(4, 3, 3, 3, requires_grad=True), torch.randn(1, 4, 3, 3, requires_grad=True)

    def critic(x):
        return convolution(convolution(x, first).tanh(), last).square()

    with Operations() as counter:
        gradient(critic, x, create_graph=True).square().sum().backward()
    one, other = 2 * 9 * 3 * 4 * 36 * n, 2 * 9 * 4 * 36 * n
    forward = backward = one + other
    through_backward = 2 * (one + other)  # in the weights, and in the gradient that came from above
    through_forward = 2 * (one + other)  # in the weights, and in the inputs
    assert counter.total == forward + backward + through_backward + through_forward


def test_what_does_not_grow_with_the_batch_is_kept_apart():
    line = Line.through((2, 4), (7, 11))
    assert (line.fixed, line.each, line.at(64)) == (3, 2, 131)
    found = paper_hours.work(TINY)
    assert (found.critic.fixed, found.generator.fixed) == (0, 0)
    assert counted_at(TINY, 7)[:2] == (found.critic.at(7), found.generator.at(7))


def test_hours_of_a_gpu():
    pictures = dataclasses.replace(TINY, model="resnet", score_every=4, score_samples=100)
    work = Work(Line(0, 1), Line(0, 1), 10.0)
    assert work.scores(pictures) == 3 * 100 * (10 + paper_hours.inception())  # at 4, 8 and 10
    row = Row("r", 2, (10,), (1e12, 2e12), 3.0e18, 0.6e18)
    assert row.hours(100, 0.25) == pytest.approx(3.6e18 / 25e12 / 3600)
    (line,) = paper_hours.table([row], 100, (0.1, 0.25)).splitlines()[2:]
    assert line == "| r | 2 | 10 | 1 to 2 | 1,500 | 3,000 | 600 | 40 to 100 |"


def test_every_sweep_and_every_paper_is_counted(tmp_path):
    found = {**paper_hours.sweeps(tmp_path), **paper_hours.papers(tmp_path)}
    assert {"norm-grid", "objective-table", "wgan-gp-family", "bwgan-cifar10", "r3gan-cifar10"} <= set(found)
    assert not {"demo", "toy"} & set(found)  # ours; on points
    page = (Path(__file__).parents[2] / paper_hours.PAGE).read_text(encoding="utf-8")
    for name, configs in found.items():
        assert f"| {name} | {len(configs)} |" in page, "run: python -m benchmarks.paper_hours"
