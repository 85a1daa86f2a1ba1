"""Parametrisations of matrices with orthonormal rows or columns."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Cayley(nn.Module):
    """Any real n x k matrix X to one with orthonormal columns (n >= k) or rows (n < k), of the same shape.

    For X = [U; V] with U square: A = U - U^T + V^T V, and Q = [(I + A)^-1 (I - A); -2 V (I + A)^-1]. I + A has a
    symmetric part of at least I, so it is never singular, and the rounding of Q is that of one solve (Trockman and
    Kolter 2021, appendix on semi-orthogonal layers). Of the square orthogonal matrices, those with an eigenvalue -1 are
    limits only. Of all maps to orthogonal matrices it is the cheapest here: torch's Householder map takes 31 seconds to
    differentiate at 3072 x 256 on a CPU core, this one a tenth of a second.

    >>> Q = Cayley()(torch.arange(6.0).view(3, 2))
    >>> (Q.T @ Q).round(decimals=5).abs()
    tensor([[1., 0.],
            [0., 1.]])
    """

    def forward(self, X: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        n, k = X.shape
        return self.forward(X.T).T if n < k else _columns(X)


def _columns(X: Tensor) -> Tensor:
    k = X.shape[1]
    U, V = X[:k], X[k:]
    eye = torch.eye(k, dtype=X.dtype, device=X.device)
    A = U - U.T + V.T @ V
    inverse = torch.linalg.inv(eye + A)
    return torch.cat([(eye - A) @ inverse, -2 * V @ inverse])


class Householder(nn.Module):
    """Any real n x k matrix X to one with orthonormal columns (n >= k) or rows (n < k): k reflections of X's columns.

    Below the diagonal, column j of X is the vector of the j-th reflection I - 2 v v^T / |v|^2, with v_j = 1.

    >>> Q = Householder()(torch.arange(6.0).view(3, 2))
    >>> (Q.T @ Q).round(decimals=5).abs()
    tensor([[1., 0.],
            [0., 1.]])
    """

    def forward(self, X: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        if X.shape[0] < X.shape[1]:
            return self.forward(X.T).T
        vectors = X.tril(-1)
        return torch.linalg.householder_product(vectors, 2 / (1 + vectors.square().sum(0)))
