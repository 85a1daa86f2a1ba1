"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    against_the_optimum,
    clipping_geometry,
    heuristics,
    histograms,
    losses,
    modes,
    snapshot_ensemble,
    weighted_and_product,
    wgan_gp_family,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        losses,
        heuristics,
        snapshot_ensemble,
        weighted_and_product,
        wgan_gp_family,
        modes,
        against_the_optimum,
    )
}
"""What `banach reproduce NAME` runs."""
