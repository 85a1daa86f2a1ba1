"""`banach download`: which names can be fetched, and what a failure says; nothing is fetched here."""

import json

import pytest

from banach.cli.__main__ import main
from banach.data import named


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("BANACH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def serve(monkeypatch, act):
    """Put `act(root, download)` in the place of torchvision's loaders; gives the list of what was asked for."""
    asked = []

    def loader(name):
        asked.append(name)
        return act

    monkeypatch.setattr(named, "_torchvision", loader)
    return asked


def test_a_set_is_fetched_into_the_root(root, monkeypatch, capsys):
    asked = serve(monkeypatch, lambda where, download: None)
    assert main(["download", "CIFAR10"]) == 0
    assert asked == ["CIFAR10"]
    assert capsys.readouterr().out == f"{root}\n"
    assert main(["download", "cifar10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "cifar10", "folder": str(root)}


def test_a_failure_is_one_line(root, monkeypatch, capsys):
    def offline(where, download):
        raise RuntimeError("Error downloading cifar-10-python.tar.gz:\n  <urlopen error>")

    serve(monkeypatch, offline)
    assert main(["download", "cifar10"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: cifar10 could not be fetched into {root}: Error downloading")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fashion"], "needs no download; train on it with --data fashion"),
        (["cifer10"], "did you mean cifar10"),
        ([], "name is missing"),
        (["cifar10", "mnist"], "unexpected 'mnist'"),
    ],
)
def test_what_cannot_be_fetched(argv, said, monkeypatch, capsys):
    asked = serve(monkeypatch, lambda where, download: None)
    assert main(["download", *argv]) == 2
    assert said in capsys.readouterr().err
    assert asked == []
