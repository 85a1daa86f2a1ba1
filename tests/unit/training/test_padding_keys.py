"""`--padding` and `--model spectral` as keys of a run: read, remembered, resumed, drawn at other sizes."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from small_run import DATA

import banach
from banach.cli.__main__ import main
from banach.config.config import Config, ConfigError, differences, dump
from banach.config.reading import read_config
from banach.data.layout import Layout
from banach.errors import ModelError
from banach.generator import About, Ensemble, Generator, GeneratorError
from banach.models import build_generator
from banach.models.padding import Padded
from banach.training.build import about, build
from banach.training.loop import train

CPU = torch.device("cpu")
SMALL = {"z": 9, "g_width": 4, "d_width": 4, "batch": 8, "n_critic": 1, "steps": 4, "space": "Sobolev(s=-1)"}
CASES = [("resnet", "periodic"), ("resnet", "periodic,reflect"), ("dcgan4", "reflect"), ("spectral", "periodic"),
         ("spectral", "zero")]  # fmt: skip


def config(**changes) -> Config:
    return Config(**{**SMALL, **changes})


def stored(state):
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize(("model", "padding"), CASES)
def test_going_on_from_a_file_is_bit_exact(model, padding):
    of = config(model=model, padding=padding)
    whole, first, second = (build(of, DATA, CPU) for _ in range(3))
    train(whole.state, whole.game, DATA, 4)
    train(first.state, first.game, DATA, 2)
    second.state.load_state_dict(stored(first.state))
    train(second.state, second.game, DATA, 4)
    for name, network in whole.state.networks().items():
        for one, other in zip(
            network.state_dict().values(), second.state.networks()[name].state_dict().values(), strict=True
        ):
            assert torch.equal(one, other)


def test_both_networks_have_it_and_another_is_another_run():
    of = read_config(["--padding", "periodic,reflect", "--model", "resnet", "--data", "fashion"])
    assert of.padding == ("periodic", "reflect")
    assert "padding: [periodic, reflect]" in dump(of)
    assert differences(of, dataclasses.replace(of, padding="reflect,periodic")) == ("padding",)
    assert differences(config(), config(padding="zero,zero")) == ()
    built = build(config(padding="periodic,reflect"), DATA, CPU)
    for network in (built.state.generator.network, built.state.critic.network, built.state.average):
        found = {one.padding for one in network.modules() if isinstance(one, Padded)}
        assert found == {("periodic", "reflect")}


def test_what_cannot_be_is_refused_in_a_line():
    with pytest.raises(ConfigError, match="padding: 'mirror' is none of zero, periodic, reflect"):
        config(padding="mirror")
    with pytest.raises(ModelError, match=r"3 words, .* for 2 axes in space or time"):
        build(config(padding="zero,zero,periodic"), DATA, CPU)
    with pytest.raises(ModelError, match="mlp has no convolutions"):
        build(config(padding="periodic", model="mlp"), DATA, CPU)


@pytest.mark.parametrize(("model", "padding"), CASES)
def test_a_generator_file_draws_as_the_run_does(model, padding, tmp_path: Path):
    of = config(model=model, padding=padding)
    built = build(of, DATA, CPU)
    train(built.state, built.game, DATA, 2)
    made = Generator(built.state.average, DATA.units, about(of, DATA, built.game, 2))
    path = made.save(tmp_path / "g.safetensors")
    again = Generator.load(path)
    assert again.about.padding == of.padding
    assert torch.equal(again.draw(5, seed=1), made.draw(5, seed=1))
    with safe_open(path, "pt") as file:  # versions that know no padding refuse the file, rather than draw otherwise
        assert file.metadata()["banach"] == ("1" if padding == "zero" else "2")


def drawn(shape=(1, 12, 12), layout=None, model="spectral", kind="array") -> Generator:
    said = About(
        model=model, shape=shape, z=30, width=6, output="linear", kind=kind, layout=layout, padding=("periodic",)
    )
    network = build_generator(
        model, shape, z=30, width=6, output="linear", rng=torch.Generator().manual_seed(0), padding="periodic"
    )
    ones = torch.ones(shape[0])
    return Generator(network, banach.data.units.Units("standard", 100 * ones, 2 * ones), said)


def test_the_same_seed_is_the_same_field_on_every_grid(tmp_path: Path):
    made = drawn()
    coarse = made.sample(5, seed=3)
    assert torch.equal(made.sample(5, seed=3, size=12), coarse)
    for size in (24, (24, 24), [48, 36]):
        fine = made.sample(5, seed=3, size=size)
        steps = [n // 12 for n in fine.shape[2:]]
        torch.testing.assert_close(fine[:, :, :: steps[0], :: steps[1]], coarse, rtol=1e-4, atol=1e-3)
    loaded = Generator.load(made.save(tmp_path / "g.safetensors"))
    assert torch.equal(loaded.sample(3, size=20), made.sample(3, size=20))
    assert torch.equal(Ensemble((made,)).sample(5, seed=3, size=24), made.sample(5, seed=3, size=24))
    torch.testing.assert_close(
        made.sample(5, seed=3, size=24, batch=2), made.sample(5, seed=3, size=24), rtol=1e-4, atol=1e-3
    )


def test_what_was_added_to_the_sides_is_cut_off_at_every_size():
    layout = Layout("nxy", "<f4", (1, 10, 12), (1, 10, 12))
    made = drawn(layout=layout)
    assert made.sample(4).shape == (4, 10, 12)
    assert made.sample(4, size=24).shape == (4, 20, 24)
    torch.testing.assert_close(made.sample(4, size=36)[:, ::3, ::3], made.sample(4), rtol=1e-4, atol=1e-3)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(GeneratorError, match=r"the model resnet draws at 12x12 alone; one of --model spectral"):
        drawn(model="resnet").sample(2, size=24)
    assert drawn(model="resnet").sample(2, size=12).shape == (2, 1, 12, 12)
    for bad in ((8, 8, 8), 0, ()):
        with pytest.raises(GeneratorError, match=r"for samples with 2 axes in space or time \(12x12\)"):
            drawn().sample(2, size=bad)


def test_sample_size_on_the_command_line(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layout = Layout("nxy", "<f4", (1, 12, 12), (1, 12, 12))
    drawn(layout=layout).save("g.safetensors")
    assert main(["sample", "g.safetensors", "--n", "4", "--out", "coarse.npy"]) == 0
    assert main(["sample", "g.safetensors", "--n", "4", "--size", "24x36", "--out", "fine.npy"]) == 0
    coarse, fine = np.load("coarse.npy"), np.load("fine.npy")
    assert fine.shape == (4, 24, 36)
    np.testing.assert_allclose(fine[:, ::2, ::3], coarse, rtol=1e-4)
    capsys.readouterr()
    assert main(["sample", "g.safetensors", "--n", "4", "--size", "24", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["out"].endswith("samples-seed0-n4-size24.npz")
    assert said["shape"] == [1, 24, 24]
    assert main(["sample", "g.safetensors", "--n", "4", "--size", "24", "--out", "fine.png"]) == 0
    assert Path("fine.png").stat().st_size > 0
    for bad, told in (("0", "is no size"), ("8,8,8", "2 axes"), ("big", "is no size")):
        assert main(["sample", "g.safetensors", "--size", bad]) == 2
        assert told in capsys.readouterr().err


def test_fit_takes_both():
    x = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = banach.fit(x, steps=1, model="spectral", padding="periodic", width=4, z=9, batch=8, progress=False)
    assert made.sample(3, size=(16, 24)).shape == (3, 1, 16, 24)
