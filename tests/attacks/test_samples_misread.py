"""Samples and weights as people hold them: each is read as it is, exactly, or refused in a line with the remedy."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse
import torch
from PIL import Image

import banach
from banach import Lp, Product
from banach.cli.__main__ import main
from banach.spaces import Metric
from banach.transport import TransportError, energy_distance, excess, permutation_p, population_distance, save
from banach.transport.axioms import check_metric
from banach.transport.distance import mean_length
from banach.transport.numbers import numbers

BASE = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
SHARED = torch.tensor(BASE)


def read_only():
    x = BASE.copy()
    x.flags.writeable = False
    return x


READ = {
    "masked nowhere": np.ma.array(BASE), "list": BASE.tolist(), "list of tensors": list(SHARED),
    "matrix": np.asmatrix(BASE),
    "big-endian": BASE.astype(">f8"), "big-endian float32": BASE.astype(">f4"), "big-endian int": BASE.astype(">i4"),
    "bfloat16": SHARED.bfloat16(), "float16": SHARED.half(), "numpy float16": BASE.astype(np.float16),
    "float8": SHARED.to(torch.float8_e4m3fn), "uint16": SHARED.to(torch.uint16), "uint32": SHARED.to(torch.uint32),
    "uint64": SHARED.to(torch.uint64), "numpy uint64": BASE.astype(np.uint64), "int64": BASE.astype(np.int64),
    "longdouble": BASE.astype(np.longdouble), "backwards": BASE[::-1][::-1], "read-only": read_only(),
    "transposed": torch.tensor(BASE.T.copy()).T, "imaginary part": torch.tensor(1j * BASE).conj().imag.neg(),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_the_same_numbers(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = numbers(READ[name], "A")
    assert found.dtype in (torch.float32, torch.float64)
    assert torch.equal(found.double(), SHARED)
    found = banach.distance(READ[name], BASE + 1)
    assert found.value == pytest.approx(2**0.5)
    save(tmp_path / "cert.npz", found, READ[name], BASE + 1)


def records():
    return np.array([(0.0, 1.0), (2.0, 3.0)], dtype=[("a", float), ("b", float)])


def nested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype of torch
        return torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.quint8)


REFUSED = {
    "masked": (lambda: np.ma.array(BASE, mask=BASE == 3), "A has 1 masked entries"),
    "masked list": (lambda: list(np.ma.array(BASE, mask=BASE == 3)), "A has 1 masked entries"),
    "records": (records, "structured_to_unstructured"),
    "objects": (lambda: BASE.astype(object), "astype"),
    "scipy sparse": (lambda: scipy.sparse.csr_matrix(BASE), "toarray"),
    "sparse": (lambda: SHARED.to_sparse(), "to_dense"),
    "dates": (lambda: np.array(["2020-01-01"], "M8[D]"), "timedelta64"),
    "durations": (lambda: np.array([1], "m8[s]"), "timedelta64"),
    "text": (lambda: np.array(["1", "2"]), "text"),
    "complex": (lambda: BASE + 1j, "give real numbers"),
    "meta": (lambda: torch.empty(2, 2, device="meta"), "without data"),
    "nested": (nested, "stack or pad"),
    "quantised": (quantised, "dequantize"),
    "ragged": (lambda: [[1], [1, 2]], "cannot be read as an array"),
    "one number": (lambda: np.array(5.0), "give samples"),
    "nothing": (lambda: None, "Python objects"),
    "int64": (lambda: np.array([[2**53], [2**53 + 1]]), "993; of samples, subtract a common offset"),
    "int64 tensor": (lambda: torch.tensor([[2**53 + 1]]), "the first 9007199254740993"),
    "end of int64": (lambda: np.array([[2**63 - 1]]), "the first 9223372036854775807"),
    "end of uint64": (lambda: np.array([[2**64 - 1]], np.uint64), "the first 18446744073709551615"),
    "list with floats": (lambda: [[2**53 + 1, 0.5]], "the first 9007199254740993"),
    "longdouble": (lambda: np.array([[1]], np.longdouble) / 3, "that float64 rounds"),
    "pictures": (lambda: [Image.new("RGB", (2, 2))] * 3, "whose channels come last"),
    "a picture": (lambda: Image.new("L", (2, 2)), r"give an array \(n, channels, height, width\)"),
    "gradients": (lambda: SHARED.clone().requires_grad_(), r"give A\.detach\(\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    make, said = REFUSED[name]
    with pytest.raises(TransportError, match=said) as refused:
        banach.distance(make(), BASE)
    assert len(str(refused.value).splitlines()) == 1


def test_tables_column_by_column():
    """pandas brings columns of integers and of floats to float64, which rounds the integers."""
    pandas = pytest.importorskip("pandas")
    assert torch.equal(numbers(pandas.DataFrame(BASE), "A"), SHARED)
    assert torch.equal(numbers(pandas.DataFrame({"a": [0, 2, 4], "b": BASE[:, 1]}), "A"), SHARED)
    with pytest.raises(TransportError, match="the first 9007199254740993"):
        numbers(pandas.DataFrame({"a": [2**53 + 1, 1], "b": [0.5, 0.5]}), "A")


def test_integers_and_floats_meet_in_a_type_that_holds_both():
    found = banach.distance(np.array([[2**24 + 1]], np.int32), np.array([[2.0**24]], np.float32))
    assert found.lower == pytest.approx(1)


def test_integers_that_differ_are_not_at_distance_zero(tmp_path, capsys):
    """2^60 and 2^60 + 1 are one float64."""
    a, b = np.full((20, 1), 2**60), np.full((20, 1), 2**60 + 1)
    with pytest.raises(TransportError, match="B holds whole numbers beyond 2\\^53"):
        banach.distance(a, b)
    assert banach.distance(a - a.min(), b - a.min()).lower == pytest.approx(1)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    assert main(["distance", str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]) == 2
    assert "b.npy holds whole numbers beyond 2^53" in capsys.readouterr().err


@pytest.mark.parametrize(
    "call",
    [banach.distance, excess, energy_distance, permutation_p, population_distance, lambda x, y: mean_length(x, "l2")],
)
def test_gradients_are_not_lost_in_silence(call):
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with pytest.raises(TransportError, match="requires gradients"):
        call(x, x.detach() + 1)


def test_without_gradients_wanted_there_are_none_to_lose():
    with torch.no_grad():
        assert banach.distance(SHARED.clone().requires_grad_(), SHARED + 1).value == pytest.approx(2**0.5)


TYPES = {
    "float32": lambda w: w.astype(np.float32) / w.astype(np.float32).sum(),
    "one by one": lambda w: w.astype(np.float32) / np.cumsum(w.astype(np.float32))[-1],
    "softmax": lambda w: torch.softmax(torch.tensor(w, dtype=torch.float32), 0),
    "softmax, then float64": lambda w: torch.softmax(torch.tensor(w, dtype=torch.float32), 0).double().numpy(),
    "softmax, then a list": lambda w: torch.softmax(torch.tensor(w, dtype=torch.float32), 0).tolist(),
    "bfloat16": lambda w: torch.softmax(torch.tensor(w).bfloat16(), 0),
    "float16": lambda w: torch.softmax(torch.tensor(w).half(), 0),
    "big-endian": lambda w: (w.astype(np.float32) / w.astype(np.float32).sum()).astype(">f4"),
    "float64": lambda w: w / w.sum(),
}


@pytest.mark.parametrize("name", TYPES)
def test_weights_normalised_in_their_own_type_are_of_equal_mass(name):
    for seed in range(12):
        draw, n = np.random.default_rng(seed), (10, 100, 1000, 10_000)[seed % 4]
        w, v = (TYPES[name](draw.random(n)) for _ in range(2))
        x = np.zeros((n, 1), np.float32)
        assert banach.distance(x, x, weights_a=w, weights_b=v).upper == 0


UNEQUAL = {
    "1 and 1.01": (np.full(4, 0.25), np.full(4, 0.2525)),
    "4000 and 4001": (np.full(4, 1000), np.array([1000, 1000, 1000, 1001])),
    "4 and 4.0000001": (np.ones(4), np.array([1, 1, 1, 1.0000001])),
    "4 and 4.04": (np.full(4, 1, np.float32), np.array([1, 1, 1, 1.04], np.float32)),
}


@pytest.mark.parametrize("name", UNEQUAL)
def test_masses_that_differ_are_refused_and_told_apart(name):
    w, v = UNEQUAL[name]
    with pytest.raises(TransportError, match=f"unequal mass, {name}: there is no coupling"):
        banach.distance(BASE[[0, 1, 2, 2]], BASE[[0, 1, 2, 2]], weights_a=w, weights_b=v)


BAD_WEIGHTS = {
    "masked": (np.ma.array([1.0, 1, 1], mask=[0, 0, 1]), "weights_a has 1 masked entries"),
    "gradients": (torch.ones(3, requires_grad=True), r"give weights_a\.detach\(\)"),
    "complex": (np.ones(3) + 0j, "weights_a holds complex"),
    "text": (["a", "b", "c"], "weights_a holds text"),
    "too large": (np.full(3, 1e308), "too large to be summed"),
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights_that_are_misread(name):
    weights, said = BAD_WEIGHTS[name]
    with pytest.raises(TransportError, match=said):
        banach.distance(BASE, BASE, weights_a=weights)


@dataclass(frozen=True)
class Squared(Metric):
    """No metric: the squared Euclidean distance."""

    def distance(self, x, y):
        return (x - y).square().flatten(1).sum(1)


@dataclass(frozen=True)
class OneSided(Metric):
    """No metric: falls cost nothing."""

    def distance(self, x, y):
        return (x - y).clamp(min=0).flatten(1).sum(1)


@dataclass(frozen=True)
class Shifted(Metric):
    """No metric: a sample is away from itself."""

    def distance(self, x, y):
        return (x - y).abs().flatten(1).sum(1) + 1


@dataclass(frozen=True)
class Signed(Metric):
    """No metric: negative."""

    def distance(self, x, y):
        return (x - y).flatten(1).sum(1)


@dataclass(frozen=True)
class Rooted(Metric):
    """A metric: the root of the Euclidean distance."""

    def distance(self, x, y):
        return (x - y).square().flatten(1).sum(1).pow(0.25)


@dataclass(frozen=True)
class Rounded(Metric):
    """A metric in single precision."""

    def distance(self, x, y):
        return (x - y).float().abs().flatten(1).sum(1)


@dataclass(frozen=True, repr=False)
class SquaredSpace(Lp):
    """No norm: not homogeneous."""

    def norm(self, x):
        return super().norm(x) ** 2


@dataclass(frozen=True, repr=False)
class RootedSpace(Lp):
    """A metric of differences, but no norm."""

    def norm(self, x):
        return super().norm(x).sqrt()


WRONG = {
    "triangle": (Squared(), r"d\(a, c\) = .*, but d\(a, b\) \+ d\(b, c\) = .* \+ .*--power"),
    "symmetry": (OneSided(), r"d\(a, b\) = .*, but d\(b, a\) = "),
    "itself": (Shifted(), "is 1 away from itself"),
    "negative": (Signed(), "is no metric: it gives -"),
    "space": (SquaredSpace(2.0), "no metric: d"),
    "part": (Product(2, (SquaredSpace(2.0), Lp(1)), (1, 2)), "no metric: d"),
    "homogeneous": (RootedSpace(2.0), "is no norm"),
}


@pytest.mark.parametrize("name", WRONG)
def test_metrics_that_are_none_are_refused(name):
    metric, said = WRONG[name]
    x, y = torch.randn(2, 60, 3, generator=torch.Generator().manual_seed(0))
    for call in (banach.distance, population_distance):
        with pytest.raises(TransportError, match=said) as refused:
            call(x, y, metric)
        assert len(str(refused.value).splitlines()) == 1


def test_metrics_that_are_some_pass():
    x, y = torch.randn(2, 60, 3, generator=torch.Generator().manual_seed(0))
    assert banach.distance(x, y, Rooted()).lower > 0
    check_metric(Rounded(), 1e6 + x, 1e6 + y)
    check_metric(Rooted(), x[:1], x[:1])
    check_metric(Rooted(), x, x, between=True)
    check_metric(Squared(), x[:2], x[:2])  # of two points there are no triples


def test_a_metric_that_cannot_measure_the_samples_is_told_in_a_line():
    @dataclass(frozen=True)
    class OfPairs(Metric):
        def distance(self, x, y):
            return (x @ torch.ones(2, 1, dtype=x.dtype) - y @ torch.ones(2, 1, dtype=x.dtype)).abs().flatten()

    x = torch.randn(10, 3)
    with pytest.raises(TransportError, match=r"cannot measure these samples .*fix its distance"):
        banach.distance(x, x + 1, OfPairs())


def test_the_package_s_own_are_not_measured(monkeypatch):
    monkeypatch.setattr(Lp, "distance", lambda *_: pytest.fail("measured"))
    check_metric(Product(2, (Lp(1), Lp(2)), (1, 2)), SHARED, SHARED)
