"""The reader's promises (design, section 4): each has its test."""

import itertools
import re

import pytest
import yaml

from banach.config import reading
from banach.config.config import FIELDS, Config, ConfigError, dump
from banach.config.plugins import PluginError
from banach.config.reading import TrainOptions, read_config, read_file, read_request
from banach.training.build import recipe_of


def refusal(source) -> str:
    with pytest.raises(ValueError) as refused:
        read_config(source)
    said = str(refused.value)
    assert "\n" not in said
    return said


def test_preset_below_file_below_flags_in_any_order(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("g-width: 48\nlr: 1e-3\nbatch: 32\n")
    parts = (["--preset", "wgan-gp-cifar10"], ["--config", str(file)], ["--lr", "5e-4"], ["--batch=16"])
    found = {read_config(list(itertools.chain(*order))) for order in itertools.permutations(parts)}
    assert len(found) == 1
    config = found.pop()
    assert (config.lr, config.batch) == (5e-4, 16)  # flags
    assert config.g_width == 48  # file
    assert (config.d_width, config.penalty_weight, config.data) == (128, 10.0, "cifar10")  # preset
    assert config.holdout == Config().holdout


def test_hyphens_underscores_and_capitals_are_one_key(tmp_path):
    spellings = ["--n-critic", "--n_critic", "--N-Critic"]
    assert {read_config([flag, "7"]).n_critic for flag in spellings} == {7}
    assert read_config({"n-critic": 7}) == read_config({"n_critic": 7})
    file = tmp_path / "run.yaml"
    file.write_text("n-critic: 7\ng_width: 9\n")
    assert (read_file(file).n_critic, read_file(file).g_width) == (7, 9)


@pytest.mark.parametrize(
    ("argv", "flip"),
    [
        (["--flip"], True), (["--flip", "true"], True), (["--flip=yes"], True), (["--flip", "false"], False),
        (["--no-flip"], False), (["--no_flip"], False), (["--no-flip", "false"], True),
        (["--flip", "--steps", "3"], True),
        (["--preset", "bwgan-cifar10"], True), (["--preset", "bwgan-cifar10", "--no-flip"], False),
    ],
)  # fmt: skip
def test_bare_booleans(argv, flip):
    assert read_config(argv).flip is flip


def test_lists_and_counts_on_the_command_line():
    config = read_config(["--classes", "1,7", "--steps", "100k", "--size", "48x64", "--score-samples", "1M"])
    assert (config.classes, config.steps, config.size, config.score_samples) == ((1, 7), 100_000, (48, 64), 1_000_000)


def test_a_value_may_begin_with_a_minus_and_none_takes_a_preset_back():
    assert refusal(["--penalty-weight", "-1"]) == "--penalty-weight: '-1' is out of range; it must be at least 0"
    assert read_config(["--preset", "bwgan-celeba"]).size == 64
    assert read_config(["--preset", "bwgan-celeba", "--size", "none"]).size is None


def test_width_sets_both_widths_unless_one_is_given(tmp_path):
    assert [getattr(read_config(["--width", "8"]), key) for key in ("g_width", "d_width")] == [8, 8]
    mixed = read_config(["--d-width", "5", "--width", "8"])
    assert (mixed.g_width, mixed.d_width) == (8, 5)
    file = tmp_path / "run.yaml"
    file.write_text("width: 8\n")
    later = read_config(["--config", str(file), "--g-width", "3"])
    assert (later.g_width, later.d_width) == (3, 8)


def test_unknown_flags_and_keys_are_refused_with_a_suggestion(tmp_path):
    assert refusal(["--stesp", "3"]).startswith("unknown flag --stesp; did you mean --steps")
    assert "--critic-scale" in refusal(["--critic_scael", "3"])
    assert "see banach train --help" in refusal(["--zzzzzz"])
    assert refusal(["steps", "3"]) == "unexpected 'steps'; did you mean --steps?"
    assert "--no-steps" in refusal(["--no-steps"])
    file = tmp_path / "run.yaml"
    file.write_text("lrr: 3\n")
    assert refusal(["--config", str(file)]) == f"{file}: unknown key 'lrr'; did you mean lr or g-lr?"
    assert refusal({"stepz": 3}).startswith("unknown key 'stepz'; did you mean steps")
    assert refusal({3: 3}).startswith("unknown key '3'")


def test_a_key_that_is_gone_is_read_over_with_one_note(tmp_path, caplog):
    file = tmp_path / "old.yaml"
    file.write_text("joint-fakes: always\nsteps: 7\n")
    for _ in range(2):
        assert read_file(file) == Config(steps=7)
    said = f"{file}: joint-fakes is no longer a key and is ignored: each critic step draws its own fakes"
    assert [one.getMessage() for one in caplog.records] == [said]
    assert refusal(["--joint-fakes", "always"]).startswith("unknown flag --joint-fakes")


def test_an_abbreviated_flag_is_not_guessed():
    assert "did you mean" in refusal(["--step", "3"])


def test_wrong_values_name_key_value_source_and_remedy(tmp_path):
    assert refusal(["--steps", "abc"]) == "--steps: 'abc' is not a whole number; write for example 2000 or 100k"
    assert refusal(["--steps"]) == "--steps: a value is missing; write --steps N"
    assert refusal(["--steps", "--lr", "1"]) == "--steps: a value is missing; write --steps N"
    assert refusal(["--flip=2"]).startswith("--flip: '2' is neither true nor false")
    file = tmp_path / "run.yaml"
    file.write_text("steps: many\n")
    assert refusal(["--config", str(file)]) == (
        f"{file}: steps: 'many' is not a whole number; write for example 2000 or 100k"
    )
    assert refusal(["--space", "lp:p=0.5"]).startswith("space: ")
    assert "Sobolev" in refusal(["--space", "sobolew:s=-1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [1\nlr: 2\n", "line 2: not YAML"),
        ("- 1\n- 2\n", "a list, not keys and values"),
        ("just words\n", "a str, not keys and values"),
        ("lr: 1\nlr: 2\n", "line 2: not YAML: 'lr' is given twice"),
        ("g-width: 1\ng_width: 2\n", "g-width is given twice"),
        ("lr: !!python/object:os.system x\n", "not YAML"),
        ("lr: \t@\n", "not YAML"),
    ],
)
def test_broken_files_are_refused_with_their_line(tmp_path, text, said):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    message = refusal(["--config", str(file)])
    assert str(file) in message
    assert said in message


