"""The page: one file, whole with missing parts, saying no more than it knows."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

from banach.report import read_run, write_report
from banach.report.embed import LARGEST_BYTES, LARGEST_SIDE, embedded, reel, spread
from banach.report.facts import environment, next_steps, settings, spelling
from banach.report.run import Picture
from banach.runs import facts

VOID = {"meta", "link", "img", "input", "br", "i"}


class Reader(HTMLParser):
    """Collects text, attributes, and whether tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found[key] for key in ("src", "href") if found.get(key)]
        self.ids += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path) -> tuple[Reader, str]:
    reader = Reader()
    text = path.read_text()
    reader.feed(text)
    assert reader.open == []
    return reader, re.sub(r"\s+", " ", " ".join(reader.text))


def test_the_page_stands_alone(run_folder):
    path = write_report(run_folder)
    reader, _ = read(path)
    assert path == run_folder / "report.html"
    assert path.stat().st_size < 3_000_000
    assert all(link.startswith(("data:", "#")) for link in reader.links)
    assert "url(http" not in path.read_text()
    assert "@import" not in path.read_text()
    assert not list(run_folder.glob(".report*"))
    assert len(reader.ids) == len(set(reader.ids))


def test_it_says_what_the_run_is(run_folder):
    known = facts.read(run_folder / "facts.json")
    _, text = read(write_report(run_folder, {"g_width": 64, "space": "l2", "classes": (), "lr": 2e-4}))
    for expected in (
        "finished",
        "Sobolev(s=-1)",
        "low frequencies",
        "wgan-gp",
        "λ, weight of the penalty",
        f"= {known.lam:.4g} ± {known.lam_error:.1g} (from the data)",
        "9,000 to train on",
        f"{known.generator_parameters:,} parameters",
        "as many",
        "neither is a bound",
        "differs from the default",
        "Critic gap",
        "FID",
        "2.13",
        "extractor fashion",
        version("torch"),
        "banach train --out",
    ):
        assert expected in text


def test_scores_name_their_extractor_and_the_step_they_are_of(run_folder):
    with (run_folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4100, "gap": -7.0, "gap_per_slope": -7.0}\n')
    _, text = read(write_report(run_folder))
    assert "FID[fashion]" in text
    assert "4,100" in text
    assert "at step 4,000, floor 2.13 (" in text
    assert "-7 below 0: no estimate of W₁" in text


def test_what_a_low_w1_means_is_said(lean_run):
    line = {
        "step": 4000, "value": {"excess": 550.0, "w1": 760.9}, "matched": {"excess": 550.0, "w1": 760.9},
        "floor": {"w1": 802.5}, "protocol": {"metric": "Lp(p=2)"},
    }  # fmt: skip
    (lean_run / "scores.jsonl").write_text(json.dumps(line) + "\n")
    _, text = read(write_report(lean_run))
    assert "W₁[Lp(p=2)] is below its floor: the samples vary less than the data do." in text
    assert "best at its floor" in text
    assert "lower is better" not in text
    line["value"]["w1"] = line["matched"]["w1"] = 808.6
    (lean_run / "scores.jsonl").write_text(json.dumps(line) + "\n")
    assert "is below its floor" not in read(write_report(lean_run))[1]


