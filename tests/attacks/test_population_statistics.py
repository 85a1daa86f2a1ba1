"""Bounds of the distance of two distributions, where rows depend on each other and where float32 cannot hold them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from banach import gradient_penalty, space
from banach.cli.__main__ import main
from banach.transport import Budget, TransportError, penalised_estimate, population_distance
from banach.transport.confidence import upper_from_diameter
from banach.transport.dependence import units
from banach.transport.samples import read
from banach.transport.splits import prepared

QUICK = Budget(steps=40, checks=2, batch=250)
SHORT = Budget(steps=30, checks=4, batch=60)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed):
    return torch.randn(n, d, generator=rng(seed))


def uniform(n, d, seed):
    return torch.rand(n, d, generator=rng(seed), dtype=torch.float64)


def mirrored(seed):
    """One symmetric distribution, the rows coupled as y_i = -x_i: a critic that learnt x_i by heart knows y_i."""
    x = normal(600, 1500, seed)
    return population_distance(x, -x, paired=True, model="lipschitz-sort", width=32, budget=QUICK, seed=seed).lower


def test_pairs_do_not_train_on_the_partners_of_held_out_rows():
    assert [mirrored(seed) for seed in range(2)] == [0.0] * 2, "0.3 to 0.6 where x and y are split apart"


@pytest.mark.slow
def test_bounds_of_pairs_exceed_the_truth_in_few_draws():
    above = sum(mirrored(seed) > 0 for seed in range(60))
    assert above <= 3, "5% of 60"


def repeated(seed, times=8, **options):
    """40 draws of each distribution (they are one), each of them in the file so many times."""
    x, y = (normal(40, 200, one).repeat(times, 1) for one in (seed, seed + 1000))
    options = {"model": "lipschitz-sort", "width": 64, "budget": SHORT, "seed": seed} | options
    return population_distance(x, y, confidence=0.8, **options)


def test_copies_are_asked_about():
    with pytest.raises(TransportError, match="320 of 320 samples of A and 320 of 320 of B equal others") as refused:
        repeated(0)
    said = str(refused.value)
    assert len(said.splitlines()) == 2
    for remedy in ("--ties independent", "--ties copies", "--groups FILE", "--paired"):
        assert remedy in said


def test_copies_that_are_said_to_be_do_not_prove_what_is_not_so():
    assert [repeated(seed, ties="copies").lower for seed in range(3)] == [0.0] * 3
    wrong = [repeated(seed, ties="independent").lower for seed in range(2)]
    assert min(wrong) > 0.5, "which is why it is asked"
    assert "12 independent groups" in repeated(0, ties="copies").reasons[0]


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_groups_of_rows_that_are_nearly_equal(noise):
    """Frames of clips: no two rows need be equal."""
    for seed in range(2):
        x, y = (normal(40, 200, one).repeat(8, 1) + noise * normal(320, 200, one + 1) for one in (seed, seed + 1000))
        labels = torch.arange(40).repeat(8)
        found = population_distance(x, y, groups_a=labels, groups_b=[f"clip {k}" for k in labels.tolist()],
                                    model="lipschitz-sort", width=64, budget=SHORT, seed=seed,
                                    confidence=0.8)  # fmt: skip
        assert found.lower == 0


def test_groups_of_other_sizes_count_alike():
    """One clip of 2,000 frames at 5 and 400 of one frame at 0: P is that of a frame of a random clip, not near 5."""
    rows = torch.cat([torch.full((2000, 1), 5.0), torch.zeros(400, 1)]) + 1e-3 * normal(2400, 1, 0)
    labels = np.concatenate([np.zeros(2000, int), np.arange(1, 401)])
    for seed in range(2):
        found = population_distance(
            rows, 1e-3 * normal(401, 1, 1), groups_a=labels, within="box:-1,6", width=8, budget=SHORT, seed=seed
        )
        assert found.lower <= 5 / 401 + 1e-3 <= found.upper


def test_a_file_beside_itself_is_one_draw_of_both():
    x = normal(400, 20, 0)
    found = population_distance(x, x[torch.randperm(400, generator=rng(1))], width=16, budget=SHORT)
    assert found.lower == 0
    assert "400 draws are in A and in B" in found.reasons[0]


def test_a_series_and_itself_moved_on_has_no_independent_rows():
    x = normal(400, 3, 0)
    with pytest.raises(TransportError, match="399 samples in 1 independent groups are too few"):
        population_distance(x[:-1], x[1:], paired=True, width=8, budget=SHORT, ties="copies")
    with pytest.raises(TransportError, match="independent groups are too few"):
        population_distance(x[:-1], x[1:], paired=True, width=8, budget=SHORT)


@pytest.mark.parametrize("ties", [None, "independent"])
def test_draws_of_two_points(ties):
    """What is discrete has equal rows by nature; it says so."""
    x, y = ((uniform(2000, 1, seed) < p).float() for seed, p in ((0, 0.7), (1, 0.2)))
    if ties is None:
        with pytest.raises(TransportError, match="counts, rounded numbers"):
            population_distance(x, y, width=4, budget=SHORT)
        return
    found = population_distance(x, y, ties=ties, within="box:0,1", width=4, budget=SHORT)
    assert 0.2 < found.lower <= 0.5 <= found.upper


def test_a_few_equal_rows_count_at_their_worst():
    """float32 has 2^24 numbers in [0, 1): some of 3,000 draws coincide, and nobody need be asked."""
    x, y = normal(3000, 1, 0), normal(3000, 1, 1) + 1
    x[:10], y[:8] = x[20:30].clone(), x[50:58].clone()
    found = population_distance(x, y, within="box:-6,7", width=8, budget=SHORT)
    free = population_distance(x, y, within="box:-6,7", width=8, budget=SHORT, ties="independent")
    assert "equal others, counted in the worst way" in found.reasons[0]
    assert 0.8 * free.lower < found.lower < free.lower < 1
    assert found.upper > free.upper


def test_pairs_move_the_distance_of_the_samples_twice():
    """Of units that have a row in both samples one move may cost 2 D/n, not D/n in each of two that are independent."""
    n, delta = 400, 0.1
    independent = upper_from_diameter(0.0, n, n, 1.0, delta)
    assert upper_from_diameter(0.0, n, n, 1.0, delta, shared=n) == pytest.approx(math.sqrt(2) * independent)
    assert upper_from_diameter(0.0, n, 100, 1.0, delta, shared=50) == pytest.approx(
        math.sqrt(math.log(10) / 2 * (350 / n**2 + 50 / 100**2 + 50 * (1 / n + 1 / 100) ** 2)), rel=1e-6
    )


SCALES = {
    "unix seconds": (1.7e9, 1.0), "far": (-1e13, 64.0), "large": (0.0, 1e30), "small": (0.0, 1e-12),
    "nearly constant": (1.0, 1e-9), "huge": (0.0, 1e290), "tiny": (0.0, 1e-250),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALES)
def test_offset_and_scale_do_not_matter(name):
    offset, scale = SCALES[name]
    x, y = offset + scale * (uniform(600, 2, 0) + torch.tensor([1.0, 0.0])), offset + scale * uniform(600, 2, 1)
    low, high = (float(one) for one in torch.cat([x, y]).aminmax())
    found = population_distance(x, y, width=16, budget=SHORT, within=f"box:{low!r},{high!r}")
    assert 0.3 * scale < found.lower < scale < found.upper < 1.6 * scale


def test_what_float32_rounds_is_not_bounded_in_its_place():
    """Numbers just below and just above the middle of two float32 values: 1.5 apart, 128 when rounded."""
    base = math.floor(1.7e9 / 128) * 128 + 63.0
    for seed in range(3):
        x, y = base + 1.5 + uniform(600, 1, seed) / 2, base + uniform(600, 1, seed + 100) / 2
        assert 1.2 < population_distance(x, y, width=16, budget=SHORT, seed=seed).lower < 1.5
    found, other = (
        penalised_estimate(a, b, "l2", gradient_penalty, width=16, budget=SHORT)
        for a, b in ((x, y), (x - base, y - base))
    )
    assert found.value == pytest.approx(other.value, rel=1e-3)


def test_a_box_is_as_samples_of_its_type_have_it():
    """The float32 number 0.1 is above 0.1."""
    x, y = torch.full((50, 1), 0.1), torch.full((50, 1), 0.05)
    found = population_distance(x, y, within="box:0,0.1", ties="independent", width=4, budget=SHORT)
    assert found.upper >= 0.05


@pytest.mark.parametrize("confidence", [1e-9, 0.999999999, 1 - 1e-15])
def test_confidence_near_its_ends(confidence):
    found = population_distance(
        uniform(600, 1, 0) + 1, uniform(600, 1, 1), within="box:0,2", confidence=confidence, width=8, budget=SHORT
    )
    assert found.lower < 1 < found.upper
    assert f"confidence {confidence!r}" in found.reasons[0]


@pytest.fixture
def banach(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def act(words):
        capsys.readouterr()
        code = main(["distance", *words.split(), "--target", "population", "--critic-steps", "30", "--width", "16"])
        said = capsys.readouterr()
        return code, said.out, said.err

    return act


def test_the_command_line(banach):
    x = normal(60, 20, 0).repeat(4, 1).numpy()
    np.save("a.npy", x)
    np.save("b.npy", x[::-1] + 1e-3 * normal(240, 20, 1).numpy())
    labels = np.tile(np.arange(60), 4)
    words = [f"clip {k}" for k in (*labels, *labels[::-1])]
    Path("groups.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    np.savez("groups.npz", a=labels, b=labels[::-1])
    np.save("short.npy", labels)
    code, _, err = banach("a.npy b.npy")
    assert code == 2
    assert "--groups FILE" in err
    assert len(err.splitlines()) <= 2
    code, _, err = banach("a.npy b.npy --groups groups.npz --n 100")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "the larger groups more often" in err
    for given in ("groups.txt", "groups.npz"):
        code, out, err = banach(f"a.npy b.npy --groups {given}")
        assert code == 0, err
        assert "at least 0 at 95% confidence" in out
        assert "independent groups of equal weight" in out
        assert "draws are in A and in B" in out
    for words, said in (
        ("a.npy b.npy --groups short.npy", "short.npy holds 240 labels; give 480: 240 of A, then 240 of B"),
        ("a.npy b.npy --groups nothing.txt", "there is no file of groups nothing.txt"),
        ("a.npy b.npy --ties maybe", "'maybe' is none of independent, copies"),
    ):
        code, _, err = banach(words)
        assert code == 2
        assert said in err
    assert banach("a.npy b.npy --paired --groups short.npy --critic mlp")[0] == 0
    assert main(["distance", "a.npy", "b.npy", "--ties", "copies"]) == 2


def test_fewer_of_pairs_are_pairs(banach):
    """Before, --n drew other rows of A than of B."""
    x = uniform(500, 2, 0)
    np.save("a.npy", x.numpy())
    np.save("b.npy", (x + torch.tensor([0.25, 0.0])).numpy())
    code, out, err = banach("a.npy b.npy --paired --n 300 --support box:0,1.25 --confidence 0.999")
    assert code == 0, err
    assert "the mean distance of the given pairs" in out
    assert "at 99.9% confidence" in out


def test_shared_points_of_a_discrete_metric_are_not_centred():
    """A metric that is no norm has no say on differences, so that its samples are taken as they are."""
    x, y = uniform(50, 1, 0) + 1.7e9, uniform(50, 1, 1) + 1.7e9
    given = read(x, y)
    for metric, centred in (("l2", True), ("discrete", False)):
        of_x, _, into = prepared(space(metric), given, units(given), rng())
        assert (into.unit == 1.0 and into.dtype == torch.float64) is not centred
        assert (float(of_x.held_out.abs().max()) < 3) is centred
