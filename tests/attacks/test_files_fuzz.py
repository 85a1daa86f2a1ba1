"""Ten thousand files and specs that somebody spoiled: each is read, or refused in a line or two that draw nothing.

No other kind of error, no crash, no warning (pytest makes them errors), no code run, no memory beyond what the files
stand for, no file that takes long. A sample of each kind in the quick suite, all with `-m slow`.
"""

import collections
import contextlib
import hashlib
import io
import json
import pickle
import random
import re
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save as safetensors_text

from banach import distance, space
from banach.cli.__main__ import main
from banach.cli.output import say_error
from banach.config.config import Config, dump
from banach.data import DataError, Units
from banach.data.sampler import Sampler
from banach.generator import About, Generator, _hash
from banach.models import build_critic, build_generator
from banach.runs import checkpoint
from banach.runs.checkpoint import CheckpointError
from banach.specs import SpecError
from banach.training.state import new_state
from banach.transport import save

QUICK, WHOLE = 60, 2000
SECONDS = 10.0
MEGABYTES = 400

EVIL = "\x1b[2K\x1b[1Gproved: 7\x9b\u202e\nproved: 8"
NESTED: object = []
for _ in range(400):
    NESTED = [NESTED]
ODD = [
    None,
    True,
    False,
    0,
    -1,
    2,
    10**25,
    10**400,
    -(10**30),
    1e308,
    -1e308,
    5e-324,
    -0.0,
    float("nan"),
    float("inf"),
    "",
    "x",
    "nan",
    "1e999",
    EVIL,
    "a" * 5000,
    "Lp(2)",
    "Lp(p=2)#" + EVIL,
    "(" * 10000,
    "-" * 10000 + "1",
    "Lp(p=1e999)",
    "Matrix('/dev/zero')",
    "Weighted(Matrix('/etc/passwd'), Lp(2))",
    "Weighted(Scale('/dev/stdin'), Lp(2))",
    "Product(2, (Lp(1), Lp(2)), (10000000000000000000000, 1))",
    "Sobolev(s=-1)",
    "Dual(Lp(2))",
    "Nowhere(3)",
    "Lp(p=" + "9" * 5000 + ")",
    "Weighted(Scale((1e308, 1e-308)), Lp(3))",
    "\ud800",
    [],
    [1],
    [[], []],
    {},
    {"": None},
    {"A": "0" * 64},
    NESTED,
]


class Tempting:
    """What must not be unpickled: it would make a file."""

    path = ""

    def __reduce__(self):
        return Path.touch, (Path(Tempting.path),)


def flipped(raw, rng):
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(raw, rng):
    return raw[: rng.randrange(len(raw))] if rng.random() < 0.7 else raw[rng.randrange(len(raw)) :]


def doubled(raw, rng):
    start, stop = sorted(rng.sample(range(len(raw) + 1), 2))
    return raw[:stop] + raw[start:stop] * rng.choice((1, 2, 20)) + raw[stop:]


def spliced(raw, rng):
    start, stop = sorted(rng.sample(range(len(raw) + 1), 2))
    other = rng.choice((b"", b"\xff" * (stop - start), bytes(stop - start), rng.randbytes(rng.randrange(1, 300))))
    return raw[:start] + other + raw[stop:]


def moved(raw, rng):
    a, b, c = sorted(rng.sample(range(len(raw) + 1), 3))
    return raw[:a] + raw[b:c] + raw[a:b] + raw[c:]


