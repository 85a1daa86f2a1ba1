"""The laws of invertible linear maps: linear, with the inverse and the adjoint they claim."""

from collections.abc import Sequence

import torch

from banach.operators import OPERATORS, Operator
from banach.spaces import pair
from banach.specs import SpecError
from banach.testing.laws import LawResult, Ledger
from banach.testing.spaces import EXACT, Shape, candidates, vectors


def check_operator(of: Operator | str, shapes: Sequence[Shape] | None = None, seed: int = 0) -> list[LawResult]:
    """The laws of an operator A: linear; A^-1 A x = x; sum(u A x) = sum(A* u x); l2_norm(x) = |A x|_2; float32, repr.

    `shapes`: event shapes, without the batch axis; by default those that the operator accepts (it refuses others by a
    ValueError). In float64, on random, one-hot and constant vectors.

    >>> from banach import Bessel
    >>> all(law.ok for law in check_operator(Bessel(s=-1), shapes=[(2, 5)]))
    True
    """
    operator = OPERATORS.parse(of) if isinstance(of, str) else of
    if not isinstance(operator, Operator):
        raise SpecError(f"{of!r} is no operator; for example Bessel(s=-1)")
    ledger = Ledger()
    accepted = [one for one in candidates(operator) if _accepts(operator, one)] if shapes is None else list(shapes)
    if not accepted:
        ledger.refuse("accepts data", f"{operator!r} refuses every shape tried; say which shapes it is for")
    rng = torch.Generator().manual_seed(seed)
    for shape in accepted:
        ledger.attempt("accepts data", lambda shape=shape: _check_map(operator, shape, rng, ledger))
        ledger.attempt("has an inverse", lambda shape=shape: _check_inverse(operator, shape, rng, ledger))
        ledger.attempt("has an adjoint", lambda shape=shape: _check_adjoint(operator, shape, rng, ledger))
    ledger.attempt("spelling", lambda: ledger.note("spelling", float(OPERATORS.parse(repr(operator)) != operator), 0.0))
    return ledger.results()


def _accepts(operator: Operator, shape: Shape) -> bool:
    try:
        operator(torch.zeros(1, *shape, dtype=torch.float64))
    except ValueError:
        return False
    return True


def _check_map(operator: Operator, shape: Shape, rng: torch.Generator, ledger: Ledger) -> None:
    x, names = vectors(shape, rng)
    x = operator.domain(x)
    where = [f"{name}, {shape}" for name in names]
    image = operator(x)
    if image.shape != x.shape:
        raise TypeError(f"the map takes {tuple(x.shape)} to {tuple(image.shape)}")
    size = image.abs().amax().clamp_min(torch.finfo(x.dtype).tiny)
    y = x.roll(1, 0)
    combined = operator(2.5 * x - 0.7 * y) - (2.5 * image - 0.7 * image.roll(1, 0))
    ledger.note("linear", combined.flatten(1).abs().amax(1) / size, EXACT, where)
    lengths = image.flatten(1).norm(dim=1)
    ledger.note("l2_norm is |A x|_2", (operator.l2_norm(x) - lengths).abs() / size, EXACT, where)
    single = operator(x.float()).double()
    ledger.note("float32", (single - image).flatten(1).abs().amax(1) / size, 1e-5, where)


def _check_inverse(operator: Operator, shape: Shape, rng: torch.Generator, ledger: Ledger) -> None:
    x, names = vectors(shape, rng)
    x = operator.domain(x)
    where = [f"{name}, {shape}" for name in names]
    for law, back in (
        ("inverse of the map", operator.inverse(operator(x))),
        ("map of the inverse", operator(operator.inverse(x))),
        ("inverse of the inverse", operator.inverse.inverse(x) - operator(x) + x),
    ):
        ledger.note(law, (back - x).flatten(1).abs().amax(1) / max(float(x.abs().amax()), 1e-6), 1e-9, where)


def _check_adjoint(operator: Operator, shape: Shape, rng: torch.Generator, ledger: Ledger) -> None:
    x, names = vectors(shape, rng)
    u = torch.randn(x.shape, generator=rng, dtype=x.dtype)
    x, u = operator.domain(x), operator.domain(u)
    where = [f"{name}, {shape}" for name in names]
    for law, one in (("adjoint", operator), ("adjoint of the inverse", operator.inverse)):
        image = one(x)
        size = pair(u.abs(), image.abs()).clamp_min(1e-6)
        ledger.note(law, (pair(u, image) - pair(one.adjoint(u), x)).abs() / size, EXACT, where)
        ledger.note(f"{law} is an involution", (one.adjoint.adjoint(x) - image).abs().amax(), EXACT, f"{shape}")
