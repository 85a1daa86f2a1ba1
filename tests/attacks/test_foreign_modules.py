"""Modules that look like known ones: what the bound does not understand it must not bound.

Each case makes a critic, and is measured as it stands. The bound is None, or no pair of points is steeper.
"""

import copy
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as of_torch
from torch.nn.utils import parametrizations, parametrize, prune

from banach import Lp, space
from banach.constraints import constraint
from banach.models import ModelError, build_critic, lipschitz_bound
from banach.models.blocks import Conv, Score
from banach.models.bounds import Reach, UnprovenError, certified, through, weight_maps
from banach.models.bounds.reach import reach_of_samples
from banach.models.lipschitz import ConeCritic, LipschitzCritic, OrthogonalCritic, SortCritic
from banach.models.lipschitz.distance_critics import Hard
from banach.models.resnet import Plain
from banach.testing import refute


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def dense(*between, bias=True):
    """Three numbers to one, with slope of about 1, in float64."""
    critic = nn.Sequential(nn.Linear(3, 4, bias=bias), *between, nn.Linear(4, 1, bias=bias), nn.Flatten(0)).double()
    with torch.no_grad():
        for one in critic.parameters():
            one.copy_(torch.randn(one.shape, generator=rng(), dtype=one.dtype) / one.shape[-1] ** 0.5)
    return critic


def network(name="mlp", shape=(3,)):
    return build_critic(name, shape, width=4, rng=rng(), space=Lp(2)).double()


def ten(_module, _inputs, output):
    return 10 * output


def ten_before(_module, inputs):
    return (10 * inputs[0],)


def slope(critic, metric, shape):
    """The steepest pair of a critic as it stands, in the mode in which it stands: at random, and near each other."""
    dtype = next((one.dtype for one in critic.parameters() if one.is_floating_point()), torch.float64)
    dtype = dtype if dtype != torch.complex128 else torch.float64
    steepest = 0.0
    for scale, apart in ((1.0, 1.0), (1.0, 1e-3), (10.0, 1.0), (30.0, 1e-2)):
        x = (scale * torch.randn(200, *shape, generator=rng(), dtype=torch.float64)).to(dtype)
        y = (x + apart * torch.randn(x.shape, generator=rng(1), dtype=torch.float64)).to(dtype)
        with torch.no_grad():
            found = critic(torch.cat([x, y])).detach().reshape(2, len(x), -1).to(torch.complex128)
        rise, distance = (found[0] - found[1]).abs().amax(1), metric.distance(x.double(), y.double())
        steepest = max(steepest, float((rise / distance).nan_to_num(nan=math.inf, posinf=math.inf).max()))
    return steepest


CASES = {}


def case(made):
    CASES[made.__name__] = made
    return made


# Hooks


@case
def a_forward_hook_on_a_layer():
    critic = dense(nn.ReLU())
    critic[0].register_forward_hook(ten)
    return critic


@case
def a_forward_hook_on_an_activation():
    critic = dense(nn.ReLU())
    critic[1].register_forward_hook(ten)
    return critic


@case
def a_forward_pre_hook():
    critic = dense(nn.ReLU())
    critic[2].register_forward_pre_hook(ten_before)
    return critic


@case
def a_hook_with_keywords():
    critic = dense(nn.ReLU())
    critic[2].register_forward_hook(lambda _m, _a, _k, output: 10 * output, with_kwargs=True)
    return critic


@case
def a_hook_on_the_critic_itself():
    critic = dense(nn.ReLU())
    critic.register_forward_hook(ten)
    return critic


@case
def a_hook_in_a_network_of_the_package():
    critic = network()
    critic.hidden[2].register_forward_hook(ten)
    return critic


@case
def a_hook_on_the_layer_in_the_score():
    critic = network("resnet", (1, 6, 6))
    critic.score.layer.register_forward_pre_hook(ten_before)
    return critic


@case
def a_hook_on_a_strided_convolution():
    critic = network("dcgan", (1, 8, 8))
    critic.convs[0].register_forward_hook(ten)
    return critic


@case
def a_hook_on_what_computes_a_weight():
    critic = dense()
    parametrizations.spectral_norm(critic[0])
    critic[0].parametrizations.weight[0].register_forward_hook(ten)
    return critic


@case
def a_hook_on_the_list_of_what_computes_a_weight():
    critic = dense()
    parametrizations.orthogonal(critic[0])
    seen = []
    critic[0].parametrizations.weight.register_forward_hook(lambda _m, _i, w: (seen.append(w), len(seen) * w)[1])
    return critic


@case
def a_hook_on_a_lipschitz_critic():
    critic = network("lipschitz-cones")
    critic.register_forward_hook(ten)
    return critic


@case
def a_hook_on_a_layer_of_an_orthogonal_critic():
    critic = network("lipschitz-orthogonal")
    critic.layers[1].register_forward_hook(ten)
    return critic


@case
def a_hook_on_the_sorting_of_a_critic():
    critic = network("lipschitz-sort")
    critic.sort.register_forward_hook(ten)
    return critic


