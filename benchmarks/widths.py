"""How wide a closed interval is, for rounding alone: `python -m benchmarks.widths`.

200 samples on each side, solved on the whole table of distances, so that potentials and plan leave no gap of their own;
each certificate is verified. Images are smooth random fields; samples of a Mahalanobis norm are normal with its
covariance C, whose condition number is given. Writes docs/distance.md. Exit code 1 if a certificate is refused.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from banach.files import written_between
from banach.transport import CertificateError, distance, save, verify
from benchmarks.field import table

PAGE = Path("docs/distance.md")
HEADS = ("samples", "W1", "width / W1")
COUNT = 200
NORMS = (
    ("Lp(1)", (1, 28, 28)), ("Lp(2)", (1, 28, 28)), ("Lp(inf)", (1, 28, 28)), ("Lp(2)", (3,)),
    ("Sobolev(s=-1)", (1, 28, 28)), ("Sobolev(s=1, p=1.5)", (1, 28, 28)), ("TotalVariation(0.1)", (1, 28, 28)),
    ("Product(2, (Lp(1), Lp(2)), (1, 2))", (3, 14, 14)),
)  # fmt: skip
MAHALANOBIS = ((3, 2), (3, 6), (3, 10), (60, 2), (60, 6), (60, 10))
"""Entries, and the power of 10 of the condition number."""


def fields(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth random samples, those of B a tenth larger."""
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(2 * COUNT, *shape, generator=rng, dtype=torch.float64)
    x = sum((x.roll(k, -1) for k in range(1, 3)), x) / 3 - 0.5
    return x[:COUNT], 1.1 * x[COUNT:]


def normal(entries: int, power: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A covariance, and two samples of the normal distribution that has it, the second moved a little."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(entries, entries)))[0]
    spectrum = 10.0 ** -np.linspace(0, power, entries)
    cov = (turn * spectrum) @ turn.T
    x, y = (rng.normal(size=(COUNT, entries)) * spectrum**0.5 @ turn.T for _ in range(2))
    return (cov + cov.T) / 2, x, y + 0.5 * turn @ spectrum**0.5


def row(x: torch.Tensor | np.ndarray, y: torch.Tensor | np.ndarray, spec: str) -> list[str]:
    """The cells of one norm; `CertificateError` if its certificate is refused."""
    found = distance(x, y, spec, rel_gap=1e-15, method="simplex")
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "cert.npz", found, x, y)
        verify(Path(folder) / "cert.npz", x, y)
    return ["x".join(map(str, x.shape[1:])), f"{found.value:.6g}", f"{1 - found.lower / found.upper:.1e}"]


def main(argv: list[str] | None = None) -> int:
    """Measure and write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args(argv)
    rows = {}
    try:
        for spec, shape in NORMS:
            rows[spec if shape != (3,) else f"{spec}, 3 entries"] = row(*fields(shape), spec)
        for entries, power in MAHALANOBIS:
            cov, x, y = normal(entries, power)
            with tempfile.TemporaryDirectory() as folder:
                np.save(Path(folder) / "cov.npy", cov)
                spec = f"Weighted(Matrix({str(Path(folder) / 'cov.npy')!r}, power=-0.5), Lp(2))"
                rows[f"Mahalanobis, {entries} entries, condition 1e{power}"] = row(x, y, spec)
    except CertificateError as refused:
        print(f"refused: {refused}")
        return 1
    lines = table(HEADS, rows)
    print("\n".join(lines))
    written_between(PAGE, "widths", "\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
