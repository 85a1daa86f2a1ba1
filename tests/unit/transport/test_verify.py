"""Certificates: all that `distance` writes passes; no changed bit and no forger's claim does."""

import ast
import dataclasses
import hashlib
import importlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from test_distance import SPECS, random_problem, shape_for

from banach import distance, space
from banach.transport import CertificateError, TransportError, save, verify

module = importlib.import_module("banach.transport.verify")  # the package has a function of that name
ARRAYS = ("f", "g", "i", "j", "mass")


def unpacked(path):
    with np.load(path) as content:
        return {name: content[name].copy() for name in content.files}


def sealed(path, parts, claim, checksums=True):
    """What a forger writes: arrays and claim, every checksum made anew."""
    if checksums:
        claim["sha256"] |= {name: module._sha256(parts[name]) for name in ARRAYS}
        claim["sha256"]["space"] = hashlib.sha256(claim["space"].encode()).hexdigest()
    text = json.dumps(claim).encode()
    parts = parts | {"claim": np.frombuffer(text, np.uint8)}
    parts["seal"] = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
    np.savez(path, **parts)


def claim_of(parts):
    return json.loads(parts["claim"].tobytes())


@pytest.fixture
def given(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 0.5
    x[:4] = y[:4]
    w, v = rng.random(40), rng.random(30)
    v *= w.sum() / v.sum()
    path = tmp_path / "cert.npz"
    save(path, distance(x, y, "Lp(1.5)", rel_gap=1e-9, weights_a=w, weights_b=v), x, y, w, v)
    return path, x, y, w, v


@pytest.mark.parametrize("spec", SPECS)
def test_what_distance_writes_is_accepted(spec, tmp_path):
    metric, rng = space(spec), np.random.default_rng(0)
    shape = shape_for(metric, rng)
    for offset, method, rel_gap in ((0.0, "columns", 1e-9), (50.0, "simplex", 1e-9), (0.0, "sinkhorn", 1e-3)):
        x = torch.from_numpy(rng.normal(size=(30, *shape)) + offset)
        y = torch.from_numpy(rng.normal(size=(25, *shape)) + offset)
        found = distance(x, y, metric, rel_gap=rel_gap, method=method)
        save(tmp_path / "cert.npz", found, x, y)
        verdict = verify(tmp_path / "cert.npz", x, y)
        assert (verdict.lower, verdict.upper) == (found.lower, found.upper)


@pytest.mark.parametrize("seed", range(40))
def test_certificates_of_random_problems_are_accepted(seed, tmp_path):
    metric, x, y, weights = random_problem(seed)
    found = distance(x, y, metric, weights_a=weights[0], weights_b=weights[1], rel_gap=1e-9)
    save(tmp_path / "cert.npz", found, x, y, *weights)
    assert verify(tmp_path / "cert.npz", x, y, *weights).upper == found.upper


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
def test_data_that_are_not_finite_hide_no_violation(bad, tmp_path):
    """A NaN is no room, wherever it stands: in any block of rows, and behind others."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1100, 3)), rng.normal(size=(1100, 3))
    at = np.arange(1090)
    save(tmp_path / "cert.npz", distance(x, y, rel_gap=0.5, max_minutes=1), x, y)
    parts = unpacked(tmp_path / "cert.npz")
    x[1090], y[1091] = bad, -bad
    parts |= {"f": np.full(1100, 1000.0), "g": np.zeros(1100), "i": at, "j": at, "mass": np.full(1090, 1 / 1100)}
    claim = claim_of(parts) | {"lower": 900.0, "upper": 2000.0}
    claim["sha256"] |= {"A": module._sha256(x), "B": module._sha256(y)}
    sealed(tmp_path / "forged.npz", parts, claim)
    with pytest.raises(CertificateError):
        verify(tmp_path / "forged.npz", x, y)


def test_a_solver_that_rounding_overcomes_is_certified_all_the_same(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(27, 4)) * 1e-6 + 1e8, rng.normal(size=(58, 4)) * 1e-6 + 1e8
    found = distance(x, y, "Lp(inf)", power=3.0, method="sinkhorn", rel_gap=1e-6)
    save(tmp_path / "cert.npz", found, x, y)
    assert verify(tmp_path / "cert.npz", x, y).upper == found.upper


def test_a_norm_that_is_itself_computed_proves_nothing(given, tmp_path):
    path, *samples = given
    parts = unpacked(path)
    sealed(tmp_path / "forged.npz", parts, claim_of(parts) | {"space": "InfConvolution(2, Lp(1), Lp(2))"})
    with pytest.raises(CertificateError, match=r"InfConvolution.* is itself computed"):
        verify(tmp_path / "forged.npz", *samples)


def test_single_precision_and_powers_are_accepted(tmp_path):
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(300, 200, generator=rng), torch.randn(300, 200, generator=rng) * 1.1
    for power in (0.5, 1.0, 2.0):
        save(tmp_path / "c.npz", distance(x, y, power=power, rel_gap=1e-9), x, y)
        assert verify(tmp_path / "c.npz", x, y).power == power


def test_identical_samples_are_accepted(tmp_path):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(200, 3)), rng.random(200)
    order = rng.permutation(200)
    save(tmp_path / "c.npz", distance(x, x[order], weights_a=w, weights_b=w[order]), x, x[order], w, w[order])
    assert verify(tmp_path / "c.npz", x, x[order], w, w[order]).upper == 0


def flipped(array, bit):
    changed = array.copy()
    changed.reshape(-1).view(np.uint8)[bit // 8] ^= 1 << (bit % 8)
    return changed


@pytest.mark.parametrize("what", ["x", "y", "w", "v"])
def test_no_changed_bit_of_data_or_weights_passes(what, given):
    path, *arrays = given
    verify(path, *arrays)
    place = "xywv".index(what)
    original = arrays[place]
    bits = np.random.default_rng(0).choice(original.size * 64, 150, replace=False)
    for bit in bits:
        arrays[place] = flipped(original, int(bit))
        with pytest.raises(CertificateError):
            verify(path, *arrays)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x", "y", "w", "v", *ARRAYS, "claim", "seal"])
def test_no_changed_bit_at_all_passes(name, given):
    """Every bit of the data, of the weights, of every array and of the claim, one at a time."""
    path, *arrays = given
    parts = unpacked(path)
    place = "xywv".find(name)
    original = arrays[place] if place >= 0 else parts[name]
    for bit in range(8 * original.nbytes):
        if place >= 0:
            arrays[place] = flipped(original, bit)
        else:
            np.savez(path, **(parts | {name: flipped(original, bit)}))
        with pytest.raises(CertificateError):
            verify(path, *arrays)


@pytest.mark.parametrize("name", [*ARRAYS, "claim", "seal"])
def test_no_changed_bit_of_an_array_passes(name, given):
    path, *arrays = given
    parts = unpacked(path)
    size = parts[name].nbytes * 8
    every = range(size) if name in ("claim", "seal") else np.random.default_rng(0).choice(size, 200, replace=False)
    for bit in list(every)[:: 7 if name == "claim" else 1]:
        np.savez(path, **(parts | {name: flipped(parts[name], int(bit))}))
        with pytest.raises(CertificateError):
            verify(path, *arrays)


def test_no_changed_bit_of_the_space_passes(given):
    path, *arrays = given
    parts = unpacked(path)
    claim = claim_of(parts)
    text = claim["space"].encode()
    for bit in range(8 * len(text)):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << (bit % 8)
        sealed(path, parts, claim | {"space": changed.decode(errors="replace")}, checksums=False)
        with pytest.raises(CertificateError):
            verify(path, *arrays)


def forgeries():
    def lower(claim, parts):
        claim["lower"] *= 1 + 1e-9

    def upper(claim, parts):
        claim["upper"] *= 1 - 1e-9

    def lower_potential(claim, parts):
        parts["f"] += 1e-9 * claim["lower"]
        claim["lower"] *= 1 + 1e-9

    def one_potential(claim, parts):
        parts["g"][3] += 1e-3
        claim["lower"] = claim["upper"]

    def missing_mass(claim, parts):
        parts["mass"][np.argmax(parts["mass"])] *= 1 - 1e-6

    def shorter_way(claim, parts):
        parts["j"][:] = parts["j"][0]
        claim["upper"] *= 0.5
        claim["lower"] = 0.0

    def negative_mass(claim, parts):
        parts["mass"][0] *= -1

    def nowhere(claim, parts):
        parts["i"][0] = 40

    def backwards(claim, parts):
        parts["i"][0] = -1

    def not_a_number(claim, parts):
        parts["f"][0] = np.nan

    def kinder_space(claim, parts):
        claim["space"] = "Lp(p=1.4)"

    def other_power(claim, parts):
        claim["power"] = 0.999

    def no_power(claim, parts):
        claim["power"] = 0

    def population(claim, parts):
        claim["target"] = "population"

    def lower_not_a_number(claim, parts):
        claim["lower"] = float("nan")

    def upper_not_a_number(claim, parts):
        claim["upper"] = float("nan")

    def short(claim, parts):
        parts["f"] = parts["f"][:-1]

    return dict(locals())


@pytest.mark.parametrize("name", forgeries())
def test_a_forger_with_fresh_checksums_is_found_out(name, given):
    path, *arrays = given
    parts = unpacked(path)
    claim = claim_of(parts)
    forgeries()[name](claim, parts)
    sealed(path, parts, claim)
    with pytest.raises(CertificateError):
        verify(path, *arrays)


@pytest.mark.parametrize("share", [1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("seed", range(12))
def test_no_end_can_be_moved_inwards(seed, share, tmp_path):
    """Of any problem: the lower end raised, or the upper one cut, by a billionth of the distances."""
    metric, x, y, weights = random_problem(seed)
    found = distance(x, y, metric, weights_a=weights[0], weights_b=weights[1], rel_gap=1e-9, method="columns")
    path = tmp_path / "cert.npz"
    save(path, found, x, y, *weights)
    parts = unpacked(path)
    for end, move in (("lower", share * found.scale), ("upper", -share * found.scale)):
        claim = claim_of(parts)
        claim[end] += move
        sealed(path, parts, claim)
        with pytest.raises(CertificateError, match="claims"):
            verify(path, x, y, *weights)


def test_a_distance_of_nothing_is_not_believed_of_samples_apart(tmp_path):
    """A plan that costs nothing because it moves almost everything to where it is: the rest is counted."""
    x, y = np.array([[0.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [0.0]])
    w = np.array([0.5, 0.5 - 1e-12, 1e-12])
    path = tmp_path / "cert.npz"
    save(path, distance(x, y, weights_a=w, rel_gap=0.0), x, y, w)
    parts = unpacked(path)
    keep = parts["i"] != 2
    forged = parts | {name: parts[name][keep] for name in ("i", "j", "mass")}
    sealed(path, forged, claim_of(parts) | {"lower": 0.0, "upper": 0.0})
    with pytest.raises(CertificateError, match="claims an upper end"):
        verify(path, x, y, w)


def test_a_forger_who_changes_nothing_is_believed(given):
    path, *arrays = given
    parts = unpacked(path)
    sealed(path, parts, claim_of(parts))
    verify(path, *arrays)


def test_swapped_data_are_found_out_though_the_checksums_fit(given):
    path, x, y, w, v = given
    parts = unpacked(path)
    claim = claim_of(parts)
    other = y + 0.01 * np.random.default_rng(1).normal(size=y.shape)
    claim["sha256"]["B"] = module._sha256(other)
    sealed(path, parts, claim)
    with pytest.raises(CertificateError, match="claims"):
        verify(path, x, other, w, v)


def test_weights_belong_to_the_claim(given):
    path, x, y, w, v = given
    with pytest.raises(CertificateError, match="weights_a is missing"):
        verify(path, x, y)
    with pytest.raises(CertificateError, match="weights_b is missing"):
        verify(path, x, y, w)
    with pytest.raises(CertificateError, match="A is not what was certified"):
        verify(path, x[::-1], y, w[::-1], v)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", None])
def test_what_is_no_certificate_is_refused(content, tmp_path):
    path = tmp_path / "x.npz"
    if content is None:
        buffer = io.BytesIO()
        np.savez(buffer, a=np.ones(3))
        content = buffer.getvalue()
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=r"no certificate|not"):
        verify(path, np.ones((2, 1)), np.ones((2, 1)))


def test_a_truncated_file_is_refused(given):
    path, *arrays = given
    whole = path.read_bytes()
    for size in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(CertificateError):
            verify(path, *arrays)


@pytest.mark.parametrize("name", ["verify", "claim", "line_check"])
def test_the_checker_is_short_and_imports_no_solver(name):
    source = Path(module.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 260
    modules = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    allowed = {"errors", "numerics", "spaces", "specs", "transport.claim", "transport.line_check"}
    assert {one.removeprefix("banach.") for one in modules if one.startswith("banach")} <= allowed


@pytest.mark.parametrize("at", ["space", "method", "sha256", "more"])
def test_half_a_character_is_refused_wherever_it_stands(at, given):
    """JSON spells a lone surrogate, and neither UTF-8 nor a terminal has one."""
    path, x, y, w, v = given
    parts = unpacked(path)
    claim = claim_of(parts)
    for half in ("\ud800", "\udcf2"):
        spoiled = claim | {at: claim["sha256"] | {"B": half} if at == "sha256" else f"{half}Lp(p=1.5)"}
        sealed(path, parts, spoiled, checksums=False)
        with pytest.raises(CertificateError, match=r"half a character|SHA-256 of B"):
            verify(path, x, y, w, v)


def test_a_norm_whose_file_is_not_utf8_is_not_saved(tmp_path):
    x = np.zeros((2, 3))
    estimate = dataclasses.replace(distance(x, x + 1, "l2"), space="Matrix('\udcff.npy')")
    with pytest.raises(TransportError, match=r"not UTF-8.*rename"):
        save(tmp_path / "cert.npz", estimate, x, x + 1)


def test_only_estimates_with_a_certificate_are_saved(tmp_path):
    x = np.ones((2, 1))
    found = distance(x, x + 1)
    with pytest.raises(TransportError, match="no folder"):
        save(tmp_path / "none" / "c.npz", found, x, x + 1)
