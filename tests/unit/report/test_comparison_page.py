"""The page, CSV, LaTeX and JSON of a comparison: what they say, and what names of strangers do not do to them."""

import csv
import io
import json
import re

import numpy as np
import pytest
import yaml
from PIL import Image
from written_runs import Told, sweep, write

from banach.report.comparison import (
    as_csv,
    as_latex,
    as_mapping,
    compare,
    find_runs,
    methods_of,
    page,
    plots,
    read_member,
    write_comparison,
)
from banach.report.comparison.statistics import Summary
from banach.report.comparison.tables import figure, interval, plus_minus


def comparison(*folders, baseline=None, names=None):
    runs = [read_member(one) for one in find_runs(folders).folders]
    return compare(runs, methods_of(runs, names=names), baseline)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return comparison(sweep(tmp_path_factory.mktemp("page") / "sweep", pictures=True), baseline="Lp(p=2)")


@pytest.fixture
def still(monkeypatch):
    """Without plotly, whose source is 5 MB of every page."""
    monkeypatch.setattr(plots, "library", lambda: None)


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


def test_the_page_stands_alone(found, tmp_path):
    path = write_comparison(found, tmp_path / "compare.html", command="banach compare sweep")
    html = path.read_text("utf-8")
    outside = html.split("<script>!function", 1)[0] if "<script>!function" in html else html[:200_000]
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", outside)
    assert "Plotly.react" in html
    assert html.count("data:image/png;base64") >= 3 * 2 + 1
    assert "banach compare sweep" in html


def test_the_page_says_what_was_found(found, still):
    html = page.page(found)
    said = " ".join(text_of(html).split())
    for expected in ("3 methods, 11 runs", "24.07", "± 0.49", "Δ −5.07 [−5.45, −4.69]", "stopped by SIGTERM",
                     "the penalty is not finite (inf)", "repeats seed 0", "baseline", "equal time"):  # fmt: skip
        assert expected in said, expected


def test_every_column_of_the_runs_sorts_by_a_number_or_a_text(found, still):
    text = page.page(found)
    (heads, rows) = re.findall(r'<table class="sortable runs">.*?</table>', text, flags=re.DOTALL)[0].split("<tbody>")
    assert heads.count("<th>") + heads.count("<th ") == heads.count('<button type="button">')
    assert '<td class="num" data-value="5.0">5.0 min</td>' in rows


def test_without_plotly_the_curves_are_still_pictures(found, still):
    html = page.page(found)
    assert html.count("<svg role=") == len([one for one in plots.quantities(found) if one["curves"]])
    assert "pip install" in html
    assert "comparison-data" not in html.split("<script>\n")[0]


def test_curves_are_of_every_run_and_those_that_do_not_count_are_marked(found):
    gap = next(one for one in plots.quantities(found) if one["key"] == "gap")
    assert len(gap["curves"]) == 11
    assert sorted(one["state"] for one in gap["curves"] if not one["counts"]) == [
        "failed",
        "repeats a seed",
        "unfinished",
    ]
    assert all(len(one["steps"]) == len(one["minutes"]) == len(one["y"]) <= plots.POINTS for one in gap["curves"])
    assert gap["curves"][0]["minutes"][-1] == pytest.approx(5.0, rel=0.02)


def test_strangers_names_draw_and_run_nothing(tmp_path, still):
    evil = "<script>alert(1)</script>\"'&{{7*7}}</pre>"
    for at, data in enumerate(("fashion", evil)):
        folder = write(tmp_path / f"run{at}", Told(protocol={"extractor": f"{evil}{at}", "held_out": 5}))
        config = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump(config | {"data": data, "strange": evil}))
        (folder / "facts.json").unlink()
    got = comparison(tmp_path)
    assert any(evil in one.name for one in got.methods)
    html = page.page(got, command=evil)
    assert "<script>alert" not in html
    assert "{{7*7}}" in html  # as it stands, not 49
    assert "&lt;script&gt;alert(1)" in html
    latex = as_latex(got, "steps")
    table = latex[latex.index(r"\begin{tabular}") :]
    assert r"\&\{\{7*7\}\}" in table
    assert not re.search(r"(?<!\\)[#$%&_]?\{\{7", table)
    assert json.loads(json.dumps(as_mapping(got)))["methods"][1]["name"] == got.methods[1].name


