"""The residual networks against a plain second writing of the published code, and its parameter counts."""

import pytest
import torch
import torch.nn.functional as F

from banach.models import build_critic, build_generator


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_published_parameter_counts():
    rng = torch.Generator().manual_seed(0)
    assert parameters(build_critic("resnet", (3, 32, 32), width=128, rng=rng)) == 1_053_825
    assert parameters(build_generator("resnet", (3, 32, 32), z=128, width=128, rng=rng)) == 1_204_483


def test_celeba_has_one_block_more():
    rng = torch.Generator().manual_seed(0)
    block, down = 2 * (128 * 128 * 9 + 128) + 128 * 128 + 128 + 4 * 128, 2 * (128 * 128 * 9 + 128) + 128 * 128 + 128
    assert parameters(build_critic("resnet", (3, 64, 64), width=128, rng=rng)) == 1_053_825 + down
    assert parameters(build_generator("resnet", (3, 64, 64), width=128, rng=rng)) == 1_204_483 + block


def conv(x, state, name):
    w = state[f"{name}.weight"]
    return F.conv2d(x, w, state[f"{name}.bias"], padding=w.shape[-1] // 2)


def plain_critic(state, x, downs):
    """Convolution, then pooling, the shortcut too, one after the other as in the published code."""

    def residual(h, i, first, down):
        r = conv(F.relu(conv(h if first else F.relu(h), state, f"blocks.{i}.conv1")), state, f"blocks.{i}.conv2")
        if first or down:
            h = conv(h, state, f"blocks.{i}.shortcut")
        return F.avg_pool2d(h + r, 2) if down else h + r

    for i in range(downs + 2):
        x = residual(x, i, first=i == 0, down=i < downs)
    return F.linear(F.relu(x).mean((2, 3)), state["score.layer.weight"], state["score.layer.bias"])[:, 0]


def plain_generator(state, z, base, ups):
    def norm(h, name):  # training mode: over batch and space, biased variance, eps 1e-5
        mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), keepdim=True, unbiased=False)
        w, b = (state[f"{name}.{one}"][:, None, None] for one in ("weight", "bias"))
        return (h - mean) / torch.sqrt(var + 1e-5) * w + b

    def double(h):
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = F.linear(z, state["dense.weight"], state["dense.bias"])
    h = h.reshape(len(z), -1, *base)
    for i in range(ups):
        r = conv(double(F.relu(norm(h, f"blocks.{i}.norm1"))), state, f"blocks.{i}.conv1")
        r = conv(F.relu(norm(r, f"blocks.{i}.norm2")), state, f"blocks.{i}.conv2")
        h = conv(double(h), state, f"blocks.{i}.shortcut") + r
    return torch.tanh(conv(F.relu(norm(h, "norm")), state, "conv"))


def with_noise_(network):
    """Biases and norms start at 0 and 1; random numbers tell apart what those hide."""
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng, dtype=p.dtype))
    return network


@pytest.mark.parametrize(("shape", "downs"), [((3, 32, 32), 2), ((1, 28, 28), 2), ((2, 64, 64), 3), ((1, 24, 32), 2)])
def test_critic_is_the_published_one(shape, downs):
    critic = with_noise_(build_critic("resnet", shape, width=6, rng=torch.Generator().manual_seed(0)).double())
    x = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(critic(x), plain_critic(critic.state_dict(), x, downs), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "base", "ups"), [((3, 32, 32), (4, 4), 3), ((1, 28, 28), (7, 7), 2), ((1, 24, 32), (3, 4), 3)]
)
def test_generator_is_the_published_one(shape, base, ups):
    generator = with_noise_(
        build_generator("resnet", shape, z=5, width=6, rng=torch.Generator().manual_seed(0)).double()
    )
    z = torch.randn(4, 5, dtype=torch.float64)
    theirs = plain_generator(generator.state_dict(), z, base, ups)
    torch.testing.assert_close(generator(z), theirs, rtol=1e-10, atol=1e-11)


def test_running_averages_have_decay_nine_tenths():
    norm = build_generator("resnet", (1, 8, 8), width=4, rng=torch.Generator()).get_submodule("norm")
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def test_first_weights_are_he_for_3x3_and_glorot_for_shortcuts_and_output():
    rng = torch.Generator().manual_seed(0)
    state = build_generator("resnet", (3, 32, 32), z=128, width=64, rng=rng).state_dict()
    bounds = {
        "blocks.0.conv1.weight": (6 / (64 * 9)) ** 0.5,
        "blocks.2.conv2.weight": (6 / (64 * 9)) ** 0.5,
        "blocks.1.shortcut.weight": (6 / 128) ** 0.5,
        "conv.weight": (6 / ((64 + 3) * 9)) ** 0.5,
        "dense.weight": (6 / (128 + 64 * 16)) ** 0.5,
    }
    for name, bound in bounds.items():
        assert 0.99 < state[name].abs().max() / bound <= 1, name
    assert not any(state[name].any() for name in state if name.endswith("bias"))
