"""Objectives made of objectives: sums, rescalings, and the comparison of each fake with a real."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from banach.objectives.named import logistic
from banach.objectives.objective import OBJECTIVES, Objective, Scalar, chosen_psi, objective
from banach.specs import Source, SpecError, spell_call

_APPENDIX_D1 = "Zhou et al. 2019 (Lipschitz GANs)"


@dataclass(frozen=True)
class _Sum:
    """sum_i weight_i part_i(f)."""

    parts: tuple[Scalar, ...]
    weights: tuple[float, ...]

    def __call__(self, f: Tensor) -> Tensor:
        total = self.weights[0] * self.parts[0](f)
        for weight, part in zip(self.weights[1:], self.parts[1:], strict=True):
            total = total + weight * part(f)
        return total


@dataclass(frozen=True)
class _Affine:
    """outer part(inner f + offset)."""

    part: Scalar
    inner: float
    outer: float
    offset: float

    def __call__(self, f: Tensor) -> Tensor:
        return self.outer * self.part(self.inner * f + self.offset)


@dataclass(frozen=True)
class _Mirrored:
    """part(-f)."""

    part: Scalar

    def __call__(self, f: Tensor) -> Tensor:
        return self.part(-f)


@OBJECTIVES.register(
    name="Sum",
    examples=["Sum((exp, hinge), (1, 0.5))", "Sum((vanilla, least_squares), (1, 0.1), psi='neg')"],
    source=Source(_APPENDIX_D1, "section 4, appendix D.1"),
)
def weighted_sum(of: Sequence[str | Objective], weights: Sequence[float] = (), psi: str | None = None) -> Objective:
    """sum_i weight_i (phi_i, varphi_i, psi_i): sums of objectives keep the conditions of eq. 11 (appendix D.1).

    Weights are positive, 1 each if none are given; psi is summed too, or is "neg" or "varphi" (of the sum). SpecError
    for parts with pairing beside parts without, and for parts with a penalty of their own (fisher, sobolev).

    >>> import torch
    >>> weighted_sum(("exp", "hinge"), (1, 0.5)).critic_loss(*torch.zeros(2, 4))
    tensor(3.)
    """
    if isinstance(of, str | Objective) or not len(of):
        raise SpecError(f"Sum: {of!r}; give objectives and as many weights, as in Sum((exp, hinge), (1, 0.5))")
    parts = tuple(_plain(one, "Sum") for one in of)
    numbers = tuple(weights) or (1.0,) * len(parts)
    if len(numbers) != len(parts) or not all(_positive(one) for one in numbers):
        raise SpecError(f"Sum: weights = {weights!r}; give {len(parts)} positive numbers, one for each objective")
    if len({one.paired for one in parts}) > 1:
        raise SpecError("Sum: some objectives compare each fake with a real and some do not; wrap all in relativistic")
    phi = _Sum(tuple(one.phi for one in parts), numbers)
    varphi = _Sum(tuple(one.varphi for one in parts), numbers)
    own_psi = _Sum(tuple(one.psi for one in parts), numbers)
    spelling = spell_call("Sum", (parts, numbers), {} if psi is None else {"psi": psi})
    paired = parts[0].paired
    return Objective(phi, varphi, own_psi if psi is None else chosen_psi(psi, varphi), spelling, paired)


@OBJECTIVES.register(
    name="Rescaled",
    examples=["Rescaled(logistic, inner=2, outer=0.5)", "Rescaled(least_squares(a=0, b=1), offset=0.5, psi='neg')"],
    source=Source(_APPENDIX_D1, "appendix D.1"),
)
def rescaled(
    of: str | Objective, inner: float = 1.0, outer: float = 1.0, offset: float = 0.0, psi: str | None = None
) -> Objective:
    """outer (phi, varphi, psi)(inner f + offset): keeps the conditions of eq. 11 (appendix D.1).

    The same game for the critic inner f + offset. `inner` and `outer` are positive; a constant added to a loss would
    change nothing, so there is none. psi is rescaled too, or is "neg" or "varphi" (of the result). SpecError for an
    objective with a penalty of its own (fisher, sobolev), whose scale is part of it.

    >>> import torch
    >>> rescaled("exp", inner=2).critic_loss(*torch.ones(2, 4))
    tensor(7.5244)
    """
    for name, value in (("inner", inner), ("outer", outer)):
        if not _positive(value):
            raise SpecError(f"Rescaled: {name} = {value!r}; choose a positive number")
    if not (isinstance(offset, int | float) and math.isfinite(offset)):
        raise SpecError(f"Rescaled: offset = {offset!r}; choose a number")
    plain = _plain(of, "Rescaled")
    phi, varphi, own_psi = (_Affine(part, inner, outer, offset) for part in (plain.phi, plain.varphi, plain.psi))
    if plain.paired:
        # phi(u) stands for varphi(-u), so its offset turns with u.
        phi = _Mirrored(varphi)
    shown = {"inner": (inner, 1.0), "outer": (outer, 1.0), "offset": (offset, 0.0), "psi": (psi, None)}
    named = {name: value for name, (value, usual) in shown.items() if value != usual}
    spelling = spell_call("Rescaled", (plain,), named)
    return Objective(phi, varphi, own_psi if psi is None else chosen_psi(psi, varphi), spelling, plain.paired)


@OBJECTIVES.register(
    examples=["relativistic", "relativistic(hinge(alpha=1))", "relativistic(exp, psi='neg')"],
    source=Source(
        "Huang et al. 2024 (R3GAN); Jolicoeur-Martineau 2018 (RSGAN)",
        "eq. 2",
        "of = logistic, psi = varphi; R1 + R2 with gamma from 0.05 to 0.005, Adam 2e-4 to 5e-5 (0, 0.9 to 0.99)",
        "brownvc/R3GAN 19a7ddf R3GAN/Trainer.py; AlexiaJM/RelativisticGAN 061d544 README.md",
        "the number of R3GAN's equation",
    ),
)
def relativistic(of: str | Objective = "logistic", psi: str = "varphi") -> Objective:
    """E varphi(f(real_i) - f(fake_i)), generator E psi(f(fake_i) - f(real_i)): pairs by batch index (R3GAN).

    varphi is that of another objective: with `logistic`, log(1 + e^-(f(real_i) - f(fake_i))) and, psi being varphi,
    log(1 + e^-(f(fake_i) - f(real_i))). The critic is defined up to a constant. SpecError for an objective that has
    pairs already, or a penalty of its own (fisher, sobolev).

    >>> relativistic().paired, relativistic("exp")
    (True, relativistic(exp))
    """
    plain = _plain(of, "relativistic")
    if plain.paired:
        raise SpecError(f"relativistic: {plain!r} compares each fake with a real already; give what it is made of")
    usual = plain == logistic()
    named = {} if psi == "varphi" else {"psi": psi}
    spelling = "relativistic" if usual and not named else spell_call("relativistic", () if usual else (plain,), named)
    varphi = plain.varphi
    return Objective(_Mirrored(varphi), varphi, chosen_psi(psi, varphi), spelling, paired=True)


def _plain(of: str | Objective, where: str) -> Objective:
    found = objective(of)
    if found.own:
        raise SpecError(
            f"{where}: {found!r} includes its own penalty, {found.own}, which is no function of f alone; "
            f"use it by itself, or wasserstein in its place"
        )
    return found


def _positive(value: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
