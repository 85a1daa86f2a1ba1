"""Pictures of a run: reals once, then fakes from fixed latents and the critic's derivative, again and again."""

import torch
from torch import Tensor

from banach.data import pictures
from banach.data.dataset import Data
from banach.game import Game
from banach.session.session import Session
from banach.training.state import PICTURED, State

POINTS = 2000
"""Points in a scatter."""

DERIVATIVES = 8
"""Reals, and as many fakes, at which the critic's derivative is drawn."""


def draw_reals(session: Session) -> None:
    """samples/reals.png, once."""
    path = session.folder.reals
    if not path.exists():
        real = _reals(session.data)
        pictures.draw(real, path, reference=None if session.data.kind == "points" else real)


def draw_fakes(session: Session, state: State) -> None:
    """samples/fakes-STEP.png by the averaged generator, and samples/derivative-STEP.png where the data are fields."""
    fakes = _fakes(session, state)
    pictures.draw(fakes, session.folder.picture("fakes", state.step), reference=_reals(session.data))
    if 2 <= len(session.data.shape) <= 4:
        n = DERIVATIVES
        real = session.data.train[:n].to(state.device)
        x = torch.cat([session.data.model_units(one) for one in (real, fakes[:n].to(state.device))])
        _draw_derivative(derivative(state, session.game, x), session, state.step)


def derivative(state: State, game: Game, x: Tensor) -> Tensor:
    """The critic's Fréchet derivative, the covector grad f(x), at each x in model units; same shape."""
    x = x.detach().clone().requires_grad_()
    training = state.critic.network.training
    state.critic.network.eval()
    try:
        with torch.enable_grad():
            (u,) = torch.autograd.grad(state.critic.forward(x).sum(), x)
    finally:
        state.critic.network.train(training)
    return u.detach() / game.scales_for(x.detach())[1]


@torch.no_grad()
def _fakes(session: Session, state: State) -> Tensor:
    if session.data.kind == "points":
        return session.generator(state).draw(POINTS, seed=0)
    return session.data.units.to_data(state.average(state.latents)).cpu()


def _reals(data: Data) -> Tensor:
    return data.train[: POINTS if data.kind == "points" else PICTURED].cpu()


def _draw_derivative(u: Tensor, session: Session, step: int) -> None:
    path = session.folder.picture("derivative", step)
    if u.ndim == 3:
        pictures.lines(u, path)
    else:
        pictures.derivative(u[:, :, u.shape[2] // 2] if u.ndim == 5 else u, path, columns=DERIVATIVES)
