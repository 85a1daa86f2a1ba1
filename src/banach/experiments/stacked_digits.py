"""Stacked digits: three digits as the channels of one picture, 1,000 modes, and the classifier that counts them."""

import functools
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from banach.errors import BanachError

CHANNELS, CLASSES = 3, 10
MODES = CLASSES**CHANNELS


def sklearn_parts() -> tuple[ModuleType, ModuleType]:
    """scikit-learn's data sets and its support vector machines; BanachError where it is not installed."""
    try:
        from sklearn import datasets, svm
    except ImportError:
        raise BanachError("stacked digits need scikit-learn; pip install 'banach[experiments]'") from None
    return datasets, svm


@dataclass(frozen=True)
class Digits:
    """scikit-learn's 1,797 handwritten digits (8x8, grey levels 0 to 16), and a classifier of half of them.

    `images` (n, 64) and `labels` (n,) are the half that stacks are made of, which the classifier has not seen;
    `accuracy` is its share of right answers there.
    """

    images: np.ndarray
    labels: np.ndarray
    classifier: Any
    accuracy: float


@functools.cache
def digits() -> Digits:
    """The digits, halved by a fixed draw; a support vector machine with radial kernel 0.001 learns one half."""
    datasets, svm = sklearn_parts()
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    taught, others = np.array_split(order, 2)
    classifier = svm.SVC(gamma=0.001).fit(found.data[taught], found.target[taught])
    accuracy = float(classifier.score(found.data[others], found.target[others]))
    return Digits(found.data[others], found.target[others], classifier, accuracy)


def stacks(n: int, seed: int) -> UInt8[Tensor, "n 3 8 8"]:
    """n pictures of three digits each, drawn independently; 0 to 16 become 0 to 255."""
    of = digits()
    rows = np.random.default_rng(seed).integers(len(of.images), size=(n, CHANNELS))
    return torch.from_numpy(np.rint(of.images[rows].reshape(n, CHANNELS, 8, 8) * 255 / 16).astype(np.uint8))


def classes(pictures: UInt8[Tensor, "n 3 8 8"]) -> np.ndarray:
    """The mode (n,) of each picture: its three digits, by the classifier, as one number from 0 to 999."""
    flat = pictures.double().numpy().reshape(-1, 64) * 16 / 255
    found = digits().classifier.predict(flat).reshape(-1, CHANNELS)
    return found @ CLASSES ** np.arange(CHANNELS)[::-1]


def counted(modes: np.ndarray) -> dict[str, float]:
    """How many of the 1,000 modes there are, and KL of their shares from equal ones, in nats."""
    shares = np.bincount(modes, minlength=MODES) / len(modes)
    there = shares[shares > 0]
    return {"covered": float(len(there)), "kl": float((there * np.log(there * MODES)).sum())}


def expected(n: int) -> float:
    """How many of 1,000 equally likely modes n independent draws hit in the mean: 1000 (1 - (1 - 1/1000)^n)."""
    return MODES * -math.expm1(n * math.log1p(-1 / MODES))


def to_pictures(samples: Float[Tensor, "n 3 8 8"]) -> UInt8[Tensor, "n 3 8 8"]:
    """Samples in [-1, 1] as grey levels."""
    return ((samples + 1) * 127.5).round().clamp(0, 255).byte()
