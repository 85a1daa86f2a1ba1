"""Shapes and types of tensors are checked in the tests: every function of the package is wrapped as it is imported."""

import torch
from jaxtyping import install_import_hook

# Small tensors: a second thread costs more than it brings, and two test processes share two cores.
torch.set_num_threads(1)

install_import_hook("banach", "typechecking.checked")
