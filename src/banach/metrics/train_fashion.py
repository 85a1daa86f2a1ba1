"""How the classifier of the extractor `fashion` was trained; run it to train it again.

    python -m banach.metrics.train_fashion [FOLDER]

FOLDER holds the four gzipped IDX files of Fashion-MNIST (Debian's package dataset-fashion-mnist installs them at the
default). The network sees all 60,000 training images and nothing else; every constant below was fixed before the
10,000 test images were read, once, for the accuracy that is stored in the file's metadata. About four minutes on two
CPU cores with bfloat16. Rounding differs between machines, so the weights will not come out bit for bit.
"""

import argparse
import gzip
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from banach.metrics.features import Classifier

FOLDER = Path("/usr/share/datasets/fashion-mnist")
OUT = Path(__file__).parent / "assets" / "fashion.safetensors"
BATCH, PEAK_RATE, WEIGHT_DECAY, DROPOUT = 128, 4e-3, 1e-2, 0.3


def read_idx(path: Path) -> Tensor:
    """The uint8 tensor of a gzipped IDX file (magic number 0 0 8 rank, sizes as big-endian 32-bit integers)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of bytes; give the folder of Fashion-MNIST's four .gz files")
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(*shape).copy())


class Trained(nn.Module):
    """The classifier as it is trained: batch normalisation after each convolution, dropout before the logits."""

    def __init__(self):
        super().__init__()
        self.plain = Classifier()
        self.norms = nn.ModuleList([nn.BatchNorm2d(one.out_channels) for one in convolutions(self.plain)])

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.plain.convolutions, self.norms, strict=True):
            x = functional.max_pool2d(norm(convolution(x)).relu(), 2, ceil_mode=True)
        features = self.plain.hidden(x.flatten(1)).relu()
        return self.plain.output(functional.dropout(features, DROPOUT, self.training))


def convolutions(classifier: Classifier) -> list[nn.Conv2d]:
    return [one for one in classifier.convolutions if isinstance(one, nn.Conv2d)]


@torch.no_grad()
def folded(trained: Trained) -> Classifier:
    """The plain classifier: norm(conv x) = (s w) x + s (b - mean) + beta with s = gamma / sqrt(var + eps)."""
    plain = Classifier()
    plain.load_state_dict(trained.plain.state_dict())
    for convolution, norm in zip(convolutions(plain), trained.norms, strict=True):
        assert isinstance(norm, nn.BatchNorm2d)
        assert convolution.bias is not None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        convolution.weight.mul_(scale[:, None, None, None])
        convolution.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias)
    return plain.eval()


def augmented(images: Tensor, rng: torch.Generator) -> Tensor:
    """Float images in [0, 1]: mirrored for one in two, moved by up to 2 pixels, zoomed by 0.85 to 1.1."""
    n = len(images)
    zoom = torch.empty(n).uniform_(1 / 1.1, 1 / 0.85, generator=rng)
    mirror = torch.randint(2, (n,), generator=rng) * 2 - 1
    shift = torch.empty(n, 2).uniform_(-2 / 14, 2 / 14, generator=rng)
    zero = torch.zeros(n)
    rows = torch.stack(
        [torch.stack([zoom * mirror, zero, shift[:, 0]], 1), torch.stack([zero, zoom, shift[:, 1]], 1)], 1
    )
    grid = functional.affine_grid(rows, [n, 1, 28, 28], align_corners=False)
    return functional.grid_sample(images.float() / 255, grid, align_corners=False)


def train(images: Tensor, labels: Tensor, epochs: int, seed: int) -> Classifier:
    """AdamW on the cross-entropy, the rate rising to its peak in the first fifth and then falling as a cosine to 0."""
    torch.manual_seed(seed)  # a script of its own: initial weights and dropout come from the global generator
    rng = torch.Generator().manual_seed(seed)
    model = Trained().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.2)
    began = time.monotonic()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(images), generator=rng).split(BATCH)[: len(images) // BATCH]:
            x = augmented(images[rows], rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(x)
            loss = functional.cross_entropy(logits.float(), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        minutes = (time.monotonic() - began) / 60
        sys.stdout.write(f"epoch {epoch + 1}/{epochs}  loss {total * BATCH / len(images):.4f}  {minutes:.1f} min\n")
        sys.stdout.flush()
    return folded(model.eval())


@torch.inference_mode()
def accuracy(classifier: Classifier, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is their label's."""
    right = sum(int((classifier(x.float() / 255)[1].argmax(1) == y).sum())
                for x, y in zip(images.split(500), labels.split(500), strict=True))  # fmt: skip
    return right / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the classifier of the extractor `fashion`.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="the four .gz files of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=OUT, help="the weights file to write")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)

    images = read_idx(asked.folder / "train-images-idx3-ubyte.gz")[:, None]
    labels = read_idx(asked.folder / "train-labels-idx1-ubyte.gz").long()
    classifier = train(images, labels, asked.epochs, asked.seed)

    stored = {key: one.half().contiguous() for key, one in classifier.state_dict().items()}
    classifier.load_state_dict({key: one.float() for key, one in stored.items()})  # what is measured is what is shipped
    test_images = read_idx(asked.folder / "t10k-images-idx3-ubyte.gz")[:, None]
    test_labels = read_idx(asked.folder / "t10k-labels-idx1-ubyte.gz").long()
    share = accuracy(classifier, test_images, test_labels)
    error = math.sqrt(share * (1 - share) / len(test_images))
    facts = {
        "what": "Fashion-MNIST classifier of banach.metrics, batch normalisation folded in, float16",
        "script": "python -m banach.metrics.train_fashion",
        "trained_on": "the 60,000 training images",
        "test_accuracy": f"{share:.4f}",
        "test_images": "the 10,000 test images, never trained on",
        "epochs": str(asked.epochs),
        "seed": str(asked.seed),
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(save(stored, facts))
    sys.stdout.write(f"accuracy on the test images {share:.4f} (standard error {error:.4f}); wrote {asked.out}\n")


if __name__ == "__main__":
    main()