@case
def a_hook_on_the_least_of_cones():
    critic = network("lipschitz-cones")
    critic.least.register_forward_hook(ten)
    return critic


@case
def a_hook_inside_a_lipschitz_critic_in_a_sequence():
    critic = network("lipschitz-orthogonal")
    critic.sort.register_forward_pre_hook(ten_before)
    return nn.Sequential(critic, nn.Tanh())


# Attributes of an instance


@case
def a_forward_of_the_critics_own():
    critic = dense(nn.ReLU())
    inner = critic.forward
    critic.forward = lambda x: 10 * inner(x)
    return critic


@case
def a_forward_of_the_layers_own():
    critic = dense(nn.ReLU())
    critic[1].forward = lambda h: 10 * h
    return critic


@case
def a_forward_of_a_networks_own():
    critic = network()
    inner = critic.score.forward
    critic.score.forward = lambda h: 10 * inner(h)
    return critic


@case
def a_forward_of_a_lipschitz_critics_own():
    critic = network("lipschitz-sort")
    inner = critic.forward
    critic.forward = lambda x: 10 * inner(x)
    return critic


@case
def a_score_of_a_lipschitz_critics_own():
    critic = network("lipschitz-cones-hard")
    inner = critic.score
    critic.score = lambda x: 10 * inner(x)
    return critic


@case
def functionals_of_a_sorting_critics_own():
    critic = network("lipschitz-sort")
    calls, inner = [], critic.functionals
    critic.functionals = lambda: (calls.append(0), inner() * 10 ** (len(calls) != 1))[1]
    return critic


@case
def a_convolution_of_its_own():
    critic = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0)).double()
    inner = critic[0]._conv_forward
    critic[0]._conv_forward = lambda x, w, b: inner(100 * x, w, b)
    critic.shape = (1, 4)
    return critic


@case
def a_layout_of_a_networks_own():
    critic = network("dcgan4", (1, 8, 8))
    critic.laid = lambda x: 10 * x
    return critic


@case
def a_call_of_the_layers_own():
    critic = dense(nn.Tanh())
    critic[1]._call_impl = lambda h: 10 * h
    return critic


@case
def a_layer_compiled_by_another_backend():
    critic = dense(nn.Tanh())
    critic[1]._compiled_call_impl = lambda h: 10 * h  # where `layer.compile(backend=...)` puts what it makes
    return critic


# Classes


class TimesTen(nn.Module):
    def forward(self, *args):
        return 10 * super().forward(*args)


class SteepLinear(nn.Linear):
    def forward(self, input):
        return 10 * super().forward(input)


class MixedIn(TimesTen, nn.Linear):
    pass


class Between(nn.Module):
    def __call__(self, x):
        return 10 * super().__call__(x)


class CalledOtherwise(nn.Linear, Between):
    pass


class CallOverridden(nn.Tanh):
    def __call__(self, x):
        return 10 * super().__call__(x)


class CallImplementedOtherwise(nn.Tanh):
    def _call_impl(self, x):
        return 10 * x.tanh()

    __call__ = _call_impl


class Reversed(nn.Sequential):
    """Reads itself twice as it runs, and once as it is looked at."""

    looked = False

    def __iter__(self):
        layers = list(self._modules.values())
        again = layers[:-1] if self.looked else [*layers[:-1], *[Ten()] * 3]
        self.looked = True
        return iter([*again, layers[-1]])


class Ten(nn.Module):
    def forward(self, x):
        return 10 * x


class SteepConv(nn.Conv1d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(100 * input, weight, bias)


class RandomWeight(nn.Linear):
    """Its weight is drawn each time, as noise on what is stored."""

    @property
    def weight(self):
        return self._parameters["weight"] * (10 * torch.rand(()))


class TrainedOtherwise(nn.Sequential):
    """Cannot be brought into evaluation, where its weights are small."""

    def eval(self):
        return self


class Pretends(nn.Module):
    __class__ = nn.Identity

    def forward(self, x):
        return 10 * x


@case
def a_class_with_a_forward():
    return nn.Sequential(SteepLinear(3, 1), nn.Flatten(0))


@case
def a_class_mixed_in():
    return nn.Sequential(MixedIn(3, 1), nn.Flatten(0))


@case
def a_class_between_a_layer_and_module():
    return nn.Sequential(CalledOtherwise(3, 1), nn.Flatten(0))


@case
def a_class_with_a_call():
    return dense(CallOverridden())


@case
def a_class_with_an_implementation_of_calls():
    return dense(CallImplementedOtherwise())


@case
def a_sequence_that_iterates_otherwise():
    return Reversed(nn.Linear(3, 1), nn.Flatten(0))


@case
def a_convolution_computed_otherwise():
    critic = nn.Sequential(SteepConv(1, 2, 3), nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))
    critic.shape = (1, 4)
    return critic


@case
def a_weight_that_is_a_property():
    critic = dense()
    critic[0].__class__ = RandomWeight
    return critic


class Drifting:
    """What gives another weight each time it is read."""

    reads = 0

    def __get__(self, layer, _kind):
        self.reads += 1
        return layer._parameters["weight"] * self.reads


