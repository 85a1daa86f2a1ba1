"""Scores of generated images, each beside its floor and its protocol.

A number such as "FID 12" says nothing by itself: it moves with the extractor, with the number of samples, and with
what is compared. So `evaluate` gives for every score three numbers and the text of how they came about:

* *value*: all fakes against the training reals;
* *floor*: the same score of held-out reals against the same training reals: what a perfect generator would get;
* *matched*: the score of as many fakes as there are held-out reals, so that it may be compared with the floor
  (FID, precision and recall depend on the count, and the held-out part is usually a tenth).
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from banach.data.rows import Rows, Samples, taken
from banach.metrics import fidelity
from banach.metrics.cache import cached, content_hash
from banach.metrics.features import Extractor, ScoreError, check_images, extractor_for
from banach.metrics.features import extractor as built
from banach.metrics.titles import AT_FLOOR, NEIGHBOURS, below_floor, sense, title

NAMES = ("fid", "kid", "is", "precision", "recall")
LEAST = 10  # images; below, not even the neighbour balls are defined


def shuffled(n: int, seed: int) -> Int64[Tensor, " n"]:
    """A permutation of 0 … n-1 by a generator of its own: the order in which parts of a set are taken."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


@dataclasses.dataclass(frozen=True)
class Settings:
    """The constants of the scores: they are part of every protocol, and numbers with different ones do not compare.

    KID over 20 subsets of at most 1,000 (torch-fidelity: 100 subsets, which costs five times as much and changes the
    mean little); IS over one split, as Banach WGAN's code has it (torch-fidelity: 10, which comes out lower);
    precision and recall by 3 neighbours among at most 5,000 samples of each set; `seed` draws subsets and orders.
    """

    kid_subsets: int = 20
    kid_subset_size: int = 1000
    is_splits: int = 1
    neighbours: int = 3
    neighbour_samples: int = 5000
    seed: int = 0

    def used(self, names: Iterable[str], fakes: int, reals: int, held_out: int) -> dict[str, int]:
        """The constants of the scores of these names, as they came to with so many samples, for the protocol.

        >>> Settings().used(("kid",), 10_000, 9000, 30)
        {'kid_subsets': 20, 'kid_subset_size': 1000, 'kid_subset_size_of_the_floor': 30, 'seed': 0}
        """
        found = {}
        if "kid" in names:
            size = min(self.kid_subset_size, fakes, reals)
            found |= {"kid_subsets": self.kid_subsets, "kid_subset_size": size}
            if LEAST <= held_out < size:
                found["kid_subset_size_of_the_floor"] = held_out
        if "is" in names:
            found["is_splits"] = self.is_splits
        if "precision" in names or "recall" in names:
            taken_of = {"fakes": min(self.neighbour_samples, fakes), "reals": min(self.neighbour_samples, reals)}
            found |= {"neighbours": self.neighbours, **{f"neighbour_{of}": n for of, n in taken_of.items()}}
        return {**found, "seed": self.seed}


