"""The laws of every penalty in every registered space that it accepts."""

import pytest

from banach.penalties import PENALTIES
from banach.spaces import SPACES, Space
from banach.testing import assert_laws, check_penalty, shapes_of


def shape_for(metric):
    """One event shape that the space accepts, of several channels and axes where it can."""
    accepted = shapes_of(metric)
    fitting = [shape for shape in accepted if len(shape) == 3] or accepted
    return fitting[-1]


@pytest.mark.parametrize("spec", SPACES.examples())
def test_every_penalty_in_this_space(spec):
    metric = SPACES.parse(spec)
    shape = shape_for(metric)
    for name in PENALTIES.examples():
        if isinstance(metric, Space) or not PENALTIES.parse(name).needs_dual:
            try:
                assert_laws(check_penalty(name, [metric], shape))
            except AssertionError as error:
                raise AssertionError(f"{name} in {spec} on {shape}:\n{error}") from None
