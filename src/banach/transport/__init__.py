"""Wasserstein-1 between two sample sets in any metric, with a certificate; and benchmark pairs with known W1."""

from banach.transport.certificate import save as save
from banach.transport.distance import distance as distance
from banach.transport.estimate import Certificate as Certificate
from banach.transport.estimate import Estimate as Estimate
from banach.transport.estimate import TransportError as TransportError
from banach.transport.matrix import DistanceMatrix as DistanceMatrix
from banach.transport.matrix import ExcessMatrix as ExcessMatrix
from banach.transport.matrix import distance_matrix as distance_matrix
from banach.transport.matrix import excess_matrix as excess_matrix
from banach.transport.pairs import PAIRS as PAIRS
from banach.transport.penalised import Penalised as Penalised
from banach.transport.penalised import penalised_estimate as penalised_estimate
from banach.transport.permutations import PermutationTest as PermutationTest
from banach.transport.permutations import permutation_p as permutation_p
from banach.transport.permutations import permutation_test as permutation_test
from banach.transport.population import Budget as Budget
from banach.transport.population import population_distance as population_distance
from banach.transport.scores import Excess as Excess
from banach.transport.scores import energy_distance as energy_distance
from banach.transport.scores import excess as excess
from banach.transport.verify import CertificateError as CertificateError
from banach.transport.verify import verify as verify