def test_missing_and_unreadable_files(tmp_path):
    assert refusal(["--config", str(tmp_path / "no.yaml")]).endswith("no such file; check the path")
    assert "cannot be read" in refusal(["--config", str(tmp_path)])
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "give a YAML file" in refusal(["--config", str(tmp_path / "bytes.yaml")])


def test_an_empty_file_gives_the_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_file(tmp_path / "empty.yaml") == Config()


def test_the_demo_is_the_preset_where_nothing_else_says_what_to_train(tmp_path):
    demo = read_config(["--preset", "demo"])
    assert read_config([]) == demo
    assert read_request([]).origin == "preset demo"
    assert read_config(["--seed", "3"]) == read_config(["--preset", "demo", "--seed", "3"])
    assert read_config(["--preset", "none"]) == Config()
    assert read_config(["--data", "photos"]) == Config(data="photos")
    (tmp_path / "run.yaml").write_text("seed: 5\n")
    assert read_config(["--config", str(tmp_path / "run.yaml")]) == Config(seed=5)


def test_what_is_left_out_on_an_old_run_folder_is_as_it_was(tmp_path):
    stored = Config(space="edges", lr=1e-3, out=str(tmp_path), seed=9)
    (tmp_path / "config.yaml").write_text(dump(stored))
    out = ["--out", str(tmp_path)]
    assert read_config(out) == stored
    assert read_config([*out, "--steps", "5"]).seed == 9
    assert read_config([*out, "--fresh"]).seed == 9
    assert read_config([*out, "--fresh", "--data", "8gaussians"]).seed == 0
    assert read_config([*out, "--preset", "demo"]).seed == 0


@pytest.mark.parametrize("more", [[], ["--space", "shape"], ["--steps", "9", "--extend"], ["--fresh"], ["--dry-run"]])
def test_a_folder_without_a_run_starts_no_demo(tmp_path, more):
    (tmp_path / "mine").mkdir()
    for name in ("config.yaml", "environment.json"):
        (tmp_path / "mine" / name).write_text("")

    def refused(out):
        with pytest.raises(ConfigError) as caught:
            read_config(["--out", str(tmp_path / out), *more])
        return str(caught.value)

    message = refused("mien")
    assert len(message.splitlines()) == 2
    assert f"there is no run in {tmp_path}/mien to go on with; did you mean {tmp_path}/mine?" in message
    assert f"banach train --data photos/ --out {tmp_path}/mien (or --preset demo)" in message
    assert "did you mean" not in refused("quite-another")
    assert read_config(["--out", str(tmp_path / "mien"), "--data", "8gaussians"]).data == "8gaussians"
    assert read_config(["--out", str(tmp_path / "mien"), "--preset", "demo"]).data == "fashion"


