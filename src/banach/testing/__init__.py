"""The laws as public functions: whoever adds a space, an operator, an objective, a penalty or a model has it tested.

Each `check_…` returns `LawResult`s, measured, not restated; `assert_laws` raises on those that do not hold. Neither
pytest nor hypothesis is needed.

>>> from banach import Lp
>>> assert_laws(check_space(Lp(3), shapes=[(2, 5)]))[0].ok
True
"""

from banach.testing.ascent import steepest as steepest
from banach.testing.laws import LawError as LawError
from banach.testing.laws import LawResult as LawResult
from banach.testing.laws import assert_laws as assert_laws
from banach.testing.spaces import check_space as check_space
from banach.testing.spaces import shapes_of as shapes_of
