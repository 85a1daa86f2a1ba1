"""An audit of a training loop of one's own, by experiments on its networks and its losses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from banach.auditing import measured, reach, scores
from banach.auditing import penalised as penalties
from banach.auditing.findings import QUESTIONS, Audit, Finding
from banach.auditing.kept import kept, seed
from banach.auditing.loop import AuditError, Critic, Latent, Loop, Term, batch_of
from banach.auditing.norms import Match
from banach.auditing.probe import SEED, Bench, Unseen
from banach.spaces import Metric, Space
from banach.spaces import space as space_of


def audit(
    critic: Critic,
    generator: Callable[..., Tensor],
    real: Tensor,
    loss: Term,
    *,
    penalty: Term | None = None,
    generator_loss: Term | None = None,
    latent: Latent = None,
    logged: Any = None,
    space: str | Metric | None = None,
) -> Audit:
    """What is right and wrong in a training loop of one's own, found by experiment; networks are left as they were.

    `loss(critic, real, fake)` is what the critic minimises, with `penalty(critic, real, fake)` added where it is given
    apart; `generator_loss(critic, real, fake)` what the generator minimises; all return a scalar tensor and call the
    critic that they are given, or the module `critic` itself. `real` is a batch (b, *event), of which 32 are looked at.
    `latent` is what the generator takes: the size of one sample's, a batch, or a function of the number of samples;
    without it the generator is called with that number. `logged` is the number that your loop calls a distance, or the
    function logged(critic, real, fake) that makes it. `space` is the norm on the data that you mean; without it
    the norm of the penalty is found among l^1, l^2 and l^inf, and said.

    For most questions a function of known values and slope takes the critic's place in the loss, so that what the loss
    does with either is read off numbers: which slope is cheapest, in which norm, at which points, whether autograd sees
    it. What cannot be told so is said to be unknown, with the reason. The global random streams, weights, buffers,
    gradients and modes are afterwards what they were; a generator of random numbers of your own advances.

    Raises `AuditError` where a function raises or returns something else than said, and where the batch is none.

    >>> import torch, banach
    >>> D, G = torch.nn.Linear(3, 1), torch.nn.Linear(2, 3)
    >>> def loss(D, real, fake):
    ...     t = torch.randn(len(real), 1)
    ...     x = (t * real + (1 - t) * fake).requires_grad_()
    ...     g, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    ...     return D(fake).mean() - D(real).mean() + 10 * (g.norm(dim=1) - 1).square().mean()
    >>> banach.audit(D, G, torch.randn(16, 3), loss, latent=2).faults
    ('points',)
    """
    terms = {
        "loss": loss,
        "penalty": penalty,
        "generator_loss": generator_loss,
        "generator": generator,
        "critic": critic,
    }
    for name, one in terms.items():
        if not callable(one) and (one is not None or name in ("loss", "generator", "critic")):
            raise AuditError(
                f"{name} is {type(one).__name__}; give a function, as in {name}(critic, real, fake)"
                if name not in ("critic", "generator")
                else f"{name} is {type(one).__name__}; give the network or a function"
            )
    minimised = tuple((name, one) for name, one in (("loss", loss), ("penalty", penalty)) if one is not None)
    with kept(critic, generator, loss, penalty, generator_loss, latent, logged):
        seed(SEED)
        loop = Loop(critic, generator, batch_of(real), minimised, generator_loss, latent, logged, _normed(space))
        return _audited(loop)


def _normed(space: str | Metric | None) -> Space | None:
    found = None if space is None else space_of(space)
    if found is not None and not isinstance(found, Space):
        raise AuditError(f"{found!r} is a metric without a dual norm: no gradient is measured in it; choose a norm")
    return found


def _audited(loop: Loop) -> Audit:
    with torch.no_grad():
        fake = loop.fakes().detach().clone()
    bench = Bench(loop, loop.real, fake, loop.trailing())
    loop.loss(critic=loop.critic, real=loop.real.clone(), fake=fake.clone())  # what it raises is the user's to see
    of, why = _penalised(bench)
    squashed = _asked("slope", lambda: scores.squashed(bench))
    found = {
        "generator": _told("generator", lambda: reach.generator(loop)),
        "critic": _told("critic", lambda: reach.critic(bench)),
        "signs": _told("signs", lambda: reach.signs(bench)),
        **_of_penalty(bench, of, why, squashed is True),
        "batch": _told("batch", lambda: scores.batch(loop, of is not None)),
        "range": _told("range", lambda: scores.range_of(loop, scores.linear(bench))),
        "logged": _told("logged", lambda: scores.logged(bench)),
    }
    return Audit(tuple(found[name] for name in QUESTIONS))


def _penalised(bench: Bench) -> tuple[penalties.Penalised | None, str]:
    try:
        return penalties.penalised(bench), ""
    except (Unseen, AuditError) as error:
        return None, str(error)


def _asked(check: str, question: Callable[[], Any]) -> Any:
    """The answer to a question; a finding that it could not be told where the experiment cannot be made."""
    try:
        return question()
    except (Unseen, AuditError) as error:
        return Finding(check, "could not tell", f"Not answered: {error}.")


def _told(check: str, question: Callable[[], Finding]) -> Finding:
    return _asked(check, question)


def _of_penalty(bench: Bench, of: penalties.Penalised | None, why: str, squashed: bool) -> dict[str, Finding]:
    """The findings about the penalty."""
    if of is None:
        found = {
            one: Finding(one, "could not tell", "No penalty on the critic's slope was found.")
            for one in penalties.NEEDS_PENALTY
        }
        return {"slope": _told("slope", lambda: penalties.no_penalty(bench, why)), **found}
    match = _asked("norm", lambda: measured.measured_in(of))
    norm = match if isinstance(match, Finding) else measured.norm(of, match)
    found = {
        "slope": _told("slope", lambda: penalties.slope(of, squashed)),
        "weights": _told("weights", lambda: penalties.weights(of)),
        "points": _told("points", lambda: penalties.points(of)),
        "samples": _told("samples", lambda: penalties.samples(of)),
        "norm": norm,
    }
    if (
        not isinstance(match, Match)
        or norm.verdict != "ok"
        or "fault" in (found["samples"].verdict, found["slope"].verdict)
    ):
        said = "First the function, one slope a sample, and the norm; then what is asked of it."
        found["target"] = Finding("target", "could not tell", said)
    else:
        found["target"] = _told("target", lambda: measured.target(of, match))
    if found["weights"].verdict == "fault":
        found["flat"] = Finding("flat", "could not tell", "First the penalty's gradient must reach the weights.")
    else:
        found["flat"] = _told("flat", lambda: penalties.flat(of))
    return found
