"""A plan from given measurements: what it chooses, what it leaves alone, and that it is the same twice."""

import dataclasses
import itertools
import math
from typing import Any

import pytest

from banach.config.config import FIELDS, Config
from banach.training.plan import (
    FEWEST,
    PLANNED,
    Look,
    Planned,
    Trial,
    average,
    candidates,
    measure,
    plan,
    quickest,
    rate,
    seconds_for_steps,
)

CLOTHES = Look("image", (1, 28, 28), 9000, threads=2, cores=2)
LOOKS = {
    "clothes": CLOTHES,
    "photographs": Look("image", (3, 64, 64), 135, threads=2, cores=2),
    "large photographs": Look("image", (3, 128, 128), 135, threads=2, cores=2),
    "fields": Look("array", (1, 48, 48), 1800, threads=2, cores=2),
    "fields of an odd size": Look("array", (1, 50, 53), 1800, threads=2, cores=2),
    "volumes": Look("array", (2, 16, 16, 16), 500, threads=2, cores=2),
    "series": Look("array", (2, 64), 1800, threads=2, cores=2),
    "a table": Look("array", (7,), 2700, threads=2, cores=2),
    "points": Look("points", (2,), 90_000, threads=2, cores=2),
    "a handful": Look("image", (1, 28, 28), 20, threads=2, cores=2),
}


def machine(speed: float = 1.0, thread: float = 1.6, bf16: float = 1.0, log: list[Trial] | None = None):
    """A machine on which a step takes as its weights and its batch do, one thread `thread` times as long as two."""

    def time_of(trial: Trial) -> float:
        if log is not None:
            log.append(trial)
        one = trial.networks
        size = 3e-8 * one.batch * (one.n_critic * one.d_width**2 + one.g_width**2)
        size *= 6 if one.model != "mlp" else 1
        size *= thread if trial.threads == 1 else 1.0
        return size * (bf16 if trial.precision == "bf16" else 1.0) / speed

    return time_of


def planned(look: Look, minutes: float = 5, time_of=None, **given) -> Planned:
    config, stated = Config(minutes=minutes, **given), frozenset(given)
    found = measure(look, config, stated, seconds_for_steps(minutes), time_of or machine())
    return plan(look, config, stated, found)


@pytest.mark.parametrize("name", LOOKS)
def test_every_kind_of_data_gets_a_config_whose_steps_fit_the_time(name):
    for minutes in (1, 5, 60):
        found = planned(LOOKS[name], minutes)
        config = Config(**found.values)
        assert set(found.values) <= {*PLANNED, "minutes"}
        best = Trial(
            next(one for _, one in candidates(LOOKS[name], Config(), frozenset()) if _of(one, config)), 2, "fp32"
        )
        spent = config.steps * machine()(best)
        assert spent <= 60 * minutes
        assert spent >= 0.7 * 60 * minutes or config.steps == 200_000
        assert config.minutes == minutes
        assert config.batch <= max(8, LOOKS[name].train)


def _of(networks, config: Config) -> bool:
    return all(getattr(config, key) == value for key, value in dataclasses.asdict(networks).items())


def test_on_the_idle_machine_of_the_readme_five_minutes_of_clothes_take_the_demos_networks():
    """0.065 s a step of the demo's networks on two threads with one step of the critic; the demo takes two."""
    found = Config(**planned(CLOTHES, 5, lambda trial: 0.065 * (trial.networks.d_width / 64) ** 1.5).values)
    assert (found.model, found.g_width, found.d_width, found.n_critic, found.batch) == ("dcgan4", 32, 64, 1, 64)
    assert (found.lr, found.critic_start) == (0.0029, "slope")
    assert 3600 <= found.steps <= 4000
    assert found.score_every == found.save_every == found.sample_every == -(-found.steps // 10)


def test_more_time_means_more_steps_wider_networks_and_smaller_rates():
    one, other = (Config(**planned(CLOTHES, minutes).values) for minutes in (5, 600))
    assert other.steps > one.steps
    assert (other.g_width, other.d_width) > (one.g_width, one.d_width)
    assert other.lr < one.lr
    assert other.ema > one.ema
    assert other.score_samples > one.score_samples


def test_rates_go_from_the_demos_to_the_papers():
    assert (rate(2000), rate(100_000), rate(10**6)) == (5e-3, 2e-4, 2e-4)
    assert all(rate(a) >= rate(b) for a, b in itertools.pairwise((100, 2000, 5000, 20_000, 50_000, 100_000)))
    assert (average(100), average(2000), average(10**6)) == (0.9, 0.99, 0.999)


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", "resnet"), ("g_width", 24), ("d_width", 96), ("n_critic", 5), ("batch", 16), ("lr", 1e-4), ("ema", 0.9),
     ("z", 7), ("threads", 1), ("precision", "fp32"), ("score_every", 7), ("critic_start", "plain")],
)  # fmt: skip
def test_what_the_user_states_is_kept(key, value):
    log: list[Trial] = []
    found = planned(CLOTHES, 5, machine(log=log), **{key: value})
    assert key not in found.values
    for trial in log:
        of = {**dataclasses.asdict(trial.networks), "threads": trial.threads, "precision": trial.precision}
        assert of.get(key, value) == value
    assert found.values.keys() | {key} == planned(CLOTHES).values.keys()


