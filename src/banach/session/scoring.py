"""Scores of a run: during training, and afterwards of any generator file."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from banach.config.config import Config
from banach.data.dataset import Data
from banach.generator import Generator
from banach.metrics.features import ScoreError, extractor, extractor_for
from banach.metrics.fields import EUCLIDEAN, evaluate_fields
from banach.metrics.scores import Scores, evaluate
from banach.metrics.scores import score as scored
from banach.metrics.titles import taken_in, title
from banach.metrics.transported import Transported, transported
from banach.session import verdict
from banach.session.console import short, thousands
from banach.session.reference import data_of
from banach.session.session import Session
from banach.spaces import Metric, space
from banach.training.loop import Batch
from banach.training.state import State
from banach.transport.permutations import LEAST

SEED = 0
"""Seed of the samples that are scored: the same latents at every step and for every run."""

LEADING = ("fid", "excess")
"""The score by which `best.safetensors` is chosen: FID of images, excess W1 of arrays (W1 itself favours blur)."""

_LARGE = 0.25
"""Of arrays, an excess above so much of W1 is no good, even where the data are nearly Gaussian."""

TRANSPORTED = 2000
"""Samples of each at most between which the excess of W1 is measured."""


def score(generator: Generator, data: Data, n: int, seed: int = SEED, extractor: str = "auto") -> Scores:
    """Scores of `n` samples against the training part of `data`, each beside its floor and with its protocol.

    Images are scored in the features of `extractor`; arrays by moments, and by W1 and its excess in the norm the
    generator was trained in, in the data's units (in L^2 where that norm is itself computed, for W1 needs exact
    distances; the protocol names it). Raises `ScoreError`.
    """
    fakes, train, held_out = generator.draw(n, seed), data.train.cpu(), data.held_out.cpu()
    if data.kind == "image":
        return evaluate(fakes, train, held_out, extractor="" if extractor == "auto" else extractor)
    return evaluate_fields(fakes, train, held_out, metric=_transport_metric(generator.about.space))


def _transport_metric(spec: str) -> Metric:
    """The norm in which W1 of arrays is measured: the one they were trained in, or L^2 where that is computed."""
    trained_in = space(spec) if spec else EUCLIDEAN
    return EUCLIDEAN if trained_in.computed else trained_in


def score_w1(
    generator: Generator,
    data: Data,
    metric: Metric,
    samples: int = TRANSPORTED,
    permutations: int = 0,
    seed: int = SEED,
    held_out: str = "held out",
) -> Transported:
    """The excess of W1 between generated samples and held-out data (the training part, where too few are held out).

    `held_out` is what the protocol calls these. Images are measured in [-1, 1], as the critic sees them, arrays in the
    data's units. Raises `ScoreError`.
    """
    held = len(data.held_out) >= LEAST
    reference, split = (data.held_out, held_out) if held else (data.train, "training part (nothing is held out)")
    return transported(
        generator.draw(min(samples, len(reference)), seed),
        reference.cpu(),
        metric,
        in_units=data.units.to_model if data.kind == "image" else _as_they_are,
        samples=samples,
        permutations=permutations,
        seed=seed,
        split=split,
    )


def _as_they_are(drawn: Tensor) -> Tensor:
    return drawn


def check_scoring(config: Config, data: Data) -> None:
    """Raises `ScoreError` now, not at the first scoring, where an extractor or a norm is not there or does not fit."""
    metric = config.named.score_w1
    if metric is not None:
        if len(data.held_out) < LEAST:
            raise ScoreError(f"score-w1: {len(data.held_out)} samples are held out; it takes {LEAST}, see --holdout")
        few = data.units.to_model(data.held_out[:2].cpu())
        metric.distance(few, few)  # refuses samples of a shape that is not the norm's
        if metric.computed:
            raise ScoreError(
                f"score-w1: {metric!r} is itself computed, and W1 needs exact distances; its dual has them"
            )
    if data.kind == "image":
        extractor(extractor_for(data.shape) if config.extractor == "auto" else config.extractor)


def score_file(path: str | Path, n: int = 10_000, seed: int = SEED, extractor: str = "auto") -> Scores:
    """`score` of a generator file on the data it was trained on."""
    generator = Generator.load(path)
    return score(generator, data_of(generator, Path(path).parent), n, seed, extractor)


def scoring(session: Session) -> Callable[[State, Batch], None]:
    """Scores the averaged generator into scores.jsonl, and keeps the best one as best.safetensors."""

    def hook(state: State, batch: Batch) -> None:
        state.watch.check()
        session.lock.check()
        session.console.busy(f"scoring {session.config.score_samples:,} samples")
        _score(session, state)
        session.console.busy("")

    return hook


def _score(session: Session, state: State) -> None:
    config = session.config
    try:
        found = score(session.generator(state), session.data, config.score_samples, SEED, config.extractor)
    except ScoreError as error:  # a run goes on without its scores
        session.say(f"no scores at step {state.step:,}: {error}")
        return
    beyond = _excess(session, state)
    line = {"step": state.step, "minutes": state.seconds / 60, **found.as_dict(), "transport": beyond}
    session.scores.append(line)
    told = {f"{key}[{taken_in(key, found.protocol)}]".removesuffix("[]"): value for key, value in found.value.items()}
    if beyond is not None:
        told[f"excess_w1[{config.score_w1}]"] = beyond["excess"]["value"]
    session.board.scores(state.step, told)
    session.console.event("scores", line)
    name = next(one for one in LEADING if one in found.value)
    session.score = f"{title(name, found.protocol)} {short(found.value[name])} @{thousands(state.step)}"
    session.log.write(f"step {state.step:,}: {leading(line)}")
    for warning in found.warnings():
        session.log.write(f"step {state.step:,}: {warning}")
    if found.value[name] < state.best:
        session.generator(state).save(session.folder.best)
        state.best = found.value[name]
    if verdict.due(state.step, config.steps, session.scored_at):
        _judge(session, state, name, found)
    session.scored_at = state.step


def _judge(session: Session, state: State, name: str, found: Scores) -> None:
    """Say how the newest samples compare with the Gaussian's, and the likeliest cure where they are no better."""
    config, data = session.config, session.data
    n = verdict.count(config, data)
    if math.isnan(session.gaussian):
        session.gaussian = _of_gaussian(session, n)
    fakes = session.generator(state).draw(n if data.kind == "image" else min(n, verdict.SPREAD), SEED)
    own = data.kind != "image" or _telling(session) == found.protocol["extractor"]
    standing = verdict.Standing(
        name=title(name, found.protocol) if own else title("fid", {"extractor": _telling(session)}),
        value=found.value[name] if own else _fid(session, fakes),
        gaussian=session.gaussian,
        floor=found.floor.get(name) if own else None,
        large=_LARGE * found.value["w1"] if name == "excess" else 0.0,
        spread=verdict.spread(fakes, data),
        step=state.step,
        train=len(data.train),
    )
    session.say("\n".join(verdict.lines(standing, config)))
    session.console.event("quality", {**dataclasses.asdict(standing), "good": standing.good})


