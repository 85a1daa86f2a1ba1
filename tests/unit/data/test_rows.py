"""Rows of a tensor: all that is asked of samples, as the tensor would answer."""

import pytest
import torch

from banach.data.rows import Rows, blocks, taken

VALUES = torch.arange(7 * 3 * 2).view(7, 3, 2)
ORDER = torch.tensor([6, 0, 3, 3, 5])
PART, WHOLE = Rows(VALUES, ORDER), VALUES[ORDER]


@pytest.mark.parametrize(
    "index",
    [2, -1, slice(1, 4), slice(None), slice(9, 9), torch.tensor([4, 0, 0]), torch.tensor([[1], [2]]), ORDER == 3],
    ids=str,
)
def test_every_index_gives_what_the_tensor_gives_and_a_copy(index):
    found = PART[index]
    assert torch.equal(found, WHOLE[index])
    before = VALUES.clone()
    found.zero_()
    assert torch.equal(VALUES, before), "a sample that is handed out is not the file's own"


def test_what_is_told_of_it_is_the_tensors():
    for one in ("shape", "ndim", "dtype", "device", "nbytes"):
        assert getattr(PART, one) == getattr(WHOLE, one)
    assert (len(PART), PART.numel()) == (len(WHOLE), WHOLE.numel())
    assert PART.cpu() is PART
    assert PART.to("cpu") is PART
    with pytest.raises(IndexError):
        PART[5]
    assert [one.tolist() for one in PART] == WHOLE.tolist()


def test_blocks_and_parts_of_parts():
    for size in (1, 2, 5, 9):
        found = list(PART.split(size))
        assert [len(one) for one in found] == [len(one) for one in WHOLE.split(size)]
        assert torch.equal(torch.cat(found), WHOLE)
    assert [len(one) for one in blocks(PART, 12)] == [len(one) for one in blocks(WHOLE, 12)] == [2, 2, 1]
    assert [len(one) for one in blocks(PART, 1)] == [1] * 5
    rows = torch.tensor([4, 1])
    part = taken(PART, rows)
    assert isinstance(part, Rows)
    assert torch.equal(part[:], taken(WHOLE, rows))
    assert torch.equal(taken(part, torch.tensor([1]))[:], WHOLE[1:2])
