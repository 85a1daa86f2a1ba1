"""The profile: parts that sum up to the step, arithmetic counted by hand, and a run that is the same with a clock."""

import dataclasses
import json
import time

import torch
from small_run import DATA, GAME, new

from banach.session.profile import CRITIC, PARTS, PENALTY, SCORES, Clock, Profile, peak, profile, timed
from banach.slopes import critic_for_penalty
from banach.spaces import Lp
from banach.training.build import Built
from banach.training.loop import train
from banach.training.state import Recipe

RECIPE = Recipe(n_critic=2, batch=8, g_batch=8)
CPU = torch.device("cpu")


def test_the_parts_are_those_of_a_step_and_sum_up_to_it() -> None:
    found = profile(Built(DATA, GAME, new(RECIPE)), warm_up=1, steps=5, batch=1)
    assert tuple(found.parts) == PARTS
    assert all(seconds > 0 for seconds in found.parts.values())
    assert 0.7 < sum(found.parts.values()) / found.seconds < 1.05
    text = found.show()
    assert all(name in text for name in PARTS)
    assert "GFLOP/s, the best rate" in text
    assert found.as_json()["share_of_peak"] == found.rate / found.peak


def test_arithmetic_is_counted_by_hand() -> None:
    """Products of 8 rows: a critic pass has layers 36-8, 8-8, 8-8, 8-1; reals and fakes each go forward once and back
    twice (but not to their inputs), the interpolates forward once, back to their inputs once, and back through both."""
    found = profile(Built(DATA, GAME, new(RECIPE)), warm_up=0, steps=1, batch=1)
    layers = (36 * 8, 8 * 8, 8 * 8, 8 * 1)
    critic, inner = sum(layers), sum(layers[1:])
    generator = 3 * 8 + 8 * 8 + 8 * 8 + 8 * 36
    played = 2 * (critic + critic + inner)
    least = 2 * 8 * 2 * (generator + played + 2 * critic)
    generators_step = 2 * 8 * (generator + critic + critic + 2 * generator - 3 * 8)
    double_backward = found.operations - least - generators_step
    assert 2 * 8 * 2 * inner < double_backward <= 2 * 8 * 2 * (3 * critic + critic)


def test_a_clock_changes_no_number() -> None:
    plain, other = new(RECIPE), new(RECIPE)
    train(plain, GAME, DATA, 2)
    clock = Clock(CPU)
    game, parts = timed(other, GAME, clock)
    train(other, game, DATA, 2, steps=parts)
    assert (other.step, other.critic_steps) == (plain.step, plain.critic_steps)
    for name, one in plain.average.state_dict().items():
        assert torch.equal(other.average.state_dict()[name], one)
    assert all(seconds > 0 for seconds in clock.seconds.values())


def test_a_part_within_another_counts_for_itself_but_not_within_the_penalty() -> None:
    clock = Clock(CPU)
    with clock.part(CRITIC):
        time.sleep(0.02)
        with clock.part(SCORES):
            time.sleep(0.03)
        with clock.part(PENALTY):
            time.sleep(0.02)
            with clock.part(SCORES):
                time.sleep(0.03)
    found = {name: clock.seconds[name] for name in (CRITIC, SCORES, PENALTY)}
    assert found[CRITIC] >= 0.02
    assert 0.03 <= found[SCORES] < 0.05
    assert found[PENALTY] >= 0.05


def test_the_share_of_the_peak_is_of_the_achieved_rate() -> None:
    found = Profile(2.0, dict.fromkeys(PARTS, 0.25), 8e9, 16e9)
    assert found.rate == 4e9
    assert "4.0 GFLOP/s: 25% of 16 GFLOP/s" in found.show()
    assert peak(CPU, "bf16", batch=1, repeats=1) > 0


def test_the_command_measures_and_writes_nothing(banach, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("banach.session.profile.peak", lambda *arguments: 1e9)
    words = ("--data", "8gaussians", "--model", "mlp", "--width", 8, "--z", 2, "--out", "run")
    code, out, err = banach("train", "--profile", *words)
    assert (code, err) == (0, "")
    assert "penalty forward" in out
    assert out.rstrip().endswith("nothing was kept (profile)")
    code, out, _ = banach("train", "--profile", "--json", *words)
    found = [json.loads(line) for line in out.splitlines()]
    (figures,) = [one for one in found if one["event"] == "profile"]
    assert set(figures["parts"]) == set(PARTS)
    assert list(tmp_path.iterdir()) == []


def test_a_timed_critic_in_half_precision_is_seen_by_penalties_as_the_run_sees_it() -> None:
    for p in (2, 4, 1):
        plain, other = (new(dataclasses.replace(RECIPE, precision="bf16")) for _ in range(2))
        clock = Clock(CPU)
        timed(other, GAME, clock)
        x = DATA.batch(torch.arange(4))
        expected, found = (critic_for_penalty(one.critic.forward, Lp(p)) for one in (plain, other))
        assert torch.equal(found(x), expected(x))
        assert clock.seconds[SCORES] > 0
