"""Scores of arrays and points, where no extractor applies: W1 in a norm, its excess, and the moments of each channel.

They have the same form as the scores of images (`banach.metrics.scores.Scores`): value, floor, matched, protocol.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from banach.data.rows import Rows, Samples, blocks
from banach.data.units import moments
from banach.metrics.features import ScoreError
from banach.metrics.scores import LEAST, Scores, shuffled
from banach.spaces import Lp, Metric
from banach.transport import distance, excess

NAMES = ("excess", "w1", "mean", "std")
EUCLIDEAN = Lp(2)

_EXACT = 1e-9
_BLOCK = 1 << 22  # entries


def w1(x: Float[Tensor, "n *event"], y: Float[Tensor, "n *event"], metric: Metric = EUCLIDEAN) -> float:
    """The exact Wasserstein-1 distance of two samples of one size, in the metric's units.

    min over couplings of E metric.distance(x, y), see `banach.distance`. It overestimates the distance of the
    distributions (by its own floor), and ranks samples that are too smooth or too alike above true ones: read it beside
    its floor, or take the excess.

    >>> round(w1(torch.zeros(4, 2), torch.tensor([3.0, 4.0]).expand(4, 2)), 9)
    5.0
    """
    if x.shape != y.shape or len(x) == 0:
        raise ScoreError(f"w1 takes two samples of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    return distance(x, y, metric, rel_gap=_EXACT).value


def moment_errors(
    x: Float[Tensor, "n c *field"] | Rows, y: Float[Tensor, "m c *field"] | Rows
) -> tuple[Tensor, Tensor]:
    """By channel (axis 1), how far x's mean and standard deviation are from y's; two tensors (c,), no unit.

    |mean x - mean y| / std y and |std x / std y - 1|; a channel that is constant in y counts in its own units.
    """
    (mean_x, std_x), (mean_y, std_y) = moments(x), moments(y)
    scale = torch.where(std_y > 0, std_y, 1.0)
    return (mean_x - mean_y).abs() / scale, (std_x - std_y).abs() / scale


def evaluate_fields(
    fakes: Float[Tensor, "n *event"],
    train: Float[Tensor, "m *event"] | Rows,
    held_out: Float[Tensor, "k *event"] | Rows,
    *,
    metric: Metric = EUCLIDEAN,
    samples: int = 2000,
    seed: int = 0,
) -> Scores:
    """Scores of generated arrays or points (n, c, *field) or (n, d) against the training part, with floors.

    * "excess": W1 beyond what samples of one distribution cost (`banach.transport.excess`), on halves of as many; 0 is
      best;
    * "w1": exact W1 of equally many samples of both, at most `samples`, drawn by `seed`; units of the data in `metric`;
    * "mean", "std": `moment_errors` of the worst channel, from all samples.

    Raises `ScoreError` for shapes that differ, fewer than 10 samples, or entries that are not finite. Without 10
    held-out samples there is no floor.
    """
    for one in (fakes, train, held_out):
        if one.shape[1:] != train.shape[1:] or one.ndim < 2:
            raise ScoreError(f"samples of different shapes do not compare: {tuple(one.shape)}, {tuple(train.shape)}")
        if not all(torch.isfinite(block).all() for block in blocks(one, _BLOCK)):
            raise ScoreError("samples with entries that are not finite have no score; look at the run's losses")
    if min(len(fakes), len(train)) < LEAST:
        raise ScoreError(f"{min(len(fakes), len(train))} samples are too few for a score; give at least {LEAST}")
    held = len(held_out) >= LEAST
    parts = (fakes, train, held_out) if held else (fakes, train)
    count = min(samples, *(len(one) for one in parts))
    drawn = [one[shuffled(len(one), seed + place)[:count]] for place, one in enumerate(parts)]
    transported = w1(drawn[0], drawn[1], metric)
    x, y = (one[shuffled(len(one), seed)[:samples]] for one in (fakes, train))
    beyond = excess(x, y, metric, seed=seed)
    value = {"excess": beyond.value, "w1": transported, **_worst(fakes, train)}
    protocol: dict[str, str | int] = {
        "metric": repr(metric), "event": "x".join(str(one) for one in train.shape[1:]),
        "fakes": len(fakes), "reals": len(train), "split": "training part",
        "held_out": min(len(fakes), len(held_out)), "w1_samples": count, "excess_samples_in_each_half": beyond.n,
        "seed": seed,
    }  # fmt: skip
    if not held:
        return Scores(value, {}, {}, protocol)
    few = int(protocol["held_out"])
    part = fakes[shuffled(len(fakes), seed)[:few]]
    floor = {"w1": w1(drawn[2], drawn[1], metric), **_worst(held_out[shuffled(len(held_out), seed + 2)[:few]], train)}
    return Scores(value, {"excess": beyond.value, "w1": transported, **_worst(part, train)}, floor, protocol)


def _worst(x: Samples, y: Samples) -> dict[str, float]:
    mean, std = moment_errors(x, y)
    return {"mean": float(mean.max()), "std": float(std.max())}
