"""Runs into methods: what is one method, what it is called, which runs count, and which scores stand in one column."""

import dataclasses
import json
import math
import shutil

import pytest
from written_runs import PROTOCOL, Told, sweep, write

from banach.report import ReportError
from banach.report.comparison import compare, find_runs, methods_of, read_member
from banach.report.comparison.methods import baseline_of, data_groups, differing
from banach.runs.folder import RunFolder
from banach.runs.lock import Lock


def members(*folders):
    return [read_member(one) for one in folders]


def of(tmp_path, *told):
    return members(*(write(tmp_path / f"run{at}", one) for at, one in enumerate(told)))


def names(methods):
    return [one.name for one in methods]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("comparison") / "sweep")


# ---- which runs are named


def test_a_sweeps_folder_a_pattern_and_a_run_lead_to_the_same_runs(swept):
    found = find_runs([swept]).folders
    assert len(found) == 11
    assert set(find_runs([f"{swept}/*"]).folders) == set(found)
    assert find_runs([str(found[0])]).folders == found[:1]
    assert find_runs([swept.parent]).folders == found  # at any depth


def test_a_run_that_is_named_twice_is_counted_once(swept):
    one = find_runs([swept]).folders[0]
    found = find_runs([one, swept, one.parent / "." / one.name])
    assert len(found.folders) == 11
    assert len(found.notes) == 2
    assert "more than once" in found.notes[0]


def test_runs_inside_of_a_run_are_not_looked_for(tmp_path):
    outer = write(tmp_path / "outer")
    write(outer / "samples" / "inner")
    assert find_runs([tmp_path]).folders == (outer,)


@pytest.mark.parametrize("word", ["none", "empty", "a.txt", "none-*"])
def test_a_word_that_leads_to_no_run_is_refused(tmp_path, word):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("no run")
    with pytest.raises(ReportError, match=word.replace("*", r"\*")):
        find_runs([tmp_path / word])


def test_numbers_in_names_are_sorted_by_their_size(tmp_path):
    for at in (10, 2, 1):
        write(tmp_path / f"run{at}", Told(fid=None, done=20))
    assert [one.name for one in find_runs([tmp_path]).folders] == ["run1", "run2", "run10"]


# ---- what is one method


def test_runs_that_differ_in_seed_and_machine_are_one_method(tmp_path):
    keys = ({}, {"seed": 1}, {"seed": 2, "device": "cpu", "threads": 3, "save_every": 7, "score_every": 3, "out": "x"})
    found = methods_of(of(tmp_path, *(Told(config=one) for one in keys)))
    assert len(found) == 1
    assert len(found[0].counted) == 3


def test_two_spellings_of_one_space_are_one_method(tmp_path):
    spellings = ("Sobolev(s=-1)", "sobolev:s=-1", "shape")
    found = methods_of(of(tmp_path, *(Told(config={"space": one, "seed": at}) for at, one in enumerate(spellings))))
    assert len(found) == 1


def test_methods_are_named_by_what_they_differ_in(tmp_path):
    found = methods_of(of(tmp_path, Told(config={"space": "Lp(p=2)"}), Told(config={"space": "Lp(p=4)"})))
    assert names(found) == ["Lp(p=2)", "Lp(p=4)"]
    found = methods_of(of(tmp_path / "b", Told(config={"lr": 0.001}), Told(config={"lr": 0.002, "beta1": 0.0})))
    assert names(found) == ["lr=0.001", "lr=0.002"]
    grid = [Told(config={"space": f"Lp(p={p})", "lr": lr}) for p in (2, 4) for lr in (0.001, 0.002)]
    found = methods_of(of(tmp_path / "c", *grid))
    assert names(found)[:2] == ["Lp(p=2), lr=0.001", "Lp(p=2), lr=0.002"]
    assert differing(found)[0] == ("space", ["Lp(p=2)", "Lp(p=2)", "Lp(p=4)", "Lp(p=4)"])
    assert [key for key, _ in differing(found)] == ["space", "lr"]


def test_old_runs_without_a_key_have_its_default(tmp_path):
    old, new = write(tmp_path / "old"), write(tmp_path / "new", Told(config={"seed": 1}))
    config = old / "config.yaml"
    config.write_text("\n".join(line for line in config.read_text().splitlines() if "drift" not in line))
    assert len(methods_of(members(old, new))) == 1


def test_planned_runs_may_differ_in_their_steps(tmp_path):
    told = [Told(config={"minutes": 5.0, "steps": 1000 + seed, "seed": seed}, done=1000 + seed) for seed in range(2)]
    assert len(methods_of(of(tmp_path, *told))) == 1
    fixed = [Told(config={"steps": 1000 + seed, "seed": seed}, done=1000 + seed) for seed in range(2)]
    assert names(methods_of(of(tmp_path / "b", *fixed))) == ["steps=1000", "steps=1001"]