def test_relative_paths_of_a_run_lead_there_from_anywhere(tmp_path, monkeypatch, caplog):
    project, names = tmp_path / "project", ("photos", "runs/mine", "fashion")
    for name in names:
        (project / name).mkdir(parents=True)
    (project / "plug.py").write_text("")
    run = project / "runs" / "mine"
    config = Config(data="photos", out="runs/mine", plugin="plug.py", init="runs/mine")
    (run / "config.yaml").write_text(dump(config))
    (run / "metrics.jsonl").write_text("")
    monkeypatch.chdir(project)
    assert read_config(["--out", "runs/mine", "--plugin", "plug.py"]) == config
    assert not caplog.records
    monkeypatch.chdir(tmp_path)
    found = read_config(["--out", "project/runs/mine", "--plugin", "project/plug.py"])
    assert (found.data, found.init) == (str(project / "photos"), str(run))
    assert any("its relative data was found at" in one.getMessage() for one in caplog.records)
    assert read_file(run / "config.yaml").plugin == (str(project / "plug.py"),)
    (run / "config.yaml").write_text(dump(Config(data="fashion", out="runs/mine")))
    assert read_config(["--out", "project/runs/mine"]).data == "fashion"  # the set of that name, not the folder


@pytest.mark.parametrize("name", reading.presets())
def test_presets_are_read_and_described(name):
    config = read_config(["--preset", name])
    assert config == read_config(["--preset", name.replace("-", "_").upper()])
    assert 20 < len(reading.presets()[name]) < 120
    assert yaml.safe_load(dump(config))["data"] == config.data


def test_unknown_preset():
    assert refusal(
        ["--preset", "wgan-gp-cifar"]
    ) == "unknown preset 'wgan-gp-cifar'; did you mean wgan-gp-cifar10?" or (
        "did you mean wgan-gp-cifar10" in refusal(["--preset", "wgan-gp-cifar"])
    )


def test_published_constants_of_the_presets():
    gp, banach, celeba, toy = (
        read_config(["--preset", name]) for name in ("wgan-gp-cifar10", "bwgan-cifar10", "bwgan-celeba", "toy")
    )
    for config in (gp, banach, celeba):
        assert (config.steps, config.n_critic, config.batch, config.g_batch) == (100_000, 5, 64, 128)
        assert (config.lr, config.beta1, config.beta2, config.decay) == (2e-4, 0.0, 0.9, "linear")
        assert (config.model, config.z, config.g_width, config.d_width) == ("resnet", 128, 128, 128)
    assert (gp.penalty_weight, gp.critic_scale, gp.drift, gp.flip) == (10.0, 1.0, 0.0, False)
    for config in (banach, celeba):
        assert (config.penalty_weight, config.critic_scale, config.drift) == ("batch", "batch", 1e-5)
        assert (config.flip, config.dequantise, config.ema) == (True, True, 0.99)
    assert (celeba.size, celeba.data, banach.data) == (64, "celeba:split=all", "cifar10:split=all")
    assert (toy.model, toy.z, toy.g_width, toy.batch, toy.penalty_weight) == ("mlp", 2, 512, 256, 0.1)
    assert (toy.lr, toy.beta1, toy.beta2) == (1e-4, 0.5, 0.9)


def test_published_constants_of_the_presets_of_other_methods():
    clip, lgan, r3gan = (read_config(["--preset", name]) for name in ("wgan-toy", "lgan-cifar10", "r3gan-cifar10"))
    assert (clip.optimizer, clip.lr, clip.constraint, clip.penalty) == ("rmsprop", 5e-5, "clip(c=0.01)", "none")
    assert (clip.n_critic, clip.first_steps, clip.batch, clip.g_width, clip.steps) == (5, 100, 256, 512, 100_000)
    assert recipe_of(clip).critic_steps(24) == recipe_of(clip).critic_steps(500) == 100
    assert recipe_of(clip).critic_steps(25) == recipe_of(clip).critic_steps(499) == 5
    assert (lgan.objective, lgan.penalty, lgan.penalty_weight, lgan.ema) == ("logistic", "maxgp", 1, 0.99)
    assert (lgan.steps, lgan.n_critic, lgan.batch, lgan.g_batch) == (200_000, 5, 64, 128)
    assert (lgan.lr, lgan.beta1, lgan.beta2, lgan.decay, lgan.g_width) == (2e-4, 0.0, 0.9, "linear", 128)
    assert (r3gan.objective, r3gan.penalty, r3gan.penalty_weight) == ("relativistic", "r1-r2", 0.05)
    assert (r3gan.batch, r3gan.g_batch, r3gan.z, r3gan.n_critic, r3gan.lr) == (512, 0, 64, 1, 2e-4)
    assert (r3gan.beta1, r3gan.beta2) == (0.0, 0.9)
    assert r3gan.ema == pytest.approx(0.5 ** (512 / 5e6), abs=5e-6)
    assert r3gan.steps * r3gan.batch == pytest.approx(20e6, rel=0.03)
    for config in (clip, lgan, r3gan):
        assert (config.critic_scale, config.drift) == (1.0, 0.0)


