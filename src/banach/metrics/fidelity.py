"""The border to torch-fidelity, which computes FID, KID, IS, precision and recall from features.

It is imported at the first score. It is always asked quietly, with explicit seeds, and in
float64 but for the neighbour distances of precision and recall.
"""

import functools

import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from banach.metrics.features import Extractor, torch_fidelity

PAIRS = 2**23  # distances held at a time by precision and recall: 32 MB, whatever the number of samples


def fid(fakes: Float[Tensor, "n d"], reals: Float[Tensor, "m d"]) -> float:
    """The squared Frechet distance of the Gaussians with the two sets' means and covariances.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), the trace of the root from the eigenvalues of C C'; statistics in
    float64. It falls as n and m grow (its bias is of order dim/n): compare at equal counts only. Heusel et al. 2017.
    """
    module = torch_fidelity().metric_fid
    with threadpool_limits(torch.get_num_threads(), user_api="blas"):  # NumPy knows nothing of torch's threads
        statistics = [module.fid_features_to_statistics(one.double()) for one in (fakes, reals)]
        value = module.fid_statistics_to_metric(*statistics, verbose=False)[module.KEY_METRIC_FID]
    return max(0.0, value)  # rounding can leave -1e-6 for equal sets


def kid(fakes: Float[Tensor, "n d"], reals: Float[Tensor, "m d"], subsets: int, size: int, seed: int) -> float:
    """The squared MMD with kernel (x.y/d + 1)^3, unbiased (so it may be negative), averaged over random subsets.

    `subsets` pairs of subsets of `size` samples each, drawn without replacement by `seed`. Binkowski et al. 2018.
    """
    module = torch_fidelity().metric_kid
    found = module.kid_features_to_metric(
        fakes.double(), reals.double(), kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    return found[module.KEY_METRIC_KID_MEAN]


def inception_score(logits: Float[Tensor, "n c"], splits: int, seed: int) -> float:
    """exp E KL(p(y|x) || p(y)), between 1 and the number of classes; Salimans et al. 2016.

    The mean over `splits` parts of equal size, after a shuffle by `seed`; small parts give small scores.
    """
    module = torch_fidelity().metric_isc
    return module.isc_features_to_metric(logits, splits, True, seed)[module.KEY_METRIC_ISC_MEAN]


def precision_recall(fakes: Float[Tensor, "n d"], reals: Float[Tensor, "m d"], neighbours: int) -> tuple[float, float]:
    """The share of fakes inside the reals' balls, and of reals inside the fakes'.

    A ball reaches from a sample to its `neighbours`-th nearest sample of its own set. Kynkaanniemi et al. 2019.
    Time grows with (n + m)^2, memory only with n + m.
    """
    module = torch_fidelity().metric_prc
    found = module.prc_features_to_metric(
        fakes.float(), reals.float(), prc_neighborhood=neighbours, save_cpu_ram=True, verbose=False,
        prc_batch_size=max(1, PAIRS // max(len(fakes), len(reals))),
    )  # fmt: skip
    return found[module.KEY_METRIC_PRECISION], found[module.KEY_METRIC_RECALL]


@functools.cache
def registered(extractor: Extractor) -> str:
    """Register an extractor with torch-fidelity and return the name to give `calculate_metrics(feature_extractor=)`.

    Its features are called "features", its logits "logits"; inputs are data sets of uint8 tensors (c, h, w).
    """
    module = torch_fidelity()
    layers = ("features", "logits") if extractor.classes else ("features",)

    class Registered(module.FeatureExtractorBase):
        def __init__(self, name, features_list, **settings):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return layers

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled():
            return False

        def forward(self, images):
            features, logits = extractor.activations(images)
            return tuple(features if layer == "features" else logits for layer in self.features_list)

    name = f"banach-{extractor.name}-{extractor.hash}"
    module.register_feature_extractor(name, Registered)
    return name


def version() -> str:
    """The version of torch-fidelity, for the protocol."""
    return torch_fidelity().__version__