def test_one_run_alone_is_a_method(tmp_path):
    found = compare(runs := of(tmp_path, Told()), methods_of(runs))
    assert len(found.methods) == 1
    cell = found.standings["steps"].cells[0][0]
    assert (cell.summary.n, cell.summary.deviation, cell.difference, cell.best) == (1, None, None, False)


def test_names_of_ones_own(swept):
    runs = members(*find_runs([swept]).folders)
    found = methods_of(runs, names={"Lp(p=2)": "WGAN-GP", str(swept / "sobolev-s-1-seed1"): "ours"})
    assert set(names(found)) == {"WGAN-GP", "ours", "Lp(p=10)"}
    assert baseline_of(found, "ours") == baseline_of(found, str(swept / "sobolev-s-1-seed0"))
    with pytest.raises(ReportError, match="did you mean"):
        methods_of(runs, names={"Lp(p=3)": "x"})
    with pytest.raises(ReportError, match="two methods"):
        methods_of(runs, names={"Lp(p=2)": "Lp(p=10)"})
    with pytest.raises(ReportError, match="baseline"):
        baseline_of(found, "wgan")


# ---- which runs count


def test_nothing_is_dropped_in_silence(swept):
    runs = members(*find_runs([swept]).folders)
    found = compare(runs, methods_of(runs), "Lp(p=2)")
    by_name = {one.name: one for one in found.methods}
    assert sum(len(one.counted) + len(one.left_out) for one in found.methods) == len(runs) == 11
    (failed,) = by_name["Lp(p=10)"].left_out
    assert (failed.kind, failed.why) == ("failed", "step 512: the penalty is not finite (inf)")
    (stopped,) = by_name["Sobolev(s=-1)"].left_out
    assert stopped.kind == "unfinished"
    assert "stopped by SIGTERM" in stopped.why
    assert "400 of 1,000" in stopped.why
    (again,) = by_name["Lp(p=2)"].left_out
    assert again.kind == "repeated"
    assert "lp-p2-seed0" in again.why
    assert any("3 of 11 runs do not count: 1 failed, 1 not finished" in note for note in found.notes)


def test_a_run_without_scores_and_one_of_nan_have_failed(tmp_path):
    runs = of(tmp_path, Told(fid=None), Told(fid=math.nan, config={"seed": 1}), Told(config={"seed": 2}))
    (found,) = methods_of(runs)
    assert [(one.kind, one.why.split(":")[0]) for one in found.left_out] == [
        ("failed", "finished without a score"), ("failed", "finished, and no score of it is finite"),
    ]  # fmt: skip
    assert [one.config["seed"] for one in found.counted] == [2]


def test_what_a_sweep_noted_is_the_reason(tmp_path):
    runs = [write(tmp_path / f"run{at}", Told(config={"seed": at}, done=300, fid=None)) for at in range(2)]
    (runs[0] / "ended.json").write_text(json.dumps({"code": 2, "message": "data: no file x.npy\ncheck the path"}))
    (runs[1] / "ended.json").write_text("[1")
    (found,) = methods_of(members(*runs))
    assert [(one.kind, one.why[:17]) for one in found.left_out] == [
        ("failed", "data: no file x.n"),
        ("unfinished", "stopped at step 3"),
    ]


def test_a_finished_run_stands_for_its_seed_before_one_that_failed(tmp_path):
    runs = of(tmp_path, Told(done=300, not_finite="step 301: inf"), Told())
    (found,) = methods_of(runs)
    assert [one.folder.name for one in found.counted] == ["run1"]
    assert found.number("failed") == 1


def test_unfinished_runs_count_when_asked(swept):
    runs = members(*find_runs([swept]).folders)
    found = compare(runs, methods_of(runs, unfinished=True))
    assert found.standings["steps"].budgets[0] == 250  # of the run that was stopped at 400, scored at 250
    assert any("not finished: they count as far as they got" in note for note in found.notes)


def test_a_run_whose_config_cannot_be_read_is_shown(tmp_path):
    good, bad = write(tmp_path / "good"), write(tmp_path / "bad")
    (bad / "config.yaml").write_text("{[")
    found = methods_of(members(good, bad))
    assert len(found) == 2
    assert found[1].left_out[0].why == "its config.yaml cannot be read"
    assert dict(differing(found))["space"] == ["l2", "–"]  # and no default, which it may not have had


# ---- scores at a common budget


