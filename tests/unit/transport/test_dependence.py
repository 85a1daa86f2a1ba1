"""Which rows are one draw, and the parts that they go to."""

import numpy as np
import pytest
import torch

from banach import Lp, space
from banach.transport import TransportError
from banach.transport.dependence import units
from banach.transport.samples import read
from banach.transport.splits import frame, parts, prepared, split


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def given(n=30, m=20, seed=0):
    x, y = torch.randn(n, 2, generator=rng(seed)), torch.randn(m, 2, generator=rng(seed + 1))
    return read(x, y)


def test_rows_are_independent_unless_something_is_said():
    found = units(given())
    assert sorted([*found.a, *found.b]) == list(range(50))
    assert found.shared == 0
    assert found.said == ""
    assert found.weights(found.a) is None
    assert found.counts(found.a) == (30, 0)


def test_pairs_and_labels_join():
    found = units(given(30, 30), paired=True)
    assert (found.a == found.b).all()
    assert found.shared == 30
    labels = np.repeat(["a", "b", "c"], 10)
    for groups in ({"groups_a": labels}, {"groups_b": labels.tolist()}):
        assert len(set(units(given(30, 30), paired=True, **groups).a)) == 3
    alone = units(given(30, 20), groups_a=torch.arange(30) // 3)
    assert alone.counts(alone.a) == (10, 0)
    assert alone.counts(alone.b) == (20, 0)
    assert alone.shared == 0
    both = units(given(30, 20), groups_a=np.arange(30), groups_b=[str(k) for k in range(25, 45)])
    assert both.shared == 5, "a label means the same in both, as a number and as a word"


def test_chains_are_one_unit():
    """Rows that one label joins, that a pair joins to others, that a label joins again."""
    labels_a, labels_b = np.arange(30), np.arange(30) + 1
    assert len(set(units(given(30, 30), paired=True, groups_a=labels_a, groups_b=labels_b).a)) == 1


def test_equal_rows():
    x = torch.randn(200, 2, generator=rng())
    x[1] = x[0]
    y = torch.randn(200, 2, generator=rng(1))
    few = units(read(x, y))
    assert few.counts(few.a) == (200, 2)
    assert few.counts(few.b) == (200, 0)
    assert units(read(x, y), ties="independent").tied.sum() == 0
    copies = units(read(x, y), ties="copies")
    assert copies.counts(copies.a) == (199, 0)
    assert copies.weights(copies.a).tolist() == [0.5, 0.5] + [1.0] * 198
    across = units(read(x, torch.cat([y, x])))
    assert across.shared == 199, "what is in both and hardly twice in either is a copy"
    same_label = units(read(x, y), groups_a=np.r_[0, 0, np.arange(198)])
    assert same_label.counts(same_label.a) == (198, 0), "rows of one group may be equal"
    minus = torch.zeros(200, 2)
    minus[::2] = -0.0
    with pytest.raises(TransportError, match="200 of 200 samples of A"):
        units(read(minus, y))


WRONG = {
    "paired": ({"paired": True}, "30 and 20 samples cannot be paired"),
    "count": ({"groups_a": np.zeros(3, int)}, "A has 30 samples and groups of shape"),
    "floats": ({"groups_b": np.zeros(20)}, "the groups of B are float64; give whole numbers or words"),
    "masked": ({"groups_b": np.ma.array(np.zeros(20, int), mask=np.arange(20) == 3)}, "the groups of B"),
    "nothing": ({"groups_a": [None] * 30}, "the groups of A are object"),
    "ties": ({"ties": "maybe"}, "ties 'maybe' is none of independent, copies"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_statement_is_refused(name):
    options, said = WRONG[name]
    with pytest.raises(TransportError, match=said):
        units(given(), **options)


def test_a_unit_is_in_one_part_of_both():
    x = torch.arange(300.0)[:, None]
    labels_a, labels_b = torch.arange(300) // 3, torch.arange(200) // 4 + 90
    of = units(read(x, x[:200] + 1000), groups_a=labels_a, groups_b=labels_b)
    assert of.shared == 10
    one, other = split(x, x[:200] + 1000, of, rng())
    names = ("train", "select", "held_out")
    held = [
        {int(labels_a[int(row)]) for row in getattr(one, part)}
        | {int(labels_b[int(row) - 1000]) for row in getattr(other, part)}
        for part in names
    ]
    assert sum(map(len, held)) == len(set.union(*held)) == 140
    assert sum(len(getattr(one, part)) for part in names) == 300
    assert [one.groups[k].count(getattr(one, part)) for k, part in enumerate(names)] == [50, 20, 30]
    with pytest.raises(TransportError, match="300 samples in 3 independent groups are too few"):
        split(x, x[:200], units(read(x, x[:200] + 1000), groups_a=torch.arange(300) // 100), rng())
    with pytest.raises(TransportError, match=r"^5 samples are too few"):
        split(x[:5], x, units(read(x[:5], x + 1000)), rng())


def test_batches_draw_groups_alike():
    x = torch.arange(110.0)[:, None]
    of = units(read(x, x + 1000), groups_a=np.r_[np.zeros(100, int), np.arange(1, 11)])
    one, _ = split(x, x + 1000, of, rng())
    rows = torch.cat([one.batch(5, rng(seed)) for seed in range(400)]).flatten()
    groups = one.groups[0].count(one.train)
    large = float((rows < 100).double().mean())
    assert large == (0 if bool((one.train >= 100).all()) else pytest.approx(1 / groups, rel=0.3))
    assert set(rows.tolist()) <= set(one.train.flatten().tolist())
    assert len(parts(x, rng()).batch(20, rng())) == 20


def test_a_frame_is_an_isometry_of_what_trains_and_knows_nothing_of_what_is_held_out():
    x, y = (torch.randn(200, 3, generator=rng(seed), dtype=torch.float64) * 1e-5 + 1e6 for seed in (0, 1))
    of = units(read(x, y))
    one, _, into = prepared(Lp(2), read(x, y), of, rng())
    assert one.train.dtype == torch.float32
    assert one.held_out.dtype == torch.float64
    assert float(one.train.abs().max()) <= 1
    raw, _ = split(x, y, of, rng())
    apart = Lp(2).distance(raw.held_out[:-1], raw.held_out[1:])
    assert torch.allclose(into.unit * Lp(2).distance(one.held_out[:-1], one.held_out[1:]), apart, rtol=1e-9, atol=0)
    assert into.told(None) is None
    told = []
    into.told(lambda *now: told.append(now))(0.5, 2.0)
    assert told == [(0.5, 2.0 * into.unit)]
    moved = raw.held_out + 1e9
    assert frame(Lp(2), parts(x, rng()), parts(y, rng(1))).unit == into.unit
    assert bool((into(moved) != one.held_out).all())
    with pytest.raises(TransportError, match="leaves no room for distances"):
        frame(Lp(2), parts(x * 1e302, rng()), parts(-x * 1e302, rng()))
    assert frame(space("discrete"), parts(x, rng()), parts(y, rng())).dtype == torch.float64
    assert frame(space("discrete"), parts(x.float(), rng()), parts(y.float(), rng())).dtype == torch.float32
