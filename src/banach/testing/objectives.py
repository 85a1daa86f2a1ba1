"""The laws of objectives: finite, differentiable, alike in float32 and bfloat16, means over a batch."""

from collections.abc import Callable

import torch
from torch import Tensor

from banach.objectives import OBJECTIVES, Objective, conditions, objective
from banach.testing.laws import LawResult, Ledger

_BFLOAT16_REACH = 4.0
"""Where bfloat16 is asked for: with 8 bits, e^f loses 2% of itself to the rounding of f = 4 alone."""


def check_objective(of: Objective | str, reach: float = 20.0) -> list[LawResult]:
    """The laws of an objective: phi, varphi and psi are elementwise, finite and differentiable on [-reach, reach].

    float32 agrees with float64 within 1e-5 of 1 + |value| + |slope|, bfloat16 on [-4, 4] within 5e-2. The two losses of
    a batch are means over its samples (over its pairs, if the objective is paired), so their order does not matter.
    The critic gains by scoring reals above fakes, and the generator by raising f at 0 and wherever the critic would
    score reals higher still. Which conditions of Lipschitz GANs, eq. 11, are met is reported in the last line and
    breaks nothing: hinge and least squares are known to miss some.

    >>> check_objective("hinge")[-1].detail
    'not met: phi_increasing, varphi_decreasing'
    """
    found = objective(of)
    ledger = Ledger()
    for name in ("phi", "varphi", "psi"):
        function = getattr(found, name)
        ledger.attempt(f"{name} is a function", lambda f=function, n=name: _check_function(f, n, reach, ledger))
    ledger.attempt("losses are means", lambda: _check_losses(found, ledger))
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
    near = f[f.abs() < min(reach, _BFLOAT16_REACH)].bfloat16()
    value, slope = function(near.double()), _slope(function, near.double())
    errors = (function(near).double() - value).abs() / (1 + value.abs() + slope.abs())
    ledger.note(f"{name} in bfloat16", errors, 5e-2, [f"f = {one:.4g}" for one in near.tolist()])


def _check_losses(of: Objective, ledger: Ledger) -> None:
    rng = torch.Generator().manual_seed(0)
    f_real, f_fake = torch.randn(2, 9, dtype=torch.float64, generator=rng).unbind()
    critic, generator = of.critic_loss(f_real, f_fake), of.generator_loss(f_fake, f_real)
    if critic.shape != () or generator.shape != ():
        raise TypeError(f"losses of shapes {tuple(critic.shape)} and {tuple(generator.shape)}; return one number each")
    alone = [(r[None], f[None]) for r, f in zip(f_real, f_fake, strict=True)]
    critics = torch.stack([of.critic_loss(r, f) for r, f in alone]).mean()
    generators = torch.stack([of.generator_loss(f, r) for r, f in alone]).mean()
    ledger.note("critic's loss is a mean", (critics - critic).abs(), 1e-12)
    ledger.note("generator's loss is a mean", (generators - generator).abs(), 1e-12)
    order = torch.randperm(9, generator=rng)
    other = order if of.paired else torch.randperm(9, generator=rng)
    shuffled = of.critic_loss(f_real[order], f_fake[other]), of.generator_loss(f_fake[other], f_real[order])
    ledger.note("critic's loss of permuted samples", (shuffled[0] - critic).abs(), 1e-12)
    ledger.note("generator's loss of permuted samples", (shuffled[1] - generator).abs(), 1e-12)
    if of.paired:
        shift = of.critic_loss(f_real + 3, f_fake + 3), of.generator_loss(f_fake + 3, f_real + 3)
        ledger.note("pairs: a constant added to f changes nothing", (shift[0] - critic).abs(), 1e-10)
        ledger.note("pairs: a constant added to f changes nothing", (shift[1] - generator).abs(), 1e-10)


def _check_direction(of: Objective, reach: float, ledger: Ledger) -> None:
    start = torch.zeros(2, 1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(of.critic_loss(start[0], start[1]), start)
    gain = float(slope[1] - slope[0])
    ledger.note("the critic scores reals higher", float(not gain > 0), 0.0, f"phi'(0) - varphi'(0) = {gain:.4g}")
    f = torch.linspace(-reach, reach, 401, dtype=torch.float64)
    rising, where = _slope(of.psi, f), [f"f = {one:.4g}" for one in f.tolist()]
    # Past the best score of reals (least squares: b), the generator may turn back as the critic does.
    short = _slope(of.varphi, f) <= 0
    ledger.note("the generator raises f", torch.where(short, rising, 0.0).clamp_min(0), 0.0, where)
    first = float(_slope(of.psi, torch.zeros(1, dtype=torch.float64)))
    ledger.note("the generator raises f", float(not first < 0), 0.0, f"psi'(0) = {first:.4g}")
