"""The frame of the experiments: verdicts, parts, results on disk, resuming, the page, the command."""

import html
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from banach.cli import reproduce as command
from banach.errors import BanachError
from banach.experiments.catalogue import EXPERIMENTS
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.experiments.page import markdown
from banach.experiments.published import CIFAR10
from banach.experiments.reproduce import Wanted, reproduce, results_in
from banach.experiments.results import read_result

BESIDE = ("norm-grid", "objective-table", "wgan-gp-family")
"""Experiments on whose page the figures published on CIFAR-10 stand."""


def outcome(*values: float) -> Outcome:
    checks = tuple(Check(f"value {at}", value, 0.5) for at, value in enumerate(values))
    return Outcome({"n": 3}, {"found": list(values)}, checks, (Table("A | table", ("a",), (("1|2",),)),))


def experiment(run, name: str = "one", **more) -> Experiment:
    minutes = {"tiny": 0.01, "small": 0.02}
    return Experiment(
        name, "A title", "Somewhere, fig. 1", "It is <b>so</b>.", "At least a half.", run, minutes, **more
    )


def all_of(wanted: Wanted, *experiments: Experiment):
    return list(reproduce(wanted, {one.name: one for one in experiments}, lambda line: None))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.6, 0.5), "holds"), ((0.6, 0.4), "does not hold"), ((0.6, math.nan), "undecided"), ((), "undecided"),
     ((math.nan, 0.4), "does not hold")],
)  # fmt: skip
def test_a_claim_holds_where_all_checks_do(values, verdict):
    assert outcome(*values).verdict == verdict


def test_checks_of_both_directions():
    above, below = Check("x", 0.4, 0.5), Check("x", 0.4, 0.5, at_least=False)
    assert (above.holds, below.holds) == (False, True)
    assert (above.margin, below.margin) == (pytest.approx(-0.1), pytest.approx(0.1))


def test_a_result_is_kept_shown_and_not_made_again(tmp_path):
    calls = []

    def run(setting):
        calls.append(setting)
        return outcome(0.7, math.inf)

    wanted = Wanted(("one",), "tiny", tmp_path)
    (first,) = all_of(wanted, experiment(run))
    (again,) = all_of(wanted, experiment(run))
    assert (len(calls), first.before, again.before) == (1, False, True)
    told = json.loads((tmp_path / "one" / "result.json").read_text())
    assert (told["verdict"], told["scale"], told["checks"][1]["value"]) == ("holds", "tiny", "inf")
    assert told["claim"] == "It is <b>so</b>."
    page = (tmp_path / "index.html").read_text()
    assert "It is &lt;b&gt;so&lt;/b&gt;." in page
    assert "A | table" in page
    all_of(Wanted(("one",), "tiny", tmp_path, again=True), experiment(run))
    assert len(calls) == 2


@pytest.mark.parametrize("other", [{"scale": "small"}, {"seeds": 4}])
def test_a_result_of_something_else_is_refused(tmp_path, other):
    all_of(Wanted(("one",), "tiny", tmp_path), experiment(lambda setting: outcome(1.0)))
    key = next(iter(other))
    with pytest.raises(BanachError, match=rf"another {key} .*--again"):
        all_of(
            Wanted(("one",), **{"scale": "tiny", "out": tmp_path, **other}), experiment(lambda setting: outcome(1.0))
        )


def test_another_rule_is_another_experiment(tmp_path):
    made = experiment(lambda setting: outcome(1.0))
    all_of(Wanted(("one",), "tiny", tmp_path), made)
    changed = replace(made, rule="At least nothing.")
    with pytest.raises(BanachError, match="another rule"):
        all_of(Wanted(("one",), "tiny", tmp_path), changed)


