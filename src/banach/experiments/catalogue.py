"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    asymmetric_and_growing_penalty,
    clipping_geometry,
    critic_against_sinkhorn,
    histograms,
    losses,
    maxgp_against_gp,
    value_surfaces,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        value_surfaces,
        critic_against_sinkhorn,
        asymmetric_and_growing_penalty,
        maxgp_against_gp,
        losses,
    )
}
"""What `banach reproduce NAME` runs."""