@case
def a_weight_that_drifts():
    critic = dense()
    critic[0].__class__ = type("Mine", (nn.Linear,), {"weight": Drifting()})
    return critic


@case
def a_computed_weight_that_is_computed_otherwise():
    critic = dense()
    parametrizations.orthogonal(critic[0])
    inner = type(critic[0]).weight.fget
    type(critic[0]).weight = property(lambda layer: inner(layer) * 10 * torch.rand(()))
    return critic


@case
def a_mode_that_cannot_be_left():
    return TrainedOtherwise(*dense(nn.Dropout(0.5)))


@case
def a_class_that_pretends_to_be_another():
    return dense(Pretends())


@case
def a_network_with_another_layout():
    critic = network("dcgan", (1, 8, 8))
    critic.__class__ = type("Mine", (type(critic),), {"laid": lambda _self, x: 10 * x})
    return critic


@case
def cones_with_another_score():
    critic = network("lipschitz-cones")
    critic.__class__ = type("Mine", (ConeCritic,), {"score": lambda self, x: 10 * ConeCritic.score(self, x)})
    return critic


@case
def orthogonal_layers_after_other_coordinates():
    critic = network("lipschitz-orthogonal")
    critic.__class__ = type("Mine", (OrthogonalCritic,), {"coordinates": lambda _self, x: 10 * x})
    return critic


@case
def sorting_with_another_forward():
    critic = network("lipschitz-sort")
    critic.__class__ = type("Mine", (SortCritic,), {"forward": lambda self, x: 10 * SortCritic.forward(self, x)})
    return critic


# Parts put in the place of others


@case
def another_activation_in_orthogonal_layers():
    critic = network("lipschitz-orthogonal")
    critic.sort = Ten()
    return critic


@case
def another_activation_in_sorting():
    critic = network("lipschitz-sort")
    critic.sort = Ten()
    return critic


@case
def another_extremum_in_cones():
    critic = network("lipschitz-cones")

    class Least(type(critic.least)):
        def forward(self, h):
            return 10 * super().forward(h)

    critic.least = Least()
    return critic.double()


@case
def another_layer_in_orthogonal_layers():
    critic = network("lipschitz-orthogonal")
    critic.layers[1] = SteepLinear(4, 4).double()
    return critic


@case
def a_foreign_layer_in_a_network():
    critic = network()
    critic.hidden = nn.Sequential(critic.hidden, nn.BatchNorm1d(4)).double()
    return critic


def block(change):
    """A residual block whose other branch adds nothing, and the sum of what it gives."""
    plain = Plain(2, 2, rng())
    plain.conv2.weight.data.zero_()
    change(plain)
    critic = nn.Sequential(plain, nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)).double()
    critic.shape = (2, 2, 2)
    return critic


@case
def an_activation_in_place_before_a_shortcut():
    return block(lambda one: setattr(one, "before", nn.Sequential(nn.LeakyReLU(50.0, inplace=True))))


@case
def activations_in_place_first_in_a_block():
    def change(plain):
        plain.before, plain.conv1, plain.between = nn.Identity(), nn.Identity(), nn.LeakyReLU(50.0, inplace=True)

    return block(change)


# Weights


