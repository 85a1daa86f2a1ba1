"""The check before a bound is claimed for a module: that it computes what its class is known to compute.

A rule knows the `forward` of a kind of layer. Hooks, attributes of one instance, derived classes and weights of unknown
origin can each make a layer of that kind compute something else; what is not understood is not bounded.
"""

import inspect
import math
from collections import OrderedDict
from collections.abc import Collection
from types import FunctionType

import torch
from torch import Tensor, nn
from torch.nn.modules import module as of_torch
from torch.nn.utils import parametrizations, parametrize
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from banach.models.bounds.reach import UnprovenError
from banach.models.lipschitz.critic import LipschitzCritic
from banach.models.lipschitz.orthonormal import Cayley, Householder

weight_maps: set[type[nn.Module]] = {
    nn.ModuleDict, parametrize.ParametrizationList, nn.Identity, Cayley, Householder,
    parametrizations._Orthogonal, parametrizations._SpectralNorm, parametrizations._WeightNorm,
}  # fmt: skip
"""Parametrizations that are understood: weights are functions of parameters alone, the same ones each time.

Add one of your own: `weight_maps.add(Mine)`. (A spectral norm in training only grows, so that weights shrink.)
"""

_HARMLESS = {
    "__init__", "__new__", "__init_subclass__", "__subclasshook__", "__class_getitem__", "__dict__", "__weakref__",
    "__repr__", "__str__", "__format__", "extra_repr", "_get_name", "__doc__", "__dir__", "__sizeof__", "__hash__",
    "__eq__", "__getstate__", "__setstate__", "__deepcopy__", "__copy__", "__reduce__", "__reduce_ex__", "__setattr__",
    "__delattr__", "reset_parameters", "start_at_", "place_",
}  # fmt: skip
"""Attributes that derived classes may override, since no `forward` uses them."""

_SMALLEST, _LARGEST = 1e-100, 1e100
"""Weights between these have products and squares within the range of float64."""

_UNIT = 1e-5

_CALLED = (
    "linear", "conv1d", "conv2d", "conv3d", "relu", "relu6", "leaky_relu", "elu", "hardtanh", "tanh", "sigmoid",
    "logsigmoid", "softsign", "avg_pool1d", "avg_pool2d", "avg_pool3d", "pad",
)  # fmt: skip
_HOMES = (nn.modules.linear, nn.modules.conv, nn.modules.activation)
_functions_of_torch = {name: getattr(nn.functional, name) for name in _CALLED}
"""Functions that layers call; if a library has replaced one, nothing is claimed."""

_as_defined: dict[type, dict[str, object]] = {}


_codes: dict[type, dict[str, object]] = {}


def _code_of(function: object) -> object:
    return function.__code__ if isinstance(function, FunctionType) else None


def remember(*kinds: type) -> None:
    """Record the methods of these classes; a class that is changed later is refused."""
    for kind in kinds:
        _as_defined[kind] = _functions(kind)
        _codes[kind] = {name: _code_of(value) for name, value in _as_defined[kind].items()}


def check(module: nn.Module, kinds: Collection[type]) -> None:
    """Raise UnprovenError unless a module computes what its class, one of `kinds`, is known to compute.

    A critic with a `bound` of its own is of the class that defines it; what is of no known kind, of its own class.
    """
    name = type(module).__name__
    _check_around()
    if any(type(one) not in (dict, OrderedDict) for one in (module._parameters, module._buffers, module._modules)):
        raise UnprovenError(f"{name} keeps its parts in a custom container")
    if of_torch._global_forward_hooks or of_torch._global_forward_pre_hooks:
        raise UnprovenError("there are global module hooks, whose effect is unknown")
    if module._forward_hooks or module._forward_pre_hooks:
        raise UnprovenError(f"{name} has hooks, whose effect is unknown")
    if module._compiled_call_impl is not None:
        raise UnprovenError(f"{name} is compiled, and the compiled code is not checked")
    kind = next((one for one in type(module).__mro__ if _says(one, kinds)), _own_class(module))
    if changed := _changed(module, kind):
        raise UnprovenError(f"no bound is known for {name}: its {changed} is not that of {kind.__name__}")
    for tensor in (*module._parameters.values(), *module._buffers.values(), *vars(module).values()):
        if isinstance(tensor, Tensor):
            check_tensor(tensor, name)
    if parametrize.is_parametrized(module):
        _check_maps(module._modules["parametrizations"])


def _check_around() -> None:
    """UnprovenError where something stands between layers and what they call."""
    modes = [one for one in _get_current_function_mode_stack() if not isinstance(one, DeviceContext)]
    if modes or _get_current_dispatch_mode_stack():
        raise UnprovenError("a torch function mode is active, whose effect is unknown")
    if parametrize._cache_enabled:
        raise UnprovenError("parametrize.cached() is active: weights may be out of date")
    replaced = [name for name, one in _functions_of_torch.items() if vars(nn.functional).get(name) is not one]
    if replaced or any(vars(one).get("F") is not nn.functional for one in _HOMES):
        raise UnprovenError("functions that layers call were replaced")


def _own_class(module: nn.Module) -> type:
    """A module's class, without the one that torch makes of it where weights are computed."""
    return type(module).__mro__[1] if parametrize.is_parametrized(module) else type(module)


