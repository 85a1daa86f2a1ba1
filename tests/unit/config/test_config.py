"""Config: every key is read, checked and documented when a config is built, and its YAML reads back to the same."""

import dataclasses
import pickle

import pytest
import yaml

from banach.config.config import FIELDS, Config, ConfigError, as_mapping, differences, dump
from banach.config.keys import keys_of
from banach.config.parts import PARTS, GameKeys, MachineKeys
from banach.data import load
from banach.training.build import build_game


def test_the_defaults_are_the_published_ones():
    config = Config()
    published = {"steps": 100_000, "n_critic": 5, "batch": 64, "lr": 2e-4, "beta1": 0.0, "beta2": 0.9, "drift": 1e-5}
    assert {key: getattr(config, key) for key in published} == published


def test_every_default_passes_its_own_reader_unchanged():
    config = Config()
    assert all(getattr(config, key) == field.default for key, field in FIELDS.items())


def test_every_key_is_documented_in_words():
    for key, field in FIELDS.items():
        doc = field.doc
        assert len(doc) > 10, key
        assert not doc.endswith("."), key
        assert field.group, key


def test_what_may_change_on_resume_says_where_and_how_a_run_is_computed_and_what_it_writes():
    assert {name for name, key in FIELDS.items() if key.may_change} == {
        "data", "cache", "device", "threads", "compile", "deterministic", "keep_memory", "out", "save_every",
        "sample_every", "score_every", "score_samples", "score_w1", "keep", "log_every", "max_minutes", "plugin",
    }  # fmt: skip


def test_a_config_is_its_parts_in_their_order():
    assert [name for part in PARTS.values() for name in keys_of(part)] == list(FIELDS)
    assert [field.name for field in dataclasses.fields(Config)] == list(FIELDS)
    assert all(isinstance(Config(), part) for part in PARTS.values())


