"""W1 of generated samples as a score: its excess over its floors against held-out data, with what else may be said."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from banach.data.rows import Rows
from banach.metrics.features import ScoreError
from banach.spaces import Metric
from banach.spaces.properties import blind_spot, negative_type
from banach.transport import Excess, PermutationTest, energy_distance, excess, permutation_test
from banach.transport.permutations import LEAST
from banach.transport.scores import verdict

_REL_GAP = 1e-4


@dataclasses.dataclass(frozen=True)
class Transported:
    """What W1 says of two samples beside its value: excess, energy distance, permutation test, each None if not taken.

    `left_out` says of what was not taken why, `protocol` how to get the figures again; a p-value of at most `level`
    says that the distributions differ. In norms that are not of negative type there is no energy distance.
    """

    excess: Excess | None = None
    energy: float | None = None
    test: PermutationTest | None = None
    protocol: Mapping[str, str | int] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    level: float = 0.05

    @property
    def sentence(self) -> str | None:
        """What excess and p-value mean together; None where there are neither."""
        p = None if self.test is None else self.test.p_value
        if self.excess is not None:
            return verdict(self.excess, p, self.test.samples if self.test else 0)
        if p is None:
            return None
        said = "the distributions differ" if p <= self.level else "no evidence that the distributions differ"
        return f"{said} by a permutation test (p = {p:.3g})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON, the same names wherever these figures are told; what was not taken is not there."""
        told = {
            "excess": None if self.excess is None else dataclasses.asdict(self.excess), "energy_distance": self.energy,
            **(facts_of_test(self.test) if self.test else {}), "sentence": self.sentence,
            "left_out": list(self.left_out) or None, "protocol": dict(self.protocol) or None,
        }  # fmt: skip
        return {key: one for key, one in told.items() if one is not None}


def facts_of_test(test: PermutationTest) -> dict[str, Any]:
    """For JSON."""
    counts = {"permutations": test.permutations, "permutations_wanted": test.wanted, "samples_tested": test.samples}
    return {"p_value": test.p_value, **counts}


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
    `permutations` give a p-value of "both have the same distribution", from at most 500 of each; 0 makes no test.
    `split` names the reference in the protocol. Raises `ScoreError` for shapes that differ and for fewer than 8
    samples.

    >>> x, y = (torch.randn(60, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    >>> from banach.spaces import Lp
    >>> found = transported(x + 1, y, Lp(2), permutations=19)
    >>> found.excess.low > 0, found.test.p_value
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
    test = permutation_test(x, y, metric, permutations=permutations, seed=seed) if permutations else None
    protocol: dict[str, str | int] = {
        "metric": repr(metric), "event": "x".join(map(str, reference.shape[1:])), "reference": split,
        "samples_in_each_half": found.n, "seed": seed,
    }  # fmt: skip
    if test is not None:
        protocol |= {"permutations": test.permutations, "samples_tested": test.samples}
    if energy is not None and (spot := blind_spot(metric)):
        protocol["energy_distance"] = spot
    return Transported(found, energy, test, protocol)
