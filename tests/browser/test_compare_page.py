"""The page of a comparison in a real browser: no error, the table sorts, curves are drawn, pictures show."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_runs import Told, sweep, write

from banach.report.comparison import compare, find_runs, methods_of, read_member, write_comparison

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("plotly") is None, reason="plotly is not installed"),
]
KEPT = Path(os.environ.get("BANACH_SCREENSHOTS", Path(__file__).parents[2] / "build" / "screenshots"))
"""Where the screenshot stays for people to look at."""


def chromium(page: Path, *flags: str) -> tuple[str, list[str]]:
    """What headless Chromium prints for a page, and what its console and its network said."""
    home = page.parent / "browser-profile"
    base = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={home}"]
    base += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=8000", "--allow-file-access-from-files"]
    done = subprocess.run([str(CHROMIUM), *base, *flags, page.as_uri()], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of eleven runs: three norms over seeds, some of which do not count."""
    folder = tmp_path_factory.mktemp("compare")
    runs = [read_member(one) for one in find_runs([sweep(folder / "sweep", pictures=True)]).folders]
    return write_comparison(compare(runs, methods_of(runs), "Lp(p=2)"), folder / "compare.html")


ASKED = """
const page = frames[0].document, view = frames[0], found = {};
const names = () => [...page.querySelectorAll('#table-steps tbody tr')].map((row) => row.cells[0].dataset.value);
const head = (at) => page.querySelectorAll('#table-steps thead th')[at];
const shown = (one) => one.getClientRects().length > 0;
found.before = names();
head(2).querySelector('button').click(); found.up = names(); found.sorted = head(2).getAttribute('aria-sort');
head(2).querySelector('button').click(); found.down = names();
head(0).querySelector('button').click(); found.byName = names();
found.pictures = [...page.images].map((one) => one.complete && one.naturalWidth > 0);
found.visible = [...page.images].filter(shown).length;
const plot = page.getElementById('plot');
found.traces = plot.data.length; found.legend = plot.querySelectorAll('.legendtext').length;
found.paths = plot.querySelectorAll('.scatterlayer path.js-line').length;
const choice = page.getElementById('quantity');
choice.value = [...choice.options].findIndex((one) => one.text === 'Critic gap');
choice.dispatchEvent(new view.Event('change')); found.gap = plot.layout.yaxis.title.text;
page.querySelector('input[name=axis][value=minutes]').click(); found.axis = plot.layout.xaxis.title.text;
found.hover = plot.data[0].meta;
page.querySelector('input[name=by-scores][value=time]').click();
found.tables = [...page.querySelectorAll('table.scores')].map(shown);
found.other = page.querySelector('input[name=by-runs][value=time]').checked;
const seed = page.querySelector('#gallery-samples select');
const before = page.querySelector('#gallery-samples .seed-of.now img').alt;
seed.value = 1; seed.dispatchEvent(new view.Event('change'));
found.seeds = [before, page.querySelector('#gallery-samples .seed-of.now img').alt];
found.wide = page.documentElement.scrollWidth;
document.title = JSON.stringify(found);
"""


def test_the_table_sorts_curves_are_drawn_and_pictures_show(page):
    outer = page.parent / "frame.html"
    outer.write_text(
        f'<iframe src="{page.name}" style="width:1000px;height:900px;border:0"></iframe>'
        f"<script>onload = () => {{ {ASKED} }};</script>"
    )
    dom, said = chromium(outer, "--dump-dom", "--window-size=1100,1000")
    assert said == []
    found = json.loads(dom.split("<title>")[1].split("</title>")[0].replace("&amp;", "&"))
    assert found["before"] == ["Lp(p=2)", "Lp(p=10)", "Sobolev(s=-1)"]
    assert found["up"] == ["Sobolev(s=-1)", "Lp(p=10)", "Lp(p=2)"]  # by the mean of FID
    assert found["sorted"] == "ascending"
    assert found["down"] == found["up"][::-1]
    assert found["byName"] == ["Lp(p=2)", "Lp(p=10)", "Sobolev(s=-1)"]
    assert len(found["pictures"]) > 6
    assert all(found["pictures"])
    assert found["visible"] == 7  # of one seed: samples and derivatives of three methods, and the reals
    assert found["traces"] == 14  # eleven runs, three means
    assert found["legend"] == 3
    assert found["paths"] > 10
    assert (found["gap"], found["axis"]) == ("Critic gap", "minutes of training")
    assert "seed 0" in found["hover"][1]
    assert found["tables"] == [False, True]
    assert found["other"] is True
    assert "seed 0" in found["seeds"][0]
    assert "seed 1" in found["seeds"][1]
    assert found["wide"] <= 1000


def test_it_is_drawn_without_an_error_and_the_screenshot_is_kept(page):
    png = page.parent / "compare.png"
    _, said = chromium(page, f"--screenshot={png}", "--window-size=1360,3300")
    assert said == []
    with Image.open(png) as image:
        shot = np.asarray(image.convert("RGB"))
    assert len(np.unique(shot[::3, ::3].reshape(-1, 3), axis=0)) > 200
    assert shot[5, 5].min() > 240
    KEPT.mkdir(parents=True, exist_ok=True)
    shutil.copy(png, KEPT / "compare.png")


def test_errors_of_a_page_are_seen(tmp_path):
    """That the tests above say nothing of an error means something."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>console.error('one'); undefined.two;</script>")
    _, said = chromium(broken, "--dump-dom")
    assert any("one" in line for line in said)
    assert any("TypeError" in line for line in said)


def test_methods_sort_by_the_numbers_in_their_names(tmp_path):
    rates = (1e-3, 2e-4, 1e-4, 0.5, 2e-5)
    runs = [read_member(write(tmp_path / f"run{at}", Told(config={"lr": lr}))) for at, lr in enumerate(rates)]
    write_comparison(compare(runs, methods_of(runs)), tmp_path / "page.html")
    asked = """
    const table = frames[0].document.querySelector('#table-steps');
    table.querySelector('thead button').click();
    document.title = [...table.querySelectorAll('td.method')].map((one) => one.dataset.value).join(' ');
    """
    outer = tmp_path / "frame.html"
    outer.write_text(f'<iframe src="page.html"></iframe><script>onload = () => {{ {asked} }};</script>')
    said, console = chromium(outer, "--dump-dom")
    assert not console
    assert "<title>lr=2e-05 lr=0.0001 lr=0.0002 lr=0.001 lr=0.5</title>" in said
