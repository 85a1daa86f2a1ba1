"""Soft Lipschitz constraints. A `Penalty` is a product: slopes (how steep) x shape (what it costs) x reduction.

Every method of the field is a line of `named.py`, under its paper's name; a new one is another line. What needs more
than a product stands beside it: a multiplier (`AugmentedLagrangian`), a second pass of the critic (`Consistency`), a
sum (`Sum`).
"""

from banach.penalties.combined import Sum as Sum
from banach.penalties.consistency import Consistency as Consistency
from banach.penalties.lagrange import AugmentedLagrangian as AugmentedLagrangian
from banach.penalties.named import gradient_penalty as gradient_penalty
from banach.penalties.named import penalty as penalty
from banach.penalties.penalty import PENALTIES as PENALTIES
from banach.penalties.penalty import Cost as Cost
from banach.penalties.penalty import Penalty as Penalty
from banach.penalties.penalty import SoftConstraint as SoftConstraint
from banach.penalties.reductions import REDUCTIONS as REDUCTIONS
from banach.penalties.reductions import Max as Max
from banach.penalties.reductions import Mean as Mean
from banach.penalties.reductions import Reduction as Reduction
from banach.penalties.reductions import SquaredMean as SquaredMean
from banach.penalties.schedules import SCHEDULES as SCHEDULES
from banach.penalties.schedules import Constant as Constant
from banach.penalties.schedules import Growing as Growing
from banach.penalties.schedules import Lazy as Lazy
from banach.penalties.schedules import Schedule as Schedule
from banach.penalties.schedules import schedule as schedule
from banach.penalties.shapes import SHAPES as SHAPES
from banach.penalties.shapes import Asymmetric as Asymmetric
from banach.penalties.shapes import Deviation as Deviation
from banach.penalties.shapes import Excess as Excess
from banach.penalties.shapes import OneSided as OneSided
from banach.penalties.shapes import Power as Power
from banach.penalties.shapes import Shape as Shape
from banach.penalties.shapes import SquaredExcess as SquaredExcess
from banach.penalties.shapes import SquareGap as SquareGap
from banach.penalties.shapes import TwoSided as TwoSided
