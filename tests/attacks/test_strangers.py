"""Files from strangers: what is read of them, what they may cost, what of them is shown, and what is never run."""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save as safetensors_text

from banach import distance, space
from banach.cli import output
from banach.config import plugins
from banach.data import Units
from banach.data.pictures import grid
from banach.files import write_bytes
from banach.foreign import Unreadable, unpack_array, visible
from banach.foreign_yaml import read_yaml
from banach.generator import About, Generator, GeneratorError
from banach.models import build_generator
from banach.operators import Matrix
from banach.report import write_report
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.runs.records import LogFile
from banach.spaces import Weighted, files_of
from banach.specs import SpecError
from banach.training.state import Recipe
from banach.transport import CertificateError, TransportError, save, verify
from banach.transport.claim import LONGEST, most_moves

EVIL = "\x1b[2K\x1b[1Gproved: W1 is 7\x9b\u202e\u2066"
ARRAYS = ("f", "g", "i", "j", "mass")


def parts_of(path):
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def sealed(path, arrays, claim):
    """What a forger writes: every checksum made anew."""
    claim["sha256"] |= {name: digest(arrays[name]) for name in ARRAYS}
    claim["sha256"]["space"] = hashlib.sha256(claim["space"].encode()).hexdigest()
    text = json.dumps(claim).encode()
    seal = np.frombuffer(hashlib.sha256(text).digest(), np.uint8)
    np.savez_compressed(path, **{**arrays, "claim": np.frombuffer(text, np.uint8), "seal": seal})


def digest(values):
    kind = "<i8" if values.dtype.kind in "iu" and values.ndim == 1 else "<f8"
    return hashlib.sha256(f"{tuple(values.shape)} {kind};".encode() + values.astype(kind).tobytes()).hexdigest()


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2)) + 0.5
    np.save("a.npy", x)
    np.save("b.npy", y)
    save("cert.npz", distance(x, y, "Lp(p=3)"), x, y)
    return x, y


def forged(name="forged.npz", **changed):
    arrays = parts_of("cert.npz")
    claim = json.loads(arrays["claim"].tobytes()) | changed
    sealed(name, {one: arrays[one] for one in ARRAYS}, claim)


# What is shown


@pytest.mark.parametrize("text", ["a", "ä é 中 Ω ☃ 𝄞", "", "two words"])
def test_letters_of_all_scripts_are_shown_as_they_are(text):
    assert visible(text) == text


def test_what_moves_a_cursor_or_turns_the_line_is_shown_as_its_escape():
    hidden = "\x00\x07\x1b\x7f\x80\x9b\u200b\u200e\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\udc80\n\r\t"
    assert visible(hidden).isprintable()
    assert "\\x1b" in visible(hidden)
    assert "\\u202e" in visible(hidden)


def test_every_way_out_passes_there(capsys):
    output.say(EVIL)
    output.say("\udc80: a file name that is no text")
    output.say_json({EVIL: [EVIL]})
    output.say_table(EVIL, ["one"], [[EVIL]])
    output.say_error(f"first {EVIL}\nsecond {EVIL}\n" + "third " * 10_000)
    said = capsys.readouterr()
    assert all(line.isprintable() for line in (said.out + said.err).split("\n"))
    assert said.err.split("\n")[1].startswith("       second")
    assert len(said.err) < 10_000
    output.say_json({EVIL: EVIL})
    assert json.loads(capsys.readouterr().out) == {EVIL: EVIL}


@pytest.mark.parametrize("name", [f"x{EVIL}.npy", "x\nproved: 7.npy"])
def test_names_of_files_and_arrays_draw_nothing(name, given, banach):
    np.save(name, given[0])
    for words in ((name, "b.npy"), ("nowhere" + name, "b.npy")):
        _, out, err = banach("distance", *words, "--no-scores")
        assert all(line.isprintable() for line in (out + err).split("\n"))
        assert not any(line.startswith("proved") for line in (out + err).split("\n"))
    np.savez("many.npz", **{name: given[0], "other": given[0]})
    code, out, err = banach("distance", "many.npz", "b.npy")
    assert code == 2
    assert err.count("\n") == 1
    assert err[:-1].isprintable()


def test_a_spec_in_a_certificate_draws_no_other_number(given, banach):
    text = f"Lp(p=3)#{EVIL}\x1b[8m"
    forged(space=text)
    code, out, err = banach("verify", "forged.npz", "a.npy", "b.npy")
    assert (code, out) == (2, "")
    assert err[:-1].isprintable()


