"""The page of a comparison as docs/compare.md shows it: `python -m benchmarks.comparison_figure [SWEEP]`.

SWEEP are runs as `banach compare` takes them; by default those of `banach reproduce norm-grid --out runs/reproduction`.
The page is written beside the sweep, and its upper part is drawn by headless Chromium to docs/pictures/comparison.png.
Exit code 2 where Chromium or the runs are missing.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from banach.errors import BanachError
from banach.report.comparison import compare, find_runs, methods_of, read_member, write_comparison

PICTURE = Path("docs/pictures/comparison.png")
RUNS = "runs/reproduction/norm-grid/sweep"
BASELINE = "Sobolev(s=0, p=2)"
WIDTH, HEIGHT, COLOURS = 1300, 1300, 128


def drawn(page: Path, picture: Path, chromium: str) -> None:
    """The upper part of a page as a picture of few colours."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/home"]
        flags += [f"--screenshot={shot}", f"--window-size={WIDTH},{HEIGHT}", "--virtual-time-budget=8000"]
        subprocess.run([chromium, *flags, page.resolve().as_uri()], check=True, capture_output=True, timeout=300)
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.open(shot).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


def main(argv: list[str] | None = None) -> int:
    """Compare, and draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", default=RUNS)
    parser.add_argument("--baseline", default=BASELINE)
    parser.add_argument("--picture", default=PICTURE, type=Path)
    asked = parser.parse_args(argv)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("Chromium is not installed")
        return 2
    try:
        members = [read_member(one) for one in find_runs([asked.runs]).folders]
        found = compare(members, methods_of(members), asked.baseline)
    except BanachError as error:
        print(error)
        return 2
    command = f"banach compare {asked.runs} --baseline '{asked.baseline}'"
    page = write_comparison(found, Path(asked.runs).parent / "comparison.html", command=command)
    drawn(page, asked.picture, chromium)
    print(f"{page}, {asked.picture}: {len(found.methods)} methods, {len(members)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