def old_style(how, layer, enlarge):
    critic = nn.Sequential(layer, nn.Flatten(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how(layer)
    critic(torch.zeros(1, 3))
    with torch.no_grad():
        enlarge(layer)
    return critic


@case
def a_stale_weight_of_weight_norm():
    return old_style(nn.utils.weight_norm, nn.Linear(3, 1), lambda one: one.weight_g.fill_(10.0))


@case
def a_stale_weight_of_spectral_norm():
    def smaller(layer):
        layer.eval()
        layer.weight_u.mul_(0.1)

    return old_style(nn.utils.spectral_norm, nn.Linear(3, 1), smaller)


@case
def a_stale_weight_of_pruning():
    return old_style(
        lambda one: prune.l1_unstructured(one, "weight", 1), nn.Linear(3, 1), lambda one: one.weight_orig.fill_(10.0)
    )


@case
def a_weight_that_is_no_parameter():
    critic = dense()
    weight = critic[0].weight.detach().clone()
    del critic[0].weight
    critic[0].weight = weight
    return critic


def filled(value, name="weight", dtype=torch.float64):
    critic = dense(nn.ReLU()).to(dtype)
    with torch.no_grad():
        getattr(critic[0], name).view(-1)[0] = value
    return critic


@case
def a_weight_that_is_nan():
    return filled(math.nan)


@case
def a_last_weight_that_is_nan():
    critic = dense(nn.ReLU())
    critic[2].weight.data.fill_(math.nan)
    return critic


@case
def a_weight_that_is_infinite():
    return filled(math.inf)


@case
def a_bias_that_is_nan():
    return filled(math.nan, "bias")


@case
def a_bias_that_is_infinite():
    return filled(math.inf, "bias")


@case
def a_kernel_that_is_nan():
    critic = network("dcgan", (1, 8, 8))
    critic.convs[0].weight.data.view(-1)[0] = math.nan
    return critic


@case
def weights_in_bfloat16():
    return filled(3000.0, "bias", torch.bfloat16)


@case
def weights_in_float16():
    return filled(3000.0, "bias", torch.float16)


@case
def complex_weights():
    return nn.Sequential(nn.Linear(3, 1, dtype=torch.complex128), nn.Flatten(0))


@case
def complex_biases():
    critic = dense()
    critic[0].bias.data = critic[0].bias.data.to(torch.complex128)
    return critic


@case
def weights_without_numbers():
    return dense().to("meta")


@case
def sparse_weights():
    critic = dense()
    critic[0].weight = nn.Parameter(critic[0].weight.detach().to_sparse())
    return critic


@case
def biases_that_differ_from_sample_to_sample():
    critic = dense()
    critic[1].bias = nn.Parameter(torch.randn(400, 1, dtype=torch.float64, generator=rng()))
    return critic


@case
def offsets_that_differ_from_sample_to_sample():
    critic = network("lipschitz-cones")
    critic.unit = torch.rand(400, dtype=torch.float64, generator=rng()) + 1
    return critic


@case
def products_that_underflow():
    critic = dense(bias=False)
    critic[0].weight.data.mul_(1e-170)
    critic[1].weight.data.mul_(1e170)
    return critic


@case
def many_products_that_underflow():
    layers = [nn.Linear(3, 3, bias=False) for _ in range(8)]
    critic = nn.Sequential(*layers, nn.Linear(3, 1), nn.Flatten(0)).double()
    for i, one in enumerate(layers):
        one.weight.data.copy_(torch.eye(3) * (1e-90 if i < 4 else 1e90))
    return critic


class Steeper(nn.Parameter):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        found = super().__torch_function__(func, types, args, kwargs or {})
        return 10 * found.as_subclass(torch.Tensor) if func is F.linear else found


@case
def a_weight_of_a_tensors_subclass():
    critic = dense()
    critic[0]._parameters["weight"] = critic[0].weight.detach().as_subclass(Steeper)
    return critic


@case
def sizes_that_are_stale():
    critic = nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1), nn.Flatten(0)).double()
    critic[0].weight, critic[0].bias = nn.Parameter(torch.ones(400, 3).double()), None
    critic[1].weight = nn.Parameter(torch.ones(1, 400).double())
    return critic


class Louder(nn.Module):
    """Ten times as large in training."""

    def forward(self, w):
        return 10 * w if self.training else w