def test_what_is_printed_is_what_was_read(given):
    forged(space="lp:p=3.0")
    assert verify("forged.npz", *given).space == "Lp(p=3)"


@pytest.mark.parametrize(
    "text", ["Lp(2)#x", "Lp(2)\x1b[2K", "Lp(\n2)", "Lp(2)\t\x00", "Lp(2)\u202e", "lp:2)#", "Lp(2,\t)"]
)
def test_a_spec_is_one_printable_line_without_comments(text):
    with pytest.raises(SpecError):
        space(text)


def test_a_hash_inside_a_text_is_no_comment(given):
    np.save("a#b.npy", np.eye(2))
    assert files_of(space("Weighted(Matrix('a#b.npy'), Lp(2))")).keys() == {"a#b.npy"}


def test_the_report_escapes_what_a_run_folder_says(tmp_path):
    folder = tmp_path / "<script>alert(1)</script>"
    (folder / "samples").mkdir(parents=True)
    tag = "<script>alert(2)</script>"
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": tag, "space": tag, "model": tag, "steps": 3, tag: tag}))
    (folder / "environment.json").write_text(json.dumps({tag: tag, "command": [tag]}))
    rows = [{"step": at, tag: 1.0, "gap": float(at)} for at in range(1, 4)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    scores = [{"step": at, "scores": {tag: 1.0 / at}, "floors": {tag: 0.1}, "protocol": {tag: tag}} for at in (1, 2)]
    (folder / "scores.jsonl").write_text("\n".join(map(json.dumps, scores)))
    (folder / "log.txt").write_text(f"2026-01-01 00:00:00  data      {tag}\n{tag}\n")
    page = write_report(folder).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(2)" in page


# Certificates


@pytest.mark.parametrize("moves", [10**7, pytest.param(10**8, marks=pytest.mark.slow)])
def test_a_megabyte_does_not_become_a_gigabyte(moves, given):
    arrays = parts_of("cert.npz")
    claim = json.loads(arrays["claim"].tobytes())
    with zipfile.ZipFile("cert.npz") as archive:
        texts = {one.filename: archive.read(one) for one in archive.infolist()}
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            if name != "mass.npy":
                archive.writestr(name, text)
        with archive.open("mass.npy", "w") as stream:
            np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (moves,)})
            for _ in range(moves // 10**6):
                stream.write(bytes(8 * 10**6))
    script = (
        "import resource, sys\nimport numpy as np\nfrom banach.transport import CertificateError, verify\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    verify('bomb.npz', np.load('a.npy'), np.load('b.npy'))\n"
        "except CertificateError as error:\n    print(error)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\nassert grown < 20_000, grown\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "too long for this number of samples" in done.stdout
    assert claim["sha256"]


def test_no_place_but_a_file_is_a_certificate(given):
    os.mkfifo("pipe.npz")
    for path in (".", "/dev/zero", "/dev/null", "pipe.npz"):
        with pytest.raises(CertificateError, match="no file"):
            verify(path, *given)
    with pytest.raises(FileNotFoundError):
        verify("nowhere.npz", *given)


def test_a_list_of_contents_takes_no_more_memory_than_a_certificate_needs(given):
    with zipfile.ZipFile("many.npz", "w") as archive:
        for at in range(2000):
            archive.writestr(f"{at}.npy", b"")
    with pytest.raises(CertificateError, match="does not hold the arrays"):
        verify("many.npz", *given)


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": None},
        {"sha256": []},
        {"sha256": {"A": 1}},
        {"lower": None},
        {"lower": "0"},
        {"lower": True},
        {"lower": 10**400},
        {"lower": float("nan")},
        {"lower": -float("inf")},
        {"upper": [1.0]},
        {"upper": float("inf")},
        {"power": [1]},
        {"power": True},
        {"power": float("nan")},
        {"power": float("inf")},
        {"power": -1},
        {"power": None},
        {"space": 3},
        {"space": None},
        {"space": "(" * 10_000},
        {"space": "-" * 10_000 + "1"},
        {"space": "x" * 2 * LONGEST},
        {"space": "Mine(p=2)"},
        {"space": "Product(2, (Lp(1), Lp(2)), (10000000000000000000000, 1))"},
        {"format": "1"},
        {"space": "Sobolev(s=-1)"},
        {"space": "Lp(p=1e999)"},
        {"space": "Weighted(Matrix('/dev/zero'), Lp(2))"},
        {"tables": []},
        {"tables": {"x": 1}},
        {"tables": {"x": "0" * 64}},
        {"target": []},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_a_claim_of_other_kinds_of_values_is_refused_in_a_line(changed, given, banach):
    arrays = parts_of("cert.npz")
    claim = json.loads(arrays["claim"].tobytes()) | changed
    if isinstance(claim["space"], str) and isinstance(claim["sha256"], dict):
        claim["sha256"]["space"] = hashlib.sha256(claim["space"].encode()).hexdigest()
    text = json.dumps(claim).encode()
    arrays |= {"claim": np.frombuffer(text, np.uint8), "seal": np.frombuffer(hashlib.sha256(text).digest(), np.uint8)}
    np.savez("forged.npz", **arrays)
    code, out, err = banach("verify", "forged.npz", "a.npy", "b.npy")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "fault of banach" not in err


@pytest.mark.parametrize("method", ["simplex", "columns", "sinkhorn"])
@pytest.mark.parametrize("ties", [False, True])
def test_plans_of_every_method_are_far_from_the_bound(method, ties):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 6)), rng.normal(size=(100, 6))
    if ties:
        x, y = np.sign(x), np.sign(y)
    w = rng.random(150)
    for power in (1.0, 2.0):
        found = distance(x, y, "Lp(1)", method=method, power=power, weights_a=w, rel_gap=0.05)
        assert 4 * len(found.certificate.mass) <= most_moves(150, 100)


