"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    clipping_geometry,
    dynamic_lipschitz,
    histograms,
    image_gradients,
    losses,
    metric_spaces,
    norm_emphasis,
    parallel_lines,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        parallel_lines,
        dynamic_lipschitz,
        image_gradients,
        losses,
        norm_emphasis,
        metric_spaces,
    )
}
"""What `banach reproduce NAME` runs."""
