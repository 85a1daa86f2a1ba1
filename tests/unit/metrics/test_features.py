import hashlib
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from banach.metrics import calibrate
from banach.metrics.features import (
    EXTRACTORS,
    Extractor,
    ScoreError,
    extractor,
    extractor_for,
    fashion_facts,
    fashion_weights,
    grey,
    resized,
)
from banach.metrics.train_fashion import Trained, augmented, folded
from banach.specs import SpecError


def test_weights_are_small_and_named_by_their_hash():
    weights = fashion_weights()
    assert len(weights) < 1_000_000
    assert extractor("fashion").hash == hashlib.sha256(weights).hexdigest()[:12]


def test_accuracy_on_the_bundled_images_is_the_recorded_one(clothes, activations):
    """The bundled images are the test images, which the classifier never saw."""
    accuracy = (activations[1].argmax(1) == clothes[1]).double().mean().item()
    assert accuracy == pytest.approx(float(fashion_facts()["test_accuracy"]), abs=3e-4)
    assert accuracy >= 0.92


def test_features_have_the_announced_shape_and_none_is_dead(activations):
    features, logits = activations
    assert features.shape == (10_000, 128)
    assert logits.shape == (10_000, 10)
    assert (features.amax(0) > 0).all()


def test_features_do_not_depend_on_order_or_company(clothes, activations, rng):
    rows = torch.randperm(10_000, generator=rng)[:700]
    torch.testing.assert_close(extractor("fashion").features(clothes[0][rows]), activations[0][rows])


def test_extraction_leaves_no_graph_and_no_global_random_state(clothes):
    before = torch.get_rng_state()
    features = extractor("fashion").features(clothes[0][:3])
    assert not features.requires_grad
    assert torch.equal(before, torch.get_rng_state())


def test_colour_is_read_as_luma(clothes):
    images = clothes[0][:50]
    of = extractor("fashion")
    torch.testing.assert_close(of.features(images.expand(-1, 3, -1, -1)), of.features(images), rtol=1e-4, atol=1e-4)
    red, green, blue = torch.eye(3).mul(255).byte().view(3, 3, 1, 1)
    assert [grey(one[None]).item() for one in (red, green, blue)] == pytest.approx([76.245, 149.685, 29.07])


def test_other_sizes_are_resized_with_antialiasing(clothes):
    images, labels = clothes[0][:1000], clothes[1][:1000]
    padded = functional.pad(images, (2, 2, 2, 2))
    accuracy = (extractor("fashion").logits(padded).argmax(1) == labels).double().mean()
    assert accuracy > 0.9
    chess = (torch.arange(84)[:, None] + torch.arange(84)).remainder(2).mul(255.0).view(1, 1, 84, 84)
    inside = resized(chess, 28, 28)[..., 2:-2, 2:-2]
    assert (inside - 127.5).abs().max() < 20  # without antialiasing every third pixel is taken: 0 or 255
    assert resized(chess, 84, 84) is chess


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 1, 28, 28),
        torch.zeros(4, 28, 28, dtype=torch.uint8),
        torch.zeros(0, 1, 28, 28, dtype=torch.uint8),
        [[1]],
    ],
)
def test_what_is_not_uint8_images_is_refused(images):
    with pytest.raises(ScoreError, match="scores take uint8 images"):
        extractor("fashion").features(images)


def test_fashion_refuses_other_channel_counts():
    with pytest.raises(ScoreError, match="not 2; use 'pixels'"):
        extractor("fashion").features(torch.zeros(4, 2, 28, 28, dtype=torch.uint8))


def test_pixels_are_the_image():
    images = torch.randint(256, (5, 3, 4, 6), dtype=torch.uint8)
    features = extractor("pixels").features(images)
    torch.testing.assert_close(features, (images.float() / 127.5 - 1).flatten(1))
    assert extractor("pixels").features(torch.zeros(2, 3, 32, 48, dtype=torch.uint8)).shape == (2, 3 * 64)
    with pytest.raises(ScoreError, match="has no classes"):
        extractor("pixels").logits(images)


def test_default_extractor():
    assert extractor_for((1, 28, 28)) == "fashion"
    assert extractor_for((3, 32, 32)) == "pixels"


def test_a_plugin_adds_its_own(monkeypatch):
    monkeypatch.setattr(EXTRACTORS, "_entries", dict(EXTRACTORS._entries))

    @EXTRACTORS.register(name="brightness", summary="mean of the image")
    def brightness() -> Extractor:
        return Extractor("brightness", "0", 1, 0, "any", lambda images: (images.float().mean((1, 2, 3))[:, None], None))

    assert extractor("brightness").features(torch.full((2, 1, 3, 3), 7, dtype=torch.uint8)).tolist() == [[7.0], [7.0]]


def test_unknown_extractor_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean fashion"):
        extractor("fashoin")


def test_inception_asks_for_its_file(monkeypatch, tmp_path):
    monkeypatch.delenv("BANACH_INCEPTION", raising=False)
    with pytest.raises(ScoreError, match=r"set BANACH_INCEPTION to its path$"):
        extractor("inception")
    monkeypatch.setenv("BANACH_INCEPTION", str(tmp_path / "absent.pth"))
    with pytest.raises(ScoreError, match=r"absent.pth is not a file"):
        extractor("inception")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    monkeypatch.setenv("BANACH_INCEPTION", str(tmp_path / "junk.pth"))
    with pytest.raises(ScoreError, match="does not hold the weights"):
        extractor("inception")


@pytest.mark.slow
def test_inception_reads_a_local_file(monkeypatch, tmp_path):
    """With random weights: the path through torch-fidelity, not the published network."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    with monkeypatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        untrained = module.FeatureExtractorInceptionV3("untrained", ["2048"])
    torch.save(untrained.state_dict(), tmp_path / "random.pth")
    monkeypatch.setenv("BANACH_INCEPTION", str(tmp_path / "random.pth"))
    of = EXTRACTORS["inception"]()
    features, logits = of.activations(torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8))
    assert features.shape == (3, 2048)
    assert logits.shape == (3, 1008)
    assert of.protocol.startswith("NOT the published weights")


def test_folding_keeps_the_function(rng):
    torch.manual_seed(0)
    trained = Trained()
    x = torch.rand(64, 1, 28, 28, generator=rng)
    for _ in range(5):
        trained(x + torch.rand(64, 1, 1, 1, generator=rng))  # running statistics away from 0 and 1
    with torch.no_grad():
        for norm in (*trained.norms, trained.hidden_norm):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
        torch.testing.assert_close(folded(trained)(x)[1], trained.eval()(x), rtol=1e-4, atol=1e-4)


def test_augmentation_stays_in_range_and_follows_its_generator(clothes):
    one, again, other = (augmented(clothes[0][:8], torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1 + 1e-6


def test_importing_the_package_imports_no_heavy_library():
    code = (
        "import sys, banach.metrics.features, banach.metrics.scores, banach.metrics.fields, banach.metrics.fidelity\n"
        "print([name for name in ('torch_fidelity', 'torchvision', 'ot', 'matplotlib', 'tensorboard')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_calibration_table_is_of_the_shipped_weights():
    assert f"fashion {extractor('fashion').hash} " in (calibrate.__doc__ or "")