def test_what_would_be_refused_is_not_written(given, monkeypatch):
    matrix = torch.eye(200, dtype=torch.float64) + 1e-3 * torch.rand(200, 200, dtype=torch.float64)
    x = np.random.default_rng(0).normal(size=(3, 200))
    named = space("Lp(2)")
    found = distance(x, x + 1, named)
    long = dataclasses.replace(found, space=repr(Weighted(Matrix(matrix.numpy()), named)))
    with pytest.raises(TransportError, match=r"\.npy"):
        save("long.npz", long, x, x + 1)
    monkeypatch.setattr("banach.transport.certificate.most_moves", lambda n, m: 1)
    with pytest.raises(TransportError, match="moves"):
        save("many.npz", found, x, x + 1)


def test_a_matrix_named_by_its_file_is_part_of_the_claim(given, banach):
    x, y = given
    np.save("cov.npy", np.array([[2.0, 0.5], [0.5, 1.0]]))
    spec = "Weighted(Matrix('cov.npy', power=-0.5), Lp(2))"
    save("m.npz", distance(x, y, spec), x, y)
    ((name, certified),) = files_of(space(spec)).items()
    verdict = verify("m.npz", x, y)
    assert verdict.files == {name: certified} == {"cov.npy": certified}
    code, out, _ = banach("verify", "m.npz", "a.npy", "b.npy")
    assert code == 0
    assert f"'cov.npy', SHA-256 {certified}" in out
    np.save("cov.npy", np.array([[2.0, 0.5], [0.5, 1.1]]))
    with pytest.raises(CertificateError, match=r"'cov.npy' is not what was certified"):
        verify("m.npz", x, y)
    Path("cov.npy").unlink()
    with pytest.raises(CertificateError, match="there is no file"):
        verify("m.npz", x, y)


def test_older_certificates_are_read(given):
    arrays = parts_of("cert.npz")
    claim = json.loads(arrays["claim"].tobytes())
    del claim["tables"]
    sealed("old.npz", {name: arrays[name] for name in ARRAYS}, claim)
    verify("old.npz", *given)


# Other files


@pytest.mark.parametrize("spec", ["Matrix({!r})", "Scale({!r})"])
def test_tables_are_read_from_plain_files_of_numbers_alone(spec, tmp_path):
    def table(path):
        return space(f"Weighted({spec.format(str(path))}, Lp(2))")

    os.mkfifo(tmp_path / "pipe.npy")
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "evil.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    np.savez(tmp_path / "zip.npz", a=np.eye(2))
    (tmp_path / "zip.npy").write_bytes((tmp_path / "zip.npz").read_bytes())
    np.save(tmp_path / "words.npy", np.array([["1", "2"]]))
    for name in (
        "pipe.npy",
        "objects.npy",
        "huge.npy",
        "text.npy",
        "evil.png",
        "zip.npy",
        "words.npy",
        "",
        "a\0b.npy",
        "n" * 5000 + ".npy",
    ):
        with pytest.raises(SpecError):
            table(tmp_path / name)
    for path in ("/dev/zero", "/dev/stdin", "/etc/passwd"):
        with pytest.raises(SpecError):
            table(path)


