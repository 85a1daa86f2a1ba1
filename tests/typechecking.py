"""The type checker of the tests: shapes and types of tensors, as the annotations say them.

What is no tensor is left to pyright: code under test is *given* wrong values, to see which sentence refuses them.
"""

from collections.abc import Callable
from typing import TypeVar

from beartype import beartype

Function = TypeVar("Function", bound=Callable)


def checked(function: Function) -> Function:
    hints = getattr(function, "__annotations__", {})
    function.__annotations__ = {name: hint for name, hint in hints.items() if "jaxtyping" in str(hint)}
    return beartype(function)
