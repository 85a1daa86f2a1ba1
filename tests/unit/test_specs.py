import dataclasses
import math
import os
import subprocess
import sys

import pytest

import banach
from banach import Bessel, Compose, Lp, Matrix, Product, Scale, Sobolev, Weighted, parse
from banach.constraints import CONSTRAINTS
from banach.objectives import OBJECTIVES, PSI
from banach.operators import OPERATORS
from banach.penalties import PENALTIES, REDUCTIONS, SHAPES, Penalty
from banach.slopes import SLOPES
from banach.spaces import SPACES
from banach.specs import Registry, Source, SpecError, nearest, slug, spell, spell_call, spelled

REGISTRIES = [SPACES, OPERATORS, OBJECTIVES, PSI, PENALTIES, SHAPES, REDUCTIONS, SLOPES, CONSTRAINTS]
EVERY_EXAMPLE = [(registry, example) for registry in REGISTRIES for example in registry.examples()]


@pytest.mark.parametrize(("registry", "example"), EVERY_EXAMPLE, ids=[f"{r.kind}-{e}" for r, e in EVERY_EXAMPLE])
def test_every_example_parses_back_from_its_repr(registry, example):
    found = registry.parse(example)
    assert registry.parse(repr(found)) == found
    assert repr(registry.parse(repr(found))) == repr(found)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_registered_name_has_an_example_that_shows_it(registry):
    for entry in registry.entries():
        assert any(entry.name in example for example in entry.examples), entry
        assert entry.summary, f"{entry.name} has no summary"
        assert "\n" not in entry.summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lp(2)", Lp(2)),
        ("Lp", Lp(2)),
        ("lp", Lp(2)),
        ("Lp()", Lp(2)),
        ("Lp(p=inf)", Lp(math.inf)),
        ("Lp(+3)", Lp(3)),
        ("Lp(1.5e0)", Lp(1.5)),
        ("  Lp( 4 )\n", Lp(4)),
        ("Sobolev(s=-1.5, p=2)", Sobolev(-1.5, 2)),
        ("sobolev(-1)", Sobolev(-1)),
        ("SOBOLEV(s=-1)", Sobolev(-1)),
        ("Sobolev(s=1, length=[1, 2])", Sobolev(1, length=(1, 2))),
        ("Sobolev(s=1, homogeneous=True, boundary='even')", Sobolev(1, homogeneous=True, boundary="even")),
        (
            "Product(2, (Lp(1), Sobolev(s=-1, p=inf)), (1, 2))",
            Product(2, (Lp(1), Sobolev(-1, math.inf)), (1, 2)),
        ),
        ("Product(p=1, parts=(Lp,), sizes=(2,))", Product(1, (Lp(2),), (2,))),
        (
            "Weighted(Compose(Scale((1, 2)), Bessel(s=1)), Lp(3))",
            Weighted(Compose(Scale((1, 2)), Bessel(1)), Lp(3)),
        ),
        # The second spelling, without parentheses or quotes that a shell would read.
        ("lp:inf", Lp(math.inf)),
        ("lp:p=4", Lp(4)),
        ("sobolev:s=-1,p=2", Sobolev(-1, 2)),
        ("sobolev:s=-1, p=inf", Sobolev(-1, math.inf)),
        ("mean-free:3", banach.spaces.MeanFree(3)),
    ],
)
def test_syntax(text, expected):
    assert parse(text) == expected
    assert parse(text, "space") == expected
    assert SPACES.parse(text) == expected


def test_the_second_spelling_needs_no_quoting():
    for text in ("sobolev:s=-1,p=2", "lp:inf", "mean-free:3"):
        assert not set(text) & set("()[]{}<>|&;*?$'\"\\ `~#!")


def test_names_of_any_case_hyphen_or_underscore():
    assert OBJECTIVES.parse("least-squares") == OBJECTIVES.parse("least_squares") == OBJECTIVES.parse("LeastSquares")
    assert PENALTIES.parse("WGAN_GP") is PENALTIES["wgan-gp"]


