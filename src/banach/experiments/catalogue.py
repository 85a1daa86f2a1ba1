"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    clipping_geometry,
    frechet_derivatives,
    histograms,
    losses,
    mnist_subset,
    norm_grid,
    objective_table,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        mnist_subset,
        losses,
        objective_table,
        norm_grid,
        frechet_derivatives,
    )
}
"""What `banach reproduce NAME` runs."""