def _telling(session: Session) -> str:
    """The extractor in which pictures are compared with the Gaussian's.

    Not "pixels": FID knows means and covariances of features only, and the Gaussian has those of the pixels.
    """
    config = session.config
    named = extractor_for(session.data.shape) if config.extractor == "auto" else config.extractor
    return "fashion" if named == "pixels" else named


def _fid(session: Session, images: Tensor) -> float:
    return scored(images, session.data.train.cpu(), extractor=_telling(session), names=("fid",))["fid"]


def _of_gaussian(session: Session, n: int) -> float:
    """The leading score of `n` samples of the Gaussian with the data's mean and covariance."""
    data, drawn = session.data, verdict.noise(session.data, n)
    if data.kind == "image":
        return _fid(session, drawn)
    metric = _transport_metric(session.about.space)
    return evaluate_fields(drawn, data.train.cpu(), data.held_out.cpu(), metric=metric).value["excess"]


def leading(line: Mapping[str, Any]) -> str:
    """The score of a line of scores.jsonl by which generators are chosen, beside its floor; '' without one.

    >>> leading({"value": {"fid": 14.06}, "floor": {"fid": 0.58}, "protocol": {"extractor": "fashion"}})
    'FID[fashion] 14 (floor .58)'
    """
    value, floor = line.get("value", {}), line.get("floor", {})
    name = next((one for one in LEADING if one in value), "")
    if not name:
        return ""
    beside = f" (floor {short(floor[name])})" if name in floor else ""
    return f"{title(name, line.get('protocol'))} {short(value[name])}{beside}"


def _excess(session: Session, state: State) -> dict[str, Any] | None:
    """The excess over held-out data in the norm of `score_w1`; None where none is asked for."""
    metric = session.config.named.score_w1
    if metric is None:
        return None
    found = score_w1(session.generator(state), session.data, metric)
    if (of := found.excess) is not None:
        said = f"{title('excess', found.protocol)} {short(of.value)} ({short(of.low)} to {short(of.high)}), held out"
        session.log.write(f"step {state.step:,}: {said}")
    return found.as_dict()
