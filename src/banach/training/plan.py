"""A run planned for the time there is: from the data's shape and measured step times to the keys of a config.

Pure: what was measured (`banach.training.timing`) is given, and the same measurements give the same plan. Published
settings are made for 100,000 steps; a run of an hour on a CPU has a few thousand, and needs smaller networks, larger
learning rates and a shorter average.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from banach.config.config import Config, as_mapping
from banach.errors import BanachError
from banach.game import heuristic
from banach.models.sizes import halvings

MINUTES = 60.0
"""The time a run is planned for, where the user names none."""

PLANNED = (
    "model", "z", "g_width", "d_width", "critic_start", "drift", "steps", "n_critic", "batch", "lr",
    "ema", "threads", "precision", "save_every", "sample_every", "score_every", "score_samples", "log_every",
    "optimizer", "first_steps",
)  # fmt: skip
"""The keys that a plan fills in, each unless the user states it; the last two with a constraint alone."""

_OF_CONSTRAINTS = ("lr", "n_critic", "optimizer", "first_steps")
"""Keys for which a plan takes the values of the constraint's paper, where it has some: they hold with that alone."""

NETWORKS = ("model", "z", "g_width", "d_width")
"""Those of them that describe the two networks."""

FEWEST = 300
"""Generator steps below which a plan says that the time is too short."""

_STEPS = 2000  # what the demo takes at its rate, which is the highest
_PUBLISHED = 100_000
_MOST = 200_000  # generator steps in any plan
_SHARE = 0.85  # of the time goes into steps; the rest into the start, pictures, scores, files and the report
_LEAST_SHARE = 0.6
_TENTHS = 10  # parts of a run, each of which ends with scores, pictures and a checkpoint
_GAIN = 0.9  # other threads and bfloat16 are taken where a step takes at most so much of the time


@dataclass(frozen=True)
class Networks:
    """Two networks and the batches they train on: what decides how long a step takes."""

    model: str
    z: int
    g_width: int
    d_width: int
    n_critic: int
    batch: int


@dataclass(frozen=True)
class Trial:
    """Something whose generator step, with its critic steps, can be timed."""

    networks: Networks
    threads: int
    precision: str


@dataclass(frozen=True)
class Look:
    """What a plan depends on of the data and the machine.

    `threads` is what torch takes by itself, `busy` how many cores other processes kept busy when the run began, `cores`
    how many there are; `cpu` is False on any other device, `halves` where bfloat16 is slower than float32.
    """

    kind: str
    shape: tuple[int, ...]
    train: int
    threads: int = 1
    cores: int = 1
    busy: float = 0.0
    cpu: bool = True
    halves: bool = True


@dataclass(frozen=True)
class Planned:
    """The values of a plan by key, and the lines that explain it."""

    values: dict[str, Any]
    lines: tuple[str, ...]


def candidates(look: Look, config: Config, stated: frozenset[str]) -> tuple[tuple[int, Networks], ...]:
    """The networks to choose from, narrow to wide, each with the generator steps that it is worth having for.

    Keys that are `stated` are those of `config` in all of them.
    """
    model = config.model if "model" in stated else _family(look)
    dense = model == "mlp"
    own = {
        "n_critic": 1 if look.kind == "image" and not dense else 2,
        "z": min(128, max(16, 4 * math.prod(look.shape))) if dense else 128,
    }
    own |= {key: value for key, value in _constrained(config).items() if key in own}
    found: dict[Networks, int] = {}
    for least, g_width, d_width, batch in _LADDERS.get(model, ((0, config.g_width, config.d_width, 64),)):
        one = {**own, "g_width": g_width, "d_width": d_width, "batch": _batch(look, batch)}
        one |= {key: getattr(config, key) for key in one if key in stated}
        found.setdefault(Networks(model, **one), least)
    return tuple((least, one) for one, least in found.items())


_CONVOLUTIONS = (
    (0, 16, 32, 16), (500, 16, 32, 32), (800, 16, 32, 64), (1000, 32, 64, 64), (4000, 64, 64, 64), (6000, 64, 128, 64),
)  # fmt: skip
_LADDERS = {
    "dcgan4": _CONVOLUTIONS,
    "dcgan": _CONVOLUTIONS,
    "resnet": _CONVOLUTIONS,
    "mlp": ((0, 128, 128, 256), (2000, 256, 256, 256), (20_000, 512, 512, 256)),
}
"""By model: the generator steps from which something larger pays, the widths of generator and critic, the batch.

The papers take 5 critic steps. With one, pictures came out better in equal time; fields got patterns, and keep 2."""