def test_evaluations_are_on_the_page_newest_first_and_escaped(lean_run):
    lines = [
        {"step": 9, "date": f"day {at}", "command": ["banach", "evaluate", "<b>"], "data": "<i>", "value": {"fid": at}}
        for at in (1, 2)
    ]
    (lean_run / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = write_report(lean_run)
    _, text = read(page)
    assert text.index("day 2") < text.index("day 1")
    assert "banach evaluate '<b>'" in text
    assert "<b>'" not in page.read_text()


def test_anything_in_the_folder_is_escaped(lean_run):
    (lean_run / "log.txt").write_text("<script>alert(1)</script>\n")
    (lean_run / "config.yaml").write_text("space: '<b>x</b>'\ndata: '\"><img src=x>'\nsteps: 4000\n")
    page = write_report(lean_run).read_text()
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
    assert "<img src=x>" not in page


@pytest.mark.parametrize(
    "missing", ["scores.jsonl", "samples", "metrics.jsonl", "environment.json", "config.yaml", "facts.json", "log.txt"]
)
def test_every_part_may_be_missing(lean_run, missing):
    path = lean_run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    _, text = read(write_report(lean_run))
    assert "How to go on" in text


def test_an_empty_run_is_a_page_too(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 100\nspace: l2\n")
    _, text = read(write_report(tmp_path))
    for expected in ("not started", "No samples yet", "Not scored yet", "Nothing logged yet", "l2 = Lp(p=2)"):
        assert expected.replace("Lp(p=2)", "Lp(") in text


def test_a_broken_last_line_is_said_on_the_page(lean_run):
    with (lean_run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4010, "ga')
    assert "1 line of metrics.jsonl could not be read" in read(write_report(lean_run))[1]


def test_a_half_written_picture_is_left_out(lean_run):
    path = lean_run / "samples" / "fakes-000004000.png"
    path.write_bytes(path.read_bytes()[:500])
    reader, _ = read(write_report(lean_run))
    assert sum(link.startswith("data:image/png") for link in reader.links) == 7 + 1 + 1


def test_pictures_are_the_files_themselves(lean_run):
    reader, _ = read(write_report(lean_run))
    inside = {base64.b64decode(link.split(",")[1]) for link in reader.links if link.startswith("data:image/png")}
    assert (lean_run / "samples" / "reals.png").read_bytes() in inside


def test_a_run_under_way_says_how_far(lean_run):
    config = lean_run / "config.yaml"
    config.write_text(config.read_text().replace("steps: 4000", "steps: 16000"))
    assert "stopped at 25%" in read(write_report(lean_run))[1]
    (lean_run / "run.lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "t"}))
    _, text = read(write_report(lean_run))
    assert "running at 25%" in text
    assert "Continue where it stopped" not in text


def noise(height: int, width: int, strength: int) -> Image.Image:
    """A picture that PNG cannot make small."""
    values = np.random.default_rng(0).integers(0, strength, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_a_long_run_with_large_pictures_stays_under_three_megabytes(make_run):
    folder = make_run("long", steps=100_000, done=100_000, every=100)
    noise(700, 700, 255).save(folder / "samples" / "reals.png")
    for step in range(1000, 30_001, 1000):
        shutil.copy(folder / "samples" / "reals.png", folder / "samples" / f"fakes-{step:09d}.png")
    path = write_report(folder)
    assert path.stat().st_size < 3_000_000
    assert "grids are shown here" in path.read_text()


@pytest.mark.parametrize(("strength", "size"), [(4, (LARGEST_SIDE, LARGEST_SIDE // 2)), (255, None)])
def test_large_pictures_become_small_jpegs(tmp_path, strength, size):
    noise(800, 1600, strength).save(tmp_path / "large.png")
    frame = embedded(tmp_path / "large.png", "large")
    assert frame.uri.startswith("data:image/jpeg;base64,")
    content = base64.b64decode(frame.uri.split(",")[1])
    assert len(content) <= LARGEST_BYTES < (tmp_path / "large.png").stat().st_size
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (frame.width, frame.height)
        assert image.size == (size or image.size)
        assert image.size[0] == 2 * image.size[1]


@pytest.mark.parametrize(("n", "most"), [(1, 2), (2, 2), (3, 2), (24, 24), (25, 24), (1000, 24), (5, 3)])
def test_spread_keeps_both_ends_and_the_limit(n, most):
    chosen = spread(n, most)
    assert chosen[0] == 0
    assert chosen[-1] == n - 1
    assert len(chosen) <= max(most, 1)
    assert list(chosen) == sorted(set(chosen))


def test_a_reel_of_nothing_is_empty(tmp_path):
    assert reel((), "x", 1000) == ()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert reel((Picture(1, tmp_path / "bad.png"),), "x", 1000) == ()


def test_differences_come_first():
    differing, rest = settings({"a": 1, "b": [1, 2], "c": 3}, {"a": 2, "b": (1, 2), "d": 0})
    assert [(row["key"], row["value"], row["default"]) for row in differing] == [("a", "1", "2")]
    assert [row["key"] for row in rest] == ["b", "c"]


def test_the_environment_reads_as_a_table(lean_run):
    told = {
        "command": ["banach", "train", "--space", "Sobolev(s=-1)"],
        "gpu": "",
        "packages": {"a": "1"},
        "earlier": [{}, {}],
    }
    (lean_run / "environment.json").write_text(json.dumps(told))
    rows = {row["key"]: row["value"] for row in environment(read_run(lean_run))}
    assert rows == {"command": "banach train --space 'Sobolev(s=-1)'", "packages": "a 1", "earlier": "2 sessions"}


def test_a_run_on_data_in_memory_is_offered_no_command_that_needs_them(lean_run):
    assert any("--extend" in row["command"] for row in next_steps(read_run(lean_run)))
    config = lean_run / "config.yaml"
    config.write_text(config.read_text().replace("data: fashion", "data: array:0123456789ab"))
    assert not any("banach train" in row["command"] for row in next_steps(read_run(lean_run)))


def test_an_unknown_space_keeps_its_text():
    assert spelling("MyOwn(3)") == "MyOwn(3)"
    assert spelling("shape").startswith("shape = Sobolev(s=-1")
