"""A step's arithmetic as compiled programs (`--compile`): the same numbers, in one graph for each player.

PyTorch's compiler refuses to differentiate a compiled graph twice. So nothing compiled is differentiated here: the loss
*and its derivatives*, the penalty's double backward included, are first traced into the plain operations they consist
of (`make_fx`), and that list of operations is compiled. What chooses its operations by the numbers it meets (solvers of
computed norms, dropout by seeds) has no such list; it is found out by the trace, and stays as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_map_only

from banach import distributed
from banach.constraints import Free
from banach.game import Draws, Game, draw, generator_loss, terms_of
from banach.slopes.slopes import Memory
from banach.streams import PENALTY
from banach.training.player import forward_of
from banach.training.state import State
from banach.training.steps import EAGER, Steps

Weights = dict[str, Tensor]

OPTIONS: dict[str, Any] = {"cpp_wrapper": True}
"""Kernels are called from C++: of a small network's step, more than a third is Python's calls of them (measured)."""


class Program:
    """A pure function of tensors, compiled for each form of its arguments, which the caller names by a key."""

    def __init__(self, function: Callable[..., Any]):
        self._function = function
        self._compiled: dict[object, Callable[..., Any]] = {}

    def __call__(self, key: object, *arguments: Any) -> Any:
        if key not in self._compiled:
            self._compiled[key] = compiled(self._function, arguments)
        with torch.no_grad():
            return self._compiled[key](*arguments)


def compiled(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """`function`, which may differentiate within, as a compiled program for arguments of these shapes and types."""
    # Once on copies, so that constants which norms keep (symbols of filters) are made of numbers, outside of the trace.
    function(*tree_map_only(Tensor, torch.clone, arguments))
    graph = make_fx(lambda *given: function(*given), tracing_mode="fake", _allow_non_fake_inputs=True)(*arguments)
    return torch.compile(graph, fullgraph=True, dynamic=False, options=OPTIONS)


def compiled_steps(state: State, game: Game, shape: tuple[int, ...]) -> tuple[Steps, str]:
    """Compiled steps for data of this shape, or the plain ones and the reason, in words, why nothing is compiled.

    Both programs are traced, compiled and run once on zeros, so that what the compiler cannot do shows here; the state
    stays as it is. Numbers agree with the plain steps' to rounding, and a compiled run resumes bit for bit.
    """
    if reason := unsuitable(state):
        return EAGER, reason
    steps = Compiled(state, game)
    real = state.latents.new_zeros(state.recipe.batch, *shape)
    z = state.latents.new_zeros(state.recipe.g_batch, state.latents.shape[1])
    try:
        steps.try_out(real, z)
    except Exception as error:  # of the tracer, of the compiler, or of a C++ compiler that is missing
        return EAGER, _in_words(error)
    return steps.as_steps(), ""


def unsuitable(state: State) -> str:
    """Why a run is left as it is; "" where it can be compiled."""
    if distributed.world() > 1:
        return "several processes train together"
    if state.scaler.is_enabled():
        return "the scale of fp16 changes as the run goes on"
    if not isinstance(state.recipe.constraint, Free):
        return "the constraint changes the critic between its steps"
    for network in (state.generator.network, state.critic.network):
        name = type(network).__name__
        if not type(network).__module__.startswith("banach."):
            return f"{name} is not one of this package's networks"
        if any(parametrize.is_parametrized(one) for one in network.modules()):
            return f"the weights of {name} are made of others in each pass"
        if any(one.ndim > 2 for one in network.parameters()):
            return f"{name} is a convolution network, whose compiled form is not proved equal yet"
    return ""


def _in_words(error: Exception) -> str:
    names = {type(one).__name__ for one in (error, error.__cause__, error.__context__)}
    said = f"{error} {error.__cause__}"
    if "InvalidCxxCompiler" in names or "InvalidCxxCompiler" in said:
        return "there is no C++ compiler; install g++"
    if "data-dependent" in said or any("DataDependent" in name for name in names):
        return "parts of this game choose their operations by the numbers they meet"
    return f"the compiler refused it ({(str(error).splitlines() or [type(error).__name__])[0][:100]})"


class Compiled:
    """The programs of one state and game. Weights are arguments, which optimizers and checkpoints change in place."""

    def __init__(self, state: State, game: Game):
        self._state, self._game = state, game
        self._generator = Program(self._generator_of)
        # Found once: looking for them by name takes a tenth of a small network's step.
        self._weights = {one: weights_of(one) for one in (state.generator.network, state.critic.network)}
        self._critics: dict[tuple[bool, bool], Program] = {}

    def try_out(self, real: Tensor, z: Tensor) -> None:
        """Run each program once; gradients, and what the networks count as they train, are as before afterwards."""
        state = self._state
        kept = [(one, one.clone()) for network in state.networks().values() for one in network.buffers()]
        position = state.streams[PENALTY].get_state()
        self.critic(state, self._game, real, real.clone())
        self.generator(state, self._game, z, real)
        state.streams[PENALTY].set_state(position)
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
        for network in (state.generator.network, state.critic.network):
            network.zero_grad()

    def as_steps(self) -> Steps:
        """The programs in the place of the plain steps; each is made when it is first called."""
        return replace(EAGER, critic=self.critic, generator=self.generator)

    def critic(self, state: State, game: Game, real: Tensor, fake: Tensor) -> tuple[dict[str, Tensor], Memory]:
        step, memory = state.critic_steps, state.memory
        draws = draw(game, real, state.streams[PENALTY], step)
        rests = game.schedule.skips(step), game.schedule.skips(step + 1)
        if rests not in self._critics:
            self._critics[rests] = Program(_critic_of(state, game, step))
        key = real.shape, tuple((name, one.shape) for name, one in memory.items())
        weights = self._weights[state.critic.network]
        numbers, after, gradients = self._critics[rests](key, weights, real, fake, draws, memory)
        self._give(state.critic.network, gradients)
        return numbers, after

    def generator(self, state: State, game: Game, z: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        weights = self._weights[state.generator.network], self._weights[state.critic.network]
        loss, fake, gradients = self._generator((z.shape, real.shape), *weights, z, real)
        self._give(state.generator.network, gradients)
        return loss, fake

    def _give(self, network: nn.Module, gradients: Mapping[str, Tensor | None]) -> None:
        for name, gradient in gradients.items():
            self._weights[network][name].grad = gradient

    def _generator_of(
        self, own: Weights, others: Weights, z: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor | None]]:
        state = self._state
        with torch.enable_grad():
            own, trained = leaves(state.generator.network, own)
            fake = with_weights(state, state.generator.network, own)(z)
            loss = generator_loss(self._game, with_weights(state, state.critic.network, others), fake, real)
            return loss.detach(), fake.detach(), gradients_of(loss, trained)


def _critic_of(state: State, game: Game, step: int) -> Callable[..., Any]:
    """The critic's step as a pure function; `step` says what a lazy penalty does in it."""

    def function(
        weights: Weights, real: Tensor, fake: Tensor, draws: Draws, memory: Memory
    ) -> tuple[dict[str, Tensor], Memory, dict[str, Tensor | None]]:
        with torch.enable_grad():
            weights, trained = leaves(state.critic.network, weights)
            terms = terms_of(game, with_weights(state, state.critic.network, weights), real, fake, draws, memory, step)
            gradients = gradients_of(terms.loss, trained)
        return terms.numbers(), {name: one.detach() for name, one in terms.memory.items()}, gradients

    return function


def weights_of(network: nn.Module) -> Weights:
    """Parameters and buffers by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def with_weights(state: State, network: nn.Module, weights: Weights) -> Callable[[Tensor], Tensor]:
    """The network's forward pass with these weights, in the state's precision."""
    return forward_of(lambda x: functional_call(network, weights, (x,)), state.recipe.precision)


def leaves(network: nn.Module, weights: Weights) -> tuple[Weights, Weights]:
    """The weights with those that are trained as leaves of a new graph, and these alone."""
    names = [name for name, one in network.named_parameters() if one.requires_grad]
    trained = {name: weights[name].detach().requires_grad_() for name in names}
    return {**weights, **trained}, trained


def gradients_of(loss: Tensor, trained: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """The derivatives of the loss by name; None where it does not depend on a weight."""
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return dict(zip(trained, found, strict=True))
