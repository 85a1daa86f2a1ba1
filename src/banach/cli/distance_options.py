"""The options and the help text of `banach distance`."""

from dataclasses import dataclass

from banach.cli.sources import Reading
from banach.config import readers
from banach.config.flags import Command
from banach.config.keys import flag, word
from banach.data import DataError
from banach.data.how import How, Limits, colour, limits, page
from banach.transport.dependence import TIES, Ties
from banach.transport.distance import METHODS, Method
from banach.transport.permutations import PERMUTATIONS

_POPULATION = "with --target population"


def ranges(value: object) -> tuple[Limits, ...]:
    """A range of one set."""
    found = limits(value)
    if isinstance(found, str):
        raise DataError(f"{found} would be another range for each set; write LOW,HIGH")
    return (found,)


@dataclass(frozen=True)
class Options:
    """The options of `banach distance`."""

    # fmt: off
    a: str = word(readers.name("fakes.npy"), "samples: npy, npz, safetensors, nc, zarr, h5, tif, csv, parquet, h5ad"
        " (file:key), a folder of pictures, a data set's name, a run")
    b: str = word(readers.name("reals.npy"), "the reference that A is compared with")
    others: tuple[str, ...] = word(readers.name("more.npy"), "further sets: each set is compared with each, in a table",
        default=(), many=True, metavar="C")
    space: str = flag("l2", readers.name("Sobolev(s=-1)"), "the norm, or any metric; see `banach list spaces`")
    target: str = flag("empirical", readers.one_of("empirical", "population"), "W1 of these samples, exactly, or of the"
        " distributions that they were drawn from, in a confidence interval")
    rel_gap: float = flag(0.01, readers.number(0.0), "stop when (upper - lower)/upper is at most this")
    method: Method = flag("auto", readers.one_of("auto", *METHODS), f"auto, {', '.join(METHODS)}")
    power: float = flag(1.0, readers.number(above=0.0), "transport costs distance^POWER", metavar="POWER")
    max_minutes: float | None = flag(None, readers.number(above=0.0), "time limit, scores included; the interval so far"
        " is valid, and marked (with --target population: at most two thirds for the upper end, the rest for the"
        " critic; without this flag the critic has 1 minute)", metavar="M")
    weights_a: str | None = flag(None, readers.name("w.npy"), "file with one weight for each sample of A",
        metavar="FILE")
    weights_b: str | None = flag(None, readers.name("w.npy"), "the same for B", metavar="FILE")
    n: int | None = flag(None, readers.count(1), "at most so many samples of each, drawn by --seed", metavar="N")
    axes: str | None = flag(None, readers.name("n,x,y"), "what each axis of an array is, as in `banach train`; samples"
        " of a run, and arrays beside them, need none")
    range: tuple[Limits, ...] = flag((), ranges, "values of pictures that become black and white: once for all sets, or"
         " once for each; makes arrays pictures", metavar="LOW,HIGH", many=True)
    pages: str | int | None = flag(None, page, "of picture files that hold several pages: first, all, or a number",
         metavar="WHICH")
    background: str = flag("white", colour, "what transparent pictures are laid on: white, black or '#rrggbb'")
    merge_folders: bool = flag(False, readers.yes_no, "take sub-folders such as train/ and test/ as one set")
    scores: bool = flag(True, readers.yes_no, "floor and excess on disjoint halves (four smaller distances more)")
    test: bool = flag(False, readers.yes_no, "a permutation p-value of 'A and B have the same distribution'")
    permutations: int = flag(PERMUTATIONS, readers.count(1), "with --test: how many; p is at least 1/(1 + N)",
        metavar="N")
    confidence: float = flag(0.95, readers.number(below=1.0, above=0.0), "of the interval of the excess, or of W1 of"
        " the distributions")
    seed: int = flag(0, readers.count(0), "seed of all that is drawn")
    best: bool = flag(False, readers.yes_no, "of a run, take the generator with the best score, not the newest")
    save: str | None = flag(None, readers.name("cert.npz"), "write the certificate, for `banach verify`; of several"
        " sets one for each pair, FILE-A-B.npz", metavar="FILE")
    support: str | None = flag(None, readers.name("box:0,1"), "the support of both distributions, as you know it:"
        " box:LOW,HIGH for all entries", group=_POPULATION)
    diameter: float | None = flag(None, readers.number(above=0.0), "or the largest distance within their support, in"
        " the norm", group=_POPULATION)
    paired: bool = flag(False, readers.yes_no, "row i of A and row i of B were drawn together: they stay together, and"
        " their distance bounds W1", group=_POPULATION)
    groups: str | None = flag(None, readers.name("groups.txt"), "file with a label for each sample of A, then of B"
        " (--paired: for each pair; npz: arrays a and b); what has one label is one draw", group=_POPULATION,
        metavar="FILE")
    ties: Ties | None = flag(None, readers.one_of(*TIES), "equal samples are independent draws that coincide, or copies"
        " of one draw", group=_POPULATION)
    critic: str = flag("lipschitz-cones", readers.name("lipschitz-cones"), "the critic; one that is not Lipschitz by"
        " construction is penalised, and bounds nothing", group=_POPULATION)
    width: int | None = flag(None, readers.count(1), "width of the critic", group=_POPULATION, metavar="N")
    penalty: str | None = flag(None, readers.name("wgan-gp"), "the penalty of such a critic (wgan-gp)",
        group=_POPULATION)
    critic_steps: int | None = flag(None, readers.count(1), "steps of the critic, in place of 1 minute",
        group=_POPULATION, metavar="N")
    plugin: tuple[str, ...] = flag((), readers.listed(readers.name("mine.py")), "Python files that bring spaces or"
        " data", many=True)
    json: bool = flag(False, readers.yes_no, "machine-readable output")
    # fmt: on

    @property
    def reading(self) -> Reading:
        """How the sets are read."""
        how = How(axes=self.axes, cache="never", pages=self.pages, background=self.background,
                  merge_folders=self.merge_folders)  # fmt: skip
        return Reading(how, self.n, self.seed, self.best, self.range)

    @property
    def sets(self) -> tuple[str, ...]:
        """All that is compared, in its order."""
        return (self.a, self.b, *self.others)


COMMAND = Command(
    "distance",
    "The Wasserstein-1 distance of two sample sets (or of each two of several) in any norm: an interval that encloses"
    " it, and why that is valid.",
    Options,
    (
        "banach distance fakes.npy reals.npy --space shape",
        "banach distance runs/mine fashion-mnist:split=test --space 'Sobolev(s=-1)' --n 5000 --test",
        "banach distance a.npz:x b.npz:x --space 'Lp(1)' --rel-gap 1e-6 --save cert.npz",
        "banach distance mon.npy tue.npy wed.npy thu.npy --space 'Lp(1)' --test --permutations 1999",
        "banach distance a.npy b.npy --target population --support box:0,1 --confidence 0.99",
    ),
    "The distance is that of the two sample sets, not of the distributions behind them: in high dimension two samples"
    " of one distribution are far apart. So it is printed beside its floor, the distance of two halves of B, and the"
    " excess over the floors. With --target population it is that of the distributions, in a confidence interval: part"
    " of the samples trains a critic that is 1-Lipschitz by construction, part selects, and part is used once, for the"
    " bound.",
)  # fmt: skip
