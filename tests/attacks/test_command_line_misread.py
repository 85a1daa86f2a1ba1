"""`banach distance` and `verify` typed wrongly, or on files of another shape: a line says so, and nothing is lost."""

import json
import re
import shlex

import numpy as np
import pytest
import torch

from banach.cli import matrix, sources
from banach.cli.__main__ import main
from banach.transport import TransportError, population_distance


@pytest.fixture
def banach(tmp_path, monkeypatch, capsys):
    """Run a command line among some files; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    r = np.random.default_rng(0)
    for name, n in (("a", 40), ("b", 30), ("c", 40)):
        np.save(f"{name}.npy", r.normal(size=(n, 2)))

    def run(words):
        code = main(shlex.split(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def refused(banach, words, said):
    code, out, err = banach(words)
    assert (code, out) == (2, ""), (words, out, err)
    assert re.search(said, err), (words, err)
    assert len(err.splitlines()) <= 2
    return err


def test_the_certificate_takes_no_place_of_anything_else(banach, tmp_path):
    """Whatever is there and is no certificate stays: inputs by any name, plugins, tables of norms, strangers."""
    before = (tmp_path / "a.npy").read_bytes()
    np.save("w.npy", np.ones(40))
    np.save("matrix.npy", np.eye(2))
    np.savez("other.npz", f=np.zeros(3))
    (tmp_path / "mine.py").write_text("x = 1\n")
    (tmp_path / "link.npz").symlink_to(tmp_path / "a.npy")
    (tmp_path / "hard.npz").hardlink_to(tmp_path / "a.npy")
    for words in (
        "a.npy b.npy --save a.npy",
        "a.npy b.npy --save ./b.npy",
        "a.npy b.npy --weights-a w.npy --save w.npy",
        "a.npy b.npy --save link.npz",
        "a.npy b.npy --save hard.npz",
        "a.npy b.npy --save other.npz",
        "a.npy b.npy --plugin mine.py --save mine.py",
        "a.npy b.npy --space \"Weighted(Matrix('matrix.npy'),Lp(2))\" --save matrix.npy",
    ):
        refused(banach, f"distance {words}", "exists already and is not a certificate; choose another name")
    np.save("x-A-B.npy", np.zeros((9, 2)))
    refused(banach, "distance a.npy b.npy c.npy --save x.npy", "x-A-B.npy' exists already")
    assert (tmp_path / "a.npy").read_bytes() == before
    assert (tmp_path / "mine.py").read_text() == "x = 1\n"


def test_a_certificate_gives_way_to_a_newer_one(banach, tmp_path):
    for b in ("b.npy", "c.npy"):
        assert banach(f"distance a.npy {b} --save cert.npz")[0] == 0
    assert banach("verify cert.npz a.npy c.npy")[0] == 0
    assert [one.name for one in tmp_path.iterdir() if "cert" in one.name] == ["cert.npz"]


def test_each_certificate_of_a_table_is_checked_by_its_command(banach):
    code, out, _ = banach("distance a.npy b.npy c.npy --axes n,c --save cert.npz")
    if code:
        code, out, _ = banach("distance a.npy b.npy c.npy --save cert.npz")
    commands = re.findall(r"check it with: banach (verify .*)", out)
    assert (code, len(commands)) == (0, 3)
    for command in commands:
        assert banach(command)[0] == 0, command


def test_tables_of_what_is_drawn_have_no_certificates(banach, monkeypatch):
    monkeypatch.setattr(matrix, "is_drawn", lambda text: text.endswith(".run"))
    refused(banach, "distance a.npy b.npy x.run --save cert.npz", "of which 'x.run' is drawn: verify would draw others")


def test_some_of_the_samples_do_not_hide_that_they_repeat(banach):
    """Fifty copies of twenty draws: twenty rows of them show hardly any."""
    rows = np.random.default_rng(0).random((20, 2))
    np.save("many.npy", np.tile(rows, (50, 1)))
    words = "distance many.npy b.npy --target population --critic-steps 1 --width 4 --n 20"
    refused(banach, words, "1,000 of 1,030 samples equal others, and --n draws what repeats more often")
    assert banach(f"{words} --ties independent")[0] == 0


@pytest.mark.parametrize("place", [".", "/dev/null", "folder"])
@pytest.mark.parametrize("sets", ["a.npy b.npy", "a.npy b.npy c.npy"])
def test_a_certificate_needs_a_place_before_anything_is_computed(place, sets, banach, tmp_path):
    (tmp_path / "folder").mkdir()
    refused(banach, f"distance {sets} --save {place}", "is no file; name one, such as cert.npz")


def test_the_proof_line_is_the_command_that_checks(banach):
    np.save("w.npy", np.random.default_rng(1).random(40))
    for flags in ("", "--n 20", "--n 20 --seed 3", "--weights-a w.npy", "--axes nc"):
        code, out, err = banach(f"distance a.npy b.npy --save 'my cert.npz' {flags}")
        if code:  # an axis that is spelled otherwise
            assert "axes" in err
            continue
        command = re.search(r"check it with: banach (verify .*)", out)[1]
        code, out, err = banach(command)
        assert code == 0, (command, err)
        assert "proved" in out


def test_samples_that_were_swapped_are_told_so(banach):
    banach("distance a.npy b.npy --save cert.npz")
    refused(banach, "verify cert.npz b.npy a.npy", r"f .* are A, B and --n the same as when it was saved\?")
    refused(banach, "verify cert.npz a.npy b.npy --n 20", r"are A, B and --n the same as when it was saved\?")


@pytest.mark.parametrize("words", ["1 1\n" * 20, "1\n" * 39 + "one\n", "9007199254740993\n" * 40])
def test_weights_are_one_number_a_line(words, banach, tmp_path):
    (tmp_path / "w.txt").write_text(words)
    said = (
        "float64 rounds 9007199254740993; scale" if words.startswith("9") else "is no number; write one number a line"
    )
    refused(banach, "distance a.npy b.npy --weights-a w.txt", said)


@pytest.mark.parametrize("columns", [(20, 2), (2, 20), (40, 2)])
def test_weights_of_several_columns_have_no_order(columns, banach):
    np.save("w.npy", np.ones(columns))
    refused(banach, "distance a.npy b.npy --weights-a w.npy", "has shape .* one weight a sample, in one column")


def test_weights_with_a_mark_of_their_encoding_and_other_ends_of_lines(banach, tmp_path):
    (tmp_path / "w.txt").write_bytes(b"\xef\xbb\xbf# weights\r\n" + b"2\r\n" * 40)
    assert banach("distance a.npy b.npy --weights-a w.txt")[0] == 0


def test_files_of_weights_and_groups_are_read_within_bounds(banach, tmp_path):
    with (tmp_path / "w.txt").open("wb") as file:
        file.truncate(2**31)
    refused(banach, "distance a.npy b.npy --weights-a w.txt", "too many for these samples")
    refused(banach, "distance a.npy b.npy --target population --groups w.txt", "too many for these samples")
    np.savez_compressed("w.npz", w=np.ones(2**22))
    refused(banach, "distance a.npy b.npy --weights-a w.npz", "too many for these samples")


def test_groups_are_one_label_a_line(banach, tmp_path):
    start = "distance a.npy c.npy --target population --critic-steps 1 --width 4 --groups"
    np.save("g.npy", np.stack([np.arange(40), np.arange(40)], 1))
    refused(banach, f"{start} g.npy", "has shape .* one label a sample, in one column")
    (tmp_path / "g.txt").write_text("\n".join("x" if k % 3 else "" for k in range(80)) + "\n")
    refused(banach, f"{start} g.txt", "line 1 is empty; write one label a line")
    labels = [f"clip {k // 2}" for k in range(80)]
    found = []
    for text in ("\n".join(labels), "\ufeff" + "\r\n".join(labels) + "\r\n"):
        (tmp_path / "g.txt").write_bytes(text.encode())
        code, out, err = banach(f"{start} g.txt --json")
        assert code == 0, err
        found.append(json.loads(out)["lower"])
    assert found[0] == found[1]


def test_pairs_of_different_lengths_are_refused_before_any_is_drawn(banach):
    for flags in ("", "--n 20", "--n 30"):
        refused(
            banach, f"distance a.npy b.npy --target population --paired {flags}", "40 and 30 samples cannot be paired"
        )


def test_confidence_is_printed_with_its_digits(banach):
    code, out, _ = banach("distance a.npy c.npy --confidence 0.999")
    assert code == 0
    assert "at 99.9%" in out
    assert "100%" not in out
    assert "at 99.9%" in banach("distance a.npy b.npy c.npy --confidence 0.999")[1]


def test_odd_words_are_told_in_a_line(banach):
    np.save("one.npy", np.array(3.0))
    refused(banach, "distance a.npy:x b.npy", "one array without a name; write it without :x")
    refused(banach, "distance one.npy b.npy", "a single number")
    refused(banach, "distance a.npy c.npy --target population --support box:0,inf", "give finite entries")
    refused(banach, "distance a.npy c.npy --target population --support box:-1e308,1e308", "wider than float64 holds")
    refused(banach, "distance a.npy c.npy --target population --diameter 0.01", "apart; state a larger one")
    refused(banach, "distance a.npy c.npy --target population --space 'Sobolev(s=-1)'", r"\(1, 2\)")
    code, out, _ = banach("distance a.npy b.npy --power 1e-300 --no-scores")
    assert code == 0
    assert "beyond float64" in out


class Reader:
    """What `read_source` is asked for, in place of a generator."""

    def __init__(self):
        self.asked = []

    def __call__(self, path, how):
        self.asked.append(how.seed)
        values = torch.randn(how.drawn, 2, generator=torch.Generator().manual_seed(how.seed))
        return sources.Source(str(path), values, ("drawn",))


def test_samples_of_two_generators_do_not_share_their_latents(banach, monkeypatch):
    """They are drawn by seeds of their own, but for pairs, which are drawn together."""
    reader = Reader()
    monkeypatch.setattr(sources, "is_drawn", lambda text: text.endswith(".run"))
    monkeypatch.setattr(matrix, "is_drawn", lambda text: text.endswith(".run"))
    monkeypatch.setattr(sources, "_run", reader)
    code, out, _ = banach("distance x.run x.run --n 50 --seed 7 --no-scores")
    assert code == 0
    assert reader.asked == [7, 8]
    assert "from 0 to 0" not in out
    reader.asked.clear()
    assert banach("distance x.run y.run x.run --n 50 --no-scores")[0] == 0
    assert reader.asked == [0, 1, 2]
    reader.asked.clear()
    words = "distance x.run y.run --n 50 --target population --paired --critic-steps 1 --width 4"
    assert banach(words)[0] == 0
    assert reader.asked == [0, 0]


@pytest.mark.parametrize("labels", [
    [None, *range(39)], [float("nan"), *range(39)], ["", *"abc" * 13], np.array(["\xe9".encode("latin1")] * 40),
    [[1], [2, 3]] * 20, torch.zeros(40, device="meta"), torch.zeros(40).to_sparse(),
])  # fmt: skip
def test_labels_that_are_none_are_refused_in_a_line(labels):
    x = torch.randn(40, 2)
    with pytest.raises(TransportError, match="groups of A") as refusal:
        population_distance(x, x + 1, groups_a=labels)
    assert len(str(refusal.value).splitlines()) == 1
