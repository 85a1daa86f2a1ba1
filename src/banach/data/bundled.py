"""The real images that ship with the package, so that nothing need be fetched for a first run."""

from pathlib import Path

import numpy as np
import torch

from banach.data.dataset import DATASETS, Raw

ASSET = Path(__file__).parent / "assets" / "fashion.npz"

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@DATASETS.register(name="fashion")
def fashion() -> Raw:
    """10,000 grey 28x28 pictures of clothes (Fashion-MNIST's test part), shipped with the package"""
    with np.load(ASSET, allow_pickle=False) as arrays:
        images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    notes = (f"{len(images):,} grey images 28x28, Fashion-MNIST's test part as shipped with the package",)
    return Raw("fashion", images[:, None], labels.long(), FASHION_CLASSES, notes)
