"""The nearest point of a disc and of the square inscribed in it: clipping changes which of two points is nearer."""

import math
from typing import Any

import numpy as np

from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table

SIDE = math.sqrt(0.5)
"""Half the side of the square whose corners lie on the unit circle."""

POINT = (2.0, 0.5)
"""The dot of the figure: the text shows it without numbers."""


def to_ball(points: np.ndarray) -> np.ndarray:
    """The nearest points of the unit disc, x / max(1, |x|), of points (n, 2)."""
    return points / np.maximum(1.0, np.linalg.norm(points, axis=1, keepdims=True))


def to_box(points: np.ndarray) -> np.ndarray:
    """The nearest points of the inscribed square: each coordinate clipped."""
    return points.clip(-SIDE, SIDE)


def distances(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distances (n,) of points to the disc and to the square."""
    return tuple(np.linalg.norm(points - near(points), axis=1) for near in (to_ball, to_box))  # pyright: ignore


def reversed_share(points: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs whose nearer point is another for the square than for the disc."""
    (ball_a, box_a), (ball_b, box_b) = distances(points), distances(others)
    return float(((ball_a - ball_b) * (box_a - box_b) < 0).mean())


def run(setting: Setting) -> Outcome:
    """The figure's point, the ray through the corner, and random pairs outside of the disc."""
    n = setting.pick(2000, 200_000, 200_000)
    dot = np.array([POINT])
    ball, box = to_ball(dot), to_box(dot)
    corner = np.outer(np.linspace(1, 3, 50), [SIDE, SIDE])
    on_ray = float(np.abs(np.subtract(*distances(corner))).max())
    shares = []
    for seed in setting.seeds:
        rng = np.random.default_rng(seed)
        angle, radius = rng.uniform(0, 2 * np.pi, (2, n)), rng.uniform(1, 2, (2, n))
        first, second = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
        shares.append(reversed_share(first, second))
    numbers: dict[str, Any] = {
        "nearest on the disc": ball[0].tolist(),
        "nearest on the square": box[0].tolist(),
        "distances": [float(one[0]) for one in distances(dot)],
        "apart": float(np.linalg.norm(ball - box)),
        "largest difference on the ray through the corner": on_ray,
        "share of pairs in another order": shares,
    }
    checks = (
        Check("distance between the two nearest points", numbers["apart"], 0.1),
        Check("difference of the distances on the ray through the corner", on_ray, 1e-12, False),
        Check("share of random pairs in another order, least seed", min(shares), 0.01),
    )
    rows = (
        ("unit disc", f"({ball[0, 0]:.3f}, {ball[0, 1]:.3f})", f"{numbers['distances'][0]:.4f}"),
        ("inscribed square", f"({box[0, 0]:.3f}, {box[0, 1]:.3f})", f"{numbers['distances'][1]:.4f}"),
    )
    table = Table(f"The point {POINT}", ("set", "nearest point", "distance"), rows)
    settings = {"point": list(POINT), "pairs": n, "radii": [1, 2]}
    return Outcome(settings, numbers, checks, (table,), (_draw(setting, dot, ball, box),))


def _draw(setting: Setting, dot: np.ndarray, ball: np.ndarray, box: np.ndarray) -> Figure:
    caption = (
        "The nearest points of the disc and of the square to one dot; and shaded, by how much farther the square is"
        " than the disc: nothing on the rays through the corners, most before the middle of an edge."
    )
    with drawn(setting.folder, "clipping", caption, (5, 4)) as (figure, told):
        axes = figure.add_subplot()
        side = np.linspace(-2.2, 2.2, 200)
        grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
        near, far = distances(grid)
        shades = np.where(np.linalg.norm(grid, axis=1) >= 1, far - near, np.nan).reshape(200, 200)
        image = axes.imshow(shades, extent=(-2.2, 2.2, -2.2, 2.2), origin="lower", cmap="Purples")
        figure.colorbar(image, ax=axes, shrink=0.8)
        angle = np.linspace(0, 2 * np.pi, 200)
        axes.plot(np.cos(angle), np.sin(angle), color=COLOURS[2])
        axes.plot(SIDE * np.array([-1, 1, 1, -1, -1]), SIDE * np.array([-1, -1, 1, 1, -1]), color=COLOURS[0])
        for near_point, colour in ((ball, COLOURS[2]), (box, COLOURS[0])):
            axes.plot(*np.concatenate([dot, near_point]).T, "--", color=colour, linewidth=1)
            axes.plot(*near_point[0], "o", color=colour)
        axes.plot(*dot[0], "o", color=COLOURS[4])
        axes.set(aspect="equal", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
    return told


EXPERIMENT = Experiment(
    name="clipping-geometry",
    title="The nearest point under a ball and under a box",
    source="Geometric Intuition on Improved Wasserstein GANs, figure 2",
    claim="Finding the closest point in the unit ball is vastly different from finding it on the square inscribed in"
    " the ball. On the ray through the corner of the square the two distances coincide; in general they differ, and the"
    " ordering of points by distance is not the same for the circle and the square.",
    rule="The nearest points of (2, 0.5) are at least 0.1 apart; on the ray through a corner the distances differ by at"
    " most 1e-12; of random pairs of points outside of the disc (radii uniform in [1, 2]) at least 1% are in another"
    " order, with every seed.",
    run=run,
    cpu_minutes={"tiny": 0.05, "small": 0.1, "paper": 0.1},
    seeds={"tiny": 1, "small": 5, "paper": 5},
)
