"""Invertible linear maps of batches: Bessel (a Fourier multiplier), Wavelet, Scale (masks, weights), Matrix, Compose.

A `Weighted` space measures `A x`. Its dual needs the inverse of A and the adjoint of that, in the plain pairing
`sum(u * x)`; every operator here knows both, exactly.
"""

from banach.operators.bessel import Bessel as Bessel
from banach.operators.linear import Compose as Compose
from banach.operators.linear import Matrix as Matrix
from banach.operators.linear import Scale as Scale
from banach.operators.operator import OPERATORS as OPERATORS
from banach.operators.operator import Operator as Operator
from banach.operators.wavelet import Wavelet as Wavelet
from banach.tables import Table as Table
