"""`banach laws`: a name of several kinds."""


def test_a_name_of_several_kinds_is_the_one_that_reads_the_spec(banach):
    code, out, err = banach("laws", "Sum((r1,Consistency()))")
    assert (code, err) == (0, "")
    assert "laws hold" in out


def test_where_no_kind_reads_the_spec_all_readings_are_told(banach):
    code, _, err = banach("laws", "Sum((r1,hinge))")
    assert code == 2
    objective, penalty = err.splitlines()
    assert "as objective: " in objective
    assert "is no objective" in objective
    assert "as penalty: " in penalty
    assert "hinge(alpha=1) is no penalty" in penalty
