"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    clipping_geometry,
    dynamic_lipschitz,
    frechet_derivatives,
    histograms,
    image_gradients,
    losses,
    metric_spaces,
    mnist_subset,
    norm_emphasis,
    norm_grid,
    objective_table,
    parallel_lines,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        parallel_lines,
        mnist_subset,
        dynamic_lipschitz,
        image_gradients,
        losses,
        objective_table,
        norm_grid,
        frechet_derivatives,
        norm_emphasis,
        metric_spaces,
    )
}
"""What `banach reproduce NAME` runs."""
