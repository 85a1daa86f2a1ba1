"""What an audit must leave as it was: networks with their modes, gradients and buffers, and the random streams."""

import functools
import inspect
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

_MANY = 200
"""Entries of a list, or attributes of an object, among which networks are looked for."""


def modules_in(thing: Any) -> list[nn.Module]:
    """The modules that a callable can be seen to use: itself, its object, its closure, and globals that it names."""
    found, seen, waiting = [], set(), [(thing, 0)]
    while waiting:
        one, depth = waiting.pop()
        if id(one) in seen or depth > 3:
            continue
        seen.add(id(one))
        if isinstance(one, nn.Module):
            found.append(one)
        else:
            waiting += [(inner, depth + 1) for inner in _held(one)]
    return found


def _held(one: Any) -> list[Any]:
    """What a callable, or an object, holds."""
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if inspect.ismethod(one):
        return [one.__self__, one.__func__]
    if inspect.isfunction(one):
        used = [one.__globals__.get(name) for name in one.__code__.co_names]
        defaults = [*(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
        return [*_contents(one), *defaults, *(value for value in used if not inspect.ismodule(value))]
    if isinstance(one, list | tuple):
        return list(one[:_MANY])
    values = one if isinstance(one, dict) else {} if inspect.isclass(one) else _attributes(one)
    return list(itertools.islice(values.values(), _MANY))


def _contents(function: Any) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # a name that has no value yet
            continue
    return cells


def _attributes(one: Any) -> Mapping[str, Any]:
    try:
        return vars(one)
    except TypeError:  # numbers, strings, tensors
        return {}


def seed(number: int) -> None:
    """Seeds the global random streams: each evaluation has the same draws. Inside `kept` only."""
    torch.default_generator.manual_seed(number)  # torch.manual_seed walks the stack for a device that is not there
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
    np.random.seed(number)
    random.seed(number)


@contextmanager
def kept(*things: Any) -> Iterator[None]:
    """Everything that the things use is afterwards as it was: weights, buffers, gradients, modes, random streams.

    Streams that the user made (`torch.Generator`, `numpy.random.Generator`) are not seen, and advance.
    """
    roots = {id(one): one for thing in things for one in modules_in(thing)}
    modules = {id(one): one for root in roots.values() for one in root.modules()}
    restores = [_restore(one) for one in modules.values()]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        for restore in restores:
            restore()


def _restore(module: nn.Module) -> Callable[[], None]:
    """A function that puts a module's own state back; gradients are taken off until then."""
    training, forward = module.training, vars(module).get("forward")
    parameters = {
        name: (one, one.detach().clone(), one.grad, one.requires_grad)
        for name, one in module._parameters.items()
        if one is not None
    }
    buffers = {name: (one, one.detach().clone()) for name, one in module._buffers.items() if one is not None}
    for one, *_ in parameters.values():
        one.grad = None

    def restore() -> None:
        module.training = training
        if forward is None:
            vars(module).pop("forward", None)
        with torch.no_grad():
            for name, (one, value, gradient, required) in parameters.items():
                _put_back(one, value)
                one.requires_grad_(required)
                one.grad = gradient
                module._parameters[name] = one
            for name, (one, value) in buffers.items():
                _put_back(one, value)
                module._buffers[name] = one

    return restore


def _put_back(one: torch.Tensor, value: torch.Tensor) -> None:
    """Writes only what differs: a write makes graphs that use the tensor invalid."""
    if not torch.equal(one, value):
        one.copy_(value)
