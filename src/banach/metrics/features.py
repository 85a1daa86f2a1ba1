"""Feature extractors: the fixed networks in whose features images are compared.

A score such as FID means nothing without its extractor, so an `Extractor` carries the hash of its weights and the
text of its input protocol, and `banach.metrics.scores` writes both beside every number. Registered here:

* ``fashion``: the classifier that ships with the package (`banach.metrics.train_fashion` trained it on the 60,000
  training images of Fashion-MNIST; the bundled demo data are the 10,000 test images, which it never saw);
* ``pixels``: the images themselves, at most 8x8 per channel: crude, but honest on any image shape;
* ``inception``: the network of the literature's FID, from the local weights file that $BANACH_INCEPTION names.
"""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import ModuleType

import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from banach.data.rows import Rows, Samples
from banach.errors import BanachError
from banach.specs import Registry

EXTRACTORS = Registry("extractor")


class ScoreError(BanachError):
    """Images, settings or an extractor that cannot give the score asked for; the message names the remedy."""


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A fixed map from uint8 images (n, c, h, w) to features (n, dim), and to class logits where it has classes.

    `network` takes a uint8 block (b, c, h, w) and gives (features (b, dim), logits (b, classes) or None), in
    evaluation mode and without side effects: the same images give the same numbers in any order. `hash` names the
    weights (the first 12 hexadecimal digits of their SHA-256), `protocol` says in a sentence how images of other
    sizes and channel counts are brought to the network's input. Without `neighbours`, precision and recall are not
    taken: the features do not tell apart what lies among the reals from what is like them.

    A plugin adds its own under a name, as a function without arguments, called once at first use::

        @EXTRACTORS.register(name="mine", summary="what the features are")
        def mine() -> Extractor:
            return Extractor("mine", weights_hash, 64, 0, "resized to 64x64, bilinear, antialiased", network)
    """

    name: str
    hash: str
    dim: int
    classes: int
    protocol: str
    network: Callable[[Tensor], tuple[Tensor, Tensor | None]] = dataclasses.field(repr=False, compare=False)
    block: int = 100  # images at a time: fits the caches, which doubles the speed, and bounds the memory
    neighbours: bool = True

    def activations(self, images: UInt8[Tensor, "n c h w"] | Rows) -> tuple[Tensor, Tensor | None]:
        """Features (n, dim) and logits (n, classes) or None, float32 on the CPU; ScoreError if not uint8 images."""
        check_images(images)
        with torch.inference_mode():
            blocks = [self.network(block) for block in images.split(self.block)]
        features = torch.cat([one.float().cpu() for one, _ in blocks])
        logits = [one.float().cpu() for _, one in blocks if one is not None]
        return features, torch.cat(logits) if logits else None

    def features(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """The features (n, dim) of uint8 images (n, c, h, w)."""
        return self.activations(images)[0]

    def logits(self, images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The class logits (n, classes) of uint8 images; ScoreError if the extractor has no classes."""
        logits = self.activations(images)[1]
        if logits is None:
            raise ScoreError(f"the extractor {self.name!r} has no classes; use one that has, for example 'fashion'")
        return logits


def check_images(images: Samples) -> None:
    """ScoreError unless `images` is a uint8 tensor (n, c, h, w) with n >= 1."""
    if not isinstance(images, Tensor | Rows) or images.dtype != torch.uint8 or images.ndim != 4 or not images.numel():
        seen = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor | Rows) else type(images).__name__
        raise ScoreError(f"scores take uint8 images (n, c, h, w), got {seen}; Units.to_data gives them from samples")


def torch_fidelity() -> ModuleType:
    """The package torch_fidelity, imported at its first use, here and nowhere else (it brings torchvision)."""
    import torch_fidelity

    return torch_fidelity


@functools.cache
def extractor(name: str) -> Extractor:
    """The registered extractor of that name, built once; `SpecError` with the nearest names if nobody registered it."""
    return EXTRACTORS[name]()


def extractor_for(shape: tuple[int, ...]) -> str:
    """The extractor's name for images (c, h, w) where the user names none: grey 'fashion', in colour 'pixels'."""
    return "fashion" if shape[0] == 1 else "pixels"