def test_presets_say_unverified_where_the_source_is_memory():
    texts = {path.name: path.read_text() for path in (reading.preset_folder()).iterdir()}
    for preset in ("bwgan-cifar10.yaml", "bwgan-celeba.yaml"):
        line = next(line for line in texts[preset].splitlines() if line.startswith("space:"))
        assert "unverified" in line


def test_help_documents_every_key_with_hyphens(capsys):
    with pytest.raises(SystemExit) as done:
        read_request(["--help"])
    assert done.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for key, field in FIELDS.items():
        flag = f"--{key.replace('_', '-')}"
        assert re.search(rf"{flag} \S", said), flag
        assert " ".join(field.doc.split()) in said, key
    for flag in ("--preset", "--config", "--width", "--dry-run", "--json", "--fresh", "--extend", "--print-config"):
        assert f"{flag} " in said
    assert "--g_width" not in said
    assert "examples:" in said
    assert "75" in said


def test_command_flags_are_no_keys_of_a_config():
    request = read_request(["--dry-run", "--json", "--fresh", "--extend", "--print-config", "--seed", "4"])
    asked = request.options
    assert (asked.dry_run, asked.json, asked.fresh, asked.extend, asked.print_config) == (True,) * 5
    assert request.config.seed == 4
    assert refusal({"fresh": True}).startswith("unknown key 'fresh'; ")
    assert read_request([]).options == TrainOptions()


PLUGIN = """
from dataclasses import dataclass
from banach.spaces import SPACES, Lp

@SPACES.register(name="{name}", examples=["{name}"])
def make():
    return Lp(3)
"""


def test_plugins_register_what_the_config_then_names(tmp_path, monkeypatch):
    (tmp_path / "one.py").write_text(PLUGIN.format(name="OnePluginSpace"))
    (tmp_path / "two.py").write_text(PLUGIN.format(name="TwoPluginSpace"))
    monkeypatch.chdir(tmp_path)
    argv = ["--space", "two_plugin_space", "--plugin", "one.py", "--plugin", "two.py"]
    config = read_config(argv)
    assert config.plugin == ("one.py", "two.py")
    assert read_config(["--plugin", "one.py,two.py", "--space", "onepluginspace"]).plugin == ("one.py", "two.py")
    assert read_config(argv) == config  # twice in one process


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError"),
        ("x = 1\n\nfoo(\n", "line 3: SyntaxError"),
        ("def f():\n    return 1 / 0\n\nf()\n", "line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("from banach.spaces import SPACES\nSPACES.add('Lp', 3)\n", "registered already"),
    ],
)
def test_a_plugin_that_fails_is_told_in_one_line(tmp_path, text, said):
    file = tmp_path / "bad_plugin.py"
    file.write_text(text)
    message = refusal(["--plugin", str(file)])
    assert str(file) in message
    assert said in message


def test_a_plugin_that_is_not_there():
    with pytest.raises(PluginError, match="no such file"):
        read_config(["--plugin", "not/there.py"])
    with pytest.raises(PluginError, match="no such module"):
        read_config(["--plugin", "no_such_module_anywhere"])


def test_refusals_are_config_errors():
    with pytest.raises(ConfigError):
        read_config({"steps": "x"})


def test_a_run_is_planned_where_nothing_fixes_its_length(tmp_path):
    assert read_request(["--data", "photos", "--lr", "1e-3"]).stated == {"data", "lr"}
    assert read_request(["--data", "photos", "--minutes", "5"]).config.minutes == 5
    (tmp_path / "run.yaml").write_text("seed: 5\nwidth: 8\n")
    assert read_request(["--config", str(tmp_path / "run.yaml")]).stated == {"seed", "g_width", "d_width"}
    for fixed in (["--preset", "toy"], ["--preset", "none"], ["--data", "photos", "--steps", "5"], []):
        assert read_request(fixed).stated is None
    demo = read_request(["--minutes", "5"])
    assert (demo.config.data, demo.config.space) == ("fashion", "Sobolev(s=-1)")
    assert demo.stated == {"data", "space", "minutes"}


def test_minutes_beside_what_fixes_the_length_are_refused(tmp_path):
    assert "--steps 7 does; leave one out (--max-minutes 5" in refusal(["--minutes", "5", "--steps", "7"])
    assert "--preset toy does" in refusal(["--preset", "toy", "--minutes", "5"])
    (tmp_path / "run.yaml").write_text("steps: 5\n")
    assert "the steps in" in refusal(["--config", str(tmp_path / "run.yaml"), "--minutes", "5"])
    assert "minutes: '0' is out of range; it must be more than 0" in refusal(["--minutes", "0"])
    (tmp_path / "config.yaml").write_text("steps: 5\nminutes: 2\n")  # a run that was planned
    again = read_request(["--out", str(tmp_path), "--minutes", "3"])
    assert (again.config.minutes, again.config.steps, again.stated) == (3, 5, None)  # and is refused by its folder
