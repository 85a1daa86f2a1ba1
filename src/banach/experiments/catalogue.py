"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    clipping_geometry,
    compact_dual,
    gradient_directions,
    histograms,
    losses,
    stable_critic,
    uninformative_gradients,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        uninformative_gradients,
        compact_dual,
        gradient_directions,
        stable_critic,
        losses,
    )
}
"""What `banach reproduce NAME` runs."""
