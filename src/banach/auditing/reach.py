"""The questions about gradients: whether they reach generator and critic, and whether the two pull apart."""

import torch
from torch import Tensor, nn

from banach.auditing.findings import Finding
from banach.auditing.loop import Critic, Loop
from banach.auditing.probe import Bench, Unseen, derivative, slope_of, standing_in

_AT, _STEP = 0.5, 0.25
_GENERATOR_LINE = (
    "loss_G = -D(G(z)).mean()  # no .detach(), no torch.no_grad(), no .item() between G's weights and this"
)


class _Recorder:
    """The critic itself, with what it returned."""

    def __init__(self, critic: Critic):
        self.critic = critic
        self.scores: list[Tensor] = []

    def __call__(self, *given: object, **named: object) -> Tensor:
        found = self.critic(*given, **named)  # pyright: ignore[reportCallIssue, reportArgumentType]
        if isinstance(found, Tensor):
            self.scores.append(found)
        return found


def _leaves(x: Tensor) -> list[Tensor]:
    """The leaves of a tensor's graph."""
    seen, waiting, found = set(), [x.grad_fn], []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name().endswith("AccumulateGrad"):
            found.append(node.variable)  # pyright: ignore[reportAttributeAccessIssue]
        waiting += [one for one, _ in node.next_functions]
    return found


def _largest(loss: Tensor, of: list[Tensor]) -> float | None:
    """The largest entry of the gradient, 0 if all are zero; None where no graph leads there; nan if not finite."""
    if not loss.requires_grad or not of:
        return None
    found = torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)
    reached = [one.detach() for one in found if one is not None]
    if not reached:
        return None
    largest = max(float(one.abs().max()) if one.numel() else 0.0 for one in reached)
    return largest if all(bool(one.isfinite().all()) for one in reached) else float("nan")


def generator(loop: Loop) -> Finding:
    """Whether the generator's loss has a gradient in the generator's weights, and by way of the critic's scores."""
    fake = loop.fakes()
    weights = loop.parameters(loop.generator) or _leaves(fake)
    if not fake.requires_grad or not weights:
        return Finding(
            "generator",
            "fault",
            "The generator's samples carry no graph: no loss of them can train it.",
            "fake = G(z)  # in the generator's step without torch.no_grad() and .detach(); G.requires_grad_(True)",
        )
    if loop.generator_loss is None:
        recorded = _networks(loop, fake)
        through = _largest(recorded, weights) if recorded is not None else None
        if not through:
            return Finding(
                "generator",
                "fault",
                "No gradient of D(G(z)) reaches the generator: one of the networks cuts it off in its forward().",
                "remove .detach(), .data or no_grad() from forward()",
            )
        return Finding(
            "generator",
            "could not tell",
            "generator_loss was not given. The networks themselves let a gradient "
            f"of D(G(z)) through: {through:.3g} at most.",
            numbers={"gradient": through},
        )
    recorder = _Recorder(loop.critic.forward if isinstance(loop.critic, nn.Module) else loop.critic)
    with standing_in(loop.critic, recorder) as critic:
        loss = loop.generators_loss(critic, loop.real.clone(), fake)
    return _reached(recorder, loss, weights)


def _networks(loop: Loop, fake: Tensor) -> Tensor | None:
    found = loop.critic(fake)
    return found.sum() if isinstance(found, Tensor) else None


def _reached(recorder: _Recorder, loss: Tensor, weights: list[Tensor]) -> Finding:
    """The answer for a generator's loss that was evaluated."""
    if not recorder.scores:
        return Finding("generator", "could not tell", "generator_loss does not call the critic that it is given.")
    direct = _largest(loss, weights)
    if direct is None or direct == 0:
        return Finding(
            "generator",
            "fault",
            "No gradient of generator_loss reaches the generator's weights.",
            _GENERATOR_LINE,
            {"gradient": 0.0},
        )
    scores = [one for one in recorder.scores if one.requires_grad]
    by_scores = _largest(loss, scores)
    through = _largest(torch.stack([one.sum() for one in scores]).sum(), weights) if scores else None
    numbers = {"gradient": direct, "by_the_scores": by_scores or 0.0, "scores_by_weights": through or 0.0}
    if not by_scores or not through:
        return Finding(
            "generator",
            "fault",
            "The generator is trained by other terms alone: no gradient comes by way of the critic's scores.",
            _GENERATOR_LINE,
            numbers,
        )
    if direct != direct:
        return Finding(
            "generator",
            "fault",
            "The gradient in the generator's weights is not finite.",
            "torch.autograd.set_detect_anomaly(True)  # names the operation",
            numbers,
        )
    return Finding(
        "generator",
        "ok",
        f"Its largest entry is {direct:.3g} in the generator's weights, by way of the critic's scores.",
        numbers=numbers,
    )