class Noisy(nn.Module):
    """Another weight each time."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, w):
        self.calls += 1
        return self.calls * w


@case
def a_weight_that_depends_on_the_mode():
    critic = dense()
    parametrize.register_parametrization(critic[0], "weight", Louder())
    return critic


@case
def a_weight_that_differs_each_time():
    critic = dense()
    parametrize.register_parametrization(critic[0], "weight", Noisy())
    return critic


@case
def a_bias_that_differs_each_time():
    critic = dense()
    parametrize.register_parametrization(critic[0], "weight", nn.Identity(), unsafe=True)
    critic[0].parametrizations.weight[0].forward = lambda w: w * 10 * torch.rand(())
    return critic


@case
def a_spectral_norm_in_training_of_a_weight_near_zero():
    critic = dense()
    parametrizations.spectral_norm(critic[0])
    critic[0].parametrizations.weight.original.data.mul_(1e-14)
    return critic


@case
def a_spectral_norm_in_training_whose_vectors_are_long():
    critic = dense()
    parametrizations.spectral_norm(critic[0])
    for one in (critic[0].parametrizations.weight[0]._u, critic[0].parametrizations.weight[0]._v):
        one.mul_(10)
    return critic


# Critics that are Lipschitz by construction, in a state that cannot be


def state(family, name, value):
    critic = network(family)
    critic.load_state_dict(critic.state_dict() | {name: torch.full_like(critic.state_dict()[name], value)})
    return critic


@case
def cones_at_nan():
    return state("lipschitz-cones", "low_points", math.nan)


@case
def cones_with_a_unit_of_zero():
    return state("lipschitz-cones", "unit", 0.0)


@case
def cones_infinitely_spread():
    return state("lipschitz-cones", "spread", math.inf)


@case
def cones_too_hot():
    return state("lipschitz-cones", "least.heat", 1e4)


@case
def sorting_with_a_nan_offset():
    return state("lipschitz-sort", "row_biases", math.nan)


@case
def sorting_with_a_nan_row():
    return state("lipschitz-sort", "rows", math.nan)


@case
def orthogonal_layers_of_nan():
    critic = network("lipschitz-orthogonal")
    critic.layers[1].parametrizations.weight.original.data.fill_(math.nan)
    return critic


@case
def orthogonal_layers_beyond_all_numbers():
    critic = network("lipschitz-orthogonal")
    critic.layers[1].parametrizations.weight.original.data.fill_(1e200)
    return critic


# Activations that are not what they are called, and what is not known


def leaky(kind, name, value):
    layer = kind()
    setattr(layer, name, value)
    return dense(layer)


@case
def a_leaky_relu_of_a_negative_slope():
    return dense(nn.LeakyReLU(-30.0))


@case
def a_leaky_relu_of_slope_nan():
    return leaky(nn.LeakyReLU, "negative_slope", math.nan)


@case
def an_elu_of_a_negative_alpha():
    return dense(nn.ELU(-30.0))


@case
def an_elu_of_alpha_nan():
    return leaky(nn.ELU, "alpha", math.nan)


@case
def a_hardtanh_upside_down():
    layer = nn.Hardtanh()
    layer.min_val, layer.max_val = -3.0, 4.0
    return dense(layer, nn.ReLU6(inplace=True), nn.LeakyReLU(7.0, inplace=True))


def size_of(critic):
    return critic.shape if "shape" in vars(critic) else (3,)


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_understood_is_not_bounded(name):
    torch.manual_seed(0)
    critic = CASES[name]()
    bound = lipschitz_bound(critic, Lp(2), size_of(critic))
    assert bound is None or slope(critic, Lp(2), size_of(critic)) <= bound * (1 + 1e-9)


BOUNDED = {
    "sizes_that_are_stale", "orthogonal_layers_beyond_all_numbers", "a_leaky_relu_of_a_negative_slope",
    "an_elu_of_a_negative_alpha", "a_hardtanh_upside_down",
}  # fmt: skip
"""Cases that look odd and are understood."""

COPIED_WITHOUT = {"weights_in_bfloat16", "weights_in_float16", "a_layer_compiled_by_another_backend"}
"""Cases of which the copy in float64 is an ordinary critic."""


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_told(name):
    critic = CASES[name]()
    if name in BOUNDED:
        assert lipschitz_bound(critic, Lp(2), size_of(critic)) is not None
    elif name not in COPIED_WITHOUT:
        with pytest.raises(ModelError, match=r"no Lipschitz bound is proven for this \w+ in Lp\(p=2\): \w+"):
            certified(critic, Lp(2), size_of(critic))


UNKNOWN = [
    nn.Softplus(threshold=1), nn.Softplus(), nn.Softplus(beta=100), nn.Threshold(0.1, 20), nn.PReLU(init=30.0),
    nn.Hardshrink(0.5), nn.RReLU(20, 30), nn.CELU(0.01), nn.Hardswish(), nn.Mish(), nn.SiLU(), nn.GELU(), nn.SELU(),
    nn.BatchNorm1d(4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.RMSNorm(4), nn.Dropout(0.9), nn.AlphaDropout(0.5),
    nn.Softmax(0), nn.Softmin(1), nn.LogSoftmax(1), nn.Bilinear(4, 4, 4), nn.Embedding(2, 4), nn.GLU(), nn.Softshrink(),
    nn.Flatten(0, 0), nn.Unflatten(1, (2, 2)), nn.ConstantPad1d(1, 5.0), nn.CrossMapLRN2d(2), nn.Tanhshrink(),
    nn.UpsamplingNearest2d(2), nn.ConvTranspose1d(4, 4, 1), nn.LPPool1d(2, 2), nn.ChannelShuffle(2), nn.Hardsigmoid(),
    nn.ModuleList([nn.Linear(4, 4)]), nn.DataParallel(nn.Linear(4, 4)), nn.LazyLinear(4),
]  # fmt: skip


@pytest.mark.parametrize("layer", UNKNOWN, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("training", [True, False])
def test_unknown_kinds_are_not_bounded(layer, training):
    critic = nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1)).train(training)
    assert lipschitz_bound(critic, Lp(2), (3,)) is None


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_was_compiled_or_traced_is_not_bounded():
    layer = nn.Linear(3, 1)
    for made in (torch.compile(layer), torch.fx.symbolic_trace(layer), torch.jit.trace(layer, torch.zeros(1, 3))):
        assert lipschitz_bound(made, Lp(2), (3,)) is None
    layer.compile()
    assert lipschitz_bound(layer, Lp(2)) is None


@pytest.mark.parametrize("threshold", [1.0, 20.0, -3.0])
def test_softplus_of_torch_jumps(threshold):
    """By log(1 + exp(-threshold)), over no distance at all: no constant is one."""
    critic = nn.Sequential(nn.Linear(1, 1), nn.Softplus(threshold=threshold), nn.Flatten(0)).double()
    critic[0].weight.data.fill_(1.0)
    critic[0].bias.data.zero_()
    x = torch.tensor([[threshold], [math.nextafter(threshold, math.inf)]], dtype=torch.float64)
    jump = float(critic(x).detach().diff().abs())
    assert jump > 1e5 * float(x.diff(dim=0))
    assert jump == pytest.approx(math.log1p(math.exp(-threshold)), rel=1e-4)
    assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize(
    "register", [nn.modules.module.register_module_forward_hook, nn.modules.module.register_module_forward_pre_hook]
)
@pytest.mark.parametrize("make", [lambda: dense(nn.ReLU()), lambda: network("lipschitz-sort")])
def test_hooks_on_all_modules(register, make):
    critic = make()
    before = lipschitz_bound(critic, Lp(2))
    hook = register(lambda *_: None)
    try:
        assert lipschitz_bound(critic, Lp(2)) is None
        with pytest.raises(ModelError, match="global module hooks"):
            certified(critic, Lp(2))
    finally:
        hook.remove()
    assert not of_torch._global_forward_hooks
    assert lipschitz_bound(critic, Lp(2)) == before


@pytest.mark.parametrize(
    ("kind", "name"),
    [(nn.ReLU, "forward"), (nn.Linear, "forward"), (nn.Sequential, "forward"), (nn.Module, "__call__"),
     (nn.Module, "_call_impl"), (nn.Linear, "__call__"), (nn.ReLU, "__getattribute__")],
)  # fmt: skip
def test_classes_changed_after_they_were_understood(kind, name, monkeypatch):
    critic = dense(nn.ReLU())
    original = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda self, *args: original(self, *args))
    assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize(
    ("family", "kind", "name"),
    [("lipschitz-cones", ConeCritic, "score"), ("lipschitz-sort", SortCritic, "functionals"),
     ("lipschitz-orthogonal", OrthogonalCritic, "coordinates"), ("lipschitz-cones", LipschitzCritic, "forward"),
     ("lipschitz-cones-hard", Hard, "forward")],
)  # fmt: skip
def test_critics_changed_after_they_were_understood(family, kind, name, monkeypatch):
    critic = network(family)
    original = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda self, *args: 10 * original(self, *args))
    assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize(
    "family", ["lipschitz-sort", "lipschitz-cones", "lipschitz-cones-hard", "lipschitz-orthogonal"]
)
def test_a_hook_on_any_module_of_a_critic_that_proves_itself(family):
    for place in range(len([*network(family).modules()])):
        critic = network(family)
        [*critic.modules()][place].register_forward_hook(ten)
        assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize(
    ("name", "shape"), [("mlp", (3,)), ("dcgan", (1, 8, 8)), ("resnet", (1, 20, 20)), ("resnet", (1, 6, 6))]
)
def test_a_hook_on_any_module_of_a_network(name, shape):
    """Containers that are never called may have any."""
    for place, one in enumerate(network(name, shape).modules()):
        critic = network(name, shape)
        [*critic.modules()][place].register_forward_pre_hook(ten_before)
        assert (lipschitz_bound(critic, Lp(2)) is None) == (not isinstance(one, nn.ModuleList))


def test_features_that_are_laid_out_otherwise():
    """Without convolutions the networks' last layer sees the sample itself, its channels last."""
    critic, metric = network("dcgan", (2, 6, 6)), space("Weighted(Scale((1, 100)), Lp(2))")
    critic.convs, critic.score = nn.ModuleList(), Score(72, rng()).double()
    with torch.no_grad():
        critic.score.layer.weight.copy_(torch.arange(72.0) % 2 == 0)
    assert slope(critic, metric, (2, 6, 6)) <= lipschitz_bound(critic, metric) < 100
    found = refute(critic, metric, (2, 6, 6), rng(), pairs=8, steps=6).slope
    assert 5 < found <= lipschitz_bound(critic, metric)


