"""The facts of a run: written as they are, read as far as they can be trusted."""

import dataclasses
import json
from pathlib import Path

import pytest

from banach.foreign import Unreadable
from banach.runs.facts import KEYS, Facts, read, write

FACTS = Facts(
    data="fashion", data_notes=("10,000 grey images",), fingerprint="ab", train=9000, held_out=1000, shape=(1, 28, 28),
    space="Sobolev(s=-1)", emphasises="low frequencies", lam=21.691, lam_error=0.0312, gamma=25.8, gamma_error=None,
    model="resnet", generator_parameters=111265, critic_parameters=16721, device="cpu", precision="fp32", threads=2,
    processes=1, forms="", step=0, steps=4000, not_finite="",
)  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "facts.json", FACTS)
    assert read(tmp_path / "facts.json") == FACTS
    assert list(json.loads((tmp_path / "facts.json").read_text())) == list(KEYS)


def test_in_words() -> None:
    assert FACTS.sentences() == {
        "data": "fashion: 9,000 to train on, 1,000 held out, shape (1, 28, 28)",
        "networks": "resnet: generator 111,265 parameters, critic 16,721",
        "lambda": "21.69 ± 0.03 (from the data)",
        "gamma": "25.8",
    }
    batch = dataclasses.replace(FACTS, lam="batch", lam_error=None, gamma="batch")
    assert (batch.sentences()["lambda"], batch.sentences()["gamma"]) == ("of each batch", "of each batch")
    assert "lambda" not in dataclasses.replace(FACTS, lam=None, lam_error=None).sentences()


def test_keys_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(json.dumps({**dataclasses.asdict(FACTS), "new": 1}))
    assert read(tmp_path / "facts.json") == FACTS


@pytest.mark.parametrize(
    "changes",
    [
        {"train": "9000"}, {"train": True}, {"train": 1e3}, {"train": 10**400}, {"shape": [1, "x"]}, {"shape": 3},
        {"data": None}, {"data_notes": "one"}, {"lam": [1]}, {"lam_error": "x"}, {"gamma": None}, {"gamma": {}},
    ],
)  # fmt: skip
def test_a_strangers_facts_are_refused_by_key(tmp_path: Path, changes: dict) -> None:
    (tmp_path / "facts.json").write_text(json.dumps({**dataclasses.asdict(FACTS), **changes}))
    with pytest.raises(Unreadable, match=f"its '{next(iter(changes))}' is"):
        read(tmp_path / "facts.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, b"{}", b"{" + b" " * 2**21])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(Unreadable):
        read(tmp_path / "facts.json")


def test_what_is_shown_moves_no_cursor(tmp_path: Path) -> None:
    write(tmp_path / "facts.json", dataclasses.replace(FACTS, data="a\x1b[2Kb"))
    assert read(tmp_path / "facts.json").data == "a\\x1b[2Kb"
