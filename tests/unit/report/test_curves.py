"""Curves: what is drawn, on which axis, in which colours."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from banach.report.curves import POINTS, Line, Panel, panels, score_panels, svg, thinned, write_curves
from banach.report.run import Curve, ReportError, read_run
from banach.runs.records import KEYS


def panel(values, marks=(), log=None) -> Panel:
    steps = np.arange(1.0, len(values) + 1)
    return Panel("Title <&>", (Line("a", Curve(steps, np.array(values, dtype=float))),), marks=marks, log=log)


def test_every_logged_quantity_has_a_place(run_folder):
    titles = [one.title for one in panels(read_run(run_folder))]
    assert titles == [
        "Critic gap",
        "Gap per slope",
        "Slope of the critic",
        "Penalty",
        "Losses",
        "Learning rate",
        "Speed",
    ]


def test_an_unknown_key_gets_a_panel_of_its_own(run_folder):
    (run_folder / "metrics.jsonl").write_text('{"step": 1, "gap": 2.0, "dropped_pairs": 3}\n')
    assert [one.title for one in panels(read_run(run_folder))] == ["Critic gap", "Dropped pairs"]


def test_what_a_penalty_drops_and_a_critic_proves_is_explained(run_folder):
    lines = '{"step": 1, "dropped": 0.0, "bound": 1.0}\n{"step": 2, "dropped": 2.5, "bound": 1.0}\n'
    (run_folder / "metrics.jsonl").write_text(lines)
    found = {one.title: one.note for one in panels(read_run(run_folder))}
    assert list(found) == ["Proved Lipschitz constant", "Pairs without a quotient"]
    assert all(len(note) > 60 for note in found.values())
    (run_folder / "metrics.jsonl").write_text(lines.replace("2.5", "0"))
    assert [one.title for one in panels(read_run(run_folder))] == ["Proved Lipschitz constant"]


def test_every_documented_key_has_a_panel_with_a_caption(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 10\n")
    for key in KEYS.keys() - {"step", "images", "minutes", "play"}:
        (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, key: 2.0}) + "\n")
        (found,) = panels(read_run(tmp_path))
        assert found.note, key


def test_slopes_are_drawn_against_one(run_folder):
    (slopes,) = [one for one in panels(read_run(run_folder)) if one.title == "Slope of the critic"]
    assert slopes.marks == ((1.0, "slope 1"),)
    assert [line.label for line in slopes.lines] == ["mean", "max"]


def test_scores_stand_beside_their_floors(run_folder):
    floors = {one.title: one.marks for one in score_panels(read_run(run_folder))}
    assert floors["FID[fashion]"] == ((2.13, "floor"),)
    assert floors["Recall[fashion]"] == ((0.81, "floor"),)


@pytest.mark.parametrize(
    ("values", "marks", "log", "expected"),
    [
        ([1, 1000], (), None, True),
        ([1, 50], (), None, False),
        ([0, 1000], (), None, False),
        ([-1, 1000], (), True, False),
        ([1, 2], (), True, True),
        ([1, 50], ((0.01, "floor"),), None, True),
        ([1, 5000], (), False, False),
    ],
)
def test_the_axis_is_logarithmic_where_it_helps_and_can(values, marks, log, expected):
    assert panel(values, marks, log).logarithmic is expected


def test_thinning_keeps_means_and_extremes():
    values = np.random.default_rng(0).normal(size=100 * POINTS)
    steps, mean, low, high = thinned(Curve(np.arange(len(values), dtype=float), values))
    assert len(steps) == POINTS
    assert mean.mean() == pytest.approx(values.mean(), abs=1e-12)
    assert (low.min(), high.max()) == (values.min(), values.max())
    assert mean[3] == pytest.approx(values[300:400].mean(), abs=1e-12)


def test_a_short_curve_is_drawn_as_it_is():
    steps, mean, low, high = thinned(Curve(np.array([3.0, 7]), np.array([1.0, 4])))
    assert (steps.tolist(), mean.tolist(), low.tolist(), high.tolist()) == ([3, 7], [1, 4], [1, 4], [1, 4])


def test_svg_is_xml_with_a_name_and_follows_the_page():
    text = svg(panel([1, 2, 3], ((2.0, "floor"),)), steps=10)
    root = ET.fromstring(text.replace("xlink:", ""))
    assert root.get("aria-label") == "Title <&>: a over generator steps"
    assert root.get("viewBox")
    assert root.get("width") is None
    assert "var(--c1)" in text
    assert "var(--mark)" in text
    assert "#0a00" not in text
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", text)


def test_two_drawings_of_one_panel_are_the_same():
    assert svg(panel([1, 2, 3])) == svg(panel([1, 2, 3]))


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-30, 1e30], [-1e9, 0]])
def test_any_values_can_be_drawn(values):
    assert svg(panel(values)).startswith("<svg")


def test_one_file_of_all_curves(run_folder, tmp_path):
    run = read_run(run_folder)
    with Image.open(write_curves(run, tmp_path / "all.png")) as image:
        assert min(image.size) > 1000
    assert "#1f5fbf" in write_curves(run, tmp_path / "all.svg").read_text()


def test_nothing_to_draw_is_said(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 10\n")
    with pytest.raises(ReportError, match="no metrics"):
        write_curves(read_run(tmp_path), tmp_path / "all.png")