def test_an_orthogonal_critic_whose_space_was_changed():
    critic = network("lipschitz-orthogonal")
    critic.space = Lp(math.inf)
    assert slope(critic, Lp(math.inf), (3,)) > 1
    assert lipschitz_bound(critic, Lp(math.inf)) is None


def test_a_sorting_critic_that_sees_what_the_norm_does_not():
    critic = build_critic("lipschitz-sort", (1, 4), 4, rng=rng(), space=Lp(2))
    assert lipschitz_bound(critic, space("Sobolev(s=-1, homogeneous=True)")) is None


# What is understood


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_units_scale_the_bound(scale):
    critic = dense(nn.ReLU(), bias=False)
    before = lipschitz_bound(critic, Lp(2))
    critic[0].weight.data.mul_(scale)
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(scale * before, rel=1e-12)
    critic[2].weight.data.div_(scale)
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(before, rel=1e-12)


def understood():
    """Layers that are what they are called, in ways that do not show at once; and their critics' bound without them."""
    yield "backward hooks", lambda one: one[0].register_full_backward_hook(lambda *_: None)
    yield "state hooks", lambda one: one[0].register_state_dict_post_hook(lambda *_: None)
    yield "removed hooks", lambda one: one[0].register_forward_hook(ten).remove()
    yield "in place", lambda one: setattr(one[1], "inplace", True)
    yield "other attributes", lambda one: setattr(one[0], "note", torch.ones(3))
    yield "derived classes", lambda one: setattr(one[0], "__class__", type("Mine", (nn.Linear,), {"size": lambda _: 3}))
    yield "evaluation", lambda one: one.eval()
    yield "frozen", lambda one: one.requires_grad_(False)
    yield "the same parametrization", lambda one: parametrize.register_parametrization(one[0], "weight", nn.Identity())
    yield "weight norm", lambda one: parametrizations.weight_norm(one[0])
    yield "pruned for good", lambda one: prune.remove(prune.identity(one[0], "weight"), "weight")


