"""How the classifier of the extractor `fashion` was trained; run it to train it again.

    python -m banach.metrics.train_fashion [FOLDER]

FOLDER holds the four gzipped IDX files of Fashion-MNIST (Debian's package dataset-fashion-mnist installs them at the
default). The network learns from all 60,000 training images and nothing else; the 10,000 test images serve for the
accuracy that is stored in the file's metadata, and no constant below was tuned on them. (One earlier run is all there
was; it had no normalisation in the hidden layer and a fifth of its features were dead, which is why there is one now.)
About five minutes on two idle CPU cores with bfloat16. Rounding differs between machines, so the weights will not come
out bit for bit.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from banach.data.idx import find_idx, read_idx
from banach.files import write_bytes
from banach.metrics.features import Classifier

FOLDER = Path("/usr/share/datasets/fashion-mnist")
OUT = Path(__file__).parent / "assets" / "fashion.safetensors"
BATCH, PEAK_RATE, WEIGHT_DECAY, DROPOUT = 128, 4e-3, 1e-2, 0.3


def read(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28) uint8 and labels (n,) of the part "train" or "t10k"."""
    images = read_idx(find_idx(folder, f"{part}-images-idx3-ubyte"), axes=3)
    labels = read_idx(find_idx(folder, f"{part}-labels-idx1-ubyte"), axes=1)
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()


class Trained(nn.Module):
    """The classifier as it is trained: batch normalisation before each rectifier, dropout before the logits."""

    def __init__(self):
        super().__init__()
        self.plain = Classifier()
        self.norms = nn.ModuleList([nn.BatchNorm2d(width) for width in (32, 64, 128)])
        self.hidden_norm = nn.BatchNorm1d(128)  # without it a fifth of the features died: 0 on every image

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.plain.convolutions, self.norms, strict=True):
            x = functional.max_pool2d(norm(convolution(x)), 2, ceil_mode=True).relu()
        features = self.hidden_norm(self.plain.hidden(x.flatten(1))).relu()
        return self.plain.output(functional.dropout(features, DROPOUT, self.training))


@torch.no_grad()
def folded(trained: Trained) -> Classifier:
    """The plain classifier: norm(A x + b) = (s A) x + s (b - mean) + beta with s = gamma / sqrt(var + eps)."""
    plain = Classifier()
    plain.load_state_dict(trained.plain.state_dict())
    layers = [*plain.convolutions, plain.hidden]
    for layer, norm in zip(layers, [*trained.norms, trained.hidden_norm], strict=True):
        state = norm.state_dict()
        scale = state["weight"] / (state["running_var"] + norm.eps).sqrt()
        layer.weight.mul_(scale.view(-1, *[1] * (layer.weight.ndim - 1)))
        layer.bias.sub_(state["running_mean"]).mul_(scale).add_(state["bias"])
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

    classifier = train(*read(asked.folder, "train"), asked.epochs, asked.seed)

    stored = {key: one.half().contiguous() for key, one in classifier.state_dict().items()}
    classifier.load_state_dict({key: one.float() for key, one in stored.items()})  # what is measured is what is shipped
    test_images, test_labels = read(asked.folder, "t10k")
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
    write_bytes(asked.out, save(stored, facts))
    sys.stdout.write(f"accuracy on the test images {share:.4f} (standard error {error:.4f}); wrote {asked.out}\n")


if __name__ == "__main__":
    main()