def test_nested_registered_names():
    text = "Penalty(Gradients(at='reals'), TwoSided(target=0.5), Max(), weight=3)"
    found = PENALTIES.parse(text)
    assert isinstance(found, Penalty)
    assert found.weight == 3
    assert PENALTIES.parse("Penalty(Gradients, OneSided, Mean)").shape == SHAPES.parse("OneSided()")


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Sobolov(s=-1)", "space", "unknown space 'Sobolov'; did you mean Sobolev"),
        ("Sobolov", "space", "did you mean Sobolev"),
        ("sobolov:s=1", "space", "did you mean Sobolev"),
        ("Product(2, (Lp(1), Soboleff(1)), (1, 2))", "space", "did you mean Sobolev"),
        ("wgangp2", "penalty", "did you mean wgan-gp"),
        ("leastsquare", "objective", "did you mean least_squares"),
        ("zzzzqqq", "objective", "known: Rescaled, Sum, exp, fisher, hinge, least_squares, logistic, relativistic"),
        ("Lp(", "space", "cannot read the spec 'Lp\\('; write it as a call, for example Lp\\(1\\)"),
        ("Lp(2", None, "cannot read the spec"),
        ("", "space", "cannot read the spec"),
        ("Lp(x)", "space", "unknown name 'x'"),
        ("Lp(2, 3, 4)", "space", "Lp does not fit, in .*; for example Lp\\(1\\)"),
        ("Lp(r=2)", "space", "argument 'r'"),
        ("Lp(0.5)", "space", "p = 0.5 is no norm's exponent; choose a number from 1 to inf"),
        ("Lp(None)", "space", "p = None"),
        ("Lp('2')", "space", "p = '2'"),
        ("Lp(nan)", "space", "unknown name 'nan'"),
        ("Lp(-inf)", "space", "p = -inf"),
        ("Lp(True)", "space", "p = True"),
        ("Lp(p=1, p=2)", "space", "given twice"),
        ("Lp(**2)", "space", "\\*\\*"),
        ("Lp(*(2,))", "space", "only numbers, strings, inf, tuples and known names"),
        ("Lp(1 + 1)", "space", "cannot read '1 \\+ 1'"),
        ("Lp(-'2')", "space", "cannot read \"'2'\" as a number"),
        ("Lp(-True)", "space", "as a number"),
        ("Lp(2)(3)", "space", "cannot read 'Lp\\(2\\)\\(3\\)'"),
        ("Sobolev()", "space", "Sobolev does not fit.*missing .*argument: 's'"),
        ("Sobolev(s=inf)", "space", "s = inf is no order"),
        ("Sobolev(s=1, boundary='odd')", "space", "boundary = 'odd'; choose 'periodic' or 'even'"),
        ("Sobolev(s=1, length=-1)", "space", "length = -1; choose a positive number"),
        ("Sobolev(s=1, length='x')", "space", "length = 'x'; choose a positive number"),
        ("Sobolev(s=1, length=())", "space", "length = \\(\\); choose a positive number"),
        ("Sobolev(s=1, scale='codes')", "space", "scale = 'codes'; choose"),
        ("Sobolev(s=1, scale='code', length=1)", "space", "without length"),
        ("Sobolev(s=1, scale=0)", "space", "scale = 0; choose a positive number"),
        ("Product(2, (Lp(1),), (1, 2))", "space", "as many of each"),
        ("Product(2, Lp(1), 3)", "space", "as many of each"),
        ("Product(2, (Lp(1), Lp(2)), (1, (2,)))", "space", "give channel counts .* or shapes"),
        ("Product(2, (Lp(1), Lp(2)), (1, 0))", "space", "give channel counts"),
        ("Product(2, (Lp(1), Lp(2)), ((-1, -4), (2,)))", "space", "give channel counts"),
        ("Product(2, (Lp(1), 7), (1, 1))", "space", "as many of each"),
        ("Weighted(Lp(2), Lp(2))", "space", "give an operator and a space"),
        ("Weighted(Bessel(s=1, homogeneous=True), Lp(3))", "space", "homogeneous=True"),
        ("Weighted(Compose(Scale(2), Bessel(s=1, homogeneous=True)), Lp(3))", "space", "is not invertible on all data"),
        ("Matrix(((1, 2), (2, 4)))", "operator", "condition number"),
        ("Matrix((1, 2))", "operator", "not square"),
        ("Scale(0)", "operator", "1 weights are 0.*floor=0.1"),
        ("Scale((1, 'a'))", "operator", "as an array of numbers"),
        ("Scale('nowhere.npy')", "operator", "no file 'nowhere.npy'"),
        ("vanilla_saturating(2)", "objective", "vanilla_saturating takes no arguments"),
        ("hinge(alpha=0)", "objective", "alpha = 0; choose a positive number"),
        ("least_squares(a=1, b=0)", "objective", "choose a < b"),
        ("Power(0.5)", "shape", "choose at least 1"),
        ("clip(c=0)", "constraint", "choose a positive number"),
        ("Gradients(at='centre')", "slopes", "at = 'centre'; choose"),
        ("Penalty(Lp(2), OneSided(), Mean())", "penalty", "Lp\\(p=2\\) is no Slopes"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(text, kind, said):
    with pytest.raises(SpecError, match=said) as caught:
        parse(text, kind)
    assert len(str(caught.value).splitlines()) <= 2
    assert len(str(caught.value)) < 400


ATTACKS = [
    "__import__('os').system('touch attacked')",
    "Lp(__import__('os').system('touch attacked'))",
    "Lp(open('attacked', 'w'))",
    "(lambda: 2)()",
    "Lp((lambda: 2)())",
    "Lp.norm",
    "Lp.__class__.__base__.__subclasses__()",
    "Lp(2).__class__",
    "Lp(p:=2)",
    "Lp(f'{2}')",
    "Lp([x for x in (1,)][0])",
    "Lp({1: 2})",
    "Lp({1})",
    "Lp(1 if True else 2)",
    "Lp(not 1)",
    "Lp(~1)",
    "Lp(2**9999999999)",
    "Lp(1j)",
    "Lp(b'2')",
    "Lp(...)",
    "Lp(1, *[2])",
    "Lp(2); Lp(3)",
    "Lp(2)\nLp(3)",
    "import os",
    "eval:'1'",
    "print(1)",
    "await Lp(2)",
    "Lp(yield)",
    "\0",
    "Lp(\0)",
    "(" * 5000,
    "-" * 100_000 + "1",
    "Lp(2" + "+2" * 5000 + ")",
    "9" * 5000,
]


@pytest.mark.parametrize("text", ATTACKS, ids=[text[:30] for text in ATTACKS])
@pytest.mark.parametrize("kind", [None, "space"])
def test_nothing_is_evaluated(text, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as caught:
        parse(text, kind)
    assert len(str(caught.value)) < 600
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (2, "2"),
        (-0.5, "-0.5"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (1e300, "1e+300"),
        (1 / 3, "0.3333333333333333"),
        (True, "True"),
        (None, "None"),
        ("even", "'even'"),
        ((1.0, 2), "(1, 2)"),
        ((1,), "(1,)"),
        ([1, (2.5,)], "(1, (2.5,))"),
        (Lp(2), "Lp(p=2)"),
    ],
)
def test_spell(value, text):
    assert spell(value) == text


def test_spell_call_and_spelled():
    assert spell_call("f", (1.0,), {"a": "b"}) == "f(1, a='b')"

    @dataclasses.dataclass(frozen=True)
    class Thing:
        a: int
        b: float = 2.0
        hidden: int = dataclasses.field(default=0, repr=False)
        __repr__ = spelled

    assert repr(Thing(1)) == "Thing(a=1)"
    assert repr(Thing(1, 3.0, 4)) == "Thing(a=1, b=3)"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("Sobolev(s=-1, p=2)", "sobolev-s-1-p2"),
        ("Sobolev(s=-1.5)", "sobolev-s-1.5"),
        ("Product(2, (Lp(p=1), Lp(p=inf)), (1, 2))", "product-2-lp-p1-lp-pinf-1-2"),
        (Lp(4), "lp-p4"),
        ("Scale('a/b c.png')", "scale-a-b-c.png"),
    ],
)
def test_slug(spec, expected):
    assert slug(spec) == expected