def _says(kind: type, kinds: Collection[type]) -> bool:
    """Whether a class is one of which something is claimed."""
    claims = LipschitzCritic in kind.__mro__ and "bound" in vars(kind)
    return claims or (kind is not object and kind in kinds)


def _changed(module: nn.Module, kind: type) -> str:
    """The name of something that a module does otherwise than its kind, or that only it does; "" if there is none."""
    own, wanted = _attributes(type(module)), _as_defined.get(kind) or _functions(kind)
    changed = [name for name, value in wanted.items() if own.get(name) is not value]
    changed += [name for name, code in _codes.get(kind, {}).items() if _code_of(own.get(name)) is not code]
    changed += [name for name in vars(module) if name in wanted]
    if type(module) is not kind:
        changed += [name for name in own.keys() - wanted.keys() - _HARMLESS if _computes(own[name])]
    return min(changed, default="")


def _computes(attribute: object) -> bool:
    """Whether an attribute of a class computes a value when it is read, and is not torch's for a parametrized one."""
    if isinstance(attribute, property):
        return attribute.fget is None or attribute.fget.__module__ != parametrize.__name__
    reads = inspect.isdatadescriptor(attribute) or inspect.ismethoddescriptor(attribute)
    return reads and not isinstance(attribute, classmethod | staticmethod)


def _attributes(kind: type) -> dict[str, object]:
    return {name: value for one in reversed(kind.__mro__) for name, value in vars(one).items()}


def _functions(kind: type) -> dict[str, object]:
    """The functions and properties of a class and of what it is made of."""
    return {
        name: value
        for name, value in _attributes(kind).items()
        if name not in _HARMLESS and (inspect.isroutine(value) or inspect.isdatadescriptor(value))
    }


def check_tensor(tensor: Tensor, of: str) -> None:
    """Raise UnprovenError unless a tensor is plain and holds finite real numbers, in single precision at least."""
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.is_meta or tensor.layout is not torch.strided:
        raise UnprovenError(f"{of} has a tensor of an unknown kind")
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return
    if tensor.dtype not in (torch.float32, torch.float64):
        raise UnprovenError(f"{of} has numbers of {tensor.dtype}; choose float32 or float64")
    if not bool(tensor.isfinite().all()):
        raise UnprovenError(f"{of} has numbers that are not finite")


def weight_of(layer: nn.Module) -> Tensor:
    """The weight that a layer computes with, a parameter or computed from some, in float64."""
    if "weight" in vars(layer):
        raise UnprovenError(f"the weight of {type(layer).__name__} is no parameter")
    weight = layer.weight
    assert isinstance(weight, Tensor), "a layer has a weight"
    check_tensor(weight, type(layer).__name__)
    weight = weight.detach().to("cpu", torch.float64)
    largest = float(weight.abs().max()) if weight.numel() else 0.0
    if largest and not _SMALLEST <= largest <= _LARGEST:
        raise UnprovenError(f"weights of size {largest:.1e}, whose products leave the range of float64")
    return weight


def number_of(layer: nn.Module, name: str) -> float:
    """A plain number that a layer computes with; UnprovenError for any other type."""
    value = vars(layer).get(name)
    if value is None or type(value) not in (float, int):
        raise UnprovenError(f"{name} of {type(layer).__name__} is no plain number")
    return float(value)


def check_size(lipschitz: float, layer: nn.Module | None = None) -> None:
    """Raise UnprovenError for a constant that is not a number, or so small that it may have been rounded to 0.

    It is 0 only after a layer whose weights are.
    """
    if lipschitz == 0 and layer is not None and _is_constant(layer):
        return
    if not lipschitz >= _SMALLEST:
        raise UnprovenError(f"a Lipschitz constant of {lipschitz}")


def _is_constant(layer: nn.Module) -> bool:
    weights = (getattr(one, "weight", None) for one in layer.modules())  # layers are torch's, and few of them have any
    return any(isinstance(one, Tensor) and one.ndim > 1 and not bool(one.any()) for one in weights)


def _check_maps(of: nn.Module | None) -> None:
    """UnprovenError unless all of a layer's parametrizations are understood, and as they were defined."""
    assert of is not None, "a layer with parametrizations has a list of them"
    for one in of.modules():
        if type(one) not in weight_maps:
            raise UnprovenError(f"weights computed by {type(one).__name__}, which is not known (see `weight_maps`)")
        check(one, weight_maps)
        if isinstance(one, parametrize.ParametrizationList):
            for place, each in enumerate(one):
                if isinstance(each, parametrizations._SpectralNorm) and "_u" in each._buffers:
                    _check_iteration(each, one, place)


def _check_iteration(norm: parametrizations._SpectralNorm, of: parametrize.ParametrizationList, place: int) -> None:
    """UnprovenError unless the estimate |u^T W v| of the norm of W can but grow in training.

    It does for vectors of length 1, if torch's guard against a division by 0 stays out of it.
    """
    weight = of._parameters.get("original")
    if place or weight is None:
        raise UnprovenError("a spectral norm of weights that are themselves computed")
    u, v = norm._u, norm._v
    sigma = abs(float(u @ norm._reshape_weight_to_matrix(weight) @ v))
    long = any(not math.isclose(float(one.norm()), 1.0, abs_tol=_UNIT) for one in (u, v))
    if long or sigma < 1e3 * norm.eps:
        raise UnprovenError("a spectral norm whose vectors are not of length 1, or whose weights are near 0")
