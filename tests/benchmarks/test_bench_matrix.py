"""The matrix of objectives and constraints: its cells, and a page whose rows are replaced one by one."""

import pytest

from banach.objectives import OBJECTIVES
from benchmarks import matrix
from benchmarks.field import chosen, constraints, objectives


def test_every_objective_is_there_once():
    games = [OBJECTIVES.parse(spec) for spec in objectives()]
    for entry in OBJECTIVES.entries():
        assert OBJECTIVES.parse(entry.examples[0]) in games
    assert all(games.count(one) == 1 for one in games)


def test_a_pair_is_refused_with_its_reason_or_learns():
    ways = {one.name: one for one in constraints()}
    assert matrix.outcome("wasserstein", ways["none"]) == matrix.Outcome(reason="unbounded")
    found = matrix.outcome("wasserstein", ways["wgan-lp"])
    assert found.learns, found


@pytest.mark.parametrize(
    ("outcome", "cell", "said"),
    [
        (matrix.Outcome(0.864), "86", "W1 lowered by 86%"),
        (matrix.Outcome(0.12), "(12)", "W1 lowered by 12%: runs, does not learn"),
        (matrix.Outcome(-1.09), "(−109)", "W1 lowered by -109%: runs, does not learn"),
        (matrix.Outcome(0.2996), "(30)", "W1 lowered by 30%: runs, does not learn"),
        (matrix.Outcome(reason="unbounded"), "A", "refused: unbounded"),
        (matrix.Outcome(ended=17), "∞ 17", "not finite at step 17"),
    ],
)
def test_cells(outcome, cell, said):
    assert outcome.cell() == cell
    assert str(outcome) == said
    assert matrix.learns(cell) == outcome.learns
    assert matrix.lowered(cell) == (None if outcome.lowered is None else round(100 * outcome.lowered))


def test_rows_are_put_into_the_page_and_unknown_ones_leave(tmp_path):
    page = tmp_path / "matrix.md"
    page.write_text("<!-- matrix -->\n<!-- end of matrix -->\n<!-- reasons -->\n<!-- end of reasons -->\n")
    for name, lowered in (("r1", 0.5), ("clip", 0.1), ("r1", 0.7)):
        matrix.write(page, {name: dict.fromkeys(objectives(), matrix.Outcome(lowered))}, 3.0)
    matrix.write(page, {"none": dict.fromkeys(objectives(), matrix.Outcome(reason="unbounded")), "gone": {}}, 3.0)
    cells = matrix.read(page.read_text())
    assert list(cells) == ["none", "r1", "clip"]
    assert {name: set(row.values()) for name, row in cells.items()} == {"none": {"A"}, "r1": {"70"}, "clip": {"(10)"}}
    n = len(objectives())
    assert matrix.counts(cells) == (3 * n, 2 * n, n)
    assert f"{3 * n} pairs, 3.0 s of one CPU thread each: {2 * n} run (66.7%), {n} of them learn." in page.read_text()
    assert f"\n{n} pairs have more." in page.read_text()


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match=r"there is no r7; known: r1"):
        chosen(["r7"], {"r1": 1})
    assert chosen([], {"r1": 1}) == ["r1"]
