"""W1 of generated samples as a score: its excess over its floors against held-out data, with what else may be said."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from banach.data.rows import Rows
from banach.metrics.features import ScoreError
from banach.spaces import Metric
from banach.spaces.properties import blind_spot, negative_type
from banach.transport import Excess, energy_distance, excess, permutation_p
from banach.transport.permutations import LEAST, samples_tested
from banach.transport.scores import verdict

_REL_GAP = 1e-4


@dataclasses.dataclass(frozen=True)
class Transported:
    """The excess of samples over a reference, in a metric; a p-value if one was asked for; the energy distance.

    `energy` is None in norms that are not of negative type.
    """

    excess: Excess
    energy: float | None
    p_value: float | None
    protocol: dict[str, str | int]

    @property
    def sentence(self) -> str:
        """What the figures mean, plainly."""
        return verdict(self.excess, self.p_value, int(self.protocol.get("samples_tested", 0)))

    def as_dict(self) -> dict[str, Any]:
        """All figures by name, for JSON."""
        return {
            "excess": self.excess.value,
            "interval": [self.excess.low, self.excess.high],
            "confidence": self.excess.confidence,
            "w1": self.excess.across,
            "floor": self.excess.floor_b,
            "spread": self.excess.floor_a,
            "energy": self.energy,
            "p_value": self.p_value,
            "sentence": self.sentence,
            "protocol": dict(self.protocol),
        }

    def lines(self) -> list[str]:
        """A small table for people, the sentence, and the protocol in a line."""
        of, energy = self.excess, "none: the norm is not of negative type"
        if self.energy is not None:
            energy = f"{self.energy:>15.4g}  energy distance in the same norm, unbiased"
        interval = f"{of.low:.4g} to {of.high:.4g} at {of.confidence:.0%}"
        rows = [
            f"{'W1':12}  {of.across:>15.4g}  half of the samples to half of the reference",
            f"{'floor':12}  {of.floor_b:>15.4g}  half of the reference to its other half",
            f"{'spread':12}  {of.floor_a:>15.4g}  half of the samples to their other half",
            f"{'excess':12}  {of.value:>15.4g}  {interval}; W1 less the mean of floor and spread, lower is better",
            f"{'energy':12}  {energy}",
        ]
        protocol = "; ".join(f"{key.replace('_', ' ')} {one}" for key, one in self.protocol.items())
        return [*rows, f"{self.sentence[0].upper()}{self.sentence[1:]}.", protocol]


def transported(
    fakes: Shaped[Tensor, "n *event"],
    reference: Shaped[Tensor, "m *event"] | Rows,
    metric: Metric,
    *,
    in_units: Callable[[Tensor], Tensor] = lambda drawn: drawn,
    samples: int = 2000,
    permutations: int = 0,
    seed: int = 0,
    split: str = "held out",
) -> Transported:
    """The excess of generated samples over a reference, from equally many of both, at most `samples`, by `seed`.

    `in_units` brings the samples, once they are drawn, to the units of the metric.
    `permutations` give a p-value of "both have one law", from at most 500 of each; 0 makes no test. `split` names the
    reference in the protocol. Raises `ScoreError` for shapes that differ and for fewer than 8 samples.

    >>> x, y = (torch.randn(60, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    >>> from banach.spaces import Lp
    >>> found = transported(x + 1, y, Lp(2), permutations=19)
    >>> found.excess.low > 0, found.p_value
    (True, 0.05)
    """
    if fakes.shape[1:] != reference.shape[1:] or fakes.ndim < 2:
        raise ScoreError(f"samples of different shapes do not compare: {tuple(fakes.shape)}, {tuple(reference.shape)}")
    metric.distance(in_units(fakes[:1]), in_units(reference[:1]))  # a norm for samples of another shape says so here
    n = min(len(fakes), len(reference), samples)
    if n < LEAST:
        raise ScoreError(f"{n} samples are too few for an excess; give at least {LEAST} of each (--holdout, --n)")
    x, y = (
        in_units(one[torch.randperm(len(one), generator=torch.Generator().manual_seed(seed + place))[:n]])
        for place, one in enumerate((fakes, reference))
    )
    found = excess(x, y, metric, rel_gap=_REL_GAP, seed=seed)
    energy = energy_distance(x, y, metric) if negative_type(metric) else None
    p_value = permutation_p(x, y, metric, permutations=permutations, seed=seed) if permutations else None
    protocol: dict[str, str | int] = {
        "metric": repr(metric), "event": "x".join(map(str, reference.shape[1:])), "reference": split,
        "samples_in_each_half": found.n, "seed": seed,
    }  # fmt: skip
    if permutations:
        protocol |= {"permutations": permutations, "samples_tested": samples_tested(n, n)}
    if energy is not None and (spot := blind_spot(metric)):
        protocol["energy_distance"] = spot
    return Transported(found, energy, p_value, protocol)
