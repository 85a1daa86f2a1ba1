"""The experiments, by name, in the order of the source documents."""

from banach.experiments import clipping_geometry, histograms, losses
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        losses,
    )
}
"""What `banach reproduce NAME` runs."""