def test_nearest():
    assert nearest("sobolef", ["Sobolev", "Lp"]) == "did you mean Sobolev?"
    assert nearest("q", ["b", "a"]) == "known: a, b"
    assert nearest("q", []) == "known: none"


@pytest.fixture
def registry():
    """A registry that is gone after the test."""
    from banach import specs

    yield Registry("gadget", bare="build")
    specs._REGISTRIES.pop("gadget")


def test_registry(registry):
    @registry.register(examples=["wheel(3)"])
    def wheel(spokes: int = 8) -> int:
        """Turns."""
        return spokes

    registry.add("constant", 7, summary="a number")
    assert list(registry) == ["wheel", "constant"]
    assert len(registry) == 2
    assert "Wheel" in registry
    assert "cart" not in registry
    assert registry["wheel"] is wheel
    assert registry.entry("wheel").summary == "Turns."
    assert registry.examples() == ("wheel(3)", "constant")
    assert registry.parse("wheel") == 8
    assert registry.parse("wheel:3") == 3
    assert registry.parse("constant") == 7
    assert parse("wheel(4)", "gadget") == 4
    assert parse("wheel(4)") == 4


def test_a_name_is_taken_once(registry):
    registry.add("wheel", int)
    registry.add("wheel", int)  # the same thing again, as a plugin read twice would
    with pytest.raises(SpecError, match="'Wheel' is registered already; choose another name"):
        registry.add("Wheel", float)


