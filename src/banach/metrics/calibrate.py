"""What the scores are for images of known quality; run it to print the table.

    python -m banach.metrics.calibrate [FOLDER]

FOLDER holds the four gzipped IDX files of Fashion-MNIST, as for `banach.metrics.train_fashion`. The reference is the
10,000 test images, which ship with the package; every row has 10,000 images too. (The classifier was trained on the
training images; the blurred and the noisy images are the reference's own.) Measured with the weights that ship::

    fashion 75f718df66da                  FID       KID    IS  precision  recall
    training images                      0.09   -0.0003  8.57      0.858   0.853
    the reference blurred 3x3            7.17    0.0752  8.10      0.815   0.147
    the reference with noise 8/255       2.72    0.0340  7.98      0.983   0.908
    training images, 5 classes of 10    31.75    0.3250  4.64      0.865   0.477
    one image 10,000 times             127.63    3.2980  1.00      1.000   0.000
    Gaussian, mean and covariance       43.19    0.4772  1.83      0.647   0.010
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from banach.data.bundled import fashion
from banach.metrics.features import extractor
from banach.metrics.scores import gaussian_baseline, score, shuffled
from banach.metrics.train_fashion import FOLDER, read


def blurred(images: Tensor) -> Tensor:
    """Each pixel the mean of its 3x3 neighbourhood, the border continued."""
    padded = functional.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(padded, 3, 1).round().byte()


def noisy(images: Tensor, width: float, rng: torch.Generator) -> Tensor:
    """Normal noise of that standard deviation, in grey levels, rounded and clamped."""
    return (images + width * torch.randn(images.shape, generator=rng)).round().clamp(0, 255).byte()


def table(folder: Path) -> list[str]:
    """The rows: what is scored, then FID, KID, IS, precision and recall of each."""
    reals = fashion().values[:]
    train, labels = read(folder, "train")
    rng = torch.Generator().manual_seed(0)
    few = torch.cat([(labels == one).nonzero()[:2000, 0] for one in range(5)])
    rows: dict[str, Callable[[], Tensor]] = {
        "training images": lambda: train[shuffled(len(train), 0)[: len(reals)]],
        "the reference blurred 3x3": lambda: blurred(reals),
        "the reference with noise 8/255": lambda: noisy(reals, 8, rng),
        "training images, 5 classes of 10": lambda: train[few],
        "one image 10,000 times": lambda: reals[:1].expand(len(reals), -1, -1, -1),
        "Gaussian, mean and covariance": lambda: gaussian_baseline(reals, len(reals), rng),
    }
    head = f"fashion {extractor('fashion').hash}"
    lines = [f"{head:34}    FID       KID    IS  precision  recall"]
    for name, images in rows.items():
        found = score(images(), reals, extractor="fashion")
        lines.append(
            f"{name:34}{found['fid']:7.2f}{found['kid']:10.4f}{found['is']:6.2f}"
            f"{found['precision']:11.3f}{found['recall']:8.3f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="The scores of images of known quality.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="the four .gz files of Fashion-MNIST")
    for line in table(parser.parse_args().folder):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