def test_equal_steps_are_the_largest_that_all_reach(tmp_path):
    runs = of(tmp_path, Told(), Told(config={"space": "Lp(p=4)", "steps": 2000}, done=2000, fid=10.0))
    found = compare(runs, methods_of(runs))
    assert found.standings["steps"].budgets[0] == 1000
    one, two = (row[0] for row in found.standings["steps"].cells)
    assert {value.step for cell in (one, two) for value in cell.values.values()} == {1000}
    assert one.summary.mean == pytest.approx(20.0)
    assert two.summary.mean > 11  # half way, and not its 10.0 of the end


def test_equal_time_is_that_of_the_fastest(tmp_path):
    runs = of(tmp_path, Told(minutes=2.0), Told(config={"seed": 1}, minutes=4.0, fid=20.0))
    found = compare(runs, methods_of(runs))
    standing = found.standings["time"]
    assert standing.budgets[0] == pytest.approx(2.0)
    assert [one.step for one in standing.cells[0][0].values.values()] == [1000, 500]


def test_who_is_scored_only_after_the_budget_has_no_number(tmp_path):
    runs = of(
        tmp_path, Told(), Told(config={"seed": 1, "score_every": 9}, every=1000), Told(config={"seed": 2}, done=1000)
    )
    short = write(tmp_path / "short", Told(config={"space": "Lp(p=4)", "steps": 500}, done=500))
    found = compare(all_ := [*runs, read_member(short)], methods_of(all_))
    cell = found.standings["steps"].cells[0][0]
    assert found.standings["steps"].budgets[0] == 500
    assert (cell.summary.n, cell.missing) == (2, 1)
    assert "first scored later" in [one.why for one in cell.values.values()]


def test_a_score_that_is_not_finite_is_not_replaced_by_an_older_one(tmp_path):
    runs_folder = write(tmp_path / "run")
    rows = [json.loads(line) for line in (runs_folder / "scores.jsonl").read_text().splitlines()]
    rows[-1]["value"]["fid"] = math.nan
    (runs_folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare(runs := members(runs_folder), methods_of(runs))
    (value,) = found.standings["steps"].cells[0][0].values.values()
    assert (value.value, value.why, value.step) == (None, "not finite", 1000)


def test_times_that_nobody_noted_are_not_made_up(tmp_path):
    folder = write(tmp_path / "old")
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    (folder / "scores.jsonl").write_text(
        "".join(json.dumps({key: one for key, one in row.items() if key != "minutes"}) + "\n" for row in rows)
    )
    found = compare(runs := members(folder), methods_of(runs))
    assert found.standings["time"].cells[0][0].summary is None
    assert found.standings["steps"].cells[0][0].summary.n == 1


def test_a_file_that_is_cut_in_a_line_is_read_as_far_as_it_goes(tmp_path):
    folder = write(tmp_path / "cut")
    for name in ("metrics.jsonl", "scores.jsonl"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-40])
    found = compare(runs := members(folder), methods_of(runs, unfinished=True))
    assert found.standings["steps"].budgets[0] == 750
    assert sum("could not be read" in note for note in found.notes) == 2


# ---- protocols


def test_scores_of_two_extractors_never_share_a_column(tmp_path):
    other = {**PROTOCOL, "extractor": "inception"}
    runs = of(tmp_path, Told(), Told(config={"space": "Lp(p=4)"}, protocol=other))
    found = compare(runs, methods_of(runs), None)
    titles = [one.title for one in found.columns if one.name == "fid"]
    assert titles == ["FID[fashion]", "FID[inception]"]
    for column in (at for at, one in enumerate(found.columns) if one.name == "fid"):
        assert sum(row[column].summary is not None for row in found.standings["steps"].cells) == 1


def test_one_title_with_two_protocols_is_told_apart_and_explained(tmp_path):
    runs = of(tmp_path, Told(), Told(config={"space": "Lp(p=4)"}, protocol={**PROTOCOL, "fakes": 5000}))
    found = compare(runs, methods_of(runs))
    fids = [one for one in found.columns if one.name == "fid"]
    assert [one.title for one in fids] == ["FID[fashion] (a)", "FID[fashion] (b)"]
    assert "fakes 1000" in fids[0].notes[0]
    assert "fakes 5000" in fids[1].notes[0]
    assert any("told apart by a letter" in note for note in found.notes)
    assert found.standings["steps"].cells[1][0].difference is None  # nothing is subtracted across protocols


def test_scores_on_other_data_never_share_a_column(tmp_path):
    runs = of(tmp_path, Told(), Told(config={"data": "8gaussians"}, fingerprint="another"))
    found = compare(runs, methods_of(runs))
    fids = [one for one in found.columns if one.name == "fid"]
    assert len(fids) == 2
    assert "data 8gaussians" in fids[1].notes[0]
    assert fids[1].notes[0].startswith("other data than the others of its name")
    assert names(found.methods) == ["data=fashion", "data=8gaussians"]