def test_a_picture_beyond_all_reason_is_refused(tmp_path, monkeypatch):
    Image.new("L", (100, 100)).save(tmp_path / "mask.png")
    for limit in (9000, 900):  # a warning, and an error of Pillow's
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(SpecError, match="pixels"):
            space(f"Weighted(Scale({str(tmp_path / 'mask.png')!r}, floor=0.1), Lp(2))")


def test_arrays_that_promise_more_than_they_hold(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
        archive.writestr("a.npy", header.getvalue() + bytes(800))
    asked = []
    with pytest.raises(Unreadable, match="not as long"):
        unpack_array(path, "a", asked.append)
    assert asked == []
    np.savez_compressed(path, a=np.zeros(10**6))

    def refuse(size):
        raise MemoryError(size)

    with pytest.raises(MemoryError, match="8000000"):
        unpack_array(path, "a", refuse)


@pytest.mark.parametrize(
    "content", [b"", b"PK\5\6" + bytes(18), b"\x93NUMPY\x02\0\xff\xff\xff\xff", b"\x93NUMPY", b"x" * 99]
)
@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors", "txt"])
def test_spoiled_samples_and_weights_are_refused(content, suffix, given, banach):
    Path(f"bad.{suffix}").write_bytes(content)
    calls = [("a.npy", "b.npy", "--weights-a", f"bad.{suffix}"), (f"bad.{suffix}", "b.npy")]
    for words in calls:
        code, out, err = banach("distance", *words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1


def test_weights_are_not_unpacked(given, banach):
    Path("w.txt.gz").write_bytes(gzip.compress(b"1\n" * 10))
    assert banach("distance", "a.npy", "b.npy", "--weights-a", "w.txt.gz")[0] == 2


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: *a",
        "a: !!python/object/apply:os.system [ls]",
        "a: !!float 1",
        "[" * 10_000,
        "- " * 10_000,
        "x" * 2**21,
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "? [1]\n: 2",
        "a: &a\n  <<: [*a, *a]",
    ],
    ids=lambda text: text[:20],
)
def test_yaml_is_plain_values(text):
    with pytest.raises(Unreadable):
        read_yaml(text)


@pytest.mark.parametrize(
    "options",
    [
        "(" * 10_000,
        "n=" + "-" * 20_000 + "1",
        "n=1e400",
        "n=" + "9" * 30,
        "n=10000000000000",
        "n='\\d'",
        f"n={EVIL}",
        "n=5#",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_options_of_data_are_read_or_refused(options, banach):
    code, _, err = banach("train", "--dry-run", "--preset", "none", "--model", "mlp", "--data", f"8gaussians:{options}")
    assert code == 2
    assert err.count("\n") == 1
    assert "fault" not in err
    assert err[:-1].isprintable()


class Tempting:
    path = ""

    def __reduce__(self):
        return Path.touch, (Path(Tempting.path),)


@pytest.mark.parametrize(
    "content",
    [
        {"x": Tempting()},
        {"x": torch.zeros(1).expand(10**10)},
        {"x": {1, 2}},
        {"x": bytearray(8)},
        {"x": b"x"},
        {"step": "1"},
        {"step": 10**25},
        {"step": -1},
        {"step": None},
        {"format": "x"},
        {"format": torch.zeros(3)},
        {"facts": 3},
        [1],
        torch.zeros(2),
    ],
)
def test_checkpoints_hold_tensors_numbers_and_texts(content, tmp_path):
    Tempting.path = str(tmp_path / "touched")
    whole = {"format": checkpoint.FORMAT, "step": 1, **content} if isinstance(content, dict) else content
    torch.save(whole, tmp_path / "last.pt")
    with pytest.raises(CheckpointError):
        checkpoint.read(tmp_path / "last.pt")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("first_steps", [0, 100])
def test_steps_are_counted_without_taking_them(first_steps):
    recipe = Recipe(n_critic=5, first_steps=first_steps)
    for step in (0, 1, 24, 25, 26, 499, 500, 501, 1000, 1001, 1777):
        assert recipe.critic_steps_before(step) == sum(map(recipe.critic_steps, range(step)))


def test_a_packed_checkpoint_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"format": 2, "step": 1, "x": torch.zeros(10**6)}, tmp_path / "whole.pt")
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as whole,
        zipfile.ZipFile(tmp_path / "last.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for one in whole.infolist():
            packed.writestr(one.filename, whole.read(one))
    assert checkpoint.read(tmp_path / "whole.pt")["step"] == 1
    with pytest.raises(CheckpointError, match="not as torch"):
        checkpoint.read(tmp_path / "last.pt")


def test_a_function_that_takes_memory_is_not_called(tmp_path):
    torch.save({"format": 2, "step": 1}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "last.pt", "w") as other:
        for one in whole.infolist():
            bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\x10\0\x85R."
            other.writestr(one.filename, bomb if one.filename.endswith(".pkl") else whole.read(one))
    with pytest.raises(CheckpointError, match="builtins bytearray"):
        checkpoint.read(tmp_path / "last.pt")


@pytest.mark.parametrize(
    "changed",
    [
        {"z": "1000000000"},
        {"width": "100000000"},
        {"shape": "[1000000000]"},
        {"z": "1e999"},
        {"shape": "5"},
        {"kind": "image"},
        {"banach": "9" * 5000},
        {"step": "[]"},
    ],
)
def test_a_generator_takes_no_memory_on_the_files_word(changed, tmp_path):
    about = About(model="mlp", shape=(3,), z=2, width=4, output="linear")
    network = build_generator("mlp", (3,), z=2, width=4, output="linear")
    path = Generator(network, Units("none", torch.zeros(3), torch.ones(3)), about).save(tmp_path / "g.safetensors")
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])["__metadata__"] | changed
    tensors = {f"generator.{name}": one for name, one in network.state_dict().items()}
    path.write_bytes(safetensors_text(tensors | {"units.shift": torch.zeros(3), "units.scale": torch.ones(3)}, header))
    with pytest.raises(GeneratorError):
        Generator.load(path)