def grey(images: Tensor) -> Tensor:
    """Images (n, 1 or 3, h, w) as float32 luma (n, 1, h, w), weights 0.299, 0.587, 0.114 (ITU-R BT.601)."""
    if images.shape[1] == 1:
        return images.float()
    if images.shape[1] != 3:
        raise ScoreError(f"the extractor 'fashion' reads 1 or 3 channels, not {images.shape[1]}; use 'pixels'")
    return torch.einsum("nchw,c->nhw", images.float(), torch.tensor((0.299, 0.587, 0.114)))[:, None]


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Float images (n, c, h, w) at that size: as they are if it is theirs, else bilinear with antialiasing."""
    if images.shape[2:] == (height, width):
        return images
    return functional.interpolate(images, (height, width), mode="bilinear", antialias=True, align_corners=False)


class Classifier(nn.Module):
    """The network `fashion`: three 3x3 convolutions with max-pooling, 128 features, 10 logits.

    (n, 1, 28, 28) in [0, 1] -> features (n, 128) >= 0, logits (n, 10). 356,000 parameters. Trained with batch
    normalisation, which is folded into the convolutions here.
    """

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in ((1, 32), (32, 64), (64, 128))])
        self.hidden = nn.Linear(128 * 4 * 4, 128)
        self.output = nn.Linear(128, 10)

    def forward(self, x: Float[Tensor, "n 1 28 28"]) -> tuple[Float[Tensor, "n 128"], Float[Tensor, "n 10"]]:
        for convolution in self.convolutions:
            x = functional.max_pool2d(convolution(x), 2, ceil_mode=True).relu()  # 28, 14, 7, 4: no pixel is dropped
        features = self.hidden(x.flatten(1)).relu()
        return features, self.output(features)


def fashion_weights() -> bytes:
    """The bytes of the shipped weights file (safetensors, float16)."""
    return (resources.files("banach.metrics") / "assets" / "fashion.safetensors").read_bytes()


def fashion_facts() -> dict[str, str]:
    """What the weights file says of itself: accuracy on the 10,000 test images, training data, epochs, seed."""
    with (
        resources.as_file(resources.files("banach.metrics") / "assets" / "fashion.safetensors") as path,
        safe_open(path, "pt") as file,
    ):
        return dict(file.metadata())


@EXTRACTORS.register(name="fashion", summary="128 features of a Fashion-MNIST classifier that ships with the package")
def fashion() -> Extractor:
    """The classifier that ships: 93.1% right on the 10,000 test images of Fashion-MNIST, which it never saw.

    They are the package's bundled data. What its scores are for images of known quality: `banach.metrics.calibrate`.
    On grey images of other things its features still compare, but its classes (IS, class shares) mean nothing.
    """
    weights = fashion_weights()
    classifier = Classifier().eval().requires_grad_(False)
    classifier.load_state_dict({key: one.float() for key, one in load(weights).items()})
    classifier.to(memory_format=torch.channels_last)  # three times as fast on a CPU

    def network(images: Tensor) -> tuple[Tensor, Tensor]:
        x = resized(grey(images), 28, 28) / 255
        return classifier(x.contiguous(memory_format=torch.channels_last))

    protocol = "1 channel as it is, 3 channels by BT.601 luma; 28x28 as it is, else bilinear with antialiasing to 28x28"
    return Extractor("fashion", hashlib.sha256(weights).hexdigest()[:12], 128, 10, protocol, network)


@EXTRACTORS.register(name="pixels", summary="the image itself, at most 8x8 per channel; for images without a network")
def pixels() -> Extractor:
    """The image itself in [-1, 1], bilinear with antialiasing to at most 8x8 a channel.

    Pure noise becomes nearly one grey there, which lies within the balls around real images: its precision would be 1.
    """

    def network(images: Tensor) -> tuple[Tensor, None]:
        height, width = (min(8, size) for size in images.shape[2:])
        return (resized(images.float(), height, width) / 127.5 - 1).flatten(1), None

    return Extractor(
        "pixels", "none", 0, 0, "each channel bilinear with antialiasing to at most 8x8, in [-1, 1]", network,
        neighbours=False,
    )  # fmt: skip


INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # the name says the first digits of its SHA-256


@EXTRACTORS.register(name="inception", summary="2048 features of Inception v3, from the local file $BANACH_INCEPTION")
def inception() -> Extractor:
    """Inception v3 as FID's authors used it (the TensorFlow weights of 2015-12-05), through torch-fidelity.

    Nothing is fetched: $BANACH_INCEPTION must name the file, a release asset of torch-fidelity.
    """
    path = Path(os.environ.get("BANACH_INCEPTION", ""))
    if not path.is_file():
        raise ScoreError(
            f"the extractor 'inception' needs torch-fidelity's file {INCEPTION}: set BANACH_INCEPTION to its path"
            + (f" ({path} is not a file)" if path.name else "")
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    try:
        torch.load(path, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
        model = torch_fidelity().FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
        )
    except Exception as error:  # what a broken file raises is anything from struct.error to RuntimeError
        raise ScoreError(f"{path} does not hold the weights of Inception v3; get {INCEPTION} anew") from error

    def network(images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[1] not in (1, 3):
            raise ScoreError(f"the extractor 'inception' reads 1 or 3 channels, not {images.shape[1]}; use 'pixels'")
        return model(images.expand(-1, 3, -1, -1))

    known = "" if digest.startswith("6726825d") else "NOT the published weights; "
    protocol = f"{known}1 channel repeated to 3, to 299x299 as TensorFlow 1 resized (bilinear, no antialiasing)"
    return Extractor("inception", digest, 2048, 1008, protocol, network, block=32)
