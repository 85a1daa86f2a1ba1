"""Objectives of critic and generator: an `Objective` is three scalar functions, not a class of its own.

The critic f is *large on real data*. It minimises E phi(f(fake)) + E varphi(f(real)); the generator minimises
E psi(f(fake)). (Lipschitz GANs, eq. 10.)

| name                                | phi, on fakes      | varphi, on reals   | psi, on fakes  |
|-------------------------------------|--------------------|--------------------|----------------|
| `wasserstein`, `fisher`, `sobolev`  | f                  | -f                 | -f             |
| `exp`                               | e^f                | e^-f               | -f             |
| `logistic`                          | log(1 + e^f)       | log(1 + e^-f)      | -f             |
| `vanilla`                           | log(1 + e^f)       | log(1 + e^-f)      | log(1 + e^-f)  |
| `vanilla_saturating`                | log(1 + e^f)       | log(1 + e^-f)      | -log(1 + e^f)  |
| `sqrt`                              | sqrt(f^2 + 1) + f  | sqrt(f^2 + 1) - f  | -f             |
| `hinge(alpha)`                      | max(0, alpha + f)  | max(0, alpha - f)  | -f             |
| `least_squares(a, b)`               | (f - a)^2          | (f - b)^2          | -f             |

`psi="varphi"` makes varphi the generator's loss too (the "non-saturating" choice), `psi="neg"` makes it -f.
`relativistic(of)` compares each fake with a real; `Sum` and `Rescaled` make new objectives of old ones.
"""

from banach.objectives.combined import relativistic as relativistic
from banach.objectives.combined import rescaled as rescaled
from banach.objectives.combined import weighted_sum as weighted_sum
from banach.objectives.named import WASSERSTEIN as WASSERSTEIN
from banach.objectives.objective import OBJECTIVES as OBJECTIVES
from banach.objectives.objective import PSI as PSI
from banach.objectives.objective import Objective as Objective
from banach.objectives.objective import Scalar as Scalar
from banach.objectives.objective import objective as objective
from banach.objectives.theory import EQUATION_11 as EQUATION_11
from banach.objectives.theory import TableRow as TableRow
from banach.objectives.theory import bounded_below as bounded_below
from banach.objectives.theory import conditions as conditions
from banach.objectives.theory import table_row as table_row