def test_a_run_that_is_being_scored_has_not_failed(tmp_path):
    folder = write(tmp_path / "run", Told())
    one = dataclasses.replace(read_member(folder), scorings=())
    assert (one.run.status, one.state) == ("finished", "failed")
    with Lock(RunFolder(folder).lock):
        one = dataclasses.replace(read_member(folder), scorings=())
        assert (one.run.status, one.state) == ("finished", "unfinished")
        assert "not scored yet" in one.reason


def test_a_run_that_waits_is_no_other_method(tmp_path):
    (first,) = of(tmp_path, Told(fingerprint="0123456789"))
    waiting = dataclasses.replace(first, facts=None, scorings=())
    other = dataclasses.replace(
        waiting, run=dataclasses.replace(first.run, config={**first.run.config, "data": "mnist"})
    )
    assert data_groups([waiting, first, other]) == [1, 1, 2]
    scored = dataclasses.replace(first, facts=None)  # of an older version: nobody knows
    assert len({*data_groups([scored, first])}) == 2


def test_data_of_one_name_that_are_not_the_same_are_told_apart(tmp_path):
    runs = of(tmp_path, Told(fingerprint="0123456789"), Told(config={"space": "Lp(p=4)"}, fingerprint="another"))
    (tmp_path / "old").mkdir()
    (write(tmp_path / "old" / "run", Told(config={"lr": 0.1})) / "facts.json").unlink()
    runs = [dataclasses.replace(runs[0], facts=dataclasses.replace(runs[0].facts, train=8000)), runs[1],
            *members(tmp_path / "old" / "run")]  # fmt: skip
    said = [one.notes[0] for one in compare(runs, methods_of(runs)).columns if one.name == "fid"]
    assert len({*said}) == 3
    assert said[0].endswith("data fashion (fingerprint 01234567)")
    assert said[1].endswith("data fashion (fingerprint another)")
    assert said[2].endswith("data fashion (no facts.json says whether they are the same)")


def test_splits_that_moved_with_the_seed_are_marked(tmp_path):
    runs = of(tmp_path, Told(fingerprint="a"), Told(config={"seed": 1}, fingerprint="b"))
    found = compare(runs, methods_of(runs))
    assert len(found.methods) == 1
    assert "--split-seed" in found.columns[0].notes[0]
    same = of(tmp_path / "b", Told(config={"split_seed": 0}), Told(config={"seed": 1, "split_seed": 0}))
    assert compare(same, methods_of(same)).columns[0].notes == ()


def test_the_same_data_by_another_path_are_the_same(tmp_path):
    runs = of(tmp_path, Told(), Told(config={"data": "elsewhere/fashion.npy", "seed": 1}))
    assert data_groups(runs) == [0, 0]
    assert len(methods_of(runs)) == 1


def test_facts_that_are_missing_are_said(tmp_path):
    runs = [write(tmp_path / "a"), write(tmp_path / "b", Told(config={"seed": 1}))]
    (runs[1] / "facts.json").unlink()
    found = compare(read := members(*runs), methods_of(read))
    fids = [one for one in found.columns if one.name == "fid"]
    assert len(fids) == 1 or all(one.notes for one in fids)
    both = [write(tmp_path / name, Told(config={"seed": at})) for at, name in enumerate("cd")]
    for one in both:
        (one / "facts.json").unlink()
    found = compare(read := members(*both), methods_of(read))
    assert "not known" in found.columns[0].notes[0]


def test_the_same_folder_copied_repeats_its_seed(tmp_path):
    one = write(tmp_path / "one")
    two = shutil.copytree(one, tmp_path / "two")
    (found,) = methods_of(members(one, two))
    assert found.number("repeated") == 1


def test_the_leader_is_marked_where_intervals_say_so(tmp_path):
    told = [Told(config={"space": space, "seed": seed, "split_seed": 0}, fid=fid + 0.1 * seed)
            for space, fid in (("Lp(p=2)", 30.0), ("Lp(p=4)", 20.0)) for seed in range(3)]  # fmt: skip
    told[-1] = dataclasses.replace(told[-1], fid=20.25)
    found = compare(runs := of(tmp_path, *told), methods_of(runs))
    assert [row[0].best for row in found.standings["steps"].cells] == [False, True]
    assert found.standings["steps"].cells[1][0].difference.mean == pytest.approx(-9.9833, abs=1e-3)


def test_a_method_of_which_no_run_counts_is_no_baseline_unless_named(tmp_path):
    runs = of(tmp_path, Told(fid=None), Told(config={"space": "Lp(p=4)"}), Told(config={"space": "Lp(p=3)"}))
    methods = methods_of(runs)
    assert methods[baseline_of(methods, None)].name == "Lp(p=4)"
    assert baseline_of(methods, methods[0].name) == 0
    assert baseline_of(methods_of(runs[:1]), None) == 0
