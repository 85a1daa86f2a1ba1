"""`banach list`: every registered name is shown, from the registries themselves."""

import json

import pytest

from banach.cli.__main__ import main
from banach.config import reading
from banach.constraints import CONSTRAINTS
from banach.data import DATASETS
from banach.metrics import EXTRACTORS
from banach.models import MODELS
from banach.objectives import OBJECTIVES
from banach.penalties import PENALTIES, SCHEDULES
from banach.spaces import INTENTS, SPACES
from banach.specs import parse
from banach.transport import PAIRS

NAMES = {
    "spaces": [*SPACES, *INTENTS],
    "objectives": OBJECTIVES,
    "penalties": PENALTIES,
    "schedules": SCHEDULES,
    "constraints": CONSTRAINTS,
    "models": MODELS,
    "data": DATASETS,
    "pairs": PAIRS,
    "presets": reading.presets(),
    "extractors": EXTRACTORS,
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_is_listed_as_table_and_as_json(kind, capsys):
    assert main(["list", kind]) == 0
    table = capsys.readouterr().out
    assert main(["list", kind, "--json"]) == 0
    (rows,) = json.loads(capsys.readouterr().out).values()
    listed = {row["name"] for row in rows}
    for name in NAMES[kind]:
        assert name in table
        assert name in listed
    assert ("what Lipschitz GANs say of them" in table) == (kind == "objectives")
    assert all(row["what it is"] for row in rows)


def test_all_kinds_at_once(capsys):
    assert main(["list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(NAMES)


def test_singular_kinds_and_unknown_ones(capsys):
    assert main(["list", "space"]) == 0
    assert main(["list", "Penalty"]) == 0
    capsys.readouterr()
    assert main(["list", "spces"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown kind 'spces'; did you mean spaces")


def test_objectives_come_with_conditions_row_of_table_1_and_source(capsys):
    main(["list", "objectives", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["objectives"]}
    key = "eq. 11 of Lipschitz GANs (unverified)"
    assert rows["logistic"][key] == "all, strictly convex"
    assert rows["wasserstein"][key] == "all, not strictly convex"
    assert rows["hinge"][key].startswith("not: phi increasing")
    assert rows["hinge"]["conditions"]["phi_increasing"] is False

    free, restrained = (f"Table 1, f {which}: vanishing, uninformative, unique" for which in ("free", "Lipschitz"))
    assert rows["vanilla_saturating"][free] == "yes, yes, yes"
    assert rows["vanilla_saturating"][restrained] == "no, no, yes"
    assert rows["wasserstein"][restrained] == "no, no, no"
    assert rows["wasserstein"]["table 1"]["none"]["f_fake"] == "-inf"
    assert rows["wasserstein"]["table 1"]["bound"]["slope"] == 1
    for row in rows.values():
        assert set(row["table 1"]) == {"none", "penalty", "bound"}
        assert row["table 1"]["none"]["uninformative"]
        assert not row["table 1"]["penalty"]["uninformative"]
    assert rows["fisher"]["source"] == "Mroueh and Sercu 2017 (Fisher GAN), eq. 9"
    assert rows["fisher"]["source in full"]["checked"] == "tomsercu/FisherGAN bf1c7d8 main.py"
    assert "unverified" in rows["relativistic"]["source"]
    assert all(row["source"] for row in rows.values())


def test_examples_of_spaces_are_specs(capsys):
    main(["list", "spaces", "--json"])
    for row in json.loads(capsys.readouterr().out)["spaces"]:
        parse(row["example"], SPACES)


def test_a_plugins_names_are_listed(tmp_path, capsys):
    file = tmp_path / "listed.py"
    file.write_text(
        "from banach.spaces import SPACES, Lp\nSPACES.add('listed_space', lambda: Lp(3), ['listed_space'], 'mine')\n"
    )
    assert main(["list", "spaces", "--plugin", str(file)]) == 0
    assert "listed_space" in capsys.readouterr().out
