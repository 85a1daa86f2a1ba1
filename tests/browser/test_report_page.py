"""The report page in a real browser: it is laid out, fits a phone, follows the dark theme, and its slider works."""

import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from banach.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
write_run = runpy.run_path(str(Path(__file__).parents[1] / "unit" / "report" / "conftest.py"))["write_run"]


def chromium(page: Path, *flags: str) -> str:
    """What headless Chromium prints for the page."""
    home = page.parent / "browser-profile"
    base = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={home}"]
    done = subprocess.run([str(CHROMIUM), *base, *flags, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def screenshot(page: Path, width: int, height: int, *flags: str) -> np.ndarray:
    """The page's pixels, (height, width, 3)."""
    png = page.parent / "shot.png"
    chromium(page, f"--screenshot={png}", f"--window-size={width},{height}", *flags)
    with Image.open(png) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a synthetic run of eight sample grids."""
    return write_report(write_run(tmp_path_factory.mktemp("browser") / "demo", every=50))


def framed(page: Path, width: int, script: str) -> str:
    """The title that `script` sets on a page which holds the report in a frame of the given width."""
    outer = page.parent / f"frame{width}.html"
    outer.write_text(
        f'<iframe src="{page.name}" style="width:{width}px;height:900px;border:0"></iframe>'
        f"<script>onload = () => {{ const page = frames[0].document; {script} }};</script>"
    )
    dom = chromium(outer, "--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=5000")
    return dom.split("<title>")[1].split("</title>")[0]


def test_the_page_is_drawn_light_and_dark(page):
    light = screenshot(page, 1280, 1600)
    dark = screenshot(page, 1280, 1600, "--blink-settings=preferredColorScheme=0")
    assert light[5, 5].min() > 240
    assert dark[5, 5].max() < 40
    for shot in (light, dark):
        assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 200  # pictures and curves, not a blank sheet
        assert shot[-200:].std() > 5  # the page goes on below the first screen


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    script = "document.title = page.documentElement.scrollWidth + ' ' + page.querySelectorAll('svg').length"
    wide, curves = map(int, framed(page, width, script).split())
    assert wide <= width
    assert curves == 12


def test_the_slider_goes_back_in_time(page):
    script = (
        "const reel = page.querySelector('#reel-samples'), input = reel.querySelector('input');"
        "input.value = 0; input.dispatchEvent(new Event('input'));"
        "const shown = [...reel.querySelectorAll('.frames > div')].filter(one => one.offsetHeight > 0);"
        "document.title = shown.length + ' ' + shown[0].dataset.step + ' ' + reel.querySelector('output').value"
    )
    assert framed(page, 1000, script) == "1 500 500"