_SHORT = 1024
"""Entries of a series up to which a dense network takes ten times the steps of a convolutional one."""


def _family(look: Look) -> str:
    """dcgan4 has a quarter of the residual networks' arithmetic: in the first hour, more steps win."""
    if len(look.shape) == 2 and math.prod(look.shape) <= _SHORT:
        return "mlp"
    try:
        halvings(look.shape[1:], least=1)
        return "dcgan4"
    except BanachError:
        # What has no grid, or one of a size that no convolutional network makes, is trained on flattened. Pictures of
        # such a size can be brought to another: the residual networks refuse them and name the sizes.
        return "resnet" if look.kind == "image" else "mlp"


def _batch(look: Look, most: int) -> int:
    """A power of two, and no more than the data hold; of few pictures a sixteenth of them, for more steps in the time.

    Of 135 photographs at 64x64, batches of 8 gave clearer pictures in equal time than those of 32 (docs/plan.md).
    """
    held = look.train // 16 if look.kind == "image" else look.train
    return max(8, min(most, 2 ** int(math.log2(max(held, 1)))))


def measure(
    look: Look,
    config: Config,
    stated: frozenset[str],
    seconds: float,
    time_of: Callable[[Trial], float],
) -> dict[Trial, float]:
    """Time what could be chosen, in an order in which little time is lost; seconds of a step by trial.

    `seconds` are those for steps. On an idle machine all threads are tried first, on a busy one a single thread.
    """
    threads = config.threads if "threads" in stated and config.threads else _first_threads(look)
    precision = config.precision if "precision" in stated else "fp32"
    found: dict[Trial, float] = {}
    options = candidates(look, config, stated)
    for (_, networks), wider in zip(options, (*options[1:], None), strict=True):
        trial = Trial(networks, threads, precision)
        found[trial] = time_of(trial)
        if wider is None or seconds / found[trial] < wider[0]:
            break  # the next takes longer, and could not take the steps that it needs
    best = quickest(found, chosen(options, found, seconds))
    if look.cpu and "threads" not in stated:
        for other in _other_threads(look, threads):
            found[trial] = time_of(trial := Trial(best.networks, other, precision))
    if look.cpu and look.halves and "precision" not in stated and best.networks.model != "mlp":
        best = quickest(found, best.networks)
        found[trial] = time_of(trial := Trial(best.networks, best.threads, "bf16"))
    return found


def _first_threads(look: Look) -> int:
    """All of torch's threads where they would find free cores: a thread that waits for another holds up the rest."""
    return look.threads if look.busy + look.threads <= look.cores + 0.5 else 1


def _other_threads(look: Look, tried: int) -> Iterator[int]:
    """The threads to try after `tried`: one, or where that was tried those that find a core, if more than one does."""
    free = min(look.threads, round(look.cores - look.busy))
    if tried > 1:
        yield 1
    elif free > 1:
        yield free


def chosen(options: tuple[tuple[int, Networks], ...], found: Mapping[Trial, float], seconds: float) -> Networks:
    """The widest networks that were timed and can take the steps that they need."""
    timed = {trial.networks: took for trial, took in reversed(list(found.items()))}  # of several trials, the first
    fit = [one for least, one in options if one in timed and seconds / timed[one] >= least]
    return fit[-1] if fit else options[0][1]


def quickest(found: Mapping[Trial, float], networks: Networks) -> Trial:
    """How these networks are trained fastest; what was tried first, where others bring no more than a tenth."""
    first, *others = [one for one in found if one.networks == networks]
    best = min((first, *others), key=lambda one: found[one])
    return best if found[best] <= _GAIN * found[first] else first