def test_a_part_of_its_own_reads_its_keys():
    assert GameKeys(drift="1e-3").drift == 1e-3
    with pytest.raises(ConfigError, match="threads: -1 is too small"):
        MachineKeys(threads=-1)


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"steps": "100k"}, "steps", 100_000),
        ({"steps": "1.5M"}, "steps", 1_500_000),
        ({"steps": "2e3"}, "steps", 2_000),
        ({"steps": "1_000"}, "steps", 1_000),
        ({"lr": "2e-4"}, "lr", 2e-4),
        ({"flip": "yes"}, "flip", True),
        ({"flip": "off"}, "flip", False),
        ({"classes": "1,7"}, "classes", (1, 7)),
        ({"classes": [1, "boots"]}, "classes", (1, "boots")),
        ({"classes": 3}, "classes", (3,)),
        ({"classes": ""}, "classes", ()),
        ({"size": "48x64"}, "size", (48, 64)),
        ({"size": [32, 32]}, "size", 32),
        ({"size": None}, "size", None),
        ({"size": "none"}, "size", None),
        ({"normalise": "none"}, "normalise", "none"),
        ({"penalty": "none"}, "penalty", "none"),
        ({"normalise": None}, "normalise", None),
        ({"penalty_weight": "10"}, "penalty_weight", 10.0),
        ({"penalty_weight": "batch"}, "penalty_weight", "batch"),
        ({"out": None}, "out", ""),
    ],
)
def test_values_are_read_as_they_are_written(given, key, value):
    found = getattr(Config(**given), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("steps", "abc", "write for example 2000 or 100k"),
        ("steps", 0, "the least is 1"),
        ("steps", 2.5, "write for example 2"),
        ("steps", True, "write for example"),
        ("steps", "1e999", "write for example"),
        ("steps", float("inf"), "write for example"),
        ("batch", 1, "the least is 2"),
        ("lr", 0, "more than 0"),
        ("lr", "nan", "2e-4"),
        ("lr", "fast", "2e-4"),
        ("holdout", 1, "below 1"),
        ("holdout", -0.1, "at least 0"),
        ("ema", 1.0, "below 1"),
        ("beta2", "1", "below 1"),
        ("flip", "maybe", "true or false"),
        ("flip", 2, "true or false"),
        ("decay", "cosine", "linear, none"),
        ("fit", "squeeze", "crop, pad, stretch"),
        ("normalise", "max", "standard, minmax, none"),
        ("precision", "fp8", "fp32, bf16, fp16"),
        ("penalty_weight", "lots", "auto"),
        ("penalty_weight", -1, "at least 0"),
        ("size", "big", "32 or 48x64"),
        ("size", [1, 2, 3], "32 or 48x64"),
        ("classes", 1.5, "1,7"),
        ("classes", {"a": 1}, "1,7"),
        ("space", "", "for example"),
        ("space", "Sobolew(s=-1)", "Sobolev"),
        ("space", "lp:p=0.5", "from 1 to inf"),
        ("space", "Lp(p=2", "as a call"),
        ("objective", "wassertein", "wasserstein"),
        ("penalty", "wgangp2", "wgan-gp"),
        ("model", "resnett", "resnet"),
        ("constraint", "clip:c=-1", "positive"),
        ("data", "  ", "for example"),
        ("out", ["a"], "quotes"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_with_key_value_and_remedy(key, value, remedy):
    with pytest.raises(ConfigError) as refused:
        Config(**{key: value})
    said = str(refused.value)
    assert said.startswith(f"{key.replace('_', '-')}: ")
    assert remedy in said
    assert "\n" not in said
    shown = value if isinstance(value, str) else str(value)
    assert shown.strip() in said or key in ("space", "constraint")  # theirs name the parameter instead


def test_yaml_reads_back_to_the_same_config():
    config = Config(
        data="a: #odd 'name'\n", classes=(1, "true", "7a"), size=(48, 64), lr=1e-7, steps=1_000_000, flip=True,
        penalty_weight="batch", critic_scale=27.5, space="Product(2, (Lp(1), Sobolev(s=-1)), (1, 2))", axes="null ",
    )  # fmt: skip
    text = dump(config, {"lr": "small"})
    assert Config(**yaml.safe_load(text)) == config
    assert yaml.safe_load(text) == as_mapping(config)
    assert "lr: 1.0e-07  # small\n" in text
    assert len(text.splitlines()) == len(FIELDS)


def test_the_config_is_frozen_and_its_variants_are_checked():
    config = Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lr = 1.0  # type: ignore[misc]
    assert dataclasses.replace(config, steps="2k").steps == 2000
    with pytest.raises(ConfigError, match="lr"):
        dataclasses.replace(config, lr=-1)


def test_differences_name_what_changes_the_training_and_see_through_spellings():
    old = Config(space="shape", objective="least_squares", steps=10)
    same = Config(space="sobolev:s=-1", objective="least-squares", steps=10, device="cpu", out="x", keep=5)
    assert differences(old, same) == ()
    other = Config(space="sobolev:s=-2", objective="hinge", steps=20, seed=1)
    assert differences(old, other) == ("space", "objective", "steps", "seed")


def test_specs_are_parsed_once_and_not_sent_to_another_process(monkeypatch, tmp_path):
    read, key = [], FIELDS["space"]
    counted = dataclasses.replace(key, names=lambda text: read.append(text) or key.names(text))
    monkeypatch.setitem(FIELDS, "space", counted)
    config = Config(data="8gaussians", space="Lp(3)", model="mlp")
    build_game(config.at(str(tmp_path)), load("8gaussians:n=20"))
    assert read == ["Lp(3)"]
    assert config.at(str(tmp_path)) == dataclasses.replace(config, out=str(tmp_path))
    sent = pickle.loads(pickle.dumps(config))
    assert (sent, vars(sent).keys()) == (config, FIELDS.keys())
    assert repr(sent.named.space) == "Lp(p=3)"
    assert read == ["Lp(3)"] * 3  # by `replace`, and there
