"""Scores of generated images, each beside its floor and its protocol."""

from types import ModuleType

from jaxtyping import UInt8
from torch import Tensor

from banach.metrics.features import extractor as built


def _fid() -> ModuleType:
    from torch_fidelity import metric_fid

    return metric_fid


def fid(fakes: UInt8[Tensor, "n c h w"], reals: UInt8[Tensor, "m c h w"], extractor: str = "fashion") -> float:
    """The Frechet distance between Gaussians fitted to the two sets' features, statistics in float64."""
    module = _fid()
    of = built(extractor)
    fake, real = (module.fid_features_to_statistics(of.features(images).double()) for images in (fakes, reals))
    return module.fid_statistics_to_metric(fake, real, False)[module.KEY_METRIC_FID]
