"""What an audit is given, and gives back: networks as they were, errors that name the remedy, a text and a page."""

import random
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from own_loops import CHANNELS, LATENT, SIDE, Critic, scores, sound, wgan_gp
from torch import nn

import banach
from banach.auditing import QUESTIONS, AuditError, Finding
from banach.auditing.curves import fitted


def state(*modules):
    return [{name: one.clone() for name, one in module.state_dict().items()} for module in modules]


def same(one, other):
    return all(torch.equal(one[at][name], other[at][name]) for at in range(len(one)) for name in one[at])


def test_networks_streams_modes_and_gradients_are_as_they_were():
    own = sound(critic=Critic(norm=[nn.BatchNorm2d(4)]))
    own.critic.features[1].eval()
    for one in own.generator.parameters():
        one.grad = torch.full_like(one, 0.5)
    gradients = [one.grad for one in own.generator.parameters()]
    own.critic.score.bias.requires_grad_(False)
    before, modes = state(own.critic, own.generator), [one.training for one in own.critic.modules()]
    streams = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    own.audit()
    assert same(state(own.critic, own.generator), before)
    assert [one.training for one in own.critic.modules()] == modes
    assert all(one.grad is kept for one, kept in zip(own.generator.parameters(), gradients, strict=True))
    assert all(bool((one == 0.5).all()) for one in gradients)
    assert all(one.grad is None for one in own.critic.parameters())
    assert not own.critic.score.bias.requires_grad
    assert torch.equal(streams[0], torch.get_rng_state())
    assert (streams[1], streams[2]) == (np.random.get_state()[1].tolist(), random.getstate())
    assert "forward" not in vars(own.critic)


def test_a_loss_that_steps_is_undone():
    own = sound()
    optimizer = torch.optim.SGD(own.critic.parameters(), 0.1)

    def stepping(D, x, y):
        loss = wgan_gp(D, x, y)
        if loss.requires_grad and any(one.grad is not None for one in D.parameters()):
            optimizer.step()
        if loss.requires_grad:
            loss.backward(retain_graph=True)
        return loss

    before = state(own.critic)
    own.but(loss=stepping).audit()
    assert same(state(own.critic), before)


def test_networks_in_closures_are_as_they_were():
    inner = nn.Sequential(nn.Linear(LATENT, CHANNELS * SIDE * SIDE), nn.BatchNorm1d(CHANNELS * SIDE * SIDE))
    before = state(inner)
    sound(generator=lambda n: inner(torch.randn(n, LATENT)).view(n, CHANNELS, SIDE, SIDE), latent=None).audit()
    assert same(state(inner), before)


def test_everything_is_as_it_was_after_an_error_too():
    own, calls = sound(), []

    def failing(D, x, y):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return wgan_gp(D, x, y)

    before, stream = state(own.critic, own.generator), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        own.but(loss=failing).audit()
    assert same(state(own.critic, own.generator), before)
    assert torch.equal(stream, torch.get_rng_state())
    assert "forward" not in vars(own.critic)


def test_a_graph_that_waits_for_its_backward_still_has_it():
    own = sound()
    waiting = own.critic(own.real).sum()
    own.audit()
    waiting.backward()
    assert own.critic.score.weight.grad is not None


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(mode):
    own = sound()
    with mode():
        found = own.audit()
    assert found.faults == ()


def test_the_same_audit_twice_is_the_same():
    own = sound()
    first = str(own.audit())
    torch.manual_seed(99)
    assert str(own.audit()) == first


