"""Certificate files: potentials, a plan, the interval that they are claimed to prove, and for which samples.

An .npz file with the arrays f, g, i, j, mass and `claim`, JSON in UTF-8: the interval, the space, the power, and the
SHA-256 of both samples, of their weights, of the space's text, of the tables it names by file, and of every array;
`seal` is the SHA-256 of the claim. `banach.transport.verify` reads it, and shares no code with this file, which refuses
to write what would be refused there.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
from torch import Tensor

from banach.files import write_bytes
from banach.spaces import files_of, space
from banach.specs import SpecError
from banach.transport.claim import KINDS, LONGEST, most_moves
from banach.transport.estimate import Estimate, TransportError

FORMAT = 1
ARRAYS = ("f", "g", "i", "j", "mass")
_ROWS = 2**20


def save(
    path: str | Path,
    estimate: Estimate,
    x: Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    weights_a: Tensor | np.ndarray | None = None,
    weights_b: Tensor | np.ndarray | None = None,
) -> None:
    """Write the certificate of an empirical distance of these samples, for `banach verify`."""
    if estimate.certificate is None:
        raise TransportError("this estimate has no certificate; only those made by `distance` have one")
    if not _encodes(estimate.space):
        raise TransportError(f"the norm names a file that is not UTF-8, {estimate.space!a}; rename it")
    arrays = {name: np.ascontiguousarray(getattr(estimate.certificate, name)) for name in ARRAYS}
    given = {"A": x, "B": y, "weights_a": weights_a, "weights_b": weights_b}
    claim = {
        "format": FORMAT,
        "target": estimate.target,
        "space": estimate.space,
        "power": estimate.power,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "method": estimate.method,
        "sha256": {name: None if one is None else sha256(one) for name, one in given.items()}
        | {"space": hashlib.sha256(estimate.space.encode()).hexdigest()}
        | {name: sha256(one) for name, one in arrays.items()},
        "tables": _tables(estimate.space),
    }
    text = json.dumps(claim, sort_keys=True).encode()
    if len(text) > LONGEST:
        raise TransportError(
            f"the norm takes {len(text):,} characters, and a certificate holds at most {LONGEST:,}; put its matrix "
            "into an .npy file, and name that in the norm"
        )
    if len(arrays["mass"]) > (most := most_moves(len(x), len(y))):
        raise TransportError(
            f"the plan has {len(arrays['mass']):,} moves, and a certificate for this number of samples has at most "
            f"{most:,}; choose method columns"
        )
    seal = hashlib.sha256(text).digest()
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, claim=np.frombuffer(text, np.uint8), seal=np.frombuffer(seal, np.uint8), allow_pickle=False, **arrays
    )
    check_place(path)
    write_bytes(Path(path).expanduser().resolve(), buffer.getvalue())


def check_place(path: str | Path) -> None:
    """Raise TransportError if no certificate can be written to this path; only an older certificate is overwritten."""
    whole = Path(path).expanduser()
    if not whole.absolute().parent.is_dir():
        raise TransportError(f"there is no folder for {str(path)!r}; create it first")
    if whole.exists() and not whole.is_file():
        raise TransportError(f"{str(path)!r} is no file; name one, such as cert.npz")
    if whole.exists() and not _is_certificate(whole):
        raise TransportError(f"{str(path)!r} exists already and is not a certificate; choose another name")


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _is_certificate(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {*archive.namelist()} == {f"{name}.npy" for name in KINDS}
    except (OSError, zipfile.BadZipFile):
        return False


def _tables(spec: str) -> dict[str, str]:
    """The files that the space names, with their digests; empty for a space that has no spec."""
    try:
        return files_of(space(spec))
    except SpecError:
        return {}


def sha256(values: Tensor | np.ndarray) -> str:
    """SHA-256 of an array: its shape as text, and its entries in order as little-endian float64, or int64 if whole."""
    if isinstance(values, Tensor):
        values = values.double() if values.is_floating_point() else values  # NumPy has no bfloat16
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    kind = "<i8" if array.dtype.kind in "iu" and array.ndim == 1 else "<f8"
    digest = hashlib.sha256(f"{tuple(array.shape)} {kind};".encode())
    flat = array.reshape(-1)
    for start in range(0, len(flat), _ROWS):
        digest.update(np.ascontiguousarray(flat[start : start + _ROWS], dtype=kind).data)
    return digest.hexdigest()
