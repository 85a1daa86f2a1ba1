"""The cost of a penalty is measured in every norm of the table, computed ones with and without a warm start."""

import pytest
import torch

from banach import space
from benchmarks import penalty_cost


def test_a_row_is_printed_for_each_norm(capsys):
    assert penalty_cost.main(["--rounds", "1", "--norms", "Lp(2)", "Patches(8, Lp(2))"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == ["Lp(2)", "Patches(8, Lp(2))"]
    assert all(float(cell) >= 0 for row in rows for cell in row.split("|")[2:4])


@pytest.mark.parametrize("spec", penalty_cost.NORMS)
def test_the_norms_of_the_table_fit_its_data(spec):
    assert space(spec).norm(torch.ones(1, 1, 32, 32)).isfinite().all()


def test_what_is_computed_is_measured_both_ways():
    name, warm, alone = penalty_cost.measure("GradientForm(p=1)", 1, batch=2, side=8)
    assert name == "GradientForm(p=1)"
    assert warm > 0
    assert alone > 0
