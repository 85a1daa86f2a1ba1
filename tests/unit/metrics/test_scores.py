import json

import pytest
import torch

from banach.metrics import scores
from banach.metrics.calibrate import blurred
from banach.metrics.features import ScoreError, extractor
from banach.metrics.fidelity import fid as fid_of_features
from banach.metrics.scores import NAMES, Settings, class_shares, evaluate, fid, gaussian_baseline, score

QUICK = Settings(kid_subsets=5, kid_subset_size=80)


@pytest.fixture(scope="module")
def parts(clothes):
    """900 training images, 100 held out, 300 noisy fakes."""
    images = clothes[0][torch.randperm(10_000, generator=torch.Generator().manual_seed(1))]
    noise = torch.randint(-40, 41, (300, 1, 28, 28), generator=torch.Generator().manual_seed(2))
    return images[:900], images[900:1000], (images[1000:1300].int() + noise).clamp(0, 255).byte()


@pytest.fixture(scope="module")
def found(parts, tmp_path_factory):
    train, held_out, fakes = parts
    return evaluate(fakes, train, held_out, settings=QUICK, cache=tmp_path_factory.mktemp("cache"))


def test_every_score_has_value_matched_and_floor(parts, found):
    train, held_out, fakes = parts
    assert tuple(found.value) == tuple(found.matched) == tuple(found.floor) == NAMES
    assert found.value == pytest.approx(score(fakes, train, extractor="fashion", settings=QUICK))
    of = extractor("fashion")
    assert found.floor["fid"] == pytest.approx(fid_of_features(of.features(held_out), of.features(train)), rel=1e-5)
    assert found.matched["fid"] > found.value["fid"] > found.floor["fid"]  # fewer samples, larger FID
    assert found.value["precision"] < found.floor["precision"]


def test_the_matched_score_is_that_of_a_seeded_part(parts):
    train, held_out, fakes = parts
    found = evaluate(fakes, train, held_out, names=("fid",), settings=QUICK)
    part = fakes[scores.shuffled(300, 0)[:100]]
    assert found.matched["fid"] == pytest.approx(fid(part, train), rel=1e-5)


def test_with_more_held_out_than_fakes_the_value_is_the_matched_score(parts):
    train, held_out, fakes = parts
    found = evaluate(fakes[:60], train, held_out, names=("fid",), settings=QUICK)
    assert found.matched == found.value
    assert found.protocol["held_out"] == 60


def test_the_protocol_says_it_all(found):
    expected = {
        "extractor": "fashion", "weights": extractor("fashion").hash, "features": 128, "image": "1x28x28",
        "fakes": 300, "reals": 900, "held_out": 100, "split": "training part", "kid_subsets": 5, "is_splits": 1,
        "neighbours": 3, "seed": 0,
    }  # fmt: skip
    assert {key: found.protocol[key] for key in expected} == expected
    assert "28x28" in str(found.protocol["input"])
    assert str(found.protocol["torch_fidelity"]).startswith("0.")


def test_scores_are_the_same_again_and_in_any_order(parts, found, rng):
    train, held_out, fakes = parts
    again = [evaluate(fakes, train, held_out, settings=QUICK) for _ in range(2)]
    assert again == [found, found]  # in a new cache, and from it
    mixed = score(fakes[torch.randperm(300, generator=rng)], train, names=("fid", "is", "precision"))
    assert mixed == pytest.approx({name: found.value[name] for name in mixed}, rel=1e-4)


def test_reference_features_and_floors_come_from_the_cache(parts, monkeypatch):
    train, held_out, fakes = parts
    seen = []
    real = type(extractor("fashion")).activations
    monkeypatch.setattr(
        type(extractor("fashion")),
        "activations",
        lambda self, images: (seen.append(len(images)), real(self, images))[1],
    )
    for _ in range(2):
        evaluate(fakes, train, held_out, names=("fid",))
    assert seen == [300, 900, 100, 300]
    evaluate(fakes, train, held_out, names=("fid",), settings=Settings(seed=1))
    assert seen[4:] == [300, 100]  # another floor, the same features


def test_the_cache_tells_sets_of_reals_apart(parts):
    train, held_out, fakes = parts
    names = ("fid",)
    one, other = (evaluate(fakes, reals, held_out[:50], names=names) for reals in (train, train[:400]))
    third = evaluate(fakes, train, held_out[50:], names=names)
    assert one.value != other.value
    assert one.value == third.value
    assert len({one.floor["fid"], other.floor["fid"], third.floor["fid"]}) == 3


def test_written_out(found):
    again = json.loads(json.dumps(found.as_dict()))
    assert again == {"value": found.value, "matched": found.matched, "floor": found.floor, "protocol": found.protocol}
    lines = found.lines()
    assert lines[0].split("  ")[-1].strip() == "100 held out"
    assert lines[1].startswith("FID[fashion] ")
    assert extractor("fashion").hash in lines[-1]


