"""The `Objective` itself: data, not a hierarchy; and the registry of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from banach.errors import BanachError
from banach.specs import Registry, SpecError

OBJECTIVES = Registry("objective", bare="build", parts=("objective", "psi"))

PSI = Registry("psi")
"""Choices of the generator's loss, apart from the critic's; registered, so that a spec needs no quotes."""

PSI.add("neg", "neg", summary="psi = -f, as in Table 2 of Lipschitz GANs")
PSI.add("varphi", "varphi", summary="psi = varphi: fakes are scored as the critic scores reals")

Scalar = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """phi (on fakes) and varphi (on reals) for the critic, psi (on fakes) for the generator; elementwise functions.

    `paired`: the critic sees only differences of a real and a fake of the same batch index (relativistic pairing): it
    minimises E varphi(f(real_i) - f(fake_i)), the generator E psi(f(fake_i) - f(real_i)); phi(u) stands for varphi(-u).
    `own`: the spec of a penalty that is part of the objective itself (Fisher GAN's constraint), "" if there is none.

    >>> mine = Objective(phi=torch.exp, varphi=lambda f: torch.exp(-f))
    >>> mine.critic_loss(torch.ones(4), torch.zeros(4)), mine.generator_loss(torch.ones(4))
    (tensor(1.3679), tensor(-1.))
    """

    phi: Scalar
    varphi: Scalar
    psi: Scalar = torch.neg
    spelling: str = field(default="", compare=False)
    paired: bool = False
    own: str = ""

    def __repr__(self) -> str:
        return self.spelling or f"Objective({self.phi}, {self.varphi}, {self.psi})"

    def critic_loss(self, f_real: Float[Tensor, " n"], f_fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
        """What the critic minimises, from its values: E phi(f(fake)) + E varphi(f(real)) (Lipschitz GANs, eq. 10).

        Paired: E varphi(f(real_i) - f(fake_i)); BanachError unless there are as many reals as fakes.
        """
        if self.paired:
            return self.varphi(self._differences(f_real, f_fake)).mean()
        return self.phi(f_fake).mean() + self.varphi(f_real).mean()

    def generator_loss(
        self, f_fake: Float[Tensor, " m"], f_real: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """What the generator minimises: E psi(f(fake)) (Lipschitz GANs, eq. 10), for which no reals are needed.

        Paired: E psi(f(fake_i) - f(real_i)); BanachError without reals, or unless there are as many of them as fakes.
        """
        if not self.paired:
            return self.psi(f_fake).mean()
        if f_real is None:
            raise BanachError(f"{self!r} compares each fake with a real: give the critic's values on reals too")
        return self.psi(-self._differences(f_real, f_fake)).mean()

    def _differences(self, f_real: Tensor, f_fake: Tensor) -> Tensor:
        if f_real.shape != f_fake.shape:
            raise BanachError(
                f"{self!r} compares each fake with the real of its index: "
                f"got {len(f_real)} reals and {len(f_fake)} fakes; take as many of each"
            )
        return f_real - f_fake


def chosen_psi(psi: str, varphi: Scalar) -> Scalar:
    """The generator's loss: -f for "neg", varphi for "varphi"; SpecError for anything else."""
    if psi not in ("neg", "varphi"):
        raise SpecError(f"psi = {psi!r}; choose neg (the generator minimises -f) or varphi (as on reals)")
    return torch.neg if psi == "neg" else varphi


def objective(spec: str | Objective) -> Objective:
    """The objective that a spec, or an objective itself, stands for.

    >>> objective("hinge")
    hinge(alpha=1)
    """
    found = OBJECTIVES.parse(spec) if isinstance(spec, str) else spec
    if not isinstance(found, Objective):
        raise SpecError(f"{spec!r} is no objective; for example wasserstein")
    return found
