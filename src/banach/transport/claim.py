"""Reading of certificate files, with size limits known beforehand; used by the checker only.

The file is a stranger's. From the samples at hand it is known how long its arrays can be; what is longer is refused
before it is unpacked. Each part must have the one type it is written with, and the claim the keys and kinds of values
it needs. Nothing is believed here: `banach.transport.verify` checks what is claimed.
"""

import hashlib
import json
import math
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from banach.errors import BanachError
from banach.spaces import Metric, files_of, space
from banach.specs import SpecError

LONGEST = 2**18
"""Bytes of a claim, at most: most of it is the space, which may hold a matrix."""

KINDS = {"f": "<f8", "g": "<f8", "i": "<i8", "j": "<i8", "mass": "<f8", "claim": "|u1", "seal": "|u1"}
"""The parts of the file, one-dimensional .npy arrays each, and the type of each."""

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)"
    rb"\{'descr': '(?P<kind>[<|][fiu][18])', 'fortran_order': False, 'shape': \((?P<count>[0-9]{1,15}),\), \} *\n",
    re.DOTALL,
)
_AS_THEN = "are A, B and --n the same as when it was saved?"
_DIGESTS = ("A", "B", "weights_a", "weights_b", "space", "f", "g", "i", "j", "mass")


class CertificateError(BanachError):
    """A file that is not a certificate, or one that does not prove its claim for these samples."""


def most_moves(n: int, m: int) -> int:
    """The largest number of moves in a certificate for n and m samples; longer ones are neither written nor read.

    A basis of the simplex has n + m - 1, repairs add as many, and entropic plans keep some tens a sample.
    """
    return 128 * (n + m) + min(n * m, 2**20)