def plan(
    look: Look,
    config: Config,
    stated: frozenset[str],
    found: Mapping[Trial, float],
    spent: float = 0.0,
) -> Planned:
    """The plan for `config.minutes` (0: `MINUTES`), of which `spent` seconds are gone, from the seconds of a step.

    It fills the keys of `PLANNED` that are not `stated`; the space, the objective and what keeps the critic Lipschitz
    are the user's.
    """
    minutes = config.minutes or MINUTES
    seconds = seconds_for_steps(minutes, spent)
    networks = chosen(candidates(look, config, stated), found, seconds)
    best = quickest(found, networks)
    steps = int(min(_MOST, max(_TENTHS, _two_digits(seconds / found[best]))))
    tenth = -(-steps // _TENTHS)
    values = {
        **{key: getattr(networks, key) for key in (*NETWORKS, "n_critic", "batch")},
        "critic_start": _critic_start(config, networks.model),
        "drift": "auto",
        "steps": steps,
        "lr": rate(steps),
        "ema": average(steps),
        "threads": best.threads if look.cpu else 0,
        "precision": best.precision,
        "save_every": tenth,
        "sample_every": tenth,
        "score_every": tenth,
        "score_samples": _scored(look, minutes),
        "log_every": max(1, steps // 100),
    }
    values |= _constrained(config)
    values = {key: value for key, value in values.items() if key not in stated}
    told = {**as_mapping(config), **values}
    return Planned({**values, "minutes": minutes}, tuple(_lines(look, told, minutes, best, found)))


def _constrained(config: Config) -> dict[str, Any]:
    return {key: value for key, value in config.named.constraint.recommended.items() if key in _OF_CONSTRAINTS}


def seconds_for_steps(minutes: float, spent: float = 0.0) -> float:
    """The seconds that a run of `minutes` has for its steps: a start that is slow takes no more than a part of them."""
    return 60 * minutes * max(_LEAST_SHARE, _SHARE - spent / (60 * minutes))


def rate(steps: int) -> float:
    """The learning rate, which falls to 0 over `steps`: the demo's 0.005 up to its 2,000 steps, the papers' 0.0002 from
    their 100,000, and a power of the steps between.

    >>> rate(500), rate(2000), rate(20_000), rate(100_000)
    (0.005, 0.005, 0.00075, 0.0002)
    """
    power = math.log(25) / math.log(_PUBLISHED / _STEPS)
    found = 5e-3 * min(1.0, max(_STEPS / steps, _STEPS / _PUBLISHED) ** power)
    return float(f"{found:.2g}")


def average(steps: int) -> float:
    """The decay of the generator's average: over a twentieth of the run, at most 1,000 steps.

    >>> average(100), average(2000), average(100_000)
    (0.9, 0.99, 0.999)
    """
    return round(min(0.999, max(0.9, 1 - 20 / steps)), 3)


def _critic_start(config: Config, model: str) -> str:
    """A critic started at its aim need not go there first: a slope of gamma, in games that have one, or their scale.

    That takes a fixed gamma and a free last layer.
    """
    if config.constraint != "none" or config.critic_scale == "batch" or model not in _LADDERS:
        return "plain"
    named = config.named
    aimed = heuristic(named.space, named.objective, named.penalty)
    return "slope" if aimed else "gamma"


def _scored(look: Look, minutes: float) -> int:
    """Samples of a scoring: as many as cost a twentieth of the time or so."""
    if look.kind != "image":
        return 250 if minutes < 15 else 1000 if minutes < 45 else 2000
    return 2000 if minutes < 15 else 5000 if minutes < 45 else 10_000


def _two_digits(x: float) -> float:
    """x, rounded down to two digits.

    >>> _two_digits(1987.3), _two_digits(12.9)
    (1900.0, 12.0)
    """
    unit = 10.0 ** max(0, math.floor(math.log10(max(x, 1))) - 1)
    return math.floor(x / unit) * unit


def _lines(
    look: Look, told: dict[str, Any], minutes: float, best: Trial, found: Mapping[Trial, float]
) -> Iterator[str]:
    """What a user sees of a plan."""
    yield (
        f"plan      for {minutes:g} minutes: --minutes changes the time; with --steps or --preset nothing is planned"
    )
    steps = f"{told['steps']:,} steps of {_spelled(found[best])}"
    networks = f"{told['model']} of widths {told['g_width']} and {told['d_width']}"
    yield f"          {steps}: {networks}, {told['n_critic']} of the critic for each, batch {told['batch']}"
    yield f"          learning rate {told['lr']:g}{' falling to 0' * (told['decay'] == 'linear')}, ema {told['ema']:g}"
    others = [one for one in found if one.networks == best.networks and one != best]
    compared = f" (a step with {', '.join(f'{_how(one)} {_spelled(found[one])}' for one in others)})" * bool(others)
    busy = f"; {min(look.busy, look.cores):.1f} of {look.cores} cores are busy with other work" * (look.busy >= 0.5)
    if look.cpu and (others or busy):
        yield f"          {_how(best)}{compared}{busy}"
    if told["steps"] < FEWEST:
        yield (
            f"          {told['steps']} steps are few: with more --minutes, or a smaller --size or --width, expect more"
        )


def _how(trial: Trial) -> str:
    return f"{trial.threads} {'thread' if trial.threads == 1 else 'threads'} in {trial.precision}"


def _spelled(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"