def test_without_held_out_images_there_is_no_floor(parts):
    train, _, fakes = parts
    found = evaluate(fakes, train, train[:0], names=("fid",))
    assert found.floor == found.matched == {}
    assert any("no floor" in line for line in found.lines())


def test_images_in_colour_fall_back_on_pixels_and_say_so(rng):
    fakes, train = (torch.randint(256, (n, 3, 16, 16), generator=rng, dtype=torch.uint8) for n in (40, 60))
    found = evaluate(fakes, train, train[:20], settings=QUICK)
    assert found.protocol["extractor"] == "pixels"
    assert found.protocol["features"] == 192
    assert "is" not in found.value
    assert score(fakes, train, extractor="fashion", names=("is",)).keys() == {"is"}
    with pytest.raises(ScoreError, match="IS needs classes"):
        score(fakes, train, names=("is",))


def test_in_pixels_noise_would_be_precise_so_that_neighbours_are_not_asked(rng):
    train = (torch.rand(80, 3, 1, 1, generator=rng) * 255).byte().expand(-1, -1, 16, 16).contiguous()
    noise = torch.randint(256, (40, 3, 16, 16), generator=rng, dtype=torch.uint8)
    found = evaluate(noise, train, train[:20], extractor="pixels", settings=QUICK)
    assert set(found.value) == set(found.floor) == {"fid", "kid"}
    assert "neighbours" not in found.protocol
    for name in ("precision", "recall"):
        with pytest.raises(ScoreError, match=f"{name} says nothing in pixels: pure noise has precision 1"):
            score(noise, train, extractor="pixels", names=("fid", name))


def test_the_protocol_tells_the_sizes_that_were_taken(parts):
    train, held_out, fakes = parts
    few = evaluate(fakes[:30], train, held_out).protocol
    assert (few["kid_subset_size"], few["neighbour_fakes"], few["neighbour_reals"]) == (30, 30, len(train))
    assert "kid_subset_size_of_the_floor" not in few
    many = evaluate(fakes, train, held_out[:20], names=("kid",)).protocol
    assert (many["kid_subset_size"], many["kid_subset_size_of_the_floor"]) == (300, 20)
    assert not {"is_splits", "neighbours"} & many.keys()


@pytest.mark.usefixtures("shapes_unchecked")
def test_wrong_input_is_refused(parts):
    train, held_out, fakes = parts
    with pytest.raises(ScoreError, match="unknown score 'fidd'; known: fid, kid"):
        score(fakes, train, names=("fidd",))
    with pytest.raises(ScoreError, match="9 images are too few"):
        score(fakes[:9], train)
    with pytest.raises(ScoreError, match="different shapes"):
        score(fakes[..., :20], train)
    with pytest.raises(ScoreError, match="uint8"):
        evaluate(fakes.float(), train, held_out)


def test_class_shares(clothes, activations):
    shares = class_shares(clothes[0][clothes[1] == 1])  # trousers
    assert shares.argmax() == 1
    assert shares[1] > 0.95
    every = torch.bincount(activations[1].argmax(1), minlength=10) / 10_000
    assert (every > 0.08).all()
    torch.testing.assert_close(class_shares(clothes[0][:500]).sum(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("n", [4000, 12])
def test_gaussian_baseline_has_the_data_s_mean_and_covariance(n, rng):
    """Also with fewer images than pixels."""
    mixing = torch.randn(16, 16, generator=rng) * 4
    images = (torch.randn(n, 16, generator=rng) @ mixing + 128).round().clamp(0, 255).byte().view(n, 1, 4, 4)
    drawn = gaussian_baseline(images, 40_000, rng)
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (40_000, 1, 4, 4)
    x, y = (one.flatten(1).double() for one in (images, drawn))
    torch.testing.assert_close(y.mean(0), x.mean(0), rtol=0, atol=0.5)
    torch.testing.assert_close(
        torch.cov(y.T), torch.cov(x.T), rtol=0.05, atol=0.03 * float(torch.cov(x.T).diag().max())
    )


def test_gaussian_baseline_follows_its_generator(clothes):
    one, two = (gaussian_baseline(clothes[0][:50], 4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)


def test_scores_rank_reals_blur_and_gaussian(clothes, activations, rng):
    """At 2,000 samples. (`python -m banach.metrics.calibrate` has the numbers at 10,000.)"""
    images, real = clothes[0], activations[0][2000:4000]
    of = extractor("fashion")
    floor = fid_of_features(activations[0][:2000], real)
    blur = fid_of_features(of.features(blurred(images[:2000])), real)
    gauss = fid_of_features(of.features(gaussian_baseline(images[2000:], 2000, rng)), real)
    assert 10 * floor < blur
    assert 3 * blur < gauss