def test_the_same_measurements_give_the_same_plan():
    assert planned(LOOKS["fields"]) == planned(LOOKS["fields"])


def test_a_busy_machine_gets_the_threads_that_are_faster():
    slow: dict[str, Any] = {"speed": 0.1, "thread": 0.25}  # with other work, two threads take four times as long as one
    log: list[Trial] = []
    found = planned(dataclasses.replace(CLOTHES, busy=3.0), 5, machine(log=log, **slow))
    assert {trial.threads for trial in log} == {1}  # what is slow there is not even tried
    assert found.values["threads"] == 1
    assert any("2.0 of 2 cores are busy with other work" in line for line in found.lines)
    assert planned(CLOTHES, 5, machine(**slow)).values["threads"] == 1  # the steps show it where the load did not
    four = dataclasses.replace(CLOTHES, threads=4, cores=4, busy=2.0)
    assert planned(four, 5, machine(thread=2.0)).values["threads"] == 2  # those that find a core


def test_a_slow_start_leaves_most_of_the_time_for_steps():
    assert seconds_for_steps(1, 5) == pytest.approx(0.85 * 60 - 5)
    assert seconds_for_steps(1, 100) == pytest.approx(0.6 * 60)


def test_an_idle_machine_loses_nothing():
    log: list[Trial] = []
    found = planned(CLOTHES, 5, machine(log=log))
    assert found.values["threads"] == 2
    assert log[0].threads == 2
    assert not any("busy" in line for line in found.lines)


def test_a_hair_of_difference_changes_no_threads():
    trials = {
        Trial(one, threads, "fp32"): seconds
        for (_, one), (threads, seconds) in zip(
            itertools.repeat(candidates(CLOTHES, Config(), frozenset())[0]), ((2, 1.0), (1, 0.95)), strict=False
        )
    }
    assert quickest(trials, next(iter(trials)).networks).threads == 2


def test_half_precision_only_where_it_is_faster():
    assert planned(CLOTHES, 5, machine(bf16=0.5)).values["precision"] == "bf16"
    assert planned(CLOTHES, 5, machine(bf16=1.7)).values["precision"] == "fp32"
    assert planned(LOOKS["a table"], 5, machine(bf16=0.5)).values["precision"] == "fp32"
    assert planned(dataclasses.replace(CLOTHES, cpu=False), 5, machine(bf16=0.5)).values["precision"] == "fp32"
    tried: list[Trial] = []  # where a convolution is slower in bfloat16, no time goes into whole steps of it
    planned(dataclasses.replace(CLOTHES, halves=False), 5, machine(log=tried))
    assert {one.precision for one in tried} == {"fp32"}


def test_little_is_timed_and_nothing_wide_on_a_slow_machine():
    log: list[Trial] = []
    found = planned(LOOKS["large photographs"], 1, machine(speed=0.01, log=log))
    assert len({trial.networks for trial in log}) == 1
    assert found.values["batch"] == 8  # more steps before larger batches
    assert found.values["steps"] < FEWEST
    assert any("steps are few: with more --minutes" in line for line in found.lines)


@pytest.mark.parametrize(("train", "batch"), [(20, 8), (135, 8), (600, 32), (1024, 64), (9000, 64)])
def test_of_few_pictures_a_batch_is_a_sixteenth(train, batch):
    few = dataclasses.replace(CLOTHES, train=train)
    assert planned(few, 60).values["batch"] == batch
    fields = dataclasses.replace(LOOKS["fields"], train=train)
    assert planned(fields, 60).values["batch"] == min(64, max(8, 2 ** int(math.log2(train))))


def test_a_constraint_gets_its_papers_rates():
    found = planned(CLOTHES, 5, constraint="clip", penalty="none")
    assert (found.values["lr"], found.values["optimizer"], found.values["n_critic"]) == (5e-5, "rmsprop", 5)
    assert found.values["critic_start"] == "plain"  # a clipped layer cannot start at the scale of gamma
    assert "lr" not in planned(CLOTHES, 5, constraint="clip", penalty="none", lr=1e-3).values


def test_short_series_are_flattened_and_long_ones_are_not():
    assert planned(LOOKS["series"]).values["model"] == "mlp"
    assert planned(Look("array", (2, 4096), 500)).values["model"] == "dcgan4"
    assert planned(Look("image", (1, 16, 16), 500)).values["model"] == "dcgan4"


def test_what_fits_no_convolution_is_flattened_but_pictures_are_not():
    assert planned(LOOKS["fields of an odd size"]).values["model"] == "mlp"
    assert planned(Look("image", (1, 50, 50), 100)).values["model"] == "resnet"  # which names the sizes that fit


def test_the_lines_say_what_and_how_to_change_it():
    text = "\n".join(planned(CLOTHES, 5).lines)
    for told in ("for 5 minutes", "--minutes", "--steps", "--preset", "dcgan4", "learning rate", "ema"):
        assert told in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_a_plan_fills_keys_of_the_config():
    assert set(PLANNED) <= FIELDS.keys()
