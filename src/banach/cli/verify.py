"""`banach verify cert.npz A B`: does the certificate prove its interval for these samples?"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from banach.cli import output
from banach.cli.distance_options import Options as DistanceOptions
from banach.cli.distance_options import ranges
from banach.cli.sources import Reading, Two, read_both
from banach.config import flags, plugins, readers
from banach.config.flags import Command
from banach.config.keys import flag, hyphened, word
from banach.data.how import How, Limits, colour, page, spelled
from banach.foreign import typed
from banach.transport import verify


@dataclass(frozen=True)
class Options:
    """The options of `banach verify`."""

    certificate: str = word(readers.name("cert.npz"), "what `banach distance --save` wrote")
    a: str = word(readers.name("fakes.npy"), "the samples A, as given to `banach distance`")
    b: str = word(readers.name("reals.npy"), "the samples B")
    weights_a: str | None = flag(None, readers.name("w.npy"), "the weights of A, if any were given", metavar="FILE")
    weights_b: str | None = flag(None, readers.name("w.npy"), "the weights of B, if any were given", metavar="FILE")
    n: int | None = flag(None, readers.count(1), "as given to `banach distance`", metavar="N")
    axes: str | None = flag(None, readers.name("n,x,y"), "as given to `banach distance`")
    range: tuple[Limits, ...] = flag((), ranges, "as given to `banach distance`", metavar="LOW,HIGH", many=True)
    pages: str | int | None = flag(None, page, "as given to `banach distance`", metavar="WHICH")
    background: str = flag("white", colour, "as given to `banach distance`")
    merge_folders: bool = flag(False, readers.yes_no, "as given to `banach distance`")
    seed: int = flag(0, readers.count(0), "as given to `banach distance`")
    best: bool = flag(False, readers.yes_no, "as given to `banach distance`")
    plugin: tuple[str, ...] = flag(
        (), readers.listed(readers.name("mine.py")), "Python files that bring spaces or data", many=True
    )
    json: bool = flag(False, readers.yes_no, "machine-readable output")

    @property
    def reading(self) -> Reading:
        """How the samples are read."""
        how = How(axes=self.axes, cache="never", pages=self.pages, background=self.background,
                  merge_folders=self.merge_folders)  # fmt: skip
        return Reading(how, self.n, self.seed, self.best, self.range)


COMMAND = Command(
    "verify",
    "Check the certificate of a distance from its potentials and its plan alone, without any solver.",
    Options,
    ("banach verify cert.npz fakes.npy reals.npy",),
    "All pairs of samples are measured anew in float64, so it takes a while for many thousands. Exit codes: 0 the"
    " interval is proved, 2 it is not, with the reason.",
)  # fmt: skip


_AS_READ = (
    "weights_a", "weights_b", "n", "axes", "pages", "background", "merge_folders", "seed", "best", "plugin",
)  # fmt: skip
"""The flags of `banach distance`, besides --range, that `banach verify` is to be given too."""


def command(certificate: str, a: str, b: str, options: DistanceOptions, given: Collection[str]) -> str:
    """How to check a certificate: what was named, and the flags by which it was read."""
    words = ["banach", "verify", *map(typed, (certificate, a, b))]
    words += [word for one in options.range for word in ("--range", spelled(*one))]
    for key in _AS_READ:
        value = vars(options)[key]
        if key in given and value is not False:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            words += [f"--{hyphened(key)}", *([] if value is True else [typed(text)])]
    return " ".join(words)


def main(argv: Sequence[str]) -> int:
    options, _ = flags.read(COMMAND, argv)
    for plugin in options.plugin:
        plugins.load(plugin)
    a, b, w, v = read_both(
        Two(
            options.a, options.b, options.reading,
            options.weights_a, options.weights_b,
        )
    )  # fmt: skip
    with output.waiting("measuring all pairs"):
        verdict = verify(options.certificate, a.values, b.values, w, v)
    if options.json:
        output.say_json({"proved": True, **asdict(verdict)})
        return 0
    what = "W1" if verdict.power == 1 else f"E d^{verdict.power:g}"
    output.say(f"proved: {what} of these samples in {verdict.space} is between {verdict.lower!r} and {verdict.upper!r}")
    for name, digest in verdict.files.items():
        output.say(f"with the table in {name!r}, SHA-256 {digest}")
    output.say(f"spare: {verdict.spare_below:.2g} below, {verdict.spare_above:.2g} above")
    return 0
