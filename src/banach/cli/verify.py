"""`banach verify cert.npz A B`: does the certificate prove its interval for these samples?"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from banach.cli import output
from banach.cli.sources import read_both
from banach.engine import flags, plugins, values
from banach.engine.flags import Command, Flag
from banach.transport import verify

COMMAND = Command(
    "verify",
    "Check the certificate of a distance from its potentials and its plan alone, without any solver.",
    (
        Flag("certificate", values.name("cert.npz"), "what `banach distance --save` wrote", positional=True,
             required=True),
        Flag("a", values.name("fakes.npy"), "the samples A, as they were given then", positional=True, required=True),
        Flag("b", values.name("reals.npy"), "the samples B", positional=True, required=True),
        Flag("weights_a", values.name("w.npy"), "the weights of A, if it had any", metavar="FILE"),
        Flag("weights_b", values.name("w.npy"), "the weights of B, if it had any", metavar="FILE"),
        Flag("n", values.count(1), "as it was given then", metavar="N"),
        Flag("axes", values.name("bhwc"), "as it was given then"),
        Flag("seed", values.count(0), "as it was given then", 0),
        Flag("best", values.yes_no, "as it was given then", False),
        Flag("plugin", values.listed(values.name("mine.py")), "Python files that bring spaces or data", (), many=True),
        Flag("json", values.yes_no, "machine-readable output", False),
    ),
    ("banach verify cert.npz fakes.npy reals.npy",),
    "All pairs of samples are measured anew in float64, so it takes a while for many thousands. Exit codes: 0 the"
    " interval is proved, 2 it is not, with the reason.",
)  # fmt: skip


def command(certificate: str, a: str, b: str, given: dict[str, Any]) -> str:
    """How to check a certificate: what was named, and the flags by which it was read."""
    words = ["banach", "verify", certificate, a, b]
    for key in ("weights_a", "weights_b", "n", "axes", "seed", "best", "plugin"):
        if key in given and given[key] is not False:
            value = ",".join(given[key]) if isinstance(given[key], tuple | list) else str(given[key])
            words += [f"--{key.replace('_', '-')}", *([] if given[key] is True else [value])]
    return shlex.join(words)


def main(argv: Sequence[str]) -> int:
    options = flags.with_defaults(COMMAND, flags.parse(COMMAND, argv))
    for plugin in options["plugin"]:
        plugins.load(plugin)
    a, b, w, v = read_both(options)
    with output.waiting("measuring all pairs"):
        verdict = verify(options["certificate"], a.values, b.values, w, v)
    if options["json"]:
        output.say_json({"proved": True, **asdict(verdict)})
        return 0
    what = "W1" if verdict.power == 1 else f"E d^{verdict.power:g}"
    output.say(f"proved: {what} of these samples in {verdict.space} is between {verdict.lower!r} and {verdict.upper!r}")
    for name, digest in verdict.files.items():
        output.say(f"with the table in {name!r}, SHA-256 {digest}")
    output.say(f"spare: {verdict.spare_below:.2g} below, {verdict.spare_above:.2g} above")
    return 0
