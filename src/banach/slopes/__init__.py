"""How steep a critic is: its gradients in the dual norm at chosen points, or its difference quotients over pairs."""

from banach.slopes.adversarial import Adversarial as Adversarial
from banach.slopes.pairs import Midway as Midway
from banach.slopes.pairs import Quotients as Quotients
from banach.slopes.pairs import Rises as Rises
from banach.slopes.points import Along as Along
from banach.slopes.points import Buffered as Buffered
from banach.slopes.points import Gradients as Gradients
from banach.slopes.points import Values as Values
from banach.slopes.precision import Critic as Critic
from banach.slopes.precision import Evaluation as Evaluation
from banach.slopes.precision import critic_for_penalty as critic_for_penalty
from banach.slopes.precision import evaluation_of as evaluation_of
from banach.slopes.slopes import SLOPES as SLOPES
from banach.slopes.slopes import TOO_CLOSE as TOO_CLOSE
from banach.slopes.slopes import Measured as Measured
from banach.slopes.slopes import Slopes as Slopes
from banach.slopes.slopes import between as between
from banach.slopes.slopes import gradient as gradient
from banach.slopes.slopes import interpolate as interpolate
from banach.slopes.slopes import uniform as uniform