def critic(bench: Bench) -> Finding:
    """Whether the critic's loss has a gradient in its weights, and by way of the scores of reals and of fakes."""
    loop = bench.loop
    for name, said in (("at_real", "reals"), ("at_fake", "fakes")):
        rise = slope_of(lambda v, name=name: bench.value(**{name: v}), _AT, _STEP)
        seen = derivative(bench, name, _AT)
        if abs(rise) > 1e-6 and abs(seen) < 1e-3 * abs(rise):
            return Finding(
                "critic",
                "fault",
                f"The loss changes with the scores of the {said} (by {rise:.3g} for each unit), "
                "but autograd does not see it: they are detached.",
                "loss = D(fake).mean() - D(real).mean()  # scores without .detach(), .item(), no_grad()",
                {"measured": rise, "autograd": seen},
            )
    weights = loop.parameters(loop.critic)
    if not weights:
        if isinstance(loop.critic, nn.Module):
            return Finding(
                "critic",
                "fault",
                "None of the critic's weights is trained: all have requires_grad=False.",
                "D.requires_grad_(True)  # before the critic's step",
            )
        return Finding(
            "critic", "could not tell", "The critic is a function: its weights are not seen. Give the module."
        )
    largest = _largest(bench.minimised(loop.loss, _own(loop)), weights)
    if largest is None or largest == 0:
        return Finding(
            "critic",
            "fault",
            "No gradient of the critic's loss reaches its weights.",
            "D(x) must keep its graph: no .detach(), .data, no_grad() in the loss or in forward()",
        )
    if largest != largest:
        return Finding(
            "critic",
            "fault",
            "The gradient in the critic's weights is not finite.",
            "torch.autograd.set_detect_anomaly(True)  # names the operation",
        )
    return Finding(
        "critic", "ok", f"Its largest entry is {largest:.3g} in the critic's weights.", numbers={"gradient": largest}
    )


def _own(loop: Loop) -> Critic:
    return loop.critic.forward if isinstance(loop.critic, nn.Module) else loop.critic


def signs(bench: Bench) -> Finding:
    """Whether the critic raises reals against fakes, or the reverse, and the generator works against it."""
    real = slope_of(lambda v: bench.value(at_real=v, at_fake=_AT), _AT, _STEP)
    fake = slope_of(lambda v: bench.value(at_fake=v, at_real=_AT), _AT, _STEP)
    numbers = {"critic_real": real, "critic_fake": fake}
    if abs(real) < 1e-6 or abs(fake) < 1e-6:
        return Finding(
            "signs",
            "could not tell",
            "The loss does not change with the scores of reals, or of fakes: is this "
            "the whole of what the critic minimises?",
            numbers=numbers,
        )
    if real * fake > 0:
        return Finding(
            "signs",
            "fault",
            "The critic's loss moves the scores of reals and fakes the same way: it tells nothing apart.",
            "loss = D(fake).mean() - D(real).mean() + weight * penalty",
            numbers,
        )
    if bench.loop.generator_loss is None:
        return Finding(
            "signs",
            "could not tell",
            "The critic pulls reals and fakes apart; generator_loss was not given.",
            numbers=numbers,
        )

    def generators(v: float) -> float:
        probe = bench.probe(at_fake=v, at_real=_AT)
        found = float(bench.minimised(bench.loop.generators_loss, probe).detach())
        if not probe.calls:
            raise Unseen("generator_loss does not call the critic that it is given")
        return found

    made = slope_of(generators, _AT, _STEP)
    numbers["generator_fake"] = made
    if abs(made) < 1e-6:
        return Finding(
            "signs", "could not tell", "generator_loss does not change with the scores of fakes.", numbers=numbers
        )
    if made * fake > 0:
        return Finding(
            "signs",
            "fault",
            "Critic and generator move the scores of fakes the same way: they help each other "
            "instead of playing against each other.",
            "loss_G = -D(G(z)).mean()  # where the critic has + D(fake).mean()",
            numbers,
        )
    return Finding(
        "signs",
        "ok",
        "The critic pulls reals and fakes apart, the generator moves fakes towards reals.",
        numbers=numbers,
    )