# What is never run


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A run folder from elsewhere whose config names a Python file beside it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "evil.py").write_text("from pathlib import Path\nPath('touched').touch()\n")
    (folder / "config.yaml").write_text("data: 8gaussians\nplugin: [theirs/evil.py]\n")
    (folder / "generator.safetensors").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("sample", "theirs"),
        ("evaluate", "theirs"),
        ("distance", "theirs", "theirs"),
        ("train", "--out", "theirs"),
        ("train", "--config", "theirs/config.yaml"),
        ("report", "theirs"),
        ("train", "--config", "theirs/config.yaml", "--print-config"),
    ],
)
def test_no_code_is_run_that_only_a_file_names(words, stranger, banach):
    code, _, err = banach(*words)
    assert not Path("touched").exists()
    if words[0] != "report":  # which runs nothing, and shows the name
        assert code == 2
        assert "--plugin theirs/evil.py" in err


def test_code_that_the_user_names_too_is_run(stranger, banach):
    code, out, _ = banach("train", "--config", "theirs/config.yaml", "--plugin", "theirs/evil.py", "--print-config")
    assert code == 0
    assert "theirs/evil.py" in out
    assert Path("touched").exists()
    assert plugins.loaded("theirs/evil.py")


def test_nothing_is_written_through_a_link_in_a_strangers_folder(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "theirs"
    mine.write_text("precious")
    folder.mkdir()
    (folder / "config.yaml").write_text("data: 8gaussians\n")
    for name in (".report.html.part", "report.html", f".x.{os.getpid()}.tmp", "log.txt", f".y.png.{os.getpid()}.part"):
        (folder / name).symlink_to(mine)
    write_report(folder)
    write_bytes(folder / "x", b"new")
    grid(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), folder / "y.png")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(folder / "log.txt").write("line")
    assert mine.read_text() == "precious"


def test_a_report_of_garbage_is_a_report(tmp_path):
    (tmp_path / "samples").mkdir()
    os.mkfifo(tmp_path / "samples" / "fakes-000000001.png")
    (tmp_path / "samples" / "fakes-000000002.png").write_bytes(b"x")
    (tmp_path / "config.yaml").write_text("a: &a [*a]\n")
    (tmp_path / "environment.json").write_text("[" * 100_000)
    (tmp_path / "run.lock").write_text('{"host": 1, "pid": "x"}')
    lines = [
        "[" * 100_000,
        "[]",
        "3",
        '{"step": null}',
        '{"step": 1e300}',
        '{"step": 1, "gap": 1e999, "x": ' + "9" * 400 + "}",
        '{"step": ' + "9" * 400 + "}",
        "\x1b[2K",
        '{"step": 2, "gap": true}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    (tmp_path / "scores.jsonl").write_text(
        '{"step": 1, "scores": [1]}\n{"step": 2, "scores": {"fid": {}}}\n{"step": 3, "floors": 3}'
    )
    assert write_report(tmp_path).is_file()
