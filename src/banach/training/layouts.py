"""In which forms the convolutions of a run are computed: the fastest measured on CPUs, the plain ones elsewhere.

The forms are one of a run's facts, so that a run goes on in those it began with, bit for bit.
"""

from banach.models.blocks import ConvThenPool, Forms, InLayout, UpsampleThenConv, set_forms_
from banach.training.state import State

PLAIN = Forms(fused=False, channels_last=False)

_KNOWN = {str(one): one for one in (Forms(fused, last) for fused in (False, True) for last in (False, True))}


def forms_for(state: State, before: str = "") -> dict[str, str]:
    """Set the forms in which the networks compute; returns them in words, as the fact "forms".

    {} where the networks have no choice. `before` are those of the run's beginning, which are taken again.
    """
    networks = state.networks().values()
    chosen = (InLayout, ConvThenPool, UpsampleThenConv)
    if not any(isinstance(one, chosen) for network in networks for one in network.modules()):
        return {}
    name = before if before in _KNOWN else str(Forms() if state.device.type == "cpu" else PLAIN)
    for network in networks:
        set_forms_(network, _KNOWN[name])
    return {"forms": name}
