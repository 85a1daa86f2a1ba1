"""A generator is one file, enough to sample in the data's units."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from banach.data.units import Units
from banach.generator import FORMAT, About, Generator, GeneratorError
from banach.models import MODELS, Family, build_generator

ABOUT = About(model="resnet", shape=(1, 12, 12), z=3, width=4, output="tanh", kind="image", space="Lp(4)", step=7)


def trained(about: About = ABOUT, units: Units | None = None) -> Generator:
    rng = torch.Generator().manual_seed(0)
    network = build_generator(about.model, about.shape, z=about.z, width=about.width, output=about.output, rng=rng)
    network(torch.randn(16, about.z, generator=rng))  # running statistics that are not the initial ones
    return Generator(network, units or Units("pixels"), about)


def test_samples_are_in_the_units_of_the_data() -> None:
    images = trained().sample(5)
    assert (images.dtype, tuple(images.shape)) == (torch.uint8, (5, 1, 12, 12))
    units = Units("standard", torch.tensor([100.0, 0.0]), torch.tensor([2.0, 0.0]))
    vectors = trained(About(model="mlp", shape=(2,), z=3, width=4, output="linear"), units).sample(2000)
    assert vectors.dtype == torch.float32
    assert float(vectors[:, 0].mean()) == pytest.approx(100, abs=3)
    assert torch.equal(vectors[:, 1], torch.zeros(2000))


def test_a_seed_says_it_all() -> None:
    generator = trained()
    first = generator.sample(7, seed=3)
    torch.manual_seed(99)
    assert torch.equal(first, generator.sample(7, seed=3))
    assert not torch.equal(first, generator.sample(7, seed=4))
    assert torch.equal(first, generator.sample(1500, seed=3)[:7])


def test_batches_make_no_difference_beyond_rounding() -> None:
    about = About(model="resnet", shape=(2, 12, 12), z=3, width=8, output="linear")
    generator = trained(about, Units("none", torch.zeros(2), torch.ones(2)))
    whole = generator.sample(40, seed=1)
    for batch in (1, 7, 40, 1000):
        torch.testing.assert_close(generator.sample(40, seed=1, batch=batch), whole, rtol=1e-4, atol=1e-5)


def test_sampling_uses_running_statistics_and_restores_the_mode() -> None:
    generator = trained()
    generator.network.train()
    before = {name: value.clone() for name, value in generator.network.state_dict().items()}
    alone = generator.sample(1, seed=2)
    assert torch.equal(alone, generator.sample(64, seed=2)[:1])
    assert generator.network.training
    assert all(torch.equal(value, before[name]) for name, value in generator.network.state_dict().items())


@pytest.mark.parametrize("units", [Units("pixels"), Units("minmax", torch.tensor([3.0]), torch.tensor([0.5]))])
def test_saved_and_loaded(tmp_path: Path, units: Units) -> None:
    generator = trained(units=units)
    path = generator.save(tmp_path / "g.safetensors")
    other = Generator.load(path)
    assert other.about == ABOUT
    assert torch.equal(other.sample(9, seed=5), generator.sample(9, seed=5))
    assert not any(one.requires_grad for one in other.network.parameters())
    assert [one.name for one in tmp_path.iterdir()] == ["g.safetensors"]


def test_the_header_is_readable_by_any_safetensors_reader(tmp_path: Path) -> None:
    trained().save(tmp_path / "g.safetensors")
    with safe_open(tmp_path / "g.safetensors", "pt") as file:
        header = file.metadata()
    assert header["banach"] == "1"
    assert (header["model"], header["space"], header["units.method"]) == ("resnet", "Lp(4)", "pixels")
    assert json.loads(header["shape"]) == [1, 12, 12]


def resaved(source: Path, target: Path, **changes: str) -> Path:
    with safe_open(source, "pt") as file:
        header = file.metadata()
    save_file(load_file(source), target, {**header, **changes})
    return target


def test_files_that_cannot_be_used_are_named_with_the_remedy(tmp_path: Path) -> None:
    good = trained().save(tmp_path / "good.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:1000])
    text = tmp_path / "text.safetensors"
    text.write_text("not at all")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(1)}, foreign)
    flipped = tmp_path / "flipped.safetensors"
    damaged = bytearray(good.read_bytes())
    damaged[-5] ^= 1
    flipped.write_bytes(damaged)
    for path, told in (
        (tmp_path / "none.safetensors", "no generator file at"),
        (tmp_path, "is a folder; give the file"),
        (cut, "no whole safetensors file"),
        (text, "no whole safetensors file"),
        (foreign, "not written by banach"),
        (flipped, "is damaged"),
        (resaved(good, tmp_path / "newer.safetensors", banach=str(FORMAT + 1)), "written by a newer banach"),
        (resaved(good, tmp_path / "other.safetensors", width="5"), "does not fit this version"),
        (resaved(good, tmp_path / "odd.safetensors", shape="[]"), "does not fit this version"),
        (resaved(good, tmp_path / "own.safetensors", model="mine"), "unknown model 'mine'"),
    ):
        with pytest.raises(GeneratorError) as caught:
            Generator.load(path)
        assert told in str(caught.value)
        assert str(path) in str(caught.value)
        assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(("n", "batch"), [(0, 1), (1, 0), (-1, 4)])
def test_numbers_that_make_no_sense(n: int, batch: int) -> None:
    with pytest.raises(GeneratorError, match="both must be at least 1"):
        trained().sample(n, batch=batch)


@pytest.fixture
def own_family() -> Iterator[str]:
    class Own(nn.Module):
        def __init__(self, shape: tuple[int, ...], z: int, width: int, output: str, rng: torch.Generator | None):
            super().__init__()
            self.layer = nn.Linear(z, shape[0])

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.layer(z)

    MODELS.add("own-test", Family("own-test", Own, MODELS["mlp"].critic, "An own one."))
    yield "own-test"
    del MODELS._entries["own-test"]


def test_a_plugins_model_loads_while_the_plugin_is_there(tmp_path: Path, own_family: str) -> None:
    about = About(model=own_family, shape=(2,), z=3, width=4, output="linear")
    path = trained(about, Units("none", torch.zeros(2), torch.ones(2))).save(tmp_path / "g.safetensors")
    assert Generator.load(path).sample(4).shape == (4, 2)
    entry = MODELS._entries.pop(own_family)
    with pytest.raises(GeneratorError, match=r"--plugin mine\.py"):
        Generator.load(path)
    MODELS._entries[own_family] = entry


def test_it_is_shown_in_one_line_and_by_samples_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = dataclasses.replace(trained(), folder="runs/<x>", score="FID[fashion] 14 (floor .58)")
    told = "Generator(resnet, samples 1x12x12, step 7, in Lp(4), FID[fashion] 14 (floor .58), runs/<x>)"
    assert repr(generator) == told
    assert repr(generator.to("cpu")) == told
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    page = generator._repr_html_()
    assert torch.equal(torch.rand(1), expected)
    assert "runs/&lt;x&gt;" in page
    assert page.count("data:image/png;base64,iVBORw0KGgo") == 1


@pytest.mark.parametrize("shape", [(2,), (5,), (3, 9), (2, 6, 7), (1, 4, 5, 6)])
def test_a_card_is_drawn_for_samples_of_every_shape(shape: tuple[int, ...]) -> None:
    kind = "points" if shape == (2,) else "array"
    about = About(model="mlp", shape=shape, z=3, width=4, output="linear", kind=kind)
    units = Units("standard", torch.zeros(shape[0]), torch.ones(shape[0]))
    assert "data:image/png" in trained(about, units)._repr_html_()


def test_a_strangers_words_draw_nothing_on_a_terminal() -> None:
    strange = dataclasses.replace(trained(), folder="a\x1b[31m\nb")
    assert "\x1b" not in repr(strange)
    assert "\n" not in repr(strange)
