"""The laws of objectives: finite, differentiable, alike in float32, and the right way round."""

from collections.abc import Callable

import torch
from torch import Tensor

from banach.objectives import OBJECTIVES, Objective, conditions, objective
from banach.testing.laws import LawResult, Ledger


def check_objective(of: Objective | str, reach: float = 20.0) -> list[LawResult]:
    """The laws of an objective: phi, varphi and psi are elementwise, finite and differentiable on [-reach, reach].

    The critic gains by scoring reals above fakes, phi'(0) > varphi'(0), and the generator by raising f, psi' <= 0.
    Which conditions of Lipschitz GANs, eq. 11, are met is reported in the last line and breaks nothing: hinge and least
    squares are known to miss some.

    >>> check_objective("hinge")[-1].detail
    'not met: phi_increasing, varphi_decreasing'
    """
    found = objective(of)
    ledger = Ledger()
    for name in ("phi", "varphi", "psi"):
        function = getattr(found, name)
        ledger.attempt(f"{name} is a function", lambda f=function, n=name: _check_function(f, n, reach, ledger))
    ledger.attempt("the right way round", lambda: _check_direction(found, reach, ledger))
    text = repr(found)
    if found.spelling:
        ledger.attempt("spelling", lambda: ledger.note("spelling", float(OBJECTIVES.parse(text) != found), 0.0, text))
    results = ledger.results()
    missed = [name for name, met in conditions(found, reach).items() if not met and name not in ("all", "strict")]
    report = f"not met: {', '.join(missed)}" if missed else "all met"
    return [*results, LawResult("conditions of Lipschitz GANs", True, float(len(missed)), 5.0, report)]


def _slope(function: Callable[[Tensor], Tensor], f: Tensor) -> Tensor:
    with torch.enable_grad():
        f = f.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(f).sum(), f)
    return slope


def _check_function(function: Callable[[Tensor], Tensor], name: str, reach: float, ledger: Ledger) -> None:
    # Away from round numbers, where the kinks of losses like the hinge lie.
    f = torch.linspace(-reach, reach, 4001, dtype=torch.float64) + 1e-4 * (2**0.5)
    where = [f"f = {one:.4g}" for one in f.tolist()]
    value, slope = function(f), _slope(function, f)
    if value.shape != f.shape:
        raise TypeError(f"{name} takes shape {tuple(f.shape)} to {tuple(value.shape)}; it must act on each entry alone")
    ledger.note(f"{name} is finite", (~value.isfinite() | ~slope.isfinite()).double(), 0.0, where)
    alone = torch.stack([function(one) for one in f[::97]])
    ledger.note(f"{name} acts on each entry alone", (alone - value[::97]).abs(), 1e-12, where[::97])
    h = 1e-5
    quotient = (function(f + h) - function(f - h)) / (2 * h)
    size = 1 + value.abs() + slope.abs()
    ledger.note(f"{name} is differentiable", (quotient - slope).abs() / size, 1e-5, where)
    single = function(f.float()).double()
    ledger.note(f"{name} in float32", (single - function(f.float().double())).abs() / size, 1e-5, where)


def _check_direction(of: Objective, reach: float, ledger: Ledger) -> None:
    origin = torch.zeros(1, dtype=torch.float64)
    gain = float(_slope(of.phi, origin) - _slope(of.varphi, origin))
    ledger.note("the critic scores reals higher", float(not gain > 0), 0.0, f"phi'(0) - varphi'(0) = {gain:.4g}")
    f = torch.linspace(-reach, reach, 401, dtype=torch.float64)
    ledger.note("the generator raises f", _slope(of.psi, f).clamp_min(0), 0.0, [f"f = {one:.4g}" for one in f.tolist()])