def read(path: Path, n: int, m: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Claim and arrays of a certificate for n and m samples; `CertificateError` for an invalid part."""
    moves = most_moves(n, m)
    most = {"f": n, "g": m, "i": moves, "j": moves, "mass": moves, "claim": LONGEST, "seal": 32}
    if not stat.S_ISREG(path.stat().st_mode):
        raise CertificateError(f"{path} is no file; give the certificate that `banach distance --save` wrote")
    try:
        with path.open("rb") as file:
            found = {name: _values(name, part, most[name]) for name, part in _parts(file, most).items()}
        text, seal = found.pop("claim").tobytes(), found.pop("seal").tobytes()
        if hashlib.sha256(text).digest() != seal:
            raise CertificateError("the claim was changed: its checksum does not match")
        return _claim(text), found
    except PermissionError:
        raise
    except Exception as error:  # zipfile raises many kinds for a damaged file
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise CertificateError(f"{path} is no certificate, or damaged: {said}") from None


def _parts(file: BinaryIO, most: dict[str, int]) -> dict[str, bytes]:
    """The packed arrays by name, each unpacked up to its largest allowed number of entries."""
    size = file.seek(0, 2)
    if size > 4096 + sum(9 * count for count in most.values()):
        raise CertificateError(f"{size:,} bytes are too many for this number of samples")
    file.seek(max(0, size - 42))
    *_, end = file.read(20), file.read(22)  # the list of contents, before it is read: no more than the parts there are
    ending = struct.unpack("<4s4H2IH", end)
    if ending[0] != b"PK\5\6" or ending[4] != len(KINDS) or ending[5] > 4096 or ending[7]:
        raise CertificateError("it does not hold the arrays of a certificate")
    found = {}
    with zipfile.ZipFile(file) as archive:
        for part in archive.infolist():
            name = part.filename.removesuffix(".npy")
            if name not in KINDS or name in found or part.flag_bits & 1 or part.compress_type not in (0, 8):
                raise CertificateError(f"it holds {part.filename!r}, and that is no part of a certificate")
            longest = 256 + 8 * most[name]
            with archive.open(part) as stream:
                found[name] = stream.read(longest + 1)
            if len(found[name]) > longest:
                raise CertificateError(f"{name} is too long for this number of samples; {_AS_THEN}")
    return {name: found[name] for name in KINDS}


def _values(name: str, part: bytes, most: int) -> np.ndarray:
    header = _HEADER.match(part)
    if header is None or header["kind"].decode() != KINDS[name] or header.end() - 10 != _length(header["length"]):
        raise CertificateError(f"{name} is no plain array of type {KINDS[name]}")
    values = np.frombuffer(bytearray(part[header.end() :]), KINDS[name])
    if len(values) != int(header["count"]):
        raise CertificateError(f"{name} has {len(values):,} entries, and says {int(header['count']):,}")
    if len(values) > most:
        raise CertificateError(f"{name} has {len(values):,} entries, for these samples at most {most:,}; {_AS_THEN}")
    return values


def _length(two: bytes) -> int:
    return int.from_bytes(two, "little")


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise CertificateError("the claim is no list of names and values")
    try:
        json.dumps(found, ensure_ascii=False).encode()  # "\\ud800" is JSON, and no text: nothing can hash or print it
    except UnicodeEncodeError:
        raise CertificateError("the claim holds a lone surrogate (half a character), which is not valid text") from None
    return found


def _claim(text: bytes) -> dict[str, Any]:
    claim = _object(text)
    if (claim.get("format"), claim.get("target")) != (1, "empirical"):
        said = f"format {_short(claim.get('format'))}, target {_short(claim.get('target'))}"
        raise CertificateError(f"{said}: not what this version checks")
    for name in ("power", "lower", "upper"):
        claim[name] = _number(name, claim.get(name))
    if not claim["power"] > 0:
        raise CertificateError(f"power is {claim['power']!r}; the cost is distance^power, of a positive number")
    if not isinstance(claim.get("space"), str):
        raise CertificateError(f"space is {_short(claim.get('space'))}, and no text")
    digests, tables = claim.get("sha256"), claim.get("tables", {})
    if not isinstance(digests, dict) or not isinstance(tables, dict):
        raise CertificateError("sha256 and tables are no lists of names and digests")
    for name in _DIGESTS:
        if not (_is_digest(digests.get(name)) or (name.startswith("weights_") and digests.get(name, "") is None)):
            raise CertificateError(f"the SHA-256 of {name} is {_short(digests.get(name))}")
    if not all(map(_is_digest, tables.values())):
        raise CertificateError("the SHA-256 of a table is none")
    return {key: claim[key] for key in ("format", "target", "space", "power", "lower", "upper", "sha256")} | {
        "tables": tables if "tables" in claim else None
    }


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CertificateError("the claim holds a name twice")
    return found


def _no_number(text: str) -> None:
    raise CertificateError(f"the claim holds {text}, which is no number")


def _number(name: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1023
    if not is_number or not math.isfinite(value):
        raise CertificateError(f"{name} is {_short(value)}, and no finite number")
    return float(value)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _short(value: Any) -> str:
    text = ascii(value) if isinstance(value, int | float | str | None) else f"a {type(value).__name__}"
    return text if len(text) < 60 else f"{text[:57]}..."


def metric_of(claim: dict[str, Any], shape: tuple[int, ...]) -> Metric:
    """The claim's metric; `CertificateError` if it is not a metric, or cannot measure samples of this shape.

    A table that it names by its file is read from there, and must hold what was certified.
    """
    try:
        metric = space(claim["space"])
        if not metric.computed:
            none = torch.zeros(1, *(shape or (1,)), dtype=torch.float64)
            metric.roundoff(shape or (1,))
            metric.rounding(none)
            if metric.distance(none, none).shape != (1,):
                raise CertificateError("its distances are no list of numbers")
    except SpecError as error:
        raise CertificateError(f"the certificate's space: {error}") from None
    except Exception as error:  # a space that does not fit the samples fails in its own way
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise CertificateError(f"{metric!r} does not measure samples of shape {shape}: {said}") from None
    if claim["tables"] is not None and claim["tables"] != (found := files_of(metric)):
        wrong = next(name for name in {**claim["tables"], **found} if claim["tables"].get(name) != found.get(name))
        was, now = claim["tables"].get(wrong), found.get(wrong)
        raise CertificateError(f"{wrong!r} is not what was certified: its SHA-256 is {now}, the certificate says {was}")
    return metric