def test_with_plotly_names_stay_inside_of_the_data(tmp_path):
    evil = "</script><script>alert(1)</script>"
    got = comparison(write(tmp_path / "run"), names={"l2": evil})
    html = page.page(got)
    assert "</script><script>alert" not in html
    told = re.search(r'id="comparison-data">(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(told)["methods"] == [evil]


def test_csv_has_a_line_for_each_method_score_and_budget(found):
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(rows) == 3 * 3 * 2
    row = next(
        one for one in rows if (one["method"], one["score"], one["by"]) == ("Sobolev(s=-1)", "FID[fashion]", "steps")
    )
    assert float(row["mean"]) == pytest.approx(19.0)
    assert float(row["difference"]) == pytest.approx(-5.0667, abs=1e-3)
    assert (row["n"], row["pairs"], row["runs"], row["unfinished"], row["baseline"]) == ("3", "3", "4", "1", "Lp(p=2)")
    assert row["by_seed"].count(":") == 3
    assert next(one for one in rows if one["method"] == "Lp(p=2)")["difference"] == ""


def test_latex_is_a_booktabs_tabular_that_says_what_bold_means(found, tmp_path):
    latex = as_latex(found, "steps")
    body = latex[latex.index(r"\begin{tabular}") :].splitlines()
    assert body[0] == r"\begin{tabular}{lrrrr}"
    assert [one for one in body if one.startswith("\\")] == [r"\begin{tabular}{lrrrr}", r"\toprule", r"\midrule",
                                                            r"\bottomrule", r"\end{tabular}"]  # fmt: skip
    rows = [one for one in body if one.endswith(r"\\")]
    assert len(rows) == 4
    assert {one.count(" & ") for one in rows} == {4}
    assert r"$24.07 \pm 0.49$" in latex
    assert r"W$_1$" in latex
    assert "\\mathbf" not in latex  # Lp(p=10) with two seeds is level with the leader
    assert "Bold: the best mean" in latex
    told = [Told(config={"space": space, "seed": seed, "split_seed": 0}, fid=fid + 0.1 * seed * seed)
            for space, fid in (("Lp(p=2)", 1234.5), ("Lp(p=4)", 20.0)) for seed in range(3)]  # fmt: skip
    for at, one in enumerate(told):
        write(tmp_path / f"run{at}", one)
    latex = as_latex(comparison(tmp_path), "steps")
    assert r"$\mathbf{20.17 \pm 0.21}$" in latex
    assert r"$1{,}234.67 \pm 0.21$" in latex


def test_json_holds_the_numbers_of_each_seed(found):
    told = json.loads(json.dumps(as_mapping(found)))
    assert told["baseline"] == "Lp(p=2)"
    row = next(one for one in told["steps"] if one["method"] == "Lp(p=10)" and one["score"] == "FID[fashion]")
    assert [(one["seed"], one["split_seed"]) for one in row["values"]] == [("0", "0"), ("1", "0")]
    assert told["methods"][1]["left_out"][0]["kind"] == "failed"


def test_thirty_runs(tmp_path, still):
    for at in range(30):
        write(tmp_path / f"run{at}", Told(config={"space": f"Lp(p={2 + at})"}, fid=20.0 + at, every=500))
    got = comparison(tmp_path)
    assert len(got.methods) == 30
    html = page.page(got)
    assert html.count('<td class="method"') == 60
    assert len(as_csv(got).splitlines()) == 1 + 30 * 3 * 2


def test_one_run_without_anything(tmp_path, still):
    folder = write(tmp_path / "bare", Told(fid=None, done=0))
    for name in ("log.txt", "environment.json", "metrics.jsonl", "scores.jsonl"):
        (folder / name).unlink()
    html = page.page(comparison(folder))
    assert "No run has a score yet" in html
    assert "Nothing was logged yet" in html
    assert "not started" in html


def test_a_broken_picture_is_left_out(tmp_path, still):
    folder = write(tmp_path / "run", Told(pictures=True))
    (folder / "samples" / "fakes-000001000.png").write_bytes(b"no picture")
    html = page.page(comparison(folder))
    assert "no picture" in html or "No samples were drawn" in html


def test_pictures_are_shown_seed_by_seed_within_a_budget(found):
    whole = page.gallery(found, "samples", 10**9)
    assert [one["seed"] for one in whole] == ["0", "1", "2", "3"]
    assert [tile["why"] for tile in whole[3]["tiles"] if tile["frame"] is None] == ["no run with this seed"] * 2
    assert len(page.gallery(found, "samples", 1)) == 1


def test_figures():
    assert figure(-0.004, 2) == "0.00"
    assert figure(12345.678, 1) == "12,345.7"
    assert plus_minus(Summary(1, 2.0), 1) == "2.0"
    assert plus_minus(None, 1) == "–"
    assert interval(Summary(2, 0.0, 1.0, -1.5, 2.0), 1) == "[−1.5, +2.0]"
    assert interval(Summary(1, 0.0), 1) == ""


def test_the_test_runs_have_pictures(found):
    with Image.open(found.members[0].run.samples[-1].path) as image:
        assert np.asarray(image).std() > 10