def test_again_removes_no_folder_of_somebody_else(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.txt").write_text("kept")
    with pytest.raises(BanachError, match="no experiment's folder"):
        all_of(Wanted(("one",), "tiny", tmp_path, again=True), experiment(lambda setting: outcome(1.0)))
    assert (tmp_path / "one" / "mine.txt").read_text() == "kept"
    with pytest.raises(BanachError, match="is a file; give a folder"):
        all_of(Wanted(("one",), "tiny", tmp_path / "one" / "mine.txt"), experiment(lambda setting: outcome(1.0)))


def test_parts_are_made_once_across_a_stop(tmp_path):
    made = []

    def part():
        made.append(1)
        return {"w": math.nan, "n": (1, 2)}

    def run(setting):
        found = setting.part("seed 0: a/b", part)
        assert found == {"w": "nan", "n": [1, 2]}  # the same before and after the stop
        if len(made) == 1 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise KeyboardInterrupt
        return outcome(1.0)

    wanted = Wanted(("one",), "tiny", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        all_of(wanted, experiment(run))
    (ended,) = all_of(wanted, experiment(run))
    assert (len(made), ended.result.verdict) == (1, "holds")


def test_a_claim_that_fails_is_run_with_the_published_constants(tmp_path):
    def run(setting):
        return outcome(setting.part("the value", lambda: 0.9 if setting.published else 0.1))

    (ended,) = all_of(Wanted(("one",), "small", tmp_path), experiment(run, constants_differ=True))
    assert (ended.result.verdict, ended.result.published["verdict"]) == ("does not hold", "holds")
    text = markdown([ended.result])
    assert "The claim **does not hold**." in text
    assert "*With the published constants.* The claim **holds**." in text
    assert "1\\|2" in text


def test_a_fault_in_one_of_several_ends_no_other(tmp_path):
    def broken(setting):
        raise RuntimeError("torn")

    ended = all_of(
        Wanted(("all",), "tiny", tmp_path), experiment(broken), experiment(lambda setting: outcome(1.0), "two")
    )
    assert [(one.fault, one.result is not None) for one in ended] == [("RuntimeError: torn", False), ("", True)]
    with pytest.raises(RuntimeError):
        all_of(Wanted(("one",), "tiny", tmp_path), experiment(broken))


def test_a_paper_scale_without_minutes_is_a_grid(tmp_path):
    one = experiment(lambda setting: outcome(1.0), grid=lambda setting: {"base": {"steps": 100}, "seeds": [0, 1]})
    (ended,) = all_of(Wanted(("one",), "paper", tmp_path), one)
    assert "steps: 100" in ended.grid.read_text()
    with pytest.raises(BanachError, match="no scale paper"):
        all_of(Wanted(("one",), "paper", tmp_path), experiment(lambda setting: outcome(1.0)))


def test_wrong_input_is_refused_with_the_remedy(tmp_path):
    one = experiment(lambda setting: outcome(1.0))
    with pytest.raises(BanachError, match="unknown experiment 'on'; did you mean one"):
        all_of(Wanted(("on",), "tiny", tmp_path), one)
    with pytest.raises(BanachError, match="leave out --data photos"):
        all_of(Wanted(("one",), "tiny", tmp_path, data="photos"), one)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "result.json").write_text("{}")
    with pytest.raises(BanachError, match="no result of an experiment"):
        all_of(Wanted(("one",), "tiny", tmp_path), one)


@pytest.mark.parametrize(
    "change",
    [{"verdict": "maybe"}, {"checks": 3}, {"checks": [{}]}, {"tables": [1]}, {"seconds": "x"}, {"scale": None},
     {"seeds": 3}, {"data": 3}, {"published": {"verdict": "holds"}}],
)  # fmt: skip
def test_a_damaged_result_is_told_before_the_work_also_of_another_experiment(tmp_path, change):
    calls = []
    one = experiment(lambda setting: outcome(1.0))
    two = experiment(lambda setting: calls.append(1) or outcome(1.0), "two")
    all_of(Wanted(("one",), "tiny", tmp_path), one)
    file = tmp_path / "one" / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    for name in ("one", "two"):
        with pytest.raises(BanachError, match=r"one.result\.json is no result .*move it away and run again"):
            all_of(Wanted((name,), "tiny", tmp_path), one, two)
    assert not calls
    (ended,) = all_of(Wanted(("one",), "tiny", tmp_path, again=True), one)
    assert ended.result.verdict == "holds"


def test_a_damaged_part_is_told_with_the_remedy(tmp_path):
    def run(setting):
        return outcome(setting.part("x", lambda: 1.0))

    all_of(Wanted(("one",), "tiny", tmp_path), experiment(run))
    (tmp_path / "one" / "result.json").unlink()
    (tmp_path / "one" / "parts" / "x.json").write_text("{")
    with pytest.raises(BanachError, match=r"x\.json is damaged .*; remove it"):
        all_of(Wanted(("one",), "tiny", tmp_path), experiment(run))
    for text in ("{", "[]"):
        (tmp_path / "one" / "parts" / "asked.json").write_text(text)
        with pytest.raises(BanachError, match=r"asked\.json is damaged"):
            all_of(Wanted(("one",), "tiny", tmp_path), experiment(run))


def test_two_do_not_run_one_experiment_in_one_folder(tmp_path):
    other = Wanted(("one",), "tiny", tmp_path)

    def run(setting):
        for again in (False, True):  # --again does not remove what is being written
            with pytest.raises(BanachError, match="is being written by process"):
                all_of(replace(other, again=again), experiment(lambda setting: outcome(0.0)))
        return outcome(1.0)

    (ended,) = all_of(other, experiment(run))
    assert ended.result.verdict == "holds"
    assert not list(tmp_path.rglob("*.lock*"))


def test_titles_are_sentences_and_the_scale_and_the_data_are_told(tmp_path):
    asks = replace(experiment(lambda setting: outcome(1.0), own_data=True), title="Is it so?")
    (ended,) = all_of(Wanted(("one",), "tiny", tmp_path, data="photos"), asks)
    text = markdown([ended.result])
    means_nothing = "the verdict means nothing"
    assert (
        f"\nIs it so? Somewhere, fig. 1.\n\nScale tiny shows that it runs; {means_nothing}.\n\nData: photos.\n" in text
    )
    assert means_nothing in (tmp_path / "index.html").read_text()
    (small,) = all_of(Wanted(("one",), "small", tmp_path / "small"), asks)
    assert means_nothing not in markdown([small.result]) + (tmp_path / "small" / "index.html").read_text()
    assert "| [one](#one) | Somewhere, fig. 1 | tiny | holds | 1 of 1 | 1 |" in text


def test_every_experiment_states_what_it_needs():
    for name, one in EXPERIMENTS.items():
        assert one.name == name
        assert {"tiny", "small"} <= one.cpu_minutes.keys() & one.seeds.keys() | ({"small"} - one.cpu_minutes.keys())
        assert "paper" in one.cpu_minutes or one.grid is not None
        assert one.cpu_minutes["tiny"] <= 0.5
    assert sum(one.cpu_minutes["small"] for one in EXPERIMENTS.values()) <= 2 * 150  # two cores, side by side
    assert EXPERIMENTS["norm-grid"].cpu_minutes["small"] <= 2 * 60


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_at_tiny(name, tmp_path):
    (ended,) = reproduce(Wanted((name,), "tiny", tmp_path), EXPERIMENTS, lambda line: None)
    result = read_result(tmp_path / name)
    assert result is not None
    assert result.verdict in ("holds", "does not hold", "undecided")
    assert result.found["checks"]
    assert all((tmp_path / name / one["file"]).is_file() for one in result.found["figures"])
    assert ended.result.found == result.found
    if name in BESIDE:
        page, text = html.unescape((tmp_path / "index.html").read_text()), markdown([result])
        for row in CIFAR10.rows:
            assert f"| {' | '.join(row)} |" in text
            assert all(f"<td>{cell}</td>" in page for cell in row)


def test_published_figures_stand_with_their_protocols():
    rows = {(of, score, fid): how for of, score, fid, how in CIFAR10.rows}
    told = {
        ("WGAN-GP", "7.33", "22.29"): ("torch-mimicry", "50,000 training images"),
        ("WGAN-GP", "7.46", "25.85"): ("StudioGAN, 2022", "10,000 test images; the best"),
        ("WGAN-GP", "7.95", "16.95"): ("w86763777", "50,000 training images"),
        ("WGAN, clipped", "2.58", "159.1"): ("StudioGAN", "as above"),
        ("Banach WGAN, L^10", "8.31", ""): ("the paper", ""),
    }
    assert told.keys() == rows.keys()
    assert all(word in rows[row] for row, words in told.items() for word in words)


def test_the_command(tmp_path, capsys):
    words = ["histograms", "--scale", "tiny", "--out", str(tmp_path)]
    assert command.main(words) == 0
    assert "histograms: the claim holds" in capsys.readouterr().out
    assert command.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0]["result"]["verdict"] == "holds"
    page = tmp_path / "docs" / "page.md"
    assert command.main(["--markdown", str(page), "--scale", "tiny", "--out", str(tmp_path)]) == 0
    assert "[histograms](#histograms)" in page.read_text()
    page.write_text("mine\n<!-- experiments -->\nold\n<!-- end of experiments -->\nrest\n")
    assert command.main(["--markdown", str(page), "--scale", "tiny", "--out", str(tmp_path)]) == 0
    assert page.read_text().startswith("mine\n<!-- experiments -->\n| experiment")
    assert page.read_text().endswith("rest\n")
    assert [one.name for one in results_in(tmp_path, EXPERIMENTS)] == ["histograms"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("no markers", "has no place for it"), ("<!-- experiments -->\nno end", "has no place for it"),
     ("<!-- end of experiments -->\n<!-- experiments -->\n", "has no place for it"), (b"\xff", "cannot be read")],
)  # fmt: skip
def test_a_page_that_could_not_be_written_is_told_before_the_work(tmp_path, text, said):
    page = tmp_path / "page.md"
    page.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = page.read_bytes()
    with pytest.raises(BanachError, match=said):
        command.main(["histograms", "--scale", "tiny", "--out", str(tmp_path / "out"), "--markdown", str(page)])
    assert not (tmp_path / "out").exists()
    assert page.read_bytes() == before
    with pytest.raises(BanachError, match="cannot be read"):
        command.main(["histograms", "--scale", "tiny", "--out", str(tmp_path / "out"), "--markdown", str(tmp_path)])


def test_a_folder_without_results_replaces_no_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- experiments -->\nmine\n<!-- end of experiments -->")  # the last line may have no end
    with pytest.raises(BanachError, match="holds no result"):
        command.main(["--markdown", str(page), "--out", str(tmp_path / "nowhere")])
    assert "mine" in page.read_text()
    assert command.main(["losses", "--scale", "tiny", "--out", str(tmp_path / "a"), "--markdown", str(page)]) == 0
    assert page.read_text().endswith("\n<!-- end of experiments -->")
    assert "[losses](#losses)" in page.read_text()


def test_the_list(capsys):
    assert command.main(["--list"]) == 0
    assert "clipping-geometry" in capsys.readouterr().out
    assert command.main(["--list", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)} == EXPERIMENTS.keys()


def test_a_figure_has_a_file(tmp_path):
    setting = Setting("tiny", Path(tmp_path))
    assert setting.pick(1, 2, 3) == 1
    assert Figure("a.png", "what it shows").file == "a.png"
