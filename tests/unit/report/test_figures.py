"""Figures need no backend that the user chose, and look alike whatever style the user has set."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from banach.report.curves import Line, Panel, svg
from banach.report.figures import agg_figure
from banach.report.run import Curve

ROOT = Path(__file__).parents[3]
PANEL = Panel("A title", (Line("a", Curve(np.arange(1.0, 4), np.array([1.0, 3, 2]))),))


@pytest.mark.parametrize(("asked", "kept"), [("the kernel's own", None), ("pdf", "pdf")])
def test_a_backend_that_the_environment_names_is_not_needed(asked, kept, tmp_path):
    """As a cell of a notebook passes it on; a pyplot of the user's own gets what was asked for, where it is there."""
    program = (
        "import os, sys\n"
        "from banach.report.figures import agg_figure\n"
        f"agg_figure(figsize=(1, 1)).savefig({str(tmp_path / 'x.png')!r})\n"
        "import matplotlib\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        f"assert os.environ['MPLBACKEND'] == {asked!r}\n"
        "print(matplotlib.get_backend(auto_select=False))\n"
    )
    environment = {**os.environ, "MPLBACKEND": asked}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.png").stat().st_size > 0
    assert done.stdout.strip() == str(kept)


def test_a_style_of_the_users_changes_no_page():
    expected = svg(PANEL)
    own = {"text.usetex": True, "font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red", "svg.fonttype": "path"}
    with matplotlib.rc_context(own):
        assert svg(PANEL) == expected
        assert {key: matplotlib.rcParams[key] for key in own} == own
    assert svg(PANEL) == expected


def test_a_figure_has_a_canvas_that_needs_no_window():
    assert type(agg_figure(figsize=(1, 1)).canvas).__name__ == "FigureCanvasAgg"


def test_nothing_draws_by_pyplot_and_one_file_imports_matplotlib():
    for path in (*ROOT.glob("src/banach/**/*.py"), *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("examples/**/*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        assert not {"matplotlib.pyplot", "pylab", "matplotlib.pylab"} & names, path
        own = {one for one in names if one.startswith("matplotlib") and not one.startswith("matplotlib.ticker")}
        assert not own or path.name == "figures.py", path