def test_a_bare_name_of_a_class_registry():
    from banach import specs

    gadgets = Registry("gadget2")
    try:
        gadgets.add("function", lambda: 1)
        gadgets.add("number", int)
        assert callable(gadgets.parse("function"))
        assert gadgets.parse("number") == 0
    finally:
        specs._REGISTRIES.pop("gadget2")


def test_tables_by_file_are_compared_by_content(tmp_path):
    import numpy as np
    from PIL import Image

    a, b, c, mask = (str(tmp_path / name) for name in ("a.npy", "b.npy", "c.npy", "mask.png"))
    np.save(a, [[2.0, 1], [0, 1]])
    np.save(b, [[2.0, 1], [0, 1]])
    np.save(c, [[2.0, 1], [0, 3]])
    Image.fromarray(np.array([[0, 255], [51, 102]], dtype=np.uint8)).save(mask)
    assert Matrix(a) == Matrix(b) == Matrix(((2, 1), (0, 1))) == Matrix(np.array([[2, 1], [0, 1]]))
    assert hash(Matrix(a)) == hash(Matrix(b))
    assert Matrix(a) != Matrix(c)
    assert repr(Matrix(a)) == f"Matrix(values={a!r})"
    assert parse(repr(Matrix(a))) == Matrix(a)
    with pytest.raises(SpecError, match="1 weights are 0"):
        Scale(mask)
    assert Scale(mask, floor=0.1).weights.values.tolist() == [[0, 1], [0.2, 0.4]]
    assert parse(f"Scale({mask!r}, floor=0.1)") == Scale(mask, floor=0.1)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(SpecError, match=r"cannot read .*broken.png.*give a .npy array or an image"):
        Scale(str(tmp_path / "broken.png"))
    np.save(tmp_path / "nan.npy", [[np.nan]])
    with pytest.raises(SpecError, match="not all finite"):
        Matrix(str(tmp_path / "nan.npy"))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SpecError, match="cannot read"):
        Matrix(str(tmp_path / "object.npy"))


def test_an_entry_keeps_its_source():
    thing = Registry("sourced thing")
    thing.add("plain", 1)
    source = Source("Banach and Steinhaus 1927", "theorem 2", defaults="none", unverified="the year")
    thing.add("sourced", 2, source=source)
    thing.register(name="decorated", source=Source("Banach 1932"))(lambda: 3)
    assert [entry.source for entry in thing.entries()] == [None, source, Source("Banach 1932")]
    assert str(source) == "Banach and Steinhaus 1927, theorem 2 (unverified: the year)"
    assert str(Source("Banach 1932")) == "Banach 1932"


def test_a_name_of_several_kinds_is_of_the_kind_it_stands_in():
    """sobolev is a norm and an objective, asymmetric a shape and a penalty."""
    product = Product(2, (Sobolev(-1), Lp(1)), (1, 2))
    for text in ("Product(2, (sobolev(s=-1), Lp(1)), (1, 2))", "product:2, parts=[sobolev(-1), lp(1)], sizes=[1, 2]"):
        assert parse(text) == parse(text, "space") == product
    assert parse("sobolev:s=-1") == Sobolev(-1)
    assert repr(parse("sobolev", "objective")) == "sobolev"
    with pytest.raises(SpecError, match="Sum: sobolev includes its own penalty"):
        parse("Sum((exp, sobolev))")
    with pytest.raises(SpecError, match="did you mean Sobolev"):
        parse("Product(2, (sobolov(s=-1), Lp(1)), (1, 2))")
    assert parse("exp(psi=varphi)") == parse("exp(psi='varphi')")
    asymmetric = PENALTIES["asymmetric"]
    assert parse("Penalty(Gradients(), Asymmetric(), Mean(), weight=1)") == asymmetric
    for kind in (None, "penalty"):  # Without a kind, the one that takes the arguments.
        assert parse("Sum((asymmetric, wgan_lp))", kind).parts == (asymmetric, PENALTIES["wgan-lp"])
    assert parse("Sum((exp, hinge))") == parse("Sum((exp, hinge))", "objective")
    with pytest.raises(SpecError, match="is no objective"):
        parse("Sum((asymmetric, wgan_lp))", "objective")
    with pytest.raises(SpecError, match="unknown name 'hinch'; did you mean hinge"):
        parse("Sum((exp, hinch))")


def test_what_a_name_stands_for_does_not_depend_on_what_was_imported_first():
    """`Sobolev` is a norm and an objective: without a kind it is the norm."""
    code = "from banach.objectives import OBJECTIVES; from banach import parse; print(parse('sobolev:s=-1'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "Sobolev(s=-1)\n"
