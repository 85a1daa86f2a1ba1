"""lambda and gamma: their closed forms, every registered space in the table, and the optimum that they rest on."""

import pytest
import scipy.optimize
import torch
from PIL import Image

from banach.config.config import Config
from banach.experiments import heuristics as of
from banach.experiments.experiment import Setting
from banach.experiments.trained import CPU
from banach.spaces import SPACES
from banach.training.build import build

SIZES = of.Sizes(8, 8, 8, 2, 32, 64, 4)


def test_the_optimum_is_that_of_the_papers_problem():
    for mean, lam, gamma in ((27.0, 27.0, 27.0), (3.0, 10.0, 1.0)):

        def loss(c: float, mean: float = mean, lam: float = lam, gamma: float = gamma) -> float:
            return -c * mean / gamma + lam * (c / gamma - 1) ** 2

        found = scipy.optimize.minimize_scalar(loss)
        assert of.optimum(mean, lam, gamma) == pytest.approx(found.x, rel=1e-6)


def test_every_registered_space_is_in_the_table():
    assert {spec.split("(")[0] for spec in of.SPECS} == set(SPACES)


def test_values_have_their_closed_forms():
    x = torch.full((6, 1, 4, 4), -0.5)
    for spec, lam, gamma in (("Lp(2)", 2.0, 2.0), ("Lp(1)", 8.0, 0.5), ("Lp(4)", 0.5 * 16**0.25, 0.5 * 16**0.75)):
        found = of.measured(spec, x, 2)
        assert (found["lam"], found["gamma"]) == (pytest.approx(lam), pytest.approx(gamma))
    assert of.measured("Sobolev(s=-1)", x, 2)["lam"] == pytest.approx(2.0)  # a constant has frequency 0 only
    assert of.measured("Discrete()", x, 2)["reason"] == "a metric without a dual norm"
    assert "reason" in of.measured("Product(1, (Lp(2), Lp(2), Lp(4)), (1, 1, 1))", x, 2)


def test_the_arms_choose_lambda_and_gamma():
    data = of.split(None, 8)
    told = of.measured("Lp(10)", data.model_units(data.train), 4)
    for arm, (lam, gamma) in {"10 and 1": (10.0, 1.0), "heuristic": (told["lam"], told["gamma"])}.items():
        config = of.config_of("Lp(10)", arm, 0, SIZES)
        assert isinstance(config, Config)
        game = build(config, data, CPU).game
        assert (game.weight, game.gamma) == (pytest.approx(lam, rel=1e-5), pytest.approx(gamma, rel=1e-5))


def test_own_pictures(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)
    for at in range(12):
        pixels = torch.randint(0, 256, (10, 10, 3), generator=rng, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / f"{at}.png")
    found = of.table_of(Setting("tiny", tmp_path, data=str(folder)), SIZES)
    told = {row["space"]: row for row in found}
    assert told["Lp(2)"]["lam"] == told["Lp(2)"]["gamma"] > 0
    assert "lam" in told["Product(1, (Lp(2), Lp(2), Lp(4)), (1, 1, 1))"]  # three channels
