"""Scores of samples, each beside its floor: FID and its kin for images, W1 and moments for arrays and points."""

from banach.metrics.features import EXTRACTORS, Extractor, ScoreError, extractor, extractor_for
from banach.metrics.fields import evaluate_fields, moment_errors, w1
from banach.metrics.scores import Scores, Settings, class_shares, evaluate, fid, gaussian_baseline, score
from banach.metrics.transported import Transported, transported

__all__ = [
    "EXTRACTORS",
    "Extractor",
    "ScoreError",
    "Scores",
    "Settings",
    "Transported",
    "class_shares",
    "evaluate",
    "evaluate_fields",
    "extractor",
    "extractor_for",
    "fid",
    "gaussian_baseline",
    "moment_errors",
    "score",
    "transported",
    "w1",
]
