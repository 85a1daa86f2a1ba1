"""Names that penalties had in earlier versions are still read, as older configs spell them."""

from banach.penalties import PENALTIES


def test_together_is_read_as_sum():
    former = "Together((r1, r2), weights=(1, 0.5))"
    assert PENALTIES.parse(former) == PENALTIES.parse(former.replace("Together", "Sum"))
    assert repr(PENALTIES.parse(former)).startswith("Sum(")
    assert "Together" not in tuple(PENALTIES)
