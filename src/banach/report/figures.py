"""Figures drawn into files: the one place that imports matplotlib, which is asked for no window and no pyplot."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

_LOOKS = (
    "axes", "figure", "font", "grid", "image", "legend", "lines", "mathtext", "patch", "path", "savefig", "svg", "text",
    "xaxis", "xtick", "yaxis", "ytick",
)  # fmt: skip
"""The first parts of matplotlib's keys that say how a figure looks."""


def agg_figure(**settings: Any) -> Any:
    """An empty `matplotlib.figure.Figure` on an Agg canvas of its own; `settings` are the parameters of `Figure`.

    It needs no display, and no backend that the user chose: it is the same in a notebook, over ssh and in a job.
    """
    library = _matplotlib()
    found = library.figure.Figure(**settings)
    library.backends.backend_agg.FigureCanvasAgg(found)
    return found


@contextlib.contextmanager
def looks(settings: Mapping[str, Any]) -> Iterator[None]:
    """Inside, figures look as matplotlib's defaults and `settings` say, whatever style the user has set.

    A style of the user's may need what is not there (`text.usetex` needs LaTeX), and would make two pages of one run
    differ. The user's settings are back on leaving.
    """
    library = _matplotlib()
    with library.rc_context({**_defaults(library), **settings}):
        yield


def _defaults(library: ModuleType) -> dict[str, Any]:
    """Matplotlib's own values of the keys that say how a figure looks, as far as the user has others."""
    own, now = library.rcParamsDefault, library.rcParams
    return {key: own[key] for key in own if key.split(".")[0] in _LOOKS and own[key] != now[key]}


def _matplotlib() -> ModuleType:
    """Matplotlib with its Agg backend, whatever MPLBACKEND says: the kernel of a notebook passes its own on.

    Matplotlib refuses to be imported where that names a backend that is not installed. So it is imported without, and
    told afterwards, as it would have told itself: a user's own pyplot finds what was asked for.
    """
    asked = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
    if asked:
        with contextlib.suppress(ValueError):  # it is not there; who wants it is told by matplotlib
            matplotlib.rcParams["backend"] = asked
    return matplotlib
