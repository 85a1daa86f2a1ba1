"""Exact conversion of users' numbers (arrays, tensors, lists, tables) to tensors.

float32 and float64 stay as they are; shorter types become the shorter of the two that holds them. What neither holds
exactly, or what is not plainly a table of numbers, is refused: a distance of rounded or misread data proves nothing.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.transport.estimate import TransportError

_KINDS = {
    "c": "complex numbers; give real numbers, such as real and imaginary parts side by side",
    "M": "dates; subtract one date from both sides and divide by a unit, as in (A - start) / np.timedelta64(1, 's')",
    "m": "time differences; divide them by a unit, as in A / np.timedelta64(1, 's')",
    "U": "text; give integers or floating-point numbers",
    "S": "text; give integers or floating-point numbers",
    "T": "text; give integers or floating-point numbers",
    "O": "Python objects, not numbers; convert them knowingly, A.astype(float), or toarray() of a sparse matrix",
    "V": "records; stack their fields, numpy.lib.recfunctions.structured_to_unstructured(A)",
}
"""Kinds of arrays that are refused, each with the remedy."""

_EXACT = 2**53


def numbers(values: Any, name: str) -> Tensor:
    """`values` as float32 or float64 on the CPU, each number exactly; `TransportError`, with `name`, if it cannot be.

    >>> numbers([[1, 2], [3, 4]], "A").dtype, numbers(torch.ones(2, dtype=torch.bfloat16), "A").dtype
    (torch.float64, torch.float32)
    """
    if isinstance(values, Tensor):
        return _of_tensor(values, name)
    if type(values).__module__.partition(".")[0] == "pandas" and len(values.shape) == 2:
        # Column by column: together they are brought to one type, which may round.
        columns = [numbers(values.iloc[:, k], name) for k in range(values.shape[1])]
        return torch.stack([one.double() for one in columns], 1) if columns else torch.zeros(values.shape)
    return _of_array(_array(values, name), name)


def _of_tensor(values: Tensor, name: str) -> Tensor:
    if values.requires_grad and torch.is_grad_enabled():
        raise TransportError(
            f"{name} requires gradients, and a distance with a certificate carries none; give {name}.detach(), "
            "or call under torch.no_grad()"
        )
    refused = {
        "nested; stack or pad its parts": values.is_nested,
        "sparse; give its to_dense()": values.layout != torch.strided,
        "quantised; give its dequantize()": values.is_quantized,
        "on the meta device, without data; give the data": values.is_meta,
        _KINDS["c"]: values.is_complex(),
    }
    for what, so in refused.items():
        if so:
            raise TransportError(f"{name} is {what}")
    found = values.detach().cpu().resolve_neg()
    if found.dtype in (torch.float32, torch.float64):
        return found
    try:
        return found.float() if found.is_floating_point() else _of_array(found.numpy(), name)
    except (TypeError, RuntimeError):
        raise TransportError(f"{name} holds {found.dtype} entries; convert it to float32 or float64") from None


def _array(values: Any, name: str) -> np.ndarray:
    """Any array or sequence as an array; what is masked in it is refused."""
    listed = isinstance(values, list | tuple)
    _refuse_pictures(values, name)
    if listed and len(values) and all(isinstance(one, Tensor) for one in values):
        values, listed = [_of_tensor(one, name).numpy() for one in values], False
    masked = isinstance(values, np.ma.MaskedArray) or (
        listed and any(isinstance(one, np.ma.MaskedArray) for one in values)
    )
    try:
        if masked:
            values = np.ma.array(values)
            if count := int(np.ma.count_masked(values)):
                raise TransportError(
                    f"{name} has {count:,} masked entries, whose values are not known; remove these samples, or fill "
                    "them knowingly (filled)"
                )
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, TransportError):
            raise
        raise TransportError(f"{name} cannot be read as an array ({str(error).splitlines()[0]})") from None
    if listed and found.dtype.kind == "f":
        _check_listed(values, name)
    return found


def _refuse_pictures(values: Any, name: str) -> None:
    """As arrays they would be read with their channels last, in silence."""
    several = values if isinstance(values, list | tuple) else (values,)
    if any(type(one).__module__.partition(".")[0] == "PIL" for one in several):
        raise TransportError(
            f"{name} holds pictures, whose channels come last as arrays; give an array (n, channels, height, width): "
            "np.stack([np.asarray(one.convert('RGB')) for one in pictures]).transpose(0, 3, 1, 2)"
        )


def _check_listed(values: Any, name: str) -> None:
    """Whole numbers that became float64 beside others in a list, exactly or not."""
    for one in np.array(values, dtype=object).flat:
        if isinstance(one, int | np.integer) and abs(int(one)) > _EXACT and int(float(one)) != one:
            raise TransportError(_too_large(name, int(one)))


def _of_array(array: np.ndarray, name: str) -> Tensor:
    kind = array.dtype.kind
    if kind == "V" and array.dtype.names is None and not array.dtype.name.startswith("void"):
        array, kind = array.astype(np.float32), "f"  # bfloat16 and shorter, as libraries beside numpy define them
    if kind not in "biuf":
        what = _KINDS.get(kind, f"{array.dtype} entries; give numbers")
        raise TransportError(f"{name} holds {what}")
    if kind == "f":
        found = _floats(array, name)
    else:
        found = _whole(array, name) if array.dtype.itemsize > 2 else array.astype(np.float32)
    return torch.from_numpy(np.require(found, requirements=["C", "W"])).view(array.shape)


def _floats(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.itemsize <= 8:
        return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32, copy=False)
    with np.errstate(over="ignore"):
        found = array.astype(np.float64)
    wrong = (found != array) & ~np.isnan(array)
    if wrong.any():
        raise TransportError(
            f"{name} holds {array.dtype} numbers that float64 rounds, the first {array[wrong][0]!s}; subtract what "
            "both samples have in common first, or convert it knowingly, astype(float)"
        )
    return found


def _whole(array: np.ndarray, name: str) -> np.ndarray:
    found = array.astype(np.float64)
    if array.dtype.itemsize < 8 or not array.size or (int(array.min()) >= -_EXACT and int(array.max()) <= _EXACT):
        return found
    inside = found < 2.0 ** (63 if array.dtype.kind == "i" else 64)  # the next float64 is beyond the type
    wrong = ~inside | (np.where(inside, found, 0).astype(array.dtype) != array)
    if wrong.any():
        raise TransportError(_too_large(name, int(array[wrong][0])))
    return found


def _too_large(name: str, first: int) -> str:
    return (
        f"{name} holds whole numbers beyond 2^53 that float64 rounds, the first {first}; of samples, subtract a common "
        "offset from both sides while they are integers (such as A.min()); else convert them knowingly"
    )