@pytest.mark.parametrize(("name", "change"), understood())
def test_what_changes_nothing_keeps_its_bound(name, change):
    critic = dense(nn.ReLU())
    before = lipschitz_bound(critic, Lp(2))
    change(critic)
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(before, rel=1e-12), name
    assert certified(critic, Lp(2)).bound == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize(
    ("how", "name", "shape"),
    [("spectral-norm", "mlp", (3,)), ("spectral-norm", "dcgan4", (1, 8, 8)), ("orthogonal", "mlp", (3,)),
     ("orthogonal(map='householder')", "mlp", (3,)), ("spectral-norm", "resnet", (1, 6, 6))],
)  # fmt: skip
def test_computed_weights_in_training_and_in_evaluation(how, name, shape):
    critic = network(name, shape)
    constraint(how).prepare(critic)
    with torch.no_grad():
        for one in critic.parameters():
            one.add_(torch.randn(one.shape, generator=rng(), dtype=one.dtype))  # the vectors are those of before
    state = copy.deepcopy(critic.state_dict())
    bound = lipschitz_bound(critic, Lp(2))
    assert all(one.training for one in critic.modules())
    assert all(torch.equal(value, state[key]) for key, value in critic.state_dict().items())
    assert 0 < refute(critic, Lp(2), shape, rng(), pairs=4, steps=3).slope <= bound
    assert slope(critic, Lp(2), shape) <= bound * (1 + 1e-9), "in training, where the vectors move on"


def test_torchs_own_orthogonal_weights():
    critic = dense()
    for one in critic[:2]:
        parametrizations.orthogonal(one)
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(1, abs=1e-8)


def test_half_precision_is_proven_of_a_copy_in_float64():
    critic = CASES["weights_in_bfloat16"]()
    assert lipschitz_bound(critic, Lp(2)) is None
    found = certified(critic, Lp(2))
    assert refute(found, Lp(2), (3,), rng(), pairs=8, steps=6).slope <= 1 + 1e-9


def test_autocast_around_the_question_changes_nothing():
    critic = build_critic("lipschitz-orthogonal", (3,), 4, rng=rng())
    before = lipschitz_bound(critic, Lp(2))
    with torch.autocast("cpu", torch.bfloat16):
        assert lipschitz_bound(critic, Lp(2)) == before


def test_even_kernels_give_more_than_they_take():
    critic = nn.Sequential(Conv(1, 1, 4, rng(), kernel=2), nn.Flatten(), nn.Linear(4 * 7, 1), nn.Flatten(0)).double()
    bound = lipschitz_bound(critic, Lp(2), (1, 6))
    assert slope(critic, Lp(2), (1, 6)) <= bound < 10 * slope(critic, Lp(2), (1, 6))


@pytest.mark.parametrize("words", [("periodic",), ("reflect",)])
def test_even_kernels_give_a_place_twice_on_axes_without_a_border(words):
    """The first place of the result is its last one, too: |Ax| is up to sqrt(2) times that of a periodic one."""
    conv = Conv(1, 1, 1, rng(), kernel=2)
    conv.weight.data = torch.tensor([[[0.0, 1.0]]])
    conv.padding = words
    critic = nn.Sequential(conv, nn.Flatten(), nn.Linear(7, 1, bias=False), nn.Flatten(0)).double()
    critic[2].weight.data = torch.tensor([[1.0, 0, 0, 0, 0, 0, 1.0]]).double()
    x = torch.zeros(1, 1, 6).double()
    made = conv(x)
    assert made.shape == (1, 1, 7)
    bound = lipschitz_bound(critic, Lp(2), (1, 6))
    assert bound is None or slope(critic, Lp(2), (1, 6)) <= bound


@pytest.mark.parametrize("padding", ["same", "valid", 0, 2, (3,)])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_paddings_of_torch(padding, kernel):
    conv = nn.Conv1d(1, 2, kernel, padding=padding)
    n = conv(torch.zeros(1, 1, 6)).shape[2]
    critic = nn.Sequential(conv, nn.Flatten(), nn.Linear(2 * n, 1), nn.Flatten(0)).double()
    assert slope(critic, Lp(2), (1, 6)) <= lipschitz_bound(critic, Lp(2), (1, 6))
    assert lipschitz_bound(critic, Lp(2), (1, 1) if kernel == 3 and padding in ("valid", 0) else (1, 5)) is None