def edged(raw, rng):
    """A number somewhere becomes one at the end of its range."""
    at = rng.randrange(max(1, len(raw) - 8))
    value = rng.choice((b"\xff", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0\0\0\x80", b"\0" * 4))
    return raw[:at] + value + raw[at + len(value) :]


BYTES = (flipped, flipped, cut, doubled, spliced, moved, edged)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype.hasobject)
    return buffer.getvalue()


def zipped(parts, **tricks):
    """A zip file of these (name, bytes); tricks: compression, comment."""
    buffer = io.BytesIO()
    with (
        contextlib.suppress(UserWarning),
        zipfile.ZipFile(buffer, "w", tricks.get("packing", zipfile.ZIP_DEFLATED)) as z,
    ):
        for name, content in parts:
            try:
                z.writestr(name, content)
            except UserWarning:  # a name twice: written all the same
                z.writestr(zipfile.ZipInfo(name + "\0"), content)
        z.comment = tricks.get("comment", b"")
    return buffer.getvalue()


class Certificates:
    """`banach verify` of certificates, the samples being right."""

    def __init__(self, folder):
        rng = np.random.default_rng(0)
        self.folder, self.path, self.specs = folder, folder / "cert.npz", Specs(folder)
        self.x, self.y = rng.normal(size=(7, 2)), rng.normal(size=(5, 2)) + 1
        np.save(folder / "a.npy", self.x)
        np.save(folder / "b.npy", self.y)
        save(self.path, distance(self.x, self.y, "Lp(3)"), self.x, self.y)
        self.raw = self.path.read_bytes()
        with np.load(self.path) as found:
            self.arrays = {name: found[name] for name in found.files}
        self.claim = json.loads(self.arrays.pop("claim").tobytes())
        del self.arrays["seal"]

    def mutant(self, rng):
        return rng.choice(BYTES)(self.raw, rng) if rng.random() < 0.4 else self.forged(rng)

    def forged(self, rng):
        claim, arrays = json.loads(json.dumps(self.claim)), dict(self.arrays)
        parts, tricks = [], {}
        choice = rng.random()
        if choice < 0.5:  # one word of the claim
            inside = claim["sha256"] if rng.random() < 0.3 else claim
            key = rng.choice([*inside, "tables", "format"])
            inside[key] = rng.choice(ODD)
            if rng.random() < 0.2:
                del inside[key]
            if rng.random() < 0.3:
                claim["space"] = self.specs.mutant(rng)
        elif choice < 0.75:  # one array
            name = rng.choice(list(arrays))
            arrays[name] = rng.choice(
                (
                    np.zeros(0),
                    np.zeros(()),
                    np.zeros((3, 4)),
                    np.asfortranarray(np.ones((2, 7))),
                    np.array([None]),
                    np.zeros(7, ">f8"),
                    np.zeros(7, "<f4"),
                    np.zeros(7, "S3"),
                    np.zeros(7, "M8[s]"),
                    np.zeros(10**6),
                    np.full(7, np.nan),
                    np.arange(7),
                    np.full(7, -(2**63)),
                    np.full(7, 2**62),
                    np.zeros(7, "i4,f8"),
                )
            )
        if rng.random() < 0.7 and isinstance(claim.get("sha256"), dict):
            for name, one in arrays.items():
                if name in claim["sha256"] and rng.random() < 0.9 and one.dtype.kind in "fiu":
                    claim["sha256"][name] = digest(one)
            if isinstance(claim.get("space"), str):
                text = claim["space"].encode(errors="surrogatepass")
                claim["sha256"]["space"] = hashlib.sha256(text).hexdigest()
        text = self.text(claim, rng)
        arrays |= {"claim": np.frombuffer(text, np.uint8)}
        arrays |= {"seal": np.frombuffer(hashlib.sha256(text).digest(), np.uint8)}
        parts = [(f"{name}.npy", npy(one)) for name, one in arrays.items()]
        if choice > 0.75:
            parts, tricks = self.tricked(parts, rng)
        return zipped(parts, **tricks)

    @staticmethod
    def text(claim, rng):
        text = json.dumps(claim).encode()
        spoiled = (
            text,
            text,
            text,
            text,
            text,
            text,
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"[]",
            b"null",
            text + b" x",
            b"\xff" + text,
            text[:-1] + b', "lower": 0.0}',
            text.decode().encode("utf-16"),
            b"1" * 5000,
            b" " * 2_000_000 + text,
        )
        return rng.choice(spoiled)

    @staticmethod
    def tricked(parts, rng):
        name, content = parts[rng.randrange(len(parts))]
        bomb = content[:128] + bytes(2**24)
        huge = content.replace(b"(7,)", b"(999999999999,)").replace(b"(5,)", b"(10000000000,)")
        changed = rng.choice(
            (
                [*parts, ("f.npy", content)],
                [(f"../{n}", c) for n, c in parts],
                [(f"/{n}", c) for n, c in parts],
                parts[:-1],
                [*parts, ("more.npy", content)],
                [(n, bomb if n == name else c) for n, c in parts],
                [(n, huge if n == name else c) for n, c in parts],
                [(n, b"" if n == name else c) for n, c in parts],
                [*parts, (f"{EVIL}.npy", content)],
                [(n, pickle.dumps(Tempting()) if n == name else c) for n, c in parts],
                parts,
                [(n, npy(np.array([Tempting()])) if n == name else c) for n, c in parts],
                parts + [(f"{at}.npy", b"") for at in range(3000)],
            )
        )
        packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        return changed, {"packing": packing, "comment": rng.choice((b"", b"", EVIL.encode()))}

    def act(self, content):
        self.path.write_bytes(content)
        return main(["verify", str(self.path), str(self.folder / "a.npy"), str(self.folder / "b.npy")])


def digest(values):
    kind = "<i8" if values.dtype.kind in "iu" and values.ndim == 1 else "<f8"
    return hashlib.sha256(f"{tuple(values.shape)} {kind};".encode() + values.astype(kind).tobytes()).hexdigest()


class Checkpoints:
    """A checkpoint read, and put into a state."""

    def __init__(self, folder):
        self.path = folder / "last.pt"
        self.state = self.fresh()
        self.state.facts = {"data": "x", "gamma": 1.0}
        self.content = {"format": checkpoint.FORMAT, **self.state.state_dict()}
        self.raw = self.saved(self.content)

    @staticmethod
    def fresh():
        rng = torch.Generator().manual_seed(0)
        generator = build_generator("mlp", (2,), z=2, width=3, output="linear", rng=rng)
        return new_state(generator, build_critic("mlp", (2,), width=3, rng=rng), Sampler(8, 4))

    @staticmethod
    def saved(content):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    def mutant(self, rng):
        choice = rng.random()
        if choice < 0.35:
            return rng.choice(BYTES)(self.raw, rng)
        if choice < 0.6:
            return self.repickled(rng)
        odd = [
            *ODD,
            torch.zeros(1).expand(10**9),
            torch.zeros(3, dtype=torch.complex64),
            torch.full((2,), torch.nan),
            torch.zeros(0),
            torch.eye(3).to_sparse(),
            torch.zeros(2, requires_grad=True),
            torch.zeros(3, device="meta"),
            {1, 2},
            b"bytes",
            bytearray(9),
            Tempting(),
            range(3),
            torch.Size([2]),
            torch.float32,
        ]
        content = {key: dict(one) if isinstance(one, dict) else one for key, one in self.content.items()}
        inside = content
        key = rng.choice(list(content))
        if isinstance(content[key], dict) and content[key] and rng.random() < 0.6:
            inside, key = content[key], rng.choice(list(content[key]))
        inside[key] = rng.choice(odd)
        if rng.random() < 0.15:
            del inside[key]
        if rng.random() < 0.03:
            content = rng.choice(odd)
        return self.saved(content)

    def repickled(self, rng):
        """The parts packed anew, checksums right, the list of tensors spoiled."""
        with zipfile.ZipFile(io.BytesIO(self.raw)) as archive:
            parts = [(one.filename, archive.read(one)) for one in archive.infolist()]
        folder = parts[0][0].split("/")[0]
        listed = dict(parts)[f"{folder}/data.pkl"]
        bomb = b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\x10\0\x85R."
        spoiled = rng.choice(
            (
                rng.choice(BYTES)(listed, rng),
                rng.choice(BYTES)(listed, rng),
                rng.choice(BYTES)(listed, rng),
                bomb,
                pickle.dumps(Tempting(), 2),
                pickle.dumps(Tempting(), 4),
                b"\x80\x02" + b"]" * 100_000 + b".",
                listed.replace(b"K\x02K\x03\x86", b"J\0\0\0\x40K\x03\x86"),
                listed.replace(b"K\x03", b"J\xff\xff\xff\x7f"),
                listed.replace(b"cpu", b"xpu"),
                listed.replace(b"FloatStorage", b"HalfStorage "),
                b"",
                listed.replace(b"_rebuild_tensor_v2", b"_rebuild_qtensor"),
                b"\x80\x02K\x01r\xff\xff\xff\x7f.",
                listed.replace(b"torch._utils\n_rebuild_tensor_v2", b"os\nsystem"),
            )
        )
        parts = [(name, spoiled if name.endswith("data.pkl") else one) for name, one in parts]
        if rng.random() < 0.1:
            parts = [(name, bytes(2**24) if "data/0" in name else one) for name, one in parts]
        if rng.random() < 0.1:
            parts += [(f"{folder}/DATA.PKL", spoiled)]
        packing = zipfile.ZIP_DEFLATED if rng.random() < 0.15 else zipfile.ZIP_STORED
        return zipped(parts, packing=packing)

    def act(self, content):
        self.path.write_bytes(content)
        try:
            self.fresh().load_state_dict(checkpoint.read(self.path))
        except (CheckpointError, DataError) as error:
            say_error(str(error))
            return 2
        return 0


class Generators:
    """`banach sample` of generator files."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "generator.safetensors"
        about = About(model="mlp", shape=(2,), z=2, width=3, output="linear", kind="points", space="Lp(p=2)")
        network = build_generator("mlp", (2,), z=2, width=3, output="linear", rng=torch.Generator().manual_seed(0))
        Generator(network, Units("standard", torch.zeros(2), torch.ones(2)), about).save(self.path)
        self.raw = self.path.read_bytes()
        size = struct.unpack("<Q", self.raw[:8])[0]
        self.header = json.loads(self.raw[8 : 8 + size])["__metadata__"]
        generator = Generator.load(self.path)
        self.tensors = {f"generator.{name}": one for name, one in generator.network.state_dict().items()}
        self.tensors |= {"units.shift": torch.zeros(2), "units.scale": torch.ones(2)}

    def mutant(self, rng):
        choice = rng.random()
        if choice < 0.3:
            return rng.choice(BYTES)(self.raw, rng)
        if choice < 0.45:  # the header as text
            size = struct.unpack("<Q", self.raw[:8])[0]
            header = rng.choice(BYTES)(self.raw[8 : 8 + size], rng)
            header = rng.choice((header, header, b"[" * 100_000, b"{" * 1000, b'{"__metadata__":{"a":1}}'))
            return struct.pack("<Q", len(header)) + header + self.raw[8 + size :]
        header, tensors = dict(self.header), dict(self.tensors)
        if choice < 0.8:
            value = rng.choice(
                [
                    *ODD,
                    "1000000000000",
                    "[2, 3, 4, 5, 6]",
                    "[0]",
                    "[-1]",
                    "[1e999]",
                    "[" * 5000,
                    "[1000000000]",
                    "[3, 4, 4]",
                    "image",
                    "pixels",
                    "minmax",
                    "resnet",
                    "lipschitz-cones",
                    "tanh",
                    "99999999999",
                    "٣",
                ]
            )
            value = value if isinstance(value, str) else json.dumps(value)
            header[rng.choice(list(header))] = value.encode(errors="replace").decode()
        else:
            name = rng.choice(list(tensors))
            tensors[name] = rng.choice(
                (
                    torch.zeros(0),
                    torch.zeros(3, 3, 3),
                    torch.zeros(2, dtype=torch.complex64),
                    torch.zeros(2, dtype=torch.int64),
                    torch.full((2,), torch.nan),
                    torch.zeros(2, dtype=torch.float8_e4m3fn),
                    torch.zeros(2, dtype=torch.float64),
                    torch.zeros(2, dtype=torch.bool),
                    torch.tensor(1.0),
                )
            )
            tensors |= {f"generator.{EVIL}": torch.zeros(1)} if rng.random() < 0.1 else {}
            if rng.random() < 0.2:
                del tensors[name]
        if rng.random() < 0.9:
            header["hash"] = _hash(tensors)
        return safetensors_text(tensors, header)

    def act(self, content):
        self.path.write_bytes(content)
        return main(["sample", str(self.path), "--n", "2", "--out", str(self.folder / "out.npz")])


class Configs:
    """`banach train --config FILE --print-config`."""

    def __init__(self, folder):
        self.path = folder / "run.yaml"
        self.plugin = folder / "mine.py"
        self.plugin.write_text(f"from pathlib import Path\nPath({str(folder / 'touched')!r}).touch()\n")
        self.raw = dump(Config(data="8gaussians", classes=(1, 7), size=32)).encode()
        names = list(zip("abcdefgh", "bcdefghi", strict=True))
        nine = {a: ", ".join([f"*{a}"] * 9) for a, _ in names}
        self.laughs = "a: &a [x]\n" + "".join(f"{b}: &{b} [{nine[a]}]\n" for a, b in names)
        self.merges = "a: &a {k: v}\n" + "".join(f"{b}: &{b}\n  <<: [{nine[a]}]\n" for a, b in names)

    def mutant(self, rng):
        choice = rng.random()
        if choice < 0.3:
            return rng.choice(BYTES)(self.raw, rng)
        if choice < 0.4:
            return rng.choice(
                (
                    self.laughs,
                    self.merges,
                    "a: &a [*a]\n",
                    "data: !!python/object/apply:os.system ['touch touched']\n",
                    "[" * 10_000,
                    "- " * 5000,
                    "{" * 3000,
                    "? " * 3000,
                    "a: " * 2000,
                    f"plugin: [{self.plugin}]\n",
                    f"plugin: {self.plugin}\n",
                    "plugin: ['a\\0.py']\n",
                    "plugin: [antigravity]\n",
                    "\0",
                    "\ufeff" + "x" * 10,
                    "%TAG ! !\n",
                    "lr: !!float " + "9" * 5000,
                    "data: !!binary aGVsbG8=\n",
                    "? [a]\n: 1\n",
                    "? {a: 1}\n: 1\n",
                    "2001-99-99: 1\n",
                    "data: 2001-01-01\n",
                    "lr: 1:2:3:4\n",
                    "classes: !!set {a, b}\n",
                    "steps: 0x" + "f" * 5000,
                    "#" * 2_000_000,
                    "---\na: 1\n---\nb: 2\n",
                )
            ).encode()
        lines = self.raw.decode().splitlines()
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(lines))
            key = lines[at].split(":")[0]
            value = rng.choice([*ODD, f"{self.plugin}", [str(self.plugin)]])
            try:
                spelled = yaml.safe_dump(value, default_flow_style=True, width=10**6)
                lines[at] = f"{key}: {spelled.removesuffix('...' + chr(10)).strip()}"
            except (yaml.YAMLError, UnicodeEncodeError, RecursionError):
                lines[at] = f"{key}: {json.dumps(value)}"
        return "\n".join(lines).encode(errors="surrogatepass")

    def act(self, content):
        self.path.write_bytes(content)
        return main(["train", "--config", str(self.path), "--print-config"])


class Specs:
    """Specs of spaces as texts; what is read spells itself so that it reads back."""

    WORDS = (
        "Lp",
        "Sobolev",
        "Product",
        "Weighted",
        "Matrix",
        "Scale",
        "Bessel",
        "Compose",
        "Intersection",
        "InfConvolution",
        "Dual",
        "MeanFree",
        "Discrete",
        "shape",
        "inf",
        "None",
        "True",
        "p=",
        "s=",
        "length=",
        "power=",
        "(",
        ")",
        "(",
        ")",
        ",",
        ",",
        "[",
        "]",
        "1",
        "2",
        "-1",
        "0",
        "1e999",
        "1j",
        "9" * 400,
        "9" * 5000,
        "'x'",
        "'/dev/zero'",
        "'/etc/passwd.npy'",
        "'" + "a" * 5000 + "'",
        "'\\0'",
        "'\\x1b[2K'",
        "#",
        EVIL,
        "\n",
        "\t",
        "lambda:0",
        "*",
        "**",
        ".",
        "__import__('os')",
        "+",
        "-",
        "not ",
        ":",
        ";",
        "=",
        "{",
        "}",
        "f'{1}'",
        "b'x'",
        "...",
        "λ",
        "Ｌｐ",
        "\\",
        "\\\n",
        "\ud800",
    )

    def __init__(self, folder):
        self.known = [
            "Lp(p=2)",
            "Sobolev(s=-1, p=3)",
            "Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))",
            "sobolev:s=-1,p=2",
            "Weighted(Matrix(((2, 1), (0, 1))), Lp(3))",
            "Weighted(Compose(Scale((1, 2)), Bessel(s=1)), Lp(1.5))",
        ]

    def mutant(self, rng):
        text = rng.choice(self.known)
        choice = rng.random()
        if choice < 0.3:
            return rng.choice(BYTES)(text.encode(), rng).decode(errors="surrogateescape")
        if choice < 0.6:
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(text))
                text = text[:at] + rng.choice(self.WORDS) + text[at + rng.randrange(3) :]
            return text
        if choice < 0.75:
            return "".join(rng.choice(self.WORDS) for _ in range(rng.randrange(1, 30)))
        if choice < 0.95:  # other numbers and names in their places
            words = [one for one in self.WORDS if one[0].isalnum() or one[0] in "'-"]
            return re.sub(r"\w+", lambda found: rng.choice(words) if rng.random() < 0.3 else found[0], text)
        n = rng.choice((10, 150, 1000, 100_000))
        return rng.choice(
            (
                "(" * n,
                "-" * n + "1",
                "Lp(" * n + "2" + ")" * n,
                "1" + "+1" * n,
                "Lp(2)" + "(2)" * n,
                "a" + ".a" * n,
                "x" * n,
                "Lp(" + "1," * n + ")",
                "not " * n + "1",
                "Lp(2)#" + "x" * n,
                f"Scale(({'1,' * n}))",
                "[" * n,
                "lp:" + "p=2," * n,
                "Dual(" * min(n, 90) + "Lp(2)" + ")" * min(n, 90),
                "'a' " * n,
            )
        )

    def act(self, text):
        try:
            found = space(text)
        except SpecError as error:
            say_error(str(error))
            return 2
        assert space(repr(found)) == found
        return 0


KINDS = {
    "certificates": Certificates,
    "checkpoints": Checkpoints,
    "generators": Generators,
    "configs": Configs,
    "specs": Specs,
}


def peak():
    """The most memory that this process has held since the last call, in MB; 0 where the system does not say."""
    try:
        said = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
        return int(said.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def attack(kind, folder, seeds):
    """How many were read and how many refused; an assertion fails at the first that does anything else."""
    folder.mkdir(exist_ok=True)
    Tempting.path = str(folder / "touched")
    target, outcomes = KINDS[kind](folder), collections.Counter()
    for seed in seeds:
        content = target.mutant(random.Random(seed))
        out, err, began = io.StringIO(), io.StringIO(), time.process_time()
        before = peak() and peak()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = target.act(content)
        taken, grown = time.process_time() - began, peak() - before
        said = f"{kind} {seed}: {err.getvalue()[:500]!r}"
        assert code in (0, 2), said
        assert taken < SECONDS, f"{taken} s, {said}"
        assert grown < MEGABYTES, f"{grown} MB, {said}"
        assert all(line.isprintable() for line in (out.getvalue() + err.getvalue()).split("\n")), said
        if code == 2:
            lines = err.getvalue().splitlines()
            assert lines[0].startswith("error: "), said
            assert len(lines) <= 3, said
            assert len(err.getvalue()) < 6000, said
            assert "fault of banach" not in err.getvalue(), said
            assert "Warning" not in err.getvalue(), said
        assert not Path(Tempting.path).exists(), said
        outcomes[code] += 1
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_files_are_read_or_refused(kind, tmp_path):
    outcomes = attack(kind, tmp_path / "files", range(QUICK))
    assert outcomes[2] > QUICK // 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_spoiled_files(kind, tmp_path):
    outcomes = attack(kind, tmp_path / "files", range(WHOLE))
    assert outcomes[0] + outcomes[2] == WHOLE
    assert outcomes[2] > WHOLE // 4
