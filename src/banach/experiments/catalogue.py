"""The experiments, by name, in the order of the source documents."""

from banach.experiments import (
    against_the_optimum,
    asymmetric_and_growing_penalty,
    clipping_geometry,
    compact_dual,
    critic_against_sinkhorn,
    dynamic_lipschitz,
    frechet_derivatives,
    gradient_directions,
    heuristics,
    histograms,
    image_gradients,
    losses,
    maxgp_against_gp,
    metric_spaces,
    mnist_subset,
    modes,
    norm_emphasis,
    norm_grid,
    objective_table,
    parallel_lines,
    snapshot_ensemble,
    stable_critic,
    uninformative_gradients,
    value_surfaces,
    weighted_and_product,
    wgan_gp_family,
)
from banach.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        histograms,
        clipping_geometry,
        parallel_lines,
        mnist_subset,
        value_surfaces,
        critic_against_sinkhorn,
        asymmetric_and_growing_penalty,
        dynamic_lipschitz,
        uninformative_gradients,
        compact_dual,
        gradient_directions,
        image_gradients,
        stable_critic,
        maxgp_against_gp,
        losses,
        objective_table,
        norm_grid,
        frechet_derivatives,
        norm_emphasis,
        heuristics,
        snapshot_ensemble,
        weighted_and_product,
        metric_spaces,
        wgan_gp_family,
        modes,
        against_the_optimum,
    )
}
"""What `banach reproduce NAME` runs."""
