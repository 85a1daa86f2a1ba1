"""What a session knows when it begins, as the facts of its run's folder."""

import torch

from banach import distributed
from banach.config.config import Config
from banach.runs.facts import Facts
from banach.spaces import emphasises
from banach.training.build import Built, parameters


def facts_of(config: Config, built: Built) -> Facts:
    """The facts of a run that is built from `config`; measured values are those in `built.state.facts`."""
    data, game, state = built.data, built.game, built.state
    measured = state.facts
    return Facts(
        data=data.name,
        data_notes=tuple(data.notes),
        fingerprint=data.fingerprint,
        train=len(data.train),
        held_out=len(data.held_out),
        shape=tuple(data.shape),
        space=repr(game.space),
        emphasises=emphasises(game.space),
        lam=game.weight if game.penalty else None,
        lam_error=_number(measured.get("lam_error")) if config.penalty_weight == "auto" and game.penalty else None,
        gamma=game.gamma,
        gamma_error=_number(measured.get("gamma_error")) if config.critic_scale == "auto" else None,
        model=config.model,
        generator_parameters=parameters(state.generator.network),
        critic_parameters=parameters(state.critic.network),
        device=str(state.device),
        precision=config.precision,
        threads=torch.get_num_threads(),
        processes=distributed.world(),
        forms=str(measured.get("forms", "")),
        step=state.step,
        steps=config.steps,
        not_finite="",
    )


def _number(value: float | str | None) -> float | None:
    return value if isinstance(value, int | float) else None
