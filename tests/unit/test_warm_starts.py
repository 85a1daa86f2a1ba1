"""The memory that solvers pass on: explicit, flat, and gone outside its block."""

import contextlib

import torch

from banach.norms.warm_starts import slot, warm_starts


def test_nothing_is_kept_outside():
    slot("a").keep("x", torch.ones(2))
    assert slot("a").recall("x") is None
    with warm_starts() as memory:
        pass
    assert memory == {}


def test_what_one_block_keeps_the_next_recalls():
    with warm_starts({}) as memory:
        slot("a").keep("x", torch.tensor([1.0]).requires_grad_())
        slot("a").keep("x", torch.tensor([2.0]))
        assert slot("b").recall("x") is None
    assert list(memory) == ["a #1 x", "a #2 x"]
    assert not memory["a #1 x"].requires_grad
    with warm_starts(memory) as later:
        assert slot("a").recall("x") == torch.tensor([1.0])
        second = slot("a")
        second.keep("x", torch.tensor([3.0]))
        assert second.recall("x") == torch.tensor([2.0])  # a block reads what it was given, not what it wrote
        assert slot("a").recall("x") is None
    assert later["a #2 x"] == 3
    assert memory["a #2 x"] == 2  # the memory that was given stays as it was
    assert later["a #1 x"] == 1  # what was not solved this time is not forgotten


def test_blocks_nest_and_end_with_an_error_too():
    with warm_starts({"a #1 x": torch.ones(1)}):
        with contextlib.suppress(ZeroDivisionError), warm_starts({}):
            assert slot("a").recall("x") is None
            raise ZeroDivisionError
        assert slot("a").recall("x") is not None
    assert slot("a").recall("x") is None


def test_the_memory_lies_in_a_checkpoint(tmp_path):
    with warm_starts() as memory:
        slot("Lp(p=2) (3, 4)").keep("x", torch.arange(3.0))
    torch.save(memory, tmp_path / "memory.pt")
    assert torch.equal(torch.load(tmp_path / "memory.pt", weights_only=True)["Lp(p=2) (3, 4) #1 x"], torch.arange(3.0))
