"""Holding out, choosing classes, units and fingerprints: from all samples to a data set."""

import pytest
import torch

from banach.data import DataError, Raw, load, split_off
from banach.data.dataset import fingerprint


def rows(n=100):
    return Raw("rows", torch.arange(n * 2.0).reshape(n, 2), torch.arange(n) % 3)


@pytest.mark.parametrize(("holdout", "held"), [(0.1, 10), (0.25, 25), (0, 0), (0.001, 1), (0.999, 99)])
def test_nothing_is_lost_or_shared(holdout, held):
    data = split_off(rows(), holdout=holdout, seed=4)
    assert (len(data.held_out), len(data.train)) == (held, 100 - held)
    both = torch.cat((data.train, data.held_out))[:, 0]
    assert both.sort().values.tolist() == rows().values[:, 0].tolist()
    assert torch.equal(data.labels, (data.train[:, 0] / 2 % 3).long())
    said = f"held out {held} of 100, by seed 4" if held else "nothing held out"
    assert said in data.notes


def test_the_seed_alone_decides_the_split():
    torch.manual_seed(1)
    first = split_off(rows(), seed=4)
    torch.manual_seed(2)
    again = split_off(rows(), seed=4)
    assert torch.equal(first.train, again.train)
    assert first.fingerprint == again.fingerprint
    assert split_off(rows(), seed=5).fingerprint != first.fingerprint
    assert split_off(rows(), seed=4, holdout=0.2).fingerprint != first.fingerprint
    assert split_off(rows(), seed=4, classes=(0,)).fingerprint != first.fingerprint


def test_units_are_fitted_on_the_training_part_alone():
    values = torch.zeros(10, 1)
    held = torch.randperm(10, generator=torch.Generator().manual_seed(0))[:1]
    values[held] = 1e6
    values[(held + 1) % 10] = 1
    data = split_off(Raw("x", values), seed=0)
    assert data.units.shift.item() == pytest.approx(1 / 9)
    assert data.held_out.item() == 1e6


def test_normalise_is_the_users_or_the_sets():
    assert split_off(rows()).units.method == "standard"
    assert split_off(rows(), normalise="minmax").units.method == "minmax"
    assert load("8gaussians:n=100").units.method == "none"
    assert load("8gaussians:n=100", normalise="standard").units.method == "standard"
    with pytest.raises(DataError, match=r"images always become \[-1, 1\]; leave out --normalise"):
        load("fashion", normalise="standard")


def test_constant_channels_are_told():
    values = torch.stack((torch.arange(20.0), torch.full((20,), 7.5), torch.zeros(20)), 1)
    (note,) = [note for note in split_off(Raw("x", values)).notes if "constant" in note]
    assert note == "2 channels constant, samples will carry the constant: 1 (7.5), 2 (0)"


@pytest.mark.parametrize("holdout", [1, -0.1, 1.5, float("nan")])
def test_wrong_shares_are_refused(holdout):
    with pytest.raises(DataError, match=r"holdout .* is not a share of the data; choose one from 0 up to"):
        split_off(rows(), holdout=holdout)


def test_batches_are_in_model_units():
    data = load("fashion")
    batch = data.batch(torch.tensor([5, 5, 0]))
    assert batch.dtype == torch.float32
    assert torch.equal(batch, data.train[[5, 5, 0]].float() / 127.5 - 1)
    assert torch.equal(data.model_units(data.held_out[:2]), data.held_out[:2].float() / 127.5 - 1)
    moved = data.to("cpu")
    assert torch.equal(moved.batch(torch.tensor([1])), data.batch(torch.tensor([1])))


@pytest.mark.parametrize(
    "values", [torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4), torch.zeros(4, 2, 8, 8, dtype=torch.uint8)]
)
def test_a_raw_of_another_type_is_refused(values):
    with pytest.raises(DataError, match=r"x: samples must be uint8 \(n, 1 or 3, h, w\) or float32 .*, not"):
        Raw("x", values)


def test_labels_must_count_as_the_samples():
    with pytest.raises(DataError, match="x: 3 labels for 4 samples"):
        Raw("x", torch.zeros(4, 2), torch.zeros(3, dtype=torch.long))


def test_fingerprints_tell_content_shape_and_type_apart():
    zero = torch.zeros(4, 2)
    other = [zero + 1, torch.zeros(2, 4), torch.zeros(4, 2, dtype=torch.int32), torch.zeros(5, 2)]
    assert len({fingerprint(one) for one in (zero, *other)}) == 5
    assert fingerprint(zero, zero) != fingerprint(torch.cat((zero, zero)))
    assert fingerprint(torch.arange(6.0).reshape(2, 3).T) == fingerprint(torch.arange(6.0).reshape(2, 3).T.contiguous())
