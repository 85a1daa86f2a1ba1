"""The sampler resumes bit by bit from anywhere; augmentation follows its published distribution."""

import io

import pytest
import torch

from banach.data import DataError, Sampler, Units, augment


def drawn(sampler, times):
    return torch.stack([sampler.next() for _ in range(times)])


def stored(sampler):
    """The state as a checkpoint would bring it back."""
    buffer = io.BytesIO()
    torch.save(sampler.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (12, 4), (7, 7), (5, 13), (1, 4), (1000, 64)])
def test_every_epoch_is_a_permutation(n, batch):
    rows = drawn(Sampler(n, batch, seed=1), n).flatten()
    epochs = rows.reshape(batch, n)
    assert (epochs.sort(1).values == torch.arange(n)).all()
    if n >= 10:
        assert not torch.equal(epochs[0], epochs[1]), "epochs must be shuffled anew"


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (12, 4), (7, 7), (5, 13)])
@pytest.mark.parametrize("after", range(13))
def test_resuming_anywhere_is_exact(n, batch, after):
    whole = Sampler(n, batch, seed=3)
    for _ in range(after):
        whole.next()
    state = stored(whole)
    expected = drawn(whole, 30)
    fresh = Sampler(n, batch, seed=99)
    fresh.load_state_dict(state)
    assert torch.equal(drawn(fresh, 30), expected)
    assert torch.equal(fresh.state_dict()["generator"], whole.state_dict()["generator"])
    assert fresh.epoch == whole.epoch


def test_a_state_is_not_changed_by_drawing_on():
    sampler = Sampler(10, 3, seed=0)
    state = sampler.state_dict()
    before = state["generator"].clone()
    drawn(sampler, 20)
    assert torch.equal(state["generator"], before)


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = drawn(Sampler(10, 3, seed=0), 9)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(2)
    assert torch.equal(drawn(Sampler(10, 3, seed=0), 9), first)
    assert not torch.equal(drawn(Sampler(10, 3, seed=1), 9), first)


def test_epochs_are_counted():
    sampler = Sampler(4, 2, seed=0)
    counts = []
    for _ in range(4):
        counts.append(sampler.epoch)
        sampler.next()
    assert counts == [0, 0, 1, 1]


def test_a_foreign_state_and_empty_data_are_refused():
    with pytest.raises(DataError, match="saved order is for batches of 3 from 10 rows, not of 4 from 10"):
        Sampler(10, 4).load_state_dict(Sampler(10, 3).state_dict())
    with pytest.raises(DataError, match="batches of 8 from 0 rows cannot be drawn"):
        Sampler(0, 8)


def rng():
    return torch.Generator().manual_seed(0)


def test_flips_mirror_about_half_of_the_images():
    x = torch.randn(2000, 1, 2, 3)
    y = augment(x, rng(), flip=True)
    same, mirrored = (y == x).flatten(1).all(1), (y == x.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 900 < mirrored.sum() < 1100


def test_dequantisation_fills_the_gaps_and_can_be_undone():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(200).reshape(200, 1, 16, 16)
    y = augment(Units("pixels").to_model(pixels), rng(), dequantise=True)
    assert y.min() >= -1
    assert y.max() <= 1
    undone = (128 * (y.double() + 1)).floor()
    assert (undone != pixels).double().mean() < 1e-4  # but for float32's rounding
    within = 128 * (y.double() + 1) - pixels
    assert within.mean().item() == pytest.approx(0.5, abs=0.01)
    assert within.var().item() == pytest.approx(1 / 12, rel=0.02)


def test_augmentation_is_off_by_default_and_draws_from_its_generator():
    x = torch.randn(8, 3, 4, 4)
    assert augment(x, rng()) is x
    torch.manual_seed(1)
    first = augment(x, rng(), flip=True, dequantise=True)
    torch.manual_seed(2)
    assert torch.equal(augment(x, rng(), flip=True, dequantise=True), first)


def test_flipping_vectors_is_refused():
    with pytest.raises(DataError, match=r"--flip and --dequantise need images .*, and these data are \(8, 5\)"):
        augment(torch.zeros(8, 5), rng(), flip=True)
