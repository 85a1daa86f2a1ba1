"""Wasserstein-1 between two sample sets in any metric, with a certificate; and pairs of laws with known W1."""

from banach.transport.estimate import Estimate as Estimate
from banach.transport.estimate import TransportError as TransportError
from banach.transport.pairs import PAIRS as PAIRS
