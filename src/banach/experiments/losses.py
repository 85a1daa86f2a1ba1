"""phi and varphi of the objectives, drawn, with the conditions of Lipschitz GANs that they meet."""

import torch

from banach.experiments.drawing import COLOURS, drawn
from banach.experiments.experiment import Check, Experiment, Figure, Outcome, Setting, Table
from banach.objectives import conditions, objective

DRAWN = {"x": "wasserstein", "exp": "exp", "logistic": "logistic", "sqrt": "sqrt", "hinge": "hinge",
         "least squares": "least_squares:a=-1,b=1"}  # fmt: skip
"""The six objectives of figure 13 and table 2, as this package spells them."""

MEETING = ("wasserstein", "exp", "logistic", "sqrt")
"""Those of which the text says that they meet the conditions."""

REACH = 3.0


def run(setting: Setting) -> Outcome:
    """The conditions of each, and the figure."""
    met = {spec: conditions(objective(spec)) for spec in DRAWN.values()}
    checks = (
        *(Check(f"{spec}: conditions of eq. 11 met (1 for all)", float(met[spec]["all"]), 1.0) for spec in MEETING),
        *(Check(f"{spec}: strictly convex", float(met[spec]["strict"]), 1.0) for spec in ("exp", "logistic", "sqrt")),
        Check("wasserstein: strictly convex", float(met["wasserstein"]["strict"]), 0.0, False),
        *(
            Check(f"{spec}: conditions of eq. 11 met", float(met[spec]["all"]), 0.0, False)
            for spec in ("hinge", "least_squares:a=-1,b=1")
        ),
    )
    keys = ("phi_increasing", "varphi_decreasing", "phi_convex", "varphi_convex", "balance", "strict")
    rows = tuple((name, *("yes" if met[spec][key] else "no" for key in keys)) for name, spec in DRAWN.items())
    table = Table("Conditions on [-20, 20], by float64 differentiation",
                  ("objective", "phi' > 0", "varphi' < 0", "phi'' >= 0", "varphi'' >= 0", "balance", "strictly convex"),
                  rows)  # fmt: skip
    return Outcome({"objectives": DRAWN, "reach": 20}, {"conditions": met}, checks, (table,), (_draw(setting),))


def _draw(setting: Setting) -> Figure:
    caption = "phi (on fakes, solid) and varphi (on reals, dashed) of each objective."
    f = torch.linspace(-REACH, REACH, 301, dtype=torch.float64)
    with drawn(setting.folder, "losses", caption, (9, 4.6)) as (figure, told):
        for at, (name, spec) in enumerate(DRAWN.items()):
            of, axes = objective(spec), figure.add_subplot(2, 3, at + 1)
            axes.plot(f, of.phi(f), color=COLOURS[0], label="phi")
            axes.plot(f, of.varphi(f), "--", color=COLOURS[1], label="varphi")
            axes.set(title=name, ylim=(-3.2, 6.5), xlim=(-REACH, REACH))
            axes.axhline(0, color=COLOURS[5], linewidth=0.5)
        figure.axes[0].legend(frameon=False)
    return told


EXPERIMENT = Experiment(
    name="losses",
    title="The losses of the objectives",
    source="Lipschitz GANs, figure 13 and eq. 11",
    claim="phi(x) = x, exp(x), -log(sigmoid(-x)) and x + sqrt(x^2 + 1) with varphi(x) = phi(-x) meet the conditions of"
    " Lipschitz GANs; all but x are strictly convex, so that their optimal critic is unique. The hinge and least"
    " squares are compared although they do not meet them.",
    rule="Each of the four meets all conditions on [-20, 20] and each but x is strictly convex there; the hinge and"
    " least squares fail at least one condition.",
    run=run,
    cpu_minutes={"tiny": 0.05, "small": 0.2, "paper": 0.05},
)
