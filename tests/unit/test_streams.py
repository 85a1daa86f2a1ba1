"""Random streams: independent by name, resumable, and the caller's global generator untouched."""

import torch

from banach.streams import AUGMENT, LATENT, PENALTY, Streams, seed_of, stream


def test_streams_differ_by_seed_and_name() -> None:
    draws = [
        tuple(torch.randn(3, generator=Streams(seed)[name]).tolist())
        for seed in (0, 1)
        for name in (LATENT, PENALTY, AUGMENT)
    ]
    assert len(set(draws)) == 6


def test_one_more_draw_in_one_stream_shifts_no_other() -> None:
    one, other = Streams(0), Streams(0)
    torch.randn(7, generator=one[LATENT])
    assert torch.equal(torch.rand(5, generator=one[PENALTY]), torch.rand(5, generator=other[PENALTY]))


def test_seeds_are_fixed_for_ever() -> None:
    """A pinned value: a change here changes what every seed means."""
    assert seed_of(0, LATENT) == 2015146304195746824
    assert stream("cpu", 0, LATENT).initial_seed() == 2015146304195746824


def test_a_saved_position_is_gone_on_from() -> None:
    streams = Streams(4)
    torch.randn(10, generator=streams[LATENT])
    with streams.borrowed():
        torch.rand(3)
    saved = streams.state_dict()
    with streams.borrowed():
        dropout = torch.rand(3)
    expected = torch.randn(5, generator=streams[LATENT]), torch.rand(5, generator=streams[AUGMENT]), dropout
    other = Streams(4)
    assert other.load_state_dict(saved, step=3)
    with other.borrowed():
        dropout = torch.rand(3)
    found = torch.randn(5, generator=other[LATENT]), torch.rand(5, generator=other[AUGMENT]), dropout
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))


def test_borrowing_gives_the_callers_state_back_even_after_an_error() -> None:
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    streams = Streams(0)
    try:
        with streams.borrowed():
            torch.rand(100)
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(torch.rand(4), expected)


def test_the_borrowed_stream_does_not_depend_on_the_callers() -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with Streams(0).borrowed():
            found.append(torch.rand(3))
    assert torch.equal(*found)


def test_another_kind_of_device_gets_fresh_streams_and_says_so() -> None:
    saved = Streams(0).state_dict() | {"device": "cuda"}
    one, other = Streams(0), Streams(0)
    assert not one.load_state_dict(saved, step=10)
    assert not other.load_state_dict(saved, step=11)
    assert not torch.equal(torch.rand(3, generator=one[LATENT]), torch.rand(3, generator=other[LATENT]))
