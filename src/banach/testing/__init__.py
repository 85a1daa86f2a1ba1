"""The laws that spaces, operators, objectives, penalties and models must obey, tested by public functions.

Each `check_…` returns `LawResult`s, measured, not restated; `assert_laws` raises on those that do not hold. Neither
pytest nor hypothesis is needed.

>>> from banach import Lp
>>> assert_laws(check_space(Lp(3), shapes=[(2, 5)]))[0].ok
True
"""

from banach.testing.ascent import steepest as steepest
from banach.testing.check import KINDS as KINDS
from banach.testing.check import check as check
from banach.testing.constraints import check_constraint as check_constraint
from banach.testing.laws import LawError as LawError
from banach.testing.laws import LawResult as LawResult
from banach.testing.laws import assert_laws as assert_laws
from banach.testing.models import check_critic_network as check_critic_network
from banach.testing.models import check_model as check_model
from banach.testing.objectives import check_objective as check_objective
from banach.testing.operators import check_operator as check_operator
from banach.testing.penalties import check_penalty as check_penalty
from banach.testing.refute import Steepest as Steepest
from banach.testing.refute import refute as refute
from banach.testing.spaces import check_space as check_space
from banach.testing.spaces import shapes_of as shapes_of
