"""An audit finds each fault of a loop of one's own, and none in a sound one; it leaves everything as it was."""

import pytest

from own_loops import FAULTS, sound


def test_a_sound_loop_has_no_fault():
    found = sound().audit()
    assert (found.faults, found.warnings, found.unknown) == ((), (), ("logged",)), str(found)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_no_other(name):
    check, make = FAULTS[name]
    found = make().audit()
    assert (found.faults, found.warnings) == ((check,), ()), str(found)
    assert found[check].remedy
