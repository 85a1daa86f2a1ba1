"""docs/matrix.md: every objective with every constraint; a sample is trained here, the whole among the slow tests."""

import math
from pathlib import Path

import pytest
import torch

from banach.constraints import CONSTRAINTS
from banach.game import REASONS, GameError
from banach.objectives import OBJECTIVES
from banach.penalties import PENALTIES
from banach.training.build import build
from benchmarks import matrix
from benchmarks.field import constraints, objectives

PAGE = (Path(__file__).parents[2] / matrix.PAGE).read_text(encoding="utf-8")
CELLS = matrix.read(PAGE)
WAYS = {one.name: one for one in constraints()}


def test_the_page_has_every_objective_and_every_constraint():
    assert list(CELLS) == list(WAYS), "run: python -m benchmarks.matrix --constraints …"
    assert all(list(row) == list(objectives()) for row in CELLS.values())
    for name in (*PENALTIES, *CONSTRAINTS):
        entry = (PENALTIES if name in PENALTIES else CONSTRAINTS).entry(name)
        assert name in WAYS or entry.examples[0].startswith(f"{name}("), f"{name} needs no arguments, and has no row"
    games = [OBJECTIVES.parse(spec) for spec in objectives()]
    for entry in OBJECTIVES.entries():
        assert OBJECTIVES.parse(entry.examples[0]) in games
    assert all(games.count(one) == 1 for one in games)


def test_enough_pairs_run_and_every_refusal_has_a_listed_reason():
    n, run, _ = matrix.counts(CELLS)
    assert run >= matrix.LEAST_SHARE * n
    known = {letter: reason for reason, letter in matrix.LETTERS.items()}
    for row in CELLS.values():
        for cell in row.values():
            assert matrix.lowered(cell) is not None or cell in known
            if cell in known:
                assert f"- {cell}: refused when the game is built: {REASONS[known[cell]]}." in PAGE
    for reason, sentence in REASONS.items():
        assert f"- *{reason}*: {sentence}." in PAGE


@pytest.mark.parametrize("name", WAYS)
def test_what_is_refused_is_refused_when_the_game_is_built(name):
    """All that the page says are refused, and one objective more; the slow test below builds the others."""
    for spec in [one for one in objectives() if matrix.lowered(CELLS[name][one]) is None or one == "wasserstein"]:
        try:
            build(matrix.config_of(spec, WAYS[name], 0), matrix.data(), torch.device("cpu"))
            refused = ""
        except GameError as error:
            refused = matrix.LETTERS[error.reason]
        cell = CELLS[name][spec]
        assert (refused == cell) if refused else (matrix.lowered(cell) is not None), spec


SAMPLE = (("maxgp", "exp"), ("none", "wasserstein"))


@pytest.mark.parametrize(("name", "spec"), SAMPLE)
def test_a_sample_of_the_pairs_does_what_the_page_says(name, spec):
    found, cell = matrix.outcome(spec, WAYS[name]), CELLS[name][spec]
    assert found.learns == matrix.learns(cell)
    assert found.runs == (matrix.lowered(cell) is not None)
    assert found.runs or found.cell() == cell


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_every_pair_does_what_the_page_says(name):
    """Another machine rounds otherwise, and training amplifies it: what is near 30% may fall on either side.

    What learns clearly is trained until it has learnt, which is a third of the time.
    """
    for spec, cell in CELLS[name].items():
        percent = matrix.lowered(cell)
        clearly = percent is not None and percent >= 50
        found = matrix.outcome(spec, WAYS[name], enough=matrix.LEARNS if clearly else math.inf)
        if percent is None:
            assert found.cell() == cell, spec
        else:
            assert found.runs, spec
            fits = found.learns == (percent >= 30) or 10 <= percent <= 50
            assert fits or undecided(spec, name), f"{spec}: {cell}, now {found}"


def undecided(spec, name):
    """Whether the pair learns with some seeds and not with others: rounding decides, too."""
    return len({matrix.outcome(spec, WAYS[name], seed).learns for seed in (1, 2, 3)}) == 2
