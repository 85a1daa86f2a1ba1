"""Norms in their normal form, nested p-norms of linear images, and the solvers of dual norms without a formula.

`banach.spaces` is built on it. A space of your own says its form with these: `Leaf(p, (A, B))` is |B A x|_p for linear
maps A and B, applied in this order; `Node(p, parts)` is the p-norm of its parts.
"""

from banach.norms.structure import Block as Block
from banach.norms.structure import Differences as Differences
from banach.norms.structure import Form as Form
from banach.norms.structure import Image as Image
from banach.norms.structure import Leaf as Leaf
from banach.norms.structure import MeanRemoval as MeanRemoval
from banach.norms.structure import Node as Node