def raising(D, x, y):
    raise RuntimeError("shapes do not match\nand more")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"real": torch.randn(2, CHANNELS, SIDE, SIDE)}, "real has shape .2, 2, 6, 6.; give a batch"),
        ({"real": torch.zeros(8, CHANNELS, SIDE, SIDE, dtype=torch.uint8)}, "real is torch.uint8.*floats"),
        ({"real": torch.full((8, CHANNELS, SIDE, SIDE), float("nan"))}, "finite"),
        ({"real": np.zeros((8, 3))}, "real is ndarray; give one batch as a tensor"),
        ({"loss": None}, "loss is NoneType; give a function"),
        ({"loss": 3.5}, "loss is float; give a function"),
        ({"critic": 3}, "critic is int; give the network"),
        ({"loss": raising}, "loss raised RuntimeError: shapes do not match; it was given a tensor"),
        ({"loss": lambda D, x, y: 1.0}, "loss returned float; it must return the number"),
        ({"loss": lambda D, x, y: D(x)}, r"loss returned a tensor \(16, 1\)"),
        ({"penalty": raising}, "penalty raised RuntimeError"),
        ({"latent": None}, "generator raised .*latent=64"),
        ({"latent": 7}, "generator raised .*latent=64"),
        ({"latent": torch.randn(3, LATENT)}, "latent holds 3 samples for 16 reals"),
        ({"generator": lambda z: z}, r"generator returned a tensor \(16, 5\), the reals are"),
        ({"critic": lambda x: (x, x)}, "critic returned tuple"),
        ({"critic": lambda x: x.sum()}, r"critic returned shape \(\)"),
        ({"space": "Lp(0.5)"}, "Lp"),
        ({"space": "Discrete()"}, "metric without a dual norm"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused(changed, message):
    own = sound()
    before = state(own.generator)
    with pytest.raises(banach.BanachError, match=message):
        own.but(**changed).audit()
    assert same(state(own.generator), before)


def test_an_error_of_the_audit_is_one_of_the_package():
    assert issubclass(AuditError, banach.BanachError)


def test_a_generators_loss_that_raises_leaves_the_other_questions_answered():
    found = sound(generator_loss=raising).audit()
    assert found["generator"].verdict == found["signs"].verdict == "could not tell"
    assert "generator_loss raised RuntimeError" in found["generator"].measured
    assert found["norm"].verdict == "ok"


def test_a_logged_text_is_refused_in_its_own_line():
    assert "logged is str" in sound(logged="0.3").audit()["logged"].measured


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text.append(data)


def test_text_and_page_say_the_same(tmp_path):
    found = sound(loss=lambda D, x, y: scores(D, x, y), logged=lambda D, x, y: D(x).mean()).audit()
    text = str(found)
    assert text.startswith("audit: 1 fault, 0 warnings, ")
    assert text.index("FAULT") < text.index("?  ") < text.index("ok  ")
    page = Seen()
    page.feed(found.save(tmp_path / "audit.html").read_text(encoding="utf-8"))
    assert page.ids == list(QUESTIONS)
    shown = "".join(page.text)
    assert all(one.measured in shown and one.remedy in shown for one in found.findings)
    assert found.save(str(tmp_path / "audit.txt")).read_text(encoding="utf-8") == f"{found}\n"


def test_what_a_page_shows_is_escaped():
    found = banach.Audit((Finding("norm", "fault", "<script>alert(1)</script>", "a < b"),))
    assert "<script>alert" not in found.html()
    assert "a &lt; b" in found.html()


def test_saving_elsewhere_is_refused(tmp_path):
    found = banach.Audit(())
    with pytest.raises(banach.BanachError, match=r"\.html"):
        found.save(tmp_path / "audit.pdf")
    with pytest.raises(banach.BanachError, match="no folder"):
        found.save(tmp_path / "nowhere" / "audit.html")
    with pytest.raises(banach.BanachError, match="no question 'nrom'; choose one of generator"):
        found["nrom"]


@pytest.mark.parametrize("norm", [1e-4, 0.03, 1.0, 50.0, 1e4])
@pytest.mark.parametrize(
    ("cost", "kind", "growth", "target"),
    [
        (lambda s: 10 * (s - 1) ** 2, "two-sided", 2, 1),
        (lambda s: 10 * max(0, s - 1) ** 2 + 3, "one-sided", 2, 1),
        (lambda s: 7 * s**2, "zero-centred", 2, 0),
        (lambda s: s**6, "zero-centred", 6, 0),
        (lambda s: (s**2 - 1) ** 2, "two-sided", 4, 1),
        (lambda s: max(0, s - 2), "one-sided", 1, 2),
        (lambda s: abs(s - 2), "two-sided", 1, 2),
        (lambda s: max(0, 1 - s) ** 2 + 10 * max(0, s - 1) ** 2, "two-sided", 2, 1),
        (lambda s: 10 * (s - 0.01) ** 2, "two-sided", 2, 0.01),
    ],
)
def test_curves(norm, cost, kind, growth, target):
    found = fitted(lambda s: cost(norm * s))
    assert found.kind == kind
    assert found.growth == pytest.approx(growth, rel=1e-3)
    assert found.target * norm == pytest.approx(target, rel=1e-3, abs=1e-9)


def test_a_cost_that_does_not_depend_on_the_slope_has_no_curve():
    assert fitted(lambda s: 3.0) is None
    with pytest.raises(ValueError, match="no power"):
        fitted(lambda s: np.expm1(min(s, 700)))