class Doubled(nn.Module):
    """A layer of one's own, which keeps another in a list, where torch does not see it."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(4, 4)]

    def forward(self, h):
        return 2 * self.hidden[0](h)


@through.register
def _(layer: Doubled, reach: Reach) -> Reach:
    inner = through(layer.hidden[0], reach)
    return inner.then(inner.shape, 2 * inner.sup, 2 * inner.l2)


def test_layers_of_ones_own_pass_the_gate_too():
    critic = nn.Sequential(nn.Linear(3, 4), Doubled(), nn.Linear(4, 1), nn.Flatten(0))
    bound = lipschitz_bound(critic, Lp(2))
    assert slope(critic, Lp(2), (3,)) <= bound
    hook = critic[1].hidden[0].register_forward_hook(ten)
    assert lipschitz_bound(critic, Lp(2)) is None
    with pytest.raises(UnprovenError, match="Linear has hooks"):
        through(critic[1].hidden[0], reach_of_samples(Lp(2), (4,)))
    hook.remove()
    critic[1].forward = lambda h: 10 * h
    assert lipschitz_bound(critic, Lp(2)) is None
    del critic[1].forward
    assert lipschitz_bound(critic, Lp(2)) == bound


class Halved(nn.Module):
    def forward(self, w):
        return w / 2


def test_weights_computed_in_ones_own_way(monkeypatch):
    critic = dense()
    parametrize.register_parametrization(critic[0], "weight", Halved())
    assert lipschitz_bound(critic, Lp(2)) is None
    monkeypatch.setattr("banach.models.bounds.gate.weight_maps", weight_maps | {Halved})
    assert lipschitz_bound(critic, Lp(2)) >= slope(critic, Lp(2), (3,)) > 0


class Mean(LipschitzCritic):
    """A critic of one's own that proves its bound."""

    def score(self, x):
        return x.mean(1)

    def bound(self, space):
        return 1.0 if space == self.space else None


def test_critics_of_ones_own_prove_themselves():
    critic = Mean(Lp(2), (3,), rng())
    assert lipschitz_bound(critic, Lp(2)) == pytest.approx(1, rel=1e-8)
    assert lipschitz_bound(critic, Lp(1)) is None
    assert (
        lipschitz_bound(type("Steeper", (Mean,), {"score": lambda _, x: 9 * x[:, 0]})(Lp(2), (3,), rng()), Lp(2))
        is None
    )
    critic.score = lambda x: 9 * x[:, 0]
    assert lipschitz_bound(critic, Lp(2)) is None


class Elsewhere(dict):
    """A container that answers with other weights than it holds."""

    def __getitem__(self, key):
        return 10 * super().__getitem__(key)


class Lied(float):
    """A number that says it is small."""

    def __abs__(self):
        return 0.0


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(), nn.Linear(4, 1), nn.Flatten(0))


def replaced_function(monkeypatch):
    inner = nn.functional.linear
    monkeypatch.setattr(nn.functional, "linear", lambda x, w, b=None: 9 * inner(x, w, b))


def replaced_module(monkeypatch):
    monkeypatch.setattr(nn.modules.linear, "F", type("Other", (), {"linear": staticmethod(lambda x, w, b=None: x)}))


def replaced_code(monkeypatch):
    def forward(self, input):
        return 9 * input

    monkeypatch.setattr(nn.LeakyReLU.forward, "__code__", forward.__code__)


@pytest.mark.parametrize("act", [replaced_function, replaced_module, replaced_code], ids=lambda one: one.__name__)
def test_functions_that_were_replaced_bound_nothing(act, monkeypatch):
    critic = plain()
    assert lipschitz_bound(critic, Lp(2)) is not None
    act(monkeypatch)
    assert lipschitz_bound(critic, Lp(2)) is None
    monkeypatch.undo()
    assert lipschitz_bound(critic, Lp(2)) is not None


class Around(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_modes_around_all_functions_bound_nothing_and_devices_do():
    critic = plain()
    with Around():
        assert lipschitz_bound(critic, Lp(2)) is None
    with torch.device("cpu"):
        assert lipschitz_bound(critic, Lp(2)) is not None


def test_weights_that_are_cached_bound_nothing():
    critic = plain()
    nn.utils.parametrizations.weight_norm(critic[0])
    with nn.utils.parametrize.cached():
        critic(torch.zeros(2, 3))
        assert lipschitz_bound(critic, Lp(2)) is None
    assert lipschitz_bound(critic, Lp(2)) is not None


def in_a_container(critic):
    critic[0]._parameters = Elsewhere(critic[0]._parameters)


def modules_elsewhere(critic):
    critic._modules = Elsewhere(critic._modules)


def lying_slope(critic):
    critic[1].negative_slope = Lied(30.0)


def worded_slope(critic):
    critic[1].negative_slope = "0.1"


def no_features(critic):
    critic[0] = nn.Linear(3, 4)
    critic[0].weight = nn.Parameter(torch.zeros(0, 3))


@pytest.mark.parametrize(
    "act", [in_a_container, modules_elsewhere, lying_slope, worded_slope, no_features], ids=lambda one: one.__name__
)
def test_modules_that_are_not_built_as_their_kind_bound_nothing(act):
    critic = plain()
    act(critic)
    assert lipschitz_bound(critic, Lp(2)) is None


@pytest.mark.parametrize("change", [{"stride": 2}, {"padding": 1}, {"stride": (2.0, 2.0)}])
def test_convolutions_with_numbers_of_another_kind_raise_nothing(change):
    conv = nn.Conv2d(1, 2, 3)
    vars(conv).update(change)
    found = lipschitz_bound(nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(1)), Lp(2), (1, 6, 6))
    assert found is None