SETTINGS = Settings()


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores by name: of all samples, of as many as were held out, and the floor; and the protocol they hold under."""

    value: dict[str, float]
    matched: dict[str, float]
    floor: dict[str, float]
    protocol: dict[str, str | int]

    def as_dict(self) -> dict[str, dict]:
        """The four parts as plain dictionaries, for JSON."""
        return {name: dict(part) for name, part in dataclasses.asdict(self).items()}

    def lines(self) -> list[str]:
        """A small table for people, what in it may mislead, and the protocol in a line."""
        fakes, held = int(self.protocol["fakes"]), int(self.protocol["held_out"])
        heads = [f"{fakes:,} fakes", f"{held:,} fakes", f"{held:,} held out"] if self.floor else [f"{fakes:,} fakes"]
        titles = {name: title(name, self.protocol) for name in self.value}
        width = max(12, *map(len, titles.values()))
        rows = ["  ".join([" " * width, *(f"{head:>15}" for head in heads)])]
        for name, said in titles.items():
            found = [part[name] for part in (self.value, self.matched, self.floor) if name in part]
            figures = [f"{one:>15.4g}" for one in found] + [" " * 15] * (len(heads) - len(found))
            rows.append("  ".join([f"{said:{width}}", *figures, sense(name, self.protocol)]))
        rows += [] if self.floor else ["no floor: too few held-out samples"]
        protocol = "; ".join(f"{key.replace('_', ' ')} {one}" for key, one in self.protocol.items())
        return [*rows, *self.warnings(), protocol]

    def warnings(self) -> list[str]:
        """What a reader of the figures alone would take for good, and is not."""
        beyond = f"; the excess, {self.value['excess']:.4g}, says how far they are" if "excess" in self.value else ""
        return [
            f"{title(name, self.protocol)} is below its floor: the samples vary less than the data do{beyond}"
            for name in AT_FLOOR
            if name in self.floor and below_floor(self.matched[name], self.floor[name])
        ]


@dataclasses.dataclass(frozen=True)
class Activations:
    """Features (n, dim) of a set of images, and logits (n, classes) where the extractor has classes."""

    features: Tensor
    logits: Tensor | None
    images: str = ""  # the content hash of the images, where it was needed

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, rows: Tensor) -> "Activations":
        return Activations(self.features[rows], None if self.logits is None else self.logits[rows])


def fid(fakes: UInt8[Tensor, "n c h w"], reals: UInt8[Tensor, "m c h w"], extractor: str = "fashion") -> float:
    """FID alone, quickly; `evaluate` gives it with its floor.

    >>> images = torch.arange(64 * 784).view(64, 1, 28, 28).remainder(251).byte()
    >>> round(fid(images, images), 3)
    0.0
    """
    return score(fakes, reals, extractor=extractor, names=("fid",))["fid"]


def score(
    fakes: UInt8[Tensor, "n c h w"],
    reals: UInt8[Tensor, "m c h w"] | Rows,
    *,
    extractor: str = "",
    names: Iterable[str] = (),
    settings: Settings = SETTINGS,
    cache: Path | None = None,
) -> dict[str, float]:
    """Scores of fakes against reals, by name.

    `extractor` defaults to `extractor_for(shape)`; `names` to all of `NAMES` that it gives (IS needs classes). The
    reals' features are kept in the folder `cache` (default `cache_folder()`). Raises `ScoreError` for images that are
    not uint8 (n, c, h, w) of one shape, for fewer than 10, and for unknown names.
    """
    of = _extractor(extractor, fakes, reals)
    names = _names(names, of)
    return _score(_activations(of, fakes), _reference(of, reals, cache), names, settings)


def evaluate(
    fakes: UInt8[Tensor, "n c h w"],
    train: UInt8[Tensor, "m c h w"] | Rows,
    held_out: UInt8[Tensor, "k c h w"] | Rows,
    *,
    extractor: str = "",
    names: Iterable[str] = (),
    settings: Settings = SETTINGS,
    cache: Path | None = None,
) -> Scores:
    """Scores of fakes against the training reals, the floor from the held-out reals, and the protocol.

    With m = min(fakes, held out), floor and matched score take m samples of each, drawn by `settings.seed`. Without
    at least 10 held-out images there is no floor. Parameters and errors otherwise as for `score`.
    """
    of = _extractor(extractor, fakes, train, held_out)
    names = _names(names, of)
    fake, real = _activations(of, fakes), _reference(of, train, cache)
    count = min(len(fakes), len(held_out))
    value = _score(fake, real, names, settings)
    protocol: dict[str, str | int] = {
        "extractor": of.name, "weights": of.hash, "features": real.features.shape[1], "input": of.protocol,
        "image": "x".join(str(one) for one in train.shape[1:]),
        "fakes": len(fakes), "reals": len(train), "split": "training part", "held_out": count,
        **settings.used(names, len(fakes), len(train), count), "torch_fidelity": fidelity.version(),
    }  # fmt: skip
    if count < LEAST:
        return Scores(value, {}, {}, protocol)
    floor = _floor(of, held_out, real, names, settings, cache, count)
    part = fake.rows(shuffled(len(fake), settings.seed)[:count])
    matched = value if count == len(fakes) else _score(part, real, names, settings)
    return Scores(value, matched, floor, protocol)


def class_shares(images: UInt8[Tensor, "n c h w"], extractor: str = "fashion") -> Float[Tensor, " classes"]:
    """The share of images that the classifier puts in each of its classes; (classes,), sums to 1."""
    logits = built(extractor).logits(images)
    return torch.bincount(logits.argmax(1), minlength=logits.shape[1]).double() / len(logits)


def gaussian_baseline(train: UInt8[Tensor, "m c h w"], n: int, rng: torch.Generator) -> UInt8[Tensor, "n c h w"]:
    """n images from the Gaussian with the mean and the covariance of the training images, rounded and clamped.

    What a generator that had learned all second moments and nothing else would draw: a score that is not far below
    this one's has not been earned.
    """
    check_images(train)
    flat = train.flatten(1).double()
    mean = flat.mean(0)
    if len(flat) > flat.shape[1]:
        variances, axes = torch.linalg.eigh(torch.cov(flat.T))
        roots = axes * variances.clamp(min=0).sqrt()  # (d, d): roots @ roots.T is the covariance
    else:
        roots = (flat - mean).T / (len(flat) - 1) ** 0.5  # (d, m): the same, without a d x d matrix
    noise = torch.randn(n, roots.shape[1], generator=rng, dtype=torch.float64)
    return (mean + noise @ roots.T).round().clamp(0, 255).byte().view(n, *train.shape[1:])


def _extractor(name: str, *sets: Samples) -> Extractor:
    fakes, reals = sets[:2]
    check_images(fakes)
    check_images(reals)
    for images in sets[1:]:
        if images.shape[1:] != fakes.shape[1:]:
            shapes = tuple(tuple(one.shape[1:]) for one in sets)
            raise ScoreError(f"images of different shapes do not compare: {shapes}; bring them to one size first")
    for images in sets[:2]:
        if len(images) < LEAST:
            raise ScoreError(f"{len(images)} images are too few for a score; give at least {LEAST}")
    return built(name or extractor_for(tuple(fakes.shape[1:])))


def _names(names: Iterable[str], of: Extractor) -> tuple[str, ...]:
    names = tuple(names)
    for name in names:
        if name not in NAMES:
            raise ScoreError(f"unknown score {name!r}; known: {', '.join(NAMES)}")
    if not of.neighbours and (asked := [name for name in NEIGHBOURS if name in names]):
        raise ScoreError(
            f"{asked[0]} says nothing in {of.name}: pure noise has precision 1 there; leave it out, or take another "
            "extractor"
        )
    if "is" in names and not of.classes:
        raise ScoreError(f"IS needs classes and the extractor {of.name!r} has none; leave 'is' out, or use 'fashion'")
    given = {"is": bool(of.classes), **dict.fromkeys(NEIGHBOURS, of.neighbours)}
    return names or tuple(name for name in NAMES if given.get(name, True))


def _activations(of: Extractor, images: Samples) -> Activations:
    features, logits = of.activations(images)
    return Activations(features, logits)


def _reference(of: Extractor, images: Samples, folder: Path | None) -> Activations:
    """The activations of a set of reals, from the cache where they are known."""

    def compute() -> dict[str, Tensor]:
        features, logits = of.activations(images)
        return {"features": features} if logits is None else {"features": features, "logits": logits}

    name = content_hash(images)
    found = cached({"what": "features", "images": name, **_identity(of)}, compute, folder)
    return Activations(found["features"], found.get("logits"), name)


def _identity(of: Extractor) -> dict[str, object]:
    return {"extractor": of.name, "weights": of.hash, "input": of.protocol}


def _floor(
    of: Extractor,
    held_out: Samples,
    real: Activations,
    names: tuple[str, ...],
    settings: Settings,
    folder: Path | None,
    count: int,
) -> dict[str, float]:
    key = {
        "what": "floor", "train": real.images, "held_out": content_hash(held_out), "count": count,
        "names": names, "settings": dataclasses.asdict(settings), "fidelity": fidelity.version(), **_identity(of),
    }  # fmt: skip

    def compute() -> dict[str, Tensor]:
        part = taken(held_out, shuffled(len(held_out), settings.seed)[:count])
        found = _score(_activations(of, part), real, names, settings)
        return {name: torch.tensor(one, dtype=torch.float64) for name, one in found.items()}

    return {name: float(one) for name, one in cached(key, compute, folder).items()}


def _score(fakes: Activations, reals: Activations, names: tuple[str, ...], settings: Settings) -> dict[str, float]:
    found: dict[str, float] = {}
    if "fid" in names:
        found["fid"] = fidelity.fid(fakes.features, reals.features)
    if "kid" in names:
        size = min(settings.kid_subset_size, len(fakes), len(reals))
        found["kid"] = fidelity.kid(fakes.features, reals.features, settings.kid_subsets, size, settings.seed)
    if "is" in names and fakes.logits is not None:
        found["is"] = fidelity.inception_score(fakes.logits, settings.is_splits, settings.seed)
    if "precision" in names or "recall" in names:
        fake, real = (
            one.features[shuffled(len(one), settings.seed)[: settings.neighbour_samples]] for one in (fakes, reals)
        )
        both = fidelity.precision_recall(fake, real, settings.neighbours)
        found |= {name: one for name, one in zip(("precision", "recall"), both, strict=True) if name in names}
    return found
